//! What an outage leaves unsent is spread again, without a burst and without a row lost.

use super::{at, calendar, quiet, terms, window};
use crate::model::Plan;
use crate::schedule::{Calendar, Infeasible, PlanTerms, is_respread_due, plan, respread};
use jiff::civil::date;
use jiff::{Span, Timestamp};
use proptest::prelude::*;

const BEFORE: &str = "2026-06-01T00:00:00Z";

#[test]
fn an_outage_moves_what_is_unsent_to_the_rest_of_the_window() {
    let (rules, utc) = (window("2026-07-01T00:00", "2026-07-01T10:00", "UTC"), calendar("UTC", None));
    let first = plan(1000, &terms(&rules, &utc, BEFORE)).unwrap();
    // 200 sent by two o'clock, then nothing until six: 800 rows in four hours.
    let made = respread(&first, &[(200, 800)], &terms(&rules, &utc, "2026-07-01T06:00:00Z")).unwrap();
    assert_eq!((made.plan.version, made.left_over.len()), (2, 0));
    assert_eq!((made.plan.rows.as_slice(), made.plan.total()), ([(200, 800)].as_slice(), 800));
    assert_eq!(made.plan.planned_at(199), None);
    assert_eq!(made.plan.planned_at(200), Some(at("2026-07-01T06:00:00Z")));
    assert_eq!(made.plan.due(at("2026-07-01T06:59:59Z")), 200);
    let again = respread(&made.plan, &[(900, 100)], &terms(&rules, &utc, "2026-07-01T09:00:00Z")).unwrap();
    assert_eq!((again.plan.version, again.plan.total()), (3, 100));
}

#[test]
fn what_the_limit_has_no_room_for_is_named_and_not_squeezed_in() {
    let mut rules = window("2026-07-01T00:00", "2026-07-04T00:00", "UTC");
    rules.daily_limit = Some(100);
    let utc = calendar("UTC", None);
    let first = plan(300, &terms(&rules, &utc, BEFORE)).unwrap();
    // 40 went on the first day; the second passed without any; now it is its last hour.
    let charged = [(date(2026, 7, 1), 40), (date(2026, 7, 2), 30)];
    let late = PlanTerms { charged: &charged, ..terms(&rules, &utc, "2026-07-02T23:00:00Z") };
    let made = respread(&first, &[(70, 30), (110, 190)], &late).unwrap();
    assert_eq!(made.plan.per_day(), [(date(2026, 7, 2), 70), (date(2026, 7, 3), 100)]);
    assert_eq!(made.plan.rows, [(70, 30), (110, 140)]);
    assert_eq!(made.left_over, [(250, 50)]);
    let full = [(date(2026, 7, 3), 100)];
    let none = PlanTerms { charged: &full, ..terms(&rules, &utc, "2026-07-03T01:00:00Z") };
    let made = respread(&first, &[(0, 5)], &none).unwrap();
    assert_eq!((made.plan.total(), made.left_over), (0, vec![(0, 5)]));
}

#[test]
fn behind_the_window_there_is_nothing_to_plan() {
    let (rules, utc) = (window("2026-07-01T00:00", "2026-07-01T10:00", "UTC"), calendar("UTC", None));
    let first = plan(10, &terms(&rules, &utc, BEFORE)).unwrap();
    let over = respread(&first, &[(0, 10)], &terms(&rules, &utc, "2026-07-01T10:00:00Z"));
    assert!(matches!(over, Err(Infeasible::Past { .. })));
}

