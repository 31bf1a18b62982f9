//! Suppression lists of workspaces and of the installation, masked and audited.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code};
use engine::store::{Catalog, Scope};
use serde_json::{Value, json};

const NUMBER: &str = "+49 151 1234-5678";
const DIGITS: u64 = 4_915_112_345_678;

async fn add(client: &Client, path: &str, numbers: &[&str]) -> (u16, Value) {
    client.post(path, json!({"numbers": numbers, "reason": "complaint"})).await
}

async fn items(client: &Client, path: &str) -> Vec<Value> {
    let (status, page) = client.get(path).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn numbers_go_on_the_list_masked_and_come_off_by_an_id_that_hides_them() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let path = "/w/here/suppressions";
    let (status, added) = add(&admin, path, &[NUMBER, "004915112345678", "33612340000"]).await;
    assert_eq!((status, &added), (201, &json!({"listed": 2, "added": 2})));
    assert_eq!(add(&admin, path, &[NUMBER]).await.1, json!({"listed": 1, "added": 0}));
    let listed = items(&admin, path).await;
    assert_eq!(listed.len(), 2);
    let text = json!(listed).to_string();
    assert!(text.contains("••••••5678") && !text.contains("12345678"), "{text}");
    let entry = listed.iter().find(|entry| entry["number"].as_str().unwrap().ends_with("5678")).unwrap();
    assert_eq!((&entry["kind"], &entry["reason"]), (&json!("block"), &json!("complaint")));
    let id = entry["id"].as_str().unwrap();
    let one = format!("{path}/{id}");
    assert_eq!(admin.delete(&one).await, (204, Value::Null));
    let (status, gone) = admin.delete(&one).await;
    assert_eq!((status, code(&gone)), (404, "not_found"));
    let scope = Scope::Workspace(here.id);
    let left = house.store.suppressions(scope, None, 10).await.unwrap();
    assert!(left.iter().all(|entry| entry.number != DIGITS));
    assert_eq!(house.actions(scope).await, ["suppression.add", "suppression.add", "suppression.remove"]);
    add(&admin, path, &[NUMBER]).await;
    assert!(items(&admin, path).await.iter().any(|entry| entry["id"] == id), "the id is stable");
    house.close().await;
}

#[tokio::test]
async fn a_list_is_paged_without_a_number_in_the_cursor() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let path = "/w/here/suppressions";
    let numbers: Vec<String> = (0..10).map(|n| format!("+49151123456{n:02}")).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    add(&admin, path, &numbers).await;
    admin.post(path, json!({"numbers": [numbers[3]], "reason": "asked", "kind": "opt_out"})).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = admin.get(&format!("{path}?limit=4{cursor}")).await;
        let page_items = page["items"].as_array().unwrap().iter();
        seen.extend(page_items.map(|item| (item["number"].clone(), item["kind"].clone())));
        let Some(next) = page["next_cursor"].as_str() else { break };
        assert!(!next.contains("49151"), "{next}");
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 11);
    assert_eq!((&seen[3].1, &seen[4].1), (&json!("opt_out"), &json!("block")));
    for cursor in ["1", "0191d7c0-a000-7000-8000-00000000000a", &"0".repeat(32)] {
        let (status, refused) = admin.get(&format!("{path}?cursor={cursor}")).await;
        assert_eq!((status, code(&refused)), (400, "bad_parameter"));
    }
    house.close().await;
}

#[tokio::test]
async fn one_wrong_number_refuses_all_and_is_named_by_its_place() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let path = "/w/here/suppressions";
    let (status, refused) = add(&admin, path, &[NUMBER, "nobody", "", "1"]).await;
    assert_eq!((status, code(&refused)), (422, "invalid"));
    let fields: Vec<_> =
        refused["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, ["numbers[1]", "numbers[2]", "numbers[3]"]);
    let long = "1".repeat(65);
    assert_eq!(add(&admin, path, &[&long]).await.0, 422);
    assert_eq!(add(&admin, path, &[]).await.0, 422);
    let many = vec![NUMBER; engine::store::MAX_SUPPRESSIONS + 1];
    assert_eq!(add(&admin, path, &many).await.0, 422);
    for reason in ["", "keyword stop", "call of 4915112345678", &"r".repeat(201)] {
        let (status, refused) = admin.post(path, json!({"numbers": [NUMBER], "reason": reason})).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (422, Some("reason")), "{refused}");
    }
    assert!(items(&admin, path).await.is_empty());
    assert!(house.actions(Scope::Workspace(here.id)).await.is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_national_number_is_read_with_the_workspaces_region() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    assert_eq!(admin.patch("/w/here/settings", json!({"default_region": "DE"})).await.0, 200);
    assert_eq!(add(&admin, "/w/here/suppressions", &["0151 12345678"]).await.0, 201);
    let listed = house.store.suppressions(Scope::Workspace(here.id), None, 10).await.unwrap();
    assert_eq!(listed[0].number, DIGITS);
    house.close().await;
}

#[tokio::test]
async fn the_installations_list_is_for_super_admins_and_an_id_counts_in_one_list() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    let admin = house.member(&here, "Admin").await;
    assert_eq!(add(&admin, "/suppressions", &[NUMBER]).await.0, 403);
    assert_eq!(add(&root, "/suppressions", &[NUMBER]).await.0, 201);
    assert_eq!(add(&admin, "/w/here/suppressions", &[NUMBER]).await.0, 201);
    let (own, all) = (items(&admin, "/w/here/suppressions").await, items(&root, "/suppressions").await);
    assert_ne!(own[0]["id"], all[0]["id"]);
    let id = all[0]["id"].as_str().unwrap();
    assert_eq!(admin.delete(&format!("/w/here/suppressions/{id}")).await.0, 404);
    assert_eq!(admin.delete(&format!("/suppressions/{id}")).await.0, 403);
    assert_eq!(root.delete(&format!("/suppressions/{id}")).await.0, 204);
    assert_eq!(
        (items(&root, "/suppressions").await.len(), items(&admin, "/w/here/suppressions").await.len()),
        (0, 1)
    );
    let actions = house.actions(Scope::Platform).await;
    assert!(
        actions.contains(&"suppression.add".to_owned()) && actions.contains(&"suppression.remove".to_owned())
    );
    for role in ["Author", "Moderator"] {
        let member = house.member(&here, role).await;
        assert_eq!(member.get("/w/here/suppressions").await.0, 403, "{role}");
    }
    house.close().await;
}
