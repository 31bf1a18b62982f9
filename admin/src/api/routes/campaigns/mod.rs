//! Campaigns that exist: looked at, run, filed away, handed numbers, exported. Drafts and edits are elsewhere.
//!
//! Every route finds its campaign by [`visible`], so that one of another tenant, and one that the workspace hides from
//! other authors, is the same 404 everywhere.

mod audit;
mod copy;
mod errors;
mod exports;
mod filing;
mod list;
mod numbers;
mod progress;
mod recipients;
mod restore;
#[cfg(test)]
mod tests;
mod verbs;

use super::Routes;
use crate::api::caller::Member;
use crate::api::campaign_view::{CampaignView, campaign_view};
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use axum::Json;
use engine::model::{Campaign, CampaignId, EntityId};
use engine::store::{Entity, Kind};
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(list::routes())
        .merge(verbs::routes())
        .merge(filing::routes())
        .merge(restore::routes())
        .merge(numbers::routes())
        .merge(recipients::routes())
        .merge(errors::routes())
        .merge(audit::routes())
        .merge(progress::routes())
        .merge(exports::routes())
}

/// The campaign of this id as far as this member may see it.
///
/// # Errors
/// `not_found`, also for one that is hidden; the store's.
async fn visible(api: &Api, member: &Member, id: Uuid) -> Result<Campaign, Problem> {
    let campaign = match api.catalog.get(member.scope(), Kind::Campaign, EntityId(id)).await? {
        Entity::Campaign(campaign) => *campaign,
        _ => return Err(Problem::new(Code::NotFound)),
    };
    if member.sees_own_only() && campaign.created_by != member.user_id() {
        return Err(Problem::new(Code::NotFound));
    }
    Ok(campaign)
}

/// The same, where only one's own may be granted.
async fn own(api: &Api, member: &Member, id: Uuid) -> Result<Campaign, Problem> {
    let campaign = visible(api, member, id).await?;
    member.must_own(campaign.created_by)?;
    Ok(campaign)
}

/// The campaign as answers show it.
fn shown(api: &Api, member: &Member, campaign: &Campaign) -> Json<CampaignView> {
    Json(campaign_view(api, campaign, member.workspace.policies.approvals_required))
}

/// The campaign as it is now, behind a change.
async fn shown_anew(api: &Api, member: &Member, id: CampaignId) -> Result<Json<CampaignView>, Problem> {
    let campaign = visible(api, member, id.0).await?;
    Ok(shown(api, member, &campaign))
}
