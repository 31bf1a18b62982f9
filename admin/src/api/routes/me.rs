//! The account of whoever asks.

use super::Routes;
use crate::api::caller::Caller;
use crate::api::guard::Access;
use crate::api::problem::Problem;
use axum::Json;
use engine::model::UserId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Login, routes!(me))
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: UserId,
    /// Its email.
    #[schema(example = "ann@example.com")]
    email: String,
    /// Its name.
    #[schema(example = "Ann Author")]
    name: String,
    /// Whether it administers the platform.
    super_admin: bool,
}

/// Who is logged in.
#[utoipa::path(get, path = "/me", tag = "Account", responses((status = 200, body = UserView)))]
async fn me(caller: Caller) -> Result<Json<UserView>, Problem> {
    let user = &caller.user;
    let (email, name) = (user.email.clone(), user.name.clone());
    Ok(Json(UserView { id: user.id, email, name, super_admin: user.super_admin }))
}
