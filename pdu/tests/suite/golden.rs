//! Goal: the octets on the wire are those of the specification, written down by hand and not by this codec.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::BytesMut;
use pdu::{
    Address, Bind, BindResp, CommandStatus, DecodeError, DeliverSm, DeliverSmResp, EncodeError, Frame,
    MAX_COMMAND_LENGTH, Pdu, SubmitSm, SubmitSmResp, Tag, TlvBuf, Tlvs, cut_frame,
};

fn frame(octets: &[u8]) -> Frame<'_> {
    let frame = cut_frame(octets, MAX_COMMAND_LENGTH).unwrap().unwrap();
    assert_eq!(frame.len(), octets.len());
    frame
}

/// Encodes to exactly these octets and decodes back from them.
fn both_ways(pdu: Pdu<'_>, status: u32, sequence: u32, octets: &[u8]) {
    let mut out = BytesMut::new();
    pdu.encode(CommandStatus(status), sequence, &mut out).unwrap();
    assert_eq!(&out[..], octets, "{pdu:?}");
    let frame = frame(octets);
    assert_eq!(frame.header.command_id, pdu.command_id());
    assert_eq!(frame.header.command_status, CommandStatus(status));
    assert_eq!(frame.header.sequence_number, sequence);
    assert_eq!(Pdu::decode(&frame), Ok(pdu));
}

#[test]
fn bind_transmitter_of_the_specification_example() {
    // SMPP 3.4 section 3.2.3, the worked example.
    let octets = b"\x00\x00\x00\x2F\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\
                   SMPP3TEST\x00secret08\x00SUBMIT1\x00\x00\x01\x01\x00";
    let bind = Bind {
        system_id: b"SMPP3TEST",
        password: b"secret08",
        system_type: b"SUBMIT1",
        interface_version: 0,
        addr_ton: 1,
        addr_npi: 1,
        address_range: b"",
    };
    both_ways(Pdu::BindTransmitter(bind), 0, 1, octets);
}

#[test]
fn bind_responses_with_and_without_a_body() {
    let mut tlvs = TlvBuf::new();
    tlvs.push_u8(Tag::SC_INTERFACE_VERSION, 0x34);
    let resp = BindResp { system_id: b"SMSC", tlvs: tlvs.tlvs() };
    let octets =
        b"\x00\x00\x00\x1A\x80\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x01SMSC\x00\x02\x10\x00\x01\x34";
    both_ways(Pdu::BindTransceiverResp(resp), 0, 1, octets);
    assert_eq!(resp.tlvs.sc_interface_version(), Some(0x34));
    let refused = b"\x00\x00\x00\x10\x80\x00\x00\x01\x00\x00\x00\x0D\x00\x00\x00\x01";
    both_ways(Pdu::BindReceiverResp(BindResp::default()), 0x0D, 1, refused);
}

#[test]
fn submit_sm_and_its_response() {
    let submit = SubmitSm {
        service_type: b"CMT",
        source: Address { ton: 5, npi: 0, addr: b"Shop" },
        dest: Address { ton: 1, npi: 1, addr: b"491701234567" },
        registered_delivery: 1,
        short_message: b"Hi\x00!",
        tlvs: Tlvs::new(b"\x02\x04\x00\x02\x00\x07"),
        ..SubmitSm::default()
    };
    let octets = b"\x00\x00\x00\x3E\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x2A\
                   CMT\x00\x05\x00Shop\x00\x01\x01491701234567\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\
                   \x04Hi\x00!\x02\x04\x00\x02\x00\x07";
    both_ways(Pdu::SubmitSm(submit), 0, 42, octets);
    assert_eq!(submit.tlvs.user_message_reference(), Some(7));

    let resp = SubmitSmResp { message_id: b"00B8BE19", tlvs: Tlvs::EMPTY };
    let octets = b"\x00\x00\x00\x19\x80\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x2A00B8BE19\x00";
    both_ways(Pdu::SubmitSmResp(resp), 0, 42, octets);
    assert_eq!(SubmitSmResp::message_id_of(frame(octets).body), Some(&b"00B8BE19"[..]));
    let throttled = b"\x00\x00\x00\x10\x80\x00\x00\x04\x00\x00\x00\x58\x00\x00\x00\x2A";
    both_ways(Pdu::SubmitSmResp(SubmitSmResp::default()), 0x58, 42, throttled);
}

