//! Counts of one simulator: what it saw, what it did, how often each fault struck.

use std::collections::BTreeMap;

use serde::Serialize;

/// A snapshot of the counts since the start; message counts are PDUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Binds answered with success.
    pub binds: u64,
    /// Binds refused or left unanswered.
    pub binds_refused: u64,
    /// Sessions bound at this moment.
    pub bound: u64,
    /// `submit_sm` seen.
    pub submits: u64,
    /// Of these accepted, whether or not the response left.
    pub accepted: u64,
    /// Of these refused, by status (`generic_nack` counts under its status).
    pub refused: BTreeMap<u32, u64>,
    /// Accepted submits of a (destination, part) that was accepted before; only with `count_duplicates`.
    pub duplicates: u64,
    /// Receipts that became owed (finals and intermediates, not the extra ones of faults).
    pub receipts_created: u64,
    /// `deliver_sm` written, redeliveries and extra ones included.
    pub receipts_sent: u64,
    /// Owed receipts that were acknowledged with success, each counted once.
    pub receipts_acked: u64,
    /// Acknowledgements of extra receipts (duplicates, unknown ids).
    pub receipts_extra_acked: u64,
    /// `deliver_sm` written again after a temporary error, a timeout or a lost connection.
    pub receipts_redelivered: u64,
    /// Owed receipts given up because the ESME answered with a permanent error.
    pub receipts_refused: u64,
    /// Owed receipts given up because the store was full.
    pub receipts_overflowed: u64,
    /// `enquire_link` seen.
    pub enquire_links: u64,
    /// PDUs that could not be understood.
    pub malformed: u64,
    /// How often each fault struck, by name.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Stats {
    /// All refusals together.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Owed receipts whose fate is still open.
    #[must_use]
    pub fn receipts_open(&self) -> u64 {
        let settled = self.receipts_acked + self.receipts_refused + self.receipts_overflowed;
        self.receipts_created.saturating_sub(settled)
    }
}
