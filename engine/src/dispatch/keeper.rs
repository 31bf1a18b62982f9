//! The worker that owns every account: applies durable rows in order, saves settled chunks, trims the journal.
//!
//! Nothing reaches an account that is not durable. Journal rows are deleted only below the smallest watermark that
//! was read back from the campaigns' files after they were saved.

mod orphans;
mod overdue;
mod settling;
#[cfg(test)]
mod tests;
mod traffic;

use crate::dispatch::account::{Account, Hours, Overdue, Unsent};
use crate::dispatch::budget::Purse;
use crate::dispatch::growth::Growth;
use crate::dispatch::inbound::{Incoming, Unheard};
use crate::dispatch::recorder::Recorder;
use crate::dispatch::saving::{Held, save, save_all};
use crate::dispatch::supply::Slice;
use crate::dispatch::tally::Tally;
use crate::model::record::{self, Fact, Numbers};
use crate::model::{CampaignNo, ChunkNo, ChunkState, Incarnation, Run};
use crate::schedule::Zone;
use crate::store::{Journal, RowSeq, StoreError};
use bytes::Bytes;
use jiff::civil::Date;
use orphans::{KeptOrphan, OrphanKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Rows under way from the recorder; more make the recorder wait.
pub(crate) const ROWS: usize = 64;
/// Settled chunks that make a save worth its fsync: about 130,000 messages.
pub(super) const SAVE_CHUNKS: usize = 32;
/// Journal octets after which everything is saved and the journal trimmed: about 4.5 million messages.
const COMPACT_OCTETS: usize = 64 << 20;
/// Pause before saved state that could not be read is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// A unit that awaits its receipt: channel, unit, message id.
pub(crate) type AwaitedId = (u32, u16, Box<[u8]>);

/// What the keeper is told.
pub(crate) enum KeeperMsg {
    /// A durable row.
    Row(RowSeq, Bytes),
    /// A campaign that may have facts from now on.
    Open(Box<Account>, Arc<Tally>),
    /// The daily limits that a campaign counts for, which learn of its charges from now on, and whose days they count.
    Charge(CampaignNo, Arc<Purse>, Zone),
    /// What of a campaign is still to be sent.
    Remaining(CampaignNo, oneshot::Sender<Remaining>),
    /// Settles everything queued of a campaign that ended, now and later; of a long list the answer waits for the first
    /// [`SAVE_CHUNKS`] chunks alone.
    SettleQueued(CampaignNo, Unsent, oneshot::Sender<()>),
    /// Tell again when the campaign is settled: what its end waited for has come.
    Tell(CampaignNo),
    /// How a campaign stands.
    Standing(CampaignNo, oneshot::Sender<Standing>),
    /// The same for the record of its end: one that has settled is in its file before the answer.
    Close(CampaignNo, oneshot::Sender<Result<Standing, StoreError>>),
    /// Units of a chunk that await a receipt, for the receipt index.
    Awaiting(CampaignNo, ChunkNo, oneshot::Sender<Vec<AwaitedId>>),
    /// The columns of a chunk as they are, saved or not.
    Columns(CampaignNo, ChunkNo, oneshot::Sender<Option<ChunkState>>),
    /// Gives up waiting for receipts of one chunk, of units sent before the first of these times; the second is now.
    /// Milliseconds since 1970. Tells what is appended, `None` when no receipt is overdue.
    GiveUpReceipts((u64, u64), oneshot::Sender<Option<(CampaignNo, ChunkNo, Overdue)>>),
    /// The traffic of those of these campaigns that are held; the time is now, milliseconds since 1970.
    Traffic(Vec<CampaignNo>, u64, oneshot::Sender<Vec<(CampaignNo, Hours)>>),
    /// Saves everything and trims the journal.
    Compact(oneshot::Sender<Result<(), StoreError>>),
}

/// A unit with an intent and no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub(crate) campaign: CampaignNo,
    pub(crate) chunk: ChunkNo,
    pub(crate) unit: u16,
    pub(crate) incarnation: Incarnation,
    pub(crate) position: u64,
}

/// What of a campaign is still queued: chunks never touched, and runs of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remaining {
    pub(crate) untouched: Vec<ChunkNo>,
    pub(crate) runs: Vec<Run>,
}

impl Remaining {
    /// Whether the unit of a one-unit slice is among the queued ones.
    pub(crate) fn has(&self, slice: &Slice) -> bool {
        let inside = |run: &Run| {
            run.chunk == slice.chunk && (run.from..=run.from + (run.count - 1)).contains(&slice.from)
        };
        self.untouched.binary_search(&slice.chunk).is_ok() || self.runs.iter().any(inside)
    }
}

