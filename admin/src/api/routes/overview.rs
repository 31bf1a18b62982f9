//! A workspace's home: everything that it shows in one answer, and what moves in it as a stream.
//!
//! An author from whom the workspace hides the campaigns of others sees the sums of their own ones in every block.

use super::Routes;
use crate::api::caller::Member;
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::permission::Action;
use crate::api::problem::Problem;
use crate::api::state::Api;
use crate::api::stream::stream;
use crate::month::hour_of;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use engine::model::traffic::{HOUR_MS, Traffic};
use engine::model::{CampaignId, Counts, EntityId, Status, UserId, WorkspaceId};
use engine::store::{AuthorCount, CampaignScope, Entity, Kind, Overview, Scope, StoreError};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Hours of the chart.
const CHART_HOURS: u32 = 24;
/// Authors that are shown.
const TOP_AUTHORS: usize = 10;
/// A stream shows the ring once in so many seconds: it is a query, the pulse is not.
const RING_EVERY: u64 = 5;

pub(super) fn routes() -> Routes {
    let access = Access::Workspace(Action::CampaignRead);
    Routes::new().with(access, routes!(overview)).with(access, routes!(live))
}

/// A workspace's home.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub(crate) struct OverviewView {
    /// When it was true.
    at: Moment,
    /// Whether only what the reader has created is counted.
    own_only: bool,
    kpi: KpiView,
    /// Campaigns that are not archived by status, all nine; their sum is `kpi.total`.
    funnel: Vec<StatusCount>,
    ring: RingView,
    /// The present hour and the 23 before it, the oldest first.
    hours: Vec<HourView>,
    /// Who created most campaigns in the last 30 times 24 hours, at most ten; equal ones by messages, then by name.
    authors: Vec<AuthorView>,
    pulse: PulseView,
}

/// How many campaigns there are that are not archived.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Kpi)]
pub(crate) struct KpiView {
    #[schema(example = 12)]
    total: u64,
    /// `Building`, `Pending`, `Sending` or `Paused`.
    active: u64,
    /// `Done`.
    completed: u64,
    /// `Failed` or `Expired`.
    failed: u64,
}

/// Campaigns of one status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusCount {
    #[schema(value_type = String, example = "Sending")]
    status: Status,
    count: u64,
}

/// The messages (recipients) of active campaigns, of the newest 10,000 where there are more; the sum of the three
/// slices is `total`.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = Ring)]
pub(crate) struct RingView {
    total: u64,
    /// With a receipt that says so.
    delivered: u64,
    /// Still to come: queued, on the wire, or accepted by the SMSC without a final receipt.
    in_flight: u64,
    /// Everything that ended in another way: undeliverable, rejected, expired, failed, unknown, cancelled, skipped.
    errors: u64,
}

/// What was sent in one hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hour)]
pub(crate) struct HourView {
    /// When the hour begins; hours are those of UTC.
    from: Moment,
    /// Messages handed to the SMSC in it.
    sent: u64,
    /// Messages that failed at last in it, whenever they were sent.
    failed: u64,
    sent_segments: u64,
    failed_segments: u64,
}

/// What somebody has created lately, archived campaigns too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopAuthor)]
pub(crate) struct AuthorView {
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
    #[schema(example = "Ann Author")]
    name: String,
    campaigns: u64,
    /// Messages of those campaigns that the SMSC has accepted, or may have.
    messages: u64,
}

/// What moves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pulse)]
pub(crate) struct PulseView {
    at: Moment,
    /// Messages on the wire, without an answer of the SMSC.
    in_flight: u64,
    /// Messages a second handed to the SMSC in the last few seconds.
    #[schema(example = 100.0)]
    rate_per_s: f64,
    /// `up`; `store_unavailable`, while nothing new is sent; `down`.
    #[schema(example = "up")]
    engine: &'static str,
}

