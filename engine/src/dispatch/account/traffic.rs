//! The traffic of an account by hour, as a pure function of its columns: what is told equals the rows that are stored.
//!
//! What saved columns show is kept for each chunk, some hundred octets; columns in memory are looked at when asked.
//! Nothing is counted message by message as it is sent. Receipts that wait to be folded are not in it yet.

use super::{Account, whole};
use crate::model::traffic::{HOUR_MS, Load, Traffic, has_failed};
use crate::model::{ChunkNo, ChunkState, NO_TIME, UnitStatus};
use std::collections::BTreeMap;

/// By hour since 1970.
pub(crate) type Hours = BTreeMap<u32, Traffic>;

/// What chunks show whose columns are saved.
pub(super) type Saved = BTreeMap<ChunkNo, Hours>;

const STATUSES: usize = UnitStatus::ALL.len();

impl Account {
    /// What chunks show whose columns are saved as they are here.
    pub(crate) fn traffic_of(&self, chunks: &[ChunkState]) -> Vec<(ChunkNo, Hours)> {
        let of = |state: &ChunkState| {
            let times = (&state.submitted_ms[..], &state.final_ms[..]);
            (state.chunk, hours(&state.status, times, (usize::from(self.parts), self.base_ms)))
        };
        chunks.iter().map(of).collect()
    }

    /// These columns are saved.
    pub(crate) fn keep_traffic(&mut self, chunks: Vec<(ChunkNo, Hours)>) {
        self.traffic.extend(chunks);
    }

    /// The traffic of the campaign as its columns show it now.
    pub(crate) fn traffic(&self) -> Hours {
        let mut sum = Hours::new();
        let closed = self.traffic.iter().filter(|(chunk, _)| !self.open.contains_key(chunk));
        closed.for_each(|(_, hours)| add(&mut sum, hours));
        for (chunk, open) in &self.open {
            let times = (&open.submitted_ms[..], &open.final_ms[..]);
            add(&mut sum, &hours(self.octets(*chunk), times, (usize::from(self.parts), self.base_ms)));
        }
        sum
    }

    /// Whether receipts wait to be folded into columns.
    pub(crate) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }
}

fn add(sum: &mut Hours, hours: &Hours) {
    hours.iter().for_each(|(hour, traffic)| sum.entry(*hour).or_default().add(traffic));
}

/// The traffic that columns show: statuses, times of submit and of the end, messages of so many parts, times behind a
/// base.
fn hours(status: &[u8], (submitted, finals): (&[u32], &[u32]), (parts, base_ms): (usize, u64)) -> Hours {
    let mut tables = Tables { base_ms, last: 0, of: Vec::new() };
    let time = |column: &[u32], unit: usize| column.get(unit).copied().filter(|at| *at != NO_TIME);
    for (message, octets) in status.chunks_exact(parts.max(1)).enumerate() {
        let units = message * parts..(message + 1) * parts;
        let (mut first, mut end) = (None::<u32>, None::<u32>);
        for (unit, octet) in units.zip(octets) {
            let Some(of) = UnitStatus::from_octet(*octet) else { continue };
            if let Some(at) = time(submitted, unit) {
                tables.at(at).segments[of as usize] += 1;
                first = Some(first.map_or(at, |first| first.min(at)));
            }
            if let Some(at) = time(finals, unit) {
                tables.at(at).failed.segments += u64::from(has_failed(of));
                end = end.max(Some(at));
            }
        }
        let of = if let [octet] = octets { UnitStatus::from_octet(*octet) } else { Some(whole(octets)) };
        let Some(of) = of else { continue };
        if let Some(at) = first {
            tables.at(at).messages[of as usize] += 1;
        }
        if let Some(at) = end.filter(|_| has_failed(of)) {
            tables.at(at).failed.messages += 1;
        }
    }
    tables.into_hours()
}

/// The hours of a chunk: few, and mostly the same one again.
struct Tables {
    base_ms: u64,
    last: usize,
    of: Vec<Table>,
}

/// One hour, from and until before a time behind the base.
struct Table {
    from_ms: u64,
    messages: [u64; STATUSES],
    segments: [u64; STATUSES],
    failed: Load,
}

impl Tables {
    #[inline]
    fn at(&mut self, after_ms: u32) -> &mut Table {
        let at_ms = self.base_ms + u64::from(after_ms);
        let holds = |table: &Table| (table.from_ms..table.from_ms + HOUR_MS).contains(&at_ms);
        if !self.of.get(self.last).is_some_and(holds) {
            self.last = self.of.iter().position(holds).unwrap_or(self.of.len());
        }
        if self.last == self.of.len() {
            let (messages, segments) = ([0; STATUSES], [0; STATUSES]);
            let from_ms = at_ms - at_ms % HOUR_MS;
            self.of.push(Table { from_ms, messages, segments, failed: Load::default() });
        }
        &mut self.of[self.last]
    }

