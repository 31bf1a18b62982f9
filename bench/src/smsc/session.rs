//! The pure core of one connection: octets in, octets and a directive out; no clock, no IO, no task.
//!
//! A driver calls [`SmscSession::on_bytes`] with what it read, then [`SmscSession::poll`] for what to write, and
//! polls again at [`SmscSession::next_wake_us`] or when the bell rings. This file holds the session's life (frames,
//! link checks, farewells, writing); `binding` holds binds, `accept` submits and `dispatch` receipts.

use std::sync::{Arc, Mutex};

use bytes::{Buf, BytesMut};
use pdu::{CommandId, CommandStatus, Frame, cut_frame};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use tokio::sync::Notify;

use super::deliver::Outbox;
use super::fault::Fault;
use super::hub::{Hub, lock};
use super::ids::{IdForm, MessageId, mix};
use super::ledger::PduLine;
use super::receipt::ReceiptWriter;
use super::response::{Response, put_accepted_hex, put_bare, put_response, status};
use super::schedule::Schedule;

/// How long an `unbind` of the simulator waits for its answer.
const UNBIND_WAIT_US: u64 = 5_000_000;

/// Resolution of latency: far below the millisecond of tokio's timer, wide enough that one burst shares it.
const RESPONSE_WIDTH_US: u64 = 100;

/// `enquire_flood`: requests per burst and time between bursts.
const FLOOD_BURST: u32 = 100;
const FLOOD_EVERY_US: u64 = 100_000;

/// What the driver is to do with the connection after writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    Continue,
    /// Write everything, then close in order (FIN).
    Close,
    /// Reset at once, without writing (RST).
    Reset,
    /// Let go at once: the simulator was told to drop its connections.
    Abort,
    /// Keep the connection open, neither read nor write any more.
    Stall,
}

/// Which way messages may go over a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) transmits: bool,
    pub(crate) receives: bool,
}

/// One connection of the simulator.
#[derive(Debug)]
pub struct SmscSession {
    hub: Arc<Mutex<Hub>>,
    bell: Arc<Notify>,
    core: Core,
}

/// The session's own state; methods take the locked hub beside it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) connection: u32,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) mode: Mode,
    /// Index of the account, once bound.
    pub(crate) account: Option<usize>,
    pub(crate) out: BytesMut,
    pub(crate) later: Schedule<Response, RESPONSE_WIDTH_US>,
    /// Due time of the latest response, so that jitter keeps the order.
    pub(crate) last_due_us: u64,
    pub(crate) outbox: Outbox,
    pub(crate) writer: ReceiptWriter,
    pub(crate) submits: u64,
    /// How the connection ends, once that is decided.
    pub(crate) ending: Option<Directive>,
    /// The simulator's own `unbind` is unanswered until this time.
    pub(crate) unbind_until_us: Option<u64>,
    pub(crate) never_respond: bool,
    pub(crate) drip_next_us: Option<u64>,
    pub(crate) flood_next_us: Option<u64>,
    wake_us: Option<u64>,
}

impl SmscSession {
    /// A new connection of `hub`.
    #[must_use]
    pub fn new(hub: &Arc<Mutex<Hub>>) -> Self {
        let bell = Arc::new(Notify::new());
        let (connection, seed) = {
            let mut shared = lock(hub);
            (shared.enter(Arc::clone(&bell)), shared.config.seed)
        };
        let core = Core {
            connection,
            rng: ChaCha8Rng::seed_from_u64(mix(seed ^ mix(u64::from(connection)))),
            mode: Mode::default(),
            account: None,
            out: BytesMut::new(),
            later: Schedule::default(),
            last_due_us: 0,
            outbox: Outbox::default(),
            writer: ReceiptWriter::default(),
            submits: 0,
            ending: None,
            unbind_until_us: None,
            never_respond: false,
            drip_next_us: None,
            flood_next_us: None,
            wake_us: None,
        };
        Self { hub: Arc::clone(hub), bell, core }
    }

    /// Rings when another session or the hub has something for this one: poll again then.
    #[must_use]
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Takes whole PDUs out of `input` and acts on them; the answers come from [`SmscSession::poll`].
    pub fn on_bytes(&mut self, now_us: u64, input: &mut BytesMut) {
        let mut hub = lock(&self.hub);
        let limit = hub.config.pdu_limit;
        let mut taken = 0;
        while self.core.ending.is_none() {
            match cut_frame(&input[taken..], limit) {
                Ok(Some(frame)) => {
                    taken += frame.len();
                    self.core.on_frame(&mut hub, now_us, &frame);
                }
                Ok(None) => break,
                Err(_) => {
                    hub.stats.malformed += 1;
                    let nack = (CommandId::GENERIC_NACK, status::INVALID_COMMAND_LENGTH, 0);
                    self.core.send_bare(&mut hub, now_us, nack);
                    self.core.ending = Some(Directive::Close);
                }
            }
        }
        if self.core.ending.is_some() {
            input.clear();
        } else {
            input.advance(taken);
        }
    }

