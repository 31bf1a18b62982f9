//! The kinds of PDU beside the daily ones: to many, about a message, about a subscriber, and broadcasts.

use pdu::{
    Address, AlertNotification, BroadcastSm, BroadcastSmResp, CancelBroadcastSm, CancelSm, CommandStatus,
    DataSm, DataSmResp, Dest, DestBuf, Outbind, Pdu, QueryBroadcastSm, QueryBroadcastSmResp, QuerySm,
    QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp, Tag, Unsuccess, UnsuccessBuf,
};

use super::Sample;
use super::samples::{Meant, Parameters, Samples, Value};

const SHOP: Address<'static> = Address { ton: 5, npi: 0, addr: b"Shop" };
const PERSON: Address<'static> = Address { ton: 1, npi: 1, addr: b"491701234567" };
const OTHER: Address<'static> = Address { ton: 2, npi: 8, addr: b"01709876543" };

const FROM_SHOP: [Meant; 3] = [("source_addr_ton", "5"), ("source_addr_npi", "0"), ("source_addr", "Shop")];
const TO_PERSON: [Meant; 3] =
    [("dest_addr_ton", "1"), ("dest_addr_npi", "1"), ("destination_addr", "491701234567")];
const THE_MESSAGE: [Meant; 1] = [("message_id", "0221067780")];
const ID: &[u8] = b"0221067780";
const LATER: &[u8] = b"261231235959000+";

/// What a broadcast says about where, what and how often. `broadcast_rep_num` is left out: the dissector takes one
/// octet for it where SMPP 5.0 has two, and loses its place.
const OF_A_BROADCAST: [(Tag, Value); 3] = [
    (Tag::BROADCAST_AREA_IDENTIFIER, Value::Octets(&[0, b'H', b'a', b'm', b'm'])),
    (Tag::BROADCAST_CONTENT_TYPE, Value::Octets(&[1, 0, 2])),
    (Tag::BROADCAST_FREQUENCY_INTERVAL, Value::Octets(&[9, 0, 5])),
];

/// Every kind of PDU that `daily_kinds` leaves out; smpplib knows few of them.
pub(super) fn rare_kinds() -> Vec<Sample> {
    let mut samples = Samples::default();
    about_a_message(&mut samples);
    to_many(&mut samples);
    broadcasts(&mut samples);
    samples.made
}

fn about_a_message(samples: &mut Samples) {
    let payload = [(Tag::MESSAGE_PAYLOAD, Value::Octets(b"Hi"))];
    let data = Parameters::of(&payload).meaning(&FROM_SHOP).meaning(&TO_PERSON).meaning(&[
        ("service_type", "CMT"),
        ("esm_class", "64"),
        ("registered_delivery", "1"),
        ("data_coding", "8"),
    ]);
    let (service_type, source, dest) = (&b"CMT"[..], SHOP, PERSON);
    let (esm_class, registered_delivery, data_coding) = (0x40, 1, 8);
    let tlvs = data.tlvs();
    let message = DataSm { service_type, source, dest, esm_class, registered_delivery, data_coding, tlvs };
    samples.with("data_sm", 0, &Pdu::DataSm(message), &data);
    let refusal = Parameters::of(&[(Tag::DELIVERY_FAILURE_REASON, Value::U8(2))]).meaning(&THE_MESSAGE);
    let resp = DataSmResp { message_id: ID, tlvs: refusal.tlvs() };
    samples.with("data_sm_resp", 0, &Pdu::DataSmResp(resp), &refusal);
    let query = Parameters::default().meaning(&THE_MESSAGE).meaning(&FROM_SHOP);
    samples.with("query_sm", 0, &Pdu::QuerySm(QuerySm { message_id: ID, source: SHOP }), &query);
    let answer =
        Parameters::default().meaning(&THE_MESSAGE).meaning(&[("message_state", "2"), ("error_code", "9")]);
    let state = QuerySmResp {
        message_id: ID,
        final_date: LATER,
        message_state: 2,
        error_code: 9,
        tlvs: answer.tlvs(),
    };
    samples.with("query_sm_resp", 0, &Pdu::QuerySmResp(state), &answer);
    let cancel = Parameters::default().meaning(&THE_MESSAGE).meaning(&FROM_SHOP).meaning(&TO_PERSON);
    let cancel = cancel.meaning(&[("service_type", "CMT")]);
    let cancelled = CancelSm { service_type, message_id: ID, source, dest };
    samples.with("cancel_sm", 0, &Pdu::CancelSm(cancelled), &cancel);
    samples.plain("cancel_sm_resp", 0, &Pdu::CancelSmResp);
    let replace = Parameters::default().meaning(&THE_MESSAGE).meaning(&FROM_SHOP).meaning(&[
        ("registered_delivery", "1"),
        ("sm_default_msg_id", "3"),
        ("sm_length", "2"),
        ("short_message", "4869"),
    ]);
    let replaced = ReplaceSm {
        message_id: ID,
        source,
        schedule_delivery_time: LATER,
        validity_period: b"",
        registered_delivery,
        sm_default_msg_id: 3,
        short_message: b"Hi",
        tlvs: replace.tlvs(),
    };
    samples.with("replace_sm", 0, &Pdu::ReplaceSm(replaced), &replace);
    samples.plain("replace_sm_resp", 0, &Pdu::ReplaceSmResp);
    let outbind = Parameters::default().meaning(&[("system_id", "smsc"), ("password", "secret")]);
    samples.with("outbind", 0, &Pdu::Outbind(Outbind { system_id: b"smsc", password: b"secret" }), &outbind);
    let alert = Parameters::of(&[(Tag::MS_AVAILABILITY_STATUS, Value::U8(1))]).meaning(&FROM_SHOP);
    let alert =
        alert.meaning(&[("esme_addr_ton", "1"), ("esme_addr_npi", "1"), ("esme_addr", "491701234567")]);
    let reachable = AlertNotification { source, esme: PERSON, tlvs: alert.tlvs() };
    samples.with("alert_notification", 0, &Pdu::AlertNotification(reachable), &alert);
}

