//! Requests to join a workspace, and what its admins decide about them.
//!
//! Asking tells nothing: for a workspace that exists, one that does not, and one's own the answer is the same.

use super::Routes;
use crate::api::caller::{Caller, Member};
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::roster::{self, Post, admission};
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{Admission, EntityId, JoinRequest, Role, User, UserId, Workspace};
use engine::store::{Change, Entity, Expect, Kind, Scope, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Most requests of one account that wait at a time; further ones are forgotten, which the answer does not tell.
const MAX_WAITING: usize = 50;
/// Longest slug that is looked up.
const MAX_SLUG_CHARS: usize = 63;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Login, routes!(ask))
        .with(Access::Workspace(Action::WorkspaceRead), routes!(list))
        .with(Access::Workspace(Action::WorkspaceManage), routes!(approve))
        .with(Access::Workspace(Action::WorkspaceManage), routes!(reject))
}

/// Where somebody wants to join.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// The workspace's name in addresses.
    #[schema(example = "acme-corp", max_length = 63)]
    slug: String,
}

/// The same for every request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Received {
    /// Always `received`.
    #[schema(example = "received")]
    status: &'static str,
}

/// Asks the admins of a workspace for a membership.
///
/// Whether there is such a workspace is not told.
#[utoipa::path(
    post, path = "/join-requests", tag = "Members", request_body = Wish,
    responses((status = 202, body = Received))
)]
async fn ask(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(body): Json<Wish>,
) -> Result<(StatusCode, axum::Json<Received>), Problem> {
    if body.slug.chars().count() > MAX_SLUG_CHARS {
        let message = format!("A slug has at most {MAX_SLUG_CHARS} characters.");
        return Err(Problem::field("slug", "too_long", message));
    }
    match api.catalog.find(Scope::Platform, Kind::Workspace, body.slug).await {
        Ok(Entity::Workspace(workspace)) => note(&api, &caller, &workspace).await?,
        Ok(_) | Err(StoreError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    Ok((StatusCode::ACCEPTED, axum::Json(Received { status: "received" })))
}

/// Stores a request, if there is something to ask for.
async fn note(api: &Api, caller: &Caller, workspace: &Workspace) -> Result<(), Problem> {
    let (now, user_id, workspace_id) = (api.now(), caller.user.id, workspace.id);
    let record = roster::on_record(api, workspace_id, user_id).await?;
    if record.is_some_and(|membership| membership.holds_at(now)) {
        return Ok(());
    }
    let query = engine::store::Query {
        kind: Kind::JoinRequest,
        statuses: vec![format!("{:?}", Admission::Pending)],
        parent: Some(user_id.into()),
        after: None,
        limit: MAX_WAITING,
    };
    if api.catalog.list(Scope::Platform, query).await?.items.len() >= MAX_WAITING {
        return Ok(());
    }
    let (id, status) = (Uuid::now_v7(), Admission::Pending);
    let request = JoinRequest { id, workspace_id, user_id, status, version: 0, created_at: now };
    let (scope, entity) = (Scope::Workspace(workspace_id), Entity::JoinRequest(request));
    let change = Change { scope, expect: Expect::Absent, entity, action: "join_request.create" };
    match api.catalog.apply(vec![change], &caller.principal("User"), now).await {
        Ok(()) | Err(StoreError::Taken(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A request to join.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JoinRequestView {
    /// Its id.
    id: Uuid,
    /// Whose account.
    #[schema(value_type = Uuid)]
    user_id: UserId,
    /// Its email.
    #[schema(example = "ann@example.com")]
    email: String,
    /// Its name.
    #[schema(example = "Ann Author")]
    name: String,
    /// `Pending`, `Approved` or `Rejected`.
    #[schema(example = "Pending")]
    status: &'static str,
    /// When it was made.
    created_at: Moment,
}

impl JoinRequestView {
    fn new(request: JoinRequest, user: User) -> Self {
        let status = match request.status {
            Admission::Pending => "Pending",
            Admission::Accepted => "Approved",
            Admission::Declined => "Rejected",
        };
        let (email, name) = (user.email, user.name);
        Self { id: request.id, user_id: user.id, email, name, status, created_at: request.created_at.into() }
    }
}

/// The requests that wait, the newest first.
#[utoipa::path(
    get, path = "/w/{slug}/join-requests", tag = "Members",
    params(PageQuery, ("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = Listed<JoinRequestView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Listed<JoinRequestView>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let (kind, statuses) = (Kind::JoinRequest, vec![format!("{:?}", Admission::Pending)]);
    let query = engine::store::Query { kind, statuses, parent: None, after, limit };
    let page = api.catalog.list(member.scope(), query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for entity in page.items {
        if let Entity::JoinRequest(request) = entity
            && let Some(user) = roster::user(&api, request.user_id).await?
        {
            items.push(JoinRequestView::new(request, user));
        }
    }
    Ok(axum::Json(Listed { items, next_cursor: page.next.map(|id| id.0.to_string()) }))
}

/// How a request is granted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approval {
    /// As what the account becomes a member.
    #[schema(value_type = String, example = "Author", pattern = "^(Author|Moderator|Admin)$")]
    role: Role,
}

/// Makes whoever asked a member.
#[utoipa::path(
    post, path = "/w/{slug}/join-requests/{id}/approve", tag = "Members", request_body = Approval,
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Request")),
    responses((status = 200, body = JoinRequestView))
)]
async fn approve(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Json(body): Json<Approval>,
) -> Result<axum::Json<JoinRequestView>, Problem> {
    let request = waiting(&api, &member, id).await?;
    let record = roster::on_record(&api, request.workspace_id, request.user_id).await?;
    let account = (request.workspace_id, request.user_id);
    let admitted = admission(record, account, Post::of(body.role), api.now())?;
    decide(&api, &member, (request, Admission::Accepted), Some(admitted)).await
}

/// Refuses a request.
#[utoipa::path(
    post, path = "/w/{slug}/join-requests/{id}/reject", tag = "Members",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Request")),
    responses((status = 200, body = JoinRequestView))
)]
async fn reject(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<JoinRequestView>, Problem> {
    let request = waiting(&api, &member, id).await?;
    decide(&api, &member, (request, Admission::Declined), None).await
}

async fn waiting(api: &Api, member: &Member, id: Uuid) -> Result<JoinRequest, Problem> {
    match api.catalog.get(member.scope(), Kind::JoinRequest, EntityId(id)).await? {
        Entity::JoinRequest(request) if request.status == Admission::Pending => Ok(request),
        Entity::JoinRequest(_) => Err(Problem::new(Code::AlreadyDecided)),
        _ => Err(Problem::new(Code::NotFound)),
    }
}

async fn decide(
    api: &Api,
    member: &Member,
    (request, status): (JoinRequest, Admission),
    admitted: Option<Change>,
) -> Result<axum::Json<JoinRequestView>, Problem> {
    let action = if status == Admission::Accepted { "join_request.approve" } else { "join_request.reject" };
    let expect = Expect::Version(request.version);
    let decided = JoinRequest { status, version: request.version + 1, ..request };
    let entity = Entity::JoinRequest(decided.clone());
    let mut changes = vec![Change { scope: member.scope(), expect, entity, action }];
    changes.extend(admitted);
    match api.catalog.apply(changes, &member.principal(), api.now()).await {
        Ok(()) => {}
        Err(StoreError::Conflict { .. }) => return Err(Problem::new(Code::AlreadyDecided)),
        Err(error) => return Err(error.into()),
    }
    let user = roster::user(api, decided.user_id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(axum::Json(JoinRequestView::new(decided, user)))
}

#[cfg(test)]
mod tests;
