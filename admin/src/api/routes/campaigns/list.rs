//! Lists of campaigns: a workspace's, every workspace's for super admins, the archive of whoever asks; and one campaign.

use super::visible;
use crate::api::caller::{Caller, Member, SuperAdmin};
use crate::api::campaign_view::{CampaignView, campaign_view};
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::page::{bad_cursor, limit};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::routes::Routes;
use crate::api::state::Api;
use crate::api::templates::{ContentMatch, Templates};
use axum::Json;
use axum::extract::State;
use engine::model::{EntityId, Mode, Role, Status, Workspace, WorkspaceId};
use engine::store::{
    ACTIVE, Archived, CampaignQuery, CampaignScope, Direction, Entity, Kind, MAX_PAGE, MAX_SCOPE_WORKSPACES,
    MAX_SEARCH_CHARS, Search, Sort, SortKey, StoreError,
};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::SuperAdmin, routes!(master))
        .with(Access::Login, routes!(archive))
        .with(Access::Workspace(Action::CampaignRead), routes!(list))
        .with(Access::Workspace(Action::CampaignRead), routes!(one))
}

/// Which campaigns are listed. What can be given several times may also be separated by commas.
#[derive(Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only campaigns whose effective start is at or behind this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only campaigns whose effective start is before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Only these: `New`, `Building`, `Pending`, `Sending`, `Paused`, `Done`, `Cancelled`, `Failed`, `Expired`.
    #[param(value_type = Option<Vec<String>>)]
    status: Vec<Status>,
    /// Only these: `OnDemand`, `OnTime`, `Spread`, `Trigger`.
    #[param(value_type = Option<Vec<String>>)]
    mode: Vec<Mode>,
    /// A campaign's id, or a part of a sender's name.
    #[param(max_length = 200)]
    q: Option<String>,
    /// `sender`, `start` or `created`, with a leading `-` for the greatest first.
    #[param(default = "-created", pattern = "^-?(sender|start|created)$")]
    sort: Option<String>,
    /// Items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(max_length = 4096)]
    cursor: Option<String>,
}

fn bad(field: &str, message: impl Into<String>) -> Problem {
    Problem::new(Code::BadParameter).with_field(field, "unknown", message)
}

fn words<T: DeserializeOwned>(field: &str, text: &str) -> Result<Vec<T>, Problem> {
    let word = |word: &str| {
        let value = serde_json::Value::String(word.trim().to_owned());
        serde_json::from_value(value).map_err(|_| bad(field, "There is no such word."))
    };
    text.split(',').filter(|word| !word.trim().is_empty()).map(word).collect()
}

fn instant(field: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| bad(field, "This is no instant, such as 2026-11-21T18:00:00Z."))
}

impl ListQuery {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut query = Self::default();
        let mut seen = std::collections::BTreeSet::new();
        for (name, value) in pairs {
            if !seen.insert(name.clone()) && !matches!(name.as_str(), "status" | "mode") {
                return Err(bad(&name, "This parameter comes twice."));
            }
            match name.as_str() {
                "from" => query.from = Some(instant(&name, &value)?),
                "to" => query.to = Some(instant(&name, &value)?),
                "status" => query.status.extend(words::<Status>(&name, &value)?),
                "mode" => query.mode.extend(words::<Mode>(&name, &value)?),
                "q" => query.q = Some(value),
                "sort" => query.sort = Some(value),
                "limit" => {
                    query.limit = Some(value.parse().map_err(|_| bad(&name, "This is no number."))?);
                }
                "cursor" => query.cursor = Some(value),
                _ => return Err(bad(&name, "There is no such parameter.")),
            }
        }
        Ok(query)
    }

    fn sort(&self) -> Result<Sort, Problem> {
        let text = self.sort.as_deref().unwrap_or("-created");
        let (key, direction) = match text.strip_prefix('-') {
            Some(key) => (key, Direction::Descending),
            None => (text, Direction::Ascending),
        };
        let key = match key {
            "sender" => SortKey::Sender,
            "start" => SortKey::Start,
            "created" => SortKey::Created,
            _ => return Err(bad("sort", "Lists are sorted by sender, start or created.")),
        };
        Ok(Sort { key, direction })
    }

    fn asked(mut self, archived: Archived) -> Result<CampaignQuery, Problem> {
        if self.q.as_ref().is_some_and(|q| q.chars().count() > MAX_SEARCH_CHARS) {
            return Err(bad("q", format!("At most {MAX_SEARCH_CHARS} characters are searched for.")));
        }
        let after = self.cursor.as_deref().map(str::parse).transpose().map_err(|_| bad_cursor())?;
        self.status.sort_unstable();
        self.status.dedup();
        self.mode.dedup();
        Ok(CampaignQuery {
            from: self.from,
            to: self.to,
            search: self.q.as_deref().and_then(Search::of),
            archived,
            created_by: None,
            only_with_sender: false,
            sort: self.sort()?,
            after,
            limit: limit(self.limit)?,
            statuses: self.status,
            modes: self.mode,
        })
    }
}

