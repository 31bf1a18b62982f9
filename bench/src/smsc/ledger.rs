//! The ledger: what really arrived and what was really answered, for exact comparison with an engine's store.
//!
//! Two forms: [`Ledger`] in memory, with typed entries for tests; and text, one line per PDU, for the binary.
//! Columns of a line, separated by one space, `-` where nothing applies, octets that are not printable as `%XX`:
//! `time_us connection direction command_id status sequence source destination part message_id outcome crc32`.
//! `direction` is `<` (from the ESME) or `>`; `command_id`, `status` and `crc32` are eight hexadecimal digits;
//! `part` is `k/n` from the user data header or SAR; `outcome` is `accepted` or `refused`, with `+fault` behind
//! it when a fault struck; `crc32` is over the text without its header. A `submit_sm` line has the status of its
//! answer. Every part of a message is one line.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::ids::MessageId;
use super::receipt::MessageState;
use super::submit::{Part, SubmitView, digits};

/// Which ledger a simulator keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LedgerKind {
    /// None: nothing is read of a body.
    #[default]
    Off,
    /// Typed entries in memory.
    Memory,
    /// Text lines appended to a file, written by a thread of its own.
    File(std::path::PathBuf),
}

/// What the SMSC did with a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Taken; the response may or may not have left.
    Accepted,
    /// Definitely not taken.
    Refused,
}

/// A source address as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
    /// The address.
    pub addr: Vec<u8>,
}

/// One `submit_sm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submit {
    /// When it was read.
    pub time_us: u64,
    /// When its answer may leave at the earliest, 0 when none will.
    pub answer_us: u64,
    /// Destination as a number, 0 when it is none.
    pub destination: u64,
    /// Its message id, 0 when refused.
    pub message_id: MessageId,
    /// Connection that carried it, counted from 1.
    pub connection: u32,
    /// Sequence number of the request.
    pub sequence: u32,
    /// Status of the answer.
    pub status: u32,
    /// CRC-32 of the text without its user data header.
    pub content_crc: u32,
    /// Index for [`Ledger::source`].
    pub source: u32,
    /// Concatenation reference, 0 for a single part.
    pub reference: u16,
    /// Which part, from 1.
    pub part: u8,
    /// Parts of the message.
    pub parts: u8,
    /// Data coding scheme.
    pub data_coding: u8,
    /// Taken or not.
    pub accept: Accept,
    /// The fault that struck, if any.
    pub fault: Option<Fault>,
}

/// One `deliver_sm` written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When it was written.
    pub time_us: u64,
    /// The message it is about.
    pub message_id: MessageId,
    /// Destination of the message as a number.
    pub destination: u64,
    /// Connection that carried it.
    pub connection: u32,
    /// The state it reports.
    pub state: MessageState,
    /// 1 for the first attempt.
    pub attempt: u8,
    /// `false` for the extra receipts of faults.
    pub owed: bool,
}

/// One `deliver_sm_resp` that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptAck {
    /// When it was read.
    pub time_us: u64,
    /// The message it is about.
    pub message_id: MessageId,
    /// The state that was acknowledged.
    pub state: MessageState,
    /// Its status: 0 acknowledges.
    pub status: u32,
    /// `false` for the extra receipts of faults.
    pub owed: bool,
}

/// Counts per destination and part, from [`Ledger::exact`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exact {
    /// Accepted submits per (destination, part).
    pub accepted: BTreeMap<(u64, u8), u32>,
    /// Refused submits per (destination, part).
    pub refused: BTreeMap<(u64, u8), u32>,
}

impl Exact {
    /// Destinations with at least one accepted part.
    #[must_use]
    pub fn destinations(&self) -> std::collections::BTreeSet<u64> {
        self.accepted.keys().map(|(destination, _)| *destination).collect()
    }

    /// Every (destination, part) accepted more than once, with its count.
    #[must_use]
    pub fn repeated(&self) -> Vec<((u64, u8), u32)> {
        self.accepted.iter().filter(|(_, count)| **count > 1).map(|(key, count)| (*key, *count)).collect()
    }

