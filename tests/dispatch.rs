//! Campaigns over real TCP and real files: sent once each, as the judge sees it.

#![expect(clippy::unwrap_used, reason = "tests")]

use bench::smsc::Config;
use std::time::Duration;
use tests::rig::{Rig, RigOptions, simulator};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_campaign_reaches_every_recipient_once_and_is_done() {
    let smsc = simulator(Config::default()).await.unwrap();
    let rig = Rig::new(&smsc, 20_000, &RigOptions::default()).await.unwrap();
    rig.go().await.unwrap();
    let counts = rig.until_done(LIMIT).await.unwrap();
    assert_eq!((counts.sent, counts.total), (20_000, 20_000), "{counts:?}");
    rig.judge().await.unwrap();
    assert_eq!(rig.stored().await.unwrap().counts, Some(counts));
}
