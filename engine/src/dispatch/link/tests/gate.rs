//! The calendar's gate at a link: nothing at or behind its end, and every unit back where it came from.

use super::{BEGINNING_MS, World, willing};
use crate::dispatch::cells::CLOSING_MS;
use crate::model::UnitStatus;

fn until(world: &World, ms: u64) -> u64 {
    world.now.wall_ms + ms
}

#[test]
fn nothing_is_written_at_or_behind_the_end_and_all_goes_back_without_being_told() {
    let mut world = World::new(willing());
    world.channel(1_000, 2, 10);
    world.campaign(1, 1, 20_000);
    let end_ms = until(&world, 2_000);
    world.camps[&1].cells.set_open(0, end_ms);
    world.run_for(5_000_000);
    let last_us = world.written.iter().map(|w| w.at_us).max().expect("written");
    let last_ms = BEGINNING_MS + last_us / 1000 - 1_000;
    assert!((end_ms - CLOSING_MS - 5..end_ms).contains(&last_ms), "{last_ms} of {end_ms}");
    assert_eq!(world.held(1), 0, "everything went back");
    let back: u32 = world.camps[&1].ready.iter().map(|s| u32::from(s.count)).sum();
    assert_eq!(u64::from(back) + world.count(1), 20_000);
    let turns = world.turns;
    world.run_for(5_000_000);
    assert!(world.turns - turns < 100, "a closed campaign costs nothing");
    world.check();
}

#[test]
fn it_goes_on_when_it_is_opened_again_and_every_unit_is_sent_once() {
    let mut world = World::new(willing());
    world.channel(1_000, 2, 10);
    world.campaign(1, 1, 5_000);
    for _ in 0..5 {
        let end_ms = until(&world, 700);
        world.camps[&1].cells.set_open(0, end_ms);
        world.run_for(1_500_000);
    }
    world.camps[&1].cells.set_open(0, u64::MAX);
    world.run_for(5_000_000);
    world.check_done(1, 5_000);
}

#[test]
fn a_pdu_that_the_kernel_did_not_take_in_time_is_cut_out_revoked_and_returned() {
    let mut world = World::new(willing());
    world.channel(0, 1, 50);
    world.campaign(1, 1, 1_000);
    let end_ms = until(&world, 1_000);
    world.camps[&1].cells.set_open(0, end_ms);
    world.links[0].is_open = false;
    world.run_for(500_000);
    let core = &world.links[0].core;
    assert!(!core.out().is_empty() && !core.must_look_again(world.now.wall_ms));
    assert!(core.must_look_again(end_ms), "the shell has to ask before it writes");
    world.pass(600_000);
    world.settle();
    let core = &world.links[0].core;
    assert!(core.out().is_empty() && core.window.in_flight() == 0);
    assert!(!core.must_look_again(world.now.wall_ms));
    world.run_for(1_000_000);
    assert_eq!((world.held(1), world.camps[&1].account.status(0, 0)), (0, Some(UnitStatus::Queued)));
    world.links[0].is_open = true;
    world.camps[&1].cells.set_open(0, u64::MAX);
    world.run_for(1_000_000);
    world.check_done(1, 1_000);
}

#[test]
fn the_rest_of_a_pdu_whose_beginning_is_on_the_wire_follows_it() {
    let mut world = World::new(willing());
    world.channel(0, 1, 50);
    world.campaign(1, 1, 1_000);
    let end_ms = until(&world, 1_000);
    world.camps[&1].cells.set_open(0, end_ms);
    world.links[0].is_open = false;
    world.run_for(500_000);
    let core = &mut world.links[0].core;
    core.wrote(7);
    world.pass(600_000);
    world.settle();
    let core = &mut world.links[0].core;
    assert_eq!((core.out().len(), core.window.in_flight()), (core.out_head, 1));
    assert!(!core.must_look_again(world.now.wall_ms), "else the shell would never write it");
}

#[test]
fn a_wall_clock_that_jumps_over_the_end_stops_the_next_write() {
    let mut world = World::new(willing());
    world.channel(100, 1, 10);
    world.campaign(1, 1, 1_000);
    let end_ms = until(&world, 3_600_000);
    world.camps[&1].cells.set_open(0, end_ms);
    world.run_for(1_000_000);
    let before = world.written.len();
    world.now.wall_ms += 3_600_000;
    world.run_for(1_000_000);
    assert_eq!((world.written.len(), world.held(1)), (before, 0));
    world.now.wall_ms -= 3_600_000;
    world.run_for(20_000_000);
    world.check_done(1, 1_000);
}
