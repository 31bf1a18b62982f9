//! The pure core of a link: one turn reads what came, writes what may go, plans what comes next.
//!
//! No IO, no clock: octets and `now` come in, octets go out. Order of a turn: obey stops, take the inbox, ripen
//! what became durable, answer receipts, survey the flows, write, plan, ask for more, hand facts to the recorder.
//! A unit is encoded only when its intent is durable, its campaign may send, and window and rate allow it.

use super::LinkInbox;
use super::appetite::Appetite;
use super::flow::{ChunkEntry, Flow, LinkRun, came_back, journal_run, slice};
use super::shell::LinkShared;
use super::write::Claims;
use super::{FlowSpec, LinkMsg};
use crate::dispatch::breaker::BreakerState;
use crate::dispatch::budget::Paid;
use crate::dispatch::channel_cells::Health;
use crate::dispatch::env::Now;
use crate::dispatch::fair::FlowId;
use crate::dispatch::lanes::Lanes;
use crate::dispatch::mark::MarkFile;
use crate::dispatch::recall::Recall;
use crate::dispatch::right_of_way::Waiting;
use crate::dispatch::supply::{ChunkData, Slice, SupplyMsg};
use crate::dispatch::window::Window;
use crate::model::record::{Facts, Fate, Outcome};
use crate::model::{CampaignNo, ChunkNo, DeliveryPolicy, Incarnation, UnitStatus};
use bytes::BytesMut;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Octets waiting for the socket above which nothing more is encoded.
pub(super) const MAX_OUT: usize = 256 << 10;

/// The core.
pub(crate) struct LinkCore {
    pub(super) shared: Arc<LinkShared>,
    pub(super) inbox: Arc<LinkInbox>,
    pub(super) incarnation: Incarnation,
    pub(super) mark: MarkFile,
    pub(super) window: Window,
    pub(super) lanes: Lanes,
    pub(super) appetite: Appetite,
    pub(super) flows: Vec<Option<Flow>>,
    pub(super) by_no: BTreeMap<CampaignNo, usize>,
    free_flows: Vec<usize>,
    /// Rates at which this link waits.
    pub(super) claims: Claims,
    pub(super) claims_channel: Option<Waiting>,
    /// Units queued and not planned, over all flows.
    pub(super) queued: u32,
    /// Whether this turn planned a one-time code: its intent is committed at once.
    pub(super) is_pressed: bool,
    /// What a free entry points to.
    nobody: Arc<ChunkData>,
    pub(super) chunks: Vec<ChunkEntry>,
    pub(super) free_chunks: Vec<u32>,
    pub(super) facts: Facts,
    pub(super) messages: u32,
    pub(super) out: BytesMut,
    /// Octets at the head of `out` that belong to a PDU whose beginning is on the wire, and its sequence number.
    pub(super) out_head: usize,
    pub(super) head_sequence: Option<u32>,
    /// Flows that may have octets in `out`.
    pub(super) output_flows: Vec<u32>,
    /// Wall clock of the present turn, milliseconds.
    pub(super) wall_ms: u64,
    pub(super) batch: u64,
    pub(super) batches: VecDeque<(u64, u64)>,
    pub(super) durable_batch: u64,
    pub(super) acks: VecDeque<(u64, u32)>,
    pub(super) obeyed: u64,
    /// Suppressed numbers that are being looked for; how many recalls that takes this link to, and where it was.
    pub(super) recalls: Vec<Arc<Recall>>,
    pub(super) recalls_heard: u64,
    pub(super) recalls_seen: u64,
    /// Refused units for their campaigns to keep for a while: flow, due time, units.
    pub(super) later: Vec<(u32, u64, Slice)>,
    pub(super) turn: TurnCounts,
    pub(super) capped: bool,
    /// Whether the session is at its end: nothing new is written, planned or asked for.
    pub(super) closing: bool,
    /// Whether the peer owes an answer for longer than it may: until it is heard, nothing more is written to it.
    pub(super) quiet: bool,
    /// Whether nothing was answered for so long that others shall send: it asks for nothing before it is heard.
    pub(super) is_stalled: bool,
    /// The channel's breaker as of this turn.
    pub(super) breaker: BreakerState,
    /// Whether our unbind was sent.
    pub(super) unbound: bool,
}

