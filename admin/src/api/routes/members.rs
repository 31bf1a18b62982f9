//! Members of a workspace: shown, changed and removed by its admins, put there by super admins.

use super::Routes;
use crate::api::caller::{Caller, Member};
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::roster::{self, Post, Wish};
use crate::api::state::Api;
use crate::api::workspace_change::by_slug;
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{Membership, Role, User, UserId, WorkspaceId};
use engine::store::{ACTIVE, Entity, Kind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::SuperAdmin, routes!(put))
        .with(Access::Workspace(Action::WorkspaceRead), routes!(list))
        .with(Access::Workspace(Action::WorkspaceManage), routes!(change, remove))
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    /// Whose account.
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
    /// Its email.
    #[schema(example = "ann@example.com")]
    email: String,
    /// Its name.
    #[schema(example = "Ann Author")]
    name: String,
    /// As what.
    #[schema(value_type = String, example = "Author", pattern = "^(Author|Moderator|Admin)$")]
    role: Role,
    /// Whether an Author also decides about the campaigns of others.
    is_moderator: bool,
    /// Since when.
    created_at: Moment,
    /// Until when; `null` for no end.
    expires_at: Option<Moment>,
    /// Whether the account may not log in at present.
    disabled: bool,
}

impl MemberView {
    /// A membership of that account.
    fn new(membership: Membership, user: User) -> Self {
        Self {
            user_id: user.id,
            email: user.email,
            name: user.name,
            role: membership.role,
            is_moderator: membership.is_moderator,
            created_at: membership.created_at.into(),
            expires_at: membership.expires_at.map(Moment),
            disabled: user.disabled_at.is_some(),
        }
    }
}

async fn view(api: &Api, membership: Option<Membership>) -> Result<MemberView, Problem> {
    let membership = membership.ok_or_else(|| Problem::new(Code::NotFound))?;
    let user = roster::user(api, membership.user_id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(MemberView::new(membership, user))
}

/// The members, the newest first.
///
/// Super admins are not among them unless they have a membership. A page may be short where memberships have run out.
#[utoipa::path(
    get, path = "/w/{slug}/members", tag = "Members", params(PageQuery, ("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = Listed<MemberView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Listed<MemberView>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let (kind, statuses) = (Kind::Membership, vec![ACTIVE.to_owned()]);
    let query = engine::store::Query { kind, statuses, parent: None, after, limit };
    let page = api.catalog.list(member.scope(), query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for entity in page.items {
        if let Entity::Membership(membership) = entity
            && membership.holds_at(api.now())
        {
            items.push(view(&api, Some(membership)).await?);
        }
    }
    Ok(axum::Json(Listed { items, next_cursor: page.next.map(|id| id.0.to_string()) }))
}

/// A membership as a super admin sets it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Placement {
    /// As what.
    #[schema(value_type = String, example = "Moderator", pattern = "^(Author|Moderator|Admin)$")]
    role: Role,
    /// Whether an Author also decides about the campaigns of others.
    #[serde(default)]
    is_moderator: bool,
    /// Until when, for a reviewer on loan; without it there is no end.
    #[schema(format = DateTime, example = "2099-12-01T18:00:00Z")]
    expires_at: Option<String>,
}

/// Makes an account a member, or its membership another one.
///
/// The event is in the workspace's own audit log.
#[utoipa::path(
    put, path = "/workspaces/{slug}/members/{user_id}", tag = "Platform", request_body = Placement,
    params(("slug" = String, Path, description = "Slug"), ("user_id" = uuid::Uuid, Path, description = "Account")),
    responses((status = 200, body = MemberView), (status = 201, body = MemberView, description = "A new member"))
)]
async fn put(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((slug, user_id)): Path<(String, UserId)>,
    Json(body): Json<Placement>,
) -> Result<(StatusCode, axum::Json<MemberView>), Problem> {
    let workspace = by_slug(&api, &slug).await?.id;
    let user = roster::user(&api, user_id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let Placement { role, is_moderator, expires_at } = body;
    let expires_at = expires_at.map(|text| fields::future("expires_at", &text, api.now())).transpose()?;
    let post = Post { role, is_moderator, expires_at }.check()?;
    let before = held(&api, workspace, user_id).await?;
    let wish = |record: Option<&Membership>| {
        let held = record.filter(|membership| membership.holds_at(api.now())).map(Post::held);
        Ok(if held == Some(post) { Wish::Keep } else { Wish::Hold(post) })
    };
    let placed = roster::change(&api, (workspace, user_id), wish, &caller.platform_principal()).await?;
    let placed = placed.ok_or_else(|| Problem::new(Code::NotFound))?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(MemberView::new(placed, user))))
}

async fn held(api: &Api, workspace: WorkspaceId, user: UserId) -> Result<Option<Membership>, Problem> {
    let record = roster::on_record(api, workspace, user).await?;
    Ok(record.filter(|membership| membership.holds_at(api.now())))
}

/// A change of a membership; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberChange {
    /// As what; away from Author the flag goes too.
    #[schema(value_type = Option<String>, example = "Author", pattern = "^(Author|Moderator|Admin)$")]
    role: Option<Role>,
    /// Whether an Author also decides about the campaigns of others.
    is_moderator: Option<bool>,
}

impl MemberChange {
    fn of(&self, held: Post) -> Result<Post, Problem> {
        let role = self.role.unwrap_or(held.role);
        let is_moderator = self.is_moderator.unwrap_or(held.is_moderator && role == Role::Author);
        Post { role, is_moderator, ..held }.check()
    }
}

/// Changes a member's role or flag.
#[utoipa::path(
    patch, path = "/w/{slug}/members/{user_id}", tag = "Members", request_body = MemberChange,
    params(("slug" = String, Path, description = "Slug"), ("user_id" = uuid::Uuid, Path, description = "Account")),
    responses((status = 200, body = MemberView))
)]
async fn change(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, user_id)): Path<(String, UserId)>,
    Json(body): Json<MemberChange>,
) -> Result<axum::Json<MemberView>, Problem> {
    let wish = |record: Option<&Membership>| {
        let held = present(&api, record)?;
        let post = body.of(held)?;
        Ok(if post == held { Wish::Keep } else { Wish::Hold(post) })
    };
    let changed = roster::change(&api, (member.workspace.id, user_id), wish, &member.principal()).await?;
    Ok(axum::Json(view(&api, changed).await?))
}

/// Removes a member; the keys of their programs end with the membership.
#[utoipa::path(
    delete, path = "/w/{slug}/members/{user_id}", tag = "Members",
    params(("slug" = String, Path, description = "Slug"), ("user_id" = uuid::Uuid, Path, description = "Account")),
    responses((status = 204, description = "Removed"))
)]
async fn remove(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, user_id)): Path<(String, UserId)>,
) -> Result<StatusCode, Problem> {
    let wish = |record: Option<&Membership>| present(&api, record).map(|_| Wish::End);
    roster::change(&api, (member.workspace.id, user_id), wish, &member.principal()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a present member is.
fn present(api: &Api, record: Option<&Membership>) -> Result<Post, Problem> {
    let record = record.filter(|membership| membership.holds_at(api.now()));
    record.map(Post::held).ok_or_else(|| Problem::new(Code::NotFound))
}

#[cfg(test)]
mod tests;
