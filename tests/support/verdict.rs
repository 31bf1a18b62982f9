//! The last word on a campaign: every unit as the store holds it against every submit as the simulator saw it.
//!
//! Counts can agree by accident; this compares recipient by recipient and part by part. To be read once the engine
//! has shut down, because only then the store holds every column.

use crate::rig::FIRST_NUMBER;
use bench::smsc::Exact;
use engine::model::{CHUNK_RECIPIENTS, Campaign, DeliveryPolicy, UnitStatus};
use engine::store::Journal;
use std::collections::BTreeMap;

/// Status of every (destination, part) of one campaign of generated numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    units: BTreeMap<(u64, u8), UnitStatus>,
    policy: DeliveryPolicy,
}

impl Verdict {
    /// Reads all columns.
    ///
    /// # Errors
    /// The store's, and a column that is no status.
    pub async fn read(journal: &dyn Journal, campaign: &Campaign) -> anyhow::Result<Self> {
        let parts = u64::from(campaign.content.parts);
        let chunk_recipients = CHUNK_RECIPIENTS as u64;
        let mut units = BTreeMap::new();
        for recipient in 0..campaign.recipients {
            for part in 1..=campaign.content.parts {
                units.insert((FIRST_NUMBER + recipient, part), UnitStatus::Queued);
            }
        }
        for chunk in 0..u32::try_from(campaign.recipients.div_ceil(chunk_recipients))? {
            let Some(state) = journal.state(campaign.no, chunk).await? else { continue };
            for (unit, octet) in (0u64..).zip(&state.status) {
                let status = UnitStatus::from_octet(*octet);
                let status = status.ok_or_else(|| anyhow::anyhow!("{octet} is no status"))?;
                let number = FIRST_NUMBER + u64::from(chunk) * chunk_recipients + unit / parts;
                units.insert((number, u8::try_from(unit % parts + 1)?), status);
            }
        }
        Ok(Self::of(units, campaign.delivery_policy))
    }

    /// The given units.
    #[must_use]
    pub fn of(units: BTreeMap<(u64, u8), UnitStatus>, policy: DeliveryPolicy) -> Self {
        Self { units, policy }
    }

    /// The status of one unit.
    #[must_use]
    pub fn status(&self, destination: u64, part: u8) -> Option<UnitStatus> {
        self.units.get(&(destination, part)).copied()
    }

    /// All units.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.units.len() as u64
    }

    /// Units of one status.
    #[must_use]
    pub fn count(&self, status: UnitStatus) -> u64 {
        self.units.values().filter(|s| **s == status).count() as u64
    }

    /// Compares every unit with the ledger; `unknown` ones may have been accepted or not.
    ///
    /// # Errors
    /// With the first units that do not agree.
    pub fn check(&self, exact: &Exact) -> anyhow::Result<()> {
        let mut wrong = Vec::new();
        for (unit, status) in &self.units {
            let accepted = exact.accepted.get(unit).copied().unwrap_or(0);
            let refused = exact.refused.get(unit).copied().unwrap_or(0);
            if !agrees(self.policy, *status, accepted, refused) {
                wrong.push(format!("{unit:?} is {status:?}, accepted {accepted}, refused {refused}"));
            }
        }
        let strange = exact.accepted.keys().filter(|unit| !self.units.contains_key(unit));
        wrong.extend(strange.map(|unit| format!("{unit:?} is nobody's")));
        anyhow::ensure!(wrong.is_empty(), "{} units: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        Ok(())
    }
}

/// Whether a settled unit's status fits what the SMSC did with it; one that is not settled never fits.
fn agrees(policy: DeliveryPolicy, status: UnitStatus, accepted: u32, refused: u32) -> bool {
    let once = match policy {
        DeliveryPolicy::AtMostOnce => accepted == 1,
        DeliveryPolicy::AtLeastOnce => accepted >= 1,
    };
    match status {
        UnitStatus::Queued | UnitStatus::Intended => false,
        UnitStatus::Sent | UnitStatus::Delivered | UnitStatus::Undeliverable | UnitStatus::Expired => once,
        // Refused by the answer, or accepted and rejected by the receipt.
        UnitStatus::Rejected => (accepted == 0 && refused > 0) || once,
        UnitStatus::Failed => accepted == 0 && refused > 0,
        UnitStatus::Cancelled => accepted == 0 || policy == DeliveryPolicy::AtLeastOnce,
        UnitStatus::Skipped | UnitStatus::Absent => accepted == 0,
        UnitStatus::Unknown => accepted <= 1 && policy == DeliveryPolicy::AtMostOnce,
    }
}