/// What one turn counted; added to the channel's cells at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TurnCounts {
    pub(super) submitted: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) throttled: u64,
    /// The longest time that a throttled answer took, microseconds.
    pub(super) throttled_us: u64,
    pub(super) health: Health,
    pub(super) retried: u64,
    pub(super) unknown: u64,
    /// By the status that the receipt leads to.
    pub(super) receipts: [u64; UnitStatus::ALL.len()],
    pub(super) orphans: u64,
    pub(super) strays: u64,
    pub(super) receipts_deferred: u64,
    pub(super) inbound: u64,
}

impl TurnCounts {
    /// An answer, or that it is missing, says whether the SMSC works.
    pub(super) fn heard(&mut self, is_sound: bool) {
        match is_sound {
            true => self.health = Health { is_sound, failures: 0 },
            false => self.health.failures += 1,
        }
    }
}

impl LinkCore {
    pub(crate) fn new(
        shared: Arc<LinkShared>,
        inbox: Arc<LinkInbox>,
        incarnation: Incarnation,
        mark: MarkFile,
    ) -> Self {
        let window = Window::new(shared.config.window);
        let obeyed = shared.board.stop_epoch();
        let recalls_seen = shared.board.recalls.count();
        shared.board.publish(&inbox.cells, obeyed);
        Self {
            shared,
            inbox,
            incarnation,
            mark,
            window,
            lanes: Lanes::default(),
            appetite: Appetite::new(),
            flows: Vec::new(),
            by_no: BTreeMap::new(),
            free_flows: Vec::new(),
            claims: Vec::new(),
            claims_channel: None,
            queued: 0,
            is_pressed: false,
            nobody: Arc::default(),
            chunks: Vec::new(),
            free_chunks: Vec::new(),
            facts: Facts::default(),
            messages: 0,
            out: BytesMut::with_capacity(MAX_OUT),
            out_head: 0,
            head_sequence: None,
            output_flows: Vec::new(),
            wall_ms: 0,
            batch: 1,
            batches: VecDeque::new(),
            durable_batch: 0,
            acks: VecDeque::new(),
            obeyed,
            recalls: Vec::new(),
            recalls_heard: recalls_seen,
            recalls_seen,
            later: Vec::new(),
            turn: TurnCounts::default(),
            capped: false,
            closing: false,
            quiet: false,
            is_stalled: false,
            breaker: BreakerState::Closed,
            unbound: false,
        }
    }

    /// One turn after input was handled. Returns when the next one is due without any event.
    pub(crate) fn turn(&mut self, now: Now) -> Option<u64> {
        self.wall_ms = now.wall_ms;
        self.release_claims(now.mono_us);
        self.breaker = self.shared.channel.looked_at(now.mono_us);
        self.obey_stops();
        for message in self.inbox.take() {
            self.on_message(message);
        }
        self.ripen();
        let closes_us = self.survey(now);
        let wake = self.write(now);
        self.plan(now);
        self.ask(now);
        self.send_later();
        self.hand_over(now);
        self.shared.board.publish(&self.inbox.cells, self.obeyed);
        self.publish(now);
        // A bind that holds units looks every second whether it is still worth them.
        let is_holding = self.queued + self.lanes.lead() > 0 && !self.is_halted();
        let tick_us = is_holding.then(|| self.appetite.next_tick());
        let is_closed = self.breaker == BreakerState::Closed;
        let look_us = (!is_closed).then(|| self.shared.channel.look_again_us());
        [wake, closes_us, tick_us, look_us].into_iter().flatten().min()
    }

    pub(super) fn on_message(&mut self, message: LinkMsg) {
        match message {
            LinkMsg::Join(spec) => self.join(*spec),
            LinkMsg::Slices(no, slices) => self.take_slices(no, slices),
            LinkMsg::Leave(no) => {
                if let Some(flow) = self.flow_of(no) {
                    flow.is_leaving = true;
                }
            }
        }
    }

