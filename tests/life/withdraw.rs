//! Cancelled, or cancelled and archived, before the start: both or neither, and never a message behind the answer.

use super::*;
use engine::store::Catalog;
use tests::outfit::pass;

#[test]
fn of_a_start_and_a_withdrawal_at_once_exactly_one_wins() {
    play(async || {
        let stage = stage().await;
        let (workspace, by) = (stage.seed.workspace, stage.seed.author());
        let (mut started, mut withdrawn) = (0, 0);
        for round in 0..60 {
            let id = stage.built(Mode::OnDemand, SendingRules::default(), 3).await.unwrap();
            let start = stage.engine.start_campaign(workspace, id, &by);
            let withdraw = stage.engine.withdraw_and_archive(workspace, id, &by);
            // Commands run as tasks of their own, so who is asked first is ahead by some of their steps.
            let (start, withdraw) = match round % 2 {
                0 => tokio::join!(start, withdraw),
                _ => {
                    let (withdraw, start) = tokio::join!(withdraw, start);
                    (start, withdraw)
                }
            };
            assert!(start.is_ok() != withdraw.is_ok(), "{round}: {start:?} {withdraw:?}");
            let stored = stage.stored(id).await.unwrap();
            assert_eq!(stored.filing.archived_at.is_some(), withdraw.is_ok());
            if withdraw.is_ok() {
                withdrawn += 1;
                assert_eq!(stored.status, Status::Cancelled);
                assert_eq!(stored.counts.unwrap().cancelled, 3);
                assert!(stage.engine.progress(id).is_none(), "nothing runs for it");
            } else {
                started += 1;
                stage.until_status(id, Status::Done, MINUTE).await.unwrap();
            }
        }
        pass(MINUTE).await;
        assert_eq!(stage.submits(), 3 * started);
        assert!(started > 0 && withdrawn > 0, "{started} started, {withdrawn} withdrawn");
    });
}

#[test]
fn what_is_withdrawn_at_the_second_of_its_time_is_not_sent_if_that_was_acknowledged() {
    play(async || {
        let stage = stage().await;
        let (workspace, by) = (stage.seed.workspace, stage.seed.author());
        let mut ids = Vec::new();
        for _ in 0..40 {
            let id = stage.built(Mode::OnTime, at("2026-05-01T09:00"), 2).await.unwrap();
            stage.start(id).await.unwrap();
            ids.push(id);
        }
        pass(60 * MINUTE - Duration::from_millis(10)).await;
        let mut withdrawn = Vec::new();
        for id in &ids {
            match stage.engine.withdraw_and_archive(workspace, *id, &by).await {
                Ok(()) => withdrawn.push(*id),
                Err(EngineError::State(status, _)) => {
                    assert!(matches!(status, Status::Sending | Status::Done), "{status}");
                }
                Err(error) => panic!("{error}"),
            }
            pass(Duration::from_millis(1)).await;
        }
        pass(10 * MINUTE).await;
        for id in &ids {
            let expected = if withdrawn.contains(id) { Status::Cancelled } else { Status::Done };
            assert_eq!(stage.status(*id).await.unwrap(), expected);
        }
        assert_eq!(stage.submits(), 2 * (ids.len() - withdrawn.len()));
        assert!(!withdrawn.is_empty());
    });
}

#[test]
fn a_withdrawal_into_the_archive_is_two_events_of_one_transaction() {
    play(async || {
        let stage = stage().await;
        let (workspace, by) = (stage.seed.workspace, stage.seed.author());
        let id = stage.built(Mode::OnDemand, SendingRules::default(), 3).await.unwrap();
        let before = stage.stored(id).await.unwrap().state_version;
        stage.engine.withdraw_and_archive(workspace, id, &by).await.unwrap();
        assert_eq!(stage.stored(id).await.unwrap().state_version, before + 2);
        let events = stage.store.audit(Scope::Workspace(workspace), 0).await.unwrap();
        let actions: Vec<_> = events.iter().rev().take(2).map(|event| event.action.as_str()).collect();
        assert_eq!(actions, ["campaign.archive", "campaign.cancel"]);
        assert!(events.iter().rev().take(2).all(|event| event.by.user_id == by.user_id));
        for again in [
            stage.engine.withdraw_and_archive(workspace, id, &by).await,
            stage.engine.withdraw(workspace, id, &by).await,
            stage.engine.start_campaign(workspace, id, &by).await,
        ] {
            assert!(matches!(again, Err(EngineError::State(Status::Cancelled, _))), "{again:?}");
        }
        let trigger = stage.built(Mode::Trigger, SendingRules::default(), 0).await.unwrap();
        stage.start(trigger).await.unwrap();
        for refused in [
            stage.engine.withdraw(workspace, trigger, &by).await,
            stage.engine.withdraw_and_archive(workspace, trigger, &by).await,
        ] {
            assert!(matches!(refused, Err(EngineError::State(Status::Sending, _))), "{refused:?}");
        }
    });
}
