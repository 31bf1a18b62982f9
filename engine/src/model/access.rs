//! How accounts prove who they are: logins, API keys and one-time links; all of them by the hash of a secret.
//!
//! Like every credential the hashes are opaque here. Ended ones stay on record until they are purged.

use crate::model::{Credential, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A person's login on one device, from the password to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Its id.
    pub id: Uuid,
    /// Who.
    pub user_id: UserId,
    /// The hash of the secret in the cookie, by which it is found.
    pub credential: Credential,
    /// Remote address at the time of the login.
    pub address: Option<String>,
    /// User agent at the time of the login.
    pub user_agent: Option<String>,
    /// Counts changes.
    pub version: u32,
    /// Since when.
    pub created_at: jiff::Timestamp,
    /// When it ends at the latest.
    pub expires_at: jiff::Timestamp,
    /// Set when it was ended before.
    pub ended_at: Option<jiff::Timestamp>,
}

/// When a login was last used; kept apart, because it changes often and is nothing to audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginUse {
    /// The login's id.
    pub id: Uuid,
    /// Counts changes.
    pub version: u32,
    /// When, to the minute or so.
    pub at: jiff::Timestamp,
}

/// What a program may do with an API key; never more than the account behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyScope {
    /// Read campaigns.
    #[serde(rename = "campaigns:read")]
    CampaignsRead,
    /// Create and run campaigns.
    #[serde(rename = "campaigns:write")]
    CampaignsWrite,
    /// Hand numbers to Trigger campaigns.
    #[serde(rename = "numbers:push")]
    NumbersPush,
    /// Make and read exports.
    #[serde(rename = "exports:read")]
    ExportsRead,
    /// Read the audit log and usage.
    #[serde(rename = "audit:read")]
    AuditRead,
}

/// A program's way in: one account, one workspace, some of what the account may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id, the middle part of the key.
    pub id: Uuid,
    /// Where it works.
    pub workspace_id: WorkspaceId,
    /// Whose actions they are.
    pub user_id: UserId,
    /// Name shown to people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// The hash of its secret.
    pub credential: Credential,
    /// Counts changes.
    pub version: u32,
    /// Since when.
    pub created_at: jiff::Timestamp,
    /// Until when.
    pub expires_at: Option<jiff::Timestamp>,
    /// Set when it was revoked.
    pub revoked_at: Option<jiff::Timestamp>,
}

/// A link that lets its holder choose the password of an account, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordLink {
    /// Its id.
    pub id: Uuid,
    /// Whose password.
    pub user_id: UserId,
    /// The hash of the secret in the link, by which it is found.
    pub credential: Credential,
    /// Counts changes.
    pub version: u32,
    /// Since when.
    pub created_at: jiff::Timestamp,
    /// Until when.
    pub expires_at: jiff::Timestamp,
    /// Set when it was used, or replaced by a later one.
    pub used_at: Option<jiff::Timestamp>,
}

/// The answer to a request that carried an idempotency key, for when it comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its id.
    pub id: Uuid,
    /// Digest of who asked, where, and of the key: what makes two requests the same.
    pub key: String,
    /// Digest of what was asked.
    pub request: String,
    /// Status of the answer; `None` while it is not known, also after a crash.
    pub status: Option<u16>,
    /// The answer.
    pub body: String,
    /// Where what was made is found, as in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Counts changes.
    pub version: u32,
    /// When the request came.
    pub created_at: jiff::Timestamp,
}
