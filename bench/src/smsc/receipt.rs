//! Receipts: what is remembered of an accepted message and the `deliver_sm` that it becomes.
//!
//! Text as in SMPP 3.4 appendix B, optional parameters as in section 4.6.1. The dates are those of the
//! simulator's clock in UTC with minutes, so receipts of one minute and state are copies of one image.

use std::ops::Range;

use bytes::{BufMut, BytesMut};
use pdu::{CommandId, CommandStatus, HEADER_LEN};

use super::config::ReceiptFields;
use super::ids::{IdForm, MessageId};
use super::response::put_header;
use super::submit::{ADDRESS_MAX, Addr};

const ESM_RECEIPT: u8 = 0x04;
const ESM_INTERMEDIATE: u8 = 0x20;
const TLV_RECEIPTED_ID: u16 = 0x001E;
const TLV_NETWORK_ERROR: u16 = 0x0423;
const TLV_STATE: u16 = 0x0427;

/// Where the source address begins: behind header, service type, TON and NPI.
const FROM_AT: usize = HEADER_LEN + 3;

/// The text behind the id under `receipt_bad_date`.
const BAD_TAIL: &[u8] =
    b" sub:001 dlvrd:001 submit date:0000000000 done date:9999999999 stat:DELIVRD err:000 text:";

/// Fixed octets of a `deliver_sm` body without addresses and text.
const BODY_FIXED: usize = 17;

/// States of a message, with the values of SMPP 3.4 section 5.2.28.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MessageState {
    /// On its way: the only intermediate state.
    Enroute = 1,
    /// Delivered to the handset.
    Delivered = 2,
    /// Its validity period ran out.
    Expired = 3,
    /// Cannot be delivered.
    Undeliverable = 5,
    /// Refused by the SMSC after acceptance.
    Rejected = 8,
}

impl MessageState {
    /// The word in the receipt's text.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Undeliverable => "UNDELIV",
            Self::Rejected => "REJECTD",
        }
    }

    /// The three digits behind `err:`.
    fn error(self) -> &'static str {
        match self {
            Self::Enroute | Self::Delivered => "000",
            Self::Expired => "027",
            Self::Undeliverable => "001",
            Self::Rejected => "088",
        }
    }
}

/// Why a receipt is sent; only owed ones count in the accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    Owed,
    Extra,
}

/// An address kept without allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredAddr {
    ton: u8,
    npi: u8,
    len: u8,
    octets: [u8; ADDRESS_MAX],
}

impl StoredAddr {
    /// Keeps `addr`, whose octets were limited by the reader.
    pub(crate) fn new(addr: &Addr<'_>) -> Self {
        let mut octets = [0; ADDRESS_MAX];
        octets[..addr.octets.len()].copy_from_slice(addr.octets);
        let len = u8::try_from(addr.octets.len()).expect("an address has at most 20 octets");
        Self { ton: addr.ton, npi: addr.npi, len, octets }
    }

    /// The characters.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// A receipt that waits or is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) id: MessageId,
    pub(crate) submitted_us: u64,
    /// Source of the message, so destination of the receipt.
    pub(crate) source: StoredAddr,
    pub(crate) destination: StoredAddr,
    pub(crate) state: MessageState,
    pub(crate) duty: Duty,
    /// `receipt_bad_date` struck.
    pub(crate) bad_date: bool,
    /// Deliveries so far.
    pub(crate) attempts: u8,
}

/// Builds `deliver_sm` PDUs; keeps the last one as an image, of which the next mostly differs in id and number.
#[derive(Debug, Default)]
pub(crate) struct ReceiptWriter {
    image: BytesMut,
    shape: Option<Shape>,
    id_in_text: Range<usize>,
    id_in_tlv: Range<usize>,
}

/// What two receipts share when one image serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    submit_minute: u64,
    done_minute: u64,
    state: MessageState,
    bad_date: bool,
    id_len: usize,
    /// TON, NPI and length of source and destination.
    addrs: [u8; 6],
    style: ReceiptStyle,
}

/// How receipts look, taken from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptStyle {
    pub(crate) form: IdForm,
    pub(crate) fields: ReceiptFields,
    pub(crate) start_unix_s: u64,
}

impl ReceiptWriter {
    /// Writes `receipt` as a `deliver_sm`.
    pub(crate) fn put(
        &mut self,
        out: &mut BytesMut,
        receipt: &Receipt,
        style: ReceiptStyle,
        (sequence, now_us): (u32, u64),
    ) {
        let id = receipt.id.in_receipt(style.form);
        let (from, to) = (&receipt.destination, &receipt.source);
        let shape = Shape {
            submit_minute: (style.start_unix_s + receipt.submitted_us / 1_000_000) / 60,
            done_minute: (style.start_unix_s + now_us / 1_000_000) / 60,
            state: receipt.state,
            bad_date: receipt.bad_date,
            id_len: id.as_bytes().len(),
            addrs: [to.ton, to.npi, to.len, from.ton, from.npi, from.len],
            style,
        };
        if self.shape != Some(shape) {
            self.build(receipt, shape, id.as_bytes());
            self.shape = Some(shape);
        }
        let image = &mut self.image[..];
        image[12..16].copy_from_slice(&sequence.to_be_bytes());
        let from_end = FROM_AT + from.octets().len();
        image[FROM_AT..from_end].copy_from_slice(from.octets());
        // NUL, TON, NPI lie between the addresses.
        let to_at = from_end + 3;
        image[to_at..to_at + to.octets().len()].copy_from_slice(to.octets());
        for at in [self.id_in_text.clone(), self.id_in_tlv.clone()] {
            if !at.is_empty() {
                image[at].copy_from_slice(id.as_bytes());
            }
        }
        out.extend_from_slice(&self.image);
    }

