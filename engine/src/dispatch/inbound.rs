//! Messages from handsets on their way in: their text, how many may wait, and which were not acted on yet.
//!
//! Decides nothing. A message is a journal row first; its row stays until what it asks for was done and a fact in the
//! journal says so, so a crash at any time repeats at most what was done last, and that changes nothing.

use crate::model::keyword::{START_WORDS, STOP_WORDS};
use crate::model::record::{Facts, Inbound, MAX_INBOUND_TEXT};
use crate::store::RowSeq;
use pdu::text::Encoding;
use pdu::udh::Udh;
use pdu::{Address, DeliverSm};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Messages taken and not acted on yet, 1 MiB; beyond it the SMSC is asked to come back later.
const MAX_WAITING: u32 = 4096;
/// `ton` of an address in international form.
const INTERNATIONAL: u8 = 1;

/// How messages from handsets are understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundConfig {
    /// How far back a workspace may have sent to a handset for its keyword to be meant for that workspace, where the
    /// address that it wrote to does not tell. 72 hours by default.
    pub last_sender_within: Duration,
    /// Words that opt out, for workspaces without a list of their own and for messages that none can be found for.
    pub stop_words: Vec<String>,
    /// Words that opt in again.
    pub start_words: Vec<String>,
    /// ISO 3166 code of the country whose national numbers handsets are written with; `None` when the SMSC writes
    /// international ones, as most do.
    pub region: Option<String>,
}

impl Default for InboundConfig {
    fn default() -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            last_sender_within: Duration::from_secs(72 * 3600),
            stop_words: owned(&STOP_WORDS),
            start_words: owned(&START_WORDS),
            region: None,
        }
    }
}

/// Adds a message as it came to the facts of a turn.
pub(crate) fn note(deliver: &DeliverSm<'_>, (channel, at_ms): (u32, u64), facts: &mut Facts) {
    let text = text_of(deliver);
    let (source, destination) = (written(&deliver.source), written(&deliver.dest));
    facts.inbound(&Inbound {
        at_ms,
        channel,
        source: &source,
        destination: &destination,
        text: kept(&text).as_bytes(),
    });
}

/// An address with what its type of number tells.
fn written<'a>(address: &Address<'a>) -> Cow<'a, [u8]> {
    let bare = address.addr.first().is_some_and(u8::is_ascii_digit);
    if address.ton == INTERNATIONAL && bare && !address.addr.starts_with(b"00") {
        return Cow::Owned([b"+", address.addr].concat());
    }
    Cow::Borrowed(address.addr)
}

/// The text of a message; of a long one the first part alone has any, for no other begins with its first word.
fn text_of(deliver: &DeliverSm<'_>) -> String {
    let mut octets = deliver.user_data();
    let mut number = deliver.tlvs.sar().map_or(1, |(_, _, number)| number);
    if deliver.has_udh() {
        // A header longer than the message: whatever this is, it is no text.
        let Ok((header, text)) = Udh::split(octets) else { return String::new() };
        octets = text;
        number = header.place().map_or(number, |place| place.number);
    }
    if number > 1 {
        return String::new();
    }
    match Encoding::from_data_coding(deliver.data_coding) {
        Some(encoding) => encoding.decode(&octets[..octets.len().min(2 * MAX_INBOUND_TEXT)]),
        // Cyrillic, Hebrew, JIS and binary agree on ASCII at the most; keywords of other letters come as UCS-2.
        None => octets.iter().take(MAX_INBOUND_TEXT).map(|octet| ascii(*octet)).collect(),
    }
}

fn ascii(octet: u8) -> char {
    if octet.is_ascii() { char::from(octet) } else { char::REPLACEMENT_CHARACTER }
}

/// As much of a text as a row keeps.
fn kept(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_INBOUND_TEXT)]
}

/// How many messages wait to be acted on; links ask before they take another.
#[derive(Debug, Default)]
pub(crate) struct Waiting(AtomicU32);

