//! What a workspace says about time: its zone, its quiet hours, its daily limit. Gives the stretches of seconds in
//! which its campaigns may send, local day by local day.
//!
//! Quiet is what the local clock says: a second is quiet exactly when the clock shows a quiet time of day in it, on
//! days on which the clock is changed too. Times are read to the whole second, fractions of one are rounded up.

use super::zone::{UnknownZone, Zone, day_after, instant_of, second_from};
use crate::model::{QuietHours, Workspace};
use jiff::civil::{Date, Time};

/// Seconds of an ordinary day.
const DAY_S: i64 = 86_400;

/// Days searched for an opening. Quiet hours are the same each day, so what a week does not hold does not come; one
/// day is not enough, because a change of the clock may swallow a short opening.
const SEARCH_DAYS: usize = 7;

/// The local time of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Its zone.
    pub zone: Zone,
    /// When nothing is sent.
    pub quiet: Option<QuietHours>,
    /// Recipients of one local day over all its campaigns.
    pub daily_limit: Option<u64>,
}

/// Seconds in which sending is allowed, half open, inside one local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The local day.
    pub day: Date,
    /// First second, since 1970.
    pub from_s: i64,
    /// The second behind the last.
    pub to_s: i64,
}

impl Stretch {
    /// How long it is, seconds.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.to_s.saturating_sub(self.from_s)).unwrap_or(0)
    }
}

impl Calendar {
    /// The calendar of a workspace.
    pub fn of(workspace: &Workspace) -> Result<Self, UnknownZone> {
        let zone = Zone::named(&workspace.time_zone)?;
        Ok(Self { zone, quiet: workspace.quiet_hours, daily_limit: workspace.daily_limit })
    }

    /// The same without quiet hours, for what may disturb.
    #[must_use]
    pub fn without_quiet_hours(&self) -> Self {
        Self { quiet: None, ..self.clone() }
    }

    /// The allowed stretches of `[from_s, to_s)` in order of time, each inside one local day; none is empty and none
    /// touches the next inside a day. Cost: about 2 us for each local day.
    pub fn allowed(&self, from_s: i64, to_s: i64) -> impl Iterator<Item = Stretch> + '_ {
        let mut next_day = Some(self.zone.day_of(instant_of(from_s)));
        std::iter::from_fn(move || {
            let day = next_day?;
            let start = second_from(self.zone.day_start(day));
            if start >= to_s {
                return None;
            }
            let end = second_from(self.zone.day_end(day));
            next_day = Some(day_after(day)).filter(|next| *next > day);
            Some(self.allowed_in_day(day, start.max(from_s), end.min(to_s)))
        })
        .flatten()
    }

    /// The first allowed stretch that ends behind `at_s`, begun perhaps before; it ends at local midnight at the
    /// latest. `None` when quiet hours leave no whole second of the day.
    pub(super) fn stretch_at_or_after(&self, at_s: i64) -> Option<Stretch> {
        let mut day = self.zone.day_of(instant_of(at_s));
        let mut from_s = at_s;
        for _ in 0..=SEARCH_DAYS {
            let end = second_from(self.zone.day_end(day));
            if let Some(found) = self.allowed_in_day(day, from_s, end).first() {
                return Some(*found);
            }
            day = day_after(day);
            from_s = end.max(from_s);
        }
        None
    }

    /// The allowed part of a piece of one local day.
    fn allowed_in_day(&self, day: Date, from_s: i64, to_s: i64) -> Vec<Stretch> {
        let mut allowed: Vec<Stretch> = Vec::new();
        let mut add = |from_s: i64, to_s: i64| match allowed.last_mut() {
            _ if from_s >= to_s => {}
            Some(last) if last.to_s == from_s => last.to_s = to_s,
            _ => allowed.push(Stretch { day, from_s, to_s }),
        };
        let Some((quiet_from, quiet_len)) = self.quiet.and_then(quiet_span) else {
            add(from_s, to_s);
            return allowed;
        };
        for even in self.zone.even_stretches(from_s, to_s) {
            // Seconds of the local clock, counted like UTC ones: quiet hours begin at the same place of each day.
            let (mut at, end) = (even.from_s + even.offset_s, even.to_s + even.offset_s);
            let mut quiet = (at.div_euclid(DAY_S) - 1) * DAY_S + quiet_from;
            while at < end {
                add(at - even.offset_s, quiet.min(end) - even.offset_s);
                at = at.max(quiet + quiet_len);
                quiet += DAY_S;
            }
        }
        allowed
    }
}

/// Quiet hours as (second of the day in which they begin, length in seconds); `None` when there are none.
fn quiet_span(hours: QuietHours) -> Option<(i64, i64)> {
    let (from, to) = (second_of_day(hours.from), second_of_day(hours.to));
    let length = if hours.from <= hours.to { to - from } else { to + DAY_S - from };
    (length > 0).then_some((from, length))
}

fn second_of_day(time: Time) -> i64 {
    let whole = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    whole + i64::from(time.subsec_nanosecond() > 0)
}
