//! The exact account of one campaign: journal facts folded into a status a unit and counts of recipients.
//!
//! One fold serves the live system and recovery. Columns (ids, times, errors) are held only for chunks that are
//! still moving; once a chunk is settled and saved, one status octet a unit stays. Receipts for saved chunks wait in
//! order of arrival and are folded in chunk order. Applying a fact twice gives what applying it once gives.

mod receipts;
mod traffic;
mod waits;

pub(crate) use traffic::Hours;
pub(crate) use waits::Overdue;

use crate::dispatch::charge::{Charges, LocalDays};
use crate::dispatch::columns::{OpenChunk, OpenRun};
use crate::dispatch::tally::Tally;
use crate::model::record::{Fate, Intent, Outcome, Skip};
use crate::model::{
    CHUNK_RECIPIENTS, CampaignNo, ChunkNo, ChunkState, Incarnation, NO_TIME, Run, UnitStatus,
};
use crate::schedule::Zone;
use crate::store::RowSeq;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use waits::Waits;

/// Receipts waiting for the fold; 12 MiB at 12 octets each, then they are folded.
pub(crate) const MAX_LATE: usize = 1 << 20;

/// Most units of one run: a full chunk of sixteen parts has one more than a run can count.
const MAX_RUN: u16 = 1 << 15;

/// A receipt for a chunk whose columns are no longer in memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Late {
    pub(crate) chunk: ChunkNo,
    pub(crate) unit: u16,
    pub(crate) error: u16,
    pub(crate) at_ms: u32,
}

/// What becomes of units that are not sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsent {
    pub(crate) status: UnitStatus,
    /// One of [`crate::model::record::reason`]'s codes, 0 for none.
    pub(crate) reason: u32,
}

/// The account.
pub(crate) struct Account {
    pub(crate) no: CampaignNo,
    parts: u16,
    units: u64,
    base_ms: u64,
    status: Vec<u8>,
    counts: [u64; UnitStatus::ALL.len()],
    /// Units by status, kept where a message may have several; otherwise they are the counts.
    segments: [u64; UnitStatus::ALL.len()],
    repeated: u64,
    open: BTreeMap<ChunkNo, OpenChunk>,
    saved: Vec<bool>,
    late: Vec<Late>,
    late_row: RowSeq,
    days: LocalDays,
    /// Charges that the saved columns show.
    charged: Charges,
    /// Units that intents were made for since it was asked last.
    intended: u64,
    /// Recipients that were given up without a part of them ever having been handed to the wire.
    never_handed: u64,
    /// Whether recipients are added while it runs.
    is_growing: bool,
    waits: Waits,
    traffic: traffic::Saved,
}

impl Account {
    /// An account with everything queued. Times are kept relative to `base_ms`, wall clock of its creation.
    pub(crate) fn new(no: CampaignNo, recipients: u64, parts: u8, base_ms: u64) -> Self {
        let parts = parts.max(1);
        let units = recipients * u64::from(parts);
        let mut counts = [0; UnitStatus::ALL.len()];
        counts[UnitStatus::Queued as usize] = recipients;
        let mut segments = [0; UnitStatus::ALL.len()];
        segments[UnitStatus::Queued as usize] = units;
        let chunks = recipients.div_ceil(CHUNK_RECIPIENTS as u64);
        Self {
            no,
            parts: u16::from(parts),
            units,
            base_ms,
            status: vec![0; usize::try_from(units).unwrap_or(0)],
            counts,
            segments,
            repeated: 0,
            open: BTreeMap::new(),
            saved: vec![false; usize::try_from(chunks).unwrap_or(0)],
            late: Vec::new(),
            late_row: 0,
            days: LocalDays::default(),
            charged: Charges::new(),
            intended: 0,
            never_handed: 0,
            is_growing: false,
            waits: Waits::default(),
            traffic: BTreeMap::new(),
        }
    }

    /// The same account with its recipients charged to days of this zone, of UTC without one.
    pub(crate) fn in_zone(mut self, zone: Option<Zone>) -> Self {
        self.set_zone(zone);
        self
    }

    /// From now on recipients are charged to days of this zone.
    pub(crate) fn set_zone(&mut self, zone: Option<Zone>) {
        self.days = LocalDays::new(zone);
    }

    /// The same account of a list that grows.
    pub(crate) fn growing(mut self, is_growing: bool) -> Self {
        self.is_growing = is_growing;
        self
    }

    /// Takes over what the saved columns have charged.
    pub(crate) fn restore_charges(&mut self, charged: impl IntoIterator<Item = (Date, u64)>) {
        self.charged = charged.into_iter().collect();
    }

    /// Recipients charged so far, by local day.
    pub(crate) fn charges(&self) -> Vec<(Date, u64)> {
        let mut charges = self.charged.clone();
        for open in self.open.values() {
            open.charges.add_kept(&mut charges);
            open.charges.add_open(&mut charges);
        }
        charges.into_iter().collect()
    }

    /// For how many units it has learned of an intent since it was asked last.
    pub(crate) fn take_intended(&mut self) -> u64 {
        std::mem::take(&mut self.intended)
    }