impl Waiting {
    /// Counts one more, if there is room.
    pub(crate) fn admit(&self) -> bool {
        let more = |waiting: u32| (waiting < MAX_WAITING).then_some(waiting + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Counts those that the last run left.
    pub(crate) fn add(&self, count: u32) {
        self.0.fetch_add(count, Ordering::AcqRel);
    }

    /// Counts those that were acted on.
    pub(crate) fn done(&self, count: u32) {
        self.0.update(Ordering::AcqRel, Ordering::Acquire, |waiting| waiting.saturating_sub(count));
    }
}

/// A durable message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The row that holds it.
    pub(crate) row: RowSeq,
    /// Wall clock of its arrival, milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Key of its channel.
    pub(crate) channel: u32,
    pub(crate) source: Box<[u8]>,
    pub(crate) destination: Box<[u8]>,
    pub(crate) text: Box<str>,
}

/// Neither number nor text is for logs.
impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("row", &self.row)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// The keeper's side: which rows hold messages that were not acted on, and who acts on them.
pub(crate) struct Unheard {
    rows: VecDeque<RowSeq>,
    /// Of the row that is being read.
    open: Vec<Incoming>,
    /// Of the last run: handed on when all of its rows were read.
    replayed: Vec<Incoming>,
    worker: mpsc::UnboundedSender<Vec<Incoming>>,
}

impl Unheard {
    /// The worker gets the messages of one row at once; [`Waiting`] bounds how many are on their way to it.
    pub(crate) fn new(worker: mpsc::UnboundedSender<Vec<Incoming>>) -> Self {
        Self { rows: VecDeque::new(), open: Vec::new(), replayed: Vec::new(), worker }
    }

    /// Takes a message of a durable row.
    pub(crate) fn take(&mut self, row: RowSeq, inbound: &Inbound<'_>) {
        self.open.push(Incoming {
            row,
            at_ms: inbound.at_ms,
            channel: inbound.channel,
            source: inbound.source.into(),
            destination: inbound.destination.into(),
            text: String::from_utf8_lossy(inbound.text).into(),
        });
    }

    /// The row was read to its end; one of the last run waits for what later rows say about it.
    pub(crate) fn close_row(&mut self, replaying: bool) {
        let Some(first) = self.open.first() else { return };
        self.rows.push_back(first.row);
        let messages = std::mem::take(&mut self.open);
        if replaying {
            self.replayed.extend(messages);
        } else {
            self.hand_on(messages);
        }
    }

    /// Everything in rows up to `row` was acted on.
    pub(crate) fn heard(&mut self, row: RowSeq) {
        while self.rows.front().is_some_and(|oldest| *oldest <= row) {
            self.rows.pop_front();
        }
        self.replayed.retain(|incoming| incoming.row > row);
    }

    /// The oldest row that must stay.
    pub(crate) fn oldest(&self) -> Option<RowSeq> {
        self.rows.front().copied()
    }

    /// Hands on what the last run left; returns how many messages.
    pub(crate) fn begin(&mut self) -> u32 {
        let left = std::mem::take(&mut self.replayed);
        let count = u32::try_from(left.len()).unwrap_or(u32::MAX);
        for messages in left.chunk_by(|a, b| a.row == b.row) {
            self.hand_on(messages.to_vec());
        }
        count
    }

    fn hand_on(&self, messages: Vec<Incoming>) {
        if self.worker.send(messages).is_err() {
            tracing::debug!("nobody acts on messages any more; the journal keeps them");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use pdu::{TlvBuf, esm_class};
    use proptest::prelude::*;

    fn deliver(data_coding: u8, octets: &[u8]) -> DeliverSm<'_> {
        DeliverSm { data_coding, short_message: octets, ..DeliverSm::default() }
    }

    #[test]
    fn a_text_is_read_in_the_encodings_that_handsets_use() {
        assert_eq!(text_of(&deliver(0, b"Stop \x1b\x65")), "Stop €");
        assert_eq!(text_of(&deliver(3, b"arr\xeat")), "arrêt");
        assert_eq!(text_of(&deliver(8, &[0x04, 0x21, 0x04, 0x42])), "Ст");
        assert_eq!(text_of(&deliver(8, &[0x04, 0x21, 0x04])), "С\u{FFFD}");
        assert_eq!(text_of(&deliver(4, b"stop\xff")), "stop\u{FFFD}");
        let mut tlvs = TlvBuf::new();
        tlvs.push(pdu::Tag::MESSAGE_PAYLOAD, b"STOP").unwrap();
        assert_eq!(text_of(&DeliverSm { tlvs: tlvs.tlvs(), ..deliver(0, b"") }), "STOP");
    }

    #[test]
    fn a_header_is_no_text_and_later_parts_begin_no_text() {
        let part = |octets: &[u8]| text_of(&DeliverSm { esm_class: esm_class::UDHI, ..deliver(0, octets) });
        let with = |number: u8| [&pdu::udh::concat8(7, 2, number)[..], b"stop"].concat();
        assert_eq!(part(&with(1)), "stop");
        assert_eq!(part(&with(2)), "");
        assert_eq!(part(&[200, 1, 2]), "");
        assert_eq!(part(&[]), "");
        let mut tlvs = TlvBuf::new();
        tlvs.push_sar(9, 2, 2);
        assert_eq!(text_of(&DeliverSm { tlvs: tlvs.tlvs(), ..deliver(0, b"stop") }), "");
    }

    #[test]
    fn an_international_number_is_marked_as_one_and_others_stay_as_written() {
        let marked = |ton: u8, addr: &'static [u8]| written(&Address { ton, npi: 1, addr }).into_owned();
        assert_eq!(marked(1, b"49151"), b"+49151");
        assert_eq!(marked(1, b"+49151"), b"+49151");
        assert_eq!(marked(1, b"0049151"), b"0049151");
        assert_eq!(marked(2, b"0151"), b"0151");
        assert_eq!(marked(5, b"SHOP"), b"SHOP");
    }

    fn inbound(text: &[u8]) -> Inbound<'_> {
        Inbound { at_ms: 1, channel: 2, source: b"+4915", destination: b"SHOP", text }
    }

