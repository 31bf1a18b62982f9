//! One campaign on one link: what it holds, from planned to written, always in the order of its positions.
//!
//! Runs go queued -> awaiting (intent handed to the recorder) -> durable -> written; only durable runs are written.
//! Positions are dense within the link's incarnation, so one number, the written mark, parts sent from unsent.

use crate::dispatch::bucket::Bucket;
use crate::dispatch::budget::{Paid, Purse};
use crate::dispatch::cells::CampaignCells;
use crate::dispatch::message::Message;
use crate::dispatch::supply::{ChunkData, Slice, SupplyRef};
use crate::dispatch::suppression::Suppressed;
use crate::model::{CampaignNo, ChunkNo, DeliveryPolicy, Lane, RetryRule, Run};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a link needs to know to send for a campaign.
#[derive(Clone)]
pub(crate) struct FlowSpec {
    pub(crate) cells: Arc<CampaignCells>,
    pub(crate) message: Arc<Message>,
    pub(crate) policy: DeliveryPolicy,
    /// Fair-queue key and weight of the workspace.
    pub(crate) workspace: (u64, u32),
    /// Weight among the workspace's campaigns.
    pub(crate) weight: u32,
    /// Which lane its units wait in.
    pub(crate) lane: Lane,
    /// Limits beside the channel's: workspace, sender; unlimited ones are left out.
    pub(crate) rates: Vec<Arc<Bucket>>,
    /// Refusals that the campaign wants treated in its own way.
    pub(crate) retry: Arc<[RetryRule]>,
    /// Whom its workspace must not write to, and whether it goes to people who opted out all the same.
    pub(crate) suppressed: Arc<Suppressed>,
    pub(crate) transactional: bool,
    /// Daily limits that its recipients count for.
    pub(crate) purse: Arc<Purse>,
    /// Where slices come from and unsent ones go back to.
    pub(crate) supply: SupplyRef,
}

/// Consecutive units of one chunk on this link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkRun {
    /// Index of the link's [`ChunkEntry`].
    pub(crate) owner: u32,
    pub(crate) from: u16,
    pub(crate) count: u16,
    pub(crate) attempt: u8,
}

/// A chunk, or a slice of it, that this link works on.
#[derive(Debug)]
pub(crate) struct ChunkEntry {
    pub(crate) flow: u32,
    pub(crate) chunk: ChunkNo,
    /// First ordinal of the chunk in the receipt index; none without receipts.
    pub(crate) base: Option<u64>,
    pub(crate) data: Arc<ChunkData>,
    /// Suppression generation that its units were checked under.
    pub(crate) sieved: u32,
    /// Wall clock from which they are too late, milliseconds since 1970.
    pub(crate) not_after_ms: u64,
    /// Their route, and the places that they have, for their way back.
    pub(crate) route: u8,
    pub(crate) paid: Paid,
    /// Units handed to the link without outcome; at zero the entry is free.
    pub(crate) left: u32,
}

impl ChunkEntry {
    /// Whether a slice is of the same recipients on the same terms: only then may its units join it.
    pub(crate) fn is_alike(&self, slice: &Slice) -> bool {
        let terms = (self.chunk, self.sieved, self.not_after_ms, self.route, self.paid);
        terms == (slice.chunk, slice.sieved, slice.not_after_ms, slice.route, slice.paid)
            && Arc::ptr_eq(&self.data, &slice.data)
    }
}

/// The campaign's state on this link.
pub(crate) struct Flow {
    pub(crate) spec: FlowSpec,
    pub(crate) queued: VecDeque<LinkRun>,
    pub(crate) queued_units: u32,
    pub(crate) awaiting: VecDeque<(u64, LinkRun)>,
    pub(crate) awaiting_units: u32,
    pub(crate) durable: VecDeque<LinkRun>,
    pub(crate) durable_units: u32,
    /// Position of the next unit to be planned, from 1.
    pub(crate) next_position: u64,
    /// Position of the last unit encoded for the wire, 0 for none.
    pub(crate) written: u64,
    /// What the written mark says.
    pub(crate) marked: u64,
    /// Entries of chunks that have units of it.
    pub(crate) entries: u32,
    /// Intents that it may have ahead of its writes.
    pub(crate) most_lead: u32,
    /// Units that it keeps queued beyond its lead, so that planning never waits for the supply.
    pub(crate) stock: u32,
    /// Whether its campaign has ended: it goes when it holds nothing any more.
    pub(crate) is_leaving: bool,
    /// Whether the link's output may hold octets of it.
    pub(crate) in_output: bool,
    /// Whether the supply was asked and has not answered.
    pub(crate) wanting: bool,
}

impl Flow {
    pub(crate) fn new(spec: FlowSpec) -> Self {
        Self {
            spec,
            queued: VecDeque::new(),
            queued_units: 0,
            awaiting: VecDeque::new(),
            awaiting_units: 0,
            durable: VecDeque::new(),
            durable_units: 0,
            next_position: 1,
            written: 0,
            marked: 0,
            entries: 0,
            most_lead: 0,
            stock: 1,
            is_leaving: false,
            in_output: false,
            wanting: false,
        }
    }

