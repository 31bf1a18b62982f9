//! Requests to erase a number: who may make them, what they hold, when they are refused.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::erasing::{MAX_RUNNING, round};
use crate::api::testing::{House, code};
use engine::model::{Erasure, ErasureStatus, Number};
use engine::store::{Catalog, Entity, MAX_PAGE, Scope};
use serde_json::json;
use uuid::Uuid;

const NUMBER: &str = "+49 151 12345678";

#[tokio::test]
async fn a_request_holds_the_hash_and_is_done_where_nobody_has_the_number() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let (status, asked) = root.post("/privacy/erase", json!({"number": NUMBER})).await;
    assert_eq!((status, &asked["status"], &asked["pending"]), (202, &json!("running"), &json!(0)), "{asked}");
    assert_eq!(asked["ctn_hash"], house.api.ctn.hash(Number(4_915_112_345_678)).to_string());
    assert_eq!(asked["suppressions"], "kept");
    let at = format!("/privacy/erasures/{}", asked["request_id"].as_str().unwrap());
    assert_eq!(root.get(&at).await, (200, asked));
    round(&house.api, house.api.now()).await.unwrap();
    let (_, done) = root.get(&at).await;
    assert_eq!((&done["status"], &done["recipients"]), (&json!("done"), &json!(0)), "{done}");
    assert!(done["done_at"].is_string());
    let events = house.store.audit(Scope::Platform, 0).await.unwrap();
    let event = events.iter().find(|event| event.action == "privacy.erase").unwrap();
    assert_eq!(event.by.user_id, Some(root.user));
    assert!(events.iter().any(|event| event.action == "privacy.erase_done"));
    assert!(!serde_json::to_string(&events).unwrap().contains("12345678"), "the number is in the log");
    house.close().await;
}

#[tokio::test]
async fn what_is_no_number_is_refused_and_nobody_else_may_ask() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    for wrong in ["", "hello", "0151 1234567", &"1".repeat(65)] {
        let (status, refused) = root.post("/privacy/erase", json!({"number": wrong})).await;
        assert_eq!(
            (status, refused["errors"][0]["field"].as_str()),
            (422, Some("number")),
            "{wrong}: {refused}"
        );
    }
    let admin = house.member(&here, "Admin").await;
    assert_eq!(admin.post("/privacy/erase", json!({"number": NUMBER})).await.0, 403);
    let nothing = format!("/privacy/erasures/{}", Uuid::now_v7());
    assert_eq!((admin.get(&nothing).await.0, root.get(&nothing).await.0), (403, 404));
    for _ in 0..MAX_RUNNING {
        assert_eq!(root.post("/privacy/erase", json!({"number": NUMBER})).await.0, 202);
    }
    let (status, refused) = root.post("/privacy/erase", json!({"number": NUMBER})).await;
    assert_eq!((status, code(&refused)), (429, "rate_limited"));
    round(&house.api, house.api.now()).await.unwrap();
    assert_eq!(root.post("/privacy/erase", json!({"number": NUMBER})).await.0, 202);
    house.close().await;
}

#[tokio::test]
async fn requests_that_wait_for_campaigns_keep_no_other_out_and_are_all_gone_on_with() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let mut oldest = None;
    for _ in 0..=MAX_PAGE {
        let waiting = Erasure {
            id: Uuid::now_v7(),
            ctn_hash: house.api.ctn.hash(Number(4_915_112_345_678)),
            status: ErasureStatus::Waiting,
            drafts_passed: true,
            passed: None,
            all_passed: true,
            step: None,
            draft_step: None,
            waiting: Vec::new(),
            unscrubbed: Vec::new(),
            campaigns: 0,
            recipients: 0,
            drafts: 0,
            exports: 0,
            created_by: root.user,
            created_at: house.api.now(),
            done_at: None,
            version: 0,
        };
        oldest = oldest.or(Some(waiting.id));
        house.put(Entity::Erasure(waiting)).await;
    }
    let (status, asked) = root.post("/privacy/erase", json!({"number": NUMBER})).await;
    assert_eq!(status, 202, "{asked}");
    round(&house.api, house.api.now()).await.unwrap();
    for id in [oldest.unwrap().to_string(), asked["request_id"].as_str().unwrap().to_owned()] {
        assert_eq!(root.get(&format!("/privacy/erasures/{id}")).await.1["status"], "done");
    }
    house.close().await;
}