/// How a campaign stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether nothing is queued or in flight.
    pub(crate) is_settled: bool,
    /// Recipients charged so far, by local day.
    pub(crate) charges: Vec<(Date, u64)>,
    /// Whether a receipt is asked for and may still come in time.
    pub(crate) awaits_receipts: bool,
    /// What was sent in which hour; told for the record of an end alone.
    pub(crate) traffic: Hours,
}

/// What the keeper tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeeperEvent {
    /// Nothing of the campaign is queued or in flight any more.
    Settled(CampaignNo),
    /// It has freed places of a day for which somebody waits: itself, or another one of its workspace.
    Freed(CampaignNo),
}

/// The accounts and how far they are.
pub(crate) struct Keeper {
    journal: Arc<dyn Journal>,
    /// Orphans are written anew before the rows that hold them are trimmed.
    recorder: Arc<Recorder>,
    /// What Trigger calls have added and no file holds.
    growth: Arc<Growth>,
    held: BTreeMap<CampaignNo, Held>,
    /// Campaigns that ended with more queued than is settled at once.
    settling: BTreeSet<CampaignNo>,
    applied: RowSeq,
    octets: usize,
    /// Whether rows come from the journal of the last run: files may hold them already.
    replaying: bool,
    /// Rows that hold receipts without a message, by channel and id, with their time.
    orphans: BTreeMap<OrphanKey, KeptOrphan>,
    /// Time of the newest orphan, milliseconds since 1970.
    newest_ms: u64,
    /// Messages from handsets that were not acted on yet: their rows stay.
    unheard: Unheard,
    events: mpsc::UnboundedSender<KeeperEvent>,
}

impl Keeper {
    pub(crate) fn new(
        journal: Arc<dyn Journal>,
        recorder: Arc<Recorder>,
        growth: Arc<Growth>,
        (events, inbound): (mpsc::UnboundedSender<KeeperEvent>, mpsc::UnboundedSender<Vec<Incoming>>),
    ) -> Self {
        Self {
            journal,
            recorder,
            growth,
            held: BTreeMap::new(),
            settling: BTreeSet::new(),
            applied: 0,
            octets: 0,
            replaying: false,
            orphans: BTreeMap::new(),
            newest_ms: 0,
            unheard: Unheard::new(inbound),
            events,
        }
    }

