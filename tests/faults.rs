//! The dispatcher against an SMSC that misbehaves: one fault, one test, over real TCP.
//!
//! Whatever happens, at the end every recipient is in exactly one final state, nothing was accepted twice under
//! `at_most_once`, and the account agrees with the simulator's ledger recipient by recipient.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod binds;
mod connections;
mod garbled;
mod receipts;
mod repeats;

use bench::smsc::{Config, Exact, Fault, FaultRule, Smsc, Stats};
use engine::model::{Counts, DeliveryPolicy, UnitStatus};
use std::collections::BTreeMap;
use std::time::Duration;
use tests::rig::{Rig, RigOptions, simulator, start_engine, tick};
use tests::verdict::Verdict;

/// No test of this module may take longer on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// A response timeout that tests can wait for.
const SHORT: Duration = Duration::from_millis(500);

/// A simulator, an engine and a campaign, and how the story ended.
pub(crate) struct Story {
    pub(crate) smsc: Smsc,
    pub(crate) rig: Rig,
    options: RigOptions,
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
        let address = smsc.local_addr().unwrap().to_string();
        let rig = Rig::new(&address, recipients, &options).await.unwrap();
        Self { smsc, rig, options }
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

    /// Waits until the campaign is done, shuts the engine down and compares everything with the ledger.
    pub(crate) async fn end(self) -> End {
        self.rig.until_done(LIMIT).await.unwrap();
        self.close().await
    }

    /// Shuts down and compares; every recipient has to be settled already.
    pub(crate) async fn close(self) -> End {
        let counts = self.rig.counts();
        tokio::time::timeout(LIMIT, self.rig.engine.clone().shutdown()).await.expect("shuts down in time");
        let exact = self.smsc.with_ledger(|ledger| ledger.exact());
        assert_eq!(sum(&counts), self.rig.recipients, "{counts:?}");
        assert_eq!(counts.queued + counts.in_flight, 0, "{counts:?}");
        if self.options.policy == DeliveryPolicy::AtMostOnce {
            self.rig.check_ledger(&exact, &counts).unwrap();
        }
        let campaign = self.rig.stored().await.unwrap();
        let verdict = Verdict::read(&*self.rig.store, &campaign).await.unwrap();
        verdict.check(&exact).unwrap();
        if campaign.content.parts == 1 {
            assert_eq!(verdict.count(UnitStatus::Unknown), counts.unknown);
            assert_eq!(verdict.count(UnitStatus::Sent), counts.sent);
            assert_eq!(verdict.count(UnitStatus::Delivered), counts.delivered);
        }
        End { counts, exact, stats: self.smsc.stats() }
    }

    /// Ends the engine in order and starts another one on the same directory.
    pub(crate) async fn restart(&mut self) {
        tokio::time::timeout(LIMIT, self.rig.engine.clone().shutdown()).await.expect("shuts down in time");
        let address = self.smsc.local_addr().unwrap().to_string();
        let directory = self.rig.directory();
        self.rig.engine = start_engine(&self.rig.store, &directory, &address, &self.options).await.unwrap();
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

#[test]
fn a_unit_that_was_accepted_twice_or_never_is_found_by_the_comparison() {
    let units = BTreeMap::from([((1, 1), UnitStatus::Sent), ((2, 1), UnitStatus::Unknown)]);
    let verdict = Verdict::of(units, DeliveryPolicy::AtMostOnce);
    let agrees = |accepted: &[((u64, u8), u32)]| {
        let exact = Exact { accepted: accepted.iter().copied().collect(), ..Exact::default() };
        verdict.check(&exact).is_ok()
    };
    assert!(agrees(&[((1, 1), 1)]) && agrees(&[((1, 1), 1), ((2, 1), 1)]));
    assert!(!agrees(&[]) && !agrees(&[((1, 1), 2)]) && !agrees(&[((1, 1), 1), ((2, 1), 2)]));
    assert!(!agrees(&[((1, 1), 1), ((3, 1), 1)]) && !agrees(&[((1, 1), 1), ((2, 2), 1)]));
}
