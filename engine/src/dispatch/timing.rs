//! How fast a campaign's recipients may leave, and when: calendar, plan of a Spread campaign, daily budgets.
//!
//! Pure: the wall clock is an argument, and every answer says when to ask again, at most [`LOOK_MS`] ahead, so that a
//! clock that jumps is noticed. Invariant: with a plan no more recipients have left than are due by it, and what an
//! outage has made late is never made up for: it is held back until there is a new plan.

use crate::model::{HoldReason, Plan};
use crate::schedule::{Gate, GateState, Zone, is_respread_due};
use jiff::Timestamp;
use jiff::civil::Date;

/// Longest time until the next look: a jump of the clock or a suspended machine is noticed after that.
pub(crate) const LOOK_MS: u64 = 30_000;
/// Shortest time between two questions for a new plan: each is a version of its own in the audit log.
const REPLAN_MS: u64 = 120_000;
/// What is a little late is made up for at this multiple of what is due in a second: nothing is sent in a heap.
const CATCH_UP: u64 = 2;

/// The calendar and the plan of one campaign.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    gate: Gate,
    /// The workspace's: its days are charged.
    zone: Zone,
    spread: Option<Spread>,
}

#[derive(Clone, Debug)]
struct Spread {
    plan: Plan,
    /// Recipients that had not left when the plan was taken over, or all that it covers.
    base: Option<u64>,
    /// Rows that are late by more than may be made up for.
    held_back: u64,
    /// When a new plan was asked for.
    asked_ms: Option<u64>,
    /// The present second, and how many recipients had left before it.
    second: u64,
    left_before: u64,
}

/// What is so at the moment of a look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    /// Wall clock, milliseconds since 1970.
    pub(crate) wall_ms: u64,
    /// Recipients that have not left the supply.
    pub(crate) remaining: u64,
    /// Whether a link asks for units.
    pub(crate) is_asked: bool,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// From when and until before when it may send, wall clock in milliseconds.
    pub(crate) open: Option<(u64, u64)>,
    /// The local day that recipients are charged to now.
    pub(crate) day: Date,
    /// Recipients that may leave for the first time now; `u64::MAX` without a plan.
    pub(crate) fresh: u64,
    /// What keeps it, if it is the calendar.
    pub(crate) hold: Option<HoldReason>,
    /// When to look again at the latest, wall clock in milliseconds.
    pub(crate) look_at_ms: u64,
    /// Whether so much is late that a new plan is wanted now.
    pub(crate) wants_plan: bool,
}

impl Pace {
    /// The pace of a campaign; `plan` is that of a Spread campaign, `zone` its workspace's.
    pub(crate) fn new(gate: Gate, zone: Zone, plan: Option<Plan>) -> Self {
        let spread =
            |plan| Spread { plan, base: None, held_back: 0, asked_ms: None, second: 0, left_before: 0 };
        Self { gate, zone, spread: plan.map(spread) }
    }

    /// Whether there is a plan: then every second may bring something.
    pub(crate) fn has_plan(&self) -> bool {
        self.spread.is_some()
    }

    /// Takes over a new calendar or plan; with the old plan goes on what was held back under it.
    pub(crate) fn replace(&mut self, new: Self) {
        let before = std::mem::replace(self, new);
        if let (Some(is), Some(was)) = (&mut self.spread, before.spread) {
            if is.plan == was.plan {
                *is = was;
            } else {
                is.asked_ms = was.asked_ms;
            }
        }
    }

    /// What holds now.
    pub(crate) fn look(&mut self, present: Present) -> Verdict {
        let now = timestamp(present.wall_ms);
        let day = self.zone.day_of(now);
        let soon_ms = present.wall_ms + LOOK_MS;
        let (open, hold, changes_ms) = match self.gate.at(now) {
            GateState::Open { until } => {
                let until_ms = millis(until);
                // Days end here also where no limit makes the gate close.
                let day_ends_ms = millis(self.zone.day_end(day));
                let from_ms = present.wall_ms / 1000 * 1000;
                (Some((from_ms, until_ms)), None, until_ms.min(day_ends_ms))
            }
            GateState::Closed { until, why } => (None, Some(why), until.map_or(u64::MAX, millis)),
            GateState::Over => (None, None, u64::MAX),
        };
        let look_at_ms = soon_ms.min(changes_ms.max(present.wall_ms + 1));
        let mut verdict = Verdict { open, day, fresh: u64::MAX, hold, look_at_ms, wants_plan: false };
        if let Some(spread) = &mut self.spread {
            spread.look(present, now, &mut verdict);
        }
        verdict
    }
}

