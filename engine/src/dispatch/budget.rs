//! Budgets of recipients a local day: of one campaign, of one workspace, and the purse of those that a campaign uses.
//!
//! Exact under concurrency and over every change of day: a token is taken for a named day and belongs to that day.
//! A day that has passed is never refilled, not even by a clock that went back. Never reads a clock.

use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Days that a budget remembers: a clock set wrong by more than this grants nothing for the days before.
const MAX_DAYS: usize = 64;

/// Recipients of a local day.
#[derive(Debug, Default)]
pub(crate) struct Budget(Mutex<Days>);

#[derive(Debug, Default)]
struct Days {
    limit: Option<u64>,
    used: BTreeMap<Date, u64>,
    /// Days up to this one are forgotten and count as used up.
    forgotten: Option<Date>,
}

impl Budget {
    /// A budget of `limit` recipients a day, `None` for no limit; it counts either way.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self(Mutex::new(Days { limit, ..Days::default() }))
    }

    /// Takes up to `want` recipients of `day` and returns how many.
    pub(crate) fn take(&self, day: Date, want: u64) -> u64 {
        let mut days = self.lock();
        let granted = want.min(days.left(day));
        if granted > 0 {
            days.add(day, granted);
        }
        granted
    }

    /// Returns recipients of `day` that were not sent; too late once a later day has begun.
    pub(crate) fn give_back(&self, day: Date, count: u64) {
        let mut days = self.lock();
        let is_newest = days.used.last_key_value().is_some_and(|(newest, _)| *newest == day);
        if is_newest && let Some(used) = days.used.get_mut(&day) {
            *used = used.saturating_sub(count);
        }
    }

    /// Counts what was charged before this start, beyond the limit if need be.
    pub(crate) fn charge_at_start(&self, day: Date, count: u64) {
        self.lock().add(day, count);
    }

    /// A day has begun: those before it are over.
    pub(crate) fn enter(&self, day: Date) {
        self.lock().add(day, 0);
    }

    /// How many recipients `day` has left.
    pub(crate) fn left(&self, day: Date) -> u64 {
        self.lock().left(day)
    }

    /// How many recipients are charged to `day`.
    pub(crate) fn used(&self, day: Date) -> u64 {
        self.lock().used.get(&day).copied().unwrap_or(0)
    }

    /// Changes the limit; what is used stays used.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.lock().limit = limit;
    }

    /// Whether there is a limit now.
    pub(crate) fn is_limited(&self) -> bool {
        self.lock().limit.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Days> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Days {
    fn left(&self, day: Date) -> u64 {
        match self.limit {
            None => u64::MAX,
            Some(_) if self.forgotten.is_some_and(|last| day <= last) => 0,
            Some(limit) => limit.saturating_sub(self.used.get(&day).copied().unwrap_or(0)),
        }
    }

    fn add(&mut self, day: Date, count: u64) {
        if self.forgotten.is_some_and(|last| day <= last) {
            return;
        }
        let used = self.used.entry(day).or_default();
        *used = used.saturating_add(count);
        while self.used.len() > MAX_DAYS {
            self.forgotten = self.used.pop_first().map(|(oldest, _)| oldest);
        }
    }
}

/// What one campaign draws on: its own budget and its workspace's. It outlives the campaign's actor, so that a new
/// incarnation can put right what the last one took and never sent.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    campaign: Arc<Budget>,
    workspace: Arc<Budget>,
    /// What this campaign has drawn of each day.
    drawn: Mutex<BTreeMap<Date, u64>>,
}

impl Purse {
    /// A purse over both budgets; give an unlimited one where there is no limit.
    pub(crate) fn new(campaign: Arc<Budget>, workspace: Arc<Budget>) -> Self {
        Self { campaign, workspace, drawn: Mutex::default() }
    }

    /// Takes up to `want` recipients of `day` from both budgets and returns how many.
    pub(crate) fn take(&self, day: Date, want: u64) -> u64 {
        let mut drawn = self.lock();
        let own = self.campaign.take(day, want);
        let granted = self.workspace.take(day, own);
        self.campaign.give_back(day, own - granted);
        note(&mut drawn, day, granted);
        granted
    }

    /// Returns recipients of `day` that were not sent, or refused for good with no part accepted.
    pub(crate) fn give_back(&self, day: Date, count: u64) {
        let mut drawn = self.lock();
        self.return_to_both(&mut drawn, day, count);
    }

    /// A day has begun: those before it are over.
    pub(crate) fn enter(&self, day: Date) {
        self.campaign.enter(day);
        self.workspace.enter(day);
    }

    /// Counts what was charged to `day` before this start.
    pub(crate) fn charge_at_start(&self, day: Date, count: u64) {
        let mut drawn = self.lock();
        self.charge_both(&mut drawn, day, count);
    }

    /// Puts what this campaign has drawn of `day` to the exact count that the keeper knows. To be called when nothing
    /// of the campaign is out: before its actor begins.
    pub(crate) fn correct(&self, day: Date, exact: u64) {
        let mut drawn = self.lock();
        let known = drawn.get(&day).copied().unwrap_or(0);
        if known > exact {
            self.return_to_both(&mut drawn, day, known - exact);
        } else {
            self.charge_both(&mut drawn, day, exact - known);
        }
    }

    /// How many recipients `day` has left for this campaign.
    pub(crate) fn left(&self, day: Date) -> u64 {
        self.campaign.left(day).min(self.workspace.left(day))
    }

    /// Whether the change of day means anything to this campaign.
    pub(crate) fn is_limited(&self) -> bool {
        self.campaign.is_limited() || self.workspace.is_limited()
    }

