//! A store that refuses, doubts or is late: dispatch waits and goes on, nothing is lost or repeated.

use super::Story;
use crate::faults::sum;
use bench::smsc::{Config, ReceiptConfig};
use engine::store::fault::{FaultJournal, FaultPlan, Verdict};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tests::doubles::Slow;
use tests::rig::RigOptions;

type Faulty = Arc<FaultJournal<Slow>>;

/// The story with its engine over a journal that fails as planned, each commit `delay` late.
async fn over(
    plan: FaultPlan,
    delay: Duration,
    config: Config,
    recipients: u64,
    options: RigOptions,
) -> (Story, Faulty) {
    let mut story = Story::begin(config, recipients, options).await;
    let journal = faulty(&mut story, plan, delay, Duration::ZERO).await;
    (story, journal)
}

/// A restart over such a journal, where reading columns takes `state_delay` more.
async fn faulty(story: &mut Story, plan: FaultPlan, delay: Duration, state_delay: Duration) -> Faulty {
    let slow = Slow::new(Arc::clone(&story.rig.store) as _, state_delay);
    let journal = Arc::new(FaultJournal::new(slow, delay, plan));
    story.rig.outfit.journal = Arc::clone(&journal) as _;
    story.restart().await;
    journal
}

#[tokio::test]
async fn commits_that_fail_in_every_way_and_come_late_lose_and_repeat_nothing() {
    for seed in 0..4 {
        let plan = FaultPlan::seeded(seed, 150);
        let (story, _) =
            over(plan, Duration::from_millis(5), Config::default(), 5_000, RigOptions::default()).await;
        story.rig.go().await.unwrap();
        assert_eq!(story.end().await.counts.sent, 5_000, "seed {seed}");
    }
}

#[tokio::test]
async fn a_store_that_refuses_for_a_while_holds_the_dispatch_and_it_goes_on_by_itself() {
    let (story, journal) =
        over(FaultPlan::default(), Duration::ZERO, Config::default(), 20_000, RigOptions::default()).await;
    story.rig.go().await.unwrap();
    story.until_submits(3_000).await;
    // Each refused commit costs a pause of 100 ms; nothing planned meanwhile may reach the wire.
    journal.plan(FaultPlan::script([Verdict::NotApplied; 10]));
    story.until(|s| s.rig.counts().sent > 3_000).await;
    assert_eq!(story.end().await.counts.sent, 20_000);
}

#[tokio::test]
async fn rows_in_doubt_are_read_back_and_neither_lost_nor_written_twice() {
    let doubt = [Verdict::AmbiguousStored, Verdict::AmbiguousLost, Verdict::NotApplied, Verdict::Durable];
    let plan = FaultPlan::script(doubt.into_iter().cycle().take(40));
    let (story, _) =
        over(plan, Duration::from_millis(2), Config::default(), 5_000, RigOptions::default()).await;
    story.rig.go().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 5_000);
}

#[tokio::test]
async fn receipts_during_a_store_failure_are_put_off_and_come_again() {
    let receipts = ReceiptConfig { redeliver_us: 100_000, ..ReceiptConfig::default() };
    let config = Config { receipts: Some(receipts), ..Config::default() };
    let options = RigOptions { receipts: true, ..RigOptions::default() };
    let (story, _) = over(FaultPlan::seeded(3, 150), Duration::from_millis(5), config, 5_000, options).await;
    story.rig.go().await.unwrap();
    story.until(|s| s.rig.counts().delivered == 5_000).await;
    assert_eq!(story.end().await.counts.delivered, 5_000);
}

#[tokio::test]
async fn a_fenced_engine_stops_and_says_why() {
    let plan = FaultPlan::script([Verdict::Durable, Verdict::Durable, Verdict::Fenced]);
    let (story, _) = over(plan, Duration::ZERO, Config::default(), 20_000, RigOptions::default()).await;
    story.rig.go().await.unwrap();
    let reason = tokio::time::timeout(crate::faults::LIMIT, story.rig.engine.failed()).await.unwrap();
    assert!(reason.contains("taken over"), "{reason}");
    let submits = story.submits();
    assert!(submits < 20_000, "{submits}");
}

#[tokio::test]
async fn a_receipt_index_that_is_filled_late_names_no_message_twice() {
    let receipts = ReceiptConfig { delay_us: 2_500_000, ..ReceiptConfig::default() };
    let config = Config { latency_us: 2_000, receipts: Some(receipts), ..Config::default() };
    let options = RigOptions { receipts: true, ..RigOptions::default() };
    let mut story = Story::tell(config, 20_000, options).await;
    story.until_submits(3_000).await;
    // Filling goes chunk by chunk while new answers come in for the chunks that are still to be filled.
    faulty(&mut story, FaultPlan::default(), Duration::ZERO, Duration::from_millis(150)).await;
    story.rig.until_done(crate::faults::LIMIT).await.unwrap();
    story.until(|s| s.smsc.stats().receipts_open() == 0).await;
    story.rig.engine.settle().await.unwrap();
    let counts = story.rig.counts();
    let channel = story.rig.engine.channels().remove(0);
    assert_eq!((counts.delivered, sum(&counts)), (20_000, 20_000), "{counts:?} {channel:?}");
}

#[tokio::test]
async fn columns_that_cannot_be_read_for_a_while_cost_no_fact_and_no_second_submit() {
    let config = Config { latency_us: 2_000, ..Config::default() };
    let options = RigOptions { binds: 3, ..RigOptions::default() };
    let mut story = Story::tell(config, 10_000, options).await;
    story.until_submits(2_000).await;
    story.rig.pause().await.unwrap();
    let journal = faulty(&mut story, FaultPlan::default(), Duration::ZERO, Duration::ZERO).await;
    story.rig.engine.settle().await.unwrap();
    journal.inner().refuse_states.store(5, Ordering::SeqCst);
    story.rig.resume().await.unwrap();
    story.until(|_| journal.inner().refuse_states.load(Ordering::SeqCst) == 0).await;
    story.until_submits(3_000).await;
    story.rig.outfit.journal = Arc::clone(&story.rig.store) as _;
    story.restart().await;
    assert_eq!(story.end().await.counts.sent, 10_000);
}
