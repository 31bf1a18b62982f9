//! The outermost layer of every request: its id, where it comes from, how long it took, and how refusals are written.
//!
//! Behind it every answer carries `x-request-id` and the headers that browsers need to be safe, and a panic is a 500.
//! Every line that is logged for a request carries its id too, and every 5xx has such a line (R197).

use super::problem::{Code, Problem};
use super::state::Api;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use engine::model::Principal;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

/// Ties answer, logs and audit events together.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Most characters of a user agent that are kept.
const MAX_USER_AGENT_CHARS: usize = 256;
/// The route under which requests to no route are counted.
const NO_ROUTE: &str = "none";

/// Headers of every answer.
const SAFE: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Where a request comes from.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// Its id.
    pub(crate) request_id: String,
    /// The client's address, behind trusted proxies.
    pub(crate) address: Option<IpAddr>,
    /// What the client calls itself.
    pub(crate) user_agent: Option<String>,
}

impl Trace {
    /// Somebody without an account, as audit events name it.
    pub(crate) fn anonymous(&self) -> Principal {
        Principal {
            user_id: None,
            role: "Anonymous".to_owned(),
            address: self.address.map(|address| address.to_string()),
            user_agent: self.user_agent.clone(),
            request_id: Some(self.request_id.clone()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::new(Code::Internal))
    }
}

/// The layer.
pub(crate) async fn trace(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let trace = Trace {
        request_id: Uuid::now_v7().to_string(),
        address: client(peer, request.headers(), &api.trusted_proxies),
        user_agent: user_agent(request.headers()),
    };
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(trace.clone());
    // The pattern of the route, not the path: that may name a person. As severe as can be, so that no filter takes the
    // id off the lines that it lets through.
    let span = tracing::error_span!("request", request_id = %trace.request_id, %method, %route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let mut code = None;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        code = Some(problem.code().as_str());
        response = problem.write(&trace.request_id);
    } else if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = response.headers_mut().remove(header::ALLOW);
        response = Problem::new(Code::MethodNotAllowed).write(&trace.request_id);
        response.headers_mut().extend(allowed.map(|allowed| (header::ALLOW, allowed)));
    }
    let id = HeaderValue::from_str(&trace.request_id).expect("a UUID is a header value");
    response.headers_mut().insert(REQUEST_ID, id);
    for (name, value) in SAFE {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    // Answers hold what only this caller may see; whatever may be kept says so itself.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let (status, took) = (response.status().as_u16(), began.elapsed());
    api.measures.request(&route, method.as_str(), status, took);
    span.in_scope(|| match response.status().is_server_error() {
        true => tracing::warn!(status, code, took_us = took.as_micros(), "a request failed"),
        false => tracing::debug!(status, took_us = took.as_micros(), "request"),
    });
    response
}

/// Goes on when the client goes away: what such work makes durable must get its owner. A panic stays one.
///
/// # Errors
/// Those of the work; 500 where the process ends under it.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(cause) => std::panic::resume_unwind(cause),
            Err(_) => Err(Problem::new(Code::Internal)),
        },
    }
}

/// The answer to a panic: the same as to any other defect, and nothing of its message.
pub(crate) fn panicked(cause: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let told = cause.downcast_ref::<String>().map(String::as_str);
    let told = told.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = told, "a handler panicked");
    axum::response::IntoResponse::into_response(Problem::new(Code::Internal))
}

/// The last address that no trusted proxy has added: everything before it is the client's own claim.
fn client(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpAddr]) -> Option<IpAddr> {
    let mut client = peer?.to_canonical();
    let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !trusted.contains(&client) {
            break;
        }
        let Ok(before) = hop.parse::<IpAddr>() else { break };
        client = before.to_canonical();
    }
    Some(client)
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let agent = String::from_utf8_lossy(headers.get(header::USER_AGENT)?.as_bytes());
    Some(agent.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT_CHARS).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::api::testing::{House, Log};
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use engine::store::StoreError;
    use reqwest::Method;
    use std::time::Duration;
    use tower::ServiceExt;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
        let table: [(&str, &[&str], &str); 6] = [
            ("192.0.2.7", &["203.0.113.1"], "192.0.2.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["198.51.100.9, 203.0.113.1, 10.0.0.2"], "203.0.113.1"),
            ("10.0.0.1", &["198.51.100.9", "203.0.113.1"], "203.0.113.1"),
            ("::ffff:10.0.0.1", &["nonsense"], "10.0.0.1"),
        ];
        for (peer, forwarded, expected) in table {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(FORWARDED_FOR, HeaderValue::from_str(value).expect("a value"));
            }
            assert_eq!(
                client(Some(ip(peer)), &headers, &trusted),
                Some(ip(expected)),
                "{peer} {forwarded:?}"
            );
        }
        assert_eq!(client(None, &HeaderMap::new(), &trusted), None);
    }

    #[tokio::test]
    async fn what_is_logged_for_a_request_carries_its_id_and_every_5xx_is_logged() {
        let (house, outages) = House::open_with_outages().await;
        let ann = house.user("ann@example.com").await;
        let log = Log::begin();
        let fine = ann.request(Method::GET, "/me").send().await.unwrap();
        let id = fine.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!((fine.status().as_u16(), log.of_request(&id)), (200, Vec::new()));
        outages.fail_calls_for(Duration::from_secs(3_600));
        let (status, body) =
            house.nobody().post("/login", serde_json::json!({"email": "a@b.c", "password": "p"})).await;
        let id = body["request_id"].as_str().unwrap();
        assert_eq!(status, 503, "{body}");
        assert_eq!(log.of_request(id), ["the store is unavailable", "a request failed"]);
        outages.fail_calls_for(Duration::ZERO);
        house.close().await;
    }

    #[tokio::test]
    async fn a_panic_and_what_a_handler_leaves_to_a_task_are_logged_under_the_request() {
        let house = House::open().await;
        let asked = async || -> Problem {
            let work = async { Problem::from(StoreError::Unusable("as asked".to_owned())) };
            tokio::spawn(work.in_current_span()).await.unwrap()
        };
        let panics = async || -> Problem { panic!("as asked") };
        let router = Router::new()
            .route("/panic", get(panics))
            .route("/task", get(asked))
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&house.api), trace));
        let log = Log::begin();
        for (path, told) in [("/panic", "a handler panicked"), ("/task", "the store cannot be used")] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
            assert_eq!(response.status(), Code::Internal.status());
            assert_eq!(log.of_request(&id), [told, "a request failed"]);
        }
        house.close().await;
    }

    #[test]
    fn a_user_agent_is_cut_and_cleaned() {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_bytes(&[b'a'; 900]).expect("a value"));
        assert_eq!(user_agent(&headers).map(|agent| agent.len()), Some(MAX_USER_AGENT_CHARS));
        headers.insert(header::USER_AGENT, HeaderValue::from_bytes(b"a\tb\xff").expect("a value"));
        assert_eq!(user_agent(&headers), Some("ab\u{fffd}".to_owned()));
    }
}
