//! What went wrong with a campaign: with its work (job errors) and with single messages (message errors), never mixed.
//!
//! The same code means different things in the two, so each has its own explanation.

use super::visible;
use crate::api::caller::Member;
use crate::api::guard::Access;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery, cut, limit, read_cursor, write_cursor};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::recipient_view::{origin_word, status_word};
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::Json;
use axum::extract::State;
use engine::model::JobError;
use engine::report::{self, MessageError};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// How long a request waits for its turn to count errors.
const TURN: Duration = Duration::from_secs(20);

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::CampaignRead), routes!(job))
        .with(Access::Workspace(Action::CampaignRead), routes!(message))
}

/// Something that went wrong with a campaign's work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobErrorView {
    /// Its place among them, from 1.
    seq: u64,
    at: Moment,
    #[schema(example = "line_not_a_number")]
    code: &'static str,
    /// What it means for the campaign.
    explanation: &'static str,
    /// The line of the recipient file, from 1.
    line: Option<u64>,
    /// What the code does not say.
    detail: String,
}

impl From<JobError> for JobErrorView {
    fn from(error: JobError) -> Self {
        let (seq, at, line) = (error.seq, error.at.into(), error.line);
        let (code, explanation) = (error.code.code(), error.code.sentence());
        Self { seq, at, code, explanation, line, detail: error.detail }
    }
}

/// A page of job errors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobErrorList {
    items: Vec<JobErrorView>,
    /// All of them, kept or not.
    noted: u64,
    /// Those that were noted and not kept.
    beyond: u64,
    /// For the next page; `null` at the end.
    next_cursor: Option<String>,
}

/// What went wrong with the campaign's file, plan, binds and store.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns/{id}/errors/job", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign"),
        PageQuery),
    responses((status = 200, body = JobErrorList))
)]
async fn job(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Query(query): Query<PageQuery>,
) -> Result<Json<JobErrorList>, Problem> {
    let campaign = visible(&api, &member, id).await?;
    let (limit, after) = (limit(query.limit)?, read_cursor(query.cursor.as_deref())?.unwrap_or(0));
    let found = api.catalog.job_errors(member.scope(), campaign.id, after, limit).await?;
    let (noted, beyond) = (found.noted, found.beyond());
    let last = found.items.last().map(|error| error.seq).filter(|_| found.items.len() == limit);
    let items = found.items.into_iter().map(JobErrorView::from).collect();
    Ok(Json(JobErrorList { items, noted, beyond, next_cursor: last.map(|seq| write_cursor(&seq)) }))
}

/// A way in which messages went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageErrorView {
    /// Who says so: `answer` and `receipt` of the SMSC, or the `engine`.
    #[schema(example = "answer")]
    origin: &'static str,
    /// In the terms of `origin`; 0 where it gave none.
    code: u32,
    /// Where such messages stand.
    #[schema(example = "rejected")]
    status: &'static str,
    /// What it means for the recipient.
    explanation: &'static str,
    /// Recipients whose message went wrong in this way.
    recipients: u64,
}

impl From<MessageError> for MessageErrorView {
    fn from(found: MessageError) -> Self {
        Self {
            origin: origin_word(found.error.origin),
            code: found.error.code,
            status: status_word(found.error.status),
            explanation: found.explanation,
            recipients: found.recipients,
        }
    }
}

/// The message errors of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageErrorList {
    /// The most frequent first.
    items: Vec<MessageErrorView>,
    /// Recipients whose error came after a thousand different ones.
    beyond: u64,
    /// For the next page; `null` at the end.
    next_cursor: Option<String>,
}

/// How messages of the campaign went wrong, each recipient counted once. While it runs this lags some seconds.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns/{id}/errors/message", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign"),
        PageQuery),
    responses((status = 200, body = MessageErrorList), (status = 429, description = "Others are being counted"))
)]
async fn message(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Query(query): Query<PageQuery>,
) -> Result<Json<MessageErrorList>, Problem> {
    let campaign = visible(&api, &member, id).await?;
    // It reads every state of the campaign: seconds for ten million, so one at a time and off the thread that serves.
    let Ok(turn) = tokio::time::timeout(TURN, Arc::clone(&api.scans).acquire_owned()).await else {
        return Err(Problem::because(Code::RateLimited, "Errors of other campaigns are being counted."));
    };
    let (journal, here) = (Arc::clone(&api.journal), Handle::current());
    let counting = tokio::task::spawn_blocking(move || {
        let found = here.block_on(report::message_errors(&*journal, &campaign));
        drop(turn);
        found
    });
    let found = counting.await.map_err(|_| Problem::new(Code::Internal))??;
    let Listed { items, next_cursor } =
        cut(found.items.into_iter().map(MessageErrorView::from).collect(), &query)?;
    Ok(Json(MessageErrorList { items, beyond: found.beyond, next_cursor }))
}
