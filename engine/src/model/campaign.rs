//! A campaign: recipients and one message, sent once approved.

use crate::model::{CampaignId, HoldReason, Plan, Schedule, SenderId, Status, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
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

/// Which queue a campaign's messages wait in; a higher one goes first at every bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// One-time codes and other messages that somebody waits for; the default of Trigger campaigns.
    Otp,
    /// The usual.
    #[default]
    Normal,
    /// Whatever can wait.
    Bulk,
}

impl Lane {
    /// Every lane, the first to be served first.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Normal, Self::Bulk];
}

/// A variable of a text, filled from a column of the recipient file or by a Trigger call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name, as written between braces in the text.
    pub name: String,
    /// Longest value in characters; a longer one makes its recipient `failed: rendering`.
    pub max_chars: u16,
}

/// How a campaign wants one `command_status` to be treated, in place of the engine's own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRule {
    /// The `command_status`.
    pub status: u32,
    /// Attempts of one part that it may cost, 1 for no retry.
    pub attempts: u8,
    /// Pause before the next attempt, seconds.
    pub delay_s: u32,
}

/// How a campaign sends beyond its text and sender; part of what is approved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendingRules {
    /// When.
    pub schedule: Schedule,
    /// Recipients of one local day.
    pub daily_limit: Option<u64>,
    /// Whether quiet hours do not hold for it; Trigger only.
    pub ignore_daily_window: bool,
    /// How long the SMSC, and for Trigger the engine, tries, seconds.
    pub validity_s: Option<u32>,
    /// Which lane.
    pub lane: Lane,
    /// Whether people who opted out still get it; blocked numbers never do.
    pub transactional: bool,
    /// The only channel to use.
    pub channel: Option<String>,
    /// Refusals treated in another way than usual, at most one rule a status.
    pub retry: Vec<RetryRule>,
    /// Whether approval starts it.
    pub auto_start: bool,
}

/// What an approval binds: any change of it is a new content version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The message text; with variables, `{name}` stands for a value and `{{` for a brace.
    pub text: String,
    /// The variables of the text, in no order that matters.
    pub variables: Vec<Variable>,
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
    /// Most parts of one message, `1..=MAX_PARTS`.
    pub parts: u8,
    /// Whether the SMSC is asked for receipts.
    pub receipts: bool,
    /// Ordered digest of the recipients, hexadecimal; `open` for a Trigger list.
    pub recipients_digest: String,
    /// How it is sent.
    pub rules: SendingRules,
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
    /// [`Campaign::content_hash`] of what was approved.
    pub content_hash: String,
    /// Whether it was the approver's own item, as the workspace's terms allowed.
    #[serde(default)]
    pub self_approved: bool,
}

/// What a recipient file was found to hold; a later file takes the place of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Octets received.
    pub bytes: u64,
    /// Lines of the file.
    pub lines: u64,
    /// Recipients taken.
    pub accepted: u64,
    /// Lines that repeat an earlier number.
    pub duplicate: u64,
    /// Lines that were refused.
    pub invalid: u64,
    /// Refused lines by the code of their reason.
    pub invalid_by_reason: BTreeMap<String, u64>,
    /// Names of the columns, where there are several.
    pub columns: Vec<String>,
    /// The variables whose values were taken, in order, each with the length of its longest value.
    pub variables: Vec<Variable>,
    /// Ordered digest of what was taken, hexadecimal.
    pub digest: String,
    /// When it was complete.
    pub at: jiff::Timestamp,
    /// By whom.
    pub by: UserId,
}

/// What people keep about a campaign; nothing of it changes what is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filing {
    /// Set while it is archived.
    pub archived_at: Option<jiff::Timestamp>,
    /// Who archived it.
    pub archived_by: Option<UserId>,
    /// The archived campaign of another workspace that it was made from.
    pub restored_from: Option<CampaignId>,
    /// The campaign whose recipients it sends to again.
    pub resent_from: Option<CampaignId>,
    /// Why a moderator refused it.
    pub rejection_note: Option<String>,
    /// The file its recipients came from.
    pub upload: Option<Upload>,
    /// When it began to send, its time having come.
    pub started_at: Option<jiff::Timestamp>,
    /// When all numbers of its recipients were erased.
    pub numbers_erased_at: Option<jiff::Timestamp>,
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
    /// Who else had a hand in it, each once.
    pub edited_by: Vec<UserId>,
    /// When it was created.
    pub created_at: jiff::Timestamp,
    /// Whether somebody, or auto-start, has started it; its schedule may still hold it.
    pub started: bool,
    /// Whether the last number was handed in, for Trigger: it ends when what it has is sent.
    #[serde(default)]
    pub finished: bool,
    /// Which row is due when, for Spread: made when it is built, made anew by an outage.
    pub plan: Option<Plan>,
    /// Why it failed or was rejected, or what its pre-flight lacks while that holds it.
    pub reason: Option<String>,
    /// When it ended.
    pub ended_at: Option<jiff::Timestamp>,
    /// Recipients charged to local days, written when it ends: other campaigns of the workspace share its limit.
    pub charged: Vec<(jiff::civil::Date, u64)>,
    /// The exact account, written when it ends and again when its receipts are over.
    pub counts: Option<Counts>,
    /// The same counted in segments, written with it; parts never rendered count as the longest message has them.
    #[serde(default)]
    pub segment_counts: Option<Counts>,
    /// Whether it has ended and no receipt is awaited any more.
    #[serde(default)]
    pub receipts_over: bool,
    /// What people keep about it.
    #[serde(default)]
    pub filing: Filing,
}

impl Campaign {
    /// Whether this account created it or had a hand in it: four eyes.
    #[must_use]
    pub fn is_own(&self, user: UserId) -> bool {
        user == self.created_by || self.edited_by.contains(&user)
    }

    /// Whether nothing of it needs its recipients any more: it has ended, that is accounted for, and no receipt is
    /// awaited.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.status.is_final() && self.counts.is_some() && self.receipts_over
    }

    /// How many different people approved its present content, to the octet; one's own counts only where it is marked.
    #[must_use]
    pub fn approvals_given(&self) -> usize {
        let hash = self.content_hash();
        let counts = |a: &&Approval| {
            a.version == self.version && a.content_hash == hash && (a.self_approved || !self.is_own(a.by))
        };
        self.approvals.iter().filter(counts).map(|a| a.by).collect::<BTreeSet<_>>().len()
    }

    /// Whether [`Self::approvals_given`] is at least one.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.approvals_given() > 0
    }

    /// SHA-256 over everything that an approval binds: text, sender, schedule, limits, recipients; hexadecimal.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let recipients = if self.mode == Mode::Trigger { 0 } else { self.recipients };
        let bound = (&self.content, self.mode, self.delivery_policy, recipients, self.workspace_id);
        // Plain data: there is nothing in it that could fail to serialise.
        let octets = serde_json::to_vec(&bound).unwrap_or_default();
        let mut hash = String::with_capacity(64);
        for octet in Sha256::digest(octets) {
            // Writing to a string does not fail.
            let _ = write!(hash, "{octet:02x}");
        }
        hash
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
    /// Perhaps sent, perhaps not; or no receipt came in time.
    pub unknown: u64,
}

impl Counts {
    /// Those whose message was accepted by the SMSC, or may have been.
    #[must_use]
    pub const fn accepted(&self) -> u64 {
        self.sent + self.delivered + self.undeliverable + self.unknown
    }
}
