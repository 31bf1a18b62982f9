//! The session's side of receipts: taking them from the account, writing them, and settling the answers.
//!
//! An owed receipt ends in exactly one of acknowledged, refused for good, or given up because the store was full;
//! everything else (temporary error, timeout, lost connection) brings it back.

use pdu::{CommandStatus, Frame};

use super::hub::Hub;
use super::ledger::{Delivery, PduLine, ReceiptAck};
use super::receipt::{Duty, Receipt};
use super::response::status;
use super::session::{Core, sooner};
use super::submit::digits;

/// Octets waiting to be written above which no further receipt is added.
const BACKLOG_LIMIT: usize = 256 * 1024;

impl Core {
    /// Puts a receipt into the account's store, or gives it up when that is full.
    pub(crate) fn store_receipt(&mut self, hub: &mut Hub, account: usize, due_us: u64, receipt: Receipt) {
        if self.admit(hub, account, &receipt) {
            hub.accounts[account].schedule(due_us, receipt, self.connection);
        }
    }

    /// Writes a receipt at once, ahead of everything that follows; the window is ignored.
    pub(crate) fn deliver_now(&mut self, hub: &mut Hub, account: usize, now_us: u64, receipt: Receipt) {
        if self.admit(hub, account, &receipt) {
            self.write_receipt(hub, now_us, receipt);
        }
    }

    fn admit(&mut self, hub: &mut Hub, account: usize, receipt: &Receipt) -> bool {
        let limit = hub.config.receipts.as_ref().map_or(0, |receipts| receipts.store_limit);
        let admitted = hub.accounts[account].admit(limit);
        if receipt.duty == Duty::Owed {
            hub.stats.receipts_created += 1;
            hub.stats.receipts_overflowed += u64::from(!admitted);
        }
        admitted
    }

    /// Delivers what is due as far as the window and the backlog allow.
    pub(crate) fn deliver(&mut self, hub: &mut Hub, now_us: u64) {
        let (Some(account), Some(config)) = (self.account, hub.config.receipts.as_ref()) else { return };
        if !self.mode.receives {
            return;
        }
        let (window, timeout_us, redeliver_us) = (config.window, config.timeout_us, config.redeliver_us);
        let disorder = (config.disorder_us > 0).then_some(&mut self.rng);
        hub.accounts[account].route(now_us, self.connection, disorder);
        if timeout_us > 0 {
            while let Some(receipt) = self.outbox.expire((now_us + 1).saturating_sub(timeout_us)) {
                hub.accounts[account].schedule(now_us + redeliver_us, receipt, self.connection);
            }
        }
        if self.unbind_until_us.is_some() {
            return;
        }
        while self.outbox.live() < window && self.out.len() < BACKLOG_LIMIT {
            let Some(receipt) = hub.accounts[account].next_ready(self.connection) else { break };
            self.write_receipt(hub, now_us, receipt);
        }
    }

    /// When receipts want the next poll.
    pub(crate) fn delivery_wake_us(&self, hub: &Hub, now_us: u64) -> Option<u64> {
        let config = hub.config.receipts.as_ref()?;
        let account = &hub.accounts[self.account.filter(|_| self.mode.receives)?];
        let mut wake = account.wake_us(self.connection);
        if config.timeout_us > 0 {
            wake = sooner(wake, self.outbox.oldest_us().map(|sent_us| sent_us + config.timeout_us));
        }
        let room = self.outbox.live() < config.window && self.unbind_until_us.is_none();
        if room && account.has_ready(self.connection) {
            wake = Some(now_us);
        }
        wake
    }

    fn write_receipt(&mut self, hub: &mut Hub, now_us: u64, mut receipt: Receipt) {
        hub.stats.receipts_sent += 1;
        hub.stats.receipts_redelivered += u64::from(receipt.attempts > 0);
        receipt.attempts = receipt.attempts.saturating_add(1);
        let sequence = self.outbox.send(receipt, now_us);
        self.writer.put(&mut self.out, &receipt, hub.receipt_style(), (sequence, now_us));
        if hub.book.is_on() {
            self.note_delivery(hub, now_us, &receipt, sequence);
        }
    }

