//! Supply, purse and account together, with links and a keeper that are played: no day is ever charged beyond its
//! limit, and when nothing is under way the purse says what the account says, which a replay says again.

use super::*;
use crate::dispatch::account::Account;
use crate::model::record::{Fate, Intent, Outcome};
use crate::model::{Incarnation, Run};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Recipients of the story.
const RECIPIENTS: u16 = 12;

#[derive(Clone, Copy)]
enum Told {
    Intent(Intent),
    Outcome(u16, Fate<'static>),
    Revoke(Run),
}

struct Story {
    bench: Bench,
    parts: u8,
    link: Arc<LinkInbox>,
    day: u64,
    /// With a link and without an intent.
    queued: Vec<Slice>,
    /// Single units with an intent and without an outcome.
    intended: Vec<Slice>,
    /// Told to the recorder; the keeper knows the first so many.
    facts: Vec<Told>,
    known: usize,
    keeper: Account,
    /// Knows every fact at once.
    ahead: Account,
}

fn account(parts: u8) -> Account {
    Account::new(CampaignNo(7), u64::from(RECIPIENTS), parts, 0)
}

fn apply(account: &mut Account, row: u64, told: &Told) {
    match told {
        Told::Intent(intent) => account.intent(row, intent),
        Told::Outcome(unit, fate) => {
            account.outcomes((0, 1), 0, std::iter::once(Outcome { unit: *unit, latency_ms: 0, fate: *fate }));
        }
        Told::Revoke(run) => account.revoke(run),
    }
}

fn of_day(charges: &[(Date, u64)], day: Date) -> u64 {
    charges.iter().filter(|(of, _)| *of == day).map(|(_, count)| count).sum()
}

impl Story {
    fn new(parts: u8, limit: u64) -> Self {
        let remaining = Remaining { untouched: vec![0], runs: Vec::new() };
        let bench = Bench::new(parts, &[(&[], 1)], numbers(usize::from(RECIPIENTS)), remaining);
        bench.purse.own().set_limit(Some(limit));
        let (keeper, ahead) = (account(parts), account(parts));
        let (queued, intended, facts) = (Vec::new(), Vec::new(), Vec::new());
        let mut story =
            Self { bench, parts, link: link(0), day: 0, queued, intended, facts, known: 0, keeper, ahead };
        story.begin_day(0);
        story
    }

    fn date(day: u64) -> Date {
        date(1970, 1, 1)
            .checked_add(jiff::Span::new().days(i64::try_from(day).expect("soon")))
            .expect("a day")
    }

    fn begin_day(&mut self, day: u64) {
        // As at every midnight: links give back what they have not written.
        for slice in std::mem::take(&mut self.queued) {
            self.on(SupplyMsg::Returned(vec![slice]));
        }
        self.day = day;
        let terms = Terms { is_open: true, day: Self::date(day), fresh: u64::MAX };
        self.bench.supply.set_terms(terms);
    }

    fn on(&mut self, message: SupplyMsg) {
        let mut given = self.bench.on(message);
        while !self.bench.orders.is_empty() {
            given.extend(self.bench.load());
        }
        self.queued.extend(given.into_iter().map(|(_, slice)| slice));
    }

    fn tell(&mut self, told: Told) {
        self.facts.push(told);
        apply(&mut self.ahead, self.facts.len() as u64, &told);
    }

    /// Plans the first units of a slice.
    fn intend(&mut self, which: usize, most: u16) {
        if self.queued.is_empty() {
            return;
        }
        let at = which % self.queued.len();
        let count = self.queued[at].count.min(most);
        let head = Slice { count, ..self.queued[at].clone() };
        self.queued[at].from += count;
        self.queued[at].count -= count;
        if self.queued[at].count == 0 {
            self.queued.remove(at);
        }
        self.tell(Told::Intent(Intent {
            incarnation: Incarnation(1),
            campaign: CampaignNo(7),
            stop_gen: 0,
            position: 1,
            run: run(0, head.from, count),
            attempt: head.attempt,
            at_ms: self.day * DAY_MS,
        }));
        let unit = |n| Slice { from: head.from + n, count: 1, ..head.clone() };
        self.intended.extend((0..count).map(unit));
    }

