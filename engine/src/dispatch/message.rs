//! A campaign's message as the wire takes it: `submit_sm` images ready but for what differs from recipient to recipient.
//!
//! A plain text has one image a part, whole but for number and sequence. A personalised one has two images without a
//! text, one for a message that is sent alone and one for parts that are tied together; the text is made in the
//! socket's buffer. No push allocates beyond that buffer's growth, none takes a lock.
//! Invariant: a push appends a whole PDU of an approved part, or nothing.

use crate::model::{Content, MAX_PARTS, Row};
use crate::text::{Encoding, Part, Rendering, Template, TextError, compose};
use bytes::BytesMut;
use pdu::text::{Concat, Segments};
use pdu::{
    Address, EncodeError, RELATIVE_MAX_S, SmppTime, SubmitSm, SubmitTemplate, TlvBuf, esm_class,
    registered_delivery,
};

/// The message of a campaign.
#[derive(Debug)]
pub(crate) struct Message {
    body: Body,
    /// Ties the parts of a long message together at the handset.
    reference: u16,
    /// Most parts of one recipient: the units that each recipient has.
    most: u8,
    pub(crate) receipts: bool,
}

#[derive(Debug)]
enum Body {
    /// The same for everybody: an image a part.
    Plain(Vec<SubmitTemplate>),
    Personal(Box<Personal>),
}

/// A message that is rendered for each recipient.
#[derive(Debug)]
struct Personal {
    text: Template,
    /// For a rendering of one part.
    alone: SubmitTemplate,
    /// For the parts of a longer one.
    joined: SubmitTemplate,
}

/// Why a campaign's message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The text is none, or needs too many parts.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The parts that were approved are not those of the text.
    #[error("the text needs {needed} parts, {approved} are approved")]
    Parts {
        /// Parts that every message has; of a personalised one at least.
        needed: u8,
        /// What the content says.
        approved: u8,
    },
    /// A validity that no `validity_period` can tell.
    #[error("a validity of {0} s: 1 to {RELATIVE_MAX_S} s are possible")]
    Validity(u32),
    /// A field does not fit the wire.
    #[error("the message does not fit a submit_sm: {0}")]
    Field(String),
}

