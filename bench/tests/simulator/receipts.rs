//! Receipts: whom they reach, in which shape, and that every one owed is accounted for exactly once.

use std::collections::BTreeMap;

use bench::smsc::{Config, IdForm, MessageState, ReceiptConfig, ReceiptFields, StateShares};
use pdu::CommandId;

use crate::esme::{Answer, CoreClient, bind, deliver_resp, hub, submit, with_receipts};

fn config(receipts: ReceiptConfig) -> Config {
    Config { receipts: Some(receipts), ..with_receipts() }
}

fn deliveries(answers: &[Answer]) -> Vec<Answer> {
    answers.iter().filter(|answer| answer.id == CommandId::DELIVER_SM).cloned().collect()
}

/// Acknowledges every receipt in `answers` and returns what the simulator sends then.
fn acknowledge(client: &mut CoreClient, answers: &[Answer]) -> Vec<Answer> {
    let octets: Vec<u8> =
        deliveries(answers).iter().flat_map(|receipt| deliver_resp(receipt.sequence, 0)).collect();
    client.send(&octets)
}

#[test]
fn each_receipt_is_sent_once_and_acknowledged_once() {
    let hub = hub(config(ReceiptConfig { delay_us: 20_000, window: 64, ..ReceiptConfig::default() }));
    let mut client = CoreClient::bound(&hub);
    assert_eq!(deliveries(&client.submit_burst(1, 1_000)).len(), 0);
    let mut receipts = client.advance(20_000);
    let mut seen = BTreeMap::new();
    while !receipts.is_empty() {
        assert!(receipts.len() <= 64);
        for receipt in &receipts {
            *seen.entry(receipt.field("id:")).or_insert(0) += 1;
        }
        receipts = acknowledge(&mut client, &receipts);
    }
    assert!(seen.len() == 1_000 && seen.values().all(|count| *count == 1));
    let mut hub = hub.lock().expect("no panic");
    let stats = hub.stats();
    assert_eq!((stats.receipts_created, stats.receipts_sent, stats.receipts_acked), (1_000, 1_000, 1_000));
    assert_eq!((stats.receipts_open(), hub.receipts_stored()), (0, 0));
    let ledger = hub.take_ledger();
    assert_eq!((ledger.deliveries().len(), ledger.acks().len()), (1_000, 1_000));
    assert!(ledger.acks().iter().all(|ack| ack.status == 0 && ack.owed));
}

#[test]
fn unacknowledged_receipts_come_back_on_the_next_bind() {
    let hub = hub(config(ReceiptConfig::default()));
    let mut client = CoreClient::bound(&hub);
    let receipts = deliveries(&client.submit_burst(1, 10));
    assert_eq!(receipts.len(), 10);
    acknowledge(&mut client, &receipts[..4]);
    drop(client);
    let mut next = CoreClient::open(&hub);
    let answers = next.send(&bind(CommandId::BIND_TRANSCEIVER, "esme", ""));
    let again: Vec<_> = deliveries(&answers).iter().map(|receipt| receipt.field("id:")).collect();
    let first: Vec<_> = receipts[4..].iter().map(|receipt| receipt.field("id:")).collect();
    assert_eq!(again, first);
    acknowledge(&mut next, &answers);
    let stats = hub.lock().expect("no panic").stats();
    assert_eq!((stats.receipts_acked, stats.receipts_sent, stats.receipts_redelivered), (10, 16, 6));
}

#[test]
fn a_temporary_error_brings_the_receipt_back_and_a_permanent_one_does_not() {
    let hub = hub(config(ReceiptConfig { redeliver_us: 500_000, ..ReceiptConfig::default() }));
    let mut client = CoreClient::bound(&hub);
    let receipts = deliveries(&client.submit_burst(1, 2));
    client.send(&deliver_resp(receipts[0].sequence, 0x64));
    client.send(&deliver_resp(receipts[1].sequence, 0x65));
    assert!(client.advance(499_000).is_empty());
    let again = client.advance(1_000);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].field("id:"), receipts[0].field("id:"));
    acknowledge(&mut client, &again);
    client.send(&deliver_resp(again[0].sequence, 0));
    let stats = hub.lock().expect("no panic").stats();
    assert_eq!((stats.receipts_acked, stats.receipts_refused, stats.receipts_open()), (1, 1, 0));
}

#[test]
fn a_receipt_without_an_answer_is_delivered_again() {
    let hub =
        hub(config(ReceiptConfig { timeout_us: 2_000_000, redeliver_us: 0, ..ReceiptConfig::default() }));
    let mut client = CoreClient::bound(&hub);
    assert_eq!(deliveries(&client.submit_burst(1, 1)).len(), 1);
    assert!(client.advance(1_900_000).is_empty());
    assert_eq!(client.advance(200_000).len(), 1);
}

