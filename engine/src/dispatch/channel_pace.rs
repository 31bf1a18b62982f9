//! The pace of one channel: how fast its SMSC really takes messages, found from what it throttles.
//!
//! Pure: it reads totals of accepted and throttled answers in spans of its caller's clock and says which rate to set.
//! Too many throttled answers cut the rate to what was accepted; without any it climbs, gently near the limit and
//! faster the longer nothing is throttled, up to the configured rate. Throttling that no cut makes less has other
//! reasons than our rate and is lived with for a while. Proved by `it_finds_the_limit_and_follows_it`.

/// A bucket's burst is what comes in this part of a second.
pub(crate) const BURST_PER_S: u32 = 20;
/// Share of throttled answers that is no reason to slow down: the climb has just passed the limit.
const TOLERATED: f64 = 0.03;
/// A cut goes to this part of what was accepted.
const CUT_TO: f64 = 0.97;
/// And at most by this factor at once: nothing accepted in one span may be a hiccup.
const DEEPEST_CUT: f64 = 8.0;
/// The first cut below a limit that was right a moment ago: who counts strictly accepts much less than it could.
const FIRST_CUT: f64 = 1.2;
/// Least answers that tell something.
const LEAST_ANSWERS: u64 = 20;
/// One throttled answer among few is no reason: a slow channel would never come near its limit.
const LEAST_THROTTLED: u64 = 2;
/// A span, microseconds; SMSCs count by the second.
const SPAN_US: u64 = 1_000_000;
/// The longest span when answers are few.
const LONGEST_US: u64 = 3_000_000;
/// Without any limit this is enough when far too much is throttled: it must not flood the SMSC.
const HURRY_US: u64 = 100_000;
/// Throttled answers and their share that make it hurry.
const HURRY: (u64, f64) = (10, 0.25);
/// Without traffic for so long nothing is concluded from a span.
const IDLE_US: u64 = 5_000_000;
/// Cuts in a row without effect that show that the throttling has other reasons.
const CUTS_IN_VAIN: u8 = 2;
/// How long it is lived with before the next try, microseconds.
const NOISE_US: u64 = 10_000_000;
/// First growth a second, and its greatest.
const GROWTH: (f64, f64) = (0.01, 0.16);
/// The growth doubles each time that nothing was throttled for so long, microseconds.
const FASTER_EVERY_US: u64 = 5_000_000;
/// Only a rate that is made use of, to this part, is raised.
const IN_USE: f64 = 0.7;
/// A found limit beyond it is none.
const UNLIMITED_ABOVE: f64 = 1_000_000.0;
/// Answers to what was sent before a cut say nothing about it; they are waited for no longer, microseconds.
const LONGEST_ECHO_US: u64 = 5_000_000;

/// The pace of a channel.
#[derive(Debug)]
pub(crate) struct Pace {
    configured: u32,
    /// The limit found, below the configured one.
    limit: Option<f64>,
    /// Totals and time at the span's beginning.
    begun: Option<(u64, u64, u64)>,
    /// Cuts in a row, the share that was throttled before the first, and the limit before it.
    cuts: u8,
    before: (f64, Option<f64>),
    /// What is throttled whatever the rate, and until when that is believed.
    noise: Option<(f64, u64)>,
    /// Since when nothing gave reason to slow down.
    calm_us: u64,
    /// Whether the limit is far from known: it doubles.
    is_searching: bool,
}

impl Pace {
    /// The pace of a channel with that rate, 0 for none.
    pub(crate) fn new(configured: u32) -> Self {
        Self {
            configured,
            limit: None,
            begun: None,
            cuts: 0,
            before: (0.0, None),
            noise: None,
            calm_us: 0,
            is_searching: false,
        }
    }

    /// The rate to keep now, 0 for none.
    pub(crate) fn rate_per_s(&self) -> u32 {
        match self.limit {
            None => self.configured,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to a million")]
            Some(limit) => limit.clamp(1.0, UNLIMITED_ABOVE).round() as u32,
        }
    }

    /// Whether it has to look at what is answered without any throttling.
    pub(crate) fn is_watching(&self) -> bool {
        self.limit.is_some() || self.begun.is_some()
    }

    /// Looks at the totals of answers; `age_us` is how long an answer takes. Returns the new rate if it changes.
    pub(crate) fn look(&mut self, now_us: u64, accepted: u64, throttled: u64, age_us: u64) -> Option<u32> {
        let Some((from_us, accepted_before, throttled_before)) = self.begun else {
            self.begun = Some((now_us, accepted, throttled));
            return None;
        };
        // The echo of a cut: the span begins behind it.
        let took_us = now_us.saturating_sub(from_us);
        let (accepted_now, throttled_now) = (accepted - accepted_before, throttled - throttled_before);
        if now_us < from_us || took_us > IDLE_US {
            self.begun = Some((now_us.max(from_us), accepted, throttled));
            if self.limit.is_none() && throttled_now == 0 {
                self.begun = None;
            }
            return None;
        }
        if !self.is_enough(took_us, accepted_now, throttled_now) {
            return None;
        }
        self.begun = Some((now_us, accepted, throttled));
        let before = self.rate_per_s();
        self.conclude(now_us, took_us, (accepted_now, throttled_now), age_us);
        if self.limit.is_none() && throttled_now == 0 && self.noise.is_none() {
            self.begun = None;
        }
        let rate = self.rate_per_s();
        (rate != before).then_some(rate)
    }

