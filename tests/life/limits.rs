//! Daily limits beside refusals, crashes and new zones: exactly as many accepted as there may be, and the same again
//! behind every start.

use super::tenant::change;
use super::*;
use bench::smsc::{Fault, FaultRule};
use std::collections::{BTreeMap, BTreeSet};
use tests::outfit::pass;

/// A text of three parts.
const LONG: usize = 400;
/// Invalid destination: no second try.
const REFUSED: Fault = Fault::Refuse(0x0B);

/// Messages of which a part was accepted; only one campaign here has several parts, others share their numbers.
fn accepted(stage: &Solo) -> usize {
    stage.smsc.with_ledger(|ledger| match ledger.accepted().any(|submit| submit.parts > 1) {
        true => ledger.accepted().map(|submit| submit.destination).collect::<BTreeSet<_>>().len(),
        false => ledger.accepted().count(),
    })
}

async fn refusing(faults: &[(Fault, f64)], text: &str) -> Solo {
    let faults = faults.iter().map(|(fault, share)| FaultRule::new(*fault, *share)).collect();
    let options = RigOptions { window: 10, rate_per_s: 200, text: text.to_owned(), ..RigOptions::default() };
    Solo::new(BEGIN, Config { faults, latency_us: 20_000, ..Config::default() }, &options).await.unwrap()
}

async fn started(stage: &Solo, recipients: u64, limit: Option<u64>) -> CampaignId {
    let rules = SendingRules { daily_limit: limit, ..SendingRules::default() };
    let id = stage.built(Mode::OnDemand, rules, recipients).await.unwrap();
    stage.start(id).await.unwrap();
    id
}

/// How many are accepted on the first day and on the first two, with a crash once `crash_at` are accepted.
async fn two_days(stage: &mut Solo, crash_at: Option<usize>) -> [usize; 2] {
    if let Some(count) = crash_at {
        stage.until(SOON, async |stage| accepted(stage) >= count).await.unwrap();
        stage.crash().await.unwrap();
    }
    pass(15 * 60 * MINUTE).await;
    let first = accepted(stage);
    // Quiet: what a new run counts is what this one has counted.
    stage.restart().await.unwrap();
    pass(10 * MINUTE).await;
    assert_eq!(accepted(stage), first);
    pass(20 * 60 * MINUTE).await;
    [first, accepted(stage)]
}

/// What these campaigns were charged by day, once they are cancelled.
async fn charged(stage: &Solo, ids: &[CampaignId]) -> Vec<u64> {
    let mut days = BTreeMap::new();
    for id in ids {
        stage.engine.cancel(stage.seed.workspace, *id, &stage.seed.author()).await.unwrap();
        stage
            .until(SOON, async |stage| stage.stored(*id).await.is_ok_and(|c| c.counts.is_some()))
            .await
            .unwrap();
        for (day, count) in stage.stored(*id).await.unwrap().charged {
            *days.entry(day).or_default() += count;
        }
    }
    days.into_values().collect()
}

#[test]
fn a_day_takes_as_many_accepted_as_its_limit_however_many_were_refused_and_whenever_it_crashed() {
    for crash_at in [None, Some(5), Some(60), Some(99)] {
        play(async || {
            let mut stage = refusing(&[(REFUSED, 0.3)], "Hello").await;
            let id = started(&stage, 1_000, Some(100)).await;
            let days = two_days(&mut stage, crash_at).await;
            // Whoever was on the wire when it crashed may have been accepted: unknown, and charged.
            let unknown = usize::try_from(stage.counts(id).unknown).unwrap();
            assert!(crash_at.is_some() || unknown == 0);
            let known = 100 - unknown.min(100);
            assert!((known..=100).contains(&days[0]), "{days:?}, {unknown} unknown");
            assert_eq!(days[1] - days[0], 100, "{unknown} unknown");
            assert_eq!(charged(&stage, &[id]).await, [100, 100]);
        });
    }
}

#[test]
fn the_limit_of_a_workspace_is_shared_exactly_with_refusals_and_retries_on_several_binds() {
    for crash_at in [None, Some(60)] {
        play(async || {
            let faults = [(REFUSED, 0.2), (Fault::QueueFull, 0.1), (Fault::Throttled, 0.1)];
            let mut stage = refusing(&faults, "Hello").await;
            change(&stage, |workspace| workspace.daily_limit = Some(100)).await;
            let ids = [started(&stage, 600, None).await, started(&stage, 600, Some(80)).await];
            let days = two_days(&mut stage, crash_at).await;
            let unknown: u64 = ids.iter().map(|id| stage.counts(*id).unknown).sum();
            let known = 100 - usize::try_from(unknown.min(100)).unwrap();
            assert!((known..=100).contains(&days[0]), "{days:?}, {unknown} unknown");
            assert_eq!(days[1] - days[0], 100, "{unknown} unknown");
            assert_eq!(charged(&stage, &ids).await, [100, 100]);
        });
    }
}

#[test]
fn messages_of_several_parts_are_never_too_many_whatever_is_refused_of_them() {
    for share in [0.05, 0.4] {
        play(async || {
            let faults = [(REFUSED, share), (Fault::Throttled, 0.1)];
            let mut stage = refusing(&faults, &"x".repeat(LONG)).await;
            started(&stage, 1_000, Some(50)).await;
            let days = two_days(&mut stage, None).await;
            assert_eq!(days, [50, 100]);
        });
    }
}

#[test]
fn a_new_zone_never_opens_a_second_limit_within_the_present_day_of_either() {
    // 08:00 in UTC: the day before in Honolulu, late in the evening on Kiritimati.
    for (zone, before_midnight, behind) in [
        ("Pacific/Kiritimati", 2 * 60, 40 * 60),
        ("Pacific/Honolulu", 2 * 60, 40 * 60),
        ("Europe/Berlin", 14 * 60, 40 * 60),
    ] {
        play(async || {
            let stage = refusing(&[], "Hello").await;
            change(&stage, |workspace| workspace.daily_limit = Some(100)).await;
            started(&stage, 400, None).await;
            started(&stage, 400, Some(90)).await;
            stage.until(SOON, async |stage| accepted(stage) == 100).await.unwrap();
            change(&stage, |workspace| zone.clone_into(&mut workspace.time_zone)).await;
            pass(before_midnight * MINUTE).await;
            assert_eq!(accepted(&stage), 100, "{zone}");
            // To the end of the day in UTC, and of the one that the new zone has now.
            pass(16 * 60 * MINUTE - before_midnight * MINUTE - MINUTE).await;
            assert_eq!(accepted(&stage), 100, "{zone}");
            // And back again, at once.
            change(&stage, |workspace| "UTC".clone_into(&mut workspace.time_zone)).await;
            pass(30 * Duration::from_secs(1)).await;
            assert_eq!(accepted(&stage), 100, "{zone}");
            pass(behind * MINUTE).await;
            let later = accepted(&stage);
            assert!((200..=300).contains(&later), "{zone}: {later}");
        });
    }
}
