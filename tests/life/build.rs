//! Building: what is verified from the store, and what becomes of a campaign that cannot be sent.

use super::*;
use engine::model::{Campaign, HoldReason, Revision, RevisionStatus};
use engine::seed::CampaignSeed;
use engine::store::fault::{FaultCatalog, FaultPlan};
use engine::store::{Catalog, Change, Entity, Expect, Journal, Scope};
use std::sync::Arc;
use tests::doubles::{Fate, Gate};
use tests::outfit::pass;
use tests::rig::FIRST_NUMBER;

async fn write(stage: &Solo, entity: Entity, expect: Expect) {
    let scope = Scope::Workspace(stage.seed.workspace);
    let change = Change { scope, expect, entity, action: "test.change" };
    stage.store.apply(vec![change], &stage.seed.moderator(), stage.now()).await.unwrap();
}

/// Sets the pinned sender revision to a status.
async fn set_revision(stage: &Solo, status: RevisionStatus) {
    let revision = Revision { status, ..stage.seed.revision().clone() };
    write(stage, Entity::Revision(revision), Expect::Version(0)).await;
}

async fn approved(stage: &Solo, change: impl FnOnce(&mut CampaignSeed)) -> CampaignId {
    let (no, mut seed) = stage.draft(Mode::OnDemand, SendingRules::default(), 10).await.unwrap();
    change(&mut seed);
    stage.seed.approved(&*stage.store, no, seed, stage.now()).await.unwrap()
}

/// Builds and expects the reason to hold this.
async fn refused(stage: &Solo, id: CampaignId, why: &str) {
    let built = stage.engine.build(stage.seed.workspace, id, &stage.seed.moderator()).await;
    let Err(EngineError::NotBuilt(reason)) = built else { panic!("{why}: {built:?}") };
    assert!(reason.contains(why), "{reason}");
    let stored = stage.stored(id).await.unwrap();
    assert_eq!((stored.status, stored.reason), (Status::Failed, Some(reason)));
    assert!(stored.ended_at.is_some());
    let scope = Scope::Workspace(stage.seed.workspace);
    let errors = stage.store.job_errors(scope, id, 0, 10).await.unwrap().items;
    assert_eq!(errors.iter().map(|error| error.detail.contains(why)).collect::<Vec<_>>(), [true]);
    assert_eq!(stored.counts.map(|counts| counts.cancelled), Some(stored.recipients));
}

#[test]
fn a_campaign_that_holds_what_was_approved_waits_for_its_start_or_starts_by_itself() {
    play(async || {
        let stage = stage().await;
        let waits = approved(&stage, |_| {}).await;
        let by = stage.seed.moderator();
        stage.engine.build(stage.seed.workspace, waits, &by).await.unwrap();
        let stored = stage.stored(waits).await.unwrap();
        assert_eq!((stored.status, stored.hold_reason), (Status::Pending, Some(HoldReason::AwaitingStart)));
        stage.engine.build(stage.seed.workspace, waits, &by).await.unwrap();
        assert_eq!(stage.stored(waits).await.unwrap(), stored, "built once");
        let starts = approved(&stage, |seed| seed.rules.auto_start = true).await;
        stage.engine.build(stage.seed.workspace, starts, &by).await.unwrap();
        stage.until_status(starts, Status::Done, SOON).await.unwrap();
        assert_eq!(stage.submits(), 10);
        assert_eq!(stage.status(waits).await.unwrap(), Status::Pending);
    });
}

#[test]
fn what_is_stored_must_be_what_was_approved() {
    play(async || {
        let stage = stage().await;
        let id = approved(&stage, |seed| seed.recipients_digest = "0".repeat(64)).await;
        refused(&stage, id, "not those that were approved").await;
        let id = approved(&stage, |seed| seed.recipients = 11).await;
        refused(&stage, id, "11 recipients were approved, 10 are stored").await;
        let id = approved(&stage, |_| {}).await;
        let no = stage.stored(id).await.unwrap().no;
        let mut writer = stage.store.write_recipients(no, 10).unwrap();
        writer.chunk(&(FIRST_NUMBER + 1..=FIRST_NUMBER + 10).collect::<Vec<_>>(), &[]).unwrap();
        writer.finish().unwrap();
        refused(&stage, id, "not those that were approved").await;
        let id = approved(&stage, |_| {}).await;
        stage.store.remove(stage.stored(id).await.unwrap().no).await.unwrap();
        refused(&stage, id, "no recipient list").await;
        let id = approved(&stage, |seed| seed.rules.channel = Some("no such channel".to_owned())).await;
        refused(&stage, id, "no such channel").await;
        let id = approved(&stage, |_| {}).await;
        let campaign = stage.stored(id).await.unwrap();
        let mut content = campaign.content.clone();
        content.text.push('!');
        let version = Expect::Version(campaign.state_version);
        write(&stage, Entity::Campaign(Box::new(Campaign { content, ..campaign })), version).await;
        refused(&stage, id, "not approved").await;
        assert_eq!(stage.submits(), 0);
    });
}

