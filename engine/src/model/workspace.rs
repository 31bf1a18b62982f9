//! The tenant boundary.

use crate::model::{QuietHours, WorkspaceId};
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
    /// Counts changes.
    #[serde(default)]
    pub version: u32,
    /// When it was created, RFC 3339.
    pub created_at: jiff::Timestamp,
}
