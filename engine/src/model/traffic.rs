//! What was sent in which hour, and what became of it: for the chart of a day and for the bill of a month.
//!
//! An hour is one of UTC, counted from 1970. A part belongs to the hour in which it was last handed to the SMSC, a
//! message to the hour of its first part. What failed is counted once more in the hour in which that was final; what
//! was never handed over, skipped, cancelled or too late, is in no hour.

use crate::model::UnitStatus;
use serde::{Deserialize, Serialize};

/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 3_600_000;

/// Messages (recipients) and their segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Messages.
    pub messages: u64,
    /// Segments: parts handed to the SMSC.
    pub segments: u64,
}

impl Load {
    /// Adds another one.
    pub const fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.segments += other.segments;
    }
}

/// What was handed to the SMSC, by where it stands now, and what of it failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// By status, ascending, each at most once; messages by the status of the whole, segments by their own.
    pub submitted: Vec<(UnitStatus, Load)>,
    /// Undeliverable, rejected, expired or failed at last, by the time of the last answer or receipt.
    pub failed: Load,
}

impl Traffic {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.submitted.is_empty() && self.failed == Load::default()
    }

    /// Everything that was handed over.
    #[must_use]
    pub fn sent(&self) -> Load {
        let mut sent = Load::default();
        self.submitted.iter().for_each(|(_, load)| sent.add(*load));
        sent
    }

    /// Adds what was handed over and stands at `status`.
    pub fn submit(&mut self, status: UnitStatus, load: Load) {
        match self.submitted.binary_search_by_key(&status, |(of, _)| *of) {
            Ok(at) => self.submitted[at].1.add(load),
            Err(at) => self.submitted.insert(at, (status, load)),
        }
    }

    /// Adds all of another one.
    pub fn add(&mut self, other: &Self) {
        other.submitted.iter().for_each(|(status, load)| self.submit(*status, *load));
        self.failed.add(other.failed);
    }
}

/// Whether a part or message that stands so has failed.
#[must_use]
pub const fn has_failed(status: UnitStatus) -> bool {
    matches!(
        status,
        UnitStatus::Undeliverable | UnitStatus::Rejected | UnitStatus::Expired | UnitStatus::Failed
    )
}
