//! Which letter is tried when: the bound, the order and the delays, without a clock or a network of its own.

use engine::store::Scope;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How much waits, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Most letters that wait or are under way.
    pub(crate) letters: usize,
    /// Most of them that are of one scope: no workspace keeps the mails of the others out.
    pub(crate) letters_of_scope: usize,
    /// How often one is tried.
    pub(crate) attempts: u32,
    /// From the first attempt to the second; each later delay is [`GROWTH`] times the one before.
    pub(crate) first_delay: Duration,
    /// Longest delay.
    pub(crate) longest_delay: Duration,
    /// How long sending may go on once the process ends.
    pub(crate) drain: Duration,
}

/// What a delay is multiplied with for the next one.
const GROWTH: u32 = 4;

impl Policy {
    /// What an installation has: a letter is of some 2 KB, so that all are a few MB; eight attempts within three hours,
    /// long enough for a server that is restarted or lets strangers wait, short beside the 72 hours of a link.
    pub(crate) const USUAL: Self = Self {
        letters: 1_000,
        letters_of_scope: 100,
        attempts: 8,
        first_delay: Duration::from_secs(10),
        longest_delay: Duration::from_secs(3600),
        drain: Duration::from_secs(5),
    };

    /// How long to wait behind this many attempts.
    fn delay(&self, attempts: u32) -> Duration {
        let factor = GROWTH.saturating_pow(attempts.saturating_sub(1));
        self.first_delay.saturating_mul(factor).min(self.longest_delay)
    }
}

/// Something to send, and how often that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried<T> {
    /// What.
    pub(super) what: T,
    /// Whose.
    pub(super) scope: Scope,
    /// How often, the attempt under way included.
    pub(super) attempts: u32,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    /// Try this one, then tell [`Outbox::done`] or [`Outbox::again`].
    Try(Tried<T>),
    /// Nothing before this time.
    At(Instant),
    /// Nothing.
    Nothing,
}

/// What waits to be sent, in the order in which it is due; one at a time is under way.
pub(super) struct Outbox<T> {
    policy: Policy,
    waiting: VecDeque<(Instant, Tried<T>)>,
    /// Kept until it has come to its end, so that whatever happens meanwhile it is among what is left.
    under_way: Option<Tried<T>>,
    /// Tried at the end, in vain.
    unsent: Vec<Tried<T>>,
    is_ending: bool,
}

impl<T: Clone> Outbox<T> {
    /// Empty.
    pub(super) const fn new(policy: Policy) -> Self {
        Self { policy, waiting: VecDeque::new(), under_way: None, unsent: Vec::new(), is_ending: false }
    }

    /// Takes one more, to be tried at once; `false` when it is full, for all or for this scope, or ending.
    pub(super) fn put(&mut self, what: T, scope: Scope, now: Instant) -> bool {
        let of_scope = self.held().filter(|held| held.scope == scope).count();
        let is_full = self.held().count() >= self.policy.letters || of_scope >= self.policy.letters_of_scope;
        if is_full || self.is_ending {
            return false;
        }
        self.insert(now, Tried { what, scope, attempts: 0 });
        true
    }

    /// What is due first, if it is due.
    pub(super) fn next(&mut self, now: Instant) -> Next<T> {
        match self.waiting.front() {
            Some((due, _)) if *due > now && !self.is_ending => return Next::At(*due),
            Some(_) | None => {}
        }
        let Some((_, tried)) = self.waiting.pop_front() else { return Next::Nothing };
        let tried = Tried { attempts: tried.attempts + 1, ..tried };
        self.under_way = Some(tried.clone());
        Next::Try(tried)
    }

    /// The one that was under way has come to its end.
    pub(super) fn done(&mut self) {
        self.under_way = None;
    }

    /// The one that was under way is to be tried again: when, or `Err` with it when it was tried often enough. While
    /// the process ends nothing is tried twice: it stays among what is left.
    pub(super) fn again(&mut self, tried: Tried<T>, now: Instant) -> Result<Duration, Tried<T>> {
        if tried.attempts >= self.policy.attempts {
            self.under_way = None;
            return Err(tried);
        }
        let delay = self.policy.delay(tried.attempts);
        if self.is_ending {
            self.unsent.push(tried);
        } else {
            self.insert(now + delay, tried);
        }
        self.under_way = None;
        Ok(delay)
    }

    /// From now on everything that waits is due once, and nothing is taken any more.
    pub(super) fn end(&mut self) {
        self.is_ending = true;
    }

    /// Whether nothing is taken any more.
    pub(super) const fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Hands out everything that was not sent.
    pub(super) fn take_left(&mut self) -> Vec<Tried<T>> {
        let mut left = std::mem::take(&mut self.unsent);
        left.extend(self.under_way.take());
        left.extend(self.waiting.drain(..).map(|(_, tried)| tried));
        left
    }

    /// What is here or under way.
    fn held(&self) -> impl Iterator<Item = &Tried<T>> {
        let waiting = self.waiting.iter().map(|(_, tried)| tried);
        waiting.chain(&self.under_way).chain(&self.unsent)
    }

