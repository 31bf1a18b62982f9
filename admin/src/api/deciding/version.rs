//! What becomes of a template version that is submitted, decided about or archived: as a sender revision.

use super::{Judge, refused};
use crate::api::problem::Problem;
use engine::model::{RevisionMove, TemplateVersion, UserId};
use jiff::Timestamp;

/// Whether this judge may decide about it: whoever created or submitted it may not.
///
/// # Errors
/// `self_approval_forbidden`.
pub(in crate::api) fn may_decide(version: &TemplateVersion, judge: &Judge) -> Result<(), Problem> {
    let is_own = judge.user == version.created_by || Some(judge.user) == version.submitted_by;
    judge.four_eyes(is_own).map(drop)
}

/// The version once it is submitted.
///
/// # Errors
/// `state_conflict`, `already_decided`.
pub(in crate::api) fn submit(version: &TemplateVersion, by: UserId) -> Result<TemplateVersion, Problem> {
    let next = moved(version, RevisionMove::Submit)?;
    Ok(TemplateVersion { submitted_by: Some(by).filter(|by| *by != version.created_by), ..next })
}

/// The version once it is approved.
///
/// # Errors
/// `self_approval_forbidden`, `already_decided`, `state_conflict`.
pub(in crate::api) fn approve(
    version: &TemplateVersion,
    judge: &Judge,
    now: Timestamp,
) -> Result<TemplateVersion, Problem> {
    may_decide(version, judge)?;
    let next = moved(version, RevisionMove::Approve)?;
    Ok(TemplateVersion { decided_by: Some(judge.user), decided_at: Some(now), ..next })
}

/// The version once it is rejected with a note.
///
/// # Errors
/// As for [`approve`].
pub(in crate::api) fn reject(
    version: &TemplateVersion,
    judge: &Judge,
    note: &str,
    now: Timestamp,
) -> Result<TemplateVersion, Problem> {
    may_decide(version, judge)?;
    let next = moved(version, RevisionMove::Reject)?;
    let note = Some(note.to_owned());
    Ok(TemplateVersion { decided_by: Some(judge.user), decided_at: Some(now), note, ..next })
}

/// The version once another one takes its place, or its template is archived.
///
/// # Errors
/// `state_conflict`, `already_decided`.
pub(in crate::api) fn archive(version: &TemplateVersion, now: Timestamp) -> Result<TemplateVersion, Problem> {
    Ok(TemplateVersion { archived_at: Some(now), ..moved(version, RevisionMove::Archive)? })
}

fn moved(version: &TemplateVersion, what: RevisionMove) -> Result<TemplateVersion, Problem> {
    let Some(status) = version.status.after(what) else {
        return Err(refused("version", (version.status, what), (version.decided_by, version.decided_at)));
    };
    Ok(TemplateVersion { status, state_version: version.state_version + 1, ..version.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::permission::Standing;
    use crate::api::problem::Code;
    use engine::model::{RevisionStatus, TemplateId, WorkspaceId};
    use uuid::Uuid;

    const PENDING: RevisionStatus = RevisionStatus::PendingApproval;

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn judge(n: u128) -> Judge {
        Judge { user: user(n), standing: Standing::Moderator, allow_self_approval: false }
    }

    fn version(status: RevisionStatus) -> TemplateVersion {
        TemplateVersion {
            id: Uuid::from_u128(1),
            template_id: TemplateId(Uuid::from_u128(2)),
            workspace_id: WorkspaceId(Uuid::from_u128(3)),
            n: 1,
            text: "Hello".to_owned(),
            status,
            state_version: 4,
            created_by: user(1),
            submitted_by: Some(user(2)),
            decided_by: None,
            note: None,
            created_at: Timestamp::UNIX_EPOCH,
            decided_at: None,
            archived_at: None,
        }
    }

    #[test]
    fn nobody_decides_about_what_they_created_or_submitted() {
        let pending = version(RevisionStatus::PendingApproval);
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
        assert_eq!((approved.state_version, approved.decided_at), (5, Some(Timestamp::MAX)));
        let rejected = reject(&pending, &judge(3), "no", Timestamp::MAX).expect("another's");
        assert_eq!((rejected.status, rejected.note.as_deref()), (RevisionStatus::Rejected, Some("no")));
    }

    #[test]
    fn whoever_submits_the_draft_of_another_is_kept() {
        let draft = TemplateVersion { submitted_by: None, ..version(RevisionStatus::Draft) };
        assert_eq!(submit(&draft, user(1)).map(|v| (v.status, v.submitted_by)), Ok((PENDING, None)));
        assert_eq!(submit(&draft, user(7)).map(|v| (v.status, v.submitted_by)), Ok((PENDING, Some(user(7)))));
    }

    #[test]
    fn whatever_is_not_in_the_table_is_a_conflict_that_names_the_decision() {
        use Code::{AlreadyDecided, StateConflict};
        use RevisionStatus::{Approved, Archived, Draft, Rejected};
        // One row a status, one column a move: submit, approve, reject, archive.
        let table = [
            (Draft, [None, Some(StateConflict), Some(StateConflict), Some(StateConflict)]),
            (PENDING, [Some(StateConflict), None, None, Some(StateConflict)]),
            (Approved, [Some(StateConflict), Some(AlreadyDecided), Some(AlreadyDecided), None]),
            (Rejected, [Some(AlreadyDecided); 4]),
            (Archived, [Some(StateConflict); 4]),
        ];
        assert_eq!(table.map(|(status, _)| status), RevisionStatus::ALL);
        let now = Timestamp::UNIX_EPOCH;
        for (status, row) in table {
            let version = version(status);
            let found = [
                submit(&version, user(9)),
                approve(&version, &judge(9), now),
                reject(&version, &judge(9), "no", now),
                archive(&version, now),
            ];
            assert_eq!(found.map(|found| found.err().map(|problem| problem.code())), row, "{status:?}");
        }
    }
}
