//! Trigger campaigns: what is accepted is durable, sent at once, and sent once, whatever happens in between.

use super::*;
use engine::{MAX_PUSH, Push, PushError};
use std::collections::BTreeSet;
use tests::outfit::pass;

fn pushes(numbers: std::ops::Range<u64>) -> Vec<Push> {
    numbers.map(|n| Push { number: 4_917_000_000_000 + n, values: Vec::new() }).collect()
}

async fn push(stage: &Solo, id: CampaignId, numbers: std::ops::Range<u64>) -> Result<Vec<u64>, PushError> {
    stage.engine.push(stage.seed.workspace, id, pushes(numbers), &stage.seed.author()).await
}

async fn running(stage: &Solo) -> CampaignId {
    let id = stage.built(Mode::Trigger, SendingRules::default(), 0).await.unwrap();
    stage.start(id).await.unwrap();
    stage.until(SOON, async |stage| stage.engine.channels()[0].up.iter().all(|up| *up)).await.unwrap();
    id
}

/// Every number of these exactly once on the ledger.
fn each_once(stage: &Solo, numbers: std::ops::Range<u64>) {
    let exact = stage.smsc.with_ledger(|ledger| ledger.exact());
    assert!(exact.repeated().is_empty(), "{:?}", exact.repeated());
    let expected: BTreeSet<u64> = numbers.map(|n| 4_917_000_000_000 + n).collect();
    assert_eq!(exact.destinations(), expected);
}

#[test]
fn numbers_are_sent_at_once_and_the_campaign_ends_when_it_is_finished() {
    play(async || {
        let stage = stage().await;
        let id = running(&stage).await;
        pass(MINUTE).await;
        assert_eq!(stage.status(id).await.unwrap(), Status::Sending, "settled for the moment only");
        assert_eq!(push(&stage, id, 0..1).await.unwrap(), [0]);
        stage.until(Duration::from_millis(50), async |stage| stage.submits() == 1).await.unwrap();
        assert_eq!(push(&stage, id, 1..1_000).await.unwrap(), (1..1_000).collect::<Vec<_>>());
        for first in (1_000..10_000).step_by(MAX_PUSH) {
            push(&stage, id, first..first + MAX_PUSH as u64).await.unwrap();
        }
        stage.until(SOON, async |stage| stage.submits() == 10_000).await.unwrap();
        let by = stage.seed.author();
        stage.engine.finish(stage.seed.workspace, id, &by).await.unwrap();
        stage.until_status(id, Status::Done, SOON).await.unwrap();
        let refused = push(&stage, id, 0..1).await;
        assert!(matches!(refused, Err(PushError::NotSending(Status::Done))), "{refused:?}");
        each_once(&stage, 0..10_000);
        let stored = stage.stored(id).await.unwrap();
        assert_eq!((stored.recipients, stored.counts.unwrap().sent), (10_000, 10_000));
        assert_eq!(stored.charged, [(jiff::civil::date(2026, 5, 1), 10_000)]);
    });
}

#[test]
fn a_campaign_finished_with_work_left_takes_no_more_and_ends_when_the_work_is_done() {
    play(async || {
        let options = RigOptions { rate_per_s: 10, ..RigOptions::default() };
        let stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
        let id = running(&stage).await;
        push(&stage, id, 0..300).await.unwrap();
        let by = stage.seed.author();
        stage.engine.finish(stage.seed.workspace, id, &by).await.unwrap();
        assert!(matches!(push(&stage, id, 300..301).await, Err(PushError::Finished)));
        let again = stage.engine.finish(stage.seed.workspace, id, &by).await;
        assert!(matches!(again, Err(EngineError::State(..))), "{again:?}");
        assert_eq!(stage.status(id).await.unwrap(), Status::Sending);
        stage.until_status(id, Status::Done, 2 * MINUTE).await.unwrap();
        each_once(&stage, 0..300);
    });
}

#[test]
fn a_call_that_cannot_be_taken_is_refused_whole_and_says_why() {
    play(async || {
        let stage = stage().await;
        let pending = stage.built(Mode::Trigger, SendingRules::default(), 0).await.unwrap();
        let refused = push(&stage, pending, 0..1).await;
        assert!(matches!(refused, Err(PushError::NotSending(Status::Pending))), "{refused:?}");
        let id = running(&stage).await;
        let by = stage.seed.author();
        let refused = push(&stage, id, 0..1_001).await;
        assert!(matches!(refused, Err(PushError::TooMany(1_001))), "{refused:?}");
        for bad in [0, 1_000_000_000_000_000] {
            let mut list = pushes(0..3);
            list[2].number = bad;
            let refused = stage.engine.push(stage.seed.workspace, id, list, &by).await;
            assert!(matches!(refused, Err(PushError::Number(2))), "{refused:?}");
        }
        let mut list = pushes(0..2);
        list[1].values.push("surplus".to_owned());
        let refused = stage.engine.push(stage.seed.workspace, id, list, &by).await;
        assert!(matches!(refused, Err(PushError::Values { place: 1, given: 1, needed: 0 })), "{refused:?}");
        let other = stage.built(Mode::OnDemand, SendingRules::default(), 5).await.unwrap();
        assert!(matches!(push(&stage, other, 0..1).await, Err(PushError::NotTrigger)));
        let foreign = WorkspaceId(id.0);
        let refused = stage.engine.push(foreign, id, pushes(0..1), &by).await;
        assert!(matches!(refused, Err(PushError::Engine(EngineError::Store(StoreError::NotFound)))));
        stage.engine.pause(stage.seed.workspace, id, &by).await.unwrap();
        let refused = push(&stage, id, 0..1).await;
        assert!(matches!(refused, Err(PushError::NotSending(Status::Paused))), "{refused:?}");
        stage.engine.resume(stage.seed.workspace, id, &by).await.unwrap();
        assert_eq!(push(&stage, id, 0..1).await.unwrap(), [0], "nothing refused was taken");
        stage.until(SOON, async |stage| stage.submits() == 1).await.unwrap();
        each_once(&stage, 0..1);
    });
}