    /// What the saved columns have charged once those of `chunks` are saved as they are now.
    pub(crate) fn charges_saved_with(&self, chunks: &[ChunkNo]) -> Vec<(Date, u64)> {
        let mut charges = self.charged.clone();
        for open in chunks.iter().filter_map(|chunk| self.open.get(chunk)) {
            open.charges.add_kept(&mut charges);
        }
        charges.into_iter().collect()
    }

    /// Chunks of the campaign.
    pub(crate) fn chunks(&self) -> ChunkNo {
        ChunkNo::try_from(self.saved.len()).unwrap_or(ChunkNo::MAX)
    }

    fn chunk_units(&self) -> usize {
        CHUNK_RECIPIENTS * usize::from(self.parts)
    }

    fn len_of(&self, chunk: ChunkNo) -> usize {
        self.status.len().saturating_sub(chunk as usize * self.chunk_units()).min(self.chunk_units())
    }

    fn index(&self, chunk: ChunkNo, unit: u16) -> Option<usize> {
        let at = chunk as usize * self.chunk_units() + usize::from(unit);
        (usize::from(unit) < self.chunk_units() && at < self.status.len()).then_some(at)
    }

    /// The status of one unit.
    pub(crate) fn status(&self, chunk: ChunkNo, unit: u16) -> Option<UnitStatus> {
        self.index(chunk, unit).and_then(|at| UnitStatus::from_octet(self.status[at]))
    }

    /// Whether the columns of `chunk` have to be loaded before a fact of it is applied.
    pub(crate) fn wants_columns(&self, chunk: ChunkNo) -> bool {
        !self.open.contains_key(&chunk) && self.saved.get(chunk as usize).copied().unwrap_or(false)
    }

    /// Opens a chunk with the columns that were saved.
    pub(crate) fn open_with(&mut self, state: &ChunkState) {
        let len = self.len_of(state.chunk);
        let mut open = OpenChunk::new(len, self.parts);
        open.seed(state);
        // Receipts that waited for these columns: folded into the saved ones later, they would undo what comes now.
        self.late.retain(|late| {
            if late.chunk == state.chunk {
                open.note_receipt(late.unit, late.error, late.at_ms);
            }
            late.chunk != state.chunk
        });
        open.moving = self.moving(state.chunk, len);
        self.open.insert(state.chunk, open);
    }

    fn moving(&self, chunk: ChunkNo, len: usize) -> u32 {
        let from = chunk as usize * self.chunk_units();
        let settled = |octet: &&u8| UnitStatus::from_octet(**octet).is_some_and(|s| !s.is_settled());
        u32::try_from(self.status[from..from + len].iter().filter(settled).count()).unwrap_or(u32::MAX)
    }

    /// Takes over a saved chunk at start: its statuses count, its columns stay on disk.
    pub(crate) fn restore(&mut self, state: &ChunkState) {
        for (unit, octet) in (0..=u16::MAX).zip(&state.status) {
            if let Some(status) = UnitStatus::from_octet(*octet) {
                // An intent is never folded into saved state: without its outcome the journal still holds it.
                let status = if status == UnitStatus::Intended { UnitStatus::Queued } else { status };
                self.set(state.chunk, unit, status);
            }
        }
        let never = |parts: &[u32]| parts.iter().all(|at| *at == NO_TIME);
        let from = state.chunk as usize * self.chunk_units();
        let parts = usize::from(self.parts);
        for (units, times) in
            self.status[from..].chunks_exact(parts).zip(state.submitted_ms.chunks_exact(parts))
        {
            self.never_handed += u64::from(is_given_up(whole(units)) && never(times));
        }
        if let Some(saved) = self.saved.get_mut(state.chunk as usize) {
            *saved = true;
        }
        self.restore_waits(state);
        self.keep_traffic(self.traffic_of(std::slice::from_ref(state)));
    }

    /// Applies an intent that row `row` made durable.
    pub(crate) fn intent(&mut self, row: RowSeq, intent: &Intent) {
        let Run { chunk, from, count } = intent.run;
        // The last unit, not the end behind it: a chunk of sixteen parts ends at 65,536.
        let Some(last) = count.checked_sub(1).and_then(|more| from.checked_add(more)) else { return };
        if self.index(chunk, last).is_none() {
            return;
        }
        self.intended += u64::from(count);
        let day = self.days.of(intent.at_ms);
        self.ensure_open(chunk);
        let Some(mut open) = self.open.remove(&chunk) else { return };
        let day = open.charges.place(day);
        let Intent { incarnation, position, .. } = *intent;
        let slot = open.add_run(OpenRun { row, incarnation, position, from, left: count, day });
        for unit in from..=last {
            open.release(unit);
            open.run_of[usize::from(unit)] = slot;
            open.charges.charge(open.recipient(unit), day);
            if let Some(before) = self.set(chunk, unit, UnitStatus::Intended) {
                open.moved(before, UnitStatus::Intended);
            }
        }
        self.open.insert(chunk, open);
    }