    fn into_hours(self) -> Hours {
        let traffic = |table: Table| {
            let mut traffic = Traffic { submitted: Vec::new(), failed: table.failed };
            let loads = table.messages.into_iter().zip(table.segments);
            for (status, (messages, segments)) in UnitStatus::ALL.into_iter().zip(loads) {
                if messages + segments > 0 {
                    traffic.submit(status, Load { messages, segments });
                }
            }
            (u32::try_from(table.from_ms / HOUR_MS).unwrap_or(u32::MAX), traffic)
        };
        // A part that has an end and has not failed made a table and left nothing in it.
        self.of.into_iter().map(traffic).filter(|(_, traffic)| !traffic.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::{Fate, Intent, Outcome, ReceiptFact};
    use crate::model::{CampaignNo, Incarnation, Run};
    use proptest::prelude::*;

    const NO: CampaignNo = CampaignNo(1);
    /// Ten minutes before a full hour.
    const BASE_MS: u64 = 1_000 * HOUR_MS - 600_000;

    /// What rows of messages of two parts show, by the definition.
    fn by_definition(states: &[ChunkState]) -> Hours {
        let mut hours = Hours::new();
        let hour = |at: u32| u32::try_from((BASE_MS + u64::from(at)) / HOUR_MS).expect("of our age");
        for (state, first) in
            states.iter().flat_map(|s| (0..s.status.len()).step_by(2).map(move |unit| (s, unit)))
        {
            let units = [first, first + 1];
            let known = |at: u32| (at != NO_TIME).then_some(at);
            for unit in units {
                let status = UnitStatus::from_octet(state.status[unit]).expect("a status");
                if let Some(at) = known(state.submitted_ms[unit]) {
                    hours.entry(hour(at)).or_default().submit(status, Load { messages: 0, segments: 1 });
                }
                if let Some(at) = known(state.final_ms[unit]).filter(|_| has_failed(status)) {
                    hours.entry(hour(at)).or_default().failed.segments += 1;
                }
            }
            let status = whole(&state.status[first..first + 2]);
            if let Some(at) = units.into_iter().filter_map(|unit| known(state.submitted_ms[unit])).min() {
                hours.entry(hour(at)).or_default().submit(status, Load { messages: 1, segments: 0 });
            }
            let end = units.into_iter().filter_map(|unit| known(state.final_ms[unit])).max();
            if let Some(at) = end.filter(|_| has_failed(status)) {
                hours.entry(hour(at)).or_default().failed.messages += 1;
            }
        }
        hours
    }

    fn tell(account: &mut Account, row: u64, (unit, what): (u16, u8)) {
        let fates =
            [Fate::Accepted(b"7"), Fate::Retry(88), Fate::Refused(11), Fate::Unknown, Fate::Failed(8)];
        let at_ms = BASE_MS + row * 200_000;
        let run = Run { chunk: 0, from: unit, count: 1 };
        let (incarnation, position) = (Incarnation(1), row);
        match (account.status(0, unit), what) {
            (Some(UnitStatus::Queued), _) => {
                account.intent(
                    row,
                    &Intent { incarnation, campaign: NO, stop_gen: 0, position, run, attempt: 0, at_ms },
                );
            }
            (Some(UnitStatus::Intended), _) => {
                let fate = fates[usize::from(what % 5)];
                account.outcomes((0, 9), at_ms, std::iter::once(Outcome { unit, latency_ms: 900, fate }));
            }
            _ => {
                let states = [UnitStatus::Delivered, UnitStatus::Undeliverable, UnitStatus::Expired];
                let status = states[usize::from(what % 3)];
                account.receipt(row, at_ms, &ReceiptFact { campaign: NO, chunk: 0, unit, status, error: 3 });
            }
        }
    }

    proptest! {
        /// Whatever happened, saved in between or not, folded or not: the hours are those of the rows, and a start
        /// finds the same in what is saved.
        #[test]
        fn the_traffic_of_an_account_is_that_of_its_rows(
            events in proptest::collection::vec((0u16..12, 0u8..30, 0u8..8), 1..120),
        ) {
            let mut account = Account::new(NO, 6, 2, BASE_MS);
            let mut stored: Option<ChunkState> = None;
            for (row, (unit, what, then)) in (1..).zip(events) {
                if account.wants_columns(0) && !account.status(0, unit).is_some_and(UnitStatus::awaits_receipt) {
                    account.open_with(stored.as_ref().expect("saved"));
                }
                tell(&mut account, row, (unit, what));
                if then == 0 {
                    let chunks = account.columns(true);
                    let traffic = account.traffic_of(&chunks);
                    account.saved(&[0]);
                    account.keep_traffic(traffic);
                    stored = chunks.into_iter().next().or(stored);
                }
                if then == 1 && account.has_late() {
                    let (late, mut state) = (account.take_late(), stored.clone().expect("saved"));
                    account.fold(&mut state, &late);
                    account.keep_traffic(account.traffic_of(std::slice::from_ref(&state)));
                    stored = Some(state);
                }
                let shown = account.open_columns(0).or_else(|| stored.clone());
                prop_assert_eq!(account.traffic(), by_definition(shown.as_slice()));
            }
            if let Some(state) = stored {
                let mut restored = Account::new(NO, 6, 2, BASE_MS);
                restored.restore(&state);
                prop_assert_eq!(restored.traffic(), by_definition(&[state]));
            }
        }
    }
}
