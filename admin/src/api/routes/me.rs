//! The account of whoever asks: what it is, its password, its preferences.

use super::Routes;
use super::login::{prove, set_cookie};
use crate::accounts::{Owner, opening};
use crate::api::account_view::{AccountView, UserView, account_view};
use crate::api::caller::Caller;
use crate::api::fields::present;
use crate::api::guard::{Access, user};
use crate::api::json::Json;
use crate::api::password_policy::chosen;
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use engine::model::{Preferences, User};
use engine::store::{Change, Entity, Expect, Scope};
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Longest language tag, characters (RFC 5646, 4.4.1).
const MAX_LANGUAGE_CHARS: usize = 35;
/// Longest name of a time zone, characters.
const MAX_ZONE_CHARS: usize = 64;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Login, routes!(me))
        .with(Access::Login, routes!(change_password))
        .with(Access::Login, routes!(change_preferences))
}

/// Who is logged in, and where they are a member.
#[utoipa::path(get, path = "/me", tag = "Account", responses((status = 200, body = AccountView)))]
async fn me(State(api): State<Arc<Api>>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    Ok(axum::Json(account_view(&api, &caller.user).await?))
}

/// A change of one's password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The present one.
    #[schema(max_length = 256, example = "correct horse battery staple")]
    old: String,
    /// The one from now on.
    #[schema(max_length = 128, example = "a new one, hard to guess")]
    new: String,
}

/// Choose another password; all other logins end, and the answer brings a new cookie.
///
/// A wrong present password counts as a failed login.
#[utoipa::path(
    post, path = "/me/password", tag = "Account", request_body = PasswordChange,
    responses(
        (status = 204, headers(("set-cookie" = String, description = "The new login"))),
        (status = 423, description = "Locked", headers(("retry-after" = u64, description = "Seconds"))),
        (status = 429, description = "Too many", headers(("retry-after" = u64, description = "Seconds"))),
    )
)]
async fn change_password(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(PasswordChange { old, new }): Json<PasswordChange>,
) -> Result<impl IntoResponse, Problem> {
    let user = User::clone(&caller.user);
    let email = user.email.clone();
    let proved = prove(&api, &caller.trace, (&email, &old), Some(user)).await;
    let user = proved.map_err(|problem| match problem.code() {
        // Not 401: the login is sound.
        Code::BadCredentials => Problem::field("old", "wrong", "This is not the present password."),
        _ => problem,
    })?;
    let credential = chosen(&api, &new, Owner { email: &email, name: &user.name }).await?;
    let (by, now) = (caller.platform_principal(), api.now());
    let (expect, user_id) = (Expect::Version(user.version), user.id);
    let entity = Entity::User(User { credential: Some(credential), version: user.version + 1, ..user });
    let change = Change { scope: Scope::Platform, expect, entity, action: "user.change_password" };
    let (open, login, secret) = opening(user_id, &by, now);
    let mut changes = vec![change, open];
    changes.extend(api.logins.endings(user_id, None, now).await?);
    api.catalog.apply(changes, &by, now).await?;
    api.logins.end_all(user_id, Some(login.id), &by, now).await?;
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, set_cookie(&secret))])))
}

/// How somebody likes to see things; what is left out stays, `null` means as the browser likes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreferencesChange {
    /// IANA zone of the times shown.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 64, example = "Europe/Berlin")]
    time_zone: Option<Option<String>>,
    /// BCP 47 tag of the language shown.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 35, example = "en-GB")]
    language: Option<Option<String>>,
}

impl PreferencesChange {
    fn apply(self, preferences: &mut Preferences) -> Result<(), Problem> {
        if let Some(zone) = self.time_zone {
            let is_known = |zone: &str| zone.len() <= MAX_ZONE_CHARS && TimeZone::get(zone).is_ok();
            if zone.as_deref().is_some_and(|zone| !is_known(zone)) {
                return Err(Problem::field("time_zone", "unknown", "There is no such IANA time zone."));
            }
            preferences.time_zone = zone;
        }
        if let Some(language) = self.language {
            let is_part =
                |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_alphanumeric());
            let is_tag = |tag: &str| tag.len() <= MAX_LANGUAGE_CHARS && tag.split('-').all(is_part);
            if language.as_deref().is_some_and(|tag| !is_tag(tag)) {
                return Err(Problem::field("language", "no_tag", "This is no BCP 47 language tag."));
            }
            preferences.language = language;
        }
        Ok(())
    }
}

/// Change how one likes to see things.
#[utoipa::path(
    patch, path = "/me/preferences", tag = "Account", request_body = PreferencesChange,
    responses((status = 200, body = UserView))
)]
async fn change_preferences(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(asked): Json<PreferencesChange>,
) -> Result<impl IntoResponse, Problem> {
    let before = user(&api, caller.user.id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let mut after = before.clone();
    asked.apply(&mut after.preferences)?;
    let view = UserView::from(&after);
    if after != before {
        after.version += 1;
        let (expect, entity) = (Expect::Version(before.version), Entity::User(after));
        let change = Change { scope: Scope::Platform, expect, entity, action: "user.change_preferences" };
        api.catalog.apply(vec![change], &caller.platform_principal(), api.now()).await?;
    }
    Ok(axum::Json(view))
}

#[cfg(test)]
mod tests;
