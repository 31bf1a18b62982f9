//! The octets of a journal row: facts in the order in which they became true, a checksum behind them.
//!
//! A row is a version octet, sections, and the CRC-32 of both. Integers are little-endian. Links write sections
//! straight into their buffers; recovery and the live account read them through the one [`read_row`], so the
//! state after a crash is by construction the state that was shown before it.
//! Per submitted message about 14 octets: 2 unit, 2 latency, 1 tag, 8 packed id, and its share of the headers.

mod facts;
mod read;
#[cfg(test)]
mod tests;

pub use facts::Facts;
pub use read::{Outcomes, Receipts, read_row, read_sections};

use crate::model::{CampaignNo, Incarnation, Run, UnitStatus};
use pdu::PackedId;

/// Version of the row format.
pub const ROW_VERSION: u8 = 2;

/// Longest message id that is kept; SMPP allows 65 octets with the terminator.
pub const MAX_MESSAGE_ID: usize = 64;

/// Most octets of an inbound text that are kept; a keyword is far shorter.
pub const MAX_INBOUND_TEXT: usize = 160;

pub(super) const INTENT: u8 = 1;
pub(super) const OUTCOMES: u8 = 2;
pub(super) const REVOKE: u8 = 3;
pub(super) const RECEIPTS: u8 = 4;
pub(super) const ORPHAN: u8 = 5;
pub(super) const ADOPTED: u8 = 6;
pub(super) const SKIP: u8 = 7;
pub(super) const NUMBERS: u8 = 8;
pub(super) const INBOUND: u8 = 9;
pub(super) const HEARD: u8 = 10;

pub(super) const TAG_NO_ID: u8 = 0;
pub(super) const TAG_RAW_ID: u8 = 1;
pub(super) const TAG_REFUSED: u8 = 2;
pub(super) const TAG_RETRY: u8 = 3;
pub(super) const TAG_UNKNOWN: u8 = 4;
pub(super) const TAG_REPEAT: u8 = 5;
pub(super) const TAG_FAILED: u8 = 6;
pub(super) const TAG_PACKED: u8 = 0x40;

/// A run of units that may be on the wire from the moment its row is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Which life of which bind will write it.
    pub incarnation: Incarnation,
    /// Whose.
    pub campaign: CampaignNo,
    /// The stop generation under which it was granted.
    pub stop_gen: u32,
    /// Position of the first unit in this incarnation's order of this campaign, from 1, dense.
    pub position: u64,
    /// The units.
    pub run: Run,
    /// 0 for the first attempt.
    pub attempt: u8,
    /// Wall clock of the grant, milliseconds since 1970: its local day is the one that is charged.
    pub at_ms: u64,
}

/// Units that are settled without ever having been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Whose.
    pub campaign: CampaignNo,
    /// The units.
    pub run: Run,
    /// `Skipped`, `Failed`, `Expired` or `Absent`.
    pub status: UnitStatus,
    /// Why, one of [`reason`]'s codes, beyond every `command_status`.
    pub reason: u32,
}

/// Why the engine settled a unit by itself; kept where a `command_status` would be, in SMPP's range for nobody.
pub mod reason {
    /// Its number opted out of this workspace's messages.
    pub const OPTED_OUT: u32 = 0x1_0001;
    /// Its number is blocked.
    pub const BLOCKED: u32 = 0x1_0002;
    /// No channel takes its number.
    pub const NO_ROUTE: u32 = 0x1_0003;
    /// Its rendering is beyond the approved encoding or segments.
    pub const RENDERING: u32 = 0x1_0004;
    /// Its time ended before it was sent.
    pub const TOO_LATE: u32 = 0x1_0005;
    /// Its message could not be encoded.
    pub const UNSENDABLE: u32 = 0x1_0006;
}

/// Recipients that a program added to a Trigger campaign, durable with their row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers<'a> {
    /// Whose.
    pub campaign: CampaignNo,
    /// Which chunk they belong to.
    pub chunk: u32,
    /// The first one's place in the chunk.
    pub from: u16,
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    /// How many.
    pub count: u16,
    /// E.164 digits, eight octets each, little-endian.
    pub numbers: &'a [u8],
    /// Their values, packed as in the recipients of a file; empty without variables.
    pub values: &'a [u8],
}

/// A message from a handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbound<'a> {
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    /// Key of the channel that it came over.
    pub channel: u32,
    /// The handset, as the SMSC wrote it; with a `+` in front where it said that the number is international.
    pub source: &'a [u8],
    /// Whom it wrote to, as the SMSC wrote it.
    pub destination: &'a [u8],
    /// Its text as UTF-8, at most [`MAX_INBOUND_TEXT`] octets.
    pub text: &'a [u8],
}

