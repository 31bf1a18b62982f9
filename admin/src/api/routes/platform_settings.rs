//! The platform's settings: audit, passwords, how long numbers are kept. Only for super admins.

use super::Routes;
use crate::accounts::MAX_PASSWORD_CHARS;
use crate::api::caller::{Caller, SuperAdmin};
use crate::api::fields::present;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::platform::{change, settings};
use crate::api::problem::Problem;
use crate::api::state::Api;
use axum::extract::State;
use engine::model::{AuditOverflow, PasswordPolicy, Settings};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Longest retention, days: a hundred years.
const MAX_DAYS: u32 = 36_500;
/// Fewest characters that a password policy may ask for (ASVS 5.0, 6.2.1).
const LEAST_MIN_CHARS: u16 = 8;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::SuperAdmin, routes!(show, edit))
}

/// What a password must be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasswordPolicyView {
    /// Characters at least.
    #[schema(example = 12)]
    min_chars: u16,
    /// Whether well-known passwords are refused.
    refuse_common: bool,
}

/// A longer retention that still counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FormerRetention {
    /// Days.
    days: u32,
    /// Until when it counts.
    until: Moment,
}

/// The platform's settings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlatformSettings {
    /// How long audit events are kept, days, as it was set last.
    #[schema(example = 90)]
    audit_retention_days: u32,
    /// The days in force: a shorter time counts only when it has stood for a week.
    #[schema(example = 90)]
    audit_retention_days_in_force: u32,
    /// Longer times that still count.
    audit_retention_before: Vec<FormerRetention>,
    /// What happens to audited actions while the store is down and the fallback file is full: `drop`, `block`.
    #[schema(value_type = String, example = "drop")]
    audit_overflow: AuditOverflow,
    /// What a password must be.
    password_policy: PasswordPolicyView,
    /// How long full numbers are kept after a campaign has ended, days; `null` for ever.
    number_retention_days: Option<u32>,
    /// Counts changes.
    version: u32,
}

impl PlatformSettings {
    fn new(settings: Settings, now: Timestamp) -> Self {
        let audit_retention_days_in_force = settings.audit_retention_in_force(now);
        let before = settings.audit_retention_before.into_iter().filter(|(_, until)| *until > now);
        let PasswordPolicy { min_chars, refuse_common } = settings.password_policy;
        Self {
            audit_retention_days: settings.audit_retention_days,
            audit_retention_days_in_force,
            audit_retention_before: before
                .map(|(days, until)| FormerRetention { days, until: until.into() })
                .collect(),
            audit_overflow: settings.audit_overflow,
            password_policy: PasswordPolicyView { min_chars, refuse_common },
            number_retention_days: settings.number_retention_days,
            version: settings.version,
        }
    }
}

/// The platform's settings.
#[utoipa::path(
    get, path = "/platform/settings", tag = "Platform", responses((status = 200, body = PlatformSettings))
)]
async fn show(State(api): State<Arc<Api>>, _: SuperAdmin) -> Result<axum::Json<PlatformSettings>, Problem> {
    Ok(axum::Json(PlatformSettings::new(settings(&api).await?, api.now())))
}

/// A change of what a password must be; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordPolicyChange {
    /// Characters at least.
    #[schema(minimum = 8, maximum = 128)]
    min_chars: Option<u16>,
    /// Whether well-known passwords are refused.
    refuse_common: Option<bool>,
}

/// A change of the platform's settings; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlatformChange {
    /// How long audit events are kept, days; a shorter time counts from a week after.
    #[schema(minimum = 1, maximum = 36_500)]
    audit_retention_days: Option<u32>,
    /// What happens to audited actions while the store is down and the fallback file is full: `drop`, `block`.
    #[schema(value_type = Option<String>, example = "drop", pattern = "^(drop|block)$")]
    audit_overflow: Option<AuditOverflow>,
    /// What a password must be; it counts for passwords that are chosen from now on.
    password_policy: Option<PasswordPolicyChange>,
    /// How long numbers are kept after a campaign has ended, days; `null` for ever. Then they are erased for good and
    /// their hashes stay; it counts at once, also for campaigns that ended before.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    number_retention_days: Option<Option<u32>>,
}

impl PlatformChange {
    fn check(&self) -> Result<(), Problem> {
        let days = [
            ("audit_retention_days", self.audit_retention_days),
            ("number_retention_days", self.number_retention_days.flatten()),
        ];
        for (field, days) in days {
            if days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
                return Err(Problem::field(field, "out_of_range", format!("From 1 to {MAX_DAYS} days.")));
            }
        }
        let chars = self.password_policy.as_ref().and_then(|policy| policy.min_chars);
        if chars.is_some_and(|chars| chars < LEAST_MIN_CHARS || usize::from(chars) > MAX_PASSWORD_CHARS) {
            let message = format!("From {LEAST_MIN_CHARS} to {MAX_PASSWORD_CHARS} characters.");
            return Err(Problem::field("password_policy.min_chars", "out_of_range", message));
        }
        Ok(())
    }

    fn apply(&self, settings: &mut Settings, now: Timestamp) {
        if let Some(days) = self.audit_retention_days.filter(|days| *days != settings.audit_retention_days) {
            settings.keep_audit(days, now);
        }
        settings.audit_overflow = self.audit_overflow.unwrap_or(settings.audit_overflow);
        settings.number_retention_days = self.number_retention_days.unwrap_or(settings.number_retention_days);
        let policy = &mut settings.password_policy;
        if let Some(change) = &self.password_policy {
            policy.min_chars = change.min_chars.unwrap_or(policy.min_chars);
            policy.refuse_common = change.refuse_common.unwrap_or(policy.refuse_common);
        }
    }
}

/// Changes the platform's settings.
#[utoipa::path(
    patch, path = "/platform/settings", tag = "Platform", request_body = PlatformChange,
    responses((status = 200, body = PlatformSettings))
)]
async fn edit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(body): Json<PlatformChange>,
) -> Result<axum::Json<PlatformSettings>, Problem> {
    body.check()?;
    let now = api.now();
    let by = caller.platform_principal();
    let changed = change(&api, (&by, "settings.change"), |settings| body.apply(settings, now)).await?;
    api.audit.set_overflow(changed.audit_overflow);
    Ok(axum::Json(PlatformSettings::new(changed, now)))
}

#[cfg(test)]
mod tests;
