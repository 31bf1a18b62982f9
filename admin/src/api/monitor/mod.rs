//! What the API watches by itself, once a second: how fast each workspace sends now, and what channels did today.
//!
//! It reads counters of the engine and nothing of the store; all that it keeps is bounded and in memory.

mod history;
mod rates;

use super::state::Api;
use engine::model::{UserId, WorkspaceId};
use engine::{ChannelStatus, Engine, Latency, Now};
use history::{History, Sample};
use rates::Rates;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

pub(crate) use history::{Cut, HEALTH, STEP_S, Series};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    rates: Rates,
    history: History,
    before: Option<Counters>,
}

/// The counters of all channels at one moment.
#[derive(Debug)]
struct Counters {
    slot: u64,
    mono_us: u64,
    channels: Vec<ChannelStatus>,
    latencies: Vec<Latency>,
}

impl Monitor {
    /// Looks once.
    pub(crate) fn look(&self, engine: &Engine, now: Now) {
        let mut seen = self.seen();
        seen.rates.look(now.mono_us / 1_000, engine.live_campaigns());
        let slot = now.wall_ms / 1_000 / STEP_S;
        if seen.before.as_ref().is_some_and(|before| slot <= before.slot) {
            return;
        }
        let (channels, latencies) = (engine.channels(), engine.submit_latencies());
        let counters = Counters { slot, mono_us: now.mono_us, channels, latencies };
        if let Some(before) = seen.before.take() {
            let samples = samples(&before, &counters);
            seen.history.push(slot, samples);
        }
        seen.before = Some(counters);
    }

    /// Messages on the wire and messages a second, of a workspace or of what one account has created in it.
    pub(crate) fn pulse(&self, workspace: WorkspaceId, own: Option<UserId>) -> (u64, f64) {
        self.seen().rates.of(workspace, own)
    }

    /// The last minutes of the channels at these places, or the whole day.
    pub(crate) fn history(&self, minutes: Option<u64>, channels: &[usize]) -> (Cut, Vec<Vec<Series>>) {
        let seen = self.seen();
        let cut = seen.history.cut(minutes);
        (cut, channels.iter().map(|channel| seen.history.series(*channel, cut)).collect())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Whatever a panic left is replaced by the next looks.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks until it is aborted.
pub(crate) async fn keep_looking(api: Arc<Api>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        api.monitor.look(&api.engine, api.clock.now());
    }
}

/// What the channels did between two moments.
#[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a chart")]
fn samples(before: &Counters, now: &Counters) -> Vec<Sample> {
    let passed_s = now.mono_us.saturating_sub(before.mono_us) as f64 / 1e6;
    let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / passed_s) as f32;
    let ms = |seen: &Latency, share: f64| match seen.count() {
        0 => f32::NAN,
        _ => (seen.quantile(share) as f64 / 1e3) as f32,
    };
    let pairs = now.channels.iter().zip(&before.channels).zip(now.latencies.iter().zip(&before.latencies));
    let sample =
        |((now, before), (latency, earlier)): ((&ChannelStatus, &ChannelStatus), (&Latency, &Latency))| {
            let seen = latency.since(earlier);
            let in_flight: u32 = now.in_flight.iter().sum();
            let up = now.up.iter().filter(|up| **up).count();
            [
                rate(now.submitted, before.submitted),
                rate(now.accepted, before.accepted),
                rate(now.refused, before.refused),
                rate(now.throttled, before.throttled),
                f64::from(in_flight) as f32,
                now.stock as f32,
                up as f32,
                ms(&seen, 0.5),
                ms(&seen, 0.99),
            ]
        };
    pairs.map(sample).collect()
}