    /// The worker: until every sender is gone. It saves nothing of its own accord at the end: another engine may have
    /// begun on what the journal holds.
    ///
    /// # Errors
    /// When a row cannot be applied: the next one must not be, or its watermark would pass over the first.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<KeeperMsg>) -> Result<(), StoreError> {
        let mut messages = Vec::with_capacity(16);
        while self.take_messages(&mut inbox, &mut messages).await {
            for message in messages.drain(..) {
                self.handle(message).await?;
            }
            if let Some(no) = self.settling.first().copied() {
                self.settle_batch(no).await?;
            }
            self.publish();
            self.save_if_due().await;
        }
        Ok(())
    }

    /// Takes what has come, waiting for it unless there is something to settle; false when nothing will come any more.
    async fn take_messages(
        &self,
        inbox: &mut mpsc::Receiver<KeeperMsg>,
        messages: &mut Vec<KeeperMsg>,
    ) -> bool {
        if self.settling.is_empty() {
            return inbox.recv_many(messages, 16).await > 0;
        }
        // The other workers of a simulation share this thread.
        tokio::task::yield_now().await;
        messages.extend(std::iter::from_fn(|| inbox.try_recv().ok()).take(16));
        true
    }

    async fn handle(&mut self, message: KeeperMsg) -> Result<(), StoreError> {
        match message {
            KeeperMsg::Row(seq, row) => {
                self.octets += row.len();
                self.apply(seq, &row).await?;
            }
            KeeperMsg::Open(account, tally) => self.open(account, tally, 0),
            KeeperMsg::Charge(no, purse, zone) => {
                if let Some(held) = self.held.get_mut(&no) {
                    if held.purse.is_none() {
                        // What the last run has intended was never drawn on it.
                        held.account.take_intended();
                    }
                    (held.purse, held.touched) = (Some(purse), true);
                    held.account.set_zone(Some(zone));
                }
            }
            KeeperMsg::Remaining(no, reply) => {
                // Who waits for the accounts looks at the tallies next.
                self.publish();
                // A receiver that went away wants nothing any more; the same holds for every reply here.
                let _ = reply.send(self.remaining(no));
            }
            KeeperMsg::SettleQueued(no, unsent, reply) => {
                self.settle_queued(no, unsent).await?;
                self.publish();
                let _ = reply.send(());
            }
            KeeperMsg::Tell(no) => {
                if let Some(held) = self.held.get_mut(&no) {
                    (held.told, held.touched) = (false, true);
                }
            }
            KeeperMsg::Standing(no, reply) => {
                self.publish();
                let _ = reply.send(self.standing(no));
            }
            KeeperMsg::Close(no, reply) => {
                self.publish();
                let _ = reply.send(self.close(no).await);
            }
            KeeperMsg::Awaiting(no, chunk, reply) => {
                let saved = self.state(no, chunk).await?;
                let awaiting = self.held.get(&no).map(|h| h.account.awaiting(chunk, saved.as_ref()));
                let _ = reply.send(awaiting.unwrap_or_default());
            }
            KeeperMsg::Columns(no, chunk, reply) => {
                let _ = reply.send(self.columns(no, chunk).await?);
            }
            KeeperMsg::GiveUpReceipts(times, reply) => {
                let _ = reply.send(self.give_up_receipts(times).await?);
            }
            KeeperMsg::Traffic(nos, now_ms, reply) => {
                let _ = reply.send(self.traffic(&nos, now_ms).await);
            }
            KeeperMsg::Compact(reply) => {
                let result = self.compact().await;
                let _ = reply.send(result);
            }
        }
        Ok(())
    }

    /// The columns of a chunk as they are.
    async fn columns(&self, no: CampaignNo, chunk: ChunkNo) -> Result<Option<ChunkState>, StoreError> {
        if let Some(open) = self.held.get(&no).and_then(|held| held.account.open_columns(chunk)) {
            return Ok(Some(open));
        }
        let Some(saved) = self.state(no, chunk).await? else { return Ok(None) };
        let Some(held) = self.held.get(&no) else { return Ok(Some(saved)) };
        Ok(Some(held.account.with_late(saved)))
    }

    /// Saved columns; a store that is away for a moment is waited for, which holds the recorder back.
    async fn state(&self, no: CampaignNo, chunk: ChunkNo) -> Result<Option<ChunkState>, StoreError> {
        loop {
            match self.journal.state(no, chunk).await {
                Err(StoreError::Unavailable(reason)) => {
                    tracing::warn!(campaign = no.0, chunk, reason, "saved state not read; asking again");
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
                Err(StoreError::NotFound) => return Ok(None),
                other => return other,
            }
        }
    }

    /// Everything up to `seq` counts as applied.
    pub(crate) fn begin_behind(&mut self, seq: RowSeq) {
        self.applied = self.applied.max(seq);
    }

    /// Takes an account over; `watermark` is what its file holds.
    pub(crate) fn open(&mut self, account: Box<Account>, tally: Arc<Tally>, watermark: RowSeq) {
        account.publish(&tally);
        // Told also of one that had settled before: its end may not have been recorded.
        let held = Held {
            account,
            tally,
            watermark,
            touched: true,
            told: false,
            unsent: None,
            purse: None,
            folded_ms: 0,
        };
        self.held.insert(held.account.no, held);
    }

    /// Applies one sealed row.
    pub(crate) async fn apply(&mut self, seq: RowSeq, row: &[u8]) -> Result<(), StoreError> {
        let mut facts = Vec::with_capacity(64);
        let sections = row.get(1..row.len().saturating_sub(4)).unwrap_or_default();
        record::read_sections(sections, &mut |fact| facts.push(fact))
            .map_err(|error| StoreError::Unusable(error.to_string()))?;
        // All columns first: a row is applied whole or not at all.
        for fact in &facts {
            let place = match fact {
                Fact::Intent(intent) => Some((intent.campaign, intent.run.chunk)),
                Fact::Outcomes { campaign, chunk, .. } => Some((*campaign, *chunk)),
                Fact::Revoke { campaign, run } => Some((*campaign, run.chunk)),
                Fact::Skip(skip) => Some((skip.campaign, skip.run.chunk)),
                Fact::Numbers(added) => {
                    self.ensure_chunk(seq, added).await?;
                    Some((added.campaign, added.chunk))
                }
                Fact::Receipts { .. }
                | Fact::Orphan(_)
                | Fact::Adopted { .. }
                | Fact::Inbound(_)
                | Fact::Heard { .. } => None,
            };
            if let Some((no, chunk)) = place {
                self.ensure_columns(seq, no, chunk).await?;
            }
        }
        for fact in facts {
            self.apply_fact(seq, fact);
        }
        self.unheard.close_row(self.replaying);
        self.applied = self.applied.max(seq);
        Ok(())
    }

    /// Applies one sealed row of the last run, but for campaigns whose files hold it already.
    pub(crate) async fn replay(&mut self, seq: RowSeq, row: &[u8]) -> Result<(), StoreError> {
        self.replaying = true;
        let result = self.apply(seq, row).await;
        self.replaying = false;
        result
    }

    /// How a campaign stands; one that is not held has nothing.
    pub(crate) fn standing(&self, no: CampaignNo) -> Standing {
        self.held.get(&no).map_or_else(Standing::default, |held| Standing {
            is_settled: held.account.is_settled(),
            charges: held.account.charges(),
            awaits_receipts: held.account.awaits_receipts(),
            traffic: Hours::new(),
        })
    }

    /// Saves the chunks of one campaign that have settled.
    async fn save_settled(&mut self, no: CampaignNo) -> Result<(), StoreError> {
        let Some(held) = self.held.get_mut(&no) else { return Ok(()) };
        let chunks = held.account.columns(false);
        let numbers: Vec<ChunkNo> = chunks.iter().map(|chunk| chunk.chunk).collect();
        match save((&*self.journal, &self.growth), no, held, chunks, held.watermark).await {
            Err(StoreError::NotFound) => {
                // Removed, or never had recipients: there is nothing to show.
                held.account.saved(&numbers);
                Ok(())
            }
            saved => saved,
        }
    }

    async fn ensure_columns(
        &mut self,
        seq: RowSeq,
        no: CampaignNo,
        chunk: ChunkNo,
    ) -> Result<(), StoreError> {
        let is_known = |held: &Held| self.replaying && seq <= held.watermark;
        if self.held.get(&no).is_some_and(is_known) {
            return Ok(());
        }
        self.load_columns(no, chunk).await
    }

    /// The recipients of a chunk that grows behind those which its file holds.
    async fn ensure_chunk(&mut self, seq: RowSeq, added: &Numbers<'_>) -> Result<(), StoreError> {
        let (no, chunk) = (added.campaign, added.chunk);
        let wanted = |held: &Held| !(self.replaying && seq <= held.watermark);
        if !self.held.get(&no).is_some_and(wanted) || self.growth.holds(no, chunk) {
            return Ok(());
        }
        loop {
            match self.journal.recipients(no, chunk).await {
                Ok(recipients) => {
                    self.growth.enter(no, chunk, recipients);
                    return Ok(());
                }
                Err(StoreError::NotFound) => return Ok(()),
                Err(StoreError::Unavailable(reason)) => {
                    tracing::warn!(campaign = no.0, chunk, reason, "recipients not read; asking again");
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn load_columns(&mut self, no: CampaignNo, chunk: ChunkNo) -> Result<(), StoreError> {
        if !self.held.get(&no).is_some_and(|held| held.account.wants_columns(chunk)) {
            return Ok(());
        }
        let state = self.state(no, chunk).await?;
        if let (Some(held), Some(state)) = (self.held.get_mut(&no), state) {
            held.account.open_with(&state);
        }
        Ok(())
    }

    fn apply_fact(&mut self, seq: RowSeq, fact: Fact<'_>) {
        match fact {
            Fact::Intent(intent) => {
                if let Some(held) = self.touch(seq, intent.campaign) {
                    held.account.intent(seq, &intent);
                }
            }
            Fact::Outcomes { campaign, chunk, channel, at_ms, entries } => {
                if let Some(held) = self.touch(seq, campaign) {
                    held.account.outcomes((chunk, channel), at_ms, entries);
                }
            }
            Fact::Revoke { campaign, run } => {
                if let Some(held) = self.touch(seq, campaign) {
                    held.account.revoke(&run);
                }
            }
            Fact::Receipts { at_ms, entries } => {
                for receipt in entries {
                    if let Some(held) = self.touch(seq, receipt.campaign) {
                        held.account.receipt(seq, at_ms, &receipt);
                    }
                }
            }
            Fact::Skip(skip) => {
                if let Some(held) = self.touch(seq, skip.campaign) {
                    held.account.skip(&skip);
                }
            }
            Fact::Numbers(added) => {
                if let Some(held) = self.touch(seq, added.campaign) {
                    held.account.grow(added.chunk, added.from, added.count);
                    self.growth.add(&added);
                }
            }
            Fact::Inbound(inbound) => self.unheard.take(seq, &inbound),
            Fact::Heard { row } => self.unheard.heard(row),
            Fact::Orphan(orphan) => self.keep_orphan(seq, &orphan),
            Fact::Adopted { channel, message_id } => {
                self.orphans.remove(&(channel, message_id.into()));
            }
        }
    }

    fn touch(&mut self, seq: RowSeq, no: CampaignNo) -> Option<&mut Held> {
        let held = self.held.get_mut(&no)?;
        if self.replaying && seq <= held.watermark {
            return None;
        }
        held.touched = true;
        Some(held)
    }

    /// Every unit with an intent and no outcome.
    pub(crate) fn unresolved(&self) -> Vec<Unresolved> {
        let of = |held: &Held| {
            let campaign = held.account.no;
            held.account.unresolved().into_iter().map(move |(chunk, unit, incarnation, position)| {
                Unresolved { campaign, chunk, unit, incarnation, position }
            })
        };
        self.held.values().flat_map(of).collect()
    }

    fn remaining(&self, no: CampaignNo) -> Remaining {
        let mut remaining = Remaining::default();
        let Some(held) = self.held.get(&no) else { return remaining };
        for chunk in 0..held.account.chunks() {
            if held.account.is_untouched(chunk) {
                remaining.untouched.push(chunk);
            } else {
                remaining.runs.extend(held.account.queued_runs(chunk));
            }
        }
        remaining
    }

    /// Hands on what the last run had not acted on; returns how many messages that are.
    pub(crate) fn hear_replayed(&mut self) -> u32 {
        self.unheard.begin()
    }

    /// Shows what a start found, also of campaigns that nothing will touch any more; tells nobody.
    pub(crate) fn show(&self) {
        for held in self.held.values() {
            held.account.publish(&held.tally);
        }
    }

    fn publish(&mut self) {
        for (no, held) in &mut self.held {
            if !std::mem::take(&mut held.touched) {
                continue;
            }
            if let Some(unsent) = held.unsent.filter(|_| !self.settling.contains(no)) {
                // Queued again by a fact, whose columns are therefore at hand.
                for chunk in held.account.queued_chunks() {
                    held.account.settle_queued(chunk, unsent);
                }
            }
            held.account.publish(&held.tally);
            let intended = held.account.take_intended();
            let has_freed = held.purse.as_ref().is_some_and(|p| p.publish(held.account.charges(), intended));
            let settled = held.account.is_settled();
            let is_news = !held.told || held.account.receipts_are_over();
            let news = [
                has_freed.then_some(KeeperEvent::Freed(*no)),
                (settled && is_news).then_some(KeeperEvent::Settled(*no)),
            ];
            for event in news.into_iter().flatten() {
                if self.events.send(event).is_err() {
                    tracing::debug!("nobody listens to the keeper any more");
                }
            }
            held.told = settled;
        }
    }

    async fn save_if_due(&mut self) {
        let due = self.octets >= COMPACT_OCTETS || self.held.values().any(|h| h.account.is_late_full());
        let result = if due {
            self.compact().await
        } else if self.held.values().map(|h| h.account.complete_chunks()).sum::<usize>() >= SAVE_CHUNKS {
            self.save_complete().await
        } else {
            Ok(())
        };
        if let Err(error) = result {
            tracing::warn!(%error, "state not saved; it stays in memory and in the journal");
        }
    }

    async fn save_complete(&mut self) -> Result<(), StoreError> {
        let held: Vec<CampaignNo> = self.held.keys().copied().collect();
        let mut saved = Ok(());
        for no in held {
            // One that cannot be saved does not keep others from being saved.
            saved = saved.and(self.save_settled(no).await);
        }
        saved
    }

    /// Saves everything, reads the watermarks back and trims the journal below the smallest. A campaign that cannot
    /// be saved keeps its rows and does not keep others from being saved; the first error is returned.
    pub(crate) async fn compact(&mut self) -> Result<(), StoreError> {
        let mut smallest = self.applied;
        let mut failed = None;
        for (no, held) in &mut self.held {
            let saved = match save_all((&*self.journal, &self.growth), *no, held, self.applied).await {
                Ok(()) => self.journal.header(*no).await.map(|header| header.watermark),
                Err(error) => Err(error),
            };
            smallest = smallest.min(match saved {
                Ok(watermark) => watermark,
                // Removed with everything that it had.
                Err(StoreError::NotFound) => smallest,
                Err(error) => {
                    failed = failed.or(Some(error));
                    held.watermark
                }
            });
        }
        // After a failure the next try comes when an eighth more has gathered, not behind every row.
        self.octets = if failed.is_some() { COMPACT_OCTETS - COMPACT_OCTETS / 8 } else { 0 };
        let pinned = self.carry_orphans(smallest).into_iter().chain(self.unheard.oldest());
        let pinned = pinned.map(|row| row.saturating_sub(1)).min();
        let trimmed = self.journal.trim(pinned.map_or(smallest, |row| row.min(smallest))).await;
        failed.map_or(trimmed, Err)
    }
}
