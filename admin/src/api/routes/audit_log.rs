//! Audit logs: a workspace's own, its members' logins, and the platform's.

use super::Routes;
use crate::api::caller::{Member, SuperAdmin};
use crate::api::event_view::{EventView, event_views};
use crate::api::guard::Access;
use crate::api::page::{self, Listed};
use crate::api::permission::{Action, Standing};
use crate::api::problem::{Code, Problem};
use crate::api::query::Query;
use crate::api::state::Api;
use axum::extract::State;
use engine::model::{EntityId, UserId};
use engine::store::{ACTIVE, AuditPlace, AuditQuery, Entity, Kind, MAX_AUDIT_PEOPLE, Scope};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::routes;
use uuid::Uuid;

/// Longest action or kind that is looked for.
const MAX_WORD_CHARS: usize = 64;
/// What the events of logins begin with.
const LOGINS: &str = "login.";

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::AuditRead), routes!(of_workspace))
        .with(Access::SuperAdmin, routes!(of_platform))
}

/// Which log of a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Log {
    /// What was done in it.
    #[default]
    Workspace,
    /// How its present members logged in, from the platform's log.
    Logins,
}

/// Which events; whatever is not given does not matter.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventQuery {
    /// Who acted: the id of an account.
    #[param(value_type = Option<Uuid>)]
    actor: Option<UserId>,
    /// What was done, `campaign.approve`; all of a kind with a dot at the end, `campaign.`.
    #[param(max_length = 64, example = "member.")]
    action: Option<String>,
    /// Not before this instant, RFC 3339.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Before this instant, RFC 3339.
    #[param(example = "2026-12-01T00:00:00Z")]
    to: Option<String>,
    /// The id of the thing that it was done to.
    entity: Option<Uuid>,
    /// What kind of thing: `campaign`, `membership` and so on.
    #[param(max_length = 64)]
    kind: Option<String>,
    /// Items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
}

/// Which log of the workspace, and which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkspaceEventQuery {
    /// `workspace`, or `logins` for how its present members logged in; that is for Admins.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "workspace", pattern = "^(workspace|logins)$")]
    log: Log,
    /// Who acted: the id of an account.
    #[param(value_type = Option<Uuid>)]
    actor: Option<UserId>,
    /// What was done, `campaign.approve`; all of a kind with a dot at the end, `campaign.`.
    #[param(max_length = 64, example = "member.")]
    action: Option<String>,
    /// Not before this instant, RFC 3339.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Before this instant, RFC 3339.
    #[param(example = "2026-12-01T00:00:00Z")]
    to: Option<String>,
    /// The id of the thing that it was done to.
    entity: Option<Uuid>,
    /// What kind of thing: `campaign`, `membership` and so on.
    #[param(max_length = 64)]
    kind: Option<String>,
    /// Items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
}

impl WorkspaceEventQuery {
    fn split(self) -> (Log, EventQuery) {
        let Self { log, actor, action, from, to, entity, kind, limit, cursor } = self;
        (log, EventQuery { actor, action, from, to, entity, kind, limit, cursor })
    }
}

impl EventQuery {
    fn read(self) -> Result<AuditQuery, Problem> {
        let refused = |field: &str, code: &str, message: &str| {
            Problem::new(Code::BadParameter).with_field(field, code, message)
        };
        let time = |field: &str, text: &String| {
            let at: Result<Timestamp, _> = text.parse();
            at.map_err(|_| refused(field, "no_time", "Write an instant such as 2026-11-21T18:00:00Z."))
        };
        for (field, word) in [("action", &self.action), ("kind", &self.kind)] {
            if word.as_ref().is_some_and(|word| word.chars().count() > MAX_WORD_CHARS) {
                return Err(refused(field, "too_long", "Nothing is called like this."));
            }
        }
        Ok(AuditQuery {
            actor: self.actor,
            people: None,
            action: self.action,
            entity_kind: self.kind,
            entities: self.entity.map(|id| vec![EntityId(id)]),
            from: self.from.as_ref().map(|text| time("from", text)).transpose()?,
            to: self.to.as_ref().map(|text| time("to", text)).transpose()?,
            before: page::read_cursor::<AuditPlace>(self.cursor.as_deref())?,
            limit: page::limit(self.limit)?,
        })
    }
}

/// The workspace's audit log, the newest first.
///
/// With `log=logins`, how its present members logged in; of more than 200 members an `actor` must be named.
#[utoipa::path(
    get, path = "/w/{slug}/audit", tag = "Audit",
    params(WorkspaceEventQuery, ("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = Listed<EventView>))
)]
async fn of_workspace(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(query): Query<WorkspaceEventQuery>,
) -> Result<axum::Json<Listed<EventView>>, Problem> {
    let (log, query) = query.split();
    let mut query = query.read()?;
    if log == Log::Workspace {
        return events(&api, member.scope(), query).await;
    }
    if !matches!(member.standing, Standing::Admin | Standing::SuperAdmin) {
        return Err(Problem::because(Code::Forbidden, "How members log in is for Admins."));
    }
    let people = people(&api, member.scope(), query.actor).await?;
    if people.is_empty() || query.action.as_ref().is_some_and(|action| !action.starts_with(LOGINS)) {
        return Ok(axum::Json(Listed { items: Vec::new(), next_cursor: None }));
    }
    query.people = Some(people);
    query.action.get_or_insert_with(|| LOGINS.to_owned());
    // Failed attempts are about an account, and nobody's doing.
    query.actor = None;
    events(&api, Scope::Platform, query).await
}

/// The present members, or this one of them.
async fn people(api: &Api, scope: Scope, only: Option<UserId>) -> Result<Vec<UserId>, Problem> {
    let (kind, statuses) = (Kind::Membership, vec![ACTIVE.to_owned()]);
    let parent = only.map(EntityId::from);
    let query = engine::store::Query { kind, statuses, parent, after: None, limit: MAX_AUDIT_PEOPLE };
    let page = api.catalog.list(scope, query).await?;
    if page.next.is_some() {
        let message = format!("The workspace has more than {MAX_AUDIT_PEOPLE} members: name one.");
        return Err(Problem::new(Code::BadParameter).with_field("actor", "required", message));
    }
    let ids = page.items.into_iter().filter_map(|entity| match entity {
        Entity::Membership(membership) if membership.holds_at(api.now()) => Some(membership.user_id),
        _ => None,
    });
    Ok(ids.collect())
}

/// The platform's audit log, the newest first: logins, accounts, workspaces, settings.
#[utoipa::path(
    get, path = "/audit", tag = "Audit", params(EventQuery), responses((status = 200, body = Listed<EventView>))
)]
async fn of_platform(
    State(api): State<Arc<Api>>,
    _: SuperAdmin,
    Query(query): Query<EventQuery>,
) -> Result<axum::Json<Listed<EventView>>, Problem> {
    events(&api, Scope::Platform, query.read()?).await
}

async fn events(
    api: &Api,
    scope: Scope,
    query: AuditQuery,
) -> Result<axum::Json<Listed<EventView>>, Problem> {
    let page = api.catalog.audit_events(scope, query).await?;
    let next_cursor = page.next.map(|place| page::write_cursor(&place));
    Ok(axum::Json(Listed { items: event_views(api, page.items).await?, next_cursor }))
}

#[cfg(test)]
mod tests;
