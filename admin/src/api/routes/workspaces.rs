//! Workspaces as the provider sees them: who has one, and what it may use. Only for super admins.

use super::Routes;
use crate::api::authoring::quota::stored_octets;
use crate::api::caller::{Caller, SuperAdmin};
use crate::api::fields::{self, present};
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery};
use crate::api::problem::Problem;
use crate::api::query::{Path, Query};
use crate::api::state::Api;
use crate::api::workspace_change::{Hand, by_slug, change};
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{Policies, Terms, Workspace, WorkspaceId};
use engine::store::{Change, Entity, Expect, Kind, Scope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Longest slug: what a label of a host name may have.
const MAX_SLUG_CHARS: usize = 63;
/// Slugs of scopes over several workspaces.
const RESERVED: [&str; 2] = ["master", "archive"];
/// Greatest rate, segments per second: more than any channel takes.
const MAX_RATE_PER_S: u32 = 1_000_000;
/// Greatest daily limit and quota: exact in every JSON reader.
const MAX_EXACT: u64 = 1 << 53;
/// Most channels that a workspace is limited to.
const MAX_CHANNELS: usize = 64;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::SuperAdmin, routes!(list, create))
        .with(Access::SuperAdmin, routes!(show, limit))
}

/// A workspace with the provider's limits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkspaceView {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: WorkspaceId,
    /// Its name in addresses.
    #[schema(example = "acme-corp")]
    slug: String,
    /// Its name for people.
    #[schema(example = "Acme Corporation")]
    name: String,
    /// Since when.
    created_at: Moment,
    /// Segments per second over all campaigns; 0 for no limit.
    rate_per_s: u32,
    /// Recipients of one local day over all campaigns; `null` for no limit.
    daily_limit: Option<u64>,
    /// Octets of recipient lists that it may keep; `null` for no limit.
    storage_quota_bytes: Option<u64>,
    /// Whether an Admin or a flagged Author may approve what is their own.
    allow_self_approval: bool,
    /// The channels that its campaigns are sent over; empty for every one that serves it. A running campaign loses a
    /// channel at once; one that it did not begin with it uses when the engine starts anew.
    #[schema(example = json!(["main"]))]
    channels: Vec<String>,
    /// Counts changes.
    version: u32,
}

impl From<Workspace> for WorkspaceView {
    fn from(workspace: Workspace) -> Self {
        let Terms { storage_quota_bytes, allow_self_approval, channels } = workspace.terms;
        Self {
            id: workspace.id,
            slug: workspace.slug,
            name: workspace.name,
            created_at: workspace.created_at.into(),
            rate_per_s: workspace.rate_per_s,
            daily_limit: workspace.daily_limit,
            storage_quota_bytes,
            allow_self_approval,
            channels,
            version: workspace.version,
        }
    }
}

/// A workspace by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkspaceDetail {
    #[serde(flatten)]
    workspace: WorkspaceView,
    /// Octets of recipient lists that it keeps now.
    stored_bytes: u64,
}

/// Every workspace, the newest first.
#[utoipa::path(
    get, path = "/workspaces", tag = "Platform", params(PageQuery),
    responses((status = 200, body = Listed<WorkspaceView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    _: SuperAdmin,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Listed<WorkspaceView>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let query =
        engine::store::Query { kind: Kind::Workspace, statuses: Vec::new(), parent: None, after, limit };
    let page = api.catalog.list(Scope::Platform, query).await?;
    let items = page.items.into_iter().filter_map(|entity| match entity {
        Entity::Workspace(workspace) => Some(workspace.into()),
        _ => None,
    });
    Ok(axum::Json(Listed { items: items.collect(), next_cursor: page.next.map(|id| id.0.to_string()) }))
}

/// A workspace to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWorkspace {
    /// Lower-case letters, digits and hyphens; not `master` nor `archive`.
    #[schema(
        example = "acme-corp",
        min_length = 1,
        max_length = 63,
        pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
    )]
    slug: String,
    /// Its name for people.
    #[schema(example = "Acme Corporation", min_length = 1, max_length = 200)]
    name: String,
}

/// Creates a workspace without members.
#[utoipa::path(
    post, path = "/workspaces", tag = "Platform", request_body = NewWorkspace,
    responses((status = 201, body = WorkspaceView))
)]
async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(body): Json<NewWorkspace>,
) -> Result<(StatusCode, axum::Json<WorkspaceView>), Problem> {
    let workspace = Workspace {
        id: WorkspaceId(Uuid::now_v7()),
        slug: slug(body.slug)?,
        name: fields::line("name", &body.name)?,
        time_zone: "UTC".to_owned(),
        weight: 1,
        rate_per_s: 0,
        daily_limit: None,
        quiet_hours: None,
        stop_keywords: Vec::new(),
        policies: Policies::default(),
        terms: Terms::default(),
        version: 0,
        created_at: api.now(),
    };
    let (expect, entity) = (Expect::Absent, Entity::Workspace(workspace.clone()));
    let change = Change { scope: Scope::Platform, expect, entity, action: "workspace.create" };
    api.catalog.apply(vec![change], &caller.platform_principal(), workspace.created_at).await?;
    Ok((StatusCode::CREATED, axum::Json(workspace.into())))
}