    fn join(&mut self, spec: FlowSpec) {
        let known = self.by_no.get(&spec.cells.no).copied();
        let at = known.unwrap_or_else(|| self.free_flows.pop().unwrap_or(self.flows.len()));
        let id = flow_id(at);
        if self.flows.len() <= at {
            self.flows.resize_with(at + 1, || None);
        }
        let place = (spec.lane, spec.workspace, spec.weight);
        match &mut self.flows[at] {
            Some(flow) => {
                // The campaign's actor was restarted: positions go on, the mailbox is new.
                let before = flow.spec.lane;
                flow.spec = spec;
                flow.wanting = false;
                flow.is_leaving = false;
                self.lanes.leave(before, id);
            }
            empty => {
                self.by_no.insert(spec.cells.no, at);
                *empty = Some(Flow::new(spec));
            }
        }
        self.lanes.join(place.0, id, place.1, place.2);
    }

    /// Forgets a flow that has left and holds nothing.
    pub(super) fn forget(&mut self, at: usize) {
        if let Some(flow) = self.flows[at].take() {
            self.by_no.remove(&flow.no());
            self.free_flows.push(at);
            self.lanes.leave(flow.spec.lane, flow_id(at));
        }
    }

    pub(super) fn flow_of(&mut self, no: CampaignNo) -> Option<&mut Flow> {
        self.by_no.get(&no).and_then(|at| self.flows[*at].as_mut())
    }

    fn take_slices(&mut self, no: CampaignNo, slices: Vec<Slice>) {
        let Some(&at) = self.by_no.get(&no) else { return };
        let is_still = self.is_still(at);
        let Some(flow) = &mut self.flows[at] else { return };
        flow.wanting = false;
        if is_still {
            flow.spec.supply.send(SupplyMsg::Returned(slices));
            return;
        }
        self.appetite.fed();
        for slice in slices {
            if self.is_outdated(at, &slice) {
                if let Some(flow) = &mut self.flows[at] {
                    flow.wanting = false;
                    flow.spec.supply.send(SupplyMsg::Returned(vec![slice]));
                }
                continue;
            }
            let owner = self.add_chunk(ChunkEntry {
                flow: flow_id(at).0,
                chunk: slice.chunk,
                base: self.base_of(at, slice.chunk),
                data: slice.data,
                sieved: slice.sieved,
                not_after_ms: slice.not_after_ms,
                route: slice.route,
                paid: slice.paid,
                left: u32::from(slice.count),
            });
            if let Some(flow) = &mut self.flows[at] {
                flow.entries += 1;
                flow.queued_units += u32::from(slice.count);
                flow.queued.push_back(LinkRun {
                    owner,
                    from: slice.from,
                    count: slice.count,
                    attempt: slice.attempt,
                });
            }
        }
    }

    /// Where units of a chunk are filed when they are accepted, if they have receipts.
    fn base_of(&self, at: usize, chunk: ChunkNo) -> Option<u64> {
        let flow = self.flows.get(at)?.as_ref().filter(|flow| flow.spec.message.receipts)?;
        self.shared.desk().matcher.base_of((flow.no(), chunk), flow.spec.message.parts())
    }

    fn add_chunk(&mut self, entry: ChunkEntry) -> u32 {
        if let Some(at) = self.free_chunks.pop() {
            self.chunks[at as usize] = entry;
            return at;
        }
        self.chunks.push(entry);
        u32::try_from(self.chunks.len() - 1).unwrap_or(u32::MAX)
    }

    /// Notes that units of an entry left the link for good.
    pub(super) fn settle(&mut self, owner: u32, count: u32) {
        let Some(entry) = self.chunks.get_mut(owner as usize) else { return };
        entry.left = entry.left.saturating_sub(count);
        if entry.left == 0 {
            entry.data = Arc::clone(&self.nobody);
            let at = entry.flow as usize;
            self.free_chunks.push(owner);
            if let Some(flow) = self.flows.get_mut(at).and_then(Option::as_mut) {
                flow.entries -= 1;
            }
        }
    }

