//! Goal: the rarer PDUs, octet by octet as SMPP 3.4 section 4 and SMPP 5.0 section 4 lay them out.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::BytesMut;
use pdu::{
    Address, AlertNotification, BroadcastSm, BroadcastSmResp, CancelBroadcastSm, CancelSm, CommandStatus,
    DataSm, DataSmResp, DecodeError, Dest, DestBuf, EncodeError, MAX_COMMAND_LENGTH, Outbind, Pdu,
    QueryBroadcastSm, QueryBroadcastSmResp, QuerySm, QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp,
    Tlvs, Unsuccess, UnsuccessBuf, cut_frame,
};

const FROM: Address<'_> = Address { ton: 5, npi: 0, addr: b"Shop" };
const TO: Address<'_> = Address { ton: 1, npi: 1, addr: b"4917" };
const TIME: &[u8; 16] = b"240102030405000+";
const TLVS: Tlvs<'_> = Tlvs::new(b"\x02\x04\x00\x02\x00\x07");

fn both_ways(pdu: Pdu<'_>, id: u32, body: &[u8]) {
    let mut octets = (u32::try_from(body.len()).unwrap() + 16).to_be_bytes().to_vec();
    octets.extend_from_slice(&id.to_be_bytes());
    octets.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9]);
    octets.extend_from_slice(body);
    let mut out = BytesMut::new();
    pdu.encode(CommandStatus::OK, 9, &mut out).unwrap();
    assert_eq!(out[..], octets, "{pdu:?}");
    let frame = cut_frame(&octets, MAX_COMMAND_LENGTH).unwrap().unwrap();
    assert_eq!(Pdu::decode(&frame), Ok(pdu));
}

#[test]
fn query_sm() {
    both_ways(Pdu::QuerySm(QuerySm { message_id: b"77", source: FROM }), 0x03, b"77\x00\x05\x00Shop\x00");
    let resp = QuerySmResp {
        message_id: b"77",
        final_date: TIME,
        message_state: 2,
        error_code: 0,
        tlvs: Tlvs::EMPTY,
    };
    both_ways(Pdu::QuerySmResp(resp), 0x8000_0003, b"77\x00240102030405000+\x00\x02\x00");
}

#[test]
fn cancel_sm_and_replace_sm() {
    let cancel = CancelSm { service_type: b"CMT", message_id: b"77", source: FROM, dest: TO };
    both_ways(Pdu::CancelSm(cancel), 0x08, b"CMT\x0077\x00\x05\x00Shop\x00\x01\x014917\x00");
    both_ways(Pdu::CancelSmResp, 0x8000_0008, b"");
    let replace = ReplaceSm {
        message_id: b"77",
        source: FROM,
        schedule_delivery_time: b"",
        validity_period: TIME,
        registered_delivery: 1,
        sm_default_msg_id: 0,
        short_message: b"new",
        tlvs: Tlvs::EMPTY,
    };
    both_ways(
        Pdu::ReplaceSm(replace),
        0x07,
        b"77\x00\x05\x00Shop\x00\x00240102030405000+\x00\x01\x00\x03new",
    );
    both_ways(Pdu::ReplaceSmResp, 0x8000_0007, b"");
}

#[test]
fn data_sm() {
    let data = DataSm {
        service_type: b"",
        source: FROM,
        dest: TO,
        esm_class: 0,
        registered_delivery: 1,
        data_coding: 8,
        tlvs: Tlvs::new(b"\x04\x24\x00\x02\x04\x16"),
    };
    both_ways(
        Pdu::DataSm(data),
        0x103,
        b"\x00\x05\x00Shop\x00\x01\x014917\x00\x00\x01\x08\x04\x24\x00\x02\x04\x16",
    );
    assert_eq!(data.tlvs.message_payload(), Some(&[4, 0x16][..]));
    let resp = DataSmResp { message_id: b"77", tlvs: Tlvs::new(b"\x04\x25\x00\x01\x02") };
    both_ways(Pdu::DataSmResp(resp), 0x8000_0103, b"77\x00\x04\x25\x00\x01\x02");
    assert_eq!(resp.tlvs.delivery_failure_reason(), Some(2));
}

#[test]
fn submit_multi() {
    let mut dests = DestBuf::new();
    dests.push(&Dest::Sme(TO)).unwrap().push(&Dest::List(b"friends")).unwrap();
    let multi = SubmitMulti {
        service_type: b"CMT",
        source: FROM,
        dests: dests.list(),
        esm_class: 1,
        protocol_id: 2,
        priority_flag: 3,
        schedule_delivery_time: b"",
        validity_period: b"",
        registered_delivery: 4,
        replace_if_present_flag: 5,
        data_coding: 6,
        sm_default_msg_id: 7,
        short_message: b"Hi",
        tlvs: TLVS,
    };
    both_ways(
        Pdu::SubmitMulti(multi),
        0x21,
        b"CMT\x00\x05\x00Shop\x00\x02\x01\x01\x014917\x00\x02friends\x00\x01\x02\x03\x00\x00\x04\x05\x06\x07\x02Hi\
          \x02\x04\x00\x02\x00\x07",
    );
    let mut refused = UnsuccessBuf::new();
    refused.push(&Unsuccess { dest: TO, status: CommandStatus::INVALID_DEST_ADDRESS }).unwrap();
    let resp = SubmitMultiResp { message_id: b"77", unsuccesses: refused.list(), tlvs: Tlvs::EMPTY };
    both_ways(Pdu::SubmitMultiResp(resp), 0x8000_0021, b"77\x00\x01\x01\x014917\x00\x00\x00\x00\x0B");
    assert_eq!(resp.unsuccesses.iter().next().unwrap().status, CommandStatus(0x0B));
}

