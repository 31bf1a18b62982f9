//! The whole dispatcher on virtual time: the same seed gives the same trace, whatever goes wrong in it.
//!
//! One runtime with a paused clock runs engine, store and simulator; streams are in memory. The trace is a hash over
//! every submit, receipt and acknowledgement with its virtual time, and over the account at the end.
//! `make sim SEED=s SEEDS=n HOURS=h` runs more of it, and as many houses: worlds of several workspaces, campaigns of all
//! modes and channels.

#![expect(clippy::unwrap_used, reason = "tests")]

mod chance;
mod guests;
mod house;
mod world;

use std::collections::BTreeSet;
use world::{Report, Size};

/// Seeds of the suite.
const SEEDS: u64 = 10;
/// Seeds of the house in the suite.
const HOUSES: u64 = 6;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn ten_seeds_give_the_same_trace_twice_and_different_ones_differ() {
    let mut traces = BTreeSet::new();
    for seed in 1..=SEEDS {
        let first = world::run(seed, Size::SMALL).unwrap();
        let second = world::run(seed, Size::SMALL).unwrap();
        assert_eq!(first, second, "seed {seed}");
        traces.insert(first.trace);
    }
    assert_eq!(traces.len() as u64, SEEDS, "two seeds gave one trace");
}

#[test]
#[expect(clippy::print_stdout, reason = "the traces are what the simulation is run for")]
fn every_seed_keeps_its_promises_in_simulated_time() {
    let first = asked("MC_SIM_SEED").unwrap_or(100);
    let seeds = asked("MC_SIM_SEEDS").unwrap_or(3);
    let size = asked("MC_SIM_HOURS").map_or(Size::SMALL, Size::hours);
    let mut violations = Vec::new();
    let mut simulated_s = 0;
    for seed in first..first + seeds {
        match world::run(seed, size) {
            Ok(Report { trace, simulated_ms, ref faults, .. }) => {
                println!("seed {seed} trace {trace:016x} {} s {faults}", simulated_ms / 1000);
                simulated_s += simulated_ms / 1000;
            }
            Err(error) => {
                println!("seed {seed} VIOLATION {error:#}");
                violations.push(format!("seed {seed}: {error:#}"));
            }
        }
    }
    let hours = simulated_s / 3600;
    println!(
        "{seeds} seeds, {hours} h {} min simulated, {} violations",
        simulated_s % 3600 / 60,
        violations.len()
    );
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
#[expect(clippy::print_stdout, reason = "the traces are what the simulation is run for")]
fn every_house_keeps_its_promises_and_comes_to_its_end() {
    let first = asked("MC_SIM_SEED").unwrap_or(1);
    let seeds = asked("MC_SIM_SEEDS").unwrap_or(HOUSES);
    let mut violations = Vec::new();
    for seed in first..first + seeds {
        match house::run(seed) {
            Ok(house::Report { trace, simulated_s, ref summary }) => {
                println!("seed {seed} trace {trace:016x} {simulated_s} s {summary}");
            }
            Err(error) => {
                println!("seed {seed} VIOLATION {error:#}");
                violations.push(format!("seed {seed}: {error:#}"));
            }
        }
    }
    println!("{seeds} houses, {} violations", violations.len());
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn a_house_has_the_same_trace_twice() {
    for seed in [2, 4, 5] {
        let (first, second) = (house::run(seed).unwrap(), house::run(seed).unwrap());
        assert_eq!(first, second, "seed {seed}");
    }
}
