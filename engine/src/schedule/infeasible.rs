//! Why a Spread campaign cannot be planned, in words with numbers: what a person reads in the wizard.

use super::gate::GateError;
use super::planner::MAX_WINDOW_DAYS;
use crate::model::QuietHours;
use jiff::civil::DateTime;
use std::fmt;

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Infeasible {
    /// No window, or an unknown zone.
    #[error(transparent)]
    Rules(#[from] GateError),
    /// The window holds not a single second, perhaps because the clock is put forward over all of it.
    #[error("the window from {from} to {to} ({zone}) holds no time at all")]
    Empty {
        /// Its first moment, local.
        from: DateTime,
        /// The first moment behind it.
        to: DateTime,
        /// The campaign's zone.
        zone: String,
    },
    /// Nothing of the window is left.
    #[error("the window ended at {to} ({zone}), and it is {now} there now")]
    Past {
        /// The first moment behind it, local.
        to: DateTime,
        /// What the clock shows now.
        now: DateTime,
        /// The campaign's zone.
        zone: String,
    },
    /// Longer than a plan may be.
    #[error("the window is {days} days long; at most {MAX_WINDOW_DAYS} days can be planned")]
    TooLong {
        /// Days that it touches.
        days: i64,
    },
    /// Quiet hours leave nothing of it.
    #[error("what is left of the window lies wholly inside the quiet hours from {} to {} ({zone})", .hours.from, .hours.to)]
    Quiet {
        /// The workspace's quiet hours.
        hours: QuietHours,
        /// The workspace's zone.
        zone: String,
    },
    /// The daily limit leaves no room for all.
    #[error("{0}")]
    Limit(Shortfall),
}

/// A daily limit against a number of recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Local days of the workspace in which the window allows sending.
    pub days: u64,
    /// Recipients a day: the campaign's limit or its workspace's, whichever is smaller.
    pub limit: u64,
    /// What these days hold, less what is charged to them already.
    pub capacity: u64,
    /// Recipients to plan.
    pub rows: u64,
}

impl Shortfall {
    /// What is charged to these days already.
    #[must_use]
    pub fn charged(&self) -> u64 {
        self.days.saturating_mul(self.limit).saturating_sub(self.capacity)
    }

    /// Days that all recipients need under this limit; `None` when it lets nobody through.
    #[must_use]
    pub fn needed_days(&self) -> Option<u64> {
        let rows = self.rows.saturating_add(self.charged());
        (self.limit > 0).then(|| rows.div_ceil(self.limit))
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64, one: &'static str, more| if count == 1 { one } else { more };
        write!(f, "{} {} x {} a day", self.days, plural(self.days, "day", "days"), self.limit)?;
        if self.charged() > 0 {
            write!(f, " less {} already used", self.charged())?;
        }
        let (who, verb) = (plural(self.rows, "recipient", "recipients"), plural(self.rows, "needs", "need"));
        write!(f, " = {}, {} {who} {verb} ", self.capacity, self.rows)?;
        match self.needed_days() {
            Some(days) => write!(f, "{days} {}", plural(days, "day", "days")),
            None => f.write_str("a limit above 0"),
        }
    }
}
