//! The first super admin of an installation, with the token that its server has printed at the start.

use super::Routes;
use super::login::set_cookie;
use crate::accounts::{Owner, SuperAdmins, digest, opening};
use crate::api::account_view::{AccountView, account_view};
use crate::api::caller::platform_principal;
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::password_policy::chosen;
use crate::api::problem::{Code, Problem};
use crate::api::request::Trace;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use engine::model::{Preferences, User, UserId};
use engine::store::{Change, Entity, Expect, Scope, StoreError};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Public, routes!(setup))
}

/// The first super admin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct First {
    /// What the server has printed at its start.
    #[schema(max_length = 64, example = "6b1c0f…")]
    token: String,
    /// Email of the account.
    #[schema(max_length = 254, example = "root@example.com")]
    email: String,
    /// Name of its owner.
    #[schema(min_length = 1, max_length = 200, example = "Ruth Ott")]
    name: String,
    /// Its password.
    #[schema(max_length = 128, example = "correct horse battery staple")]
    password: String,
}

/// Create the first super admin; 404 once there is one.
#[utoipa::path(
    post, path = "/setup", tag = "Account", request_body = First,
    responses(
        (status = 201, body = AccountView, headers(("set-cookie" = String, description = "The login"))),
        (status = 401, description = "The token is wrong"),
        (status = 404, description = "There is a super admin"),
        (status = 429, description = "Too many", headers(("retry-after" = u64, description = "Seconds"))),
    )
)]
async fn setup(
    State(api): State<Arc<Api>>,
    trace: Trace,
    Json(first): Json<First>,
) -> Result<impl IntoResponse, Problem> {
    let done = || Problem::new(Code::NotFound);
    let expected = api.setup.as_ref().ok_or_else(done)?;
    let admins = SuperAdmins::read(&*api.catalog).await?;
    if !admins.is_empty() {
        return Err(done());
    }
    // Digests are compared: what can be learned from the time that takes says nothing about the token.
    if digest(&first.token) != *expected {
        return Err(Problem::because(Code::Unauthenticated, "The setup token is wrong."));
    }
    let (email, name) = (fields::email("email", &first.email)?, fields::line("name", &first.name)?);
    let credential = chosen(&api, &first.password, Owner { email: &email, name: &name }).await?;
    let now = api.now();
    let user = User {
        id: UserId(Uuid::now_v7()),
        email,
        name,
        credential: Some(credential),
        super_admin: true,
        preferences: Preferences::default(),
        version: 0,
        created_at: now,
        disabled_at: None,
    };
    let by = platform_principal(&user, &trace);
    let entity = Entity::User(user.clone());
    let change = Change { scope: Scope::Platform, expect: Expect::Absent, entity, action: "user.setup" };
    let (open, _, secret) = opening(user.id, &by, now);
    match api.catalog.apply(vec![admins.bump(), change, open], &by, now).await {
        Ok(()) => {}
        // Somebody else was first.
        Err(StoreError::Conflict { .. } | StoreError::Taken("id")) => return Err(done()),
        Err(error) => return Err(error.into()),
    }
    let view = account_view(&api, &user).await?;
    Ok((StatusCode::CREATED, AppendHeaders([(header::SET_COOKIE, set_cookie(&secret))]), axum::Json(view)))
}

#[cfg(test)]
mod tests;