    fn is_enough(&self, took_us: u64, accepted: u64, throttled: u64) -> bool {
        let answers = accepted + throttled;
        let is_much = throttled >= HURRY.0 && share(throttled, answers) >= HURRY.1;
        let hurries = self.limit.is_none() && self.noise.is_none() && is_much;
        (took_us >= SPAN_US && answers >= LEAST_ANSWERS)
            || (took_us >= LONGEST_US && answers > 0)
            || (took_us >= HURRY_US && hurries)
    }

    fn conclude(&mut self, now_us: u64, took_us: u64, (accepted, throttled): (u64, u64), age_us: u64) {
        let seconds = took_us as f64 / 1e6;
        let (accepted_per_s, part) = (accepted as f64 / seconds, share(throttled, accepted + throttled));
        if self.noise.is_some_and(|(_, until_us)| now_us >= until_us) {
            self.noise = None;
        }
        let tolerated = self.noise.map_or(TOLERATED, |(noise, _)| noise * 1.5 + 0.05);
        if part > tolerated && throttled >= LEAST_THROTTLED {
            let in_vain = self.cuts >= CUTS_IN_VAIN && part > self.before.0 * 0.6 && self.before.0 < 0.95;
            if in_vain && accepted > 0 {
                self.noise = Some((part, now_us + NOISE_US));
                self.limit = self.before.1;
                self.cuts = 0;
                return;
            }
            if self.cuts == 0 {
                self.before = (part, self.limit);
            }
            self.cuts = self.cuts.saturating_add(1);
            let sent_per_s = self.limit.unwrap_or((accepted + throttled) as f64 / seconds);
            let is_first = self.cuts == 1 && self.limit.is_some();
            let deepest = if is_first { FIRST_CUT } else { DEEPEST_CUT };
            let target = (accepted_per_s * CUT_TO).max(sent_per_s / deepest).max(1.0);
            self.is_searching = !is_first && (accepted_per_s * CUT_TO < target || accepted == 0);
            self.limit = Some(self.limit.map_or(target, |limit| limit.min(target)));
            self.calm_us = now_us;
            // Looked at again behind the echo, and when an SMSC that counts by the second has begun a new one.
            let echo_us = (age_us + age_us / 4).clamp(SPAN_US, LONGEST_ECHO_US);
            self.begun = self.begun.map(|(at_us, a, t)| (at_us + echo_us, a, t));
            return;
        }
        self.cuts = 0;
        if throttled == 0 || self.noise.is_some() {
            self.climb(now_us, seconds, accepted_per_s);
        }
    }

