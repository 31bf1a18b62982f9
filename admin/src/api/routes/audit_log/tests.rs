//! The audit logs as answers: filters, pages, members' logins, and what other tenants never see.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code};
use engine::store::Scope;
use serde_json::{Value, json};

async fn items(client: &Client, path: &str) -> Vec<Value> {
    let (status, page) = client.get(path).await;
    assert_eq!(status, 200, "{path}: {page}");
    page["items"].as_array().unwrap().clone()
}

fn actions(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_log_tells_who_what_when_from_where_and_what_has_changed() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let author = house.member(&here, "Author").await;
    admin.patch("/w/here/settings", json!({"name": "Acme"})).await;
    admin.patch(&format!("/w/here/members/{}", author.user), json!({"is_moderator": true})).await;
    let found = items(&admin, "/w/here/audit?limit=2").await;
    assert_eq!(actions(&found), ["member.change", "workspace.settings"]);
    let event = &found[1];
    assert_eq!(event["actor"]["user_id"], admin.user.to_string());
    assert_eq!(
        (&event["actor"]["role"], &event["entity_id"]),
        (&json!("Admin"), &json!(here.id.to_string()))
    );
    assert_eq!((&event["before"]["name"], &event["after"]["name"]), (&json!("here"), &json!("Acme")));
    assert_eq!(event["before"].get("slug"), None, "only what has changed");
    assert!(event["address"].is_string() && event["request_id"].is_string() && event["hash"].is_string());
    assert!(event["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(event["actor"]["email"].as_str().unwrap().split('-').next(), Some("Admin"));
    house.close().await;
}

#[tokio::test]
async fn a_log_is_asked_by_actor_action_entity_kind_and_time() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let (admin, other) = (house.member(&here, "Admin").await, house.member(&here, "Admin").await);
    let author = house.member(&here, "Author").await;
    // Bounds are of whole milliseconds: what was made until now must lie in an earlier one.
    let made = house.api.now();
    while house.api.now().as_millisecond() == made.as_millisecond() {
        tokio::task::yield_now().await;
    }
    let began = house.api.now();
    admin.patch("/w/here/settings", json!({"name": "One"})).await;
    other.patch("/w/here/settings", json!({"name": "Two"})).await;
    other.delete(&format!("/w/here/members/{}", author.user)).await;
    let (a, b) = (admin.user, other.user);
    for (query, expected) in [
        (format!("actor={a}"), vec!["workspace.settings"]),
        (format!("actor={b}"), vec!["member.remove", "workspace.settings"]),
        ("action=member.remove".to_owned(), vec!["member.remove"]),
        ("action=workspace.".to_owned(), vec!["workspace.settings"; 2]),
        (format!("entity={}&from={began}", here.id), vec!["workspace.settings"; 2]),
        (format!("kind=membership&from={began}"), vec!["member.remove"]),
        (format!("from={began}"), vec!["member.remove", "workspace.settings", "workspace.settings"]),
        (format!("to={began}&actor={a}"), vec![]),
    ] {
        assert_eq!(actions(&items(&admin, &format!("/w/here/audit?{query}")).await), expected, "{query}");
    }
    for (query, field) in [("from=monday", "from"), ("limit=0", "limit"), ("cursor=zz", "cursor")] {
        let (status, refused) = admin.get(&format!("/w/here/audit?{query}")).await;
        assert_eq!((status, code(&refused)), (400, "bad_parameter"), "{query}");
        assert_eq!(refused["errors"][0]["field"], field);
    }
    for query in ["actor=x", "who=me", "log=all"] {
        assert_eq!(admin.get(&format!("/w/here/audit?{query}")).await.0, 400, "{query}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_log_is_read_page_by_page_and_by_those_who_may() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    let admin = house.member(&here, "Admin").await;
    for n in 0..7 {
        admin.patch("/w/here/settings", json!({"name": format!("name {n}")})).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = admin.get(&format!("/w/here/audit?action=workspace.settings&limit=3{cursor}")).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["after"]["name"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<_> = (0..7).rev().map(|n| json!(format!("name {n}"))).collect();
    assert_eq!(seen, expected);
    for (role, status) in [("Author", 403), ("Author+", 403), ("Moderator", 200)] {
        assert_eq!(house.member(&here, role).await.get("/w/here/audit").await.0, status, "{role}");
    }
    assert_eq!((root.get("/w/here/audit").await.0, root.get("/audit").await.0), (200, 200));
    assert_eq!(admin.get("/audit").await.0, 403);
    house.close().await;
}

#[tokio::test]
async fn an_admin_sees_the_logins_of_the_own_members_only() {
    let house = House::open().await;
    let (here, there) = (house.workspace("here").await, house.workspace("there").await);
    let (admin, author) = (house.member(&here, "Admin").await, house.member(&here, "Author").await);
    let stranger = house.member(&there, "Admin").await;
    // Whoever is logged in by a test is logged in by nobody; these log in themselves.
    for client in [&admin, &author, &stranger] {
        let by =
            engine::model::Principal { user_id: Some(client.user), ..engine::model::Principal::engine() };
        house.api.logins.open(client.user, &by, house.api.now()).await.unwrap();
    }
    let path = "/w/here/audit?log=logins";
    let found = items(&admin, path).await;
    let who: Vec<_> =
        found.iter().map(|item| item["actor"]["user_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(who, [author.user.to_string(), admin.user.to_string()]);
    assert_eq!(items(&admin, &format!("{path}&actor={}", author.user)).await.len(), 1);
    assert!(items(&admin, &format!("{path}&actor={}", stranger.user)).await.is_empty());
    assert!(items(&admin, &format!("{path}&action=user.")).await.is_empty());
    let moderator = house.member(&here, "Moderator").await;
    assert_eq!(moderator.get(path).await.0, 403);
    let (_, all) = house.super_admin().await.get("/audit?action=login.open").await;
    assert!(all["items"].as_array().unwrap().len() >= 3);
    assert!(house.actions(Scope::Workspace(here.id)).await.is_empty());
    house.close().await;
}
