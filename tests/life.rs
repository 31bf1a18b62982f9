//! A campaign's life: built from what the store holds, started, held and ended by its calendar, one winner a version.

#![expect(clippy::unwrap_used, reason = "tests")]

mod build;
mod calendar;
mod ends;
mod limits;
mod overdue;
mod tenant;
mod traffic;
mod trigger;
mod withdraw;

use bench::smsc::Config;
use engine::EngineError;
use engine::model::{
    CampaignId, LocalWindow, Mode, Principal, Schedule, SendingRules, Status, SuppressionKind, UnitStatus,
    WorkspaceId,
};
use engine::store::{Scope, StoreError};
use jiff::civil::DateTime;
use std::time::Duration;
use tests::rig::{FIRST_NUMBER, RigOptions};
use tests::solo::Solo;

/// When every story begins.
const BEGIN: &str = "2026-05-01T08:00:00Z";
/// Longer than anything here takes when nothing waits for a clock.
const SOON: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs a story on a paused clock.
fn play<F: Future<Output = ()>>(story: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(story());
}

async fn stage() -> Solo {
    Solo::new(BEGIN, Config::default(), &RigOptions::default()).await.unwrap()
}

fn local(text: &str) -> DateTime {
    text.parse().unwrap()
}

/// Rules of an OnTime campaign, in UTC.
fn at(start: &str) -> SendingRules {
    let schedule = Schedule { start_at: Some(local(start)), ..Schedule::default() };
    SendingRules { schedule, ..SendingRules::default() }
}

/// Rules with a window, in UTC.
fn within(from: &str, to: &str) -> SendingRules {
    let window = Some(LocalWindow { from: local(from), to: local(to) });
    SendingRules { schedule: Schedule { window, ..Schedule::default() }, ..SendingRules::default() }
}

type Whose = (WorkspaceId, CampaignId);

/// One of the commands, by number.
async fn command(engine: &engine::Engine, (workspace, id): Whose, by: &Principal, n: usize) -> bool {
    let done = match n % 4 {
        0 => engine.start_campaign(workspace, id, by).await,
        1 => engine.pause(workspace, id, by).await,
        2 => engine.resume(workspace, id, by).await,
        _ => engine.cancel(workspace, id, by).await,
    };
    match done {
        Ok(()) => true,
        Err(EngineError::State(..) | EngineError::Store(StoreError::Conflict { .. })) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn of_a_hundred_commands_at_once_exactly_one_wins_each_version() {
    play(async || {
        let stage = stage().await;
        let id = stage.built(Mode::OnDemand, SendingRules::default(), 3_000).await.unwrap();
        let whose = (stage.seed.workspace, id);
        let before = stage.stored(id).await.unwrap().state_version;
        let by = stage.seed.author();
        let commands = (0..100).map(|n| {
            let (engine, by) = (stage.engine.clone(), by.clone());
            // Starts, pauses, resumes, and one cancel at the end.
            tokio::spawn(async move { command(&engine, whose, &by, if n == 99 { 3 } else { n % 3 }).await })
        });
        let commands: Vec<_> = commands.collect();
        let mut won = 0;
        for command in commands {
            won += u32::from(command.await.unwrap());
        }
        let stored = stage.stored(id).await.unwrap();
        let completed = u32::from(stored.counts.is_some());
        assert_eq!(stored.state_version, before + won + completed, "{stored:?}");
        assert!(won > 0);
        // Whatever the order was, it can still be ended, and then nothing moves it.
        command(&stage.engine, whose, &by, 3).await;
        let is_ended =
            async |stage: &Solo| stage.stored(id).await.unwrap().counts.is_some() || stage.submits() == 0;
        stage.until(SOON, is_ended).await.unwrap();
        assert!(stage.status(id).await.unwrap().is_final());
        for n in 0..4 {
            assert!(!command(&stage.engine, whose, &by, n).await);
        }
    });
}

#[test]
fn of_a_hundred_starts_one_wins_and_everybody_gets_one_message() {
    play(async || {
        let stage = stage().await;
        let id = stage.built(Mode::OnDemand, SendingRules::default(), 500).await.unwrap();
        let whose = (stage.seed.workspace, id);
        let starts = (0..100).map(|_| {
            let (engine, by) = (stage.engine.clone(), stage.seed.author());
            tokio::spawn(async move { command(&engine, whose, &by, 0).await })
        });
        let starts: Vec<_> = starts.collect();
        let mut won = 0;
        for start in starts {
            won += u32::from(start.await.unwrap());
        }
        assert_eq!(won, 1);
        stage.until_status(id, Status::Done, SOON).await.unwrap();
        assert_eq!((stage.submits(), stage.counts(id).sent), (500, 500));
        let stored = stage.stored(id).await.unwrap();
        assert_eq!(stored.charged, [(jiff::civil::date(2026, 5, 1), 500)]);
        assert!(stored.started && stored.ended_at.is_some());
    });
}

#[test]
fn a_failed_campaign_names_its_reason_and_sends_nothing_more() {
    play(async || {
        let options = RigOptions { rate_per_s: 50, ..RigOptions::default() };
        let stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
        let id = stage.built(Mode::OnDemand, SendingRules::default(), 1_000).await.unwrap();
        stage.start(id).await.unwrap();
        stage.until(SOON, async |stage| stage.submits() >= 100).await.unwrap();
        let by = Principal::engine();
        stage.engine.fail(stage.seed.workspace, id, "the SMSC closed the account", &by).await.unwrap();
        let submits = stage.submits();
        tests::outfit::pass(MINUTE).await;
        assert!(stage.submits() <= submits + 100, "what lay in the sockets");
        let stored = stage.stored(id).await.unwrap();
        assert_eq!(stored.status, Status::Failed);
        assert_eq!(stored.reason.as_deref(), Some("the SMSC closed the account"));
        let counts = stored.counts.unwrap();
        assert_eq!((counts.sent + counts.cancelled, counts.sent), (1_000, stage.submits() as u64));
    });
}

#[test]
fn what_an_ended_campaign_did_not_send_is_in_its_file_before_its_end_is_recorded() {
    play(async || {
        let mut stage = stage().await;
        let id = stage.built(Mode::OnDemand, SendingRules::default(), 20).await.unwrap();
        let (workspace, by) = (stage.seed.workspace, stage.seed.author());
        let scope = Scope::Workspace(workspace);
        let kind = (SuppressionKind::Block, "test");
        stage.engine.suppress(scope, vec![FIRST_NUMBER], kind, &by).await.unwrap();
        stage.smsc.set_down(true).await.unwrap();
        stage.start(id).await.unwrap();
        stage.until(SOON, async |stage| stage.counts(id).skipped == 1).await.unwrap();
        // Saves the columns as they are, with nineteen still queued.
        stage.restart().await.unwrap();
        stage.engine.cancel(workspace, id, &by).await.unwrap();
        stage.until(SOON, async |stage| stage.stored(id).await.unwrap().counts.is_some()).await.unwrap();
        stage.crash().await.unwrap();
        stage.restart().await.unwrap();
        let campaign = stage.stored(id).await.unwrap();
        let rows = engine::report::recipients(&*stage.store, &campaign, 0).await.unwrap();
        let of = |status| rows.iter().filter(|row| row.status == status).count();
        assert_eq!((of(UnitStatus::Skipped), of(UnitStatus::Cancelled)), (1, 19));
    });
}
