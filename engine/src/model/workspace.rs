//! The tenant boundary.

use crate::model::{QuietHours, Role, WorkspaceId};
use serde::{Deserialize, Serialize};

/// A workspace: every campaign, sender, member and audit record belongs to exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Lower-case name used in URLs, unique in the installation.
    pub slug: String,
    /// Name shown to people.
    pub name: String,
    /// IANA zone of its quiet hours and daily limits.
    pub time_zone: String,
    /// Share in the fair queue relative to other workspaces, at least 1.
    pub weight: u32,
    /// Segments per second over all its campaigns, 0 for no limit.
    pub rate_per_s: u32,
    /// Recipients of one local day over all its campaigns.
    pub daily_limit: Option<u64>,
    /// When its people do not want to be disturbed.
    pub quiet_hours: Option<QuietHours>,
    /// Words that opt a handset out; empty for the engine's own list.
    pub stop_keywords: Vec<String>,
    /// What its admins decide.
    #[serde(default)]
    pub policies: Policies,
    /// What the provider decides.
    #[serde(default)]
    pub terms: Terms,
    /// Counts changes.
    #[serde(default)]
    pub version: u32,
    /// When it was created, RFC 3339.
    pub created_at: jiff::Timestamp,
}

/// How a workspace governs itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// Different people who must approve a campaign, 1 or 2.
    pub approvals_required: u8,
    /// Whether authors may draft and submit senders; they never approve them.
    pub authors_draft_senders: bool,
    /// Whether authors see the campaigns of other authors.
    pub authors_see_all: bool,
    /// Roles besides `Admin` that may see full numbers.
    pub reveal_roles: Vec<Role>,
    /// Recipients from which a campaign counts as large: it starts only after its pre-flight says go.
    pub large_campaign_threshold: Option<u64>,
    /// ISO 3166 code of the country whose national numbers are understood.
    pub default_region: Option<String>,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            approvals_required: 1,
            authors_draft_senders: false,
            authors_see_all: true,
            reveal_roles: Vec::new(),
            large_campaign_threshold: None,
            default_region: None,
        }
    }
}

/// What the provider grants to a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Octets of recipient lists that it may keep; `None` for no limit.
    pub storage_quota_bytes: Option<u64>,
    /// Whether an admin or a flagged author may approve what is their own.
    pub allow_self_approval: bool,
    /// Names of the channels that its campaigns are sent over; empty for every channel that serves it.
    pub channels: Vec<String>,
}
