//! Local times and instants: an IANA zone from the bundled data, and what a time typed by a person means in it.
//!
//! Never reads the machine's zone files or its clock. Invariant: [`Zone::resolve`] is the first instant at which the
//! zone's clock shows the given time or a later one, so it never goes back as the local time goes on.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// Characters of a refused name or time that a message repeats; the longest IANA name has 32.
const MAX_ECHO: usize = 40;

/// Years that typed times may lie in: beyond them is a slip of the keyboard, and the arithmetic of `jiff` ends at 9999.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2999;

/// No zone of that name exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone \"{name}\"; use an IANA name such as Europe/Berlin")]
pub struct UnknownZone {
    /// What was asked for, cut to 40 characters.
    pub name: String,
}

/// Why a typed time cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not a date and time in the form of ISO 8601.
    #[error("\"{0}\" is not a date and time; write it like 2026-03-29T08:30 or 2026-03-29T08:30+02:00")]
    Malformed(String),
    /// A date alone.
    #[error("\"{0}\" has no time of day; write it like 2026-03-29T08:30")]
    NoTime(String),
    /// A zone in brackets: the zone is a field of its own.
    #[error("\"{0}\" names a zone in brackets; the zone has a field of its own")]
    Bracketed(String),
    /// Outside of the years 1970 to 2999.
    #[error("\"{0}\" lies outside of the years 1970 to 2999")]
    OutOfRange(String),
    /// An offset points at the second of two equal local times, which a local time alone cannot name.
    #[error(
        "{local} comes twice that day in {zone}, and only the first can be scheduled; choose another time"
    )]
    SecondOccurrence {
        /// The local time.
        local: DateTime,
        /// The zone.
        zone: String,
    },
}

/// A point of time as people and as machines see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Local time: as typed without an offset, else as the zone's clock shows it.
    pub local: DateTime,
    /// The instant.
    pub instant: Timestamp,
}

/// A time zone with its whole history and its rules for the future. A clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A stretch of seconds, half open, in which the zone's clock runs evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EvenStretch {
    /// First second, since 1970.
    pub(super) from_s: i64,
    /// The second behind the last.
    pub(super) to_s: i64,
    /// Local clock minus UTC, seconds.
    pub(super) offset_s: i64,
}

impl Zone {
    /// The zone of that IANA name, upper or lower case, from the data inside the binary.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        let found = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
        found.map(Self).ok_or_else(|| UnknownZone { name: echo(name) })
    }

    /// Its name as IANA writes it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What its clock shows at an instant.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    /// The instant of a local time: in a gap the first valid one behind it, of two the first.
    /// Times that no instant can hold (year 9999) become the last instant. Cost: about 0.1 us, in a gap 1 us.
    #[must_use]
    pub fn resolve(&self, local: DateTime) -> Timestamp {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(local).unwrap_or_else(|_| end_of_time(local))
            }
            AmbiguousOffset::Gap { after, .. } => {
                let Ok(earlier) = after.to_timestamp(local) else { return end_of_time(local) };
                let mut changes = self.0.following(earlier);
                let end = changes.find(|change| change.offset().to_datetime(change.timestamp()) > local);
                end.map_or(earlier, |change| change.timestamp())
            }
        }
    }

    /// Reads `2026-03-29T02:30`, as a local time of this zone, or the same with an offset or `Z`.
    pub fn parse(&self, text: &str) -> Result<Moment, TimeError> {
        let pieces = Pieces::parse(text).map_err(|_| TimeError::Malformed(echo(text)))?;
        if pieces.time_zone_annotation().is_some() {
            return Err(TimeError::Bracketed(echo(text)));
        }
        let Some(time) = pieces.time() else { return Err(TimeError::NoTime(echo(text))) };
        let typed = DateTime::from_parts(pieces.date(), time);
        if !YEARS.contains(&typed.year()) {
            return Err(TimeError::OutOfRange(echo(text)));
        }
        let offset = match pieces.offset() {
            None => return Ok(Moment { local: typed, instant: self.resolve(typed) }),
            Some(PiecesOffset::Numeric(numeric)) => numeric.offset(),
            Some(_) => jiff::tz::Offset::UTC,
        };
        let instant = offset.to_timestamp(typed).map_err(|_| TimeError::OutOfRange(echo(text)))?;
        let local = self.local(instant);
        if self.resolve(local) != instant {
            return Err(TimeError::SecondOccurrence { local, zone: self.name().to_owned() });
        }
        Ok(Moment { local, instant })
    }

    /// The local day that an instant belongs to. A day that has begun does not end before its next midnight, also
    /// where the clock goes back over midnight: days follow each other without overlap.
    #[must_use]
    pub fn day_of(&self, at: Timestamp) -> Date {
        let mut day = self.local(at).date();
        while let Ok(next) = day.tomorrow() {
            if self.day_start(next) > at {
                break;
            }
            day = next;
        }
        day
    }

    /// The first instant of a local day: midnight, or the first valid one behind it where midnight does not exist.
    #[must_use]
    pub fn day_start(&self, day: Date) -> Timestamp {
        self.resolve(day.to_datetime(Time::midnight()))
    }

    /// The first instant behind a local day; a day that a zone has skipped ends when it starts.
    #[must_use]
    pub fn day_end(&self, day: Date) -> Timestamp {
        day.tomorrow().map_or(Timestamp::MAX, |next| self.day_start(next))
    }

    /// `[from_s, to_s)` cut where the clock is changed. Cost: about 0.5 us and as much for each change.
    pub(super) fn even_stretches(&self, from_s: i64, to_s: i64) -> Vec<EvenStretch> {
        let mut stretches = Vec::new();
        let mut from_s = from_s;
        while from_s < to_s {
            let at = instant_of(from_s);
            let change = self.0.following(at).next().map_or(i64::MAX, |next| next.timestamp().as_second());
            let until = change.min(to_s).max(from_s + 1);
            let offset_s = i64::from(self.0.to_offset(at).seconds());
            stretches.push(EvenStretch { from_s, to_s: until, offset_s });
            from_s = until;
        }
        stretches
    }
}

/// The instant of a second since 1970, cut to what an instant can hold.
pub(super) fn instant_of(second: i64) -> Timestamp {
    let cut = second.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(cut).unwrap_or(Timestamp::MAX)
}

/// The first whole second that is not before an instant.
pub(super) fn second_from(at: Timestamp) -> i64 {
    // `as_second` cuts towards 1970: behind it that is down, before it that is up.
    at.as_second() + i64::from(at.subsec_nanosecond() > 0)
}

/// The second that an instant lies in.
pub(super) fn second_of(at: Timestamp) -> i64 {
    at.as_second() - i64::from(at.subsec_nanosecond() < 0)
}

fn end_of_time(local: DateTime) -> Timestamp {
    if local.year() > 0 { Timestamp::MAX } else { Timestamp::MIN }
}

fn echo(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}

/// A day later, for loops over days; the last day stays.
pub(super) fn day_after(day: Date) -> Date {
    day.checked_add(1.day()).unwrap_or(day)
}
