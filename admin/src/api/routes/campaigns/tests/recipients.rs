//! Recipients: masked, searched, revealed for a time, by filters and pages.

use super::*;
use crate::api::testing::code;
use engine::model::{JobError, JobErrorCode, KeyScope, Number, Role};
use serde_json::json;

#[tokio::test]
async fn recipients_are_masked_filtered_and_found() {
    let stage = Stage::open().await;
    let id = stage.done(300).await;
    let (status, page) = stage.moderator.get(&path(id, "/recipients?limit=200")).await;
    assert_eq!(status, 200, "{page}");
    let first = &page["items"][0];
    assert_eq!((first["number"].as_str(), first["status"].as_str()), (Some("••••••0000"), Some("delivered")));
    assert_eq!((first["parts"].as_u64(), first["error_code"].is_null()), (Some(1), true));
    assert!(first["submitted_at"].is_string() && first["final_at"].is_string(), "{first}");
    let hash = stage.house.api.ctn.hash(Number(FIRST)).to_string();
    assert_eq!(first["ctn_hash"], hash);
    let cursor = page["next_cursor"].as_str().unwrap();
    let (_, rest) = stage.moderator.get(&path(id, &format!("/recipients?limit=200&cursor={cursor}"))).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), rest["next_cursor"].is_null()), (100, true));
    let count = async |query: &str| {
        let (status, body) = stage.moderator.get(&path(id, &format!("/recipients?{query}"))).await;
        assert_eq!(status, 200, "{query}");
        body["items"].as_array().unwrap().len()
    };
    assert_eq!(count(&format!("ctn_hash={hash}")).await, 1);
    assert_eq!(count(&format!("ctn_hash={hash}&status=failed")).await, 0);
    assert_eq!(count("status=failed,unknown").await, 0);
    assert_eq!(count("status=delivered&limit=7").await, 7);
    for wrong in ["status=New", "ctn_hash=abc", "cursor=zz", "limit=201", "number=4915100000000"] {
        let (status, _) = stage.moderator.get(&path(id, &format!("/recipients?{wrong}"))).await;
        assert_eq!(status, 400, "{wrong}");
    }
    let at = path(id, "/recipients/search");
    let (status, found) =
        stage.moderator.post(&at, json!({"number": "00" .to_owned() + &(FIRST + 7).to_string()})).await;
    assert_eq!((status, found["items"][0]["number"].as_str()), (200, Some("••••••0007")));
    assert_eq!(stage.moderator.post(&at, json!({"number": "4915999999999"})).await.1["items"], json!([]));
    assert_eq!(stage.moderator.post(&at, json!({"number": "x"})).await.0, 422);
    assert_eq!(stage.stranger.post(&at, json!({"number": "4915100000000"})).await.0, 404);
    stage.house.close().await;
}

#[tokio::test]
async fn full_numbers_are_shown_to_whom_the_policy_names_and_that_is_on_record() {
    let stage = Stage::open().await;
    let id = stage.done(1).await;
    let at = path(id, "/recipients/reveal");
    for client in [&stage.author, &stage.moderator] {
        let (status, body) = client.post(&at, json!({})).await;
        assert_eq!((status, code(&body)), (403, "forbidden"));
    }
    assert_eq!(stage.stranger.post(&at, json!({})).await.0, 404);
    let every = [KeyScope::CampaignsRead, KeyScope::CampaignsWrite, KeyScope::ExportsRead];
    let key = stage.house.key(&stage.workspace, &stage.admin, &every).await;
    assert_eq!(code(&key.post(&at, json!({})).await.1), "key_scope");
    let (status, body) = stage.admin.post(&at, json!({})).await;
    assert_eq!((status, body["until"].is_string()), (200, true), "{body}");
    let number = async |client: &Client| {
        client.get(&path(id, "/recipients")).await.1["items"][0]["number"].as_str().unwrap().to_owned()
    };
    assert_eq!(number(&stage.admin).await, FIRST.to_string());
    assert_eq!(number(&stage.moderator).await, "••••••0000");
    assert_eq!(number(&key).await, "••••••0000", "a key of the same account");
    let note = stage.events(id).await.into_iter().find(|e| e.action == "recipients.reveal").unwrap();
    assert_eq!((note.by.user_id, note.by.role.as_str()), (Some(stage.admin.user), "Admin"));
    let mut workspace = stage.workspace.clone();
    workspace.version += 1;
    workspace.policies.reveal_roles = vec![Role::Moderator];
    stage.change(Entity::Workspace(workspace)).await;
    assert_eq!(stage.moderator.post(&at, json!({})).await.0, 200);
    assert_eq!(number(&stage.moderator).await, FIRST.to_string());
    stage.house.close().await;
}

#[tokio::test]
async fn errors_of_the_job_and_of_messages_are_told_apart() {
    let stage = Stage::open().await;
    let id = stage.new_one(Like::of(Mode::OnDemand, 1)).await;
    let noted = |line| JobError {
        seq: 0,
        at: Timestamp::now(),
        code: JobErrorCode::LineNotANumber,
        line: Some(line),
        detail: "hello".to_owned(),
    };
    let scope = Scope::Workspace(stage.workspace.id);
    stage.house.store.note_job_errors(scope, id, vec![noted(3), noted(9)]).await.unwrap();
    let (status, body) = stage.author.get(&path(id, "/errors/job?limit=1")).await;
    assert_eq!((status, body["noted"].as_u64(), body["items"][0]["line"].as_u64()), (200, Some(2), Some(3)));
    assert_eq!(body["items"][0]["code"], "line_not_a_number");
    let cursor = body["next_cursor"].as_str().unwrap();
    let (_, rest) = stage.author.get(&path(id, &format!("/errors/job?limit=5&cursor={cursor}"))).await;
    assert_eq!((rest["items"][0]["line"].as_u64(), rest["next_cursor"].is_null()), (Some(9), true));
    let (status, body) = stage.author.get(&path(id, "/errors/message")).await;
    assert_eq!((status, &body["items"]), (200, &json!([])));
    for kind in ["job", "message"] {
        assert_eq!(stage.stranger.get(&path(id, &format!("/errors/{kind}"))).await.0, 404);
    }
    stage.house.close().await;
}
