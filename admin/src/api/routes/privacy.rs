//! Erasing one number in every workspace, for a person who asks for it. Only for super admins.
//!
//! The number is looked for in the background. What is stored of the request is the number's hash: it is in the audit log
//! too, from which nothing is ever taken out, and a request that waits months must not be what keeps the number.

use super::Routes;
use crate::api::caller::{Caller, SuperAdmin};
use crate::api::erasing::has_room;
use crate::api::fields::MAX_NUMBER_CHARS;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use engine::intake::normalise;
use engine::model::{EntityId, Erasure, ErasureStatus, Number};
use engine::store::{Change, Entity, Expect, Kind, Scope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// What becomes of entries of suppression lists.
const KEPT: &str = "kept";

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::SuperAdmin, routes!(erase)).with(Access::SuperAdmin, routes!(one))
}

/// Which number is to be erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erase {
    /// In international form: the installation has no region.
    #[schema(example = "+49 151 12345678", max_length = 64)]
    number: String,
}

/// A request to erase a number, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Erasure)]
pub(crate) struct ErasureView {
    request_id: Uuid,
    /// What is left of the number.
    #[schema(example = "47f921d2faca641482cf075690d77a03773d69986a1bc7014b88090c7c0475e6")]
    ctn_hash: String,
    /// `running`: lists are being looked through; `waiting`: all were, and some campaigns still need the number; `done`.
    #[schema(value_type = String, example = "running")]
    status: ErasureStatus,
    /// Ended campaigns in which it was erased so far.
    campaigns: u64,
    /// Their recipients that lost it.
    recipients: u64,
    /// Drafts whose lists lost it.
    drafts: u64,
    /// Exported files that were removed because of it.
    exports: u64,
    /// Campaigns that were found to hold it and have not ended, or await receipts: it is erased when they are over.
    pending: usize,
    /// Always `kept`: entries of suppression lists stay, since whoever opted out must go on not being written to.
    #[schema(example = "kept")]
    suppressions: &'static str,
    created_at: Moment,
    done_at: Option<Moment>,
}

impl From<Erasure> for ErasureView {
    fn from(request: Erasure) -> Self {
        Self {
            request_id: request.id,
            ctn_hash: request.ctn_hash.to_string(),
            status: request.status,
            campaigns: request.campaigns,
            recipients: request.recipients,
            drafts: request.drafts,
            exports: request.exports,
            pending: request.waiting.len(),
            suppressions: KEPT,
            created_at: request.created_at.into(),
            done_at: request.done_at.map(Moment),
        }
    }
}

/// Erases a number in the recipient lists of every workspace that there are now, in the background.
///
/// In ended campaigns its hash stays, in drafts nothing; exported files of these campaigns are removed. A campaign that has
/// not ended, or awaits receipts, loses it when it is over. Entries of suppression lists are kept.
#[utoipa::path(
    post, path = "/privacy/erase", tag = "Platform", request_body = Erase,
    responses((status = 202, body = ErasureView), (status = 429, description = "Too many requests are not done"))
)]
async fn erase(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(body): Json<Erase>,
) -> Result<(StatusCode, axum::Json<ErasureView>), Problem> {
    if body.number.len() > MAX_NUMBER_CHARS {
        return Err(Problem::field("number", "too_long", "This is longer than any number."));
    }
    let number = normalise(body.number.as_bytes(), None)
        .map_err(|reason| Problem::field("number", reason.code(), reason.sentence()))?;
    has_room(&*api.catalog).await?;
    let number = Number(number.get());
    let request = Erasure {
        id: Uuid::now_v7(),
        ctn_hash: api.ctn.hash(number),
        status: ErasureStatus::Running,
        drafts_passed: false,
        passed: None,
        all_passed: false,
        step: None,
        draft_step: None,
        waiting: Vec::new(),
        unscrubbed: Vec::new(),
        campaigns: 0,
        recipients: 0,
        drafts: 0,
        exports: 0,
        created_by: caller.user.id,
        created_at: api.now(),
        done_at: None,
        version: 0,
    };
    let entity = Entity::Erasure(request.clone());
    let change = Change { scope: Scope::Platform, expect: Expect::Absent, entity, action: "privacy.erase" };
    api.catalog.apply(vec![change], &caller.platform_principal(), api.now()).await?;
    api.erasing.ask(request.id, number);
    Ok((StatusCode::ACCEPTED, axum::Json(request.into())))
}

/// How far a request to erase a number is.
#[utoipa::path(
    get, path = "/privacy/erasures/{id}", tag = "Platform",
    params(("id" = Uuid, Path, description = "The request")), responses((status = 200, body = ErasureView))
)]
async fn one(
    State(api): State<Arc<Api>>,
    _: SuperAdmin,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<ErasureView>, Problem> {
    match api.catalog.get(Scope::Platform, Kind::Erasure, EntityId(id)).await? {
        Entity::Erasure(request) => Ok(axum::Json(request.into())),
        _ => Err(Problem::new(Code::NotFound)),
    }
}

#[cfg(test)]
mod tests;
