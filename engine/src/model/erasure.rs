//! What is left of a number that was erased, and requests to erase one number everywhere.

use crate::model::{CampaignId, CampaignNo, Number, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// What a number is replaced by when it is erased: the octets of its `ctn_hash`. `Display` and stored texts are 64
/// hexadecimal digits in small letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NumberHash(pub [u8; 32]);

impl NumberHash {
    /// The hash that these digits write.
    #[must_use]
    pub fn read(digits: &str) -> Option<Self> {
        let digits = digits.as_bytes();
        let mut octets = [0; 32];
        if digits.len() != 2 * octets.len() {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
            *octet = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Self(octets))
    }
}

impl fmt::Display for NumberHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for NumberHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<NumberHash> for String {
    fn from(hash: NumberHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for NumberHash {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        Self::read(&digits).ok_or("not 64 hexadecimal digits")
    }
}

/// What is stored of who a recipient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The number.
    Number(Number),
    /// The hash of a number that was erased.
    Erased(NumberHash),
}

impl Identity {
    /// The number, where it was not erased.
    #[must_use]
    pub const fn number(self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(number),
            Self::Erased(_) => None,
        }
    }
}

/// How far a request to erase a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStatus {
    /// Lists are being looked through.
    Running,
    /// Campaigns that hold the number have not ended, or receipts of theirs are awaited.
    Waiting,
    /// No list that the request is about holds the number any more.
    Done,
}

/// A campaign whose recipients lose the number now; kept so that a restart goes on with it and counts it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureStep {
    /// Where.
    pub workspace_id: WorkspaceId,
    /// Which.
    pub campaign_id: CampaignId,
    /// Recipients that had the number before the first of them lost it.
    pub recipients: u64,
}

/// A draft whose list is written anew without the number; kept so that a restart removes the former list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftStep {
    /// Where.
    pub workspace_id: WorkspaceId,
    /// Which.
    pub draft_id: CampaignId,
    /// The number of the former list.
    pub no: CampaignNo,
}

/// A request to erase one number in every list that there was when it was made. It holds the number's hash and never
/// the number: what is stored of it is in the audit log too, and nothing of that is ever changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Its id; lists whose campaign or draft has a greater one came later.
    pub id: Uuid,
    /// Whose.
    pub ctn_hash: NumberHash,
    /// How far it is.
    pub status: ErasureStatus,
    /// Whether every draft was looked through.
    pub drafts_passed: bool,
    /// The last campaign that was looked through; they go from the newest to the oldest.
    pub passed: Option<CampaignId>,
    /// Whether every campaign was.
    pub all_passed: bool,
    /// The campaign at work.
    pub step: Option<ErasureStep>,
    /// The draft at work, with the list that its new one takes the place of.
    pub draft_step: Option<DraftStep>,
    /// Campaigns that hold the number and still need it.
    pub waiting: Vec<(WorkspaceId, CampaignId)>,
    /// Lists whose files may still hold octets of what was erased in them.
    pub unscrubbed: Vec<CampaignNo>,
    /// Campaigns in which it was erased.
    pub campaigns: u64,
    /// Recipients that lost it.
    pub recipients: u64,
    /// Drafts whose lists lost it.
    pub drafts: u64,
    /// Exported files that were removed.
    pub exports: u64,
    /// Who asked for it.
    pub created_by: UserId,
    /// When.
    pub created_at: jiff::Timestamp,
    /// When it was done.
    pub done_at: Option<jiff::Timestamp>,
    /// Counts changes.
    pub version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_comes_back_from_its_digits_and_nothing_else_is_one() {
        let hash = NumberHash(std::array::from_fn(|at| u8::try_from(at * 7).unwrap_or(u8::MAX)));
        let digits = hash.to_string();
        assert_eq!((digits.len(), NumberHash::read(&digits)), (64, Some(hash)));
        assert_eq!(serde_json::to_value(hash).ok(), Some(digits.clone().into()));
        for wrong in ["", &digits[1..], &digits.replace('0', "g"), &digits.to_uppercase(), &"é".repeat(32)] {
            assert_eq!(NumberHash::read(wrong), None, "{wrong}");
        }
    }
}
