//! The actor on paused time: it opens, closes, paces and charges as the calendar says.

use super::*;
use crate::dispatch::budget::Budget;
use crate::dispatch::env::{Env, Tcp, Workers};
use crate::dispatch::link::LinkInbox;
use crate::dispatch::supply::tests::{link, sieve};
use crate::model::{CHUNK_RECIPIENTS, LocalWindow, Mode, QuietHours, Schedule, SendingRules};
use crate::schedule::{Calendar, Gate, PlanTerms, Zone, plan};
use crate::store::{Recipients, SqliteStore};
use jiff::Timestamp;
use jiff::civil::{date, time};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR_MS: u64 = 3_600_000;

/// Lets virtual time pass, with every timer on its way.
async fn pass(time: Duration) {
    assert!(tokio::time::timeout(time, std::future::pending::<()>()).await.is_err());
}

/// A campaign's actor with everything around it that it touches, and a link that is played by the test.
struct Stage {
    arguments: Arguments,
    actor: ActorRef<CampaignMsg>,
    replans: Arc<AtomicU32>,
    /// Units given out and not returned, by when they were given.
    given: Vec<(u64, Slice)>,
    _directory: tempfile::TempDir,
}

impl Stage {
    /// Begins a campaign of so many recipients at `wall_ms`.
    async fn begin(recipients: u64, budget: Budget, pace: Pace, wall_ms: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let journal = Arc::new(SqliteStore::open(directory.path()).expect("a store"));
        let clock = Clock::Virtual { start: Instant::now(), wall_ms };
        let env = Env { clock, net: Arc::new(Tcp), workers: Workers::Tasks, seed: 1 };
        let recorder = Arc::new(Recorder::new());
        let failure = watch::Sender::new(None);
        let loader = Loader::start(&env, journal, Arc::clone(&recorder), &failure).expect("a loader");
        let (sieve, _) = sieve(1, &[(&[], 1)]);
        let (started, mut incarnations) = mpsc::unbounded_channel();
        let replans = Arc::new(AtomicU32::new(0));
        let asked = Arc::clone(&replans);
        let purse = Arc::new(Purse::new(budget, Arc::default()));
        let arguments = Arguments {
            no: CampaignNo(7),
            recipients,
            cells: Arc::new(CampaignCells::new(CampaignNo(7), 0)),
            sieve: Arc::new(sieve),
            purse,
            board: Arc::default(),
            recorder,
            clock,
            loader,
            source: Some(Arc::new(move |chunk| {
                let before = u64::from(chunk) * CHUNK_RECIPIENTS as u64;
                let here = (recipients - before).min(CHUNK_RECIPIENTS as u64);
                let numbers = (0..here).map(|n| 4_900_000 + before + n).collect();
                Box::pin(async move { Ok(Recipients { numbers, ..Recipients::default() }) })
            })),
            on_start: Arc::new(move |actor| drop(started.send(actor))),
            on_overdue: Arc::new(move |_| {
                asked.fetch_add(1, Ordering::Relaxed);
            }),
        };
        let (_, _) = Actor::spawn(None, CampaignActor, arguments.clone()).await.expect("an actor");
        let actor = incarnations.recv().await.expect("it has started");
        let chunks = recipients.div_ceil(CHUNK_RECIPIENTS as u64);
        let untouched = (0..u32::try_from(chunks).expect("a chunk")).collect();
        let remaining = Remaining { untouched, runs: Vec::new() };
        actor.cast(CampaignMsg::Begin(remaining, Box::new(pace))).expect("it lives");
        Self { arguments, actor, replans, given: Vec::new(), _directory: directory }
    }

    fn wall_ms(&self) -> u64 {
        self.arguments.clock.now().wall_ms
    }

    /// Asks as a link does while it may send, and takes what comes within a second; returns how many.
    async fn ask(&mut self, units: u32) -> u32 {
        if self.arguments.cells.is_still(self.wall_ms()) {
            pass(Duration::from_secs(1)).await;
            return 0;
        }
        let link: Arc<LinkInbox> = link(0);
        let want = SupplyMsg::Want(Arc::clone(&link), units);
        self.actor.cast(CampaignMsg::Supply(want)).expect("it lives");
        pass(Duration::from_secs(1)).await;
        let mut count = 0;
        for message in link.close() {
            if let LinkMsg::Slices(_, slices) = message {
                count += slices.iter().map(|s| u32::from(s.count)).sum::<u32>();
                let at_ms = self.wall_ms();
                self.given.extend(slices.into_iter().map(|slice| (at_ms, slice)));
            }
        }
        self.publish(u64::from(count));
        count
    }

