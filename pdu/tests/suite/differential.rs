//! Goal: an independent codec, `rusmpp-core` 0.4, reads what we write, field by field, and writes it back as it was.
//!
//! It is given exactly one cut frame (it reads across frames otherwise) and `esm_class` explicitly (its default
//! is wrong). `smpp-pdu` 0.1.4 is no oracle here: it needs tokio and a regex engine, which this crate must not
//! pull in, knows twelve PDUs and has not been released since 2021.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, str::FromStr};

use bytes::BytesMut;
use pdu::{
    Address, CommandId, CommandStatus, Direction, MAX_COMMAND_LENGTH, Pdu, SessionState, cut_frame, udh::Udh,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use rusmpp_core::{
    command::owned::Command,
    decode::owned::DecodeWithLength,
    encode::{Length, owned::Encode},
    pdus::owned::Pdu as Theirs,
    session::SessionState as TheirState,
    tlvs::owned::MessageSubmissionRequestTlvValue,
    types::owned::{COctetString, OctetString},
    values::{DataCoding, EsmClass, Npi, RegisteredDelivery, Ton, UserMessageReference},
};

use crate::pool::strict;

/// Their reading of exactly one whole frame.
fn they_read(octets: &[u8]) -> Option<Command> {
    let mut rest = BytesMut::from(&octets[4..]);
    let (command, _) = Command::decode(&mut rest, octets.len() - 4).ok()?;
    rest.is_empty().then_some(command)
}

/// Their writing, with the length that their codec puts in front.
fn they_write(command: &Command) -> BytesMut {
    let mut out = BytesMut::from(&u32::try_from(command.length() + 4).unwrap().to_be_bytes()[..]);
    command.encode(&mut out);
    out
}

/// Fields compared one by one, because octets alone do not show where a field ends.
fn same_fields(ours: &Pdu<'_>, theirs: &Theirs) {
    match (ours, theirs) {
        (Pdu::SubmitSm(ours), Theirs::SubmitSm(theirs)) => {
            assert_eq!(ours.source.addr, theirs.source_addr.as_str().as_bytes());
            assert_eq!(ours.dest.addr, theirs.destination_addr.as_str().as_bytes());
            assert_eq!(ours.protocol_id, theirs.protocol_id);
            assert_eq!(ours.esm_class, u8::from(theirs.esm_class));
            assert_eq!(ours.data_coding, u8::from(theirs.data_coding));
            assert_eq!(ours.validity_period, theirs.validity_period.as_str().as_bytes());
            assert_eq!(ours.short_message, theirs.short_message().as_ref());
            assert_eq!(ours.tlvs.iter().count(), theirs.tlvs().len());
        }
        (Pdu::DeliverSm(ours), Theirs::DeliverSm(theirs)) => {
            assert_eq!(ours.source.addr, theirs.source_addr.as_str().as_bytes());
            assert_eq!(ours.esm_class, u8::from(theirs.esm_class));
            assert_eq!(ours.short_message, theirs.short_message().as_ref());
            assert_eq!(ours.tlvs.iter().count(), theirs.tlvs().len());
        }
        (Pdu::SubmitSmResp(ours), Theirs::SubmitSmResp(theirs)) => {
            assert_eq!(ours.message_id, theirs.message_id().as_str().as_bytes());
        }
        _ => same_fields_of_the_rare(ours, theirs),
    }
}

fn same_fields_of_the_rare(ours: &Pdu<'_>, theirs: &Theirs) {
    match (ours, theirs) {
        (Pdu::BindTransceiver(ours), Theirs::BindTransceiver(theirs)) => {
            assert_eq!(ours.system_id, theirs.system_id.as_str().as_bytes());
            assert_eq!(ours.password, theirs.password.as_str().as_bytes());
            assert_eq!(ours.system_type, theirs.system_type.as_str().as_bytes());
            assert_eq!(ours.interface_version, u8::from(theirs.interface_version));
            assert_eq!(ours.address_range, theirs.address_range.as_str().as_bytes());
        }
        (Pdu::CancelSm(ours), Theirs::CancelSm(theirs)) => {
            assert_eq!(ours.message_id, theirs.message_id.as_str().as_bytes());
            assert_eq!(ours.source.addr, theirs.source_addr.as_str().as_bytes());
            assert_eq!(ours.dest.addr, theirs.destination_addr.as_str().as_bytes());
        }
        (Pdu::ReplaceSm(ours), Theirs::ReplaceSm(theirs)) => {
            assert_eq!(ours.message_id, theirs.message_id.as_str().as_bytes());
            assert_eq!(ours.validity_period, theirs.validity_period.as_str().as_bytes());
            assert_eq!(ours.sm_default_msg_id, theirs.sm_default_msg_id);
            assert_eq!(ours.short_message, theirs.short_message().as_ref());
        }
        (Pdu::QuerySmResp(ours), Theirs::QuerySmResp(theirs)) => {
            assert_eq!(ours.message_id, theirs.message_id.as_str().as_bytes());
            assert_eq!(ours.final_date, theirs.final_date.as_str().as_bytes());
            assert_eq!(ours.message_state, u8::from(theirs.message_state));
            assert_eq!(ours.error_code, theirs.error_code);
        }
        (Pdu::SubmitMulti(ours), Theirs::SubmitMulti(theirs)) => {
            assert_eq!(ours.dests.len(), theirs.dest_address().len());
            assert_eq!(ours.short_message, theirs.short_message().as_ref());
            assert_eq!(ours.protocol_id, theirs.protocol_id);
        }
        (Pdu::SubmitMultiResp(ours), Theirs::SubmitMultiResp(theirs)) => {
            assert_eq!(ours.unsuccesses.len(), theirs.unsuccess_sme().len());
        }
        (Pdu::BroadcastSm(ours), Theirs::BroadcastSm(theirs)) => {
            assert_eq!(ours.message_id, theirs.message_id.as_str().as_bytes());
            assert_eq!(ours.validity_period, theirs.validity_period.as_str().as_bytes());
            assert_eq!(ours.sm_default_msg_id, theirs.sm_default_msg_id);
        }
        (Pdu::DataSm(ours), Theirs::DataSm(theirs)) => {
            assert_eq!(ours.dest.addr, theirs.destination_addr.as_str().as_bytes());
            assert_eq!(ours.data_coding, u8::from(theirs.data_coding));
        }
        (Pdu::Outbind(ours), Theirs::Outbind(theirs)) => {
            assert_eq!(ours.system_id, theirs.system_id.as_str().as_bytes());
            assert_eq!(ours.password, theirs.password.as_str().as_bytes());
        }
        (Pdu::AlertNotification(ours), Theirs::AlertNotification(theirs)) => {
            assert_eq!(ours.source.addr, theirs.source_addr.as_str().as_bytes());
            assert_eq!(ours.esme.addr, theirs.esme_addr.as_str().as_bytes());
        }
        _ => {}
    }
}

#[test]
fn they_read_every_pdu_that_we_write() {
    let mut runner = TestRunner::deterministic();
    let mut read: BTreeMap<CommandId, usize> = BTreeMap::new();
    for _ in 0..300 {
        let pool = strict().new_tree(&mut runner).unwrap().current();
        for pdu in pool.pdus() {
            let mut octets = BytesMut::new();
            pdu.encode(CommandStatus::OK, 77, &mut octets).unwrap();
            let Some(command) = they_read(&octets) else { continue };
            assert_eq!(command.sequence_number, 77);
            assert_eq!(u32::from(command.id()), pdu.command_id().0);
            assert_eq!(they_write(&command), octets, "{pdu:?}");
            same_fields(&pdu, command.pdu().unwrap());
            *read.entry(pdu.command_id()).or_default() += 1;
        }
    }
    for id in CommandId::ALL {
        assert!(read.get(id).is_some_and(|count| *count > 50), "{:?}: {:?}", id.name(), read.get(id));
    }
}

#[test]
fn we_read_what_they_build() {
    let text = |text: &str| COctetString::from_str(text).unwrap();
    let submit = rusmpp_core::pdus::owned::SubmitSm::builder()
        .source_addr_ton(Ton::Alphanumeric)
        .source_addr(text("Shop"))
        .dest_addr_ton(Ton::International)
        .dest_addr_npi(Npi::Isdn)
        .destination_addr(text("491701234567"))
        .esm_class(EsmClass::from(0x40))
        .data_coding(DataCoding::Ucs2)
        .registered_delivery(RegisteredDelivery::from(1))
        .short_message(OctetString::from_slice(b"\x05\x00\x03\x01\x02\x01\x04\x16").unwrap())
        .push_tlv(MessageSubmissionRequestTlvValue::UserMessageReference(UserMessageReference::new(0x1234)))
        .build();
    let octets = they_write(&Command::new(rusmpp_core::CommandStatus::EsmeRok, 5, submit));
    let frame = cut_frame(&octets, MAX_COMMAND_LENGTH).unwrap().unwrap();
    assert_eq!(frame.len(), octets.len());
    let Ok(Pdu::SubmitSm(ours)) = Pdu::decode(&frame) else { panic!("a submit_sm") };
    assert_eq!(ours.source, Address { ton: 5, npi: 0, addr: b"Shop" });
    assert_eq!(ours.dest, Address { ton: 1, npi: 1, addr: b"491701234567" });
    assert_eq!((ours.esm_class, ours.data_coding, ours.registered_delivery), (0x40, 8, 1));
    assert_eq!(ours.tlvs.user_message_reference(), Some(0x1234));
    assert_eq!(Udh::split(ours.user_data()).unwrap().0.place().unwrap().total, 2);
}

#[test]
fn the_operation_matrices_are_equal() {
    let states = [
        (SessionState::Open, TheirState::Open),
        (SessionState::BoundTx, TheirState::BoundTx),
        (SessionState::BoundRx, TheirState::BoundRx),
        (SessionState::BoundTrx, TheirState::BoundTrx),
        (SessionState::Unbound, TheirState::Unbound),
        (SessionState::Outbound, TheirState::Outbound),
        (SessionState::Closed, TheirState::Closed),
    ];
    for id in CommandId::ALL {
        let theirs = rusmpp_core::CommandId::from(id.0);
        for (ours, their_state) in states {
            assert_eq!(
                ours.permits(*id, Direction::EsmeToSmsc),
                their_state.can_send_as_esme(theirs),
                "{id:?} {ours:?}"
            );
            assert_eq!(
                ours.permits(*id, Direction::SmscToEsme),
                their_state.can_send_as_mc(theirs),
                "{id:?} {ours:?}"
            );
        }
    }
}
