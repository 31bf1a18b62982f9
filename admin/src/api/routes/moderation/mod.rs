//! What waits for a moderator, the oldest first, and the decisions about campaigns.

mod decisions;
#[cfg(test)]
mod tests;

use super::Routes;
use super::senders::RevisionView;
use super::templates::VersionView;
use crate::api::caller::Member;
use crate::api::campaign_view::{CampaignView, campaign_view};
use crate::api::deciding::campaign::{Case, may_decide};
use crate::api::deciding::{Judge, revision};
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::page::{PageQuery, bad_cursor};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Query;
use crate::api::registry::Registry;
use crate::api::state::Api;
use crate::api::templates::{ContentMatch, Matches, Templates};
use axum::Json;
use axum::extract::State;
use engine::model::{Revision, Status, TemplateVersion};
use engine::store::{
    Archived, CampaignItem, CampaignPage, CampaignQuery, CampaignScope, Direction, Sort, SortKey,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::ModerationRead), routes!(campaigns))
        .with(Access::Workspace(Action::ModerationRead), routes!(revisions))
        .with(Access::Workspace(Action::ModerationRead), routes!(templates))
        .merge(decisions::routes())
}

/// How much waits.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// Campaigns.
    #[schema(example = 2)]
    campaigns: u64,
    /// Sender revisions.
    #[schema(example = 1)]
    revisions: u64,
    /// Versions of message templates.
    #[schema(example = 1)]
    templates: u64,
}

/// A page of what waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queue<T> {
    /// The items, the oldest first.
    items: Vec<T>,
    /// For the next page; `null` at the end.
    next_cursor: Option<String>,
    /// Of every kind, on all pages.
    counts: Waiting,
}

/// What the caller may do about an item.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Mandate {
    /// Whether the caller may approve it now.
    may_decide: bool,
    /// Whether the caller may reject it now.
    may_reject: bool,
    /// The code that approving it would be refused with.
    #[schema(example = "self_approval_forbidden")]
    refusal: Option<&'static str>,
}

impl Mandate {
    fn of(may: bool, approve: Result<(), Problem>, reject: Result<(), Problem>) -> Self {
        let refusal = if may { approve.err().map(|problem| problem.code()) } else { Some(Code::Forbidden) };
        let may_reject = may && reject.is_ok();
        Self { may_decide: refusal.is_none(), may_reject, refusal: refusal.map(Code::as_str) }
    }
}

/// A campaign that waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuedCampaign {
    #[serde(flatten)]
    campaign: CampaignView,
    /// The present name of its sender.
    #[schema(example = "Shop")]
    sender_name: String,
    /// Recipients of its list; 0 for Trigger, whose list is open.
    #[schema(example = 1200)]
    recipients: u64,
    /// When it would begin to send, if its schedule tells.
    starts_at: Option<Moment>,
    /// The approved template version that its text is, to the character. The values of its variables are not compared:
    /// `longest_values` tells how long they are. It says what is known already, the decision is still to be made.
    matches_template: Option<ContentMatch>,
    #[serde(flatten)]
    mandate: Mandate,
}

/// A sender revision that waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuedRevision {
    #[serde(flatten)]
    revision: RevisionView,
    /// The name of its sender.
    #[schema(example = "Shop")]
    sender_name: String,
    /// Whether its sender was archived: it can only be rejected then.
    sender_archived: bool,
    #[serde(flatten)]
    mandate: Mandate,
}

/// A version of a message template that waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuedTemplate {
    #[serde(flatten)]
    version: VersionView,
    /// The name of its template.
    #[schema(example = "Login code")]
    template_name: String,
    /// Whether its template was archived: it can only be rejected then.
    template_archived: bool,
    #[serde(flatten)]
    mandate: Mandate,
}

/// Lists the campaigns that wait for a decision.
#[utoipa::path(
    get, path = "/w/{slug}/moderation/campaigns", tag = "Moderation",
    params(("slug" = String, Path), PageQuery), responses((status = 200, body = Queue<QueuedCampaign>))
)]
async fn campaigns(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(query): Query<PageQuery>,
) -> Result<Json<Queue<QueuedCampaign>>, Problem> {
    let after = query.cursor.as_deref().map(|text| text.parse().map_err(|_| bad_cursor())).transpose()?;
    let wanted = CampaignQuery { after, limit: query.limit()?, ..waiting() };
    let page = page(&api, &member, wanted).await?;
    let (registry, templates) = of_workspace(&api, &member);
    let matches = templates.matches().await?;
    let mut items = Vec::with_capacity(page.items.len());
    for item in page.items {
        items.push(queued_campaign((&api, &member), (registry, &matches), item).await?);
    }
    let revisions = registry.pending().await?.len() as u64;
    let templates = templates.pending().await?.len() as u64;
    let counts = Waiting { campaigns: page.filtered_total, revisions, templates };
    Ok(Json(Queue { items, next_cursor: page.next.map(|next| next.to_string()), counts }))
}

fn of_workspace<'a>(api: &'a Api, member: &Member) -> (Registry<'a>, Templates<'a>) {
    (Registry::new(api, member.workspace.id), Templates::new(api, member.workspace.id))
}

/// Campaigns that wait, the oldest first. One without a sender waits for its author.
fn waiting() -> CampaignQuery {
    CampaignQuery {
        statuses: vec![Status::New],
        archived: Archived::Without,
        only_with_sender: true,
        sort: Sort { key: SortKey::Created, direction: Direction::Ascending },
        ..CampaignQuery::default()
    }
}

