//! Trigger campaigns on virtual time: what is durable is sent once, soon, and only while it may be.

#![expect(clippy::unwrap_used, reason = "tests")]

use bench::smsc::Config;
use engine::model::{CampaignId, Lane, Mode, QuietHours, SendingRules, Status};
use engine::seed::Seed;
use engine::{Push, PushError};
use jiff::civil::time;
use std::future::Future;
use std::time::Duration;
use tests::invariants;
use tests::outfit::pass;
use tests::stage::{Line, Script, Stage, place};

fn on_virtual_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

const FIRST: u64 = 4_917_000_000_000;

async fn stage(
    place: &tempfile::TempDir,
    at: &str,
    with: impl FnOnce(&mut engine::model::Workspace),
) -> (Stage, Seed) {
    let mut line = Line::new("one", Config { latency_us: 5_000, ..Config::default() }).unwrap();
    line.channel.rate_per_s = 100;
    let stage = Stage::new(place.path(), at.parse().unwrap(), vec![line]).await.unwrap();
    let seed = stage.workspace("codes", with).await.unwrap();
    (stage, seed)
}

fn script(rules: SendingRules) -> Script {
    let rules = SendingRules { lane: Lane::Otp, ..rules };
    Script { mode: Mode::Trigger, recipients: 0, rules, ..Script::default() }
}

async fn started(stage: &mut Stage, seed: &Seed, rules: SendingRules) -> CampaignId {
    let id = stage.campaign(seed, &script(rules)).await.unwrap();
    stage.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
    id
}

async fn push(
    stage: &Stage,
    seed: &Seed,
    id: CampaignId,
    numbers: impl Iterator<Item = u64>,
) -> Result<Vec<u64>, PushError> {
    let items = numbers.map(|number| Push { number, values: Vec::new() }).collect();
    stage.engine.push(seed.workspace, id, items, &seed.author()).await
}

async fn finish(stage: &mut Stage, seed: &Seed, id: CampaignId) {
    stage.engine.finish(seed.workspace, id, &seed.author()).await.unwrap();
    stage.until_final(Duration::from_secs(60), &[id]).await.unwrap();
}

#[test]
fn a_pushed_number_is_on_the_wire_within_fifty_milliseconds() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, "2026-05-04T10:00:00Z", |_| ()).await;
        let id = started(&mut stage, &seed, SendingRules::default()).await;
        for n in 0..100 {
            let asked_ms = stage.now_ms();
            let given = push(&stage, &seed, id, std::iter::once(FIRST + n)).await.unwrap();
            assert_eq!(given, [n], "ordinals count from 0");
            pass(Duration::from_millis(333)).await;
            let (ledger, zero_us) = &stage.ledgers()[0];
            let submit = ledger.submits().last().unwrap();
            assert_eq!(submit.destination, FIRST + n);
            let late_ms = (zero_us + submit.time_us) / 1000 - asked_ms;
            assert!(late_ms <= 50, "{late_ms} ms");
        }
        finish(&mut stage, &seed, id).await;
        assert_eq!(stage.stored(id).await.unwrap().counts.unwrap().sent, 100);
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}

#[test]
fn numbers_are_taken_only_between_start_and_finish_and_a_quiet_campaign_stays_open() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, "2026-05-04T10:00:00Z", |_| ()).await;
        let id = stage.campaign(&seed, &script(SendingRules::default())).await.unwrap();
        assert!(push(&stage, &seed, id, std::iter::once(FIRST)).await.is_err(), "not started");
        stage.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
        assert!(push(&stage, &seed, id, FIRST..FIRST + 1_001).await.is_err(), "more than a call may bring");
        push(&stage, &seed, id, FIRST..FIRST + 1_000).await.unwrap();
        pass(Duration::from_secs(3_600)).await;
        assert_eq!(stage.stored(id).await.unwrap().status, Status::Sending, "settled, but open");
        // The same number again is a second message.
        finish(&mut stage, &seed, id).await;
        assert!(push(&stage, &seed, id, std::iter::once(FIRST)).await.is_err(), "finished");
        assert_eq!(stage.stored(id).await.unwrap().counts.unwrap().sent, 1_000);
    });
}

