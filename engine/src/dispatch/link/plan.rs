//! What comes next on a link: which flows still may, which units get an intent, what to ask for, what to hand over.
//!
//! Planning shares the lead between lanes, workspaces and campaigns, so that none of them, held back by a rate of its
//! own, can keep the others from planning. What a bind holds in all is about what it sends in a second.

use super::appetite::Span;
use super::core::{LinkCore, flow_id};
use super::flow::{journal_run, slice};
use crate::dispatch::breaker::{BreakerState, PROBE_UNITS};
use crate::dispatch::cells::CLOSING_MS;
use crate::dispatch::env::Now;
use crate::dispatch::fair::{FlowId, Offer};
use crate::dispatch::supply::SupplyMsg;
use crate::model::Lane;
use crate::model::record::Intent;
use std::sync::Arc;

/// Most intents of one bind ahead of its writes: they are the unknown set after power loss (measured trade-off).
/// A lane that has none may always have one, also beyond it.
pub(crate) const LEAD: u32 = 1024;
/// Most units that all flows together keep queued beyond the lead.
const STOCK_UNITS: u32 = 1024;
/// A flow's stock is at least this part of what the bind sends in a second, so that a mailbox hop moves more than one.
const LEAST_STOCK_PART: u32 = 256;
/// And never more than this, whatever its share.
const MOST_LEAST_STOCK: u32 = 32;
/// The longest sleep of a link that holds units of a campaign whose time will be over, milliseconds.
const MAX_GATE_WAIT_MS: u64 = 60_000;

impl LinkCore {
    /// Looks at every flow once: what must be still is emptied, without being told; what has units takes its place in
    /// the queues of its lane. Returns when the first gate closes, microseconds of the monotonic clock.
    pub(super) fn survey(&mut self, now: Now) -> Option<u64> {
        let mut closes_at = u64::MAX;
        let mut must_cut = false;
        self.queued = 0;
        self.lanes.iter_mut().for_each(|lane| (lane.lead, lane.durable) = (0, 0));
        for at in 0..self.flows.len() {
            let Some(flow) = &self.flows[at] else { continue };
            let (unwritten, in_output) = (flow.unwritten(), flow.in_output);
            if unwritten == 0 && !in_output {
                if flow.is_leaving && flow.entries == 0 {
                    self.forget(at);
                } else {
                    let lane = self.lanes.of_mut(flow.spec.lane);
                    lane.plan.set_busy(flow_id(at), false);
                }
                continue;
            }
            if self.is_still(at) {
                must_cut |= in_output;
                self.empty_flow(at);
                continue;
            }
            closes_at = closes_at.min(flow.spec.cells.closes_at());
            self.seat(at);
        }
        if must_cut {
            self.cut_output();
        }
        // A wall clock that is set while nothing happens is noticed at the next write at the latest.
        let wait_ms = closes_at.saturating_sub(now.wall_ms).min(MAX_GATE_WAIT_MS);
        (closes_at < u64::MAX - CLOSING_MS).then(|| now.mono_us + wait_ms * 1000)
    }

    /// Counts a flow and puts it into the queues that it has units for.
    fn seat(&mut self, at: usize) {
        let (most_lead, stock, least) = self.room();
        let Some(flow) = self.flows[at].as_mut() else { return };
        let (id, lane) = (flow_id(at), self.lanes.of_mut(flow.spec.lane));
        self.queued += flow.queued_units;
        lane.lead += flow.lead();
        lane.durable += flow.durable_units;
        lane.plan.set_busy(id, true);
        flow.most_lead = lane.plan.share(id, most_lead);
        flow.stock = lane.plan.share(id, stock).max(least);
        if flow.durable_units > 0 {
            lane.write.wake(id);
        }
        if flow.queued_units > 0 && flow.lead() < flow.most_lead {
            lane.plan.wake(id);
        }
    }

    /// What the bind may have planned and queued, half a second of each, and the least stock of one flow.
    fn room(&self) -> (u32, u32, u32) {
        if self.breaker != BreakerState::Closed {
            return (PROBE_UNITS, 1, 1);
        }
        let per_s = self.appetite.per_s();
        let half = (per_s / 2).max(1);
        (half.min(LEAD), half.min(STOCK_UNITS), (per_s / LEAST_STOCK_PART).clamp(1, MOST_LEAST_STOCK))
    }

    /// Hands intents to the recorder: lane by lane, inside a lane by fair turns, each flow up to its share.
    pub(super) fn plan(&mut self, now: Now) {
        if self.is_halted() || self.breaker == BreakerState::Open || !self.shared.recorder.takes_intents() {
            return;
        }
        let (most, ..) = self.room();
        for lane in Lane::ALL {
            let mut room = self.lanes.lead_room(lane, most);
            while room > 0 {
                let flows = &self.flows;
                let mut offer = |id: FlowId, most: u32| {
                    let flow = flows.get(id.0 as usize).and_then(Option::as_ref);
                    let Some(flow) = flow.filter(|f| f.spec.cells.may_write(now.wall_ms)) else {
                        return Offer::Nothing;
                    };
                    let own = flow.most_lead.saturating_sub(flow.lead()).min(flow.queued_units);
                    match own.min(most) {
                        0 => Offer::Nothing,
                        units => Offer::Units(units),
                    }
                };
                let Some((id, units)) = self.lanes.of_mut(lane).plan.pick(room, &mut offer) else { break };
                room -= units;
                self.plan_units(id, units, now);
                self.is_pressed |= lane == Lane::Otp;
            }
        }
    }

