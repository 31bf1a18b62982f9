//! Requests that come again: a POST with an `Idempotency-Key` is done once, however often it is sent.
//!
//! Who asks, the path and the key make a request the same. Its place is taken in the store before the handler runs and
//! completed with the answer after it; between the two, and for ever after a crash in between, the outcome is unknown
//! and a repetition is refused. Only answers of success are kept; after any other the request may be tried again.
//! Answers with a secret are kept in memory alone: after a restart their repetition is refused too. Neither a key nor
//! what a body held can be found in the store, which has digests of both.
//!
//! The handler runs to its end even when its client goes away, so that a client that was impatient gets its answer.

use super::caller::Caller;
use super::json::{collect, limit, octets};
use super::problem::{Code, Problem};
use super::request::to_its_end;
use super::state::Api;
use crate::accounts::{ANSWER_LIFETIME, digest, fingerprint};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::model::{Answer, Principal};
use engine::store::{Change, Entity, Expect, Kind, Scope, StoreError};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// What makes a request repeatable.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On answers that were given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key, octets.
const MAX_KEY_OCTETS: usize = 255;
/// Longest answer that is kept, octets: that of the longest list of numbers is a tenth of it.
const MAX_ANSWER_OCTETS: usize = 1 << 20;
/// Answers with a secret that are kept in memory; the oldest go first.
const MAX_SECRET_ANSWERS: usize = 1_000;
/// Routes that are done again rather than answered from a store: the answer of the first is a new login, that of the
/// second, which changes nothing, shows full numbers during a reveal.
const WITHOUT: [&str; 2] = ["/api/v1/me/password", "/api/v1/w/{slug}/campaigns/{id}/recipients/search"];
/// Routes whose answers hold a secret.
const SECRET: [&str; 4] = [
    "/api/v1/users",
    "/api/v1/users/{id}/reset-link",
    "/api/v1/w/{slug}/invitations",
    "/api/v1/w/{slug}/api-keys",
];

/// Answers with a secret, by the id of their place in the store.
#[derive(Default)]
pub(crate) struct SecretAnswers {
    kept: Mutex<HashMap<Uuid, (Timestamp, String)>>,
}

impl SecretAnswers {
    fn keep(&self, id: Uuid, at: Timestamp, body: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (then, _)| at.duration_since(*then) < ANSWER_LIFETIME);
        if kept.len() >= MAX_SECRET_ANSWERS {
            let oldest = kept.iter().min_by_key(|(_, (then, _))| *then).map(|(id, _)| *id);
            oldest.map(|oldest| kept.remove(&oldest));
        }
        kept.insert(id, (at, body));
    }

    fn get(&self, id: Uuid) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&id).map(|(_, body)| body.clone())
    }
}

/// A request with a key, and where its answer goes.
struct Repeatable {
    answer: Answer,
    is_secret: bool,
}

