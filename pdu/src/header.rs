//! The sixteen-octet PDU header and the cutting of frames out of a byte stream.
//!
//! Framing is ours alone: a frame is cut by `command_length` before anybody looks inside, so a body that
//! cannot be parsed costs one `generic_nack` and never the stream. SMPP 3.4 section 3.2, SMPP 5.0 section 3.2.1.

use crate::{CommandId, CommandStatus};

/// Octets of a PDU header, the least possible `command_length`.
pub const HEADER_LEN: usize = 16;

/// Largest `command_length` accepted by default: a `message_payload` of 64 KiB plus every other field.
pub const MAX_COMMAND_LENGTH: u32 = 70_000;

/// A decoded header; all four fields are big-endian 32-bit integers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Octets of the whole PDU, this field included.
    pub command_length: u32,
    /// Which PDU this is.
    pub command_id: CommandId,
    /// Zero in requests, the result in responses.
    pub command_status: CommandStatus,
    /// Pairs a response with its request, `1..=0x7FFF_FFFF` in requests.
    pub sequence_number: u32,
}

/// One whole PDU inside a read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The decoded header.
    pub header: Header,
    /// The octets behind the header, exactly `command_length - 16` of them.
    pub body: &'a [u8],
}

/// A stream whose framing can no longer be trusted: the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// `command_length` is smaller than a header.
    #[error("command_length {0} is below the 16 octets of a header")]
    TooShort(u32),
    /// `command_length` is above the receiver's limit.
    #[error("command_length {0} is above the limit of {1} octets")]
    TooLong(u32, u32),
}

impl Frame<'_> {
    /// Octets that the frame took from the buffer.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }

    /// Whether the PDU has no body, as `enquire_link` and its like.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }
}

/// Cuts the first whole frame from `buf`; `None` while octets are missing.
///
/// # Errors
/// `FrameError` when `command_length` is impossible or above `limit`, known from the first four octets.
#[inline]
pub fn cut_frame(buf: &[u8], limit: u32) -> Result<Option<Frame<'_>>, FrameError> {
    let Some(length) = word(buf, 0) else { return Ok(None) };
    if length < 16 {
        return Err(FrameError::TooShort(length));
    }
    if length > limit {
        return Err(FrameError::TooLong(length, limit));
    }
    let Some(whole) = buf.get(..length as usize) else { return Ok(None) };
    let (Some(id), Some(status), Some(sequence_number)) = (word(whole, 4), word(whole, 8), word(whole, 12))
    else {
        return Ok(None);
    };
    let header = Header {
        command_length: length,
        command_id: CommandId(id),
        command_status: CommandStatus(status),
        sequence_number,
    };
    Ok(Some(Frame { header, body: &whole[HEADER_LEN..] }))
}

#[inline]
fn word(buf: &[u8], at: usize) -> Option<u32> {
    buf.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes)
}
