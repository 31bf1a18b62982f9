//! Which recipients are charged to which local day: what daily limits count, as a pure function of a campaign's facts.
//!
//! A recipient is charged to every day on which it has an open intent: to one, but for parts of a message on both
//! sides of midnight. Once a part of it was accepted, or may have been, it is kept for good on the oldest of them; when
//! no part is intended, accepted or unknown any more, it is charged to no day. What is kept is
//! saved with the columns that show it; what is open is always told again by the journal, because no watermark passes
//! an open intent. So a replay gives the same charges as the first run did.

use crate::schedule::Zone;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

/// Recipients by local day.
pub(crate) type Charges = BTreeMap<Date, u64>;

/// In [`ChunkCharges::of`]: charged to no day.
const NONE: u16 = 0;
/// In [`ChunkCharges::of`]: charged for good.
const KEPT: u16 = 1;
/// In [`ChunkCharges::of`]: this and what is above is charged to the day at this place less [`FIRST`].
const FIRST: u16 = 2;

/// The place of a day among those of its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DayPlace(u16);

/// The local day of moments that mostly lie close together; a change of day costs a look into the zone.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalDays {
    /// UTC without one.
    zone: Option<Zone>,
    from_ms: u64,
    until_ms: u64,
    day: Date,
}

impl LocalDays {
    /// Days of this zone, of UTC without one.
    pub(crate) fn new(zone: Option<Zone>) -> Self {
        Self { zone, from_ms: 0, until_ms: 0, day: Date::ZERO }
    }

    /// The day of a moment, milliseconds since 1970.
    pub(crate) fn of(&mut self, at_ms: u64) -> Date {
        if !(self.from_ms..self.until_ms).contains(&at_ms) {
            let at = i64::try_from(at_ms).unwrap_or(i64::MAX);
            let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
            let ms = |moment: Timestamp| u64::try_from(moment.as_millisecond()).unwrap_or(0);
            let Some(zone) = &self.zone else { return at.to_zoned(jiff::tz::TimeZone::UTC).date() };
            self.day = zone.day_of(at);
            self.from_ms = ms(zone.day_start(self.day));
            self.until_ms = ms(zone.day_end(self.day));
        }
        self.day
    }
}

#[derive(Clone, Copy)]
struct DayCount {
    day: Date,
    /// Recipients that may still be let go.
    open: u64,
    /// Recipients kept since the chunk was last saved.
    kept: u64,
}

/// The charges of one chunk that still moves.
pub(super) struct ChunkCharges {
    /// By recipient, its oldest day.
    of: Vec<u16>,
    /// Younger days of recipients that have open intents on several.
    also: BTreeSet<(usize, DayPlace)>,
    days: Vec<DayCount>,
}

impl ChunkCharges {
    pub(super) fn new(recipients: usize) -> Self {
        Self { of: vec![NONE; recipients], also: BTreeSet::new(), days: Vec::new() }
    }

    /// Makes room for recipients behind those that are there.
    pub(super) fn grow(&mut self, recipients: usize) {
        self.of.resize(recipients, NONE);
    }

    /// The place of a day.
    pub(super) fn place(&mut self, day: Date) -> DayPlace {
        let at = self.days.iter().position(|known| known.day == day).unwrap_or_else(|| {
            self.days.push(DayCount { day, open: 0, kept: 0 });
            self.days.len() - 1
        });
        DayPlace(u16::try_from(at).map_or(u16::MAX, |at| at.saturating_add(FIRST)))
    }

    /// A part of the recipient has an intent of this day.
    #[inline]
    pub(super) fn charge(&mut self, recipient: usize, place: DayPlace) {
        let Some(of) = self.of.get_mut(recipient) else { return };
        let is_new = match *of {
            NONE => {
                *of = place.0;
                true
            }
            KEPT => false,
            oldest => oldest != place.0 && self.also.insert((recipient, place)),
        };
        if is_new && let Some(count) = self.days.get_mut(usize::from(place.0 - FIRST)) {
            count.open += 1;
        }
    }

    /// A part of the recipient was accepted, or may have been.
    #[inline]
    pub(super) fn keep(&mut self, recipient: usize) {
        let Some(of) = self.of.get_mut(recipient) else { return };
        let was = std::mem::replace(of, KEPT);
        if let Some(count) = was.checked_sub(FIRST).and_then(|at| self.days.get_mut(usize::from(at))) {
            count.open -= 1;
            count.kept += 1;
        }
        self.forget_others(recipient);
    }

    fn forget_others(&mut self, recipient: usize) {
        if self.also.is_empty() {
            return;
        }
        let of_it = (recipient, DayPlace(NONE))..=(recipient, DayPlace(u16::MAX));
        for (_, place) in self.also.extract_if(of_it, |_| true) {
            if let Some(count) = self.days.get_mut(usize::from(place.0 - FIRST)) {
                count.open -= 1;
            }
        }
    }

    /// A part of the recipient has lost its intent; `left` are the days of those that its parts still have, the oldest
    /// first.
    pub(super) fn release(&mut self, recipient: usize, left: impl Iterator<Item = DayPlace>) {
        let Some(of) = self.of.get_mut(recipient) else { return };
        let Some(at) = of.checked_sub(FIRST) else { return };
        *of = NONE;
        if let Some(count) = self.days.get_mut(usize::from(at)) {
            count.open -= 1;
        }
        self.forget_others(recipient);
        left.for_each(|place| self.charge(recipient, place));
    }

    /// The recipient was kept before its chunk was saved, and counted there.
    pub(super) fn restore(&mut self, recipient: usize) {
        if let Some(of) = self.of.get_mut(recipient) {
            *of = KEPT;
        }
    }

    /// Adds what was kept since the last save.
    pub(super) fn add_kept(&self, to: &mut Charges) {
        for count in self.days.iter().filter(|count| count.kept > 0) {
            *to.entry(count.day).or_default() += count.kept;
        }
    }

    /// Adds what may still be let go.
    pub(super) fn add_open(&self, to: &mut Charges) {
        for count in self.days.iter().filter(|count| count.open > 0) {
            *to.entry(count.day).or_default() += count.open;
        }
    }

    /// What was kept is saved.
    pub(super) fn saved(&mut self) {
        for count in &mut self.days {
            count.kept = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_local_day_ends_at_local_midnight_also_when_it_has_23_or_25_hours() {
        let mut days = LocalDays::new(Some(Zone::named("Europe/Berlin").expect("a zone")));
        let at = |text: &str| {
            let at: Timestamp = text.parse().expect("a time");
            u64::try_from(at.as_millisecond()).expect("after 1970")
        };
        let cases = [
            ("2026-03-28T22:59:59.999Z", date(2026, 3, 28)),
            ("2026-03-28T23:00:00Z", date(2026, 3, 29)),
            ("2026-03-29T21:59:59.999Z", date(2026, 3, 29)),
            ("2026-03-29T22:00:00Z", date(2026, 3, 30)),
            ("2026-10-24T22:00:00Z", date(2026, 10, 25)),
            ("2026-10-25T22:59:59.999Z", date(2026, 10, 25)),
            ("2026-10-25T23:00:00Z", date(2026, 10, 26)),
            ("2026-03-28T22:59:59.999Z", date(2026, 3, 28)),
        ];
        for (text, day) in cases {
            assert_eq!(days.of(at(text)), day, "{text}");
        }
    }
}