impl Spread {
    fn look(&mut self, present: Present, now: Timestamp, verdict: &mut Verdict) {
        let base = *self.base.get_or_insert_with(|| self.plan.total().max(present.remaining));
        let handled = base.saturating_sub(present.remaining);
        let due = self.plan.due(now);
        if is_respread_due(&self.plan, handled + self.held_back, now) {
            self.held_back = due.saturating_sub(handled);
        }
        let late = due.saturating_sub(handled + self.held_back);
        let second = present.wall_ms / 1000;
        if self.second != second {
            (self.second, self.left_before) = (second, handled);
        }
        let of_second = due.saturating_sub(self.plan.due(timestamp(present.wall_ms.saturating_sub(1_000))));
        let most = CATCH_UP * of_second.max(1);
        verdict.fresh = late.min(most.saturating_sub(handled.saturating_sub(self.left_before)));
        let was_asked = self.asked_ms.is_some_and(|at| present.wall_ms.abs_diff(at) < REPLAN_MS);
        if self.held_back > 0 && present.is_asked && verdict.open.is_some() && !was_asked {
            self.asked_ms = Some(present.wall_ms);
            verdict.wants_plan = true;
        }
        if verdict.fresh < late && present.is_asked {
            verdict.look_at_ms = verdict.look_at_ms.min((second + 1) * 1_000);
        }
        let next = self.plan.next_due(due).map(|second| u64::try_from(second).unwrap_or(0) * 1000);
        if let Some(next_ms) = next.filter(|_| present.is_asked) {
            verdict.look_at_ms = verdict.look_at_ms.min(next_ms.max(present.wall_ms + 1));
        }
    }
}

