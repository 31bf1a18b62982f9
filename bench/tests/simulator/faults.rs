//! Every kind of fault, alone, with the octets or the directive that it promises.

use std::collections::BTreeSet;

use bench::smsc::{Config, Directive, Fault, FaultRule};
use pdu::CommandId;

use crate::esme::{Answer, CoreClient, bind, hub, pdu, submit, with_receipts};

/// What ten submits in one burst met.
struct Met {
    client: CoreClient,
    answers: Vec<Answer>,
    accepted: u64,
    refused: u64,
    struck: u64,
}

/// Ten submits in one burst with `fault` at share 1 (or N = 3).
fn meet(fault: Fault) -> Met {
    let amount = if matches!(fault, Fault::AlreadyBound | Fault::CloseAfter) { 3.0 } else { 1.0 };
    let hub = hub(Config { faults: vec![FaultRule::new(fault, amount)], ..with_receipts() });
    let mut client = CoreClient::bound(&hub);
    let answers = client.submit_burst(1, 10);
    let stats = hub.lock().expect("no panic").stats();
    let struck = stats.faults.get(fault.name()).copied().unwrap_or(0);
    Met { client, answers, accepted: stats.accepted, refused: stats.refused_total(), struck }
}

fn responses(met: &Met) -> Vec<&Answer> {
    met.answers.iter().filter(|answer| answer.id == CommandId::SUBMIT_SM_RESP).collect()
}

fn receipts(answers: &[Answer]) -> Vec<&Answer> {
    answers.iter().filter(|answer| answer.id == CommandId::DELIVER_SM).collect()
}

#[test]
fn refusals_carry_their_status_and_accept_nothing() {
    for (fault, status) in [
        (Fault::Throttled, 0x58),
        (Fault::QueueFull, 0x14),
        (Fault::SysErr, 0x08),
        (Fault::Refuse(0x45), 0x45),
    ] {
        let met = meet(fault);
        assert!(responses(&met).iter().all(|answer| answer.status == status && answer.body.is_empty()));
        assert_eq!((responses(&met).len(), met.accepted, met.refused, met.struck), (10, 0, 10, 10));
    }
}

#[test]
fn a_share_strikes_its_part_of_the_submits() {
    let hub = hub(Config { faults: vec![FaultRule::new(Fault::Throttled, 0.1)], ..Config::default() });
    let mut client = CoreClient::bound(&hub);
    let answers = client.submit_burst(1, 10_000);
    let throttled = answers.iter().filter(|answer| answer.status == 0x58).count();
    assert!((900..1_100).contains(&throttled), "{throttled}");
}

#[test]
fn a_generic_nack_names_the_request_and_accepts_nothing() {
    let met = meet(Fault::GenericNack);
    let nacks = met.answers.iter().filter(|answer| answer.id == CommandId::GENERIC_NACK);
    assert!(nacks.map(|nack| nack.sequence).eq(1..=10));
    assert_eq!((met.accepted, met.refused), (0, 10));
}

#[test]
fn missing_responses_still_accept() {
    let met = meet(Fault::NoResponse);
    assert_eq!((responses(&met).len(), met.accepted, met.struck), (0, 10, 10));
    assert_eq!(receipts(&met.answers).len(), 10);
    let met = meet(Fault::NeverRespond);
    assert_eq!((responses(&met).len(), met.accepted, met.struck), (0, 10, 1));
}

#[test]
fn duplicate_responses_come_twice() {
    let met = meet(Fault::DuplicateResponse);
    let sequences: Vec<_> = responses(&met).iter().map(|answer| answer.sequence).collect();
    assert_eq!(sequences, (1..=10).flat_map(|n| [n, n]).collect::<Vec<_>>());
}

#[test]
fn disordered_responses_all_come_within_20_ms() {
    let mut met = meet(Fault::Disorder);
    assert_eq!(responses(&met).len(), 0);
    let late = met.client.advance(20_000);
    let sequences: Vec<_> = late.iter().map(|answer| answer.sequence).collect();
    assert!(!sequences.is_sorted());
    assert_eq!(sequences.iter().collect::<BTreeSet<_>>().len(), 10);
}

