//! A new campaign to those whom another one did not reach: linked to it, and moderated like any other.
//!
//! It is an OnDemand campaign, because the times of the first one have passed, under the sender's newest approved
//! revision; its author may give it other times while it waits. Copied chunk by chunk, in constant memory; only of a
//! Trigger campaign, which may hold a number several times, all numbers are looked at once before.

use super::create::record_new;
use super::find;
use crate::api::authoring::edit::{Author, new_campaign};
use crate::api::authoring::fields::{Fields, Given, ModeName};
use crate::api::authoring::judge::{Bench, Judgement, ListFacts, judge};
use crate::api::authoring::list::{Copying, Stored, copy_for, discard};
use crate::api::authoring::quota::{self, Reservation};
use crate::api::caller::Member;
use crate::api::campaign_view::CampaignView;
use crate::api::erasing::has_numbers;
use crate::api::json::Json;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::request::to_its_end;
use crate::api::routes::drafts::submit::{Created, created};
use crate::api::state::Api;
use axum::extract::State;
use engine::model::{Campaign, CampaignId, CampaignNo, ChunkNo, Filing, Mode, Number, UnitStatus};
use engine::store::{Journal, StoreError};
use serde::Deserialize;
use std::cell::Cell;
use std::sync::Arc;
use tokio::runtime::Handle;
use utoipa::ToSchema;
use uuid::Uuid;

/// Most numbers of a Trigger campaign that is sent again: those of the longest list of another one, 80 MB at once.
const MAX_NUMBERS: usize = 10_000_000;

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

/// Makes a new campaign, linked to this one, to those of its recipients that stand where the body says. Of a number that
/// a Trigger campaign holds several times only the last one counts.
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
    let campaign = to_its_end(async move { resend_now(&working, &by, id, statuses).await }).await?;
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
    if first.mode == Mode::Trigger && first.started && first.counts.is_none() {
        // Numbers of its last calls may not be in its list yet.
        return Err(Problem::because(Code::StateConflict, "The campaign's last outcomes are being counted."));
    }
    has_numbers(&first)?;
    // What is copied now is found by whoever erases behind it.
    let _lists = api.erasing.reading_soon().await?;
    let repeats = if first.mode == Mode::Trigger { repeats(api, &first, MAX_NUMBERS).await? } else { None };
    let names = first.content.variables.iter().map(|variable| variable.name.clone());
    let copying = Copying {
        from: first.no,
        width: first.content.variables.len(),
        kept: names.enumerate().collect(),
        only: Some((Box::new(first.clone()), statuses)),
        left_out: repeats.map(|repeats| Box::new(move |number| repeats.go_on(number)) as Box<_>),
    };
    let stored = copy_for((api, member.workspace.id), copying).await?;
    let (judgement, _room) = match again(api, member, (&first, &stored)).await {
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

/// The numbers that a list holds several times, in order, and how many more rows of each are to come.
pub(super) struct Repeats(Vec<(u64, Cell<u32>)>);

impl Repeats {
    /// Of the numbers of all rows.
    fn of(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        let same = numbers.chunk_by(|one, next| one == next).filter(|same| same.len() > 1);
        let more = |same: &[u64]| Cell::new(u32::try_from(same.len() - 1).unwrap_or(u32::MAX));
        Self(same.map(|same| (same[0], more(same))).collect())
    }

    /// Whether the number comes again behind this row; to be asked once for each row, in their order.
    fn go_on(&self, number: Number) -> bool {
        let Ok(at) = self.0.binary_search_by_key(&number.0, |(number, _)| *number) else { return false };
        let more = &self.0[at].1;
        let is_last = more.get() == 0;
        more.set(more.get().saturating_sub(1));
        !is_last
    }
}

/// What comes several times in a campaign's list, which must not change meanwhile; `None` when nothing does.
///
/// # Errors
/// `state_conflict` for a list of more than `most` numbers; `rate_limited`; the store's.
pub(super) async fn repeats(api: &Api, of: &Campaign, most: usize) -> Result<Option<Repeats>, Problem> {
    let _permit = api.intakes.permit_for(of.workspace_id)?;
    let (journal, no, handle) = (Arc::clone(&api.journal), of.no, Handle::current());
    let reading = move || numbers(&*journal, no, most, &handle).map(|numbers| numbers.map(Repeats::of));
    let read = tokio::task::spawn_blocking(reading).await.map_err(|_| Problem::new(Code::Internal))?;
    let Some(repeats) = read? else {
        let told = format!("The campaign has more than {most} recipients; so many are not sent again.");
        return Err(Problem::because(Code::StateConflict, told));
    };
    Ok(Some(repeats).filter(|repeats| !repeats.0.is_empty()))
}

/// Every number of a list as often as it is there; `None` for more than `most`.
fn numbers(
    journal: &dyn Journal,
    no: CampaignNo,
    most: usize,
    handle: &Handle,
) -> Result<Option<Vec<u64>>, StoreError> {
    let mut numbers = Vec::new();
    for chunk in 0..ChunkNo::MAX {
        let list = match handle.block_on(journal.recipients(no, chunk)) {
            Err(StoreError::NotFound) => break,
            list => list?,
        };
        numbers.extend(list.identities().filter_map(|identity| identity.number()).map(|number| number.0));
        if numbers.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(numbers))
}

/// The first campaign's content for these recipients, without its times.
async fn again(
    api: &Api,
    member: &Member,
    (first, stored): (&Campaign, &Stored),
) -> Result<(Judgement, Reservation), Problem> {
    let room = quota::reserve(api, &member.workspace, quota::of_list(stored.recipients)).await?;
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
    Ok((judgement, room))
}
