//! What a campaign has reached, as numbers that any thread may read.
//!
//! Written by the keeper behind every batch of rows; nothing is decided by it that must be exact at a moment.

use crate::model::{Counts, UnitStatus};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of recipients by status, readable from any thread; slots by [`UnitStatus`] discriminant.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) by_status: [AtomicU64; UnitStatus::ALL.len()],
    /// Parts that were perhaps sent twice under `at_least_once`.
    pub(crate) repeated: AtomicU64,
    /// Recipients with at least one part handed to the wire.
    pub(crate) submitted: AtomicU64,
}

impl Tally {
    fn get(&self, status: UnitStatus) -> u64 {
        self.by_status[status as usize].load(Ordering::Relaxed)
    }

    /// The counts as the API names them.
    pub(crate) fn counts(&self) -> Counts {
        let by = |s| self.get(s);
        let mut counts = Counts {
            total: 0,
            queued: by(UnitStatus::Queued),
            in_flight: by(UnitStatus::Intended),
            sent: by(UnitStatus::Sent),
            delivered: by(UnitStatus::Delivered),
            undeliverable: by(UnitStatus::Undeliverable),
            rejected: by(UnitStatus::Rejected),
            expired: by(UnitStatus::Expired),
            cancelled: by(UnitStatus::Cancelled),
            skipped: by(UnitStatus::Skipped),
            failed: by(UnitStatus::Failed),
            unknown: by(UnitStatus::Unknown),
        };
        counts.total = self.by_status.iter().map(|n| n.load(Ordering::Relaxed)).sum();
        counts
    }
}
