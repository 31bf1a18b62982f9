//! Out of the archive: the same record again, or a new campaign in another workspace where the author is gone.
//!
//! While the author is active there is nothing to choose. Afterwards somebody must say where it goes: here it becomes
//! the restorer's, elsewhere it is made anew and the original stays where it is.

use super::filing::file;
use super::list::memberships;
use super::{copy, own, shown};
use crate::api::authoring::edit::with_hand;
use crate::api::caller::{Member, Proof};
use crate::api::campaign_view::{CampaignView, campaign_view};
use crate::api::guard::{Access, membership};
use crate::api::json::Json as Body;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::request::to_its_end;
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::Json;
use axum::body::HttpBody;
use axum::extract::{FromRequest, Request, State};
use engine::model::{Campaign, Role, UserId, Workspace};
use engine::store::{Entity, Kind, Scope, StoreError};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Most workspaces among the choices: as many as anybody looks through; others can still be named.
const MAX_CHOICES: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Workspace(Action::CampaignArchive), routes!(restore))
}

/// Where a campaign is restored to; may be left out together with the body while its author is active.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    /// Slug of a workspace: the original one, or another one that the caller is Admin of.
    #[serde(default)]
    #[schema(max_length = 64, example = "acme-corp")]
    workspace: Option<String>,
}

/// Takes a campaign out of the archive.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/restore", tag = "Campaigns", request_body = Option<Restore>,
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses(
        (status = 200, body = CampaignView, description = "The same campaign, or a new one in the chosen workspace"),
        (status = 413, description = "The chosen workspace has no room for the recipients", content_type = "application/problem+json"),
        (status = 429, description = "Too many lists are being written", content_type = "application/problem+json")
    )
)]
async fn restore(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((slug, id)): Path<(String, Uuid)>,
    request: Request,
) -> Result<Json<CampaignView>, Problem> {
    let is_empty = request.body().is_end_stream();
    let asked = if is_empty { Restore::default() } else { Body::from_request(request, &api).await?.0 };
    let campaign = archived(own(&api, &member, id).await?)?;
    let is_active = is_active(&api, &member.workspace, campaign.created_by).await?;
    match asked.workspace.as_deref() {
        Some(chosen) if chosen != slug => {
            let target = target(&api, &member, chosen).await?;
            let (working, approvals_required) = (Arc::clone(&api), target.policies.approvals_required);
            let copying = async move { copy::copy(&working, &member, &campaign, &target).await };
            Ok(Json(campaign_view(&api, &to_its_end(copying).await?, approvals_required)))
        }
        None if !is_active => Err(choice(&api, &member).await?),
        _ => {
            let owner = if is_active { campaign.created_by } else { member.user_id() };
            let restored = file(&api, &member, (id, "campaign.restore"), |campaign| {
                let campaign = archived(campaign)?;
                // Whose text it is decides about it no more than before, should they come back.
                let edited_by = with_hand(campaign.edited_by.clone(), owner, campaign.created_by);
                let mut restored = Campaign { created_by: owner, edited_by, ..campaign };
                restored.filing.archived_at = None;
                restored.filing.archived_by = None;
                Ok(restored)
            });
            Ok(shown(&api, &member, &restored.await?))
        }
    }
}

fn archived(campaign: Campaign) -> Result<Campaign, Problem> {
    match campaign.filing.archived_at {
        Some(_) => Ok(campaign),
        None => Err(Problem::because(Code::StateConflict, "The campaign is not archived.")),
    }
}

/// Whether an account is enabled and a member now.
async fn is_active(api: &Api, workspace: &Workspace, user: UserId) -> Result<bool, Problem> {
    let is_enabled = match api.catalog.get(Scope::Platform, Kind::User, user.into()).await {
        Ok(Entity::User(user)) => user.disabled_at.is_none(),
        Ok(_) | Err(StoreError::NotFound) => false,
        Err(error) => return Err(error.into()),
    };
    Ok(is_enabled && membership(api, workspace, user).await?.is_some())
}

/// The refusal that names the choices, the original first.
async fn choice(api: &Api, member: &Member) -> Result<Problem, Problem> {
    let here = &member.workspace;
    let mut choices = vec![json!({ "slug": here.slug, "name": here.name, "original": true })];
    if matches!(member.caller.proof, Proof::Login(_)) && is_admin(api, member, here).await? {
        for membership in memberships(api, &member.caller).await? {
            if membership.role != Role::Admin
                || membership.workspace_id == here.id
                || choices.len() >= MAX_CHOICES
            {
                continue;
            }
            let id = membership.workspace_id.into();
            if let Entity::Workspace(other) = api.catalog.get(Scope::Platform, Kind::Workspace, id).await? {
                choices.push(json!({ "slug": other.slug, "name": other.name, "original": false }));
            }
        }
    }
    let told = "The campaign's author is no longer active here: say in which workspace it is restored.";
    Ok(Problem::because(Code::WorkspaceChoiceRequired, told).with("choices", choices))
}

async fn is_admin(api: &Api, member: &Member, workspace: &Workspace) -> Result<bool, Problem> {
    let membership = membership(api, workspace, member.user_id()).await?;
    Ok(membership.is_some_and(|membership| membership.role == Role::Admin))
}

/// Another workspace, whose Admin the caller is as well.
async fn target(api: &Api, member: &Member, slug: &str) -> Result<Workspace, Problem> {
    if matches!(member.caller.proof, Proof::Key(_)) {
        return Err(Problem::because(Code::KeyScope, "An API key works inside its workspace only."));
    }
    let not_found = || Problem::field("workspace", "unknown", "There is no such workspace to choose.");
    let workspace = match api.catalog.find(Scope::Platform, Kind::Workspace, slug.to_owned()).await {
        Ok(Entity::Workspace(workspace)) => workspace,
        Ok(_) | Err(StoreError::NotFound) => return Err(not_found()),
        Err(error) => return Err(error.into()),
    };
    // One that the caller is no Admin of is not told apart from one that does not exist.
    match is_admin(api, member, &member.workspace).await? && is_admin(api, member, &workspace).await? {
        true => Ok(workspace),
        false => Err(not_found()),
    }
}
