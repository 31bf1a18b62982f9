//! Logging in and out.
//!
//! A refusal is the same, and takes as long, whether the account exists or not. Every login is a new one: the one that
//! the request still carried ends.

use super::Routes;
use crate::accounts::{Barred, Lockout, Secret, is_stale};
use crate::api::account_view::{AccountView, account_view};
use crate::api::caller::platform_principal;
use crate::api::fields::MAX_EMAIL_OCTETS;
use crate::api::guard::{Access, COOKIE, cookie, user};
use crate::api::json::Json;
use crate::api::problem::{Code, Problem};
use crate::api::request::Trace;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use engine::model::{EntityId, Principal, User};
use engine::store::{Change, Entity, Expect, Kind, Note, Scope, StoreError};
use serde::Deserialize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Longest password that is looked at, octets: more than the policy takes in any script.
const MAX_PASSWORD_OCTETS: usize = 1_024;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Public, routes!(login)).with(Access::Public, routes!(logout))
}

/// What lets somebody in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The account's email, in any letter case.
    #[schema(max_length = 254, example = "ann@example.com")]
    email: String,
    /// Its password.
    #[schema(max_length = 256, example = "correct horse battery staple")]
    password: String,
}

/// Log in with email and password; answers with a cookie.
///
/// The third failure in a row locks the account for a minute: from then on every attempt is refused with 423, without
/// looking at the password. Twenty failures of one address in a minute are refused with 429.
#[utoipa::path(
    post, path = "/login", tag = "Account", request_body = Credentials,
    responses(
        (status = 200, body = AccountView, headers(("set-cookie" = String, description = "The login"))),
        (status = 401, description = "Email or password is wrong"),
        (status = 423, description = "Locked", headers(("retry-after" = u64, description = "Seconds"))),
        (status = 429, description = "Too many", headers(("retry-after" = u64, description = "Seconds"))),
    )
)]
async fn login(
    State(api): State<Arc<Api>>,
    trace: Trace,
    headers: HeaderMap,
    Json(Credentials { email, password }): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let email = email.trim().to_lowercase();
    if email.len() > MAX_EMAIL_OCTETS || password.len() > MAX_PASSWORD_OCTETS {
        return Err(Problem::field("password", "too_long", "Nobody has an email or password this long."));
    }
    let found = match api.catalog.find(Scope::Platform, Kind::User, email.clone()).await {
        Ok(Entity::User(user)) => Some(user),
        Ok(_) | Err(StoreError::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let account = prove(&api, &trace, (&email, &password), found).await?;
    let by = platform_principal(&account, &trace);
    end_carried(&api, &headers, &by).await?;
    let (login, secret) = api.logins.open(account.id, &by, api.now()).await?;
    // A new password or a ban that came while this one was tested ends what it let in.
    let is_unchanged = |now: User| now.credential == account.credential && now.disabled_at.is_none();
    if !user(&api, account.id).await?.is_some_and(is_unchanged) {
        api.logins.end(login, &by, api.now()).await?;
        return Err(Problem::new(Code::BadCredentials));
    }
    let view = account_view(&api, &account).await?;
    refresh(&api, account, &password, &by).await;
    Ok((AppendHeaders([(header::SET_COOKIE, set_cookie(&secret))]), axum::Json(view)))
}

/// End the login that the request carries; without one it does nothing.
#[utoipa::path(
    post, path = "/logout", tag = "Account",
    responses((status = 204, headers(("set-cookie" = String, description = "Removes the login"))))
)]
async fn logout(
    State(api): State<Arc<Api>>,
    trace: Trace,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    end_carried(&api, &headers, &trace.anonymous()).await?;
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    let gone = HeaderValue::from_str(&gone).expect("it has no control characters");
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, gone)])))
}

/// The cookie of a login: it ends with the browser, and with the login at the server.
pub(super) fn set_cookie(secret: &Secret) -> HeaderValue {
    let text = format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax", secret.reveal());
    let mut value = HeaderValue::from_str(&text).expect("a secret is hexadecimal");
    value.set_sensitive(true);
    value
}

