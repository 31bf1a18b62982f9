//! A recipient as answers and exports show it: by its hash, its number masked unless somebody may see it.

use super::moment::Moment;
use crate::privacy::CtnHasher;
use engine::model::{Campaign, CampaignId, Identity, Mode, Number, UnitStatus};
use engine::report::{Origin, RecipientRow};
use engine::schedule::Zone;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::{Builder, Uuid, Variant, Version};

/// Whether numbers are written in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Trailing digits only.
    Masked,
    /// Every digit.
    Full,
}

impl Numbers {
    /// The number as it may be shown, where there still is one.
    pub(crate) fn show(self, identity: Identity) -> Option<String> {
        let shown = |number: Number| match self {
            Self::Masked => number.to_string(),
            Self::Full => number.0.to_string(),
        };
        identity.number().map(shown)
    }
}

/// A recipient of a campaign.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Recipient)]
pub(crate) struct RecipientView {
    /// The same for the same recipient whenever it is asked for.
    pub(crate) id: Uuid,
    /// Names the number without showing it.
    #[schema(example = "47f921d2faca641482cf075690d77a03773d69986a1bc7014b88090c7c0475e6")]
    pub(crate) ctn_hash: String,
    /// The last four digits, or all of them while they are revealed; `null` when the number was erased.
    #[schema(example = "••••••5678")]
    pub(crate) number: Option<String>,
    /// `queued`, `in_flight`, `sent`, `delivered`, `undeliverable`, `rejected`, `expired`, `cancelled`, `skipped`,
    /// `failed` or `unknown`.
    #[schema(example = "delivered")]
    pub(crate) status: &'static str,
    /// Why it went wrong, in the terms of `error_origin`.
    pub(crate) error_code: Option<u32>,
    /// Who says so: `answer` and `receipt` of the SMSC, or the `engine`.
    #[schema(example = "receipt")]
    pub(crate) error_origin: Option<&'static str>,
    /// What that means.
    pub(crate) explanation: Option<&'static str>,
    /// When it was due, in OnTime and Spread campaigns.
    pub(crate) planned_at: Option<Moment>,
    /// When its first part was handed to the SMSC.
    pub(crate) submitted_at: Option<Moment>,
    /// When the last of its parts became final.
    pub(crate) final_at: Option<Moment>,
    /// Parts of its message.
    pub(crate) parts: usize,
}

/// Shows the recipients of one campaign.
pub(crate) struct Shower<'a> {
    ctn: &'a CtnHasher,
    campaign: &'a Campaign,
    numbers: Numbers,
    start: Option<Timestamp>,
}

impl<'a> Shower<'a> {
    /// For this campaign.
    pub(crate) fn new(ctn: &'a CtnHasher, campaign: &'a Campaign, numbers: Numbers) -> Self {
        let schedule = &campaign.content.rules.schedule;
        let zone = Zone::named(&schedule.time_zone).ok();
        let start = schedule.start_at.zip(zone).map(|(local, zone)| zone.resolve(local));
        Self { ctn, campaign, numbers, start }
    }

    /// A recipient.
    pub(crate) fn show(&self, row: &RecipientRow) -> RecipientView {
        let error = row.error;
        let is_final = row.parts.iter().all(|part| part.final_at.is_some());
        RecipientView {
            id: recipient_id(self.campaign.id, row.ordinal),
            ctn_hash: self.ctn.name(row.identity).to_string(),
            number: self.numbers.show(row.identity),
            status: status_word(row.status),
            error_code: error.map(|error| error.code).filter(|code| *code != 0),
            error_origin: error.map(|error| origin_word(error.origin)),
            explanation: error.map(|error| error.explanation()),
            planned_at: self.planned_at(row.ordinal).map(Moment),
            submitted_at: row.parts.iter().filter_map(|part| part.submitted_at).min().map(Moment),
            final_at: row
                .parts
                .iter()
                .filter_map(|part| part.final_at)
                .max()
                .filter(|_| is_final)
                .map(Moment),
            parts: row.parts.len(),
        }
    }

    fn planned_at(&self, ordinal: u64) -> Option<Timestamp> {
        match self.campaign.mode {
            Mode::Spread => self.campaign.plan.as_ref()?.planned_at(ordinal),
            Mode::OnTime => self.start,
            Mode::OnDemand | Mode::Trigger => None,
        }
    }
}

/// The id of a recipient: the time of its campaign's id, and a digest of campaign and place.
pub(crate) fn recipient_id(campaign: CampaignId, ordinal: u64) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(campaign.0.as_bytes());
    digest.update(ordinal.to_be_bytes());
    let mut octets = *campaign.0.as_bytes();
    // The first six octets of a UUID of version 7 are its time.
    for (octet, of_digest) in octets.iter_mut().skip(6).zip(digest.finalize()) {
        *octet = of_digest;
    }
    Builder::from_bytes(octets).with_version(Version::SortRand).with_variant(Variant::RFC4122).into_uuid()
}

/// How answers call where a recipient stands: as the counts do.
pub(crate) const fn status_word(status: UnitStatus) -> &'static str {
    match status {
        UnitStatus::Queued => "queued",
        UnitStatus::Intended => "in_flight",
        UnitStatus::Sent => "sent",
        UnitStatus::Delivered => "delivered",
        UnitStatus::Undeliverable => "undeliverable",
        UnitStatus::Rejected => "rejected",
        UnitStatus::Expired => "expired",
        UnitStatus::Cancelled => "cancelled",
        UnitStatus::Skipped => "skipped",
        UnitStatus::Failed => "failed",
        UnitStatus::Unknown => "unknown",
        UnitStatus::Absent => "absent",
    }
}

/// The status behind a word; `absent` is none of a recipient.
pub(crate) fn status_of(word: &str) -> Option<UnitStatus> {
    let statuses = UnitStatus::ALL.into_iter().filter(|status| *status != UnitStatus::Absent);
    statuses.into_iter().find(|status| status_word(*status) == word)
}

/// How answers call who says that something went wrong.
pub(crate) const fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Answer => "answer",
        Origin::Receipt => "receipt",
        Origin::Engine => "engine",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_recipient_has_an_id_of_its_own_that_stays() {
        let (one, two) = (CampaignId(Uuid::now_v7()), CampaignId(Uuid::now_v7()));
        let ids: BTreeSet<Uuid> =
            [one, two].into_iter().flat_map(|id| (0..5_000).map(move |n| recipient_id(id, n))).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == Variant::RFC4122));
        assert_eq!(recipient_id(one, 7), recipient_id(one, 7));
    }

    #[test]
    fn every_status_of_a_recipient_comes_back_from_its_word() {
        for status in UnitStatus::ALL {
            let found = status_of(status_word(status));
            assert_eq!(found, Some(status).filter(|status| *status != UnitStatus::Absent));
        }
        assert_eq!(status_of("intended"), None);
    }
}
