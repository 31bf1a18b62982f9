//! The four modes on virtual time, over real days: when each row leaves, judged by the ledger and by hand.

#![expect(clippy::unwrap_used, reason = "tests")]

use bench::smsc::Config;
use engine::model::{
    CampaignId, HoldReason, LocalWindow, Mode, QuietHours, Schedule, SendingRules, Status, Workspace,
};
use engine::seed::Seed;
use jiff::Timestamp;
use jiff::civil::{DateTime, time};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;
use tests::invariants;
use tests::outfit::pass;
use tests::stage::{Line, Script, Stage, place};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn on_virtual_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

fn local(text: &str) -> DateTime {
    text.parse().unwrap()
}

fn schedule(start_at: Option<&str>, window: Option<(&str, &str)>) -> Schedule {
    Schedule {
        start_at: start_at.map(local),
        window: window.map(|(from, to)| LocalWindow { from: local(from), to: local(to) }),
        time_zone: "Europe/Berlin".to_owned(),
    }
}

/// A stage in Berlin with one channel of 100 segments a second.
async fn berlin(place: &tempfile::TempDir, at: &str, with: impl FnOnce(&mut Workspace)) -> (Stage, Seed) {
    let mut line = Line::new("one", Config { latency_us: 20_000, ..Config::default() }).unwrap();
    line.channel.rate_per_s = 100;
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let at = local(at).to_zoned(zone).unwrap().timestamp();
    let stage = Stage::new(place.path(), at, vec![line]).await.unwrap();
    let seed = stage
        .workspace("berlin", |w| {
            w.time_zone = "Europe/Berlin".to_owned();
            with(w);
        })
        .await
        .unwrap();
    (stage, seed)
}

fn script(mode: Mode, recipients: u64, rules: SendingRules) -> Script {
    Script { mode, recipients, rules, ..Script::default() }
}

/// Local second of every submit, with how many were in it.
fn seconds(stage: &Stage) -> BTreeMap<DateTime, u64> {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let mut seconds = BTreeMap::new();
    for (ledger, zero_us) in stage.ledgers() {
        for submit in ledger.submits() {
            let at = Timestamp::from_second(((zero_us + submit.time_us) / 1_000_000) as i64).unwrap();
            *seconds.entry(at.to_zoned(zone.clone()).datetime()).or_default() += 1;
        }
    }
    seconds
}

async fn run_to_the_end(stage: &mut Stage, ids: &[CampaignId], limit: Duration) -> BTreeMap<DateTime, u64> {
    stage.until_final(limit, ids).await.unwrap();
    stage.engine.clone().shutdown().await;
    invariants::check(&*stage).await.unwrap();
    seconds(stage)
}

#[test]
fn an_on_time_campaign_starts_in_its_very_second_and_not_before() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = berlin(&place, "2026-05-04T17:00:00", |_| ()).await;
        let rules = SendingRules {
            schedule: schedule(Some("2026-05-04T18:00:00"), None),
            auto_start: true,
            ..SendingRules::default()
        };
        let id = stage.campaign(&seed, &script(Mode::OnTime, 500, rules)).await.unwrap();
        let campaign = stage.stored(id).await.unwrap();
        assert_eq!((campaign.status, campaign.hold_reason), (Status::Pending, Some(HoldReason::Scheduled)));
        assert!(stage.engine.progress(id).is_none(), "no actor, no account before its time");
        let sent = run_to_the_end(&mut stage, &[id], 2 * HOUR).await;
        assert_eq!(*sent.keys().next().unwrap(), local("2026-05-04T18:00:00"));
        assert!(*sent.keys().last().unwrap() <= local("2026-05-04T18:00:06"), "{sent:?}");
    });
}

#[test]
fn a_scheduled_campaign_survives_a_restart_and_one_that_nobody_started_expires() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = berlin(&place, "2026-05-04T17:00:00", |_| ()).await;
        let at = |auto_start| SendingRules {
            schedule: schedule(Some("2026-05-04T18:00:00"), None),
            auto_start,
            ..SendingRules::default()
        };
        let started = stage.campaign(&seed, &script(Mode::OnTime, 50, at(true))).await.unwrap();
        let forgotten = stage.campaign(&seed, &script(Mode::OnTime, 50, at(false))).await.unwrap();
        assert_eq!(stage.stored(forgotten).await.unwrap().hold_reason, Some(HoldReason::AwaitingStart));
        stage.restart().await.unwrap();
        run_to_the_end(&mut stage, &[started, forgotten], 4 * HOUR).await;
        assert_eq!(stage.stored(started).await.unwrap().status, Status::Done);
        assert_eq!(stage.stored(forgotten).await.unwrap().status, Status::Expired);
        assert_eq!(stage.stored(started).await.unwrap().counts.unwrap().sent, 50);
    });
}

