//! Messages from handsets: put in by a test, delivered over any receiving session until an ESME takes them.
//!
//! One that is answered with a temporary error, or whose session ends unanswered, is delivered again.

use std::collections::{BTreeMap, VecDeque};

use pdu::{Address, CommandStatus, DeliverSm, Pdu};

use super::hub::Hub;
use super::session::Core;

/// Pause before a message that was put off is delivered again.
const AGAIN_US: u64 = 50_000;

/// A message from a handset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MobileMessage {
    /// The handset's number, in international form without `+`.
    pub source: String,
    /// Whom it writes to.
    pub destination: String,
    /// The user data as it goes over the wire.
    pub octets: Vec<u8>,
    /// Its encoding.
    pub data_coding: u8,
    /// Its type; 0x40 for user data with a header.
    pub esm_class: u8,
}

impl MobileMessage {
    /// A plain text of ASCII characters.
    #[must_use]
    pub fn text(source: u64, destination: &str, text: &str) -> Self {
        let (source, octets) = (source.to_string(), text.as_bytes().to_vec());
        Self { source, destination: destination.to_owned(), octets, ..Self::default() }
    }
}

/// Messages on their way and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Mobile {
    waiting: VecDeque<(u64, MobileMessage)>,
    sent: BTreeMap<(u32, u32), MobileMessage>,
    /// Answers so far, in order: `command_status` each.
    pub(crate) answers: Vec<u32>,
}

impl Mobile {
    pub(crate) fn put(&mut self, message: MobileMessage) {
        self.waiting.push_back((0, message));
    }

    /// Messages that no ESME has taken or refused for good.
    pub(crate) fn open(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    fn take(&mut self, now_us: u64) -> Option<MobileMessage> {
        let due = self.waiting.front().is_some_and(|(due_us, _)| *due_us <= now_us);
        if due { self.waiting.pop_front().map(|(_, message)| message) } else { None }
    }

    fn answer(&mut self, key: (u32, u32), status: CommandStatus, now_us: u64) {
        let Some(message) = self.sent.remove(&key) else { return };
        self.answers.push(status.0);
        let is_final =
            [CommandStatus::OK, CommandStatus::RECEIVER_PERMANENT, CommandStatus::RECEIVER_REJECTED];
        if !is_final.contains(&status) {
            self.waiting.push_back((now_us + AGAIN_US, message));
        }
    }

    fn release(&mut self, connection: u32) {
        let lost = self.sent.extract_if((connection, 0)..=(connection, u32::MAX), |_, _| true);
        self.waiting.extend(lost.map(|(_, message)| (0, message)));
    }
}

impl Core {
    /// Delivers messages from handsets that are due.
    pub(crate) fn deliver_mobile(&mut self, hub: &mut Hub, now_us: u64) {
        if !self.mode.receives || self.account.is_none() || self.unbind_until_us.is_some() {
            return;
        }
        while let Some(message) = hub.mobile.take(now_us) {
            let sequence = self.outbox.bare_sequence();
            let deliver = Pdu::DeliverSm(DeliverSm {
                source: Address { ton: 1, npi: 1, addr: message.source.as_bytes() },
                dest: Address { ton: 0, npi: 0, addr: message.destination.as_bytes() },
                esm_class: message.esm_class,
                data_coding: message.data_coding,
                short_message: &message.octets,
                ..DeliverSm::default()
            });
            deliver.encode(CommandStatus::OK, sequence, &mut self.out).expect("a test's message fits");
            hub.mobile.sent.insert((self.connection, sequence), message);
        }
    }

    /// When messages from handsets want the next poll.
    pub(crate) fn mobile_wake_us(&self, hub: &Hub) -> Option<u64> {
        let next = hub.mobile.waiting.front().map(|(due_us, _)| *due_us);
        next.filter(|_| self.mode.receives && self.account.is_some())
    }

    /// Notes a response, if it is one to a message from a handset.
    pub(crate) fn on_mobile_resp(
        &self,
        hub: &mut Hub,
        now_us: u64,
        (sequence, answer): (u32, CommandStatus),
    ) {
        hub.mobile.answer((self.connection, sequence), answer, now_us);
    }

    /// The connection is gone: unanswered messages go back.
    pub(crate) fn release_mobile(&self, hub: &mut Hub) {
        hub.mobile.release(self.connection);
    }
}
