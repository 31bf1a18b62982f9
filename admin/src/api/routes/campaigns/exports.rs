//! Exports of a campaign's recipients: asked for, looked at, fetched.
//!
//! An export with full numbers is made, shown and handed out only to whom the policy lets see numbers at that time.

use super::{own, visible};
use crate::api::caller::Member;
use crate::api::erasing::has_numbers;
use crate::api::exports::{MAX_OF_WORKSPACE, MAX_WAITING};
use crate::api::guard::Access;
use crate::api::json::Json as Body;
use crate::api::moment::Moment;
use crate::api::note::note;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::recipient_view::{status_of, status_word};
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::Json;
use axum::body::Body as Octets;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::model::{CampaignId, EntityId, Export, ExportFormat, ExportStatus, UnitStatus, UserId};
use engine::store::{Change, Entity, Expect, Kind, MAX_PAGE, Query, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Octets of a file that are read at once.
const BLOCK_OCTETS: usize = 256 << 10;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::Export), routes!(create))
        .with(Access::Workspace(Action::Export), routes!(one))
        .with(Access::Workspace(Action::Export), routes!(file))
}

/// What is to be exported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewExport {
    /// `csv`: all columns; `txt`: one number a line.
    #[schema(value_type = String, pattern = "^(csv|txt)$", example = "csv")]
    format: ExportFormat,
    /// Only recipients that stand there: one status or several.
    #[serde(default)]
    status: Option<OneOrMore>,
    /// Numbers in full, for those who may see them.
    #[serde(default)]
    full_numbers: bool,
}

/// A word or a list of words.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    fn statuses(self) -> Result<Vec<UnitStatus>, Problem> {
        let words = match self {
            Self::One(word) => vec![word],
            Self::More(words) => words,
        };
        let unknown = || Problem::field("status", "unknown", "There is no such status of a recipient.");
        let mut statuses: Vec<_> =
            words.iter().map(|word| status_of(word).ok_or_else(unknown)).collect::<Result<_, _>>()?;
        statuses.sort_unstable();
        statuses.dedup();
        Ok(statuses)
    }
}

/// An export.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Export)]
pub(crate) struct ExportView {
    id: Uuid,
    #[schema(value_type = Uuid)]
    campaign_id: CampaignId,
    #[schema(value_type = String, example = "csv")]
    format: ExportFormat,
    /// Only recipients that stand there; empty for all.
    #[schema(example = json!(["failed"]))]
    statuses: Vec<&'static str>,
    full_numbers: bool,
    /// `queued`, `running`, `ready`, `failed` or `expired`.
    #[schema(value_type = String, example = "queued")]
    status: ExportStatus,
    /// Rows of the file, once it is ready.
    rows: u64,
    /// Octets of the file, once it is ready.
    bytes: u64,
    /// Why it failed.
    reason: Option<String>,
    #[schema(value_type = Uuid)]
    created_by: UserId,
    created_at: Moment,
    /// When the file is removed.
    expires_at: Option<Moment>,
}

impl From<Export> for ExportView {
    fn from(export: Export) -> Self {
        Self {
            id: export.id,
            campaign_id: export.campaign_id,
            format: export.format,
            statuses: export.statuses.into_iter().map(status_word).collect(),
            full_numbers: export.full_numbers,
            status: export.status,
            rows: export.rows,
            bytes: export.bytes,
            reason: export.reason,
            created_by: export.created_by,
            created_at: export.created_at.into(),
            expires_at: export.expires_at.map(Moment),
        }
    }
}

/// Asks for a file of the campaign's recipients; it is made in the background.
#[utoipa::path(
    post, path = "/w/{slug}/campaigns/{id}/exports", tag = "Exports", request_body = NewExport,
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 202, body = ExportView), (status = 429, description = "Too many exports wait or are kept"))
)]
async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Body(asked): Body<NewExport>,
) -> Result<(StatusCode, Json<ExportView>), Problem> {
    let campaign = own(&api, &member, id).await?;
    if asked.full_numbers {
        may_see_numbers(&member)?;
        has_numbers(&campaign)?;
    }
    let statuses = asked.status.map_or(Ok(Vec::new()), OneOrMore::statuses)?;
    let is_full = async |scope, statuses: &[ExportStatus], most| -> Result<bool, Problem> {
        Ok(count(&api, scope, statuses).await? >= most)
    };
    let waiting = [ExportStatus::Queued, ExportStatus::Running];
    let kept = [ExportStatus::Queued, ExportStatus::Running, ExportStatus::Ready];
    if is_full(Scope::Platform, &waiting, MAX_WAITING).await?
        || is_full(member.scope(), &kept, MAX_OF_WORKSPACE).await?
    {
        let told = "Too many exports wait or are kept; try again when some have expired.";
        return Err(Problem::because(Code::RateLimited, told));
    }
    let export = Export {
        id: Uuid::now_v7(),
        workspace_id: campaign.workspace_id,
        campaign_id: campaign.id,
        format: asked.format,
        statuses,
        full_numbers: asked.full_numbers,
        status: ExportStatus::Queued,
        rows: 0,
        bytes: 0,
        reason: None,
        created_by: member.user_id(),
        version: 0,
        created_at: api.now(),
        expires_at: None,
    };
    let action = if export.full_numbers { "export.create_full_numbers" } else { "export.create" };
    let entity = Entity::Export(export.clone());
    let change = Change { scope: member.scope(), expect: Expect::Absent, entity, action };
    api.catalog.apply(vec![change], &member.principal(), api.now()).await?;
    api.exports.ring();
    Ok((StatusCode::ACCEPTED, Json(export.into())))
}

