//! The judge itself: what it reads is changed behind a clean run, one invariant at a time, and it must notice.

#![expect(clippy::unwrap_used, reason = "tests")]

use bench::smsc::Config;
use engine::model::{Campaign, EntityId, QuietHours, Revision, Sender, UnitStatus, Workspace};
use engine::seed::Seed;
use engine::store::{Catalog, Change, Entity, Expect, Journal, Kind, Scope, StateSave};
use jiff::civil::time;
use std::time::Duration;
use tests::evidence::{Evidence, Stop};
use tests::invariants;
use tests::stage::{Line, Script, Stage};

/// A finished run of 300 recipients at 100 a second, from 10:00.
async fn clean_run(place: &std::path::Path) -> (Stage, Seed) {
    let mut line = Line::new("one", Config { latency_us: 100_000, ..Config::default() }).unwrap();
    line.channel.rate_per_s = 100;
    let at = "2026-01-01T10:00:00Z".parse().unwrap();
    let mut stage = Stage::new(place, at, vec![line]).await.unwrap();
    let seed = stage.workspace("judged", |_| ()).await.unwrap();
    let script = Script { recipients: 300, ..Script::default() };
    let id = stage.campaign(&seed, &script).await.unwrap();
    stage.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
    stage.until_final(Duration::from_secs(60), &[id]).await.unwrap();
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

enum Lie {
    Workspace(fn(&mut Workspace)),
    Campaign(fn(&mut Campaign)),
    Revision(fn(&mut Revision)),
    Sender(fn(&mut Sender)),
    /// The first unit's status.
    Unit(UnitStatus),
    Stop,
    /// What a test hands over.
    Evidence(fn(&mut Evidence)),
}

/// A stop with what was written by then, and no resume behind it.
fn counted_stop(evidence: &mut Evidence) {
    let (campaign, _) = evidence.campaigns[0];
    evidence.stops.push(Stop { campaign, at_us: u64::MAX, written: Some(299) });
}

const LIES: [(&str, Lie); 22] = [
    ("I2", Lie::Evidence(|e| e.campaigns[0].1.as_mut().unwrap().unknown += 1)),
    ("I3", Lie::Evidence(|e| e.traces.push(e.traces[0].clone()))),
    ("I4", Lie::Evidence(|e| e.traces.clear())),
    ("I4", Lie::Unit(UnitStatus::Cancelled)),
    ("I10", Lie::Evidence(counted_stop)),
    ("I12", Lie::Evidence(|e| e.campaigns.clear())),
    ("I14", Lie::Evidence(|e| e.traces[0].channel.window = 1)),
    ("I1", Lie::Unit(UnitStatus::Intended)),
    ("I4", Lie::Unit(UnitStatus::Skipped)),
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
    ("I7", Lie::Workspace(|w| w.rate_per_s = 50)),
    ("I7", Lie::Sender(|s| s.rate_per_s = 50)),
    ("I8", Lie::Workspace(|w| w.daily_limit = Some(299))),
    ("I8", Lie::Campaign(|c| c.content.rules.daily_limit = Some(299))),
    ("I9", Lie::Campaign(|c| c.content.text.push('!'))),
    ("I9", Lie::Campaign(|c| c.approvals[0].by = c.created_by)),
    ("I10", Lie::Stop),
    ("I11", Lie::Revision(|r| r.saddr = "OTHER".to_owned())),
    ("I11", Lie::Campaign(|c| c.content.saddr = "OTHER".to_owned())),
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
                Lie::Campaign(with) => {
                    doctor(&stage, &seed, Kind::Campaign, id.into(), |e| {
                        if let Entity::Campaign(c) = e {
                            with(c);
                            c.state_version += 1
                        }
                    })
                    .await;
                }
                Lie::Revision(with) => {
                    doctor(&stage, &seed, Kind::Revision, EntityId(campaign.content.revision_id), |e| {
                        if let Entity::Revision(r) = e {
                            with(r)
                        }
                    })
                    .await;
                }
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
                    let watermark = stage.store.header(campaign.no).await.unwrap().watermark;
                    let save = StateSave { watermark, chunks: vec![state], ..StateSave::default() };
                    stage.store.save_state(campaign.no, save).await.unwrap();
                }
                Lie::Evidence(_) => {}
                Lie::Stop => stage.stops.push((id, stage.now_ms() - 60_000)),
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
