//! Archive and restore in both modes, and the end of a campaign before it sends.

use super::*;
use crate::api::testing::code;
use engine::model::Terms;
use serde_json::json;

#[tokio::test]
async fn the_archive_takes_what_is_over_or_undecided_and_nothing_else() {
    let stage = Stage::open().await;
    let (new, pending) =
        (stage.new_one(Like::of(Mode::OnDemand, 1)).await, stage.pending(Like::of(Mode::Trigger, 0)).await);
    let (status, body) = stage.author.post(&path(pending, "/archive"), json!({})).await;
    assert_eq!((status, code(&body)), (409, "state_conflict"));
    assert!(body["detail"].as_str().unwrap().contains("Pending"));
    assert_eq!(stage.other.post(&path(new, "/archive"), json!({})).await.0, 403);
    assert_eq!(stage.moderator.post(&path(new, "/archive"), json!({})).await.0, 403);
    assert_eq!(stage.stranger.post(&path(new, "/archive"), json!({})).await.0, 404);
    let (status, body) = stage.author.post(&path(new, "/archive"), json!({})).await;
    assert_eq!(status, 200);
    assert!(body["archived_at"].is_string() && body["status"] == "New", "{body}");
    assert_eq!(stage.stored(new).await.filing.archived_by, Some(stage.author.user));
    assert_eq!(stage.actions(new).await, ["test.create", "campaign.archive"]);
    assert_eq!(stage.author.post(&path(new, "/archive"), json!({})).await.0, 409);
    stage.author.post(&path(pending, "/cancel"), json!({})).await;
    assert_eq!(stage.admin.post(&path(pending, "/archive"), json!({})).await.0, 200);
    stage.house.close().await;
}

#[tokio::test]
async fn cancel_and_archive_is_one_step_before_the_start_and_refused_behind_it() {
    let stage = Stage::open().await;
    let later = Like { starts_in: Some(SignedDuration::from_hours(1)), ..Like::of(Mode::OnTime, 5) };
    let armed = stage.pending(later).await;
    assert_eq!(stage.author.post(&path(armed, "/start"), json!({})).await.1["hold_reason"], "scheduled");
    assert_eq!(stage.other.post(&path(armed, "/cancel-and-archive"), json!({})).await.0, 403);
    let (status, body) = stage.moderator.post(&path(armed, "/cancel-and-archive"), json!({})).await;
    assert_eq!((status, body["status"].as_str()), (200, Some("Cancelled")), "{body}");
    assert!(body["archived_at"].is_string());
    let actions = stage.actions(armed).await;
    assert_eq!(actions[actions.len() - 2..], ["campaign.cancel", "campaign.archive"]);
    assert_eq!(stage.author.post(&path(armed, "/cancel-and-archive"), json!({})).await.0, 409);
    let sending = stage.pending(Like::of(Mode::Trigger, 0)).await;
    stage.author.post(&path(sending, "/start"), json!({})).await;
    let (status, body) = stage.author.post(&path(sending, "/cancel-and-archive"), json!({})).await;
    assert_eq!((status, code(&body)), (409, "state_conflict"));
    assert_eq!(stage.stored(sending).await.status, Status::Sending);
    assert_eq!(stage.house.smsc.stats().submits, 0);
    stage.house.close().await;
}

