//! Decisions of moderators as pure functions: who may decide, and what becomes of what they decide about.
//!
//! Nothing here reads a clock or a store. Whoever calls it writes the result by compare-and-set and asks again when
//! somebody was faster, so that of many decisions at once exactly one is made.

pub(super) mod campaign;
pub(super) mod revision;

use super::caller::Member;
use super::permission::Standing;
use super::problem::{Code, Problem};
use engine::model::UserId;

/// How often a decision is tried again that lost to somebody else's change; each loss is a change that was made.
pub(super) const MAX_TRIES: usize = 16;

/// Who decides, and what the workspace lets them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    pub(super) user: UserId,
    pub(super) standing: Standing,
    /// Whether the provider lets this workspace approve what is one's own.
    pub(super) allow_self_approval: bool,
}

impl Judge {
    pub(super) fn of(member: &Member) -> Self {
        let allow_self_approval = member.workspace.terms.allow_self_approval;
        Self { user: member.user_id(), standing: member.standing, allow_self_approval }
    }

    /// Four eyes: nobody decides about what is their own, unless the workspace is granted it, and then an admin or a
    /// flagged author only. Gives whether it is such a decision.
    fn four_eyes(&self, is_own: bool) -> Result<bool, Problem> {
        let may =
            self.allow_self_approval && matches!(self.standing, Standing::Admin | Standing::FlaggedAuthor);
        if is_own && !may { Err(Problem::new(Code::SelfApprovalForbidden)) } else { Ok(is_own) }
    }
}

/// The refusal of a decision about what has been decided, which it names.
fn already(decision: &str, by: Option<UserId>, at: Option<jiff::Timestamp>) -> Problem {
    let mut problem = Problem::because(Code::AlreadyDecided, format!("It has been {decision} already."));
    problem = problem.with("decision", decision);
    if let Some(by) = by {
        problem = problem.with("decided_by", by.to_string());
    }
    match at {
        Some(at) => problem.with("decided_at", format!("{at:.3}")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_eyes_hold_for_everybody_and_a_grant_covers_admins_and_flagged_authors_only() {
        for standing in Standing::ALL {
            for allow_self_approval in [false, true] {
                let judge = Judge { user: UserId(uuid::Uuid::nil()), standing, allow_self_approval };
                assert_eq!(judge.four_eyes(false), Ok(false));
                let covered =
                    allow_self_approval && [Standing::Admin, Standing::FlaggedAuthor].contains(&standing);
                let found = judge.four_eyes(true).map_err(|problem| problem.code());
                assert_eq!(found, if covered { Ok(true) } else { Err(Code::SelfApprovalForbidden) });
            }
        }
    }
}
