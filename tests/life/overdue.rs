//! Receipts that do not come in time: their parts are `unknown`, once and for good, whatever happens in between.

use super::*;
use bench::smsc::{Config, Ledger, ReceiptConfig};
use engine::Push;
use engine::model::UnitStatus;
use engine::store::Journal;
use std::collections::BTreeMap;
use std::sync::Arc;
use tests::doubles::Slow;
use tests::outfit::pass;

const HOUR: Duration = Duration::from_secs(3600);
/// How long receipts are waited for here.
const TIMEOUT: Duration = Duration::from_secs(2 * 3600);
/// A time-out is found so much later at most.
const LOOK: Duration = Duration::from_secs(660);
const RECIPIENTS: u64 = 300;

/// A stage that waits two hours for a receipt, with an SMSC whose receipts take up to `disorder`.
async fn waiting(disorder: Duration, text: &str) -> Solo {
    let disorder_us = u64::try_from(disorder.as_micros()).unwrap();
    let receipts = ReceiptConfig { disorder_us, ..ReceiptConfig::default() };
    let config = Config { receipts: Some(receipts), ..Config::default() };
    let options = RigOptions {
        receipts: true,
        receipt_timeout: TIMEOUT,
        text: text.to_owned(),
        enquire_link: Duration::from_secs(300),
        ..RigOptions::default()
    };
    Solo::new(BEGIN, config, &options).await.unwrap()
}

async fn done(stage: &Solo) -> CampaignId {
    let id = stage.built(Mode::OnDemand, SendingRules::default(), RECIPIENTS).await.unwrap();
    stage.start(id).await.unwrap();
    stage.until_status(id, Status::Done, SOON).await.unwrap();
    id
}

/// By recipient and part: how long its receipt took from the submit to its acknowledgement, if it came.
fn taken(ledger: &Ledger) -> BTreeMap<(u64, u8), Option<Duration>> {
    let acks: BTreeMap<_, _> = ledger.acks().iter().map(|ack| (ack.message_id, ack.time_us)).collect();
    let of = |submit: &bench::smsc::Submit| {
        let took = acks.get(&submit.message_id).map(|at| Duration::from_micros(at - submit.time_us));
        ((submit.destination, submit.part), took)
    };
    ledger.accepted().map(of).collect()
}

/// Where each part stands, in order of recipients.
async fn parts(stage: &Solo, id: CampaignId) -> Vec<UnitStatus> {
    let no = stage.stored(id).await.unwrap().no;
    let state = stage.store.state(no, 0).await.unwrap().unwrap();
    state.status.into_iter().map(|octet| UnitStatus::from_octet(octet).unwrap()).collect()
}

#[test]
fn a_part_without_a_receipt_in_time_is_unknown_over_crashes_before_and_behind() {
    play(async || {
        let mut stage = waiting(4 * HOUR, &"0123456789".repeat(20)).await;
        let id = done(&stage).await;
        pass(HOUR).await;
        stage.crash().await.unwrap();
        pass(HOUR - MINUTE).await;
        let early = stage.counts(id);
        assert_eq!((early.unknown, early.total), (0, RECIPIENTS), "not before its time");
        assert!(early.sent > 0 && early.delivered > 0, "{early:?}");
        pass(MINUTE + LOOK).await;
        let (counts, overdue) = (stage.counts(id), stage.engine.receipts_overdue());
        assert_eq!((counts.sent, counts.unknown + counts.delivered), (0, RECIPIENTS), "{counts:?}");
        assert_eq!(stage.engine.receipts_awaited(), 0, "nobody waits any more");
        let stored = stage.stored(id).await.unwrap();
        assert_eq!((stored.status, stored.counts, stored.receipts_over), (Status::Done, Some(counts), true));

        stage.crash().await.unwrap();
        pass(2 * HOUR).await;
        assert_eq!(stage.smsc.stats().receipts_open(), 0, "all have come in the end");
        let behind = stage.engine.status(stage.seed.workspace, id).await.unwrap().counts;
        assert_eq!((behind, stage.engine.receipts_overdue()), (counts, 0));
        stage.restart().await.unwrap();
        let parts = parts(&stage, id).await;
        let taken = stage.smsc.with_ledger(taken);
        assert_eq!((taken.len(), parts.len()), (600, 600));
        for ((part, took), status) in taken.iter().zip(&parts) {
            let took = took.unwrap();
            let fits = match status {
                UnitStatus::Delivered => took < TIMEOUT + LOOK,
                UnitStatus::Unknown => took >= TIMEOUT,
                _ => false,
            };
            assert!(fits, "{part:?} is {status:?}, its receipt took {took:?}");
        }
        let unknown =
            |parts: &[UnitStatus]| parts.iter().filter(|part| **part == UnitStatus::Unknown).count();
        assert_eq!(unknown(&parts) as u64, overdue);
        let halves = parts.chunks(2).filter(|parts| unknown(parts) == 1).count();
        assert!(halves > 50, "of few messages one part only: {halves}");
        assert_eq!(parts.chunks(2).filter(|parts| unknown(parts) > 0).count() as u64, counts.unknown);
    });
}

