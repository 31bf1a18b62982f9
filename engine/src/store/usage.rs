//! What a catalog tells of the traffic of a workspace: by hour for a chart, by campaign for a bill.

use crate::model::CampaignId;
use crate::model::traffic::Traffic;

/// Most hours of one call of [`Catalog::traffic`](super::Catalog::traffic): a chart of two days.
pub const MAX_HOURS: u32 = 48;

/// What one campaign has sent in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourUsage {
    /// The hour, counted from 1970.
    pub hour: u32,
    /// The campaign.
    pub campaign_id: CampaignId,
    /// What it has sent.
    pub traffic: Traffic,
}

/// What one campaign has sent in a stretch of hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignUsage {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// What it has sent.
    pub traffic: Traffic,
}
