//! What becomes of a sender revision that is submitted, decided about, archived or withdrawn.

use super::{Judge, already};
use crate::api::problem::Problem;
use engine::model::{Revision, RevisionMove, RevisionStatus, UserId};
use jiff::Timestamp;

/// Whether this account made the revision what it is: created or submitted it.
pub(in crate::api) fn is_own(revision: &Revision, user: UserId) -> bool {
    user == revision.created_by || Some(user) == revision.submitted_by
}

/// Whether this judge may decide about it.
///
/// # Errors
/// `self_approval_forbidden`.
pub(in crate::api) fn may_decide(revision: &Revision, judge: &Judge) -> Result<(), Problem> {
    judge.four_eyes(is_own(revision, judge.user)).map(drop)
}

/// The revision once it is submitted.
///
/// # Errors
/// `state_conflict`, `already_decided`.
pub(in crate::api) fn submit(revision: &Revision, by: UserId) -> Result<Revision, Problem> {
    let mut next = moved(revision, RevisionMove::Submit)?;
    next.submitted_by = Some(by).filter(|by| *by != revision.created_by);
    Ok(next)
}

/// The revision once it is approved.
///
/// # Errors
/// `self_approval_forbidden`, `already_decided`, `state_conflict`.
pub(in crate::api) fn approve(
    revision: &Revision,
    judge: &Judge,
    now: Timestamp,
) -> Result<Revision, Problem> {
    may_decide(revision, judge)?;
    let next = moved(revision, RevisionMove::Approve)?;
    Ok(Revision { decided_by: Some(judge.user), decided_at: Some(now), ..next })
}

/// The revision once it is rejected with a note.
///
/// # Errors
/// As for [`approve`].
pub(in crate::api) fn reject(
    revision: &Revision,
    judge: &Judge,
    note: &str,
    now: Timestamp,
) -> Result<Revision, Problem> {
    may_decide(revision, judge)?;
    let next = moved(revision, RevisionMove::Reject)?;
    let note = Some(note.to_owned());
    Ok(Revision { decided_by: Some(judge.user), decided_at: Some(now), note, ..next })
}

/// The revision once it is withdrawn with a note. One's own too: a withdrawal lets nothing be sent.
///
/// # Errors
/// `already_decided`, `state_conflict`.
pub(in crate::api) fn withdraw(
    revision: &Revision,
    by: UserId,
    note: &str,
    now: Timestamp,
) -> Result<Revision, Problem> {
    let next = moved(revision, RevisionMove::Withdraw)?;
    let (note, at) = (Some(note.to_owned()), Some(now));
    Ok(Revision { decided_by: Some(by), decided_at: at, archived_at: at, note, ..next })
}

/// The revision once another one takes its place, or its sender is archived.
///
/// # Errors
/// `state_conflict`, `already_decided`.
pub(in crate::api) fn archive(revision: &Revision, now: Timestamp) -> Result<Revision, Problem> {
    Ok(Revision { archived_at: Some(now), ..moved(revision, RevisionMove::Archive)? })
}

/// Whether it was approved once and then taken away.
pub(in crate::api) fn is_withdrawn(revision: &Revision) -> bool {
    revision.status == RevisionStatus::Rejected && revision.archived_at.is_some()
}

fn moved(revision: &Revision, what: RevisionMove) -> Result<Revision, Problem> {
    let Some(status) = revision.status.after(what) else { return Err(refused(revision, what)) };
    Ok(Revision { status, version: revision.version + 1, ..revision.clone() })
}

/// Why a move leads nowhere: what was decided is named.
fn refused(revision: &Revision, what: RevisionMove) -> Problem {
    let (by, at) = (revision.decided_by, revision.decided_at);
    if is_withdrawn(revision) {
        return already("withdrawn", by, at);
    }
    super::refused("revision", (revision.status, what), (by, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::permission::Standing;
    use crate::api::problem::Code;
    use engine::model::{SenderId, WorkspaceId};
    use uuid::Uuid;

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn judge(n: u128) -> Judge {
        Judge { user: user(n), standing: Standing::Moderator, allow_self_approval: false }
    }

    fn revision(status: RevisionStatus) -> Revision {
        Revision {
            id: Uuid::from_u128(1),
            sender_id: SenderId(Uuid::from_u128(2)),
            workspace_id: WorkspaceId(Uuid::from_u128(3)),
            n: 1,
            saddr: "Shop".to_owned(),
            ston: 5,
            snpi: 0,
            status,
            version: 4,
            created_by: user(1),
            submitted_by: Some(user(2)),
            decided_by: None,
            registration_ref: None,
            note: None,
            created_at: Timestamp::UNIX_EPOCH,
            decided_at: None,
            archived_at: None,
        }
    }

    #[test]
    fn nobody_decides_about_what_they_created_or_submitted() {
        let pending = revision(RevisionStatus::PendingApproval);
        for n in [1, 2] {
            let refused = [
                approve(&pending, &judge(n), Timestamp::UNIX_EPOCH),
                reject(&pending, &judge(n), "no", Timestamp::UNIX_EPOCH),
            ];
            let codes = refused.map(|refused| refused.map_err(|problem| problem.code()));
            assert!(codes.iter().all(|code| *code == Err(Code::SelfApprovalForbidden)), "{codes:?}");
        }
        let approved = approve(&pending, &judge(3), Timestamp::MAX).expect("another's");
        assert_eq!((approved.status, approved.decided_by), (RevisionStatus::Approved, Some(user(3))));
        assert_eq!((approved.version, approved.decided_at), (5, Some(Timestamp::MAX)));
    }

    #[test]
    fn whatever_is_not_in_the_table_is_a_conflict_that_names_the_decision() {
        use Code::{AlreadyDecided, StateConflict};
        use RevisionStatus::{Approved, Archived, Draft, PendingApproval, Rejected};
        // One row a status, one column a move: submit, approve, reject, withdraw, archive.
        let table = [
            (
                Draft,
                [None, Some(StateConflict), Some(StateConflict), Some(StateConflict), Some(StateConflict)],
            ),
            (PendingApproval, [Some(StateConflict), None, None, Some(StateConflict), Some(StateConflict)]),
            (Approved, [Some(StateConflict), Some(AlreadyDecided), Some(AlreadyDecided), None, None]),
            (Rejected, [Some(AlreadyDecided); 5]),
            (Archived, [Some(StateConflict); 5]),
        ];
        let now = Timestamp::UNIX_EPOCH;
        for (status, row) in table {
            let revision = revision(status);
            let found = [
                submit(&revision, user(9)),
                approve(&revision, &judge(9), now),
                reject(&revision, &judge(9), "no", now),
                withdraw(&revision, user(9), "no", now),
                archive(&revision, now),
            ];
            assert_eq!(found.map(|found| found.err().map(|problem| problem.code())), row, "{status:?}");
        }
    }

    #[test]
    fn a_withdrawn_revision_is_told_from_a_rejected_one() {
        let now = Timestamp::UNIX_EPOCH;
        let withdrawn =
            withdraw(&revision(RevisionStatus::Approved), user(1), "stolen", now).expect("approved");
        let rejected =
            reject(&revision(RevisionStatus::PendingApproval), &judge(3), "no", now).expect("pending");
        assert!(is_withdrawn(&withdrawn) && !is_withdrawn(&rejected));
        assert_eq!((withdrawn.status, rejected.note.as_deref()), (RevisionStatus::Rejected, Some("no")));
    }
}
