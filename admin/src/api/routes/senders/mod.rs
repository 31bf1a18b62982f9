//! The senders of a workspace: created and archived here, given an address by their revisions.

mod claims;
mod provision;
mod revisions;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use revisions::Note;
pub(crate) use view::RevisionView;

use super::Routes;
use crate::api::caller::Member;
use crate::api::deciding::MAX_TRIES;
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::page::{self, Listed, bad_cursor};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::registry::Registry;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{EntityId, RevisionStatus, Sender, SenderId};
use engine::store::{Entity, Expect, Kind, MAX_PAGE, Query as StoreQuery};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;
use view::{SenderView, sender_view};

/// Most senders that one call looks through for a status: a page may be short and still have a next one.
const MAX_LOOKED: usize = 5 * MAX_PAGE;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::SenderRead), routes!(list))
        .with(Access::Workspace(Action::SenderWrite), routes!(create))
        .with(Access::Workspace(Action::SenderRead), routes!(show))
        .with(Access::Workspace(Action::SenderArchive), routes!(archive))
        .merge(revisions::routes())
        .merge(provision::routes())
        .merge(claims::routes())
}

/// A sender to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSender {
    /// Its name, unique in the workspace whatever the case of its letters.
    #[schema(min_length = 1, max_length = 200, example = "Shop")]
    name: String,
}

/// Which senders.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SenderQuery {
    /// Items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
    /// Only those of this status: `Draft`, `PendingApproval`, `Approved`, `Rejected`, `Archived`.
    #[param(value_type = Option<String>)]
    status: Option<RevisionStatus>,
}

/// Lists the senders of a workspace, the newest first.
#[utoipa::path(
    get, path = "/w/{slug}/senders", tag = "Senders",
    params(("slug" = String, Path), SenderQuery), responses((status = 200, body = Listed<SenderView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(query): Query<SenderQuery>,
) -> Result<axum::Json<Listed<SenderView>>, Problem> {
    let limit = page::limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(|text| Uuid::try_parse(text).map_err(|_| bad_cursor()));
    let mut after = cursor.transpose()?.map(EntityId);
    let registry = Registry::new(&api, member.workspace.id);
    let (mut items, mut looked) = (Vec::new(), 0);
    loop {
        let missing = limit - items.len();
        let wanted = if query.status.is_some() { MAX_PAGE } else { missing };
        let kind = Kind::Sender;
        let search = StoreQuery { kind, statuses: Vec::new(), parent: None, after, limit: wanted };
        let found = api.catalog.list(member.scope(), search).await?;
        let (count, mut last) = (found.items.len(), None);
        for (at, entity) in found.items.into_iter().enumerate() {
            let Entity::Sender(sender) = entity else { continue };
            let id = sender.id;
            let view = sender_view(registry, sender).await?;
            if query.status.is_none_or(|status| status == view.status) {
                items.push(view);
            }
            if items.len() == limit {
                last = Some(EntityId::from(id)).filter(|_| at + 1 < count || found.next.is_some());
                break;
            }
        }
        looked += count;
        after = if items.len() == limit { last } else { found.next };
        if after.is_none() || items.len() == limit || looked >= MAX_LOOKED {
            return Ok(axum::Json(Listed { items, next_cursor: after.map(|id| id.to_string()) }));
        }
    }
}

/// Creates a sender without an address: its revisions have one.
#[utoipa::path(
    post, path = "/w/{slug}/senders", tag = "Senders", params(("slug" = String, Path)),
    request_body = NewSender, responses((status = 201, body = SenderView))
)]
async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Json(new): Json<NewSender>,
) -> Result<(StatusCode, axum::Json<SenderView>), Problem> {
    let now = api.now();
    let sender = new_sender(&member.workspace, fields::line("name", &new.name)?, now);
    let registry = Registry::new(&api, member.workspace.id);
    let change = registry.change(Expect::Absent, Entity::Sender(sender.clone()), "sender.create");
    api.catalog.apply(vec![change], &member.principal(), now).await?;
    Ok((StatusCode::CREATED, axum::Json(sender_view(registry, sender).await?)))
}

fn new_sender(workspace: &engine::model::Workspace, name: String, now: jiff::Timestamp) -> Sender {
    Sender {
        id: SenderId(Uuid::now_v7()),
        workspace_id: workspace.id,
        name,
        rate_per_s: 0,
        version: 0,
        created_at: now,
        archived_at: None,
        active: None,
    }
}

/// Shows a sender with its revisions.
#[utoipa::path(
    get, path = "/w/{slug}/senders/{id}", tag = "Senders",
    params(("slug" = String, Path), ("id" = Uuid, Path)), responses((status = 200, body = SenderView))
)]
async fn show(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<SenderView>, Problem> {
    let registry = Registry::new(&api, member.workspace.id);
    let sender = registry.sender(id).await?;
    Ok(axum::Json(sender_view(registry, sender).await?))
}

/// Archives a sender: it is hidden from new campaigns, campaigns that were approved with it go on.
#[utoipa::path(
    post, path = "/w/{slug}/senders/{id}/archive", tag = "Senders",
    params(("slug" = String, Path), ("id" = Uuid, Path)), responses((status = 200, body = SenderView))
)]
async fn archive(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<SenderView>, Problem> {
    let registry = Registry::new(&api, member.workspace.id);
    for _ in 0..MAX_TRIES {
        let (now, sender) = (api.now(), registry.open_sender(id).await?);
        let mut changes = registry.archiving(sender.id, now).await?;
        let expect = Expect::Version(sender.version);
        let sender = Sender { archived_at: Some(now), active: None, version: sender.version + 1, ..sender };
        changes.push(registry.change(expect, Entity::Sender(sender.clone()), "sender.archive"));
        if registry.apply(changes, &member.principal(), now).await? {
            return Ok(axum::Json(sender_view(registry, sender).await?));
        }
    }
    Err(Problem::new(Code::VersionChanged))
}
