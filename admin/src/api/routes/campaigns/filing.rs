//! The archive: a mark on the record, set and recorded in one transaction, never a move of data.

use super::verbs::refused;
use super::{own, shown, shown_anew};
use crate::api::caller::Member;
use crate::api::campaign_view::CampaignView;
use crate::api::guard::Access;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::Json;
use axum::extract::State;
use engine::model::{Campaign, Status};
use engine::store::{Change, Entity, Expect, StoreError};
use std::sync::Arc;
use utoipa_axum::routes;
use uuid::Uuid;

/// How often a change is tried again that lost to another one, for instance to the last receipt of the campaign.
const MAX_TRIES: u32 = 3;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::CampaignArchive), routes!(archive))
        .with(Access::Workspace(Action::CampaignCancel), routes!(cancel_and_archive))
}

/// Changes the filing of a campaign by compare-and-set; `changed` looks at it again whenever somebody was faster.
pub(super) async fn file(
    api: &Api,
    member: &Member,
    (id, action): (Uuid, &'static str),
    changed: impl Fn(Campaign) -> Result<Campaign, Problem>,
) -> Result<Campaign, Problem> {
    let mut tries = 0;
    loop {
        let campaign = own(api, member, id).await?;
        let expect = Expect::Version(campaign.state_version);
        let state_version = campaign.state_version + 1;
        let campaign = Campaign { state_version, ..changed(campaign)? };
        let entity = Entity::Campaign(Box::new(campaign.clone()));
        let change = Change { scope: member.scope(), expect, entity, action };
        match api.catalog.apply(vec![change], &member.principal(), api.now()).await {
            Err(StoreError::Conflict { .. }) if tries < MAX_TRIES => tries += 1,
            Err(error) => return Err(refused(error.into())),
            Ok(()) => {
                api.engine.campaign_changed(campaign.workspace_id, campaign.id);
                return Ok(campaign);
            }
        }
    }
}

/// Files a campaign away that is over, or that nobody has decided about: a `New` one leaves the queue.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/archive", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = CampaignView))
)]
async fn archive(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Json<CampaignView>, Problem> {
    let archived = file(&api, &member, (id, "campaign.archive"), |mut campaign| {
        if campaign.filing.archived_at.is_some() {
            return Err(Problem::because(Code::StateConflict, "The campaign is archived already."));
        }
        if campaign.status != Status::New && !campaign.status.is_final() {
            let told = format!("A campaign that is {} cannot be archived.", campaign.status);
            return Err(Problem::because(Code::StateConflict, told));
        }
        campaign.filing.archived_at = Some(api.now());
        campaign.filing.archived_by = Some(member.user_id());
        Ok(campaign)
    });
    let archived = archived.await?;
    Ok(shown(&api, &member, &archived))
}

/// Cancels and archives a campaign of which nothing was sent, both or neither; nothing of it is sent behind the answer.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/cancel-and-archive", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = CampaignView))
)]
async fn cancel_and_archive(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Json<CampaignView>, Problem> {
    let id = own(&api, &member, id).await?.id;
    api.engine.withdraw_and_archive(member.workspace.id, id, &member.principal()).await.map_err(refused)?;
    shown_anew(&api, &member, id).await
}
