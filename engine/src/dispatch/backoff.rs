//! When a bind tries again: full-jitter exponential delays, longer where the SMSC refused the bind itself.
//!
//! It owns the count of failures since the last success and the random numbers of one bind; it never sleeps and
//! never reads a clock. Invariant: no delay exceeds [`CEILING`], and a refused bind never waits less than
//! [`REFUSED_FLOOR`].

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::time::Duration;

/// The first delay is drawn from zero up to here; each further failure doubles it.
pub(crate) const FIRST: Duration = Duration::from_millis(200);

/// No delay is longer.
pub(crate) const CEILING: Duration = Duration::from_secs(30);

/// After a refusal at least this: a wrong password does not mend itself, and hammering gets accounts locked.
pub(crate) const REFUSED_FLOOR: Duration = Duration::from_secs(5);

/// ESME_RALYBND, ESME_RBINDFAIL, ESME_RINVPASWD and ESME_RINVSYSID, SMPP 3.4 section 5.1.3.
const REFUSALS: [u32; 4] = [0x05, 0x0D, 0x0E, 0x0F];

/// Why there is no bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection, or one that broke.
    Lost,
    /// The SMSC refused the bind for a reason that a quick retry does not change.
    Refused,
}

impl Failure {
    /// The failure behind the `command_status`, not zero, of a bind response.
    pub(crate) fn of_bind_status(command_status: u32) -> Self {
        if REFUSALS.contains(&command_status) { Self::Refused } else { Self::Lost }
    }
}

/// The reconnect delays of one bind.
pub(crate) struct Backoff {
    chance: ChaCha8Rng,
    failures: u32,
}

impl Backoff {
    /// Starts without failures; `chance` is seeded by the caller, by bind, so that binds do not march in step.
    pub(crate) fn new(chance: ChaCha8Rng) -> Self {
        Self { chance, failures: 0 }
    }

    /// Counts a failure and draws the delay before the next try.
    pub(crate) fn after(&mut self, failure: Failure) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        match failure {
            Failure::Lost => self.drawn(Duration::ZERO, FIRST.saturating_mul(doubled).min(CEILING)),
            Failure::Refused => {
                let longest = REFUSED_FLOOR.saturating_mul(doubled.saturating_mul(2));
                self.drawn(REFUSED_FLOOR, longest.min(CEILING))
            }
        }
    }

    /// Forgets all failures: the bind stands.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Evenly from `least` to `most`.
    fn drawn(&mut self, least: Duration, most: Duration) -> Duration {
        least + (most - least).mul_f64(f64::from(self.chance.next_u32()) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng;

    fn backoff(seed: u64) -> Backoff {
        Backoff::new(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The mean over many binds of the delay after the given number of failures, in seconds.
    fn mean_s(failure: Failure, failures: usize) -> f64 {
        let delay = |seed| {
            (0..failures).fold(backoff(seed), |mut b, _| {
                b.after(failure);
                b
            })
        };
        (0..2000).map(|seed| delay(seed).after(failure).as_secs_f64()).sum::<f64>() / 2000.0
    }

    #[test]
    fn the_mean_delay_doubles_up_to_half_the_ceiling() {
        for (failures, mean) in [(0, 0.1), (1, 0.2), (4, 1.6), (7, 12.8), (8, 15.0), (200, 15.0)] {
            let actual = mean_s(Failure::Lost, failures);
            assert!((actual - mean).abs() < mean * 0.05, "{actual} s after {failures} failures");
        }
    }

    #[test]
    fn a_refused_bind_waits_longer_from_the_start() {
        for (failures, mean) in [(0, 7.5), (1, 12.5), (2, 17.5), (90, 17.5)] {
            let actual = mean_s(Failure::Refused, failures);
            assert!((actual - mean).abs() < mean * 0.05, "{actual} s after {failures} refusals");
        }
    }

    #[test]
    fn only_refusals_of_the_bind_itself_count_as_refused() {
        for status in [0x05, 0x0D, 0x0E, 0x0F] {
            assert_eq!(Failure::of_bind_status(status), Failure::Refused);
        }
        for status in [0x01, 0x08, 0x14, 0x58, 0xFF] {
            assert_eq!(Failure::of_bind_status(status), Failure::Lost);
        }
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let delays = |seed| {
            let mut backoff = backoff(seed);
            (0..20).map(|_| backoff.after(Failure::Lost)).collect::<Vec<_>>()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    proptest! {
        #[test]
        fn no_delay_leaves_its_bounds_and_success_starts_over(
            seed in any::<u64>(),
            failures in proptest::collection::vec(any::<bool>(), 0..80),
        ) {
            let mut backoff = backoff(seed);
            for refused in failures {
                if refused {
                    prop_assert!((REFUSED_FLOOR..=CEILING).contains(&backoff.after(Failure::Refused)));
                } else {
                    prop_assert!(backoff.after(Failure::Lost) <= CEILING);
                }
            }
            backoff.reset();
            prop_assert!(backoff.after(Failure::Lost) <= FIRST);
        }
    }
}
