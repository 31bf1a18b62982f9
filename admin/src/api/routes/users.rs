//! Accounts as super admins administer them: created with their memberships, renamed, disabled.
//!
//! Accounts are never deleted. The last super admin is neither disabled nor demoted.

use super::Routes;
use super::password_links::{LinkView, NewLink};
use crate::accounts::{Owner, SuperAdmins};
use crate::api::account_view::{AccountView, UserView, account_view};
use crate::api::caller::{Caller, SuperAdmin};
use crate::api::fields;
use crate::api::guard::{Access, user};
use crate::api::json::Json;
use crate::api::page::{Listed, PageQuery};
use crate::api::password_policy::chosen;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::state::Api;
use crate::mail::Posted;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use engine::model::{Membership, Preferences, Role, User, UserId, Workspace};
use engine::store::{self, Change, Entity, Expect, Kind, Scope, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Memberships that an account may begin with: all are one transaction.
const MAX_FIRST_MEMBERSHIPS: usize = 50;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::SuperAdmin, routes!(list, create)).with(Access::SuperAdmin, routes!(change))
}

/// All accounts, newest first.
#[utoipa::path(
    get, path = "/users", tag = "Users", params(PageQuery),
    responses((status = 200, body = Listed<UserView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    _: SuperAdmin,
    Query(page): Query<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (after, limit) = (page.after()?, page.limit()?);
    let query = store::Query { kind: Kind::User, statuses: Vec::new(), parent: None, after, limit };
    let page = api.catalog.list(Scope::Platform, query).await?;
    let items: Vec<_> = page
        .items
        .iter()
        .filter_map(|entity| match entity {
            Entity::User(user) => Some(UserView::from(user)),
            _ => None,
        })
        .collect();
    Ok(axum::Json(Listed { items, next_cursor: page.next.map(|id| id.to_string()) }))
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// Its email.
    #[schema(max_length = 254, example = "ann@example.com")]
    email: String,
    /// Its name.
    #[schema(min_length = 1, max_length = 200, example = "Ann Author")]
    name: String,
    /// Its password; without one the answer carries a link with which its owner chooses one.
    #[schema(max_length = 128, example = "correct horse battery staple")]
    password: Option<String>,
    /// Whether it administers the platform.
    #[serde(default)]
    super_admin: bool,
    /// Where it is a member.
    #[serde(default)]
    #[schema(max_items = 50)]
    memberships: Vec<NewMembership>,
}

/// A membership that an account begins with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMembership {
    /// The workspace.
    #[schema(max_length = 64, example = "acme")]
    slug: String,
    /// As what: `Author`, `Moderator` or `Admin`.
    #[schema(value_type = String, example = "Admin", pattern = "^(Author|Moderator|Admin)$")]
    role: Role,
}

/// An account that was created.
#[derive(Serialize, ToSchema)]
struct Created {
    /// The account.
    #[serde(flatten)]
    account: AccountView,
    /// For its owner, when no password was given; shown once.
    link: Option<LinkView>,
    /// Whether that link is mailed too; `null` without one.
    mail: Option<Posted>,
}

/// Create an account with its memberships, all or nothing.
#[utoipa::path(
    post, path = "/users", tag = "Users", request_body = NewUser,
    responses(
        (status = 201, body = Created),
        (status = 429, description = "Too many", headers(("retry-after" = u64, description = "Seconds"))),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(new): Json<NewUser>,
) -> Result<impl IntoResponse, Problem> {
    let (email, name) = (fields::email("email", &new.email)?, fields::line("name", &new.name)?);
    let places = places(&api, new.memberships).await?;
    let credential = match &new.password {
        Some(password) => Some(chosen(&api, password, Owner { email: &email, name: &name }).await?),
        None => None,
    };
    let now = api.now();
    let user = User {
        id: UserId(Uuid::now_v7()),
        email,
        name,
        credential,
        super_admin: new.super_admin,
        preferences: Preferences::default(),
        version: 0,
        created_at: now,
        disabled_at: None,
    };
    let entity = Entity::User(user.clone());
    let mut changes =
        vec![Change { scope: Scope::Platform, expect: Expect::Absent, entity, action: "user.create" }];
    if user.super_admin {
        changes.push(SuperAdmins::read(&*api.catalog).await?.bump());
    }
    changes.extend(places.into_iter().map(|(workspace, role)| joining(&workspace, user.id, role, now)));
    let new = user.credential.is_none().then(|| {
        let (change, new) = NewLink::make(user.id, now);
        changes.push(change);
        new
    });
    api.catalog.apply(changes, &caller.platform_principal(), now).await?;
    let (link, mail) = new.map(|new| new.tell(&api, &user, &caller)).unzip();
    let account = account_view(&api, &user).await?;
    Ok((StatusCode::CREATED, axum::Json(Created { account, link, mail })))
}

