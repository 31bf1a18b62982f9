//! Binds, answers, latency, rate and the ledger, on the pure core.

use std::collections::BTreeSet;

use bench::smsc::{Accept, Config, Directive, IdForm, LedgerKind};
use pdu::CommandId;

use crate::esme::{CoreClient, answers, bind, hub, pdu, submit, submit_text, with_receipts};

#[test]
fn every_submit_of_a_burst_is_answered_in_order_with_a_unique_id() {
    let hub = hub(Config::default());
    let mut client = CoreClient::bound(&hub);
    let answers = client.submit_burst(1, 1_000);
    assert_eq!(answers.len(), 1_000);
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer.message_id()).collect();
    assert_eq!(ids.len(), 1_000);
    for (at, answer) in (1..).zip(&answers) {
        assert_eq!((answer.id, answer.status, answer.sequence), (CommandId::SUBMIT_SM_RESP, 0, at));
        assert_eq!(answer.message_id().len(), 16);
    }
    let stats = hub.lock().expect("no panic").stats();
    assert_eq!((stats.submits, stats.accepted, stats.refused_total(), stats.binds), (1_000, 1_000, 0, 1));
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let whole: Vec<u8> = (1..=3).flat_map(|n| submit(n, u64::from(n))).collect();
    for cut in 0..whole.len() {
        let hub = hub(Config::default());
        let mut client = CoreClient::bound(&hub);
        let mut input = bytes::BytesMut::from(&whole[..cut]);
        client.session.on_bytes(0, &mut input);
        input.extend_from_slice(&whole[cut..]);
        client.session.on_bytes(0, &mut input);
        assert_eq!(client.poll().len(), 3, "cut at {cut}");
    }
}

#[test]
fn binds_are_checked() {
    let hub = hub(Config {
        system_id: Some("esme".to_owned()),
        password: Some("secret".to_owned()),
        ..Config::default()
    });
    for (system_id, password, status) in [("nobody", "secret", 0x0F), ("esme", "wrong", 0x0E)] {
        let mut client = CoreClient::open(&hub);
        let answers = client.send(&bind(CommandId::BIND_TRANSMITTER, system_id, password));
        assert_eq!((answers[0].id, answers[0].status), (CommandId(0x8000_0002), status));
        assert_eq!(client.directive, Directive::Close);
    }
    let mut client = CoreClient::bound(&hub);
    let again = client.send(&bind(CommandId::BIND_TRANSCEIVER, "esme", "secret"));
    assert_eq!((again[0].status, client.directive), (0x05, Directive::Continue));
    let stats = hub.lock().expect("no panic").stats();
    assert_eq!((stats.binds, stats.binds_refused, stats.bound), (1, 3, 1));
}

#[test]
fn a_session_that_may_not_transmit_is_refused() {
    let hub = hub(Config::default());
    let mut unbound = CoreClient::open(&hub);
    assert_eq!(unbound.send(&submit(1, 1))[0].status, 0x04);
    let mut receiver = CoreClient::open(&hub);
    receiver.send(&bind(CommandId::BIND_RECEIVER, "esme", ""));
    assert_eq!(receiver.send(&submit(2, 1))[0].status, 0x04);
}

#[test]
fn links_are_answered_and_unbind_answers_what_is_open_first() {
    let hub = hub(Config { latency_us: 50_000, ..Config::default() });
    let mut client = CoreClient::bound(&hub);
    assert_eq!(client.send(&pdu(CommandId::ENQUIRE_LINK, 0, 7, b""))[0].sequence, 7);
    assert!(client.submit_burst(10, 2).is_empty());
    let answers = client.send(&pdu(CommandId::UNBIND, 0, 20, b""));
    let ids: Vec<_> = answers.iter().map(|answer| (answer.id, answer.sequence)).collect();
    let expected =
        [(CommandId::SUBMIT_SM_RESP, 10), (CommandId::SUBMIT_SM_RESP, 11), (CommandId::UNBIND_RESP, 20)];
    assert_eq!(ids, expected);
    assert_eq!(client.directive, Directive::Close);
}

#[test]
fn what_is_no_pdu_is_nacked_and_bad_framing_ends_the_session() {
    let hub = hub(Config::default());
    let mut client = CoreClient::bound(&hub);
    let unknown = client.send(&pdu(CommandId(0x0000_0777), 0, 5, b""));
    assert_eq!((unknown[0].id, unknown[0].status, unknown[0].sequence), (CommandId::GENERIC_NACK, 0x03, 5));
    assert_eq!(client.directive, Directive::Continue);
    let framing = client.send(&[0, 0, 0, 4]);
    assert_eq!((framing[0].id, framing[0].status), (CommandId::GENERIC_NACK, 0x02));
    assert_eq!(client.directive, Directive::Close);
}

#[test]
fn latency_delays_and_jitter_keeps_the_order() {
    let hub = hub(Config { latency_us: 5_000, jitter_us: 3_000, ..Config::default() });
    let mut client = CoreClient::bound(&hub);
    for first in [1, 51] {
        assert!(client.submit_burst(first, 50).is_empty());
        client.now_us += 100;
    }
    assert!(client.advance(4_700).is_empty());
    let answers = client.advance(4_000);
    assert!(answers.iter().map(|answer| answer.sequence).eq(1..=100));
}

#[test]
fn beyond_the_rate_submits_are_throttled() {
    let hub = hub(Config { rate_per_s: 100, ..Config::default() });
    let mut client = CoreClient::bound(&hub);
    let answers = client.submit_burst(1, 100);
    let accepted = answers.iter().filter(|answer| answer.status == 0).count();
    assert_eq!(accepted, 10, "a burst of a tenth of a second");
    client.advance(1_000_000);
    let answers = client.submit_burst(101, 100);
    assert_eq!(answers.iter().filter(|answer| answer.status == 0).count(), 10);
    let stats = hub.lock().expect("no panic").stats();
    assert_eq!((stats.submits, stats.accepted, stats.refused[&0x58]), (200, 20, 180));
}