    /// Plays the keeper: intents for so many more units are durable, and whatever was given is charged.
    fn publish(&self, intended: u64) {
        let mut charges = BTreeMap::new();
        for (at_ms, slice) in &self.given {
            let at = Timestamp::from_millisecond(i64::try_from(*at_ms).expect("soon")).expect("a time");
            *charges.entry(at.to_zoned(TimeZone::UTC).date()).or_default() += u64::from(slice.count);
        }
        self.arguments.purse.publish(charges.into_iter().collect(), intended);
    }

    /// Plays a link that revokes what it has not written.
    fn give_back(&self, slices: Vec<Slice>) {
        self.publish(0);
        let back = slices.into_iter().map(|slice| Slice { paid: Paid::No, ..slice }).collect();
        self.actor.cast(CampaignMsg::Supply(SupplyMsg::Returned(back))).expect("it lives");
    }

    /// Plays a link that looks in every minute until `wall_ms`.
    async fn run_until(&mut self, wall_ms: u64, units: u32) {
        self.run_every(MINUTE, wall_ms, units).await;
    }

    async fn run_every(&mut self, step: Duration, wall_ms: u64, units: u32) {
        while self.wall_ms() < wall_ms {
            self.ask(units).await;
            pass(step.saturating_sub(Duration::from_secs(1))).await;
        }
    }

    /// Units given between two moments.
    fn between(&self, from_ms: u64, to_ms: u64) -> u64 {
        let within = self.given.iter().filter(|(at, _)| (from_ms..to_ms).contains(at));
        within.map(|(_, slice)| u64::from(slice.count)).sum()
    }

    fn hold(&self) -> Option<HoldReason> {
        self.arguments.cells.hold()
    }
}

fn calendar() -> Calendar {
    let quiet = QuietHours { from: time(22, 0, 0, 0), to: time(8, 0, 0, 0) };
    Calendar { zone: Zone::named("UTC").expect("known"), quiet: Some(quiet), daily_limit: None }
}

fn on_demand(calendar: &Calendar, daily_limit: Option<u64>) -> Pace {
    let rules = SendingRules { daily_limit, ..SendingRules::default() };
    let gate = Gate::new(Mode::OnDemand, &rules, calendar).expect("a gate");
    Pace::new(gate, calendar.zone.clone(), None)
}

