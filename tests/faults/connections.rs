//! Connections that break, hang or crawl in the middle of a campaign.

use super::{LIMIT, SHORT, Story, impatient, with};
use bench::smsc::{Config, Fault};
use std::time::Duration;
use tests::rig::RigOptions;

#[tokio::test]
async fn an_smsc_that_dies_and_returns_gets_the_rest_and_nothing_twice() {
    let options = RigOptions::default();
    let story = Story::tell(Config { latency_us: 5_000, ..Config::default() }, 20_000, options).await;
    story.until_submits(5_000).await;
    story.smsc.set_down(true).await.unwrap();
    story.until(|s| s.rig.engine.channels()[0].up.iter().all(|up| !up)).await;
    let before = story.submits();
    story.smsc.set_down(false).await.unwrap();
    story.until_submits(before + 1).await;
    let end = story.end().await;
    assert!(end.counts.unknown <= 2 * 50, "more than two windows: {:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.unknown, 20_000);
}

#[tokio::test]
async fn connections_dropped_with_full_windows_leave_at_most_the_windows_unknown() {
    let options = RigOptions { binds: 3, window: 40, ..RigOptions::default() };
    let story = Story::tell(Config { latency_us: 40_000, ..Config::default() }, 8_000, options).await;
    for _ in 0..4 {
        let unknown = story.rig.counts().unknown;
        story.until(|s| s.rig.engine.channels()[0].in_flight.iter().sum::<u32>() >= 80).await;
        story.smsc.drop_connections();
        story.until(|s| s.rig.counts().unknown > unknown).await;
    }
    let end = story.end().await;
    assert!(end.counts.unknown >= 4 * 40 && end.counts.unknown <= 4 * 3 * 40, "{:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.unknown, 8_000);
}

#[tokio::test]
async fn closed_and_reset_connections_leave_unknown_what_was_not_answered() {
    let story =
        Story::tell(with(&[(Fault::Drop, 0.001), (Fault::Reset, 0.001)]), 5_000, RigOptions::default()).await;
    let end = story.end().await;
    let struck = end.struck(Fault::Drop) + end.struck(Fault::Reset);
    assert!(end.counts.unknown >= struck && end.counts.unknown <= struck * 50, "{struck}: {:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.unknown, 5_000);
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_and_its_window_becomes_unknown() {
    let story = Story::tell(with(&[(Fault::HalfOpen, 0.0007)]), 5_000, impatient()).await;
    let end = story.end().await;
    let struck = end.struck(Fault::HalfOpen);
    // Silence costs the session before its window is given up and filled again.
    assert!(end.counts.unknown >= struck && end.counts.unknown <= struck * 50, "{:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.unknown, 5_000);
}

#[tokio::test]
async fn an_unbind_in_mid_window_is_answered_and_the_campaign_goes_on() {
    let story = Story::tell(with(&[(Fault::UnbindMid, 0.001)]), 5_000, RigOptions::default()).await;
    let end = story.end().await;
    let struck = end.struck(Fault::UnbindMid);
    assert!(end.counts.unknown <= struck * 50, "{:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.unknown + end.counts.rejected, 5_000);
}

#[tokio::test]
async fn an_smsc_that_answers_octet_by_octet_is_waited_for() {
    let config = Config { drip_us: 100, ..with(&[(Fault::SlowDrip, 1.0)]) };
    let end = Story::tell(config, 100, RigOptions::default()).await.end().await;
    assert!(end.struck(Fault::SlowDrip) >= 1);
    assert_eq!(end.counts.sent, 100, "{:?}", end.counts);
}

#[tokio::test]
async fn a_flood_of_enquire_links_is_answered_beside_the_work() {
    let config = Config { latency_us: 20_000, ..with(&[(Fault::EnquireFlood, 1.0)]) };
    let end = Story::tell(config, 5_000, RigOptions::default()).await.end().await;
    assert_eq!(end.counts.sent, 5_000);
}

#[tokio::test]
async fn an_smsc_that_ignores_enquire_link_is_left_and_bound_again_without_loss() {
    let config = Config { latency_us: 1_200_000, ..with(&[(Fault::EnquireIgnore, 1.0)]) };
    let options = RigOptions {
        response_timeout: SHORT,
        enquire_link: Duration::from_millis(200),
        ..RigOptions::default()
    };
    let story = Story::tell(config, 300, options).await;
    story.until(|s| s.smsc.stats().binds > 2).await;
    story
        .smsc
        .update(|config| *config = Config { ledger: config.ledger.clone(), ..Config::default() })
        .unwrap();
    let end = story.end().await;
    assert!(end.counts.unknown > 0, "{:?}", end.counts);
    assert_eq!(end.counts.sent + end.counts.unknown, 300);
}

#[tokio::test]
async fn one_unanswered_window_that_loses_its_connection_is_unknown_to_the_last_unit() {
    let options = RigOptions { binds: 1, window: 64, ..RigOptions::default() };
    let story = Story::tell(with(&[(Fault::NeverRespond, 1.0)]), 64, options).await;
    story.until_submits(64).await;
    story.smsc.drop_connections();
    let counts = story.rig.until_done(LIMIT).await.unwrap();
    assert_eq!((counts.unknown, counts.total), (64, 64));
    let end = story.close().await;
    assert_eq!((end.accepted(), end.sure()), (64, 0));
}
#[tokio::test]
async fn a_bind_that_is_closed_again_and_again_does_not_wait_longer_each_time() {
    let options = RigOptions { binds: 1, window: 10, ..RigOptions::default() };
    let story = Story::tell(with(&[(Fault::CloseAfter, 50.0)]), 1_000, options).await;
    let begun = std::time::Instant::now();
    let end = story.end().await;
    let closed = end.struck(Fault::CloseAfter);
    assert!(closed >= 12, "{closed} times");
    // Each bind stood, so each pause is a first one: at most 200 ms, not doubled with every close.
    assert!(begun.elapsed() < Duration::from_millis(300 * closed + 3_000), "{:?}", begun.elapsed());
    assert_eq!(end.counts.sent + end.counts.unknown, 1_000);
}
