//! Receipts of one `system_id`: waiting for their time, for a receiver, or for room in a receiver's window.
//!
//! Due receipts go round robin to the sessions able to receive; without one they are kept for the next bind.
//! The first receiver keeps the timer for all; a receipt leaves the store only when it is settled.

use std::collections::VecDeque;
use std::sync::Arc;

use rand_chacha::{ChaCha8Rng, rand_core::Rng};
use tokio::sync::Notify;

use super::receipt::Receipt;
use super::schedule::Schedule;

/// Resolution of receipts: the millisecond of tokio's timer, so that a wake-up serves many.
const RECEIPT_WIDTH_US: u64 = 1_000;

/// A session able to receive.
#[derive(Debug)]
struct Receiver {
    connection: u32,
    bell: Arc<Notify>,
    ready: VecDeque<Receipt>,
}

/// The receipts of one `system_id`.
#[derive(Debug, Default)]
pub(crate) struct Account {
    receivers: Vec<Receiver>,
    due: Schedule<Receipt, RECEIPT_WIDTH_US>,
    kept: VecDeque<Receipt>,
    turn: usize,
    /// Receipts that are not settled: waiting here or unacknowledged in a session.
    stored: usize,
}

impl Account {
    /// Counts one more receipt in; `false` when the store is full.
    pub(crate) fn admit(&mut self, limit: usize) -> bool {
        if self.stored >= limit {
            return false;
        }
        self.stored += 1;
        true
    }

    /// Counts a settled receipt out.
    pub(crate) fn settle(&mut self) {
        self.stored -= 1;
    }

    /// Lets an admitted receipt fall due at `due_us`; `by` is the session that calls and needs no bell.
    pub(crate) fn schedule(&mut self, due_us: u64, receipt: Receipt, by: u32) {
        let sooner = self.due.next_us().is_none_or(|next| due_us < next);
        self.due.push(due_us, receipt);
        if sooner
            && let Some(leader) = self.receivers.first()
            && leader.connection != by
        {
            leader.bell.notify_one();
        }
    }

    /// A session able to receive has bound.
    pub(crate) fn enter(&mut self, connection: u32, bell: Arc<Notify>) {
        self.receivers.push(Receiver { connection, bell, ready: VecDeque::new() });
    }

    /// A session is gone: what it was to deliver waits for another one, `unacked` first.
    pub(crate) fn leave(&mut self, connection: u32, unacked: impl Iterator<Item = Receipt>) {
        if let Some(at) = self.receivers.iter().position(|receiver| receiver.connection == connection) {
            let receiver = self.receivers.remove(at);
            self.kept.extend(unacked);
            self.kept.extend(receiver.ready);
        }
        if let Some(leader) = self.receivers.first() {
            leader.bell.notify_one();
        }
    }

    /// Hands everything due to receivers and rings those that got something, `by` excepted.
    pub(crate) fn route(&mut self, now_us: u64, by: u32, disorder: Option<&mut ChaCha8Rng>) {
        if self.receivers.is_empty() {
            return;
        }
        let mut kept = std::mem::take(&mut self.kept);
        let mut moved = kept.len();
        for receipt in kept.drain(..) {
            self.hand_over(receipt);
        }
        self.kept = kept;
        let mut disorder = disorder;
        while let Some(mut bucket) = self.due.pop_due(now_us) {
            if let Some(rng) = disorder.as_deref_mut() {
                shuffle(&mut bucket, rng);
            }
            moved += bucket.len();
            for receipt in bucket.drain(..) {
                self.hand_over(receipt);
            }
            self.due.recycle(bucket);
        }
        if moved > 0 {
            for receiver in &self.receivers {
                if receiver.connection != by && !receiver.ready.is_empty() {
                    receiver.bell.notify_one();
                }
            }
        }
    }

    /// The next receipt that `connection` is to deliver.
    pub(crate) fn next_ready(&mut self, connection: u32) -> Option<Receipt> {
        let receiver = self.receivers.iter_mut().find(|receiver| receiver.connection == connection)?;
        receiver.ready.pop_front()
    }

    /// Whether `connection` has something to deliver.
    pub(crate) fn has_ready(&self, connection: u32) -> bool {
        let mine = self.receivers.iter().find(|receiver| receiver.connection == connection);
        mine.is_some_and(|receiver| !receiver.ready.is_empty())
    }

    /// When `connection` has to call [`Account::route`], if it keeps the timer.
    pub(crate) fn wake_us(&self, connection: u32) -> Option<u64> {
        let leader = self.receivers.first()?;
        if leader.connection == connection { self.due.next_us() } else { None }
    }

    /// Receipts not settled.
    pub(crate) fn stored(&self) -> usize {
        self.stored
    }

    fn hand_over(&mut self, receipt: Receipt) {
        self.turn = (self.turn + 1) % self.receivers.len();
        self.receivers[self.turn].ready.push_back(receipt);
    }
}

/// Fisher-Yates.
fn shuffle(bucket: &mut [Receipt], rng: &mut ChaCha8Rng) {
    for last in (1..bucket.len()).rev() {
        // A 32-bit draw scaled down: no division, and a bucket has far fewer than 2^32 entries.
        let other = (u64::from(rng.next_u32()) * (last as u64 + 1)) >> 32;
        bucket.swap(last, usize::try_from(other).expect("below the length of a slice"));
    }
}
