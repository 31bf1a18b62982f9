//! kill -9 on a real process in the middle of its work, again and again, with the ledger in another process.
//!
//! The suite starts its own test binary once more: [`child_engine`] is the engine that dies. A campaign goes on over
//! the rounds until it is done and judged; behind each kill, before anybody touches the store, I5 is.
//! `make torture ROUNDS=n` runs the same test with as many rounds as asked for.

#![expect(clippy::unwrap_used, reason = "tests")]

mod child;
mod intents;
mod rounds;

use rounds::{Marks, Sum, Trial};
use std::time::Duration;
use tests::rig::RigOptions;

/// Rounds of the suite.
const ROUNDS: u32 = 30;

/// What is varied from campaign to campaign.
fn trials() -> Vec<Trial> {
    let usual = |binds, window| RigOptions { binds, window, ..RigOptions::default() };
    let receipts = |binds, window| RigOptions { receipts: true, ..usual(binds, window) };
    let short = |latency_us| Trial { latency_us, ..Trial::default() };
    vec![
        Trial { options: usual(1, 10), ..short(0) },
        Trial { options: usual(4, 100), ..short(2_000) },
        Trial { options: receipts(2, 50), receipt_us: 20_000, ..short(1_000) },
        Trial { options: usual(2, 50), marks: Marks::Removed, ..short(500) },
        Trial { options: usual(3, 200), marks: Marks::Damaged, ..short(10_000) },
        Trial { options: receipts(2, 100), receipt_us: 0, marks: Marks::OtherBoot, ..short(0) },
        Trial { options: usual(2, 1_000), ..short(30_000) },
        Trial { options: RigOptions { text: "0123456789".repeat(40), ..usual(2, 40) }, ..short(1_000) },
        Trial { throttled: 0.1, options: usual(2, 30), ..short(1_000) },
        Trial {
            options: RigOptions { policy: engine::model::DeliveryPolicy::AtLeastOnce, ..usual(3, 50) },
            ..short(1_000)
        },
    ]
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the numbers are what the torture is run for")]
async fn a_process_killed_at_any_moment_loses_nobody_and_sends_nothing_twice() {
    let asked = std::env::var("MC_KILL_ROUNDS").ok().map(|n| n.parse::<u32>().unwrap());
    let rounds = asked.unwrap_or(ROUNDS);
    let limit = Duration::from_secs(60) + Duration::from_secs(10) * rounds;
    let end = std::time::Instant::now() + limit;
    let mut sum = Sum::default();
    let mut seed = std::env::var("MC_KILL_SEED").map_or(1, |n| n.parse().unwrap());
    while sum.rounds < rounds {
        for trial in trials() {
            let left = rounds.saturating_sub(sum.rounds);
            if left == 0 {
                break;
            }
            assert!(std::time::Instant::now() < end, "not within {limit:?}: {sum:?}");
            let run = rounds::run(&trial, seed, left.min(3)).await;
            sum.add(&run.unwrap_or_else(|error| panic!("{error:#} in seed {seed} of {trial:?}")));
            seed += 1;
        }
    }
    println!(
        "kill rounds {}, lost 0, repeated 0 as judged, unknown {} of {} submits (at most {} a kill, bound {}), \
         intents of {} found behind their kill",
        sum.rounds, sum.unknown, sum.submits, sum.worst, sum.worst_bound, sum.judged
    );
    assert!(
        sum.rounds >= rounds && sum.unknown > 0 && sum.judged > 0,
        "no kill met anything in flight: {sum:?}"
    );
}

/// The account of a campaign that ended before the kill is in the journal alone, and nothing touches it any more.
#[tokio::test]
async fn a_campaign_that_was_done_before_the_kill_is_shown_as_done_by_the_next_start() {
    let trial = Trial { options: RigOptions::default(), ..Trial::default() };
    let counts = rounds::killed_when_done(&trial).await.unwrap();
    assert_eq!((counts.sent, counts.queued), (counts.total, 0), "{counts:?}");
}
