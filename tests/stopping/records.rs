//! The record of a stop or an end: two stops at once, a catalog that is late or refuses.

use super::Story;
use crate::faults::LIMIT;
use bench::smsc::Config;
use engine::EngineError;
use engine::model::{Status, WorkspaceId};
use engine::store::StoreError;
use engine::store::fault::{FaultCatalog, FaultPlan};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tests::doubles::{Fate, Gate};
use tests::rig::{RigOptions, tick};
use tokio::sync::Notify;

/// The story with its engine behind a gate in front of the catalog.
async fn behind(action: &'static str, fate: Fate, recipients: u64, latency_us: u64) -> (Story, Arc<Gate>) {
    let config = Config { latency_us, ..Config::default() };
    let mut story = Story::begin(config, recipients, RigOptions::default()).await;
    let gate = Arc::new(Gate::new(Arc::clone(&story.rig.store) as _, action, fate));
    story.rig.outfit.catalog = Arc::clone(&gate) as _;
    story.restart().await;
    (story, gate)
}

#[tokio::test]
async fn of_a_pause_and_a_cancel_at_once_one_wins_and_the_loser_does_not_let_go_what_the_winner_stopped() {
    let bell = Arc::new(Notify::new());
    let (story, gate) = behind("campaign.cancel", Fate::Waits(Arc::clone(&bell)), 20_000, 2_000).await;
    story.rig.go().await.unwrap();
    story.until_submits(1_000).await;
    let version = story.rig.stored().await.unwrap().state_version;
    // The cancel raises its flag first and is held at the catalog; the pause overtakes it there and wins.
    let overtaken = async {
        story.until(|_| gate.seen.load(Ordering::SeqCst) == 1).await;
        story.rig.pause().await.unwrap();
        bell.notify_one();
    };
    let (cancelled, ()) = tokio::join!(story.rig.cancel(), overtaken);
    assert!(matches!(cancelled, Err(EngineError::Store(StoreError::Conflict { .. }))), "{cancelled:?}");
    let stored = story.rig.stored().await.unwrap();
    assert_eq!((stored.status, stored.state_version), (Status::Paused, version + 1));
    story.stays_still().await;
    story.rig.resume().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 20_000);
}

#[tokio::test]
async fn of_many_stops_at_once_exactly_one_wins_each_version() {
    let config = Config { latency_us: 2_000, ..Config::default() };
    let story = Story::tell(config, 20_000, RigOptions::default()).await;
    for round in 1..=10 {
        story.until_submits(round * 500).await;
        let version = story.rig.stored().await.unwrap().state_version;
        let all = tokio::join!(story.rig.pause(), story.rig.pause(), story.rig.pause());
        let won = [all.0, all.1, all.2].into_iter().filter(Result::is_ok).count();
        let stored = story.rig.stored().await.unwrap();
        assert_eq!((won, stored.status, stored.state_version), (1, Status::Paused, version + 1));
        story.rig.resume().await.unwrap();
    }
    assert_eq!(story.end().await.counts.sent, 20_000);
}

#[tokio::test]
async fn a_pause_that_cannot_be_recorded_stops_the_campaign_and_says_so() {
    let (story, _) = behind("campaign.pause", Fate::Refused(1), 10_000, 2_000).await;
    story.rig.go().await.unwrap();
    story.until_submits(1_000).await;
    let paused = story.rig.pause().await;
    assert!(matches!(paused, Err(EngineError::StoppedNotRecorded(_))), "{paused:?}");
    story.stays_still().await;
    story.rig.pause().await.unwrap();
    story.stays_still().await;
    story.rig.resume().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 10_000);
}

#[tokio::test]
async fn a_campaign_that_cannot_even_be_read_is_stopped_for_its_own_workspace_only() {
    let mut story =
        Story::begin(Config { latency_us: 2_000, ..Config::default() }, 10_000, RigOptions::default()).await;
    let real = Gate::new(Arc::clone(&story.rig.store) as _, "none", Fate::Refused(0));
    let catalog = Arc::new(FaultCatalog::new(real, Duration::ZERO, FaultPlan::default()));
    story.rig.outfit.catalog = Arc::clone(&catalog) as _;
    story.restart().await;
    story.rig.go().await.unwrap();
    story.until_submits(1_000).await;
    catalog.fail_calls_for(LIMIT);
    let foreign: WorkspaceId = serde_json::from_str("\"00000000-0000-7000-8000-000000000009\"").unwrap();
    let by = story.rig.seed.author();
    let refused = story.rig.engine.pause(foreign, story.rig.campaign, &by).await;
    assert!(matches!(refused, Err(EngineError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    let resumed = story.rig.resume().await;
    assert!(matches!(resumed, Err(EngineError::Store(StoreError::Unavailable(_)))), "{resumed:?}");
    story.until_submits(2_000).await;
    let paused = story.rig.pause().await;
    assert!(matches!(paused, Err(EngineError::StoppedNotRecorded(_))), "{paused:?}");
    story.stays_still().await;
    catalog.fail_calls_for(Duration::ZERO);
    assert_eq!(story.status().await, Status::Sending);
    story.rig.pause().await.unwrap();
    story.rig.resume().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 10_000);
}

#[tokio::test]
async fn an_end_that_could_not_be_recorded_at_once_is_recorded_later() {
    let (story, gate) = behind("campaign.complete", Fate::Refused(2), 500, 0).await;
    story.rig.go().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 500);
    assert_eq!(gate.seen.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_end_that_was_never_recorded_is_recorded_by_the_next_engine() {
    let (mut story, gate) = behind("campaign.complete", Fate::Refused(u32::MAX), 500, 0).await;
    story.rig.go().await.unwrap();
    story.until(|s| s.rig.counts().sent == 500 && gate.seen.load(Ordering::SeqCst) > 0).await;
    assert_eq!(story.status().await, Status::Sending);
    story.rig.outfit.catalog = Arc::clone(&story.rig.store) as _;
    story.restart().await;
    let end = std::time::Instant::now() + LIMIT / 4;
    while story.status().await != Status::Done {
        assert!(std::time::Instant::now() < end, "settled long ago, but {:?}", story.status().await);
        tick().await;
    }
    assert_eq!(story.close().await.counts.sent, 500);
}