#[test]
fn wrong_sequence_and_wrong_command_answer_nothing_that_was_asked() {
    let met = meet(Fault::WrongSequence);
    assert!(responses(&met).iter().all(|answer| !(1..=10).contains(&answer.sequence)));
    let met = meet(Fault::WrongCommand);
    let wrong = met.answers.iter().filter(|answer| answer.id == CommandId::DELIVER_SM_RESP).count();
    assert_eq!((wrong, responses(&met).len()), (10, 0));
}

#[test]
fn garbage_and_bad_lengths_break_the_framing() {
    for fault in [Fault::Garbage, Fault::BadLength] {
        let met = meet(fault);
        assert_eq!((met.accepted, met.struck), (10, 10));
        assert!(!met.client.raw.is_empty(), "octets remain that are no PDU");
    }
}

#[test]
fn a_truncated_response_is_the_last_thing_written() {
    let met = meet(Fault::Truncated);
    assert_eq!(met.client.directive, Directive::Close);
    assert_eq!((met.accepted, met.client.raw.len()), (1, 17));
}

#[test]
fn connections_end_or_stall_after_accepting() {
    for (fault, directive) in [
        (Fault::Drop, Directive::Close),
        (Fault::Reset, Directive::Reset),
        (Fault::HalfOpen, Directive::Stall),
    ] {
        let met = meet(fault);
        assert_eq!((met.client.directive, met.accepted), (directive, 1));
        assert!(met.answers.is_empty());
    }
    let met = meet(Fault::CloseAfter);
    assert_eq!((met.client.directive, met.accepted, responses(&met).len()), (Directive::Close, 3, 2));
}

#[test]
fn unbind_in_mid_window_refuses_the_rest_and_closes_when_answered() {
    let mut met = meet(Fault::UnbindMid);
    let unbind = met.answers.iter().find(|answer| answer.id == CommandId::UNBIND).expect("sent").sequence;
    assert_eq!((met.accepted, met.refused), (1, 9));
    assert_eq!(met.client.directive, Directive::Continue);
    met.client.send(&pdu(CommandId::UNBIND_RESP, 0, unbind, b""));
    assert_eq!(met.client.directive, Directive::Close);
    let mut silent = meet(Fault::UnbindMid);
    silent.client.advance(5_000_000);
    assert_eq!(silent.client.directive, Directive::Close);
}

#[test]
fn receipts_come_before_their_response() {
    let met = meet(Fault::ReceiptsFirst);
    let ids: Vec<_> = met.answers.iter().map(|answer| answer.id).collect();
    assert_eq!(ids, [CommandId::DELIVER_SM, CommandId::SUBMIT_SM_RESP].repeat(10));
    let hub = hub(Config { faults: vec![FaultRule::new(Fault::ReceiptsFirst, 1.0)], ..with_receipts() });
    let mut receiver = CoreClient::open(&hub);
    receiver.send(&bind(CommandId::BIND_RECEIVER, "esme", ""));
    let mut transmitter = CoreClient::open(&hub);
    transmitter.send(&bind(CommandId::BIND_TRANSMITTER, "esme", ""));
    assert!(transmitter.send(&submit(1, 1)).is_empty());
    assert_eq!(receipts(&receiver.poll()).len(), 1);
    assert_eq!(transmitter.advance(20_000).len(), 1);
}

#[test]
fn extra_receipts_are_sent_beside_the_owed_ones() {
    let met = meet(Fault::ReceiptDuplicate);
    let ids: Vec<_> = receipts(&met.answers).iter().map(|receipt| receipt.field("id:")).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (20, 10));
    let met = meet(Fault::ReceiptUnknownId);
    let known: BTreeSet<_> = responses(&met).iter().map(|answer| answer.message_id()).collect();
    let unknown = receipts(&met.answers).iter().filter(|r| !known.contains(&r.field("id:"))).count();
    assert_eq!((receipts(&met.answers).len(), unknown), (20, 10));
    let mut met = meet(Fault::ReceiptLateIntermediate);
    let late = met.client.advance(10_000);
    assert!(late.len() == 10 && late.iter().all(|receipt| receipt.field("stat:") == "ENROUTE"));
    let met = meet(Fault::ReceiptBadDate);
    assert!(receipts(&met.answers).iter().all(|receipt| receipt.field("submit date:") == "0000000000"));
}

#[test]
fn message_ids_may_be_empty_or_too_long() {
    let met = meet(Fault::EmptyMessageId);
    assert!(responses(&met).iter().all(|answer| answer.body == [0]));
    let met = meet(Fault::LongMessageId);
    assert!(responses(&met).iter().all(|answer| answer.message_id().len() == 65));
}

