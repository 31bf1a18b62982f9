//! Isolation with one of its layers out of action: the guard of the API, the slug in the URL, the scope of the store.
//!
//! Each test takes one away and says which of the others holds. That the store itself shows nothing under another scope
//! is in its contract suite; that the guard tells foreign from own is in the matrix beside.

#![expect(clippy::unwrap_used, reason = "tests")]

mod lens;

use super::caller::{Caller, Member, Proof};
use super::guard::Access;
use super::matrix::{Furnished, furnish, path, tenant};
use super::permission::{Action, Grant, Standing};
use super::request::{Trace, trace};
use super::routes;
use super::state::Api;
use super::testing::{Client, House, code, read};
use crate::accounts::Secret;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use engine::model::Login;
use engine::store::{Catalog, Entity, Kind, Scope};
use jiff::{SignedDuration, Timestamp};
use lens::{Asked, Lens, Sight};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;
use uuid::Uuid;

/// What a request inside a workspace may ask for over all of them, each with its reason.
const PLATFORM: &[(Kind, &str)] = &[
    (Kind::Login, "whose cookie it is"),
    (Kind::LoginUse, "when it was used last"),
    (Kind::User, "who asks, and who the people are that an answer names"),
    (Kind::Workspace, "which one the slug means"),
    (Kind::Settings, "the key that seals numbers into ids"),
    (Kind::Claim, "who may use an address"),
    (Kind::Export, "how many wait in the installation; nothing of them is shown"),
];

/// More than any answer here has.
const MAX_OCTETS: usize = 1 << 20;

/// The routes without the guard before them, with this member where it would have put the one that it found.
fn bare(api: &Arc<Api>, stand_in: Option<Member>) -> Router {
    let mut router = Router::from(routes::all().router);
    if let Some(member) = stand_in {
        router = router.layer(Extension(member.caller.clone())).layer(Extension(member));
    }
    router.layer(from_fn_with_state(Arc::clone(api), trace)).with_state(Arc::clone(api))
}

/// A body that the route can read, so that nothing is refused for its sake.
fn body(method: &str, route: &str) -> Value {
    let (_, rest) = route.rsplit_once("{slug}/").unwrap_or_default();
    match (method, rest) {
        ("POST", "campaigns/{id}/approve") => json!({"version": 1}),
        ("POST", "campaigns/{id}/reject") => json!({"version": 1, "note": "no"}),
        ("POST", "campaigns/{id}/numbers") => json!({"items": [{"number": "+491511234567"}]}),
        ("POST", "campaigns/{id}/resend") => json!({"status": ["failed"]}),
        ("POST", "campaigns/{id}/exports") => json!({"format": "csv"}),
        ("POST", "campaigns/{id}/recipients/search") => json!({"number": "+491511234567"}),
        ("PATCH", "campaigns/{id}") => json!({"version": 1, "name": "taken"}),
        ("PATCH", "drafts/{id}") => json!({"name": "taken"}),
        ("POST", "senders/{id}/revisions") => json!({"saddr": "Shop", "ston": 5, "snpi": 0, "submit": false}),
        ("POST", "templates/{id}/versions") => json!({"text": "Hello"}),
        ("POST", rest) if rest.ends_with("{n}/reject") || rest.ends_with("/withdraw") => {
            json!({"note": "no"})
        }
        ("POST", "join-requests/{id}/approve") => json!({"role": "Author"}),
        ("PATCH", "members/{user_id}") => json!({"role": "Author"}),
        ("POST", "api-keys") => json!({"name": "program", "scopes": ["campaigns:read"]}),
        ("POST", "campaigns") => json!({
            "name": "New", "mode": "OnDemand", "text": "Hello", "sender_id": Uuid::nil(),
            "recipients": [{"number": "+491511234567"}],
        }),
        ("POST", "invitations") => json!({"email": "newer@example.com", "role": "Author"}),
        ("POST", "senders" | "templates") => json!({"name": "New"}),
        ("POST", "suppressions") => json!({"numbers": ["+491511234567"], "reason": "asked for it"}),
        _ => json!({}),
    }
}

fn media(route: &str) -> &'static str {
    if route.ends_with("/recipients") { "text/csv" } else { "application/json" }
}

/// Status and text of an answer; no text of one that goes on for as long as there is something to follow.
async fn ask(router: &Router, (method, route): (&str, &str), path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::CONTENT_TYPE, media(route));
    let request = request.body(Body::from(body(method, route).to_string())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    if response.headers().get(header::CONTENT_TYPE).is_some_and(|media| media == "text/event-stream") {
        return (status, String::new());
    }
    let octets = to_bytes(response.into_body(), MAX_OCTETS).await.unwrap();
    (status, String::from_utf8_lossy(&octets).into_owned())
}