/// The workspaces of these slugs.
async fn places(api: &Api, asked: Vec<NewMembership>) -> Result<Vec<(Workspace, Role)>, Problem> {
    if asked.len() > MAX_FIRST_MEMBERSHIPS {
        let message = format!("An account begins with at most {MAX_FIRST_MEMBERSHIPS} memberships.");
        return Err(Problem::field("memberships", "too_many", message));
    }
    let (mut places, mut seen) = (Vec::with_capacity(asked.len()), BTreeSet::new());
    for (at, NewMembership { slug, role }) in asked.into_iter().enumerate() {
        let field = format!("memberships[{at}].slug");
        if !seen.insert(slug.clone()) {
            return Err(Problem::field(&field, "twice", "One is a member of a workspace once."));
        }
        match api.catalog.find(Scope::Platform, Kind::Workspace, slug).await {
            Ok(Entity::Workspace(workspace)) => places.push((workspace, role)),
            Ok(_) | Err(StoreError::NotFound) => {
                return Err(Problem::field(&field, "unknown", "There is no such workspace."));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(places)
}

fn joining(workspace: &Workspace, user_id: UserId, role: Role, now: Timestamp) -> Change {
    let membership = Membership {
        id: Uuid::now_v7(),
        workspace_id: workspace.id,
        user_id,
        role,
        is_moderator: false,
        version: 0,
        created_at: now,
        expires_at: None,
        removed_at: None,
    };
    let (scope, entity) = (Scope::Workspace(workspace.id), Entity::Membership(membership));
    Change { scope, expect: Expect::Absent, entity, action: "member.add" }
}

/// A change of an account; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserChange {
    /// Its name.
    #[schema(min_length = 1, max_length = 200, example = "Ann Author")]
    name: Option<String>,
    /// Whether it administers the platform.
    super_admin: Option<bool>,
    /// Whether nobody may log in with it; its logins end at once.
    disabled: Option<bool>,
}

/// Rename, promote, demote, disable or enable an account.
#[utoipa::path(
    patch, path = "/users/{id}", tag = "Users", request_body = UserChange,
    params(("id" = Uuid, Path, description = "The account")), responses((status = 200, body = UserView))
)]
async fn change(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Json(asked): Json<UserChange>,
) -> Result<impl IntoResponse, Problem> {
    // Before the account: whoever changes who is super admin in the meantime makes this one conflict.
    let admins = SuperAdmins::read(&*api.catalog).await?;
    let before = user(&api, UserId(id)).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let (now, by) = (api.now(), caller.platform_principal());
    let after = changed(&before, asked, now)?;
    let view = UserView::from(&after);
    if after == before {
        return Ok(axum::Json(view));
    }
    let administers = |user: &User| user.super_admin && user.disabled_at.is_none();
    if administers(&before) && !administers(&after) && !admins.has_other_than(before.id) {
        return Err(Problem::because(Code::StateConflict, "The last super admin stays one."));
    }
    let mut changes = Vec::new();
    if administers(&before) != administers(&after) {
        changes.push(admins.bump());
    }
    let is_disabled = after.disabled_at.is_some();
    if is_disabled {
        changes.extend(api.logins.endings(before.id, None, now).await?);
    }
    let action = match (before.disabled_at.is_some(), is_disabled) {
        (false, true) => "user.disable",
        (true, false) => "user.enable",
        _ => "user.change",
    };
    let (expect, entity) = (Expect::Version(before.version), Entity::User(after));
    changes.push(Change { scope: Scope::Platform, expect, entity, action });
    api.catalog.apply(changes, &by, now).await?;
    if is_disabled {
        api.logins.end_all(before.id, None, &by, now).await?;
    }
    Ok(axum::Json(view))
}

fn changed(before: &User, asked: UserChange, now: Timestamp) -> Result<User, Problem> {
    let mut after = before.clone();
    if let Some(name) = &asked.name {
        after.name = fields::line("name", name)?;
    }
    after.super_admin = asked.super_admin.unwrap_or(before.super_admin);
    match asked.disabled {
        Some(true) => after.disabled_at = before.disabled_at.or(Some(now)),
        Some(false) => after.disabled_at = None,
        None => {}
    }
    if after != *before {
        after.version += 1;
    }
    Ok(after)
}

#[cfg(test)]
mod tests;
