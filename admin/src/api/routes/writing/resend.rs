//! A new campaign to those whom another one did not reach: linked to it, and moderated like any other.
//!
//! It is an OnDemand campaign, because the times of the first one have passed, under the sender's newest approved
//! revision; its author may give it other times while it waits. Copied chunk by chunk, in constant memory.

use super::create::record_new;
use super::find;
use crate::api::authoring::edit::{Author, new_campaign};
use crate::api::authoring::fields::{Fields, Given, ModeName};
use crate::api::authoring::judge::{Bench, Judgement, ListFacts, judge};
use crate::api::authoring::list::{Copying, Stored, copy, discard};
use crate::api::authoring::quota;
use crate::api::caller::Member;
use crate::api::campaign_view::CampaignView;
use crate::api::erasing::has_numbers;
use crate::api::json::Json;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::routes::drafts::submit::{Created, created};
use crate::api::state::Api;
use axum::extract::State;
use engine::model::{Campaign, CampaignId, Filing, Mode, UnitStatus};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a recipient may stand to get the message again: over, and not delivered.
const AGAIN: [(&str, UnitStatus); 8] = [
    ("sent", UnitStatus::Sent),
    ("undeliverable", UnitStatus::Undeliverable),
    ("rejected", UnitStatus::Rejected),
    ("expired", UnitStatus::Expired),
    ("cancelled", UnitStatus::Cancelled),
    ("skipped", UnitStatus::Skipped),
    ("failed", UnitStatus::Failed),
    ("unknown", UnitStatus::Unknown),
];

/// Who gets it again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Resend)]
pub(super) struct ResendBody {
    /// Recipients that stand there: `sent`, `undeliverable`, `rejected`, `expired`, `cancelled`, `skipped`, `failed` or
    /// `unknown`.
    #[schema(example = json!(["unknown", "failed"]), min_items = 1, max_items = 8)]
    status: Vec<String>,
}

/// Makes a new campaign, linked to this one, to those of its recipients that stand where the body says.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/resend", tag = "Campaigns", request_body = ResendBody,
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Campaign")),
    responses(
        (status = 201, body = CampaignView, headers(("location" = String, description = "The campaign"))),
        (status = 429, description = "Too many lists are being written", content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", content_type = "application/problem+json")
    )
)]
pub(super) async fn resend(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Json(body): Json<ResendBody>,
) -> Result<Created, Problem> {
    let statuses = statuses(&body.status)?;
    let (by, working) = (member.clone(), Arc::clone(&api));
    // To its end also when the client goes away: a list that was copied must get its owner.
    let made = tokio::spawn(async move { resend_now(&working, &by, id, statuses).await });
    let campaign = made.await.map_err(|_| Problem::new(Code::Internal))??;
    Ok(created(&api, &member, &campaign))
}

fn statuses(words: &[String]) -> Result<Vec<UnitStatus>, Problem> {
    let of = |word: &String| AGAIN.iter().find(|(known, _)| known == word).map(|(_, status)| *status);
    match words.iter().map(of).collect::<Option<Vec<_>>>() {
        Some(statuses) if (1..=AGAIN.len()).contains(&statuses.len()) => Ok(statuses),
        _ => {
            let known: Vec<_> = AGAIN.iter().map(|(word, _)| *word).collect();
            Err(Problem::field("status", "out_of_range", format!("One or more of {}.", known.join(", "))))
        }
    }
}

async fn resend_now(
    api: &Api,
    member: &Member,
    id: Uuid,
    statuses: Vec<UnitStatus>,
) -> Result<Campaign, Problem> {
    let first = find(api, member, id).await?;
    member.must_own(first.created_by)?;
    if !first.status.is_final() {
        let told =
            format!("A campaign that is {} has not ended; only what has ended is sent again.", first.status);
        return Err(Problem::because(Code::StateConflict, told));
    }
    has_numbers(&first)?;
    // What is copied now is found by whoever erases behind it.
    let _lists = api.erasing.reading().await;
    let names = first.content.variables.iter().map(|variable| variable.name.clone());
    let copying = Copying {
        from: first.no,
        width: first.content.variables.len(),
        kept: names.enumerate().collect(),
        only: Some((Box::new(first.clone()), statuses)),
        left_out: None,
    };
    let stored = copy(api, copying).await?;
    let judgement = match again(api, member, (&first, &stored)).await {
        Ok(judgement) => judgement,
        Err(problem) => {
            discard(api, stored.no).await;
            return Err(problem);
        }
    };
    let author = Author { workspace: first.workspace_id, user: member.user_id(), at: api.now() };
    let campaign = new_campaign(CampaignId(Uuid::now_v7()), author, judgement, stored);
    let filing = Filing { resent_from: Some(first.id), ..Filing::default() };
    let campaign = Campaign { filing, ..campaign };
    record_new(api, member, &campaign, "campaign.resend").await?;
    Ok(campaign)
}

/// The first campaign's content for these recipients, without its times.
async fn again(
    api: &Api,
    member: &Member,
    (first, stored): (&Campaign, &Stored),
) -> Result<Judgement, Problem> {
    quota::check(api, &member.workspace, quota::of_list(stored.recipients)).await?;
    let fields = Fields {
        mode: Given::Value(ModeName(Mode::OnDemand)),
        start_at: Given::Absent,
        window: Given::Absent,
        ignore_daily_window: Given::Absent,
        auto_start: Given::Absent,
        ..Fields::of_campaign(first)
    };
    let list = ListFacts { recipients: stored.recipients, variables: stored.variables.clone() };
    let bench = Bench { api, workspace: &member.workspace, list: Some(&list), pinned: None };
    let mut judgement = judge(&bench, &fields).await?.campaign()?;
    judgement.content.receipts = first.content.receipts;
    judgement.content.rules.retry.clone_from(&first.content.rules.retry);
    Ok(judgement)
}
