//! The pure core of a link: one turn reads what came, writes what may go, plans what comes next.
//!
//! No IO, no clock: octets and `now` come in, octets go out. Order of a turn: obey stops, take the inbox, ripen
//! what became durable, answer receipts, write, plan, ask for more, hand facts to the recorder.
//! A unit is encoded only when its intent is durable, its campaign may send, and window and rate allow it.

use super::LinkInbox;
use super::flow::{ChunkEntry, Flow, LinkRun, STOCK_UNITS, journal_run, slice};
use super::shell::LinkShared;
use super::{FlowSpec, LinkMsg};
use crate::dispatch::env::Now;
use crate::dispatch::fair::{Fair, FlowId};
use crate::dispatch::mark::MarkFile;
use crate::dispatch::recall::Recall;
use crate::dispatch::supply::{SLICE_RECIPIENTS, Slice, SupplyMsg};
use crate::dispatch::window::Window;
use crate::model::record::{Facts, Fate, Intent, Outcome};
use crate::model::{CampaignNo, DeliveryPolicy, Incarnation, UnitStatus};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Most intents of one bind ahead of its writes: they are the unknown set after power loss (measured trade-off).
pub(crate) const LEAD: u32 = 1024;
/// Octets waiting for the socket above which nothing more is encoded.
const MAX_OUT: usize = 256 << 10;