#[test]
fn receipts_go_round_robin_to_the_receivers_of_their_system_id() {
    let hub = hub(with_receipts());
    let open = |mode, system_id| {
        let mut client = CoreClient::open(&hub);
        client.send(&bind(mode, system_id, ""));
        client
    };
    let mut transmitter = open(CommandId::BIND_TRANSMITTER, "esme");
    let mut receivers = [0, 1, 2].map(|_| open(CommandId::BIND_RECEIVER, "esme"));
    let mut foreign = open(CommandId::BIND_RECEIVER, "other");
    assert_eq!(deliveries(&transmitter.submit_burst(1, 30)).len(), 0);
    let counts = receivers.each_mut().map(|receiver| deliveries(&receiver.poll()).len());
    assert_eq!(counts, [10, 10, 10]);
    assert!(foreign.poll().is_empty());
}

#[test]
fn without_a_receiver_receipts_are_kept_up_to_the_limit() {
    let hub = hub(config(ReceiptConfig { store_limit: 7, ..ReceiptConfig::default() }));
    let mut transmitter = CoreClient::open(&hub);
    transmitter.send(&bind(CommandId::BIND_TRANSMITTER, "esme", ""));
    transmitter.submit_burst(1, 10);
    let mut receiver = CoreClient::open(&hub);
    let answers = receiver.send(&bind(CommandId::BIND_RECEIVER, "esme", ""));
    assert_eq!(deliveries(&answers).len(), 7);
    let stats = hub.lock().expect("no panic").stats();
    assert_eq!((stats.receipts_created, stats.receipts_overflowed, stats.receipts_open()), (10, 3, 7));
}

#[test]
fn states_follow_their_shares_and_fields_their_setting() {
    let states = StateShares { undeliverable: 0.25, expired: 0.25, rejected: 0.25 };
    let hub = hub(config(ReceiptConfig {
        states,
        fields: ReceiptFields::TlvOnly,
        window: 10_000,
        ..ReceiptConfig::default()
    }));
    let mut client = CoreClient::bound(&hub);
    let mut counts = BTreeMap::new();
    for receipt in deliveries(&client.submit_burst(1, 1_000)) {
        assert_eq!(receipt.field("id:"), "");
        assert!(receipt.body.windows(4).any(|window| window == b"\x00\x1e\x00\x11"));
        *counts.entry(receipt.field("stat:")).or_insert(0) += 1;
    }
    assert!(counts.len() == 4 && counts.values().all(|count| (200..300).contains(count)), "{counts:?}");
    let hub = hub.lock().expect("no panic");
    let ledger = hub.ledger().expect("kept");
    let expired = ledger.deliveries().iter().filter(|d| d.state == MessageState::Expired).count();
    assert_eq!(expired, counts["EXPIRED"]);
}

#[test]
fn the_receipt_may_name_the_message_in_another_form() {
    let hub = hub(Config { id_form: IdForm::PaddedHexThenDecimal, first_id: 0x00B8_BE19, ..with_receipts() });
    let mut client = CoreClient::bound(&hub);
    let answers = client.send(&submit(1, 1));
    assert_eq!(answers[0].message_id(), "0000000000B8BE19");
    assert_eq!(answers[1].field("id:"), "12107289");
}

#[test]
fn disorder_lets_receipts_overtake_and_loses_none() {
    let hub = hub(config(ReceiptConfig {
        delay_us: 1_000,
        disorder_us: 50_000,
        window: 10_000,
        ..ReceiptConfig::default()
    }));
    let mut client = CoreClient::bound(&hub);
    let ids: Vec<_> = client.submit_burst(1, 500).iter().map(Answer::message_id).collect();
    let receipts: Vec<_> = client.advance(60_000).iter().map(|receipt| receipt.field("id:")).collect();
    assert_ne!(receipts, ids);
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(receipts), sorted(ids));
}

#[test]
fn an_intermediate_receipt_comes_before_the_final_one() {
    let hub = hub(config(ReceiptConfig { delay_us: 10_000, intermediate: true, ..ReceiptConfig::default() }));
    let mut client = CoreClient::bound(&hub);
    client.submit_burst(1, 1);
    let states: Vec<_> = client.advance(20_000).iter().map(|receipt| receipt.field("stat:")).collect();
    assert_eq!(states, ["ENROUTE", "DELIVRD"]);
    assert_eq!(hub.lock().expect("no panic").stats().receipts_created, 2);
}
