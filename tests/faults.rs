//! The dispatcher against an SMSC that misbehaves: one fault, one test, over real TCP.
//!
//! Whatever happens, every story ends before the judge.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod binds;
mod connections;
mod garbled;
mod receipts;
mod repeats;

use bench::smsc::{Config, Exact, Fault, FaultRule, Smsc, Stats};
use engine::model::Counts;
use std::time::Duration;
use tests::rig::{Rig, RigOptions, simulator, tick};

/// No test of this module may take longer on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// A response timeout that tests can wait for.
const SHORT: Duration = Duration::from_millis(500);

/// A simulator, an engine and a campaign, and how the story ended.
pub(crate) struct Story {
    pub(crate) smsc: Smsc,
    pub(crate) rig: Rig,
}

/// What a finished campaign left behind.
pub(crate) struct End {
    pub(crate) counts: Counts,
    pub(crate) exact: Exact,
    stats: Stats,
}

/// A simulator with these faults.
pub(crate) fn with(faults: &[(Fault, f64)]) -> Config {
    let faults = faults.iter().map(|(fault, amount)| FaultRule::new(*fault, *amount)).collect();
    Config { seed: 11, faults, ..Config::default() }
}

/// Two binds with a response timeout that can be waited for.
fn impatient() -> RigOptions {
    RigOptions { response_timeout: SHORT, enquire_link: SHORT, ..RigOptions::default() }
}

impl Story {
    /// Everything up, the campaign not started.
    pub(crate) async fn begin(config: Config, recipients: u64, options: RigOptions) -> Self {
        let smsc = simulator(config).await.unwrap();
        let rig = Rig::new(&smsc, recipients, &options).await.unwrap();
        Self { smsc, rig }
    }

    /// The same with the campaign started.
    pub(crate) async fn tell(config: Config, recipients: u64, options: RigOptions) -> Self {
        let story = Self::begin(config, recipients, options).await;
        story.rig.go().await.unwrap();
        story
    }

    /// Submits that the simulator has read.
    pub(crate) fn submits(&self) -> usize {
        self.smsc.with_ledger(|ledger| ledger.submits().len())
    }

    /// Waits until the simulator has read that many submits.
    pub(crate) async fn until_submits(&self, count: usize) {
        self.until(|story| story.submits() >= count).await;
    }

    /// Waits until `done` holds.
    pub(crate) async fn until(&self, done: impl Fn(&Self) -> bool) {
        let end = std::time::Instant::now() + LIMIT;
        while !done(self) {
            let state = (self.rig.counts(), self.rig.engine.channels(), self.smsc.stats());
            assert!(std::time::Instant::now() < end, "not within {LIMIT:?}: {state:?}");
            tick().await;
        }
    }

    /// Waits until the campaign is done, shuts the engine down and has everything judged.
    pub(crate) async fn end(self) -> End {
        self.rig.until_done(LIMIT).await.unwrap();
        self.close().await
    }

    /// The same of a campaign that is already at its end, but for receipts.
    pub(crate) async fn close(self) -> End {
        tokio::time::timeout(LIMIT, self.rig.judge()).await.expect("shuts down in time").unwrap();
        let status = self.rig.stored().await.unwrap().status;
        assert!(status.is_final(), "judged while {status}");
        let exact = self.smsc.with_ledger(|ledger| ledger.exact());
        End { counts: self.rig.counts(), exact, stats: self.smsc.stats() }
    }

    /// Ends the engine in order and starts another one on the same directory.
    pub(crate) async fn restart(&mut self) {
        tokio::time::timeout(LIMIT, self.rig.restart()).await.expect("shuts down in time").unwrap();
    }
}

impl End {
    /// How often a fault struck; a test whose fault never did proves nothing.
    pub(crate) fn struck(&self, fault: Fault) -> u64 {
        let count = self.stats.faults.get(fault.name()).copied().unwrap_or(0);
        assert!(count > 0, "{} never struck: {:?}", fault.name(), self.stats);
        count
    }

    /// (destination, part)s that were accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.exact.accepted.len() as u64
    }

    /// Accepted or surely settled otherwise: everybody but the unknown.
    fn sure(&self) -> u64 {
        let c = &self.counts;
        c.sent + c.delivered + c.undeliverable + c.expired
    }
}

/// All recipients of an account, whatever their state.
pub(crate) fn sum(c: &Counts) -> u64 {
    let sent = c.sent + c.delivered + c.undeliverable + c.expired + c.unknown;
    c.queued + c.in_flight + sent + c.rejected + c.cancelled + c.skipped + c.failed
}
