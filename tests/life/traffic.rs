//! Traffic by hour and usage by campaign: equal to the rows of the recipients, over hours, refusals and crashes.

use super::*;
use bench::smsc::{Fault, FaultRule, ReceiptConfig, StateShares};
use engine::model::UnitStatus;
use engine::model::traffic::{Load, Traffic, has_failed};
use engine::report;
use std::collections::BTreeMap;
use tests::outfit::pass;

const RECIPIENTS: u64 = 400;
const HOUR: Duration = Duration::from_secs(3600);

fn hour(at: jiff::Timestamp) -> u32 {
    u32::try_from(at.as_second() / 3600).unwrap()
}

/// What the stored rows of a campaign show.
async fn rows(stage: &Solo, id: CampaignId) -> BTreeMap<u32, Traffic> {
    let campaign = stage.stored(id).await.unwrap();
    let mut hours: BTreeMap<u32, Traffic> = BTreeMap::new();
    for row in report::recipients(&*stage.store, &campaign, 0).await.unwrap() {
        for part in &row.parts {
            if let Some(at) = part.submitted_at {
                hours.entry(hour(at)).or_default().submit(part.status, Load { messages: 0, segments: 1 });
            }
            if let Some(at) = part.final_at.filter(|_| has_failed(part.status)) {
                hours.entry(hour(at)).or_default().failed.segments += 1;
            }
        }
        if let Some(at) = row.parts.iter().filter_map(|part| part.submitted_at).min() {
            hours.entry(hour(at)).or_default().submit(row.status, Load { messages: 1, segments: 0 });
        }
        let end = row.parts.iter().filter_map(|part| part.final_at).max();
        if let Some(at) = end.filter(|_| has_failed(row.status)) {
            hours.entry(hour(at)).or_default().failed.messages += 1;
        }
    }
    hours
}

/// What the engine tells of the day.
async fn told(stage: &Solo) -> BTreeMap<u32, Traffic> {
    let first = hour(BEGIN.parse().unwrap());
    let traffic = stage.engine.traffic(stage.seed.workspace, first..first + 24).await.unwrap();
    assert_eq!(traffic.len(), 24);
    (first..).zip(traffic).filter(|(_, traffic)| !traffic.is_empty()).collect()
}

async fn usage(stage: &Solo) -> Vec<(CampaignId, Traffic)> {
    let usage = stage.engine.usage(stage.seed.workspace, 0..u32::MAX).await.unwrap();
    usage.into_iter().map(|of| (of.campaign_id, of.traffic)).collect()
}

fn sum(hours: &BTreeMap<u32, Traffic>) -> Traffic {
    let mut sum = Traffic::default();
    hours.values().for_each(|traffic| sum.add(traffic));
    sum
}

#[test]
fn traffic_and_usage_are_those_of_the_rows_while_receipts_come_and_behind_crashes() {
    play(async || {
        let states = StateShares { undeliverable: 0.2, expired: 0.1, ..StateShares::default() };
        let disorder_us = u64::try_from((5 * HOUR).as_micros()).unwrap();
        let receipts = ReceiptConfig { disorder_us, states, ..ReceiptConfig::default() };
        let faults = vec![FaultRule::new(Fault::Refuse(0x0B), 0.1)];
        let config = Config { seed: 7, faults, receipts: Some(receipts), ..Config::default() };
        let options = RigOptions {
            receipts: true,
            text: "0123456789".repeat(20),
            enquire_link: Duration::from_secs(300),
            ..RigOptions::default()
        };
        let mut stage = Solo::new(BEGIN, config, &options).await.unwrap();
        let id = stage.built(Mode::OnDemand, SendingRules::default(), RECIPIENTS).await.unwrap();
        assert!(told(&stage).await.is_empty() && usage(&stage).await.is_empty());
        stage.start(id).await.unwrap();
        stage.until_status(id, Status::Done, SOON).await.unwrap();
        for step in 0..7 {
            pass(HOUR).await;
            let now = told(&stage).await;
            assert_eq!(now, rows(&stage, id).await, "after {step} hours");
            assert_eq!(usage(&stage).await, [(id, sum(&now))]);
            if step % 2 == 0 {
                stage.crash().await.unwrap();
                assert_eq!(told(&stage).await, rows(&stage, id).await, "behind a crash");
            }
        }
        let stored = stage.stored(id).await.unwrap();
        assert!(stored.receipts_over);
        let (counts, segments) = (stored.counts.unwrap(), stored.segment_counts.unwrap());
        let all = told(&stage).await;
        assert!(all.len() > 3, "over several hours: {all:?}");
        let total = sum(&all);
        let by = |status: UnitStatus| {
            let found = total.submitted.iter().find(|(of, _)| *of == status);
            found.map_or(Load::default(), |(_, load)| *load)
        };
        for (status, messages, parts) in [
            (UnitStatus::Delivered, counts.delivered, segments.delivered),
            (UnitStatus::Undeliverable, counts.undeliverable, segments.undeliverable),
            (UnitStatus::Rejected, counts.rejected, segments.rejected),
            (UnitStatus::Expired, counts.expired, segments.expired),
        ] {
            assert!(messages > 0, "{counts:?}");
            assert_eq!(by(status), Load { messages, segments: parts }, "{status:?}");
        }
        let failed = counts.undeliverable + counts.rejected + counts.expired + counts.failed;
        assert_eq!(total.failed.messages, failed);
        assert_eq!((segments.total, counts.total), (2 * RECIPIENTS, RECIPIENTS));

        // Ended for good and behind a restart: the catalog alone tells.
        stage.restart().await.unwrap();
        assert_eq!(told(&stage).await, all);
        assert_eq!(usage(&stage).await, [(id, total)]);
    });
}
