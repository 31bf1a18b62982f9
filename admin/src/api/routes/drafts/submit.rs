//! A draft becomes a campaign: judged as a whole, its list made to fit the text, both records in one transaction.

use super::{facts, find_open, location};
use crate::api::authoring::edit::{Author, new_campaign, with_hand};
use crate::api::authoring::fields::Fields;
use crate::api::authoring::judge::{Bench, Judgement, ListFacts, OPEN_LIST, judge};
use crate::api::authoring::list::{Copying, Stored, copy_for, discard};
use crate::api::authoring::upload::open_list;
use crate::api::caller::Member;
use crate::api::campaign_view::{CampaignView, campaign_view};
use crate::api::problem::Problem;
use crate::api::query::Path;
use crate::api::request::to_its_end;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use engine::model::{Campaign, CampaignNo, Draft, DraftStatus, Filing, Mode, Variable, WorkspaceId};
use engine::store::{Change, Entity, Expect};
use std::sync::Arc;
use uuid::Uuid;

/// What answers with a new campaign give.
pub(in crate::api::routes) type Created = (StatusCode, HeaderMap, axum::Json<CampaignView>);

/// Submits a draft: from now on it is a campaign of the same id that waits for its approval.
#[utoipa::path(
    post, path = "/w/{slug}/drafts/{id}/submit", tag = "Drafts",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Draft")),
    responses(
        (status = 201, body = CampaignView, headers(("location" = String, description = "The campaign"))),
        (status = 422, description = "It cannot be sent like this", content_type = "application/problem+json"),
        (status = 429, description = "Too many lists are being written", content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", content_type = "application/problem+json")
    )
)]
pub(super) async fn submit(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Created, Problem> {
    let (by, working) = (member.clone(), Arc::clone(&api));
    // To its end also when the client goes away: a list that was copied must get its owner.
    let campaign = to_its_end(async move { submit_now(&working, &by, id).await }).await?;
    Ok(created(&api, &member, &campaign))
}

/// The answer with a new campaign.
pub(in crate::api::routes) fn created(api: &Api, member: &Member, campaign: &Campaign) -> Created {
    let view = campaign_view(api, campaign, member.workspace.policies.approvals_required);
    (StatusCode::CREATED, location(&member.workspace.slug, "campaigns", campaign.id), axum::Json(view))
}

async fn submit_now(api: &Api, member: &Member, id: Uuid) -> Result<Campaign, Problem> {
    let draft = find_open(api, member, id).await?;
    let list = facts(&draft);
    let bench = Bench { api, workspace: &member.workspace, list: list.as_ref(), pinned: None };
    let judgement = judge(&bench, &Fields::of_draft(&draft.fields)).await?.campaign()?;
    let digest = draft.upload.as_ref().map(|upload| upload.digest.clone()).unwrap_or_default();
    let list = list.unwrap_or_default();
    let stored = fitted((api, draft.workspace_id), (draft.no, &list, digest), &judgement).await?;
    let no = stored.no;
    let author = Author { workspace: draft.workspace_id, user: draft.created_by, at: api.now() };
    let campaign = new_campaign(draft.id, author, judgement, stored);
    let edited_by = with_hand(draft.edited_by.clone(), draft.created_by, member.user_id());
    let filing = Filing { upload: draft.upload.clone(), ..Filing::default() };
    let campaign = Campaign { edited_by, filing, ..campaign };
    let recorded = record(api, member, (&draft, &campaign)).await;
    if no != draft.no {
        // Of the two lists the one that has no owner now.
        discard(api, if recorded.is_ok() { draft.no } else { no }).await;
    }
    recorded?;
    api.engine.campaign_changed(campaign.workspace_id, campaign.id);
    Ok(campaign)
}

async fn record(api: &Api, member: &Member, (draft, campaign): (&Draft, &Campaign)) -> Result<(), Problem> {
    let at = campaign.created_at;
    let next =
        Draft { status: DraftStatus::Submitted, version: draft.version + 1, updated_at: at, ..draft.clone() };
    let scope = member.scope();
    let changes = vec![
        Change {
            scope,
            expect: Expect::Version(draft.version),
            entity: Entity::Draft(next),
            action: "draft.submit",
        },
        Change {
            scope,
            expect: Expect::Absent,
            entity: Entity::Campaign(Box::new(campaign.clone())),
            action: "campaign.create",
        },
    ];
    Ok(api.catalog.apply(changes, &member.principal(), at).await?)
}

/// The list as the judged text needs it: itself, a copy without the variables that the text does not name, or an empty
/// one to grow.
///
/// # Errors
/// The store's; then no new list remains.
pub(in crate::api::routes) async fn fitted(
    (api, workspace): (&Api, WorkspaceId),
    (no, list, digest): (CampaignNo, &ListFacts, String),
    judgement: &Judgement,
) -> Result<Stored, Problem> {
    if judgement.mode == Mode::Trigger {
        let (no, digest) = (open_list(api).await?, OPEN_LIST.to_owned());
        return Ok(Stored { no, recipients: 0, variables: Vec::new(), digest });
    }
    let wanted = &judgement.content.variables;
    let (recipients, variables) = (list.recipients, list.variables.clone());
    let place = |name: &str| variables.iter().position(|known| known.name.eq_ignore_ascii_case(name));
    // Values are found by their place once it is sent, by their name until then: both must mean the same.
    let in_place = |(at, wanted): (usize, &Variable)| place(&wanted.name) == Some(at);
    if wanted.len() == variables.len() && wanted.iter().enumerate().all(in_place) {
        return Ok(Stored { no, recipients, variables, digest });
    }
    let kept = wanted.iter().filter_map(|wanted| Some((place(&wanted.name)?, wanted.name.clone())));
    copy_for(
        (api, workspace),
        Copying { from: no, width: variables.len(), kept: kept.collect(), only: None, left_out: None },
    )
    .await
}
