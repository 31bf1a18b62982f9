//! Approving and rejecting campaigns: a pure decision, written by compare-and-set.

use crate::api::caller::Member;
use crate::api::campaign_view::{CampaignView, campaign_view};
use crate::api::deciding::campaign::Case;
use crate::api::deciding::{Judge, MAX_TRIES};
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::registry::Registry;
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::extract::State;
use engine::model::{Campaign, EntityId, Move, Status};
use engine::store::{Entity, Expect, Kind};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::CampaignDecide), routes!(approve))
        .with(Access::Workspace(Action::CampaignDecide), routes!(reject))
}

/// What the moderator saw.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// The campaign's `version`; an edit since then refuses the decision.
    #[schema(example = 1)]
    version: u32,
}

/// Why a campaign is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rejection {
    /// The campaign's `version`; an edit since then refuses the decision.
    #[schema(example = 1)]
    version: u32,
    /// For its author.
    #[schema(min_length = 1, max_length = 1000, example = "Who sends this?")]
    note: String,
}

#[derive(Clone, Copy)]
enum Decision<'a> {
    Approve(u32),
    Reject(u32, &'a str),
}

/// Approves a campaign: with the last approval that it needs it is built, and started if it wants that.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/approve", tag = "Moderation",
    params(("slug" = String, Path), ("id" = Uuid, Path)),
    request_body = Seen, responses((status = 200, body = CampaignView))
)]
async fn approve(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Json(seen): Json<Seen>,
) -> Result<axum::Json<CampaignView>, Problem> {
    let campaign = decide(&api, &member, id, Decision::Approve(seen.version)).await?;
    if campaign.status == Status::Building {
        // The engine builds it by itself, also behind a crash right here: nobody waits for a long list to be read.
        api.engine.campaign_changed(campaign.workspace_id, campaign.id);
    }
    Ok(axum::Json(campaign_view(&api, &campaign, member.workspace.policies.approvals_required)))
}

/// Rejects a campaign with a note for its author.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/reject", tag = "Moderation",
    params(("slug" = String, Path), ("id" = Uuid, Path)),
    request_body = Rejection, responses((status = 200, body = CampaignView))
)]
async fn reject(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Json(body): Json<Rejection>,
) -> Result<axum::Json<CampaignView>, Problem> {
    let note = fields::note(&body.note)?;
    let campaign = decide(&api, &member, id, Decision::Reject(body.version, &note)).await?;
    Ok(axum::Json(campaign_view(&api, &campaign, member.workspace.policies.approvals_required)))
}

/// Makes the decision, anew when somebody else changed the campaign meanwhile.
async fn decide(api: &Api, member: &Member, id: Uuid, decision: Decision<'_>) -> Result<Campaign, Problem> {
    let registry = Registry::new(api, member.workspace.id);
    let judge = Judge::of(member);
    for _ in 0..MAX_TRIES {
        // Before anything is read: what is archived from now on counts as archived behind the approval.
        let now = api.now();
        let campaign = match api.catalog.get(member.scope(), Kind::Campaign, EntityId(id)).await? {
            Entity::Campaign(campaign) => campaign,
            _ => return Err(Problem::new(Code::NotFound)),
        };
        let revision = registry.revision_by_id(campaign.content.revision_id).await?;
        let required = member.workspace.policies.approvals_required;
        let case = Case { campaign: &campaign, revision: revision.as_ref(), required };
        let (next, what) = match decision {
            Decision::Approve(version) => (case.approve(&judge, version, now)?, Move::Approve),
            Decision::Reject(version, note) => (case.reject(&judge, (version, note), now)?, Move::Reject),
        };
        let entity = Entity::Campaign(Box::new(next.clone()));
        let change = registry.change(Expect::Version(campaign.state_version), entity, what.action());
        if registry.apply(vec![change], &member.principal(), now).await? {
            return Ok(next);
        }
    }
    Err(Problem::new(Code::VersionChanged))
}
