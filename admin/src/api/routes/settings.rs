//! A workspace's settings: what its admins decide, what the provider has set, and who may do what in it.

use super::Routes;
use crate::api::authoring::quota::stored_octets;
use crate::api::caller::Member;
use crate::api::fields::{self, present};
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::permission::{Action, Grant, Standing};
use crate::api::problem::Problem;
use crate::api::state::Api;
use crate::api::workspace_change::{Hand, change};
use axum::extract::State;
use engine::intake::Region;
use engine::model::keyword::{first_word, fold};
use engine::model::{MAX_RECIPIENTS, Policies, QuietHours, Role, Workspace};
use engine::schedule::Zone;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Most words that opt a handset out: twice the built-in list.
const MAX_STOP_KEYWORDS: usize = 48;
/// Longest of them as sent; what counts of it is shorter.
const MAX_KEYWORD_CHARS: usize = 64;
/// How times of day are written.
const TIME: &str = "%H:%M";

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::WorkspaceRead), routes!(show))
        .with(Access::Workspace(Action::WorkspaceManage), routes!(edit))
}

/// Local hours of every day in which nothing is sent; `from` behind `to` spans midnight.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuietHoursBody {
    /// First quiet minute.
    #[schema(example = "21:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    from: String,
    /// First minute that is no longer quiet.
    #[schema(example = "08:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    to: String,
}

impl QuietHoursBody {
    fn check(&self) -> Result<QuietHours, Problem> {
        let time = |field: &str, text: &str| {
            let is_time = text.len() == "HH:MM".len();
            Time::strptime(TIME, text).ok().filter(|_| is_time).ok_or_else(|| {
                Problem::field(&format!("quiet_hours.{field}"), "no_time", "Write a time of day as HH:MM.")
            })
        };
        let hours = QuietHours { from: time("from", &self.from)?, to: time("to", &self.to)? };
        if hours.from == hours.to {
            let message = "Quiet hours end at another time than they begin; null for none.";
            return Err(Problem::field("quiet_hours.to", "empty", message));
        }
        Ok(hours)
    }
}

impl From<QuietHours> for QuietHoursBody {
    fn from(hours: QuietHours) -> Self {
        let text = |time: Time| time.strftime(TIME).to_string();
        Self { from: text(hours.from), to: text(hours.to) }
    }
}

/// How a workspace governs itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PoliciesView {
    /// Different people who must approve a campaign.
    #[schema(example = 1)]
    approvals_required: u8,
    /// Whether authors may draft and submit senders.
    authors_draft_senders: bool,
    /// Whether authors see the campaigns of other authors.
    authors_see_all: bool,
    /// Roles besides Admin that may see full numbers.
    #[schema(value_type = Vec<String>, example = json!(["Moderator"]))]
    reveal_roles: Vec<Role>,
    /// Recipients from which a campaign counts as large; `null` for never.
    large_campaign_threshold: Option<u64>,
    /// Words that opt a handset out; empty for the built-in list.
    #[schema(example = json!(["stop"]))]
    stop_keywords: Vec<String>,
}

/// What the provider has set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TermsView {
    /// Segments per second; 0 for no limit.
    rate_per_s: u32,
    /// Recipients of one local day; `null` for no limit.
    daily_limit: Option<u64>,
    /// Octets of recipient lists; `null` for no limit.
    storage_quota_bytes: Option<u64>,
    /// Whether an Admin or a flagged Author may approve what is their own.
    allow_self_approval: bool,
    /// The channels that it may choose; empty for every one that serves it.
    channels: Vec<String>,
}

/// One row of the table of permissions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PermissionRow {
    /// What is done.
    #[schema(example = "Approve and reject campaigns")]
    action: &'static str,
    /// What each standing is granted, in the order of `standings`.
    grants: [Grant; 5],
}

/// Who may do what in a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PermissionTable {
    /// The columns.
    standings: [Standing; 5],
    /// The rows.
    actions: Vec<PermissionRow>,
}

impl PermissionTable {
    fn whole() -> Self {
        let row = |action: &Action| PermissionRow { action: action.word(), grants: action.grants() };
        Self { standings: Standing::ALL, actions: Action::ALL.iter().map(row).collect() }
    }
}

/// A workspace's settings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsView {
    /// Its name in addresses; it stays.
    #[schema(example = "acme-corp")]
    slug: String,
    /// Its name for people.
    #[schema(example = "Acme Corporation")]
    name: String,
    /// IANA zone of its quiet hours and daily limits.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// When nothing is sent; `null` for never.
    quiet_hours: Option<QuietHoursBody>,
    /// ISO 3166 code of the country whose national numbers are understood.
    #[schema(example = "DE")]
    default_region: Option<String>,
    /// How it governs itself.
    policies: PoliciesView,
    /// What the provider has set.
    terms: TermsView,
    /// Octets of recipient lists that it keeps now, of `terms.storage_quota_bytes`.
    stored_bytes: u64,
    /// Who may do what.
    permissions: PermissionTable,
    /// Counts changes.
    version: u32,
}

