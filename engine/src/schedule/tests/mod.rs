//! What the whole of `schedule` must hold: tables of odd zones and days, and a naive model that counts seconds.

#![expect(clippy::unwrap_used, reason = "tests")]

mod check;
mod gate;
mod plans;
mod respread;
mod start;
mod zones;

use super::{Calendar, PlanTerms, Zone};
use crate::model::{LocalWindow, QuietHours, Schedule, SendingRules};
use jiff::Timestamp;
use jiff::civil::Time;

pub(super) fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn quiet(from: &str, to: &str) -> Option<QuietHours> {
    Some(QuietHours { from: from.parse().unwrap(), to: to.parse().unwrap() })
}

pub(super) fn calendar(name: &str, quiet: Option<QuietHours>) -> Calendar {
    Calendar { zone: zone(name), quiet, daily_limit: None }
}

pub(super) fn window(from: &str, to: &str, time_zone: &str) -> SendingRules {
    let window = LocalWindow { from: from.parse().unwrap(), to: to.parse().unwrap() };
    let schedule = Schedule { start_at: None, window: Some(window), time_zone: time_zone.to_owned() };
    SendingRules { schedule, ..SendingRules::default() }
}

pub(super) fn terms<'a>(rules: &'a SendingRules, calendar: &'a Calendar, now: &str) -> PlanTerms<'a> {
    PlanTerms { rules, calendar, charged: &[], workspace_charged: &[], now: at(now) }
}

/// Whether a clock shows a quiet time of day: the definition, by which the arithmetic is judged.
pub(super) fn is_quiet(hours: QuietHours, clock: Time) -> bool {
    if hours.from <= hours.to {
        hours.from <= clock && clock < hours.to
    } else {
        clock >= hours.from || clock < hours.to
    }
}

/// A time of day by its second.
pub(super) fn time_of(second: i32) -> Time {
    Time::midnight() + jiff::Span::new().seconds(second)
}
