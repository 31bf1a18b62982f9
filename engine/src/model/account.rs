//! People and programs: accounts, what they may do in which workspace, and how they come in.
//!
//! Credentials are opaque here: whoever hashes and checks them writes them and reads them back, nobody else.

use crate::model::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// A hash that lets somebody in; the store keeps it, audit events and `Debug` never show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credential(pub String);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// How somebody likes to see things.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferences {
    /// IANA zone of the times shown; `None` for the browser's.
    pub time_zone: Option<String>,
    /// BCP 47 tag of the language shown; `None` for the browser's.
    pub language: Option<String>,
}

/// A person's account, of no workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Where mail goes and what is typed to log in, in lower case; unique in the installation.
    pub email: String,
    /// Name shown to people.
    pub name: String,
    /// The hash of the password; `None` until one is chosen.
    pub credential: Option<Credential>,
    /// Whether the platform is administered with it.
    pub super_admin: bool,
    /// How its owner likes to see things.
    #[serde(default)]
    pub preferences: Preferences,
    /// Counts changes.
    pub version: u32,
    /// When it was created.
    pub created_at: jiff::Timestamp,
    /// Set when nobody may log in with it any more.
    pub disabled_at: Option<jiff::Timestamp>,
}

/// What a member may do; a super admin is no role but a property of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Prepares and runs own campaigns.
    Author,
    /// Decides about campaigns and sender names of others.
    Moderator,
    /// Both, and manages the workspace.
    Admin,
}

/// An account in a workspace; a member who was removed stays on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Its id.
    pub id: Uuid,
    /// Where.
    pub workspace_id: WorkspaceId,
    /// Who.
    pub user_id: UserId,
    /// As what.
    pub role: Role,
    /// Whether an author also decides about the campaigns of others; false for every other role.
    pub is_moderator: bool,
    /// Counts changes.
    pub version: u32,
    /// Since when.
    pub created_at: jiff::Timestamp,
    /// Until when, for a reviewer on loan.
    pub expires_at: Option<jiff::Timestamp>,
    /// Set when it was taken away.
    pub removed_at: Option<jiff::Timestamp>,
}

impl Membership {
    /// Whether it counts at this time.
    #[must_use]
    pub fn holds_at(&self, now: jiff::Timestamp) -> bool {
        self.removed_at.is_none() && self.expires_at.is_none_or(|until| now < until)
    }
}

/// The life of an invitation and of a request to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// Nobody has decided.
    Pending,
    /// There is a membership.
    Accepted,
    /// Taken back, or refused.
    Declined,
}

/// An invitation of somebody, who may have no account yet, into a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its id.
    pub id: Uuid,
    /// Where to.
    pub workspace_id: WorkspaceId,
    /// Whom, in lower case.
    pub email: String,
    /// As what.
    pub role: Role,
    /// The hash of the secret in its link, by which it is found.
    pub credential: Credential,
    /// Where it stands.
    pub status: Admission,
    /// By whom.
    pub invited_by: UserId,
    /// Counts changes.
    pub version: u32,
    /// When.
    pub created_at: jiff::Timestamp,
    /// Until when its link works.
    pub expires_at: jiff::Timestamp,
}

/// Somebody's wish to join a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Its id.
    pub id: Uuid,
    /// Where to.
    pub workspace_id: WorkspaceId,
    /// Who.
    pub user_id: UserId,
    /// Where it stands.
    pub status: Admission,
    /// Counts changes.
    pub version: u32,
    /// When.
    pub created_at: jiff::Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_counts_until_it_expires_or_is_removed() {
        let at = |second| jiff::Timestamp::from_second(second).expect("a time");
        let mut membership = Membership {
            id: Uuid::nil(),
            workspace_id: WorkspaceId(Uuid::nil()),
            user_id: UserId(Uuid::nil()),
            role: Role::Moderator,
            is_moderator: false,
            version: 0,
            created_at: at(0),
            expires_at: None,
            removed_at: None,
        };
        assert!(membership.holds_at(at(1_000)));
        membership.expires_at = Some(at(10));
        assert!(membership.holds_at(at(9)) && !membership.holds_at(at(10)));
        membership.removed_at = Some(at(5));
        assert!(!membership.holds_at(at(9)));
    }

    #[test]
    fn a_credential_is_never_printed() {
        assert_eq!(format!("{:?}", Some(Credential("hash".to_owned()))), "Some(Credential(..))");
    }
}
