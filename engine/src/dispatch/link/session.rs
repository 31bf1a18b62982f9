//! What a bound session receives: answers to submits, receipts, and the small talk of the protocol.

use super::core::{LinkCore, wrapping_us};
use super::flow::{ChunkEntry, LinkRun, came_back, slice};
use super::shell::Desk;
use super::wire;
use crate::dispatch::env::Now;
use crate::dispatch::inbound;
use crate::dispatch::matcher::Matched;
use crate::dispatch::retry::{Then, judge};
use crate::dispatch::supply::SupplyMsg;
use crate::model::RetryRule;
use crate::model::record::{Fate, Orphan, ReceiptFact};
use pdu::{
    CommandId, CommandStatus, DeliverSm, Frame, FrameError, MAX_COMMAND_LENGTH, PackedId, Receipt,
    SubmitSmResp,
};

/// Receipts waiting for their row; beyond it the SMSC is asked to come back later.
const MAX_ACKS: usize = 65_536;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SessionEnd {
    /// The stream cannot be framed any more.
    #[error("the stream cannot be framed: {0}")]
    Framing(#[from] FrameError),
    /// The SMSC asked to end.
    #[error("the SMSC unbound")]
    PeerUnbound,
    /// The SMSC answered our unbind.
    #[error("unbound")]
    Unbound,
}

/// What a late answer says about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lateness {
    /// Nothing is late.
    None,
    /// The peer answers others, but not this one.
    Unanswered,
    /// Nothing at all was heard for half of the time that an answer may take.
    Silent,
    /// The submit is still here: the peer does not read.
    Unread,
}

impl LinkCore {
    /// Handles every whole PDU in `input`; returns how many octets they took.
    pub(crate) fn on_input(&mut self, input: &[u8], now: Now) -> (usize, Result<(), SessionEnd>) {
        self.wall_ms = now.wall_ms;
        let shared = std::sync::Arc::clone(&self.shared);
        let mut desk = shared.desk();
        let mut at = 0;
        let end = loop {
            match pdu::cut_frame(&input[at..], MAX_COMMAND_LENGTH) {
                Ok(None) => break Ok(()),
                Ok(Some(frame)) => {
                    at += frame.len();
                    if let Err(end) = self.on_frame(&frame, &mut desk, now) {
                        break Err(end);
                    }
                }
                Err(error) => {
                    wire::generic_nack(CommandStatus::INVALID_COMMAND_LENGTH, 0, &mut self.out);
                    break Err(error.into());
                }
            }
        };
        (at, end)
    }

    #[inline]
    fn on_frame(&mut self, frame: &Frame<'_>, desk: &mut Desk, now: Now) -> Result<(), SessionEnd> {
        let sequence = frame.header.sequence_number;
        match frame.header.command_id {
            CommandId::SUBMIT_SM_RESP => self.on_submit_resp(frame, desk, now),
            CommandId::DELIVER_SM => self.on_deliver(frame, desk, now),
            CommandId::ENQUIRE_LINK => wire::enquire_link_resp(sequence, &mut self.out),
            CommandId::UNBIND => {
                wire::unbind_resp(sequence, &mut self.out);
                return Err(SessionEnd::PeerUnbound);
            }
            CommandId::UNBIND_RESP => return Err(SessionEnd::Unbound),
            CommandId::GENERIC_NACK => self.on_refusal(sequence, frame.header.command_status, now),
            CommandId::ENQUIRE_LINK_RESP | CommandId::ALERT_NOTIFICATION => {}
            id if id.is_response() => self.turn.strays += 1,
            _ => wire::generic_nack(CommandStatus::INVALID_COMMAND_ID, sequence, &mut self.out),
        }
        Ok(())
    }

