//! One channel as its links see it: its rate, its pace, its breaker and its counters, shared by all its binds.
//!
//! Links read atomics and add their counts once a turn; pace and breaker are behind locks that are taken only when
//! something was throttled or has failed, or while they watch. Nobody waits inside of them.

use crate::dispatch::breaker::{Breaker, BreakerState, PROBE_UNITS};
use crate::dispatch::bucket::Bucket;
use crate::dispatch::pace::{BURST_PER_S, Pace};
use crate::model::UnitStatus;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The channel.
pub(crate) struct ChannelCells {
    pub(crate) bucket: Bucket,
    pace: Mutex<Pace>,
    is_pacing: AtomicBool,
    breaker: Mutex<Breaker>,
    state: AtomicU8,
    until_us: AtomicU64,
    failures: AtomicU32,
    probes: AtomicU32,
    pub(crate) submitted: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) receipts: [AtomicU64; UnitStatus::ALL.len()],
    pub(crate) orphans: AtomicU64,
    pub(crate) strays: AtomicU64,
    pub(crate) receipts_deferred: AtomicU64,
}

/// What a turn's answers say about the SMSC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Health {
    /// Whether any was an answer of an SMSC that works, a refusal among them.
    pub(crate) is_sound: bool,
    /// System failures behind the last sound one.
    pub(crate) failures: u32,
}

impl ChannelCells {
    /// A channel with that rate, 0 for none; `seed` is for the breaker's pauses.
    pub(crate) fn new(rate_per_s: u32, seed: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            bucket: Bucket::new(rate_per_s, (rate_per_s / BURST_PER_S).max(1)),
            pace: Mutex::new(Pace::new(rate_per_s)),
            is_pacing: AtomicBool::new(false),
            breaker: Mutex::new(Breaker::new(seed)),
            state: AtomicU8::new(BreakerState::Closed as u8),
            until_us: zero(),
            failures: AtomicU32::new(0),
            probes: AtomicU32::new(0),
            submitted: zero(),
            accepted: zero(),
            refused: zero(),
            throttled: zero(),
            retried: zero(),
            unknown: zero(),
            receipts: std::array::from_fn(|_| zero()),
            orphans: zero(),
            strays: zero(),
            receipts_deferred: zero(),
        }
    }

    /// The rate kept now, segments a second, 0 for none: the configured one or what the SMSC takes.
    pub(crate) fn rate_per_s(&self) -> u32 {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).rate_per_s()
    }

    /// Adapts the rate to a turn's answers, which are counted already; `age_us` is how long the throttled ones took,
    /// 0 for none of them.
    pub(crate) fn adapt(&self, now_us: u64, age_us: u64) {
        if age_us == 0 && !self.is_pacing.load(Ordering::Relaxed) {
            return;
        }
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = (self.accepted.load(Ordering::Relaxed), self.throttled.load(Ordering::Relaxed));
        if let Some(rate) = pace.look(now_us, answers.0, answers.1, age_us) {
            self.bucket.set_rate(now_us * 1000, rate, (rate / BURST_PER_S).max(1));
        }
        self.is_pacing.store(pace.is_watching(), Ordering::Relaxed);
    }

    /// Tells the breaker what a turn's answers say; returns whether links have to look at once.
    pub(crate) fn report(&self, health: Health, now_us: u64) -> bool {
        let is_well = || self.failures.load(Ordering::Relaxed) == 0 && self.breaker() == BreakerState::Closed;
        if health.failures == 0 && (!health.is_sound || is_well()) {
            return false;
        }
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let before = breaker.state();
        breaker.note(health.is_sound, health.failures, now_us);
        self.failures.store(breaker.failures(), Ordering::Relaxed);
        self.publish(&breaker);
        breaker.state() != before
    }

    /// Whether the channel takes units, as of now; with a pause that is over it lets a probe through.
    pub(crate) fn looked_at(&self, now_us: u64) -> BreakerState {
        let state = self.breaker();
        if state == BreakerState::Closed || now_us < self.until_us.load(Ordering::Relaxed) {
            return state;
        }
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        if breaker.tick(now_us) {
            self.probes.store(PROBE_UNITS, Ordering::Relaxed);
            self.publish(&breaker);
        }
        breaker.state()
    }

    fn publish(&self, breaker: &Breaker) {
        self.until_us.store(breaker.until_us(), Ordering::Relaxed);
        self.state.store(breaker.state() as u8, Ordering::Relaxed);
    }

    /// What the breaker was when somebody looked last.
    pub(crate) fn breaker(&self) -> BreakerState {
        let state = usize::from(self.state.load(Ordering::Relaxed));
        BreakerState::ALL.get(state).copied().unwrap_or_default()
    }

    /// When a breaker that is not closed has to be looked at again.
    pub(crate) fn look_again_us(&self) -> u64 {
        self.until_us.load(Ordering::Relaxed)
    }

    /// Takes up to `want` units of a probe.
    pub(crate) fn take_probe(&self, want: u32) -> u32 {
        let before = self.probes.update(Ordering::Relaxed, Ordering::Relaxed, |left| left - want.min(left));
        want.min(before)
    }

    /// Gives back what was not sent of a probe.
    pub(crate) fn give_probe_back(&self, units: u32) {
        self.probes.fetch_add(units, Ordering::Relaxed);
    }
}
