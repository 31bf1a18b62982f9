//! What a plan promises: every row in one allowed second, even days, even seconds, limits kept, nothing squeezed.

use super::{at, calendar, quiet, terms, window, zone};
use crate::model::{LocalWindow, Plan, PlanSpan, QuietHours};
use crate::schedule::{Calendar, Infeasible, PlanTerms, Shortfall, plan};
use jiff::Timestamp;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn per_day(plan: &Plan) -> Vec<u64> {
    plan.per_day().into_iter().map(|(_, rows)| rows).collect()
}

#[test]
fn three_equal_days_differ_by_at_most_one() {
    let (rules, utc) = (window("2026-07-01T00:00", "2026-07-04T00:00", "UTC"), calendar("UTC", None));
    let made = plan(100, &terms(&rules, &utc, "2026-06-01T00:00:00Z")).unwrap();
    assert_eq!(per_day(&made), [33, 33, 34]);
    assert_eq!((made.version, made.total(), made.rows), (1, 100, vec![(0, 100)]));
}

#[test]
fn a_day_weighs_what_it_allows() {
    // Monday from noon, Tuesday, Wednesday to noon; ten allowed hours a day.
    let rules = window("2026-07-06T14:00", "2026-07-08T14:00", "Europe/Berlin");
    let berlin = calendar("Europe/Berlin", quiet("19:00", "09:00"));
    let made = plan(1000, &terms(&rules, &berlin, "2026-06-01T00:00:00Z")).unwrap();
    assert_eq!(per_day(&made), [250, 500, 250]);
    // On the day of the change one of 24 hours is missing.
    let rules = window("2026-03-28T00:00", "2026-03-30T00:00", "Europe/Berlin");
    let berlin = calendar("Europe/Berlin", None);
    let made = plan(4700, &terms(&rules, &berlin, "2026-03-01T00:00:00Z")).unwrap();
    assert_eq!(per_day(&made), [2400, 2300]);
}

#[test]
fn half_an_hour_is_spread_to_the_second() {
    let (rules, utc) = (window("2026-07-01T18:00", "2026-07-01T18:30", "UTC"), calendar("UTC", None));
    let made = plan(900, &terms(&rules, &utc, "2026-06-01T00:00:00Z")).unwrap();
    assert_eq!(
        (made.first_at(), made.last_at()),
        (Some(at("2026-07-01T18:00:00Z")), Some(at("2026-07-01T18:29:58Z")))
    );
    assert_eq!(made.planned_at(1), Some(at("2026-07-01T18:00:02Z")));
    assert_eq!(made.planned_at(900), None);
    assert_eq!((made.due(at("2026-07-01T17:59:59Z")), made.due(at("2026-07-01T18:00:00.9Z"))), (0, 1));
    assert_eq!((made.due(at("2026-07-01T18:14:59Z")), made.due(at("2027-01-01T00:00:00Z"))), (450, 900));
    assert_eq!(made.next_due(900), None);
    // More rows than seconds: four a second, none early, none late.
    let dense = plan(7200, &terms(&rules, &utc, "2026-06-01T00:00:00Z")).unwrap();
    assert_eq!(dense.due(at("2026-07-01T18:00:00Z")), 4);
    assert_eq!(dense.last_at(), Some(at("2026-07-01T18:29:59Z")));
}

#[test]
fn quiet_hours_in_the_middle_split_a_day_into_two_spans() {
    let rules = window("2026-07-01T08:00", "2026-07-01T20:00", "UTC");
    let siesta = calendar("UTC", quiet("12:00", "14:00"));
    let made = plan(100, &terms(&rules, &siesta, "2026-06-01T00:00:00Z")).unwrap();
    let span = |from: &str, to: &str, rows| PlanSpan {
        day: date(2026, 7, 1),
        from_s: at(from).as_second(),
        to_s: at(to).as_second(),
        rows,
    };
    assert_eq!(
        made.spans,
        [
            span("2026-07-01T08:00:00Z", "2026-07-01T12:00:00Z", 40),
            span("2026-07-01T14:00:00Z", "2026-07-01T20:00:00Z", 60),
        ]
    );
    assert_eq!(made.due(at("2026-07-01T13:00:00Z")), 40);
    assert_eq!(made.next_due(40), Some(at("2026-07-01T14:00:00Z").as_second()));
}

