//! Whether a campaign may send at an instant, and until when that answer holds.
//!
//! Knows nothing of pauses, limits that are used up or binds. Invariant: an answer holds for every instant from the
//! one asked about up to, not including, its `until`.

use super::calendar::Calendar;
use super::zone::{UnknownZone, Zone, instant_of, second_from, second_of};
use crate::model::{HoldReason, Mode, SendingRules};
use jiff::Timestamp;

/// How long after its start an OnTime campaign may send, when its author does not say (REQUIREMENTS part 3).
pub const ON_TIME_GRACE_S: i64 = 3600;

/// The answer for one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    /// It may send.
    Open {
        /// The first instant at which this may be no longer so; the end of time when nothing limits it.
        until: Timestamp,
    },
    /// It may not send now.
    Closed {
        /// When to ask again: the answer is another one then. `None` when quiet hours leave nothing open.
        until: Option<Timestamp>,
        /// What holds it: `Scheduled` or `QuietHours`.
        why: HoldReason,
    },
    /// Its time has ended; what is unsent expires.
    Over,
}

/// Rules that no gate can be made of; `check` refuses them before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The campaign's zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// An OnTime campaign without `start_at`.
    #[error("an OnTime campaign needs start_at")]
    NoStart,
    /// A Spread campaign without `window`.
    #[error("a Spread campaign needs a window")]
    NoWindow,
}

/// When one campaign may send. Its own times are those of its zone, quiet hours and days those of its workspace.
#[derive(Clone, Debug)]
pub struct Gate {
    calendar: Calendar,
    /// First second in which it may send.
    from_s: Option<i64>,
    /// The second behind the last.
    to_s: Option<i64>,
    /// Whether an open stretch ends at local midnight, where a new daily limit begins.
    is_daily: bool,
}

impl Gate {
    /// The gate of a campaign; made anew when its rules or the workspace's settings change.
    pub fn new(mode: Mode, rules: &SendingRules, calendar: &Calendar) -> Result<Self, GateError> {
        let zone = Zone::named(&rules.schedule.time_zone)?;
        let (from_s, to_s) = bounds(mode, rules, &zone)?;
        let is_daily = rules.daily_limit.is_some() || calendar.daily_limit.is_some();
        let may_disturb = mode == Mode::Trigger && rules.ignore_daily_window;
        let calendar = if may_disturb { calendar.without_quiet_hours() } else { calendar.clone() };
        Ok(Self { calendar, from_s, to_s, is_daily })
    }

    /// What holds at `now`, of which the whole second counts. Reads only what [`Gate::new`] has prepared. Cost: 3 to
    /// 10 us, for it looks up the zone's rules for one to three days; ask again at `until`, or each second.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> GateState {
        let now_s = second_of(now);
        if self.to_s.is_some_and(|to_s| now_s >= to_s) {
            return GateState::Over;
        }
        if let Some(from_s) = self.from_s.filter(|from_s| now_s < *from_s) {
            let until = Some(instant_of(self.cut(from_s)));
            return GateState::Closed { until, why: HoldReason::Scheduled };
        }
        if self.calendar.quiet.is_none() && !self.is_daily {
            return GateState::Open { until: self.to_s.map_or(Timestamp::MAX, instant_of) };
        }
        let opening = self.calendar.stretch_at_or_after(now_s);
        match opening {
            Some(open) if open.from_s <= now_s => {
                GateState::Open { until: instant_of(self.cut(self.end_of(open.to_s))) }
            }
            _ => {
                let next_s = opening.map(|open| self.cut(open.from_s)).or(self.to_s);
                GateState::Closed { until: next_s.map(instant_of), why: HoldReason::QuietHours }
            }
        }
    }

    /// The first second behind the campaign's time, since 1970; `None` when it has no end.
    #[must_use]
    pub fn ends_s(&self) -> Option<i64> {
        self.to_s
    }

    /// Where an open stretch that reaches `to_s` really ends: without a daily limit midnight is no border.
    fn end_of(&self, to_s: i64) -> i64 {
        if self.is_daily {
            return to_s;
        }
        // Quiet hours end an open stretch within two days: today's part and tomorrow's.
        let mut end_s = to_s;
        while let Some(next) = self.calendar.stretch_at_or_after(end_s).filter(|next| next.from_s == end_s) {
            end_s = next.to_s;
            if self.to_s.is_some_and(|to_s| end_s >= to_s) || end_s >= to_s + MAX_OPEN_S {
                break;
            }
        }
        end_s
    }

    fn cut(&self, second: i64) -> i64 {
        self.to_s.map_or(second, |to_s| second.min(to_s))
    }
}

/// Longest open stretch looked for beyond midnight. Quiet hours close every day, but where a change of the clock
/// swallows short ones.
const MAX_OPEN_S: i64 = 2 * 86_400;

/// First second in which a campaign may send by its own times, and the second behind the last.
pub(super) fn bounds(
    mode: Mode,
    rules: &SendingRules,
    zone: &Zone,
) -> Result<(Option<i64>, Option<i64>), GateError> {
    let second = |local| second_from(zone.resolve(local));
    let window = rules.schedule.window;
    match mode {
        Mode::OnDemand => Ok((None, None)),
        Mode::OnTime => {
            let from_s = second(rules.schedule.start_at.ok_or(GateError::NoStart)?);
            let to_s = window.map_or(from_s + ON_TIME_GRACE_S, |window| second(window.to));
            Ok((Some(from_s), Some(to_s)))
        }
        Mode::Spread => {
            let window = window.ok_or(GateError::NoWindow)?;
            Ok((Some(second(window.from)), Some(second(window.to))))
        }
        Mode::Trigger => {
            Ok((window.map(|window| second(window.from)), window.map(|window| second(window.to))))
        }
    }
}
