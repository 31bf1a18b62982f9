//! A new plan for what an outage has left unsent.
//!
//! Never moves what is sent and never makes up for lost time: rows that were due are spread over what is left of the
//! window together with those that were not. What a daily limit leaves no room for is named, not squeezed in.

use super::infeasible::Infeasible;
use super::planner::{PlanTerms, capacity, days, share_out, spans};
use super::zone::second_of;
use crate::model::Plan;
use jiff::Timestamp;

/// Rows as (first recipient, count).
pub type Runs = [(u64, u64)];

/// Delay from which on a plan counts as missed, seconds: anything shorter is a restart or a slow answer.
pub const LATE_S: i64 = 60;

/// What a re-spread gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respread {
    /// The next version of the plan; it covers unsent rows alone.
    pub plan: Plan,
    /// Unsent rows, in order, that the rest of the window has no room for under the daily limit: they will expire.
    pub left_over: Vec<(u64, u64)>,
}

/// Plans `unsent` anew from `terms.now` on, the lowest recipients first. The runs may come in any order; what they
/// name twice counts once. Nothing but the version is taken from the old plan, so that rows which it had no room for
/// find some when a limit is raised.
pub fn respread(plan: &Plan, unsent: &Runs, terms: &PlanTerms<'_>) -> Result<Respread, Infeasible> {
    let mut rows = ordered(unsent);
    let total = count(&rows);
    let mut days = days(terms)?;
    let fitting = capacity(&days, terms).map_or(total, |room| room.min(total));
    let left_over = split_off(&mut rows, fitting);
    share_out(fitting, &mut days);
    let version = plan.version.saturating_add(1);
    Ok(Respread { plan: Plan { version, rows, spans: spans(&days) }, left_over })
}

/// Whether a plan has been missed by so much that sending what is due would be a burst. `handled` counts the rows of
/// this plan that are no longer waiting.
///
/// The rule: more rows are overdue than one minute of the plan holds (and more than one), **and** the oldest of them
/// has waited longer than [`LATE_S`]. So a plan of one row an hour is not made anew for one late row, a fast one not
/// for a second's pause, and what quiet hours have cut off in the evening is sent in the morning if it is less than a
/// minute's worth.
#[must_use]
pub fn is_respread_due(plan: &Plan, handled: u64, now: Timestamp) -> bool {
    let overdue = plan.due(now).saturating_sub(handled);
    let is_old = |due_s: i64| second_of(now).saturating_sub(due_s) > LATE_S;
    overdue > plan.rows_a_minute(now) && plan.next_due(handled).is_some_and(is_old)
}

/// The same rows in ascending order, each once, neighbours joined.
fn ordered(runs: &Runs) -> Vec<(u64, u64)> {
    let mut sorted: Vec<(u64, u64)> = runs.iter().copied().filter(|(_, count)| *count > 0).collect();
    sorted.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
    for (first, count) in sorted {
        let end = first.saturating_add(count);
        match joined.last_mut() {
            Some((start, length)) if first <= *start + *length => {
                *length = end.max(*start + *length) - *start
            }
            _ => joined.push((first, end - first)),
        }
    }
    joined
}

fn count(runs: &Runs) -> u64 {
    runs.iter().map(|(_, count)| count).sum()
}

/// Keeps the first `keep` rows and gives back the others.
fn split_off(runs: &mut Vec<(u64, u64)>, keep: u64) -> Vec<(u64, u64)> {
    let mut left = keep;
    let mut kept = Vec::with_capacity(runs.len());
    let mut rest = Vec::new();
    for (first, count) in runs.drain(..) {
        let here = count.min(left);
        left -= here;
        kept.extend((here > 0).then_some((first, here)));
        rest.extend((here < count).then_some((first + here, count - here)));
    }
    *runs = kept;
    rest
}
