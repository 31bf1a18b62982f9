//! The effective start of a campaign, which lists are filtered and sorted by: the planned one, else the actual one.
//!
//! It asks the same zones as the gate, so a list shows the instant at which the gate opens for the first time.

use crate::model::{Mode, Schedule};
use crate::schedule::Zone;
use jiff::Timestamp;
use jiff::civil::DateTime;

/// When a campaign starts or has started: its planned start (`start_at` of OnTime, the beginning of the window of
/// Spread and Trigger), else the moment at which it began to send, else nothing.
#[must_use]
pub fn starts_at(mode: Mode, schedule: &Schedule, started_at: Option<Timestamp>) -> Option<Timestamp> {
    let planned = planned(mode, schedule).and_then(|local| {
        // A zone is checked when a campaign is written; one that a later release of the data lacks plans nothing.
        let zone = Zone::named(&schedule.time_zone).ok()?;
        Some(zone.resolve(local))
    });
    planned.or(started_at)
}

fn planned(mode: Mode, schedule: &Schedule) -> Option<DateTime> {
    let window = schedule.window.map(|window| window.from);
    match mode {
        Mode::OnDemand => None,
        Mode::OnTime => schedule.start_at.or(window),
        Mode::Spread | Mode::Trigger => window,
    }
}
