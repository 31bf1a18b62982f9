//! A campaign's message as the wire takes it: one prebuilt `submit_sm` for each part.

use crate::model::{Content, MAX_PARTS};
use pdu::text::{Concat, Encoding, Segments};
use pdu::{Address, SubmitSm, SubmitTemplate, TlvBuf, esm_class, registered_delivery};

/// The templates of all parts.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) parts: Vec<SubmitTemplate>,
    pub(crate) receipts: bool,
}

/// Why a text cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No text.
    #[error("the message text is empty")]
    Empty,
    /// More parts than a campaign may have.
    #[error("the text needs {0} parts, at most {MAX_PARTS} are allowed")]
    TooManyParts(usize),
    /// A field does not fit the wire.
    #[error("the message does not fit a submit_sm: {0}")]
    Field(String),
}

impl Message {
    /// Builds the templates; `reference` ties the parts of a long message together at the handset.
    ///
    /// # Errors
    /// [`MessageError`]; nothing that it accepts can fail later.
    pub(crate) fn new(content: &Content, reference: u16) -> Result<Self, MessageError> {
        if content.text.is_empty() {
            return Err(MessageError::Empty);
        }
        let encoding = Encoding::least(&content.text);
        let mut octets = Vec::new();
        encoding.encode(&content.text, &mut octets).map_err(field)?;
        let segments = Segments::new(&octets, encoding, Concat::Udh8).map_err(field)?;
        if segments.total() > MAX_PARTS {
            return Err(MessageError::TooManyParts(usize::from(segments.total())));
        }
        let mut parts = Vec::new();
        for segment in segments.iter() {
            let mut user_data = Vec::with_capacity(160);
            let has_udh = segment.user_data(reference, &mut user_data);
            let no_tlvs = TlvBuf::new();
            let submit = SubmitSm {
                source: Address { ton: content.ston, npi: content.snpi, addr: content.saddr.as_bytes() },
                dest: Address { ton: content.dton, npi: content.dnpi, addr: b"" },
                esm_class: if has_udh { esm_class::UDHI } else { 0 },
                registered_delivery: if content.receipts { registered_delivery::FINAL } else { 0 },
                data_coding: encoding.data_coding(),
                short_message: &user_data,
                tlvs: no_tlvs.tlvs(),
                ..SubmitSm::default()
            };
            parts.push(SubmitTemplate::new(&submit).map_err(field)?);
        }
        Ok(Self { parts, receipts: content.receipts })
    }
}

fn field(error: impl std::fmt::Display) -> MessageError {
    MessageError::Field(error.to_string())
}

/// How many parts a text needs.
///
/// # Errors
/// As for building the message itself.
pub fn parts_of(text: &str) -> Result<u8, MessageError> {
    if text.is_empty() {
        return Err(MessageError::Empty);
    }
    let measure = pdu::text::measure(text, Encoding::least(text), Concat::Udh8);
    u8::try_from(measure.segments)
        .ok()
        .filter(|parts| *parts <= MAX_PARTS)
        .ok_or(MessageError::TooManyParts(measure.segments))
}