impl SettingsView {
    fn of(workspace: Workspace, stored_bytes: u64) -> Self {
        let (policies, terms) = (workspace.policies, workspace.terms);
        Self {
            slug: workspace.slug,
            name: workspace.name,
            time_zone: workspace.time_zone,
            quiet_hours: workspace.quiet_hours.map(Into::into),
            default_region: policies.default_region,
            policies: PoliciesView {
                approvals_required: policies.approvals_required,
                authors_draft_senders: policies.authors_draft_senders,
                authors_see_all: policies.authors_see_all,
                reveal_roles: policies.reveal_roles,
                large_campaign_threshold: policies.large_campaign_threshold,
                stop_keywords: workspace.stop_keywords,
            },
            terms: TermsView {
                rate_per_s: workspace.rate_per_s,
                daily_limit: workspace.daily_limit,
                storage_quota_bytes: terms.storage_quota_bytes,
                allow_self_approval: terms.allow_self_approval,
                channels: terms.channels,
            },
            stored_bytes,
            permissions: PermissionTable::whole(),
            version: workspace.version,
        }
    }
}

/// The settings, with the provider's limits and the table of permissions.
#[utoipa::path(
    get, path = "/w/{slug}/settings", tag = "Settings", params(("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = SettingsView))
)]
async fn show(State(api): State<Arc<Api>>, member: Member) -> Result<axum::Json<SettingsView>, Problem> {
    let stored_bytes = stored_octets(&api, member.workspace.id).await?;
    Ok(axum::Json(SettingsView::of(Workspace::clone(&member.workspace), stored_bytes)))
}

/// A change of the policies; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoliciesChange {
    /// Different people who must approve a campaign.
    #[schema(minimum = 1, maximum = 2)]
    approvals_required: Option<u8>,
    /// Whether authors may draft and submit senders.
    authors_draft_senders: Option<bool>,
    /// Whether authors see the campaigns of other authors.
    authors_see_all: Option<bool>,
    /// Roles besides Admin that may see full numbers: `Author`, `Moderator`.
    #[schema(value_type = Option<Vec<String>>, example = json!(["Moderator"]), max_items = 2)]
    reveal_roles: Option<Vec<Role>>,
    /// Recipients from which a campaign counts as large; `null` for never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 10_000_000)]
    large_campaign_threshold: Option<Option<u64>>,
    /// Words that opt a handset out; empty for the built-in list.
    #[schema(example = json!(["stop"]), max_items = 48)]
    stop_keywords: Option<Vec<String>>,
}

impl PoliciesChange {
    /// Checks it and puts `stop_keywords` into the form in which words are compared.
    fn check(mut self) -> Result<Self, Problem> {
        if self.approvals_required.is_some_and(|count| !(1..=2).contains(&count)) {
            return Err(Problem::field("policies.approvals_required", "out_of_range", "One or two."));
        }
        if let Some(roles) = &mut self.reveal_roles {
            roles.sort_unstable();
            roles.dedup();
            if roles.contains(&Role::Admin) {
                let message = "An Admin may see full numbers anyway.";
                return Err(Problem::field("policies.reveal_roles", "admin", message));
            }
        }
        let threshold = self.large_campaign_threshold.flatten();
        if threshold.is_some_and(|threshold| !(1..=MAX_RECIPIENTS).contains(&threshold)) {
            let message = format!("From 1 to {MAX_RECIPIENTS}, or null for never.");
            return Err(Problem::field("policies.large_campaign_threshold", "out_of_range", message));
        }
        self.stop_keywords = self.stop_keywords.map(|words| stop_keywords(&words)).transpose()?;
        Ok(self)
    }

    fn apply(&self, workspace: &mut Workspace) {
        let Policies { approvals_required, authors_draft_senders, authors_see_all, .. } = workspace.policies;
        let policies = &mut workspace.policies;
        policies.approvals_required = self.approvals_required.unwrap_or(approvals_required);
        policies.authors_draft_senders = self.authors_draft_senders.unwrap_or(authors_draft_senders);
        policies.authors_see_all = self.authors_see_all.unwrap_or(authors_see_all);
        if let Some(roles) = &self.reveal_roles {
            policies.reveal_roles.clone_from(roles);
        }
        if let Some(threshold) = self.large_campaign_threshold {
            policies.large_campaign_threshold = threshold;
        }
        if let Some(words) = &self.stop_keywords {
            workspace.stop_keywords.clone_from(words);
        }
    }
}