    /// Behind what is due earlier or at the same time.
    fn insert(&mut self, due: Instant, tried: Tried<T>) {
        let at = self.waiting.partition_point(|(other, _)| *other <= due);
        self.waiting.insert(at, (due, tried));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { letters: 2, attempts: 3, ..Policy::USUAL };
    const HERE: Scope = Scope::Platform;

    fn tried(what: char, attempts: u32) -> Tried<char> {
        Tried { what, scope: HERE, attempts }
    }

    #[test]
    fn the_delays_grow_up_to_the_longest_and_all_attempts_end_within_three_hours() {
        let policy = Policy::USUAL;
        let delays: Vec<u64> =
            (1..policy.attempts).map(|attempts| policy.delay(attempts).as_secs()).collect();
        assert_eq!(delays, [10, 40, 160, 640, 2560, 3600, 3600]);
        assert!(delays.iter().sum::<u64>() < 3 * 3600);
        assert_eq!(policy.delay(u32::MAX), policy.longest_delay);
    }

    #[test]
    fn it_holds_no_more_than_its_bound_with_what_is_under_way() {
        let (mut outbox, now) = (Outbox::new(POLICY), Instant::now());
        assert!(outbox.put('a', HERE, now) && outbox.put('b', HERE, now) && !outbox.put('c', HERE, now));
        assert_eq!(outbox.next(now), Next::Try(tried('a', 1)));
        assert!(!outbox.put('c', HERE, now), "one is under way");
        outbox.done();
        assert!(outbox.put('c', HERE, now));
        assert_eq!(outbox.next(now), Next::Try(tried('b', 1)));
    }

    #[test]
    fn what_fails_waits_behind_the_others_and_is_given_up_in_the_end() {
        let (mut outbox, now) = (Outbox::new(POLICY), Instant::now());
        assert!(outbox.put('a', HERE, now) && outbox.put('b', HERE, now));
        assert_eq!(outbox.next(now), Next::Try(tried('a', 1)));
        let delay = outbox.again(tried('a', 1), now).expect("it is tried again");
        assert_eq!(outbox.next(now), Next::Try(tried('b', 1)));
        outbox.done();
        assert_eq!(outbox.next(now), Next::At(now + delay));
        assert_eq!(outbox.next(now + delay), Next::Try(tried('a', 2)));
        let longer = outbox.again(tried('a', 2), now).expect("it is tried again");
        assert!(longer > delay && outbox.held().count() == 1);
        assert_eq!(outbox.next(now + longer), Next::Try(tried('a', 3)));
        assert_eq!((outbox.again(tried('a', 3), now), outbox.held().count()), (Err(tried('a', 3)), 0));
    }

    #[test]
    fn at_the_end_everything_is_tried_once_more_and_what_fails_is_left() {
        let (mut outbox, now) = (Outbox::new(POLICY), Instant::now());
        assert!(outbox.put('a', HERE, now) && outbox.put('b', HERE, now));
        assert_eq!(outbox.next(now), Next::Try(tried('a', 1)));
        assert!(outbox.again(tried('a', 1), now).is_ok());
        outbox.end();
        assert!(!outbox.put('c', HERE, now));
        assert_eq!(outbox.next(now), Next::Try(tried('b', 1)));
        outbox.done();
        assert_eq!(outbox.next(now), Next::Try(tried('a', 2)), "before its time");
        assert!(outbox.again(tried('a', 2), now).is_ok());
        assert_eq!((outbox.next(now), outbox.take_left()), (Next::Nothing, vec![tried('a', 2)]));
        assert_eq!(outbox.held().count(), 0, "it is handed out once");
    }

    #[test]
    fn one_scope_does_not_keep_out_the_letters_of_another() {
        let there = Scope::Workspace(engine::model::WorkspaceId(uuid::Uuid::from_u128(1)));
        let policy = Policy { letters: 5, letters_of_scope: 2, ..Policy::USUAL };
        let (mut outbox, now) = (Outbox::new(policy), Instant::now());
        assert!(outbox.put('a', there, now) && outbox.put('b', there, now) && !outbox.put('c', there, now));
        assert_eq!(outbox.next(now), Next::Try(Tried { what: 'a', scope: there, attempts: 1 }));
        assert!(!outbox.put('c', there, now), "one is under way");
        assert!(outbox.put('d', HERE, now) && outbox.put('e', HERE, now));
        outbox.done();
        assert!(outbox.put('f', there, now) && !outbox.put('g', there, now));
    }

    #[test]
    fn what_waits_and_what_is_under_way_is_left() {
        let (mut outbox, now) = (Outbox::new(POLICY), Instant::now());
        assert!(outbox.put('a', HERE, now) && outbox.put('b', HERE, now));
        assert_eq!(outbox.next(now), Next::Try(tried('a', 1)));
        outbox.end();
        assert_eq!(outbox.take_left(), [tried('a', 1), tried('b', 0)]);
    }
}
