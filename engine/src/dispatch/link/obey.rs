//! Stopping: what a link does when a campaign may no longer send, and how it proves that it has done it.
//!
//! The output is cut at a PDU boundary, cut PDUs and unwritten intents are revoked, the units go back to their
//! campaign, and only when no octet of a stopped campaign is left to be written, and the recorder has the
//! revocations, is the epoch published.

use super::core::LinkCore;
use super::flow::{came_back, journal_run, slice};
use super::wire;
use crate::dispatch::supply::SupplyMsg;

impl LinkCore {
    /// Obeys every stop announced so far.
    pub(super) fn obey_stops(&mut self) {
        let epoch = self.shared.board.stop_epoch();
        if epoch == self.obeyed {
            return;
        }
        let draining = self.shared.board.is_draining();
        self.hear_recalls();
        for at in 0..self.flows.len() {
            let must_go = draining || self.is_still(at) || self.holds_recalled(at);
            if self.flows[at].is_some() && must_go {
                self.empty_flow(at);
            }
        }
        self.cut_output();
        if !self.output_holds_stopped() {
            self.obeyed = epoch;
            self.forget_recalls();
        }
    }

    /// Whether the output holds octets that must not be written any more: its campaign's time is over, or it was
    /// stopped since the turn.
    pub(crate) fn must_look_again(&self, wall_ms: u64) -> bool {
        let flows = self.output_flows.iter().filter_map(|at| self.flows.get(*at as usize)?.as_ref());
        flows.into_iter().any(|flow| !flow.spec.cells.may_write(wall_ms))
    }

    /// Revokes the intents of a flow that are not on the wire and gives all its units back.
    pub(super) fn empty_flow(&mut self, at: usize) {
        let Some(flow) = self.flows.get_mut(at).and_then(Option::as_mut) else { return };
        let no = flow.no();
        let (intended, queued) = flow.take_unwritten();
        flow.wanting = false;
        let supply = flow.spec.supply.clone();
        let mut returned = Vec::with_capacity(intended.len() + queued.len());
        for run in &intended {
            let entry = &self.chunks[run.owner as usize];
            self.facts.revoke(no, &journal_run(entry, run));
            returned.push(came_back(flow, slice(entry, run)));
        }
        returned.extend(queued.iter().map(|run| slice(&self.chunks[run.owner as usize], run)));
        for run in intended.iter().chain(&queued) {
            self.settle(run.owner, u32::from(run.count));
        }
        if !returned.is_empty() {
            supply.send(SupplyMsg::Returned(returned));
        }
    }

    /// Takes PDUs of stopped campaigns out of the output, but for one whose first octets are already gone.
    pub(super) fn cut_output(&mut self) {
        let whole = self.out_head.min(self.out.len());
        let tail = self.out.split_off(whole);
        let mut rest = &tail[..];
        while let Ok(Some(frame)) = pdu::cut_frame(rest, u32::MAX) {
            let (octets, next) = rest.split_at(frame.len());
            rest = next;
            let sequence = frame.header.sequence_number;
            let submit = frame.header.command_id == pdu::CommandId::SUBMIT_SM;
            if submit && self.is_stopped_slot(sequence) {
                if let Some(slot) = self.window.take(sequence) {
                    self.give_up_probe();
                    self.revoke_and_return(slot.owner, slot.unit, slot.attempt);
                }
            } else {
                self.out.extend_from_slice(octets);
            }
        }
        self.out.extend_from_slice(rest);
        // Of a flow that is still at most the rest of one PDU is left, whose beginning is on the wire.
        let mut output_flows = std::mem::take(&mut self.output_flows);
        output_flows.retain(|at| {
            let is_still = self.is_still(*at as usize);
            if let Some(flow) = self.flows.get_mut(*at as usize).and_then(Option::as_mut) {
                flow.in_output = !is_still;
            }
            !is_still
        });
        self.output_flows = output_flows;
    }

    /// The session ends: what is not on the wire stays off it.
    pub(super) fn begin_close(&mut self) {
        self.closing = true;
        self.cut_output();
    }

    fn is_stopped_slot(&self, sequence: u32) -> bool {
        let Some(slot) = self.window.peek(sequence) else { return false };
        let entry = self.chunks.get(slot.owner as usize);
        entry.is_some_and(|entry| self.is_still(entry.flow as usize))
            || self.is_recalled_unit(slot.owner, slot.unit)
    }

    fn output_holds_stopped(&self) -> bool {
        // Everything but the head was cut already; the head is the rest of a PDU whose beginning is on the wire.
        let head = self.head_sequence.filter(|_| self.out_head > 0);
        let Some(slot) = head.and_then(|sequence| self.window.peek(sequence)) else { return false };
        let entry = self.chunks.get(slot.owner as usize);
        let flow = entry.and_then(|entry| self.flows.get(entry.flow as usize)).and_then(Option::as_ref);
        let is_stopped = flow.is_some_and(|flow| self.is_halted() || flow.spec.cells.is_stopped());
        is_stopped || self.is_recalled_unit(slot.owner, slot.unit)
    }

    /// The socket took `count` octets of the output: keeps track of a PDU that went only in part.
    pub(crate) fn wrote(&mut self, count: usize) {
        let before = self.out_head;
        let mut gone = count;
        if gone < before {
            self.out_head = before - gone;
        } else {
            gone -= before;
            let (inside, sequence) = wire::partial(&self.out[before.min(self.out.len())..], gone);
            self.out_head = inside;
            self.head_sequence = sequence;
        }
        bytes::Buf::advance(&mut self.out, count);
        if self.out.is_empty() {
            for at in self.output_flows.drain(..) {
                if let Some(flow) = self.flows.get_mut(at as usize).and_then(Option::as_mut) {
                    flow.in_output = false;
                }
            }
        }
    }
}
