//! Zones in which days and hours are not what they seem, of both hemispheres.

use super::{at, calendar, quiet, zone};
use crate::schedule::{TimeError, Zone};
use jiff::civil::{Date, DateTime};

fn local(text: &str) -> DateTime {
    text.parse().unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn a_local_time_in_a_gap_is_the_first_instant_behind_it_and_one_that_comes_twice_the_first() {
    let table = [
        // Northern spring and autumn.
        ("Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00:00Z"),
        ("America/New_York", "2026-03-08T02:15", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30:00Z"),
        // Southern ones are the other way round.
        ("Australia/Sydney", "2026-10-04T02:30", "2026-10-03T16:00:00Z"),
        ("Australia/Sydney", "2026-04-05T02:30", "2026-04-04T15:30:00Z"),
        ("America/Santiago", "2026-04-04T23:30", "2026-04-05T02:30:00Z"),
        // Half an hour.
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30:00Z"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45:00Z"),
        // A whole day that never was.
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00Z"),
        // Midnight that never was.
        ("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T03:00:00Z"),
        ("Africa/Cairo", "2026-04-24T00:30", "2026-04-23T22:00:00Z"),
        ("Asia/Beirut", "2026-03-29T00:00", "2026-03-28T22:00:00Z"),
        ("UTC", "2028-02-29T23:59:59", "2028-02-29T23:59:59Z"),
        // Far beyond the tables, by rule.
        ("Europe/Berlin", "2150-03-29T02:30", "2150-03-29T01:00:00Z"),
    ];
    for (name, time, instant) in table {
        assert_eq!(zone(name).resolve(local(time)), at(instant), "{time} in {name}");
    }
}

#[test]
fn a_local_day_is_as_long_as_the_clock_makes_it() {
    let table = [
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", 23 * 60),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", 25 * 60),
        ("Australia/Sydney", "2026-10-04", "2026-10-03T14:00:00Z", 23 * 60),
        ("Australia/Sydney", "2026-04-05", "2026-04-04T13:00:00Z", 25 * 60),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30:00Z", 23 * 60 + 30),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z", 24 * 60 + 30),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", 23 * 60),
        ("America/Sao_Paulo", "2019-02-16", "2019-02-16T02:00:00Z", 25 * 60),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z", 23 * 60),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z", 23 * 60),
        ("Asia/Beirut", "2026-10-24", "2026-10-23T21:00:00Z", 25 * 60),
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", 24 * 60),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", 0),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", 24 * 60),
        ("America/St_Johns", "2006-10-29", "2006-10-29T02:30:00Z", 25 * 60),
        ("Asia/Kathmandu", "2028-02-29", "2028-02-28T18:15:00Z", 24 * 60),
        ("Pacific/Kiritimati", "2026-12-31", "2026-12-30T10:00:00Z", 24 * 60),
    ];
    for (name, date, start, minutes) in table {
        let (zone, date) = (zone(name), day(date));
        let (begins, ends) = (zone.day_start(date), zone.day_end(date));
        assert_eq!(begins, at(start), "{date} in {name}");
        assert_eq!(ends.as_second() - begins.as_second(), minutes * 60, "{date} in {name}");
        if minutes > 0 {
            let last = jiff::Timestamp::from_second(ends.as_second() - 1).unwrap();
            assert_eq!((zone.day_of(begins), zone.day_of(last)), (date, date), "{date} in {name}");
        }
        assert!(zone.day_of(ends) > date, "{date} in {name}");
    }
}

#[test]
fn days_follow_each_other_without_gap_or_overlap_in_every_zone() {
    for name in [
        "Europe/Berlin",
        "America/St_Johns",
        "America/Havana",
        "Atlantic/Azores",
        "Africa/Casablanca",
        "Asia/Tehran",
        "Pacific/Apia",
        "Antarctica/Troll",
        "America/Nuuk",
        "Asia/Gaza",
    ] {
        let zone = zone(name);
        for year in [1987, 2006, 2011, 2026, 2040] {
            let mut date = jiff::civil::date(year, 1, 1);
            while date.year() == year {
                let (start, end) = (zone.day_start(date), zone.day_end(date));
                assert!(start <= end, "{date} in {name}");
                let mut second = start.as_second();
                while second < end.as_second() {
                    let instant = jiff::Timestamp::from_second(second).unwrap();
                    assert_eq!(zone.day_of(instant), date, "{instant} in {name}");
                    second += 1801;
                }
                date = date.tomorrow().unwrap();
            }
        }
    }
}

#[test]
fn a_zone_is_known_by_its_iana_name_alone_and_never_by_files_of_the_machine() {
    assert_eq!(zone("europe/berlin").name(), "Europe/Berlin");
    assert_eq!(zone("UTC").name(), "UTC");
    for name in
        ["", "Mars/Olympus", "Etc/Unknown", "Europe/Berlin ", "+02:00", "../etc/localtime", "CET-1CEST"]
    {
        let refused = Zone::named(name).unwrap_err();
        assert_eq!(refused.name, name);
        assert!(refused.to_string().contains("IANA name"), "{refused}");
    }
    assert_eq!(Zone::named(&"x".repeat(5000)).unwrap_err().name.len(), 40);
}

