//! What becomes of a sender revision or a template version that is submitted, decided about, archived or withdrawn.

use super::{Judge, already};
use crate::api::problem::{Code, Problem};
use engine::model::{Revision, RevisionMove, RevisionStatus, TemplateVersion, UserId};
use jiff::Timestamp;

/// What is written once and decided about by somebody else.
pub(in crate::api) trait Reviewed: Clone {
    /// Its name in a sentence.
    const THING: &'static str;

    /// Who made it what it is: its creator, and who submitted it if that was somebody else.
    fn origin(&self) -> (UserId, Option<UserId>);

    /// What a decision changes.
    fn course(&mut self) -> Course<'_>;
}

/// The part of it that changes.
pub(in crate::api) struct Course<'a> {
    status: &'a mut RevisionStatus,
    version: &'a mut u32,
    submitted_by: &'a mut Option<UserId>,
    decided_by: &'a mut Option<UserId>,
    self_approved: &'a mut bool,
    decided_at: &'a mut Option<Timestamp>,
    archived_at: &'a mut Option<Timestamp>,
    note: &'a mut Option<String>,
}

impl Course<'_> {
    fn decide(&mut self, by: UserId, at: Timestamp, note: Option<&str>) {
        (*self.decided_by, *self.decided_at) = (Some(by), Some(at));
        *self.note = note.map(str::to_owned);
    }
}

impl Reviewed for Revision {
    const THING: &'static str = "revision";

    fn origin(&self) -> (UserId, Option<UserId>) {
        (self.created_by, self.submitted_by)
    }

    fn course(&mut self) -> Course<'_> {
        Course {
            status: &mut self.status,
            version: &mut self.version,
            submitted_by: &mut self.submitted_by,
            decided_by: &mut self.decided_by,
            self_approved: &mut self.self_approved,
            decided_at: &mut self.decided_at,
            archived_at: &mut self.archived_at,
            note: &mut self.note,
        }
    }
}

impl Reviewed for TemplateVersion {
    const THING: &'static str = "version";

    fn origin(&self) -> (UserId, Option<UserId>) {
        (self.created_by, self.submitted_by)
    }

    fn course(&mut self) -> Course<'_> {
        Course {
            status: &mut self.status,
            version: &mut self.state_version,
            submitted_by: &mut self.submitted_by,
            decided_by: &mut self.decided_by,
            self_approved: &mut self.self_approved,
            decided_at: &mut self.decided_at,
            archived_at: &mut self.archived_at,
            note: &mut self.note,
        }
    }
}

/// Whether this account made it what it is: created or submitted it.
pub(in crate::api) fn is_own(thing: &impl Reviewed, user: UserId) -> bool {
    let (creator, submitter) = thing.origin();
    user == creator || Some(user) == submitter
}

/// Whether this judge may decide about it.
///
/// # Errors
/// `self_approval_forbidden`.
pub(in crate::api) fn may_decide(thing: &impl Reviewed, judge: &Judge) -> Result<(), Problem> {
    judge.four_eyes(is_own(thing, judge.user)).map(drop)
}

/// It once it is submitted.
///
/// # Errors
/// `state_conflict`, `already_decided`.
pub(in crate::api) fn submit<T: Reviewed>(thing: &T, by: UserId) -> Result<T, Problem> {
    let mut next = moved(thing, RevisionMove::Submit)?;
    *next.course().submitted_by = Some(by).filter(|by| *by != thing.origin().0);
    Ok(next)
}

/// It once it is approved.
///
/// # Errors
/// `self_approval_forbidden`, `already_decided`, `state_conflict`.
pub(in crate::api) fn approve<T: Reviewed>(thing: &T, judge: &Judge, now: Timestamp) -> Result<T, Problem> {
    let is_own = judge.four_eyes(is_own(thing, judge.user))?;
    let mut next = moved(thing, RevisionMove::Approve)?;
    let mut course = next.course();
    course.decide(judge.user, now, None);
    *course.self_approved = is_own;
    Ok(next)
}

/// It once it is rejected with a note.
///
/// # Errors
/// As for [`approve`].
pub(in crate::api) fn reject<T: Reviewed>(
    thing: &T,
    judge: &Judge,
    note: &str,
    now: Timestamp,
) -> Result<T, Problem> {
    may_decide(thing, judge)?;
    let mut next = moved(thing, RevisionMove::Reject)?;
    next.course().decide(judge.user, now, Some(note));
    Ok(next)
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
    let mut next = moved(revision, RevisionMove::Withdraw)?;
    next.course().decide(by, now, Some(note));
    next.archived_at = Some(now);
    Ok(next)
}