/// Whose campaigns a reader sees.
#[derive(Clone, Copy)]
struct Sight {
    workspace: WorkspaceId,
    own: Option<UserId>,
}

impl Sight {
    fn of(member: &Member) -> Self {
        Self { workspace: member.workspace.id, own: member.sees_own_only().then(|| member.user_id()) }
    }

    fn scope(self) -> CampaignScope {
        match self.own {
            None => CampaignScope::Workspace(self.workspace),
            Some(user) => CampaignScope::Workspaces { all: Vec::new(), own: vec![self.workspace], user },
        }
    }
}

/// A workspace's home: counts of campaigns, their messages, the last 24 hours, top authors and the pulse.
///
/// Hours are those of UTC. An author from whom the workspace hides the campaigns of others sees the sums of their own
/// ones only.
#[utoipa::path(
    get, path = "/w/{slug}/overview", tag = "Operations", params(("slug" = String, Path, description = "The workspace")),
    responses((status = 200, body = OverviewView))
)]
async fn overview(State(api): State<Arc<Api>>, member: Member) -> Result<Json<OverviewView>, Problem> {
    let (sight, now) = (Sight::of(&member), api.now());
    let sums = api.catalog.overview(sight.scope(), now).await?;
    let funnel = Status::ALL.into_iter().zip(sums.by_status);
    Ok(Json(OverviewView {
        at: Moment(now),
        own_only: sight.own.is_some(),
        kpi: KpiView {
            total: sums.total(),
            active: sums.active(),
            completed: sums.completed(),
            failed: sums.failed(),
        },
        funnel: funnel.map(|(status, count)| StatusCount { status, count }).collect(),
        ring: ring(&api, &sums),
        hours: hours(&api, sight, now).await?,
        authors: authors(&api, &sums).await?,
        pulse: pulse(&api, sight),
    }))
}

/// What moves on a workspace's home, as server-sent events: `pulse` each second, `ring` at once and each five seconds.
///
/// The stream ends with the server and with the reader's login or membership. An account has at most eight streams.
#[utoipa::path(
    get, path = "/w/{slug}/live", tag = "Operations", params(("slug" = String, Path, description = "The workspace")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String,
         example = "event: pulse\ndata: {\"at\":\"2026-11-21T18:00:00.000Z\",\"in_flight\":7,\"rate_per_s\":99.5,\"engine\":\"up\"}\n\n"),
        (status = 429, description = "Too many streams are open", body = crate::api::problem::ProblemBody,
         content_type = "application/problem+json")
    )
)]
async fn live(State(api): State<Arc<Api>>, member: Member) -> Result<Response, Problem> {
    let sight = Sight::of(&member);
    let source = Arc::clone(&api);
    let next = move |tick: u64| {
        let api = Arc::clone(&source);
        async move {
            let mut events = vec![event("pulse", &pulse(&api, sight))?];
            if tick.is_multiple_of(RING_EVERY) {
                // While the store cannot be read the pulse goes on and says so.
                if let Ok(sums) = api.catalog.overview(sight.scope(), api.now()).await {
                    events.push(event("ring", &ring(&api, &sums))?);
                }
            }
            Some(events)
        }
    };
    stream(api, member, next)
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}

fn pulse(api: &Api, sight: Sight) -> PulseView {
    let (in_flight, rate) = api.monitor.pulse(sight.workspace, sight.own);
    let engine = match (api.engine.is_running(), api.engine.is_storing()) {
        (true, true) => "up",
        (true, false) => "store_unavailable",
        (false, _) => "down",
    };
    PulseView { at: Moment(api.now()), in_flight, rate_per_s: (rate * 10.0).round() / 10.0, engine }
}

/// What an active campaign has reached; nothing was sent of one that the engine does not hold.
fn counts(api: &Api, id: CampaignId, recipients: u64) -> Counts {
    let unsent = Counts { total: recipients, queued: recipients, ..Counts::default() };
    api.engine.progress(id).map_or(unsent, |live| live.counts)
}

