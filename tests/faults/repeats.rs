//! `at_least_once` and messages of several parts over broken connections.

use super::{Story, impatient, with};
use bench::smsc::{Config, Fault};
use engine::model::DeliveryPolicy;
use tests::rig::RigOptions;

/// Everybody was accepted, and what was accepted more than once was counted.
async fn all_reached(story: Story) {
    let repeated = |s: &Story| s.rig.engine.progress(s.rig.campaign).unwrap().repeated;
    story.rig.until_done(super::LIMIT).await.unwrap();
    let (repeated, recipients) = (repeated(&story), story.rig.recipients);
    let end = story.close().await;
    let twice: u64 = end.exact.accepted.values().map(|count| u64::from(*count) - 1).sum();
    assert_eq!((end.counts.sent, end.accepted()), (recipients, recipients));
    assert!(repeated > 0 && twice <= repeated, "{twice} accepted again, {repeated} counted");
}

#[tokio::test]
async fn at_least_once_reaches_everybody_when_connections_are_dropped_with_full_windows() {
    let options = RigOptions { policy: DeliveryPolicy::AtLeastOnce, ..RigOptions::default() };
    let story = Story::tell(Config { latency_us: 30_000, ..Config::default() }, 5_000, options).await;
    for round in 1..=3 {
        story.until_submits(round * 1_000).await;
        story.smsc.drop_connections();
    }
    all_reached(story).await;
}

#[tokio::test]
async fn at_least_once_reaches_everybody_over_resets_and_closes() {
    let options = RigOptions { policy: DeliveryPolicy::AtLeastOnce, ..RigOptions::default() };
    let faults = with(&[(Fault::Reset, 0.0007), (Fault::Drop, 0.0007)]);
    all_reached(Story::tell(faults, 5_000, options).await).await;
}

#[tokio::test]
async fn at_least_once_sends_again_what_was_never_answered() {
    let options = RigOptions { policy: DeliveryPolicy::AtLeastOnce, ..impatient() };
    all_reached(Story::tell(with(&[(Fault::NoResponse, 0.05)]), 2_000, options).await).await;
}

#[tokio::test]
async fn at_least_once_reaches_everybody_when_the_smsc_dies_and_returns() {
    let options = RigOptions { policy: DeliveryPolicy::AtLeastOnce, ..RigOptions::default() };
    let story = Story::tell(Config { latency_us: 5_000, ..Config::default() }, 10_000, options).await;
    story.until_submits(3_000).await;
    story.smsc.set_down(true).await.unwrap();
    story.smsc.set_down(false).await.unwrap();
    all_reached(story).await;
}

#[tokio::test]
async fn each_of_three_parts_is_taken_at_most_once_through_throttling_and_a_dropped_connection() {
    let options = RigOptions { text: "0123456789".repeat(40), ..impatient() };
    let config = Config { latency_us: 5_000, ..with(&[(Fault::Throttled, 0.3)]) };
    let story = Story::tell(config, 1_000, options).await;
    story.until_submits(800).await;
    story.smsc.drop_connections();
    story.until_submits(2_000).await;
    story.smsc.update(|config| config.faults.clear()).unwrap();
    let end = story.end().await;
    assert!(end.struck(Fault::Throttled) > 200);
    let parts = end.exact.accepted.keys().map(|(_, part)| *part).max();
    assert_eq!(parts, Some(3));
    assert!(end.counts.unknown <= 100 && end.counts.sent >= 900, "{:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.unknown, 1_000);
}