#[test]
fn the_memory_ledger_knows_destination_part_content_and_source() {
    let hub = hub(Config { ledger: LedgerKind::Memory, count_duplicates: true, ..Config::default() });
    let mut client = CoreClient::bound(&hub);
    client.now_us = 77;
    let mut burst = submit_text(1, 420_777_000_001, 0x40, b"\x05\x00\x03\x09\x02\x01first");
    burst.extend(submit_text(2, 420_777_000_001, 0x40, b"\x05\x00\x03\x09\x02\x02second"));
    burst.extend(submit(3, 420_777_000_002));
    burst.extend(submit(4, 420_777_000_002));
    let answers = client.send(&burst);
    let mut hub = hub.lock().expect("no panic");
    assert_eq!(hub.stats().duplicates, 1);
    let ledger = hub.take_ledger();
    let submits = ledger.submits();
    assert_eq!(submits.len(), 4);
    let second = submits[1];
    assert_eq!((second.part, second.parts, second.reference), (2, 2, 9));
    assert_eq!((second.time_us, second.destination, second.accept), (77, 420_777_000_001, Accept::Accepted));
    assert_eq!(second.content_crc, crc32fast::hash(b"second"));
    assert_eq!(second.message_id.response_text(IdForm::Hex), answers[1].message_id());
    assert_eq!((ledger.source(&second).ton, ledger.source(&second).addr.as_slice()), (5, b"ACME".as_slice()));
    let exact = ledger.exact();
    assert_eq!(exact.repeated(), [((420_777_000_002, 1), 2)]);
    assert_eq!(exact.missing([420_777_000_001, 420_777_000_003]), [420_777_000_003]);
}

#[test]
fn a_body_that_cannot_be_read_is_refused_when_somebody_reads_it() {
    let hub = hub(with_receipts());
    let mut client = CoreClient::bound(&hub);
    let answers = client.send(&pdu(CommandId::SUBMIT_SM, 0, 9, b"\0\x05"));
    assert_eq!((answers[0].id, answers[0].status), (CommandId::SUBMIT_SM_RESP, 0x02));
    assert_eq!(hub.lock().expect("no panic").stats().malformed, 1);
}

#[test]
fn the_same_seed_gives_the_same_octets() {
    let run = |seed| {
        let faults = ["throttled:0.1", "duplicate_response:0.1", "garbage:0.01", "disorder:0.2"];
        let faults = faults.iter().map(|text| text.parse().expect("known")).collect();
        let hub = hub(Config { seed, jitter_us: 900, faults, ..with_receipts() });
        let mut client = CoreClient::bound(&hub);
        let mut octets = Vec::new();
        for round in 0..20 {
            let burst: Vec<u8> = (0..20).flat_map(|n| submit(round * 20 + n + 1, u64::from(n))).collect();
            client.session.on_bytes(client.now_us, &mut bytes::BytesMut::from(burst.as_slice()));
            client.session.poll(client.now_us, &mut client.raw);
            octets.extend_from_slice(&client.raw.split());
            client.now_us += 1_000;
        }
        octets
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
    let mut octets = bytes::BytesMut::from(run(3).as_slice());
    assert!(!answers(&mut octets).is_empty());
}

#[test]
fn the_simulator_and_the_codec_of_the_engine_understand_each_other() {
    let texts = [&b"plain"[..], &[0x5A; 254], b""];
    let hub = hub(with_receipts());
    let mut client = CoreClient::bound(&hub);
    let mut octets = bytes::BytesMut::new();
    for (sequence, text) in (1..).zip(texts) {
        let submit = pdu::SubmitSm {
            source: pdu::Address { ton: 5, npi: 0, addr: b"My Shop" },
            dest: pdu::Address { ton: 1, npi: 1, addr: b"420777123456" },
            registered_delivery: pdu::registered_delivery::FINAL,
            data_coding: 8,
            short_message: text,
            ..pdu::SubmitSm::default()
        };
        pdu::Pdu::SubmitSm(submit).encode(pdu::CommandStatus::OK, sequence, &mut octets).expect("legal");
    }
    client.session.on_bytes(0, &mut octets);
    client.session.poll(0, &mut client.raw);
    let hub = hub.lock().expect("no panic");
    let ledger = hub.ledger().expect("kept");
    assert_eq!(ledger.submits().len(), texts.len());
    for (submit, text) in ledger.submits().iter().zip(texts) {
        assert_eq!((submit.destination, submit.data_coding), (420_777_123_456, 8));
        assert_eq!(submit.content_crc, crc32fast::hash(text));
        assert_eq!(ledger.source(submit).addr, b"My Shop");
    }
    let mut receipts = 0;
    while let Some(frame) = pdu::cut_frame(&client.raw, 70_000).expect("framed") {
        if let pdu::Pdu::DeliverSm(deliver) = pdu::Pdu::decode(&frame).expect("legal") {
            let receipt = pdu::Receipt::from_deliver_sm(&deliver).expect("marked as a receipt");
            let id = ledger.submits()[receipts].message_id.receipt_text(IdForm::Hex);
            assert_eq!((receipt.message_id, receipt.state), (id.as_bytes(), pdu::MessageState::Delivered));
            assert_eq!((deliver.source.addr, deliver.dest.addr), (&b"420777123456"[..], &b"My Shop"[..]));
            receipts += 1;
        }
        let length = frame.len();
        bytes::Buf::advance(&mut client.raw, length);
    }
    assert_eq!(receipts, texts.len());
}
