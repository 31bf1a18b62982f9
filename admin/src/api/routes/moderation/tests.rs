//! The queues and the decisions: four eyes, versions, two approvals, a hundred deciders at once.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code};
use engine::intake::ListHasher;
use engine::model::{
    Campaign, CampaignId, Content, DeliveryPolicy, EntityId, Filing, Mode, Revision, RevisionStatus, Sender,
    SenderId, SendingRules, Status, UserId, Workspace,
};
use engine::store::{Catalog, Entity, Kind, Scope};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Longest wait for a campaign of a few messages.
const SOON: Duration = Duration::from_secs(60);
const RECIPIENTS: [u64; 3] = [491_701_234_561, 491_701_234_562, 491_701_234_563];

/// An approved sender of somebody who is nobody else here.
async fn revision(house: &House, workspace: &Workspace) -> Revision {
    let (now, nobody) = (Timestamp::now(), UserId(Uuid::from_u128(77)));
    let (sender_id, id) = (SenderId(Uuid::now_v7()), Uuid::now_v7());
    let sender = Sender {
        id: sender_id,
        workspace_id: workspace.id,
        name: format!("Shop {id}"),
        rate_per_s: 0,
        version: 0,
        created_at: now,
        archived_at: None,
        active: Some(id),
    };
    let revision = Revision {
        id,
        sender_id,
        workspace_id: workspace.id,
        n: 1,
        saddr: "Shop".to_owned(),
        ston: 5,
        snpi: 0,
        status: RevisionStatus::Approved,
        version: 0,
        created_by: nobody,
        submitted_by: None,
        decided_by: Some(nobody),
        self_approved: false,
        registration_ref: None,
        note: None,
        created_at: now,
        decided_at: Some(now),
        archived_at: None,
    };
    house.put(Entity::Sender(sender)).await;
    house.put(Entity::Revision(revision.clone())).await;
    revision
}

/// A campaign as its author leaves it, with three recipients; it starts once it is approved.
async fn submitted(house: &House, of: &Revision, author: UserId) -> Campaign {
    let no = house.store.next_campaign_no().await.unwrap();
    let mut writer = house.api.journal.write_recipients(no, 3).unwrap();
    writer.chunk(&RECIPIENTS, &[]).unwrap();
    writer.finish().unwrap();
    let mut hasher = ListHasher::new();
    hasher.chunk(&RECIPIENTS, &[]);
    let rules = SendingRules { auto_start: true, ..SendingRules::default() };
    let content = Content {
        text: "Hello".to_owned(),
        variables: Vec::new(),
        sender_id: of.sender_id,
        revision_id: of.id,
        saddr: of.saddr.clone(),
        ston: of.ston,
        snpi: of.snpi,
        dton: 1,
        dnpi: 1,
        parts: 1,
        receipts: false,
        recipients_digest: hasher.finish().to_string(),
        rules,
    };
    let campaign = Campaign {
        id: CampaignId(Uuid::now_v7()),
        workspace_id: of.workspace_id,
        no,
        name: "Winter".to_owned(),
        mode: Mode::OnDemand,
        status: Status::New,
        hold_reason: None,
        content,
        delivery_policy: DeliveryPolicy::AtMostOnce,
        version: 1,
        state_version: 0,
        stop_gen: 0,
        weight: 1,
        recipients: 3,
        approvals: Vec::new(),
        created_by: author,
        edited_by: Vec::new(),
        created_at: Timestamp::now(),
        started: false,
        finished: false,
        plan: None,
        reason: None,
        ended_at: None,
        charged: Vec::new(),
        counts: None,
        segment_counts: None,
        receipts_over: false,
        filing: Filing::default(),
    };
    house.put(Entity::Campaign(Box::new(campaign.clone()))).await;
    campaign
}

async fn stored(house: &House, campaign: &Campaign) -> Campaign {
    let scope = Scope::Workspace(campaign.workspace_id);
    match house.store.get(scope, Kind::Campaign, EntityId(campaign.id.0)).await.unwrap() {
        Entity::Campaign(campaign) => *campaign,
        other => panic!("no campaign: {other:?}"),
    }
}

