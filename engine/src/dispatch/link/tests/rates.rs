//! Rates beside the channel's: each exact over every interval, none of them in the way of others.

use super::{Smsc, World, Written, willing};
use crate::dispatch::bucket::Bucket;
use crate::model::Lane;
use pdu::CommandStatus;
use std::sync::Arc;

fn bucket(rate: u32, burst: u32) -> Arc<Bucket> {
    Arc::new(Bucket::new(rate, burst))
}

/// For every interval: no more than rate and burst.
fn assert_exact(written: &[Written], rate: u32, burst: u32, what: &str) {
    // What counts is how far the count ever runs ahead of the rate.
    let mut least = f64::MAX;
    for (n, unit) in written.iter().enumerate() {
        let ahead = n as f64 - f64::from(rate) * unit.at_us as f64 / 1e6;
        least = least.min(ahead);
        assert!(ahead - least <= f64::from(burst) + 0.001, "{what}: unit {n} at {} us", unit.at_us);
    }
}

fn of(world: &World, chosen: impl Fn(&Written) -> bool) -> Vec<Written> {
    world.written.iter().filter(|w| chosen(w)).copied().collect()
}

#[test]
fn every_level_is_exact_over_every_interval_and_used_in_full() {
    let (workspace, sender) = (bucket(300, 20), bucket(100, 5));
    let mut world = World::new(willing());
    world.channel(1_000, 4, 20);
    let both = vec![Arc::clone(&workspace), Arc::clone(&sender)];
    world.campaign_with(1, 1, 50_000, |spec| spec.rates = both);
    world.campaign_with(2, 1, 50_000, |spec| spec.rates = vec![workspace]);
    world.campaign(3, 2, 50_000);
    world.run_for(10_000_000);
    assert_exact(&of(&world, |w| w.no == 1), 100, 5, "sender");
    assert_exact(&of(&world, |w| w.no <= 2), 300, 20, "workspace");
    assert_exact(&world.written, 1_000, 50, "channel");
    for (no, rate) in [(1, 100), (2, 200), (3, 700)] {
        let count = world.count(no);
        assert!(
            (rate * 93 / 10..=rate * 10 + 60).contains(&count),
            "campaign {no}: {count} in 10 s at {rate}/s"
        );
    }
    world.check();
}

#[test]
fn a_workspace_at_its_limit_slows_nobody_and_does_not_spin() {
    let slow = bucket(5, 1);
    let mut world = World::new(willing());
    world.channel(0, 2, 20);
    for no in 1..=50 {
        let rates = vec![Arc::clone(&slow)];
        world.campaign_with(no, 1, 1_000, |spec| spec.rates = rates);
    }
    world.campaign(99, 2, 100_000);
    world.run_for(3_500_000);
    world.check_done(99, 100_000);
    let turns = world.turns;
    world.run_for(10_000_000);
    let limited = world.written.len() - 100_000;
    assert!((50..=70).contains(&limited), "{limited} in 13.5 s at 5/s");
    // Each unit costs a few turns of each link: token, write, answer, commit.
    assert!(world.turns - turns < 10 * 5 * 2 * 40, "{} turns", world.turns - turns);
    world.check();
}

#[test]
fn a_limited_workspace_leaves_room_to_plan() {
    let slow = bucket(1, 1);
    let mut world = World::new(willing());
    world.channel(20_000, 1, 200);
    for no in 1..=30 {
        let rates = vec![Arc::clone(&slow)];
        world.campaign_with(no, 1, 1_000, |spec| spec.rates = rates);
    }
    world.run_for(5_000_000);
    world.campaign(99, 2, 40_000);
    world.run_for(3_000_000);
    assert!(world.count(99) >= 39_000, "{}", world.count(99));
}

#[test]
fn a_code_is_first_also_at_its_workspaces_own_limit() {
    let limit = bucket(50, 1);
    let mut world = World::new(willing());
    world.channel(0, 4, 20);
    let bulk = vec![Arc::clone(&limit)];
    world.campaign_with(1, 1, 50_000, |spec| (spec.lane, spec.rates) = (Lane::Bulk, bulk));
    world.campaign_with(2, 1, 0, |spec| (spec.lane, spec.rates) = (Lane::Otp, vec![limit]));
    world.run_for(3_000_000);
    for n in 0..20 {
        let begun_us = world.now.mono_us;
        world.push(2);
        world.run_for(150_000 + n * 7_000);
        let at_us = world.written.iter().rfind(|w| w.no == 2).expect("written").at_us;
        assert!((begun_us..begun_us + 60_000).contains(&at_us), "three tokens' time at most");
    }
}

/// An SMSC that throttles above a limit.
fn limited(rate: u32) -> Smsc {
    let smsc = Bucket::new(rate, rate / 10);
    Box::new(move |w| match smsc.take(w.at_us * 1000, 1) {
        1 => Some((CommandStatus::OK, 20_000)),
        _ => Some((CommandStatus::THROTTLED, 20_000)),
    })
}

#[test]
fn all_binds_together_find_the_smscs_limit_and_no_unit_is_lost_or_loses_an_attempt() {
    let mut world = World::new(limited(500));
    world.channel(0, 4, 20);
    world.campaign(1, 1, 30_000);
    world.run_for(20_000_000);
    let accepted = |w: &World| w.channels[0].accepted.load(std::sync::atomic::Ordering::Relaxed);
    let (before, written) = (accepted(&world), world.written.len());
    world.run_for(20_000_000);
    let (accepted, written) = (accepted(&world) - before, (world.written.len() - written) as u64);
    assert!(accepted >= 9_000, "{accepted} of 10000");
    assert!((written - accepted) * 20 < written, "{accepted} of {written}");
    assert!(world.written.iter().all(|w| w.attempt == 0));
    world.check();
    world.smsc = willing();
    world.run_for(60_000_000);
    world.check_done(1, 30_000);
}
