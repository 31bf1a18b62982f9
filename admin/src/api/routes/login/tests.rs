//! Login and logout: cookies, rotation, the lock after three failures.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, PASSWORD, code, read};
use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use engine::model::Credential;
use engine::store::{Catalog, Scope};
use reqwest::{Method, Response};
use serde_json::{Value, json};

async fn attempt(client: &Client, email: &str, password: &str) -> Response {
    let body = json!({ "email": email, "password": password });
    client.request(Method::POST, "/login").json(&body).send().await.unwrap()
}

/// The platform's log as actions with what they are about.
async fn log(house: &House) -> Vec<(String, String)> {
    let events = house.store.audit(Scope::Platform, 0).await.unwrap();
    events.into_iter().map(|event| (event.action, event.entity_kind)).collect()
}

#[tokio::test]
async fn a_login_gives_a_cookie_of_its_own_and_ends_the_one_before() {
    let house = House::open().await;
    let user = house.person("ann@example.com").await;
    let workspace = house.workspace("acme").await;
    house.join(&workspace, &user, "Author+").await;
    let answer = attempt(&house.nobody(), " Ann@Example.COM", PASSWORD).await;
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-mc_login="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
    let first = house.nobody().with_login(&answer);
    let (_, body) = read(answer).await;
    assert_eq!(body["user"]["email"], "ann@example.com");
    let membership = json!({ "slug": "acme", "name": "acme", "role": "Author", "is_moderator": true });
    assert_eq!(body["memberships"], json!([membership]));
    assert_eq!(first.get("/me").await, (200, body));
    let second = first.with_login(&attempt(&first, "ann@example.com", PASSWORD).await);
    assert_eq!((first.get("/me").await.0, second.get("/me").await.0), (401, 200));
    let opened = house.store.audit(Scope::Platform, 0).await.unwrap();
    let opened: Vec<_> = opened.iter().filter(|event| event.action == "login.open").collect();
    assert_eq!(opened.len(), 3, "that of the test itself, and two");
    assert!(opened[1..].iter().all(|event| event.by.user_id == Some(user.user)));
    let (status, _) = second.post("/logout", json!({})).await;
    assert_eq!((status, second.get("/me").await.0), (204, 401));
    assert_eq!(house.nobody().send(Method::POST, "/logout", None).await.0, 204);
    house.close().await;
}

#[tokio::test]
async fn the_third_failure_is_the_last_401_for_known_and_unknown_accounts_alike() {
    let house = House::open().await;
    let user = house.person("ann@example.com").await;
    let mut answers: Vec<Vec<(u16, Value)>> = Vec::new();
    for email in ["ann@example.com", "nobody@example.com"] {
        let mut of = Vec::new();
        for _ in 0..3 {
            of.push(read(attempt(&house.nobody(), email, "a wrong password").await).await);
        }
        let locked = attempt(&house.nobody(), email, PASSWORD).await;
        let wait: u64 = locked.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((50..=60).contains(&wait), "{wait}");
        of.push(read(locked).await);
        answers.push(of);
    }
    for (status, body) in answers.iter_mut().flatten() {
        assert_eq!(code(body), if *status == 401 { "bad_credentials" } else { "locked" });
        body["request_id"] = Value::Null;
    }
    let statuses: Vec<_> = answers[0].iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [401, 401, 401, 423]);
    assert_eq!(answers[0], answers[1], "nothing tells whether there is an account");
    assert_eq!(user.get("/me").await.0, 200, "a login that is open stays open");
    let failures: Vec<_> =
        log(&house).await.into_iter().filter(|(action, _)| action.starts_with("login.")).collect();
    let actions: Vec<_> = failures.iter().map(|(action, _)| action.as_str()).collect();
    let three = ["login.failed", "login.failed", "login.locked"];
    assert_eq!(actions[1..], [three, three].concat());
    let events = house.store.audit(Scope::Platform, 0).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.subject == Some(user.user)).count(), 3);
    let told = serde_json::to_string(&events).unwrap();
    assert!(!told.contains("a wrong password") && !told.contains("nobody@example.com"));
    assert_eq!(house.api.measures.login_failures(), 8);
    house.close().await;
}

#[tokio::test]
async fn an_address_that_fails_with_many_accounts_has_to_wait() {
    let house = House::open().await;
    for n in 0..20 {
        let answer = attempt(&house.nobody(), &format!("{n}@example.com"), "a wrong password").await;
        assert_eq!(answer.status(), 401);
    }
    let answer = attempt(&house.nobody(), "ann@example.com", PASSWORD).await;
    assert!(answer.headers().contains_key("retry-after"));
    let (status, body) = read(answer).await;
    assert_eq!((status, code(&body)), (429, "rate_limited"));
    house.close().await;
}

#[tokio::test]
async fn nobody_logs_in_with_a_disabled_account_or_without_a_password() {
    let house = House::open().await;
    let (root, user) = (house.super_admin().await, house.person("ann@example.com").await);
    let path = format!("/users/{}", user.user);
    assert_eq!(root.patch(&path, json!({ "disabled": true })).await.0, 200);
    assert_eq!(attempt(&house.nobody(), "ann@example.com", PASSWORD).await.status(), 401);
    assert_eq!(user.get("/me").await.0, 401, "its logins have ended");
    assert_eq!(root.patch(&path, json!({ "disabled": false })).await.0, 200);
    assert_eq!(attempt(&house.nobody(), "ann@example.com", PASSWORD).await.status(), 200);
    let new = json!({ "email": "new@example.com", "name": "New" });
    assert_eq!(root.post("/users", new).await.0, 201);
    assert_eq!(attempt(&house.nobody(), "new@example.com", "").await.status(), 401);
    house.close().await;
}

#[tokio::test]
async fn a_login_from_another_site_or_in_another_shape_is_refused() {
    let house = House::open().await;
    house.person("ann@example.com").await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    let request = house.nobody().request(Method::POST, "/login").header("sec-fetch-site", "cross-site");
    let (status, answer) = read(request.json(&body).send().await.unwrap()).await;
    assert_eq!((status, code(&answer)), (403, "cross_site"));
    for (wrong, expected) in [
        (json!({ "email": "ann@example.com" }), 422),
        (json!({ "email": "ann@example.com", "password": { "$gt": "" } }), 422),
        (json!({ "email": "ann@example.com", "password": PASSWORD, "role": "Admin" }), 400),
        (json!({ "email": "ann@example.com", "password": "x".repeat(2_000) }), 422),
    ] {
        assert_eq!(house.nobody().post("/login", wrong.clone()).await.0, expected, "{wrong}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_password_is_hashed_anew_when_the_parameters_have_changed() {
    let house = House::open().await;
    // Made with the least parameters that are allowed.
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    let old: PasswordHash = hasher.hash_password(PASSWORD.as_bytes()).unwrap();
    let old = Credential(old.to_string());
    let user = house.person_with("ann@example.com", old.clone()).await;
    assert_eq!(attempt(&house.nobody(), "ann@example.com", PASSWORD).await.status(), 200);
    let stored = crate::api::guard::user(&house.api, user.user).await.unwrap().unwrap();
    assert!(stored.credential.as_ref().is_some_and(|now| *now != old && !crate::accounts::is_stale(now)));
    assert_eq!(attempt(&house.nobody(), "ann@example.com", PASSWORD).await.status(), 200);
    house.close().await;
}