/// Why one part of one recipient's message is not sent; nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsendable {
    /// The rendering is beyond what was approved.
    #[error(transparent)]
    Rendering(#[from] Rendering),
    /// This recipient's message has fewer parts.
    #[error("the message has no such part")]
    NoSuchPart,
    /// The number has no form on the wire.
    #[error(transparent)]
    Number(#[from] EncodeError),
}

impl Message {
    /// Builds the images; `reference` ties the parts of a long message together at the handset.
    ///
    /// # Errors
    /// [`MessageError`]; of a plain text nothing that it accepts can fail later but a number.
    pub(crate) fn new(content: &Content, reference: u16) -> Result<Self, MessageError> {
        let text = Template::of(content)?;
        let least = text.least_segments()?;
        let is_approved = if text.is_plain() { least == content.parts } else { least <= content.parts };
        if !is_approved || content.parts > MAX_PARTS {
            return Err(MessageError::Parts { needed: least, approved: content.parts });
        }
        let body = match text.is_plain() {
            true => Body::Plain(plain(content, text.encoding(), reference)?),
            false => Body::Personal(Box::new(Personal {
                alone: image(content, text.encoding(), b"", false)?,
                joined: image(content, text.encoding(), b"", true)?,
                text,
            })),
        };
        Ok(Self { body, reference, most: content.parts, receipts: content.receipts })
    }

    /// Most parts of one recipient's message.
    pub(crate) const fn parts(&self) -> u8 {
        self.most
    }

    /// The parts of this recipient's message, at least one; of a plain text always [`Message::parts`].
    ///
    /// # Errors
    /// [`Rendering`]: its values cannot be sent.
    #[inline]
    pub(crate) fn segments(&self, values: Row<'_>) -> Result<u8, Rendering> {
        match &self.body {
            Body::Plain(_) => Ok(self.most),
            Body::Personal(personal) => personal.text.segments(values),
        }
    }

    /// Appends the `submit_sm` of one part, counted from 0; `values` are of no concern to a plain text.
    ///
    /// # Errors
    /// [`Unsendable`]; nothing is appended then.
    #[inline]
    pub(crate) fn push(
        &self,
        part: usize,
        sequence: u32,
        number: u64,
        values: Row<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Unsendable> {
        match &self.body {
            Body::Plain(images) => {
                Ok(images.get(part).ok_or(Unsendable::NoSuchPart)?.push(sequence, number, out)?)
            }
            Body::Personal(personal) => {
                let total = personal.text.segments(values)?;
                let part = u8::try_from(part).ok().filter(|part| *part < total);
                let part = part.ok_or(Unsendable::NoSuchPart)?;
                let part = Part { part, total, reference: self.reference };
                let image = if total == 1 { &personal.alone } else { &personal.joined };
                image.push_with(sequence, number, out, |out| Ok(personal.text.write(values, part, out)?))
            }
        }
    }
}

fn plain(content: &Content, encoding: Encoding, reference: u16) -> Result<Vec<SubmitTemplate>, MessageError> {
    let mut octets = Vec::new();
    encoding.encode(&content.text, &mut octets).map_err(field)?;
    let segments = Segments::new(&octets, encoding, Concat::Udh8).map_err(field)?;
    let images = segments.iter().map(|segment| {
        let mut user_data = Vec::with_capacity(160);
        let has_udh = segment.user_data(reference, &mut user_data);
        image(content, encoding, &user_data, has_udh)
    });
    images.collect()
}

fn image(
    content: &Content,
    encoding: Encoding,
    user_data: &[u8],
    has_udh: bool,
) -> Result<SubmitTemplate, MessageError> {
    let validity = validity(content)?;
    let no_tlvs = TlvBuf::new();
    let submit = SubmitSm {
        source: Address { ton: content.ston, npi: content.snpi, addr: content.saddr.as_bytes() },
        dest: Address { ton: content.dton, npi: content.dnpi, addr: b"" },
        esm_class: if has_udh { esm_class::UDHI } else { 0 },
        registered_delivery: if content.receipts { registered_delivery::FINAL } else { 0 },
        validity_period: validity.as_ref().map_or(b"", |text| text.as_slice()),
        data_coding: encoding.data_coding(),
        short_message: user_data,
        tlvs: no_tlvs.tlvs(),
        ..SubmitSm::default()
    };
    SubmitTemplate::new(&submit).map_err(field)
}

/// The validity as the SMSC counts it, from the submit on.
fn validity(content: &Content) -> Result<Option<[u8; 16]>, MessageError> {
    let Some(seconds) = content.rules.validity_s else { return Ok(None) };
    let time = SmppTime::relative(seconds).filter(|_| seconds > 0);
    Ok(Some(time.ok_or(MessageError::Validity(seconds))?.text()))
}

fn field(error: impl std::fmt::Display) -> MessageError {
    MessageError::Field(error.to_string())
}

/// How many parts a text without variables needs.
///
/// # Errors
/// As for building the message itself.
pub fn parts_of(text: &str) -> Result<u8, MessageError> {
    Ok(compose(text, &[])?.segments_max)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::model::values::pack_row;
    use crate::model::{SenderId, SendingRules, Values, Variable};
    use pdu::{HEADER_LEN, Pdu, Tlvs, cut_frame};
    use uuid::Uuid;

    const NUMBER: u64 = 491_701_234_567;

    fn content(text: &str, max_chars: &[u16], parts: u8) -> Content {
        let named = |(place, max): (usize, &u16)| Variable { name: format!("v{place}"), max_chars: *max };
        Content {
            text: text.to_owned(),
            variables: max_chars.iter().enumerate().map(named).collect(),
            sender_id: SenderId(Uuid::nil()),
            revision_id: Uuid::nil(),
            saddr: "Shop".to_owned(),
            ston: 5,
            snpi: 0,
            dton: 2,
            dnpi: 8,
            parts,
            receipts: true,
            recipients_digest: String::new(),
            rules: SendingRules { validity_s: Some(3661), ..SendingRules::default() },
        }
    }

    fn values(row: &[&str]) -> Values {
        let mut packed = Vec::new();
        pack_row(&mut packed, row).unwrap();
        Values::index(packed, row.len()).unwrap()
    }

    /// What every part says: `esm_class`, `data_coding`, user data; the rest is as in the content.
    fn pushed(message: &Message, row: Row<'_>) -> Vec<(u8, u8, Vec<u8>)> {
        let parts = message.segments(row).unwrap();
        let mut said = Vec::new();
        for part in 0..parts {
            let mut out = BytesMut::new();
            message.push(usize::from(part), 7, NUMBER, row, &mut out).unwrap();
            let frame = cut_frame(&out, 1 << 16).unwrap().unwrap();
            assert_eq!((frame.header.sequence_number, frame.body.len() + HEADER_LEN), (7, out.len()));
            let Ok(Pdu::SubmitSm(submit)) = Pdu::decode(&frame) else { panic!("{out:?}") };
            assert_eq!(submit.source, Address { ton: 5, npi: 0, addr: b"Shop" });
            assert_eq!(submit.dest, Address { ton: 2, npi: 8, addr: b"491701234567" });
            assert_eq!(submit.validity_period, b"000000010101000R");
            assert_eq!(
                (submit.registered_delivery, submit.tlvs),
                (registered_delivery::FINAL, Tlvs::default())
            );
            said.push((submit.esm_class, submit.data_coding, submit.short_message.to_vec()));
        }
        let mut out = BytesMut::from(&b"x"[..]);
        let beyond = message.push(usize::from(parts), 7, NUMBER, row, &mut out);
        assert_eq!((beyond, &out[..]), (Err(Unsendable::NoSuchPart), &b"x"[..]));
        said
    }

    #[test]
    fn a_personalised_message_says_what_a_plain_one_of_its_rendering_says() {
        let long = "a€".repeat(60);
        for (text, rows) in [
            ("Hi {v0}, {v1}!", vec![["Ann", "é€"], ["", ""], [&long, "x"], [&long, &long]]),
            ("Привет {v0} {v1}", vec![["Ann", "😀"], [&long[..60], "😀😀"], [&long, &long]]),
        ] {
            let message = Message::new(&content(text, &[400, 400], 6), 9).unwrap();
            for row in rows {
                let values = values(&row);
                let rendered = text.replace("{v0}", row[0]).replace("{v1}", row[1]);
                let parts = parts_of(&rendered).unwrap();
                let plain = Message::new(&content(&rendered, &[], parts), 9).unwrap();
                assert_eq!(pushed(&message, values.row(0)), pushed(&plain, Row::NONE), "{rendered}");
            }
        }
    }

    #[test]
    fn values_beyond_the_approval_append_nothing() {
        let message = Message::new(&content("Hi {v0}", &[200], 1), 9).unwrap();
        let long = "a".repeat(158);
        for (value, wanted) in [
            ("ł", Rendering::Encoding { place: 0, character: 'ł' }),
            (long.as_str(), Rendering::Segments { needed: 2, approved: 1 }),
            (&"a".repeat(201), Rendering::ValueTooLong { place: 0, chars: 201, limit: 200 }),
        ] {
            let values = values(&[value]);
            let mut out = BytesMut::new();
            assert_eq!(message.segments(values.row(0)), Err(wanted));
            assert_eq!(
                message.push(0, 1, NUMBER, values.row(0), &mut out),
                Err(Unsendable::Rendering(wanted))
            );
            assert_eq!(
                message.push(0, 1, 0, self::values(&["x"]).row(0), &mut out),
                Err(EncodeError::Destination.into())
            );
            assert!(out.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before_the_first_message() {
        let new = |content: Content| Message::new(&content, 1).map(|message| message.parts());
        assert_eq!(new(content("a", &[], 1)), Ok(1));
        assert_eq!(new(content("", &[], 1)), Err(TextError::Empty.into()));
        assert_eq!(new(content("a", &[], 2)), Err(MessageError::Parts { needed: 1, approved: 2 }));
        assert_eq!(
            new(content(&"a".repeat(161), &[], 1)),
            Err(MessageError::Parts { needed: 2, approved: 1 })
        );
        assert_eq!(new(content("a{v0}", &[5], 0)), Err(MessageError::Parts { needed: 1, approved: 0 }));
        assert_eq!(new(content("a{v0}", &[5], 17)), Err(MessageError::Parts { needed: 1, approved: 17 }));
        assert_eq!(parts_of(&"a".repeat(153 * 16 + 1)), Err(TextError::TooManyParts(17).into()));
        for seconds in [0, RELATIVE_MAX_S + 1] {
            let mut content = content("a", &[], 1);
            content.rules.validity_s = Some(seconds);
            assert_eq!(new(content), Err(MessageError::Validity(seconds)));
        }
        let far = Content { saddr: "x".repeat(30), ..content("a", &[], 1) };
        assert!(matches!(new(far), Err(MessageError::Field(_))));
    }
}
