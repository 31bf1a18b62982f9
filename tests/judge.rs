//! The judge itself: what it reads is changed behind a clean run, one invariant at a time, and it must notice.

#![expect(clippy::unwrap_used, reason = "tests")]

use bench::smsc::{Config, ReceiptConfig};
use engine::ChannelConfig;
use engine::model::{
    Campaign, CampaignId, ChunkState, DeliveryPolicy, EntityId, LocalWindow, Mode, Plan, PlanSpan,
    QuietHours, Sender, SuppressionKind, UnitStatus, Workspace, WorkspaceId,
};
use engine::seed::Seed;
use engine::store::{Catalog, Change, Entity, Expect, Journal, Kind, Scope, StateSave};
use jiff::civil::{date, time};
use std::time::Duration;
use tests::evidence::{Evidence, Stop};
use tests::invariants;
use tests::stage::{Hushed, Line, Script, Stage};

/// A finished run of 300 recipients at 100 a second, from 10:00, with all of their receipts. `before` keeps the store as
/// it was before anything was sent.
async fn clean_run(place: &std::path::Path) -> (Stage, Seed) {
    let receipts = ReceiptConfig { delay_us: 1_000_000, ..ReceiptConfig::default() };
    let config = Config { receipts: Some(receipts), latency_us: 100_000, ..Config::default() };
    let mut line = Line::new("one", config).unwrap();
    line.channel.rate_per_s = 100;
    let at = "2026-01-01T10:00:00Z".parse().unwrap();
    let mut stage = Stage::new(place, at, vec![line]).await.unwrap();
    let seed = stage.workspace("judged", |_| ()).await.unwrap();
    let script = Script { recipients: 300, receipts: true, ..Script::default() };
    let id = stage.campaign(&seed, &script).await.unwrap();
    tests::solo::copy(&place.join("store"), &place.join("before/store")).unwrap();
    stage.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
    stage.until_final(Duration::from_secs(60), &[id]).await.unwrap();
    let is_told = |stage: &Stage| stage.lines[0].smsc.stats().receipts_open() == 0;
    stage.until(Duration::from_secs(60), is_told).await.unwrap();
    stage.engine.clone().shutdown().await;
    (stage, seed)
}

/// Changes one stored entity behind everybody's back.
async fn doctor(stage: &Stage, seed: &Seed, kind: Kind, id: EntityId, change: impl FnOnce(&mut Entity)) {
    let scope = if kind == Kind::Workspace { Scope::Platform } else { Scope::Workspace(seed.workspace) };
    let mut entity = stage.store.get(scope, kind, id).await.unwrap();
    let expect = Expect::Version(entity.state_version());
    change(&mut entity);
    let change = Change { scope, expect, entity, action: "test.doctor" };
    stage.store.apply(vec![change], &seed.author(), stage.now()).await.unwrap();
}

async fn doctor_campaign(stage: &Stage, seed: &Seed, id: CampaignId, change: fn(&mut Campaign)) {
    doctor(stage, seed, Kind::Campaign, id.into(), |entity| {
        if let Entity::Campaign(campaign) = entity {
            change(campaign);
            campaign.state_version += 1;
        }
    })
    .await;
}

/// Stores the columns of a chunk behind everybody's back.
async fn save(stage: &Stage, campaign: &Campaign, state: ChunkState) {
    let watermark = stage.store.header(campaign.no).await.unwrap().watermark;
    let save = StateSave { watermark, chunks: vec![state], ..StateSave::default() };
    stage.store.save_state(campaign.no, save).await.unwrap();
}

enum Lie {
    Workspace(fn(&mut Workspace)),
    Campaign(fn(&mut Campaign)),
    Sender(fn(&mut Sender)),
    Channel(fn(&mut ChannelConfig)),
    /// The first unit's status.
    Unit(UnitStatus),
    /// The first unit waits for a receipt, which was taken.
    Waiting,
    /// A unit without a status.
    Lost,
    /// Everything is sent once more.
    Again,
    /// Also what the test itself is said to have done.
    Told(fn(&mut Stage)),
    /// What a test hands over.
    Evidence(fn(&mut Evidence)),
}

