//! What happens to a `submit_sm`: judged, counted, noted, answered, and owed a receipt.

use pdu::{CommandStatus, Frame};

use super::fault::Fault;
use super::hub::Hub;
use super::ids::MessageId;
use super::ledger::{Accept, Judged};
use super::receipt::{Duty, MessageState, Receipt, StoredAddr};
use super::response::{Response, status};
use super::session::{Core, Directive, below};
use super::submit::{SubmitView, digits};

/// How late a response is under `disorder`: 1 to 20 ms.
const DISORDER_US: (u64, u64) = (1_000, 19_000);

/// How long a response waits behind its receipt when the receipt goes over another session.
const RECEIPT_LEAD_US: u64 = 20_000;

/// How long after the final receipt `receipt_late_intermediate` follows.
const LATE_INTERMEDIATE_US: u64 = 10_000;

impl Core {
    /// Handles a `submit_sm` with everything that the settings ask for.
    pub(crate) fn on_submit(&mut self, hub: &mut Hub, now_us: u64, frame: &Frame<'_>) {
        hub.stats.submits += 1;
        self.submits += 1;
        let view = if hub.needs.body { SubmitView::read(frame.body) } else { None };
        let (refusal, fault) = self.judge(hub, now_us, view.is_none() && hub.needs.body);
        let sequence = frame.header.sequence_number;
        let mut response = Response { sequence, status: CommandStatus::OK, id: MessageId(0), twist: fault };
        if let Some(fault) = fault {
            hub.count_fault(fault);
        }
        if let Some(refusal) = refusal {
            hub.count_refused(refusal);
            response.status = refusal;
        } else {
            hub.stats.accepted += 1;
            response.id = hub.issue_id();
        }
        if let Some(view) = &view {
            self.note_submit(hub, now_us, view, &response);
            if refusal.is_none() {
                if hub.config.count_duplicates {
                    hub.note_accepted(digits(view.destination.octets), view.part.number);
                }
                self.owe_receipt(hub, now_us, view, &response);
            }
        }
        self.answer(hub, now_us, response);
    }

    /// The refusal, if any, and the fault that strikes.
    fn judge(
        &mut self,
        hub: &mut Hub,
        now_us: u64,
        malformed: bool,
    ) -> (Option<CommandStatus>, Option<Fault>) {
        if !self.mode.transmits || self.unbind_until_us.is_some() {
            return (Some(status::INVALID_BIND_STATUS), None);
        }
        if malformed {
            hub.stats.malformed += 1;
            return (Some(status::INVALID_COMMAND_LENGTH), None);
        }
        if !hub.rate_allows(now_us) {
            return (Some(CommandStatus::THROTTLED), None);
        }
        if hub.plan.close_after > 0 && self.submits >= hub.plan.close_after {
            return (None, Some(Fault::CloseAfter));
        }
        let fault = hub.plan.draw_submit(&mut self.rng);
        let refusal = match fault {
            Some(Fault::GenericNack) => Some(status::SYSTEM_ERROR),
            Some(fault) => fault.refusal(),
            None => None,
        };
        (refusal, fault)
    }

    fn note_submit(&self, hub: &mut Hub, now_us: u64, view: &SubmitView<'_>, response: &Response) {
        if !hub.book.is_on() {
            return;
        }
        let accepted = response.status == CommandStatus::OK;
        let text = response.id.in_response(hub.config.id_form);
        hub.book.submit(&Judged {
            time_us: now_us,
            connection: self.connection,
            sequence: response.sequence,
            view,
            accept: if accepted { Accept::Accepted } else { Accept::Refused },
            status: response.status.0,
            id: response.id,
            id_text: if accepted { text.as_bytes() } else { b"" },
            fault: response.twist,
        });
    }

