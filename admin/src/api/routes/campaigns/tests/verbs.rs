//! The life cycle by request: who may ask for what in which state.

use super::*;
use crate::api::testing::code;
use engine::model::KeyScope;
use serde_json::json;

#[tokio::test]
async fn a_campaign_is_started_paused_resumed_and_finished_by_its_author() {
    let stage = Stage::open().await;
    let id = stage.pending(Like::of(Mode::Trigger, 0)).await;
    for (verb, before, after) in
        [("start", "Pending", "Sending"), ("pause", "Sending", "Paused"), ("resume", "Paused", "Sending")]
    {
        let at = path(id, &format!("/{verb}"));
        assert_eq!(stage.admin.get(&path(id, "")).await.1["status"], before);
        let (status, body) = stage.other.post(&at, json!({})).await;
        assert_eq!((status, code(&body)), (403, "not_yours"));
        let (status, body) = stage.moderator.post(&at, json!({})).await;
        assert_eq!((status, code(&body)), (403, "forbidden"));
        assert_eq!(stage.stranger.post(&at, json!({})).await.0, 404);
        assert_eq!(stage.admin.get(&path(id, "")).await.1["status"], before);
        let (status, body) = stage.author.post(&at, Value::Null).await;
        assert_eq!((status, body["status"].as_str()), (200, Some(after)), "{body}");
        let (status, body) = stage.author.post(&at, json!({})).await;
        assert_eq!((status, code(&body)), (409, "state_conflict"));
        assert!(body["detail"].as_str().unwrap().contains(after), "{body}");
        let last = stage.events(id).await.pop().unwrap();
        assert_eq!(last.action, format!("campaign.{verb}"));
        assert_eq!((last.by.user_id, last.by.role.as_str()), (Some(stage.author.user), "Author"));
    }
    assert!(stage.stored(id).await.filing.started_at.is_some());
    assert_eq!(stage.author.post(&path(id, "/finish"), json!({})).await.0, 200);
    stage.until(id, |campaign| campaign["status"] == "Done").await;
    assert_eq!(stage.author.post(&path(id, "/finish"), json!({})).await.0, 409);
    stage.house.close().await;
}

#[tokio::test]
async fn a_moderator_cancels_only_what_has_not_begun_to_send() {
    let stage = Stage::open().await;
    let later = Like { starts_in: Some(SignedDuration::from_hours(1)), ..Like::of(Mode::OnTime, 3) };
    let (pending, armed) = (stage.pending(Like::of(Mode::OnDemand, 3)).await, stage.pending(later).await);
    let sending = stage.pending(Like::of(Mode::Trigger, 0)).await;
    for id in [armed, sending] {
        assert_eq!(stage.author.post(&path(id, "/start"), json!({})).await.0, 200);
    }
    for id in [pending, armed] {
        let (status, body) = stage.moderator.post(&path(id, "/cancel"), json!({})).await;
        assert_eq!((status, body["status"].as_str()), (200, Some("Cancelled")), "{body}");
        assert_eq!(body["counts"]["cancelled"], 3);
    }
    let (status, body) = stage.moderator.post(&path(sending, "/cancel"), json!({})).await;
    assert_eq!((status, code(&body)), (409, "state_conflict"));
    assert_eq!(stage.author.post(&path(sending, "/cancel"), json!({})).await.1["status"], "Cancelled");
    let new = stage.new_one(Like::of(Mode::OnDemand, 1)).await;
    assert_eq!(stage.other.post(&path(new, "/cancel"), json!({})).await.0, 403);
    assert_eq!(stage.author.post(&path(new, "/cancel"), json!({})).await.1["status"], "Cancelled");
    assert_eq!(stage.house.smsc.stats().submits, 0);
    stage.house.close().await;
}

#[tokio::test]
async fn a_key_runs_campaigns_with_its_scope_and_never_without() {
    let stage = Stage::open().await;
    let id = stage.pending(Like::of(Mode::Trigger, 0)).await;
    let reads = stage.house.key(&stage.workspace, &stage.author, &[KeyScope::CampaignsRead]).await;
    let writes = stage.house.key(&stage.workspace, &stage.author, &[KeyScope::CampaignsWrite]).await;
    let (status, body) = reads.post(&path(id, "/start"), json!({})).await;
    assert_eq!((status, code(&body)), (403, "key_scope"));
    assert_eq!(reads.get(&path(id, "")).await.0, 200);
    assert_eq!(writes.post(&path(id, "/start"), json!({})).await.0, 200);
    stage.house.close().await;
}

#[tokio::test]
async fn the_audit_of_a_campaign_names_who_approved_and_who_started_it() {
    let stage = Stage::open().await;
    let id = stage.pending(Like::of(Mode::Trigger, 0)).await;
    stage.author.post(&path(id, "/start"), json!({})).await;
    let (status, body) = stage.moderator.get(&path(id, "/audit?limit=1")).await;
    assert_eq!(status, 200, "{body}");
    let event = &body["items"][0];
    assert_eq!((event["action"].as_str(), event["role"].as_str()), (Some("campaign.start"), Some("Author")));
    assert_eq!(event["actor"], stage.author.user.to_string());
    assert!(event["actor_name"].as_str().unwrap().starts_with("Author-"));
    assert_eq!((&event["before"]["started"], &event["after"]["started"]), (&json!(false), &json!(true)));
    assert_eq!(event["after"]["name"], json!(null), "only what differs is told");
    let cursor = body["next_cursor"].as_str().unwrap();
    let (_, rest) = stage.moderator.get(&path(id, &format!("/audit?cursor={cursor}"))).await;
    let actions: Vec<_> = rest["items"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
    assert_eq!(actions, ["campaign.built", "test.create"]);
    let approvals = &rest["items"][1]["after"]["approvals"];
    assert_eq!(approvals[0]["by"], stage.moderator.user.to_string(), "what is new is told whole");
    let (status, export) = stage.moderator.post(&path(id, "/exports"), json!({"format": "csv"})).await;
    assert_eq!(status, 202, "{export}");
    let (_, body) = stage.author.get(&path(id, "/audit")).await;
    let taken = body["items"].as_array().unwrap().iter().find(|e| e["action"] == "export.create").unwrap();
    assert_eq!(
        taken["actor"],
        stage.moderator.user.to_string(),
        "who took its recipients along is a part of it"
    );
    assert_eq!(stage.stranger.get(&path(id, "/audit")).await.0, 404);
    stage.house.close().await;
}
