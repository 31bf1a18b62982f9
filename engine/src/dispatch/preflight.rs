//! The pre-flight: what must be there before a campaign begins to send, as a list to tick off (R188).
//!
//! A workspace says from how many recipients on a campaign is large. The start of a large one is refused while anything
//! is missing; one that starts by itself is held in `Pending`, recorded with its reason, and asked about again until
//! everything is there or its time has passed. Nothing here is decided from what was seen before.

use crate::dispatch::assembly::Channel;
use crate::dispatch::breaker::BreakerState;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::message::Message;
use crate::model::{Campaign, HoldReason, JobErrorCode, Mode, Move, Principal, RevisionStatus};
use crate::schedule::{Gate, GateState};
use crate::store::StoreError;
use std::sync::atomic::Ordering;

/// Octets that a recipient may take on the disk while its campaign runs: number, state and journal, generously.
const OCTETS_PER_RECIPIENT: u64 = 200;
/// Octets that stay free besides: the log of the store and the audit log go on.
const SPARE_OCTETS: u64 = 256 << 20;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `sender`, `text`, `recipients`, `schedule`, `channels`, `store` or `disk`.
    pub name: &'static str,
    /// Whether it is as it must be.
    pub ok: bool,
    /// In words.
    pub detail: String,
}

impl Check {
    fn fine(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, detail: detail.into() }
    }

    fn missing(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: false, detail: detail.into() }
    }

    /// What a campaign waits for while this is missing.
    fn hold_reason(&self) -> Option<HoldReason> {
        match self.name {
            "channels" => Some(HoldReason::NoChannel),
            "store" => Some(HoldReason::StoreUnavailable),
            _ => None,
        }
    }
}

/// The names of checks, for a sentence.
pub(super) fn names(checks: &[Check]) -> String {
    checks.iter().map(|check| check.name).collect::<Vec<_>>().join(", ")
}

impl Engine {
    /// Looks at everything that a campaign needs to be sent, approved or not.
    ///
    /// # Errors
    /// The store's.
    pub async fn preflight(&self, campaign: &Campaign) -> Result<Vec<Check>, EngineError> {
        Ok(vec![
            self.sender_check(campaign).await?,
            text_check(campaign),
            self.recipients_check(campaign).await?,
            self.schedule_check(campaign).await?,
            self.channels_check(campaign).await?,
            self.store_check(),
            self.disk_check(campaign).await?,
        ])
    }

    /// Refuses the start of a large campaign whose pre-flight says no.
    pub(super) async fn require_go(&self, campaign: &Campaign) -> Result<(), EngineError> {
        match self.missing(campaign).await? {
            missing if missing.is_empty() => Ok(()),
            missing => Err(EngineError::Preflight(missing)),
        }
    }

    /// Begins to send, or holds a large campaign whose pre-flight says no.
    pub(super) async fn send_or_hold(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        let missing = self.missing(&campaign).await?;
        if missing.is_empty() {
            return self.send(campaign, by).await;
        }
        self.hold(campaign, &missing).await?;
        Err(EngineError::Preflight(missing))
    }

    /// What a large campaign lacks; nothing of any other.
    async fn missing(&self, campaign: &Campaign) -> Result<Vec<Check>, EngineError> {
        let policies = self.read_workspace(campaign.workspace_id).await?.policies;
        let is_large = policies.large_campaign_threshold.is_some_and(|from| campaign.recipients >= from);
        if !is_large {
            return Ok(Vec::new());
        }
        let mut checks = self.preflight(campaign).await?;
        checks.retain(|check| !check.ok);
        Ok(checks)
    }

    /// Records why a campaign is held, once for each reason.
    async fn hold(&self, campaign: Campaign, missing: &[Check]) -> Result<(), EngineError> {
        let why = missing.iter().find_map(Check::hold_reason).unwrap_or(HoldReason::AwaitingStart);
        let reason = format!("its pre-flight says no: {}", names(missing));
        if campaign.hold_reason == Some(why) && campaign.reason.as_ref() == Some(&reason) {
            return Ok(());
        }
        let whose = (campaign.workspace_id, campaign.id);
        let held = Campaign { hold_reason: Some(why), ..campaign };
        self.record(held, (Move::Hold, Some(reason)), &Principal::engine()).await?;
        let details: Vec<_> =
            missing.iter().map(|check| format!("{}: {}", check.name, check.detail)).collect();
        self.note_job_error(whose, JobErrorCode::Preflight, &details.join("; ")).await;
        Ok(())
    }