    /// Answers, or does what the fault does instead.
    fn answer(&mut self, hub: &mut Hub, now_us: u64, response: Response) {
        match response.twist {
            Some(Fault::NoResponse) => {}
            Some(Fault::Drop | Fault::CloseAfter) => self.ending = Some(Directive::Close),
            Some(Fault::Reset) => self.ending = Some(Directive::Reset),
            Some(Fault::HalfOpen) => self.ending = Some(Directive::Stall),
            Some(Fault::Disorder) => {
                let extra_us = DISORDER_US.0 + below(&mut self.rng, DISORDER_US.1);
                self.respond(hub, now_us, response, extra_us);
            }
            Some(Fault::ReceiptsFirst) if !self.mode.receives => {
                self.respond(hub, now_us, response, RECEIPT_LEAD_US);
            }
            Some(Fault::UnbindMid) => {
                self.start_unbind(hub, now_us);
                self.respond(hub, now_us, response, 0);
            }
            _ => self.respond(hub, now_us, response, 0),
        }
    }

    /// Creates the receipts of an accepted message.
    fn owe_receipt(&mut self, hub: &mut Hub, now_us: u64, view: &SubmitView<'_>, response: &Response) {
        let (Some(account), Some(config)) = (self.account, hub.config.receipts.as_ref()) else { return };
        let shares = config.states;
        let state = self.draw_state(shares.undeliverable, shares.expired, shares.rejected);
        let asked = config.unasked
            || match view.registered_delivery & 0x03 {
                0 => false,
                2 => state != MessageState::Delivered,
                3 => state == MessageState::Delivered,
                _ => true,
            };
        if !asked {
            return;
        }
        let mut delay_us = config.delay_us;
        let half_way = (config.intermediate || view.registered_delivery & 0x10 != 0).then_some(delay_us / 2);
        if config.disorder_us > 0 {
            delay_us += below(&mut self.rng, config.disorder_us);
        }
        let receipt = Receipt {
            id: response.id,
            submitted_us: now_us,
            source: StoredAddr::new(&view.source),
            destination: StoredAddr::new(&view.destination),
            state,
            duty: Duty::Owed,
            bad_date: response.twist == Some(Fault::ReceiptBadDate),
            attempts: 0,
        };
        if let Some(after_us) = half_way {
            let early = Receipt { state: MessageState::Enroute, ..receipt };
            self.store_receipt(hub, account, now_us + after_us, early);
        }
        match response.twist {
            Some(Fault::ReceiptsFirst) if self.mode.receives => {
                self.deliver_now(hub, account, now_us, receipt)
            }
            Some(Fault::ReceiptsFirst) => self.store_receipt(hub, account, now_us, receipt),
            _ => self.store_receipt(hub, account, now_us + delay_us, receipt),
        }
        self.owe_extra(hub, (account, now_us + delay_us), receipt, response.twist);
    }

    /// The receipts that only a fault sends.
    fn owe_extra(&mut self, hub: &mut Hub, due: (usize, u64), receipt: Receipt, fault: Option<Fault>) {
        let (account, due_us) = due;
        let extra = Receipt { duty: Duty::Extra, ..receipt };
        match fault {
            Some(Fault::ReceiptDuplicate) => self.store_receipt(hub, account, due_us, extra),
            Some(Fault::ReceiptUnknownId) => {
                let unknown = Receipt { id: MessageId(!receipt.id.0), ..extra };
                self.store_receipt(hub, account, due_us, unknown);
            }
            Some(Fault::ReceiptLateIntermediate) => {
                let late = Receipt { state: MessageState::Enroute, ..extra };
                self.store_receipt(hub, account, due_us + LATE_INTERMEDIATE_US, late);
            }
            _ => {}
        }
    }

    fn draw_state(&mut self, undeliverable: f64, expired: f64, rejected: f64) -> MessageState {
        if undeliverable + expired + rejected <= 0.0 {
            return MessageState::Delivered;
        }
        let draw = f64::from(rand_chacha::rand_core::Rng::next_u32(&mut self.rng)) / 4_294_967_296.0;
        if draw < undeliverable {
            MessageState::Undeliverable
        } else if draw < undeliverable + expired {
            MessageState::Expired
        } else if draw < undeliverable + expired + rejected {
            MessageState::Rejected
        } else {
            MessageState::Delivered
        }
    }
}