#[test]
fn a_limit_moves_rows_to_the_other_days_evenly() {
    // Two short days and three long ones: the long ones are capped.
    let mut rules = window("2026-07-01T18:00", "2026-07-06T00:00", "UTC");
    rules.daily_limit = Some(100);
    let utc = calendar("UTC", None);
    let made = plan(450, &terms(&rules, &utc, "2026-06-01T00:00:00Z")).unwrap();
    assert_eq!(per_day(&made), [50, 100, 100, 100, 100]);
    let tighter = Calendar { daily_limit: Some(95), ..utc };
    let made = plan(450, &terms(&rules, &tighter, "2026-06-01T00:00:00Z")).unwrap();
    assert_eq!(per_day(&made), [70, 95, 95, 95, 95]);
    // What is used up of a day is not planned again.
    let charged = [(date(2026, 7, 2), 45)];
    let terms = PlanTerms { workspace_charged: &charged, ..terms(&rules, &tighter, "2026-06-01T00:00:00Z") };
    assert_eq!(per_day(&plan(400, &terms).unwrap()), [65, 50, 95, 95, 95]);
}

#[test]
fn what_cannot_be_planned_is_refused_in_words_with_numbers() {
    let refused = |rules: &crate::model::SendingRules, calendar: &Calendar, now: &str| {
        plan(450, &terms(rules, calendar, now)).unwrap_err()
    };
    let (utc, before) = (calendar("UTC", None), "2026-06-01T00:00:00Z");
    let mut rules = window("2026-07-01T00:00", "2026-07-04T00:00", "UTC");
    rules.daily_limit = Some(100);
    let short = refused(&rules, &utc, before);
    assert_eq!(short, Infeasible::Limit(Shortfall { days: 3, limit: 100, capacity: 300, rows: 450 }));
    assert_eq!(short.to_string(), "3 days x 100 a day = 300, 450 recipients need 5 days");
    let charged = [(date(2026, 7, 1), 60)];
    let with = PlanTerms { charged: &charged, ..terms(&rules, &utc, before) };
    let used = plan(450, &with).unwrap_err().to_string();
    assert_eq!(used, "3 days x 100 a day less 60 already used = 240, 450 recipients need 6 days");
    let past = refused(&rules, &utc, "2026-07-04T00:00:00Z").to_string();
    assert_eq!(
        past,
        "the window ended at 2026-07-04T00:00:00 (UTC), and it is 2026-07-04T00:00:00 there now"
    );
    let gap = window("2026-03-29T02:00", "2026-03-29T03:00", "Europe/Berlin");
    let empty = refused(&gap, &utc, "2026-01-01T00:00:00Z").to_string();
    assert!(empty.contains("(Europe/Berlin) holds no time at all"), "{empty}");
    let night = window("2026-07-01T23:00", "2026-07-02T05:00", "UTC");
    let silent = refused(&night, &calendar("UTC", quiet("22:00", "07:00")), before).to_string();
    assert!(silent.contains("wholly inside the quiet hours from 22:00:00 to 07:00:00 (UTC)"), "{silent}");
    let ages = window("2026-07-01T00:00", "2029-07-01T00:00", "UTC");
    assert_eq!(refused(&ages, &utc, before), Infeasible::TooLong { days: 1096 });
    assert!(matches!(
        refused(&window("2026-07-01T00:00", "2026-07-02T00:00", "X"), &utc, before),
        Infeasible::Rules(_)
    ));
}

#[test]
fn nobody_to_send_to_is_planned_as_nothing() {
    let (rules, utc) = (window("2026-07-01T00:00", "2026-07-04T00:00", "UTC"), calendar("UTC", None));
    let made = plan(0, &terms(&rules, &utc, "2026-06-01T00:00:00Z")).unwrap();
    assert_eq!((made.total(), made.first_at(), made.last_at(), made.spans.len()), (0, None, None, 0));
    assert_eq!(made.due(at("2026-07-02T00:00:00Z")), 0);
}

