//! The window of one session's own requests: which `deliver_sm` waits for its response.
//!
//! Sequence numbers are consecutive, so the unanswered ones sit in a ring by offset: no map, no hash.

use std::collections::VecDeque;

use super::receipt::Receipt;

const SEQUENCE_MAX: u32 = 0x7FFF_FFFF;

#[derive(Clone, Copy, Debug)]
struct Sent {
    receipt: Receipt,
    at_us: u64,
}

/// Own sequence numbers and the receipts behind them.
#[derive(Debug)]
pub(crate) struct Outbox {
    next: u32,
    /// Sequence number of the front slot.
    base: u32,
    slots: VecDeque<Option<Sent>>,
    live: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { next: 1, base: 1, slots: VecDeque::new(), live: 0 }
    }
}

impl Outbox {
    /// A sequence number for a request whose answer nobody waits for.
    pub(crate) fn bare_sequence(&mut self) -> u32 {
        self.push(None)
    }

    /// A sequence number for `receipt`, which then waits.
    pub(crate) fn send(&mut self, receipt: Receipt, at_us: u64) -> u32 {
        self.live += 1;
        self.push(Some(Sent { receipt, at_us }))
    }

    /// The receipt that `sequence` answers; `None` for anything not waiting.
    pub(crate) fn answer(&mut self, sequence: u32) -> Option<Receipt> {
        let offset =
            (u64::from(sequence) + u64::from(SEQUENCE_MAX) - u64::from(self.base)) % u64::from(SEQUENCE_MAX);
        let slot = self.slots.get_mut(usize::try_from(offset).ok()?)?;
        let sent = slot.take()?;
        self.live -= 1;
        self.trim();
        Some(sent.receipt)
    }

    /// The oldest receipt if it was sent before `before_us`; it no longer waits.
    pub(crate) fn expire(&mut self, before_us: u64) -> Option<Receipt> {
        let sent = (*self.slots.front()?)?;
        if sent.at_us >= before_us {
            return None;
        }
        self.live -= 1;
        self.slots[0] = None;
        self.trim();
        Some(sent.receipt)
    }

    /// When the oldest unanswered receipt was sent.
    pub(crate) fn oldest_us(&self) -> Option<u64> {
        self.slots.front().copied().flatten().map(|sent| sent.at_us)
    }

    /// Unanswered receipts.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Empties the window, oldest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Receipt> + '_ {
        self.live = 0;
        self.base = self.next;
        self.slots.drain(..).flatten().map(|sent| sent.receipt)
    }

    fn push(&mut self, slot: Option<Sent>) -> u32 {
        let sequence = self.next;
        self.next = step(sequence);
        self.slots.push_back(slot);
        self.trim();
        sequence
    }

    /// Drops answered slots in front, so that the front is a waiting receipt or the ring is empty.
    fn trim(&mut self) {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base = step(self.base);
        }
    }
}

fn step(sequence: u32) -> u32 {
    if sequence == SEQUENCE_MAX { 1 } else { sequence + 1 }
}