fn to_many(samples: &mut Samples) {
    let mut dests = DestBuf::new();
    for dest in [Dest::Sme(PERSON), Dest::List(b"friends"), Dest::Sme(OTHER)] {
        dests.push(&dest).expect("three destinations fit");
    }
    let multi =
        Parameters::of(&[(Tag::USER_MESSAGE_REFERENCE, Value::U16(7))]).meaning(&FROM_SHOP).meaning(&[
            ("service_type", "CMT"),
            ("dest_addr_ton", "1,2"),
            ("dest_addr_npi", "1,8"),
            ("destination_addr", "491701234567,01709876543"),
            ("dl_name", "friends"),
            ("esm_class", "3"),
            ("protocol_id", "17"),
            ("priority_flag", "2"),
            ("registered_delivery", "1"),
            ("replace_if_present_flag", "0"),
            ("data_coding", "4"),
            ("sm_default_msg_id", "9"),
            ("sm_length", "2"),
            ("short_message", "00ff"),
        ]);
    let message = SubmitMulti {
        service_type: b"CMT",
        source: SHOP,
        dests: dests.list(),
        esm_class: 3,
        protocol_id: 0x11,
        priority_flag: 2,
        schedule_delivery_time: LATER,
        validity_period: b"",
        registered_delivery: 1,
        replace_if_present_flag: 0,
        data_coding: 4,
        sm_default_msg_id: 9,
        short_message: &[0, 0xFF],
        tlvs: multi.tlvs(),
    };
    samples.with("submit_multi", 0, &Pdu::SubmitMulti(message), &multi);
    let mut unsuccesses = UnsuccessBuf::new();
    for (dest, status) in [(PERSON, 0x0B), (OTHER, 0x58)] {
        unsuccesses.push(&Unsuccess { dest, status: CommandStatus(status) }).expect("two destinations fit");
    }
    let refused = Parameters::default().meaning(&THE_MESSAGE).meaning(&[
        ("dest_addr_ton", "1,2"),
        ("dest_addr_npi", "1,8"),
        ("destination_addr", "491701234567,01709876543"),
        ("error_status_code", "11,88"),
    ]);
    let resp = SubmitMultiResp { message_id: ID, unsuccesses: unsuccesses.list(), tlvs: refused.tlvs() };
    samples.with("submit_multi_resp", 0, &Pdu::SubmitMultiResp(resp), &refused);
}

fn broadcasts(samples: &mut Samples) {
    let broadcast = Parameters::of(&OF_A_BROADCAST).meaning(&FROM_SHOP).meaning(&[
        ("service_type", "CBS"),
        ("message_id", ""),
        ("priority_flag", "1"),
        ("replace_if_present_flag", "0"),
        ("data_coding", "8"),
        ("sm_default_msg_id", "0"),
    ]);
    let message = BroadcastSm {
        service_type: b"CBS",
        source: SHOP,
        message_id: b"",
        priority_flag: 1,
        schedule_delivery_time: b"",
        validity_period: LATER,
        replace_if_present_flag: 0,
        data_coding: 8,
        sm_default_msg_id: 0,
        tlvs: broadcast.tlvs(),
    };
    samples.with("broadcast_sm", 0, &Pdu::BroadcastSm(message), &broadcast);
    let (bare, source) = (Parameters::of(&[]).meaning(&THE_MESSAGE), SHOP);
    let resp = BroadcastSmResp { message_id: ID, tlvs: bare.tlvs() };
    samples.with("broadcast_sm_resp", 0, &Pdu::BroadcastSmResp(resp), &bare);
    let reference = [(Tag::USER_MESSAGE_REFERENCE, Value::U16(7))];
    let query = Parameters::of(&reference).meaning(&THE_MESSAGE).meaning(&FROM_SHOP);
    let asked = QueryBroadcastSm { message_id: ID, source, tlvs: query.tlvs() };
    samples.with("query_broadcast_sm", 0, &Pdu::QueryBroadcastSm(asked), &query);
    let state = Parameters::of(&[(Tag::MESSAGE_STATE, Value::U8(1))]).meaning(&THE_MESSAGE);
    let answer = QueryBroadcastSmResp { message_id: ID, tlvs: state.tlvs() };
    samples.with("query_broadcast_sm_resp", 0, &Pdu::QueryBroadcastSmResp(answer), &state);
    let cancel = Parameters::of(&reference)
        .meaning(&THE_MESSAGE)
        .meaning(&FROM_SHOP)
        .meaning(&[("service_type", "CBS")]);
    let cancelled = CancelBroadcastSm { service_type: b"CBS", message_id: ID, source, tlvs: cancel.tlvs() };
    samples.with("cancel_broadcast_sm", 0, &Pdu::CancelBroadcastSm(cancelled), &cancel);
    samples.plain("cancel_broadcast_sm_resp", 0, &Pdu::CancelBroadcastSmResp);
}
