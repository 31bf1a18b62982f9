//! A whole campaign in one call, for programs: fields and recipients together, through the same judgement as a draft.

use crate::api::authoring::edit::{Author, new_campaign, upload};
use crate::api::authoring::fields::{Fields, RecipientBody, WholeCampaign};
use crate::api::authoring::judge::{Bench, Judgement, ListFacts, judge, names_in};
use crate::api::authoring::list::discard;
use crate::api::authoring::upload::Taken;
use crate::api::authoring::{inline, rejects};
use crate::api::caller::Member;
use crate::api::campaign_view::CampaignView;
use crate::api::json::Json;
use crate::api::problem::Problem;
use crate::api::request::to_its_end;
use crate::api::routes::drafts::submit::{Created, created, fitted};
use crate::api::state::Api;
use axum::extract::State;
use engine::model::{Campaign, CampaignId, Filing};
use engine::store::{Change, Entity, Expect};
use std::sync::Arc;
use uuid::Uuid;

/// Creates a campaign with its recipients; it waits for its approval.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns", tag = "Campaigns", request_body = WholeCampaign,
    params(("slug" = String, Path, description = "Slug")),
    responses(
        (status = 201, body = CampaignView, headers(("location" = String, description = "The campaign"))),
        (status = 429, description = "Too many lists are being written", content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", content_type = "application/problem+json")
    )
)]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Json(body): Json<WholeCampaign>,
) -> Result<Created, Problem> {
    let (by, working) = (member.clone(), Arc::clone(&api));
    // To its end also when the client goes away: a list that was written must get its owner.
    let campaign = to_its_end(async move { create_now(&working, &by, body).await }).await?;
    Ok(created(&api, &member, &campaign))
}

async fn create_now(api: &Api, member: &Member, body: WholeCampaign) -> Result<Campaign, Problem> {
    let (recipients, fields) = body.split();
    let taken = take(api, member, (recipients, &fields)).await?;
    let list = taken.as_ref().map(|taken| {
        let (recipients, variables) = (taken.stored.recipients, taken.stored.variables.clone());
        ListFacts { recipients, variables }
    });
    let bench = Bench { api, workspace: &member.workspace, list: list.as_ref(), pinned: None };
    let judged = judge(&bench, &fields).await.and_then(|judged| judged.campaign());
    let written = match judged {
        Ok(judgement) => write(api, member, (judgement, list, taken.as_ref())).await,
        Err(problem) => Err(problem),
    };
    match (&written, taken) {
        (Ok(campaign), Some(taken)) => {
            if campaign.no != taken.stored.no {
                discard(api, taken.stored.no).await;
            }
            rejects::keep(api, member.scope(), campaign.id, taken.rejects).await;
        }
        (Err(_), Some(taken)) => discard(api, taken.stored.no).await,
        (_, None) => {}
    }
    written
}

async fn take(
    api: &Api,
    member: &Member,
    (recipients, fields): (Vec<RecipientBody>, &Fields),
) -> Result<Option<Taken>, Problem> {
    if recipients.is_empty() {
        return Ok(None);
    }
    let names = fields.text.get().and_then(|text| names_in(text).ok()).unwrap_or_default();
    let is_again = |at: usize| names[..at].iter().any(|before| before.eq_ignore_ascii_case(&names[at]));
    if let Some(at) = (0..names.len()).find(|at| is_again(*at)) {
        let told = format!("{{{}}} stands there in two spellings: small or capital letters.", names[at]);
        return Err(Problem::field("text", "ambiguous_variable", told));
    }
    inline::take(api, (recipients, names), &member.workspace).await.map(Some)
}

async fn write(
    api: &Api,
    member: &Member,
    (judgement, list, taken): (Judgement, Option<ListFacts>, Option<&Taken>),
) -> Result<Campaign, Problem> {
    let at = api.now();
    let (no, digest) = taken.map(|taken| (taken.stored.no, taken.stored.digest.clone())).unzip();
    let list = list.unwrap_or_default();
    let none = engine::model::CampaignNo(0);
    let stored = fitted(
        (api, member.workspace.id),
        (no.unwrap_or(none), &list, digest.unwrap_or_default()),
        &judgement,
    )
    .await?;
    let author = Author { workspace: member.workspace.id, user: member.user_id(), at };
    let campaign = new_campaign(CampaignId(Uuid::now_v7()), author, judgement, stored);
    let kept = taken.map(|taken| upload(taken, member.user_id(), at));
    let campaign = Campaign { filing: Filing { upload: kept, ..Filing::default() }, ..campaign };
    record_new(api, member, &campaign, "campaign.create").await?;
    Ok(campaign)
}

/// Stores a new campaign; without it its list is removed.
///
/// # Errors
/// The store's.
pub(super) async fn record_new(
    api: &Api,
    member: &Member,
    campaign: &Campaign,
    action: &'static str,
) -> Result<(), Problem> {
    let entity = Entity::Campaign(Box::new(campaign.clone()));
    let change = Change { scope: member.scope(), expect: Expect::Absent, entity, action };
    if let Err(error) = api.catalog.apply(vec![change], &member.principal(), campaign.created_at).await {
        discard(api, campaign.no).await;
        return Err(error.into());
    }
    api.engine.campaign_changed(campaign.workspace_id, campaign.id);
    Ok(())
}
