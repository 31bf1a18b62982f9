//! Accounts as super admins manage them: creation, links, disabling, and the last super admin.

use crate::api::testing::{Client, House, PASSWORD, code};
use engine::model::UserId;
use engine::store::{Catalog, Entity, Kind, MAX_PAGE, Query, Scope};
use serde_json::{Value, json};

async fn log_in(house: &House, email: &str, password: &str) -> u16 {
    house.nobody().post("/login", json!({ "email": email, "password": password })).await.0
}

async fn choose(house: &House, link: &Value, password: &str) -> (u16, Value) {
    house.nobody().post("/password-links/use", json!({ "token": link["token"], "password": password })).await
}

fn path(of: &Value) -> String {
    format!("/users/{}", of["id"].as_str().expect("an id"))
}

async fn emails(house: &House) -> Vec<String> {
    let query = Query { kind: Kind::User, statuses: Vec::new(), parent: None, after: None, limit: MAX_PAGE };
    let page = house.store.list(Scope::Platform, query).await.expect("readable");
    let emails = page.items.into_iter().filter_map(|entity| match entity {
        Entity::User(user) => Some(user.email),
        _ => None,
    });
    emails.collect()
}

async fn house() -> (House, Client) {
    let house = House::open().await;
    let root = house.super_admin().await;
    (house, root)
}

#[tokio::test]
async fn an_account_begins_with_its_memberships_and_a_link_to_choose_a_password() {
    let (house, root) = house().await;
    let workspace = house.workspace("acme").await;
    let memberships = json!([{ "slug": "acme", "role": "Admin" }]);
    let new = json!({ "email": "Ann@Example.com", "name": " Ann ", "memberships": memberships });
    let (status, body) = root.post("/users", new).await;
    assert_eq!((status, &body["user"]["email"]), (201, &json!("ann@example.com")), "{body}");
    assert_eq!(body["memberships"][0]["role"], "Admin");
    let link = &body["link"];
    let url = link["url"].as_str().expect("a link");
    assert!(url.ends_with(&format!("#token={}", link["token"].as_str().expect("a secret"))), "{url}");
    let log = house.store.audit(Scope::Workspace(workspace.id), 0).await.expect("readable");
    let told: Vec<_> = log.iter().filter(|event| event.action == "member.add").collect();
    assert_eq!((told.len(), told[0].by.user_id), (1, Some(root.user)));
    let log = house.store.audit(Scope::Platform, 0).await.expect("readable");
    assert!(log.iter().any(|event| event.action == "user.create" && event.by.role == "SuperAdmin"));
    assert_eq!(code(&choose(&house, link, "short").await.1), "weak_password");
    assert_eq!(choose(&house, link, PASSWORD).await.0, 204);
    let (status, body) = choose(&house, link, PASSWORD).await;
    assert_eq!((status, code(&body)), (410, "gone"));
    assert_eq!(choose(&house, &json!({ "token": "guessed" }), PASSWORD).await.0, 404);
    assert_eq!(log_in(&house, "ann@example.com", PASSWORD).await, 200);
    house.close().await;
}

#[tokio::test]
async fn an_account_with_anything_wrong_is_not_created_at_all() {
    let (house, root) = house().await;
    house.workspace("acme").await;
    let of =
        |memberships: Value| json!({ "email": "a@example.com", "name": "A", "memberships": memberships });
    let many: Vec<_> = (0..51).map(|n| json!({ "slug": format!("w{n}"), "role": "Author" })).collect();
    let table = [
        (
            of(json!([{ "slug": "acme", "role": "Author" }, { "slug": "nowhere", "role": "Author" }])),
            "invalid",
        ),
        (of(json!([{ "slug": "acme", "role": "Author" }, { "slug": "acme", "role": "Admin" }])), "invalid"),
        (of(json!([{ "slug": "acme", "role": "SuperAdmin" }])), "invalid"),
        (of(json!(many)), "invalid"),
        (json!({ "email": "a@b\r\nBcc: c@d", "name": "A" }), "invalid"),
        (json!({ "email": "a@example.com", "name": " " }), "invalid"),
        (json!({ "email": "a@example.com", "name": "A", "password": "short" }), "weak_password"),
        (json!({ "email": "ROOT@example.com", "name": "A" }), "taken"),
        (json!({ "email": "a@example.com", "name": "A", "id": "1" }), "malformed"),
    ];
    for (body, expected) in table {
        assert_eq!(code(&root.post("/users", body.clone()).await.1), expected, "{body}");
    }
    assert_eq!(emails(&house).await, ["root@example.com"]);
    house.close().await;
}