    fn texts(queue: &mut mpsc::UnboundedReceiver<Vec<Incoming>>) -> Vec<String> {
        let text = |messages: Vec<Incoming>| messages.iter().map(|m| &*m.text).collect::<Vec<_>>().join(" ");
        std::iter::from_fn(|| queue.try_recv().ok()).map(text).collect()
    }

    fn row(unheard: &mut Unheard, row: RowSeq, words: &[&str], replaying: bool) {
        for word in words {
            unheard.take(row, &inbound(word.as_bytes()));
        }
        unheard.close_row(replaying);
    }

    #[test]
    fn rows_stay_until_everything_in_them_was_acted_on() {
        let (worker, mut queue) = mpsc::unbounded_channel();
        let mut unheard = Unheard::new(worker);
        for (seq, words) in [(3, &["a", "b"][..]), (4, &[]), (5, &["c"]), (9, &["d"])] {
            row(&mut unheard, seq, words, false);
        }
        assert_eq!(unheard.oldest(), Some(3));
        unheard.heard(4);
        assert_eq!(unheard.oldest(), Some(5));
        unheard.heard(9);
        assert_eq!(unheard.oldest(), None);
        assert_eq!(texts(&mut queue), ["a b", "c", "d"]);
    }

    #[test]
    fn of_the_last_run_only_what_it_had_not_acted_on_is_handed_on() {
        let (worker, mut queue) = mpsc::unbounded_channel();
        let mut unheard = Unheard::new(worker);
        for (seq, words) in [(1, &["a"][..]), (2, &["b"]), (4, &["c", "d"])] {
            row(&mut unheard, seq, words, true);
        }
        unheard.heard(2);
        assert!(texts(&mut queue).is_empty());
        assert_eq!((unheard.begin(), unheard.begin()), (2, 0));
        assert_eq!((texts(&mut queue), unheard.oldest()), (vec!["c d".to_owned()], Some(4)));
    }

    #[test]
    fn no_more_wait_than_are_allowed() {
        let waiting = Waiting::default();
        assert_eq!((0..MAX_WAITING * 2).filter(|_| waiting.admit()).count(), MAX_WAITING as usize);
        waiting.done(3);
        assert_eq!((0..9).filter(|_| waiting.admit()).count(), 3);
        waiting.done(u32::MAX);
        assert!(waiting.admit());
    }

    proptest! {
        #[test]
        fn broken_octets_never_panic(
            octets in proptest::collection::vec(any::<u8>(), 0..254),
            tlvs in proptest::collection::vec(any::<u8>(), 0..600),
            data_coding in any::<u8>(),
            esm_class in any::<u8>(),
        ) {
            let tlvs = pdu::Tlvs::new(&tlvs);
            let mut facts = Facts::default();
            note(&DeliverSm { esm_class, tlvs, ..deliver(data_coding, &octets) }, (1, 2), &mut facts);
            let mut texts = Vec::new();
            crate::model::record::read_sections(facts.octets(), &mut |fact| {
                if let crate::model::record::Fact::Inbound(inbound) = fact {
                    texts.push(inbound.text.to_vec());
                }
            })
            .unwrap();
            prop_assert_eq!(texts.len(), 1);
            prop_assert!(String::from_utf8(texts.remove(0)).is_ok());
        }
    }
}