    /// Applies outcomes of one chunk over one channel.
    pub(crate) fn outcomes<'a>(
        &mut self,
        (chunk, channel): (ChunkNo, u32),
        at_ms: u64,
        entries: impl Iterator<Item = Outcome<'a>>,
    ) {
        let at = self.relative(at_ms);
        self.waits.answered(chunk, at, at_ms);
        self.ensure_open(chunk);
        // Out of the map for the loop: one look-up a section, not three a unit.
        let Some(mut open) = self.open.remove(&chunk) else { return };
        let channel = open.channel(channel);
        for outcome in entries {
            let Some(before) = self.set(chunk, outcome.unit, outcome.fate.status()) else { continue };
            open.release(outcome.unit);
            open.moved(before, outcome.fate.status());
            open.note(&outcome, at, channel);
            open.charge_outcome(outcome.unit, &outcome.fate);
            self.repeated += u64::from(matches!(outcome.fate, Fate::Repeat));
        }
        self.open.insert(chunk, open);
    }

    /// Applies a revocation: units of the run that have an intent and no outcome are queued again.
    pub(crate) fn revoke(&mut self, run: &Run) {
        let Some(last) = run.count.checked_sub(1).and_then(|more| run.from.checked_add(more)) else { return };
        for unit in run.from..=last {
            if self.status(run.chunk, unit) == Some(UnitStatus::Intended) {
                self.release_run(run.chunk, unit);
                self.move_unit(run.chunk, unit, UnitStatus::Queued);
                if let Some(open) = self.open.get_mut(&run.chunk) {
                    open.uncharge(unit);
                }
            }
        }
    }

    /// Settles units that were never sent; what has an intent or an outcome stays as it is.
    pub(crate) fn skip(&mut self, skip: &Skip) {
        let run = &skip.run;
        let Some(last) = run.count.checked_sub(1).and_then(|more| run.from.checked_add(more)) else { return };
        if self.index(run.chunk, last).is_none() {
            return;
        }
        self.ensure_open(run.chunk);
        let unsent = Unsent { status: skip.status, reason: skip.reason };
        for unit in run.from..=last {
            self.give_up(run.chunk, unit, unsent);
        }
    }

    /// Settles a queued unit without sending it.
    fn give_up(&mut self, chunk: ChunkNo, unit: u16, unsent: Unsent) {
        if self.status(chunk, unit) != Some(UnitStatus::Queued) {
            return;
        }
        let parts = usize::from(self.parts);
        let first = usize::from(unit) / parts * parts;
        let at = chunk as usize * self.chunk_units() + first;
        let before = whole(&self.status[at..at + parts]);
        self.move_unit(chunk, unit, unsent.status);
        let is = whole(&self.status[at..at + parts]);
        let Some(open) = self.open.get_mut(&chunk) else { return };
        if unsent.reason != 0 {
            open.errors.insert(unit, unsent.reason);
        }
        let was_handed = open.submitted_ms[first..first + parts].iter().any(|at| *at != NO_TIME);
        self.never_handed += u64::from(!is_given_up(before) && is_given_up(is) && !was_handed);
    }

    /// Adds recipients behind those that are there, queued; whether there is anything new about them. The columns of
    /// a saved chunk must be there.
    pub(crate) fn grow(&mut self, chunk: ChunkNo, from: u16, count: u16) -> bool {
        let parts = usize::from(self.parts);
        let end = chunk as usize * CHUNK_RECIPIENTS + usize::from(from) + usize::from(count);
        let had = self.status.len() / parts;
        if end <= had {
            return false;
        }
        self.status.resize(end * parts, UnitStatus::Queued as u8);
        self.units = (end * parts) as u64;
        self.counts[UnitStatus::Queued as usize] += (end - had) as u64;
        self.segments[UnitStatus::Queued as usize] += ((end - had) * parts) as u64;
        self.saved.resize(end.div_ceil(CHUNK_RECIPIENTS), false);
        let len = self.len_of(chunk);
        if let Some(open) = self.open.get_mut(&chunk) {
            open.grow(len);
        }
        true
    }

    /// Chunks with something queued.
    pub(crate) fn queued_chunks(&self) -> Vec<ChunkNo> {
        if self.is_settled() {
            return Vec::new();
        }
        let has_queued = |chunk: &ChunkNo| {
            let from = *chunk as usize * self.chunk_units();
            self.status[from..from + self.len_of(*chunk)].contains(&(UnitStatus::Queued as u8))
        };
        (0..self.chunks()).filter(has_queued).collect()
    }

    /// Settles everything still queued in a chunk, whose columns must be there if it was saved.
    pub(crate) fn settle_queued(&mut self, chunk: ChunkNo, unsent: Unsent) {
        self.ensure_open(chunk);
        for unit in (0..=u16::MAX).take(self.len_of(chunk)) {
            self.give_up(chunk, unit, unsent);
        }
    }

    /// Runs of queued units of one chunk.
    pub(crate) fn queued_runs(&self, chunk: ChunkNo) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for unit in (0..=u16::MAX).take(self.len_of(chunk)) {
            if self.status(chunk, unit) != Some(UnitStatus::Queued) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.count < MAX_RUN && run.from.wrapping_add(run.count) == unit => {
                    run.count += 1
                }
                _ => runs.push(Run { chunk, from: unit, count: 1 }),
            }
        }
        runs
    }

    /// Whether every unit of the chunk is still queued, and it will not grow.
    pub(crate) fn is_untouched(&self, chunk: ChunkNo) -> bool {
        if self.is_growing {
            return false;
        }
        let from = chunk as usize * self.chunk_units();
        self.status[from..from + self.len_of(chunk)].iter().all(|s| *s == UnitStatus::Queued as u8)
    }

    /// Every unit with an intent and no outcome, with the intent's incarnation and the unit's position in it.
    pub(crate) fn unresolved(&self) -> Vec<(ChunkNo, u16, Incarnation, u64)> {
        let mut units = Vec::new();
        for (chunk, open) in &self.open {
            for (unit, slot) in (0..=u16::MAX).zip(&open.run_of) {
                if let Some(run) = open.runs.get(usize::from(*slot)) {
                    units.push((*chunk, unit, run.incarnation, run.position + u64::from(unit - run.from)));
                }
            }
        }
        units
    }

    /// Whether nothing is queued and nothing in flight.
    pub(crate) fn is_settled(&self) -> bool {
        self.counts[UnitStatus::Queued as usize] == 0 && self.counts[UnitStatus::Intended as usize] == 0
    }

    /// The row up to which a save of everything may claim to be folded; `applied` is the newest applied row.
    pub(crate) fn watermark(&self, applied: RowSeq) -> RowSeq {
        let open = self.open.values().flat_map(|c| c.runs.iter()).filter(|r| r.left > 0).map(|r| r.row);
        let late = (!self.late.is_empty()).then_some(self.late_row);
        open.chain(late).min().map_or(applied, |row| row.saturating_sub(1).min(applied))
    }

    /// Settled chunks whose columns are complete; saving them lets their memory go.
    pub(crate) fn complete_chunks(&self) -> usize {
        self.open.values().filter(|c| c.moving == 0).count()
    }

    /// The columns to save: complete chunks, or every changed one.
    pub(crate) fn columns(&self, changed_too: bool) -> Vec<ChunkState> {
        let wanted = |c: &OpenChunk| c.moving == 0 || (changed_too && c.dirty);
        self.open.iter().filter(|(_, c)| wanted(c)).map(|(no, c)| self.state(*no, c)).collect()
    }

    /// The columns of a chunk that is in memory.
    pub(crate) fn open_columns(&self, chunk: ChunkNo) -> Option<ChunkState> {
        self.open.get(&chunk).map(|open| self.state(chunk, open))
    }

    fn state(&self, chunk: ChunkNo, open: &OpenChunk) -> ChunkState {
        let from = chunk as usize * self.chunk_units();
        let len = self.len_of(chunk);
        let status = self.status[from..from + len].to_vec();
        ChunkState { chunk, status, ..open.columns() }
    }

    /// Notes that these columns are on disk: settled chunks leave memory.
    pub(crate) fn saved(&mut self, chunks: &[ChunkNo]) {
        for chunk in chunks {
            if let Some(saved) = self.saved.get_mut(*chunk as usize) {
                *saved = true;
            }
            let Some(open) = self.open.get_mut(chunk) else { continue };
            open.charges.add_kept(&mut self.charged);
            open.charges.saved();
            open.dirty = false;
            if open.moving == 0 {
                self.open.remove(chunk);
            }
        }
    }

    /// Publishes the counts.
    pub(crate) fn publish(&self, tally: &Tally) {
        let segments = if self.parts == 1 { &self.counts } else { &self.segments };
        for (cells, counts) in [(&tally.by_status, &self.counts), (&tally.segments, segments)] {
            cells.iter().zip(counts).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
        }
        tally.repeated.store(self.repeated, Ordering::Relaxed);
        let unsent = [UnitStatus::Queued, UnitStatus::Intended, UnitStatus::Cancelled, UnitStatus::Skipped];
        let unsent: u64 = unsent.iter().map(|s| self.counts[*s as usize]).sum();
        let unsent = unsent + self.never_handed;
        tally.submitted.store((self.units / u64::from(self.parts)).saturating_sub(unsent), Ordering::Relaxed);
    }

    fn relative(&self, at_ms: u64) -> u32 {
        u32::try_from(at_ms.saturating_sub(self.base_ms)).unwrap_or(NO_TIME - 1).min(NO_TIME - 1)
    }

    fn ensure_open(&mut self, chunk: ChunkNo) -> &mut OpenChunk {
        let len = self.len_of(chunk);
        let moving = if self.open.contains_key(&chunk) { 0 } else { self.moving(chunk, len) };
        let parts = self.parts;
        self.open.entry(chunk).or_insert_with(|| OpenChunk { moving, ..OpenChunk::new(len, parts) })
    }

    /// The unit's present intent, if any, has its outcome.
    fn release_run(&mut self, chunk: ChunkNo, unit: u16) {
        if let Some(open) = self.open.get_mut(&chunk) {
            open.release(unit);
        }
    }

    fn move_unit(&mut self, chunk: ChunkNo, unit: u16, status: UnitStatus) {
        let Some(before) = self.set(chunk, unit, status) else { return };
        if let Some(open) = self.open.get_mut(&chunk) {
            open.moved(before, status);
        }
    }

    /// Sets one unit and keeps the counts of recipients; returns the status before.
    fn set(&mut self, chunk: ChunkNo, unit: u16, status: UnitStatus) -> Option<UnitStatus> {
        let at = self.index(chunk, unit)?;
        let before = UnitStatus::from_octet(self.status[at])?;
        self.waits.moved(before, status);
        if self.parts == 1 {
            self.status[at] = status as u8;
            self.counts[before as usize] -= 1;
            self.counts[status as usize] += 1;
            return Some(before);
        }
        self.segments[before as usize] -= 1;
        self.segments[status as usize] += 1;
        let parts = usize::from(self.parts);
        let first = at / parts * parts;
        let was = whole(&self.status[first..first + parts]);
        self.status[at] = status as u8;
        let is = whole(&self.status[first..first + parts]);
        self.counts[was as usize] -= 1;
        self.counts[is as usize] += 1;
        Some(before)
    }
}

