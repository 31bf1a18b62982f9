//! The platform's settings: defaults, bounds, the waiting time of a shorter retention.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::House;
use engine::store::{Catalog, Scope};
use serde_json::{Value, json};

const PATH: &str = "/platform/settings";

#[tokio::test]
async fn defaults_hold_until_a_super_admin_changes_them() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let (status, shown) = root.get(PATH).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!((&shown["audit_retention_days"], &shown["audit_overflow"]), (&json!(90), &json!("drop")));
    assert_eq!(shown["password_policy"], json!({"min_chars": 12, "refuse_common": true}));
    assert_eq!(shown["number_retention_days"], Value::Null);
    let body = json!({
        "audit_retention_days": 365, "audit_overflow": "block", "number_retention_days": 30,
        "password_policy": {"min_chars": 14},
    });
    let (status, changed) = root.patch(PATH, body).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["audit_retention_days_in_force"], 365, "longer counts at once");
    assert_eq!(changed["password_policy"], json!({"min_chars": 14, "refuse_common": true}));
    let (_, kept) = root.patch(PATH, json!({"number_retention_days": null})).await;
    let expected = (&json!(null), &json!(365), &json!("block"));
    let found = (&kept["number_retention_days"], &kept["audit_retention_days"], &kept["audit_overflow"]);
    assert_eq!(found, expected);
    assert_eq!(root.get(PATH).await, (200, kept));
    let actions = house.actions(Scope::Platform).await;
    assert_eq!(actions.iter().filter(|action| *action == "settings.change").count(), 2);
    house.close().await;
}

#[tokio::test]
async fn a_shorter_retention_is_recorded_and_waits() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let (status, changed) = root.patch(PATH, json!({"audit_retention_days": 7})).await;
    assert_eq!(status, 200, "{changed}");
    let days = (&changed["audit_retention_days"], &changed["audit_retention_days_in_force"]);
    assert_eq!(days, (&json!(7), &json!(90)));
    let before = changed["audit_retention_before"].as_array().unwrap();
    assert_eq!((before.len(), &before[0]["days"]), (1, &json!(90)));
    let until: jiff::Timestamp = before[0]["until"].as_str().unwrap().parse().unwrap();
    let wait = until.duration_since(house.api.now()).as_secs_f64();
    assert!((7.0 * 86_400.0 - wait).abs() < 60.0, "{wait}");
    let events = house.store.audit(Scope::Platform, 0).await.unwrap();
    let event = events.iter().find(|event| event.action == "settings.change").unwrap();
    assert_eq!((event.by.user_id, &event.after["audit_retention_days"]), (Some(root.user), &json!(7)));
    house.close().await;
}

#[tokio::test]
async fn impossible_settings_are_refused_and_others_have_no_access() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    let table = [
        (json!({"audit_retention_days": 0}), "audit_retention_days"),
        (json!({"audit_retention_days": 36_501}), "audit_retention_days"),
        (json!({"number_retention_days": 0}), "number_retention_days"),
        (json!({"audit_overflow": "ignore"}), "audit_overflow"),
        (json!({"password_policy": {"min_chars": 7}}), "password_policy.min_chars"),
        (json!({"password_policy": {"min_chars": 129}}), "password_policy.min_chars"),
    ];
    for (body, field) in table {
        let (status, refused) = root.patch(PATH, body.clone()).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (422, Some(field)), "{body}: {refused}");
    }
    let admin = house.member(&here, "Admin").await;
    assert_eq!((admin.get(PATH).await.0, admin.patch(PATH, json!({})).await.0), (403, 403));
    assert!(!house.actions(Scope::Platform).await.contains(&"settings.change".to_owned()));
    house.close().await;
}