    #[inline]
    fn on_submit_resp(&mut self, frame: &Frame<'_>, desk: &mut Desk, now: Now) {
        let status = frame.header.command_status;
        if status != CommandStatus::OK {
            return self.on_refusal(frame.header.sequence_number, status, now);
        }
        let Some(slot) = self.window.take(frame.header.sequence_number) else {
            self.turn.strays += 1;
            return;
        };
        let latency_us = wrapping_us(now.mono_us).wrapping_sub(slot.sent_us);
        if let Some(latency) = desk.latency.get_mut(usize::from(self.shared.config.place)) {
            latency.record(u64::from(latency_us));
        }
        let latency_ms = u16::try_from(latency_us / 1000).unwrap_or(u16::MAX);
        let id = SubmitSmResp::message_id_of(frame.body).unwrap_or_default();
        let fate = PackedId::pack(id).map_or(Fate::Accepted(id), Fate::AcceptedPacked);
        self.turn.accepted += 1;
        self.turn.heard(true);
        let Some(entry) = self.chunks.get(slot.owner as usize) else { return };
        let Some(flow) = self.flows.get(entry.flow as usize).and_then(Option::as_ref) else { return };
        let (campaign, chunk, base) = (flow.no(), entry.chunk, entry.base);
        self.outcome(slot.owner, slot.unit, latency_ms, fate, now);
        let Some(ordinal) = base.map(|base| base + u64::from(slot.unit)) else { return };
        let channel = self.shared.config.key;
        if let Some(early) = desk.matcher.expect(channel, self.shared.config.id_form, id, ordinal) {
            self.facts.receipt(
                now.wall_ms,
                &ReceiptFact { campaign, chunk, unit: slot.unit, status: early.status, error: early.error },
            );
            self.facts.adopted(channel, &early.message_id);
        }
    }

    /// An answer that refuses: `submit_sm_resp` with a status, or `generic_nack`.
    #[cold]
    fn on_refusal(&mut self, sequence: u32, status: CommandStatus, now: Now) {
        let Some(slot) = self.window.take(sequence) else {
            self.turn.strays += 1;
            return;
        };
        let latency_us = wrapping_us(now.mono_us).wrapping_sub(slot.sent_us);
        let latency_ms = u16::try_from(latency_us / 1000).unwrap_or(u16::MAX);
        let verdict = judge(status, slot.attempt, self.rules_of(slot.owner));
        self.turn.heard(!verdict.is_system);
        if verdict.slows {
            self.turn.throttled += 1;
            self.turn.throttled_us = self.turn.throttled_us.max(u64::from(latency_us)).max(1);
        }
        match verdict.then {
            Then::Same => self.retry(slot.owner, slot.unit, slot.attempt, status, now),
            Then::After(delay_s) => {
                self.turn.retried += u64::from(!verdict.slows);
                let attempt = slot.attempt.saturating_add(1);
                match delay_s {
                    0 => self.retry(slot.owner, slot.unit, attempt, status, now),
                    _ => self.retry_later((slot.owner, slot.unit, attempt), delay_s, status, now),
                }
            }
            Then::GiveUp => {
                self.turn.refused += 1;
                self.outcome(slot.owner, slot.unit, latency_ms, Fate::Failed(status.0), now);
            }
            Then::Final => {
                self.turn.refused += 1;
                self.outcome(slot.owner, slot.unit, latency_ms, Fate::Refused(status.0), now);
            }
        }
    }

    fn rules_of(&self, owner: u32) -> &[RetryRule] {
        let flow = self.chunks.get(owner as usize).and_then(|c| self.flows.get(c.flow as usize));
        flow.and_then(Option::as_ref).map_or(&[], |flow| &flow.spec.retry)
    }

