//! Prebuilt PDUs for the hot path: one copy and two patches per message.
//!
//! A [`SubmitTemplate`] holds the whole `submit_sm` of a campaign part once per length of destination number.
//! A [`ResponseImage`] is a short PDU that differs only in its sequence number. Neither can write a wrong length.

use bytes::BytesMut;

use crate::{Address, CommandId, CommandStatus, EncodeError, HEADER_LEN, Pdu, SubmitSm};

/// Most digits of an E.164 number.
pub const MAX_DIGITS: usize = 15;

const SEQUENCE: core::ops::Range<usize> = 12..16;
/// Octets patched in one store; the digits are at its end and header and source address lie before them.
const BLOCK: usize = 16;

/// One part of a campaign's message, ready but for sequence number and destination.
#[derive(Clone, Debug)]
pub struct SubmitTemplate {
    images: Box<[Image; MAX_DIGITS]>,
}

/// The PDU for destination numbers of one length.
#[derive(Clone, Debug)]
struct Image {
    octets: Box<[u8]>,
    /// Where the block that ends with the last digit begins.
    block_at: usize,
    /// The block as it is without digits, little-endian.
    fixed: u128,
    /// The octets of the block that are digits.
    digits: u128,
    /// Where `sm_length` is.
    text_at: usize,
    /// Where the TLVs begin.
    tail_at: usize,
}

impl SubmitTemplate {
    /// Builds the template; `message.dest.addr` is ignored, its TON and NPI are kept.
    ///
    /// # Errors
    /// What [`Pdu::encode`] says about the message.
    pub fn new(message: &SubmitSm<'_>) -> Result<Self, EncodeError> {
        let images = (1..=MAX_DIGITS).map(|len| Image::new(message, len)).collect::<Result<Vec<_>, _>>()?;
        let images = images.into_boxed_slice().try_into().expect("there is one image per length");
        Ok(Self { images })
    }

    /// Appends the `submit_sm` to `dest_digits`, an E.164 number as an integer.
    ///
    /// # Errors
    /// `Destination` for zero and for more than fifteen digits; nothing is appended then.
    #[inline]
    pub fn push(&self, sequence: u32, dest_digits: u64, out: &mut BytesMut) -> Result<(), EncodeError> {
        let image = self.image(dest_digits)?;
        let start = out.len();
        out.extend_from_slice(&image.octets);
        image.patch(&mut out[start..], sequence, dest_digits);
        Ok(())
    }

    /// Appends the `submit_sm` with a text of its own in place of the template's; `esm_class`, `data_coding` and
    /// TLVs are those of the template, so that a user data header is part of `short_message`.
    ///
    /// # Errors
    /// `Destination` as for [`push`](Self::push), `TooLong` above 255 octets; nothing is appended then.
    #[inline]
    pub fn push_text(
        &self,
        sequence: u32,
        dest_digits: u64,
        short_message: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        self.push_with(sequence, dest_digits, out, |out| {
            out.extend_from_slice(short_message);
            Ok(())
        })
    }

    /// Appends the `submit_sm` with what `write` appends as its text, user data header included: so a text is made
    /// where it is sent from. `write` must only append.
    ///
    /// # Errors
    /// `Destination` and `TooLong` as for [`push_text`](Self::push_text), and what `write` says; nothing is appended
    /// then.
    #[inline]
    pub fn push_with<E: From<EncodeError>>(
        &self,
        sequence: u32,
        dest_digits: u64,
        out: &mut BytesMut,
        write: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), E> {
        let image = self.image(dest_digits)?;
        let start = out.len();
        let text = start + image.text_at + 1;
        out.reserve(image.octets.len());
        out.extend_from_slice(&image.octets[..=image.text_at]);
        let done = write(out).and_then(|()| Ok(image.close(start, text, out)?));
        match done {
            Ok(()) => image.patch(&mut out[start..], sequence, dest_digits),
            Err(_) => out.truncate(start),
        }
        done
    }

