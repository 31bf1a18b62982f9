//! The rate bucket: a generic cell rate limiter over one atomic, shared by links without a lock.
//!
//! The state is the time up to which tokens are spent, in nanoseconds of the caller's monotonic clock; the bucket
//! never reads a clock. It grants as many of the wanted tokens as there are. Invariant: over any `d` nanoseconds it
//! grants at most `rate * (d + 1 ns) + burst` tokens, each change of rate aside, and at least one after every
//! `1 / rate`: proved by `no_interval_gets_more_than_rate_and_burst` and `a_patient_taker_gets_the_whole_rate`.
//! Rounding goes against the taker by less than a nanosecond a call: 0.1 % at a million single takes a second.

use crate::dispatch::right_of_way::RightOfWay;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const NS_PER_S: u64 = 1_000_000_000;

/// Binary places of a token's price: without them 700,000 tokens a second would be rounded by 0.04 %.
const PRICE_BITS: u32 = 16;

/// Spent time this far beyond a full burst is no clock skew between threads but the trace of a take that overlapped
/// a change of rate; it is cut to an empty bucket, so that it cannot starve the takers.
const STALE_NS: u64 = NS_PER_S;

/// Tokens at a rate, saved up to a burst.
pub(crate) struct Bucket {
    /// The theoretical arrival time: tokens are spent up to here.
    spent_until_ns: AtomicU64,
    /// Nanoseconds a token, with [`PRICE_BITS`] binary places, rounded up; 0 is unlimited.
    price: AtomicU64,
    /// What a full bucket is worth in nanoseconds.
    burst_ns: AtomicU64,
    /// Who goes first when tokens are scarce.
    pub(crate) way: RightOfWay,
}

impl Bucket {
    /// A full bucket; a rate of 0 is unlimited, a burst of 0 counts as 1.
    pub(crate) fn new(rate_per_s: u32, burst: u32) -> Self {
        let price = price_of(rate_per_s);
        Self {
            spent_until_ns: AtomicU64::new(0),
            price: AtomicU64::new(price),
            burst_ns: AtomicU64::new(cost(price, burst.max(1))),
            way: RightOfWay::default(),
        }
    }

    /// Takes up to `want` tokens and returns how many.
    pub(crate) fn take(&self, now_ns: u64, want: u32) -> u32 {
        let price = self.price.load(Relaxed);
        if price == 0 || want == 0 {
            return want;
        }
        let burst_ns = self.burst_ns.load(Relaxed);
        let mut spent = self.spent_until_ns.load(Relaxed);
        loop {
            let empty_at = now_ns.saturating_add(burst_ns);
            let is_stale = spent > empty_at.saturating_add(STALE_NS);
            let from = if is_stale { empty_at } else { spent.max(now_ns) };
            let granted = affordable(price, empty_at.saturating_sub(from), want);
            if granted == 0 && !is_stale {
                return 0;
            }
            let until = from.saturating_add(cost(price, granted));
            match self.spent_until_ns.compare_exchange_weak(spent, until, Relaxed, Relaxed) {
                Ok(_) => return granted,
                Err(seen) => spent = seen,
            }
        }
    }

    /// When at least one token is there: `now_ns` or later.
    pub(crate) fn ready_at(&self, now_ns: u64) -> u64 {
        let price = self.price.load(Relaxed);
        let spent = self.spent_until_ns.load(Relaxed);
        if price == 0 || spent <= now_ns {
            return now_ns;
        }
        let burst_ns = self.burst_ns.load(Relaxed);
        let spent = spent.min(now_ns.saturating_add(burst_ns).saturating_add(STALE_NS));
        spent.saturating_add(cost(price, 1)).saturating_sub(burst_ns).max(now_ns)
    }

    /// Returns tokens that were taken and not used.
    pub(crate) fn give_back(&self, tokens: u32) {
        // Rounded down, so that taking in one piece and returning in many never gains anything.
        let worth = scaled(self.price.load(Relaxed), tokens);
        self.spent_until_ns.update(Relaxed, Relaxed, |spent| spent.saturating_sub(worth));
    }

    /// Changes rate and burst; what the bucket holds, parts of a token too, stays up to the new burst. Nothing is put
    /// in, so that changes to and fro gain nothing; a bucket that was unlimited is full.
    /// One take under way in another thread may still count at the old rate.
    pub(crate) fn set_rate(&self, now_ns: u64, rate_per_s: u32, burst: u32) {
        let price = price_of(rate_per_s);
        let full_ns = cost(price, burst.max(1));
        let old_price = self.price.swap(price, Relaxed);
        let old_full_ns = self.burst_ns.swap(full_ns, Relaxed);
        self.spent_until_ns.update(Relaxed, Relaxed, |spent| {
            let held_ns = u128::from(old_full_ns.saturating_sub(spent.saturating_sub(now_ns)));
            let worth = (held_ns * u128::from(price)).checked_div(u128::from(old_price));
            let worth = worth.and_then(|worth| u64::try_from(worth).ok()).unwrap_or(full_ns);
            now_ns.saturating_add(full_ns.saturating_sub(worth))
        });
    }
}