#[test]
fn a_list_of_destinations_is_checked_whole() {
    let bad_flag = b"\x00\x00\x00\x00\x01\x03\x00\x00\x00";
    assert_eq!(SubmitMulti::decode(bad_flag), Err(DecodeError::DestFlag(3)));
    assert_eq!(DecodeError::DestFlag(3).status(), CommandStatus::INVALID_DEST_FLAG);
    let promised_two = b"\x00\x00\x00\x00\x02\x02a\x00";
    assert_eq!(SubmitMulti::decode(promised_two), Err(DecodeError::Truncated("dest_flag")));
    let mut dests = DestBuf::new();
    for _ in 0..255 {
        dests.push(&Dest::List(b"x")).unwrap();
    }
    assert_eq!(dests.push(&Dest::List(b"x")).err(), Some(EncodeError::TooLong("Dests", 255)));
    assert_eq!(dests.list().iter().count(), 255);
    let mut dests = DestBuf::new();
    assert!(dests.push(&Dest::List(&[b'x'; 21])).is_err());
    assert!(dests.list().is_empty());
}

#[test]
fn outbind_and_alert_notification() {
    let outbind = Outbind { system_id: b"SMSC", password: b"pw" };
    both_ways(Pdu::Outbind(outbind), 0x0B, b"SMSC\x00pw\x00");
    let alert = AlertNotification { source: TO, esme: FROM, tlvs: Tlvs::new(b"\x04\x22\x00\x01\x00") };
    both_ways(Pdu::AlertNotification(alert), 0x102, b"\x01\x014917\x00\x05\x00Shop\x00\x04\x22\x00\x01\x00");
}

#[test]
fn the_broadcasts_of_smpp_5() {
    let area = Tlvs::new(b"\x06\x06\x00\x02\x00A\x06\x04\x00\x02\x00\x01");
    let broadcast = BroadcastSm {
        service_type: b"CBS",
        source: FROM,
        message_id: b"",
        priority_flag: 1,
        schedule_delivery_time: b"",
        validity_period: TIME,
        replace_if_present_flag: 2,
        data_coding: 3,
        sm_default_msg_id: 4,
        tlvs: area,
    };
    both_ways(
        Pdu::BroadcastSm(broadcast),
        0x111,
        b"CBS\x00\x05\x00Shop\x00\x00\x01\x00240102030405000+\x00\x02\x03\x04\
          \x06\x06\x00\x02\x00A\x06\x04\x00\x02\x00\x01",
    );
    let resp = BroadcastSmResp { message_id: b"b1", tlvs: Tlvs::EMPTY };
    both_ways(Pdu::BroadcastSmResp(resp), 0x8000_0111, b"b1\x00");
    let query = QueryBroadcastSm { message_id: b"b1", source: FROM, tlvs: TLVS };
    both_ways(Pdu::QueryBroadcastSm(query), 0x112, b"b1\x00\x05\x00Shop\x00\x02\x04\x00\x02\x00\x07");
    let resp = QueryBroadcastSmResp { message_id: b"b1", tlvs: Tlvs::new(b"\x04\x27\x00\x01\x02") };
    both_ways(Pdu::QueryBroadcastSmResp(resp), 0x8000_0112, b"b1\x00\x04\x27\x00\x01\x02");
    let cancel = CancelBroadcastSm { service_type: b"CBS", message_id: b"b1", source: FROM, tlvs: TLVS };
    both_ways(
        Pdu::CancelBroadcastSm(cancel),
        0x113,
        b"CBS\x00b1\x00\x05\x00Shop\x00\x02\x04\x00\x02\x00\x07",
    );
    both_ways(Pdu::CancelBroadcastSmResp, 0x8000_0113, b"");
}

#[test]
fn a_refusing_response_without_content_has_no_body() {
    for pdu in [
        Pdu::QuerySmResp(QuerySmResp::default()),
        Pdu::SubmitMultiResp(SubmitMultiResp::default()),
        Pdu::DataSmResp(DataSmResp::default()),
        Pdu::BroadcastSmResp(BroadcastSmResp::default()),
        Pdu::QueryBroadcastSmResp(QueryBroadcastSmResp::default()),
    ] {
        let mut out = BytesMut::new();
        pdu.encode(CommandStatus::SYSTEM_ERROR, 1, &mut out).unwrap();
        assert_eq!(out.len(), 16, "{pdu:?}");
        assert_eq!(Pdu::decode(&cut_frame(&out, MAX_COMMAND_LENGTH).unwrap().unwrap()), Ok(pdu));
    }
}