fn ring(api: &Api, sums: &Overview) -> RingView {
    sums.active.iter().fold(RingView::default(), |sum, active| {
        let counts = counts(api, active.id, active.recipients);
        let in_flight = counts.queued + counts.in_flight + counts.sent;
        RingView {
            total: sum.total + counts.total,
            delivered: sum.delivered + counts.delivered,
            in_flight: sum.in_flight + in_flight,
            errors: sum.errors + (counts.total - counts.delivered - in_flight),
        }
    })
}

async fn hours(api: &Api, sight: Sight, now: Timestamp) -> Result<Vec<HourView>, Problem> {
    let end = hour_of(now).saturating_add(1);
    let range = end.saturating_sub(CHART_HOURS)..end;
    let traffic = match sight.own {
        None => api.engine.traffic(sight.workspace, range.clone()).await?,
        Some(user) => own_traffic(api, (sight.workspace, user), range.clone()).await?,
    };
    let view = |(hour, traffic): (u32, Traffic)| {
        let ms = i64::from(hour) * HOUR_MS.cast_signed();
        let (sent, failed) = (traffic.sent(), traffic.failed);
        HourView {
            from: Moment(Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)),
            sent: sent.messages,
            failed: failed.messages,
            sent_segments: sent.segments,
            failed_segments: failed.segments,
        }
    };
    Ok(range.zip(traffic).map(view).collect())
}

/// The traffic of the campaigns that one account has created.
async fn own_traffic(
    api: &Api,
    (workspace, user): (WorkspaceId, UserId),
    range: std::ops::Range<u32>,
) -> Result<Vec<Traffic>, Problem> {
    let mut is_own: BTreeMap<CampaignId, bool> = BTreeMap::new();
    let mut sums: Vec<Traffic> = range.clone().map(|_| Traffic::default()).collect();
    for used in api.engine.hour_usage(workspace, range.clone()).await? {
        let own = match is_own.get(&used.campaign_id) {
            Some(known) => *known,
            None => {
                let scope = Scope::Workspace(workspace);
                let found = api.catalog.get(scope, Kind::Campaign, used.campaign_id.into()).await?;
                matches!(found, Entity::Campaign(campaign) if campaign.created_by == user)
            }
        };
        is_own.insert(used.campaign_id, own);
        let at = used.hour.checked_sub(range.start).and_then(|at| usize::try_from(at).ok());
        if let Some(sum) = at.filter(|_| own).and_then(|at| sums.get_mut(at)) {
            sum.add(&used.traffic);
        }
    }
    Ok(sums)
}

async fn authors(api: &Api, sums: &Overview) -> Result<Vec<AuthorView>, Problem> {
    let mut live: BTreeMap<UserId, u64> = BTreeMap::new();
    for active in sums.active.iter().filter(|active| active.is_recent) {
        *live.entry(active.created_by).or_default() += counts(api, active.id, active.recipients).accepted();
    }
    let mut authors = Vec::with_capacity(sums.authors.len());
    for AuthorCount { user_id, campaigns, messages } in sums.authors.iter().copied() {
        let name = name(api, user_id).await?;
        let messages = messages + live.get(&user_id).copied().unwrap_or(0);
        authors.push(AuthorView { user_id, name, campaigns, messages });
    }
    authors.sort_by(|a, b| {
        (b.campaigns, b.messages).cmp(&(a.campaigns, a.messages)).then_with(|| a.name.cmp(&b.name))
    });
    authors.truncate(TOP_AUTHORS);
    Ok(authors)
}

/// The name of an account; empty for one that is not stored.
async fn name(api: &Api, user: UserId) -> Result<String, StoreError> {
    match api.catalog.get(Scope::Platform, Kind::User, EntityId(user.0)).await {
        Ok(Entity::User(user)) => Ok(user.name),
        Ok(_) | Err(StoreError::NotFound) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(super) mod tests;
