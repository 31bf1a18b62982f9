//! Under which sender a campaign may go out: approved, active, of this workspace; an override only to one that is (C4).

use super::*;
use crate::api::routes::drafts::tests::revision;
use crate::api::testing::code;
use engine::model::{Revision, Sender};
use engine::store::{MAX_PAGE, Query};

/// The only revision of a sender.
async fn only(stage: &Stage, sender: SenderId) -> Revision {
    let query = Query {
        kind: Kind::Revision,
        statuses: Vec::new(),
        parent: Some(sender.into()),
        after: None,
        limit: MAX_PAGE,
    };
    let page = stage.house.store.list(stage.scope(), query).await.unwrap();
    match page.items.as_slice() {
        [Entity::Revision(revision)] => revision.clone(),
        other => panic!("{other:?}"),
    }
}

async fn archive(stage: &Stage, sender: SenderId) {
    let found = stage.house.store.get(stage.scope(), Kind::Sender, sender.into()).await.unwrap();
    let Entity::Sender(found) = found else { panic!("{found:?}") };
    let (version, archived_at) = (found.version, Some(Timestamp::now()));
    stage.house.change(Entity::Sender(Sender { archived_at, version: version + 1, ..found }), version).await;
}

#[tokio::test]
async fn only_an_approved_sender_that_is_not_archived_is_taken() {
    let stage = Stage::open().await;
    let of = async |saddr: &str, status| sender(&stage.house, &stage.workspace, saddr, status).await;
    let archived = of("Old", RevisionStatus::Approved).await;
    archive(&stage, archived).await;
    let (status, body) = stage.send(json!({"sender_id": null})).await;
    assert_eq!((status, code(&body), wrong(&body)), (422, "sender_missing", vec![("sender_id", "required")]));
    let unusable = [
        of("Draft", RevisionStatus::Draft).await,
        of("Later", RevisionStatus::PendingApproval).await,
        of("Never", RevisionStatus::Rejected).await,
        of("Former", RevisionStatus::Archived).await,
        archived,
        SenderId(uuid::Uuid::now_v7()),
    ];
    for sender in unusable {
        let (status, body) = stage.send(json!({"sender_id": sender})).await;
        assert_eq!((status, code(&body)), (422, "sender_not_approved"), "{body}");
        assert_eq!(wrong(&body), [("sender_id", "sender_not_approved")]);
    }
    let id = stage.create(json!({})).await;
    let (pinned, approved) = (stage.stored(id).await.content, only(&stage, stage.sender).await);
    assert_eq!(
        (pinned.revision_id, pinned.saddr, pinned.ston, pinned.snpi),
        (approved.id, "Shop".to_owned(), 5, 0)
    );
    stage.house.close().await;
}

#[tokio::test]
async fn an_override_names_an_approved_revision_of_the_workspace_or_is_refused() {
    let stage = Stage::open().await;
    let (house, shop) = (&stage.house, &stage.workspace);
    let second = sender(house, shop, "Second", RevisionStatus::Approved).await;
    sender(house, shop, "Later", RevisionStatus::PendingApproval).await;
    let gone = sender(house, shop, "Gone", RevisionStatus::Approved).await;
    archive(&stage, gone).await;
    let foreign = house.workspace("foreign").await;
    sender(house, &foreign, "Foreign", RevisionStatus::Approved).await;
    for (change, field) in [
        (json!({"saddr": "Later"}), "saddr"),
        (json!({"saddr": "Gone"}), "saddr"),
        (json!({"saddr": "Foreign"}), "saddr"),
        (json!({"saddr": "shop"}), "saddr"),
        (json!({"saddr": "Second", "ston": 1}), "saddr"),
        (json!({"ston": 1}), "ston"),
        (json!({"snpi": 1}), "ston"),
    ] {
        let (status, body) = stage.send(change.clone()).await;
        assert_eq!((status, code(&body)), (422, "sender_not_approved"), "{change}: {body}");
        assert_eq!(wrong(&body), [(field, "sender_not_approved")], "{change}");
    }
    let id = stage.create(json!({"saddr": "Second", "ston": 5, "snpi": 0, "dton": 2, "dnpi": 8})).await;
    let (_, shown) = stage.moderator.get(&path(id, "")).await;
    let five = ["saddr", "ston", "snpi", "dton", "dnpi"].map(|name| shown[name].clone());
    assert_eq!(five, [json!("Second"), json!(5), json!(0), json!(2), json!(8)]);
    assert_eq!(shown["revision_id"], json!(only(&stage, second).await.id));
    stage.house.close().await;
}

#[tokio::test]
async fn the_revision_of_the_submit_stays_until_somebody_names_a_sender_again() {
    let stage = Stage::open().await;
    let id = stage.create(json!({})).await;
    let first = stage.stored(id).await.content.revision_id;
    revision(&stage.house, &stage.workspace, (stage.sender, 2, "Shop2"), RevisionStatus::Approved).await;
    let (status, body) = stage.author.patch(&path(id, ""), json!({"version": 1, "name": "Other"})).await;
    assert_eq!(
        (status, &body["revision_id"], &body["saddr"]),
        (200, &json!(first), &json!("Shop")),
        "{body}"
    );
    let (status, body) =
        stage.author.patch(&path(id, ""), json!({"version": 2, "sender_id": stage.sender})).await;
    assert_eq!((status, &body["saddr"], &body["version"]), (200, &json!("Shop2"), &json!(3)), "{body}");
    let (_, new) = stage.send(json!({})).await;
    assert_eq!(new["saddr"], "Shop2");
    // Of an older approved revision only the newest one counts.
    let (status, body) = stage.send(json!({"saddr": "Shop"})).await;
    assert_eq!((status, code(&body)), (422, "sender_not_approved"), "{body}");
    stage.house.close().await;
}

#[tokio::test]
async fn a_sender_that_is_archived_before_the_approval_stops_edits_and_the_approval() {
    let stage = Stage::open().await;
    let id = stage.create(json!({})).await;
    let approved = only(&stage, stage.sender).await;
    let (version, status) = (approved.version, RevisionStatus::Archived);
    let archived_at = Some(Timestamp::now());
    let next = Revision { status, archived_at, version: version + 1, ..approved };
    stage.house.change(Entity::Revision(next), version).await;
    let (status, body) = stage.author.patch(&path(id, ""), json!({"version": 1, "name": "Other"})).await;
    assert_eq!(
        (status, code(&body), wrong(&body)),
        (422, "sender_not_approved", vec![("sender_id", "sender_not_approved")])
    );
    let (status, body) = stage.approve(id, 1).await;
    assert_eq!((status, code(&body)), (422, "sender_not_approved"), "{body}");
    let other = sender(&stage.house, &stage.workspace, "Other", RevisionStatus::Approved).await;
    let (status, body) = stage.author.patch(&path(id, ""), json!({"version": 1, "sender_id": other})).await;
    assert_eq!((status, &body["saddr"]), (200, &json!("Other")), "{body}");
    assert_eq!(stage.approve(id, 2).await.0, 200);
    stage.house.close().await;
}