fn a_window(from: &str, to: &str) -> Option<LocalWindow> {
    Some(LocalWindow { from: from.parse().unwrap(), to: to.parse().unwrap() })
}

/// Approved as a Spread campaign with this plan.
fn spread(campaign: &mut Campaign, plan: Option<Plan>) {
    (campaign.mode, campaign.plan) = (Mode::Spread, plan);
    let content_hash = campaign.content_hash();
    campaign.approvals.iter_mut().for_each(|approval| approval.content_hash = content_hash.clone());
}

/// A plan of so many rows in one span until 10:00:02.
fn a_plan(rows: u64, covered: u64) -> Option<Plan> {
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    let span = PlanSpan {
        day: date(2026, 1, 1),
        from_s: at("2026-01-01T10:00:00Z"),
        to_s: at("2026-01-01T10:00:02Z"),
        rows,
    };
    Some(Plan { version: 1, rows: vec![(0, covered)], spans: vec![span] })
}

/// A stop with what was written by then, and no resume behind it.
fn counted_stop(evidence: &mut Evidence) {
    let (campaign, _) = evidence.campaigns[0];
    evidence.stops.push(Stop { campaign, at_us: u64::MAX, written: Some(299) });
}

const LIES: [(&str, Lie); 39] = [
    ("I2", Lie::Evidence(|e| e.campaigns[0].1.as_mut().unwrap().unknown += 1)),
    ("I3", Lie::Evidence(|e| e.traces.push(e.traces[0].clone()))),
    ("I4", Lie::Evidence(|e| e.traces.clear())),
    ("I4", Lie::Unit(UnitStatus::Cancelled)),
    ("I10", Lie::Evidence(counted_stop)),
    ("I12", Lie::Evidence(|e| e.campaigns.clear())),
    ("I14", Lie::Evidence(|e| e.traces[0].channel.window = 1)),
    ("I1", Lie::Unit(UnitStatus::Intended)),
    ("I1", Lie::Lost),
    ("I3", Lie::Again),
    ("I4", Lie::Unit(UnitStatus::Skipped)),
    ("I4", Lie::Unit(UnitStatus::Undeliverable)),
    ("I4", Lie::Unit(UnitStatus::Expired)),
    ("I4", Lie::Unit(UnitStatus::Rejected)),
    // Nobody waits for its receipt any more.
    ("I1", Lie::Unit(UnitStatus::Sent)),
    ("I4", Lie::Waiting),
    ("I2", Lie::Campaign(|c| c.counts.as_mut().unwrap().sent -= 1)),
    (
        "I6",
        Lie::Workspace(|w| {
            w.quiet_hours = Some(QuietHours { from: time(9, 0, 0, 0), to: time(11, 0, 0, 0) })
        }),
    ),
    (
        "I6",
        Lie::Workspace(|w| {
            w.quiet_hours = Some(QuietHours { from: time(22, 0, 0, 0), to: time(10, 30, 0, 0) })
        }),
    ),
    (
        "I6",
        Lie::Campaign(|c| c.content.rules.schedule.start_at = Some("2026-01-01T10:00:02".parse().unwrap())),
    ),
    (
        "I6",
        Lie::Campaign(|c| {
            c.content.rules.schedule.window = a_window("2026-01-01T10:00", "2026-01-01T10:00:02")
        }),
    ),
    (
        "I6",
        Lie::Campaign(|c| {
            c.content.rules.schedule.window = a_window("2026-01-01T10:00:01", "2026-01-01T11:00")
        }),
    ),
    ("I7", Lie::Workspace(|w| w.rate_per_s = 50)),
    ("I7", Lie::Channel(|c| c.rate_per_s = 50)),
    ("I7", Lie::Sender(|s| s.rate_per_s = 50)),
    ("I8", Lie::Workspace(|w| w.daily_limit = Some(299))),
    ("I8", Lie::Campaign(|c| c.content.rules.daily_limit = Some(299))),
    // Of what is sent at least once the account tells, and must be no later than what was seen.
    (
        "I8",
        Lie::Campaign(|c| {
            c.delivery_policy = DeliveryPolicy::AtLeastOnce;
            c.content.rules.daily_limit = Some(300);
            c.charged[0].1 = 299;
        }),
    ),
    ("I9", Lie::Campaign(|c| c.content.text.push('!'))),
    ("I9", Lie::Campaign(|c| c.approvals[0].by = c.created_by)),
    ("I9", Lie::Campaign(|c| c.approvals[0].at += jiff::SignedDuration::from_secs(1))),
    (
        "I10",
        Lie::Told(|s| {
            let at_ms = s.now_ms() - 60_000;
            s.stops.push((s.campaigns[0].0, at_ms));
        }),
    ),
    ("I11", Lie::Campaign(|c| c.content.saddr = "OTHER".to_owned())),
    ("I12", Lie::Told(|s| s.lines[0].channel.workspaces = vec![WorkspaceId(s.campaigns[0].0.0)])),
    ("I12", Lie::Campaign(|c| c.content.rules.channel = Some("two".to_owned()))),
    ("I13", Lie::Told(|s| s.campaigns.push(s.campaigns[0]))),
    ("I20", Lie::Campaign(|c| spread(c, a_plan(300, 299)))),
    ("I20", Lie::Campaign(|c| spread(c, a_plan(299, 299)))),
    (
        "suppression",
        Lie::Told(|s| {
            let (scope, at_ms) = (Scope::Platform, s.now_ms() - 60_000);
            let numbers = vec![s.campaigns[0].1];
            s.hushed.push(Hushed { scope, numbers, kind: SuppressionKind::Block, at_ms });
        }),
    ),
];