fn timestamp(wall_ms: u64) -> Timestamp {
    i64::try_from(wall_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

/// An instant in milliseconds, the end of time as `u64::MAX`.
fn millis(at: Timestamp) -> u64 {
    if at == Timestamp::MAX { u64::MAX } else { u64::try_from(at.as_millisecond()).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LocalWindow, Mode, QuietHours, Schedule, SendingRules};
    use crate::schedule::{Calendar, PlanTerms, plan};
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    const HOUR_MS: u64 = 3_600_000;
    const DAY_MS: u64 = 24 * HOUR_MS;

    fn utc() -> Zone {
        Zone::named("UTC").expect("known")
    }

    fn calendar() -> Calendar {
        let quiet = QuietHours { from: time(22, 0, 0, 0), to: time(8, 0, 0, 0) };
        Calendar { zone: utc(), quiet: Some(quiet), daily_limit: None }
    }

    /// A window over the first two days of 1970.
    fn rules() -> SendingRules {
        let (from, to) = (date(1970, 1, 1).at(8, 0, 0, 0), date(1970, 1, 3).at(0, 0, 0, 0));
        let schedule = Schedule { window: Some(LocalWindow { from, to }), ..Schedule::default() };
        SendingRules { schedule, ..SendingRules::default() }
    }

    fn spread(rows: u64) -> Pace {
        let (rules, calendar) = (rules(), calendar());
        let terms = PlanTerms {
            rules: &rules,
            calendar: &calendar,
            charged: &[],
            workspace_charged: &[],
            now: Timestamp::UNIX_EPOCH,
        };
        let plan = plan(rows, &terms).expect("feasible");
        Pace::new(Gate::new(Mode::Spread, &rules, &calendar).expect("a gate"), utc(), Some(plan))
    }

    fn at(wall_ms: u64, remaining: u64) -> Present {
        Present { wall_ms, remaining, is_asked: true }
    }

    #[test]
    fn quiet_hours_close_and_open_and_are_looked_at_in_between() {
        let gate = Gate::new(Mode::OnDemand, &SendingRules::default(), &calendar()).expect("a gate");
        let mut pace = Pace::new(gate, utc(), None);
        let quiet = pace.look(at(7 * HOUR_MS, 9));
        assert_eq!((quiet.open, quiet.hold), (None, Some(HoldReason::QuietHours)));
        assert_eq!(quiet.look_at_ms, 7 * HOUR_MS + LOOK_MS);
        assert_eq!(pace.look(at(8 * HOUR_MS - 5, 9)).look_at_ms, 8 * HOUR_MS);
        let open = pace.look(at(8 * HOUR_MS + 1_234, 9));
        assert_eq!(open.open, Some((8 * HOUR_MS + 1_000, 22 * HOUR_MS)));
        assert_eq!((open.fresh, open.hold, open.day), (u64::MAX, None, date(1970, 1, 1)));
        assert_eq!(pace.look(at(22 * HOUR_MS - 1, 9)).look_at_ms, 22 * HOUR_MS);
    }

    #[test]
    fn a_day_that_ends_is_looked_at_also_without_a_limit() {
        let calendar = Calendar { quiet: None, ..calendar() };
        let gate = Gate::new(Mode::OnDemand, &SendingRules::default(), &calendar).expect("a gate");
        let mut pace = Pace::new(gate, utc(), None);
        let verdict = pace.look(at(DAY_MS - 5_000, 9));
        assert_eq!((verdict.look_at_ms, verdict.open.map(|(_, until)| until)), (DAY_MS, Some(u64::MAX)));
        assert_eq!(pace.look(at(DAY_MS, 9)).day, date(1970, 1, 2));
    }

    #[test]
    fn a_plan_lets_go_what_is_due_and_says_when_more_is() {
        // 28 hours are open: one row every 100 seconds.
        let mut pace = spread(1008);
        assert_eq!(pace.look(at(7 * HOUR_MS, 1008)).fresh, 0);
        let first = pace.look(at(8 * HOUR_MS, 1008));
        assert_eq!((first.fresh, first.look_at_ms), (1, 8 * HOUR_MS + LOOK_MS));
        assert_eq!(pace.look(at(8 * HOUR_MS, 1007)).fresh, 0);
        assert_eq!(pace.look(at(8 * HOUR_MS + 90_000, 1007)).look_at_ms, 8 * HOUR_MS + 100_000);
        assert_eq!(pace.look(at(8 * HOUR_MS + 100_000, 1007)).fresh, 1);
    }

    #[test]
    fn what_an_outage_made_late_is_held_back_until_there_is_a_new_plan() {
        let mut pace = spread(10_080);
        let idle = |wall_ms| Present { is_asked: false, ..at(wall_ms, 10_080) };
        assert_eq!(pace.look(idle(8 * HOUR_MS)).fresh, 1);
        // An hour without a link: 360 rows are late, and nobody asks for a plan that would be late at once.
        let late = pace.look(idle(9 * HOUR_MS));
        assert_eq!((late.fresh, late.wants_plan), (0, false));
        let asked = pace.look(at(9 * HOUR_MS + 1_000, 10_080));
        assert!(asked.wants_plan);
        assert_eq!(asked.fresh, 0);
        assert!(!pace.look(at(9 * HOUR_MS + 2_000, 10_080)).wants_plan, "once is enough for a while");
        assert_eq!(pace.look(at(9 * HOUR_MS + 20_000, 10_080)).fresh, 2, "the plan's own rate");
        let mut again = spread(10_080);
        again.spread.as_mut().expect("a plan").plan.version = 2;
        pace.replace(again);
        assert!(!pace.look(at(9 * HOUR_MS + 30_000, 10_080)).wants_plan);
    }

    proptest! {
        /// Goal: whatever the links take and whenever they come, no minute sees more than two minutes' worth.
        #[test]
        fn an_outage_never_ends_in_a_burst(
            rows in 100..200_000_u64,
            steps in proptest::collection::vec((1..4_000_u64, any::<bool>()), 1..60),
        ) {
            let mut pace = spread(rows);
            let (mut wall_ms, mut left) = (8 * HOUR_MS, rows);
            let mut gone: Vec<(u64, u64)> = Vec::new();
            for (step_s, takes) in steps {
                wall_ms += step_s * 1_000;
                let verdict = pace.look(Present { is_asked: takes, ..at(wall_ms, left) });
                let due = pace.spread.as_ref().expect("a plan").plan.due(timestamp(wall_ms));
                prop_assert!(rows - left + verdict.fresh <= due);
                if takes && verdict.open.is_some() {
                    left -= verdict.fresh.min(left);
                    gone.push((wall_ms, verdict.fresh));
                }
            }
            let minute = (rows * 60).div_ceil(28 * 3600).max(1) + 1;
            for (at_ms, _) in &gone {
                let within = gone.iter().filter(|(t, _)| (*at_ms..at_ms + 60_000).contains(t));
                prop_assert!(within.map(|(_, count)| count).sum::<u64>() <= 2 * minute);
            }
        }
    }
}