async fn until(house: &House, campaign: &Campaign, status: Status) {
    let reached = async {
        while stored(house, campaign).await.status != status {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, reached).await.unwrap();
}

async fn count(house: &House, workspace: &Workspace, action: &str) -> usize {
    let events = house.store.audit(Scope::Workspace(workspace.id), 0).await.unwrap();
    events.iter().filter(|event| event.action == action).count()
}

async fn approve(by: &Client, campaign: &Campaign, version: u32) -> (u16, Value) {
    by.post(&format!("/w/acme/campaigns/{}/approve", campaign.id), json!({ "version": version })).await
}

async fn reject(by: &Client, campaign: &Campaign, note: &str) -> (u16, Value) {
    let body = json!({ "version": campaign.version, "note": note });
    by.post(&format!("/w/acme/campaigns/{}/reject", campaign.id), body).await
}

/// The workspace `acme` with somebody of every standing, and a campaign of the author's.
struct Scene {
    house: House,
    acme: Workspace,
    author: Client,
    moderator: Client,
    revision: Revision,
    campaign: Campaign,
}

async fn scene() -> Scene {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let (author, moderator) = (house.member(&acme, "Author").await, house.member(&acme, "Moderator").await);
    let revision = revision(&house, &acme).await;
    let campaign = submitted(&house, &revision, author.user).await;
    Scene { house, acme, author, moderator, revision, campaign }
}

#[tokio::test]
async fn an_approved_campaign_is_built_started_and_sent_and_names_its_approver() {
    let Scene { house, acme, moderator, campaign, .. } = scene().await;
    let (status, body) = approve(&moderator, &campaign, 1).await;
    assert_eq!((status, &body["status"]), (200, &json!("Building")), "{body}");
    assert_eq!((&body["approved_by"], &body["approvals"][0]["version"]), (&json!(moderator.user), &json!(1)));
    until(&house, &campaign, Status::Done).await;
    assert_eq!(house.smsc.stats().submits, 3);
    assert_eq!(count(&house, &acme, "campaign.approve").await, 1);
    house.close().await;
}

#[tokio::test]
async fn of_a_hundred_approvals_and_rejections_at_once_exactly_one_is_made() {
    let Scene { house, acme, campaign, .. } = scene().await;
    let mut moderators = Vec::new();
    for _ in 0..10 {
        moderators.push(house.member(&acme, "Moderator").await);
    }
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..100 {
        let (by, campaign) = (moderators[n % 10].clone(), campaign.clone());
        tries.spawn(async move {
            if n % 2 == 0 { approve(&by, &campaign, 1).await } else { reject(&by, &campaign, "no").await }
        });
    }
    let answers = tries.join_all().await;
    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let is_approved = won[0].1["rejection_note"].is_null();
    let decision = if is_approved { "approved" } else { "rejected" };
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!((*status, code(body), &body["decision"]), (409, "already_decided", &json!(decision)));
    }
    until(&house, &campaign, if is_approved { Status::Done } else { Status::Cancelled }).await;
    assert_eq!(house.smsc.stats().submits, if is_approved { 3 } else { 0 });
    let made = count(&house, &acme, "campaign.approve").await + count(&house, &acme, "campaign.reject").await;
    assert_eq!(made, 1);
    house.close().await;
}

