//! What the gate lets through, over real HTTP: cookies, unknown routes, the scopes over workspaces.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{House, code, read};
use engine::model::{ApiKey, KeyScope, Membership};
use engine::store::{Catalog, Entity, Kind, Query, Scope};
use reqwest::Method;

#[tokio::test]
async fn a_request_is_known_by_its_cookie_and_refused_without() {
    let house = House::open().await;
    let user = house.user("ann@example.com").await;
    let (status, body) = user.get("/me").await;
    assert_eq!((status, body["user"]["email"].as_str()), (200, Some("ann@example.com")));
    let (status, body) = house.nobody().get("/me").await;
    assert_eq!((status, code(&body)), (401, "unauthenticated"));
    let (status, body) = house.nobody().get("/nowhere").await;
    assert_eq!((status, code(&body)), (404, "not_found"));
    let (status, body) = user.send(Method::DELETE, "//healthz", None).await;
    assert_eq!((status, code(&body)), (405, "method_not_allowed"));
    house.close().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_is_not_kept_by_browsers() {
    let house = House::open().await;
    for path in ["//healthz", "/me", "/nowhere"] {
        let response = house.nobody().request(Method::GET, path).send().await.unwrap();
        let headers = response.headers().clone();
        let id = headers["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let (status, body) = read(response).await;
        assert!(status == 200 || body["request_id"] == id.as_str(), "{path}: {body}");
    }
    house.close().await;
}

#[tokio::test]
async fn the_scopes_over_workspaces_change_nothing() {
    let house = House::open().await;
    let (user, root) = (house.user("ann@example.com").await, house.super_admin().await);
    for path in ["/w/master/campaigns", "/w/master/x/y"] {
        assert_eq!(user.post(path, serde_json::json!({})).await.0, 404);
        let (status, body) = root.post(path, serde_json::json!({})).await;
        assert_eq!((status, code(&body)), (403, "read_only_scope"), "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn what_was_given_for_a_time_ends_with_it() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let lent = house.member(&workspace, "Author").await;
    let program = house.key(&workspace, &lent, &[KeyScope::CampaignsRead]).await;
    for (client, kind, expected) in [(&program, Kind::ApiKey, 401), (&lent, Kind::Membership, 404)] {
        assert_eq!(client.get("/w/shop/campaigns").await.0, 200, "{kind:?}");
        let query = Query { kind, statuses: Vec::new(), parent: None, after: None, limit: 2 };
        let mut page = house.store.list(Scope::Workspace(workspace.id), query).await.unwrap();
        assert_eq!(page.items.len(), 1);
        let now = house.api.now();
        let over = match page.items.remove(0) {
            Entity::ApiKey(key) => Entity::ApiKey(ApiKey { expires_at: Some(now), version: 1, ..key }),
            Entity::Membership(place) => {
                Entity::Membership(Membership { expires_at: Some(now), version: 1, ..place })
            }
            other => panic!("{other:?}"),
        };
        house.change(over, 0).await;
        assert_eq!(client.get("/w/shop/campaigns").await.0, expected, "{kind:?}");
    }
    house.close().await;
}