#[test]
fn a_thousand_scheduled_campaigns_have_no_actor_until_they_are_due() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = berlin(&place, "2026-05-04T17:00:00", |_| ()).await;
        let rules = SendingRules {
            schedule: schedule(Some("2026-05-05T18:00:00"), None),
            auto_start: true,
            ..SendingRules::default()
        };
        let mut ids = Vec::new();
        for _ in 0..1_000 {
            ids.push(stage.campaign(&seed, &script(Mode::OnTime, 2, rules.clone())).await.unwrap());
        }
        assert!(ids.iter().all(|id| stage.engine.progress(*id).is_none()));
        stage.until_final(2 * DAY, &ids).await.unwrap();
        assert_eq!(seconds(&stage).values().sum::<u64>(), 2_000);
    });
}

#[test]
fn a_spread_over_thirty_minutes_is_even_to_the_second() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = berlin(&place, "2026-05-04T09:00:00", |_| ()).await;
        let rules = SendingRules {
            schedule: schedule(None, Some(("2026-05-04T10:00:00", "2026-05-04T10:30:00"))),
            auto_start: true,
            ..SendingRules::default()
        };
        let id = stage.campaign(&seed, &script(Mode::Spread, 4_000, rules)).await.unwrap();
        let sent = run_to_the_end(&mut stage, &[id], 3 * HOUR).await;
        let minute = |m: i8| -> u64 {
            sent.iter().filter(|(at, _)| at.hour() == 10 && at.minute() == m).map(|(_, n)| n).sum()
        };
        let minutes: Vec<u64> = (0..30).map(minute).collect();
        assert_eq!(minutes.iter().sum::<u64>(), 4_000);
        assert!(minutes.iter().all(|n| (133..=134).contains(n)), "{minutes:?}");
        // Two or three a second.
        let odd: Vec<_> = sent.iter().filter(|(_, n)| !(2..=3).contains(*n)).take(5).collect();
        assert!(odd.is_empty(), "{odd:?}");
    });
}

#[test]
fn a_spread_over_days_keeps_days_even_quiet_hours_quiet_and_its_plan_over_restarts() {
    on_virtual_time(async {
        let place = place().unwrap();
        let quiet = QuietHours { from: time(21, 0, 0, 0), to: time(8, 0, 0, 0) };
        // The clock goes forward in the night of the second day.
        let (mut stage, seed) = berlin(&place, "2026-03-27T12:00:00", |w| w.quiet_hours = Some(quiet)).await;
        let rules = SendingRules {
            schedule: schedule(None, Some(("2026-03-28T00:00:00", "2026-03-31T00:00:00"))),
            auto_start: true,
            ..SendingRules::default()
        };
        let id = stage.campaign(&seed, &script(Mode::Spread, 1_000, rules)).await.unwrap();
        let plan = stage.stored(id).await.unwrap().plan.unwrap();
        for _ in 0..3 {
            pass(19 * HOUR).await;
            stage.restart().await.unwrap();
        }
        let sent = run_to_the_end(&mut stage, &[id], 3 * DAY).await;
        assert_eq!(stage.stored(id).await.unwrap().plan.unwrap().version, plan.version);
        let mut days: BTreeMap<_, u64> = BTreeMap::new();
        for (at, count) in &sent {
            *days.entry(at.date()).or_default() += count;
        }
        let counts: Vec<u64> = days.values().copied().collect();
        assert_eq!(counts.len(), 3, "{days:?}");
        assert!(counts.iter().all(|n| (333..=334).contains(n)), "{days:?}");
    });
}