/// The core.
pub(crate) struct LinkCore {
    pub(super) shared: Arc<LinkShared>,
    pub(super) inbox: Arc<LinkInbox>,
    pub(super) incarnation: Incarnation,
    pub(super) mark: MarkFile,
    pub(super) window: Window,
    pub(super) fair: Fair,
    pub(super) flows: Vec<Option<Flow>>,
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
    /// Answers since the last hold that were not throttled; none of them makes the next hold longer.
    pub(super) unthrottled: u32,
    pub(super) hold_us: u64,
    pub(super) turn: TurnCounts,
    capped: bool,
    /// Whether the session is at its end: nothing new is written, planned or asked for.
    pub(super) closing: bool,
    /// Whether the peer owes an answer for longer than it may: until it is heard, nothing more is written to it.
    pub(super) quiet: bool,
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
    pub(super) retried: u64,
    pub(super) unknown: u64,
    /// By the status that the receipt leads to.
    pub(super) receipts: [u64; UnitStatus::ALL.len()],
    pub(super) orphans: u64,
    pub(super) strays: u64,
    pub(super) receipts_deferred: u64,
    pub(super) inbound: u64,
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
            fair: Fair::default(),
            flows: Vec::new(),
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
            unthrottled: 0,
            hold_us: 0,
            turn: TurnCounts::default(),
            capped: false,
            closing: false,
            quiet: false,
            unbound: false,
        }
    }

    /// One turn after input was handled. Returns when the next one is due without any event.
    pub(crate) fn turn(&mut self, now: Now) -> Option<u64> {
        self.wall_ms = now.wall_ms;
        self.obey_stops();
        let closes_us = self.obey_gates(now);
        for message in self.inbox.take() {
            self.on_message(message);
        }
        self.ripen();
        let wake = self.write(now);
        self.plan(now);
        self.ask();
        self.hand_over(now);
        self.shared.board.publish(&self.inbox.cells, self.obeyed);
        self.publish();
        // What came with this turn closes with the others or is looked at again when it is written.
        [wake, closes_us].into_iter().flatten().min()
    }

    pub(super) fn on_message(&mut self, message: LinkMsg) {
        match message {
            LinkMsg::Join(spec) => self.join(*spec),
            LinkMsg::Slices(no, slices) => self.take_slices(no, slices),
            LinkMsg::Leave(no) => self.leave(no),
        }
    }

    fn join(&mut self, spec: FlowSpec) {
        if let Some(flow) = self.flow_of(spec.cells.no) {
            // The campaign's actor was restarted: positions go on, the mailbox is new.
            flow.spec = spec;
            flow.wanting = false;
            return;
        }
        let id = self.fair.join(spec.workspace.0, spec.workspace.1, spec.weight);
        let at = id.0 as usize;
        if self.flows.len() <= at {
            self.flows.resize_with(at + 1, || None);
        }
        self.flows[at] = Some(Flow::new(spec));
    }

    fn leave(&mut self, no: CampaignNo) {
        let busy = |f: &Flow| f.lead() + f.queued_units > 0;
        let at = self.flows.iter().position(|f| f.as_ref().is_some_and(|f| f.no() == no && !busy(f)));
        let in_window = self.chunks.iter().any(|c| c.left > 0 && Some(c.flow as usize) == at);
        if let (Some(at), false) = (at, in_window) {
            self.flows[at] = None;
            self.fair.leave(FlowId(u32::try_from(at).unwrap_or(u32::MAX)));
        }
    }

    pub(super) fn flow_of(&mut self, no: CampaignNo) -> Option<&mut Flow> {
        self.flows.iter_mut().flatten().find(|f| f.no() == no)
    }

    fn take_slices(&mut self, no: CampaignNo, slices: Vec<Slice>) {
        let at = self.flows.iter().position(|f| f.as_ref().is_some_and(|f| f.no() == no));
        let Some(at) = at else { return };
        if self.is_still(at) {
            if let Some(flow) = &mut self.flows[at] {
                flow.wanting = false;
                flow.spec.supply.send(SupplyMsg::Returned(slices));
            }
            return;
        }
        for slice in slices {
            if self.is_outdated(at, &slice) {
                if let Some(flow) = &mut self.flows[at] {
                    flow.wanting = false;
                    flow.spec.supply.send(SupplyMsg::Returned(vec![slice]));
                }
                continue;
            }
            let owner = self.add_chunk(ChunkEntry {
                flow: u32::try_from(at).unwrap_or(u32::MAX),
                chunk: slice.chunk,
                data: slice.data,
                sieved: slice.sieved,
                not_after_ms: slice.not_after_ms,
                route: slice.route,
                charged: slice.charged,
                left: u32::from(slice.count),
            });
            if let Some(flow) = &mut self.flows[at] {
                flow.wanting = false;
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
            entry.data = Arc::default();
            self.free_chunks.push(owner);
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
        for flow in self.flows.iter_mut().flatten() {
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

    /// Encodes what window, rate and fairness allow; returns when more will be allowed.
    fn write(&mut self, now: Now) -> Option<u64> {
        self.capped = false;
        if self.is_halted() || self.quiet || self.window.free() == 0 || !self.has_durable() {
            return None;
        }
        let channel = Arc::clone(&self.shared.channel);
        let held = channel.held_until();
        if held > now.mono_us {
            return Some(held);
        }
        let now_ns = now.mono_us * 1000;
        let mut tokens = channel.bucket.take(now_ns, self.window.free());
        if tokens == 0 {
            return Some(channel.bucket.ready_at(now_ns).div_ceil(1000));
        }
        while tokens > 0 {
            if self.out.len() >= MAX_OUT {
                self.capped = true;
                break;
            }
            let flows = &self.flows;
            let mut backlog = |id: FlowId| {
                let flow = flows.get(id.0 as usize).and_then(Option::as_ref);
                flow.filter(|f| f.spec.cells.may_write(now.wall_ms)).map_or(0, |f| f.durable_units)
            };
            let Some((id, units)) = self.fair.pick(tokens, &mut backlog) else { break };
            tokens -= units;
            self.write_units(id, units, now);
        }
        channel.bucket.give_back(tokens);
        let starved = tokens == 0 && self.window.free() > 0 && self.has_durable();
        starved.then(|| channel.bucket.ready_at(now_ns).div_ceil(1000))
    }

    fn write_units(&mut self, id: FlowId, mut units: u32, now: Now) {
        let sent_us = wrapping_us(now.mono_us);
        while units > 0 {
            let Some(flow) = self.flows.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
            let Some(run) = flow.next_durable(units) else { return };
            units -= u32::from(run.count);
            if !flow.in_output {
                flow.in_output = true;
                self.output_flows.push(id.0);
            }
            let message = Arc::clone(&flow.spec.message);
            let data = Arc::clone(&self.chunks[run.owner as usize].data);
            let parts = u16::from(message.parts());
            let mut unsendable = Vec::new();
            for unit in run.from..=run.from + (run.count - 1) {
                let (recipient, part) = if parts == 1 { (unit, 0) } else { (unit / parts, unit % parts) };
                let number = data.number(recipient).unwrap_or(0);
                let sequence = self.window.push(run.owner, unit, run.attempt, sent_us);
                let values = data.row(recipient);
                let pushed = message.push(usize::from(part), sequence, number, values, &mut self.out);
                if pushed.is_err() {
                    self.window.take(sequence);
                    unsendable.push(unit);
                }
            }
            self.turn.submitted += u64::from(run.count);
            for unit in unsendable {
                self.outcome(run.owner, unit, 0, Fate::Failed(0), now);
            }
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

    /// Whether a flow must not send now: the session ends, it was stopped, or its time is over.
    pub(super) fn is_still(&self, at: usize) -> bool {
        let writes = |f: &Flow| f.spec.cells.may_write(self.wall_ms);
        self.is_halted() || !self.flows.get(at).and_then(Option::as_ref).is_some_and(writes)
    }

    fn has_durable(&self) -> bool {
        self.flows.iter().flatten().any(|f| f.durable_units > 0)
    }

    /// Hands intents to the recorder, at most [`LEAD`] ahead of the writes, shared by weight.
    fn plan(&mut self, now: Now) {
        if self.is_halted() || !self.shared.recorder.takes_intents() {
            return;
        }
        let lead: u32 = self.flows.iter().flatten().map(Flow::lead).sum();
        let mut room = LEAD.saturating_sub(lead);
        let weights: u32 =
            self.flows.iter().flatten().filter(|f| f.queued_units > 0).map(|f| f.spec.weight).sum();
        let share =
            |weight: u32| (LEAD.saturating_mul(weight) / weights.max(1)).max(u32::from(SLICE_RECIPIENTS) / 4);
        for at in 0..self.flows.len() {
            let Some(flow) = &mut self.flows[at] else { continue };
            if !flow.spec.cells.may_write(now.wall_ms) {
                continue;
            }
            let mut own = share(flow.spec.weight).saturating_sub(flow.lead()).min(room);
            while let Some(run) = flow.next_queued(own) {
                let count = u32::from(run.count);
                let intent = Intent {
                    incarnation: self.incarnation,
                    campaign: flow.no(),
                    stop_gen: flow.spec.cells.stop_gen(),
                    position: flow.next_position,
                    run: journal_run(&self.chunks[run.owner as usize], &run),
                    attempt: run.attempt,
                    at_ms: now.wall_ms,
                };
                self.facts.intent(&intent);
                flow.next_position += u64::from(count);
                flow.awaiting.push_back((self.batch, run));
                flow.awaiting_units += count;
                self.messages += count;
                own -= count;
                room -= count;
            }
        }
    }

    /// Asks campaigns for more before their stock runs out.
    fn ask(&mut self) {
        if self.is_halted() {
            return;
        }
        let wall_ms = self.wall_ms;
        for flow in self.flows.iter_mut().flatten() {
            if flow.wanting || flow.queued_units >= STOCK_UNITS || !flow.spec.cells.may_write(wall_ms) {
                continue;
            }
            flow.wanting = true;
            let want = STOCK_UNITS * 2 - flow.queued_units;
            flow.spec.supply.send(SupplyMsg::Want(Arc::clone(&self.inbox), want));
        }
    }

    /// Gives the turn's facts to the recorder; hurries it when nothing durable is left to write.
    fn hand_over(&mut self, now: Now) {
        let half_free = self.window.free() * 2 >= self.window.size();
        let dry =
            half_free && !self.has_durable() && self.flows.iter().flatten().any(|f| f.awaiting_units > 0);
        if !self.facts.is_empty() {
            let octets = self.facts.octets();
            let append = self.shared.recorder.append(octets, self.messages, dry, now.mono_us);
            self.batches.push_back((self.batch, append));
            self.batch += 1;
            self.facts.clear();
            self.messages = 0;
        } else if self.acks.back().is_some_and(|(batch, _)| *batch == self.batch) {
            // Only repeated receipts came: the first of each is among what was appended before.
            self.batches.push_back((self.batch, self.shared.recorder.appended()));
            self.batch += 1;
            self.messages = 0;
            self.shared.recorder.hurry();
            self.inbox.cells.bell.ring();
        } else if dry {
            self.shared.recorder.hurry();
        }
    }

    /// Adds the turn's counts to the shared cells.
    fn publish(&mut self) {
        let turn = std::mem::take(&mut self.turn);
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
        self.inbox.cells.in_flight.store(self.window.in_flight(), Ordering::Relaxed);
        let stock = self.flows.iter().flatten().map(|f| f.queued_units + f.lead()).sum();
        self.inbox.cells.stock.store(stock, Ordering::Relaxed);
    }

    /// Before a socket write: tells the written mark how far each campaign's order is encoded.
    pub(crate) fn write_marks(&mut self) -> std::io::Result<()> {
        for flow in self.flows.iter_mut().flatten() {
            if flow.marked != flow.written {
                flow.marked = flow.written;
                // Without a mark the order could not be told apart after a kill: the bind starts anew.
                let full = || std::io::Error::other("the written mark is full");
                let slot = self.mark.slot_for(flow.no()).ok_or_else(full)?;
                self.mark.set(slot, flow.no(), flow.written)?;
            }
        }
        Ok(())
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
                self.revoke_and_return(slot.owner, slot.unit, slot.attempt);
            }
        }
        for slot in self.window.drain() {
            self.lost(slot.owner, slot.unit, slot.attempt, now);
        }
        for at in 0..self.flows.len() {
            self.empty_flow(at);
        }
        for message in self.inbox.close() {
            if let LinkMsg::Slices(no, slices) = message
                && let Some(flow) = self.flow_of(no)
            {
                flow.spec.supply.send(SupplyMsg::Returned(slices));
            }
        }
        self.hand_over(now);
        self.publish();
        self.shared.board.publish(&self.inbox.cells, crate::dispatch::cells::OBEYS_ALL);
    }

    /// A submit whose answer will not come: perhaps sent, perhaps not.
    pub(super) fn lost(&mut self, owner: u32, unit: u16, attempt: u8, now: Now) {
        self.turn.unknown += 1;
        match self.policy_of(owner) {
            DeliveryPolicy::AtMostOnce => self.outcome(owner, unit, 0, Fate::Unknown, now),
            DeliveryPolicy::AtLeastOnce => {
                self.return_unit(owner, unit, attempt.saturating_add(1));
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
        self.return_unit(owner, unit, attempt);
        self.settle(owner, 1);
    }

    pub(super) fn return_unit(&self, owner: u32, unit: u16, attempt: u8) {
        let Some(entry) = self.chunks.get(owner as usize) else { return };
        if let Some(flow) = self.flows.get(entry.flow as usize).and_then(Option::as_ref) {
            let run = LinkRun { owner, from: unit, count: 1, attempt };
            flow.spec.supply.send(SupplyMsg::Returned(vec![slice(entry, &run)]));
        }
    }
}

/// Microseconds folded into the window's 32 bits; differences up to 71 minutes are exact.
pub(super) fn wrapping_us(mono_us: u64) -> u32 {
    u32::try_from(mono_us & u64::from(u32::MAX)).unwrap_or(0)
}
