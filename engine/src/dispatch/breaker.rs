//! The circuit breaker of one channel: when its SMSC itself fails, the channel stops, waits, and tries a few units.
//!
//! Pure: failures, sound answers and the time come in; whether units may go comes out. It never drops anything: links
//! of an open channel give their units back, for other channels or for later. Bind failures are not its business: a
//! bind that is down holds nothing. Invariant: it opens only behind [`OPEN_AFTER`] failures in a row that took
//! [`OPEN_AFTER_US`], and one sound answer closes it; proved by `it_opens_on_a_run_of_failures_that_lasts`.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// System failures in a row, over all binds, that open it.
pub(crate) const OPEN_AFTER: u32 = 20;
/// And they must have lasted so long, microseconds: a hiccup is not an outage.
pub(crate) const OPEN_AFTER_US: u64 = 2_000_000;
/// The first pause, microseconds; each failed probe doubles it.
const FIRST_PAUSE_US: u64 = 1_000_000;
/// No pause is longer, microseconds.
const LONGEST_PAUSE_US: u64 = 60_000_000;
/// Units of one probe, over all binds.
pub(crate) const PROBE_UNITS: u32 = 5;
/// A probe that nobody answers is made again after this, microseconds.
const PROBE_US: u64 = 60_000_000;

/// Whether a channel takes units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// It does.
    #[default]
    Closed,
    /// Not now: its SMSC fails.
    Open,
    /// A few, to see whether its SMSC works again.
    HalfOpen,
}

impl BreakerState {
    /// Every state, by discriminant.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];
}

/// The breaker.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: BreakerState,
    failures: u32,
    since_us: u64,
    /// When the pause ends, or the probe counts as lost.
    until_us: u64,
    pause_us: u64,
    chance: ChaCha8Rng,
}

impl Breaker {
    /// A closed one; `seed` spreads the pauses of several channels.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: BreakerState::Closed,
            failures: 0,
            since_us: 0,
            until_us: 0,
            pause_us: FIRST_PAUSE_US,
            chance: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.state
    }

    /// When it has to be asked again, for a state that is not closed.
    pub(crate) fn until_us(&self) -> u64 {
        self.until_us
    }

    /// Failures since the last sound answer.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Answers of one turn: whether any was sound, and the failures behind the last sound one.
    pub(crate) fn note(&mut self, is_sound: bool, failures: u32, now_us: u64) {
        if is_sound {
            self.failures = 0;
            if self.state == BreakerState::HalfOpen {
                self.state = BreakerState::Closed;
                self.pause_us = FIRST_PAUSE_US;
            }
        }
        if failures == 0 {
            return;
        }
        if self.failures == 0 {
            self.since_us = now_us;
        }
        self.failures = self.failures.saturating_add(failures);
        let lasts = self.failures >= OPEN_AFTER && now_us.saturating_sub(self.since_us) >= OPEN_AFTER_US;
        match self.state {
            BreakerState::Closed if lasts => self.open(now_us),
            BreakerState::HalfOpen => {
                self.pause_us = (self.pause_us * 2).min(LONGEST_PAUSE_US);
                self.open(now_us);
            }
            // What was on the wire before.
            BreakerState::Closed | BreakerState::Open => {}
        }
    }

    /// Looks at the clock: behind the pause, or when a probe was lost, there is a probe. Returns whether there is.
    pub(crate) fn tick(&mut self, now_us: u64) -> bool {
        if self.state == BreakerState::Closed || now_us < self.until_us {
            return false;
        }
        self.state = BreakerState::HalfOpen;
        self.until_us = now_us + PROBE_US;
        true
    }

    /// Half of the pause is sure, the other half by chance.
    fn open(&mut self, now_us: u64) {
        let half = self.pause_us / 2;
        let drawn = u64::from(self.chance.next_u32()) * half / u64::from(u32::MAX);
        self.state = BreakerState::Open;
        self.until_us = now_us + half + drawn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(7);
        breaker.note(false, OPEN_AFTER, 1);
        breaker.note(false, 1, 1 + OPEN_AFTER_US);
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn it_opens_on_a_run_of_failures_that_lasts() {
        let mut breaker = Breaker::new(1);
        breaker.note(false, 1_000, 1);
        assert_eq!(breaker.state(), BreakerState::Closed, "too short");
        breaker.note(true, 1, OPEN_AFTER_US + 1);
        assert_eq!((breaker.state(), breaker.failures()), (BreakerState::Closed, 1), "interrupted");
        breaker.note(false, OPEN_AFTER - 2, 2 * OPEN_AFTER_US + 1);
        assert_eq!(breaker.state(), BreakerState::Closed, "too few");
        breaker.note(false, 1, 2 * OPEN_AFTER_US + 2);
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.note(true, 0, 2 * OPEN_AFTER_US + 3);
        assert_eq!(breaker.state(), BreakerState::Open, "an answer to what was sent before");
    }

    #[test]
    fn a_sound_probe_closes_it_and_a_failed_one_doubles_the_pause() {
        let mut breaker = opened();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let until_us = breaker.until_us();
            assert!(!breaker.tick(until_us - 1));
            assert!(breaker.tick(until_us));
            breaker.note(false, 1, until_us + 5);
            assert_eq!(breaker.state(), BreakerState::Open);
            pauses.push(breaker.until_us() - until_us - 5);
        }
        for (pause_us, doublings) in pauses.iter().zip(1..) {
            let most = (FIRST_PAUSE_US << doublings).min(LONGEST_PAUSE_US);
            assert!((most / 2..=most).contains(pause_us), "{pause_us} of {most}");
        }
        let until_us = breaker.until_us();
        assert!(breaker.tick(until_us));
        breaker.note(true, 0, until_us + 1);
        assert_eq!((breaker.state(), breaker.failures()), (BreakerState::Closed, 0));
        breaker.note(false, OPEN_AFTER, until_us + 2);
        breaker.note(false, 1, until_us + 2 + OPEN_AFTER_US);
        assert!(breaker.until_us() - until_us - 2 - OPEN_AFTER_US <= FIRST_PAUSE_US, "short again");
    }

    #[test]
    fn a_probe_that_nobody_answers_is_made_again() {
        let mut breaker = opened();
        let until_us = breaker.until_us();
        assert!(breaker.tick(until_us));
        assert!(!breaker.tick(until_us + PROBE_US - 1));
        assert!(breaker.tick(until_us + PROBE_US));
    }

    #[test]
    fn a_seed_decides_the_pauses() {
        let until = |seed| {
            let mut breaker = Breaker::new(seed);
            breaker.note(false, OPEN_AFTER, 1);
            breaker.note(false, 1, 1 + OPEN_AFTER_US);
            breaker.until_us()
        };
        assert_eq!(until(1), until(1));
        assert_ne!(until(1), until(2));
    }
}
