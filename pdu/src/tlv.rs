//! Optional parameters: a lazily read slice on the way in, a small writer on the way out.
//!
//! Nothing is parsed before somebody asks, and a broken TLV at the end never costs the mandatory fields.
//! SMPP 3.4 section 3.2.4.1: tag and length are 16-bit big-endian integers, the length counts the value alone.

use bytes::{BufMut, BytesMut};

use crate::{DecodeError, EncodeError, Tag, field::find_nul};

/// One optional parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub tag: Tag,
    /// Its value, without tag and length.
    pub value: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The value as a big-endian integer of one to four octets: peers disagree about the width of small integers.
    #[inline]
    #[must_use]
    pub fn integer(&self) -> Option<u32> {
        integer(self.value)
    }

    /// The value as text, up to a NUL if there is one.
    #[inline]
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        until_nul(self.value)
    }
}

/// The TLVs behind the mandatory fields, as they are on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a> {
    raw: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// No TLVs.
    pub const EMPTY: Tlvs<'static> = Tlvs { raw: &[] };

    /// Wraps encoded TLVs; they are looked at when they are read.
    #[inline]
    #[must_use]
    pub const fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The octets on the wire.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// All TLVs in order; a truncated one is the last item and an error.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> TlvIter<'a> {
        TlvIter { rest: self.raw }
    }

    /// The value of the first TLV with this tag; a truncated TLV ends the search.
    #[inline]
    #[must_use]
    pub fn find(&self, tag: Tag) -> Option<&'a [u8]> {
        self.iter().map_while(Result::ok).find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }

    /// The first TLV with this tag as an integer of one to four octets.
    #[must_use]
    pub fn integer(&self, tag: Tag) -> Option<u32> {
        self.find(tag).and_then(integer)
    }

    /// `receipted_message_id`, with or without its NUL on the wire, never with it here.
    #[must_use]
    pub fn receipted_message_id(&self) -> Option<&'a [u8]> {
        self.find(Tag::RECEIPTED_MESSAGE_ID).map(until_nul)
    }

    /// `message_state` as sent, of one or two octets (SMPP 3.4 section 5.2.28).
    #[must_use]
    pub fn message_state(&self) -> Option<u8> {
        self.small(Tag::MESSAGE_STATE)
    }

    /// `message_payload`, the text of up to 64 KiB that replaces `short_message`.
    #[must_use]
    pub fn message_payload(&self) -> Option<&'a [u8]> {
        self.find(Tag::MESSAGE_PAYLOAD)
    }

    /// The three `sar_*` TLVs, if all are there: reference, total segments, number of this one from 1.
    #[must_use]
    pub fn sar(&self) -> Option<(u16, u8, u8)> {
        let reference = self.integer(Tag::SAR_MSG_REF_NUM).and_then(|v| u16::try_from(v).ok())?;
        Some((reference, self.small(Tag::SAR_TOTAL_SEGMENTS)?, self.small(Tag::SAR_SEGMENT_SEQNUM)?))
    }

    /// `user_message_reference`, which some SMSCs echo in the receipt.
    #[must_use]
    pub fn user_message_reference(&self) -> Option<u16> {
        self.integer(Tag::USER_MESSAGE_REFERENCE).and_then(|v| u16::try_from(v).ok())
    }

    /// `network_error_code`: network type (1 ANSI-136, 2 IS-95, 3 GSM, ...) and the code of that network.
    #[must_use]
    pub fn network_error_code(&self) -> Option<(u8, u16)> {
        match self.find(Tag::NETWORK_ERROR_CODE)? {
            [network, high, low] => Some((*network, u16::from_be_bytes([*high, *low]))),
            _ => None,
        }
    }

    /// `sc_interface_version` of a bind response, 0x34 or 0x50.
    #[must_use]
    pub fn sc_interface_version(&self) -> Option<u8> {
        self.small(Tag::SC_INTERFACE_VERSION)
    }

    /// `congestion_state` of SMPP 5.0, 0 (idle) to 100 (congested) per cent.
    #[must_use]
    pub fn congestion_state(&self) -> Option<u8> {
        self.small(Tag::CONGESTION_STATE)
    }

    /// `delivery_failure_reason` of `data_sm_resp`.
    #[must_use]
    pub fn delivery_failure_reason(&self) -> Option<u8> {
        self.small(Tag::DELIVERY_FAILURE_REASON)
    }

    /// `additional_status_info_text`, the reason of a refusal in words.
    #[must_use]
    pub fn additional_status_info_text(&self) -> Option<&'a [u8]> {
        self.find(Tag::ADDITIONAL_STATUS_INFO_TEXT).map(until_nul)
    }

    fn small(&self, tag: Tag) -> Option<u8> {
        self.integer(tag).and_then(|value| u8::try_from(value).ok())
    }
}

/// Iterator over TLVs, made by [`Tlvs::iter`].
#[derive(Clone, Copy, Debug)]
pub struct TlvIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for TlvIter<'a> {
    type Item = Result<Tlv<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(([t0, t1, l0, l1], rest)) = self.rest.split_first_chunk::<4>() else {
            self.rest = &[];
            return Some(Err(DecodeError::Truncated("TLV header")));
        };
        let tag = Tag(u16::from_be_bytes([*t0, *t1]));
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some((value, rest)) = rest.split_at_checked(len) else {
            self.rest = &[];
            return Some(Err(DecodeError::TlvTruncated(tag)));
        };
        self.rest = rest;
        Some(Ok(Tlv { tag, value }))
    }
}

/// Builds the TLVs of a PDU to be encoded; reusable after [`TlvBuf::clear`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlvBuf {
    raw: BytesMut,
}

