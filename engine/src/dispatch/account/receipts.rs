//! Receipts of an account: what they settle, and those that wait for columns on disk.

use super::{Account, Late, MAX_LATE};
use crate::dispatch::columns::{SavedId, for_each_id};
use crate::dispatch::keeper::AwaitedId;
use crate::model::record::ReceiptFact;
use crate::model::{ChunkNo, ChunkState, NO_TIME, UnitStatus};
use crate::store::RowSeq;
use std::collections::BTreeMap;

impl Account {
    /// Applies a matched receipt; only `sent` and `unknown` are refined, once.
    pub(crate) fn receipt(&mut self, row: RowSeq, at_ms: u64, fact: &ReceiptFact) {
        let Some(status) = self.status(fact.chunk, fact.unit) else { return };
        if !status.awaits_receipt() {
            return;
        }
        self.set(fact.chunk, fact.unit, fact.status);
        let at = self.relative(at_ms);
        if let Some(open) = self.open.get_mut(&fact.chunk) {
            open.note_receipt(fact.unit, fact.error, at);
        } else {
            if self.late.is_empty() {
                self.late_row = row;
            }
            self.late.push(Late { chunk: fact.chunk, unit: fact.unit, error: fact.error, at_ms: at });
        }
    }

    /// Whether waiting receipts should be folded now.
    pub(crate) fn is_late_full(&self) -> bool {
        self.late.len() >= MAX_LATE
    }

    /// The waiting receipts in chunk order; they count as folded.
    pub(crate) fn take_late(&mut self) -> Vec<Late> {
        self.late.sort_unstable();
        std::mem::take(&mut self.late)
    }

    /// Saved columns with what waits for them; it still waits.
    pub(crate) fn with_late(&self, mut saved: ChunkState) -> ChunkState {
        let late: Vec<Late> = self.late.iter().filter(|late| late.chunk == saved.chunk).copied().collect();
        self.fold(&mut saved, &late);
        saved
    }

    /// Takes receipts back whose fold failed.
    pub(crate) fn put_late_back(&mut self, late: Vec<Late>) {
        self.late = late;
    }

    /// Units of `chunk` that await a receipt, as (channel, unit, id); `saved` are its columns if not in memory.
    pub(crate) fn awaiting(&self, chunk: ChunkNo, saved: Option<&ChunkState>) -> Vec<AwaitedId> {
        let mut found = Vec::new();
        let mut visit = |channel, unit, id: SavedId<'_>| {
            if self.status(chunk, unit) == Some(UnitStatus::Sent) {
                found.push((channel, unit, id.with_text(|text| Box::from(text))));
            }
        };
        match (self.open.get(&chunk), saved) {
            (Some(open), _) => for_each_id(&open.columns().message_ids, &mut visit),
            (None, Some(state)) => for_each_id(&state.message_ids, &mut visit),
            (None, None) => {}
        }
        found
    }

    /// Folds receipts into a saved chunk's columns.
    pub(crate) fn fold(&self, state: &mut ChunkState, receipts: &[Late]) {
        let from = state.chunk as usize * self.chunk_units();
        let len = self.len_of(state.chunk);
        state.status.clear();
        state.status.extend_from_slice(&self.status[from..from + len]);
        state.final_ms.resize(len, NO_TIME);
        let mut errors: BTreeMap<u16, u32> = state.errors.drain(..).collect();
        for late in receipts {
            if let Some(at) = state.final_ms.get_mut(usize::from(late.unit)) {
                *at = late.at_ms;
            }
            if late.error != 0 {
                errors.insert(late.unit, u32::from(late.error));
            }
        }
        state.errors = errors.into_iter().collect();
    }
}
