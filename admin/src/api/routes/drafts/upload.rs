//! Recipient files of drafts. The file is taken in under a number of its own and put in the place of the former one when
//! all of it is durable: a file that fails leaves the former list as it was.

use super::{UploadView, find_open, store};
use crate::api::authoring::edit;
use crate::api::authoring::fields::Fields;
use crate::api::authoring::list::discard;
use crate::api::authoring::reception::{FileQuery, receive};
use crate::api::authoring::rejects;
use crate::api::authoring::upload::Taken;
use crate::api::caller::Member;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::request::to_its_end;
use crate::api::state::Api;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::model::{CampaignId, CampaignNo, Draft, Upload};
use std::sync::Arc;
use uuid::Uuid;

/// How often a finished file is put into a draft that others change at the same moment.
const ATTEMPTS: usize = 5;

/// Uploads the recipients of a draft; a later file takes the place of an earlier one, which stays when this one fails.
#[utoipa::path(
    put, path = "/w/{slug}/drafts/{id}/recipients", tag = "Drafts",
    params(FileQuery, ("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Draft")),
    request_body(content((String = "text/csv"), (String = "text/plain"))),
    responses(
        (status = 200, body = UploadView),
        (status = 408, description = "The file comes too slowly", content_type = "application/problem+json"),
        (status = 429, description = "Too many lists are being written", content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", content_type = "application/problem+json")
    )
)]
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Query(query): Query<FileQuery>,
    request: Request,
) -> Result<axum::Json<UploadView>, Problem> {
    let draft = find_open(&api, &member, id).await?;
    let text = Fields::of_draft(&draft.fields).text.get().cloned();
    // To its end also when the client goes away: a list that is durable must get its owner.
    let work = async move {
        let taken = receive(&api, &member, (query, text.as_deref()), request).await?;
        attach(&api, &member, draft, taken).await
    };
    to_its_end(work).await.map(axum::Json)
}

async fn attach(api: &Api, member: &Member, draft: Draft, taken: Taken) -> Result<UploadView, Problem> {
    let (no, id) = (taken.stored.no, draft.id);
    let upload = edit::upload(&taken, member.user_id(), api.now());
    match swap(api, member, draft, (no, Some(upload.clone()))).await {
        Ok(former) => discard(api, former).await,
        Err(problem) => {
            discard(api, no).await;
            return Err(problem);
        }
    }
    rejects::keep(api, member.scope(), id, taken.rejects).await;
    Ok(UploadView::new(&upload, taken.sample))
}

/// Puts a list in the place of the draft's, which is given back.
async fn swap(
    api: &Api,
    member: &Member,
    draft: Draft,
    (no, upload): (CampaignNo, Option<Upload>),
) -> Result<CampaignNo, Problem> {
    let id = draft.id.0;
    let mut draft = draft;
    for _ in 0..ATTEMPTS {
        let former = draft.no;
        let action = if upload.is_some() { "recipients.upload" } else { "recipients.remove" };
        match store(api, member, &Draft { no, upload: upload.clone(), ..draft }, action).await {
            Err(problem) if problem.code() == Code::VersionChanged => {}
            stored => return stored.map(|_| former),
        }
        draft = find_open(api, member, id).await?;
    }
    Err(Problem::new(Code::VersionChanged))
}

/// Removes the recipients of a draft.
#[utoipa::path(
    delete, path = "/w/{slug}/drafts/{id}/recipients", tag = "Drafts",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Draft")),
    responses((status = 204))
)]
pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<StatusCode, Problem> {
    let draft = find_open(&api, &member, id).await?;
    let no = api.catalog.next_campaign_no().await?;
    let former = swap(&api, &member, draft, (no, None)).await?;
    rejects::keep(&api, member.scope(), CampaignId(id), engine::model::JobErrors::default()).await;
    // Last: whoever goes away does not wait for it.
    discard(&api, former).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The refused and repeated lines of the recipient file, the first 10,000, numbers masked.
#[utoipa::path(
    get, path = "/w/{slug}/drafts/{id}/recipients/rejects", tag = "Drafts",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Draft")),
    responses((status = 200, body = String, content_type = "text/csv", example = "line,reason,detail,explanation\r\n"))
)]
pub(super) async fn rejects(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Response, Problem> {
    super::find(&api, &member, id).await?;
    rejects::csv(&api, member.scope(), CampaignId(id)).await
}