    /// An archived revision was approved once and goes on.
    async fn sender_check(&self, campaign: &Campaign) -> Result<Check, EngineError> {
        let usable = [RevisionStatus::Approved, RevisionStatus::Archived];
        Ok(match self.unusable_sender(campaign, &usable).await? {
            None => Check::fine("sender", format!("{} is approved", campaign.content.saddr)),
            Some(why) => Check::missing("sender", why),
        })
    }

    async fn recipients_check(&self, campaign: &Campaign) -> Result<Check, EngineError> {
        let name = "recipients";
        let stored = match self.0.journal.header(campaign.no).await {
            Err(StoreError::NotFound) => return Ok(Check::missing(name, "the list is missing")),
            header => header?.recipients,
        };
        if campaign.mode == Mode::Trigger {
            return Ok(Check::fine(name, "come by calls"));
        }
        let detail = format!("{stored} of {} are stored", campaign.recipients);
        Ok(Check { name, ok: stored == campaign.recipients && stored > 0, detail })
    }

    async fn schedule_check(&self, campaign: &Campaign) -> Result<Check, EngineError> {
        let calendar = self.tenant(campaign.workspace_id).await?.settings().calendar.clone();
        Ok(match Gate::new(campaign.mode, &campaign.content.rules, &calendar) {
            Ok(gate) if gate.at(self.timestamp()) == GateState::Over => {
                Check::missing("schedule", "its time has passed")
            }
            Ok(_) => Check::fine("schedule", "can be kept"),
            Err(error) => Check::missing("schedule", error.to_string()),
        })
    }

    async fn channels_check(&self, campaign: &Campaign) -> Result<Check, EngineError> {
        let name = "channels";
        let tenant = self.tenant(campaign.workspace_id).await?;
        let routes = match self.routes(campaign, &tenant) {
            Ok(routes) => routes,
            Err(error) => return Ok(Check::missing(name, error.to_string())),
        };
        let used = (0..=u8::MAX).zip(&self.0.channels).filter(|(at, _)| routes.uses(*at));
        let (up, down): (Vec<&Channel>, Vec<&Channel>) =
            used.map(|(_, channel)| channel).partition(|channel| takes_units(channel));
        let named = |all: &[&Channel]| all.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        Ok(match up.len() {
            0 => Check::missing(name, format!("none of {} is bound and takes messages", named(&down))),
            _ => Check::fine(name, format!("bound: {}", named(&up))),
        })
    }

    fn store_check(&self) -> Check {
        match self.is_running() && self.is_storing() {
            true => Check::fine("store", "takes facts"),
            false => Check::missing("store", "takes no facts at present"),
        }
    }

    async fn disk_check(&self, campaign: &Campaign) -> Result<Check, EngineError> {
        let needed = campaign.recipients.saturating_mul(OCTETS_PER_RECIPIENT).saturating_add(SPARE_OCTETS);
        Ok(match self.0.journal.free_octets().await? {
            None => Check::fine("disk", "is the store's own affair"),
            Some(free) => {
                let ok = free >= needed;
                let is_room = if ok { "there is room for" } else { "there is no room for" };
                // How much there is in all concerns whoever runs the installation.
                Check { name: "disk", ok, detail: format!("{is_room} {} MiB", needed >> 20) }
            }
        })
    }
}

/// Whether a channel is bound and its breaker lets units pass.
pub(super) fn takes_units(channel: &Channel) -> bool {
    let is_bound = channel.links.iter().any(|link| link.up.load(Ordering::Relaxed));
    is_bound && channel.cells.breaker() != BreakerState::Open
}

fn text_check(campaign: &Campaign) -> Check {
    match Message::new(&campaign.content, 1) {
        Ok(_) => Check::fine("text", format!("{} segments at most", campaign.content.parts)),
        Err(error) => Check::missing("text", error.to_string()),
    }
}