#[test]
fn calls_at_once_get_ordinals_of_their_own_while_pauses_and_restarts_go_on() {
    play(async || {
        let mut stage = Solo::new(BEGIN, Config::default(), &RigOptions::default()).await.unwrap();
        let id = running(&stage).await;
        let by = stage.seed.author();
        let mut ordinals = BTreeSet::new();
        for round in 0..10_u64 {
            let calls = (0..20_u64).map(|n| {
                let (engine, by, workspace) = (stage.engine.clone(), by.clone(), stage.seed.workspace);
                let first = (round * 20 + n) * 25;
                let list = pushes(first..first + 25);
                tokio::spawn(async move { engine.push(workspace, id, list, &by).await })
            });
            let calls: Vec<_> = calls.collect();
            for call in calls {
                ordinals.extend(call.await.unwrap().unwrap());
            }
            stage.engine.pause(stage.seed.workspace, id, &by).await.unwrap();
            if round % 3 == 2 {
                stage.restart().await.unwrap();
            }
            stage.engine.resume(stage.seed.workspace, id, &by).await.unwrap();
        }
        assert_eq!(ordinals, (0..5_000).collect());
        stage.engine.finish(stage.seed.workspace, id, &by).await.unwrap();
        stage.until_status(id, Status::Done, SOON).await.unwrap();
        each_once(&stage, 0..5_000);
        assert_eq!(stage.stored(id).await.unwrap().charged.iter().map(|(_, n)| n).sum::<u64>(), 5_000);
    });
}

#[test]
fn after_a_power_loss_nothing_that_was_accepted_is_lost_and_nothing_is_sent_twice() {
    play(async || {
        let options = RigOptions { rate_per_s: 100, receipts: true, ..RigOptions::default() };
        let mut stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
        let id = running(&stage).await;
        for round in 0..6_u64 {
            let first = round * 1_000;
            push(&stage, id, first..first + 1_000).await.unwrap();
            pass(Duration::from_secs(round)).await;
            stage.crash().await.unwrap();
            assert_eq!(stage.counts(id).total, first + 1_000);
            if round == 3 {
                // Saved in order this time: the next crash goes on from files and journal.
                stage.restart().await.unwrap();
            }
        }
        let by = stage.seed.author();
        stage.engine.finish(stage.seed.workspace, id, &by).await.unwrap();
        stage.until_status(id, Status::Done, 5 * MINUTE).await.unwrap();
        let counts = stage.stored(id).await.unwrap().counts.unwrap();
        let exact = stage.smsc.with_ledger(|ledger| ledger.exact());
        assert!(exact.repeated().is_empty(), "{:?}", exact.repeated());
        let sure = counts.total - counts.unknown;
        let accepted = exact.destinations().len() as u64;
        assert!(counts.total == 6_000 && sure <= accepted && accepted <= 6_000, "{counts:?} {accepted}");
        let charged: u64 = stage.stored(id).await.unwrap().charged.iter().map(|(_, n)| n).sum();
        assert_eq!(charged, 6_000);
    });
}

#[test]
fn a_cancel_and_the_end_of_the_window_end_it_too() {
    play(async || {
        let options = RigOptions { rate_per_s: 10, ..RigOptions::default() };
        let stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
        let id = running(&stage).await;
        push(&stage, id, 0..1_000).await.unwrap();
        stage.engine.cancel(stage.seed.workspace, id, &stage.seed.author()).await.unwrap();
        stage.until(SOON, async |stage| stage.stored(id).await.unwrap().counts.is_some()).await.unwrap();
        let counts = stage.stored(id).await.unwrap().counts.unwrap();
        assert_eq!((counts.total, counts.sent + counts.cancelled), (1_000, 1_000));
        let rules = within("2026-05-01T08:00", "2026-05-01T09:00");
        let id = stage.built(Mode::Trigger, rules, 0).await.unwrap();
        stage.start(id).await.unwrap();
        pass(58 * MINUTE).await;
        push(&stage, id, 2_000..2_900).await.unwrap();
        push(&stage, id, 2_900..3_900).await.unwrap();
        stage.until_status(id, Status::Expired, 3 * MINUTE).await.unwrap();
        stage.until(SOON, async |stage| stage.stored(id).await.unwrap().counts.is_some()).await.unwrap();
        let counts = stage.stored(id).await.unwrap().counts.unwrap();
        assert_eq!((counts.total, counts.sent + counts.expired), (1_900, 1_900));
        assert!(counts.expired > 0 && counts.sent > 0, "{counts:?}");
    });
}
