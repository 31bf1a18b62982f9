//! What belongs to the installation and to no workspace: its settings, and who may use which sender address.

use crate::model::{Credential, WorkspaceId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What happens to audited actions once the fallback file is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOverflow {
    /// Their events are dropped, counted and reported.
    #[default]
    Drop,
    /// They are refused.
    Block,
}

/// What a password must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordPolicy {
    /// Characters at least.
    pub min_chars: u16,
    /// Whether well-known passwords are refused.
    pub refuse_common: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_chars: 12, refuse_common: true }
    }
}

/// How recipients are named where their numbers are not shown; chosen at the first start, for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CtnHash {
    /// By a hash under the installation's own key: nobody without it can try all numbers.
    #[default]
    Keyed,
    /// By the plain hash of the digits, for sites that match lists of their own.
    Plain,
}

/// What the first start chose, so that a later one cannot name recipients differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtnChoice {
    /// How.
    pub mode: CtnHash,
    /// The hash of a fixed text under the key: tells another key, and nothing about this one.
    pub check: String,
}

/// The platform's settings; there is one entity of them, and the configuration file only gives its first values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How long audit events are kept, days.
    pub audit_retention_days: u32,
    /// Longer retentions that were in force before, and until when each still counts.
    pub audit_retention_before: Vec<(u32, jiff::Timestamp)>,
    /// What happens once the fallback file is full.
    pub audit_overflow: AuditOverflow,
    /// What a password must be.
    pub password_policy: PasswordPolicy,
    /// How long full numbers are kept after a campaign has ended, days; `None` for ever.
    pub number_retention_days: Option<u32>,
    /// The key of ids that must not show what they name; made when it is needed first.
    #[serde(default)]
    pub credential: Option<Credential>,
    /// How recipients are named; `None` before the first start has chosen.
    #[serde(default)]
    pub ctn: Option<CtnChoice>,
    /// Counts changes.
    pub version: u32,
}

impl Settings {
    /// The id of the one entity.
    pub const ID: Uuid = Uuid::from_u128(1);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            audit_retention_days: 90,
            audit_retention_before: Vec::new(),
            audit_overflow: AuditOverflow::default(),
            password_policy: PasswordPolicy::default(),
            number_retention_days: None,
            credential: None,
            ctn: None,
            version: 0,
        }
    }
}

/// Counts changes of who is super admin. There is one entity of it: whoever decides by the number of super admins
/// stores it in the same transaction, so that of two who decide at once one is told to look again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Counts changes.
    pub version: u32,
}

impl Roster {
    /// The id of the one entity.
    pub const ID: Uuid = Uuid::from_u128(2);
}

/// Which workspaces may use a sender address: taken by the first approval in the installation, kept from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its id.
    pub id: Uuid,
    /// The address with everything taken away that people overlook: letter case, spaces, look-alike letters.
    pub skeleton: String,
    /// The address as it was approved.
    pub saddr: String,
    /// Who took it.
    pub owner: WorkspaceId,
    /// Who may use it besides.
    pub grants: Vec<WorkspaceId>,
    /// Counts changes.
    pub version: u32,
    /// When it was taken.
    pub created_at: jiff::Timestamp,
}

/// A workspace's part in the sharing of a sender address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SharePart {
    /// Its own address is shared with another one.
    Owner,
    /// It may use the address of another one.
    Guest,
}

/// What a workspace may know of the sharing of a sender address: each of the two has a record of its own, so that both
/// audit logs tell it, and neither names the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its id, [`Share::id_of`].
    pub id: Uuid,
    /// Whose part it is.
    pub workspace_id: WorkspaceId,
    /// Which part.
    pub part: SharePart,
    /// The address as it was approved.
    pub saddr: String,
    /// When it was last granted.
    pub granted_at: jiff::Timestamp,
    /// When it was revoked.
    pub ended_at: Option<jiff::Timestamp>,
    /// Counts changes.
    pub version: u32,
}

impl Share {
    /// The id of one part of the sharing of a claim with a guest: always the same, so that it is found without either
    /// part naming the other workspace.
    #[must_use]
    pub fn id_of(claim: Uuid, guest: WorkspaceId, part: SharePart) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(claim.as_bytes());
        hash.update(guest.0.as_bytes());
        hash.update([part as u8]);
        let mut octets = [0; 16];
        octets.copy_from_slice(&hash.finalize()[..16]);
        uuid::Builder::from_custom_bytes(octets).into_uuid()
    }
}

impl Claim {
    /// Whether this workspace may use the address.
    #[must_use]
    pub fn admits(&self, workspace: WorkspaceId) -> bool {
        self.owner == workspace || self.grants.contains(&workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_one_sharing_have_ids_that_stay_and_differ() {
        let id = |claim, guest, part| {
            Share::id_of(Uuid::from_u128(claim), WorkspaceId(Uuid::from_u128(guest)), part)
        };
        assert_eq!(id(1, 2, SharePart::Owner), id(1, 2, SharePart::Owner));
        let all = [id(1, 2, SharePart::Owner), id(1, 2, SharePart::Guest), id(2, 1, SharePart::Owner)];
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
    }
}