    /// One unit is answered, lost or revoked.
    fn answer(&mut self, which: usize, how: u8) {
        if self.intended.is_empty() {
            return;
        }
        let slice = self.intended.swap_remove(which % self.intended.len());
        let unit = slice.from;
        let again = Slice { attempt: slice.attempt + 1, ..slice.clone() };
        let back = |slice: Slice, paid| {
            let paid = self.bench.purse.come_back(paid, 1, slice.is_whole(self.parts));
            Slice { paid, ..slice }
        };
        let (told, message) = match how {
            0 => (Told::Outcome(unit, Fate::Accepted(b"7")), None),
            1 => (Told::Outcome(unit, Fate::Unknown), None),
            2..=4 => (Told::Outcome(unit, Fate::Refused(11)), None),
            5 => {
                let later = SupplyMsg::Later(vec![back(again, slice.paid)], self.bench.now.mono_us + 5_000);
                (Told::Outcome(unit, Fate::Retry(88)), Some(later))
            }
            6 => (
                Told::Outcome(unit, Fate::Retry(88)),
                Some(SupplyMsg::Returned(vec![back(slice.clone(), slice.paid)])),
            ),
            7 => {
                let kept = SupplyMsg::Returned(vec![back(again, Paid::Kept)]);
                (Told::Outcome(unit, Fate::Repeat), Some(kept))
            }
            _ => (
                Told::Revoke(run(0, unit, 1)),
                Some(SupplyMsg::Returned(vec![back(slice.clone(), slice.paid)])),
            ),
        };
        self.tell(told);
        message.into_iter().for_each(|message| self.on(message));
    }

    fn keep(&mut self, most: usize) {
        let until = self.known.saturating_add(most).min(self.facts.len());
        for at in self.known..until {
            apply(&mut self.keeper, at as u64 + 1, &self.facts[at]);
        }
        self.known = until;
        let intended = self.keeper.take_intended();
        self.bench.purse.publish(self.keeper.charges(), intended);
    }

    /// Units that wait in the supply with a place: of messages of which a part has left.
    fn held(&self) -> u64 {
        let ready = self.bench.supply.ready.iter();
        let waiting = ready.flat_map(|ready| ready.again.iter().chain(&ready.retries).chain(&ready.fresh));
        let paid = |slice: &&Slice| matches!(slice.paid, Paid::On(_));
        waiting.filter(paid).map(|slice| u64::from(slice.count)).sum()
    }
}

proptest! {
    #[test]
    fn purse_and_account_agree_whenever_it_is_quiet_and_no_day_has_too_many(
        parts in 1..4_u8,
        limit in 1..14_u64,
        steps in proptest::collection::vec((0..12_u8, 0..40_usize, 0..12_u8), 1..160),
    ) {
        let mut story = Story::new(parts, limit);
        for (what, which, how) in steps {
            story.bench.now.mono_us += 1_000;
            match what {
                0..=2 => story.on(SupplyMsg::Want(Arc::clone(&story.link), u32::from(how) + 1)),
                3..=5 => story.intend(which, u16::from(how) + 1),
                6..=8 => story.answer(which, how),
                9 if !story.queued.is_empty() => {
                    let slice = story.queued.swap_remove(which % story.queued.len());
                    story.on(SupplyMsg::Returned(vec![slice]));
                }
                9 | 10 => story.keep(which),
                _ if how < 4 => story.begin_day(story.day + 1),
                _ => {}
            }
            let charges = story.ahead.charges();
            for day in (0..=story.day).map(Story::date) {
                let charged = of_day(&charges, day);
                prop_assert!(charged <= limit, "{charged} of {limit} on {day}");
            }
            let today = Story::date(story.day);
            prop_assert!(story.bench.purse.own().used(today) >= of_day(&charges, today));
        }
        // No link asks any more: it becomes quiet.
        drop(story.link.close());
        while !(story.queued.is_empty() && story.intended.is_empty()) {
            story.begin_day(story.day);
            story.answer(0, 2);
        }
        story.bench.now.mono_us += 1_000_000;
        story.bench.go_on();
        story.keep(usize::MAX);
        let mut again = account(parts);
        for (row, told) in (1..).zip(&story.facts) {
            apply(&mut again, row, told);
        }
        for day in (0..=story.day).map(Story::date) {
            let used = story.bench.purse.own().used(day);
            prop_assert_eq!(used, of_day(&again.charges(), day) + story.held());
        }
        prop_assert!(parts > 1 || story.held() == 0);
        // On another day nothing is held for what has to wait behind something that needs a place: whatever is here goes
        // on, however small the limit.
        story.begin_day(story.day + 1);
        prop_assert_eq!(story.held(), 0);
        let waiting = story.bench.supply.ready.iter_mut().flat_map(Ready::slices_mut).count();
        story.link = link(0);
        story.on(SupplyMsg::Want(Arc::clone(&story.link), 1));
        prop_assert!(waiting == 0 || !story.queued.is_empty(), "{} slices wait", waiting);
    }
}