#[test]
fn a_spread_without_room_is_refused_and_one_with_room_has_its_plan() {
    play(async || {
        let stage = stage().await;
        let rules = within("2026-05-01T09:00", "2026-05-03T09:00");
        let tight = SendingRules { daily_limit: Some(10), ..rules.clone() };
        let (no, seed) = stage.draft(Mode::Spread, tight, 1_000).await.unwrap();
        let id = stage.seed.approved(&*stage.store, no, seed, stage.now()).await.unwrap();
        refused(&stage, id, "").await;
        let id = stage.built(Mode::Spread, rules, 1_000).await.unwrap();
        let plan = stage.stored(id).await.unwrap().plan.unwrap();
        assert_eq!((plan.version, plan.rows), (1, vec![(0, 1_000)]));
        assert_eq!(plan.spans.iter().map(|span| span.rows).sum::<u64>(), 1_000);
    });
}

#[test]
fn a_sender_that_was_not_approved_fails_the_build_and_one_that_was_withdrawn_the_start() {
    play(async || {
        let stage = stage().await;
        let built = stage.built(Mode::OnDemand, SendingRules::default(), 10).await.unwrap();
        let archived = stage.built(Mode::OnDemand, SendingRules::default(), 10).await.unwrap();
        for (status, why) in [
            (RevisionStatus::PendingApproval, "not approved"),
            (RevisionStatus::Rejected, "withdrawn"),
            (RevisionStatus::Archived, "archived"),
        ] {
            set_revision(&stage, status).await;
            let id = approved(&stage, |_| {}).await;
            refused(&stage, id, why).await;
        }
        stage.start(archived).await.unwrap();
        stage.until_status(archived, Status::Done, SOON).await.unwrap();
        set_revision(&stage, RevisionStatus::Rejected).await;
        let started = stage.engine.start_campaign(stage.seed.workspace, built, &stage.seed.author()).await;
        assert!(matches!(started, Err(EngineError::Sender(_))), "{started:?}");
        assert_eq!((stage.status(built).await.unwrap(), stage.submits()), (Status::Pending, 10));
    });
}

#[test]
fn a_sender_that_was_archived_behind_the_approval_is_built_and_sends() {
    play(async || {
        let stage = stage().await;
        let id = approved(&stage, |seed| seed.rules.auto_start = true).await;
        pass(MINUTE).await;
        let archived_at = Some(stage.now());
        let revision = stage.seed.revision().clone();
        let archived = Revision { status: RevisionStatus::Archived, archived_at, ..revision };
        write(&stage, Entity::Revision(archived), Expect::Version(0)).await;
        pass(MINUTE).await;
        let late = approved(&stage, |_| {}).await;
        refused(&stage, late, "archived").await;
        stage.engine.build(stage.seed.workspace, id, &stage.seed.moderator()).await.unwrap();
        stage.until_status(id, Status::Done, SOON).await.unwrap();
        assert_eq!(stage.submits(), 10);
    });
}

#[test]
fn a_campaign_that_a_crash_left_unbuilt_is_built_at_the_next_start() {
    play(async || {
        let mut stage = stage().await;
        let id = approved(&stage, |seed| seed.rules.auto_start = true).await;
        assert_eq!(stage.status(id).await.unwrap(), Status::Building);
        stage.restart().await.unwrap();
        stage.until_status(id, Status::Done, SOON).await.unwrap();
        assert_eq!(stage.submits(), 10);
    });
}

#[test]
fn what_a_store_that_was_away_kept_from_being_built_is_built_when_it_is_back() {
    play(async || {
        let mut stage = stage().await;
        let catalog = Gate::new(Arc::clone(&stage.outfit.catalog), "", Fate::Refused(0));
        let faulty = Arc::new(FaultCatalog::new(catalog, Duration::ZERO, FaultPlan::default()));
        stage.outfit.catalog = Arc::clone(&faulty) as _;
        stage.restart().await.unwrap();
        let id = approved(&stage, |seed| seed.rules.auto_start = true).await;
        faulty.fail_calls_for(5 * MINUTE);
        let built = stage.engine.build(stage.seed.workspace, id, &stage.seed.moderator()).await;
        assert!(matches!(built, Err(EngineError::Store(StoreError::Unavailable(_)))), "{built:?}");
        pass(4 * MINUTE).await;
        assert_eq!(stage.status(id).await.unwrap(), Status::Building);
        // Every half minute at the latest, and one try to build it.
        stage.until_status(id, Status::Done, MINUTE + 2 * MINUTE).await.unwrap();
        assert_eq!(stage.submits(), 10);
    });
}
