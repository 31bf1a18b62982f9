//! Delivery receipts: TLVs first, then the text that every SMSC writes a little differently.
//!
//! Parsing borrows, never allocates and never fails: a field that is not there is empty. Only a PDU that its SMSC
//! marks as a receipt is one, so that a subscriber cannot forge receipts by text. SMPP 3.4 section 2.11, appendix B.

mod date;
mod scan;
mod state;

use bytes::{BufMut, BytesMut};

pub use date::ReceiptDate;
pub use state::MessageState;

use crate::{DeliverSm, udh::Udh};

/// Octets of the original text in a receipt (SMPP 3.4 appendix B).
pub const RECEIPT_TEXT_MAX: usize = 20;

/// A delivery receipt or intermediate notification; fields not sent are empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// Id of the message, of the TLV if there is one, else of the text.
    pub message_id: &'a [u8],
    /// State, of the TLV if there is one, else of the text.
    pub state: MessageState,
    /// Error as written, `000` for none.
    pub err: &'a [u8],
    /// Messages submitted, as written.
    pub sub: &'a [u8],
    /// Messages delivered, as written.
    pub dlvrd: &'a [u8],
    /// Time of submission as written, see [`ReceiptDate::parse`].
    pub submit_date: &'a [u8],
    /// Time of the final state as written.
    pub done_date: &'a [u8],
    /// Beginning of the message.
    pub text: &'a [u8],
    /// `network_error_code`: network type and code.
    pub network_error: Option<(u8, u16)>,
}

impl Receipt<'_> {
    const EMPTY: Self = Receipt {
        message_id: b"",
        state: MessageState::Unrecognised,
        err: b"",
        sub: b"",
        dlvrd: b"",
        submit_date: b"",
        done_date: b"",
        text: b"",
        network_error: None,
    };
}

/// The text of the message stays out of logs and panic texts.
impl core::fmt::Debug for Receipt<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Receipt")
            .field("message_id", &self.message_id.escape_ascii().to_string())
            .field("state", &self.state)
            .field("err", &self.err.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

impl<'a> Receipt<'a> {
    /// Reads the text of a receipt, in whatever form.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Self {
        scan::scan(text)
    }

    /// The receipt in a `deliver_sm`; `None` for an ordinary message.
    ///
    /// A receipt is marked by `esm_class` (final or intermediate), or by the TLVs `receipted_message_id` and
    /// `message_state` together. Its `message_id` may be empty: such a receipt cannot be matched, only kept.
    #[inline]
    #[must_use]
    pub fn from_deliver_sm(deliver: &DeliverSm<'a>) -> Option<Self> {
        let tlvs = &deliver.tlvs;
        let (id, code) =
            if tlvs.is_empty() { (None, None) } else { (tlvs.receipted_message_id(), tlvs.message_state()) };
        if !deliver.is_receipt() && !deliver.is_intermediate() && (id.is_none() || code.is_none()) {
            return None;
        }
        let mut text = deliver.user_data();
        if deliver.has_udh() {
            text = Udh::split(text).map_or(text, |(_, behind)| behind);
        }
        let mut receipt = scan::scan(text);
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            receipt.message_id = id;
        }
        if let Some(code) = code {
            receipt.state = MessageState::from_code(code);
        }
        if !tlvs.is_empty() {
            receipt.network_error = tlvs.network_error_code();
        }
        Some(receipt)
    }

    /// The error as a number: of the text if it is one and not zero, else of the TLV; zero means none.
    #[must_use]
    pub fn error_code(&self) -> Option<u32> {
        let written = core::str::from_utf8(self.err).ok().and_then(|err| err.parse().ok());
        match written {
            Some(code) if code != 0 => Some(code),
            zero => self.network_error.map(|(_, code)| u32::from(code)).or(zero),
        }
    }

    /// Appends the receipt in the form of SMPP 3.4 appendix B; absent numbers are written as zeros.
    ///
    /// Of `text` the first 20 octets are written. Nothing is checked: the simulator also writes wrong receipts.
    pub fn write_text(&self, out: &mut BytesMut) {
        fn or<'b>(field: &'b [u8], default: &'b [u8]) -> &'b [u8] {
            if field.is_empty() { default } else { field }
        }
        let text = self.text.get(..RECEIPT_TEXT_MAX).unwrap_or(self.text);
        let parts: [&[u8]; 16] = [
            b"id:",
            self.message_id,
            b" sub:",
            or(self.sub, b"001"),
            b" dlvrd:",
            or(self.dlvrd, if self.state == MessageState::Delivered { b"001" } else { b"000" }),
            b" submit date:",
            or(self.submit_date, b"0000000000"),
            b" done date:",
            or(self.done_date, b"0000000000"),
            b" stat:",
            self.state.as_text().as_bytes(),
            b" err:",
            or(self.err, b"000"),
            b" text:",
            text,
        ];
        out.reserve(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            out.put_slice(part);
        }
    }

    /// A receipt to be written, without dates, error and text.
    #[must_use]
    pub const fn new(message_id: &'a [u8], state: MessageState) -> Self {
        Receipt { message_id, state, ..Receipt::EMPTY }
    }
}
