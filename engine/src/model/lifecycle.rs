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
    /// Started by a person or by auto-start before its time has come.
    Arm,
    /// Begins to send: started by a person or by auto-start, and its time has come.
    Start,
    /// It is large and its pre-flight says no: it starts by itself once that says go.
    Hold,
    /// Paused by a person.
    Pause,
    /// Resumed by a person.
    Resume,
    /// Cancelled by a person.
    Cancel,
    /// A program has handed in its last number; what it handed in is still sent. Trigger only.
    Finish,
    /// The rest of a Spread plan was made anew after an outage.
    Respread,
    /// Everything is final.
    Complete,
    /// The last receipt has come or is given up; only the account of what has ended changes.
    CloseReceipts,
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
            (Pending, Move::Arm | Move::Hold) => Pending,
            (Pending, Move::Start) => Sending,
            (Sending, Move::Pause) => Paused,
            (Paused, Move::Resume) => Sending,
            (Sending, Move::Finish | Move::Respread) => Sending,
            (Paused, Move::Finish) => Paused,
            (Sending | Paused, Move::Complete) => Done,
            (Done | Cancelled | Failed | Expired, Move::CloseReceipts) => self,
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

impl Move {
    /// Every move, in the order of life.
    pub const ALL: [Self; 15] = [
        Self::Approve,
        Self::Reject,
        Self::Built,
        Self::Arm,
        Self::Start,
        Self::Hold,
        Self::Pause,
        Self::Resume,
        Self::Cancel,
        Self::Finish,
        Self::Respread,
        Self::Complete,
        Self::CloseReceipts,
        Self::Fail,
        Self::Expire,
    ];

    /// The word for it in a refusal: "a campaign that is Done cannot `pause`".
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "be approved",
            Self::Reject => "be rejected",
            Self::Built => "be built",
            Self::Arm | Self::Start => "start",
            Self::Hold => "be held",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Finish => "finish",
            Self::Respread => "be spread anew",
            Self::Complete => "complete",
            Self::CloseReceipts => "close its receipts",
            Self::Fail => "fail",
            Self::Expire => "expire",
        }
    }

    /// The action under which it is audited.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Approve => "campaign.approve",
            Self::Reject => "campaign.reject",
            Self::Built => "campaign.built",
            Self::Arm => "campaign.arm",
            Self::Start => "campaign.start",
            Self::Hold => "campaign.hold",
            Self::Pause => "campaign.pause",
            Self::Resume => "campaign.resume",
            Self::Cancel => "campaign.cancel",
            Self::Finish => "campaign.finish",
            Self::Respread => "campaign.respread",
            Self::Complete => "campaign.complete",
            Self::CloseReceipts => "campaign.close_receipts",
            Self::Fail => "campaign.fail",
            Self::Expire => "campaign.expire",
        }
    }

    /// Why a campaign waits right behind it, as far as the move itself tells.
    #[must_use]
    pub const fn hold_reason(self) -> Option<HoldReason> {
        match self {
            Self::Built => Some(HoldReason::AwaitingStart),
            Self::Arm => Some(HoldReason::Scheduled),
            _ => None,
        }
    }

    /// Whether nothing may be written any more once it is acknowledged.
    #[must_use]
    pub const fn stops(self) -> bool {
        matches!(self, Self::Pause | Self::Cancel | Self::Fail | Self::Expire)
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
    use std::collections::BTreeSet;

    /// One row a status, one column a move: where it leads, `.` for nowhere. Written by hand from the specification.
    ///
    /// `N`ew, `B`uilding, `P`ending, `S`ending, pa`U`sed, `D`one, `C`ancelled, `F`ailed, `E`xpired.
    const TABLE: &str = "
              approve reject built arm start hold pause resume cancel finish respread complete receipts fail expire
        N     B       C      .     .   .     .    .     .      C      .      .        .        .        .    E
        B     .       .      P     .   .     .    .     .      C      .      .        .        .        F    .
        P     .       .      .     P   S     P    .     .      C      .      .        .        .        F    E
        S     .       .      .     .   .     .    U     .      C      S      S        D        .        F    E
        U     .       .      .     .   .     .    .     S      C      U      .        D        .        F    E
        D     .       .      .     .   .     .    .     .      .      .      .        .        D        .    .
        C     .       .      .     .   .     .    .     .      .      .      .        .        C        .    .
        F     .       .      .     .   .     .    .     .      .      .      .        .        F        .    .
        E     .       .      .     .   .     .    .     .      .      .      .        .        E        .    .
    ";

    fn status(letter: &str) -> Option<Status> {
        match letter {
            "." => None,
            _ => "NBPSUDCFE".find(letter).and_then(|at| Status::ALL.get(at)).copied(),
        }
    }

    #[test]
    fn every_move_from_every_status_leads_where_the_table_says() {
        let mut lines = TABLE.lines().filter(|line| !line.trim().is_empty());
        let columns = lines.next().map_or(0, |head| head.split_whitespace().count());
        assert_eq!(columns, Move::ALL.len());
        let mut rows = 0;
        for (line, from) in lines.zip(Status::ALL) {
            let mut cells = line.split_whitespace();
            assert_eq!(cells.next().and_then(status), Some(from));
            let cells: Vec<_> = cells.map(status).collect();
            assert_eq!(cells.len(), Move::ALL.len());
            for (what, expected) in Move::ALL.into_iter().zip(cells) {
                assert_eq!(from.after(what), expected, "{from} {what:?}");
            }
            rows += 1;
        }
        assert_eq!(rows, Status::ALL.len());
    }

    #[test]
    fn a_final_status_has_no_way_out_and_every_other_has_one() {
        for status in Status::ALL {
            let leads_away = |what: &&Move| status.after(**what).is_some_and(|to| to != status);
            let ways = Move::ALL.iter().filter(leads_away).count();
            assert_eq!(ways == 0, status.is_final(), "{status}: {ways}");
        }
    }

    #[test]
    fn no_two_moves_share_an_audited_action() {
        let actions: BTreeSet<_> = Move::ALL.iter().map(|what| what.action()).collect();
        assert_eq!(actions.len(), Move::ALL.len());
    }
}
