//! What belongs to the installation and to no workspace: its settings, and who may use which sender address.

use crate::model::{Credential, WorkspaceId};
use serde::{Deserialize, Serialize};
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
            version: 0,
        }
    }
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

impl Claim {
    /// Whether this workspace may use the address.
    #[must_use]
    pub fn admits(&self, workspace: WorkspaceId) -> bool {
        self.owner == workspace || self.grants.contains(&workspace)
    }
}
