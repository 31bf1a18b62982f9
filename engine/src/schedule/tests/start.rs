//! The effective start: planned, else actual, else none.

use super::{at, window};
use crate::model::{Mode, Schedule};
use crate::schedule::starts_at;

#[test]
fn a_start_is_the_planned_one_in_the_zone_of_the_campaign_else_the_actual_one() {
    let spread = window("2026-07-01T08:00", "2026-07-02T08:00", "Europe/Berlin").schedule;
    let start_at = Some("2026-07-01T09:30".parse().unwrap());
    let timed = Schedule { start_at, window: None, ..spread.clone() };
    let unknown = Schedule { time_zone: "Mars/Olympus".to_owned(), ..spread.clone() };
    let actual = Some(at("2026-07-03T00:00:00Z"));
    let (from, start) = (Some(at("2026-07-01T06:00:00Z")), Some(at("2026-07-01T07:30:00Z")));
    for (mode, schedule, expected) in [
        (Mode::Spread, &spread, from),
        (Mode::Trigger, &spread, from),
        (Mode::OnTime, &timed, start),
        (Mode::OnTime, &spread, from),
        (Mode::OnDemand, &spread, actual),
        (Mode::Trigger, &timed, actual),
        (Mode::Spread, &unknown, actual),
    ] {
        assert_eq!(starts_at(mode, schedule, actual), expected, "{mode:?} {schedule:?}");
    }
    assert_eq!(starts_at(Mode::OnDemand, &Schedule::default(), None), None);
}
