//! The tenant boundary.

use crate::model::WorkspaceId;
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
    /// When it was created, RFC 3339.
    pub created_at: jiff::Timestamp,
}