#[test]
fn a_typed_time_is_local_without_an_offset_and_an_instant_with_one() {
    let berlin = zone("Europe/Berlin");
    let table = [
        ("2026-03-29T02:30", "2026-03-29T02:30", "2026-03-29T01:00:00Z"),
        ("2026-03-29 02:30:15", "2026-03-29T02:30:15", "2026-03-29T01:00:00Z"),
        ("2026-07-01T12:00", "2026-07-01T12:00", "2026-07-01T10:00:00Z"),
        ("2026-07-01T12:00Z", "2026-07-01T14:00", "2026-07-01T12:00:00Z"),
        ("2026-07-01T12:00-05:00", "2026-07-01T19:00", "2026-07-01T17:00:00Z"),
        ("2026-03-29T02:30+01:00", "2026-03-29T03:30", "2026-03-29T01:30:00Z"),
        ("2026-10-25T02:30", "2026-10-25T02:30", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30+02:00", "2026-10-25T02:30", "2026-10-25T00:30:00Z"),
        ("2026-12-31T23:30-02:00", "2027-01-01T02:30", "2027-01-01T01:30:00Z"),
    ];
    for (text, time, instant) in table {
        let moment = berlin.parse(text).unwrap();
        assert_eq!((moment.local, moment.instant), (local(time), at(instant)), "{text}");
    }
    for text in
        ["", "tomorrow", "2026-02-29T10:00", "2026-03-29T24:00", "29.03.2026 10:00", "2026-03-29T10:00+99:00"]
    {
        assert!(
            matches!(berlin.parse(text), Err(TimeError::Malformed(_))),
            "{text}: {:?}",
            berlin.parse(text)
        );
    }
    assert!(matches!(berlin.parse("2026-03-29"), Err(TimeError::NoTime(_))));
    assert!(matches!(berlin.parse("2026-03-29T10:00[Europe/Paris]"), Err(TimeError::Bracketed(_))));
    assert!(matches!(berlin.parse("0026-03-29T10:00"), Err(TimeError::OutOfRange(_))));
    assert!(matches!(berlin.parse("9999-12-31T23:59:59Z"), Err(TimeError::OutOfRange(_))));
    let second = berlin.parse("2026-10-25T02:30+01:00").unwrap_err();
    assert!(matches!(second, TimeError::SecondOccurrence { .. }) && second.to_string().contains("twice"));
}

/// Allowed stretches of one local day, written as instants.
fn stretches(name: &str, from: &str, to: &str, date: &str) -> Vec<(String, String)> {
    let calendar = calendar(name, quiet(from, to));
    let (start, end) = (calendar.zone.day_start(day(date)), calendar.zone.day_end(day(date)));
    let text = |second| jiff::Timestamp::from_second(second).unwrap().to_string();
    let found = calendar.allowed(start.as_second(), end.as_second());
    found
        .map(|stretch| {
            assert_eq!(stretch.day, day(date));
            (text(stretch.from_s), text(stretch.to_s))
        })
        .collect()
}

#[test]
fn quiet_hours_are_what_the_local_clock_says() {
    type Spans = &'static [(&'static str, &'static str)];
    let table: [(&str, [&str; 3], Spans); 12] = [
        (
            "Europe/Berlin",
            ["22:00", "07:00", "2026-07-01"],
            &[("2026-07-01T05:00:00Z", "2026-07-01T20:00:00Z")],
        ),
        (
            "Europe/Berlin",
            ["12:00", "13:00", "2026-07-01"],
            &[
                ("2026-06-30T22:00:00Z", "2026-07-01T10:00:00Z"),
                ("2026-07-01T11:00:00Z", "2026-07-01T22:00:00Z"),
            ],
        ),
        (
            "Europe/Berlin",
            ["09:00", "09:00", "2026-07-01"],
            &[("2026-06-30T22:00:00Z", "2026-07-01T22:00:00Z")],
        ),
        (
            "Europe/Berlin",
            ["00:00", "08:00", "2026-07-01"],
            &[("2026-07-01T06:00:00Z", "2026-07-01T22:00:00Z")],
        ),
        (
            "Europe/Berlin",
            ["22:00", "00:00", "2026-07-01"],
            &[("2026-06-30T22:00:00Z", "2026-07-01T20:00:00Z")],
        ),
        // Their end lies in the gap: over when the clock jumps.
        (
            "Europe/Berlin",
            ["22:00", "02:30", "2026-03-29"],
            &[("2026-03-29T01:00:00Z", "2026-03-29T20:00:00Z")],
        ),
        // Wholly in the gap: that day has none.
        (
            "Europe/Berlin",
            ["02:00", "03:00", "2026-03-29"],
            &[("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")],
        ),
        // Their end comes twice: quiet again when the clock shows a quiet time again.
        (
            "Europe/Berlin",
            ["22:00", "02:30", "2026-10-25"],
            &[
                ("2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),
                ("2026-10-25T01:30:00Z", "2026-10-25T21:00:00Z"),
            ],
        ),
        (
            "Australia/Lord_Howe",
            ["21:00", "02:15", "2026-10-04"],
            &[("2026-10-03T15:30:00Z", "2026-10-04T10:00:00Z")],
        ),
        (
            "Asia/Beirut",
            ["23:30", "00:30", "2026-03-29"],
            &[("2026-03-28T22:00:00Z", "2026-03-29T20:30:00Z")],
        ),
        // One second short of the whole day.
        ("UTC", ["00:00:01", "00:00:00", "2026-07-01"], &[("2026-07-01T00:00:00Z", "2026-07-01T00:00:01Z")]),
        // Less than a second is left: nothing.
        ("UTC", ["10:00:00", "09:59:59.999", "2026-07-01"], &[]),
    ];
    for (name, [from, to, date], want) in table {
        let want: Vec<(String, String)> = want.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        assert_eq!(stretches(name, from, to, date), want, "{from}-{to} on {date} in {name}");
    }
}