/// Whether a recipient of this status may have been given up without having been handed to the wire.
fn is_given_up(status: UnitStatus) -> bool {
    matches!(status, UnitStatus::Failed | UnitStatus::Expired)
}

/// The status of a recipient whose message has several parts: the least finished part decides, then the worst. A part
/// that surely failed is worse than one that nobody knows about: what that one is in the end changes nothing.
pub(crate) fn whole(parts: &[u8]) -> UnitStatus {
    const ORDER: [UnitStatus; 11] = [
        UnitStatus::Intended,
        UnitStatus::Queued,
        UnitStatus::Failed,
        UnitStatus::Rejected,
        UnitStatus::Undeliverable,
        UnitStatus::Expired,
        UnitStatus::Unknown,
        UnitStatus::Sent,
        UnitStatus::Cancelled,
        UnitStatus::Skipped,
        UnitStatus::Delivered,
    ];
    let present = parts.iter().filter(|p| **p != UnitStatus::Absent as u8).count();
    let cancelled = parts.iter().filter(|p| **p == UnitStatus::Cancelled as u8).count();
    let settled = parts.iter().all(|p| UnitStatus::from_octet(*p).is_some_and(UnitStatus::is_settled));
    if settled && cancelled > 0 && cancelled < present {
        return UnitStatus::Failed;
    }
    ORDER.into_iter().find(|s| parts.contains(&(*s as u8))).unwrap_or(UnitStatus::Absent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Counts;
    use crate::model::record::ReceiptFact;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn intent(row: RowSeq, chunk: ChunkNo, from: u16, count: u16) -> (RowSeq, Intent) {
        let run = Run { chunk, from, count };
        let incarnation = Incarnation(1);
        (
            row,
            Intent {
                incarnation,
                campaign: CampaignNo(1),
                stop_gen: 0,
                position: 1,
                run,
                attempt: 0,
                at_ms: 0,
            },
        )
    }

    fn settle(account: &mut Account, chunk: ChunkNo, units: std::ops::Range<u16>, fate: Fate<'_>) {
        account.outcomes((chunk, 9), 1_000, units.map(|unit| Outcome { unit, latency_ms: 1, fate }));
    }

    fn delivered(account: &mut Account, chunk: ChunkNo, unit: u16) {
        let fact =
            ReceiptFact { campaign: CampaignNo(1), chunk, unit, status: UnitStatus::Delivered, error: 0 };
        account.receipt(9, 2_000, &fact);
    }

    fn counts(account: &Account) -> Counts {
        let tally = Tally::default();
        account.publish(&tally);
        tally.counts()
    }

    #[test]
    fn the_watermark_stays_below_the_oldest_intent_without_outcome() {
        let mut account = Account::new(CampaignNo(1), 5_000, 1, 0);
        let (row, first) = intent(3, 0, 0, 10);
        account.intent(row, &first);
        let (row, second) = intent(5, 1, 0, 10);
        account.intent(row, &second);
        assert_eq!(account.watermark(7), 2);
        settle(&mut account, 0, 0..10, Fate::Accepted(b"x"));
        assert_eq!(account.watermark(7), 4);
        settle(&mut account, 1, 0..9, Fate::Unknown);
        assert_eq!(account.watermark(7), 4);
        account.revoke(&Run { chunk: 1, from: 0, count: 10 });
        assert_eq!(account.watermark(7), 7);
        let counts = counts(&account);
        assert_eq!((counts.sent, counts.unknown, counts.queued), (10, 9, 4_981));
    }

    #[test]
    fn a_settled_and_saved_chunk_leaves_memory_and_takes_late_receipts_when_folded() {
        let mut account = Account::new(CampaignNo(1), 10, 1, 500);
        account.intent(1, &intent(1, 0, 0, 10).1);
        settle(&mut account, 0, 0..10, Fate::Accepted(b"id"));
        let columns = account.columns(false);
        assert_eq!(columns.len(), 1);
        assert_eq!(columns[0].submitted_ms, vec![499; 10]);
        account.saved(&[0]);
        assert_eq!(account.complete_chunks(), 0);
        delivered(&mut account, 0, 3);
        delivered(&mut account, 0, 3);
        assert_eq!((counts(&account).delivered, counts(&account).sent), (1, 9));
        assert_eq!(account.watermark(20), 8, "a receipt that is not folded keeps its row");
        let late = account.take_late();
        let mut state = columns[0].clone();
        account.fold(&mut state, &late);
        assert_eq!((state.final_ms[3], state.final_ms[4], state.status[3]), (1_500, NO_TIME, 3));
        assert_eq!(account.awaiting(0, Some(&state)).len(), 9);
    }

    #[test]
    fn a_recipient_of_three_parts_is_what_its_worst_part_is() {
        let mut account = Account::new(CampaignNo(1), 2, 3, 0);
        account.intent(1, &intent(1, 0, 0, 6).1);
        settle(&mut account, 0, 0..3, Fate::Accepted(b"x"));
        assert_eq!((counts(&account).sent, counts(&account).in_flight), (1, 1));
        settle(&mut account, 0, 3..5, Fate::Accepted(b"x"));
        settle(&mut account, 0, 5..6, Fate::Refused(11));
        assert_eq!((counts(&account).sent, counts(&account).rejected), (1, 1));
        delivered(&mut account, 0, 0);
        delivered(&mut account, 0, 1);
        assert_eq!(counts(&account).delivered, 0);
        delivered(&mut account, 0, 2);
        assert_eq!(counts(&account).delivered, 1);
    }

    #[test]
    fn a_part_that_becomes_unknown_takes_no_recipient_out_of_a_final_count() {
        let failed =
            [UnitStatus::Failed, UnitStatus::Rejected, UnitStatus::Undeliverable, UnitStatus::Expired];
        for status in failed {
            for open in [UnitStatus::Sent, UnitStatus::Unknown, UnitStatus::Delivered] {
                assert_eq!(whole(&[status as u8, open as u8]), status);
            }
        }
        let unknown = UnitStatus::Unknown as u8;
        assert_eq!(whole(&[UnitStatus::Delivered as u8, unknown]), UnitStatus::Unknown);
        assert_eq!(whole(&[UnitStatus::Sent as u8, unknown]), UnitStatus::Unknown);
    }

    #[test]
    fn the_last_unit_of_a_full_chunk_of_sixteen_parts_has_its_intent_too() {
        let mut account = Account::new(CampaignNo(1), 4_096, 16, 0);
        account.intent(1, &intent(1, 0, 61_440, 4_096).1);
        assert_eq!(account.status(0, u16::MAX), Some(UnitStatus::Intended));
        assert_eq!(account.unresolved().len(), 4_096);
        account.revoke(&Run { chunk: 0, from: 61_440, count: 4_096 });
        assert_eq!((account.status(0, u16::MAX), account.watermark(9)), (Some(UnitStatus::Queued), 9));
    }

    #[test]
    fn cancelling_a_half_sent_message_fails_it() {
        let mut account = Account::new(CampaignNo(1), 2, 2, 0);
        account.intent(1, &intent(1, 0, 0, 1).1);
        settle(&mut account, 0, 0..1, Fate::Accepted(b"x"));
        account.settle_queued(0, Unsent { status: UnitStatus::Cancelled, reason: 0 });
        assert_eq!((counts(&account).failed, counts(&account).cancelled), (1, 1));
        assert!(account.is_settled());
    }

    const DAY_MS: u64 = 24 * 3600 * 1000;

    /// One thing that happens to one unit, by number: intent, revocation, skip, or an outcome.
    fn tell(account: &mut Account, row: RowSeq, (unit, what): (u16, u8)) {
        let fates = [Fate::Accepted(b"7"), Fate::Retry(88), Fate::Refused(11), Fate::Unknown, Fate::Repeat];
        let at_ms = row / 4 * DAY_MS;
        let run = Run { chunk: 0, from: unit, count: 1 };
        match what {
            0..=2 => account.intent(row, &Intent { at_ms, ..intent(row, 0, unit, 1).1 }),
            3 => account.revoke(&run),
            4 => {
                let (campaign, status) = (CampaignNo(1), UnitStatus::Expired);
                account.skip(&Skip { campaign, run, status, reason: 7 });
            }
            _ => settle(account, 0, unit..unit + 1, fates[usize::from(what % 5)]),
        }
    }

    /// Whether a dispatcher would do this to the unit as it is now.
    fn is_possible(account: &Account, (unit, what): (u16, u8)) -> bool {
        match account.status(0, unit) {
            Some(UnitStatus::Queued) => matches!(what, 0..=2 | 4),
            Some(UnitStatus::Intended) => what == 3 || what >= 5,
            _ => false,
        }
    }

    fn total(account: &Account) -> u64 {
        account.charges().iter().map(|(_, count)| count).sum()
    }

    #[test]
    fn a_recipient_is_charged_to_the_day_of_its_intent_and_given_back_by_a_definite_refusal() {
        let mut account = Account::new(CampaignNo(1), 4, 1, 0);
        (0..4).for_each(|unit| tell(&mut account, 3, (unit, 0)));
        let (first, second) = (jiff::civil::date(1970, 1, 1), jiff::civil::date(1970, 1, 2));
        assert_eq!(account.charges(), [(first, 4)]);
        settle(&mut account, 0, 0..1, Fate::Accepted(b"x"));
        settle(&mut account, 0, 1..2, Fate::Refused(11));
        settle(&mut account, 0, 2..3, Fate::Retry(88));
        account.revoke(&Run { chunk: 0, from: 3, count: 1 });
        assert_eq!(account.charges(), [(first, 1)]);
        (2..4).for_each(|unit| tell(&mut account, 4, (unit, 0)));
        settle(&mut account, 0, 2..4, Fate::Unknown);
        assert_eq!(account.charges(), [(first, 1), (second, 2)]);
        delivered(&mut account, 0, 0);
        assert_eq!(account.charges(), [(first, 1), (second, 2)]);
    }

    #[test]
    fn a_message_of_several_parts_is_charged_once_and_kept_when_one_part_was_accepted() {
        let mut account = Account::new(CampaignNo(1), 2, 2, 0);
        (0..4).for_each(|unit| tell(&mut account, 1, (unit, 0)));
        assert_eq!(total(&account), 2);
        settle(&mut account, 0, 0..1, Fate::Accepted(b"x"));
        settle(&mut account, 0, 1..2, Fate::Refused(11));
        settle(&mut account, 0, 2..3, Fate::Refused(11));
        assert_eq!(total(&account), 2, "a part of each was accepted or is under way");
        settle(&mut account, 0, 3..4, Fate::Failed(88));
        assert_eq!(total(&account), 1);
        // The accepted part's receipt says rejected: it reached the SMSC all the same.
        let campaign = CampaignNo(1);
        let status = UnitStatus::Rejected;
        account.receipt(9, 0, &ReceiptFact { campaign, chunk: 0, unit: 0, status, error: 1 });
        assert_eq!(total(&account), 1);
    }

    #[test]
    fn what_was_given_up_before_it_was_sent_does_not_count_as_handed_to_the_wire() {
        let mut account = Account::new(CampaignNo(1), 4, 1, 0);
        let submitted = |account: &Account| {
            let tally = Tally::default();
            account.publish(&tally);
            tally.submitted.load(Ordering::Relaxed)
        };
        (0..2).for_each(|unit| tell(&mut account, 1, (unit, 0)));
        settle(&mut account, 0, 0..1, Fate::Accepted(b"x"));
        settle(&mut account, 0, 1..2, Fate::Failed(88));
        account.settle_queued(0, Unsent { status: UnitStatus::Expired, reason: 7 });
        assert_eq!((submitted(&account), counts(&account).expired), (2, 2));
        let mut restored = Account::new(CampaignNo(1), 4, 1, 0);
        for state in account.columns(true) {
            restored.restore(&state);
        }
        assert_eq!(submitted(&restored), 2);
    }

    #[test]
    fn a_receipt_that_waits_for_columns_is_in_them_once_they_are_open() {
        let mut first = Account::new(CampaignNo(1), 3, 1, 500);
        first.intent(1, &intent(1, 0, 0, 2).1);
        settle(&mut first, 0, 0..2, Fate::Accepted(b"id"));
        let saved = first.columns(true);
        let mut account = Account::new(CampaignNo(1), 3, 1, 500);
        account.restore(&saved[0]);
        delivered(&mut account, 0, 1);
        account.open_with(&saved[0]);
        assert!(account.take_late().is_empty());
        account.intent(2, &intent(2, 0, 2, 1).1);
        settle(&mut account, 0, 2..3, Fate::Accepted(b"other"));
        let columns = &account.columns(true)[0];
        assert_eq!((columns.final_ms[1], columns.status[1]), (1_500, UnitStatus::Delivered as u8));
        assert_eq!(account.awaiting(0, None).len(), 2);
    }

    proptest! {
        /// Goal: a crash at any moment, behind saves at any moments, changes no charge: saved columns and the rows
        /// behind their watermark give what the first run had.
        #[test]
        fn a_replay_gives_the_same_charges(
            wishes in proptest::collection::vec((0u16..12, 0u8..20), 1..120),
            saves in proptest::collection::vec((0usize..120, any::<bool>()), 0..4),
            parts in 1u8..4,
        ) {
            let mut live = Account::new(CampaignNo(1), 4, parts, 0);
            let mut facts = Vec::new();
            let mut file: (RowSeq, Option<ChunkState>, Vec<(Date, u64)>) = (0, None, Vec::new());
            for (at, wish) in wishes.iter().enumerate() {
                if is_possible(&live, *wish) {
                    facts.push(*wish);
                    tell(&mut live, facts.len() as RowSeq, *wish);
                }
                let Some((_, whole)) = saves.iter().find(|(save, _)| *save == at) else { continue };
                // As the keeper does: a save of complete chunks leaves the watermark where it was.
                if *whole {
                    file.0 = live.watermark(facts.len() as RowSeq);
                }
                if let Some(state) = live.columns(*whole).pop() {
                    file = (file.0, Some(state), live.charges_saved_with(&[0]));
                    live.saved(&[0]);
                }
            }
            let mut again = Account::new(CampaignNo(1), 4, parts, 0);
            if let (Some(state), true) = (&file.1, file.0 > 0) {
                again.restore_charges(file.2);
                again.restore(state);
                again.open_with(state);
            }
            for (row, fact) in (1..).zip(&facts).filter(|(row, _)| *row > file.0) {
                tell(&mut again, row, *fact);
            }
            prop_assert_eq!(again.charges(), live.charges());
            // Days of the open intents, by unit.
            let mut open = BTreeMap::new();
            for (row, (unit, what)) in (1..).zip(&facts) {
                match what {
                    0..=2 => drop(open.insert(*unit, row / 4)),
                    _ => drop(open.remove(unit)),
                }
            }
            let is_repeated = |recipient: &u16| facts.iter().any(|(unit, what)| {
                unit / u16::from(parts) == *recipient && *what >= 5 && what % 5 == 4
            });
            let days = |recipient: u16| {
                let units = recipient * u16::from(parts)..(recipient + 1) * u16::from(parts);
                let is_kept = is_repeated(&recipient) || units.clone().any(|unit| {
                    matches!(live.status(0, unit), Some(UnitStatus::Sent | UnitStatus::Unknown))
                });
                let intended = units.filter_map(|unit| open.get(&unit)).collect::<BTreeSet<_>>();
                if is_kept { 1 } else { intended.len() as u64 }
            };
            prop_assert_eq!(total(&live), (0..4).map(days).sum::<u64>());
        }
    }

    #[test]
    fn a_list_grows_into_an_open_chunk_and_over_its_end_and_once() {
        let mut account = Account::new(CampaignNo(1), 0, 2, 0).growing(true);
        assert!(account.is_settled());
        assert!(account.grow(0, 0, 3));
        account.intent(1, &intent(1, 0, 0, 6).1);
        settle(&mut account, 0, 0..6, Fate::Accepted(b"x"));
        assert!(account.is_settled() && account.complete_chunks() == 1);
        assert!(account.grow(0, 3, 4_093) && account.grow(1, 0, 7));
        assert!(!account.grow(0, 3, 4_093) && !account.grow(1, 0, 7));
        assert_eq!((counts(&account).queued, counts(&account).total, account.chunks()), (4_100, 4_103, 2));
        assert_eq!(account.complete_chunks(), 0);
        assert!(!account.is_untouched(1), "it may grow while it is read");
        let run = |chunk, from, count| Run { chunk, from, count };
        assert_eq!(account.queued_runs(0), [run(0, 6, 8_186)]);
        assert_eq!(account.queued_runs(1), [run(1, 0, 14)]);
        account.intent(2, &intent(2, 0, 8_190, 2).1);
        settle(&mut account, 0, 8_190..8_192, Fate::Accepted(b"y"));
        assert_eq!(counts(&account).sent, 4);
        assert_eq!(account.columns(true)[0].status.len(), 8_192);
    }

    #[test]
    fn runs_of_a_full_chunk_of_sixteen_parts_hold_every_unit() {
        let account = Account::new(CampaignNo(1), 4_096, 16, 0).growing(true);
        let runs = account.queued_runs(0);
        assert_eq!(runs.iter().map(|run| u32::from(run.count)).sum::<u32>(), 65_536);
        assert_eq!(runs.last().map(|run| run.from), Some(32_768));
    }

    proptest! {
        /// Whatever the facts, counts add up, saved columns bring the same account back, and facts applied twice in
        /// order give the same account.
        #[test]
        fn facts_applied_again_change_nothing(
            facts in proptest::collection::vec((0u16..20, 1u16..6, 0u8..6), 1..60),
            parts in 1u8..4,
        ) {
            let apply = |account: &mut Account| {
                for (row, (from, count, what)) in (1..).zip(&facts) {
                    match what {
                        0 | 1 => account.intent(row, &intent(row, 0, *from, *count).1),
                        2 => settle(account, 0, *from..from + count, Fate::Accepted(b"7")),
                        3 => settle(account, 0, *from..from + count, Fate::Retry(0x58)),
                        4 => account.revoke(&Run { chunk: 0, from: *from, count: *count }),
                        _ => delivered(account, 0, *from),
                    }
                }
            };
            let mut once = Account::new(CampaignNo(1), 9, parts, 0);
            apply(&mut once);
            prop_assert_eq!(counts(&once).total, 9);
            let mut twice = Account::new(CampaignNo(1), 9, parts, 0);
            apply(&mut twice);
            apply(&mut twice);
            prop_assert_eq!(counts(&twice).total, 9);
            let mut restored = Account::new(CampaignNo(1), 9, parts, 0);
            for state in once.columns(true) {
                restored.restore(&state);
            }
            let mut expected = counts(&once);
            expected.queued += expected.in_flight;
            expected.in_flight = 0;
            if parts == 1 {
                prop_assert_eq!(counts(&restored), expected);
            }
            prop_assert_eq!(counts(&restored).total, 9);
        }
    }
}