#[tokio::test]
async fn of_a_hundred_approvals_at_once_one_dispatches_once() {
    let Scene { house, acme, moderator, campaign, .. } = scene().await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (by, campaign) = (moderator.clone(), campaign.clone());
        tries.spawn(async move { approve(&by, &campaign, 1).await });
    }
    let answers = tries.join_all().await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1);
    assert!(answers.iter().all(|(status, body)| *status == 200 || body["decision"] == "approved"));
    until(&house, &campaign, Status::Done).await;
    assert_eq!(house.smsc.stats().submits, 3);
    for action in ["campaign.approve", "campaign.built", "campaign.start"] {
        assert_eq!(count(&house, &acme, action).await, 1, "{action}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_rejected_campaign_is_cancelled_and_keeps_the_note() {
    let Scene { house, acme, moderator, campaign, author, .. } = scene().await;
    for note in ["", " ", &"x".repeat(1_001)] {
        let (status, body) = reject(&moderator, &campaign, note).await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("note")));
    }
    assert_eq!(reject(&author, &campaign, "no").await.0, 403);
    let (status, body) = reject(&moderator, &campaign, "Who sends this?").await;
    assert_eq!((status, &body["status"]), (200, &json!("Cancelled")), "{body}");
    assert_eq!(
        (&body["rejection_note"], &body["counts"]["cancelled"]),
        (&json!("Who sends this?"), &json!(3))
    );
    let (status, body) = approve(&moderator, &campaign, 1).await;
    assert_eq!((status, code(&body), &body["decision"]), (409, "already_decided", &json!("rejected")));
    assert_eq!(count(&house, &acme, "campaign.reject").await, 1);
    assert_eq!(house.smsc.stats().submits, 0);
    house.close().await;
}

#[tokio::test]
async fn nobody_approves_their_own_unless_it_is_granted_and_then_it_is_marked() {
    let Scene { house, acme, revision, author, campaign, .. } = scene().await;
    let (admin, root) = (house.member(&acme, "Admin").await, house.super_admin().await);
    assert_eq!(code(&approve(&author, &campaign, 1).await.1), "forbidden");
    assert_eq!(approve(&root, &campaign, 1).await.0, 403);
    let own = submitted(&house, &revision, admin.user).await;
    assert_eq!(code(&approve(&admin, &own, 1).await.1), "self_approval_forbidden");
    let mut edited =
        Campaign { edited_by: vec![admin.user], state_version: 1, version: 2, ..campaign.clone() };
    edited.content.text = "Hello!".to_owned();
    house.change(Entity::Campaign(Box::new(edited.clone())), 0).await;
    assert_eq!(code(&approve(&admin, &edited, 2).await.1), "self_approval_forbidden");
    assert_eq!(stored(&house, &own).await, own);
    let mut granted = acme.clone();
    (granted.terms.allow_self_approval, granted.version) = (true, 1);
    house.change(Entity::Workspace(granted), 0).await;
    assert_eq!(approve(&author, &campaign, 1).await.0, 403);
    let (status, body) = approve(&admin, &own, 1).await;
    assert_eq!((status, &body["approvals"][0]["self_approved"]), (200, &json!(true)), "{body}");
    until(&house, &own, Status::Done).await;
    house.close().await;
}

#[tokio::test]
async fn two_approvals_are_given_by_two_people() {
    let Scene { house, acme, moderator, campaign, .. } = scene().await;
    let second = house.member(&acme, "Admin").await;
    let mut strict = acme.clone();
    (strict.policies.approvals_required, strict.version) = (2, 1);
    house.change(Entity::Workspace(strict), 0).await;
    let (status, body) = approve(&moderator, &campaign, 1).await;
    assert_eq!((status, &body["status"], &body["approvals_required"]), (200, &json!("New"), &json!(2)));
    let (status, body) = approve(&moderator, &campaign, 1).await;
    assert_eq!((status, code(&body)), (409, "already_approved"));
    let (_, queue) = moderator.get("/w/acme/moderation/campaigns").await;
    assert_eq!(
        (&queue["items"][0]["may_decide"], &queue["items"][0]["refusal"]),
        (&json!(false), &json!("already_approved"))
    );
    let (status, body) = approve(&second, &campaign, 1).await;
    assert_eq!((status, &body["status"]), (200, &json!("Building")));
    until(&house, &campaign, Status::Done).await;
    assert_eq!(house.smsc.stats().submits, 3);
    house.close().await;
}

