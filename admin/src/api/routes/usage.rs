//! The bill of a month: what each campaign of a workspace has sent, and all of them together.

use super::Routes;
use crate::api::caller::Member;
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::page::{bad_cursor, limit};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Query;
use crate::api::state::Api;
use crate::month::Month;
use axum::Json;
use axum::extract::State;
use engine::model::traffic::{Load, Traffic};
use engine::model::{CampaignId, UnitStatus, UserId};
use engine::store::{CampaignUsage, Entity, Kind, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Workspace(Action::OperationsRead), routes!(usage))
}

/// Which month, and which page of its campaigns.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageQuery {
    /// The month, of UTC; the present one shows what it holds so far.
    #[param(pattern = "^20[0-9]{2}-(0[1-9]|1[0-2])$", example = "2026-11")]
    month: String,
    /// Campaigns at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
}

/// A month of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageView {
    #[schema(example = "2026-11")]
    month: String,
    from: Moment,
    /// The first instant behind it.
    to: Moment,
    /// Whether the month is over; receipts that come later may still move messages from `sent` to another state.
    is_over: bool,
    /// Campaigns that sent anything in it.
    campaigns: u64,
    /// All of these campaigns, whatever the page.
    total: StatesView,
    /// One page of them, the oldest first.
    items: Vec<CampaignUsageView>,
    next_cursor: Option<String>,
}

/// What one campaign has sent in a month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignUsage)]
pub(crate) struct CampaignUsageView {
    #[schema(value_type = Uuid)]
    campaign_id: CampaignId,
    /// Empty for one that is not stored.
    #[schema(example = "Winter sale")]
    name: String,
    #[schema(value_type = Option<Uuid>)]
    created_by: Option<UserId>,
    #[serde(flatten)]
    states: StatesView,
}

/// What was handed to the SMSC, by where it stands now; the sum of the states is `sent_total`.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = UsageStates)]
pub(crate) struct StatesView {
    sent_total: LoadView,
    /// To be sent again.
    queued: LoadView,
    in_flight: LoadView,
    sent: LoadView,
    delivered: LoadView,
    undeliverable: LoadView,
    rejected: LoadView,
    expired: LoadView,
    cancelled: LoadView,
    skipped: LoadView,
    failed: LoadView,
    unknown: LoadView,
}

/// Messages (recipients) and segments (parts handed to the SMSC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Load)]
pub(crate) struct LoadView {
    #[schema(example = 1000)]
    messages: u64,
    #[schema(example = 2000)]
    segments: u64,
}

impl From<Load> for LoadView {
    fn from(load: Load) -> Self {
        Self { messages: load.messages, segments: load.segments }
    }
}

impl From<&Traffic> for StatesView {
    fn from(traffic: &Traffic) -> Self {
        let by = |status: UnitStatus| {
            let found = traffic.submitted.iter().find(|(of, _)| *of == status);
            found.map_or(LoadView::default(), |(_, load)| (*load).into())
        };
        Self {
            sent_total: traffic.sent().into(),
            queued: by(UnitStatus::Queued),
            in_flight: by(UnitStatus::Intended),
            sent: by(UnitStatus::Sent),
            delivered: by(UnitStatus::Delivered),
            undeliverable: by(UnitStatus::Undeliverable),
            rejected: by(UnitStatus::Rejected),
            expired: by(UnitStatus::Expired),
            cancelled: by(UnitStatus::Cancelled),
            skipped: by(UnitStatus::Skipped),
            failed: by(UnitStatus::Failed),
            unknown: by(UnitStatus::Unknown),
        }
    }
}

/// The usage of a month, campaign by campaign and in total, for bills.
///
/// A message is one recipient, a segment one part handed to the SMSC. A message belongs to the hour in which its first
/// part was last handed over, a segment to its own hour; hours and months are those of UTC. States are those of now, so
/// that a late receipt still moves a message of a past month from one state to another, never from one month to another.
/// What was never handed over (skipped, cancelled before) is in no month. Over all months the states of a campaign that
/// has ended equal its counters.
#[utoipa::path(
    get, path = "/w/{slug}/usage", tag = "Operations",
    params(("slug" = String, Path, description = "The workspace"), UsageQuery),
    responses(
        (status = 200, body = UsageView),
        (status = 422, description = "The month has not begun", body = crate::api::problem::ProblemBody,
         content_type = "application/problem+json")
    )
)]
async fn usage(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageView>, Problem> {
    let (limit, now) = (limit(query.limit)?, api.now());
    let month: Month = query.month.parse().map_err(|error: crate::month::NotAMonth| {
        Problem::new(Code::BadParameter).with_field("month", "unreadable", error.to_string())
    })?;
    if month.from() > now {
        return Err(Problem::field("month", "future", "This month has not begun."));
    }
    let after = query.cursor.as_deref().map(Uuid::try_parse).transpose().map_err(|_| bad_cursor())?;
    let all = api.engine.usage(member.workspace.id, month.hours()).await?;
    let mut total = Traffic::default();
    all.iter().for_each(|used| total.add(&used.traffic));
    let mut rest = all.iter().filter(|used| after.is_none_or(|after| used.campaign_id.0 > after));
    let mut items = Vec::new();
    for used in rest.by_ref().take(limit) {
        items.push(campaign_usage(&api, &member, used).await?);
    }
    let next_cursor =
        items.last().filter(|_| rest.next().is_some()).map(|last| last.campaign_id.0.to_string());
    Ok(Json(UsageView {
        month: query.month,
        from: Moment(month.from()),
        to: Moment(month.to()),
        is_over: month.to() <= now,
        campaigns: all.len() as u64,
        total: (&total).into(),
        items,
        next_cursor,
    }))
}

async fn campaign_usage(
    api: &Api,
    member: &Member,
    used: &CampaignUsage,
) -> Result<CampaignUsageView, StoreError> {
    let (name, created_by) =
        match api.catalog.get(member.scope(), Kind::Campaign, used.campaign_id.into()).await {
            Ok(Entity::Campaign(campaign)) => (campaign.name, Some(campaign.created_by)),
            Ok(_) | Err(StoreError::NotFound) => (String::new(), None),
            Err(error) => return Err(error),
        };
    Ok(CampaignUsageView { campaign_id: used.campaign_id, name, created_by, states: (&used.traffic).into() })
}

#[cfg(test)]
mod tests;
