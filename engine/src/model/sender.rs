//! Sender names and their immutable revisions.

use crate::model::{Content, SenderId, UserId, WorkspaceId};
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
    /// The approved revision that new campaigns get. Whatever sets it, or takes it away, bumps `version`: of two
    /// approvals at once, or an approval and an archiving, one finds that it has lost.
    #[serde(default)]
    pub active: Option<Uuid>,
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
    /// Whether it was approved by somebody who had created or submitted it, where the workspace is granted that.
    #[serde(default)]
    pub self_approved: bool,
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
    /// When it went out of use: another one took its place, its sender was archived, or it was withdrawn.
    #[serde(default)]
    pub archived_at: Option<jiff::Timestamp>,
}

impl Revision {
    /// Whether content is to be sent under exactly this address of this sender.
    #[must_use]
    pub fn is_of(&self, content: &Content) -> bool {
        let (own, other) =
            ((&self.saddr, self.ston, self.snpi), (&content.saddr, content.ston, content.snpi));
        self.sender_id == content.sender_id && self.id == content.revision_id && own == other
    }

    /// What a stored revision that becomes `next` would lose and must not: its address and place never change, what
    /// was decided upon never changes behind the decision. `None` when nothing.
    #[must_use]
    pub fn lost_by(&self, next: &Self) -> Option<&'static str> {
        let place = |r: &Self| (r.sender_id, r.workspace_id, r.n, r.created_by, r.created_at);
        if (&self.saddr, self.ston, self.snpi) != (&next.saddr, next.ston, next.snpi) {
            return Some("the address of a revision never changes");
        }
        if place(self) != place(next) {
            return Some("sender, number and origin of a revision never change");
        }
        let is_open = matches!(self.status, RevisionStatus::Draft | RevisionStatus::PendingApproval);
        let submitted = |r: &Self| (r.registration_ref.clone(), r.submitted_by);
        (!is_open && submitted(self) != submitted(next)).then_some("a decided revision never changes")
    }
}

/// The life of a revision, and of a version of a message template.
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
    /// No longer offered; was approved before.
    Archived,
}

/// What can happen to a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionMove {
    /// Submitted for a decision.
    Submit,
    /// Approved.
    Approve,
    /// Rejected with a note.
    Reject,
    /// Another one took its place, or its sender was archived; campaigns that run under it go on.
    Archive,
    /// Taken away with a note; campaigns that run under it fail.
    Withdraw,
}

impl RevisionStatus {
    /// Every status, in the order of life.
    pub const ALL: [Self; 5] =
        [Self::Draft, Self::PendingApproval, Self::Approved, Self::Rejected, Self::Archived];

    /// Where `what` leads from here; `None` is an illegal edge.
    #[must_use]
    pub const fn after(self, what: RevisionMove) -> Option<Self> {
        match (self, what) {
            (Self::Draft, RevisionMove::Submit) => Some(Self::PendingApproval),
            (Self::PendingApproval, RevisionMove::Approve) => Some(Self::Approved),
            (Self::PendingApproval, RevisionMove::Reject) | (Self::Approved, RevisionMove::Withdraw) => {
                Some(Self::Rejected)
            }
            (Self::Approved, RevisionMove::Archive) => Some(Self::Archived),
            _ => None,
        }
    }
}

impl RevisionMove {
    /// Every move, in the order of life.
    pub const ALL: [Self; 5] = [Self::Submit, Self::Approve, Self::Reject, Self::Archive, Self::Withdraw];

    /// The word for it in a refusal: "a revision that is Draft cannot `be approved`".
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Submit => "be submitted",
            Self::Approve => "be approved",
            Self::Reject => "be rejected",
            Self::Archive => "be archived",
            Self::Withdraw => "be withdrawn",
        }
    }

    /// The action under which it is audited.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Submit => "sender_revision.submit",
            Self::Approve => "sender_revision.approve",
            Self::Reject => "sender_revision.reject",
            Self::Archive => "sender_revision.archive",
            Self::Withdraw => "sender_revision.withdraw",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_move_of_a_revision_leads_where_the_table_says() {
        use RevisionStatus::{Approved, Archived, Draft, PendingApproval, Rejected};
        // One row a status, one column a move: submit, approve, reject, archive, withdraw.
        let table = [
            (Draft, [Some(PendingApproval), None, None, None, None]),
            (PendingApproval, [None, Some(Approved), Some(Rejected), None, None]),
            (Approved, [None, None, None, Some(Archived), Some(Rejected)]),
            (Rejected, [None; 5]),
            (Archived, [None; 5]),
        ];
        assert_eq!(table.map(|(from, _)| from), RevisionStatus::ALL);
        for (from, row) in table {
            assert_eq!(RevisionMove::ALL.map(|what| from.after(what)), row, "{from:?}");
        }
    }
}
