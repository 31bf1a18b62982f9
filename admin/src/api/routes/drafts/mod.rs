//! Drafts: campaigns that are being filled in (C23). A draft is no campaign and is counted nowhere; submitted, it becomes
//! the campaign of the same id.
//!
//! Fields are checked one by one when they are written and as a whole at preview and submit. Only its author and the
//! workspace's admins get at a draft.

pub(super) mod submit;
#[cfg(test)]
pub(super) mod tests;
mod upload;

use super::Routes;
use crate::api::authoring::edit::with_hand;
use crate::api::authoring::fields::{Edit, Fields};
use crate::api::authoring::findings::Findings;
use crate::api::authoring::judge::{Bench, ListFacts, judge};
use crate::api::authoring::list::discard;
use crate::api::authoring::outlook::{Outlook, outlook};
use crate::api::caller::Member;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery};
use crate::api::permission::{Action, Grant};
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::state::Api;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use engine::model::{CampaignId, Draft, DraftStatus, EntityId, Upload, UserId, WorkspaceId};
use engine::store::{Change, Entity, Expect, Kind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Most open drafts of one author in a workspace: more are forgotten ones, each with a list on the disk.
const MAX_OPEN: usize = 100;

pub(super) fn routes() -> Routes {
    let write = Access::Workspace(Action::CampaignWrite);
    Routes::new()
        .with(write, routes!(list, create))
        .with(write, routes!(read, change, remove))
        .with(write, routes!(upload::put, upload::remove))
        .with(write, routes!(upload::rejects))
        .with(write, routes!(preview))
        .with(write, routes!(submit::submit))
}

/// A draft.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Draft)]
pub(crate) struct DraftView {
    /// Its id, which becomes the campaign's.
    #[schema(value_type = Uuid)]
    id: CampaignId,
    #[schema(value_type = Uuid)]
    workspace_id: WorkspaceId,
    /// `Open` or `Submitted`.
    #[schema(value_type = String, example = "Open")]
    status: DraftStatus,
    /// Counts changes.
    version: u32,
    /// What was written so far.
    #[serde(flatten)]
    fields: Fields,
    /// What its recipient file held.
    upload: Option<UploadView>,
    #[schema(value_type = Uuid)]
    created_by: UserId,
    created_at: Moment,
    updated_at: Moment,
}

/// What a recipient file held.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
pub(crate) struct UploadView {
    /// Different recipients that were taken.
    accepted: u64,
    /// Lines that repeat an earlier number.
    duplicate: u64,
    /// Lines that were refused.
    invalid: u64,
    lines: u64,
    bytes: u64,
    /// Refused lines by the code of their job error.
    #[schema(example = json!({"line_not_a_number": 2}))]
    invalid_by_reason: BTreeMap<String, u64>,
    /// Names of the columns, or `c1`, `c2` without a header.
    columns: Vec<String>,
    /// The variables whose values were taken.
    variables: Vec<String>,
    /// The first numbers, masked; in the answer to an upload only.
    sample: Vec<String>,
}

impl UploadView {
    /// As answers show it.
    pub(in crate::api::routes) fn new(upload: &Upload, sample: Vec<String>) -> Self {
        Self {
            accepted: upload.accepted,
            duplicate: upload.duplicate,
            invalid: upload.invalid,
            lines: upload.lines,
            bytes: upload.bytes,
            invalid_by_reason: upload.invalid_by_reason.clone(),
            columns: upload.columns.clone(),
            variables: upload.variables.iter().map(|variable| variable.name.clone()).collect(),
            sample,
        }
    }
}

fn view(draft: &Draft) -> DraftView {
    DraftView {
        id: draft.id,
        workspace_id: draft.workspace_id,
        status: draft.status,
        version: draft.version,
        fields: Fields::of_draft(&draft.fields),
        upload: draft.upload.as_ref().map(|upload| UploadView::new(upload, Vec::new())),
        created_by: draft.created_by,
        created_at: draft.created_at.into(),
        updated_at: draft.updated_at.into(),
    }
}

/// A draft that this member may work on, whatever became of it; deleted ones are gone.
async fn find(api: &Api, member: &Member, id: Uuid) -> Result<Draft, Problem> {
    let Entity::Draft(draft) = api.catalog.get(member.scope(), Kind::Draft, EntityId(id)).await? else {
        return Err(Problem::new(Code::NotFound));
    };
    if draft.status == DraftStatus::Deleted {
        return Err(Problem::new(Code::NotFound));
    }
    member.must_own(draft.created_by)?;
    Ok(draft)
}

/// The same while it can be changed.
async fn find_open(api: &Api, member: &Member, id: Uuid) -> Result<Draft, Problem> {
    let draft = find(api, member, id).await?;
    match draft.status {
        DraftStatus::Open => Ok(draft),
        DraftStatus::Submitted | DraftStatus::Deleted => {
            Err(Problem::because(Code::StateConflict, "The draft was submitted; edit the campaign instead."))
        }
    }
}

/// Stores the next version of a draft.
async fn store(api: &Api, member: &Member, draft: &Draft, action: &'static str) -> Result<Draft, Problem> {
    let edited_by = with_hand(draft.edited_by.clone(), draft.created_by, member.user_id());
    let next = Draft { version: draft.version + 1, updated_at: api.now(), edited_by, ..draft.clone() };
    let (scope, expect) = (member.scope(), Expect::Version(draft.version));
    let change = Change { scope, expect, entity: Entity::Draft(next.clone()), action };
    api.catalog.apply(vec![change], &member.principal(), next.updated_at).await?;
    Ok(next)
}

/// What is known of a draft's recipients.
fn facts(draft: &Draft) -> Option<ListFacts> {
    let upload = draft.upload.as_ref()?;
    Some(ListFacts { recipients: upload.accepted, variables: upload.variables.clone() })
}

/// Open drafts, the newest first: an Admin sees all, others their own.
#[utoipa::path(
    get, path = "/w/{slug}/drafts", tag = "Drafts", params(PageQuery, ("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = Listed<DraftView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Listed<DraftView>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let parent = (member.grant == Grant::Own).then(|| member.user_id().into());
    let page = api.catalog.list(member.scope(), open_drafts(parent, after, limit)).await?;
    let items = page.items.iter().filter_map(|entity| match entity {
        Entity::Draft(draft) => Some(view(draft)),
        _ => None,
    });
    Ok(axum::Json(Listed { items: items.collect(), next_cursor: page.next.map(|id| id.0.to_string()) }))
}

fn open_drafts(parent: Option<EntityId>, after: Option<EntityId>, limit: usize) -> engine::store::Query {
    let statuses = vec![format!("{:?}", DraftStatus::Open)];
    engine::store::Query { kind: Kind::Draft, statuses, parent, after, limit }
}

/// Begins a draft, perhaps with some fields.
#[utoipa::path(
    post, path = "/w/{slug}/drafts", tag = "Drafts", params(("slug" = String, Path, description = "Slug")),
    request_body = Fields,
    responses((status = 201, body = DraftView, headers(("location" = String, description = "The draft"))))
)]
async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Json(fields): Json<Fields>,
) -> Result<(StatusCode, HeaderMap, axum::Json<DraftView>), Problem> {
    check(&fields)?;
    let mine = open_drafts(Some(member.user_id().into()), None, MAX_OPEN);
    if api.catalog.list(member.scope(), mine).await?.items.len() >= MAX_OPEN {
        let told = format!("You have {MAX_OPEN} open drafts; submit or delete some of them first.");
        return Err(Problem::because(Code::StateConflict, told));
    }
    let now = api.now();
    let draft = Draft {
        id: CampaignId(Uuid::now_v7()),
        workspace_id: member.workspace.id,
        no: api.catalog.next_campaign_no().await?,
        fields: Fields::default().merged(&fields).stored(),
        upload: None,
        status: DraftStatus::Open,
        created_by: member.user_id(),
        edited_by: Vec::new(),
        version: 0,
        created_at: now,
        updated_at: now,
    };
    let (scope, expect, action) = (member.scope(), Expect::Absent, "draft.create");
    let change = Change { scope, expect, entity: Entity::Draft(draft.clone()), action };
    api.catalog.apply(vec![change], &member.principal(), now).await?;
    let location = location(&member.workspace.slug, "drafts", draft.id);
    Ok((StatusCode::CREATED, location, axum::Json(view(&draft))))
}

