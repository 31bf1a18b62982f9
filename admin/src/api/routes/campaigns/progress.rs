//! A campaign's counts as they change: one event a second at most, until it has ended.
//!
//! Whether the caller may still see the campaign is asked again before every event; what was taken away ends the
//! stream. Streams are counted, and end by themselves after a while: a page that is open asks again.

use super::visible;
use crate::api::caller::Member;
use crate::api::campaign_view::{CountsView, Live, live};
use crate::api::guard::{Access, readmit};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::routes::Routes;
use crate::api::state::Api;
use crate::api::streams;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use engine::model::{Campaign, HoldReason, Status};
use futures_util::Stream;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(1);
/// Silence after which a comment shows that the stream lives: below the idle time of usual proxies.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longest stream; a browser's event source asks again by itself.
const LONGEST: Duration = Duration::from_mins(15);

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

/// What a stream goes on with.
struct Following {
    api: Arc<Api>,
    member: Member,
    id: Uuid,
    sent: Option<Standing>,
    next: Instant,
    ends: Instant,
    _place: streams::Place,
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
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    visible(&api, &member, id).await?;
    let refused = || Problem::because(Code::RateLimited, "Too many streams are open; close one of them.");
    let place = api.streams.take(member.user_id()).ok_or_else(refused)?;
    let now = Instant::now();
    let following = Following { api, member, id, sent: None, next: now, ends: now + LONGEST, _place: place };
    let events = futures_util::stream::unfold(following, async |mut following| {
        let event = following.news().await?;
        Some((Ok(event), following))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

impl Following {
    /// The next event; `None` ends the stream.
    async fn news(&mut self) -> Option<Event> {
        if self.sent.as_ref().is_some_and(|sent| sent.status.is_final()) {
            return None;
        }
        loop {
            tokio::time::sleep_until(self.next).await;
            self.next = Instant::now() + LOOK;
            if self.next > self.ends {
                return None;
            }
            let standing = self.look().await.ok()?;
            if self.sent.as_ref() != Some(&standing) {
                let event = Event::default().event("progress").json_data(&standing).ok()?;
                self.sent = Some(standing);
                return Some(event);
            }
        }
    }

    async fn look(&mut self) -> Result<Standing, Problem> {
        self.member = readmit(&self.api, &self.member).await?;
        let campaign = visible(&self.api, &self.member, self.id).await?;
        Ok(standing(&self.api, &campaign))
    }
}

fn standing(api: &Api, campaign: &Campaign) -> Standing {
    let Live { counts, hold_reason, .. } = live(api, campaign);
    Standing { status: campaign.status, hold_reason, counts: counts.into() }
}
