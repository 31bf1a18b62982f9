//! A month of a bill: calendar months of UTC, because traffic is stored by hours of UTC.

use engine::model::traffic::HOUR_MS;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::ops::Range;
use std::str::FromStr;

/// The first year that can be asked for: nothing was ever sent before.
const FIRST_YEAR: i16 = 2000;

/// A month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Month {
    first: Date,
}

/// Not a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a month is written YYYY-MM, from the year 2000 on")]
pub(crate) struct NotAMonth;

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let digits = |part: &str| part.bytes().all(|octet| octet.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(NotAMonth)?;
        if (year.len(), month.len()) != (4, 2) || !digits(year) || !digits(month) {
            return Err(NotAMonth);
        }
        let (year, month) = (year.parse().map_err(|_| NotAMonth)?, month.parse().map_err(|_| NotAMonth)?);
        let first = Date::new(year, month, 1).ok().filter(|first| first.year() >= FIRST_YEAR);
        // The last month of the calendar has no end.
        first
            .filter(|first| first.last_of_month().tomorrow().is_ok())
            .map(|first| Self { first })
            .ok_or(NotAMonth)
    }
}

impl Month {
    /// Its first instant.
    pub(crate) fn from(self) -> Timestamp {
        instant(self.first)
    }

    /// The first instant behind it.
    pub(crate) fn to(self) -> Timestamp {
        self.first.last_of_month().tomorrow().map_or(Timestamp::MAX, instant)
    }

    /// Its hours since 1970.
    pub(crate) fn hours(self) -> Range<u32> {
        hour_of(self.from())..hour_of(self.to())
    }
}

/// The hour since 1970 that an instant is in.
pub(crate) fn hour_of(at: Timestamp) -> u32 {
    let ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
    u32::try_from(ms / HOUR_MS).unwrap_or(u32::MAX)
}

fn instant(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_its_hours_and_nothing_else_is_one() {
        let month: Month = "2028-02".parse().expect("a month");
        assert_eq!(month.hours().len(), 29 * 24);
        assert_eq!(month.from().to_string(), "2028-02-01T00:00:00Z");
        assert_eq!(month.to().to_string(), "2028-03-01T00:00:00Z");
        let next: Month = "2028-03".parse().expect("a month");
        assert_eq!(month.hours().end, next.hours().start);
        for text in
            ["", "2028", "2028-2", "2028-13", "2028-00", "1999-12", "9999-12", "+028-02", "2028-02-01"]
        {
            assert_eq!(text.parse::<Month>(), Err(NotAMonth), "{text}");
        }
    }
}