#[test]
fn receipts_that_the_smsc_kept_while_nobody_was_there_come_before_the_time_out() {
    play(async || {
        let mut stage = waiting(HOUR, "hello").await;
        let id = done(&stage).await;
        stage.engine.clone().shutdown().await;
        pass(5 * HOUR).await;
        stage.engine = stage.outfit.start().await.unwrap();
        pass(LOOK).await;
        assert_eq!((stage.counts(id).delivered, stage.engine.receipts_overdue()), (RECIPIENTS, 0));
        assert!(stage.stored(id).await.unwrap().receipts_over);
    });
}

#[test]
fn who_asks_for_no_receipts_is_sent_for_ever_and_a_running_campaign_does_not_wait_for_its_end() {
    play(async || {
        let mut stage = waiting(100 * HOUR, "hello").await;
        let running = stage.built(Mode::Trigger, SendingRules::default(), 0).await.unwrap();
        stage.start(running).await.unwrap();
        let push = async |stage: &Solo, number| {
            let by = stage.seed.author();
            let pushed = vec![Push { number, values: Vec::new() }];
            stage.engine.push(stage.seed.workspace, running, pushed, &by).await.unwrap();
        };
        stage.outfit.options.receipts = false;
        let silent = done(&stage).await;
        push(&stage, 4_917_000_000_001).await;
        pass(TIMEOUT - MINUTE).await;
        push(&stage, 4_917_000_000_002).await;
        pass(MINUTE + LOOK).await;
        assert_eq!(stage.status(running).await.unwrap(), Status::Sending);
        let counts = stage.counts(running);
        assert_eq!((counts.unknown, counts.sent, counts.total), (1, 1, 2));
        pass(TIMEOUT).await;
        assert_eq!((stage.counts(running).unknown, stage.counts(running).sent), (2, 0));
        stage.crash().await.unwrap();
        pass(TIMEOUT).await;
        let sent = stage.stored(silent).await.unwrap().counts.unwrap();
        assert_eq!((sent.sent, sent.unknown), (RECIPIENTS, 0));
        assert_eq!((stage.counts(running).unknown, stage.engine.receipts_overdue()), (2, 0));
        stage.restart().await.unwrap();
        assert!(parts(&stage, silent).await.iter().all(|part| *part == UnitStatus::Sent));
    });
}

#[test]
fn unless_configured_otherwise_a_receipt_may_take_three_days() {
    play(async || {
        let config = Config::default();
        let options =
            RigOptions { receipts: true, enquire_link: Duration::from_secs(3000), ..RigOptions::default() };
        let mut stage = Solo::new(BEGIN, config, &options).await.unwrap();
        // Three days of housekeeping twice a second are not what this is about.
        let journal = Slow::new(Arc::clone(&stage.store) as _, Duration::ZERO).seldom_maintained(1_000);
        stage.outfit.journal = Arc::new(journal);
        stage.restart().await.unwrap();
        let id = done(&stage).await;
        pass(72 * HOUR - 2 * MINUTE).await;
        assert_eq!((stage.counts(id).sent, stage.engine.receipts_awaited()), (RECIPIENTS, 300));
        pass(2 * MINUTE + LOOK).await;
        assert_eq!((stage.counts(id).unknown, stage.engine.receipts_awaited()), (RECIPIENTS, 0));
    });
}
