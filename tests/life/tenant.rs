//! What campaigns of a workspace share: the limit of its day, its quiet hours, its rate, all changed while they run.

use super::*;
use engine::model::{HoldReason, QuietHours, RevisionStatus, Workspace};
use engine::store::{Catalog, Change, Entity, Expect, Kind, Scope};
use jiff::civil::{date, time};
use tests::outfit::pass;

pub(super) async fn change(stage: &Solo, change: impl FnOnce(&mut Workspace)) {
    let id = stage.seed.workspace;
    let entity = stage.store.get(Scope::Platform, Kind::Workspace, id.into()).await.unwrap();
    let Entity::Workspace(mut workspace) = entity else { panic!("{entity:?}") };
    change(&mut workspace);
    let (scope, expect) = (Scope::Platform, Expect::Version(0));
    let entity = Entity::Workspace(workspace);
    let change = Change { scope, expect, entity, action: "workspace.change" };
    stage.store.apply(vec![change], &stage.seed.moderator(), stage.now()).await.unwrap();
    stage.engine.workspace_changed(id).await.unwrap();
}

async fn hold(stage: &Solo, id: CampaignId) -> Option<HoldReason> {
    stage.engine.status(stage.seed.workspace, id).await.unwrap().hold_reason
}

async fn started(stage: &Solo, recipients: u64) -> CampaignId {
    let id = stage.built(Mode::OnDemand, SendingRules::default(), recipients).await.unwrap();
    stage.start(id).await.unwrap();
    id
}

#[test]
fn the_limit_of_a_workspace_holds_over_all_its_campaigns_and_over_restarts_and_crashes() {
    play(async || {
        let mut stage = stage().await;
        change(&stage, |workspace| workspace.daily_limit = Some(100)).await;
        let first = started(&stage, 40).await;
        stage.until_status(first, Status::Done, SOON).await.unwrap();
        let second = started(&stage, 150).await;
        stage.until(SOON, async |stage| stage.submits() == 100).await.unwrap();
        pass(MINUTE).await;
        assert_eq!((stage.submits(), hold(&stage, second).await), (100, Some(HoldReason::DailyLimit)));
        stage.restart().await.unwrap();
        let third = started(&stage, 10).await;
        pass(MINUTE).await;
        assert_eq!(stage.submits(), 100);
        stage.crash().await.unwrap();
        pass(MINUTE).await;
        assert_eq!((stage.submits(), hold(&stage, third).await), (100, Some(HoldReason::DailyLimit)));
        // 90 and 10 are left: what the next day has room for.
        pass(16 * 60 * MINUTE).await;
        stage.until(10 * MINUTE, async |stage| stage.submits() == 200).await.unwrap();
        stage.until_status(second, Status::Done, SOON).await.unwrap();
        let charged = stage.stored(second).await.unwrap().charged;
        assert_eq!(charged.iter().map(|(_, count)| count).sum::<u64>(), 150);
        assert_eq!(charged.first(), Some(&(date(2026, 5, 1), 60)));
    });
}

#[test]
fn a_raised_limit_and_new_quiet_hours_hold_at_once() {
    play(async || {
        let options = RigOptions { rate_per_s: 20, ..RigOptions::default() };
        let stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
        change(&stage, |workspace| workspace.daily_limit = Some(50)).await;
        let id = started(&stage, 2_000).await;
        stage.until(SOON, async |stage| stage.submits() == 50).await.unwrap();
        pass(MINUTE).await;
        assert_eq!(stage.submits(), 50);
        change(&stage, |workspace| workspace.daily_limit = None).await;
        stage.until(SOON, async |stage| stage.submits() > 200).await.unwrap();
        assert_eq!(hold(&stage, id).await.filter(|why| *why == HoldReason::DailyLimit), None);
        change(&stage, |workspace| {
            workspace.quiet_hours = Some(QuietHours { from: time(8, 0, 0, 0), to: time(9, 0, 0, 0) });
        })
        .await;
        pass(Duration::from_secs(5)).await;
        let submits = stage.submits();
        pass(10 * MINUTE).await;
        assert_eq!((stage.submits(), hold(&stage, id).await), (submits, Some(HoldReason::QuietHours)));
        change(&stage, |workspace| workspace.quiet_hours = None).await;
        stage.until_status(id, Status::Done, 3 * MINUTE).await.unwrap();
    });
}

