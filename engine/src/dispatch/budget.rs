//! Daily limits: how many recipients a campaign and its workspace may still have charged to a local day.
//!
//! The keeper's accounts say who is charged, from durable facts alone; a [`Budget`] holds what they say, by day, and
//! what is given out ahead of them: units that have left the supply and have no durable intent yet. Those are of no
//! day, they count against whichever is asked for, so that no midnight lies between the two. A unit counts at least as
//! much as its recipient will: what is granted never exceeds a limit, and when nothing is under way both agree. So a
//! place is free again when the refusal is durable, and a restart finds the counts of the run before it.

use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Days that a budget remembers: a clock set wrong by more than this grants nothing for the days before.
const MAX_DAYS: usize = 64;

/// Recipients of a local day.
#[derive(Debug, Default)]
pub(crate) struct Budget(Mutex<Days>);

#[derive(Debug, Default)]
struct Days {
    limit: Option<u64>,
    charged: BTreeMap<Date, u64>,
    /// Units given out that no account knows yet.
    ahead: u64,
    /// Days that share one limit, the first and the last of them, because the zone was changed in their midst.
    joined: Option<(Date, Date)>,
    /// Days up to this one are forgotten and count as used up.
    forgotten: Option<Date>,
    /// Whether somebody was granted less than was wanted since it was last told that there is more.
    is_short: bool,
}

/// Whether the places that units need are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paid {
    /// They take them when they leave the supply.
    #[default]
    No,
    /// They have them, on that day.
    On(Date),
    /// Their recipients are charged for good: they need none.
    Kept,
}

impl Budget {
    /// A budget of `limit` recipients a day, `None` for no limit; it counts either way.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self(Mutex::new(Days { limit, ..Days::default() }))
    }

    /// Counts what campaigns that ended are charged.
    pub(crate) fn charge(&self, day: Date, count: u64) {
        self.lock().change(day, 0, count);
    }

    /// How many recipients are charged to `day`, or may be.
    pub(crate) fn used(&self, day: Date) -> u64 {
        self.lock().used(day)
    }

    /// Changes the limit; what is used stays used.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.lock().limit = limit;
    }

    /// Makes all days from the first to the last share one limit, with those that share one with them already.
    pub(crate) fn join_days(&self, first: Date, last: Date) {
        let mut days = self.lock();
        let (from, to) = days.joined.filter(|(_, to)| *to >= first).unwrap_or((first, last));
        days.joined = Some((first.min(from), last.max(to)));
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
    fn used(&self, day: Date) -> u64 {
        let (first, last) =
            self.joined.filter(|(first, last)| (first..=last).contains(&&day)).unwrap_or((day, day));
        self.charged.range(first..=last).map(|(_, count)| count).sum::<u64>() + self.ahead
    }

    fn left(&self, day: Date) -> u64 {
        match self.limit {
            None => u64::MAX,
            Some(_) if self.forgotten.is_some_and(|last| day <= last) => 0,
            Some(limit) => limit.saturating_sub(self.used(day)),
        }
    }

    /// How many of `want` recipients `day` has room for.
    fn grants(&mut self, day: Date, want: u64) -> u64 {
        let granted = want.min(self.left(day));
        self.is_short |= granted < want;
        granted
    }

    fn change(&mut self, day: Date, was: u64, is: u64) {
        if self.forgotten.is_some_and(|last| day <= last) {
            return;
        }
        let charged = self.charged.entry(day).or_default();
        *charged = charged.saturating_sub(was).saturating_add(is);
        while self.charged.len() > MAX_DAYS {
            self.forgotten = self.charged.pop_first().map(|(oldest, _)| oldest);
        }
    }
}

/// What one campaign draws on: its own budget and its workspace's. It outlives the campaign's actor.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    own: Budget,
    workspace: Arc<Budget>,
}

impl Purse {
    /// A purse over both budgets; give an unlimited one where there is no limit.
    pub(crate) fn new(own: Budget, workspace: Arc<Budget>) -> Self {
        Self { own, workspace }
    }

    /// The campaign's own budget.
    pub(crate) fn own(&self) -> &Budget {
        &self.own
    }

    /// Takes places for up to `want` recipients on `day`, each with so many units; for how many.
    pub(crate) fn take(&self, day: Date, want: u64, parts: u64) -> u64 {
        let (mut own, mut workspace) = self.lock();
        let granted = own.grants(day, want);
        let granted = workspace.grants(day, granted);
        own.ahead += granted * parts;
        workspace.ahead += granted * parts;
        granted
    }