    /// Appends to `out` what is to be written now.
    pub fn poll(&mut self, now_us: u64, out: &mut BytesMut) -> Directive {
        let mut hub = lock(&self.hub);
        if hub.is_doomed(self.core.connection) {
            return Directive::Abort;
        }
        self.core.poll(&mut hub, now_us, out)
    }

    /// When to poll again without input, as of the last poll.
    #[must_use]
    pub fn next_wake_us(&self) -> Option<u64> {
        self.core.wake_us
    }

    /// Octets answered but not yet handed out.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.core.out.len()
    }

    /// The number of this connection in the ledger.
    #[must_use]
    pub fn connection(&self) -> u32 {
        self.core.connection
    }
}

impl Drop for SmscSession {
    fn drop(&mut self) {
        let mut hub = lock(&self.hub);
        self.core.release(&mut hub);
        hub.leave(self.core.connection);
    }
}

impl Core {
    #[inline]
    fn on_frame(&mut self, hub: &mut Hub, now_us: u64, frame: &Frame<'_>) {
        let header = &frame.header;
        if header.command_id == CommandId::SUBMIT_SM {
            if hub.needs.only_response && self.is_plain() {
                hub.stats.submits += 1;
                hub.stats.accepted += 1;
                self.submits += 1;
                let id = hub.issue_id();
                put_accepted_hex(&mut self.out, header.sequence_number, id);
            } else {
                self.on_submit(hub, now_us, frame);
            }
            return;
        }
        self.on_other(hub, now_us, frame);
    }

    fn on_other(&mut self, hub: &mut Hub, now_us: u64, frame: &Frame<'_>) {
        let header = &frame.header;
        let sequence = header.sequence_number;
        if header.command_id != CommandId::DELIVER_SM_RESP {
            self.note(hub, now_us, true, [header.command_id.0, header.command_status.0, sequence]);
        }
        match header.command_id {
            CommandId::DELIVER_SM_RESP => self.on_deliver_resp(hub, now_us, frame),
            CommandId::BIND_TRANSMITTER => {
                self.on_bind(hub, now_us, frame, Mode { transmits: true, receives: false });
            }
            CommandId::BIND_RECEIVER => {
                self.on_bind(hub, now_us, frame, Mode { transmits: false, receives: true });
            }
            CommandId::BIND_TRANSCEIVER => {
                self.on_bind(hub, now_us, frame, Mode { transmits: true, receives: true });
            }
            CommandId::ENQUIRE_LINK => self.on_enquire_link(hub, now_us, sequence),
            CommandId::UNBIND => self.on_unbind(hub, now_us, sequence),
            CommandId::UNBIND_RESP if self.unbind_until_us.is_some() => {
                self.ending = Some(Directive::Close);
            }
            CommandId::GENERIC_NACK => self.on_nack(hub, sequence),
            id if id.is_response() => {}
            _ => {
                hub.stats.malformed += 1;
                self.send_bare(hub, now_us, (CommandId::GENERIC_NACK, status::INVALID_COMMAND_ID, sequence));
            }
        }
    }

    fn on_enquire_link(&mut self, hub: &mut Hub, now_us: u64, sequence: u32) {
        hub.stats.enquire_links += 1;
        if hub.plan.draw(Fault::EnquireIgnore, &mut self.rng) {
            hub.count_fault(Fault::EnquireIgnore);
            return;
        }
        self.send_bare(hub, now_us, (CommandId::ENQUIRE_LINK_RESP, CommandStatus::OK, sequence));
    }

    /// Answers what is still unanswered, then the unbind.
    fn on_unbind(&mut self, hub: &mut Hub, now_us: u64, sequence: u32) {
        self.write_due(hub, u64::MAX, now_us);
        self.send_bare(hub, now_us, (CommandId::UNBIND_RESP, CommandStatus::OK, sequence));
        self.ending.get_or_insert(Directive::Close);
    }

    fn poll(&mut self, hub: &mut Hub, now_us: u64, out: &mut BytesMut) -> Directive {
        if matches!(self.ending, Some(Directive::Reset | Directive::Stall)) {
            self.wake_us = None;
            return self.ending.unwrap_or(Directive::Reset);
        }
        if self.ending.is_none() {
            self.write_due(hub, now_us, now_us);
            self.flood(hub, now_us);
            self.deliver(hub, now_us);
            self.deliver_mobile(hub, now_us);
            if self.unbind_until_us.is_some_and(|until| until <= now_us) {
                self.ending = Some(Directive::Close);
            }
        }
        self.hand_out(hub, now_us, out);
        if self.out.is_empty() {
            return self.ending.unwrap_or(Directive::Continue);
        }
        Directive::Continue
    }

