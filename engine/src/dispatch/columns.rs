//! The columns of a chunk that still moves: message ids, times, errors and open intents, by unit.
//!
//! Held in memory only while units of the chunk move; saved as [`ChunkState`] columns and read back from them.

use crate::dispatch::charge::{ChunkCharges, DayPlace};
use crate::model::record::{Fate, Outcome};
use crate::model::{ChunkState, Incarnation, NO_TIME, UnitStatus};
use crate::store::RowSeq;
use pdu::PackedId;
use std::collections::BTreeMap;

const NO_RUN: u16 = u16::MAX;
const NO_ID: u8 = 0;
const RAW_ID: u8 = 1;
/// Not a unit: the channel of the ids that follow.
const CHANNEL: u8 = 2;
/// No id, but it was perhaps sent before: its recipient stays charged whatever comes.
const PERHAPS: u8 = 3;
const PACKED: u8 = 0x40;

/// The columns of a chunk that still moves.
pub(super) struct OpenChunk {
    pub(super) tags: Vec<u8>,
    pub(super) ids: Vec<u64>,
    pub(super) raw_ids: BTreeMap<u16, Box<[u8]>>,
    /// Channels that answered for units of the chunk, and which of them did, by unit.
    pub(super) channels: Vec<u32>,
    pub(super) channel_of: Vec<u8>,
    pub(super) submitted_ms: Vec<u32>,
    pub(super) final_ms: Vec<u32>,
    pub(super) errors: BTreeMap<u16, u32>,
    pub(super) run_of: Vec<u16>,
    pub(super) runs: Vec<OpenRun>,
    pub(super) free_runs: Vec<u16>,
    pub(super) moving: u32,
    pub(super) dirty: bool,
    pub(super) charges: ChunkCharges,
    /// Parts of one message.
    pub(super) parts: usize,
}

/// An intent some of whose units have no outcome yet.
#[derive(Clone, Copy)]
pub(crate) struct OpenRun {
    pub(crate) row: RowSeq,
    pub(crate) incarnation: Incarnation,
    pub(crate) position: u64,
    pub(crate) from: u16,
    pub(super) left: u16,
    /// The local day of the intent.
    pub(super) day: DayPlace,
}

impl OpenChunk {
    pub(super) fn new(len: usize, parts: u16) -> Self {
        let parts = usize::from(parts.max(1));
        Self {
            charges: ChunkCharges::new(len / parts),
            parts,
            tags: vec![0; len],
            ids: vec![0; len],
            raw_ids: BTreeMap::new(),
            channels: Vec::new(),
            channel_of: vec![0; len],
            submitted_ms: vec![NO_TIME; len],
            final_ms: vec![NO_TIME; len],
            errors: BTreeMap::new(),
            run_of: vec![NO_RUN; len],
            runs: Vec::new(),
            free_runs: Vec::new(),
            moving: 0,
            dirty: false,
        }
    }

    pub(super) fn add_run(&mut self, run: OpenRun) -> u16 {
        if let Some(slot) = self.free_runs.pop() {
            self.runs[usize::from(slot)] = run;
            return slot;
        }
        self.runs.push(run);
        u16::try_from(self.runs.len() - 1).unwrap_or(NO_RUN - 1)
    }

    pub(super) fn release(&mut self, unit: u16) {
        let Some(slot) = self.run_of.get_mut(usize::from(unit)) else { return };
        let slot = std::mem::replace(slot, NO_RUN);
        if let Some(run) = self.runs.get_mut(usize::from(slot)) {
            run.left = run.left.saturating_sub(1);
            if run.left == 0 {
                self.free_runs.push(slot);
            }
        }
    }

    /// Makes room for units that are queued behind those that are there.
    pub(super) fn grow(&mut self, len: usize) {
        let more = len.saturating_sub(self.tags.len());
        self.tags.resize(len, NO_ID);
        self.ids.resize(len, 0);
        self.channel_of.resize(len, 0);
        self.submitted_ms.resize(len, NO_TIME);
        self.final_ms.resize(len, NO_TIME);
        self.run_of.resize(len, NO_RUN);
        self.charges.grow(len / self.parts);
        self.moving += u32::try_from(more).unwrap_or(u32::MAX);
        self.dirty = true;
    }

