//! When the gate of a campaign opens, closes and ends.

use super::{at, calendar, quiet, window, zone};
use crate::model::{HoldReason, LocalWindow, Mode, QuietHours, SendingRules};
use crate::schedule::{Calendar, Gate, GateError, GateState};
use jiff::Timestamp;
use proptest::prelude::*;

fn open(until: &str) -> GateState {
    GateState::Open { until: at(until) }
}

fn closed(until: &str, why: HoldReason) -> GateState {
    GateState::Closed { until: Some(at(until)), why }
}

fn rules(zone: &str) -> SendingRules {
    let mut rules = SendingRules::default();
    rules.schedule.time_zone = zone.to_owned();
    rules
}

fn on_time(start: &str, zone: &str) -> SendingRules {
    let mut rules = rules(zone);
    rules.schedule.start_at = Some(start.parse().unwrap());
    rules
}

fn limited(calendar: Calendar) -> Calendar {
    Calendar { daily_limit: Some(100), ..calendar }
}

fn asked(mode: Mode, rules: &SendingRules, calendar: &Calendar, table: &[(&str, GateState)]) {
    let gate = Gate::new(mode, rules, calendar).unwrap();
    for (now, want) in table {
        assert_eq!(gate.at(at(now)), *want, "{mode:?} at {now}");
    }
}

#[test]
fn without_times_quiet_hours_and_limits_a_gate_is_open_for_ever() {
    let forever = GateState::Open { until: Timestamp::MAX };
    asked(Mode::OnDemand, &rules("UTC"), &calendar("UTC", None), &[("2026-07-01T00:00:00Z", forever)]);
    asked(Mode::Trigger, &rules("UTC"), &calendar("UTC", None), &[("2026-07-01T00:00:00Z", forever)]);
}

#[test]
fn quiet_hours_are_those_of_the_workspace_whatever_zone_the_campaign_names() {
    let berlin = calendar("Europe/Berlin", quiet("22:00", "07:00"));
    asked(
        Mode::OnDemand,
        &rules("Asia/Tokyo"),
        &berlin,
        &[
            ("2026-07-01T04:59:59.999Z", closed("2026-07-01T05:00:00Z", HoldReason::QuietHours)),
            ("2026-07-01T05:00:00Z", open("2026-07-01T20:00:00Z")),
            ("2026-07-01T19:59:59.999Z", open("2026-07-01T20:00:00Z")),
            ("2026-07-01T20:00:00Z", closed("2026-07-02T05:00:00Z", HoldReason::QuietHours)),
            // The night in which the clock goes back is an hour longer.
            ("2026-10-24T20:00:00Z", closed("2026-10-25T06:00:00Z", HoldReason::QuietHours)),
        ],
    );
    // Open over midnight: no border there without a daily limit.
    let noon = calendar("Europe/Berlin", quiet("12:00", "13:00"));
    asked(Mode::OnDemand, &rules("UTC"), &noon, &[("2026-07-01T12:00:00Z", open("2026-07-02T10:00:00Z"))]);
}

#[test]
fn a_daily_limit_ends_every_open_stretch_at_the_midnight_of_the_workspace() {
    let mut own = rules("UTC");
    own.daily_limit = Some(5);
    let cairo = calendar("Africa/Cairo", None);
    // The day of 2026-04-24 begins at 01:00 there.
    let table = [
        ("2026-04-23T21:59:59Z", open("2026-04-23T22:00:00Z")),
        ("2026-04-23T22:00:00Z", open("2026-04-24T21:00:00Z")),
    ];
    asked(Mode::OnDemand, &own, &cairo, &table);
    asked(Mode::OnDemand, &rules("UTC"), &limited(cairo), &table);
}

#[test]
fn on_time_opens_at_its_start_for_an_hour_or_to_the_end_of_its_window() {
    let mut rules = on_time("2026-03-29T02:30", "Europe/Berlin");
    let utc = calendar("UTC", None);
    asked(
        Mode::OnTime,
        &rules,
        &utc,
        &[
            ("2026-03-29T00:59:59.5Z", closed("2026-03-29T01:00:00Z", HoldReason::Scheduled)),
            ("2026-03-29T01:00:00Z", open("2026-03-29T02:00:00Z")),
            ("2026-03-29T02:00:00Z", GateState::Over),
        ],
    );
    let (from, to) = ("2026-03-29T00:00".parse().unwrap(), "2026-03-29T18:00".parse().unwrap());
    rules.schedule.window = Some(LocalWindow { from, to });
    asked(
        Mode::OnTime,
        &rules,
        &utc,
        &[
            ("2026-03-28T23:30:00Z", closed("2026-03-29T01:00:00Z", HoldReason::Scheduled)),
            ("2026-03-29T15:59:59Z", open("2026-03-29T16:00:00Z")),
            ("2026-03-29T16:00:00Z", GateState::Over),
        ],
    );
}

#[test]
fn a_start_inside_quiet_hours_waits_for_their_end_or_for_its_own() {
    let night = calendar("UTC", quiet("22:00", "07:00"));
    let late = on_time("2026-07-01T23:00", "UTC");
    asked(
        Mode::OnTime,
        &late,
        &night,
        &[
            ("2026-07-01T22:00:00Z", closed("2026-07-01T23:00:00Z", HoldReason::Scheduled)),
            ("2026-07-01T23:00:00Z", closed("2026-07-02T00:00:00Z", HoldReason::QuietHours)),
            ("2026-07-02T00:00:00Z", GateState::Over),
        ],
    );
    let early = on_time("2026-07-01T06:30", "UTC");
    asked(
        Mode::OnTime,
        &early,
        &night,
        &[
            ("2026-07-01T06:30:00Z", closed("2026-07-01T07:00:00Z", HoldReason::QuietHours)),
            ("2026-07-01T07:00:00Z", open("2026-07-01T07:30:00Z")),
        ],
    );
}

