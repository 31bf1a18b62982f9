//! Group commit: takes the facts of all links and makes them durable, many in one journal row.
//!
//! Links append and get a number; `durable` tells up to which number everything is on stable storage. A row is
//! committed at [`COMMIT_MESSAGES`] messages, after [`COMMIT_AFTER_US`], or at once when a link has run dry.
//! Rows reach the keeper in order and only when durable. When the store fails nothing is dropped: the rows in
//! doubt are reconciled with what the store holds and committed again, and links stop planning meanwhile.

use crate::dispatch::env::{Bell, Clock, Gong};
use crate::dispatch::keeper::KeeperMsg;
use crate::model::record;
use crate::store::{Commit, Journal, RowSeq, Ticket};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;

/// Messages that make a commit due: larger batches save 0.05 us a message at most (measured).
pub(crate) const COMMIT_MESSAGES: u32 = 2048;
/// The longest that a fact waits for company.
const COMMIT_AFTER_US: u64 = 5_000;
/// Rows under way to a store that answers later.
const MAX_IN_FLIGHT: usize = 4;
/// Octets waiting above which links must not plan more: about 300,000 messages.
const MAX_PENDING: usize = 4 << 20;
/// Pause before a failed store is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The shared side: links append here.
pub(crate) struct Recorder {
    pending: Mutex<Pending>,
    bell: Bell,
    durable: AtomicU64,
    healthy: AtomicBool,
    crowded: AtomicBool,
    closing: AtomicBool,
    listeners: Mutex<Vec<Arc<Bell>>>,
    /// Whether the worker is gone.
    ended: AtomicBool,
    settled: Gong,
}

struct Pending {
    row: Vec<u8>,
    messages: u32,
    appended: u64,
    urgent: bool,
    since_us: u64,
}

struct Batch {
    row: Vec<u8>,
    upto: u64,
}

struct InFlight<'a> {
    seq: RowSeq,
    row: Bytes,
    upto: u64,
    ticket: Option<Ticket<'a>>,
    result: Option<Commit>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            pending: Mutex::new(Pending {
                row: record::begin_row(1 << 16),
                messages: 0,
                appended: 0,
                urgent: false,
                since_us: 0,
            }),
            bell: Bell::default(),
            durable: AtomicU64::new(0),
            healthy: AtomicBool::new(true),
            crowded: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            listeners: Mutex::default(),
            ended: AtomicBool::new(false),
            settled: Gong::default(),
        }
    }

    /// Appends sections and returns their number; they are durable once [`Self::durable`] has reached it.
    pub(crate) fn append(&self, sections: &[u8], messages: u32, urgent: bool, now_us: u64) -> u64 {
        let mut pending = self.lock();
        let first = pending.row.len() <= 1;
        if first {
            pending.since_us = now_us;
        }
        pending.row.extend_from_slice(sections);
        let before = pending.messages;
        pending.messages = before.saturating_add(messages);
        let hurry = urgent && !pending.urgent;
        pending.urgent |= urgent;
        pending.appended += 1;
        let number = pending.appended;
        if pending.row.len() > MAX_PENDING {
            self.crowded.store(true, Ordering::Relaxed);
        }
        let full = before < COMMIT_MESSAGES && pending.messages >= COMMIT_MESSAGES;
        drop(pending);
        if first || hurry || full {
            self.bell.ring();
        }
        number
    }

    /// Asks for a commit now: a link has nothing durable to write.
    pub(crate) fn hurry(&self) {
        let mut pending = self.lock();
        let ring = pending.row.len() > 1 && !pending.urgent;
        pending.urgent = true;
        drop(pending);
        if ring {
            self.bell.ring();
        }
    }

    /// Up to which append number everything is on stable storage.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The number of the newest append.
    pub(crate) fn appended(&self) -> u64 {
        self.lock().appended
    }

    /// Waits until everything appended so far is durable and with the keeper; `false` when the worker has ended
    /// before that.
    pub(crate) async fn flush(&self) -> bool {
        let wanted = self.appended();
        self.hurry();
        self.settled.until(|| self.durable() >= wanted || self.ended.load(Ordering::Acquire)).await;
        self.durable() >= wanted
    }

    /// Whether links may plan further intents.
    pub(crate) fn takes_intents(&self) -> bool {
        self.is_healthy() && !self.crowded.load(Ordering::Relaxed)
    }

    /// Whether the store took the last commit.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Rings `bell` after every commit.
    pub(crate) fn listen(&self, bell: Arc<Bell>) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(bell);
    }

    /// Ends the worker once everything appended is durable.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.hurry();
        self.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch that is due, or when one will be.
    fn take(&self, now_us: u64) -> Result<Batch, Option<u64>> {
        let mut pending = self.lock();
        if pending.row.len() <= 1 {
            return Err(None);
        }
        let due_us = pending.since_us + COMMIT_AFTER_US;
        if pending.messages < COMMIT_MESSAGES && !pending.urgent && now_us < due_us {
            return Err(Some(due_us));
        }
        let capacity = pending.row.capacity();
        let row = std::mem::replace(&mut pending.row, record::begin_row(capacity.min(1 << 20)));
        pending.messages = 0;
        pending.urgent = false;
        self.crowded.store(false, Ordering::Relaxed);
        Ok(Batch { row, upto: pending.appended })
    }

    fn settle(&self, upto: u64) {
        self.durable.store(upto, Ordering::Release);
        self.settled.ring();
        self.healthy.store(true, Ordering::Relaxed);
        for bell in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            bell.ring();
        }
    }
}