    fn build(&mut self, receipt: &Receipt, shape: Shape, id: &[u8]) {
        let fields = shape.style.fields;
        let text_id = if fields == ReceiptFields::TlvOnly { b"".as_slice() } else { id };
        let tail = if shape.bad_date { BAD_TAIL.to_vec() } else { tail(&shape) };
        let text_len = 3 + text_id.len() + tail.len();
        let tlv_len = if fields == ReceiptFields::TextOnly { 0 } else { 4 + id.len() + 1 + 5 + 7 };
        let (from, to) = (&receipt.destination, &receipt.source);
        let body_len = BODY_FIXED + from.octets().len() + to.octets().len() + text_len + tlv_len;
        let out = &mut self.image;
        out.clear();
        put_header(out, CommandId::DELIVER_SM, CommandStatus::OK, 0, body_len);
        out.put_u8(0);
        put_addr(out, from);
        put_addr(out, to);
        let esm_class = if receipt.state == MessageState::Enroute { ESM_INTERMEDIATE } else { ESM_RECEIPT };
        out.extend_from_slice(&[esm_class, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.put_u8(u8::try_from(text_len).expect("a receipt's text is about 120 octets"));
        out.extend_from_slice(b"id:");
        self.id_in_text = out.len()..out.len() + text_id.len();
        out.extend_from_slice(text_id);
        out.extend_from_slice(&tail);
        self.id_in_tlv = 0..0;
        if tlv_len > 0 {
            self.id_in_tlv = out.len() + 4..out.len() + 4 + id.len();
            put_tlvs(out, id, receipt.state);
        }
    }
}

fn put_addr(out: &mut BytesMut, addr: &StoredAddr) {
    out.extend_from_slice(&[addr.ton, addr.npi]);
    out.extend_from_slice(addr.octets());
    out.put_u8(0);
}

fn put_tlvs(out: &mut BytesMut, id: &[u8], state: MessageState) {
    out.put_u16(TLV_RECEIPTED_ID);
    out.put_u16(u16::try_from(id.len() + 1).expect("an id has at most 20 octets"));
    out.extend_from_slice(id);
    out.put_u8(0);
    out.put_u16(TLV_STATE);
    out.put_u16(1);
    out.put_u8(state as u8);
    out.put_u16(TLV_NETWORK_ERROR);
    out.put_u16(3);
    let code = state.error().parse::<u16>().expect("errors are three digits");
    out.put_u8(3);
    out.put_u16(code);
}

/// The text behind the id.
fn tail(shape: &Shape) -> Vec<u8> {
    let state = shape.state;
    let delivered = if state == MessageState::Delivered { "001" } else { "000" };
    format!(
        " sub:001 dlvrd:{delivered} submit date:{} done date:{} stat:{} err:{} text:",
        date(shape.submit_minute),
        date(shape.done_minute),
        state.word(),
        state.error()
    )
    .into_bytes()
}

/// `YYMMDDhhmm` of a minute since 1970, by Howard Hinnant's `civil_from_days`.
fn date(minute: u64) -> String {
    let days = minute / 1_440 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, min) = (minute / 60 % 24, minute % 60);
    format!("{:02}{month:02}{day:02}{hour:02}{min:02}", year % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_utc() {
        assert_eq!(date(0), "7001010000");
        assert_eq!(date(1_767_225_600 / 60), "2601010000");
        assert_eq!(date(1_709_210_096 / 60), "2402291234");
    }

    #[test]
    fn the_length_of_the_pdu_is_what_is_written() {
        let addr = Addr { ton: 1, npi: 1, octets: b"420777123456" };
        let sender = Addr { ton: 5, npi: 0, octets: b"ACME" };
        let receipt = Receipt {
            id: MessageId(0xAB),
            submitted_us: 0,
            source: StoredAddr::new(&sender),
            destination: StoredAddr::new(&addr),
            state: MessageState::Undeliverable,
            duty: Duty::Owed,
            bad_date: false,
            attempts: 0,
        };
        for fields in [ReceiptFields::Both, ReceiptFields::TextOnly, ReceiptFields::TlvOnly] {
            let style = ReceiptStyle { form: IdForm::Hex, fields, start_unix_s: 1_767_225_600 };
            let mut out = BytesMut::new();
            let mut writer = ReceiptWriter::default();
            let other = Addr { ton: 1, npi: 1, octets: b"999999999999" };
            let before = Receipt { id: MessageId(7), destination: StoredAddr::new(&other), ..receipt };
            writer.put(&mut BytesMut::new(), &before, style, (8, 61_000_000));
            writer.put(&mut out, &receipt, style, (9, 61_000_000));
            let mut fresh = BytesMut::new();
            ReceiptWriter::default().put(&mut fresh, &receipt, style, (9, 61_000_000));
            assert_eq!(out, fresh, "an image leaves no trace of its last receipt");
            let frame = pdu::cut_frame(&out, 1_000).expect("framed").expect("whole");
            assert_eq!(frame.len(), out.len());
            let text = String::from_utf8_lossy(&out);
            assert!(text.contains("submit date:2601010000 done date:2601010001 stat:UNDELIV err:001 text:"));
            assert_eq!(text.contains("id:00000000000000ab sub:"), fields != ReceiptFields::TlvOnly);
        }
    }
}
