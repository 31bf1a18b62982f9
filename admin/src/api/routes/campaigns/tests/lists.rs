//! Lists of campaigns: filters, totals, the views over workspaces, what an author may not see.

use super::*;
use crate::api::testing::code;
use serde_json::json;

#[tokio::test]
async fn a_list_is_filtered_sorted_and_counted() {
    let stage = Stage::open().await;
    let first = stage.new_one(Like::of(Mode::OnDemand, 1)).await;
    let second = stage.pending(Like::of(Mode::Trigger, 0)).await;
    let third = stage.new_one(Like::of(Mode::Trigger, 0)).await;
    assert_eq!(stage.author.post(&path(third, "/archive"), json!({})).await.0, 200);
    let list = async |query: &str| {
        let (status, body) = stage.moderator.get(&format!("/w/mine/campaigns?{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        assert_eq!(body["workspace_total"], 3, "{query}");
        let ids: Vec<String> =
            body["items"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
        (ids, body["filtered_total"].as_u64().unwrap(), body["next_cursor"].as_str().map(str::to_owned))
    };
    let (a, b) = (first.to_string(), second.to_string());
    assert_eq!(list("").await, (vec![b.clone(), a.clone()], 2, None));
    assert_eq!(list("sort=created").await.0, [a.clone(), b.clone()]);
    assert_eq!(list("status=New").await.0, [a.as_str()]);
    assert_eq!(list("status=New,Pending&sort=created").await.0, [a.clone(), b.clone()]);
    assert_eq!(list("status=New&status=Pending&sort=created").await.0, [a.clone(), b.clone()]);
    assert_eq!(list("mode=Trigger").await.0, [b.as_str()]);
    assert_eq!(list(&format!("q={first}")).await.0, [a.as_str()]);
    assert_eq!(list("q=TER%20sh").await.1, 2);
    assert_eq!(list("q=nobody").await.1, 0);
    let (page, total, cursor) = list("limit=1&sort=created").await;
    assert_eq!((page, total), (vec![a], 2));
    let cursor = cursor.unwrap();
    assert_eq!(list(&format!("limit=1&sort=created&cursor={cursor}")).await, (vec![b], 2, None));
    let wrong = [
        "status=Draft",
        "mode=x",
        "sort=name",
        "limit=0",
        "limit=x",
        "cursor=x",
        "from=yesterday",
        "colour=1",
        "limit=1&limit=2",
        &format!("sort=sender&cursor={cursor}"),
        &format!("q={}", "x".repeat(201)),
    ];
    for query in wrong {
        let (status, body) = stage.moderator.get(&format!("/w/mine/campaigns?{query}")).await;
        assert_eq!((status, code(&body)), (400, "bad_parameter"), "{query}: {body}");
    }
    let (_, body) = stage.admin.get("/w/mine/campaigns").await;
    assert_eq!(body["items"][0]["sender_name"], "Winter shop");
    assert!(body.get("scope").is_none());
    assert_eq!(stage.stranger.get("/w/mine/campaigns").await.0, 404);
    stage.house.close().await;
}

#[tokio::test]
async fn where_authors_see_their_own_only_everything_of_others_is_not_there() {
    let stage = Stage::open().await;
    let id = stage.new_one(Like::of(Mode::OnDemand, 1)).await;
    assert_eq!(stage.other.get(&path(id, "")).await.0, 200);
    stage.hide_others().await;
    for rest in ["", "/recipients", "/errors/job", "/errors/message", "/audit", "/progress"] {
        let (status, body) = stage.other.get(&path(id, rest)).await;
        assert_eq!((status, code(&body)), (404, "not_found"), "{rest}");
    }
    for rest in ["/start", "/cancel", "/archive", "/cancel-and-archive", "/restore"] {
        assert_eq!(stage.other.post(&path(id, rest), json!({})).await.0, 404, "{rest}");
    }
    let (_, body) = stage.other.get("/w/mine/campaigns").await;
    assert_eq!((body["filtered_total"].as_u64(), body["workspace_total"].as_u64()), (Some(0), Some(1)));
    assert_eq!(stage.author.get("/w/mine/campaigns").await.1["filtered_total"], 1);
    assert_eq!(stage.moderator.get(&path(id, "")).await.0, 200);
    stage.author.post(&path(id, "/archive"), json!({})).await;
    assert_eq!(stage.other.get("/w/archive/campaigns").await.1["filtered_total"], 0);
    assert_eq!(stage.author.get("/w/archive/campaigns").await.1["filtered_total"], 1);
    stage.house.close().await;
}

#[tokio::test]
async fn master_shows_every_workspace_and_the_archive_the_callers_own() {
    let stage = Stage::open().await;
    let id = stage.new_one(Like::of(Mode::OnDemand, 1)).await;
    let root = stage.house.super_admin().await;
    let (status, body) = root.get("/w/master/campaigns").await;
    assert_eq!((status, body["scope"].as_str()), (200, Some("master")));
    assert_eq!(body["items"][0]["workspace"], "mine");
    assert_eq!(stage.admin.get("/w/master/campaigns").await.0, 404);
    assert_eq!(stage.admin.post(&path(id, "/archive"), json!({})).await.0, 200);
    assert_eq!(root.get("/w/master/campaigns").await.1["filtered_total"], 0);
    let (_, found) = root.get(&format!("/w/master/campaigns?q={id}")).await;
    assert_eq!(found["items"][0]["id"], id.to_string(), "support finds a campaign wherever it is");
    let (status, body) = stage.moderator.get("/w/archive/campaigns").await;
    assert_eq!((status, body["scope"].as_str()), (200, Some("archive")));
    assert_eq!(body["items"][0]["id"], id.to_string());
    assert!(body["items"][0]["archived_at"].is_string());
    assert_eq!(stage.stranger.get("/w/archive/campaigns").await.1["filtered_total"], 0);
    let (status, body) = stage.stranger.post("/w/archive/campaigns", json!({})).await;
    assert_eq!((status, code(&body)), (403, "read_only_scope"));
    stage.house.close().await;
}