    /// Those of `expected` whose first part was never accepted.
    pub fn missing(&self, expected: impl IntoIterator<Item = u64>) -> Vec<u64> {
        expected.into_iter().filter(|number| !self.accepted.contains_key(&(*number, 1))).collect()
    }
}

/// The ledger in memory: entries in the order in which the simulator saw them.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    submits: Vec<Submit>,
    deliveries: Vec<Delivery>,
    acks: Vec<ReceiptAck>,
    sources: Vec<Source>,
}

impl Ledger {
    /// Every `submit_sm`.
    #[must_use]
    pub fn submits(&self) -> &[Submit] {
        &self.submits
    }

    /// Every accepted `submit_sm`.
    pub fn accepted(&self) -> impl Iterator<Item = &Submit> {
        self.submits.iter().filter(|submit| submit.accept == Accept::Accepted)
    }

    /// Every `deliver_sm`.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Every `deliver_sm_resp` that matched.
    #[must_use]
    pub fn acks(&self) -> &[ReceiptAck] {
        &self.acks
    }

    /// The source address of a submit.
    #[must_use]
    pub fn source(&self, submit: &Submit) -> &Source {
        &self.sources[submit.source as usize]
    }

    /// Counts per destination and part.
    #[must_use]
    pub fn exact(&self) -> Exact {
        let mut exact = Exact::default();
        for submit in &self.submits {
            let counts = match submit.accept {
                Accept::Accepted => &mut exact.accepted,
                Accept::Refused => &mut exact.refused,
            };
            *counts.entry((submit.destination, submit.part)).or_default() += 1;
        }
        exact
    }

    fn source_index(&mut self, view: &SubmitView<'_>) -> u32 {
        let source = &view.source;
        let same = |known: &Source| {
            known.addr == source.octets && known.ton == source.ton && known.npi == source.npi
        };
        // Newest first: a campaign has one source, and campaigns have few.
        let at = self.sources.iter().rposition(same).unwrap_or_else(|| {
            self.sources.push(Source { ton: source.ton, npi: source.npi, addr: source.octets.to_vec() });
            self.sources.len() - 1
        });
        u32::try_from(at).expect("fewer sources than memory holds")
    }
}

/// A `submit_sm` with its fate, as the session hands it to the book.
pub(crate) struct Judged<'a> {
    pub(crate) time_us: u64,
    pub(crate) connection: u32,
    pub(crate) sequence: u32,
    pub(crate) view: &'a SubmitView<'a>,
    pub(crate) accept: Accept,
    pub(crate) status: u32,
    pub(crate) id: MessageId,
    pub(crate) id_text: &'a [u8],
    pub(crate) fault: Option<Fault>,
}

/// Any other PDU for the text form.
pub(crate) struct PduLine<'a> {
    pub(crate) time_us: u64,
    pub(crate) connection: u32,
    pub(crate) inbound: bool,
    /// Command id, status, sequence number.
    pub(crate) head: [u32; 3],
    pub(crate) source: &'a [u8],
    pub(crate) destination: &'a [u8],
    pub(crate) id_text: &'a [u8],
    pub(crate) outcome: &'a str,
}

/// Where entries go.
#[derive(Debug, Default)]
pub(crate) enum Book {
    /// Nowhere.
    #[default]
    Off,
    /// To typed vectors.
    Memory(Ledger),
    /// To lines that the writer thread takes away.
    Text(Vec<u8>),
}

impl Book {
    /// Whether bodies have to be read.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Notes a submit.
    pub(crate) fn submit(&mut self, judged: &Judged<'_>) {
        match self {
            Self::Off => {}
            Self::Memory(ledger) => {
                let source = ledger.source_index(judged.view);
                ledger.submits.push(entry(judged, source));
            }
            Self::Text(lines) => put_submit_line(lines, judged),
        }
    }

    /// Notes when the answer to the submit that was noted last may leave.
    pub(crate) fn answered(&mut self, sequence: u32, answer_us: u64) {
        let Self::Memory(ledger) = self else { return };
        if let Some(submit) = ledger.submits.last_mut().filter(|submit| submit.sequence == sequence) {
            submit.answer_us = answer_us;
        }
    }

