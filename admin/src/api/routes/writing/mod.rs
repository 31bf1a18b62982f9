//! Writing campaigns without the wizard: whole ones in one call, edits and new lists while they wait for their approval,
//! campaigns to those whom another one did not reach. Also what can be told before one is sent: its plan, its pre-flight.
//!
//! Invariant: every edit is a new version that nobody has approved; an approval names the version that it saw (C23).

mod create;
mod preflight;
mod resend;
#[cfg(test)]
mod tests;

use super::Routes;
use super::drafts::UploadView;
use super::drafts::submit::fitted;
use crate::api::authoring::edit::{self, next_version};
use crate::api::authoring::fields::{Edit, Fields};
use crate::api::authoring::findings::Findings;
use crate::api::authoring::judge::{Bench, Judged, Judgement, ListFacts, OPEN_LIST, judge};
use crate::api::authoring::list::{Stored, discard};
use crate::api::authoring::outlook::{Outlook, outlook};
use crate::api::authoring::reception::{FileQuery, receive};
use crate::api::authoring::rejects;
use crate::api::authoring::upload::Taken;
use crate::api::caller::Member;
use crate::api::campaign_view::{CampaignView, campaign_view};
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::request::to_its_end;
use crate::api::state::Api;
use axum::extract::{Request, State};
use engine::model::{Campaign, EntityId, Mode, Status, Upload, UserId};
use engine::store::{Change, Entity, Expect, Kind};
use std::sync::Arc;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    let (write, read) = (Access::Workspace(Action::CampaignWrite), Access::Workspace(Action::CampaignRead));
    Routes::new()
        .with(write, routes!(create::create))
        .with(write, routes!(change))
        .with(write, routes!(put_recipients))
        .with(write, routes!(resend::resend))
        .with(read, routes!(plan))
        .with(read, routes!(preflight::preflight))
}

/// A campaign of the workspace that this member may see.
async fn find(api: &Api, member: &Member, id: Uuid) -> Result<Campaign, Problem> {
    let Entity::Campaign(campaign) = api.catalog.get(member.scope(), Kind::Campaign, EntityId(id)).await?
    else {
        return Err(Problem::new(Code::NotFound));
    };
    if member.sees_own_only() && campaign.created_by != member.user_id() {
        return Err(Problem::new(Code::NotFound));
    }
    Ok(*campaign)
}

/// The same while it can be edited by this member.
async fn find_editable(api: &Api, member: &Member, id: Uuid) -> Result<Campaign, Problem> {
    let campaign = find(api, member, id).await?;
    member.must_own(campaign.created_by)?;
    if campaign.status != Status::New || campaign.filing.archived_at.is_some() {
        let told = match campaign.filing.archived_at {
            Some(_) => "An archived campaign cannot be edited; restore it first.".to_owned(),
            None => format!("A campaign that is {} cannot be edited.", campaign.status),
        };
        return Err(Problem::because(Code::StateConflict, told));
    }
    Ok(campaign)
}

/// What is known of a campaign's recipients; nothing of a list that grows.
fn facts(campaign: &Campaign) -> Option<ListFacts> {
    let variables = campaign.content.variables.clone();
    (campaign.mode != Mode::Trigger).then_some(ListFacts { recipients: campaign.recipients, variables })
}

/// Judges a campaign as it is stored.
async fn judge_stored(api: &Api, member: &Member, campaign: &Campaign) -> Result<Judged, Problem> {
    let list = facts(campaign);
    let pinned = Some(campaign.content.revision_id).filter(|id| !id.is_nil());
    let bench = Bench { api, workspace: &member.workspace, list: list.as_ref(), pinned };
    judge(&bench, &Fields::of_campaign(campaign)).await
}

/// Edits a campaign that waits for its approval. Approvals of earlier versions count no longer.
#[utoipa::path(
    patch, path = "/w/{slug}/campaigns/{id}", tag = "Campaigns", request_body = Edit,
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Campaign")),
    responses(
        (status = 200, body = CampaignView),
        (status = 429, description = "Too many lists are being written", content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", content_type = "application/problem+json")
    )
)]
async fn change(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Json(edit): Json<Edit>,
) -> Result<axum::Json<CampaignView>, Problem> {
    let (by, working) = (member.clone(), Arc::clone(&api));
    // To its end also when the client goes away: a list that was copied must get its owner.
    let campaign = to_its_end(async move { change_now(&working, &by, id, edit).await }).await?;
    Ok(axum::Json(campaign_view(&api, &campaign, member.workspace.policies.approvals_required)))
}

async fn change_now(api: &Api, member: &Member, id: Uuid, edit: Edit) -> Result<Campaign, Problem> {
    let campaign = find_editable(api, member, id).await?;
    match edit.version.get() {
        None => return Err(Problem::field("version", "required", "Name the version that you have seen.")),
        Some(seen) if *seen != campaign.version => return Err(Problem::new(Code::VersionChanged)),
        Some(_) => {}
    }
    let edit = edit.fields();
    let mut findings = Findings::default();
    edit.check_bounds(&mut findings);
    findings.check()?;
    let list = facts(&campaign);
    let pinned = Some(campaign.content.revision_id).filter(|id| !id.is_nil() && !edit.names_source());
    let bench = Bench { api, workspace: &member.workspace, list: list.as_ref(), pinned };
    let judged = judge(&bench, &Fields::of_campaign(&campaign).merged(&edit)).await?;
    let judgement = judged.campaign()?;
    let stored = match (campaign.mode, judgement.mode) {
        (Mode::Trigger, Mode::Trigger) => untouched(&campaign),
        _ => {
            let digest = campaign.content.recipients_digest.clone();
            fitted((api, campaign.workspace_id), (campaign.no, &list.unwrap_or_default(), digest), &judgement)
                .await?
        }
    };
    let next = revised(&campaign, judgement, stored, member.user_id());
    record(api, member, (&campaign, &next), "campaign.update").await?;
    Ok(next)
}

