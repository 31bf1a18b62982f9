//! One's own account: who is logged in, passwords, preferences.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, PASSWORD, code};
use engine::store::{Catalog, Scope};
use reqwest::Method;
use serde_json::json;

const NEW: &str = "a second one, hard to guess";

async fn log_in(house: &House, password: &str) -> (u16, Option<Client>) {
    let body = json!({ "email": "ann@example.com", "password": password });
    let answer = house.nobody().request(Method::POST, "/login").json(&body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, (status == 200).then(|| house.nobody().with_login(&answer)))
}

#[tokio::test]
async fn a_new_password_ends_all_other_logins_and_renews_the_own_one() {
    let house = House::open().await;
    let user = house.person("ann@example.com").await;
    let other = log_in(&house, PASSWORD).await.1.unwrap();
    let wrong = user.post("/me/password", json!({ "old": "wrong wrong wrong", "new": NEW })).await;
    assert_eq!((wrong.0, &wrong.1["errors"][0]["field"]), (422, &json!("old")));
    for weak in ["short", "passwordpassword", "my ann@example.com pass, messagecenter", &"x".repeat(129)] {
        let (status, body) = user.post("/me/password", json!({ "old": PASSWORD, "new": weak })).await;
        assert_eq!((status, code(&body)), (422, "weak_password"), "{weak}");
    }
    let request = user.request(Method::POST, "/me/password").json(&json!({ "old": PASSWORD, "new": NEW }));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let renewed = user.with_login(&answer);
    let seen = [user.get("/me").await.0, other.get("/me").await.0, renewed.get("/me").await.0];
    assert_eq!(seen, [401, 401, 200]);
    assert_eq!((log_in(&house, PASSWORD).await.0, log_in(&house, NEW).await.0), (401, 200));
    let events = house.store.audit(Scope::Platform, 0).await.unwrap();
    let changed = events.iter().find(|event| event.action == "user.change_password").unwrap();
    assert_eq!(changed.by.user_id, Some(user.user));
    let told = serde_json::to_string(&events).unwrap();
    assert!(!told.contains("argon2id") && !told.contains(NEW), "no credential is told");
    house.close().await;
}

#[tokio::test]
async fn a_stolen_login_does_not_help_to_guess_the_password() {
    let house = House::open().await;
    let user = house.person("ann@example.com").await;
    let guess = json!({ "old": "wrong wrong wrong", "new": NEW });
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(user.post("/me/password", guess.clone()).await.0);
    }
    assert_eq!(statuses, [422, 422, 422, 423]);
    house.close().await;
}

#[tokio::test]
async fn preferences_are_kept_changed_and_taken_back() {
    let house = House::open().await;
    let user = house.person("ann@example.com").await;
    let set = json!({ "time_zone": "Europe/Berlin", "language": "de-AT" });
    let (status, body) = user.patch("/me/preferences", set.clone()).await;
    assert_eq!((status, &body["preferences"]), (200, &set));
    let (_, body) = user.patch("/me/preferences", json!({ "language": null })).await;
    assert_eq!(body["preferences"], json!({ "time_zone": "Europe/Berlin", "language": null }));
    assert_eq!(user.get("/me").await.1["user"]["preferences"], body["preferences"]);
    for wrong in [json!({ "time_zone": "Europe/Nowhere" }), json!({ "language": "de_AT\n" })] {
        assert_eq!(user.patch("/me/preferences", wrong.clone()).await.0, 422, "{wrong}");
    }
    assert_eq!(user.patch("/me/preferences", json!({ "super_admin": true })).await.0, 400);
    let events = house.store.audit(Scope::Platform, 0).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.action == "user.change_preferences").count(), 2);
    house.close().await;
}

#[tokio::test]
async fn logins_are_listed_and_ended_by_their_owner_alone() {
    let house = House::open().await;
    let (user, stranger) = (house.person("ann@example.com").await, house.user("bob@example.com").await);
    let (second, third) =
        (log_in(&house, PASSWORD).await.1.unwrap(), log_in(&house, PASSWORD).await.1.unwrap());
    let (_, body) = second.get("/me/logins").await;
    let items = body["items"].as_array().unwrap();
    let current: Vec<_> = items.iter().map(|item| item["is_current"].as_bool().unwrap()).collect();
    assert_eq!(current, [false, true, false]);
    assert!(body.to_string().find("credential").is_none());
    let (_, page) = second.get("/me/logins?limit=2").await;
    assert_eq!((page["items"].as_array().unwrap().len(), page["next_cursor"].is_string()), (2, true));
    let path = format!("/me/logins/{}", items[0]["id"].as_str().unwrap());
    assert_eq!(stranger.delete(&path).await.0, 404);
    assert_eq!(third.get("/me").await.0, 200);
    assert_eq!(second.delete(&path).await.0, 204);
    assert_eq!(third.get("/me").await.0, 401);
    assert_eq!(second.delete(&path).await.0, 404, "it has ended");
    assert_eq!(second.delete("/me/logins").await.0, 204);
    assert_eq!((user.get("/me").await.0, second.get("/me").await.0), (401, 200));
    assert_eq!(stranger.get("/me").await.0, 200);
    house.close().await;
}
