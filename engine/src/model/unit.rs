//! The part as the unit of everything exact: position, window slot, outcome, receipt and state.
//!
//! Recipients live in chunks of 4096; a message of `k` parts gives its chunk `4096 * k` units, and unit `u` is
//! part `u % k` of recipient `u / k`. A chunk's unit number fits sixteen bits because `k` is at most 16.

use serde::{Deserialize, Serialize};

/// Recipients in a full chunk.
pub const CHUNK_RECIPIENTS: usize = 4096;

/// In a chunk's time columns: no such time.
pub const NO_TIME: u32 = u32::MAX;

/// The place of a chunk in its campaign, from 0.
pub type ChunkNo = u32;

/// One life of one bind, never repeated in an installation: engine start in the upper half, counter below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// A run of consecutive units of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The chunk.
    pub chunk: ChunkNo,
    /// First unit.
    pub from: u16,
    /// Units, `1..=65535`.
    pub count: u16,
}

/// Where one unit stands; the discriminant is the octet in the state column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum UnitStatus {
    /// Not yet sent, or to be sent again.
    Queued = 0,
    /// A durable intent, no outcome yet.
    Intended = 1,
    /// Accepted by the SMSC.
    Sent = 2,
    /// Receipt: delivered.
    Delivered = 3,
    /// Receipt: not deliverable.
    Undeliverable = 4,
    /// Refused by the SMSC for good, or receipt: rejected.
    Rejected = 5,
    /// Receipt: expired or deleted.
    Expired = 6,
    /// Cancelled before it was sent.
    Cancelled = 7,
    /// Left out with a reason.
    Skipped = 8,
    /// Given up by the engine.
    Failed = 9,
    /// Perhaps sent, perhaps not; or accepted, and the receipt that was asked for did not come in time or told nothing.
    Unknown = 10,
    /// A part that this recipient's rendering does not have; counts nowhere.
    Absent = 11,
}

impl UnitStatus {
    /// Every status, by discriminant.
    pub const ALL: [Self; 12] = [
        Self::Queued,
        Self::Intended,
        Self::Sent,
        Self::Delivered,
        Self::Undeliverable,
        Self::Rejected,
        Self::Expired,
        Self::Cancelled,
        Self::Skipped,
        Self::Failed,
        Self::Unknown,
        Self::Absent,
    ];

    /// The status behind a state octet.
    #[must_use]
    pub fn from_octet(octet: u8) -> Option<Self> {
        Self::ALL.get(usize::from(octet)).copied()
    }

    /// Whether the dispatcher has nothing more to do for the unit.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Queued | Self::Intended)
    }

    /// Whether a receipt may still change it: `sent` once to its final state, `unknown` once.
    #[must_use]
    pub const fn awaits_receipt(self) -> bool {
        matches!(self, Self::Sent | Self::Unknown)
    }
}

/// The state columns of one chunk, one entry a unit, as the journal keeps them beside the recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkState {
    /// Which chunk.
    pub chunk: ChunkNo,
    /// [`UnitStatus`] octets.
    pub status: Vec<u8>,
    /// Units with an error and its code (`command_status`, or the receipt's error), by unit.
    pub errors: Vec<(u16, u32)>,
    /// Message ids in unit order: a tag octet and its octets each, see `model::record`.
    pub message_ids: Vec<u8>,
    /// When submitted: milliseconds after the campaign's time base, or [`NO_TIME`].
    pub submitted_ms: Vec<u32>,
    /// When final: milliseconds after the campaign's time base, or [`NO_TIME`].
    pub final_ms: Vec<u32>,
}