/// The layer, between the guard and the handlers.
pub(crate) async fn idempotency(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let (Some(route), Some(caller)) = (route, request.extensions().get::<Caller>().cloned()) else {
        return next.run(request).await;
    };
    let is_repeatable = request.method() == Method::POST && !WITHOUT.contains(&route.as_str());
    if !is_repeatable || !request.headers().contains_key(&KEY) {
        return next.run(request).await;
    }
    once(api, (&route, &caller), request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn once(
    api: Arc<Api>,
    (route, caller): (&str, &Caller),
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key(request.headers())?;
    let (parts, body) = request.into_parts();
    let body = octets(body, limit(route)).await?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let answer = Answer {
        id: Uuid::now_v7(),
        key: digest(&format!("{}\n{path}\n{key}", caller.user.id)).0,
        request: keyed_fingerprint(&key, &body),
        status: None,
        body: String::new(),
        location: None,
        version: 0,
        created_at: api.now(),
    };
    match api
        .catalog
        .apply(vec![change(answer.clone(), Expect::Absent)], &Principal::engine(), api.now())
        .await
    {
        Ok(()) => {}
        Err(StoreError::Taken(_)) => return again(&api, &answer).await,
        Err(error) => return Err(error.into()),
    }
    let repeatable = Repeatable { answer, is_secret: SECRET.contains(&route) };
    let request = Request::from_parts(parts, Body::from(body));
    // After a panic nobody knows how far it came: the place stays taken.
    to_its_end(async move {
        let response = next.run(request).await;
        Ok(keep(&api, repeatable, response).await)
    })
    .await
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(&KEY).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).filter(|_| values.next().is_none());
    let is_key = |key: &&str| {
        (1..=MAX_KEY_OCTETS).contains(&key.len()) && key.bytes().all(|octet| octet.is_ascii_graphic())
    };
    value.filter(is_key).map(str::to_owned).ok_or_else(|| {
        let message = format!("An idempotency key is 1 to {MAX_KEY_OCTETS} visible ASCII characters, once.");
        Problem::new(Code::BadParameter).with_field("idempotency-key", "bad_key", message)
    })
}

/// What tells two bodies of one key apart. A body may hold a phone number, and there are few of those: without the key,
/// of which only a digest is stored, nobody finds it by trying.
fn keyed_fingerprint(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length makes an HMAC");
    mac.update(body);
    fingerprint(&mac.finalize().into_bytes())
}

fn change(answer: Answer, expect: Expect) -> Change {
    Change { scope: Scope::Platform, expect, entity: Entity::Answer(answer), action: "answer.keep" }
}

/// The answer to a request whose place is taken.
async fn again(api: &Api, asked: &Answer) -> Result<Response, Problem> {
    let pending = |detail: &str| Problem::because(Code::IdempotencyPending, detail);
    let found = match api.catalog.find(Scope::Platform, Kind::Answer, asked.key.clone()).await {
        Ok(Entity::Answer(found)) => found,
        // It has just become free.
        Ok(_) | Err(StoreError::NotFound) => {
            return Err(pending("The first request has failed; send it again."));
        }
        Err(error) => return Err(error.into()),
    };
    if found.request != asked.request {
        return Err(Problem::new(Code::IdempotencyMismatch));
    }
    let Some(status) = found.status.and_then(|status| StatusCode::from_u16(status).ok()) else {
        let detail = "The first request is under way, or was cut off: look whether it took effect.";
        return Err(pending(detail));
    };
    let body = if found.body == HELD_IN_MEMORY {
        let detail =
            "The first request has succeeded; its answer held a secret, which is not kept that long.";
        api.secret_answers.get(found.id).ok_or_else(|| pending(detail))?
    } else {
        found.body
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(location) = found.location.and_then(|location| HeaderValue::try_from(location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Stands in the store for an answer that is not there; no answer is like it, since it is not JSON.
const HELD_IN_MEMORY: &str = "held in memory";

/// Completes the place of a request with its answer, or frees it.
async fn keep(api: &Api, Repeatable { answer, is_secret }: Repeatable, response: Response) -> Response {
    let (id, now) = (answer.id, api.now());
    let expect = Expect::Version(answer.version);
    let version = answer.version + 1;
    if !response.status().is_success() {
        // Under a key that no request has.
        let freed = Answer { key: format!("free/{id}"), version, ..answer };
        complete(api, change(freed, expect)).await;
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = match collect(body, MAX_ANSWER_OCTETS).await {
        Ok(body) => body,
        Err(problem) => {
            tracing::error!("an answer is too long to be kept");
            return problem.into_response();
        }
    };
    let mut text = String::from_utf8_lossy(&body).into_owned();
    if is_secret {
        api.secret_answers.keep(id, now, std::mem::replace(&mut text, HELD_IN_MEMORY.to_owned()));
    }
    let status = Some(parts.status.as_u16());
    let location = parts.headers.get(header::LOCATION).and_then(|it| it.to_str().ok()).map(str::to_owned);
    complete(api, change(Answer { status, body: text, location, version, ..answer }, expect)).await;
    Response::from_parts(parts, Body::from(body))
}

async fn complete(api: &Api, change: Change) {
    if let Err(error) = api.catalog.apply(vec![change], &Principal::engine(), api.now()).await {
        // What the handler did is done. A repetition is told that the outcome is unknown.
        tracing::warn!(%error, "the answer to a repeatable request was not kept");
    }
}

#[cfg(test)]
mod tests;
