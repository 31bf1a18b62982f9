//! The refused lines of a recipient file: kept as the job errors of its draft or campaign, read back as csv (R111).

use crate::api::csv::cell;
use crate::api::problem::Problem;
use crate::api::state::Api;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use engine::model::{CampaignId, JobError, JobErrors};
use engine::store::{MAX_PAGE, Scope};
use futures_util::stream;
use std::fmt::Write;
use std::sync::Arc;

/// Keeps them in the place of those of an earlier file. The list itself is stored by then: without them it is whole.
pub(crate) async fn keep(api: &Api, scope: Scope, id: CampaignId, errors: JobErrors) {
    if let Err(error) = api.catalog.replace_job_errors(scope, id, errors).await {
        tracing::warn!(campaign = %id, %error, "the refused lines of a recipient file were not kept");
    }
}

/// All that are kept, a page at a time.
///
/// # Errors
/// The store's, for the first page; a later one ends the body early.
pub(crate) async fn csv(api: &Arc<Api>, scope: Scope, id: CampaignId) -> Result<Response, Problem> {
    let first = api.catalog.job_errors(scope, id, 0, MAX_PAGE).await?;
    let begin = (Some(first), true, Arc::clone(api));
    let pages = stream::try_unfold(begin, move |(page, is_first, api)| async move {
        let Some(page) = page else { return Ok::<_, std::io::Error>(None) };
        let mut text = if is_first { "line,reason,detail,explanation\r\n".to_owned() } else { String::new() };
        page.items.iter().for_each(|error| line(&mut text, error));
        let next = match page.items.last() {
            Some(last) if page.items.len() == MAX_PAGE => {
                let page = api.catalog.job_errors(scope, id, last.seq, MAX_PAGE).await;
                Some(page.map_err(std::io::Error::other)?)
            }
            _ => {
                if page.beyond() > 0 {
                    // Writing to a string does not fail.
                    let _ =
                        write!(text, ",more,,{} further lines are counted and not listed\r\n", page.beyond());
                }
                None
            }
        };
        Ok(Some((text, (next, false, api))))
    });
    let mut response = Response::new(Body::from_stream(pages));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = "attachment; filename=\"rejects.csv\"";
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(response)
}

fn line(text: &mut String, error: &JobError) {
    let line = error.line.map(|line| line.to_string()).unwrap_or_default();
    let (detail, sentence) = (cell(&error.detail), cell(error.code.sentence()));
    // Writing to a string does not fail.
    let _ = write!(text, "{line},{},{detail},{sentence}\r\n", error.code.code());
}
