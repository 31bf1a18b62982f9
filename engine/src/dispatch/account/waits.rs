//! Receipts that do not come: which units have waited for theirs too long.
//!
//! For each chunk a time is kept before which none of its units can be overdue; only a chunk whose time has come is
//! looked at, in its columns, unit by unit. What is overdue ends as a receipt does, by a fact that says `unknown`.
//! Of a campaign that asks for no receipts nothing is kept.

use super::Account;
use crate::dispatch::columns::for_each_id;
use crate::dispatch::keeper::AwaitedId;
use crate::model::{ChunkNo, ChunkState, NO_TIME, UnitStatus};
use std::collections::BTreeMap;

/// The last time that the columns can tell, 49 days behind the campaign's creation: it stands for any later one.
const LATEST: u32 = NO_TIME - 1;

/// Units that await their receipts.
#[derive(Default)]
pub(super) struct Waits {
    asks: bool,
    /// Units that are `sent`.
    units: u64,
    /// A time of the oldest one's answer or before, by chunk; in the time of the columns.
    since: BTreeMap<ChunkNo, u32>,
    /// When the newest answer came that this run knows of; stands for times that the columns cannot tell.
    newest_ms: u64,
}

impl Waits {
    /// A unit has changed its status.
    #[inline]
    pub(super) fn moved(&mut self, before: UnitStatus, status: UnitStatus) {
        self.units += u64::from(status == UnitStatus::Sent);
        self.units -= u64::from(before == UnitStatus::Sent);
    }

    /// Units of a chunk were answered, the oldest at `at` in the time of its columns.
    pub(super) fn answered(&mut self, chunk: ChunkNo, at: u32, at_ms: u64) {
        if self.asks {
            self.newest_ms = self.newest_ms.max(at_ms);
            self.since.entry(chunk).and_modify(|since| *since = at.min(*since)).or_insert(at);
        }
    }
}

/// Units of a chunk whose receipts are overdue.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Overdue {
    /// The units, ascending.
    pub(crate) units: Vec<u16>,
    /// The ids of those that have one, for the receipt index.
    pub(crate) ids: Vec<AwaitedId>,
}

impl Account {
    /// The same account of a campaign that asks for receipts, or does not. Nothing was
    /// answered behind `newest_ms`, as far as is known.
    pub(crate) fn asking(mut self, asks: bool, newest_ms: u64) -> Self {
        self.waits = Waits { asks, newest_ms, ..self.waits };
        self
    }

    /// Whether a receipt is asked for and may still come in time.
    pub(crate) fn awaits_receipts(&self) -> bool {
        self.waits.asks && self.waits.units > 0
    }

    /// Whether receipts were asked for and none is awaited any more.
    pub(crate) fn receipts_are_over(&self) -> bool {
        self.waits.asks && self.waits.units == 0
    }

    /// A chunk that may have units which were sent before `before_ms` and still await their receipts.
    pub(crate) fn overdue_chunk(&mut self, before_ms: u64) -> Option<ChunkNo> {
        loop {
            let waits = &self.waits;
            let found = waits.since.iter().find(|(_, since)| self.answer_ms(**since) < before_ms);
            let chunk = *found?.0;
            if self.octets(chunk).contains(&(UnitStatus::Sent as u8)) {
                return Some(chunk);
            }
            self.waits.since.remove(&chunk);
        }
    }

    /// The units of a chunk that were sent before `before_ms` and still await their receipts; they are not found
    /// again. `state`: its columns.
    pub(crate) fn take_overdue(&mut self, state: &ChunkState, before_ms: u64) -> Overdue {
        let mut overdue = Overdue::default();
        let mut since = None;
        for (unit, at) in self.awaiting_since(state) {
            if self.answer_ms(at) < before_ms {
                overdue.units.push(unit);
            } else {
                since = Some(since.map_or(at, |since: u32| since.min(at)));
            }
        }
        match since {
            Some(since) => self.waits.since.insert(state.chunk, since),
            None => self.waits.since.remove(&state.chunk),
        };
        for_each_id(&state.message_ids, |channel, unit, id| {
            if overdue.units.binary_search(&unit).is_ok() {
                overdue.ids.push((channel, unit, id.with_text(|text| Box::from(text))));
            }
        });
        overdue
    }

