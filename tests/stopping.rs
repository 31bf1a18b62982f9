//! Pause, cancel, drain and a failing store: what was acknowledged holds, and the sum stays exact.

#![expect(clippy::unwrap_used, reason = "tests")]

mod records;
mod stores;

use crate::faults::{LIMIT, Story, sum, with};
use bench::smsc::{Config, Fault};
use engine::model::Status;
use tests::rig::{RigOptions, tick};

/// Looks that take 200 ms together: an engine that goes on sends thousands meanwhile.
const LOOKS: u32 = 40;

impl Story {
    async fn status(&self) -> Status {
        self.rig.stored().await.unwrap().status
    }

    /// Nothing is submitted that was not written before now: the simulator may still read what lies in the
    /// sockets, so the account says what was written, and the ledger must come to exactly that.
    async fn stays_still(&self) {
        self.rig.engine.settle().await.unwrap();
        let counts = self.rig.counts();
        let written = sum(&counts) - counts.queued - counts.cancelled;
        for _ in 0..LOOKS {
            tick().await;
            let submits = self.submits() as u64;
            assert!(submits <= written, "{submits} submits, {written} written before: {counts:?}");
        }
        assert_eq!(self.submits() as u64, written, "{counts:?}");
    }
}

#[tokio::test]
async fn a_paused_campaign_sends_nothing_more_until_it_is_resumed() {
    let config = Config { latency_us: 3_000, ..Config::default() };
    let story = Story::tell(config, 10_000, RigOptions::default()).await;
    story.until_submits(2_000).await;
    story.rig.pause().await.unwrap();
    assert_eq!(story.status().await, Status::Paused);
    story.stays_still().await;
    story.rig.resume().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 10_000);
}

#[tokio::test]
async fn twenty_pauses_and_resumes_under_load_lose_and_repeat_nothing() {
    let options = RigOptions { binds: 3, window: 100, ..RigOptions::default() };
    let story = Story::tell(Config { latency_us: 1_000, ..Config::default() }, 40_000, options).await;
    for round in 1..=20 {
        story.until_submits(round * 1_500).await;
        story.rig.pause().await.unwrap();
        let submits = story.submits();
        story.rig.engine.settle().await.unwrap();
        let counts = story.rig.counts();
        assert_eq!(sum(&counts), 40_000, "{counts:?}");
        story.rig.resume().await.unwrap();
        assert!(story.submits() < 40_000, "the campaign was over in round {round} after {submits}");
    }
    assert_eq!(story.end().await.counts.sent, 40_000);
}

#[tokio::test]
async fn a_campaign_paused_as_soon_as_it_was_started_sends_nothing() {
    for _ in 0..10 {
        let story = Story::begin(Config::default(), 500, RigOptions::default()).await;
        story.until(|s| s.rig.engine.channels()[0].up.iter().all(|up| *up)).await;
        story.rig.go().await.unwrap();
        story.rig.pause().await.unwrap();
        story.stays_still().await;
        story.rig.resume().await.unwrap();
        assert_eq!(story.end().await.counts.sent, 500);
    }
}

#[tokio::test]
async fn a_campaign_cancelled_as_soon_as_it_was_started_sends_nothing_more() {
    for _ in 0..10 {
        let story = Story::begin(Config::default(), 500, RigOptions::default()).await;
        story.until(|s| s.rig.engine.channels()[0].up.iter().all(|up| *up)).await;
        story.rig.go().await.unwrap();
        story.rig.cancel().await.unwrap();
        story.stays_still().await;
        let end = story.end().await;
        assert_eq!(end.counts.sent + end.counts.cancelled, 500);
    }
}

#[tokio::test]
async fn everything_queued_of_a_cancelled_campaign_is_cancelled_and_the_sum_is_exact() {
    let config = Config { latency_us: 100_000, ..Config::default() };
    let story = Story::tell(config, 10_000, RigOptions::default()).await;
    story.until_submits(300).await;
    story.rig.cancel().await.unwrap();
    let counts = story.rig.counts();
    assert_eq!((sum(&counts), counts.queued), (10_000, 0), "{counts:?}");
    story.stays_still().await;
    assert_eq!(story.status().await, Status::Cancelled);
    let end = story.end().await;
    assert_eq!(end.counts.sent, end.accepted());
    assert_eq!(end.counts.sent + end.counts.cancelled, 10_000);
}

