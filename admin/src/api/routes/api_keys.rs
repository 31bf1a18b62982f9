//! API keys: how programs work in a workspace in the name of a member.
//!
//! What a key may do is decided when it is used: never more than its scopes, nor than the member's role then.

use super::Routes;
use crate::accounts::{Secret, key_text};
use crate::api::caller::Member;
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery};
use crate::api::permission::{Action, Grant};
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::roster::{keys_of, revocation};
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{ApiKey, EntityId, KeyScope, UserId};
use engine::store::{ACTIVE, Change, Entity, Expect, Kind, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Most keys of one member in a workspace: one a program, and some being replaced.
const MAX_KEYS: usize = 20;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::ApiKeys), routes!(list, create))
        .with(Access::Workspace(Action::ApiKeys), routes!(revoke))
}

/// An API key without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    /// Its id.
    id: Uuid,
    /// Its name for people.
    #[schema(example = "billing")]
    name: String,
    /// Whose actions they are.
    #[schema(value_type = Uuid)]
    user_id: UserId,
    /// What it may do.
    #[schema(value_type = Vec<String>, example = json!(["campaigns:read"]))]
    scopes: Vec<KeyScope>,
    /// Since when.
    created_at: Moment,
    /// Until when; `null` for no end.
    expires_at: Option<Moment>,
    /// Whether its time is over.
    expired: bool,
}

impl KeyView {
    fn new(key: ApiKey, api: &Api) -> Self {
        let expired = key.expires_at.is_some_and(|until| until <= api.now());
        Self {
            id: key.id,
            name: key.name,
            user_id: key.user_id,
            scopes: key.scopes,
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Moment),
            expired,
        }
    }
}

/// The keys that were not revoked, the newest first: an Admin sees all, others their own.
#[utoipa::path(
    get, path = "/w/{slug}/api-keys", tag = "API keys", params(PageQuery, ("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = Listed<KeyView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Listed<KeyView>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let parent = (member.grant == Grant::Own).then(|| member.user_id().into());
    let query =
        engine::store::Query { kind: Kind::ApiKey, statuses: vec![ACTIVE.to_owned()], parent, after, limit };
    let page = api.catalog.list(member.scope(), query).await?;
    let items = page.items.into_iter().filter_map(|entity| match entity {
        Entity::ApiKey(key) => Some(KeyView::new(key, &api)),
        _ => None,
    });
    Ok(axum::Json(Listed { items: items.collect(), next_cursor: page.next.map(|id| id.0.to_string()) }))
}

/// A key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// Its name for people.
    #[schema(example = "billing", min_length = 1, max_length = 200)]
    name: String,
    /// What it may do, at least one of `campaigns:read`, `campaigns:write`, `numbers:push`, `exports:read`, `audit:read`.
    #[schema(value_type = Vec<String>, example = json!(["campaigns:read"]), min_items = 1, max_items = 5)]
    scopes: Vec<KeyScope>,
    /// Until when; without it there is no end.
    #[schema(format = DateTime, example = "2099-12-01T18:00:00Z")]
    expires_at: Option<String>,
}

/// A key with its secret, told once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    /// The key without its secret.
    #[serde(flatten)]
    view: KeyView,
    /// The whole key, for the header `Authorization: Bearer`; it is told here only.
    #[schema(example = "mc_0191d7c0a0007000800000000000000a_5d2a...")]
    key: String,
}

/// Creates a key of one's own; its secret is in the answer and nowhere else.
#[utoipa::path(
    post, path = "/w/{slug}/api-keys", tag = "API keys", request_body = NewKey,
    params(("slug" = String, Path, description = "Slug")), responses((status = 201, body = CreatedKey))
)]
async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Json(body): Json<NewKey>,
) -> Result<(StatusCode, axum::Json<CreatedKey>), Problem> {
    let now = api.now();
    let name = fields::line("name", &body.name)?;
    let mut scopes = body.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Problem::field("scopes", "required", "A key needs a scope."));
    }
    let expires_at = body.expires_at.map(|text| fields::future("expires_at", &text, now)).transpose()?;
    let (workspace_id, user_id) = (member.workspace.id, member.user_id());
    if keys_of(&api, workspace_id, user_id).await?.len() >= MAX_KEYS {
        let message = format!("You have {MAX_KEYS} keys here; revoke one first.");
        return Err(Problem::because(Code::StateConflict, message));
    }
    let (id, secret) = (Uuid::now_v7(), Secret::new());
    let credential = secret.credential();
    let key = ApiKey {
        id,
        workspace_id,
        user_id,
        name,
        scopes,
        credential,
        version: 0,
        created_at: now,
        expires_at,
        revoked_at: None,
    };
    let entity = Entity::ApiKey(key.clone());
    let change = Change { scope: member.scope(), expect: Expect::Absent, entity, action: "api_key.create" };
    api.catalog.apply(vec![change], &member.principal(), now).await?;
    let created = CreatedKey { view: KeyView::new(key, &api), key: key_text(id, &secret) };
    Ok((StatusCode::CREATED, axum::Json(created)))
}

/// Revokes a key, at once: one's own, or anybody's for an Admin.
#[utoipa::path(
    delete, path = "/w/{slug}/api-keys/{id}", tag = "API keys",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Key")),
    responses((status = 204, description = "Revoked, or revoked before"))
)]
async fn revoke(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<StatusCode, Problem> {
    let Entity::ApiKey(key) = api.catalog.get(member.scope(), Kind::ApiKey, EntityId(id)).await? else {
        return Err(Problem::new(Code::NotFound));
    };
    member.must_own(key.user_id)?;
    if key.revoked_at.is_none() {
        let now = api.now();
        match api.catalog.apply(vec![revocation(key, now)], &member.principal(), now).await {
            // A key changes only by being revoked.
            Ok(()) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