/// Taken away: the guard, wholly. What holds: handlers take what the guard found out, and refuse when there is nothing.
#[tokio::test]
async fn no_handler_does_anything_for_whom_the_guard_has_not_seen() {
    let house = House::open().await;
    let mine = furnish(&house, "mine", 1).await;
    let before = (tenant(&house, &mine.workspace).await, house.actions(Scope::Platform).await);
    let router = bare(&house.api, None);
    let mut asked = 0;
    for ((method, route), access) in routes::all().access {
        let (wanted, word) = match access {
            Access::Public => continue,
            Access::Workspace(_) => (404, "not_found"),
            Access::Login | Access::SuperAdmin => (401, "unauthenticated"),
        };
        let path = path(&route, "mine", &mine.ids);
        let (status, text) = ask(&router, (&method, &route), &path).await;
        let told = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!((status, code(&told)), (wanted, word), "{method} {route}: {text}");
        asked += 1;
    }
    assert!(asked > 90, "{asked} routes");
    assert_eq!((tenant(&house, &mine.workspace).await, house.actions(Scope::Platform).await), before);
    house.close().await;
}

/// What the guard finds out about an admin of this workspace, for this action.
async fn admin(house: &House, place: &Furnished, client: &Client, action: Action) -> Member {
    let user = house.store.get(Scope::Platform, Kind::User, client.user.into()).await.unwrap();
    let Entity::User(user) = user else { panic!("{user:?}") };
    let now = Timestamp::now();
    let login = Login {
        id: Uuid::now_v7(),
        user_id: user.id,
        credential: Secret::new().credential(),
        address: None,
        user_agent: None,
        version: 0,
        created_at: now,
        expires_at: now + SignedDuration::from_hours(1),
        ended_at: None,
    };
    let trace = Trace { request_id: Uuid::now_v7().to_string(), address: None, user_agent: None };
    let caller = Caller { user: Arc::new(user), proof: Proof::Login(Arc::new(login)), trace };
    let workspace = Arc::new(place.workspace.clone());
    Member { caller, workspace, standing: Standing::Admin, action, grant: Grant::Yes }
}

/// Taken away: the slug in the URL, which says `other` while the member is one of `mine`; and then the guard's and the
/// URL's say about ids, of which they know nothing. What holds: the scope of the store. Whatever is named is not there,
/// and lists show nothing of the other workspace.
#[tokio::test]
async fn what_another_workspace_has_is_not_there_whatever_the_url_says() {
    let house = House::open().await;
    let (mine, other) = (furnish(&house, "mine", 1).await, furnish(&house, "other", 2).await);
    let client = house.member(&mine.workspace, "Admin").await;
    let before = tenant(&house, &other.workspace).await;
    let ids: Vec<&String> = other.ids.values().filter(|id| Uuid::try_parse(id).is_ok()).collect();
    let (mut named, mut listed) = (0, 0);
    for ((method, route), access) in routes::all().access {
        let Access::Workspace(action) = access else { continue };
        let router = bare(&house.api, Some(admin(&house, &mine, &client, action).await));
        let (status, text) = ask(&router, (&method, &route), &path(&route, "other", &other.ids)).await;
        let shows = ids.iter().find(|id| text.contains(id.as_str()));
        assert_eq!(shows, None, "{method} {route} shows it: {text}");
        if !route.replace("{slug}", "").contains('{') {
            assert!(![401, 403, 500].contains(&status), "{method} {route}: {status} {text}");
            listed += usize::from(status == 200);
            continue;
        }
        assert_eq!(status, 404, "{method} {route} under the other's slug: {text}");
        let request =
            client.request(method.parse().unwrap(), &format!("/{}", path(&route, "mine", &other.ids)));
        let request =
            request.header(header::CONTENT_TYPE, media(&route)).body(body(&method, &route).to_string());
        let (status, told) = read(request.send().await.unwrap()).await;
        assert_eq!(
            (status, code(&told)),
            (404, "not_found"),
            "{method} {route} under one's own slug: {told}"
        );
        named += 1;
    }
    assert!(named > 40 && listed > 10, "{named} named, {listed} listed");
    assert_eq!(tenant(&house, &other.workspace).await, before, "the other tenant has changed");
    house.close().await;
}

