//! A campaign's counts as they change: one event a second at most, until it has ended.
//!
//! Whether the caller may still see the campaign is asked again before every event; what was taken away ends the
//! stream. It ends by itself after a while: a page that is open asks again.

use super::visible;
use crate::api::caller::Member;
use crate::api::campaign_view::{CountsView, Live, live};
use crate::api::guard::{Access, readmit};
use crate::api::permission::Action;
use crate::api::problem::Problem;
use crate::api::query::Path;
use crate::api::routes::Routes;
use crate::api::state::Api;
use crate::api::stream::stream;
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use engine::model::{Campaign, HoldReason, Status};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Longest stream, seconds; a browser's event source asks again by itself.
const LONGEST_S: u64 = 15 * 60;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Workspace(Action::CampaignRead), routes!(progress))
}

/// Where a campaign stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = CampaignStanding)]
pub(crate) struct Standing {
    #[schema(value_type = String, example = "Sending")]
    status: Status,
    /// Why it waits, if it does.
    #[schema(value_type = Option<String>, example = "quiet_hours")]
    hold_reason: Option<HoldReason>,
    counts: CountsView,
}

/// Follows a campaign's counts as server-sent events named `progress`, one a second at most while they change. The
/// stream ends when the campaign has ended, and after a quarter of an hour.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns/{id}/progress", tag = "Campaigns",
    params(("slug" = String, Path, description = "The workspace"), ("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, body = Standing, content_type = "text/event-stream"),
        (status = 429, description = "Too many streams are open"))
)]
async fn progress(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<Response, Problem> {
    visible(&api, &member, id).await?;
    let (source, reader, shown) = (Arc::clone(&api), member.clone(), Arc::new(Mutex::new(None::<Standing>)));
    let next = move |tick: u64| {
        let (api, reader, shown) = (Arc::clone(&source), reader.clone(), Arc::clone(&shown));
        async move {
            let before = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if tick > LONGEST_S || before.as_ref().is_some_and(|standing| standing.status.is_final()) {
                return None;
            }
            let reader = readmit(&api, &reader).await.ok()?;
            let standing = standing(&api, &visible(&api, &reader, id).await.ok()?);
            if before.as_ref() == Some(&standing) {
                return Some(Vec::new());
            }
            let event = Event::default().event("progress").json_data(&standing).ok()?;
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(standing);
            Some(vec![event])
        }
    };
    stream(api, member, next)
}

fn standing(api: &Api, campaign: &Campaign) -> Standing {
    let Live { counts, hold_reason, .. } = live(api, campaign);
    Standing { status: campaign.status, hold_reason, counts: counts.into() }
}