    pub(crate) fn no(&self) -> CampaignNo {
        self.spec.cells.no
    }

    /// Units that are here and not encoded.
    pub(crate) fn unwritten(&self) -> u32 {
        self.queued_units + self.lead()
    }

    /// Intents that are not on the wire yet.
    pub(crate) fn lead(&self) -> u32 {
        self.awaiting_units + self.durable_units
    }

    /// Moves what is durable, up to batch `batch`, to where it may be written.
    #[inline]
    pub(crate) fn ripen(&mut self, batch: u64) {
        while let Some((tag, run)) = self.awaiting.front().copied() {
            if tag > batch {
                return;
            }
            self.awaiting.pop_front();
            self.awaiting_units -= u32::from(run.count);
            self.durable_units += u32::from(run.count);
            self.durable.push_back(run);
        }
    }

    /// Takes up to `most` units from the head of the queue.
    pub(crate) fn next_queued(&mut self, most: u32) -> Option<LinkRun> {
        let run = split_front(&mut self.queued, most)?;
        self.queued_units -= u32::from(run.count);
        Some(run)
    }

    /// Takes up to `most` durable units, to be written now.
    pub(crate) fn next_durable(&mut self, most: u32) -> Option<LinkRun> {
        let run = split_front(&mut self.durable, most)?;
        self.durable_units -= u32::from(run.count);
        self.written += u64::from(run.count);
        Some(run)
    }

    /// Queues a unit again in front of everything fresh.
    pub(crate) fn requeue(&mut self, run: LinkRun) {
        self.queued_units += u32::from(run.count);
        self.queued.push_front(run);
    }

    /// Takes the units at the end of the queue that are more than `keep`.
    pub(crate) fn surplus(&mut self, keep: u32) -> Vec<LinkRun> {
        let mut runs = Vec::new();
        while self.queued_units > keep {
            let more = self.queued_units - keep;
            let Some(run) = self.queued.back_mut() else { break };
            let mut taken = *run;
            match u16::try_from(more).ok().filter(|more| *more < taken.count) {
                Some(more) => {
                    run.count -= more;
                    taken = LinkRun { from: run.from + run.count, count: more, ..taken };
                }
                None => drop(self.queued.pop_back()),
            }
            self.queued_units -= u32::from(taken.count);
            runs.push(taken);
        }
        runs
    }

    /// Empties the flow: runs with an intent and runs without.
    pub(crate) fn take_unwritten(&mut self) -> (Vec<LinkRun>, Vec<LinkRun>) {
        let mut intended: Vec<LinkRun> = self.durable.drain(..).collect();
        intended.extend(self.awaiting.drain(..).map(|(_, run)| run));
        (self.durable_units, self.awaiting_units, self.queued_units) = (0, 0, 0);
        // What was intended and revoked leaves a gap in the written order: it counts as passed.
        self.written = self.next_position - 1;
        (intended, self.queued.drain(..).collect())
    }
}

/// The run as the journal names it.
pub(crate) fn journal_run(entry: &ChunkEntry, run: &LinkRun) -> Run {
    Run { chunk: entry.chunk, from: run.from, count: run.count }
}

/// The run as the supply takes it back.
pub(crate) fn slice(entry: &ChunkEntry, run: &LinkRun) -> Slice {
    Slice {
        chunk: entry.chunk,
        data: Arc::clone(&entry.data),
        from: run.from,
        count: run.count,
        attempt: run.attempt,
        sieved: entry.sieved,
        not_after_ms: entry.not_after_ms,
        route: entry.route,
        paid: entry.paid,
    }
}

/// A slice whose units had an intent, with the places that they still have.
pub(crate) fn came_back(flow: &Flow, slice: Slice) -> Slice {
    let is_whole = slice.is_whole(flow.spec.message.parts());
    let paid = flow.spec.purse.come_back(slice.paid, u64::from(slice.count), is_whole);
    Slice { paid, ..slice }
}

fn split_front(queue: &mut VecDeque<LinkRun>, most: u32) -> Option<LinkRun> {
    let front = queue.front_mut()?;
    let most = u16::try_from(most).unwrap_or(u16::MAX);
    if most == 0 {
        return None;
    }
    if front.count <= most {
        return queue.pop_front();
    }
    let head = LinkRun { count: most, ..*front };
    front.from += most;
    front.count -= most;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_goes_from_the_end_of_the_queue_and_nothing_is_lost() {
        let mut flow = super::super::tests::idle_flow();
        for (from, count) in [(0, 100), (100, 50), (150, 7)] {
            flow.requeue(LinkRun { owner: 0, from, count, attempt: 0 });
        }
        assert!(flow.surplus(157).is_empty());
        let given: Vec<(u16, u16)> = flow.surplus(20).iter().map(|r| (r.from, r.count)).collect();
        assert_eq!(given, [(0, 100), (113, 37)]);
        let kept: Vec<(u16, u16)> = flow.queued.iter().map(|r| (r.from, r.count)).collect();
        assert_eq!((kept, flow.queued_units), (vec![(150, 7), (100, 13)], 20));
    }
}