    /// Settles or brings back the receipt that a `deliver_sm_resp` answers.
    pub(crate) fn on_deliver_resp(&mut self, hub: &mut Hub, now_us: u64, frame: &Frame<'_>) {
        let (sequence, answer) = (frame.header.sequence_number, frame.header.command_status);
        let Some(receipt) = self.outbox.answer(sequence) else {
            self.on_mobile_resp(hub, now_us, (sequence, answer));
            self.note(hub, now_us, true, [pdu::CommandId::DELIVER_SM_RESP.0, answer.0, sequence]);
            return;
        };
        if hub.book.is_on() {
            self.note_ack(hub, now_us, &receipt, (sequence, answer));
        }
        let account = self.account.expect("receipts are written after a bind only");
        if is_temporary(answer) {
            let redeliver_us = hub.config.receipts.as_ref().map_or(0, |receipts| receipts.redeliver_us);
            hub.accounts[account].schedule(now_us + redeliver_us, receipt, self.connection);
            return;
        }
        hub.accounts[account].settle();
        match (receipt.duty, answer) {
            (Duty::Owed, CommandStatus::OK) => hub.stats.receipts_acked += 1,
            (Duty::Owed, _) => hub.stats.receipts_refused += 1,
            (Duty::Extra, _) => hub.stats.receipts_extra_acked += 1,
        }
    }

    /// A `generic_nack` to a receipt is a refusal for good.
    pub(crate) fn on_nack(&mut self, hub: &mut Hub, sequence: u32) {
        let Some(receipt) = self.outbox.answer(sequence) else { return };
        let account = self.account.expect("receipts are written after a bind only");
        hub.accounts[account].settle();
        hub.stats.receipts_refused += u64::from(receipt.duty == Duty::Owed);
    }

    /// The connection is gone: unacknowledged receipts go back.
    pub(crate) fn release(&mut self, hub: &mut Hub) {
        let Some(account) = self.account.take() else { return };
        self.release_mobile(hub);
        hub.stats.bound -= 1;
        hub.accounts[account].leave(self.connection, self.outbox.drain());
    }

    fn note_delivery(&self, hub: &mut Hub, now_us: u64, receipt: &Receipt, sequence: u32) {
        hub.book.delivery(Delivery {
            time_us: now_us,
            message_id: receipt.id,
            destination: digits(receipt.destination.octets()),
            connection: self.connection,
            state: receipt.state,
            attempt: receipt.attempts,
            owed: receipt.duty == Duty::Owed,
        });
        let text = receipt.id.in_receipt(hub.config.id_form);
        hub.book.pdu(&PduLine {
            time_us: now_us,
            connection: self.connection,
            inbound: false,
            head: [pdu::CommandId::DELIVER_SM.0, 0, sequence],
            source: receipt.destination.octets(),
            destination: receipt.source.octets(),
            id_text: text.as_bytes(),
            outcome: receipt.state.word(),
        });
    }

    fn note_ack(
        &self,
        hub: &mut Hub,
        now_us: u64,
        receipt: &Receipt,
        (sequence, answer): (u32, CommandStatus),
    ) {
        hub.book.ack(ReceiptAck {
            time_us: now_us,
            message_id: receipt.id,
            state: receipt.state,
            status: answer.0,
            owed: receipt.duty == Duty::Owed,
        });
        let text = receipt.id.in_receipt(hub.config.id_form);
        hub.book.pdu(&PduLine {
            time_us: now_us,
            connection: self.connection,
            inbound: true,
            head: [pdu::CommandId::DELIVER_SM_RESP.0, answer.0, sequence],
            source: b"",
            destination: b"",
            id_text: text.as_bytes(),
            outcome: receipt.state.word(),
        });
    }
}

/// Whether a receipt so answered is delivered again: anything but success and the two permanent errors.
fn is_temporary(answer: CommandStatus) -> bool {
    ![CommandStatus::OK, status::PERMANENT_APP_ERROR, status::REJECT_APP_ERROR].contains(&answer)
}
