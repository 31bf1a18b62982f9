//! Starts and ends by the clock, over restarts too.

use super::*;
use engine::model::HoldReason;
use tests::outfit::pass;

/// The second of the first submit, on the wall clock.
fn first_submit(stage: &Solo) -> Option<jiff::Timestamp> {
    let begin: jiff::Timestamp = BEGIN.parse().unwrap();
    let first_us = stage.smsc.with_ledger(|ledger| ledger.submits().first().map(|submit| submit.time_us))?;
    begin.checked_add(jiff::SignedDuration::from_micros(i64::try_from(first_us).unwrap())).ok()
}

#[test]
fn an_on_time_campaign_waits_without_an_actor_and_sends_within_a_second_of_its_time() {
    play(async || {
        let stage = stage().await;
        let id = stage.built(Mode::OnTime, at("2026-05-01T18:00"), 200).await.unwrap();
        stage.start(id).await.unwrap();
        let stored = stage.stored(id).await.unwrap();
        assert_eq!((stored.status, stored.started), (Status::Pending, true));
        assert_eq!(stored.hold_reason, Some(HoldReason::Scheduled));
        assert!(stage.engine.progress(id).is_none(), "nothing runs for it");
        let again = stage.engine.start_campaign(stage.seed.workspace, id, &stage.seed.author()).await;
        assert!(matches!(again, Err(EngineError::State(..))), "{again:?}");
        pass(10 * 60 * MINUTE - Duration::from_secs(5)).await;
        assert_eq!(stage.submits(), 0);
        stage.until_status(id, Status::Done, MINUTE).await.unwrap();
        let first = first_submit(&stage).unwrap();
        let due: jiff::Timestamp = "2026-05-01T18:00:00Z".parse().unwrap();
        let late = first.duration_since(due);
        assert!(!late.is_negative() && late <= jiff::SignedDuration::from_secs(1), "{first}");
    });
}

#[test]
fn a_scheduled_campaign_is_sent_on_time_by_the_next_engine_and_a_cancelled_one_never() {
    play(async || {
        let mut stage = stage().await;
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(stage.built(Mode::OnTime, at("2026-05-01T09:00"), 5).await.unwrap());
        }
        for id in &ids {
            stage.start(*id).await.unwrap();
        }
        stage.engine.cancel(stage.seed.workspace, ids[0], &stage.seed.author()).await.unwrap();
        pass(30 * MINUTE).await;
        stage.restart().await.unwrap();
        pass(30 * MINUTE - Duration::from_secs(1)).await;
        assert_eq!(stage.submits(), 0);
        for id in &ids[1..] {
            stage.until_status(*id, Status::Done, MINUTE).await.unwrap();
        }
        assert_eq!((stage.submits(), stage.status(ids[0]).await.unwrap()), (95, Status::Cancelled));
    });
}

#[test]
fn what_nobody_started_or_approved_in_time_expires_and_is_never_sent_late() {
    play(async || {
        let stage = stage().await;
        let unstarted = stage.built(Mode::OnTime, at("2026-05-01T09:00"), 5).await.unwrap();
        let spread = within("2026-05-01T09:00", "2026-05-01T10:30");
        let unstarted_spread = stage.built(Mode::Spread, spread, 5).await.unwrap();
        let (no, seed) = stage.draft(Mode::OnTime, at("2026-05-01T09:00"), 5).await.unwrap();
        let unapproved = stage.seed.submit(&*stage.store, no, seed, stage.now()).await.unwrap().id;
        stage.engine.campaign_changed(stage.seed.workspace, unapproved);
        pass(119 * MINUTE).await;
        for id in [unstarted, unapproved, unstarted_spread] {
            assert!(!stage.status(id).await.unwrap().is_final());
        }
        for id in [unstarted, unapproved] {
            stage.until_status(id, Status::Expired, 2 * MINUTE).await.unwrap();
            assert_eq!(stage.stored(id).await.unwrap().counts.unwrap().expired, 5);
        }
        let late = stage.engine.start_campaign(stage.seed.workspace, unstarted, &stage.seed.author()).await;
        assert!(matches!(late, Err(EngineError::State(..))), "{late:?}");
        pass(29 * MINUTE).await;
        stage.until_status(unstarted_spread, Status::Expired, 2 * MINUTE).await.unwrap();
        assert_eq!(stage.submits(), 0);
    });
}

#[test]
fn at_the_end_of_its_window_the_rest_of_a_campaign_expires_and_the_sum_is_exact() {
    play(async || {
        let options = RigOptions { rate_per_s: 10, ..RigOptions::default() };
        let mut stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
        let mut rules = at("2026-05-01T09:00");
        rules.schedule.window = within("2026-05-01T09:00", "2026-05-01T09:10").schedule.window;
        let id = stage.built(Mode::OnTime, rules, 20_000).await.unwrap();
        stage.start(id).await.unwrap();
        pass(65 * MINUTE).await;
        let (submits, status) = (stage.submits(), stage.status(id).await.unwrap());
        assert!((2_000..4_000).contains(&submits) && status == Status::Sending, "{submits} {status}");
        stage.restart().await.unwrap();
        pass(4 * MINUTE).await;
        stage.until_status(id, Status::Expired, 2 * MINUTE).await.unwrap();
        let submits = stage.submits();
        pass(10 * MINUTE).await;
        let counts = stage.stored(id).await.unwrap().counts.unwrap();
        assert!(stage.submits() <= submits + 100);
        assert_eq!((counts.total, counts.queued + counts.in_flight), (20_000, 0), "{counts:?}");
        assert_eq!(counts.sent + counts.unknown, stage.submits() as u64);
        assert_eq!(counts.expired + counts.sent + counts.unknown, 20_000);
        let end: jiff::Timestamp = "2026-05-01T09:10:02Z".parse().unwrap();
        assert!(stage.stored(id).await.unwrap().ended_at.unwrap() < end);
    });
}

#[test]
fn a_paused_campaign_expires_with_its_window() {
    play(async || {
        let options = RigOptions { rate_per_s: 10, ..RigOptions::default() };
        let stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
        let mut rules = at("2026-05-01T09:00");
        rules.schedule.window = within("2026-05-01T09:00", "2026-05-01T12:00").schedule.window;
        let id = stage.built(Mode::OnTime, rules, 5_000).await.unwrap();
        stage.start(id).await.unwrap();
        pass(61 * MINUTE).await;
        stage.engine.pause(stage.seed.workspace, id, &stage.seed.author()).await.unwrap();
        pass(178 * MINUTE).await;
        stage.until_status(id, Status::Expired, 2 * MINUTE).await.unwrap();
        assert_eq!(stage.counts(id).queued, 0);
    });
}

#[test]
fn a_thousand_scheduled_campaigns_all_start_when_they_are_due() {
    play(async || {
        let stage = stage().await;
        let mut ids = Vec::new();
        for _ in 0..1_000 {
            ids.push(stage.built(Mode::OnTime, at("2026-05-01T09:00"), 1).await.unwrap());
        }
        for id in &ids {
            stage.start(*id).await.unwrap();
            assert!(stage.engine.progress(*id).is_none());
        }
        pass(61 * MINUTE).await;
        stage.until(SOON, async |stage| stage.submits() == 1_000).await.unwrap();
        for id in &ids {
            stage.until_status(*id, Status::Done, SOON).await.unwrap();
        }
    });
}
