//! Receipts: early, twice, out of order, for nobody, over another bind, after a restart; and their exact account.

use super::{LIMIT, Story, with};
use bench::smsc::{Config, Fault, IdForm, ReceiptConfig, StateShares};
use engine::BindKind;
use tests::rig::RigOptions;

fn asked() -> RigOptions {
    RigOptions { receipts: true, ..RigOptions::default() }
}

fn receipts(config: Config) -> Config {
    let states = StateShares { undeliverable: 0.1, expired: 0.05, rejected: 0.02 };
    let receipts =
        ReceiptConfig { delay_us: 10_000, disorder_us: 50_000, states, ..ReceiptConfig::default() };
    Config { receipts: Some(receipts), ..config }
}

/// Waits for every receipt, then compares the account with what the simulator had acknowledged.
async fn all_accounted(story: Story) -> super::End {
    story.rig.until_done(LIMIT).await.unwrap();
    story.until(|s| s.smsc.stats().receipts_open() == 0 && s.smsc.receipts_stored() == 0).await;
    story.rig.engine.settle().await.unwrap();
    let ledger = story.smsc.with_ledger(Clone::clone);
    let end = story.close().await;
    let state = |word: &str| {
        let owed = ledger.acks().iter().filter(|a| a.owed && a.status == 0 && a.state.word() == word);
        let ids: std::collections::BTreeSet<_> = owed.map(|a| a.message_id).collect();
        ids.len() as u64
    };
    let c = &end.counts;
    let account = (c.delivered, c.undeliverable, c.expired, c.rejected);
    assert_eq!(account, (state("DELIVRD"), state("UNDELIV"), state("EXPIRED"), state("REJECTD")), "{c:?}");
    end
}

#[tokio::test]
async fn every_acknowledged_receipt_is_in_the_account_whatever_their_order() {
    let story = Story::tell(receipts(Config::default()), 5_000, asked()).await;
    let end = all_accounted(story).await;
    assert_eq!((end.counts.sent, end.stats.receipts_acked), (0, 5_000));
    assert!(end.counts.undeliverable > 300 && end.counts.expired > 100, "{:?}", end.counts);
}

#[tokio::test]
async fn receipts_before_their_answers_are_adopted_by_them() {
    let story = Story::tell(receipts(with(&[(Fault::ReceiptsFirst, 0.5)])), 3_000, asked()).await;
    let end = all_accounted(story).await;
    assert!(end.struck(Fault::ReceiptsFirst) > 1_000);
    assert_eq!(end.counts.sent, 0, "{:?}", end.counts);
}

#[tokio::test]
async fn receipts_before_their_answers_over_another_bind_are_adopted_too() {
    let options = RigOptions { bind: BindKind::TransmitterReceiver, ..asked() };
    let story = Story::tell(receipts(with(&[(Fault::ReceiptsFirst, 0.5)])), 3_000, options).await;
    let end = all_accounted(story).await;
    assert!(end.struck(Fault::ReceiptsFirst) > 1_000);
    assert_eq!(end.counts.sent, 0, "{:?}", end.counts);
}

#[tokio::test]
async fn receipts_come_over_the_receiver_of_a_pair_of_binds() {
    let options = RigOptions { bind: BindKind::TransmitterReceiver, ..asked() };
    let end = all_accounted(Story::tell(receipts(Config::default()), 5_000, options).await).await;
    assert_eq!((end.counts.sent, end.stats.receipts_acked), (0, 5_000));
}

#[tokio::test]
async fn receipts_for_ids_never_given_are_orphans_exactly() {
    let story = Story::tell(receipts(with(&[(Fault::ReceiptUnknownId, 0.1)])), 3_000, asked()).await;
    story.rig.until_done(LIMIT).await.unwrap();
    let strange = |s: &Story| s.smsc.stats().faults.get("receipt_unknown_id").copied();
    story.until(|s| strange(s) == Some(s.rig.engine.channels()[0].orphans)).await;
    let end = all_accounted(story).await;
    assert!(end.struck(Fault::ReceiptUnknownId) > 100);
    assert_eq!(end.counts.sent, 0);
}

#[tokio::test]
async fn intermediate_receipts_settle_nothing_and_bad_dates_do_not_matter() {
    let mut config = receipts(with(&[(Fault::ReceiptLateIntermediate, 0.3), (Fault::ReceiptBadDate, 0.3)]));
    config.receipts.as_mut().unwrap().intermediate = true;
    let end = all_accounted(Story::tell(config, 3_000, asked()).await).await;
    assert!(end.struck(Fault::ReceiptLateIntermediate) > 500 && end.struck(Fault::ReceiptBadDate) > 500);
    assert_eq!((end.counts.sent, end.stats.receipts_created), (0, 6_000));
}

