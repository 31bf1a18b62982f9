//! Reading and writing of the field kinds of SMPP: integers, C-octet strings, octet strings.
//!
//! Every decoder and encoder of this crate goes through these two, so that bounds and limits are checked in one
//! place. Reading borrows; writing never leaves a NUL inside a C-octet string (SMPP 3.4 section 3.1).

use bytes::BufMut;

use crate::{CommandStatus, Tag};

/// A PDU body that does not hold what its command promises; the frame is lost, the stream is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body ends inside the named field.
    #[error("{0} is cut off by the end of the PDU")]
    Truncated(&'static str),
    /// A C-octet string has no NUL within its limit.
    #[error("{0} is longer than {1} octets")]
    TooLong(&'static str, usize),
    /// A destination of `submit_multi` is neither an address nor a list.
    #[error("dest_flag has the impossible value {0}")]
    DestFlag(u8),
    /// No such command in SMPP 3.4 or 5.0.
    #[error("unknown command_id {0:#010x}")]
    UnknownCommand(u32),
    /// A TLV claims more octets than are left in the PDU.
    #[error("TLV {0:?} is cut off by the end of the PDU")]
    TlvTruncated(Tag),
}

impl DecodeError {
    /// The status of the `generic_nack` or response that answers such a PDU.
    #[must_use]
    pub const fn status(self) -> CommandStatus {
        match self {
            Self::Truncated(_) | Self::TooLong(..) => CommandStatus::INVALID_COMMAND_LENGTH,
            Self::DestFlag(_) => CommandStatus::INVALID_DEST_FLAG,
            Self::UnknownCommand(_) => CommandStatus::INVALID_COMMAND_ID,
            Self::TlvTruncated(_) => CommandStatus::INVALID_TLV_STREAM,
        }
    }
}

/// A value that has no correct form on the wire; nothing has been appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The field is longer than the specification allows (limit in octets, a terminating NUL not counted).
    #[error("{0} is longer than {1} octets")]
    TooLong(&'static str, usize),
    /// A C-octet string contains a NUL, which would end it early.
    #[error("{0} contains a NUL")]
    NulInside(&'static str),
    /// A destination number of zero or of more than fifteen digits.
    #[error("a destination number has 1 to 15 digits without leading zero")]
    Destination,
}

/// A cursor over one PDU body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let (first, rest) = self.rest.split_first_chunk::<4>().ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*first))
    }

    /// A C-octet string of at most `max` octets before its NUL.
    #[inline]
    pub(crate) fn c_octets(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        match find_nul(self.rest) {
            Some(at) if at <= max => {
                let (text, rest) = self.rest.split_at(at);
                self.rest = &rest[1..];
                Ok(text)
            }
            Some(_) => Err(DecodeError::TooLong(field, max)),
            None if self.rest.len() > max => Err(DecodeError::TooLong(field, max)),
            None => Err(DecodeError::Truncated(field)),
        }
    }

    /// A C-octet string whose NUL may be missing at the end of the body; an absent body is an empty string.
    #[inline]
    pub(crate) fn lenient_c_octets(&mut self) -> &'a [u8] {
        let at = find_nul(self.rest).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(at);
        self.rest = rest.get(1..).unwrap_or_default();
        text
    }

    #[inline]
    pub(crate) fn octets(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        let (text, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(text)
    }

    #[inline]
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// Position of the first NUL.
#[inline]
pub(crate) fn find_nul(text: &[u8]) -> Option<usize> {
    find(text, 0)
}

/// Position of the first such octet, eight octets at a time.
#[inline]
pub(crate) fn find(text: &[u8], octet: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    let mut rest = text;
    while let Some((eight, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight) ^ (ONES * u64::from(octet));
        let zeros = word.wrapping_sub(ONES) & !word & TOPS;
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
        rest = tail;
    }
    rest.iter().position(|other| *other == octet).map(|tail| at + tail)
}

/// Appends a C-octet string of at most `max` octets and its NUL.
#[inline]
pub(crate) fn put_c_octets(
    out: &mut impl BufMut,
    field: &'static str,
    text: &[u8],
    max: usize,
) -> Result<(), EncodeError> {
    if text.len() > max {
        return Err(EncodeError::TooLong(field, max));
    }
    if find_nul(text).is_some() {
        return Err(EncodeError::NulInside(field));
    }
    out.put_slice(text);
    out.put_u8(0);
    Ok(())
}

/// Appends an octet string behind its length octet.
#[inline]
pub(crate) fn put_short_octets(
    out: &mut impl BufMut,
    field: &'static str,
    text: &[u8],
) -> Result<(), EncodeError> {
    let len = u8::try_from(text.len()).map_err(|_| EncodeError::TooLong(field, 255))?;
    out.put_u8(len);
    out.put_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::find_nul;

    #[test]
    fn a_nul_is_found_at_every_position_and_among_high_octets() {
        for len in 0..40 {
            for at in 0..len {
                for filler in [1_u8, 0x7F, 0x80, 0xFF] {
                    let mut text = vec![filler; len];
                    text[at] = 0;
                    assert_eq!(find_nul(&text), Some(at));
                    if at + 1 < len {
                        text[at + 1] = 0;
                        assert_eq!(find_nul(&text), Some(at));
                    }
                }
            }
            assert_eq!(find_nul(&vec![0x80; len]), None);
        }
    }
}
