//! PDUs that the simulator writes, whole and broken: responses, requests without a body, and their faults.

use bytes::{BufMut, BytesMut};
use pdu::{CommandId, CommandStatus, HEADER_LEN};
use rand_chacha::{ChaCha8Rng, rand_core::Rng};

use super::fault::Fault;
use super::ids::{IdForm, MessageId, hex_digits};

/// Status codes beyond those that `pdu` names; SMPP 3.4 section 5.1.3.
pub(crate) mod status {
    use pdu::CommandStatus;

    pub(crate) const INVALID_COMMAND_LENGTH: CommandStatus = CommandStatus(0x02);
    pub(crate) const INVALID_COMMAND_ID: CommandStatus = CommandStatus(0x03);
    pub(crate) const INVALID_BIND_STATUS: CommandStatus = CommandStatus(0x04);
    pub(crate) const ALREADY_BOUND: CommandStatus = CommandStatus(0x05);
    pub(crate) const SYSTEM_ERROR: CommandStatus = CommandStatus(0x08);
    pub(crate) const BIND_FAILED: CommandStatus = CommandStatus(0x0D);
    pub(crate) const INVALID_PASSWORD: CommandStatus = CommandStatus(0x0E);
    pub(crate) const INVALID_SYSTEM_ID: CommandStatus = CommandStatus(0x0F);
    pub(crate) const PERMANENT_APP_ERROR: CommandStatus = CommandStatus(0x65);
    pub(crate) const REJECT_APP_ERROR: CommandStatus = CommandStatus(0x66);
}

/// Octets of a `submit_sm_resp` with a sixteen-digit message id.
const SUBMIT_RESP_LEN: usize = HEADER_LEN + 17;

/// A message id too long by one: 65 octets and the NUL, SMPP 3.4 section 4.4.2.
const LONG_ID_LEN: usize = 65;

/// A `submit_sm_resp` on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response {
    pub(crate) sequence: u32,
    pub(crate) status: CommandStatus,
    pub(crate) id: MessageId,
    /// The fault that bends this response, if any.
    pub(crate) twist: Option<Fault>,
}

/// Writes a header with a body of `body_len` octets still to come.
pub(crate) fn put_header(
    out: &mut BytesMut,
    id: CommandId,
    status: CommandStatus,
    sequence: u32,
    body_len: usize,
) {
    let length = u32::try_from(HEADER_LEN + body_len).expect("own PDUs are below 64 KiB");
    put_raw_header(out, [length, id.0, status.0, sequence]);
}

fn put_raw_header(out: &mut BytesMut, words: [u32; 4]) {
    for word in words {
        out.put_u32(word);
    }
}

/// Writes a PDU without a body.
pub(crate) fn put_bare(out: &mut BytesMut, id: CommandId, status: CommandStatus, sequence: u32) {
    put_header(out, id, status, sequence, 0);
}

/// The fast path: a successful `submit_sm_resp` with a hexadecimal id.
#[inline]
pub(crate) fn put_accepted_hex(out: &mut BytesMut, sequence: u32, id: MessageId) {
    const HEAD: u64 = (SUBMIT_RESP_LEN as u64) << 32 | CommandId::SUBMIT_SM_RESP.0 as u64;
    let mut octets = [0; SUBMIT_RESP_LEN];
    octets[..8].copy_from_slice(&HEAD.to_be_bytes());
    octets[12..16].copy_from_slice(&sequence.to_be_bytes());
    octets[16..32].copy_from_slice(&hex_digits(id.0));
    out.extend_from_slice(&octets);
}

/// Writes `response` with whatever its fault makes of it.
pub(crate) fn put_response(out: &mut BytesMut, response: &Response, form: IdForm, rng: &mut ChaCha8Rng) {
    let Response { sequence, status, id, twist } = *response;
    let text = id.in_response(form);
    let text = if status == CommandStatus::OK { Some(text.as_bytes()) } else { None };
    match twist {
        Some(Fault::GenericNack) => put_bare(out, CommandId::GENERIC_NACK, status, sequence),
        Some(Fault::Garbage) => put_garbage(out, rng),
        Some(Fault::BadLength) => put_bad_length(out, sequence, rng),
        Some(Fault::Truncated) => {
            put_submit_resp(out, CommandId::SUBMIT_SM_RESP, status, sequence, text);
            out.truncate(out.len() - SUBMIT_RESP_LEN / 2);
        }
        Some(Fault::DuplicateResponse) => {
            put_submit_resp(out, CommandId::SUBMIT_SM_RESP, status, sequence, text);
            put_submit_resp(out, CommandId::SUBMIT_SM_RESP, status, sequence, text);
        }
        Some(Fault::WrongSequence) => {
            let wrong = (sequence ^ 0x4000_0000) & 0x7FFF_FFFF;
            put_submit_resp(out, CommandId::SUBMIT_SM_RESP, status, wrong, text);
        }
        Some(Fault::WrongCommand) => {
            put_submit_resp(out, CommandId::DELIVER_SM_RESP, status, sequence, text);
        }
        Some(Fault::EmptyMessageId) => {
            put_submit_resp(out, CommandId::SUBMIT_SM_RESP, status, sequence, Some(b""));
        }
        Some(Fault::LongMessageId) => {
            let long = [b'f'; LONG_ID_LEN];
            put_submit_resp(out, CommandId::SUBMIT_SM_RESP, status, sequence, Some(&long));
        }
        _ => put_submit_resp(out, CommandId::SUBMIT_SM_RESP, status, sequence, text),
    }
}

/// Writes a `submit_sm_resp`; a refusal has no body, SMPP 3.4 section 4.4.2.
fn put_submit_resp(
    out: &mut BytesMut,
    command: CommandId,
    status: CommandStatus,
    sequence: u32,
    id: Option<&[u8]>,
) {
    match id {
        Some(id) => {
            put_header(out, command, status, sequence, id.len() + 1);
            out.extend_from_slice(id);
            out.put_u8(0);
        }
        None => put_bare(out, command, status, sequence),
    }
}

fn put_garbage(out: &mut BytesMut, rng: &mut ChaCha8Rng) {
    let length = 1 + (rng.next_u32() % 64) as usize;
    let mut octets = [0; 64];
    rng.fill_bytes(&mut octets[..length]);
    out.extend_from_slice(&octets[..length]);
}

fn put_bad_length(out: &mut BytesMut, sequence: u32, rng: &mut ChaCha8Rng) {
    let length = [0, 4, 0x8000_0000][(rng.next_u32() % 3) as usize];
    put_raw_header(out, [length, CommandId::SUBMIT_SM_RESP.0, 0, sequence]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn the_fast_path_writes_the_same_octets_as_the_general_one() {
        let id = MessageId(0x0123_4567_89AB_CDEF);
        let mut fast = BytesMut::new();
        put_accepted_hex(&mut fast, 77, id);
        let mut general = BytesMut::new();
        let response = Response { sequence: 77, status: CommandStatus::OK, id, twist: None };
        put_response(&mut general, &response, IdForm::Hex, &mut ChaCha8Rng::seed_from_u64(0));
        assert_eq!(fast, general);
    }
}
