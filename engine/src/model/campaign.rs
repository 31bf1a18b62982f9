//! A campaign: recipients and one message, sent once approved.

use crate::model::{CampaignId, HoldReason, SenderId, Status, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most parts that one message may have; a unit number inside a chunk then fits sixteen bits.
pub const MAX_PARTS: u8 = 16;

/// Most recipients of one campaign.
pub const MAX_RECIPIENTS: u64 = 10_000_000;

/// Short number of a campaign inside one installation, used by journal records; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CampaignNo(pub u32);

/// When a campaign sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// At once after approval and start.
    OnDemand,
    /// At a given time.
    OnTime,
    /// Evenly over a span of time.
    Spread,
    /// Number by number, as programs hand them in.
    Trigger,
}

/// What happens to a part whose fate is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryPolicy {
    /// It stays `unknown` and is never sent again by itself.
    AtMostOnce,
    /// It is sent again, and the repetition is counted.
    AtLeastOnce,
}

/// What an approval binds: any change of it is a new content version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The message text.
    pub text: String,
    /// The sender.
    pub sender_id: SenderId,
    /// The approved revision pinned at submit.
    pub revision_id: Uuid,
    /// `source_addr` of that revision.
    pub saddr: String,
    /// Type of number of the source.
    pub ston: u8,
    /// Numbering plan of the source.
    pub snpi: u8,
    /// Type of number of the destination.
    pub dton: u8,
    /// Numbering plan of the destination.
    pub dnpi: u8,
    /// Parts of each message, `1..=MAX_PARTS`.
    pub parts: u8,
    /// Whether the SMSC is asked for receipts.
    pub receipts: bool,
    /// Ordered digest of the recipients, hexadecimal.
    pub recipients_digest: String,
}

/// One approval, naming the content version that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: UserId,
    /// When.
    pub at: jiff::Timestamp,
    /// The approved content version.
    pub version: u32,
}

/// A campaign as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// The owner.
    pub workspace_id: WorkspaceId,
    /// Its number in journal records.
    pub no: CampaignNo,
    /// Name shown to people.
    pub name: String,
    /// When it sends.
    pub mode: Mode,
    /// Where it stands.
    pub status: Status,
    /// Why it waits, if it does.
    pub hold_reason: Option<HoldReason>,
    /// What was approved.
    pub content: Content,
    /// What happens to uncertain parts.
    pub delivery_policy: DeliveryPolicy,
    /// Counts content edits.
    pub version: u32,
    /// Counts life-cycle moves; compare-and-set decides races.
    pub state_version: u32,
    /// Bumped by every stop; intents carry the generation that they were granted under.
    pub stop_gen: u32,
    /// Share in the fair queue relative to the workspace's other campaigns, at least 1.
    pub weight: u32,
    /// Recipients accepted by intake.
    pub recipients: u64,
    /// Approvals of the present version.
    pub approvals: Vec<Approval>,
    /// Who created it.
    pub created_by: UserId,
    /// When it was created.
    pub created_at: jiff::Timestamp,
    /// The exact account, written when it ends.
    pub counts: Option<Counts>,
}

impl Campaign {
    /// Whether its present content was approved by somebody else than its creator.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.approvals.iter().any(|a| a.version == self.version && a.by != self.created_by)
    }
}

/// How many recipients stand where; the sum of all fields but `total` is `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Accepted by intake.
    pub total: u64,
    /// Not yet sent.
    pub queued: u64,
    /// Sent, no answer yet.
    pub in_flight: u64,
    /// Accepted by the SMSC, no receipt yet.
    pub sent: u64,
    /// Receipt: delivered.
    pub delivered: u64,
    /// Receipt: not deliverable.
    pub undeliverable: u64,
    /// Refused by the SMSC for good.
    pub rejected: u64,
    /// Receipt: expired.
    pub expired: u64,
    /// Cancelled before it was sent.
    pub cancelled: u64,
    /// Left out with a reason.
    pub skipped: u64,
    /// Given up by the engine.
    pub failed: u64,
    /// Perhaps sent, perhaps not.
    pub unknown: u64,
}