#[tokio::test]
async fn a_campaign_whose_author_is_active_is_restored_in_one_step() {
    let stage = Stage::open().await;
    let id = stage.new_one(Like::of(Mode::OnDemand, 1)).await;
    assert_eq!(stage.author.post(&path(id, "/restore"), json!({})).await.0, 409);
    stage.author.post(&path(id, "/archive"), json!({})).await;
    let request = stage.admin.request(reqwest::Method::POST, &path(id, "/restore"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let campaign = stage.stored(id).await;
    assert_eq!((campaign.created_by, campaign.filing.archived_at), (stage.author.user, None));
    assert_eq!(stage.actions(id).await.last().unwrap(), "campaign.restore");
    let (status, _) = stage.author.post(&path(id, "/restore"), json!({"colour": 1})).await;
    assert_eq!(status, 400);
    stage.house.close().await;
}

#[tokio::test]
async fn a_campaign_whose_author_is_gone_goes_where_somebody_says() {
    let stage = Stage::open().await;
    let id = stage.new_one(Like::of(Mode::OnDemand, 5_000)).await;
    stage.author.post(&path(id, "/archive"), json!({})).await;
    stage.remove(&stage.author).await;
    let second = stage.house.workspace("second").await;
    stage.house.join(&second, &stage.admin, "Admin").await;
    let third = stage.house.workspace("third").await;
    stage.house.join(&third, &stage.admin, "Author").await;
    let (status, body) = stage.admin.post(&path(id, "/restore"), json!({})).await;
    assert_eq!((status, code(&body)), (409, "workspace_choice_required"));
    let slugs: Vec<_> = body["choices"].as_array().unwrap().iter().map(|c| c["slug"].clone()).collect();
    assert_eq!(slugs, ["mine", "second"]);
    for slug in ["third", "foreign", "nowhere"] {
        let (status, body) = stage.admin.post(&path(id, "/restore"), json!({"workspace": slug})).await;
        assert_eq!((status, code(&body)), (422, "invalid"), "{slug}");
    }
    let (status, body) = stage.admin.post(&path(id, "/restore"), json!({"workspace": "second"})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((body["status"].as_str(), body["sender_id"].is_null()), (Some("New"), true));
    assert_eq!(body["restored_from"], id.to_string());
    assert_eq!(
        (body["workspace_id"].clone(), body["counts"]["total"].clone()),
        (json!(second.id), json!(5_000))
    );
    assert!(stage.stored(id).await.filing.archived_at.is_some(), "the original stays");
    let copy = format!("/w/second/campaigns/{}", body["id"].as_str().unwrap());
    let (_, found) = stage.admin.get(&format!("{copy}/recipients?limit=200")).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 200);
    let (_, found) = stage
        .admin
        .post(&format!("{copy}/recipients/search"), json!({"number": format!("+{}", FIRST + 4_999)}))
        .await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let (status, body) = stage.admin.post(&path(id, "/restore"), json!({"workspace": "mine"})).await;
    assert_eq!((status, body["archived_at"].is_null()), (200, true));
    assert_eq!(body["created_by"], stage.admin.user.to_string());
    assert!(
        stage.stored(id).await.is_own(stage.author.user),
        "who wrote it does not approve it after a return"
    );
    let events = stage.events(id).await;
    let left = events.iter().find(|event| event.action == "campaign.restore_elsewhere").unwrap();
    let went = (&left.after["workspace"], &left.after["campaign"]);
    assert_eq!(went, (&json!(second.id), &json!(copy.rsplit('/').next())), "a list has left the workspace");
    stage.house.close().await;
}

#[tokio::test]
async fn a_campaign_is_restored_elsewhere_only_as_far_as_the_quota_there_goes() {
    let stage = Stage::open().await;
    let id = stage.new_one(Like::of(Mode::OnDemand, 5_000)).await;
    stage.author.post(&path(id, "/archive"), json!({})).await;
    let second = stage.house.workspace("second").await;
    stage.house.join(&second, &stage.admin, "Admin").await;
    // No file tells how long the list is: it counts sixteen octets a recipient.
    let octets = 5_000 * 16;
    let quota = |workspace: &Workspace, octets: u64| Workspace {
        terms: Terms { storage_quota_bytes: Some(octets), ..Terms::default() },
        version: workspace.version + 1,
        ..workspace.clone()
    };
    let tight = quota(&second, octets - 1);
    stage.change(Entity::Workspace(tight.clone())).await;
    let lists = stage.house.store.lists(CampaignNo(0)).await.unwrap();
    let (status, body) = stage.admin.post(&path(id, "/restore"), json!({"workspace": "second"})).await;
    assert_eq!((status, code(&body)), (413, "quota_exceeded"), "{body}");
    assert_eq!(stage.house.store.lists(CampaignNo(0)).await.unwrap(), lists, "nothing is left of the copy");
    assert_eq!(stage.admin.get("/w/second/campaigns").await.1["workspace_total"], 0);
    let roomy = quota(&tight, 2 * octets - 1);
    stage.change(Entity::Workspace(roomy)).await;
    let (status, body) = stage.admin.post(&path(id, "/restore"), json!({"workspace": "second"})).await;
    assert_eq!((status, &body["counts"]["total"]), (200, &json!(5_000)), "{body}");
    // What was restored there counts there.
    let (status, body) = stage.admin.post(&path(id, "/restore"), json!({"workspace": "second"})).await;
    assert_eq!((status, code(&body)), (413, "quota_exceeded"), "{body}");
    // At home it is the same record and takes no more than before.
    let (status, body) = stage.admin.post(&path(id, "/restore"), json!({"workspace": "mine"})).await;
    assert_eq!((status, body["archived_at"].is_null()), (200, true), "{body}");
    stage.house.close().await;
}

#[test]
fn the_body_of_a_restore_is_documented_as_optional() {
    let document = crate::api::document();
    let restore = &document["paths"]["/api/v1/w/{slug}/campaigns/{id}/restore"]["post"]["requestBody"];
    assert_ne!(restore["required"], true, "{restore}");
    assert!(
        restore["content"]["application/json"]["schema"].to_string().contains("#/components/schemas/Restore"),
        "{restore}"
    );
    let archive = &document["paths"]["/api/v1/w/{slug}/campaigns/{id}/resend"]["post"]["requestBody"];
    assert_eq!(archive["required"], true, "those that need one say so: {archive}");
}
