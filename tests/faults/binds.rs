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
