//! The other end for the tests: PDUs written by hand, a client of the pure core and a client of a stream.

use std::sync::{Arc, Mutex};

use bench::smsc::{Config, Directive, Hub, ReceiptConfig, SmscSession};
use bytes::{Buf, BytesMut};
use pdu::{CommandId, cut_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// An owned PDU as it came from the simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) id: CommandId,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The message id of a `submit_sm_resp`.
    pub(crate) fn message_id(&self) -> String {
        let text = self.body.split(|octet| *octet == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    /// The part of a receipt between `from` and the next space.
    pub(crate) fn field(&self, from: &str) -> String {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let start = text.find(from).expect("the receipt has the field") + from.len();
        text[start..].split(' ').next().unwrap_or_default().to_owned()
    }
}

/// A PDU with the given header fields and body.
pub(crate) fn pdu(id: CommandId, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).expect("short");
    let mut octets = Vec::new();
    for word in [length, id.0, status, sequence] {
        octets.extend_from_slice(&word.to_be_bytes());
    }
    octets.extend_from_slice(body);
    octets
}

/// A bind with sequence number 1.
pub(crate) fn bind(id: CommandId, system_id: &str, password: &str) -> Vec<u8> {
    let body = format!("{system_id}\0{password}\0\0\x34\0\0\0");
    pdu(id, 0, 1, body.as_bytes())
}

/// A `submit_sm` that asks for a receipt.
pub(crate) fn submit(sequence: u32, destination: u64) -> Vec<u8> {
    submit_text(sequence, destination, 0, b"hello")
}

/// A `submit_sm` with its own text and `esm_class`.
pub(crate) fn submit_text(sequence: u32, destination: u64, esm_class: u8, text: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x05\0ACME\0\x01\x01".to_vec();
    body.extend_from_slice(destination.to_string().as_bytes());
    body.extend_from_slice(&[0, esm_class, 0, 0, 0, 0, 1, 0, 0, 0]);
    body.push(u8::try_from(text.len()).expect("short"));
    body.extend_from_slice(text);
    pdu(CommandId::SUBMIT_SM, 0, sequence, &body)
}

/// A `deliver_sm_resp`.
pub(crate) fn deliver_resp(sequence: u32, status: u32) -> Vec<u8> {
    pdu(CommandId::DELIVER_SM_RESP, status, sequence, b"\0")
}

/// Every whole PDU of `octets`, and how many octets were left over.
pub(crate) fn answers(octets: &mut BytesMut) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Ok(Some(frame)) = cut_frame(octets, 70_000) {
        let header = frame.header;
        let (id, status, sequence) = (header.command_id, header.command_status.0, header.sequence_number);
        let (body, length) = (frame.body.to_vec(), frame.len());
        answers.push(Answer { id, status, sequence, body });
        octets.advance(length);
    }
    answers
}

/// A client of the pure core under a clock that only the test moves.
pub(crate) struct CoreClient {
    pub(crate) session: SmscSession,
    pub(crate) now_us: u64,
    pub(crate) raw: BytesMut,
    pub(crate) directive: Directive,
}

impl CoreClient {
    /// An unbound connection of `hub`.
    pub(crate) fn open(hub: &Arc<Mutex<Hub>>) -> Self {
        let (session, raw) = (SmscSession::new(hub), BytesMut::new());
        Self { session, now_us: 0, raw, directive: Directive::Continue }
    }

    /// A transceiver of `hub`, its bind answered.
    pub(crate) fn bound(hub: &Arc<Mutex<Hub>>) -> Self {
        let mut client = Self::open(hub);
        let answers = client.send(&bind(CommandId::BIND_TRANSCEIVER, "esme", "secret"));
        assert_eq!((answers[0].id, answers[0].status), (CommandId(0x8000_0009), 0));
        client
    }

    /// Sends octets and returns the PDUs answered at once.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Vec<Answer> {
        self.session.on_bytes(self.now_us, &mut BytesMut::from(octets));
        self.poll()
    }

    /// Polls; broken octets stay in `raw`.
    pub(crate) fn poll(&mut self) -> Vec<Answer> {
        self.directive = self.session.poll(self.now_us, &mut self.raw);
        answers(&mut self.raw)
    }

    /// Lets time pass, polling at every wake on the way.
    pub(crate) fn advance(&mut self, by_us: u64) -> Vec<Answer> {
        let end_us = self.now_us + by_us;
        let mut answers = Vec::new();
        while let Some(wake_us) = self.session.next_wake_us().filter(|wake_us| *wake_us <= end_us) {
            self.now_us = self.now_us.max(wake_us);
            answers.extend(self.poll());
        }
        self.now_us = end_us;
        answers.extend(self.poll());
        answers
    }

    /// Submits `count` messages in one burst, with sequence numbers from `first`.
    pub(crate) fn submit_burst(&mut self, first: u32, count: u32) -> Vec<Answer> {
        let burst: Vec<u8> =
            (first..first + count).flat_map(|n| submit(n, 420_700_000_000 + u64::from(n))).collect();
        self.send(&burst)
    }
}

/// A hub with `config`.
pub(crate) fn hub(config: Config) -> Arc<Mutex<Hub>> {
    Hub::new(config).expect("the settings agree")
}

/// Settings with immediate receipts and the ledger in memory.
pub(crate) fn with_receipts() -> Config {
    Config {
        receipts: Some(ReceiptConfig::default()),
        ledger: bench::smsc::LedgerKind::Memory,
        count_duplicates: true,
        ..Config::default()
    }
}

/// A client over any stream.
pub(crate) struct StreamClient<S> {
    pub(crate) stream: S,
    input: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> StreamClient<S> {
    /// Binds over `stream` as a transceiver.
    pub(crate) async fn bound(stream: S) -> Self {
        Self::bound_as(stream, CommandId::BIND_TRANSCEIVER).await
    }

    /// Binds over `stream`.
    pub(crate) async fn bound_as(stream: S, mode: CommandId) -> Self {
        let mut client = Self { stream, input: BytesMut::new() };
        client.send(&bind(mode, "esme", "secret")).await;
        let answer = client.next().await.expect("a bind is answered");
        assert_eq!(answer.status, 0);
        client
    }

    /// Writes octets.
    pub(crate) async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.expect("the simulator reads");
    }

    /// The next PDU; `None` when the connection ended.
    pub(crate) async fn next(&mut self) -> Option<Answer> {
        loop {
            if let Ok(Some(frame)) = cut_frame(&self.input, 70_000) {
                let mut one = self.input.split_to(frame.len());
                return answers(&mut one).pop();
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next `count` PDUs.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Answer> {
        let mut answers = Vec::new();
        for _ in 0..count {
            answers.push(self.next().await.expect("the connection stays"));
        }
        answers
    }
}