fn slug(text: String) -> Result<String, Problem> {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_slug = text.chars().all(|c| is_letter(c) || c == '-')
        && text.starts_with(is_letter)
        && text.ends_with(is_letter)
        && text.len() <= MAX_SLUG_CHARS;
    if !is_slug {
        let message = format!("Use 1 to {MAX_SLUG_CHARS} of a-z, 0-9 and hyphens between them.");
        return Err(Problem::field("slug", "malformed", message));
    }
    if RESERVED.contains(&text.as_str()) {
        return Err(Problem::field("slug", "reserved", "This slug has a meaning of its own."));
    }
    Ok(text)
}

/// A workspace with the provider's limits.
#[utoipa::path(
    get, path = "/workspaces/{slug}", tag = "Platform", params(("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = WorkspaceDetail))
)]
async fn show(
    State(api): State<Arc<Api>>,
    _: SuperAdmin,
    Path(slug): Path<String>,
) -> Result<axum::Json<WorkspaceDetail>, Problem> {
    let workspace = by_slug(&api, &slug).await?;
    let stored_bytes = stored_octets(&api, workspace.id).await?;
    Ok(axum::Json(WorkspaceDetail { workspace: workspace.into(), stored_bytes }))
}

/// The provider's limits; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsChange {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Segments per second over all campaigns; 0 for no limit.
    #[schema(example = 100, maximum = 1_000_000)]
    rate_per_s: Option<u32>,
    /// Octets of recipient lists that it may keep; `null` for no limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>, maximum = 9_007_199_254_740_992_u64)]
    storage_quota_bytes: Option<Option<u64>>,
    /// Recipients of one local day over all campaigns; `null` for no limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9_007_199_254_740_992_u64)]
    daily_limit: Option<Option<u64>>,
    /// Whether an Admin or a flagged Author may approve what is their own.
    allow_self_approval: Option<bool>,
    /// The channels that its campaigns are sent over; empty for every one that serves it. A running campaign loses a
    /// channel at once; one that it did not begin with it uses when the engine starts anew.
    #[schema(max_items = 64)]
    channels: Option<Vec<String>>,
}

impl LimitsChange {
    fn check(&self, api: &Api) -> Result<(), Problem> {
        if self.rate_per_s.is_some_and(|rate| rate > MAX_RATE_PER_S) {
            let message = format!("At most {MAX_RATE_PER_S} segments per second.");
            return Err(Problem::field("rate_per_s", "out_of_range", message));
        }
        let limits =
            [("storage_quota_bytes", self.storage_quota_bytes, 0), ("daily_limit", self.daily_limit, 1)];
        for (field, limit, least) in limits {
            if limit.flatten().is_some_and(|limit| !(least..=MAX_EXACT).contains(&limit)) {
                let message = format!("From {least} to {MAX_EXACT}, or null for no limit.");
                return Err(Problem::field(field, "out_of_range", message));
            }
        }
        let chosen = self.channels.as_deref().unwrap_or_default();
        let known = api.engine.channels();
        if chosen.len() > MAX_CHANNELS
            || chosen.iter().any(|name| known.iter().all(|channel| channel.name != *name))
        {
            return Err(Problem::field("channels", "unknown", "There is no channel of this name."));
        }
        Ok(())
    }

    fn apply(&self, name: Option<&String>, workspace: &mut Workspace) {
        workspace.name = name.unwrap_or(&workspace.name).clone();
        workspace.rate_per_s = self.rate_per_s.unwrap_or(workspace.rate_per_s);
        workspace.daily_limit = self.daily_limit.unwrap_or(workspace.daily_limit);
        let terms = &mut workspace.terms;
        terms.storage_quota_bytes = self.storage_quota_bytes.unwrap_or(terms.storage_quota_bytes);
        terms.allow_self_approval = self.allow_self_approval.unwrap_or(terms.allow_self_approval);
        if let Some(channels) = &self.channels {
            terms.channels.clone_from(channels);
            terms.channels.sort_unstable();
            terms.channels.dedup();
        }
    }
}

/// Changes the provider's limits; they count at once, also for campaigns that are sending.
#[utoipa::path(
    patch, path = "/workspaces/{slug}", tag = "Platform", request_body = LimitsChange,
    params(("slug" = String, Path, description = "Slug")), responses((status = 200, body = WorkspaceView))
)]
async fn limit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(slug): Path<String>,
    Json(body): Json<LimitsChange>,
) -> Result<axum::Json<WorkspaceView>, Problem> {
    let workspace = by_slug(&api, &slug).await?;
    body.check(&api)?;
    let name = body.name.as_deref().map(|name| fields::line("name", name)).transpose()?;
    let by = caller.platform_principal();
    let hand = Hand { scope: Scope::Platform, by: &by, action: "workspace.limits" };
    let edit = |workspace: &mut Workspace| {
        body.apply(name.as_ref(), workspace);
        Ok(())
    };
    Ok(axum::Json(change(&api, workspace.id, hand, edit).await?.into()))
}

#[cfg(test)]
mod tests;