    /// Gives a refused unit back to its campaign, which keeps it for so long. Units that follow each other go in one
    /// slice and all of a turn in one message, so that a failing SMSC costs no hop a unit.
    fn retry_later(
        &mut self,
        (owner, unit, attempt): (u32, u16, u8),
        delay_s: u32,
        status: CommandStatus,
        now: Now,
    ) {
        let Some(entry) = self.chunks.get(owner as usize) else { return };
        let (at, due_us) = (entry.flow, now.mono_us + u64::from(delay_s) * 1_000_000);
        match self.later.last_mut() {
            Some((flow, due, slice))
                if (*flow, *due) == (at, due_us)
                    && entry.is_alike(slice)
                    && slice.attempt == attempt
                    && slice.from.checked_add(slice.count) == Some(unit) =>
            {
                slice.count += 1;
            }
            _ => {
                let run = LinkRun { owner, from: unit, count: 1, attempt };
                self.later.push((at, due_us, slice(entry, &run)));
            }
        }
        self.outcome(owner, unit, 0, Fate::Retry(status.0), now);
    }

    /// Hands over what is to be tried again later; before the facts that say so are, so that no place is lost.
    pub(super) fn send_later(&mut self) {
        let mut later = std::mem::take(&mut self.later).into_iter().peekable();
        while let Some((at, due_us, first)) = later.next() {
            let mut slices = vec![first];
            while let Some((.., slice)) = later.next_if(|next| (next.0, next.1) == (at, due_us)) {
                slices.push(slice);
            }
            if let Some(flow) = self.flows.get(at as usize).and_then(Option::as_ref) {
                let slices = slices.into_iter().map(|slice| came_back(flow, slice)).collect();
                flow.spec.supply.send(SupplyMsg::Later(slices, due_us));
            }
        }
    }

    /// Queues a definitely refused unit again; a stopped campaign takes it back instead, and so does one whose number
    /// was suppressed meanwhile.
    fn retry(&mut self, owner: u32, unit: u16, attempt: u8, status: CommandStatus, now: Now) {
        let Some(at) = self.chunks.get(owner as usize).map(|c| c.flow as usize) else { return };
        let late = |entry: &ChunkEntry| entry.not_after_ms <= now.wall_ms;
        let is_late = self.chunks.get(owner as usize).is_some_and(late);
        // With a daily limit it needs a place again, which the supply takes.
        let is_limited =
            self.flows.get(at).and_then(Option::as_ref).is_some_and(|f| f.spec.purse.is_limited());
        if is_late || is_limited || self.is_still(at) || self.is_refused_unit(owner, unit) {
            self.return_unit((owner, unit, attempt), None);
            self.outcome(owner, unit, 0, Fate::Retry(status.0), now);
            return;
        }
        if let Some(entry) = self.chunks.get_mut(owner as usize) {
            // The unit stays on this link: its entry must outlive the outcome of the refused attempt.
            entry.left += 1;
        }
        self.outcome(owner, unit, 0, Fate::Retry(status.0), now);
        if let Some(flow) = self.flows.get_mut(at).and_then(Option::as_mut) {
            flow.spec.purse.hold(1);
            flow.requeue(LinkRun { owner, from: unit, count: 1, attempt });
        }
    }

    fn on_deliver(&mut self, frame: &Frame<'_>, desk: &mut Desk, now: Now) {
        let sequence = frame.header.sequence_number;
        let Ok(deliver) = DeliverSm::decode(frame.body) else {
            self.turn.strays += 1;
            return wire::generic_nack(CommandStatus::INVALID_COMMAND_LENGTH, sequence, &mut self.out);
        };
        let Some(receipt) = Receipt::from_deliver_sm(&deliver) else {
            return self.on_inbound(&deliver, sequence, now);
        };
        let Some(status) = crate::dispatch::matcher::final_status(receipt.state) else {
            return wire::deliver_sm_resp(CommandStatus::OK, sequence, &mut self.out);
        };
        if !self.takes_messages() {
            self.turn.receipts_deferred += 1;
            return wire::deliver_sm_resp(CommandStatus::RECEIVER_TEMPORARY, sequence, &mut self.out);
        }
        let error = crate::dispatch::matcher::error_code(&receipt);
        let channel = self.shared.config.key;
        match desk.matcher.receive(
            channel,
            self.shared.config.id_form,
            &receipt,
            (status, error, now.wall_ms),
        ) {
            Matched::Unit { campaign, chunk, unit } => {
                self.turn.receipts[status as usize] += 1;
                self.facts.receipt(now.wall_ms, &ReceiptFact { campaign, chunk, unit, status, error });
            }
            // Behind the first one's row, which may still be under way.
            Matched::Repeated => {}
            Matched::Orphan => {
                self.turn.orphans += 1;
                let message_id = receipt.message_id;
                self.facts.orphan(&Orphan { at_ms: now.wall_ms, channel, status, error, message_id });
            }
        }
        self.messages += 1;
        self.acks.push_back((self.batch, sequence));
    }