fn stop_keywords(words: &[String]) -> Result<Vec<String>, Problem> {
    let refused = |code: &str, message: String| Problem::field("policies.stop_keywords", code, message);
    if words.len() > MAX_STOP_KEYWORDS {
        return Err(refused("too_many", format!("At most {MAX_STOP_KEYWORDS} words.")));
    }
    let mut folded = Vec::with_capacity(words.len());
    for word in words {
        let is_short = word.chars().count() <= MAX_KEYWORD_CHARS;
        // What would not be read as one word in a message would never match.
        match first_word(word).filter(|first| is_short && *first == fold(word)) {
            Some(word) => folded.push(word),
            None => return Err(refused("no_word", "Each is one word of at most 32 letters.".to_owned())),
        }
    }
    folded.sort_unstable();
    folded.dedup();
    Ok(folded)
}

/// A change of the settings; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsChange {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// IANA zone of its quiet hours and daily limits.
    #[schema(example = "Europe/Berlin", max_length = 64)]
    time_zone: Option<String>,
    /// When nothing is sent; `null` for never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<QuietHoursBody>)]
    quiet_hours: Option<Option<QuietHoursBody>>,
    /// ISO 3166 code of the country whose national numbers are understood; `null` for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "DE", pattern = "^[A-Za-z]{2}$")]
    default_region: Option<Option<String>>,
    /// How it governs itself.
    policies: Option<PoliciesChange>,
}

/// A change that was checked.
struct Checked {
    name: Option<String>,
    time_zone: Option<String>,
    quiet_hours: Option<Option<QuietHours>>,
    default_region: Option<Option<String>>,
    policies: PoliciesChange,
}

impl SettingsChange {
    fn check(self) -> Result<Checked, Problem> {
        let name = self.name.as_deref().map(|name| fields::line("name", name)).transpose()?;
        let zone = |name: &String| {
            let zone = Zone::named(name);
            zone.map(|zone| zone.name().to_owned())
                .map_err(|unknown| Problem::field("time_zone", "unknown", unknown.to_string()))
        };
        let hours = |hours: Option<QuietHoursBody>| hours.map(|hours| hours.check()).transpose();
        let region = |code: Option<String>| code.map(|code| region(&code)).transpose();
        Ok(Checked {
            name,
            time_zone: self.time_zone.as_ref().map(zone).transpose()?,
            quiet_hours: self.quiet_hours.map(hours).transpose()?,
            default_region: self.default_region.map(region).transpose()?,
            policies: self.policies.unwrap_or_default().check()?,
        })
    }
}

fn region(code: &str) -> Result<String, Problem> {
    let code = code.to_ascii_uppercase();
    let is_code = code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_uppercase());
    if !is_code || Region::new(&code).is_err() {
        return Err(Problem::field(
            "default_region",
            "unknown",
            "No country of this ISO 3166 code is known.",
        ));
    }
    Ok(code)
}

impl Checked {
    fn apply(&self, workspace: &mut Workspace) {
        if let Some(name) = &self.name {
            workspace.name.clone_from(name);
        }
        if let Some(zone) = &self.time_zone {
            workspace.time_zone.clone_from(zone);
        }
        workspace.quiet_hours = self.quiet_hours.unwrap_or(workspace.quiet_hours);
        if let Some(region) = &self.default_region {
            workspace.policies.default_region.clone_from(region);
        }
        self.policies.apply(workspace);
    }
}

/// Changes the settings; they count at once, also for campaigns that are sending.
#[utoipa::path(
    patch, path = "/w/{slug}/settings", tag = "Settings", request_body = SettingsChange,
    params(("slug" = String, Path, description = "Slug")), responses((status = 200, body = SettingsView))
)]
async fn edit(
    State(api): State<Arc<Api>>,
    member: Member,
    Json(body): Json<SettingsChange>,
) -> Result<axum::Json<SettingsView>, Problem> {
    let checked = body.check()?;
    let by = member.principal();
    let hand = Hand { scope: member.scope(), by: &by, action: "workspace.settings" };
    let edit = |workspace: &mut Workspace| {
        checked.apply(workspace);
        Ok(())
    };
    let changed = change(&api, member.workspace.id, hand, edit).await?;
    let stored_bytes = stored_octets(&api, changed.id).await?;
    Ok(axum::Json(SettingsView::of(changed, stored_bytes)))
}

#[cfg(test)]
mod tests;