#[test]
fn a_window_that_has_begun_is_planned_from_now_on() {
    let (rules, utc) = (window("2026-07-01T00:00", "2026-07-02T00:00", "UTC"), calendar("UTC", None));
    let made = plan(12, &terms(&rules, &utc, "2026-07-01T11:59:59.5Z")).unwrap();
    assert_eq!(made.first_at(), Some(at("2026-07-01T12:00:00Z")));
    assert_eq!(made.planned_at(11), Some(at("2026-07-01T23:00:00Z")));
}

#[test]
fn ten_million_rows_over_four_hundred_days_are_a_few_hundred_spans() {
    let rules = window("2026-01-01T00:00", "2027-02-05T00:00", "Europe/Berlin");
    let siesta = calendar("Europe/Berlin", quiet("12:00", "14:00"));
    let made = plan(10_000_000, &terms(&rules, &siesta, "2025-12-01T00:00:00Z")).unwrap();
    assert_eq!((made.total(), made.rows.len(), made.per_day().len()), (10_000_000, 1, 400));
    assert_eq!(made.spans.len(), 800, "two a day, nothing a row");
    let ordinary: Vec<u64> = made
        .per_day()
        .into_iter()
        .filter(|(day, _)| *day != date(2026, 3, 29) && *day != date(2026, 10, 25))
        .map(|(_, rows)| rows)
        .collect();
    assert!(ordinary.iter().max().unwrap() - ordinary.iter().min().unwrap() <= 1);
    assert_eq!(made.planned_at(9_999_999), made.last_at());
}

/// What a random plan is made of.
#[derive(Clone, Debug)]
struct Case {
    name: &'static str,
    start_s: i64,
    length_s: i64,
    quiet: (i32, i32),
    limit: Option<u64>,
    rows: u64,
    now_s: i64,
}

fn cases() -> impl Strategy<Value = Case> {
    let places = [
        ("Europe/Berlin", "2026-03-28T12:00:00Z"),
        ("Europe/Berlin", "2026-10-24T12:00:00Z"),
        ("America/Santiago", "2026-04-04T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T02:00:00Z"),
        ("Asia/Beirut", "2026-03-28T10:00:00Z"),
        ("America/St_Johns", "2006-10-28T20:00:00Z"),
        ("Pacific/Apia", "2011-12-29T20:00:00Z"),
        ("UTC", "2027-12-31T00:00:00Z"),
    ];
    let place = proptest::sample::select(places.to_vec());
    let quiet = prop_oneof![Just((0, 0)), (0..86_400_i32, 0..86_400_i32)];
    let limit = prop_oneof![Just(None), (1..200_u64).prop_map(Some)];
    let length = prop_oneof![1..300_i64, 60..200_000_i64];
    (place, 0..60_000_i64, length, quiet, limit, 0..400_u64, -1000..50_000_i64).prop_map(
        |((name, base), offset, length_s, quiet, limit, rows, lead)| {
            let start_s = at(base).as_second() + offset;
            Case { name, start_s, length_s, quiet, limit, rows, now_s: start_s + lead }
        },
    )
}

/// The allowed seconds of a case by local day, counted one by one on the local clock; the days never go back.
fn counted(case: &Case, calendar: &Calendar, from_s: i64, to_s: i64) -> BTreeMap<Date, Vec<i64>> {
    let hours = calendar.quiet.unwrap();
    let mut days: BTreeMap<Date, Vec<i64>> = BTreeMap::new();
    let mut day = Date::MIN;
    for second in from_s.min(case.start_s) - 7200..to_s {
        let local = calendar.zone.local(Timestamp::from_second(second).unwrap());
        day = day.max(local.date());
        let clock = local.time();
        let is_quiet = if hours.from <= hours.to {
            hours.from <= clock && clock < hours.to
        } else {
            clock >= hours.from || clock < hours.to
        };
        if second >= from_s && !is_quiet {
            days.entry(day).or_default().push(second);
        }
    }
    days
}