    fn return_to_both(&self, drawn: &mut BTreeMap<Date, u64>, day: Date, count: u64) {
        // Never more than was drawn: the workspace's budget is not this campaign's to refill.
        let known = drawn.get(&day).copied().unwrap_or(0);
        let count = count.min(known);
        self.campaign.give_back(day, count);
        self.workspace.give_back(day, count);
        drawn.insert(day, known - count);
    }

    fn charge_both(&self, drawn: &mut BTreeMap<Date, u64>, day: Date, count: u64) {
        self.campaign.charge_at_start(day, count);
        self.workspace.charge_at_start(day, count);
        note(drawn, day, count);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Date, u64>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(drawn: &mut BTreeMap<Date, u64>, day: Date, count: u64) {
    *drawn.entry(day).or_default() += count;
    while drawn.len() > MAX_DAYS {
        drawn.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn day(n: u8) -> Date {
        date(2026, 3, 1).checked_add(jiff::Span::new().days(i64::from(n))).expect("a day")
    }

    #[test]
    fn a_day_has_its_limit_and_the_next_day_has_its_own() {
        let budget = Budget::new(Some(10));
        assert_eq!((budget.take(day(0), 7), budget.take(day(0), 7), budget.take(day(1), 7)), (7, 3, 7));
        assert_eq!((budget.left(day(0)), budget.left(day(1)), budget.left(day(2))), (0, 3, 10));
    }

    #[test]
    fn a_day_that_has_passed_is_not_refilled() {
        let budget = Budget::new(Some(10));
        budget.take(day(0), 10);
        budget.give_back(day(0), 4);
        assert_eq!(budget.take(day(0), 10), 4, "today it is");
        budget.take(day(1), 1);
        budget.give_back(day(0), 5);
        assert_eq!((budget.left(day(0)), budget.used(day(1))), (0, 1));
    }

    #[test]
    fn a_clock_far_in_the_future_does_not_refill_the_days_before() {
        let budget = Budget::new(Some(5));
        budget.take(day(0), 5);
        for n in 10..10 + 70 {
            assert_eq!(budget.take(day(n), 5), 5);
        }
        assert_eq!((budget.take(day(0), 1), budget.take(day(12), 1), budget.take(day(79), 1)), (0, 0, 0));
    }

    #[test]
    fn a_limit_that_changes_holds_for_what_is_used_already() {
        let budget = Budget::new(None);
        assert!(!budget.is_limited());
        assert_eq!(budget.take(day(0), 100), 100);
        budget.set_limit(Some(120));
        assert_eq!((budget.left(day(0)), budget.take(day(0), 50)), (20, 20));
        budget.set_limit(Some(50));
        assert_eq!(budget.take(day(0), 1), 0);
    }

    #[test]
    fn a_purse_is_as_full_as_the_emptier_of_its_budgets_and_loses_nothing() {
        let (own, shared) = (Arc::new(Budget::new(Some(100))), Arc::new(Budget::new(Some(30))));
        let purse = Purse::new(Arc::clone(&own), Arc::clone(&shared));
        assert_eq!((purse.take(day(0), 50), own.used(day(0)), shared.used(day(0))), (30, 30, 30));
        purse.give_back(day(0), 5);
        assert_eq!((purse.left(day(0)), own.used(day(0))), (5, 25));
        let other = Purse::new(Arc::default(), Arc::clone(&shared));
        other.give_back(day(0), 100);
        assert_eq!(shared.used(day(0)), 25, "nobody gives back what it never took");
    }

    #[test]
    fn a_correction_puts_both_budgets_to_what_was_really_charged() {
        let (own, shared) = (Arc::new(Budget::new(Some(100))), Arc::new(Budget::new(Some(100))));
        shared.take(day(0), 10);
        let purse = Purse::new(Arc::clone(&own), Arc::clone(&shared));
        purse.take(day(0), 50);
        purse.correct(day(0), 20);
        assert_eq!((own.used(day(0)), shared.used(day(0))), (20, 30));
        purse.correct(day(0), 25);
        assert_eq!((own.used(day(0)), shared.used(day(0))), (25, 35));
    }

    #[test]
    fn many_threads_together_get_exactly_the_limit_of_each_day() {
        let budget = Budget::new(Some(10_000));
        let taker =
            |want: u64| (0..9_000_u32).map(|n| budget.take(day(u8::from(n > 4_500)), want)).sum::<u64>();
        let granted: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = [1, 2, 3, 7].map(|want| scope.spawn(move || taker(want))).into();
            threads.into_iter().map(|t| t.join().expect("no taker panics")).sum()
        });
        assert_eq!(granted, 20_000);
    }

    proptest! {
        /// Against the plain account: tokens of a day are those taken less those returned while it was the newest.
        #[test]
        fn no_day_ever_gives_more_than_its_limit(
            limit in 0..200_u64,
            steps in proptest::collection::vec((0..5_u8, any::<bool>(), 0..60_u64), 1..80),
        ) {
            let budget = Budget::new(Some(limit));
            let mut out: BTreeMap<Date, u64> = BTreeMap::new();
            for (n, takes, count) in steps {
                let newest = out.last_key_value().map(|(day, _)| *day);
                if takes {
                    let got = budget.take(day(n), count);
                    let held = out.get(&day(n)).copied().unwrap_or(0);
                    prop_assert_eq!(got, count.min(limit - held), "all that is left is granted");
                    if got > 0 {
                        *out.entry(day(n)).or_default() += got;
                    }
                } else if let Some(held) = out.get_mut(&day(n)) {
                    let back = count.min(*held);
                    budget.give_back(day(n), back);
                    if newest == Some(day(n)) {
                        *held -= back;
                    }
                }
                for (day, held) in &out {
                    prop_assert!(*held <= limit);
                    prop_assert_eq!(budget.used(*day), *held);
                }
            }
        }
    }
}