/// It once another one takes its place, or what it belongs to is archived.
///
/// # Errors
/// `state_conflict`, `already_decided`.
pub(in crate::api) fn archive<T: Reviewed>(thing: &T, now: Timestamp) -> Result<T, Problem> {
    let mut next = moved(thing, RevisionMove::Archive)?;
    *next.course().archived_at = Some(now);
    Ok(next)
}

/// Whether it was approved once and then taken away.
pub(in crate::api) fn is_withdrawn(revision: &Revision) -> bool {
    taken_away(revision.status, revision.archived_at)
}

fn taken_away(status: RevisionStatus, archived_at: Option<Timestamp>) -> bool {
    status == RevisionStatus::Rejected && archived_at.is_some()
}

fn moved<T: Reviewed>(thing: &T, what: RevisionMove) -> Result<T, Problem> {
    let mut next = thing.clone();
    let course = next.course();
    let Some(status) = course.status.after(what) else { return Err(refused(&course, T::THING, what)) };
    *course.status = status;
    *course.version += 1;
    Ok(next)
}

/// Why a move leads nowhere: what was decided is named.
fn refused(course: &Course<'_>, thing: &str, what: RevisionMove) -> Problem {
    let (by, at) = (*course.decided_by, *course.decided_at);
    match *course.status {
        status if taken_away(status, *course.archived_at) => already("withdrawn", by, at),
        RevisionStatus::Approved if what != RevisionMove::Submit => already("approved", by, at),
        RevisionStatus::Rejected => already("rejected", by, at),
        status => {
            let told = format!("A {thing} that is {status:?} cannot {}.", what.word());
            Problem::because(Code::StateConflict, told).with("present_status", format!("{status:?}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::permission::Standing;
    use engine::model::{SenderId, TemplateId, WorkspaceId};
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
            self_approved: false,
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
        let granted = Judge { standing: Standing::Admin, allow_self_approval: true, ..judge(2) };
        assert!(approve(&pending, &granted, Timestamp::MAX).expect("granted").self_approved);
        let approved = approve(&pending, &judge(3), Timestamp::MAX).expect("another's");
        assert!(!approved.self_approved);
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

    #[test]
    fn whoever_submits_the_draft_of_another_is_kept() {
        let draft = Revision { submitted_by: None, ..revision(RevisionStatus::Draft) };
        let submitted = |by: u128| submit(&draft, user(by)).map(|next| (next.status, next.submitted_by));
        assert_eq!(submitted(1), Ok((RevisionStatus::PendingApproval, None)));
        assert_eq!(submitted(7), Ok((RevisionStatus::PendingApproval, Some(user(7)))));
    }

    #[test]
    fn a_template_version_takes_the_same_course() {
        let (now, later) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let draft = TemplateVersion {
            id: Uuid::from_u128(1),
            template_id: TemplateId(Uuid::from_u128(2)),
            workspace_id: WorkspaceId(Uuid::from_u128(3)),
            n: 1,
            text: "Hello".to_owned(),
            status: RevisionStatus::Draft,
            state_version: 4,
            created_by: user(1),
            submitted_by: None,
            decided_by: None,
            self_approved: false,
            note: None,
            created_at: now,
            decided_at: None,
            archived_at: None,
        };
        let status = RevisionStatus::PendingApproval;
        let pending =
            TemplateVersion { status, state_version: 5, submitted_by: Some(user(2)), ..draft.clone() };
        assert_eq!(submit(&draft, user(2)), Ok(pending.clone()));
        let own = [1, 2].map(|n| approve(&pending, &judge(n), now).map_err(|problem| problem.code()));
        assert_eq!(own, [Err(Code::SelfApprovalForbidden), Err(Code::SelfApprovalForbidden)]);
        let decided = TemplateVersion {
            state_version: 6,
            decided_by: Some(user(3)),
            decided_at: Some(now),
            ..pending.clone()
        };
        let note = Some("no".to_owned());
        let rejected = TemplateVersion { status: RevisionStatus::Rejected, note, ..decided.clone() };
        assert_eq!(reject(&pending, &judge(3), "no", now), Ok(rejected));
        let approved = TemplateVersion { status: RevisionStatus::Approved, ..decided };
        assert_eq!(approve(&pending, &judge(3), now), Ok(approved.clone()));
        let archived = TemplateVersion {
            status: RevisionStatus::Archived,
            state_version: 7,
            archived_at: Some(later),
            ..approved.clone()
        };
        assert_eq!(archive(&approved, later), Ok(archived));
    }
}