#[tokio::test(start_paused = true)]
async fn quiet_hours_and_a_daily_limit_hold_over_three_days() {
    let pace = on_demand(&calendar(), Some(100));
    let mut stage = Stage::begin(250, Budget::new(Some(100)), pace, 7 * HOUR_MS).await;
    stage.run_until(7 * HOUR_MS + HOUR_MS / 2, 60).await;
    assert_eq!((stage.hold(), stage.given.len()), (Some(HoldReason::QuietHours), 0));
    stage.run_until(21 * HOUR_MS, 60).await;
    assert_eq!((stage.between(0, 24 * HOUR_MS), stage.hold()), (100, Some(HoldReason::DailyLimit)));
    assert!(stage.given[0].0 <= 8 * HOUR_MS + 120_000, "it opens at eight");
    // The last ten of the day could not be sent: the next hour may have them.
    let (_, last) = stage.given.pop().expect("a slice");
    let back = Slice { from: last.from + last.count - 10, count: 10, ..last.clone() };
    stage.given.push((8 * HOUR_MS, Slice { count: last.count - 10, ..last }));
    stage.give_back(vec![back]);
    stage.run_until(23 * HOUR_MS, 60).await;
    assert_eq!((stage.between(0, 24 * HOUR_MS), stage.hold()), (100, Some(HoldReason::QuietHours)));
    stage.run_until(47 * HOUR_MS, 60).await;
    assert_eq!(
        (stage.between(24 * HOUR_MS, 32 * HOUR_MS), stage.between(32 * HOUR_MS, 46 * HOUR_MS)),
        (0, 100)
    );
    stage.run_until(70 * HOUR_MS, 60).await;
    assert_eq!(stage.between(0, 72 * HOUR_MS), 250);
    let used = |day| stage.arguments.purse.left(date(1970, 1, day));
    assert_eq!([used(1), used(2), used(3)], [0, 0, 50]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_after_midnight_is_not_charged_to_the_day_that_ended() {
    let calendar = Calendar { quiet: None, ..calendar() };
    let pace = on_demand(&calendar, Some(100));
    let mut stage = Stage::begin(250, Budget::new(Some(100)), pace, 23 * HOUR_MS).await;
    stage.run_until(23 * HOUR_MS + HOUR_MS / 2, 100).await;
    assert_eq!(stage.between(0, 24 * HOUR_MS), 100);
    let until = Duration::from_millis(24 * HOUR_MS - stage.wall_ms());
    pass(until + Duration::from_millis(50)).await;
    assert!(!stage.arguments.cells.is_still(stage.wall_ms()), "without a link the next day opens at once");
    let back: Vec<Slice> = stage.given.drain(..).map(|(_, slice)| slice).collect();
    stage.give_back(back);
    stage.run_until(47 * HOUR_MS, 100).await;
    assert_eq!(stage.between(24 * HOUR_MS, 48 * HOUR_MS), 100);
    let left = [1, 2].map(|day| stage.arguments.purse.left(date(1970, 1, day)));
    assert_eq!(left, [100, 0], "charged to the day on which it left");
}

#[tokio::test(start_paused = true)]
async fn a_spread_campaign_leaves_by_its_plan_and_not_in_a_burst_after_an_outage() {
    let calendar = calendar();
    let (from, to) = (date(1970, 1, 1).at(8, 0, 0, 0), date(1970, 1, 1).at(18, 0, 0, 0));
    let schedule = Schedule { window: Some(LocalWindow { from, to }), ..Schedule::default() };
    let rules = SendingRules { schedule, ..SendingRules::default() };
    let terms = PlanTerms {
        rules: &rules,
        calendar: &calendar,
        charged: &[],
        workspace_charged: &[],
        now: Timestamp::UNIX_EPOCH,
    };
    // Ten hours: one a second.
    let plan = plan(36_000, &terms).expect("feasible");
    let gate = Gate::new(Mode::Spread, &rules, &calendar).expect("a gate");
    let pace = Pace::new(gate, calendar.zone.clone(), Some(plan));
    let mut stage = Stage::begin(36_000, Budget::new(None), pace, 7 * HOUR_MS).await;
    let step = Duration::from_secs(1);
    stage.run_every(step, 9 * HOUR_MS, 2_000).await;
    let first = stage.between(0, 9 * HOUR_MS + 1_000);
    assert!((3_480..=3_601).contains(&first), "{first} in the first hour");
    assert_eq!(stage.replans.load(Ordering::Relaxed), 0);
    // An hour without a link.
    pass(Duration::from_secs(3_600)).await;
    let back_ms = stage.wall_ms();
    stage.run_every(step, back_ms + HOUR_MS / 2, 2_000).await;
    for minute in 0..30 {
        let from_ms = back_ms + minute * 60_000;
        assert!(stage.between(from_ms, from_ms + 60_000) <= 122, "a burst in minute {minute}");
    }
    assert!(stage.replans.load(Ordering::Relaxed) >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_campaign_gives_nothing_and_goes_on_when_a_link_asks_again() {
    let calendar = Calendar { quiet: None, ..calendar() };
    let mut stage = Stage::begin(5_000, Budget::new(None), on_demand(&calendar, None), HOUR_MS).await;
    pass(MINUTE).await;
    assert_eq!(stage.ask(10).await, 10);
    let stopped = stage.arguments.cells.stop();
    let waiting = link(0);
    stage.actor.cast(CampaignMsg::Supply(SupplyMsg::Want(Arc::clone(&waiting), 10))).expect("it lives");
    pass(MINUTE).await;
    assert!(waiting.close().is_empty());
    stage.arguments.cells.go(stopped);
    assert_eq!(stage.ask(10).await, 10);
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_the_beginning_is_neither_lost_nor_doubled() {
    let calendar = Calendar { quiet: None, ..calendar() };
    let stage = Stage::begin(10, Budget::new(None), on_demand(&calendar, None), HOUR_MS).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let known = crate::dispatch::supply::tests::slice(3, 0, 6);
    let runs = vec![crate::model::Run { chunk: 3, from: 0, count: 4 }];
    let remaining = Remaining { untouched: Vec::new(), runs };
    let later = SupplyMsg::Later(vec![Slice { attempt: 1, ..known }], 77);
    for message in early(vec![later], &remaining) {
        if let SupplyMsg::Later(slices, 77) = message {
            heard.lock().expect("not poisoned").extend(slices.iter().map(|s| (s.from, s.count)));
        }
    }
    assert_eq!(*heard.lock().expect("not poisoned"), [(4, 1), (5, 1)]);
    stage.actor.cast(CampaignMsg::End).expect("it lives");
}