#[tokio::test]
async fn ids_that_receipts_write_in_another_way_are_matched() {
    for id_form in [IdForm::Decimal, IdForm::PaddedHexThenDecimal, IdForm::HexThenUpperStripped] {
        let config = Config { id_form, first_id: 1_000_000, ..receipts(Config::default()) };
        let end = all_accounted(Story::tell(config, 2_000, asked()).await).await;
        assert_eq!(end.counts.sent, 0, "{id_form:?}: {:?}", end.counts);
    }
}

#[tokio::test]
async fn each_part_has_its_own_receipt() {
    let options = RigOptions { text: "0123456789".repeat(40), ..asked() };
    let mut config = receipts(Config::default());
    config.receipts.as_mut().unwrap().states = StateShares::default();
    let story = Story::tell(config, 1_000, options).await;
    story.rig.until_done(LIMIT).await.unwrap();
    story.until(|s| s.rig.counts().delivered == 1_000).await;
    let end = story.close().await;
    assert_eq!((end.stats.receipts_acked, end.accepted()), (3_000, 3_000));
}

#[tokio::test]
async fn receipts_that_come_after_a_restart_find_their_messages() {
    let mut config = receipts(Config::default());
    config.receipts.as_mut().unwrap().delay_us = 3_000_000;
    let mut story = Story::tell(config, 3_000, asked()).await;
    story.rig.until_done(LIMIT).await.unwrap();
    story.restart().await;
    assert_eq!(story.smsc.stats().receipts_acked, 0, "all are still to come");
    story.until(|s| s.rig.counts().sent == 0 && s.smsc.stats().receipts_open() == 0).await;
    assert_eq!(story.rig.engine.channels()[0].orphans, 0);
    all_accounted(story).await;
}

#[tokio::test]
async fn receipts_of_a_campaign_restarted_in_its_midst_find_their_messages() {
    let mut config = Config { latency_us: 2_000, ..receipts(Config::default()) };
    config.receipts.as_mut().unwrap().delay_us = 1_500_000;
    let mut story = Story::tell(config, 20_000, asked()).await;
    story.until_submits(6_000).await;
    story.restart().await;
    story.rig.until_done(LIMIT).await.unwrap();
    story.until(|s| s.smsc.stats().receipts_open() == 0).await;
    story.rig.engine.settle().await.unwrap();
    let counts = story.rig.counts();
    assert_eq!(counts.sent, 0, "{counts:?} {:?}", story.rig.engine.channels());
    all_accounted(story).await;
}
#[tokio::test]
async fn a_repeated_receipt_is_acknowledged_and_counted_once() {
    let story = Story::tell(receipts(with(&[(Fault::ReceiptDuplicate, 0.3)])), 3_000, asked()).await;
    story.rig.until_done(LIMIT).await.unwrap();
    story.until(|s| s.rig.counts().sent == 0).await;
    let orphans = |s: &Story| s.rig.engine.channels()[0].orphans;
    assert_eq!(orphans(&story), 0, "a repetition is no orphan");
    assert_eq!(story.rig.engine.channels()[0].receipts, 3_000);
    let end = all_accounted(story).await;
    assert!(end.struck(Fault::ReceiptDuplicate) > 500);
}

#[tokio::test]
async fn receipts_lost_with_their_connection_are_delivered_again_and_counted_once() {
    let story = Story::tell(receipts(Config::default()), 5_000, asked()).await;
    for round in 1..=3 {
        story.until(|s| s.smsc.stats().receipts_acked >= round * 500).await;
        story.smsc.drop_connections();
    }
    story.rig.until_done(LIMIT).await.unwrap();
    story.until(|s| s.smsc.stats().receipts_open() == 0).await;
    story.rig.engine.settle().await.unwrap();
    // Unknown messages have no id, so their receipts are orphans; every other one is in the account.
    let (counts, channel) = (story.rig.counts(), story.rig.engine.channels().remove(0));
    assert_eq!(counts.sent, 0, "{counts:?}");
    assert!(channel.orphans <= counts.unknown, "{counts:?} {channel:?}");
    let end = story.close().await;
    assert_eq!(end.stats.receipts_acked, end.accepted());
}
