//! What the engine tells about itself: campaigns, channels, times, whether it goes on, whether it stores, what waits.

use crate::dispatch::assembly::Channel;
use crate::dispatch::engine::{ChannelStatus, Engine, Progress};
use crate::model::{CampaignId, UnitStatus};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a final receipt can say, in the order of `ChannelStatus::receipts_by_state`.
pub(crate) const RECEIPT_STATES: [UnitStatus; 5] = [
    UnitStatus::Delivered,
    UnitStatus::Undeliverable,
    UnitStatus::Rejected,
    UnitStatus::Expired,
    UnitStatus::Unknown,
];

impl Engine {
    /// What a campaign has reached; `None` for one that this engine does not run.
    #[must_use]
    pub fn progress(&self, id: CampaignId) -> Option<Progress> {
        let tally = self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()?;
        Some(Progress {
            counts: tally.counts(),
            submitted: tally.submitted.load(Ordering::Relaxed),
            repeated: tally.repeated.load(Ordering::Relaxed),
        })
    }

    /// What the channels have done.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelStatus> {
        let of = |channel: &Channel| {
            let count = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
            let cells = &channel.cells;
            ChannelStatus {
                name: channel.name.clone(),
                up: channel.links.iter().map(|l| l.up.load(Ordering::Relaxed)).collect(),
                in_flight: channel.links.iter().map(|l| l.in_flight.load(Ordering::Relaxed)).collect(),
                stock: channel.links.iter().map(|l| u64::from(l.stock.load(Ordering::Relaxed))).sum(),
                submitted: count(&cells.submitted),
                accepted: count(&cells.accepted),
                refused: count(&cells.refused),
                throttled: count(&cells.throttled),
                rate_per_s: cells.rate_per_s(),
                breaker: cells.breaker(),
                retried: count(&cells.retried),
                unknown: count(&cells.unknown),
                receipts: cells.receipts.iter().map(count).sum(),
                receipts_by_state: RECEIPT_STATES.map(|state| count(&cells.receipts[state as usize])),
                orphans: count(&cells.orphans),
                strays: count(&cells.strays),
                receipts_deferred: count(&cells.receipts_deferred),
            }
        };
        self.0.channels.iter().map(of).collect()
    }

    /// Quantile of the time from submit to answer since the start, microseconds.
    #[must_use]
    pub fn submit_latency_us(&self, quantile: f64) -> u64 {
        self.desk().latency.quantile(quantile)
    }

    /// Times from submit to answer since the start: how many were at most each of `bounds_us`, and their sum in
    /// microseconds. Exact for bounds of the form `n * 2^k - 1`, otherwise up to 6 % low.
    #[must_use]
    pub fn submit_latency(&self, bounds_us: &[u64]) -> (Vec<u64>, u64) {
        let desk = self.desk();
        (desk.latency.cumulative(bounds_us), desk.latency.sum_us())
    }

    /// Ids that await a receipt.
    #[must_use]
    pub fn receipts_awaited(&self) -> usize {
        self.desk().matcher.waiting()
    }

    /// Units whose fate this start left unknown, and units that it found never sent.
    #[must_use]
    pub fn recovered(&self) -> (u64, u64) {
        self.0.recovered
    }

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