#[tokio::test]
async fn a_campaign_cancelled_in_mid_flight_stays_so_over_a_restart() {
    let config = Config { latency_us: 50_000, ..Config::default() };
    let mut story = Story::tell(config, 10_000, RigOptions::default()).await;
    story.until_submits(500).await;
    story.rig.cancel().await.unwrap();
    story.restart().await;
    let counts = story.rig.counts();
    assert_eq!((counts.queued, sum(&counts)), (0, 10_000), "{counts:?}");
    story.until(|s| s.rig.engine.channels()[0].up.iter().all(|up| *up)).await;
    story.stays_still().await;
    assert_eq!(story.status().await, Status::Cancelled);
    let end = story.end().await;
    assert_eq!(end.counts.sent + end.counts.unknown + end.counts.cancelled, 10_000);
}

#[tokio::test]
async fn a_paused_campaign_is_still_paused_after_a_restart_and_goes_on_when_resumed() {
    let mut story =
        Story::tell(Config { latency_us: 2_000, ..Config::default() }, 10_000, RigOptions::default()).await;
    story.until_submits(2_000).await;
    story.rig.pause().await.unwrap();
    story.restart().await;
    story.until(|s| s.rig.engine.channels()[0].up.iter().all(|up| *up)).await;
    story.stays_still().await;
    assert_eq!(story.status().await, Status::Paused);
    story.rig.resume().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 10_000);
}

#[tokio::test]
async fn a_campaign_resumed_right_behind_a_restart_goes_on() {
    let mut story =
        Story::tell(Config { latency_us: 2_000, ..Config::default() }, 3_000, RigOptions::default()).await;
    story.until_submits(500).await;
    story.rig.pause().await.unwrap();
    story.restart().await;
    story.rig.resume().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 3_000);
}

#[tokio::test]
async fn a_campaign_whose_last_answers_come_while_it_is_paused_is_done() {
    let config = Config { latency_us: 150_000, ..Config::default() };
    let story = Story::tell(config, 100, RigOptions::default()).await;
    story.until_submits(100).await;
    story.rig.pause().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 100);
}

#[tokio::test]
async fn a_campaign_drained_again_and_again_in_its_midst_is_completed_exactly() {
    let options = RigOptions { binds: 3, window: 100, ..RigOptions::default() };
    let mut story = Story::tell(Config { latency_us: 2_000, ..Config::default() }, 30_000, options).await;
    for round in 1..=5 {
        story.until_submits(round * 4_000).await;
        story.restart().await;
        assert_eq!(story.rig.engine.recovered(), (0, 0), "an orderly end leaves nothing open");
        assert_eq!(sum(&story.rig.counts()), 30_000);
    }
    assert_eq!(story.end().await.counts.sent, 30_000);
}

#[tokio::test]
async fn a_message_paused_between_its_parts_is_completed_after_a_restart() {
    let options = RigOptions { text: "0123456789".repeat(40), window: 10, ..RigOptions::default() };
    let mut story = Story::tell(Config { latency_us: 5_000, ..Config::default() }, 1_000, options).await;
    for round in 1..=4 {
        story.until_submits(round * 400).await;
        story.rig.pause().await.unwrap();
        story.restart().await;
        story.rig.resume().await.unwrap();
    }
    let end = story.end().await;
    assert_eq!((end.counts.sent, end.accepted()), (1_000, 3_000));
}

#[tokio::test]
async fn a_cancelled_message_with_some_parts_out_is_failed() {
    let options = RigOptions { text: "0123456789".repeat(40), window: 10, ..RigOptions::default() };
    let story = Story::tell(Config { latency_us: 20_000, ..Config::default() }, 1_000, options).await;
    story.until_submits(200).await;
    story.rig.cancel().await.unwrap();
    tokio::time::timeout(LIMIT, story.until(|s| s.rig.counts().in_flight == 0)).await.unwrap();
    story.rig.engine.clone().shutdown().await;
    let (counts, exact) = (story.rig.counts(), story.smsc.with_ledger(|l| l.exact()));
    let parts_of = |number: &u64| (1..=3).filter(|p| exact.accepted.contains_key(&(*number, *p))).count();
    let partial = exact.destinations().iter().filter(|n| parts_of(n) < 3).count() as u64;
    assert_eq!((counts.failed, sum(&counts)), (partial, 1_000), "{counts:?}");
    assert_eq!(counts.sent + counts.failed + counts.cancelled, 1_000, "{counts:?}");
}

#[tokio::test]
async fn what_is_refused_for_now_after_a_cancel_is_cancelled_too() {
    let config = Config { latency_us: 100_000, ..with(&[(Fault::Throttled, 0.5)]) };
    let story = Story::tell(config, 10_000, RigOptions::default()).await;
    story.until_submits(100).await;
    story.rig.cancel().await.unwrap();
    let end = story.end().await;
    assert!(end.struck(Fault::Throttled) > 10);
    assert_eq!((end.counts.queued, end.counts.sent + end.counts.cancelled), (0, 10_000));
}