    /// The recipient that a unit belongs to.
    pub(super) fn recipient(&self, unit: u16) -> usize {
        if self.parts == 1 { usize::from(unit) } else { usize::from(unit) / self.parts }
    }

    /// Charges the recipient according to what became of one of its units.
    pub(super) fn charge_outcome(&mut self, unit: u16, fate: &Fate<'_>) {
        match fate {
            Fate::Accepted(_) | Fate::AcceptedPacked(_) | Fate::Unknown | Fate::Repeat => {
                self.charges.keep(self.recipient(unit));
            }
            Fate::Refused(_) | Fate::Retry(_) | Fate::Failed(_) => self.uncharge(unit),
        }
    }

    /// A unit has lost its intent and was not accepted: the other open intents of its message count, if any.
    pub(super) fn uncharge(&mut self, unit: u16) {
        let recipient = self.recipient(unit);
        let first = recipient * self.parts;
        let slots = self.run_of.get(first..first + self.parts).unwrap_or_default();
        let open = slots.iter().filter_map(|slot| self.runs.get(usize::from(*slot)));
        let mut left: Vec<_> = open.map(|run| (run.row, run.position, run.day)).collect();
        left.sort_unstable();
        self.charges.release(recipient, left.into_iter().map(|(.., day)| day));
    }

    pub(super) fn moved(&mut self, before: UnitStatus, status: UnitStatus) {
        match (before.is_settled(), status.is_settled()) {
            (false, true) => self.moving -= 1,
            (true, false) => self.moving += 1,
            _ => {}
        }
        self.dirty = true;
    }

    /// The place of a channel among those of this chunk.
    pub(super) fn channel(&mut self, key: u32) -> u8 {
        let at = self.channels.iter().position(|c| *c == key).unwrap_or_else(|| {
            self.channels.push(key);
            self.channels.len() - 1
        });
        u8::try_from(at).unwrap_or(u8::MAX)
    }

    pub(super) fn note(&mut self, outcome: &Outcome<'_>, at_ms: u32, channel: u8) {
        let unit = usize::from(outcome.unit);
        self.channel_of[unit] = channel;
        self.submitted_ms[unit] = at_ms.saturating_sub(u32::from(outcome.latency_ms));
        match outcome.fate {
            Fate::AcceptedPacked(id) => {
                self.tags[unit] = PACKED + id.tag();
                self.ids[unit] = id.value();
            }
            Fate::Accepted([]) => self.tags[unit] = NO_ID,
            Fate::Accepted(raw) => {
                self.tags[unit] = RAW_ID;
                self.raw_ids.insert(outcome.unit, raw.into());
            }
            Fate::Refused(code) | Fate::Failed(code) => {
                self.errors.insert(outcome.unit, code);
                self.final_ms[unit] = at_ms;
            }
            Fate::Retry(_) => self.submitted_ms[unit] = NO_TIME,
            Fate::Repeat => self.tags[unit] = PERHAPS,
            Fate::Unknown => {}
        }
    }

    /// A receipt for a unit.
    pub(super) fn note_receipt(&mut self, unit: u16, error: u16, at_ms: u32) {
        if let Some(at) = self.final_ms.get_mut(usize::from(unit)) {
            *at = at_ms;
        }
        if error != 0 {
            self.errors.insert(unit, u32::from(error));
        }
        self.dirty = true;
    }

    pub(super) fn columns(&self) -> ChunkState {
        let mut message_ids = Vec::with_capacity(self.tags.len() * 9);
        let mut channel = None;
        for (unit, tag) in (0..=u16::MAX).zip(&self.tags) {
            let of = self.channels.get(usize::from(self.channel_of[usize::from(unit)])).copied();
            if !matches!(*tag, NO_ID | PERHAPS) && of != channel {
                message_ids.push(CHANNEL);
                message_ids.extend_from_slice(&of.unwrap_or(0).to_le_bytes());
                channel = of;
            }
            message_ids.push(*tag);
            match *tag {
                NO_ID | PERHAPS => {}
                RAW_ID => {
                    let raw = self.raw_ids.get(&unit).map_or(&[][..], |r| r);
                    message_ids.push(u8::try_from(raw.len()).unwrap_or(0));
                    message_ids.extend_from_slice(raw);
                }
                _ => message_ids.extend_from_slice(&self.ids[usize::from(unit)].to_le_bytes()),
            }
        }
        ChunkState {
            chunk: 0,
            status: Vec::new(),
            errors: self.errors.iter().map(|(u, c)| (*u, *c)).collect(),
            message_ids,
            submitted_ms: self.submitted_ms.clone(),
            final_ms: self.final_ms.clone(),
        }
    }

