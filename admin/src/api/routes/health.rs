//! Whether the process lives, and whether it can do its work; outside of the API's base, for load balancers.

use super::Routes;
use crate::api::guard::Access;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Public, routes!(healthz)).with(Access::Public, routes!(readyz))
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "Health", responses((status = 200, body = str, example = "ok\n")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether it can take requests that change something.
#[utoipa::path(
    get, path = "/readyz", tag = "Health",
    responses((status = 200, body = str, example = "ready\n"), (status = 503, body = str, example = "not ready\n"))
)]
async fn readyz(State(api): State<Arc<Api>>) -> (StatusCode, &'static str) {
    if api.engine.is_running() && api.engine.is_storing() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
