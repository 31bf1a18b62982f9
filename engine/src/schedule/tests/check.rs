//! Every refusal and warning, by mode and field.

use super::{at, calendar, quiet, terms, window};
use crate::model::{Mode, RetryRule, SendingRules};
use crate::schedule::{Calendar, Code, Gate, MAX_VALIDITY_S, PlanTerms, Refusal, Warning, check, plan};
use jiff::civil::date;
use proptest::prelude::*;

const NOW: &str = "2026-06-01T12:00:00Z";
const MODES: [Mode; 4] = [Mode::OnDemand, Mode::OnTime, Mode::Spread, Mode::Trigger];

fn checked(mode: Mode, rules: &SendingRules, calendar: &Calendar) -> Result<Vec<Warning>, Vec<Refusal>> {
    check(mode, 450, &terms(rules, calendar, NOW))
}

/// What is refused, as (field, code).
fn refused(mode: Mode, rules: &SendingRules) -> Vec<(&'static str, &'static str)> {
    let found = checked(mode, rules, &calendar("UTC", None)).err().unwrap_or_default();
    found.iter().map(|refusal| (refusal.field, refusal.code.as_str())).collect()
}

/// Rules that the mode takes.
fn good(mode: Mode) -> SendingRules {
    match mode {
        Mode::OnDemand | Mode::Trigger => SendingRules::default(),
        Mode::Spread => window("2026-07-01T00:00", "2026-07-04T00:00", "UTC"),
        Mode::OnTime => {
            let mut rules = SendingRules::default();
            rules.schedule.start_at = Some("2026-07-01T18:00".parse().unwrap());
            rules
        }
    }
}

fn with_start(mut rules: SendingRules, start: &str) -> SendingRules {
    rules.schedule.start_at = Some(start.parse().unwrap());
    rules
}

#[test]
fn every_mode_takes_what_it_needs_and_nothing_else() {
    for mode in MODES {
        assert_eq!(refused(mode, &good(mode)), [], "{mode:?}");
    }
    let windowed = window("2026-07-01T00:00", "2026-07-04T00:00", "UTC");
    assert_eq!(refused(Mode::OnDemand, &windowed), [("window", "not_in_this_mode")]);
    assert_eq!(refused(Mode::Trigger, &windowed), []);
    assert_eq!(refused(Mode::OnTime, &SendingRules::default()), [("start_at", "required")]);
    assert_eq!(refused(Mode::Spread, &SendingRules::default()), [("window", "required")]);
    for mode in [Mode::OnDemand, Mode::Spread, Mode::Trigger] {
        let started = with_start(good(mode), "2026-07-01T10:00");
        assert_eq!(refused(mode, &started), [("start_at", "not_in_this_mode")], "{mode:?}");
    }
    for mode in MODES {
        let disturbing = SendingRules { ignore_daily_window: true, ..good(mode) };
        let want: &[_] =
            if mode == Mode::Trigger { &[] } else { &[("ignore_daily_window", "not_in_this_mode")] };
        assert_eq!(refused(mode, &disturbing), want, "{mode:?}");
    }
}

#[test]
fn times_that_make_no_sense_are_refused_by_the_instant_they_name() {
    let spread = |from, to, zone| refused(Mode::Spread, &window(from, to, zone));
    assert_eq!(spread("2026-07-02T00:00", "2026-07-01T00:00", "UTC"), [("window", "end_before_start")]);
    assert_eq!(spread("2026-07-01T00:00", "2026-07-01T00:00", "UTC"), [("window", "end_before_start")]);
    // Different local times, one instant: the clock jumps over all of it.
    assert_eq!(
        spread("2027-03-28T02:00", "2027-03-28T03:00", "Europe/Berlin"),
        [("window", "end_before_start")]
    );
    assert_eq!(spread("2026-05-01T00:00", "2026-06-01T12:00", "UTC"), [("window", "in_the_past")]);
    assert_eq!(spread("2026-05-01T00:00", "2026-06-01T12:01", "UTC"), []);
    assert_eq!(spread("2026-05-01T00:00", "2026-06-01T13:59", "Europe/Berlin"), [("window", "in_the_past")]);
    let on_time = |rules, start| refused(Mode::OnTime, &with_start(rules, start));
    assert_eq!(on_time(good(Mode::OnTime), "2026-06-01T11:59:59"), [("start_at", "in_the_past")]);
    assert_eq!(on_time(good(Mode::OnTime), "2026-06-01T12:00"), []);
    let july = || window("2026-07-01T00:00", "2026-07-04T00:00", "UTC");
    assert_eq!(on_time(july(), "2026-07-04T00:00"), [("start_at", "outside_window")]);
    assert_eq!(on_time(july(), "2026-06-30T23:59"), [("start_at", "outside_window")]);
    assert_eq!(on_time(july(), "2026-07-01T00:00"), []);
    let mut lost = good(Mode::OnTime);
    lost.schedule.time_zone = "Mars/Base".to_owned();
    assert_eq!(refused(Mode::OnTime, &lost), [("time_zone", "unknown_zone")]);
}

#[test]
fn numbers_stay_in_their_ranges() {
    let rules = |daily_limit, validity_s| SendingRules { daily_limit, validity_s, ..SendingRules::default() };
    let of = |rules: SendingRules| refused(Mode::OnDemand, &rules);
    assert_eq!(of(rules(Some(0), None)), [("daily_limit", "out_of_range")]);
    assert_eq!(of(rules(Some(1), Some(1))), []);
    assert_eq!(of(rules(None, Some(0))), [("validity_s", "out_of_range")]);
    assert_eq!(of(rules(None, Some(MAX_VALIDITY_S))), []);
    assert_eq!(of(rules(None, Some(MAX_VALIDITY_S + 1))), [("validity_s", "out_of_range")]);
    assert_eq!(MAX_VALIDITY_S, pdu::RELATIVE_MAX_S, "what the wire can say");
}