    /// Takes over from saved columns since when units await their receipts.
    pub(super) fn restore_waits(&mut self, state: &ChunkState) {
        if let Some(since) = self.awaiting_since(state).map(|(_, at)| at).min() {
            let newest_ms = self.waits.newest_ms;
            self.waits.answered(state.chunk, since, newest_ms);
        }
    }

    /// Units of a chunk that are `sent`, and when.
    fn awaiting_since(&self, state: &ChunkState) -> impl Iterator<Item = (u16, u32)> {
        let sent = |(unit, octet): (u16, &u8)| (*octet == UnitStatus::Sent as u8).then_some(unit);
        let units = (0..=u16::MAX).zip(self.octets(state.chunk)).filter_map(sent);
        units.map(|unit| (unit, state.submitted_ms.get(usize::from(unit)).copied().unwrap_or(NO_TIME)))
    }

    /// The statuses of a chunk.
    pub(super) fn octets(&self, chunk: ChunkNo) -> &[u8] {
        let from = chunk as usize * self.chunk_units();
        self.status.get(from..from + self.len_of(chunk)).unwrap_or_default()
    }

    fn answer_ms(&self, at: u32) -> u64 {
        if at < LATEST { self.base_ms + u64::from(at) } else { self.waits.newest_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::tally::Tally;
    use crate::model::record::{Fate, Intent, Outcome, ReceiptFact};
    use crate::model::{CampaignNo, Counts, Incarnation, Run};
    use proptest::prelude::*;

    const NO: CampaignNo = CampaignNo(1);
    const BASE_MS: u64 = 1_000_000;

    /// One message of two parts each.
    fn account(recipients: u64) -> Account {
        Account::new(NO, recipients, 2, BASE_MS).asking(true, BASE_MS)
    }

    /// A unit is sent at `at_ms`, without any latency.
    fn send(account: &mut Account, unit: u16, at_ms: u64) {
        let run = Run { chunk: 0, from: unit, count: 1 };
        let (incarnation, position) = (Incarnation(1), u64::from(unit) + 1);
        let intent = Intent { incarnation, campaign: NO, stop_gen: 0, position, run, attempt: 0, at_ms };
        account.intent(1, &intent);
        let outcome = Outcome { unit, latency_ms: 0, fate: Fate::Accepted(b"id") };
        account.outcomes((0, 9), at_ms, std::iter::once(outcome));
    }

    fn receipt(account: &mut Account, unit: u16, status: UnitStatus) {
        account.receipt(2, BASE_MS, &ReceiptFact { campaign: NO, chunk: 0, unit, status, error: 0 });
    }

    /// The overdue units of chunk 0, each given up.
    fn give_up(account: &mut Account, before_ms: u64) -> Vec<u16> {
        let mut given_up = Vec::new();
        while let Some(chunk) = account.overdue_chunk(before_ms) {
            let state = account.open_columns(chunk).expect("it is in memory");
            let overdue = account.take_overdue(&state, before_ms);
            assert_eq!(overdue.ids.iter().map(|(_, unit, _)| *unit).collect::<Vec<_>>(), overdue.units);
            overdue.units.iter().for_each(|unit| receipt(account, *unit, UnitStatus::Unknown));
            given_up.extend(overdue.units);
        }
        given_up
    }

    fn counts(account: &Account) -> Counts {
        let tally = Tally::default();
        account.publish(&tally);
        tally.counts()
    }

    #[test]
    fn only_what_was_sent_too_long_ago_and_has_no_receipt_is_overdue_and_that_once() {
        let mut account = account(3);
        (0..6).for_each(|unit| send(&mut account, unit, BASE_MS + u64::from(unit) * 100));
        receipt(&mut account, 0, UnitStatus::Delivered);
        receipt(&mut account, 2, UnitStatus::Delivered);
        receipt(&mut account, 3, UnitStatus::Delivered);
        assert_eq!(give_up(&mut account, BASE_MS + 400), [1]);
        let now = counts(&account);
        assert_eq!((now.unknown, now.delivered, now.sent, now.total), (1, 1, 1, 3));
        assert!(give_up(&mut account, BASE_MS + 400).is_empty());
        assert!(account.awaits_receipts());
        assert_eq!(give_up(&mut account, BASE_MS + 501), [4, 5]);
        assert_eq!((counts(&account).unknown, counts(&account).sent), (2, 0));
        assert!(account.receipts_are_over() && account.awaiting(0, None).is_empty());
        receipt(&mut account, 1, UnitStatus::Delivered);
        assert_eq!((counts(&account).unknown, counts(&account).delivered), (1, 2), "refined once");
        receipt(&mut account, 1, UnitStatus::Undeliverable);
        assert_eq!((counts(&account).unknown, counts(&account).delivered), (1, 2), "and not again");
    }

    #[test]
    fn what_asks_for_no_receipts_stays_sent() {
        let mut account = Account::new(NO, 1, 2, BASE_MS);
        (0..2).for_each(|unit| send(&mut account, unit, BASE_MS));
        assert_eq!(account.overdue_chunk(u64::MAX), None);
        assert!(!account.awaits_receipts() && !account.receipts_are_over());
    }

    #[test]
    fn a_time_that_the_columns_cannot_tell_is_the_newest_that_is_known() {
        let late_ms = BASE_MS + u64::from(NO_TIME) + 5_000;
        let mut first = account(1);
        send(&mut first, 0, late_ms);
        send(&mut first, 1, late_ms + 10);
        assert!(give_up(&mut first, late_ms + 10).is_empty());
        let mut restored = account(1).asking(true, late_ms + 50);
        restored.restore(&first.columns(true)[0]);
        assert_eq!(restored.overdue_chunk(late_ms + 50), None);
        assert_eq!(restored.overdue_chunk(late_ms + 51), Some(0));
        assert_eq!(give_up(&mut first, late_ms + 11), [0, 1]);
    }

    proptest! {
        /// Whatever came in which order: a time-out leaves nothing `sent` that was sent before it and everything else
        /// as it is; saved columns find the same units again.
        #[test]
        fn a_time_out_ends_exactly_what_is_overdue(
            sent in proptest::collection::vec((0u16..20, 0u64..1_000), 1..40),
            receipts in proptest::collection::vec(0u16..20, 0..20),
            before in 0u64..1_000,
        ) {
            let mut live = account(10);
            let mut at = [None; 20];
            for (unit, ms) in sent {
                if at[usize::from(unit)].is_none() {
                    at[usize::from(unit)] = Some(ms);
                    send(&mut live, unit, BASE_MS + ms);
                }
            }
            receipts.iter().for_each(|unit| receipt(&mut live, *unit, UnitStatus::Delivered));
            let is_due = |unit: &u16| {
                let sent_before = at[usize::from(*unit)].is_some_and(|ms| ms < before);
                sent_before && !receipts.contains(unit)
            };
            let expected: Vec<u16> = (0..20).filter(is_due).collect();
            let state = live.columns(true).remove(0);
            let mut restored = account(10);
            restored.restore(&state);
            prop_assert_eq!(restored.overdue_chunk(BASE_MS + before).is_some(), !expected.is_empty());
            prop_assert_eq!(&restored.take_overdue(&state, BASE_MS + before).units, &expected);
            let statuses: Vec<_> = (0..20).map(|unit| live.status(0, unit)).collect();
            prop_assert_eq!(&give_up(&mut live, BASE_MS + before), &expected);
            for (unit, status) in (0..20).zip(statuses) {
                let wanted = if expected.contains(&unit) { Some(UnitStatus::Unknown) } else { status };
                prop_assert_eq!(live.status(0, unit), wanted);
            }
            prop_assert_eq!(counts(&live).total, 10);
        }
    }
}