/// Taken away: the scope of the store, which looks for everything in all workspaces. What holds: the guard, which lets
/// nobody in who is no member, whatever the store would show; and for members the API's own look at who owns what it
/// has read.
#[tokio::test]
async fn strangers_get_nothing_where_the_store_forgets_its_scopes() {
    let (house, _) = Lens::before(Sight::Blind).await;
    let (mine, other) = (furnish(&house, "mine", 1).await, furnish(&house, "other", 2).await);
    let stranger = house.member(&mine.workspace, "Admin").await;
    let before = tenant(&house, &other.workspace).await;
    let ids: Vec<&String> = other.ids.values().filter(|id| Uuid::try_parse(id).is_ok()).collect();
    let (mut named, mut listed) = (0, 0);
    for ((method, route), access) in routes::all().access {
        if !matches!(access, Access::Workspace(_)) {
            continue;
        }
        for slug in ["other", "nowhere"] {
            let path = path(&route, slug, &other.ids);
            let request = stranger.request(method.parse().unwrap(), &format!("/{path}"));
            let request = request.header(header::CONTENT_TYPE, media(&route));
            let answer = request.body(body(&method, &route).to_string()).send().await.unwrap();
            let (status, told) = read(answer).await;
            assert_eq!((status, code(&told)), (404, "not_found"), "{method} /{path}: {told}");
        }
        let path = path(&route, "mine", &other.ids);
        let request = stranger.request(method.parse().unwrap(), &format!("/{path}"));
        let request = request.header(header::CONTENT_TYPE, media(&route));
        let answer = request.body(body(&method, &route).to_string()).send().await.unwrap();
        if route.replace("{slug}", "").contains('{') {
            let (status, told) = read(answer).await;
            assert_eq!((status, code(&told)), (404, "not_found"), "{method} /{path}: {told}");
            named += 1;
        } else if method == "GET" && !route.ends_with("/live") {
            let text = answer.text().await.unwrap();
            assert!(!ids.iter().any(|id| text.contains(id.as_str())), "{method} /{path} shows it: {text}");
            listed += 1;
        }
    }
    assert!(named > 40 && listed > 10, "{named} named, {listed} listed");
    assert_eq!(tenant(&house, &other.workspace).await, before, "the other tenant has changed");
    house.close().await;
}

/// Whatever an admin does in a workspace, the store is asked under its scope; under the platform's only for the kinds
/// that are listed.
#[tokio::test]
async fn a_request_inside_a_workspace_asks_under_its_scope_alone() {
    let (house, lens) = Lens::before(Sight::Keen).await;
    let (mut wrong, mut seen, mut own_asked) = (Vec::new(), Vec::new(), 0);
    // Where something goes on behind its answer.
    let mut lasting = Vec::new();
    for (n, ((method, route), access)) in routes::all().access.into_iter().enumerate() {
        if !matches!(access, Access::Workspace(_)) {
            continue;
        }
        let slug = format!("cell-{n}");
        let place = furnish(&house, &slug, 1).await;
        let client = house.member(&place.workspace, "Admin").await;
        let month = if route.ends_with("/usage") { "?month=2026-01" } else { "" };
        let request =
            client.request(method.parse().unwrap(), &format!("/{}{month}", path(&route, &slug, &place.ids)));
        let request = request.header(header::CONTENT_TYPE, media(&route));
        lens.asked();
        // Of a stream only the head: it goes on for as long as there is something to follow.
        let status = request.body(body(&method, &route).to_string()).send().await.unwrap().status().as_u16();
        assert!(![401, 403, 404].contains(&status), "{method} {route}: {status}");
        let asked = lens.asked();
        let own = Scope::Workspace(place.workspace.id);
        if ["/live", "/progress", "/exports"].iter().any(|end| route.ends_with(end)) {
            lasting.push(own);
        }
        // Whoever is a member is asked by the guard.
        let handler = |(scope, what): &Asked| *scope == own && *what != Kind::Membership.name();
        own_asked += usize::from(asked.iter().any(handler));
        for (scope, what) in asked.into_iter().filter(|(scope, _)| *scope != own && !lasting.contains(scope))
        {
            seen.push(what);
            if scope != Scope::Platform || !PLATFORM.iter().any(|(kind, _)| kind.name() == what) {
                wrong.push(format!("{method} {route}: {scope:?} {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(own_asked > 60, "{own_asked} handlers asked");
    assert!(
        PLATFORM.iter().all(|(kind, why)| seen.contains(&kind.name()) && !why.is_empty()),
        "one is not needed"
    );
    house.close().await;
}
