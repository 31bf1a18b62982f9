//! The life of a campaign as one pure table: which move leads from which status to which.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The nine statuses of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Waits for moderation.
    New,
    /// Approved; suppression, plan and routing are being prepared.
    Building,
    /// Ready; waits for its start.
    Pending,
    /// Sends, or waits with a `hold_reason`.
    Sending,
    /// Stopped by a person.
    Paused,
    /// Nothing queued and nothing in flight.
    Done,
    /// Ended by a person or by rejection.
    Cancelled,
    /// Cannot proceed.
    Failed,
    /// Its time ended with unsent recipients, or unapproved.
    Expired,
}

/// Why a campaign that may send does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Approved, not started.
    AwaitingStart,
    /// Its time has not come.
    Scheduled,
    /// The workspace's quiet hours.
    QuietHours,
    /// Today's limit is used up.
    DailyLimit,
    /// A rate limit below the backlog.
    RateLimit,
    /// No channel is bound.
    NoChannel,
    /// The store cannot take intents.
    StoreUnavailable,
    /// Admin plane and engine disagree about the schema.
    SchemaMismatch,
}

/// What can happen to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The last needed approval.
    Approve,
    /// Rejected with a note.
    Reject,
    /// Prepared.
    Built,
    /// Started by a person, by auto-start or by its schedule.
    Start,
    /// Paused by a person.
    Pause,
    /// Resumed by a person.
    Resume,
    /// Cancelled by a person.
    Cancel,
    /// Everything is final.
    Complete,
    /// It cannot proceed.
    Fail,
    /// Its time ended.
    Expire,
}

impl Status {
    /// Every status, in the order of life.
    pub const ALL: [Self; 9] = [
        Self::New,
        Self::Building,
        Self::Pending,
        Self::Sending,
        Self::Paused,
        Self::Done,
        Self::Cancelled,
        Self::Failed,
        Self::Expired,
    ];

    /// Where `what` leads from here; `None` is an illegal edge.
    #[must_use]
    pub const fn after(self, what: Move) -> Option<Self> {
        use Status::{Building, Cancelled, Done, Expired, Failed, New, Paused, Pending, Sending};
        Some(match (self, what) {
            (New, Move::Approve) => Building,
            (New, Move::Reject) => Cancelled,
            (Building, Move::Built) => Pending,
            (Pending, Move::Start) => Sending,
            (Sending, Move::Pause) => Paused,
            (Paused, Move::Resume) => Sending,
            (Sending | Paused, Move::Complete) => Done,
            (New | Building | Pending | Sending | Paused, Move::Cancel) => Cancelled,
            (Building | Pending | Sending | Paused, Move::Fail) => Failed,
            (New | Pending | Sending | Paused, Move::Expire) => Expired,
            _ => return None,
        })
    }

    /// Whether nothing more can be sent under this status.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Failed | Self::Expired)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOVES: [Move; 10] = [
        Move::Approve,
        Move::Reject,
        Move::Built,
        Move::Start,
        Move::Pause,
        Move::Resume,
        Move::Cancel,
        Move::Complete,
        Move::Fail,
        Move::Expire,
    ];

    #[test]
    fn a_final_status_has_no_way_out_and_every_other_has_one() {
        for status in Status::ALL {
            let ways = MOVES.iter().filter(|what| status.after(**what).is_some()).count();
            assert_eq!(ways == 0, status.is_final(), "{status}: {ways}");
        }
    }

    #[test]
    fn nothing_reaches_sending_without_approval_then_build_then_start() {
        let before_sending: Vec<_> = Status::ALL
            .into_iter()
            .flat_map(|s| MOVES.into_iter().map(move |m| (s, m)))
            .filter(|(s, m)| s.after(*m) == Some(Status::Sending))
            .collect();
        assert_eq!(before_sending, [(Status::Pending, Move::Start), (Status::Paused, Move::Resume)]);
        assert_eq!(Status::New.after(Move::Start), None);
        assert_eq!(Status::Building.after(Move::Start), None);
    }
}