#[test]
fn a_respread_is_due_when_more_than_a_minute_of_the_plan_is_a_minute_late() {
    let utc = calendar("UTC", None);
    let fast = window("2026-07-01T00:00", "2026-07-01T01:00", "UTC");
    let fast = plan(36_000, &terms(&fast, &utc, BEFORE)).unwrap();
    let due = |plan: &Plan, handled, now: &str| is_respread_due(plan, handled, at(now));
    // Ten rows a second.
    assert!(!due(&fast, 0, "2026-07-01T00:00:59Z"), "600 rows are one minute");
    assert!(!due(&fast, 0, "2026-07-01T00:01:00Z"), "610 rows, but the oldest has waited 60 s only");
    assert!(due(&fast, 0, "2026-07-01T00:01:01Z"));
    assert!(!due(&fast, 17_500, "2026-07-01T00:30:00Z"), "510 rows behind");
    assert!(due(&fast, 17_000, "2026-07-01T00:30:00Z"));
    assert!(!due(&fast, 36_000, "2026-07-01T02:00:00Z"), "all sent");
    // One row an hour: a late one goes alone, two together would be a burst.
    let slow = window("2026-07-01T00:00", "2026-07-02T00:00", "UTC");
    let slow = plan(24, &terms(&slow, &utc, BEFORE)).unwrap();
    assert!(!due(&slow, 0, "2026-07-01T00:59:59Z"));
    assert!(due(&slow, 0, "2026-07-01T01:00:00Z"));
    assert!(!due(&slow, 0, "2026-06-30T00:00:00Z"), "before its time");
    // What the evening has left over is sent in the morning when it is less than a minute's worth.
    let days = window("2026-07-01T12:00", "2026-07-03T12:00", "UTC");
    let night = calendar("UTC", quiet("22:00", "07:00"));
    let days = plan(30_000, &terms(&days, &night, BEFORE)).unwrap();
    let evening = days.due(at("2026-07-02T06:59:59Z"));
    assert!(!due(&days, evening - 15, "2026-07-02T07:00:00Z"));
    assert!(due(&days, evening - 25, "2026-07-02T07:00:00Z"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_unsent_row_is_planned_once_or_named_and_the_rest_of_the_window_is_even(
        rows in 1..500_u64,
        runs in proptest::collection::vec((0..500_u64, 0..60_u64), 0..20),
        hours in (0..24_i8, 0..24_i8),
        limit in proptest::option::of(1..100_u64),
        passed_s in 0..400_000_i64,
        used in 0..120_u64,
    ) {
        let mut rules = window("2026-03-27T09:00", "2026-03-31T17:00", "Europe/Berlin");
        let time = |hour| jiff::civil::time(hour, 30, 0, 0);
        let quiet = Some(crate::model::QuietHours { from: time(hours.0), to: time(hours.1) });
        let calendar = Calendar { daily_limit: limit, ..calendar("Europe/Berlin", quiet) };
        let unlimited = Calendar { daily_limit: None, ..calendar.clone() };
        let before = "2026-03-01T00:00:00Z";
        let first = plan(rows, &terms(&rules, &unlimited, before)).unwrap();
        rules.daily_limit = limit.map(|limit| limit * 2);
        let now = at("2026-03-27T08:00:00Z") + Span::new().seconds(passed_s);
        let charged = [(calendar.zone.day_of(now), used)];
        let terms = PlanTerms { workspace_charged: &charged, now, ..terms(&rules, &calendar, before) };
        let Ok(made) = respread(&first, &runs, &terms) else {
            // Only when nothing of the window is left.
            let rest = plan(0, &terms);
            let is_over = matches!(rest, Err(Infeasible::Past { .. } | Infeasible::Quiet { .. }));
            prop_assert!(is_over);
            return Ok(());
        };
        let mut unsent: Vec<u64> = runs.iter().flat_map(|(first, count)| *first..first + count).collect();
        unsent.sort_unstable();
        unsent.dedup();
        let listed = |runs: &[(u64, u64)]| -> Vec<u64> {
            runs.iter().flat_map(|(first, count)| *first..first + count).collect()
        };
        let (planned, left) = (listed(&made.plan.rows), listed(&made.left_over));
        prop_assert_eq!(made.plan.total(), planned.len() as u64);
        prop_assert_eq!([planned.clone(), left.clone()].concat(), unsent);
        let times: Vec<Timestamp> = planned.iter().map(|row| made.plan.planned_at(*row).unwrap()).collect();
        prop_assert!(times.is_sorted() && times.first().is_none_or(|first| *first >= now));
        prop_assert!(left.iter().all(|row| made.plan.planned_at(*row).is_none()));
        // As even as if nothing had been planned before, and as full as the limit lets it be.
        let fresh = plan(planned.len() as u64, &terms).unwrap();
        prop_assert_eq!(&fresh.spans, &made.plan.spans);
        if !left.is_empty() {
            prop_assert!(matches!(plan(planned.len() as u64 + 1, &terms), Err(Infeasible::Limit(_))));
        }
        let limit = limit.unwrap_or(u64::MAX);
        for (day, count) in made.plan.per_day() {
            let used = if day == charged[0].0 { used } else { 0 };
            prop_assert!(count <= limit.saturating_sub(used), "{day}: {count}");
        }
    }
}
