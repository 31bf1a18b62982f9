//! API keys: shown once, bound to workspace, scopes and role, revoked at once.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code};
use engine::store::{Catalog, Scope};
use reqwest::Method;
use serde_json::{Value, json};

async fn create(client: &Client, scopes: &[&str]) -> (String, String) {
    let (status, made) = client.post("/w/here/api-keys", json!({"name": "billing", "scopes": scopes})).await;
    assert_eq!(status, 201, "{made}");
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

async fn ids(client: &Client) -> Vec<String> {
    let (status, page) = client.get("/w/here/api-keys").await;
    assert_eq!(status, 200, "{page}");
    assert!(!page.to_string().contains("mc_"), "a secret is told once");
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

async fn status(house: &House, key: &str, path: &str) -> u16 {
    let request = house.nobody().request(Method::GET, path).bearer_auth(key);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_key_works_as_its_owner_until_it_is_revoked() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let (admin, author) = (house.member(&here, "Admin").await, house.member(&here, "Author").await);
    let (id, key) = create(&author, &["audit:read", "campaigns:read", "audit:read"]).await;
    assert_eq!(status(&house, &key, "/w/here/audit").await, 403, "never more than the member's role");
    let (_, strong) = create(&admin, &["audit:read"]).await;
    assert_eq!(status(&house, &strong, "/w/here/audit").await, 200);
    assert_eq!(status(&house, &strong, "/w/here/members").await, 403, "never more than its scopes");
    let events = house.store.audit(Scope::Workspace(here.id), 0).await.unwrap();
    let secret = strong.rsplit('_').next().unwrap();
    assert!(events.iter().all(|event| !event.after.to_string().contains(secret)));
    assert_eq!(author.delete(&format!("/w/here/api-keys/{id}")).await, (204, Value::Null));
    assert_eq!(author.delete(&format!("/w/here/api-keys/{id}")).await.0, 204, "again is no mistake");
    assert_eq!(status(&house, &key, "/w/here/audit").await, 401);
    let actions = house.actions(Scope::Workspace(here.id)).await;
    assert_eq!(actions, ["api_key.create", "api_key.create", "api_key.revoke"]);
    house.close().await;
}

#[tokio::test]
async fn members_have_keys_of_their_own_and_an_admin_revokes_all() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let (admin, author) = (house.member(&here, "Admin").await, house.member(&here, "Author").await);
    let moderator = house.member(&here, "Moderator").await;
    let (of_author, _) = create(&author, &["campaigns:read"]).await;
    let (of_moderator, _) = create(&moderator, &["campaigns:read"]).await;
    assert_eq!(ids(&author).await, std::slice::from_ref(&of_author));
    assert_eq!(ids(&admin).await, [of_moderator.clone(), of_author.clone()]);
    let (status, refused) = author.delete(&format!("/w/here/api-keys/{of_moderator}")).await;
    assert_eq!((status, code(&refused)), (403, "not_yours"));
    assert_eq!(admin.delete(&format!("/w/here/api-keys/{of_moderator}")).await.0, 204);
    assert_eq!(ids(&moderator).await, Vec::<String>::new());
    let there = house.workspace("there").await;
    let foreign = house.member(&there, "Admin").await;
    assert_eq!(foreign.delete(&format!("/w/there/api-keys/{of_author}")).await.0, 404);
    assert_eq!(ids(&author).await, [of_author]);
    house.close().await;
}

#[tokio::test]
async fn a_key_needs_a_name_a_known_scope_and_a_time_to_come() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let author = house.member(&here, "Author").await;
    for (body, field) in [
        (json!({"name": "", "scopes": ["campaigns:read"]}), "name"),
        (json!({"name": "a", "scopes": []}), "scopes"),
        (json!({"name": "a", "scopes": ["campaigns:approve"]}), "scopes[0]"),
        (
            json!({"name": "a", "scopes": ["campaigns:read"], "expires_at": "2020-01-01T00:00:00Z"}),
            "expires_at",
        ),
        (json!({"name": "a", "scopes": ["campaigns:read"], "expires_at": "tomorrow"}), "expires_at"),
    ] {
        let (status, refused) = author.post("/w/here/api-keys", body).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (422, Some(field)), "{refused}");
    }
    for _ in 0..super::MAX_KEYS {
        create(&author, &["campaigns:read"]).await;
    }
    let (status, full) =
        author.post("/w/here/api-keys", json!({"name": "a", "scopes": ["campaigns:read"]})).await;
    assert_eq!((status, code(&full)), (409, "state_conflict"));
    house.close().await;
}