    /// Moves what the recorder made durable, and answers the receipts among it.
    fn ripen(&mut self) {
        let durable = self.shared.recorder.durable();
        let mut moved = false;
        while let Some((batch, append)) = self.batches.front().copied() {
            if append > durable {
                break;
            }
            self.durable_batch = batch;
            self.batches.pop_front();
            moved = true;
        }
        if !moved {
            return;
        }
        self.appetite.fed();
        for flow in self.flows.iter_mut().flatten().filter(|f| f.awaiting_units > 0) {
            flow.ripen(self.durable_batch);
        }
        while let Some((batch, sequence)) = self.acks.front().copied() {
            if batch > self.durable_batch {
                break;
            }
            self.acks.pop_front();
            super::wire::deliver_sm_resp(pdu::CommandStatus::OK, sequence, &mut self.out);
        }
    }

    /// Notes an outcome that settles the unit.
    pub(super) fn outcome(&mut self, owner: u32, unit: u16, latency_ms: u16, fate: Fate<'_>, now: Now) {
        let Some(entry) = self.chunks.get(owner as usize) else { return };
        let Some(flow) = self.flows.get(entry.flow as usize).and_then(Option::as_ref) else { return };
        let place = (flow.no(), entry.chunk, self.shared.config.key);
        self.facts.outcome(place, now.wall_ms, &Outcome { unit, latency_ms, fate });
        self.messages += 1;
        self.settle(owner, 1);
    }

    /// Whether nothing new may be sent on this session: it ends, or the engine drains.
    pub(super) fn is_halted(&self) -> bool {
        self.closing || self.shared.board.is_draining()
    }

    /// Whether a flow must not send now: the session ends, its channel's breaker is open, it was stopped, or its time
    /// is over.
    pub(super) fn is_still(&self, at: usize) -> bool {
        let writes = |f: &Flow| f.spec.cells.may_write(self.wall_ms);
        self.is_halted()
            || self.breaker == BreakerState::Open
            || !self.flows.get(at).and_then(Option::as_ref).is_some_and(writes)
    }

    /// Adds the turn's counts to the shared cells.
    fn publish(&mut self, now: Now) {
        let turn = std::mem::take(&mut self.turn);
        self.appetite.answered(u32::try_from(turn.accepted + turn.refused).unwrap_or(u32::MAX));
        if self.window.free() > 0 {
            self.is_stalled = false;
        }
        if turn.accepted > 0 {
            self.inbox.cells.answered.store(true, Ordering::Relaxed);
        }
        let channel = &self.shared.channel;
        for (cell, count) in [
            (&channel.submitted, turn.submitted),
            (&channel.accepted, turn.accepted),
            (&channel.refused, turn.refused),
            (&channel.throttled, turn.throttled),
            (&channel.retried, turn.retried),
            (&channel.unknown, turn.unknown),
            (&channel.orphans, turn.orphans),
            (&channel.strays, turn.strays),
            (&channel.receipts_deferred, turn.receipts_deferred),
            (&channel.inbound, turn.inbound),
        ]
        .into_iter()
        .chain(channel.receipts.iter().zip(turn.receipts))
        {
            if count > 0 {
                cell.fetch_add(count, Ordering::Relaxed);
            }
        }
        channel.adapt(now.mono_us, turn.throttled_us);
        if channel.report(turn.health, now.mono_us) {
            self.shared.board.ring_links();
        }
        self.inbox.cells.in_flight.store(self.window.in_flight(), Ordering::Relaxed);
        self.inbox.cells.stock.store(self.queued + self.lanes.lead(), Ordering::Relaxed);
    }

