//! What the engine tells about itself beyond its channels: whether it goes on, whether it stores, what waits.

use crate::dispatch::engine::Engine;
use crate::model::UnitStatus;
use std::sync::PoisonError;

/// What a final receipt can say, in the order of `ChannelStatus::receipts_by_state`.
pub(crate) const RECEIPT_STATES: [UnitStatus; 5] = [
    UnitStatus::Delivered,
    UnitStatus::Undeliverable,
    UnitStatus::Rejected,
    UnitStatus::Expired,
    UnitStatus::Unknown,
];

impl Engine {
    /// Recipients of all campaigns that are not yet sent.
    #[must_use]
    pub fn queued(&self) -> u64 {
        let tallies = self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.values().map(|tally| tally.counts().queued).sum()
    }

    /// Whether the engine goes on: not failed, not shut down.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.failure.borrow().is_none()
    }

    /// Whether the store took the newest facts; while it does not, nothing new is sent.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        self.0.recorder.is_healthy()
    }
}