    /// Takes places for units whose recipients have one, whatever is left: they may lose it meanwhile.
    pub(crate) fn hold(&self, units: u64) {
        let (mut own, mut workspace) = self.lock();
        own.ahead += units;
        workspace.ahead += units;
    }

    /// Gives back the places of units that no intent was made for.
    pub(crate) fn give_back(&self, units: u64) {
        let (mut own, mut workspace) = self.lock();
        spend(&mut own, &mut workspace, units);
    }

    /// Forgets what was given out: to be called when all that is not in the keeper's account is back, before a new
    /// actor begins and when the campaign has ended.
    pub(crate) fn forget_ahead(&self) {
        self.give_back(u64::MAX);
    }

    /// What units that had an intent have when they come back: nothing if their messages come back whole. A part that
    /// comes back alone keeps a place, because the others of its message may have been accepted, and may be refused.
    pub(crate) fn come_back(&self, paid: Paid, units: u64, is_whole: bool) -> Paid {
        let paid = if is_whole && matches!(paid, Paid::On(_)) { Paid::No } else { paid };
        if paid != Paid::No {
            self.hold(units);
        }
        paid
    }

    /// What the keeper's account says now: recipients by day, and for how many units it has learned of an intent since.
    /// Whether there is more for somebody who was granted less than was wanted.
    pub(crate) fn publish(&self, charges: Vec<(Date, u64)>, intended: u64) -> bool {
        let (mut own, mut workspace) = self.lock();
        let before = std::mem::replace(&mut own.charged, charges.into_iter().collect());
        let mut has_more = intended > 0;
        for day in before.keys().chain(own.charged.keys()).collect::<BTreeSet<_>>() {
            let of = |charges: &BTreeMap<Date, u64>| charges.get(day).copied().unwrap_or(0);
            let (was, is) = (of(&before), of(&own.charged));
            if was != is {
                workspace.change(*day, was, is);
                has_more |= is < was;
            }
        }
        spend(&mut own, &mut workspace, intended);
        if !has_more {
            return false;
        }
        let was_short = std::mem::take(&mut own.is_short);
        std::mem::take(&mut workspace.is_short) || was_short
    }

    /// How many recipients `day` has left for this campaign.
    pub(crate) fn left(&self, day: Date) -> u64 {
        let (own, workspace) = self.lock();
        own.left(day).min(workspace.left(day))
    }

    /// Whether the change of day means anything to this campaign.
    pub(crate) fn is_limited(&self) -> bool {
        self.own.is_limited() || self.workspace.is_limited()
    }

    /// Always in this order.
    fn lock(&self) -> (MutexGuard<'_, Days>, MutexGuard<'_, Days>) {
        (self.own.lock(), self.workspace.lock())
    }
}