/// Ends the login of the cookie, in the name of its own account.
async fn end_carried(api: &Api, headers: &HeaderMap, by: &Principal) -> Result<(), Problem> {
    let now = api.now();
    let Some(secret) = cookie(headers) else { return Ok(()) };
    let Some(login) = api.logins.by_cookie(secret, now).await? else { return Ok(()) };
    let by = Principal { user_id: Some(login.user_id), role: "User".to_owned(), ..by.clone() };
    Ok(api.logins.end(login, &by, now).await?)
}

/// The account, if this is its password. Every refusal is counted and, but for attempts that were not looked at,
/// audited.
///
/// # Errors
/// `bad_credentials`, `locked`, `rate_limited`, the store's.
pub(super) async fn prove(
    api: &Api,
    trace: &Trace,
    (email, password): (&str, &str),
    found: Option<User>,
) -> Result<User, Problem> {
    barred(api, |lockout, now| lockout.check(email, trace.address, now))?;
    let usable = found.as_ref().filter(|user| user.disabled_at.is_none());
    let stored = usable.and_then(|user| user.credential.as_ref());
    let verified = api.passwords.verify(password, stored).await?;
    if let Some(user) = usable.filter(|_| verified) {
        barred(api, |lockout, now| lockout.succeeded(email, now))?;
        return Ok(user.clone());
    }
    let failed = barred(api, |lockout, now| lockout.failed(email, trace.address, now));
    if let Ok(locked) = failed {
        api.measures.login_failure();
        note_failure(api, trace, found.as_ref(), if locked { "login.locked" } else { "login.failed" })
            .await?;
    }
    failed?;
    Err(Problem::new(Code::BadCredentials))
}

/// Asks the lockout, now; counts and writes its refusal.
fn barred<T>(api: &Api, ask: impl FnOnce(&mut Lockout, Duration) -> Result<T, Barred>) -> Result<T, Problem> {
    let now = Duration::from_micros(api.clock.now().mono_us);
    let mut lockout = api.lockout.lock().unwrap_or_else(PoisonError::into_inner);
    ask(&mut lockout, now).map_err(|barred| {
        api.measures.login_failure();
        let (code, left) = match barred {
            Barred::Locked(left) => (Code::Locked, left),
            Barred::Flooding(left) => (Code::RateLimited, left),
        };
        // Rounded up: whoever waits this long is let in.
        let seconds = left.as_millis().div_ceil(1_000);
        Problem::new(code).with_header(header::RETRY_AFTER, u16::try_from(seconds).unwrap_or(u16::MAX))
    })
}

/// What was typed as the email of nobody is not written down: it may be a password.
async fn note_failure(
    api: &Api,
    trace: &Trace,
    found: Option<&User>,
    action: &'static str,
) -> Result<(), Problem> {
    let note = Note {
        id: Uuid::now_v7(),
        scope: Scope::Platform,
        at: api.now(),
        by: trace.anonymous(),
        action: action.to_owned(),
        entity_kind: Kind::User.name().to_owned(),
        entity_id: found.map_or(EntityId(Uuid::nil()), |user| user.id.into()),
        subject: found.map(|user| user.id),
        details: serde_json::json!({ "known_account": found.is_some() }),
    };
    let blocked = |_| Problem::new(Code::AuditUnavailable);
    api.audit.record(note).await.map(|_| ()).map_err(blocked)
}

/// Hashes the password anew when its hash was made with parameters that are not the present ones. Another login does
/// it again when this one cannot.
async fn refresh(api: &Api, user: User, password: &str, by: &Principal) {
    if !user.credential.as_ref().is_some_and(is_stale) {
        return;
    }
    let Ok(credential) = api.passwords.hash(password).await else { return };
    let expect = Expect::Version(user.version);
    let renewed = User { credential: Some(credential), version: user.version + 1, ..user };
    let change =
        Change { scope: Scope::Platform, expect, entity: Entity::User(renewed), action: "user.rehash" };
    if let Err(error) = api.catalog.apply(vec![change], by, api.now()).await {
        tracing::info!(%error, "a password keeps its old hash for now");
    }
}

#[cfg(test)]
mod tests;
