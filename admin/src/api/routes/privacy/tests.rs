//! Requests to erase a number: who may make them, what they hold, when they are refused.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::erasing::{MAX_OPEN, round};
use crate::api::testing::{House, code};
use engine::model::Number;
use engine::store::{Catalog, Scope};
use serde_json::json;

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
    let nothing = format!("/privacy/erasures/{}", uuid::Uuid::now_v7());
    assert_eq!((admin.get(&nothing).await.0, root.get(&nothing).await.0), (403, 404));
    for _ in 0..MAX_OPEN {
        assert_eq!(root.post("/privacy/erase", json!({"number": NUMBER})).await.0, 202);
    }
    let (status, refused) = root.post("/privacy/erase", json!({"number": NUMBER})).await;
    assert_eq!((status, code(&refused)), (429, "rate_limited"));
    round(&house.api, house.api.now()).await.unwrap();
    assert_eq!(root.post("/privacy/erase", json!({"number": NUMBER})).await.0, 202);
    house.close().await;
}