    fn climb(&mut self, now_us: u64, seconds: f64, accepted_per_s: f64) {
        let Some(limit) = self.limit.filter(|limit| accepted_per_s >= limit * IN_USE) else { return };
        let factor = if self.is_searching {
            2.0
        } else {
            let doublings = (now_us.saturating_sub(self.calm_us) / FASTER_EVERY_US).min(8);
            let growth = GROWTH.0 * 2f64.powi(i32::try_from(doublings).unwrap_or(8));
            1.0 + growth.min(GROWTH.1) * seconds
        };
        let limit = (limit * factor).max(limit + 0.1 * seconds);
        let most = if self.configured > 0 { f64::from(self.configured) } else { UNLIMITED_ABOVE };
        self.limit = Some(limit).filter(|limit| *limit < most);
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::bucket::Bucket;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// How an SMSC counts.
    #[derive(Clone, Copy, Debug)]
    enum Counting {
        /// A bucket that holds this part of a second, in hundredths.
        Bucket(u32),
        /// So many in each second of its clock.
        Seconds,
        /// It throttles so many of a hundred whatever the rate.
        Chance(u64),
    }

    /// A channel with endless backlog and an SMSC with a limit, in steps of a millisecond.
    struct Line {
        pace: Pace,
        bucket: Bucket,
        counting: Counting,
        limit: u32,
        smsc: Bucket,
        second: (u64, u32),
        now_us: u64,
        accepted: u64,
        throttled: u64,
        way: VecDeque<(u64, bool)>,
        latency_us: u64,
        window: usize,
        chance: u64,
    }

    impl Line {
        fn new(configured: u32, limit: u32, counting: Counting, latency_us: u64) -> Self {
            let mut line = Self {
                pace: Pace::new(configured),
                bucket: Bucket::new(configured, (configured / BURST_PER_S).max(1)),
                counting,
                limit,
                smsc: Bucket::new(1, 1),
                second: (0, 0),
                now_us: 1_000_000,
                accepted: 0,
                throttled: 0,
                way: VecDeque::new(),
                latency_us,
                window: 2_000,
                chance: 1,
            };
            line.set_limit(limit);
            line
        }

        fn set_limit(&mut self, limit: u32) {
            self.limit = limit;
            let burst = if let Counting::Bucket(part) = self.counting { limit * part / 100 } else { 1 };
            // One that allows no two at once takes half of what comes a little too fast: nobody counts so.
            self.smsc = Bucket::new(limit, burst.max(5));
        }

        fn takes(&mut self) -> bool {
            match self.counting {
                Counting::Bucket(_) => self.smsc.take(self.now_us * 1000, 1) == 1,
                Counting::Seconds => {
                    let second = self.now_us / 1_000_000;
                    if self.second.0 != second {
                        self.second = (second, 0);
                    }
                    self.second.1 += 1;
                    self.second.1 <= self.limit
                }
                Counting::Chance(of_100) => {
                    self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (self.chance >> 33) % 100 >= of_100
                }
            }
        }

        /// Accepted and throttled within so many seconds.
        fn run(&mut self, seconds: u64) -> (u64, u64) {
            let before = (self.accepted, self.throttled);
            for _ in 0..seconds * 1000 {
                self.now_us += 1000;
                let mut throttled = false;
                while self.way.front().is_some_and(|w| w.0 <= self.now_us) {
                    let took = self.way.pop_front().is_some_and(|w| w.1);
                    self.accepted += u64::from(took);
                    self.throttled += u64::from(!took);
                    throttled |= !took;
                }
                if throttled || self.pace.is_watching() {
                    let rate = self.pace.look(self.now_us, self.accepted, self.throttled, self.latency_us);
                    if let Some(rate) = rate {
                        self.bucket.set_rate(self.now_us * 1000, rate, (rate / BURST_PER_S).max(1));
                    }
                }
                let free = u32::try_from(self.window - self.way.len()).expect("small");
                for _ in 0..self.bucket.take(self.now_us * 1000, free) {
                    let took = self.takes();
                    self.way.push_back((self.now_us + self.latency_us, took));
                }
            }
            (self.accepted - before.0, self.throttled - before.1)
        }
    }

    fn assert_settled(line: &mut Line, what: &str) {
        let (accepted, throttled) = line.run(20);
        let limit = u64::from(line.limit) * 20;
        assert!(accepted * 10 >= limit * 9, "{what}: {accepted} of {limit} at {:?}", line.pace);
        // Ten more: at ten a second a single probe is half of the twentieth.
        assert!(throttled * 20 <= accepted + throttled + 200, "{what}: {throttled} beside {accepted}");
    }

    #[test]
    fn without_throttling_nothing_changes() {
        let mut line = Line::new(500, 1_000_000, Counting::Seconds, 20_000);
        assert_eq!((line.run(5).1, line.pace.rate_per_s(), line.pace.is_watching()), (0, 500, false));
    }

    #[test]
    fn the_first_hit_does_not_stall_the_channel() {
        let mut line = Line::new(0, 1_000, Counting::Bucket(10), 20_000);
        line.run(1);
        let (accepted, _) = line.run(2);
        assert!(accepted > 1_200, "{accepted} of 2000");
    }

    #[test]
    fn throttling_by_chance_does_not_slow_it_down_for_long() {
        for of_100 in [1, 10, 30] {
            let mut line = Line::new(500, 1_000_000, Counting::Chance(of_100), 20_000);
            line.run(5);
            let (accepted, throttled) = line.run(60);
            assert!(
                accepted + throttled >= 500 * 60 * 8 / 10,
                "{} of 30000 at {of_100} %",
                accepted + throttled
            );
        }
    }

    #[test]
    fn an_smsc_that_takes_nothing_for_a_while_is_found_again() {
        let mut line = Line::new(0, 2_000, Counting::Bucket(5), 20_000);
        line.run(20);
        line.counting = Counting::Chance(100);
        line.run(30);
        assert!(line.pace.rate_per_s() <= 2, "{:?}", line.pace);
        line.counting = Counting::Bucket(5);
        line.run(30);
        assert_settled(&mut line, "after nothing");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Goal: 90 % of the limit with less than 5 % throttled within 30 s, and a raised limit within 60 s.
        #[test]
        fn it_finds_the_limit_and_follows_it(
            limit in prop_oneof![10..100_u32, 100..2_000_u32, 2_000..20_000_u32],
            counting in prop_oneof![(1..100_u32).prop_map(Counting::Bucket), Just(Counting::Seconds)],
            latency_us in prop_oneof![1_000..30_000_u64, 30_000..90_000_u64],
            raised in 2..10_u32,
        ) {
            let mut line = Line::new(0, limit, counting, latency_us);
            line.run(30);
            assert_settled(&mut line, "found");
            line.set_limit((limit * raised).min(15_000).max(limit));
            line.run(60);
            assert_settled(&mut line, "raised");
            line.set_limit(limit);
            line.run(30);
            assert_settled(&mut line, "lowered");
        }
    }
}