/// Takes units off both, never more than the campaign has given out: the rest of its workspace's is not its own.
fn spend(own: &mut Days, workspace: &mut Days, units: u64) {
    let units = units.min(own.ahead);
    own.ahead -= units;
    workspace.ahead = workspace.ahead.saturating_sub(units);
}
#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn day(n: u8) -> Date {
        date(2026, 3, 1).checked_add(jiff::Span::new().days(i64::from(n))).expect("a day")
    }

    fn purse(own: Option<u64>, workspace: &Arc<Budget>) -> Purse {
        Purse::new(Budget::new(own), Arc::clone(workspace))
    }

    #[test]
    fn what_is_given_out_counts_on_whatever_day_it_will_be_charged_to() {
        let purse = purse(Some(10), &Arc::default());
        assert_eq!((purse.take(day(0), 7, 1), purse.take(day(0), 7, 1), purse.take(day(1), 7, 1)), (7, 3, 0));
        assert!(purse.publish(vec![(day(0), 8), (day(1), 1)], 9), "somebody was short");
        assert_eq!((purse.left(day(0)), purse.left(day(1)), purse.left(day(2))), (1, 8, 9));
        purse.give_back(1);
        assert_eq!((purse.left(day(0)), purse.left(day(2))), (2, 10));
    }

    #[test]
    fn a_refusal_that_the_account_knows_frees_its_place_and_says_so_once() {
        let purse = purse(Some(3), &Arc::default());
        assert_eq!(purse.take(day(0), 5, 1), 3);
        assert!(purse.publish(vec![(day(0), 3)], 3));
        assert_eq!(purse.take(day(0), 2, 1), 0);
        assert!(purse.publish(vec![(day(0), 2)], 0));
        assert!(!purse.publish(vec![(day(0), 1)], 0), "nobody has asked for more since");
        assert_eq!(purse.take(day(0), 5, 1), 2);
    }

    #[test]
    fn units_of_one_message_take_one_place_at_the_end_and_no_less_before() {
        let purse = purse(Some(4), &Arc::default());
        assert_eq!((purse.take(day(0), 4, 3), purse.left(day(0))), (4, 0));
        // Two messages and the first part of a third one have their intents.
        purse.publish(vec![(day(0), 3)], 7);
        assert_eq!((purse.own().used(day(0)), purse.left(day(0))), (8, 0));
        purse.publish(vec![(day(0), 4)], 5);
        assert_eq!(purse.own().used(day(0)), 4);
    }

    #[test]
    fn a_part_that_comes_back_alone_keeps_a_place_and_a_whole_message_does_not() {
        let purse = purse(None, &Arc::default());
        let today = Paid::On(day(0));
        assert_eq!((purse.come_back(today, 3, true), purse.own().used(day(0))), (Paid::No, 0));
        assert_eq!((purse.come_back(today, 1, false), purse.own().used(day(0))), (today, 1));
        assert_eq!((purse.come_back(Paid::Kept, 1, true), purse.own().used(day(0))), (Paid::Kept, 2));
    }

    #[test]
    fn a_clock_far_in_the_future_does_not_refill_the_days_before() {
        let budget = Arc::new(Budget::new(Some(5)));
        let purse = purse(None, &budget);
        let charges = |last: u8| (10..=last).chain([0]).map(|n| (day(n), 5)).collect::<Vec<_>>();
        for n in 10..10 + 70 {
            assert_eq!(purse.take(day(n), 5, 1), 5);
            purse.publish(charges(n), 5);
        }
        assert_eq!((purse.left(day(0)), purse.left(day(12)), purse.left(day(79))), (0, 0, 0));
    }

    #[test]
    fn a_limit_that_changes_holds_for_what_is_used_already() {
        let purse = purse(None, &Arc::default());
        assert!(!purse.is_limited());
        assert_eq!(purse.take(day(0), 100, 1), 100);
        purse.own().set_limit(Some(120));
        assert_eq!((purse.left(day(0)), purse.take(day(0), 50, 1)), (20, 20));
        purse.own().set_limit(Some(50));
        assert_eq!(purse.take(day(0), 1, 1), 0);
    }

    #[test]
    fn a_purse_is_as_full_as_the_emptier_of_its_budgets_and_gives_back_only_what_is_its_own() {
        let shared = Arc::new(Budget::new(Some(30)));
        let (one, other) = (purse(Some(100), &shared), purse(None, &shared));
        assert_eq!((one.take(day(0), 50, 1), one.own().used(day(0)), shared.used(day(0))), (30, 30, 30));
        one.give_back(5);
        assert_eq!((one.left(day(0)), one.own().used(day(0))), (5, 25));
        other.give_back(100);
        other.publish(Vec::new(), 100);
        assert_eq!(shared.used(day(0)), 25);
        other.publish(vec![(day(0), 2)], 0);
        one.forget_ahead();
        assert_eq!((one.own().used(day(0)), shared.used(day(0))), (0, 2));
    }

    #[test]
    fn days_that_were_joined_share_one_limit_and_those_around_them_have_their_own() {
        let budget = Arc::new(Budget::new(Some(10)));
        let purse = purse(None, &budget);
        purse.publish(vec![(day(0), 9), (day(1), 4), (day(2), 3)], 0);
        budget.join_days(day(1), day(2));
        let left = [0, 1, 2, 3].map(|n| purse.left(day(n)));
        assert_eq!(left, [1, 3, 3, 10]);
        budget.join_days(day(2), day(3));
        assert_eq!([0, 1, 2, 3, 4].map(|n| purse.left(day(n))), [1, 3, 3, 3, 10]);
        budget.join_days(day(5), day(6));
        assert_eq!((purse.left(day(2)), purse.left(day(5))), (7, 10));
    }

    #[test]
    fn many_threads_together_get_exactly_the_limit() {
        let budget = Arc::new(Budget::new(Some(10_000)));
        let taker = |want: u64| {
            let purse = purse(None, &budget);
            (0..9_000).map(|_| purse.take(day(0), want, 1)).sum::<u64>()
        };
        let granted: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = [1, 2, 3, 7].map(|want| scope.spawn(move || taker(want))).into();
            threads.into_iter().map(|t| t.join().expect("no taker panics")).sum()
        });
        assert_eq!((granted, budget.used(day(0))), (10_000, 10_000));
    }
}