#[test]
fn a_campaign_says_that_no_channel_is_bound_or_that_it_is_paused_by_nobody() {
    play(async || {
        let stage = stage().await;
        stage.smsc.set_down(true).await.unwrap();
        pass(MINUTE).await;
        let id = started(&stage, 20).await;
        pass(MINUTE).await;
        assert_eq!((stage.submits(), hold(&stage, id).await), (0, Some(HoldReason::NoChannel)));
        stage.smsc.set_down(false).await.unwrap();
        stage.until_status(id, Status::Done, 5 * MINUTE).await.unwrap();
        let state = stage.engine.status(stage.seed.workspace, id).await.unwrap();
        assert_eq!((state.hold_reason, state.counts.sent), (None, 20));
        let foreign = stage.engine.status(WorkspaceId(id.0), id).await;
        assert!(matches!(foreign, Err(EngineError::Store(StoreError::NotFound))), "{foreign:?}");
    });
}

#[test]
fn a_withdrawn_sender_fails_what_sends_and_what_would() {
    play(async || {
        let options = RigOptions { rate_per_s: 10, ..RigOptions::default() };
        let stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
        let waits = stage.built(Mode::OnTime, at("2026-05-01T18:00"), 5).await.unwrap();
        stage.start(waits).await.unwrap();
        let sends = started(&stage, 1_000).await;
        stage.until(SOON, async |stage| stage.submits() >= 50).await.unwrap();
        let revision = stage.seed.revision().clone();
        let withdrawn = engine::model::Revision { status: RevisionStatus::Rejected, ..revision.clone() };
        let scope = Scope::Workspace(stage.seed.workspace);
        let (expect, entity) = (Expect::Version(0), Entity::Revision(withdrawn));
        let change = Change { scope, expect, entity, action: "revision.withdraw" };
        let by = stage.seed.moderator();
        stage.store.apply(vec![change], &by, stage.now()).await.unwrap();
        let mut failed =
            stage.engine.revision_withdrawn(stage.seed.workspace, revision.id, &by).await.unwrap();
        failed.sort();
        assert_eq!(failed, [waits, sends]);
        for id in [waits, sends] {
            let stored = stage.stored(id).await.unwrap();
            assert_eq!(
                (stored.status, stored.reason.as_deref()),
                (Status::Failed, Some("the sender was withdrawn"))
            );
        }
        let submits = stage.submits();
        pass(11 * 60 * MINUTE).await;
        assert!(stage.submits() <= submits + 100);
    });
}

#[test]
fn after_an_outage_the_rest_of_a_spread_is_planned_anew_and_never_bursts() {
    play(async || {
        let stage = stage().await;
        let rules = within("2026-05-01T09:00", "2026-05-01T11:00");
        let id = stage.built(Mode::Spread, rules, 1_200).await.unwrap();
        stage.start(id).await.unwrap();
        pass(90 * MINUTE).await;
        let before = stage.submits();
        assert!((295..=305).contains(&before), "{before} after a quarter of the window");
        stage.smsc.set_down(true).await.unwrap();
        pass(30 * MINUTE).await;
        stage.smsc.set_down(false).await.unwrap();
        pass(10 * MINUTE).await;
        let behind = stage.submits() - before;
        // 900 rows over the hour that is left: 15 a minute, and not the 300 that were missed at once.
        assert!((100..=170).contains(&behind), "{behind} in the ten minutes behind the outage");
        let plan = stage.stored(id).await.unwrap().plan.unwrap();
        assert!(plan.version >= 2, "{plan:?}");
        let pages = stage.store.audit(Scope::Workspace(stage.seed.workspace), 0).await.unwrap();
        assert!(pages.iter().any(|event| event.action == "campaign.respread"));
        pass(49 * MINUTE).await;
        stage.until_status(id, Status::Done, 3 * MINUTE).await.unwrap();
        assert_eq!(stage.submits(), 1_200);
    });
}
