//! What a campaign has reached, as numbers that any thread may read.
//!
//! Written by the keeper behind every batch of rows; nothing is decided by it that must be exact at a moment.

use crate::model::{Counts, UnitStatus};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of recipients by status, readable from any thread; slots by [`UnitStatus`] discriminant.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) by_status: [AtomicU64; UnitStatus::ALL.len()],
    /// The same counted in segments.
    pub(super) segments: [AtomicU64; UnitStatus::ALL.len()],
    /// Parts that were perhaps sent twice under `at_least_once`.
    pub(crate) repeated: AtomicU64,
    /// Recipients with at least one part handed to the wire.
    pub(crate) submitted: AtomicU64,
}

impl Tally {
    /// Recipients, as the API names their states.
    pub(crate) fn counts(&self) -> Counts {
        counts_of(&self.by_status)
    }

    /// Segments, in the same states.
    pub(crate) fn segment_counts(&self) -> Counts {
        counts_of(&self.segments)
    }
}

fn counts_of(cells: &[AtomicU64; UnitStatus::ALL.len()]) -> Counts {
    let by = |status: UnitStatus| cells[status as usize].load(Ordering::Relaxed);
    let there = UnitStatus::ALL.into_iter().filter(|status| *status != UnitStatus::Absent);
    Counts {
        total: there.map(by).sum(),
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
    }
}