#[tokio::test]
async fn a_later_link_voids_the_earlier_one_and_using_it_ends_all_logins() {
    let (house, root) = house().await;
    let user = house.person("ann@example.com").await;
    let path = format!("/users/{}", user.user);
    let reset = format!("{path}/reset-link");
    let (status, first) = root.post(&reset, json!({})).await;
    let (_, second) = root.post(&reset, json!({})).await;
    assert_eq!((status, choose(&house, &first["link"], "another good one").await.0), (201, 410));
    assert_eq!((user.get("/me").await.0, log_in(&house, "ann@example.com", PASSWORD).await), (200, 200));
    assert_eq!(choose(&house, &second["link"], "another good one").await.0, 204);
    assert_eq!(user.get("/me").await.0, 401);
    assert_eq!(log_in(&house, "ann@example.com", "another good one").await, 200);
    let (_, third) = root.post(&reset, json!({})).await;
    assert_eq!(root.patch(&path, json!({ "disabled": true })).await.0, 200);
    assert_eq!(choose(&house, &third["link"], PASSWORD).await.0, 410);
    assert_eq!(code(&root.post(&reset, json!({})).await.1), "state_conflict");
    assert_eq!(
        root.post(&format!("/users/{}/reset-link", UserId(uuid::Uuid::nil())), json!({})).await.0,
        404
    );
    house.close().await;
}

#[tokio::test]
async fn the_last_super_admin_is_neither_disabled_nor_demoted() {
    let (house, root) = house().await;
    let own = format!("/users/{}", root.user);
    for change in [json!({ "disabled": true }), json!({ "super_admin": false })] {
        let (status, body) = root.patch(&own, change).await;
        assert_eq!((status, code(&body)), (409, "state_conflict"));
    }
    let new = json!({ "email": "two@example.com", "name": "Two", "super_admin": true, "password": PASSWORD });
    let (status, two) = root.post("/users", new).await;
    assert_eq!((status, &two["link"]), (201, &Value::Null));
    // Both at once, each with the other one left.
    let demote = json!({ "super_admin": false });
    let other = path(&two["user"]);
    let (a, b) = tokio::join!(root.patch(&own, demote.clone()), root.patch(&other, demote));
    let mut statuses = [a.0, b.0];
    statuses.sort_unstable();
    assert!(statuses[0] == 200 && [403, 409].contains(&statuses[1]), "{statuses:?}");
    let query = Query {
        kind: Kind::User,
        statuses: vec![engine::store::SUPER_ADMIN.to_owned()],
        parent: None,
        after: None,
        limit: MAX_PAGE,
    };
    assert_eq!(house.store.list(Scope::Platform, query).await.expect("readable").items.len(), 1);
    house.close().await;
}

#[tokio::test]
async fn accounts_are_listed_renamed_and_only_by_super_admins() {
    let (house, root) = house().await;
    let workspace = house.workspace("acme").await;
    let admin = house.member(&workspace, "Admin").await;
    for (status, body) in [admin.get("/users").await, admin.post("/users", json!({})).await] {
        assert_eq!((status, code(&body)), (403, "forbidden"));
    }
    let own = format!("/users/{}", admin.user);
    assert_eq!(admin.patch(&own, json!({ "super_admin": true })).await.0, 403);
    let (status, body) = root.patch(&own, json!({ "name": "Ada" })).await;
    assert_eq!((status, &body["name"]), (200, &json!("Ada")));
    assert_eq!(root.patch(&own, json!({ "email": "x@example.com" })).await.0, 400);
    let (_, page) = root.get("/users?limit=1").await;
    assert_eq!(page["items"][0]["name"], "Ada");
    let next = page["next_cursor"].as_str().expect("there is more");
    let (_, rest) = root.get(&format!("/users?limit=1&cursor={next}")).await;
    assert_eq!(
        (&rest["items"][0]["email"], &rest["next_cursor"]),
        (&json!("root@example.com"), &Value::Null)
    );
    assert!(!page.to_string().contains("credential"));
    assert_eq!(root.get("/users?limit=0").await.0, 400);
    let log = house.store.audit(Scope::Platform, 0).await.expect("readable");
    assert_eq!(log.last().map(|event| event.action.as_str()), Some("user.change"));
    house.close().await;
}