/// Where something new is.
pub(in crate::api::routes) fn location(slug: &str, collection: &str, id: CampaignId) -> HeaderMap {
    let path = format!("{}/w/{slug}/{collection}/{id}", super::BASE);
    let value = HeaderValue::from_str(&path).expect("slugs and ids are plain text");
    HeaderMap::from_iter([(header::LOCATION, value)])
}

fn check(fields: &Fields) -> Result<(), Problem> {
    let mut findings = Findings::default();
    fields.check_bounds(&mut findings);
    findings.check()
}

/// A draft.
#[utoipa::path(
    get, path = "/w/{slug}/drafts/{id}", tag = "Drafts",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Draft")),
    responses((status = 200, body = DraftView))
)]
async fn read(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<DraftView>, Problem> {
    Ok(axum::Json(view(&find(&api, &member, id).await?)))
}

/// Changes the given fields of a draft; `null` takes one back.
#[utoipa::path(
    patch, path = "/w/{slug}/drafts/{id}", tag = "Drafts", request_body = Edit,
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Draft")),
    responses((status = 200, body = DraftView))
)]
async fn change(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Json(edit): Json<Edit>,
) -> Result<axum::Json<DraftView>, Problem> {
    let draft = find_open(&api, &member, id).await?;
    if edit.version.get().is_some_and(|seen| *seen != draft.version) {
        return Err(Problem::new(Code::VersionChanged));
    }
    let edit = edit.fields();
    check(&edit)?;
    let fields = Fields::of_draft(&draft.fields).merged(&edit).stored();
    let draft = store(&api, &member, &Draft { fields, ..draft }, "draft.update").await?;
    Ok(axum::Json(view(&draft)))
}

/// Deletes a draft and its recipients.
#[utoipa::path(
    delete, path = "/w/{slug}/drafts/{id}", tag = "Drafts",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Draft")),
    responses((status = 204))
)]
async fn remove(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<StatusCode, Problem> {
    let draft = find_open(&api, &member, id).await?;
    let no = draft.no;
    let gone = Draft { status: DraftStatus::Deleted, upload: None, fields: BTreeMap::new(), ..draft };
    store(&api, &member, &gone, "draft.delete").await?;
    discard(&api, no).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What a draft would do if it were sent as it is; what is still missing is told beside it.
#[utoipa::path(
    post, path = "/w/{slug}/drafts/{id}/preview", tag = "Drafts",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Draft")),
    responses((status = 200, body = Outlook))
)]
async fn preview(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<Outlook>, Problem> {
    let draft = find_open(&api, &member, id).await?;
    let list = facts(&draft);
    let (workspace, list) = (&*member.workspace, list.as_ref());
    let bench = Bench { api: &api, workspace, list, pinned: None };
    let judged = judge(&bench, &Fields::of_draft(&draft.fields)).await?;
    Ok(axum::Json(outlook(&api, &judged, (draft.no, list)).await?))
}