/// How many exports stand there, counted to the size of a page: both limits are below it.
async fn count(api: &Api, scope: Scope, statuses: &[ExportStatus]) -> Result<usize, Problem> {
    let statuses = statuses.iter().map(|status| format!("{status:?}")).collect();
    let query = Query { kind: Kind::Export, statuses, parent: None, after: None, limit: MAX_PAGE };
    Ok(api.catalog.list(scope, query).await?.items.len())
}

fn may_see_numbers(member: &Member) -> Result<(), Problem> {
    match member.may(Action::Reveal) {
        true => Ok(()),
        false => Err(Problem::because(Code::Forbidden, "You may not see full numbers.")),
    }
}

async fn found(api: &Api, member: &Member, id: Uuid) -> Result<Export, Problem> {
    let export = match api.catalog.get(member.scope(), Kind::Export, EntityId(id)).await? {
        Entity::Export(export) => export,
        _ => return Err(Problem::new(Code::NotFound)),
    };
    visible(api, member, export.campaign_id.0).await?;
    member.must_own(export.created_by)?;
    Ok(export)
}

/// How an export stands.
#[utoipa::path(
    get, path = "/w/{slug}/exports/{id}", tag = "Exports",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The export")),
    responses((status = 200, body = ExportView))
)]
async fn one(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Json<ExportView>, Problem> {
    Ok(Json(found(&api, &member, id).await?.into()))
}

/// The file of an export that is ready; every download is on record.
#[utoipa::path(
    get, path = "/w/{slug}/exports/{id}/file", tag = "Exports",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The export")),
    responses((status = 200, body = String, content_type = "text/csv"),
        (status = 409, description = "It is not ready"), (status = 410, description = "It has expired"))
)]
async fn file(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Response, Problem> {
    let export = found(&api, &member, id).await?;
    if export.full_numbers {
        may_see_numbers(&member)?;
    }
    let is_over = export.expires_at.is_some_and(|at| at <= api.now());
    match export.status {
        ExportStatus::Expired => return Err(Problem::new(Code::Gone)),
        ExportStatus::Ready if is_over => return Err(Problem::new(Code::Gone)),
        ExportStatus::Ready => {}
        ExportStatus::Queued | ExportStatus::Running => {
            return Err(Problem::because(Code::StateConflict, "The file is not ready yet."));
        }
        ExportStatus::Failed => {
            return Err(Problem::because(Code::StateConflict, "The file could not be made."));
        }
    }
    let file = File::open(api.exports.path(export.id)).map_err(|error| {
        tracing::error!(export = %export.id, %error, "an exported file cannot be read");
        Problem::new(Code::Gone)
    })?;
    let details = json!({ "export": export.id, "full_numbers": export.full_numbers, "rows": export.rows });
    note(&api, &member, "export.download", (Kind::Export, EntityId(export.id)), details).await?;
    Ok(download(file, &export))
}

fn download(file: File, export: &Export) -> Response {
    let (media, ending) = match export.format {
        ExportFormat::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        ExportFormat::Txt => ("text/plain; charset=utf-8", "txt"),
    };
    let name = format!("attachment; filename=\"export-{}.{ending}\"", export.id);
    let name = HeaderValue::from_str(&name).expect("a UUID is a header value");
    let blocks = futures_util::stream::unfold(file, async |file| {
        match tokio::task::spawn_blocking(move || block(file)).await {
            Ok(Ok((block, file))) if !block.is_empty() => Some((Ok(block), file)),
            Ok(Ok(_)) => None,
            Ok(Err((error, file))) => Some((Err(error), file)),
            Err(_) => None,
        }
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media)),
        (header::CONTENT_LENGTH, HeaderValue::from(export.bytes)),
        (header::CONTENT_DISPOSITION, name),
    ];
    (headers, Octets::from_stream(blocks)).into_response()
}

/// The next octets of a file, none at its end.
fn block(mut file: File) -> Result<(Bytes, File), (std::io::Error, File)> {
    let mut block = vec![0; BLOCK_OCTETS];
    match file.read(&mut block) {
        Ok(read) => {
            block.truncate(read);
            Ok((block.into(), file))
        }
        Err(error) => Err((error, file)),
    }
}
