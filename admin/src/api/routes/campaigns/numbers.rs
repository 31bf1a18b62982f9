//! Numbers that programs hand to a Trigger campaign, one to a thousand a call: answered once they are durable.
//!
//! A bad item is told by its place and fails no other. A number may come as often as it likes (one-time codes); what
//! makes an item a repeat is its optional `key`, within one call. A call that is sent again carries the header
//! `Idempotency-Key`. The text is the approved one: a call supplies values of its variables and nothing else.

use super::own;
use super::recipients::region;
use crate::api::caller::Member;
use crate::api::fields::MAX_NUMBER_CHARS;
use crate::api::guard::Access;
use crate::api::json::Json as Body;
use crate::api::note::note;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::recipient_view::recipient_id;
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::intake::{Region, normalise};
use engine::model::values::pack_row;
use engine::model::{Campaign, Mode, Status, ValueFault, Variable};
use engine::store::Kind;
use engine::{MAX_PUSH, Push, PushError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Longest key of an item, characters.
const MAX_KEY_CHARS: usize = 64;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Workspace(Action::NumbersPush), routes!(push))
}

/// Numbers for a Trigger campaign.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<Item>,
}

/// One recipient.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    /// In any form that is understood in a recipient file.
    #[schema(example = "+49 151 12345678")]
    number: String,
    /// Values of the text's variables by name.
    #[serde(default)]
    #[schema(example = json!({"code": "4711"}))]
    variables: BTreeMap<String, String>,
    /// Items of one call with the same key are one: the later ones are duplicates.
    #[serde(default)]
    #[schema(max_length = 64)]
    key: Option<String>,
}

/// What became of the items.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Pushed {
    /// Items that are sent.
    accepted: usize,
    /// Items whose key an earlier one of the call has.
    duplicate: usize,
    /// Items that cannot be used.
    invalid: usize,
    /// One for each item, in order.
    results: Vec<ItemResult>,
}

/// What became of one item: a recipient, or a code that says why not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemResult {
    /// Its place in the call, from 0.
    index: usize,
    /// The recipient that it is; of a duplicate, the one of the earlier item.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_id: Option<Uuid>,
    /// Why it cannot be used, or `duplicate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "not_a_number")]
    code: Option<&'static str>,
}

/// What an item is before the engine has seen it.
enum Read {
    /// The n-th one to be pushed.
    Push(usize),
    /// The same as the n-th one.
    Duplicate(usize),
    Invalid(&'static str),
}

/// Hands numbers to a Trigger campaign that is sending; each of them is sent at once.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/numbers", tag = "Recipients", request_body = Batch,
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 202, body = Pushed))
)]
async fn push(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Body(batch): Body<Batch>,
) -> Result<(StatusCode, Json<Pushed>), Problem> {
    let campaign = own(&api, &member, id).await?;
    if batch.items.is_empty() || batch.items.len() > MAX_PUSH {
        return Err(Problem::field("items", "out_of_range", format!("A call has 1 to {MAX_PUSH} items.")));
    }
    takes_numbers(&campaign)?;
    let (reads, pushes) = read(batch.items, &campaign, region(&member.workspace).as_ref());
    let accepted = pushes.len();
    let pushed = api.engine.push(campaign.workspace_id, campaign.id, pushes, &member.principal()).await;
    let ids: Vec<Uuid> =
        pushed.map_err(refused)?.into_iter().map(|ordinal| recipient_id(campaign.id, ordinal)).collect();
    if accepted > 0 {
        let details = json!({ "accepted": accepted });
        // They are accepted and on their way: a note that is not stored must not make the program send them again.
        if note(&api, &member, "numbers.push", (Kind::Campaign, campaign.id), details).await.is_err() {
            tracing::error!(campaign = %campaign.id, accepted, "numbers were accepted and are not in the audit log");
        }
    }
    Ok((StatusCode::ACCEPTED, Json(told(&reads, &ids))))
}

/// Refused before the items are read; the engine looks again when it takes them.
fn takes_numbers(campaign: &Campaign) -> Result<(), Problem> {
    if campaign.mode != Mode::Trigger {
        return Err(refused(PushError::NotTrigger));
    }
    match campaign.status {
        Status::Sending if campaign.finished => Err(refused(PushError::Finished)),
        Status::Sending => Ok(()),
        status => Err(refused(PushError::NotSending(status))),
    }
}

fn refused(error: PushError) -> Problem {
    let told = error.to_string();
    match error {
        PushError::NotTrigger | PushError::Full(_) => Problem::because(Code::StateConflict, told),
        PushError::NotSending(_) | PushError::Finished => Problem::because(Code::NotStarted, told),
        PushError::StoreUnavailable => Problem::new(Code::StoreUnavailable),
        PushError::Engine(error) => error.into(),
        PushError::TooMany(_) | PushError::Number(_) | PushError::Values { .. } | PushError::Value { .. } => {
            Problem::because(Code::Invalid, told)
        }
    }
}

fn read(items: Vec<Item>, campaign: &Campaign, region: Option<&Region>) -> (Vec<Read>, Vec<Push>) {
    let (mut reads, mut pushes) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    let mut keys = BTreeMap::new();
    for item in items {
        let known = item.key.as_ref().and_then(|key| keys.get(key));
        reads.push(match (known, push_of(&item, campaign, region)) {
            (Some(of), _) => Read::Duplicate(*of),
            (None, Err(code)) => Read::Invalid(code),
            (None, Ok(push)) => {
                item.key.map(|key| keys.insert(key, pushes.len()));
                pushes.push(push);
                Read::Push(pushes.len() - 1)
            }
        });
    }
    (reads, pushes)
}

fn push_of(item: &Item, campaign: &Campaign, region: Option<&Region>) -> Result<Push, &'static str> {
    if item.key.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > MAX_KEY_CHARS) {
        return Err("bad_key");
    }
    if item.number.len() > MAX_NUMBER_CHARS {
        return Err("too_long");
    }
    let number = normalise(item.number.as_bytes(), region).map_err(engine::intake::RejectReason::code)?;
    let variables = &campaign.content.variables;
    if item.variables.keys().any(|name| variables.iter().all(|variable| variable.name != *name)) {
        return Err("unknown_variable");
    }
    let value = |variable: &Variable| {
        let value = item.variables.get(&variable.name).ok_or("missing_value")?;
        let is_long = value.chars().count() > usize::from(variable.max_chars);
        if is_long { Err("value_too_long") } else { Ok(value.clone()) }
    };
    let values = variables.iter().map(value).collect::<Result<Vec<String>, _>>()?;
    let row: Vec<&str> = values.iter().map(String::as_str).collect();
    pack_row(&mut Vec::new(), &row).map_err(|fault| match fault {
        ValueFault::TooLong { .. } | ValueFault::RowTooLong => "value_too_long",
        ValueFault::ControlCharacter { .. } => "control_character",
    })?;
    Ok(Push { number: number.get(), values })
}

fn told(reads: &[Read], ids: &[Uuid]) -> Pushed {
    let mut pushed = Pushed::default();
    for (index, read) in reads.iter().enumerate() {
        let (recipient_id, code) = match read {
            Read::Push(at) => (ids.get(*at).copied(), None),
            Read::Duplicate(at) => (ids.get(*at).copied(), Some("duplicate")),
            Read::Invalid(code) => (None, Some(*code)),
        };
        match read {
            Read::Push(_) => pushed.accepted += 1,
            Read::Duplicate(_) => pushed.duplicate += 1,
            Read::Invalid(_) => pushed.invalid += 1,
        }
        pushed.results.push(ItemResult { index, recipient_id, code });
    }
    pushed
}