/// A campaign of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedCampaign {
    #[serde(flatten)]
    campaign: CampaignView,
    /// The present name of its sender; empty without one.
    #[schema(example = "Shop")]
    sender_name: String,
    /// Its effective start: planned, else actual.
    starts_at: Option<Moment>,
    /// The slug of its workspace, in lists over several ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
}

/// A page of campaigns.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignList {
    /// `master` or `archive` in lists over several workspaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    items: Vec<ListedCampaign>,
    /// Every campaign of the workspace, archived ones too, whatever the filters.
    workspace_total: u64,
    /// Every campaign that the filters let through, on all pages.
    filtered_total: u64,
    /// For the next page; `null` at the end.
    next_cursor: Option<String>,
}

/// Workspaces by id, each read once.
struct Workspaces<'a> {
    api: &'a Api,
    known: BTreeMap<WorkspaceId, Arc<Workspace>>,
}

impl Workspaces<'_> {
    async fn get(&mut self, id: WorkspaceId) -> Result<Arc<Workspace>, Problem> {
        if let Some(workspace) = self.known.get(&id) {
            return Ok(Arc::clone(workspace));
        }
        let found = self.api.catalog.get(engine::store::Scope::Platform, Kind::Workspace, id.into()).await?;
        let Entity::Workspace(workspace) = found else { return Err(Problem::new(Code::NotFound)) };
        let workspace = Arc::new(workspace);
        self.known.insert(id, Arc::clone(&workspace));
        Ok(workspace)
    }
}

async fn page(
    workspaces: &mut Workspaces<'_>,
    (scope, word): (CampaignScope, Option<&'static str>),
    query: CampaignQuery,
) -> Result<Json<CampaignList>, Problem> {
    let api = workspaces.api;
    let page = api.catalog.campaigns(scope, query).await.map_err(|error| match error {
        // Everything else that a list refuses was checked before.
        StoreError::Refused(_) => bad_cursor(),
        other => other.into(),
    })?;
    let mut items = Vec::with_capacity(page.items.len());
    for item in page.items {
        let workspace = workspaces.get(item.campaign.workspace_id).await?;
        items.push(ListedCampaign {
            campaign: campaign_view(api, &item.campaign, workspace.policies.approvals_required),
            sender_name: item.sender_name,
            starts_at: item.starts_at.map(Moment),
            workspace: word.map(|_| workspace.slug.clone()),
        });
    }
    Ok(Json(CampaignList {
        scope: word,
        items,
        workspace_total: page.workspace_total,
        filtered_total: page.filtered_total,
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    }))
}

/// The workspace's campaigns that are not archived.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ListQuery),
    responses((status = 200, body = CampaignList))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<CampaignList>, Problem> {
    let mut query = ListQuery::read(pairs)?.asked(Archived::Without)?;
    query.created_by = member.sees_own_only().then(|| member.user_id());
    let known = BTreeMap::from([(member.workspace.id, Arc::clone(&member.workspace))]);
    let mut workspaces = Workspaces { api: &api, known };
    page(&mut workspaces, (CampaignScope::Workspace(member.workspace.id), None), query).await
}

/// A campaign by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignDetail {
    #[serde(flatten)]
    campaign: CampaignView,
    /// The approved template version that its text is, to the character; the values of its variables are not compared.
    matches_template: Option<ContentMatch>,
}