#[cfg(test)]
impl Recorder {
    /// Makes what is due durable, without a store; returns the row.
    pub(crate) fn commit_due(&self, now_us: u64) -> Option<Vec<u8>> {
        let batch = self.take(now_us).ok()?;
        self.settle(batch.upto);
        Some(batch.row)
    }

    /// When the next commit is due.
    pub(crate) fn commit_at(&self) -> Option<u64> {
        self.take(0).err().flatten()
    }
}

/// Nobody waits for a worker that is gone, whether it returned or panicked.
struct Ending(Arc<Recorder>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.healthy.store(false, Ordering::Relaxed);
        self.0.ended.store(true, Ordering::Release);
        self.0.settled.ring();
    }
}

/// The worker: commits what links append until [`Recorder::close`].
///
/// # Errors
/// Why it cannot go on.
pub(crate) async fn run(
    recorder: Arc<Recorder>,
    journal: Arc<dyn Journal>,
    keeper: mpsc::Sender<KeeperMsg>,
    clock: Clock,
    newest: RowSeq,
) -> Result<(), &'static str> {
    let _ending = Ending(Arc::clone(&recorder));
    let mut next = newest + 1;
    let mut flight: VecDeque<InFlight<'_>> = VecDeque::new();
    loop {
        while let Some(done) = flight.front().and_then(|f| f.result) {
            match done {
                Commit::Durable => {
                    let Some(entry) = flight.pop_front() else { break };
                    // The keeper first: who has waited for durability then finds the row applied.
                    if keeper.send(KeeperMsg::Row(entry.seq, entry.row)).await.is_err() {
                        return Err("the keeper of accounts has ended");
                    }
                    recorder.settle(entry.upto);
                }
                Commit::NotApplied | Commit::Ambiguous => {
                    recorder.healthy.store(false, Ordering::Relaxed);
                    reconcile(&*journal, &mut flight).await;
                }
                Commit::Fenced => {
                    recorder.healthy.store(false, Ordering::Relaxed);
                    return Err("another engine has taken over the journal");
                }
            }
        }
        let now_us = clock.now().mono_us;
        let wake_us = if flight.len() < MAX_IN_FLIGHT {
            match recorder.take(now_us) {
                Ok(batch) => {
                    flight.push_back(send(&*journal, next, batch));
                    next += 1;
                    // Sets the ticket moving; whether it is done already is seen at the head of the loop.
                    poll_fn(|cx| Poll::Ready(poll_tickets(&mut flight, cx).is_ready())).await;
                    continue;
                }
                Err(wake) => wake,
            }
        } else {
            None
        };
        if flight.is_empty() && wake_us.is_none() && recorder.closing.load(Ordering::Acquire) {
            return Ok(());
        }
        wait(&recorder, &clock, &mut flight, wake_us).await;
    }
}

async fn wait(recorder: &Recorder, clock: &Clock, flight: &mut VecDeque<InFlight<'_>>, wake_us: Option<u64>) {
    let alarm = async {
        match wake_us {
            Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = poll_fn(|cx| poll_tickets(flight, cx)), if !flight.is_empty() => {}
        () = recorder.bell.rung() => {}
        () = alarm => {}
    }
}

fn send(journal: &dyn Journal, seq: RowSeq, batch: Batch) -> InFlight<'_> {
    let mut row = batch.row;
    record::seal_row(&mut row);
    let row = Bytes::from(row);
    let ticket = Some(journal.commit(seq, row.clone()));
    InFlight { seq, row, upto: batch.upto, ticket, result: None }
}

/// Polls every ticket, so that all of them move; ready when the oldest is.
fn poll_tickets(flight: &mut VecDeque<InFlight<'_>>, cx: &mut std::task::Context<'_>) -> Poll<()> {
    for entry in flight.iter_mut() {
        if let Some(ticket) = &mut entry.ticket
            && let Poll::Ready(result) = ticket.as_mut().poll(cx)
        {
            entry.result = Some(result);
            entry.ticket = None;
        }
    }
    if flight.front().is_some_and(|f| f.result.is_some()) { Poll::Ready(()) } else { Poll::Pending }
}

/// After a commit that did not surely succeed: waits for the others, asks the store what it holds, and commits
/// again, one by one, what it does not.
async fn reconcile<'a>(journal: &'a dyn Journal, flight: &mut VecDeque<InFlight<'a>>) {
    for entry in flight.iter_mut() {
        if let Some(ticket) = entry.ticket.take() {
            entry.result = Some(ticket.await);
        }
    }
    let first = flight.front().map_or(0, |f| f.seq);
    loop {
        tokio::time::sleep(RETRY_AFTER).await;
        let mut held = BTreeSet::new();
        let mut visit = |seq: RowSeq, _: &[u8]| {
            held.insert(seq);
        };
        if journal.replay(first.saturating_sub(1), &mut visit).await.is_err() {
            continue;
        }
        for entry in flight.iter_mut().filter(|f| f.result != Some(Commit::Durable)) {
            entry.result = Some(match held.contains(&entry.seq) {
                true => Commit::Durable,
                false => journal.commit(entry.seq, entry.row.clone()).await,
            });
        }
        if flight.iter().all(|f| matches!(f.result, Some(Commit::Durable | Commit::Fenced))) {
            return;
        }
    }
}