    fn plan_units(&mut self, id: FlowId, mut units: u32, now: Now) {
        let Some(flow) = self.flows.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        self.queued -= units;
        self.lanes.of_mut(flow.spec.lane).lead += units;
        self.messages += units;
        while units > 0
            && let Some(run) = flow.next_queued(units)
        {
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
            units -= count;
        }
    }

    /// Asks campaigns for more before their stock runs out; gives back what the bind turned out too slow for.
    pub(super) fn ask(&mut self, now: Now) {
        if self.is_halted() {
            return;
        }
        match self.appetite.tick(now.mono_us, self.queued + self.lanes.durable() > 0) {
            Span::Fine => {}
            Span::Smaller => self.shed(),
            // Others can send them; what is on the wire stays.
            Span::Stalled if self.quiet || self.window.free() == 0 => {
                self.is_stalled = true;
                (0..self.flows.len()).for_each(|at| self.empty_flow(at));
                self.queued = 0;
                self.lanes.iter_mut().for_each(|lane| (lane.lead, lane.durable) = (0, 0));
            }
            Span::Stalled => self.shed(),
        }
        if self.is_stalled || self.breaker == BreakerState::Open {
            return;
        }
        // Whoever asks now shares with the others that do; without an answer it counts as idle in the next turn.
        for at in 0..self.flows.len() {
            let Some(flow) = &self.flows[at] else { continue };
            let may_ask = !flow.wanting && !flow.is_leaving && flow.spec.cells.may_write(now.wall_ms);
            if may_ask && flow.unwritten() == 0 {
                self.lanes.of_mut(flow.spec.lane).plan.set_busy(flow_id(at), true);
            }
        }
        let (_, stock, least) = self.room();
        for at in 0..self.flows.len() {
            let Some(flow) = self.flows[at].as_mut().filter(|f| !f.wanting && !f.is_leaving) else {
                continue;
            };
            if flow.unwritten() == 0 {
                let id = flow_id(at);
                flow.stock = self.lanes.of(flow.spec.lane).plan.share(id, stock).max(least);
            }
            if flow.queued_units >= flow.stock || !flow.spec.cells.may_write(now.wall_ms) {
                continue;
            }
            flow.wanting = true;
            let want = flow.stock * 2 - flow.queued_units;
            flow.spec.supply.send(SupplyMsg::Want(Arc::clone(&self.inbox), want));
        }
    }

    /// Gives back what flows have queued beyond twice their stock, and all that they have if even the lead is much
    /// more than the bind can send now.
    fn shed(&mut self) {
        let (most_lead, stock, least) = self.room();
        for at in 0..self.flows.len() {
            let Some(flow) = self.flows[at].as_mut().filter(|f| f.unwritten() > 0) else { continue };
            let (id, lane) = (flow_id(at), self.lanes.of_mut(flow.spec.lane));
            if flow.lead() > lane.plan.share(id, most_lead) * 4 {
                self.queued -= flow.queued_units;
                lane.lead -= flow.lead();
                lane.durable -= flow.durable_units;
                self.empty_flow(at);
                continue;
            }
            let share = lane.plan.share(id, stock).max(least);
            let runs = flow.surplus(share * 2);
            if runs.is_empty() {
                continue;
            }
            let supply = flow.spec.supply.clone();
            let mut slices = Vec::with_capacity(runs.len());
            for run in runs.iter().rev() {
                slices.push(slice(&self.chunks[run.owner as usize], run));
                self.queued -= u32::from(run.count);
                self.settle(run.owner, u32::from(run.count));
            }
            supply.send(SupplyMsg::Returned(slices));
        }
    }

    /// Gives the turn's facts to the recorder; hurries it for a one-time code and when nothing durable is left.
    pub(super) fn hand_over(&mut self, now: Now) {
        let half_free = self.window.free() * 2 >= self.window.size();
        let is_dry = half_free && self.lanes.are_dry();
        let now_ns = now.mono_us * 1000;
        if is_dry && !self.quiet && self.shared.channel.bucket.ready_at(now_ns) <= now_ns {
            self.appetite.dry();
        }
        let hurry =
            std::mem::take(&mut self.is_pressed) || (is_dry && self.lanes.lead() > self.lanes.durable());
        if !self.facts.is_empty() {
            let octets = self.facts.octets();
            let append = self.shared.recorder.append(octets, self.messages, hurry, now.mono_us);
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
        } else if hurry {
            self.shared.recorder.hurry();
        }
    }
}
