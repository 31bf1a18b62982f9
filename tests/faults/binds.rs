//! Binds that are refused, ignored or answered only in the end.

use super::{LIMIT, Story, with};
use bench::smsc::{Config, Fault};
use std::time::{Duration, Instant};
use tests::rig::RigOptions;

#[tokio::test]
async fn a_bind_refused_at_first_because_of_the_old_session_is_made_later() {
    let options = RigOptions { binds: 1, ..RigOptions::default() };
    let story = Story::tell(with(&[(Fault::AlreadyBound, 1.0)]), 500, options).await;
    let end = story.end().await;
    assert_eq!(end.struck(Fault::AlreadyBound), 1);
    assert_eq!((end.counts.sent, end.stats.binds_refused), (500, 1));
}

#[tokio::test]
async fn refused_binds_are_not_hammered_and_an_engine_without_binds_ends_at_once() {
    let story = Story::tell(with(&[(Fault::BindRefuse, 1.0)]), 500, RigOptions::default()).await;
    story.until(|s| s.smsc.stats().binds_refused == 2).await;
    let begun = Instant::now();
    tokio::time::timeout(LIMIT, story.rig.engine.clone().shutdown()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(story.smsc.stats().binds_refused, 2, "a refused bind waits five seconds");
    assert_eq!((story.rig.counts().queued, story.submits()), (500, 0));
}
#[tokio::test]
async fn a_bind_that_is_never_answered_keeps_neither_the_other_nor_the_end_waiting() {
    let story = Story::begin(with(&[(Fault::BindSilent, 1.0)]), 500, RigOptions::default()).await;
    story.until(|s| s.smsc.stats().connections == 2).await;
    story.rig.go().await.unwrap();
    let begun = Instant::now();
    tokio::time::timeout(LIMIT, story.rig.engine.clone().shutdown()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(7), "drained in {:?}, 5 s are allowed", begun.elapsed());
    assert_eq!(story.submits(), 0);
}
#[tokio::test]
async fn a_campaign_paused_while_no_bind_is_up_is_acknowledged_and_sends_nothing_later() {
    let options = RigOptions { binds: 1, ..RigOptions::default() };
    let story = Story::begin(Config::default(), 500, options).await;
    story.smsc.set_down(true).await.unwrap();
    story.until(|s| !s.rig.engine.channels()[0].up[0]).await;
    story.rig.go().await.unwrap();
    tokio::time::timeout(LIMIT, story.rig.pause()).await.unwrap().unwrap();
    story.smsc.set_down(false).await.unwrap();
    story.until(|s| s.rig.engine.channels()[0].up[0]).await;
    assert_eq!(story.submits(), 0);
    story.rig.resume().await.unwrap();
    assert_eq!(story.end().await.counts.sent, 500);
}