    pub(super) fn seed(&mut self, state: &ChunkState) {
        for_each_id(&state.message_ids, |channel, unit, id| {
            let at = usize::from(unit);
            if at >= self.tags.len() {
                return;
            }
            self.channel_of[at] = self.channel(channel);
            match id {
                SavedId::Packed(packed) => {
                    (self.tags[at], self.ids[at]) = (PACKED + packed.tag(), packed.value())
                }
                SavedId::Raw(raw) => {
                    self.tags[at] = RAW_ID;
                    self.raw_ids.insert(unit, raw.into());
                }
                SavedId::Perhaps => self.tags[at] = PERHAPS,
            }
        });
        for (to, from) in
            [(&mut self.submitted_ms, &state.submitted_ms), (&mut self.final_ms, &state.final_ms)]
        {
            for (t, f) in to.iter_mut().zip(from) {
                *t = *f;
            }
        }
        self.errors = state.errors.iter().copied().collect();
        for (unit, octet) in (0..=u16::MAX).zip(&state.status).take(self.tags.len()) {
            if self.is_kept(unit, UnitStatus::from_octet(*octet)) {
                self.charges.restore(self.recipient(unit));
            }
        }
    }

    /// Whether a saved unit was accepted or may have been; a refused one never has a message id.
    fn is_kept(&self, unit: u16, status: Option<UnitStatus>) -> bool {
        use UnitStatus::{Delivered, Sent, Undeliverable, Unknown};
        let sure = matches!(status, Some(Sent | Delivered | Undeliverable | Unknown));
        sure || self.tags[usize::from(unit)] != NO_ID
    }
}

/// A message id in a saved column.
pub(crate) enum SavedId<'a> {
    /// Packed.
    Packed(PackedId),
    /// As the SMSC wrote it.
    Raw(&'a [u8]),
    /// None: it was perhaps sent.
    Perhaps,
}

impl SavedId<'_> {
    /// Calls `with` with the id as the SMSC wrote it.
    pub(crate) fn with_text<R>(&self, with: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Packed(packed) => with(packed.text().as_bytes()),
            Self::Raw(raw) => with(raw),
            Self::Perhaps => with(b""),
        }
    }
}

/// Walks a saved column of message ids as (channel, unit, id); a damaged tail is left out.
pub(crate) fn for_each_id<'a>(column: &'a [u8], mut visit: impl FnMut(u32, u16, SavedId<'a>)) {
    let mut rest = column;
    let mut channel = 0;
    let mut units = 0..=u16::MAX;
    while let Some((tag, tail)) = rest.split_first() {
        rest = tail;
        if *tag == CHANNEL {
            let Some((key, tail)) = rest.split_first_chunk::<4>() else { return };
            rest = tail;
            channel = u32::from_le_bytes(*key);
            continue;
        }
        let Some(unit) = units.next() else { return };
        match *tag {
            NO_ID => {}
            PERHAPS => visit(channel, unit, SavedId::Perhaps),
            RAW_ID => {
                let Some((len, tail)) = rest.split_first() else { return };
                let Some((raw, tail)) = tail.split_at_checked(usize::from(*len)) else { return };
                rest = tail;
                visit(channel, unit, SavedId::Raw(raw));
            }
            tag => {
                let Some((value, tail)) = rest.split_first_chunk::<8>() else { return };
                rest = tail;
                let packed = PackedId::from_parts(tag.wrapping_sub(PACKED), u64::from_le_bytes(*value));
                let Some(packed) = packed else { return };
                visit(channel, unit, SavedId::Packed(packed));
            }
        }
    }
}
