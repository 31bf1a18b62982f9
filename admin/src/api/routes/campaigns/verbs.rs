//! Start, pause, resume, cancel, finish: what people and programs do to a campaign that exists.
//!
//! The engine decides; of two that come at once it lets one win. Every answer is the campaign as it is then.

use super::{own, shown_anew};
use crate::api::caller::Member;
use crate::api::campaign_view::CampaignView;
use crate::api::guard::Access;
use crate::api::note::unrecorded;
use crate::api::permission::{Action, Grant};
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::Json;
use axum::extract::State;
use engine::model::CampaignId;
use engine::store::{Kind, StoreError};
use engine::{EngineError, LiveCampaign};
use serde_json::json;
use std::sync::Arc;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::CampaignRun), routes!(start))
        .with(Access::Workspace(Action::CampaignRun), routes!(pause))
        .with(Access::Workspace(Action::CampaignRun), routes!(resume))
        .with(Access::Workspace(Action::CampaignRun), routes!(finish))
        .with(Access::Workspace(Action::CampaignCancel), routes!(cancel))
}

/// A refusal of the engine; one that lost to somebody else's change is a conflict of states.
pub(super) fn refused(error: EngineError) -> Problem {
    match error {
        EngineError::Store(StoreError::Conflict { .. }) => {
            Problem::because(Code::StateConflict, "Somebody else changed the campaign at the same moment.")
        }
        other => other.into(),
    }
}

/// The campaign that a member may stop: from what the engine runs when the store cannot be read. One of another
/// workspace is never among them.
///
/// # Errors
/// As when it is read; the store's also for one that the engine does not run.
async fn own_or_running(api: &Api, member: &Member, id: Uuid) -> Result<CampaignId, Problem> {
    let unread = match own(api, member, id).await {
        Err(problem) if problem.code() == Code::StoreUnavailable => problem,
        read => return Ok(read?.id),
    };
    let is_it = |live: &LiveCampaign| live.id.0 == id && live.workspace_id == member.workspace.id;
    let running = api.engine.live_campaigns().into_iter().find(is_it).ok_or(unread)?;
    if member.sees_own_only() && running.created_by != member.user_id() {
        return Err(Problem::new(Code::NotFound));
    }
    member.must_own(running.created_by)?;
    Ok(running.id)
}

/// What a stop ended in; one that holds but could not be recorded is noted under this action.
async fn stopped(
    (api, member): (&Api, &Member),
    id: CampaignId,
    action: &'static str,
    done: Result<(), EngineError>,
) -> Result<(), Problem> {
    let Err(EngineError::StoppedNotRecorded(why)) = done else { return done.map_err(refused) };
    let entity = (Kind::Campaign.name(), id.into());
    Err(unrecorded(api, (member.scope(), member.principal()), action, entity, (why, json!({}))).await)
}

type Place = Path<(String, Uuid)>;
type Answer = Result<Json<CampaignView>, Problem>;

/// Starts a campaign that is ready: it sends now, or when its time comes. A large one starts only when its pre-flight says
/// go; else the refusal is `preflight_failed` and its `checks` tell what is missing.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/start", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses(
        (status = 200, body = CampaignView),
        (status = 409, description = "Its state does not allow it, or it is large and its pre-flight says no",
            content_type = "application/problem+json"),
        (status = 422, description = "Its sender is not approved any more")
    )
)]
async fn start(State(api): State<Arc<Api>>, member: Member, Path((_, id)): Place) -> Answer {
    let id = own(&api, &member, id).await?.id;
    api.engine.start_campaign(member.workspace.id, id, &member.principal()).await.map_err(refused)?;
    shown_anew(&api, &member, id).await
}

/// Pauses: nothing more of it is written to an SMSC behind the answer. `stopped_not_recorded` says the same while the
/// store is away: it stays still until the engine starts anew.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/pause", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = CampaignView))
)]
async fn pause(State(api): State<Arc<Api>>, member: Member, Path((_, id)): Place) -> Answer {
    let id = own_or_running(&api, &member, id).await?;
    let paused = api.engine.pause(member.workspace.id, id, &member.principal()).await;
    stopped((&api, &member), id, "campaign.pause_unrecorded", paused).await?;
    shown_anew(&api, &member, id).await
}

/// Goes on with a paused campaign.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/resume", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = CampaignView))
)]
async fn resume(State(api): State<Arc<Api>>, member: Member, Path((_, id)): Place) -> Answer {
    let id = own(&api, &member, id).await?.id;
    api.engine.resume(member.workspace.id, id, &member.principal()).await.map_err(refused)?;
    shown_anew(&api, &member, id).await
}

/// Takes no more numbers for a Trigger campaign; it is done once what it has is sent.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/finish", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = CampaignView))
)]
async fn finish(State(api): State<Arc<Api>>, member: Member, Path((_, id)): Place) -> Answer {
    let id = own(&api, &member, id).await?.id;
    api.engine.finish(member.workspace.id, id, &member.principal()).await.map_err(refused)?;
    shown_anew(&api, &member, id).await
}

/// Cancels: nothing more of it is sent behind the answer. A moderator withdraws only what has not begun to send.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/cancel", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = CampaignView))
)]
async fn cancel(State(api): State<Arc<Api>>, member: Member, Path((_, id)): Place) -> Answer {
    let id = own_or_running(&api, &member, id).await?;
    let (workspace, by) = (member.workspace.id, member.principal());
    let cancelled = match member.grant {
        Grant::BeforeStart => api.engine.withdraw(workspace, id, &by).await,
        _ => api.engine.cancel(workspace, id, &by).await,
    };
    stopped((&api, &member), id, "campaign.cancel_unrecorded", cancelled).await?;
    shown_anew(&api, &member, id).await
}
