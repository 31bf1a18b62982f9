//! How long stops and single messages take under full load, over real TCP and with real commits.
//!
//! Times are printed, never judged: machines differ. What is judged is everything else, that nothing is written behind
//! an acknowledgement among it. `MC_LATENCY=n` takes n samples instead of the suite's few; `MC_SCALE=n` gives the large
//! campaign n recipients.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the figures are what it is run for")]

use bench::smsc::Config;
use engine::model::{CampaignId, Lane, Mode, SendingRules};
use engine::seed::{CampaignSeed, Seed};
use engine::store::{Catalog, Journal};
use engine::{Engine, Push};
use std::time::{Duration, Instant};
use tests::evidence::Evidence;
use tests::invariants;
use tests::rig::{Rig, RigOptions, simulator, tick};

/// Samples of the suite.
const SAMPLES: usize = 12;
/// First number of what is pushed, beside every generated list.
const FIRST_PUSHED: u64 = 4_930_000_000_000;

/// Recipients of the large campaign in the suite.
const LARGE: u64 = 400_000;
/// No wait takes longer on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A number from the environment.
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn samples() -> usize {
    asked("MC_LATENCY").map_or(SAMPLES, |samples| usize::try_from(samples).unwrap())
}

/// Lets a full load send for a while.
async fn a_while() {
    for _ in 0..4 {
        tick().await;
    }
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what}: {} samples, p50 {:?}, p99 {:?}, most {:?}", times.len(), at(50), at(99), at(100));
}

#[tokio::test]
async fn pauses_under_full_load_are_acknowledged_and_nothing_is_written_behind_them() {
    let smsc = simulator(Config::default()).await.unwrap();
    let options = RigOptions { binds: 4, window: 100, ..RigOptions::default() };
    let recipients = 40_000 * u64::try_from(samples()).unwrap();
    let rig = Rig::new(&smsc, recipients, &options).await.unwrap();
    rig.go().await.unwrap();
    let mut times = Vec::new();
    while times.len() < samples() && rig.counts().queued > 0 {
        a_while().await;
        // Done meanwhile.
        let Ok(took) = rig.pause().await else { break };
        times.push(took);
        a_while().await;
        rig.resume().await.unwrap();
    }
    rig.until_done(LIMIT).await.unwrap();
    rig.judge().await.unwrap();
    show("pause under full load", times);
}

#[tokio::test]
async fn cancels_under_full_load_are_acknowledged_and_nothing_is_written_behind_them() {
    let options = RigOptions { binds: 4, window: 100, ..RigOptions::default() };
    let mut times = Vec::new();
    for _ in 0..samples() {
        let smsc = simulator(Config::default()).await.unwrap();
        let rig = Rig::new(&smsc, 40_000, &options).await.unwrap();
        rig.go().await.unwrap();
        rig.until(LIMIT, |counts| counts.sent > 2_000).await.unwrap();
        times.push(rig.cancel().await.unwrap());
        a_while().await;
        let counts = rig.until_done(LIMIT).await.unwrap();
        assert!(counts.cancelled > 0, "cancelled too late: {counts:?}");
        rig.judge().await.unwrap();
    }
    show("cancel under full load", times);
}

/// A started Trigger campaign of another workspace.
async fn trigger(engine: &Engine, store: &(impl Catalog + Journal)) -> (Seed, CampaignId) {
    let at = jiff::Timestamp::now();
    let seed = Seed::create(store, "codes", "CODES", at).await.unwrap();
    let no = store.next_campaign_no().await.unwrap();
    store.write_recipients(no, 0).unwrap().finish().unwrap();
    let campaign = CampaignSeed {
        name: "codes".to_owned(),
        mode: Mode::Trigger,
        rules: SendingRules { lane: Lane::Otp, ..SendingRules::default() },
        text: "Your code is 123456".to_owned(),
        receipts: false,
        delivery_policy: engine::model::DeliveryPolicy::AtMostOnce,
        recipients: 0,
        recipients_digest: "open".to_owned(),
    };
    let id = seed.approved(store, no, campaign, at).await.unwrap();
    engine.build(seed.workspace, id, &seed.author()).await.unwrap();
    engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
    (seed, id)
}

/// Pushes one number after the other; how long each took to be durable, and to be read by the SMSC.
async fn pushes(
    engine: &Engine,
    (seed, id): &(Seed, CampaignId),
    first: u64,
    smsc: &bench::smsc::Smsc,
) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..u64::try_from(samples()).unwrap() {
        let number = first + n;
        let begun = Instant::now();
        let items = vec![Push { number, values: Vec::new() }];
        engine.push(seed.workspace, *id, items, &seed.author()).await.unwrap();
        times[0].push(begun.elapsed());
        let is_there = |ledger: &bench::smsc::Ledger| {
            ledger.submits().iter().rev().take(2_000).any(|submit| submit.destination == number)
        };
        while !smsc.with_ledger(is_there) {
            tick().await;
            assert!(begun.elapsed() < Duration::from_secs(60), "{number} was never sent");
        }
        times[1].push(begun.elapsed());
    }
    times
}

#[tokio::test]
async fn codes_overtake_a_large_campaign_on_a_full_channel() {
    let smsc = simulator(Config::default()).await.unwrap();
    // A channel that a large campaign keeps full for as long as this takes.
    let options = RigOptions { binds: 2, window: 50, rate_per_s: 2_000, ..RigOptions::default() };
    let recipients = asked("MC_SCALE").unwrap_or(LARGE);
    let rig = Rig::new(&smsc, recipients, &options).await.unwrap();
    let codes = trigger(&rig.engine, &*rig.store).await;
    let [durable, read] = pushes(&rig.engine, &codes, FIRST_PUSHED, &smsc).await;
    show("one number, idle channel: durable", durable);
    show("one number, idle channel: at the SMSC", read);
    rig.go().await.unwrap();
    rig.until(Duration::from_secs(30), |counts| counts.sent > 4_000).await.unwrap();
    let before = smsc.with_ledger(|ledger| ledger.submits().len());
    let [_, later] = pushes(&rig.engine, &codes, FIRST_PUSHED + 1_000_000, &smsc).await;
    assert!(smsc.with_ledger(|ledger| ledger.submits().len()) > before, "the large campaign goes on");
    show(&format!("one number, channel full with {recipients}: at the SMSC"), later);
    let begun = Instant::now();
    show(&format!("cancel of {recipients} recipients"), vec![rig.cancel().await.unwrap()]);
    rig.until_done(Duration::from_secs(60)).await.unwrap();
    show(&format!("all of {recipients} settled"), vec![begun.elapsed()]);
    rig.engine.clone().shutdown().await;
    let mut evidence = Evidence::from(&rig);
    evidence.campaigns.push((codes.1, None));
    invariants::check(evidence).await.unwrap();
}