/// The price of one token.
fn price_of(rate_per_s: u32) -> u64 {
    if rate_per_s == 0 { 0 } else { (NS_PER_S << PRICE_BITS).div_ceil(u64::from(rate_per_s)) }
}

/// What `tokens` cost in nanoseconds, rounded up.
fn cost(price: u64, tokens: u32) -> u64 {
    let exact = u128::from(price) * u128::from(tokens);
    narrow((exact + ((1 << PRICE_BITS) - 1)) >> PRICE_BITS)
}

/// What `tokens` are worth in nanoseconds, rounded down.
fn scaled(price: u64, tokens: u32) -> u64 {
    narrow((u128::from(price) * u128::from(tokens)) >> PRICE_BITS)
}

/// How many of the wanted tokens `left_ns` pays for; divides only when it is not all of them.
fn affordable(price: u64, left_ns: u64, want: u32) -> u32 {
    if cost(price, want) <= left_ns {
        return want;
    }
    let tokens = (u128::from(left_ns) << PRICE_BITS) / u128::from(price);
    u32::try_from(tokens).map_or(want, |t| t.min(want))
}

fn narrow(ns: u128) -> u64 {
    u64::try_from(ns).expect("2^32 tokens at one a second are 4.3e18 ns")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FOREVER_NS: u64 = u64::MAX / 4;

    /// Tokens times nanoseconds in a second that an interval of `d_ns` may grant at most.
    fn allowed(rate: u32, burst: u32, d_ns: u64) -> u128 {
        u128::from(rate) * (u128::from(d_ns) + 1) + u128::from(burst) * u128::from(NS_PER_S)
    }

    fn rates() -> impl Strategy<Value = u32> {
        prop_oneof![1..100_u32, 100..100_000_u32, 100_000..5_000_000_u32, Just(3), Just(u32::MAX)]
    }

    /// Steps between calls: none, tiny, around a token, long idle.
    fn calls() -> impl Strategy<Value = Vec<(u64, u32)>> {
        let step = prop_oneof![Just(0), 0..100_u64, 0..5_000_000_u64, 0..20_000_000_000_u64];
        proptest::collection::vec((step, prop_oneof![1..4_u32, 1..300_u32]), 1..120)
    }

    #[test]
    fn an_unlimited_bucket_grants_everything_at_once() {
        let bucket = Bucket::new(0, 1);
        assert_eq!((bucket.take(5, u32::MAX), bucket.take(5, 7), bucket.ready_at(5)), (u32::MAX, 7, 5));
    }

    #[test]
    fn a_full_bucket_grants_its_burst_and_then_the_rate() {
        let bucket = Bucket::new(1000, 10);
        assert_eq!((bucket.take(0, 64), bucket.take(0, 64)), (10, 0));
        assert_eq!(bucket.ready_at(0), 1_000_000);
        assert_eq!((bucket.take(999_999, 64), bucket.take(1_000_000, 64)), (0, 1));
        assert_eq!(bucket.take(3_500_000, 64), 2);
        assert_eq!(bucket.take(FOREVER_NS, 64), 10);
    }

    #[test]
    fn a_patient_taker_gets_the_whole_rate() {
        for (rate, burst, loss) in [(3, 1, 0.0001), (7, 100, 0.0001), (1429, 64, 0.0001), (700_000, 1, 0.001)]
        {
            let bucket = Bucket::new(rate, burst);
            let (mut now, mut granted) = (0, 0_u64);
            while now < 10 * NS_PER_S {
                now = bucket.ready_at(now);
                let got = bucket.take(now, 1);
                assert_eq!(got, 1, "ready means that there is a token");
                granted += u64::from(got);
            }
            let least = 10.0 * f64::from(rate) * (1.0 - loss) + f64::from(burst) - 1.0;
            assert!(granted as f64 >= least, "rate {rate}: {granted} of {least}");
        }
    }

    #[test]
    fn tokens_given_back_can_be_taken_again_and_nothing_more() {
        let bucket = Bucket::new(700_000, 64);
        assert_eq!(bucket.take(9, 64), 64);
        (0..64).for_each(|_| bucket.give_back(1));
        assert_eq!(bucket.take(9, 64), 63, "returned one by one, the rounding costs less than a token");
        bucket.give_back(1000);
        assert_eq!(bucket.take(9, 1000), 64, "a bucket never holds more than its burst");
    }

    #[test]
    fn a_change_of_rate_keeps_what_was_spent() {
        let bucket = Bucket::new(1, 100);
        assert_eq!(bucket.take(0, 100), 100);
        bucket.set_rate(0, 1000, 100);
        assert_eq!((bucket.take(0, 1), bucket.take(50_000_000, 100)), (0, 50));
        bucket.set_rate(50_000_000, 1, 100);
        assert_eq!((bucket.take(50_000_000, 1), bucket.take(1_050_000_000, 9)), (0, 1));
        bucket.set_rate(1_050_000_000, 0, 0);
        assert_eq!(bucket.take(1_050_000_000, 500), 500);
        bucket.set_rate(1_050_000_000, 10, 5);
        assert_eq!(bucket.take(1_050_000_000, 500), 5);
    }

    #[test]
    fn a_change_of_rate_does_not_complete_a_token_that_is_half_there() {
        let bucket = Bucket::new(2, 1);
        assert_eq!(bucket.take(NS_PER_S, 1), 1);
        // The token comes after half a second; a twentieth of one later the rate doubles.
        let changed_at = NS_PER_S + 25_000_000;
        bucket.set_rate(changed_at, 4, 1);
        assert_eq!(bucket.take(changed_at, 1), 0);
        let ready_at = bucket.ready_at(changed_at);
        assert!((237_000_000..=238_000_000).contains(&(ready_at - changed_at)), "{ready_at}");
        // The same however often it changes.
        for n in 1..1_000 {
            bucket.set_rate(changed_at, 1 + n % 7, 1);
            assert_eq!(bucket.take(changed_at, 1), 0);
        }
    }

    #[test]
    fn a_change_of_rate_puts_nothing_in_however_often_it_changes() {
        let bucket = Bucket::new(3, 1);
        assert_eq!(bucket.take(NS_PER_S, 1), 1);
        // Seven tenths of a token are there; at forty a second the rest takes 7.5 ms, burst of two or not.
        let changed_at = NS_PER_S + 233_333_333;
        bucket.set_rate(changed_at, 40, 2);
        assert_eq!(bucket.take(changed_at, 1), 0);
        let ready_at = bucket.ready_at(changed_at);
        assert!((7_500_000..7_510_000).contains(&(ready_at - changed_at)), "{ready_at}");
        for _ in 0..100 {
            bucket.set_rate(changed_at, 2, 1);
            bucket.set_rate(changed_at, 20_000, 1_000);
            assert_eq!(bucket.take(changed_at, 1), 0);
        }
    }

    #[test]
    fn time_spent_at_a_price_of_the_past_cannot_starve() {
        let bucket = Bucket::new(1000, 1);
        bucket.spent_until_ns.store(3600 * NS_PER_S, Relaxed);
        assert_eq!(bucket.take(0, 1), 0);
        assert_eq!(bucket.take(1_000_000, 1), 1);
    }

    #[test]
    fn many_threads_together_get_no_more_than_one_bucket_holds() {
        let bucket = Bucket::new(1000, 100_000);
        let taker = |n: u32| (0..50_000).map(|_| u64::from(bucket.take(1_000_000, n))).sum::<u64>();
        let granted: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = [1, 2, 3, 7].map(|n| scope.spawn(move || taker(n))).into();
            threads.into_iter().map(|t| t.join().expect("no taker panics")).sum()
        });
        assert_eq!(granted, 100_000);
    }

    proptest! {
        #[test]
        fn no_interval_gets_more_than_rate_and_burst(rate in rates(), burst in 1..500_u32, calls in calls()) {
            let bucket = Bucket::new(rate, burst);
            let mut now = 12_345;
            let mut grants = Vec::new();
            for (step, want) in calls {
                now += step;
                let got = bucket.take(now, want);
                if got > 2 && want % 3 == 0 {
                    bucket.give_back(1);
                }
                grants.push((now, u128::from(got - u32::from(got > 2 && want % 3 == 0))));
            }
            for first in 0..grants.len() {
                let mut sum = 0;
                for &(at, got) in &grants[first..] {
                    sum += got;
                    let most = allowed(rate, burst, at - grants[first].0);
                    prop_assert!(sum * u128::from(NS_PER_S) <= most, "{} from {}", sum, grants[first].0);
                }
            }
        }

        #[test]
        fn whoever_waits_until_ready_gets_a_token(rate in rates(), burst in 1..500_u32, calls in calls()) {
            let bucket = Bucket::new(rate, burst);
            let mut now = 0;
            for (step, want) in calls {
                now += step;
                bucket.take(now, want);
                let ready = bucket.ready_at(now);
                prop_assert!(ready >= now && ready - now <= price_of(rate) / (1 << PRICE_BITS) + 2);
                prop_assert!(ready == now || bucket.take(ready - 1, 1) == 0);
                prop_assert!(bucket.take(ready, want) >= 1);
                now = ready;
            }
        }
    }
}
