//! Reading a plan: how many rows are due, when a given one is, what a day holds.
//!
//! A day's rows are spread over the seconds of all its spans as if these were one: row `j` of `n` is due in second
//! `floor(j * seconds / n)`. Invariant: every row is due in exactly one second, and [`Plan::due`] counts those rows
//! whose [`Plan::planned_at`] has come, proved by `a_plan_is_what_counting_second_by_second_gives`.

use super::zone::{instant_of, second_of};
use crate::model::{Plan, PlanSpan};
use jiff::Timestamp;
use jiff::civil::Date;

/// The spans of one local day.
#[derive(Clone, Copy)]
struct PlanDay<'a> {
    spans: &'a [PlanSpan],
    rows: u64,
    seconds: u64,
}

impl<'a> PlanDay<'a> {
    fn new(spans: &'a [PlanSpan]) -> Self {
        let rows = spans.iter().map(|span| span.rows).sum();
        Self { spans, rows, seconds: spans.iter().map(seconds).sum() }
    }

    /// Rows due up to and including a second.
    fn due(&self, at_s: i64) -> u64 {
        let gone =
            self.spans.iter().map(|span| seconds(&PlanSpan { to_s: span.to_s.min(at_s + 1), ..*span }));
        due_in(self.rows, self.seconds, gone.sum())
    }

    /// The second of its row `row`, counted from 0.
    fn second(&self, row: u64) -> Option<i64> {
        let mut left = self.share(row.min(self.rows));
        for span in self.spans {
            if left < seconds(span) {
                return Some(span.from_s.saturating_add(i64::try_from(left).unwrap_or(i64::MAX)));
            }
            left -= seconds(span);
        }
        None
    }

    fn share(&self, row: u64) -> u64 {
        mul_div(row, self.seconds, self.rows)
    }
}

/// Rows of `rows` that are due in the first `gone` of `seconds`.
pub(super) fn due_in(rows: u64, seconds: u64, gone: u64) -> u64 {
    let gone = u128::from(gone) * u128::from(rows);
    u64::try_from(gone.div_ceil(u128::from(seconds.max(1)))).unwrap_or(u64::MAX).min(rows)
}

/// `floor(a * b / c)` without overflow in between; 0 for `c` = 0.
pub(super) fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    let whole = (u128::from(a) * u128::from(b)).checked_div(u128::from(c)).unwrap_or(0);
    u64::try_from(whole).unwrap_or(u64::MAX)
}

fn seconds(span: &PlanSpan) -> u64 {
    u64::try_from(span.to_s.saturating_sub(span.from_s)).unwrap_or(0)
}

/// All of it costs a few nanoseconds a span, of which a plan of a year has at most some hundreds.
impl Plan {
    /// Rows that it covers.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.spans.iter().map(|span| span.rows).sum()
    }

    /// Rows due up to and including the second of `at`.
    #[must_use]
    pub fn due(&self, at: Timestamp) -> u64 {
        let at_s = second_of(at);
        self.days().take_while(|day| day.spans[0].from_s <= at_s).map(|day| day.due(at_s)).sum()
    }

    /// When a recipient, by its ordinal in the campaign, is due; `None` when the plan does not cover it.
    /// Cost: some nanoseconds also for each run of [`Plan::rows`].
    #[must_use]
    pub fn planned_at(&self, recipient: u64) -> Option<Timestamp> {
        let mut before = 0;
        for &(first, count) in &self.rows {
            if let Some(within) = recipient.checked_sub(first).filter(|within| *within < count) {
                return self.next_due(before + within).map(instant_of);
            }
            before += count;
        }
        None
    }

    /// The second, since 1970, in which more than `after` rows are due for the first time: that of the row behind
    /// the first `after` ones. `None` when there is none.
    #[must_use]
    pub fn next_due(&self, after: u64) -> Option<i64> {
        let mut row = after;
        for day in self.days() {
            if row < day.rows {
                return day.second(row);
            }
            row -= day.rows;
        }
        None
    }

    /// When its first row is due.
    #[must_use]
    pub fn first_at(&self) -> Option<Timestamp> {
        self.next_due(0).map(instant_of)
    }

    /// When its last row is due.
    #[must_use]
    pub fn last_at(&self) -> Option<Timestamp> {
        self.next_due(self.total().checked_sub(1)?).map(instant_of)
    }

    /// Rows of each local day that has some, in order.
    #[must_use]
    pub fn per_day(&self) -> Vec<(Date, u64)> {
        self.days().map(|day| (day.spans[0].day, day.rows)).collect()
    }

    /// Rows that a minute of the plan holds at `at`, rounded up: those of the latest day that has begun, or of the
    /// first one; at least 1.
    pub(super) fn rows_a_minute(&self, at: Timestamp) -> u64 {
        let at_s = second_of(at);
        let day = self.days().take_while(|day| day.spans[0].from_s <= at_s).last().or(self.days().next());
        day.map_or(1, |day| due_in(day.rows, day.seconds, 60).max(1))
    }

    fn days(&self) -> impl Iterator<Item = PlanDay<'_>> {
        self.spans.chunk_by(|a, b| a.day == b.day).map(PlanDay::new)
    }
}