    #[inline]
    fn image(&self, dest_digits: u64) -> Result<&Image, EncodeError> {
        self.images.get(digits_of(dest_digits).wrapping_sub(1)).ok_or(EncodeError::Destination)
    }

    /// Octets of the PDU for a number of `digits` digits, for planning of buffers; `None` outside 1..=15.
    #[must_use]
    pub fn len_for(&self, digits: usize) -> Option<usize> {
        self.images.get(digits.wrapping_sub(1)).map(|image| image.octets.len())
    }

    /// Octets of the longest PDU that the template makes.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.images[MAX_DIGITS - 1].octets.len()
    }
}

impl Image {
    fn new(message: &SubmitSm<'_>, len: usize) -> Result<Self, EncodeError> {
        const DIGITS: [u8; MAX_DIGITS] = [b'0'; MAX_DIGITS];
        let dest = Address { addr: &DIGITS[..len], ..message.dest };
        let mut octets = BytesMut::new();
        Pdu::SubmitSm(SubmitSm { dest, ..*message }).encode(CommandStatus::OK, 0, &mut octets)?;
        // service_type NUL, TON, NPI, source NUL, TON, NPI, digits.
        let end = HEADER_LEN + message.service_type.len() + 1 + 2 + message.source.addr.len() + 1 + 2 + len;
        let block_at = end - BLOCK;
        let block: [u8; BLOCK] = octets[block_at..end].try_into().expect("the range is BLOCK octets long");
        let digits = !0_u128 << (8 * (BLOCK - len));
        let tail_at = octets.len() - message.tlvs.as_bytes().len();
        Ok(Self {
            octets: octets[..].into(),
            block_at,
            fixed: u128::from_le_bytes(block) & !digits,
            digits,
            text_at: tail_at - message.short_message.len() - 1,
            tail_at,
        })
    }

    /// Ends a PDU that began at `start` and whose text, appended last, began at `text`.
    #[inline]
    fn close(&self, start: usize, text: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
        let len = out.len().checked_sub(text).and_then(|len| u8::try_from(len).ok());
        out[text - 1] = len.ok_or(EncodeError::TooLong("short_message", 255))?;
        out.extend_from_slice(&self.octets[self.tail_at..]);
        let whole =
            u32::try_from(out.len() - start).map_err(|_| EncodeError::TooLong("PDU", u32::MAX as usize))?;
        out[start..start + 4].copy_from_slice(&whole.to_be_bytes());
        Ok(())
    }

    /// Writes digits and sequence number into a copy of the image.
    #[inline]
    fn patch(&self, pdu: &mut [u8], sequence: u32, dest_digits: u64) {
        let block = (ascii16(dest_digits) & self.digits) | self.fixed;
        // The block may reach back into the header, so that the sequence number is written last.
        pdu[self.block_at..self.block_at + BLOCK].copy_from_slice(&block.to_le_bytes());
        pdu[SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
    }
}

/// Decimal digits of a number: 0 for zero, 16 for everything above fifteen digits.
#[inline]
#[must_use]
pub const fn digits_of(number: u64) -> usize {
    // log10 from log2 by 1233/4096, exact after one comparison below 2^53.
    const POWERS: [u64; 17] = {
        let mut powers = [0; 17];
        let mut power = 1;
        let mut at = 1;
        while at < 17 {
            power *= 10;
            powers[at] = power;
            at += 1;
        }
        powers
    };
    if number >= POWERS[15] {
        return 16;
    }
    let guess = ((64 - number.leading_zeros() as usize) * 1233) >> 12;
    guess + (number >= POWERS[guess] && number != 0) as usize
}

/// The last sixteen decimal digits in ASCII, first digit in the lowest octet.
#[inline]
const fn ascii16(number: u64) -> u128 {
    let high = ascii8(number / 100_000_000 % 100_000_000);
    let low = ascii8(number % 100_000_000);
    (high as u128) | ((low as u128) << 64)
}

/// Eight decimal digits in ASCII, by halving: four digits, two digits, one digit per lane.
#[inline]
const fn ascii8(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    let ones = tens | ((twos - tens * 10) << 8);
    ones | 0x3030_3030_3030_3030
}

/// A short PDU without variable fields, of which only the sequence number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseImage {
    octets: [u8; HEADER_LEN + 1],
    len: u8,
}

