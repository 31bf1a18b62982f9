//! The logins of whoever asks, on all devices.

use super::Routes;
use crate::api::caller::{Caller, Proof};
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery, cut};
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use engine::model::Login;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Login, routes!(list, end_others)).with(Access::Login, routes!(end_one))
}

/// A login on one device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoginView {
    /// Its id.
    id: Uuid,
    /// Where it was opened from.
    #[schema(example = "192.0.2.7")]
    address: Option<String>,
    /// With what.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64)")]
    user_agent: Option<String>,
    /// Since when.
    created_at: Moment,
    /// When it ends at the latest.
    expires_at: Moment,
    /// Whether it is the one that asks.
    is_current: bool,
}

fn view(login: Login, current: Uuid) -> LoginView {
    LoginView {
        id: login.id,
        is_current: login.id == current,
        address: login.address,
        user_agent: login.user_agent,
        created_at: login.created_at.into(),
        expires_at: login.expires_at.into(),
    }
}

fn current(caller: &Caller) -> Result<Uuid, Problem> {
    match &caller.proof {
        Proof::Login(login) => Ok(login.id),
        Proof::Key(_) => Err(Problem::new(Code::KeyScope)),
    }
}

/// One's open logins, newest first, at most 200 in all.
#[utoipa::path(
    get, path = "/me/logins", tag = "Account", params(PageQuery),
    responses((status = 200, body = Listed<LoginView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Listed<LoginView>>, Problem> {
    let current = current(&caller)?;
    let logins = api.logins.of(caller.user.id, api.now()).await?;
    cut(logins.into_iter().map(|login| view(login, current)).collect(), &query).map(axum::Json)
}

/// End all of one's logins but the one that asks.
#[utoipa::path(delete, path = "/me/logins", tag = "Account", responses((status = 204)))]
async fn end_others(State(api): State<Arc<Api>>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    let keep = Some(current(&caller)?);
    api.logins.end_all(caller.user.id, keep, &caller.platform_principal(), api.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End one of one's logins.
#[utoipa::path(
    delete, path = "/me/logins/{id}", tag = "Account",
    params(("id" = Uuid, Path, description = "The login")), responses((status = 204))
)]
async fn end_one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<impl IntoResponse, Problem> {
    let logins = api.logins.of(caller.user.id, api.now()).await?;
    let login = logins.into_iter().find(|login| login.id == id);
    let login = login.ok_or_else(|| Problem::new(Code::NotFound))?;
    api.logins.end(login, &caller.platform_principal(), api.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