/// One campaign.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns/{id}", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = CampaignDetail))
)]
async fn one(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Json<CampaignDetail>, Problem> {
    let campaign = visible(&api, &member, id).await?;
    let matches = Templates::new(&api, member.workspace.id).matches().await?;
    let matches_template = matches.of_content(&campaign.content);
    let campaign = campaign_view(&api, &campaign, member.workspace.policies.approvals_required);
    Ok(Json(CampaignDetail { campaign, matches_template }))
}

/// The campaigns of every workspace, for super admins; nothing can be changed here. One that is searched for by its id
/// is found in the archive too.
#[utoipa::path(
    get, path = "/w/master/campaigns", tag = "Campaigns", params(ListQuery),
    responses((status = 200, body = CampaignList))
)]
async fn master(
    State(api): State<Arc<Api>>,
    _: SuperAdmin,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<CampaignList>, Problem> {
    let mut query = ListQuery::read(pairs)?.asked(Archived::Without)?;
    if matches!(query.search, Some(Search::Id(_))) {
        query.archived = Archived::Any;
    }
    let mut workspaces = Workspaces { api: &api, known: BTreeMap::new() };
    page(&mut workspaces, (CampaignScope::EveryWorkspace, Some("master")), query).await
}

/// The archived campaigns of the workspaces that the caller belongs to.
#[utoipa::path(
    get, path = "/w/archive/campaigns", tag = "Campaigns", params(ListQuery),
    responses((status = 200, body = CampaignList))
)]
async fn archive(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<CampaignList>, Problem> {
    let query = ListQuery::read(pairs)?.asked(Archived::Only)?;
    let mut workspaces = Workspaces { api: &api, known: BTreeMap::new() };
    let (mut all, mut own) = (Vec::new(), Vec::new());
    for membership in memberships(&api, &caller).await? {
        let workspace = workspaces.get(membership.workspace_id).await?;
        let sees_own_only = membership.role == Role::Author && !membership.is_moderator;
        if sees_own_only && !workspace.policies.authors_see_all {
            own.push(workspace.id);
        } else {
            all.push(workspace.id);
        }
    }
    let scope = CampaignScope::Workspaces { all, own, user: caller.user.id };
    page(&mut workspaces, (scope, Some("archive")), query).await
}

/// The memberships that count now, the newest first, at most [`MAX_SCOPE_WORKSPACES`].
pub(super) async fn memberships(
    api: &Api,
    caller: &Caller,
) -> Result<Vec<engine::model::Membership>, Problem> {
    let (mut found, mut after) = (Vec::new(), None::<EntityId>);
    while found.len() < MAX_SCOPE_WORKSPACES {
        let query = engine::store::Query {
            kind: Kind::Membership,
            statuses: vec![ACTIVE.to_owned()],
            parent: Some(caller.user.id.into()),
            after,
            limit: MAX_PAGE,
        };
        let page = api.catalog.list(engine::store::Scope::Platform, query).await?;
        let now = api.now();
        found.extend(page.items.into_iter().filter_map(|entity| match entity {
            Entity::Membership(membership) if membership.holds_at(now) => Some(membership),
            _ => None,
        }));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    found.truncate(MAX_SCOPE_WORKSPACES);
    Ok(found)
}