    /// Settles everything after the connection has ended: what was on the wire becomes unknown (or is sent again),
    /// what the kernel never took whole is revoked and goes back to its campaign.
    pub(crate) fn close(&mut self, now: Now) {
        let out = self.out.split();
        let whole = out.get(self.out_head..).unwrap_or_default();
        let mut unsent: Vec<u32> =
            self.head_sequence.take().filter(|_| self.out_head > 0).into_iter().collect();
        unsent.extend(super::wire::submits(whole));
        for sequence in unsent {
            if let Some(slot) = self.window.take(sequence) {
                self.give_up_probe();
                self.revoke_and_return(slot.owner, slot.unit, slot.attempt);
            }
        }
        for slot in self.window.drain() {
            self.give_up_probe();
            self.lost(slot.owner, slot.unit, slot.attempt, now);
        }
        self.release_claims(u64::MAX);
        for at in 0..self.flows.len() {
            self.empty_flow(at);
        }
        (self.queued, self.lanes) = (0, Lanes::default());
        for message in self.inbox.close() {
            if let LinkMsg::Slices(no, slices) = message
                && let Some(flow) = self.flow_of(no)
            {
                flow.spec.supply.send(SupplyMsg::Returned(slices));
            }
        }
        self.send_later();
        self.hand_over(now);
        self.publish(now);
        self.shared.board.publish(&self.inbox.cells, crate::dispatch::cells::OBEYS_ALL);
    }

    /// A probe that nobody will answer was none: another may be sent at once.
    pub(super) fn give_up_probe(&self) {
        if self.breaker == BreakerState::HalfOpen {
            self.shared.channel.give_probe_back(1);
        }
    }

    /// A submit whose answer will not come: perhaps sent, perhaps not.
    pub(super) fn lost(&mut self, owner: u32, unit: u16, attempt: u8, now: Now) {
        self.turn.unknown += 1;
        match self.policy_of(owner) {
            DeliveryPolicy::AtMostOnce => self.outcome(owner, unit, 0, Fate::Unknown, now),
            DeliveryPolicy::AtLeastOnce => {
                // Perhaps sent, it is charged for good.
                self.return_unit((owner, unit, attempt.saturating_add(1)), Some(Paid::Kept));
                self.outcome(owner, unit, 0, Fate::Repeat, now);
            }
        }
    }

    /// What waits for the socket.
    pub(crate) fn out(&self) -> &[u8] {
        &self.out
    }

    /// Whether the last turn stopped encoding because the output was full.
    pub(crate) fn is_capped(&self) -> bool {
        self.capped
    }

    fn policy_of(&self, owner: u32) -> DeliveryPolicy {
        let flow = self.chunks.get(owner as usize).and_then(|c| self.flows.get(c.flow as usize));
        flow.and_then(Option::as_ref).map_or(DeliveryPolicy::AtMostOnce, |f| f.spec.policy)
    }

    /// A unit whose octets never left: its intent is revoked and it goes back to its campaign.
    pub(super) fn revoke_and_return(&mut self, owner: u32, unit: u16, attempt: u8) {
        let run = LinkRun { owner, from: unit, count: 1, attempt };
        let Some(entry) = self.chunks.get(owner as usize) else { return };
        if let Some(flow) = self.flows.get(entry.flow as usize).and_then(Option::as_ref) {
            self.facts.revoke(flow.no(), &journal_run(entry, &run));
        }
        self.return_unit((owner, unit, attempt), None);
        self.settle(owner, 1);
    }

    /// Gives a unit back that had an intent; `paid` is what its recipient has, if that is known.
    pub(super) fn return_unit(&self, (owner, unit, attempt): (u32, u16, u8), paid: Option<Paid>) {
        let Some(entry) = self.chunks.get(owner as usize) else { return };
        if let Some(flow) = self.flows.get(entry.flow as usize).and_then(Option::as_ref) {
            let run = LinkRun { owner, from: unit, count: 1, attempt };
            let returned = came_back(flow, Slice { paid: paid.unwrap_or(entry.paid), ..slice(entry, &run) });
            flow.spec.supply.send(SupplyMsg::Returned(vec![returned]));
        }
    }
}

/// Microseconds folded into the window's 32 bits; differences up to 71 minutes are exact.
pub(super) fn wrapping_us(mono_us: u64) -> u32 {
    u32::try_from(mono_us & u64::from(u32::MAX)).unwrap_or(0)
}

/// The fair queues know a flow by its place.
pub(super) fn flow_id(at: usize) -> FlowId {
    FlowId(u32::try_from(at).unwrap_or(u32::MAX))
}