#[test]
fn what_was_pushed_before_a_restart_is_sent_once_behind_it() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, "2026-05-04T10:00:00Z", |_| ()).await;
        let id = started(&mut stage, &seed, SendingRules::default()).await;
        for round in 0..12 {
            let from = FIRST + round * 500;
            push(&stage, &seed, id, from..from + 500).await.unwrap();
            pass(Duration::from_millis(700)).await;
            if round % 3 == 2 {
                stage.restart().await.unwrap();
            }
        }
        finish(&mut stage, &seed, id).await;
        let counts = stage.stored(id).await.unwrap().counts.unwrap();
        assert_eq!((counts.total, counts.sent + counts.unknown), (6_000, 6_000), "{counts:?}");
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}

#[test]
fn quiet_hours_defer_a_trigger_unless_it_ignores_them() {
    on_virtual_time(async {
        let place = place().unwrap();
        let quiet = QuietHours { from: time(21, 0, 0, 0), to: time(8, 0, 0, 0) };
        let (mut stage, seed) = stage(&place, "2026-05-04T22:00:00Z", |w| w.quiet_hours = Some(quiet)).await;
        let patient = started(&mut stage, &seed, SendingRules::default()).await;
        let urgent =
            started(&mut stage, &seed, SendingRules { ignore_daily_window: true, ..SendingRules::default() })
                .await;
        push(&stage, &seed, patient, FIRST..FIRST + 10).await.unwrap();
        push(&stage, &seed, urgent, FIRST + 50..FIRST + 60).await.unwrap();
        pass(Duration::from_secs(5)).await;
        assert_eq!((stage.counts(patient).queued, stage.counts(urgent).sent), (10, 10));
        pass(Duration::from_secs(10 * 3_600)).await;
        assert_eq!(stage.counts(patient).sent, 10);
        for id in [patient, urgent] {
            finish(&mut stage, &seed, id).await;
        }
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}

#[test]
fn a_code_that_is_too_old_expires_instead_of_being_sent_late() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, "2026-05-04T10:00:00Z", |_| ()).await;
        let rules = SendingRules { validity_s: Some(60), ..SendingRules::default() };
        let id = started(&mut stage, &seed, rules).await;
        stage.lines[0].smsc.set_down(true).await.unwrap();
        pass(Duration::from_secs(5)).await;
        push(&stage, &seed, id, FIRST..FIRST + 20).await.unwrap();
        pass(Duration::from_secs(40)).await;
        stage.restart().await.unwrap();
        pass(Duration::from_secs(600)).await;
        stage.lines[0].smsc.set_down(false).await.unwrap();
        pass(Duration::from_secs(60)).await;
        push(&stage, &seed, id, FIRST + 20..FIRST + 30).await.unwrap();
        finish(&mut stage, &seed, id).await;
        let counts = stage.stored(id).await.unwrap().counts.unwrap();
        assert_eq!((counts.expired, counts.sent), (20, 10), "{counts:?}");
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}

#[test]
fn a_campaign_that_is_cancelled_with_nothing_left_to_send_gets_its_account() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, "2026-05-04T10:00:00Z", |_| ()).await;
        let id = started(&mut stage, &seed, SendingRules::default()).await;
        push(&stage, &seed, id, FIRST..FIRST + 7).await.unwrap();
        pass(Duration::from_secs(60)).await;
        stage.cancel(&seed, id).await.unwrap();
        pass(Duration::from_secs(60)).await;
        let campaign = stage.stored(id).await.unwrap();
        assert_eq!(campaign.status, Status::Cancelled);
        assert_eq!(campaign.counts.unwrap().sent, 7);
    });
}
