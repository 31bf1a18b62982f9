//! The recipients of a campaign: masked, filtered, found by number, and revealed for a short time.
//!
//! Lists are read a chunk at a time, and one request reads a bounded number of chunks: with a filter, a page may have
//! fewer items than asked for and still a next one. A number is never a part of an address.

use super::visible;
use crate::api::caller::{Member, Proof};
use crate::api::erasing::has_numbers;
use crate::api::fields::MAX_NUMBER_CHARS;
use crate::api::guard::Access;
use crate::api::json::Json as Body;
use crate::api::moment::Moment;
use crate::api::note::note;
use crate::api::page::{Listed, bad_cursor, limit, read_cursor, write_cursor};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::recipient_view::{Numbers, RecipientView, Shower, status_of};
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::Json;
use axum::extract::State;
use engine::intake::{Region, normalise};
use engine::model::{
    CHUNK_RECIPIENTS, Campaign, ChunkNo, Identity, Number, NumberHash, UnitStatus, Workspace,
};
use engine::report;
use engine::store::{Kind, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

/// Chunks that one request reads: 131,072 recipients, some 100 ms.
const MAX_CHUNKS: ChunkNo = 32;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::CampaignRead), routes!(list))
        .with(Access::Workspace(Action::CampaignRead), routes!(search))
        .with(Access::Workspace(Action::Reveal), routes!(reveal))
}

/// Which recipients.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientQuery {
    /// Only recipients that stand there; several separated by commas.
    #[param(example = "failed,unknown")]
    status: Option<String>,
    /// Only recipients of this hash.
    #[param(min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")]
    ctn_hash: Option<String>,
    /// Items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
}

/// The statuses among words separated by commas.
pub(super) fn statuses(text: &str) -> Option<Vec<UnitStatus>> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(status_of).collect()
}

/// How this member sees the numbers of a campaign now.
fn numbers(api: &Api, member: &Member, campaign: &Campaign) -> Numbers {
    match &member.caller.proof {
        Proof::Login(login)
            if member.may(Action::Reveal) && api.reveals.holds(login.id, campaign.id, api.now()) =>
        {
            Numbers::Full
        }
        _ => Numbers::Masked,
    }
}

/// From which recipient on, how many, and which of them.
struct Wanted<F> {
    from: u64,
    limit: usize,
    statuses: Vec<UnitStatus>,
    recipient: F,
}

async fn read(
    api: &Api,
    member: &Member,
    campaign: &Campaign,
    wanted: Wanted<impl Fn(Identity) -> bool>,
) -> Result<Json<Listed<RecipientView>>, Problem> {
    let shower = Shower::new(&api.ctn, campaign, numbers(api, member, campaign));
    let first = ChunkNo::try_from(wanted.from / CHUNK_RECIPIENTS as u64).map_err(|_| bad_cursor())?;
    let mut items = Vec::with_capacity(wanted.limit);
    for chunk in first..first.saturating_add(MAX_CHUNKS) {
        let rows = match report::recipients_now(&api.engine, campaign, chunk, &wanted.recipient).await {
            Err(StoreError::NotFound) => return Ok(Json(Listed { items, next_cursor: None })),
            rows => rows?,
        };
        let is_wanted = |row: &&report::RecipientRow| {
            row.ordinal >= wanted.from
                && (wanted.statuses.is_empty() || wanted.statuses.contains(&row.status))
        };
        for row in rows.iter().filter(is_wanted) {
            if items.len() == wanted.limit {
                return Ok(Json(Listed { items, next_cursor: Some(write_cursor(&row.ordinal)) }));
            }
            items.push(shower.show(row));
        }
        // The store answers at once: without a pause nobody else would be served meanwhile.
        tokio::task::yield_now().await;
    }
    let next = u64::from(first.saturating_add(MAX_CHUNKS)) * CHUNK_RECIPIENTS as u64;
    Ok(Json(Listed { items, next_cursor: Some(write_cursor(&next)) }))
}

/// The recipients of a campaign in order.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns/{id}/recipients", tag = "Recipients",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign"),
        RecipientQuery),
    responses((status = 200, body = Listed<RecipientView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Query(query): Query<RecipientQuery>,
) -> Result<Json<Listed<RecipientView>>, Problem> {
    let campaign = visible(&api, &member, id).await?;
    let bad = |field: &str, told: &str| Problem::new(Code::BadParameter).with_field(field, "unknown", told);
    let statuses = statuses(query.status.as_deref().unwrap_or_default())
        .ok_or_else(|| bad("status", "There is no such status of a recipient."))?;
    let read_hash = |digits: &str| {
        let not_a_hash = || bad("ctn_hash", "A hash is 64 hexadecimal digits in small letters.");
        NumberHash::read(digits).ok_or_else(not_a_hash)
    };
    let hash = query.ctn_hash.as_deref().map(read_hash).transpose()?;
    let wanted = Wanted {
        from: read_cursor(query.cursor.as_deref())?.unwrap_or(0),
        limit: limit(query.limit)?,
        statuses,
        recipient: |identity| hash.is_none_or(|hash| api.ctn.name(identity) == hash),
    };
    read(&api, &member, &campaign, wanted).await
}

/// A number to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// The whole number, in any form that is understood in a recipient file.
    #[schema(max_length = 64, example = "+49 151 12345678")]
    number: String,
    /// `next_cursor` of the answer before.
    #[serde(default)]
    #[schema(max_length = 512)]
    cursor: Option<String>,
}

/// The region whose national numbers a workspace understands.
pub(super) fn region(workspace: &Workspace) -> Option<Region> {
    workspace.policies.default_region.as_deref().and_then(|country| Region::new(country).ok())
}

/// Finds a number among the recipients. Of a long list the answer may say nothing yet and give a cursor to go on.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/recipients/search", tag = "Recipients", request_body = Search,
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = Listed<RecipientView>))
)]
async fn search(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Body(asked): Body<Search>,
) -> Result<Json<Listed<RecipientView>>, Problem> {
    let campaign = visible(&api, &member, id).await?;
    if asked.number.len() > MAX_NUMBER_CHARS {
        return Err(Problem::field("number", "too_long", "This is longer than any number."));
    }
    let found = normalise(asked.number.as_bytes(), region(&member.workspace).as_ref())
        .map_err(|reason| Problem::field("number", reason.code(), reason.sentence()))?;
    let found = Number(found.get());
    let name = api.ctn.hash(found);
    let wanted = Wanted {
        from: read_cursor(asked.cursor.as_deref())?.unwrap_or(0),
        limit: crate::api::page::MAX_LIMIT,
        statuses: Vec::new(),
        recipient: |identity| match identity {
            Identity::Number(number) => number == found,
            Identity::Erased(hash) => hash == name,
        },
    };
    read(&api, &member, &campaign, wanted).await
}

/// Until when full numbers are shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Revealed {
    /// Behind it they are masked again.
    until: Moment,
}

/// Shows the full numbers of this campaign to this login for five minutes; that is on record.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/recipients/reveal", tag = "Recipients",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = Revealed))
)]
async fn reveal(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Json<Revealed>, Problem> {
    let campaign = visible(&api, &member, id).await?;
    let Proof::Login(login) = &member.caller.proof else { return Err(Problem::new(Code::KeyScope)) };
    has_numbers(&campaign)?;
    // First the record, then the sight.
    let details = json!({ "recipients": campaign.recipients });
    note(&api, &member, "recipients.reveal", (Kind::Campaign, campaign.id), details).await?;
    let until = api.reveals.grant(login.id, campaign.id, api.now());
    Ok(Json(Revealed { until: until.into() }))
}
