//! Workspaces as super admins manage them: slugs, limits, a thousand of them in pages.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{House, code};
use engine::store::{Catalog, Scope};
use serde_json::json;

#[tokio::test]
async fn a_super_admin_creates_a_workspace_once_and_nobody_else_does() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let body = json!({"slug": "acme-corp", "name": " Acme "});
    assert_eq!(admin.post("/workspaces", body.clone()).await.0, 403);
    let (status, made) = root.post("/workspaces", body.clone()).await;
    assert_eq!((status, &made["slug"], &made["name"]), (201, &json!("acme-corp"), &json!("Acme")), "{made}");
    let (status, again) = root.post("/workspaces", body).await;
    assert_eq!((status, code(&again)), (409, "taken"));
    let id = engine::model::WorkspaceId(made["id"].as_str().unwrap().parse().unwrap());
    assert_eq!(house.actions(Scope::Workspace(id)).await, ["workspace.create"]);
    assert_eq!(house.actions(Scope::Platform).await.last().unwrap(), "workspace.create");
    let (status, mut shown) = root.get("/workspaces/acme-corp").await;
    assert_eq!(shown.as_object_mut().unwrap().remove("stored_bytes"), Some(json!(0)));
    assert_eq!((status, shown), (200, made));
    let (status, absent) = root.get("/workspaces/nowhere").await;
    assert_eq!((status, code(&absent)), (404, "not_found"));
    assert_eq!(admin.get("/workspaces/here").await.0, 403);
    house.close().await;
}

#[tokio::test]
async fn a_slug_is_short_plain_and_not_reserved() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let longest = "a".repeat(63);
    for slug in ["a", "7", "a-b", "x--y", "platform", &longest] {
        let (status, body) = root.post("/workspaces", json!({"slug": slug, "name": "n"})).await;
        assert_eq!(status, 201, "{slug}: {body}");
    }
    let long = "a".repeat(64);
    for slug in ["", "-a", "a-", "A", "a b", "ä", "a/b", "a.b", "master", "archive", &long] {
        let (status, body) = root.post("/workspaces", json!({"slug": slug, "name": "n"})).await;
        assert_eq!((status, code(&body)), (422, "invalid"), "{slug}");
        assert_eq!(body["errors"][0]["field"], "slug");
    }
    let (status, body) = root.post("/workspaces", json!({"slug": "b", "name": "n", "weight": 3})).await;
    assert_eq!((status, code(&body)), (400, "malformed"));
    house.close().await;
}

#[tokio::test]
async fn a_thousand_workspaces_are_listed_page_by_page() {
    let house = House::open().await;
    let root = house.super_admin().await;
    for n in 0..1_000 {
        house.workspace(&format!("tenant-{n}")).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = root.get(&format!("/workspaces?limit=200{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let slugs = page["items"].as_array().unwrap().iter();
        seen.extend(slugs.map(|item| item["slug"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<_> = (0..1_000).rev().map(|n| format!("tenant-{n}")).collect();
    assert_eq!(seen, expected);
    house.close().await;
}

#[tokio::test]
async fn the_providers_limits_are_changed_one_by_one_and_audited_in_the_tenant() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let here = house.workspace("here").await;
    let body = json!({
        "rate_per_s": 50, "storage_quota_bytes": 1_000, "daily_limit": 10, "allow_self_approval": true,
        "channels": ["main"],
    });
    let (status, changed) = root.patch("/workspaces/here", body.clone()).await;
    assert_eq!(status, 200, "{changed}");
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
    let (_, kept) = root.patch("/workspaces/here", json!({"daily_limit": null})).await;
    assert_eq!((&kept["daily_limit"], &kept["rate_per_s"]), (&json!(null), &json!(50)));
    assert_eq!(root.patch("/workspaces/here", json!({})).await, (200, kept));
    let limits = ["workspace.limits", "workspace.limits"];
    assert_eq!(house.actions(Scope::Workspace(here.id)).await, limits);
    let events = house.store.audit(Scope::Workspace(here.id), 0).await.unwrap();
    let event = events.iter().find(|event| event.action == "workspace.limits").unwrap();
    assert_eq!((event.by.user_id, event.by.role.as_str()), (Some(root.user), "SuperAdmin"));
    assert_eq!((&event.before["rate_per_s"], &event.after["rate_per_s"]), (&json!(0), &json!(50)));
    assert!(house.actions(Scope::Platform).await.ends_with(&limits.map(str::to_owned)));
    house.close().await;
}

#[tokio::test]
async fn impossible_limits_are_refused_and_admins_have_no_say() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    assert_eq!(admin.patch("/workspaces/here", json!({"allow_self_approval": true})).await.0, 403);
    let table = [
        (json!({"rate_per_s": 1_000_001}), "rate_per_s"),
        (json!({"daily_limit": 0}), "daily_limit"),
        (json!({"storage_quota_bytes": 9_007_199_254_740_993_u64}), "storage_quota_bytes"),
        (json!({"channels": ["nowhere"]}), "channels"),
        (json!({"name": ""}), "name"),
        (json!({"daily_limit": -1}), "daily_limit"),
    ];
    for (body, field) in table {
        let (status, refused) = root.patch("/workspaces/here", body.clone()).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (422, Some(field)), "{body}: {refused}");
    }
    assert_eq!(root.patch("/workspaces/nowhere", json!({})).await.0, 404);
    assert!(house.actions(Scope::Workspace(here.id)).await.is_empty());
    house.close().await;
}
