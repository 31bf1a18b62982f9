//! The pre-flight of a campaign: everything that can be known before it is sent, as a list to tick off (R188).
//!
//! It only looks. What the engine checks when it builds and starts a campaign is checked there again.

use super::{find, judge_stored};
use crate::api::authoring::judge::Judged;
use crate::api::caller::Member;
use crate::api::problem::Problem;
use crate::api::query::Path;
use crate::api::state::Api;
use axum::extract::State;
use engine::model::{Campaign, Mode};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Octets that a recipient may take on the disk while its campaign runs: number, state and journal, generously.
const OCTETS_PER_RECIPIENT: u64 = 200;
/// Octets that stay free besides: the log of the store and the audit log go on.
const SPARE_OCTETS: u64 = 256 << 20;
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
    let judged = judge_stored(&api, &member, &campaign).await?;
    let checks = vec![
        of_fields("sender", &judged, &["sender_id", "saddr", "ston", "snpi"], sender(&judged)),
        of_fields("text", &judged, &["text"], format!("{} segments at most", campaign.content.parts)),
        recipients(&api, &campaign).await?,
        of_fields("schedule", &judged, &SCHEDULE_FIELDS, "can be kept".to_owned()),
        channels(&api, &campaign),
        store(&api),
        disk(&api, &campaign),
        limits(&api, &member, &campaign),
        size(&member, &campaign),
    ];
    Ok(axum::Json(PreflightView { go: checks.iter().all(|check| check.ok), checks }))
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

/// Fine unless the judgement found something about these fields.
fn of_fields(name: &'static str, judged: &Judged, fields: &[&str], fine: String) -> CheckView {
    let found = judged.findings.errors().into_iter().find(|error| fields.contains(&error.field.as_str()));
    CheckView { name, ok: found.is_none(), detail: found.map_or(fine, |error| error.message) }
}

fn sender(judged: &Judged) -> String {
    judged.source.as_ref().map_or_else(String::new, |revision| format!("{} is approved", revision.saddr))
}

async fn recipients(api: &Api, campaign: &Campaign) -> Result<CheckView, Problem> {
    let stored = api.journal.header(campaign.no).await.map(|header| header.recipients);
    let name = "recipients";
    Ok(match stored {
        Ok(_) if campaign.mode == Mode::Trigger => {
            CheckView { name, ok: true, detail: "come by calls".to_owned() }
        }
        Ok(stored) => {
            let ok = stored == campaign.recipients && stored > 0;
            CheckView { name, ok, detail: format!("{stored} of {} are stored", campaign.recipients) }
        }
        Err(engine::store::StoreError::NotFound) => {
            CheckView { name, ok: false, detail: "the list is missing".to_owned() }
        }
        Err(error) => return Err(error.into()),
    })
}

fn channels(api: &Api, campaign: &Campaign) -> CheckView {
    let name = "channels";
    let pinned = campaign.content.rules.channel.as_deref();
    let used = match api.engine.channels_of(campaign.workspace_id, pinned) {
        Ok(used) => used,
        Err(error) => return CheckView { name, ok: false, detail: error.to_string() },
    };
    let all = api.engine.channels();
    let is_up =
        |name: &&String| all.iter().any(|channel| channel.name == **name && channel.up.contains(&true));
    let up: Vec<&str> = used.iter().filter(is_up).map(String::as_str).collect();
    let detail = match up.len() {
        0 => format!("none of {} is bound", used.join(", ")),
        _ => format!("bound: {}", up.join(", ")),
    };
    CheckView { name, ok: !up.is_empty(), detail }
}

fn store(api: &Api) -> CheckView {
    let ok = api.engine.is_running() && api.engine.is_storing();
    let detail = if ok { "takes facts" } else { "takes no facts at present" };
    CheckView { name: "store", ok, detail: detail.to_owned() }
}

fn disk(api: &Api, campaign: &Campaign) -> CheckView {
    let name = "disk";
    let needed = campaign.recipients.saturating_mul(OCTETS_PER_RECIPIENT).saturating_add(SPARE_OCTETS);
    match rustix::fs::statvfs(&api.intakes.scratch) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let detail = format!("{} MiB free, {} MiB wanted", free >> 20, needed >> 20);
            CheckView { name, ok: free >= needed, detail }
        }
        Err(error) => CheckView { name, ok: false, detail: format!("cannot be looked at: {error}") },
    }
}

/// How long it takes at the rates that hold for it; nothing here forbids a slow campaign.
fn limits(api: &Api, member: &Member, campaign: &Campaign) -> CheckView {
    let pinned = campaign.content.rules.channel.as_deref();
    let used = api.engine.channels_of(campaign.workspace_id, pinned).unwrap_or_default();
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