/// What became of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// Accepted; the id as the SMSC wrote it, perhaps empty.
    Accepted(&'a [u8]),
    /// Accepted with an id that packs into eight octets.
    AcceptedPacked(PackedId),
    /// Refused for good with this `command_status`.
    Refused(u32),
    /// Refused for now with this `command_status`; it is queued again.
    Retry(u32),
    /// Perhaps sent; stays so unless a receipt tells.
    Unknown,
    /// Perhaps sent; sent again under `at_least_once`, counted.
    Repeat,
    /// Given up by the engine: the `command_status` of the last refusal.
    Failed(u32),
}

impl Fate<'_> {
    /// The status that follows.
    #[must_use]
    pub const fn status(&self) -> UnitStatus {
        match self {
            Self::Accepted(_) | Self::AcceptedPacked(_) => UnitStatus::Sent,
            Self::Refused(_) => UnitStatus::Rejected,
            Self::Retry(_) | Self::Repeat => UnitStatus::Queued,
            Self::Unknown => UnitStatus::Unknown,
            Self::Failed(_) => UnitStatus::Failed,
        }
    }
}

/// One outcome inside an [`Fact::Outcomes`] section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// The unit inside the chunk.
    pub unit: u16,
    /// Milliseconds from write to answer, saturating.
    pub latency_ms: u16,
    /// What became of it.
    pub fate: Fate<'a>,
}

/// One matched receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptFact {
    /// Whose.
    pub campaign: CampaignNo,
    /// The unit, as a run of one.
    pub chunk: u32,
    /// The unit inside the chunk.
    pub unit: u16,
    /// The final state that the receipt tells.
    pub status: UnitStatus,
    /// The receipt's error code, 0 for none.
    pub error: u16,
}

/// A receipt whose message is not known (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orphan<'a> {
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    /// Key of the channel that it came from.
    pub channel: u32,
    /// The state that it tells.
    pub status: UnitStatus,
    /// Its error code, 0 for none.
    pub error: u16,
    /// The message id as the SMSC wrote it.
    pub message_id: &'a [u8],
}

/// One section of a row.
#[derive(Clone, Debug)]
pub enum Fact<'a> {
    /// Units that may be written from now on.
    Intent(Intent),
    /// Answers for units of one chunk.
    Outcomes {
        /// Whose.
        campaign: CampaignNo,
        /// The chunk.
        chunk: u32,
        /// Key of the channel that was asked; message ids are unique only there.
        channel: u32,
        /// Wall clock of the answers, milliseconds since 1970.
        at_ms: u64,
        /// The answers.
        entries: Outcomes<'a>,
    },
    /// Units of an earlier intent that surely never reached the wire; queued again.
    Revoke {
        /// Whose.
        campaign: CampaignNo,
        /// The units.
        run: Run,
    },
    /// Receipts in order of arrival.
    Receipts {
        /// Wall clock of their arrival, milliseconds since 1970.
        at_ms: u64,
        /// The receipts.
        entries: Receipts<'a>,
    },
    /// A receipt without a message.
    Orphan(Orphan<'a>),
    /// Units settled without having been sent.
    Skip(Skip),
    /// Recipients added to a Trigger campaign.
    Numbers(Numbers<'a>),
    /// A message from a handset.
    Inbound(Inbound<'a>),
    /// What messages from handsets ask for was done, in every row up to this one.
    Heard {
        /// Place of the row in the journal.
        row: u64,
    },
    /// An orphan was matched after all.
    Adopted {
        /// Key of its channel.
        channel: u32,
        /// Its message id.
        message_id: &'a [u8],
    },
}

/// A row that cannot be read: damaged, or of a newer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The checksum does not match.
    #[error("checksum mismatch")]
    Checksum,
    /// Written by a newer program.
    #[error("row version {0} is newer than this program")]
    Version(u8),
    /// The checksum matches but the sections do not parse: a defect of the writer.
    #[error("malformed section {0}")]
    Malformed(u8),
}

/// Begins a row.
#[must_use]
pub fn begin_row(capacity: usize) -> Vec<u8> {
    let mut row = Vec::with_capacity(capacity);
    row.push(ROW_VERSION);
    row
}

/// Seals a row with its checksum.
pub fn seal_row(row: &mut Vec<u8>) {
    let sum = crc32fast::hash(row);
    row.extend_from_slice(&sum.to_le_bytes());
}