#[tokio::test]
async fn what_ended_with_one_of_two_approvals_was_approved_by_nobody() {
    let Scene { house, acme, moderator, author, campaign, .. } = scene().await;
    let mut strict = acme.clone();
    (strict.policies.approvals_required, strict.version) = (2, 1);
    house.change(Entity::Workspace(strict), 0).await;
    assert_eq!(approve(&moderator, &campaign, 1).await.0, 200);
    let path = format!("/w/acme/campaigns/{}", campaign.id);
    let (status, body) = author.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!((status, &body["status"]), (200, &json!("Cancelled")), "{body}");
    let (_, body) = author.get(&path).await;
    assert_eq!((body["approvals"].as_array().map(Vec::len), &body["approved_by"]), (Some(1), &json!(null)));
    house.close().await;
}

#[tokio::test]
async fn what_changed_since_it_was_seen_or_lost_its_sender_is_not_approved() {
    let Scene { house, revision, moderator, author, campaign, .. } = scene().await;
    let (status, body) = approve(&moderator, &campaign, 2).await;
    assert_eq!((status, code(&body), &body["version"]), (409, "version_changed", &json!(1)));
    let mut bare = submitted(&house, &revision, author.user).await;
    bare.content.sender_id = SenderId(Uuid::nil());
    bare.state_version = 1;
    house.change(Entity::Campaign(Box::new(bare.clone())), 0).await;
    assert_eq!(code(&approve(&moderator, &bare, 1).await.1), "sender_missing");
    let mut archived = submitted(&house, &revision, author.user).await;
    (archived.filing.archived_at, archived.state_version) = (Some(Timestamp::now()), 1);
    house.change(Entity::Campaign(Box::new(archived.clone())), 0).await;
    assert_eq!(code(&approve(&moderator, &archived, 1).await.1), "state_conflict");
    let (_, queue) = moderator.get("/w/acme/moderation/campaigns").await;
    assert_eq!((queue["items"].as_array().unwrap().len(), &queue["counts"]["campaigns"]), (1, &json!(1)));
    let gone = Revision { status: RevisionStatus::Archived, version: 1, ..revision.clone() };
    house.change(Entity::Revision(gone), 0).await;
    assert_eq!(approve(&moderator, &campaign, 1).await.0, 422);
    assert_eq!(code(&approve(&moderator, &campaign, 1).await.1), "sender_not_approved");
    assert_eq!(stored(&house, &campaign).await, campaign);
    assert_eq!(house.smsc.stats().submits, 0);
    house.close().await;
}

#[tokio::test]
async fn a_withdrawn_sender_fails_the_campaign_that_waits_for_its_start() {
    let Scene { house, acme, moderator, author, revision, .. } = scene().await;
    let mut waits = submitted(&house, &revision, author.user).await;
    (waits.content.rules.auto_start, waits.state_version) = (false, 1);
    house.change(Entity::Campaign(Box::new(waits.clone())), 0).await;
    assert_eq!(approve(&moderator, &waits, 1).await.0, 200);
    until(&house, &waits, Status::Pending).await;
    let path = format!("/w/acme/senders/{}/revisions/1/withdraw", revision.sender_id);
    let (status, body) = moderator.post(&path, json!({ "note": "stolen" })).await;
    assert_eq!((status, &body["status"]), (200, &json!("Rejected")), "{body}");
    let failed = stored(&house, &waits).await;
    assert_eq!((failed.status, failed.reason.as_deref()), (Status::Failed, Some("the sender was withdrawn")));
    assert_eq!(count(&house, &acme, "campaign.fail").await, 1);
    house.close().await;
}

