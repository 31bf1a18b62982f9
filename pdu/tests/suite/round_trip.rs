//! Goal: what is encoded is decoded, and no octets whatever make a decoder panic or read beyond its frame.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;

use bytes::BytesMut;
use pdu::{CommandId, CommandStatus, FrameError, MAX_COMMAND_LENGTH, Pdu, Receipt, cut_frame};
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::pool::{strict, wild};

fn encoded(pdu: &Pdu<'_>, sequence: u32) -> BytesMut {
    let mut out = BytesMut::new();
    pdu.encode(CommandStatus::OK, sequence, &mut out).unwrap();
    out
}

/// Decodes whatever this is, and touches everything that borrows.
fn touch(octets: &[u8]) {
    if let Ok(Some(frame)) = cut_frame(octets, MAX_COMMAND_LENGTH)
        && let Ok(pdu) = Pdu::decode(&frame)
    {
        if let Pdu::DeliverSm(deliver) = pdu {
            let _ = Receipt::from_deliver_sm(&deliver);
        }
        if let Pdu::SubmitMulti(multi) = pdu {
            assert_eq!(multi.dests.iter().count(), multi.dests.len());
        }
        if let Pdu::SubmitMultiResp(resp) = pdu {
            assert_eq!(resp.unsuccesses.iter().count(), resp.unsuccesses.len());
        }
        // What a lenient decoder took may break the limits of the encoder, but never the frame.
        let mut out = BytesMut::new();
        match pdu.encode(frame.header.command_status, frame.header.sequence_number, &mut out) {
            Ok(()) => assert_eq!(u32::from_be_bytes(out[..4].try_into().unwrap()) as usize, out.len()),
            Err(_) => assert!(out.is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_pdu_comes_back(pool in wild(), sequence in 1..=0x7FFF_FFFF_u32) {
        let pdus = pool.pdus();
        prop_assert_eq!(pdus.len(), CommandId::ALL.len());
        let mut seen = HashSet::new();
        for pdu in &pdus {
            let octets = encoded(pdu, sequence);
            let frame = cut_frame(&octets, MAX_COMMAND_LENGTH).unwrap().unwrap();
            prop_assert_eq!(frame.len(), octets.len());
            prop_assert_eq!(frame.header.sequence_number, sequence);
            prop_assert_eq!(Pdu::decode(&frame), Ok(*pdu));
            seen.insert(pdu.command_id());
        }
        prop_assert_eq!(seen.len(), CommandId::ALL.len());
    }

    #[test]
    fn a_stream_of_pdus_is_cut_where_it_was_joined(pool in strict(), chunk in 1_usize..700) {
        let pdus = pool.pdus();
        let mut stream = BytesMut::new();
        for (sequence, pdu) in (1..).zip(&pdus) {
            pdu.encode(CommandStatus::OK, sequence, &mut stream).unwrap();
        }
        let (mut at, mut arrived, mut sequence) = (0, 0, 1);
        while arrived < stream.len() {
            arrived = (arrived + chunk).min(stream.len());
            while let Some(frame) = cut_frame(&stream[at..arrived], MAX_COMMAND_LENGTH).unwrap() {
                prop_assert_eq!(frame.header.sequence_number, sequence);
                at += frame.len();
                sequence += 1;
            }
        }
        prop_assert_eq!(at, stream.len());
    }

    #[test]
    fn no_octets_panic_under_any_command(id in 0..CommandId::ALL.len(), body in vec(any::<u8>(), 0..300)) {
        let mut octets = (u32::try_from(body.len()).unwrap() + 16).to_be_bytes().to_vec();
        octets.extend_from_slice(&CommandId::ALL[id].0.to_be_bytes());
        octets.extend_from_slice(&[0; 8]);
        octets.extend_from_slice(&body);
        touch(&octets);
    }
}

#[test]
fn every_cut_and_every_changed_octet_of_every_pdu_is_survived() {
    let mut runner = TestRunner::deterministic();
    for pools in [4, 4] {
        for _ in 0..pools {
            let pool = wild().new_tree(&mut runner).unwrap().current();
            for pdu in pool.pdus() {
                let octets = encoded(&pdu, 1);
                for len in 0..octets.len() {
                    // Cut by the stream, and cut with a length that admits it.
                    assert_eq!(cut_frame(&octets[..len], MAX_COMMAND_LENGTH), Ok(None));
                    if len >= 16 {
                        let mut short = octets[..len].to_vec();
                        short[..4].copy_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
                        touch(&short);
                    }
                }
                for at in 0..octets.len() {
                    for change in [1, 0x80, 0xFF, octets[at]] {
                        let mut changed = octets.to_vec();
                        changed[at] ^= change;
                        touch(&changed);
                    }
                }
            }
        }
    }
}

#[test]
fn an_impossible_length_is_known_from_four_octets() {
    for (length, error) in [
        (0, FrameError::TooShort(0)),
        (4, FrameError::TooShort(4)),
        (15, FrameError::TooShort(15)),
        (MAX_COMMAND_LENGTH + 1, FrameError::TooLong(MAX_COMMAND_LENGTH + 1, MAX_COMMAND_LENGTH)),
        (0x8000_0000, FrameError::TooLong(0x8000_0000, MAX_COMMAND_LENGTH)),
        (u32::MAX, FrameError::TooLong(u32::MAX, MAX_COMMAND_LENGTH)),
    ] {
        assert_eq!(cut_frame(&length.to_be_bytes(), MAX_COMMAND_LENGTH), Err(error));
    }
    assert_eq!(cut_frame(&[0, 0, 0], MAX_COMMAND_LENGTH), Ok(None));
    assert_eq!(cut_frame(&16_u32.to_be_bytes(), MAX_COMMAND_LENGTH), Ok(None));
}

#[test]
fn a_bad_body_costs_one_frame_and_an_unknown_command_is_named() {
    let mut stream = BytesMut::new();
    stream.extend_from_slice(b"\x00\x00\x00\x12\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01CM");
    stream.extend_from_slice(b"\x00\x00\x00\x10\x00\x00\x0A\xBC\x00\x00\x00\x00\x00\x00\x00\x02");
    Pdu::EnquireLink.encode(CommandStatus::OK, 3, &mut stream).unwrap();
    let mut answers = Vec::new();
    let mut rest = &stream[..];
    while let Some(frame) = cut_frame(rest, MAX_COMMAND_LENGTH).unwrap() {
        answers.push(Pdu::decode(&frame).map_err(pdu::DecodeError::status));
        rest = &rest[frame.len()..];
    }
    assert_eq!(
        answers,
        [
            Err(CommandStatus::INVALID_COMMAND_LENGTH),
            Err(CommandStatus::INVALID_COMMAND_ID),
            Ok(Pdu::EnquireLink),
        ]
    );
}
