//! When a campaign may send, as people say it: local times in a zone, hours of the day, and the plan made of them.
//!
//! Times are kept as local time and zone; `schedule` turns them into instants.

use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};

/// Hours of every local day in which nothing is sent; `from` after `to` spans midnight, equal ones mean none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// First quiet moment.
    pub from: Time,
    /// First moment that is no longer quiet.
    pub to: Time,
}

/// A stretch of local time, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalWindow {
    /// Its first moment.
    pub from: DateTime,
    /// The first moment behind it.
    pub to: DateTime,
}

/// What a campaign's author asked for; which fields are needed depends on the mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// When an OnTime campaign starts.
    pub start_at: Option<DateTime>,
    /// Within what a campaign sends.
    pub window: Option<LocalWindow>,
    /// IANA name of the zone that these times, quiet hours aside, are read in.
    pub time_zone: String,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { start_at: None, window: None, time_zone: "UTC".to_owned() }
    }
}

/// One local day, or a part of one, of a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSpan {
    /// The local day that its recipients are charged to.
    pub day: Date,
    /// First second, since 1970.
    pub from_s: i64,
    /// The second behind the last.
    pub to_s: i64,
    /// Rows due in it, evenly.
    pub rows: u64,
}

/// Which row of a Spread campaign is due in which second: decided before the first is sent, the same after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// 1 for the first plan; an outage makes a new one for what was not sent.
    pub version: u32,
    /// The rows it covers in order of their due time, as (first recipient, count).
    pub rows: Vec<(u64, u64)>,
    /// In order of time, without overlap; their rows add up to the rows covered.
    pub spans: Vec<PlanSpan>,
}
