//! Requests that come twice, over real HTTP: the same answer, one thing made, and never somebody else's answer.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::api::caller::Proof;
use crate::api::document;
use crate::api::guard::user;
use crate::api::request::Trace;
use crate::api::testing::{Client, House, PASSWORD, code, read};
use axum::routing::post;
use axum::{Extension, Router};
use engine::store::Catalog;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::ServiceExt;

async fn caller(house: &House, client: &Client) -> Caller {
    let user = user(&house.api, client.user).await.unwrap().unwrap();
    let login = house.api.logins.of(user.id, house.api.now()).await.unwrap().remove(0);
    let trace = Trace { request_id: "r".to_owned(), address: None, user_agent: None };
    Caller { user: Arc::new(user), proof: Proof::Login(Arc::new(login)), trace }
}

/// The layer over a handler that counts how often it runs and does as the body says.
struct Bench {
    router: Router,
    runs: Arc<AtomicUsize>,
}

impl Bench {
    fn new(house: &House, caller: Caller) -> Self {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let handler = async move |body: String| {
            let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
            match body.as_str() {
                "panic" => panic!("as asked"),
                "refuse once" if run == 1 => Problem::new(Code::StateConflict).into_response(),
                "nothing" => StatusCode::NO_CONTENT.into_response(),
                _ => {
                    let location = [(header::LOCATION, format!("/api/v1/things/{run}"))];
                    (StatusCode::CREATED, location, axum::Json(json!({ "run": run }))).into_response()
                }
            }
        };
        let router = Router::new()
            .route("/api/v1/things", post(handler.clone()))
            .route(WITHOUT[1], post(handler))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&house.api), idempotency))
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(crate::api::request::panicked))
            .layer(Extension(caller));
        Self { router, runs }
    }

    async fn send(&self, key: &str, body: &'static str) -> Response {
        self.send_to("/api/v1/things", key, body).await
    }

    async fn send_to(&self, path: &str, key: &str, body: &'static str) -> Response {
        let request = Request::post(path).header(KEY, key).body(Body::from(body)).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn refusal(&self, key: &str, body: &'static str) -> Option<Code> {
        self.send(key, body).await.extensions().get::<Problem>().map(Problem::code)
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn the_same_request_has_the_same_answer_and_happens_once() {
    let house = House::open().await;
    let ann = caller(&house, &house.user("ann@example.com").await).await;
    let bench = Bench::new(&house, ann.clone());
    let text = async |response: Response| octets(response.into_body(), 1_000).await.unwrap();
    let first = bench.send("k-1", "make").await;
    assert_eq!((first.status(), first.headers().get(REPLAYED)), (StatusCode::CREATED, None));
    let again = bench.send("k-1", "make").await;
    assert_eq!(
        (again.status(), &again.headers()[REPLAYED]),
        (StatusCode::CREATED, &HeaderValue::from_static("true"))
    );
    assert_eq!(again.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(again.headers()[header::LOCATION], first.headers()[header::LOCATION]);
    assert_eq!(text(first).await, text(again).await);
    assert_eq!(bench.refusal("k-1", "make more").await, Some(Code::IdempotencyMismatch));
    assert_eq!(bench.runs(), 1);
    assert_eq!(bench.send("k-2", "make").await.status(), StatusCode::CREATED);
    let other = Bench::new(&house, caller(&house, &house.user("bob@example.com").await).await);
    assert_eq!(other.send("k-1", "make").await.headers().get(REPLAYED), None, "a key is somebody's own");
    // As after a restart: nothing but the store remembers.
    let restarted = Bench::new(&house, ann);
    assert_eq!(restarted.send("k-2", "make").await.headers()[REPLAYED], "true");
    assert_eq!((bench.runs(), other.runs(), restarted.runs()), (2, 1, 0));
    for _ in 0..2 {
        assert_eq!(bench.send("k-3", "nothing").await.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(bench.runs(), 3);
    house.close().await;
}

#[tokio::test]
async fn a_refused_request_may_come_again_and_one_of_unknown_outcome_may_not() {
    let house = House::open().await;
    let bench = Bench::new(&house, caller(&house, &house.user("ann@example.com").await).await);
    assert_eq!(bench.refusal("k", "refuse once").await, Some(Code::StateConflict));
    assert_eq!(bench.send("k", "refuse once").await.status(), StatusCode::CREATED);
    assert_eq!(bench.send("k", "refuse once").await.headers()[REPLAYED], "true");
    assert_eq!(bench.runs(), 2);
    assert_eq!(bench.refusal("p", "panic").await, Some(Code::Internal));
    assert_eq!(bench.refusal("p", "panic").await, Some(Code::IdempotencyPending));
    assert_eq!(bench.runs(), 3);
    for wrong in ["", "a b", &"k".repeat(256), "ké"] {
        let request = Request::post("/api/v1/things").header(KEY, wrong).body(Body::from("make")).unwrap();
        let response = bench.router.clone().oneshot(request).await.unwrap();
        let code = response.extensions().get::<Problem>().map(Problem::code);
        assert_eq!(code, Some(Code::BadParameter), "{wrong:?}");
    }
    house.close().await;
}

#[tokio::test]
async fn two_identical_requests_at_once_create_one_thing() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let new = json!({ "email": "ann@example.com", "name": "Ann", "password": PASSWORD });
    let send = async || {
        let request = root.request(Method::POST, "/users").header(KEY, "once").json(&new);
        read(request.send().await.unwrap()).await
    };
    let (a, b) = tokio::join!(send(), send());
    let mut both = [(a.0, code(&a.1).to_owned()), (b.0, code(&b.1).to_owned())];
    both.sort();
    let late = both[1].clone();
    assert_eq!(both[0].0, 201);
    assert!(late == (201, String::new()) || late == (409, "idempotency_pending".to_owned()), "{late:?}");
    let made = if a.0 == 201 { a.1 } else { b.1 };
    assert_eq!(send().await, (201, made));
    assert_eq!(root.get("/users").await.1["items"].as_array().unwrap().len(), 2);
    house.close().await;
}

#[tokio::test]
async fn an_answer_with_a_secret_is_given_again_and_never_stored() {
    let house = House::open().await;
    let root = house.super_admin().await;
    let new = json!({ "email": "ann@example.com", "name": "Ann" });
    let send = async || {
        let request = root.request(Method::POST, "/users").header(KEY, "once").json(&new);
        read(request.send().await.unwrap()).await
    };
    let (first, second) = (send().await, send().await);
    assert_eq!((first.0, &first), (201, &second));
    let token = first.1["link"]["token"].as_str().unwrap();
    let stored = stored(&house).await;
    assert!(stored.len() == 1 && !format!("{stored:?}").contains(token));
    // As after a restart.
    house.api.secret_answers.kept.lock().unwrap().clear();
    let (status, body) = send().await;
    assert_eq!((status, code(&body)), (409, "idempotency_pending"));
    assert!(body["detail"].as_str().unwrap().contains("succeeded"), "{body}");
    house.close().await;
}

async fn stored(house: &House) -> Vec<Entity> {
    let query = engine::store::Query {
        kind: Kind::Answer,
        statuses: Vec::new(),
        parent: None,
        after: None,
        limit: 10,
    };
    house.store.list(Scope::Platform, query).await.unwrap().items
}

#[tokio::test]
async fn neither_a_key_nor_what_a_body_held_can_be_found_in_the_store() {
    let house = House::open().await;
    let bench = Bench::new(&house, caller(&house, &house.user("ann@example.com").await).await);
    let body = "+49 151 12345678";
    for key in ["first-key", "second-key"] {
        assert_eq!(bench.send(key, body).await.status(), StatusCode::CREATED);
    }
    let kept = stored(&house).await;
    let requests: Vec<_> = kept
        .iter()
        .map(|entity| match entity {
            Entity::Answer(answer) => answer.request.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(requests.len() == 2 && requests[0] != requests[1], "whoever tries needs the key: {requests:?}");
    assert!(!requests.contains(&fingerprint(body.as_bytes())));
    let told = format!("{kept:?}");
    assert!(!told.contains("first-key") && !told.contains("12345678"), "{told}");
    house.close().await;
}

#[tokio::test]
async fn an_answer_that_may_show_full_numbers_is_never_stored() {
    let house = House::open().await;
    let bench = Bench::new(&house, caller(&house, &house.user("ann@example.com").await).await);
    let path = format!("/api/v1/w/shop/campaigns/{}/recipients/search", Uuid::now_v7());
    for _ in 0..2 {
        let response = bench.send_to(&path, "k", "find").await;
        assert_eq!((response.status(), response.headers().get(REPLAYED)), (StatusCode::CREATED, None));
    }
    assert_eq!((bench.runs(), stored(&house).await), (2, Vec::new()));
    let document = serde_json::to_value(document()).unwrap();
    for path in WITHOUT {
        assert!(document["paths"][path]["post"].is_object(), "{path} is no route");
    }
    house.close().await;
}

/// Every place in the document where a schema is used, resolved.
fn properties(document: &Value, schema: &Value, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return properties(document, &document["components"]["schemas"][name], found);
    }
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                if let (true, Some(named)) = (name == "properties", member.as_object()) {
                    found.extend(named.keys().cloned());
                }
                properties(document, member, found);
            }
        }
        Value::Array(members) => members.iter().for_each(|member| properties(document, member, found)),
        _ => {}
    }
}

/// Goal: whoever adds a route that shows a secret finds out here that its answers must not be stored.
#[test]
fn every_route_that_answers_with_a_secret_is_known_as_one() {
    let document = serde_json::to_value(document()).unwrap();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let access = &item["post"]["x-access"];
        for (status, answer) in item["post"]["responses"].as_object().into_iter().flatten() {
            let mut found = Vec::new();
            properties(&document, &answer["content"], &mut found);
            let shows = found.iter().any(|name| ["link", "token", "secret", "key"].contains(&name.as_str()));
            if status.starts_with('2') && shows && access != "public" {
                seen += 1;
                assert!(SECRET.contains(&path.as_str()), "POST {path} answers with a secret");
            }
        }
    }
    assert!(seen >= 2, "{seen}");
}
