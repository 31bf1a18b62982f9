//! What the channels of a workspace did in the last 24 hours, for charts that need nothing but the product.
//!
//! A channel that serves other tenants too shows a member its health and never how much others send over it.

use super::Routes;
use crate::api::caller::{Member, Proof};
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::monitor::HEALTH;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Query;
use crate::api::state::Api;
use axum::Json;
use axum::extract::State;
use engine::Serving;
use engine::store::{Kind, Query as StoreQuery, Scope};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

/// Minutes of a day: what is kept.
const MAX_MINUTES: u64 = 1_440;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Workspace(Action::OperationsRead), routes!(monitoring))
}

/// How much of the day.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonitoringQuery {
    /// Only the last minutes, with at most 720 points a series; without it all of 24 hours, a point each 10 s.
    #[param(minimum = 1, maximum = 1440)]
    minutes: Option<u64>,
}

/// What channels did; kept in memory, so that it begins with the process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Monitoring)]
pub(crate) struct MonitoringView {
    /// When the first point begins.
    from: Moment,
    /// Seconds from one point to the next.
    #[schema(example = 10)]
    step_s: u64,
    /// Points of each series.
    points: u64,
    channels: Vec<ChannelView>,
}

/// One channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelHistory)]
pub(crate) struct ChannelView {
    #[schema(example = "main")]
    name: String,
    /// Whether other workspaces may send over it; then only `binds_up`, `p50_ms` and `p99_ms` are shown to members.
    shared: bool,
    /// `submitted_per_s, accepted_per_s, refused_per_s, throttled_per_s` (segments), `in_flight, waiting` (segments),
    /// `binds_up`, `p50_ms, p99_ms` (from submit to accepting answer); `null` where nothing is known. A point over
    /// several samples is their mean, of `binds_up` the least, of `p99_ms` the greatest.
    #[schema(value_type = std::collections::HashMap<String, Vec<Option<f64>>>)]
    series: BTreeMap<&'static str, Vec<Option<f64>>>,
}

/// Per channel of the workspace: throughput, latency, queue and binds of the last 24 hours.
///
/// Admins see the channels that serve their workspace; of one that serves other workspaces too they see its health, not
/// how much is sent over it. Super admins see every channel and every series.
#[utoipa::path(
    get, path = "/w/{slug}/monitoring", tag = "Operations",
    params(("slug" = String, Path, description = "The workspace"), MonitoringQuery),
    responses((status = 200, body = MonitoringView))
)]
async fn monitoring(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(query): Query<MonitoringQuery>,
) -> Result<Json<MonitoringView>, Problem> {
    if query.minutes.is_some_and(|minutes| !(1..=MAX_MINUTES).contains(&minutes)) {
        let message = format!("1 to {MAX_MINUTES} minutes are kept.");
        return Err(Problem::new(Code::BadParameter).with_field("minutes", "out_of_range", message));
    }
    let sees_all = member.caller.user.super_admin && matches!(member.caller.proof, Proof::Login(_));
    let allowed = &member.workspace.terms.channels;
    let is_alone = is_only_workspace(&api).await?;
    let mut shown = Vec::new();
    let serving = api.engine.channels().into_iter().zip(api.engine.serves(member.workspace.id));
    for (place, (status, serving)) in serving.enumerate() {
        let is_allowed = allowed.is_empty() || allowed.contains(&status.name);
        if sees_all || serving != Serving::Not && is_allowed {
            let shared = match serving {
                Serving::Alone => false,
                Serving::Everybody => !is_alone,
                Serving::Among | Serving::Not => true,
            };
            shown.push((place, status.name, shared));
        }
    }
    let places: Vec<usize> = shown.iter().map(|(place, ..)| *place).collect();
    let (cut, series) = api.monitor.history(query.minutes, &places);
    let view = |((_, name, shared), series): ((usize, String, bool), Vec<_>)| {
        let is_shown = |(name, _): &(&'static str, _)| sees_all || !shared || HEALTH.contains(name);
        ChannelView { name, shared, series: series.into_iter().filter(is_shown).collect() }
    };
    let from = Timestamp::from_second(cut.from_s().cast_signed()).unwrap_or(Timestamp::MAX);
    Ok(Json(MonitoringView {
        from: Moment(from),
        step_s: cut.step_s(),
        points: cut.points,
        channels: shown.into_iter().zip(series).map(view).collect(),
    }))
}

/// Whether the installation has no other tenant.
async fn is_only_workspace(api: &Api) -> Result<bool, Problem> {
    let query =
        StoreQuery { kind: Kind::Workspace, statuses: Vec::new(), parent: None, after: None, limit: 2 };
    Ok(api.catalog.list(Scope::Platform, query).await?.items.len() < 2)
}

#[cfg(test)]
mod tests;