#[test]
fn a_slow_drip_writes_one_octet_at_a_time() {
    let hub = hub(Config { faults: vec![FaultRule::new(Fault::SlowDrip, 1.0)], ..Config::default() });
    let mut client = CoreClient::open(&hub);
    client.send(&bind(CommandId::BIND_TRANSCEIVER, "esme", ""));
    for written in 1..20 {
        assert_eq!(client.raw.len(), written);
        assert!(client.advance(9_999).is_empty());
        client.advance(1);
    }
    assert_eq!(client.advance(200_000).len(), 1, "the bind_resp arrives at last");
}

#[test]
fn binds_may_be_refused_unanswered_or_already_bound() {
    let try_bind = |client: &mut CoreClient| client.send(&bind(CommandId::BIND_TRANSCEIVER, "esme", ""));
    let hub_with =
        |fault, amount| hub(Config { faults: vec![FaultRule::new(fault, amount)], ..Config::default() });
    let refusing = hub_with(Fault::BindRefuse, 1.0);
    let mut client = CoreClient::open(&refusing);
    assert_eq!(try_bind(&mut client)[0].status, 0x0D);
    assert_eq!(client.directive, Directive::Close);
    let silent = hub_with(Fault::BindSilent, 1.0);
    let mut client = CoreClient::open(&silent);
    assert!(try_bind(&mut client).is_empty());
    assert_eq!(client.directive, Directive::Continue);
    let stale = hub_with(Fault::AlreadyBound, 2.0);
    let statuses = [0, 1, 2].map(|_| try_bind(&mut CoreClient::open(&stale))[0].status);
    assert_eq!(statuses, [0x05, 0x05, 0]);
}

#[test]
fn link_checks_may_be_ignored_or_flood() {
    let hub_with = |fault| hub(Config { faults: vec![FaultRule::new(fault, 1.0)], ..Config::default() });
    let mut client = CoreClient::bound(&hub_with(Fault::EnquireIgnore));
    assert!(client.send(&pdu(CommandId::ENQUIRE_LINK, 0, 2, b"")).is_empty());
    let flooding = hub_with(Fault::EnquireFlood);
    let mut client = CoreClient::open(&flooding);
    let mut floods = client.send(&bind(CommandId::BIND_TRANSCEIVER, "esme", ""));
    floods.extend(client.advance(200_000));
    let sequences: Vec<_> =
        floods.iter().filter(|a| a.id == CommandId::ENQUIRE_LINK).map(|a| a.sequence).collect();
    assert_eq!(sequences, (1..=300).collect::<Vec<_>>());
}

#[test]
fn every_kind_strikes_when_asked() {
    for fault in Fault::all().filter(|fault| !matches!(fault, Fault::BindRefuse | Fault::BindSilent)) {
        let fault = if matches!(fault, Fault::Refuse(_)) { Fault::Refuse(0x33) } else { fault };
        let hub = hub(Config { faults: vec![FaultRule::new(fault, 1.0)], ..with_receipts() });
        for _ in 0..2 {
            let mut client = CoreClient::open(&hub);
            client.send(&bind(CommandId::BIND_TRANSCEIVER, "esme", ""));
            client.send(&pdu(CommandId::ENQUIRE_LINK, 0, 2, b""));
            client.submit_burst(3, 10);
            client.advance(30_000);
        }
        let stats = hub.lock().expect("no panic").stats();
        assert!(stats.faults.get(fault.name()).is_some_and(|count| *count > 0), "{}", fault.name());
        let judged = stats.accepted + stats.refused_total();
        assert_eq!(stats.submits, judged, "{}: every submit is accepted or refused", fault.name());
    }
}

#[test]
fn faults_can_be_switched_off_while_sessions_run() {
    let hub = hub(Config { faults: vec![FaultRule::new(Fault::SysErr, 1.0)], ..Config::default() });
    let mut client = CoreClient::bound(&hub);
    assert!(client.submit_burst(1, 5).iter().all(|answer| answer.status == 8));
    hub.lock().expect("no panic").set_config(Config::default()).expect("sound");
    assert!(client.submit_burst(6, 5).iter().all(|answer| answer.status == 0));
}
