//! Diagnostics: whether everything works, for super admins of the installation, for Admins of what is their own.

use super::Routes;
use crate::api::caller::Caller;
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::platform;
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use crate::audit::FALLBACK_OCTETS;
use axum::extract::State;
use engine::model::{AuditOverflow, Membership, Role, WorkspaceId};
use engine::store::{ACTIVE, Entity, Kind, MAX_PAGE, Query, SCHEMA_VERSION, Scope};
use engine::{BreakerState, ChannelStatus, Serving};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Login, routes!(show))
}

/// The engine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EngineView {
    /// Whether it runs.
    up: bool,
    /// Whether the store takes what it has to record; nothing new is sent while it does not.
    storing: bool,
    /// How long it took to ask it, microseconds.
    latency_us: u64,
    /// Median time from a submit to its answer since the start, microseconds; for super admins.
    submit_p50_us: Option<u64>,
    /// The time that all but one in a hundred submits stayed below, microseconds; for super admins.
    submit_p99_us: Option<u64>,
    /// Recipients of all campaigns that are not yet sent; for super admins.
    queued: Option<u64>,
}

/// The versions of the store's layout; nothing can be trusted where they differ.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchemaView {
    /// What this program writes.
    admin: u32,
    /// What is stored.
    core: u32,
    /// Whether they are the same.
    matches: bool,
    /// How long reading it took, microseconds: the store's latency.
    latency_us: u64,
}

/// The audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditView {
    /// How long events are kept, days, as it was set last.
    #[schema(example = 90)]
    retention_days: u32,
    /// The days in force.
    #[schema(example = 90)]
    retention_days_in_force: u32,
    /// What happens once the fallback file is full.
    #[schema(value_type = String, example = "drop")]
    overflow: AuditOverflow,
    /// Octets in the fallback file, which takes events while the store takes none.
    #[schema(example = 0)]
    fallback_bytes: u64,
    /// Most octets of it.
    #[schema(example = 209_715_200)]
    fallback_limit_bytes: u64,
    /// Since when events go through it; `null` while they go to the store.
    fallback_since: Option<Moment>,
    /// Whether it takes no more.
    fallback_full: bool,
    /// Events that were dropped since the start.
    #[schema(example = 0)]
    dropped: u64,
}

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelView {
    /// Its name.
    #[schema(example = "main")]
    name: String,
    /// Whether messages can go out through it.
    up: bool,
    /// Binds that are up.
    binds_up: usize,
    /// Binds that are configured.
    binds: usize,
    /// Submits without an answer yet; for super admins.
    in_flight: Option<u64>,
}

impl ChannelView {
    fn new(status: ChannelStatus, is_whole: bool) -> Self {
        let binds_up = status.up.iter().filter(|up| **up).count();
        Self {
            name: status.name,
            up: binds_up > 0 && status.breaker != BreakerState::Open,
            binds_up,
            binds: status.up.len(),
            in_flight: is_whole.then(|| status.in_flight.iter().copied().map(u64::from).sum()),
        }
    }
}

/// Whether everything works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Diagnostics {
    /// What is shown: `platform`, or `workspaces` for what an Admin's workspaces use.
    #[schema(example = "platform")]
    scope: &'static str,
    /// Whether there is nothing to worry about in what is shown.
    healthy: bool,
    /// The program's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The server's clock.
    time: Moment,
    /// The engine.
    engine: EngineView,
    /// The store's layout.
    schema: SchemaView,
    /// The audit log.
    audit: AuditView,
    /// The channels.
    channels: Vec<ChannelView>,
}

/// Whether everything works: the installation for super admins, for Admins what their workspaces use.
#[utoipa::path(
    get, path = "/diagnostics", tag = "Diagnostics", responses((status = 200, body = Diagnostics))
)]
async fn show(State(api): State<Arc<Api>>, caller: Caller) -> Result<axum::Json<Diagnostics>, Problem> {
    let is_whole = caller.user.super_admin;
    let own = if is_whole { Vec::new() } else { administered(&api, &caller).await? };
    if !is_whole && own.is_empty() {
        return Err(Problem::because(Code::Forbidden, "Diagnostics are for Admins."));
    }
    let asked = Instant::now();
    let channels = api.engine.channels();
    let (up, storing) = (api.engine.is_running(), api.engine.is_storing());
    let engine = EngineView {
        up,
        storing,
        latency_us: micros(asked.elapsed()),
        submit_p50_us: is_whole.then(|| api.engine.submit_latency_us(0.5)),
        submit_p99_us: is_whole.then(|| api.engine.submit_latency_us(0.99)),
        queued: is_whole.then(|| api.engine.queued()),
    };
    let serving: Vec<_> = own.iter().map(|id| api.engine.serves(*id)).collect();
    let is_own = |place: usize| serving.iter().any(|of| of.get(place).is_some_and(|s| *s != Serving::Not));
    let channels: Vec<_> = (0..)
        .zip(channels)
        .filter(|(place, _)| is_whole || is_own(*place))
        .map(|(_, status)| ChannelView::new(status, is_whole))
        .collect();
    let schema = schema(&api).await?;
    let audit = audit(&api).await?;
    let is_recorded = audit.fallback_since.is_none() && audit.dropped == 0;
    let healthy = up && storing && schema.matches && is_recorded && channels.iter().all(|channel| channel.up);
    Ok(axum::Json(Diagnostics {
        scope: if is_whole { "platform" } else { "workspaces" },
        healthy,
        version: env!("CARGO_PKG_VERSION"),
        time: api.now().into(),
        engine,
        schema,
        audit,
        channels,
    }))
}

/// The workspaces that the caller is an Admin of, at most [`MAX_PAGE`].
async fn administered(api: &Api, caller: &Caller) -> Result<Vec<WorkspaceId>, Problem> {
    let (kind, statuses) = (Kind::Membership, vec![ACTIVE.to_owned()]);
    let query = Query { kind, statuses, parent: Some(caller.user.id.into()), after: None, limit: MAX_PAGE };
    let page = api.catalog.list(Scope::Platform, query).await?;
    let is_admin = |membership: &Membership| membership.role == Role::Admin && membership.holds_at(api.now());
    let ids = page.items.into_iter().filter_map(|entity| match entity {
        Entity::Membership(membership) if is_admin(&membership) => Some(membership.workspace_id),
        _ => None,
    });
    Ok(ids.collect())
}

async fn schema(api: &Api) -> Result<SchemaView, Problem> {
    let asked = Instant::now();
    let core = api.catalog.schema_version().await?;
    let latency_us = micros(asked.elapsed());
    Ok(SchemaView { admin: SCHEMA_VERSION, core, matches: core == SCHEMA_VERSION, latency_us })
}

async fn audit(api: &Api) -> Result<AuditView, Problem> {
    let settings = platform::settings(api).await?;
    let fallback = api.audit.state();
    Ok(AuditView {
        retention_days: settings.audit_retention_days,
        retention_days_in_force: settings.audit_retention_in_force(api.now()),
        overflow: settings.audit_overflow,
        fallback_bytes: fallback.octets,
        fallback_limit_bytes: FALLBACK_OCTETS,
        fallback_since: fallback.since.map(Moment),
        fallback_full: fallback.is_full,
        dropped: fallback.dropped,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