#[test]
fn a_spread_goes_on_evenly_after_an_outage_and_never_bursts() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = berlin(&place, "2026-05-04T09:00:00", |_| ()).await;
        let rules = SendingRules {
            schedule: schedule(None, Some(("2026-05-04T10:00:00", "2026-05-04T12:00:00"))),
            auto_start: true,
            ..SendingRules::default()
        };
        let id = stage.campaign(&seed, &script(Mode::Spread, 7_200, rules)).await.unwrap();
        stage.until(2 * HOUR, |s| s.counts(id).sent >= 1_800).await.unwrap();
        stage.lines[0].smsc.set_down(true).await.unwrap();
        pass(30 * Duration::from_secs(60)).await;
        stage.lines[0].smsc.set_down(false).await.unwrap();
        let sent = run_to_the_end(&mut stage, &[id], 3 * HOUR).await;
        let campaign = stage.stored(id).await.unwrap();
        assert!(campaign.plan.unwrap().version > 1);
        let counts = campaign.counts.unwrap();
        assert!(counts.sent + counts.unknown == 7_200, "{counts:?}");
        // One a second before; what half an hour held back is spread over the hour that is left.
        assert!(sent.values().all(|n| *n <= 5), "{:?}", sent.values().max());
        let late: u64 =
            sent.iter().filter(|(at, _)| **at > local("2026-05-04T11:10:00")).map(|(_, n)| n).sum();
        assert!(late > 3_600, "{late} in the last fifty minutes");
    });
}

#[test]
fn a_daily_limit_holds_over_days_and_restarts_and_a_shared_one_over_campaigns() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = berlin(&place, "2026-10-24T22:00:00", |w| w.daily_limit = Some(150)).await;
        let rules = |limit| SendingRules { daily_limit: limit, ..SendingRules::default() };
        let first = stage.campaign(&seed, &script(Mode::OnDemand, 250, rules(Some(100)))).await.unwrap();
        let second = stage.campaign(&seed, &script(Mode::OnDemand, 120, rules(None))).await.unwrap();
        for id in [first, second] {
            stage.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
        }
        pass(HOUR).await;
        assert_eq!(stage.counts(first).sent + stage.counts(second).sent, 150);
        stage.restart().await.unwrap();
        // The day of the restart has twenty-five hours.
        pass(HOUR / 2).await;
        assert_eq!(stage.counts(first).sent + stage.counts(second).sent, 150);
        let sent = run_to_the_end(&mut stage, &[first, second], 5 * DAY).await;
        let days: std::collections::BTreeSet<_> = sent.keys().map(|at| at.date()).collect();
        assert!(days.len() >= 3, "{days:?}");
        assert_eq!(sent.values().sum::<u64>(), 370);
    });
}

#[test]
fn what_is_left_when_the_time_is_over_expires() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = berlin(&place, "2026-05-04T17:59:00", |_| ()).await;
        let rules = SendingRules {
            schedule: schedule(
                Some("2026-05-04T18:00:00"),
                Some(("2026-05-04T18:00:00", "2026-05-04T18:01:00")),
            ),
            auto_start: true,
            ..SendingRules::default()
        };
        let id = stage.campaign(&seed, &script(Mode::OnTime, 20_000, rules)).await.unwrap();
        run_to_the_end(&mut stage, &[id], HOUR).await;
        let campaign = stage.stored(id).await.unwrap();
        let counts = campaign.counts.unwrap();
        assert_eq!(campaign.status, Status::Expired);
        assert!((5_900..=6_020).contains(&counts.sent), "{counts:?}");
        assert_eq!(counts.sent + counts.expired, 20_000, "{counts:?}");
    });
}

#[test]
fn quiet_hours_interrupt_a_running_campaign_on_both_days_when_the_clocks_change() {
    for at in ["2026-03-28T20:30:00", "2026-10-24T20:30:00"] {
        on_virtual_time(async {
            let place = place().unwrap();
            let quiet = QuietHours { from: time(21, 0, 0, 0), to: time(6, 30, 0, 0) };
            let (mut stage, seed) = berlin(&place, at, |w| {
                w.quiet_hours = Some(quiet);
                w.rate_per_s = 5;
            })
            .await;
            let rules = SendingRules::default();
            let id = stage.campaign(&seed, &script(Mode::OnDemand, 12_000, rules)).await.unwrap();
            stage.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
            pass(HOUR).await;
            assert_eq!(stage.engine.hold_reason(id), Some(HoldReason::QuietHours));
            let sent = run_to_the_end(&mut stage, &[id], DAY).await;
            assert_eq!(sent.values().sum::<u64>(), 12_000);
            let evening = sent.keys().filter(|s| s.hour() == 20).count();
            assert!(evening > 1_700, "sent until the last minute before the quiet hours: {evening}");
            let first = sent.keys().find(|s| s.hour() < 20).unwrap();
            assert_eq!((first.hour(), first.minute()), (6, 30), "and from the first behind them: {first}");
        });
    }
}
