//! The few PDUs that a link writes by itself, and looks into its own output.

use bytes::BytesMut;
use pdu::{Bind, CommandId, CommandStatus, EncodeError, HEADER_LEN, Pdu, ResponseImage};

pub(super) fn deliver_sm_resp(status: CommandStatus, sequence: u32, out: &mut BytesMut) {
    ResponseImage::deliver_sm_resp(status).push(sequence, out);
}

pub(super) fn enquire_link(sequence: u32, out: &mut BytesMut) {
    ResponseImage::ENQUIRE_LINK.push(sequence, out);
}

pub(super) fn enquire_link_resp(sequence: u32, out: &mut BytesMut) {
    ResponseImage::ENQUIRE_LINK_RESP.push(sequence, out);
}

pub(super) fn unbind(sequence: u32, out: &mut BytesMut) {
    ResponseImage::UNBIND.push(sequence, out);
}

pub(super) fn unbind_resp(sequence: u32, out: &mut BytesMut) {
    ResponseImage::UNBIND_RESP.push(sequence, out);
}

pub(super) fn generic_nack(status: CommandStatus, sequence: u32, out: &mut BytesMut) {
    ResponseImage::generic_nack(status).push(sequence, out);
}

/// A bind request of the given kind.
pub(super) fn bind(id: CommandId, bind: Bind<'_>, out: &mut BytesMut) -> Result<(), EncodeError> {
    let pdu = match id {
        CommandId::BIND_TRANSMITTER => Pdu::BindTransmitter(bind),
        CommandId::BIND_RECEIVER => Pdu::BindReceiver(bind),
        _ => Pdu::BindTransceiver(bind),
    };
    pdu.encode(CommandStatus::OK, 1, out)
}

/// Sequence numbers of the `submit_sm` in whole frames of our own output.
pub(super) fn submits(out: &[u8]) -> Vec<u32> {
    let mut rest = out;
    let mut found = Vec::new();
    while let Ok(Some(frame)) = pdu::cut_frame(rest, u32::MAX) {
        if frame.header.command_id == CommandId::SUBMIT_SM {
            found.push(frame.header.sequence_number);
        }
        rest = &rest[frame.len()..];
    }
    found
}

/// After `gone` octets of `out` were written: how many of the PDU that they end in are still to come, and its
/// sequence number if it is a `submit_sm`.
pub(super) fn partial(out: &[u8], gone: usize) -> (usize, Option<u32>) {
    if gone == out.len() {
        return (0, None);
    }
    let mut at = 0;
    while at < gone {
        let Ok(Some(frame)) = pdu::cut_frame(&out[at..], u32::MAX) else { return (0, None) };
        at += frame.len().max(HEADER_LEN);
        if at > gone {
            let submit = frame.header.command_id == CommandId::SUBMIT_SM;
            return (at - gone, submit.then_some(frame.header.sequence_number));
        }
    }
    (0, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_ends_inside_a_pdu_tells_what_is_left_of_it() {
        let mut out = BytesMut::new();
        enquire_link(7, &mut out);
        let length_and_id = [16, CommandId::SUBMIT_SM.0, 0, 8].map(u32::to_be_bytes);
        out.extend_from_slice(length_and_id.as_flattened());
        assert_eq!(partial(&out, 0), (0, None));
        assert_eq!(partial(&out, 3), (13, None));
        assert_eq!(partial(&out, 16), (0, None));
        assert_eq!(partial(&out, 17), (15, Some(8)));
        assert_eq!(partial(&out, 32), (0, None));
        assert_eq!(submits(&out), [8]);
    }
}