#[test]
fn retry_rules_are_few_different_and_patient() {
    let rule = |status, attempts, delay_s| RetryRule { status, attempts, delay_s };
    let of =
        |retry: Vec<RetryRule>| refused(Mode::OnDemand, &SendingRules { retry, ..SendingRules::default() });
    assert_eq!(of((1..=16).map(|status| rule(status, 1, 0)).collect()), []);
    assert_eq!(of((1..=17).map(|status| rule(status, 1, 0)).collect()), [("retry", "too_many")]);
    assert_eq!(of(vec![rule(8, 10, 86_400)]), []);
    assert_eq!(of(vec![rule(8, 2, 1), rule(20, 2, 1), rule(8, 3, 1)]), [("retry", "duplicate")]);
    for bad in [rule(8, 0, 1), rule(8, 11, 1), rule(8, 1, 86_401), rule(0, 1, 1)] {
        assert_eq!(of(vec![bad]), [("retry", "out_of_range")], "{bad:?}");
    }
}

#[test]
fn a_plan_that_does_not_fit_is_refused_with_the_reason() {
    let mut rules = good(Mode::Spread);
    rules.daily_limit = Some(100);
    let utc = calendar("UTC", None);
    let wrong = checked(Mode::Spread, &rules, &utc).unwrap_err();
    let message = "3 days x 100 a day = 300, 450 recipients need 5 days".to_owned();
    assert_eq!(wrong, [Refusal { field: "daily_limit", code: Code::PlanInfeasible, message }]);
    // The workspace's limit is not the author's to change; the window is.
    let tight = Calendar { daily_limit: Some(90), ..utc };
    let wrong = checked(Mode::Spread, &good(Mode::Spread), &tight).unwrap_err();
    assert_eq!((wrong[0].field, wrong[0].code.as_str()), ("window", "plan_infeasible"));
    let charged = [(date(2026, 7, 2), 90)];
    let terms = PlanTerms { workspace_charged: &charged, ..terms(&rules, &tight, NOW) };
    assert!(check(Mode::Spread, 180, &terms).is_ok() && check(Mode::Spread, 181, &terms).is_err());
}

#[test]
fn everything_wrong_is_said_at_once() {
    let mut rules = with_start(window("2026-07-02T00:00", "2026-07-01T00:00", "UTC"), "2026-07-01T00:00");
    rules.ignore_daily_window = true;
    rules.daily_limit = Some(0);
    let want = [
        ("start_at", "not_in_this_mode"),
        ("ignore_daily_window", "not_in_this_mode"),
        ("daily_limit", "out_of_range"),
        ("window", "end_before_start"),
    ];
    assert_eq!(refused(Mode::Spread, &rules), want);
}

#[test]
fn a_start_inside_quiet_hours_is_a_warning_that_says_when_sending_begins() {
    let night = calendar("Europe/Berlin", quiet("22:00", "07:00"));
    let warned = |mode, rules: &SendingRules| checked(mode, rules, &night).unwrap();
    let message =
        |found: &[Warning]| found.iter().map(|one| one.0.message.clone()).collect::<Vec<_>>().join("\n");
    let early = warned(Mode::OnTime, &with_start(SendingRules::default(), "2026-07-01T04:30"));
    assert_eq!((early[0].0.field, early[0].0.code), ("start_at", Code::InQuietHours));
    assert!(message(&early).ends_with("sending begins at 2026-07-01T07:00:00"), "{early:?}");
    let late = warned(Mode::OnTime, &with_start(SendingRules::default(), "2026-07-01T22:00"));
    assert!(message(&late).ends_with("nothing will be sent"), "{late:?}");
    assert_eq!(warned(Mode::OnTime, &good(Mode::OnTime)), []);
    let mut trigger = window("2026-07-01T20:30", "2026-07-02T20:00", "UTC");
    assert_eq!(warned(Mode::Trigger, &trigger).len(), 1);
    trigger.ignore_daily_window = true;
    assert_eq!(warned(Mode::Trigger, &trigger), []);
}

proptest! {
    #[test]
    fn what_passes_makes_a_gate_and_a_plan(
        mode in proptest::sample::select(MODES.to_vec()),
        start in proptest::option::of(-5..200_i64),
        span in proptest::option::of((-5..200_i64, -5..400_i64)),
        flags in (any::<bool>(), proptest::option::of(0..300_u64), proptest::option::of(0..300_u64)),
        hours in (0..24_i8, 0..24_i8),
        recipients in 0..1000_u64,
    ) {
        let hour = |hours: i64| date(2026, 6, 1).at(12, 0, 0, 0) + jiff::Span::new().hours(hours);
        let mut rules = SendingRules { ignore_daily_window: flags.0, daily_limit: flags.1, ..SendingRules::default() };
        rules.schedule.start_at = start.map(hour);
        rules.schedule.window =
            span.map(|(from, to)| crate::model::LocalWindow { from: hour(from), to: hour(to) });
        let time = |hour| jiff::civil::time(hour, 0, 0, 0);
        let quiet = Some(crate::model::QuietHours { from: time(hours.0), to: time(hours.1) });
        let calendar = Calendar { daily_limit: flags.2, ..calendar("Africa/Cairo", quiet) };
        let terms = PlanTerms { now: at(NOW), ..terms(&rules, &calendar, NOW) };
        if check(mode, recipients, &terms).is_ok() {
            prop_assert!(Gate::new(mode, &rules, &calendar).is_ok());
            prop_assert!(mode != Mode::Spread || plan(recipients, &terms).is_ok());
        }
    }
}