/// Rows of each day by raising the level one row at a time: the next goes to the day that is emptiest by weight.
fn is_level(days: &BTreeMap<Date, Vec<i64>>, rows: &BTreeMap<Date, u64>, cap: u64) -> bool {
    let weight = |day: &Date| days[day].len() as f64;
    let rows_of = |day: &Date| rows.get(day).copied().unwrap_or(0) as f64;
    let open: Vec<&Date> = days.keys().filter(|day| rows_of(day) < cap as f64).collect();
    // Nobody below the limit is emptier by more than a row than anybody else, full ones too.
    open.iter().all(|low| {
        days.keys()
            .all(|high| (rows_of(high) - 1.0) / weight(high) <= (rows_of(low) + 1.0) / weight(low) + 1e-9)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn a_plan_is_what_counting_second_by_second_gives(case in cases(), interval in 1..5000_usize) {
        let zone = zone(case.name);
        let time = |second: i32| jiff::civil::Time::midnight() + jiff::Span::new().seconds(second);
        let hours = QuietHours { from: time(case.quiet.0), to: time(case.quiet.1) };
        let calendar = Calendar { zone: zone.clone(), quiet: Some(hours), daily_limit: None };
        let local = |second: i64| zone.local(Timestamp::from_second(second).unwrap());
        let mut rules = window("2026-01-01T00:00", "2026-01-02T00:00", case.name);
        let (from, to) = (local(case.start_s), local(case.start_s + case.length_s));
        rules.schedule.window = Some(LocalWindow { from, to });
        rules.daily_limit = case.limit;
        let now = Timestamp::from_second(case.now_s).unwrap();
        let terms = PlanTerms { rules: &rules, calendar: &calendar, charged: &[], workspace_charged: &[], now };
        let (from_s, to_s) = (zone.resolve(from).as_second().max(case.now_s), zone.resolve(to).as_second());
        let days = counted(&case, &calendar, from_s, to_s);
        let cap = case.limit.unwrap_or(u64::MAX);
        let room = cap.saturating_mul(days.len() as u64);
        let made = match plan(case.rows, &terms) {
            Ok(made) => made,
            Err(Infeasible::Limit(short)) => {
                prop_assert!(room < case.rows && short.capacity == room);
                return Ok(());
            }
            Err(Infeasible::Quiet { .. } | Infeasible::Empty { .. } | Infeasible::Past { .. }) => {
                prop_assert!(days.is_empty());
                return Ok(());
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        prop_assert!(!days.is_empty() && room >= case.rows);

        // Each row in one allowed second, in order; sums right.
        let planned: Vec<i64> = (0..case.rows).map(|row| made.planned_at(row).unwrap().as_second()).collect();
        prop_assert!(planned.is_sorted());
        prop_assert_eq!((made.total(), made.planned_at(case.rows)), (case.rows, None));
        let mut rows_of: BTreeMap<Date, u64> = BTreeMap::new();
        for second in &planned {
            let day = days.iter().find(|(_, seconds)| seconds.binary_search(second).is_ok());
            prop_assert!(day.is_some(), "a row in a second that is not allowed");
            *rows_of.entry(*day.unwrap().0).or_default() += 1;
        }
        prop_assert_eq!(made.per_day(), rows_of.clone().into_iter().collect::<Vec<_>>());
        prop_assert!(rows_of.values().all(|rows| *rows <= cap));
        prop_assert!(is_level(&days, &rows_of, cap), "{:?}", rows_of);

        // `due` counts the rows planned, in every second.
        for second in from_s - 2..to_s + 2 {
            let want = planned.partition_point(|planned| *planned <= second) as u64;
            prop_assert_eq!(made.due(Timestamp::from_second(second).unwrap()), want);
        }
        for (row, second) in planned.iter().enumerate() {
            prop_assert_eq!(made.next_due(row as u64), Some(*second));
        }

        // Intervals of one length inside a day differ by at most one row, over quiet hours too.
        for seconds in days.values().filter(|seconds| seconds.len() >= interval) {
            let rows: Vec<usize> = seconds
                .windows(interval)
                .map(|part| {
                    let (first, last) = (part[0], part[interval - 1]);
                    planned.partition_point(|at| *at <= last) - planned.partition_point(|at| *at < first)
                })
                .collect();
            prop_assert!(rows.iter().max().unwrap() - rows.iter().min().unwrap() <= 1);
        }
        // Spans lie in order, and each day's rows are those of its spans.
        prop_assert!(made.spans.windows(2).all(|pair| pair[0].to_s <= pair[1].from_s));
        for span in &made.spans {
            let inside = planned.iter().filter(|at| (span.from_s..span.to_s).contains(*at)).count() as u64;
            prop_assert_eq!(inside, span.rows);
        }
    }
}