#[test]
fn every_lie_is_found_and_the_truth_is_not() {
    for (at, (invariant, lie)) in LIES.iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let place = tests::stage::place().unwrap();
            let (mut stage, seed) = clean_run(place.path()).await;
            invariants::check(&stage).await.unwrap();
            let campaign = stage.stored(stage.campaigns[0].0).await.unwrap();
            let id = campaign.id;
            match lie {
                Lie::Workspace(with) => {
                    doctor(&stage, &seed, Kind::Workspace, seed.workspace.into(), |e| {
                        if let Entity::Workspace(w) = e {
                            with(w)
                        }
                    })
                    .await;
                }
                Lie::Campaign(with) => doctor_campaign(&stage, &seed, id, *with).await,
                Lie::Sender(with) => {
                    doctor(&stage, &seed, Kind::Sender, campaign.content.sender_id.into(), |e| {
                        if let Entity::Sender(s) = e {
                            with(s)
                        }
                    })
                    .await;
                }
                Lie::Unit(status) => {
                    let mut state = stage.store.state(campaign.no, 0).await.unwrap().unwrap();
                    state.status[0] = *status as u8;
                    save(&stage, &campaign, state).await;
                }
                Lie::Waiting => {
                    let mut state = stage.store.state(campaign.no, 0).await.unwrap().unwrap();
                    state.status[0] = UnitStatus::Sent as u8;
                    save(&stage, &campaign, state).await;
                    doctor_campaign(&stage, &seed, id, |c| c.receipts_over = false).await;
                }
                Lie::Lost => {
                    let mut state = stage.store.state(campaign.no, 0).await.unwrap().unwrap();
                    state.status.pop();
                    save(&stage, &campaign, state).await;
                }
                Lie::Channel(with) => with(&mut stage.lines[0].channel),
                Lie::Again => {
                    stage.crash(&place.path().join("again"), &place.path().join("before")).await.unwrap();
                    stage.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
                    stage.until_final(Duration::from_secs(60), &[id]).await.unwrap();
                }
                Lie::Told(with) => with(&mut stage),
                Lie::Evidence(_) => {}
            }
            let mut evidence = Evidence::from(&stage);
            if let Lie::Evidence(with) = lie {
                with(&mut evidence)
            }
            let error = format!("{:#}", invariants::check(evidence).await.expect_err("a lie"));
            assert!(error.contains(&format!("{invariant}:")), "lie {at}: {error}");
        });
    }
}