impl ResponseImage {
    /// `deliver_sm_resp` with status zero, 17 octets.
    pub const DELIVER_SM_RESP: Self = Self::build(CommandId::DELIVER_SM_RESP, CommandStatus::OK, 17);
    /// `enquire_link`, 16 octets.
    pub const ENQUIRE_LINK: Self = Self::build(CommandId::ENQUIRE_LINK, CommandStatus::OK, 16);
    /// `enquire_link_resp`, 16 octets.
    pub const ENQUIRE_LINK_RESP: Self = Self::build(CommandId::ENQUIRE_LINK_RESP, CommandStatus::OK, 16);
    /// `unbind`, 16 octets.
    pub const UNBIND: Self = Self::build(CommandId::UNBIND, CommandStatus::OK, 16);
    /// `unbind_resp`, 16 octets.
    pub const UNBIND_RESP: Self = Self::build(CommandId::UNBIND_RESP, CommandStatus::OK, 16);

    /// `deliver_sm_resp` with any status, for example a temporary refusal; its body stays one NUL.
    #[must_use]
    pub const fn deliver_sm_resp(status: CommandStatus) -> Self {
        Self::build(CommandId::DELIVER_SM_RESP, status, 17)
    }

    /// `generic_nack` with a status.
    #[must_use]
    pub const fn generic_nack(status: CommandStatus) -> Self {
        Self::build(CommandId::GENERIC_NACK, status, 16)
    }

    /// A header alone with any status, the shape of every refused response in SMPP 3.4.
    #[must_use]
    pub const fn refusal(request: CommandId, status: CommandStatus) -> Self {
        Self::build(request.response(), status, 16)
    }