    /// Moves what is ready to the driver, all of it or one octet under `slow_drip`, and sets the next wake.
    fn hand_out(&mut self, hub: &Hub, now_us: u64, out: &mut BytesMut) {
        let mut wake = None;
        if self.ending.is_none() {
            wake = sooner(self.delivery_wake_us(hub, now_us), self.mobile_wake_us(hub));
        }
        let drip_us = hub.config.drip_us.max(1);
        match self.drip_next_us {
            Some(next) if !self.out.is_empty() => {
                if next <= now_us {
                    out.extend_from_slice(&self.out.split_to(1));
                    self.drip_next_us = Some(now_us + drip_us);
                }
                wake = sooner(wake, self.drip_next_us);
            }
            Some(_) => {}
            None if out.is_empty() => std::mem::swap(out, &mut self.out),
            None => {
                out.extend_from_slice(&self.out);
                self.out.clear();
            }
        }
        if self.ending.is_none() {
            for next in [self.later.next_us(), self.flood_next_us, self.unbind_until_us] {
                wake = sooner(wake, next);
            }
        }
        self.wake_us = wake;
    }

    /// Writes responses due at `until_us`; `now_us` is for the ledger.
    fn write_due(&mut self, hub: &mut Hub, until_us: u64, now_us: u64) {
        while let Some(bucket) = self.later.pop_due(until_us) {
            for response in &bucket {
                self.write_response(hub, now_us, response);
            }
            self.later.recycle(bucket);
        }
    }

    /// Sends a response after the configured latency and `extra_us`.
    pub(crate) fn respond(&mut self, hub: &mut Hub, now_us: u64, response: Response, extra_us: u64) {
        if self.never_respond {
            return;
        }
        let mut latency_us = hub.config.latency_us;
        if hub.config.jitter_us > 0 {
            latency_us += below(&mut self.rng, hub.config.jitter_us);
        }
        if latency_us == 0 && extra_us == 0 {
            hub.book.answered(response.sequence, now_us);
            self.write_response(hub, now_us, &response);
            return;
        }
        let mut due_us = now_us + latency_us;
        if extra_us == 0 {
            due_us = due_us.max(self.last_due_us);
            self.last_due_us = due_us;
        }
        hub.book.answered(response.sequence, (due_us + extra_us).saturating_sub(RESPONSE_WIDTH_US));
        self.later.push(due_us + extra_us, response);
    }

    fn write_response(&mut self, hub: &mut Hub, now_us: u64, response: &Response) {
        if self.ending.is_some() {
            return;
        }
        let form = hub.config.id_form;
        if response.twist.is_none() && form == IdForm::Hex && response.status == CommandStatus::OK {
            put_accepted_hex(&mut self.out, response.sequence, response.id);
        } else {
            put_response(&mut self.out, response, form, &mut self.rng);
        }
        if hub.book.is_on() {
            let text = response.id.in_response(form);
            let id_text = if response.id == MessageId::default() { b"" } else { text.as_bytes() };
            hub.book.pdu(&PduLine {
                time_us: now_us,
                connection: self.connection,
                inbound: false,
                head: [CommandId::SUBMIT_SM_RESP.0, response.status.0, response.sequence],
                source: b"",
                destination: b"",
                id_text,
                outcome: response.twist.map_or("", Fault::name),
            });
        }
        if response.twist == Some(Fault::Truncated) {
            self.ending = Some(Directive::Close);
        }
    }

    fn flood(&mut self, hub: &mut Hub, now_us: u64) {
        if self.flood_next_us.is_some_and(|next| next <= now_us) {
            for _ in 0..FLOOD_BURST {
                let sequence = self.outbox.bare_sequence();
                self.send_bare(hub, now_us, (CommandId::ENQUIRE_LINK, CommandStatus::OK, sequence));
            }
            self.flood_next_us = Some(now_us + FLOOD_EVERY_US);
        }
    }

    /// Asks the ESME to go, once.
    pub(crate) fn start_unbind(&mut self, hub: &mut Hub, now_us: u64) {
        if self.unbind_until_us.is_none() {
            let sequence = self.outbox.bare_sequence();
            self.send_bare(hub, now_us, (CommandId::UNBIND, CommandStatus::OK, sequence));
            self.unbind_until_us = Some(now_us + UNBIND_WAIT_US);
        }
    }

    /// Writes and notes a PDU without a body.
    pub(crate) fn send_bare(&mut self, hub: &mut Hub, now_us: u64, pdu: (CommandId, CommandStatus, u32)) {
        let (id, status, sequence) = pdu;
        put_bare(&mut self.out, id, status, sequence);
        self.note(hub, now_us, false, [id.0, status.0, sequence]);
    }

    #[inline]
    fn is_plain(&self) -> bool {
        self.mode.transmits && self.unbind_until_us.is_none() && !self.never_respond
    }

    /// Notes a PDU without addresses in the text ledger.
    pub(crate) fn note(&self, hub: &mut Hub, now_us: u64, inbound: bool, head: [u32; 3]) {
        if hub.book.is_on() {
            hub.book.pdu(&PduLine {
                time_us: now_us,
                connection: self.connection,
                inbound,
                head,
                source: b"",
                destination: b"",
                id_text: b"",
                outcome: "",
            });
        }
    }
}

/// A number from 0 to `limit - 1`.
pub(crate) fn below(rng: &mut ChaCha8Rng, limit: u64) -> u64 {
    rand_chacha::rand_core::Rng::next_u64(rng) % limit
}

pub(crate) fn sooner(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