#[tokio::test]
async fn the_queue_shows_the_oldest_first_with_counts_and_what_one_may_do() {
    let Scene { house, acme, moderator, revision, campaign, .. } = scene().await;
    let admin = house.member(&acme, "Admin").await;
    let own = submitted(&house, &revision, admin.user).await;
    let (_, new) = admin.post("/w/acme/senders", json!({ "name": "News" })).await;
    let sender = new["id"].as_str().unwrap().to_owned();
    for saddr in ["News1", "News2"] {
        let body = json!({ "saddr": saddr, "ston": 5, "snpi": 0, "submit": true });
        assert_eq!(admin.post(&format!("/w/acme/senders/{sender}/revisions"), body).await.0, 201);
    }
    let (status, first) = admin.get("/w/acme/moderation/campaigns?limit=1").await;
    assert_eq!(
        (status, &first["counts"]),
        (200, &json!({ "campaigns": 2, "revisions": 2, "templates": 0 })),
        "{first}"
    );
    let item = &first["items"][0];
    assert_eq!(
        (&item["id"], &item["may_decide"], &item["may_reject"]),
        (&json!(campaign.id), &json!(true), &json!(true))
    );
    for (field, value) in [
        ("saddr", json!("Shop")),
        ("ston", json!(5)),
        ("snpi", json!(0)),
        ("dton", json!(1)),
        ("dnpi", json!(1)),
        ("text", json!("Hello")),
        ("encoding", json!("gsm7")),
        ("segments", json!(1)),
        ("recipients", json!(3)),
        ("version", json!(1)),
        ("created_by", json!(campaign.created_by)),
    ] {
        assert_eq!(item[field], value, "{field}");
    }
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = admin.get(&format!("/w/acme/moderation/campaigns?limit=1&cursor={cursor}")).await;
    let item = &second["items"][0];
    assert_eq!((&item["id"], &second["next_cursor"]), (&json!(own.id), &Value::Null));
    assert_eq!((&item["may_decide"], &item["refusal"]), (&json!(false), &json!("self_approval_forbidden")));
    let (_, first) = moderator.get("/w/acme/moderation/revisions?limit=1").await;
    assert_eq!(
        (&first["items"][0]["saddr"], &first["items"][0]["may_decide"]),
        (&json!("News1"), &json!(true))
    );
    assert_eq!(first["counts"], json!({ "campaigns": 2, "revisions": 2, "templates": 0 }));
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = admin.get(&format!("/w/acme/moderation/revisions?cursor={cursor}")).await;
    assert_eq!(
        (&second["items"][0]["saddr"], &second["items"][0]["refusal"]),
        (&json!("News2"), &json!("self_approval_forbidden"))
    );
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    for wrong in ["campaigns?cursor=x", "revisions?cursor=x", "campaigns?limit=0", "revisions?limit=201"] {
        assert_eq!(moderator.get(&format!("/w/acme/moderation/{wrong}")).await.0, 400, "{wrong}");
    }
    house.close().await;
}

#[tokio::test]
async fn the_queue_is_for_moderators_and_only_looked_at_by_super_admins() {
    let Scene { house, acme, author, campaign, .. } = scene().await;
    let (root, flagged) = (house.super_admin().await, house.member(&acme, "Author+").await);
    let other = house.workspace("other").await;
    let foreign = house.member(&other, "Admin").await;
    for tab in ["campaigns", "revisions", "templates"] {
        let path = format!("/w/acme/moderation/{tab}");
        assert_eq!(author.get(&path).await.0, 403);
        assert_eq!(flagged.get(&path).await.0, 200);
        assert_eq!(foreign.get(&path).await.0, 404);
        assert_eq!(root.get(&path).await.0, 200);
    }
    let (_, queue) = root.get("/w/acme/moderation/campaigns").await;
    assert_eq!(
        (&queue["items"][0]["may_reject"], &queue["items"][0]["refusal"]),
        (&json!(false), &json!("forbidden"))
    );
    assert_eq!(approve(&foreign, &campaign, 1).await.0, 404);
    let path = format!("/w/other/campaigns/{}/approve", campaign.id);
    assert_eq!(foreign.post(&path, json!({ "version": 1 })).await.0, 404);
    assert_eq!(stored(&house, &campaign).await, campaign);
    house.close().await;
}
