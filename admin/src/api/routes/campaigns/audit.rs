//! Who did what to one campaign: the Audit tab of its page, open to everybody who may see it.

use super::visible;
use crate::api::caller::Member;
use crate::api::event_view::differing;
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery, limit, read_cursor, write_cursor};
use crate::api::permission::Action;
use crate::api::problem::Problem;
use crate::api::query::{Path, Query};
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::Json;
use axum::extract::State;
use engine::model::{AuditEvent, CampaignId, EntityId, UserId};
use engine::store::{AuditQuery, Entity, Kind, MAX_AUDIT_PEOPLE, MAX_PAGE, Scope, StoreError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Workspace(Action::CampaignRead), routes!(list))
}

/// Something that was done to a campaign, or to an export of its recipients.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignEvent {
    /// Its place in the log of the workspace.
    seq: u64,
    at: Moment,
    /// Who; `null` for the engine itself.
    #[schema(value_type = Option<Uuid>)]
    actor: Option<UserId>,
    /// The account's present name.
    actor_name: Option<String>,
    /// The role at that time.
    #[schema(example = "Moderator")]
    role: String,
    #[schema(example = "campaign.approve")]
    action: String,
    /// Ties it to the answer and the logs.
    request_id: Option<String>,
    /// Fields that were changed, as they were before; `null` when it was created, and for what changed nothing.
    #[schema(value_type = Option<Object>)]
    before: serde_json::Value,
    /// The same fields behind it, or what else there is to know.
    #[schema(value_type = Option<Object>)]
    after: serde_json::Value,
}

/// Everything that was done to the campaign, the newest first.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns/{id}/audit", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign"),
        PageQuery),
    responses((status = 200, body = Listed<CampaignEvent>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Listed<CampaignEvent>>, Problem> {
    let campaign = visible(&api, &member, id).await?;
    let query = AuditQuery {
        entities: Some(entities(&api, &member, campaign.id).await?),
        before: read_cursor(page.cursor.as_deref())?,
        limit: limit(page.limit)?,
        ..AuditQuery::default()
    };
    let found = api.catalog.audit_events(member.scope(), query).await?;
    let names = names(&api, &found.items).await?;
    let items = found.items.into_iter().map(|event| shown(event, &names)).collect();
    Ok(Json(Listed { items, next_cursor: found.next.map(|place| write_cursor(&place)) }))
}

/// The campaign and its exports, the newest ones where there are very many: who took its recipients along is a part of
/// its history.
async fn entities(api: &Api, member: &Member, id: CampaignId) -> Result<Vec<EntityId>, StoreError> {
    let limit = MAX_PAGE.min(MAX_AUDIT_PEOPLE) - 1;
    let parent = Some(id.into());
    let query = engine::store::Query { kind: Kind::Export, statuses: Vec::new(), parent, after: None, limit };
    let exports = api.catalog.list(member.scope(), query).await?;
    Ok(std::iter::once(id.into()).chain(exports.items.iter().map(Entity::id)).collect())
}

async fn names(api: &Api, events: &[AuditEvent]) -> Result<BTreeMap<UserId, String>, Problem> {
    let mut names = BTreeMap::new();
    for id in events.iter().filter_map(|event| event.by.user_id) {
        if names.contains_key(&id) {
            continue;
        }
        match api.catalog.get(Scope::Platform, Kind::User, id.into()).await {
            Ok(Entity::User(user)) => drop(names.insert(id, user.name)),
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(names)
}

fn shown(event: AuditEvent, names: &BTreeMap<UserId, String>) -> CampaignEvent {
    let (before, after) = differing(event.before, event.after);
    CampaignEvent {
        seq: event.seq,
        at: event.at.into(),
        actor: event.by.user_id,
        actor_name: event.by.user_id.and_then(|id| names.get(&id).cloned()),
        role: event.by.role,
        action: event.action,
        request_id: event.by.request_id,
        before,
        after,
    }
}