#[test]
fn only_a_trigger_campaign_may_disturb() {
    let night = calendar("UTC", quiet("22:00", "07:00"));
    let mut rules = window("2026-07-01T20:00", "2026-07-02T20:00", "UTC");
    rules.ignore_daily_window = true;
    asked(
        Mode::Trigger,
        &rules,
        &night,
        &[
            ("2026-07-01T19:00:00Z", closed("2026-07-01T20:00:00Z", HoldReason::Scheduled)),
            ("2026-07-01T23:00:00Z", open("2026-07-02T20:00:00Z")),
            ("2026-07-02T20:00:00Z", GateState::Over),
        ],
    );
    asked(
        Mode::Trigger,
        &rules,
        &limited(night.clone()),
        &[("2026-07-01T23:00:00Z", open("2026-07-02T00:00:00Z"))],
    );
    let held = closed("2026-07-02T07:00:00Z", HoldReason::QuietHours);
    asked(Mode::Spread, &rules, &night, &[("2026-07-01T23:00:00Z", held)]);
    asked(Mode::OnDemand, &rules, &night, &[("2026-07-01T23:00:00Z", held)]);
}

#[test]
fn quiet_hours_of_all_but_a_moment_give_that_moment_or_nothing() {
    let second = calendar("UTC", quiet("00:00:01", "00:00:00"));
    asked(
        Mode::OnDemand,
        &rules("UTC"),
        &second,
        &[
            ("2026-07-01T00:00:00.9Z", open("2026-07-01T00:00:01Z")),
            ("2026-07-01T00:00:01Z", closed("2026-07-02T00:00:00Z", HoldReason::QuietHours)),
        ],
    );
    let nothing = calendar("UTC", quiet("10:00", "09:59:59.999"));
    let shut = GateState::Closed { until: None, why: HoldReason::QuietHours };
    asked(Mode::OnDemand, &rules("UTC"), &nothing, &[("2026-07-01T00:00:00Z", shut)]);
}

#[test]
fn a_gate_without_the_times_of_its_mode_is_refused() {
    let utc = calendar("UTC", None);
    let refused = |mode, rules: &SendingRules| Gate::new(mode, rules, &utc).unwrap_err();
    assert_eq!(refused(Mode::OnTime, &rules("UTC")), GateError::NoStart);
    assert_eq!(refused(Mode::Spread, &rules("UTC")), GateError::NoWindow);
    assert!(matches!(refused(Mode::OnDemand, &rules("Mars/Base")), GateError::Zone(_)));
}

/// Zones with a change of the clock on the given date, and one with none.
const CHANGES: [(&str, &str); 7] = [
    ("Europe/Berlin", "2026-03-28T12:00:00Z"),
    ("Europe/Berlin", "2026-10-24T12:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T02:00:00Z"),
    ("Africa/Cairo", "2026-04-23T10:00:00Z"),
    ("America/St_Johns", "2006-10-28T20:00:00Z"),
    ("Pacific/Apia", "2011-12-29T20:00:00Z"),
    ("Asia/Kolkata", "2026-02-28T00:00:00Z"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Every answer of a gate holds up to its `until`, and agrees with the local clock second by second.
    #[test]
    fn a_gate_agrees_with_the_local_clock_in_every_second(
        place in 0..CHANGES.len(),
        from in 0..86_400_i32,
        to in 0..86_400_i32,
        offset in 0..40_000_i64,
        length in 1..90_000_i64,
        daily in any::<bool>(),
    ) {
        let (name, base) = CHANGES[place];
        let zone = zone(name);
        let time = |second: i32| jiff::civil::Time::midnight() + jiff::Span::new().seconds(second);
        let hours = QuietHours { from: time(from), to: time(to) };
        let calendar =
            Calendar { zone: zone.clone(), quiet: Some(hours), daily_limit: daily.then_some(1) };
        let start = at(base).as_second() + offset;
        let local = |second: i64| zone.local(Timestamp::from_second(second).unwrap());
        let mut rules = rules(name);
        rules.schedule.window = Some(LocalWindow { from: local(start), to: local(start + length) });
        let second = |text| zone.resolve(text).as_second();
        let (opens, ends) = (second(local(start)), second(local(start + length)));
        let gate = Gate::new(Mode::Spread, &rules, &calendar).unwrap();
        let mut answer: Option<(GateState, i64)> = None;
        for now in opens - 100..ends + 100 {
            let asked = match answer {
                Some((state, until)) if now < until => state,
                _ => gate.at(Timestamp::from_second(now).unwrap()),
            };
            let until = match asked {
                GateState::Open { until } | GateState::Closed { until: Some(until), .. } => until.as_second(),
                _ => i64::MAX,
            };
            prop_assert!(until > now);
            answer = Some((asked, until));
            let clock = local(now).time();
            let is_quiet = if hours.from <= hours.to {
                hours.from <= clock && clock < hours.to
            } else {
                clock >= hours.from || clock < hours.to
            };
            let want = if now >= ends { "over" } else if now < opens { "scheduled" } else if is_quiet { "quiet" } else { "open" };
            let got = match asked {
                GateState::Over => "over",
                GateState::Open { until } => {
                    let midnight = zone.day_end(zone.day_of(Timestamp::from_second(now).unwrap()));
                    prop_assert!(!daily || until <= midnight);
                    "open"
                }
                GateState::Closed { why: HoldReason::Scheduled, .. } => "scheduled",
                GateState::Closed { .. } => "quiet",
            };
            prop_assert_eq!(got, want, "{} at {}", name, local(now));
        }
    }
}
