//! The first super admin: the token, once, and never again.

use crate::api::testing::{House, PASSWORD, SETUP_TOKEN, code};
use engine::store::{Catalog, Scope};
use serde_json::{Value, json};

fn first(token: &str, email: &str) -> Value {
    json!({ "token": token, "email": email, "name": "Ruth Ott", "password": PASSWORD })
}

#[tokio::test]
async fn of_two_setups_at_once_exactly_one_makes_the_first_super_admin() {
    let house = House::open().await;
    let nobody = house.nobody();
    let (status, body) = nobody.post("/setup", first("guessed", "root@example.com")).await;
    assert_eq!((status, code(&body)), (401, "unauthenticated"));
    let weak =
        json!({ "token": SETUP_TOKEN, "email": "root@example.com", "name": "Ruth", "password": "short" });
    assert_eq!(code(&nobody.post("/setup", weak).await.1), "weak_password");
    let both = [first(SETUP_TOKEN, "one@example.com"), first(SETUP_TOKEN, "two@example.com")];
    let [a, b] = both.map(|body| nobody.post("/setup", body));
    let (a, b) = tokio::join!(a, b);
    let mut statuses = [a.0, b.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404]);
    let won = if a.0 == 201 { a.1 } else { b.1 };
    assert_eq!(won["user"]["super_admin"], true);
    assert_eq!(nobody.post("/setup", first(SETUP_TOKEN, "three@example.com")).await.0, 404);
    let log = json!({ "email": won["user"]["email"], "password": PASSWORD });
    assert_eq!(nobody.post("/login", log).await.0, 200);
    let events = house.store.audit(Scope::Platform, 0).await.expect("readable");
    assert_eq!(events.iter().filter(|event| event.action == "user.setup").count(), 1);
    house.close().await;
}

#[tokio::test]
async fn nobody_sets_up_an_installation_that_has_a_super_admin() {
    let house = House::open().await;
    house.super_admin().await;
    let (status, body) = house.nobody().post("/setup", first(SETUP_TOKEN, "one@example.com")).await;
    assert_eq!((status, code(&body)), (404, "not_found"));
    house.close().await;
}
