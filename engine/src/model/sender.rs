//! Sender names and their immutable revisions.

use crate::model::{SenderId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A sender name of a workspace; what goes on the wire is in its revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Its id.
    pub id: SenderId,
    /// The owner.
    pub workspace_id: WorkspaceId,
    /// Name shown to people.
    pub name: String,
    /// Segments per second over all campaigns that use it, 0 for no limit.
    pub rate_per_s: u32,
    /// Counts changes.
    #[serde(default)]
    pub version: u32,
    /// When it was created.
    pub created_at: jiff::Timestamp,
    /// Set when hidden from new campaigns; running ones go on.
    pub archived_at: Option<jiff::Timestamp>,
}

/// One revision of a sender; its address fields never change after it was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its id.
    pub id: Uuid,
    /// The sender that it belongs to.
    pub sender_id: SenderId,
    /// The owner.
    pub workspace_id: WorkspaceId,
    /// 1 for the first revision of a sender.
    pub n: u32,
    /// `source_addr` on the wire, at most 20 octets.
    pub saddr: String,
    /// Type of number of the source.
    pub ston: u8,
    /// Numbering plan of the source.
    pub snpi: u8,
    /// Where it stands.
    pub status: RevisionStatus,
    /// Counts decisions and other moves.
    #[serde(default)]
    pub version: u32,
    /// Who created it.
    pub created_by: UserId,
    /// Who submitted it, if that was not its creator.
    #[serde(default)]
    pub submitted_by: Option<UserId>,
    /// Who decided, once decided.
    pub decided_by: Option<UserId>,
    /// How the carriers know it: a number or name of their registration.
    #[serde(default)]
    pub registration_ref: Option<String>,
    /// Why it was rejected or withdrawn.
    #[serde(default)]
    pub note: Option<String>,
    /// When it was created.
    #[serde(default)]
    pub created_at: jiff::Timestamp,
    /// When it was decided, or withdrawn later.
    #[serde(default)]
    pub decided_at: Option<jiff::Timestamp>,
}

/// The life of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevisionStatus {
    /// Saved, not submitted.
    Draft,
    /// Waits for a decision.
    PendingApproval,
    /// Usable; immutable from here on.
    Approved,
    /// Refused with a note.
    Rejected,
    /// No longer offered.
    Archived,
}