/// The list that a campaign has.
fn untouched(campaign: &Campaign) -> Stored {
    let content = &campaign.content;
    let (variables, digest) = (content.variables.clone(), content.recipients_digest.clone());
    Stored { no: campaign.no, recipients: campaign.recipients, variables, digest }
}

/// The next version of a campaign with other content.
fn revised(campaign: &Campaign, judgement: Judgement, list: Stored, by: UserId) -> Campaign {
    let Judgement { name, mode, mut content, delivery_policy } = judgement;
    content.recipients_digest =
        if mode == Mode::Trigger { OPEN_LIST.to_owned() } else { list.digest.clone() };
    content.receipts = campaign.content.receipts;
    content.rules.retry.clone_from(&campaign.content.rules.retry);
    let mut filing = campaign.filing.clone();
    filing.upload =
        filing.upload.map(|upload| Upload { digest: list.digest, variables: list.variables, ..upload });
    let (no, recipients) = (list.no, list.recipients);
    let edited =
        Campaign { name, mode, content, delivery_policy, no, recipients, filing, ..campaign.clone() };
    next_version(edited, by)
}

/// Stores the next version of a campaign; of its two lists, where they differ, the one without an owner is removed.
async fn record(
    api: &Api,
    member: &Member,
    (before, next): (&Campaign, &Campaign),
    action: &'static str,
) -> Result<(), Problem> {
    let (scope, expect) = (member.scope(), Expect::Version(before.state_version));
    let change = Change { scope, expect, entity: Entity::Campaign(Box::new(next.clone())), action };
    let recorded = api.catalog.apply(vec![change], &member.principal(), api.now()).await;
    if next.no != before.no {
        discard(api, if recorded.is_ok() { before.no } else { next.no }).await;
    }
    recorded?;
    api.engine.campaign_changed(next.workspace_id, next.id);
    Ok(())
}

/// Uploads other recipients of a campaign that waits for its approval; its former list stays when the file fails.
#[utoipa::path(
    put, path = "/w/{slug}/campaigns/{id}/recipients", tag = "Campaigns",
    params(FileQuery, ("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Campaign")),
    request_body(content((String = "text/csv"), (String = "text/plain"))),
    responses(
        (status = 200, body = UploadView),
        (status = 408, description = "The file comes too slowly", content_type = "application/problem+json"),
        (status = 429, description = "Too many lists are being written", content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", content_type = "application/problem+json")
    )
)]
async fn put_recipients(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Query(query): Query<FileQuery>,
    request: Request,
) -> Result<axum::Json<UploadView>, Problem> {
    let campaign = find_editable(&api, &member, id).await?;
    if campaign.mode == Mode::Trigger {
        return Err(Problem::because(
            Code::StateConflict,
            "A Trigger campaign gets its recipients by calls.",
        ));
    }
    // To its end also when the client goes away: a list that is durable must get its owner.
    let work = async move {
        let text = campaign.content.text.clone();
        let taken = receive(&api, &member, (query, Some(&text)), request).await?;
        replace_list(&api, &member, campaign, taken).await
    };
    to_its_end(work).await.map(axum::Json)
}

async fn replace_list(
    api: &Api,
    member: &Member,
    before: Campaign,
    taken: Taken,
) -> Result<UploadView, Problem> {
    let upload = edit::upload(&taken, member.user_id(), api.now());
    let no = taken.stored.no;
    let next = match with_list(api, member, &before, (taken.stored, upload.clone())).await {
        Ok(next) => next,
        Err(problem) => {
            discard(api, no).await;
            return Err(problem);
        }
    };
    let recorded = record(api, member, (&before, &next), "recipients.upload").await;
    if next.no != no {
        // Its columns were more than the text needs: a narrower copy has taken its place, recorded or not.
        discard(api, no).await;
    }
    recorded?;
    rejects::keep(api, member.scope(), before.id, taken.rejects).await;
    Ok(UploadView::new(&upload, taken.sample))
}

/// The campaign with another list, judged anew: longer values may need more segments, more recipients more days.
async fn with_list(
    api: &Api,
    member: &Member,
    before: &Campaign,
    (stored, upload): (Stored, Upload),
) -> Result<Campaign, Problem> {
    let list = ListFacts { recipients: stored.recipients, variables: stored.variables };
    let pinned = Some(before.content.revision_id).filter(|id| !id.is_nil());
    let bench = Bench { api, workspace: &member.workspace, list: Some(&list), pinned };
    let judgement = judge(&bench, &Fields::of_campaign(before)).await?.campaign()?;
    let fitting = fitted((api, before.workspace_id), (stored.no, &list, stored.digest), &judgement).await?;
    let next = revised(before, judgement, fitting.clone(), member.user_id());
    let upload = Upload { digest: fitting.digest, variables: fitting.variables, ..upload };
    let filing = engine::model::Filing { upload: Some(upload), ..next.filing };
    Ok(Campaign { filing, ..next })
}

/// When a campaign sends, as far as that is planned, and what it would look like.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns/{id}/plan", tag = "Campaigns",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Campaign")),
    responses((status = 200, body = Outlook))
)]
async fn plan(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<Outlook>, Problem> {
    let campaign = find(&api, &member, id).await?;
    let judged = judge_stored(&api, &member, &campaign).await?;
    let list = facts(&campaign);
    let told = outlook(&api, &judged, (campaign.no, list.as_ref())).await?;
    Ok(axum::Json(if campaign.status == Status::New { told } else { told.planned(campaign.plan.as_ref()) }))
}