async fn page(api: &Api, member: &Member, query: CampaignQuery) -> Result<CampaignPage, Problem> {
    let scope = CampaignScope::Workspace(member.workspace.id);
    match api.catalog.campaigns(scope, query).await {
        // The only thing of this query that a caller writes is its cursor.
        Err(engine::store::StoreError::Refused(_)) => Err(bad_cursor()),
        page => Ok(page?),
    }
}

async fn queued_campaign(
    (api, member): (&Api, &Member),
    (registry, matches): (Registry<'_>, &Matches),
    item: CampaignItem,
) -> Result<QueuedCampaign, Problem> {
    let CampaignItem { campaign, sender_name, starts_at } = item;
    let required = member.workspace.policies.approvals_required;
    let revision = registry.revision_by_id(campaign.content.revision_id).await?;
    let (case, judge) =
        (Case { campaign: &campaign, revision: revision.as_ref(), required }, Judge::of(member));
    let may = member.may(Action::CampaignDecide);
    let mandate = Mandate::of(may, case.may_approve(&judge), may_decide(&campaign, &judge).map(drop));
    let view = campaign_view(api, &campaign, required);
    let (recipients, starts_at) = (campaign.recipients, starts_at.map(Moment));
    let matches_template = matches.of_content(&campaign.content);
    Ok(QueuedCampaign { campaign: view, sender_name, recipients, starts_at, matches_template, mandate })
}

/// Lists the sender revisions that wait for a decision.
#[utoipa::path(
    get, path = "/w/{slug}/moderation/revisions", tag = "Moderation",
    params(("slug" = String, Path), PageQuery), responses((status = 200, body = Queue<QueuedRevision>))
)]
async fn revisions(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(query): Query<PageQuery>,
) -> Result<Json<Queue<QueuedRevision>>, Problem> {
    let (registry, templates) = of_workspace(&api, &member);
    let pending = registry.pending().await?;
    let revisions = pending.len() as u64;
    let templates = templates.pending().await?.len() as u64;
    let counts = Waiting { campaigns: waiting_campaigns(&api, &member).await?, revisions, templates };
    let (page, next_cursor) = cut(pending, |revision| revision.id, &query)?;
    let mut items = Vec::with_capacity(page.len());
    for revision in page {
        items.push(queued_revision(&member, registry, revision).await?);
    }
    Ok(Json(Queue { items, next_cursor, counts }))
}

async fn waiting_campaigns(api: &Api, member: &Member) -> Result<u64, Problem> {
    Ok(page(api, member, CampaignQuery { limit: 1, ..waiting() }).await?.filtered_total)
}

/// The page of everything that waits, the oldest first, and the cursor of the next one.
fn cut<T>(
    pending: Vec<T>,
    id: fn(&T) -> Uuid,
    query: &PageQuery,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let (limit, after) = (query.limit()?, query.after()?);
    let mut behind = pending.into_iter().filter(|item| after.is_none_or(|after| id(item) > after.0));
    let page: Vec<T> = behind.by_ref().take(limit).collect();
    let next = page.last().map(id).filter(|_| behind.next().is_some());
    Ok((page, next.map(|id| id.to_string())))
}

async fn queued_revision(
    member: &Member,
    registry: Registry<'_>,
    waiting: Revision,
) -> Result<QueuedRevision, Problem> {
    let sender = registry.sender(waiting.sender_id.0).await?;
    let sender_archived = sender.archived_at.is_some();
    let may_decide = revision::may_decide(&waiting, &Judge::of(member));
    let may_approve = match may_decide {
        Ok(()) if sender_archived => Err(Problem::new(Code::StateConflict)),
        ref other => other.clone(),
    };
    let mandate = Mandate::of(member.may(Action::SenderDecide), may_approve, may_decide);
    let sender_name = sender.name;
    Ok(QueuedRevision { revision: waiting.into(), sender_name, sender_archived, mandate })
}

/// Lists the versions of message templates that wait for a decision.
#[utoipa::path(
    get, path = "/w/{slug}/moderation/templates", tag = "Moderation",
    params(("slug" = String, Path), PageQuery), responses((status = 200, body = Queue<QueuedTemplate>))
)]
async fn templates(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(query): Query<PageQuery>,
) -> Result<Json<Queue<QueuedTemplate>>, Problem> {
    let (registry, templates) = of_workspace(&api, &member);
    let pending = templates.pending().await?;
    let (revisions, waiting) = (registry.pending().await?.len() as u64, pending.len() as u64);
    let campaigns = waiting_campaigns(&api, &member).await?;
    let counts = Waiting { campaigns, revisions, templates: waiting };
    let (page, next_cursor) = cut(pending, |version| version.id, &query)?;
    let mut items = Vec::with_capacity(page.len());
    for version in page {
        items.push(queued_template(&member, templates, version).await?);
    }
    Ok(Json(Queue { items, next_cursor, counts }))
}

async fn queued_template(
    member: &Member,
    templates: Templates<'_>,
    waiting: TemplateVersion,
) -> Result<QueuedTemplate, Problem> {
    let template = templates.template(waiting.template_id.0).await?;
    let template_archived = template.archived_at.is_some();
    let may_decide = revision::may_decide(&waiting, &Judge::of(member));
    let may_approve = match may_decide {
        Ok(()) if template_archived => Err(Problem::new(Code::StateConflict)),
        ref other => other.clone(),
    };
    let mandate = Mandate::of(member.may(Action::TemplateDecide), may_approve, may_decide);
    let template_name = template.name;
    Ok(QueuedTemplate { version: waiting.into(), template_name, template_archived, mandate })
}