#[test]
fn deliver_sm_and_its_response() {
    let deliver = DeliverSm {
        source: Address { ton: 1, npi: 1, addr: b"4917" },
        dest: Address { ton: 5, npi: 0, addr: b"Shop" },
        esm_class: 4,
        short_message: b"id:1",
        ..DeliverSm::default()
    };
    assert!(deliver.is_receipt() && !deliver.is_intermediate() && !deliver.has_udh());
    let octets = b"\x00\x00\x00\x2D\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\
                   \x00\x01\x014917\x00\x05\x00Shop\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x04id:1";
    both_ways(Pdu::DeliverSm(deliver), 0, 1, octets);
    let octets = b"\x00\x00\x00\x11\x80\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00";
    both_ways(Pdu::DeliverSmResp(DeliverSmResp::default()), 0, 1, octets);
}

#[test]
fn headers_alone() {
    for (pdu, id) in [
        (Pdu::EnquireLink, [0, 0, 0, 0x15]),
        (Pdu::EnquireLinkResp, [0x80, 0, 0, 0x15]),
        (Pdu::Unbind, [0, 0, 0, 6]),
        (Pdu::UnbindResp, [0x80, 0, 0, 6]),
        (Pdu::GenericNack, [0x80, 0, 0, 0]),
    ] {
        let mut octets = [0; 16];
        octets[3] = 16;
        octets[4..8].copy_from_slice(&id);
        octets[11] = 3;
        octets[12..].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF]);
        both_ways(pdu, 3, 0x7FFF_FFFF, &octets);
    }
}

#[test]
fn what_is_common_in_the_wild_is_accepted() {
    // A response with status zero and no body, and a message id without NUL.
    assert_eq!(SubmitSmResp::decode(b"").unwrap().message_id, b"");
    assert_eq!(SubmitSmResp::message_id_of(b""), None);
    assert_eq!(SubmitSmResp::decode(b"77").unwrap().message_id, b"77");
    assert_eq!(DeliverSmResp::decode(b"").unwrap(), DeliverSmResp::default());
    // Non-ASCII source of 30 octets, a validity period of odd length, a stray octet at the end.
    let mut body = b"\x00\x05\x00".to_vec();
    body.extend_from_slice(&[0xE9; 30]);
    body.extend_from_slice(b"\x00\x01\x011\x00\x00\x00\x00\x00240101\x00\x00\x00\x00\x00\x00\xAA");
    let submit = SubmitSm::decode(&body).unwrap();
    assert_eq!(submit.source.addr, [0xE9; 30]);
    assert_eq!(submit.validity_period, b"240101");
    assert_eq!(submit.tlvs.as_bytes(), [0xAA]);
    assert_eq!(submit.tlvs.iter().next(), Some(Err(DecodeError::Truncated("TLV header"))));
    // enquire_link with a body.
    let stray = b"\x00\x00\x00\x11\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x01\x00";
    assert_eq!(Pdu::decode(&frame(stray)), Ok(Pdu::EnquireLink));
}

#[test]
fn an_over_long_field_is_an_error_and_leaves_the_buffer_alone() {
    let too_long = [b'1'; 65];
    let bad = [
        Pdu::SubmitSm(SubmitSm { service_type: b"123456", ..SubmitSm::default() }),
        Pdu::SubmitSm(SubmitSm {
            dest: Address { ton: 1, npi: 1, addr: &[b'1'; 21] },
            ..SubmitSm::default()
        }),
        Pdu::SubmitSm(SubmitSm { validity_period: &[b'1'; 17], ..SubmitSm::default() }),
        Pdu::SubmitSm(SubmitSm { short_message: &[0; 256], ..SubmitSm::default() }),
        Pdu::SubmitSmResp(SubmitSmResp { message_id: &too_long, tlvs: Tlvs::EMPTY }),
        Pdu::BindReceiver(Bind { system_id: &[b'x'; 16], ..Bind::default() }),
        Pdu::BindReceiver(Bind { address_range: &[b'x'; 41], ..Bind::default() }),
    ];
    let mut out = BytesMut::from(&b"kept"[..]);
    for pdu in bad {
        assert!(
            matches!(pdu.encode(CommandStatus::OK, 1, &mut out), Err(EncodeError::TooLong(..))),
            "{pdu:?}"
        );
        assert_eq!(&out[..], b"kept");
    }
    let nul = Pdu::BindReceiver(Bind { password: b"a\0b", ..Bind::default() });
    assert_eq!(nul.encode(CommandStatus::OK, 1, &mut out), Err(EncodeError::NulInside("password")));
    assert_eq!(&out[..], b"kept");
}