    /// Appends the PDU.
    #[inline]
    pub fn push(&self, sequence: u32, out: &mut BytesMut) {
        let mut octets = self.octets;
        octets[SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
        out.extend_from_slice(&octets[..usize::from(self.len)]);
    }

    const fn build(id: CommandId, status: CommandStatus, len: u8) -> Self {
        let mut octets = [0; HEADER_LEN + 1];
        octets[3] = len;
        let (id, status) = (id.0.to_be_bytes(), status.0.to_be_bytes());
        let mut at = 0;
        while at < 4 {
            octets[4 + at] = id[at];
            octets[8 + at] = status[at];
            at += 1;
        }
        Self { octets, len }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{Tag, TlvBuf};

    fn slow(message: &SubmitSm<'_>, sequence: u32, number: u64) -> BytesMut {
        let digits = number.to_string();
        let dest = Address { addr: digits.as_bytes(), ..message.dest };
        let mut out = BytesMut::new();
        Pdu::SubmitSm(SubmitSm { dest, ..*message }).encode(CommandStatus::OK, sequence, &mut out).unwrap();
        out
    }

    #[test]
    fn a_template_writes_what_the_plain_encoder_writes_for_every_length() {
        let mut tlvs = TlvBuf::new();
        tlvs.push_u16(Tag::USER_MESSAGE_REFERENCE, 7);
        let bare = SubmitSm { dest: Address { ton: 1, npi: 1, addr: b"" }, ..SubmitSm::default() };
        let full = SubmitSm {
            service_type: b"CMT",
            source: Address { ton: 5, npi: 0, addr: b"Message" },
            esm_class: 0x40,
            validity_period: b"000001000000000R",
            short_message: &[7; 159],
            tlvs: tlvs.tlvs(),
            ..bare
        };
        for message in [bare, full] {
            let template = SubmitTemplate::new(&message).unwrap();
            for len in 1..=15_u32 {
                let low = 10_u64.pow(len - 1);
                for number in [low, low + 1, low * 3 / 2, low * 9, low * 10 - 1] {
                    let mut out = BytesMut::from(&b"earlier"[..]);
                    template.push(0x7FFF_FFFF, number, &mut out).unwrap();
                    assert_eq!(out[7..], slow(&message, 0x7FFF_FFFF, number)[..], "{number}");
                    assert_eq!(template.len_for(len as usize), Some(out.len() - 7));
                }
            }
            assert_eq!(template.len_for(0), None);
            assert_eq!(template.len_for(16), None);
        }
    }

    #[test]
    fn a_text_of_its_own_replaces_the_text_of_the_template() {
        let mut tlvs = TlvBuf::new();
        tlvs.push_u16(Tag::USER_MESSAGE_REFERENCE, 7);
        let message = SubmitSm {
            source: Address { ton: 5, npi: 0, addr: b"Message" },
            dest: Address { ton: 1, npi: 1, addr: b"" },
            short_message: b"Hello {name}",
            tlvs: tlvs.tlvs(),
            ..SubmitSm::default()
        };
        let template = SubmitTemplate::new(&message).unwrap();
        let mut out = BytesMut::new();
        for text in [&b""[..], b"Hello Ada", &[0; 255]] {
            for number in [1, 49_170, 491_701_234_567, 999_999_999_999_999] {
                out.clear();
                template.push_text(5, number, text, &mut out).unwrap();
                assert_eq!(out, slow(&SubmitSm { short_message: text, ..message }, 5, number));
            }
        }
        out.clear();
        let too_long = template.push_text(5, 1, &[0; 256], &mut out);
        assert_eq!(too_long, Err(EncodeError::TooLong("short_message", 255)));
        assert_eq!(template.push_text(5, 0, b"", &mut out), Err(EncodeError::Destination));
        assert!(out.is_empty());
        out.extend_from_slice(b"earlier");
        let refused = template.push_with(5, 1, &mut out, |out| {
            out.extend_from_slice(b"half");
            Err(EncodeError::NulInside("a value"))
        });
        assert_eq!((refused, &out[..]), (Err(EncodeError::NulInside("a value")), &b"earlier"[..]));
    }

    #[test]
    fn a_number_outside_one_to_fifteen_digits_appends_nothing() {
        let template = SubmitTemplate::new(&SubmitSm::default()).unwrap();
        let mut out = BytesMut::new();
        for number in [0, 1_000_000_000_000_000, u64::MAX] {
            assert_eq!(template.push(1, number, &mut out), Err(EncodeError::Destination));
        }
        assert!(out.is_empty());
    }

    #[test]
    fn digits_are_written_right_over_a_dense_and_a_wide_range() {
        for number in (0..200_000)
            .chain((0..50).map(|shift| (1_u64 << shift) - 1))
            .chain((0..16).flat_map(|e| [10_u64.pow(e) - 1, 10_u64.pow(e), 10_u64.pow(e) + 1]))
        {
            let text = ascii16(number).to_le_bytes();
            assert_eq!(text[..], format!("{number:016}").into_bytes()[..]);
            if number > 0 && number < 1_000_000_000_000_000 {
                assert_eq!(digits_of(number), number.to_string().len());
            }
        }
        for number in 0..100_000_000_u64 / 997 {
            let number = number * 997;
            assert_eq!(ascii8(number).to_le_bytes()[..], format!("{number:08}").into_bytes()[..]);
        }
    }

    #[test]
    fn response_images_are_whole_pdus() {
        let mut out = BytesMut::new();
        ResponseImage::DELIVER_SM_RESP.push(0x0102_0304, &mut out);
        assert_eq!(out[..], [0, 0, 0, 17, 0x80, 0, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 0]);
        out.clear();
        ResponseImage::ENQUIRE_LINK_RESP.push(9, &mut out);
        assert_eq!(out[..], [0, 0, 0, 16, 0x80, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 9]);
        out.clear();
        ResponseImage::generic_nack(CommandStatus(3)).push(1, &mut out);
        assert_eq!(out[..], [0, 0, 0, 16, 0x80, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1]);
    }
}
