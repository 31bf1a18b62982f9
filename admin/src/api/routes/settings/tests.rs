//! A workspace's settings: every field's bounds, and several admins at once.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{House, code};
use engine::store::{Catalog, Scope};
use serde_json::{Value, json};

#[tokio::test]
async fn settings_are_changed_field_by_field_and_audited_with_before_and_after() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let body = json!({
        "name": "Acme", "time_zone": "europe/berlin", "quiet_hours": {"from": "21:00", "to": "08:30"},
        "default_region": "de",
        "policies": {
            "approvals_required": 2, "authors_draft_senders": true, "authors_see_all": false,
            "reveal_roles": ["Moderator", "Author", "Moderator"], "large_campaign_threshold": 50_000,
            "stop_keywords": ["Stop!", "RAUS", "stop"],
        },
    });
    let (status, changed) = admin.patch("/w/here/settings", body).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["time_zone"], "Europe/Berlin");
    assert_eq!(changed["quiet_hours"], json!({"from": "21:00", "to": "08:30"}));
    assert_eq!(changed["default_region"], "DE");
    let policies = json!({
        "approvals_required": 2, "authors_draft_senders": true, "authors_see_all": false,
        "reveal_roles": ["Author", "Moderator"], "large_campaign_threshold": 50_000, "stop_keywords": ["raus", "stop"],
    });
    assert_eq!(changed["policies"], policies);
    assert_eq!(admin.get("/w/here/settings").await, (200, changed));
    let nulls =
        json!({"quiet_hours": null, "default_region": null, "policies": {"large_campaign_threshold": null}});
    let (_, cleared) = admin.patch("/w/here/settings", nulls).await;
    assert_eq!((&cleared["quiet_hours"], &cleared["default_region"]), (&Value::Null, &Value::Null));
    assert_eq!(cleared["policies"]["large_campaign_threshold"], Value::Null);
    assert_eq!(cleared["policies"]["approvals_required"], 2, "what is left out stays");
    assert_eq!(admin.patch("/w/here/settings", json!({})).await, (200, cleared));
    let own = Scope::Workspace(here.id);
    assert_eq!(house.actions(own).await, ["workspace.settings", "workspace.settings"]);
    assert!(!house.actions(Scope::Platform).await.contains(&"workspace.settings".to_owned()));
    let events = house.store.audit(own, 0).await.unwrap();
    let event = events.iter().find(|event| event.action == "workspace.settings").unwrap();
    assert_eq!((&event.before["name"], &event.after["name"]), (&json!("here"), &json!("Acme")));
    assert_eq!((event.by.user_id, event.by.role.as_str()), (Some(admin.user), "Admin"));
    house.close().await;
}

#[tokio::test]
async fn impossible_settings_are_refused_by_their_field() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let many: Vec<_> = (0..49).map(|n| format!("word{n}")).collect();
    let table = [
        (json!({"name": ""}), "name"),
        (json!({"time_zone": "Mars/Olympus"}), "time_zone"),
        (json!({"quiet_hours": {"from": "25:00", "to": "08:00"}}), "quiet_hours.from"),
        (json!({"quiet_hours": {"from": "9:00", "to": "08:00"}}), "quiet_hours.from"),
        (json!({"quiet_hours": {"from": "09:00", "to": "08:00:00"}}), "quiet_hours.to"),
        (json!({"quiet_hours": {"from": "09:00", "to": "09:00"}}), "quiet_hours.to"),
        (json!({"default_region": "XX"}), "default_region"),
        (json!({"default_region": " D"}), "default_region"),
        (json!({"policies": {"approvals_required": 0}}), "policies.approvals_required"),
        (json!({"policies": {"approvals_required": 3}}), "policies.approvals_required"),
        (json!({"policies": {"reveal_roles": ["Admin"]}}), "policies.reveal_roles"),
        (json!({"policies": {"large_campaign_threshold": 0}}), "policies.large_campaign_threshold"),
        (json!({"policies": {"large_campaign_threshold": 10_000_001}}), "policies.large_campaign_threshold"),
        (json!({"policies": {"stop_keywords": ["two words"]}}), "policies.stop_keywords"),
        (json!({"policies": {"stop_keywords": [""]}}), "policies.stop_keywords"),
        (json!({"policies": {"stop_keywords": ["x".repeat(33)]}}), "policies.stop_keywords"),
        (json!({"policies": {"stop_keywords": many}}), "policies.stop_keywords"),
    ];
    for (body, field) in table {
        let (status, refused) = admin.patch("/w/here/settings", body.clone()).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (422, Some(field)), "{body}: {refused}");
    }
    for body in [json!({"slug": "there"}), json!({"policies": {"allow_self_approval": true}})] {
        let (status, refused) = admin.patch("/w/here/settings", body).await;
        assert_eq!((status, code(&refused)), (400, "malformed"));
    }
    assert!(house.actions(Scope::Workspace(here.id)).await.is_empty());
    house.close().await;
}

#[tokio::test]
async fn settings_show_the_table_of_permissions_and_are_for_admins() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    let admin = house.member(&here, "Admin").await;
    let (_, shown) = admin.get("/w/here/settings").await;
    let permissions = &shown["permissions"];
    let standings = json!(["Author", "FlaggedAuthor", "Moderator", "Admin", "SuperAdmin"]);
    assert_eq!(permissions["standings"], standings);
    let rows = permissions["actions"].as_array().unwrap();
    let decide = rows.iter().find(|row| row["action"] == "Approve and reject campaigns").unwrap();
    assert_eq!(decide["grants"], json!(["no", "yes", "yes", "yes", "no"]));
    for role in ["Author", "Author+", "Moderator"] {
        let member = house.member(&here, role).await;
        assert_eq!(member.get("/w/here/settings").await.0, 403, "{role}");
        assert_eq!(member.patch("/w/here/settings", json!({})).await.0, 403, "{role}");
    }
    assert_eq!(root.get("/w/here/settings").await.0, 200);
    assert_eq!(root.patch("/w/here/settings", json!({"name": "x"})).await.0, 403, "a super admin only looks");
    house.close().await;
}

/// Goal: changes of different fields at the same moment are all kept.
#[tokio::test]
async fn changes_at_once_do_not_undo_each_other() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let bodies = [
        json!({"name": "Acme"}),
        json!({"time_zone": "Asia/Tokyo"}),
        json!({"default_region": "JP"}),
        json!({"policies": {"approvals_required": 2}}),
    ];
    let changes = bodies.map(|body| {
        let admin = admin.clone();
        tokio::spawn(async move { admin.patch("/w/here/settings", body).await.0 })
    });
    for change in changes {
        assert_eq!(change.await.unwrap(), 200);
    }
    let (_, shown) = admin.get("/w/here/settings").await;
    let kept = (&shown["name"], &shown["time_zone"], &shown["default_region"]);
    assert_eq!(kept, (&json!("Acme"), &json!("Asia/Tokyo"), &json!("JP")));
    assert_eq!(shown["policies"]["approvals_required"], 2);
    house.close().await;
}