    /// Notes a delivery.
    pub(crate) fn delivery(&mut self, delivery: Delivery) {
        if let Self::Memory(ledger) = self {
            ledger.deliveries.push(delivery);
        }
    }

    /// Notes an answer to a delivery.
    pub(crate) fn ack(&mut self, ack: ReceiptAck) {
        if let Self::Memory(ledger) = self {
            ledger.acks.push(ack);
        }
    }

    /// Notes any other PDU; text only.
    pub(crate) fn pdu(&mut self, line: &PduLine<'_>) {
        let Self::Text(lines) = self else { return };
        put_head(lines, line.time_us, line.connection, line.inbound, line.head);
        put_octets(lines, line.source);
        put_octets(lines, line.destination);
        lines.extend_from_slice(b"- ");
        put_octets(lines, line.id_text);
        lines.extend_from_slice(if line.outcome.is_empty() { b"-" } else { line.outcome.as_bytes() });
        lines.extend_from_slice(b" -\n");
    }
}

fn entry(judged: &Judged<'_>, source: u32) -> Submit {
    let Part { reference, number, total } = judged.view.part;
    Submit {
        time_us: judged.time_us,
        answer_us: 0,
        destination: digits(judged.view.destination.octets),
        message_id: judged.id,
        connection: judged.connection,
        sequence: judged.sequence,
        status: judged.status,
        content_crc: crc32fast::hash(judged.view.content),
        source,
        reference,
        part: number,
        parts: total,
        data_coding: judged.view.data_coding,
        accept: judged.accept,
        fault: judged.fault,
    }
}

fn put_submit_line(lines: &mut Vec<u8>, judged: &Judged<'_>) {
    let head = [pdu::CommandId::SUBMIT_SM.0, judged.status, judged.sequence];
    put_head(lines, judged.time_us, judged.connection, true, head);
    put_octets(lines, judged.view.source.octets);
    put_octets(lines, judged.view.destination.octets);
    put_number(lines, u64::from(judged.view.part.number));
    lines.push(b'/');
    put_number(lines, u64::from(judged.view.part.total));
    lines.push(b' ');
    put_octets(lines, judged.id_text);
    lines.extend_from_slice(if judged.accept == Accept::Accepted { b"accepted" } else { b"refused" });
    if let Some(fault) = judged.fault {
        lines.push(b'+');
        lines.extend_from_slice(fault.name().as_bytes());
    }
    lines.push(b' ');
    put_hex(lines, crc32fast::hash(judged.view.content));
    lines.push(b'\n');
}

fn put_head(lines: &mut Vec<u8>, time_us: u64, connection: u32, inbound: bool, head: [u32; 3]) {
    put_number(lines, time_us);
    lines.push(b' ');
    put_number(lines, u64::from(connection));
    lines.extend_from_slice(if inbound { b" < " } else { b" > " });
    put_hex(lines, head[0]);
    lines.push(b' ');
    put_hex(lines, head[1]);
    lines.push(b' ');
    put_number(lines, u64::from(head[2]));
    lines.push(b' ');
}

fn put_hex(lines: &mut Vec<u8>, value: u32) {
    lines.extend_from_slice(&super::ids::hex_digits(u64::from(value))[8..]);
}

fn put_number(lines: &mut Vec<u8>, value: u64) {
    lines.extend_from_slice(super::ids::decimal_text(value).as_bytes());
}

/// Writes octets and a space; anything that would break the line is escaped.
fn put_octets(lines: &mut Vec<u8>, octets: &[u8]) {
    if octets.is_empty() {
        lines.push(b'-');
    }
    for octet in octets {
        if octet.is_ascii_graphic() && *octet != b'%' {
            lines.push(*octet);
        } else {
            lines.push(b'%');
            lines.extend_from_slice(&super::ids::hex_digits(u64::from(*octet))[14..]);
        }
    }
    lines.push(b' ');
}
