//! The pre-flight of a campaign: everything that can be known before it is sent, as a list to tick off (R188).
//!
//! It only looks. The engine asks the same before a large campaign begins to send; before the approval the judgement of
//! an edit is asked besides, and how long it takes and whether it is large are told for people.

use super::{find, judge_stored};
use crate::api::authoring::judge::Judged;
use crate::api::caller::Member;
use crate::api::problem::Problem;
use crate::api::query::Path;
use crate::api::state::Api;
use axum::extract::State;
use engine::Check;
use engine::model::{Campaign, Status};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Seconds of an hour.
const HOUR_S: u64 = 3_600;

/// Whether a campaign is fit to be sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Preflight)]
pub(super) struct PreflightView {
    /// Whether every check is fine.
    go: bool,
    /// One by one.
    checks: Vec<CheckView>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreflightCheck)]
pub(super) struct CheckView {
    /// `sender`, `text`, `recipients`, `schedule`, `channels`, `store`, `disk`, `limits` or `size`.
    #[schema(example = "sender")]
    name: &'static str,
    ok: bool,
    /// In words.
    detail: String,
}

/// Looks at everything that a campaign needs to be sent.
#[utoipa::path(
    get, path = "/w/{slug}/campaigns/{id}/preflight", tag = "Campaigns",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Campaign")),
    responses((status = 200, body = PreflightView))
)]
pub(super) async fn preflight(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<PreflightView>, Problem> {
    let campaign = find(&api, &member, id).await?;
    let mut checks: Vec<_> =
        api.engine.preflight(&campaign).await?.into_iter().map(CheckView::from).collect();
    if campaign.status == Status::New {
        // Behind the approval what was approved holds, also when today it would not be taken any more.
        let judged = judge_stored(&api, &member, &campaign).await?;
        checks.iter_mut().for_each(|check| check.judge(&judged));
    }
    checks.extend([limits(&api, &member, &campaign), size(&member, &campaign)]);
    Ok(axum::Json(PreflightView { go: checks.iter().all(|check| check.ok), checks }))
}

impl From<Check> for CheckView {
    fn from(check: Check) -> Self {
        let Check { name, ok, detail } = check;
        Self { name, ok, detail }
    }
}

impl CheckView {
    /// Not fine either when the judgement found something about the fields that it is about.
    fn judge(&mut self, judged: &Judged) {
        let fields: &[&str] = match self.name {
            "sender" => &["sender_id", "saddr", "ston", "snpi"],
            "text" => &["text"],
            "schedule" => &SCHEDULE_FIELDS,
            _ => return,
        };
        let errors = judged.findings.errors();
        if let Some(error) = errors.into_iter().find(|error| fields.contains(&error.field.as_str())) {
            (self.ok, self.detail) = (false, error.message);
        }
    }
}

/// What the schedule is made of.
const SCHEDULE_FIELDS: [&str; 9] = [
    "mode",
    "start_at",
    "window",
    "window.from",
    "window.to",
    "time_zone",
    "daily_limit",
    "validity_s",
    "ignore_daily_window",
];

/// How long it takes at the rates that hold for it; nothing here forbids a slow campaign.
fn limits(api: &Api, member: &Member, campaign: &Campaign) -> CheckView {
    let pinned = campaign.content.rules.channel.as_deref();
    let used = api.engine.channels_of(&member.workspace, pinned).unwrap_or_default();
    let rates: Vec<u64> = api
        .engine
        .channels()
        .iter()
        .filter(|channel| used.contains(&channel.name))
        .map(|channel| u64::from(channel.rate_per_s))
        .collect();
    // A channel without a limit takes whatever comes.
    let of_channels = if rates.contains(&0) { 0 } else { rates.iter().sum() };
    let slowest =
        [of_channels, u64::from(member.workspace.rate_per_s)].into_iter().filter(|rate| *rate > 0).min();
    let segments = campaign.recipients.saturating_mul(u64::from(campaign.content.parts));
    let detail = match slowest {
        None => format!("{segments} segments, no rate limit"),
        Some(rate) => {
            let seconds = segments.div_ceil(rate);
            let (hours, minutes) = (seconds / HOUR_S, seconds % HOUR_S / 60);
            format!("{segments} segments at {rate} a second: at least {hours} h {minutes} min")
        }
    };
    CheckView { name: "limits", ok: true, detail }
}

fn size(member: &Member, campaign: &Campaign) -> CheckView {
    let (name, ok, count) = ("size", true, campaign.recipients);
    let detail = match member.workspace.policies.large_campaign_threshold {
        Some(threshold) if count >= threshold => {
            format!("large: {count} recipients, {threshold} or more are large")
        }
        Some(threshold) => format!("{count} recipients; {threshold} or more are large"),
        None => format!("{count} recipients; the workspace has no threshold for large campaigns"),
    };
    CheckView { name, ok, detail }
}