    /// Whether a receipt or a message can be stored and answered; behind our unbind the answer might come too late.
    fn takes_messages(&self) -> bool {
        self.shared.recorder.is_healthy() && self.acks.len() < MAX_ACKS && !self.unbound
    }

    /// A message from a handset: answered like a receipt, once its row is durable. What it asks for is done later.
    #[cold]
    fn on_inbound(&mut self, deliver: &DeliverSm<'_>, sequence: u32, now: Now) {
        if !self.takes_messages() || !self.shared.board.unheard.admit() {
            self.turn.receipts_deferred += 1;
            return wire::deliver_sm_resp(CommandStatus::RECEIVER_TEMPORARY, sequence, &mut self.out);
        }
        self.turn.inbound += 1;
        inbound::note(deliver, (self.shared.config.key, now.wall_ms), &mut self.facts);
        self.messages += 1;
        self.acks.push_back((self.batch, sequence));
    }
}

impl LinkCore {
    /// How the peer treats the oldest submit once it is late.
    pub(crate) fn lateness(&mut self, timeout_us: u64, heard_us: u64, now: Now) -> Lateness {
        let Some(oldest) = self.window.oldest() else { return Lateness::None };
        let age_us = u64::from(wrapping_us(now.mono_us).wrapping_sub(oldest.sent_us));
        if age_us < timeout_us {
            return Lateness::None;
        }
        let unread = (self.out_head > 0 && self.head_sequence == Some(oldest.sequence))
            || wire::submits(self.out.get(self.out_head..).unwrap_or_default()).contains(&oldest.sequence);
        match unread {
            true => Lateness::Unread,
            false if heard_us + timeout_us / 2 <= now.mono_us => Lateness::Silent,
            false => Lateness::Unanswered,
        }
    }

    /// Gives up waiting for answers older than `timeout_us`: their units become unknown, or are sent again.
    pub(crate) fn expire(&mut self, timeout_us: u64, now: Now) {
        for slot in self.window.expire(now.mono_us, timeout_us) {
            self.turn.heard(false);
            self.lost(slot.owner, slot.unit, slot.attempt, now);
        }
    }

    /// When the oldest unanswered submit is late.
    pub(crate) fn next_expiry(&mut self, timeout_us: u64, now: Now) -> u64 {
        let Some(oldest) = self.window.oldest() else { return u64::MAX };
        let age_us = wrapping_us(now.mono_us).wrapping_sub(oldest.sent_us);
        now.mono_us + timeout_us.saturating_sub(u64::from(age_us))
    }

    /// Asks the SMSC whether it is there.
    pub(crate) fn enquire(&mut self) {
        let sequence = self.window.skip();
        wire::enquire_link(sequence, &mut self.out);
    }

    /// When draining: unbinds once nothing is unanswered and every receipt taken is acknowledged.
    pub(crate) fn unbind_when_idle(&mut self) {
        let busy = self.window.in_flight() > 0 || !self.acks.is_empty() || !self.facts.is_empty();
        if !busy && !self.unbound {
            self.unbound = true;
            let sequence = self.window.skip();
            wire::unbind(sequence, &mut self.out);
        }
    }
}