impl TlvBuf {
    /// An empty buffer, without allocation.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a TLV of any value.
    ///
    /// # Errors
    /// `TooLong` above 65,535 octets; nothing is appended then.
    pub fn push(&mut self, tag: Tag, value: &[u8]) -> Result<&mut Self, EncodeError> {
        let len = u16::try_from(value.len()).map_err(|_| EncodeError::TooLong("TLV value", 65_535))?;
        self.raw.reserve(4 + value.len());
        self.raw.put_u16(tag.0);
        self.raw.put_u16(len);
        self.raw.extend_from_slice(value);
        Ok(self)
    }

    /// Appends a C-octet string with its NUL.
    ///
    /// # Errors
    /// `NulInside` and `TooLong`, as for any C-octet string.
    pub fn push_c_octets(&mut self, tag: Tag, text: &[u8]) -> Result<&mut Self, EncodeError> {
        let len = u16::try_from(text.len() + 1).map_err(|_| EncodeError::TooLong("TLV value", 65_534))?;
        if find_nul(text).is_some() {
            return Err(EncodeError::NulInside("TLV value"));
        }
        self.raw.reserve(5 + text.len());
        self.raw.put_u16(tag.0);
        self.raw.put_u16(len);
        self.raw.extend_from_slice(text);
        self.raw.put_u8(0);
        Ok(self)
    }

    /// Appends an integer of one octet.
    pub fn push_u8(&mut self, tag: Tag, value: u8) -> &mut Self {
        self.raw.put_u16(tag.0);
        self.raw.put_u16(1);
        self.raw.put_u8(value);
        self
    }

    /// Appends an integer of two octets.
    pub fn push_u16(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.raw.put_u16(tag.0);
        self.raw.put_u16(2);
        self.raw.put_u16(value);
        self
    }

    /// Appends an integer of four octets.
    pub fn push_u32(&mut self, tag: Tag, value: u32) -> &mut Self {
        self.raw.put_u16(tag.0);
        self.raw.put_u16(4);
        self.raw.put_u32(value);
        self
    }

    /// Appends the three `sar_*` TLVs of one segment, `number` counted from 1.
    pub fn push_sar(&mut self, reference: u16, total: u8, number: u8) -> &mut Self {
        self.push_u16(Tag::SAR_MSG_REF_NUM, reference)
            .push_u8(Tag::SAR_TOTAL_SEGMENTS, total)
            .push_u8(Tag::SAR_SEGMENT_SEQNUM, number)
    }

    /// What has been written so far.
    #[must_use]
    pub fn tlvs(&self) -> Tlvs<'_> {
        Tlvs::new(&self.raw)
    }

    /// Forgets everything, keeps the allocation.
    pub fn clear(&mut self) {
        self.raw.clear();
    }
}

fn integer(value: &[u8]) -> Option<u32> {
    if value.is_empty() || value.len() > 4 {
        return None;
    }
    Some(value.iter().fold(0, |sum, octet| (sum << 8) | u32::from(*octet)))
}

fn until_nul(value: &[u8]) -> &[u8] {
    &value[..find_nul(value).unwrap_or(value.len())]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_truncated_tlv_is_the_last_item_and_does_not_hide_the_ones_before_it() {
        let raw = [0x04, 0x27, 0, 1, 2, 0x00, 0x1E, 0, 9, b'a'];
        let tlvs = Tlvs::new(&raw);
        assert_eq!(tlvs.message_state(), Some(2));
        assert_eq!(tlvs.receipted_message_id(), None);
        let items: Vec<_> = tlvs.iter().collect();
        assert_eq!(items.len(), 2);
        assert_eq!(items[1], Err(DecodeError::TlvTruncated(Tag::RECEIPTED_MESSAGE_ID)));
        let stray: Vec<_> = Tlvs::new(&[0]).iter().collect();
        assert_eq!(stray, [Err(DecodeError::Truncated("TLV header"))]);
    }

    #[test]
    fn wild_widths_are_read() {
        let mut buf = TlvBuf::new();
        buf.push_u16(Tag::MESSAGE_STATE, 5).push(Tag::RECEIPTED_MESSAGE_ID, b"B8BE19").unwrap();
        assert_eq!(buf.tlvs().message_state(), Some(5));
        assert_eq!(buf.tlvs().receipted_message_id(), Some(&b"B8BE19"[..]));
        buf.clear();
        buf.push_c_octets(Tag::RECEIPTED_MESSAGE_ID, b"B8BE19").unwrap();
        assert_eq!(buf.tlvs().as_bytes(), b"\x00\x1E\x00\x07B8BE19\x00");
        assert_eq!(buf.tlvs().receipted_message_id(), Some(&b"B8BE19"[..]));
        buf.push(Tag::NETWORK_ERROR_CODE, &[3, 1, 2]).unwrap().push_sar(0x1234, 3, 2);
        assert_eq!(buf.tlvs().network_error_code(), Some((3, 0x0102)));
        assert_eq!(buf.tlvs().sar(), Some((0x1234, 3, 2)));
    }

    #[test]
    fn a_value_that_does_not_fit_leaves_the_buffer_as_it_was() {
        let mut buf = TlvBuf::new();
        assert!(buf.push(Tag::MESSAGE_PAYLOAD, &vec![0; 65_536]).is_err());
        assert!(buf.push_c_octets(Tag::RECEIPTED_MESSAGE_ID, b"a\0b").is_err());
        assert!(buf.tlvs().is_empty());
        assert!(buf.push(Tag::MESSAGE_PAYLOAD, &vec![0; 65_535]).is_ok());
    }
}
