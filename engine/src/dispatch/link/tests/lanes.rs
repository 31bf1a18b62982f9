//! Lanes, fairness and what a bind holds, over whole cores.

use super::{World, willing};
use crate::dispatch::link::plan::LEAD;
use crate::model::{CampaignNo, Lane};
use pdu::CommandStatus;

fn lane(lane: Lane) -> impl FnOnce(&mut super::FlowSpec) {
    move |spec| spec.lane = lane
}

/// Adds a unit to a campaign of codes and returns how long it took to the wire, milliseconds.
fn code_latency_ms(world: &mut World, no: u32) -> u64 {
    let (before, begun_us) = (world.count(no), world.now.mono_us);
    world.push(no);
    while world.count(no) == before {
        world.run_for(500);
        assert!(world.now.mono_us < begun_us + 2_000_000, "a code waits for two seconds");
    }
    (world.written.iter().rfind(|w| w.no == no).expect("written").at_us - begun_us) / 1000
}

#[test]
fn a_code_passes_a_saturated_bulk_campaign_within_a_token_or_two_on_every_bind() {
    for (rate, binds) in [(100, 1), (100, 8), (2_000, 4)] {
        let mut world = World::new(willing());
        world.channel(rate, binds, 10);
        world.campaign_with(1, 1, 200_000, lane(Lane::Bulk));
        world.campaign_with(2, 2, 0, lane(Lane::Otp));
        world.run_for(3_000_000);
        let mut worst = 0;
        for n in 0..50 {
            worst = worst.max(code_latency_ms(&mut world, 2));
            world.run_for(37_000 + n * 1_300);
        }
        assert!(worst <= 40, "{worst} ms at {rate}/s over {binds} binds");
        world.check();
    }
}

#[test]
fn a_code_finds_a_slot_in_a_window_that_bulk_keeps_full() {
    // Answers take 400 ms: without slots of its own a code would wait for one of them.
    let mut world = World::new(Box::new(|_| Some((CommandStatus::OK, 400_000))));
    world.channel(0, 2, 10);
    world.campaign_with(1, 1, 50_000, lane(Lane::Bulk));
    world.campaign_with(2, 2, 0, lane(Lane::Otp));
    world.run_for(3_000_000);
    for _ in 0..20 {
        let latency_ms = code_latency_ms(&mut world, 2);
        assert!(latency_ms <= 10, "{latency_ms} ms");
        world.run_for(450_000);
    }
    assert_eq!(world.links[0].core.window.in_flight(), 9, "the tenth slot is free for a code");
}

#[test]
fn lanes_share_a_channel_as_their_constants_say_and_nobody_starves() {
    let mut world = World::new(willing());
    world.channel(1_000, 2, 50);
    for (no, which) in (1..).zip(Lane::ALL) {
        world.campaign_with(no, u64::from(no), 100_000, lane(which));
    }
    world.run_for(20_000_000);
    let all = world.written.len() as f64;
    for (no, share) in [(1, 0.9), (2, 0.08), (3, 0.02)] {
        let actual = world.count(no) as f64 / all;
        assert!((actual - share).abs() < 0.01, "lane {no} has {actual} instead of {share}");
    }
    world.check();
}

#[test]
fn codes_on_one_bind_leave_a_tenth_to_the_others_on_another() {
    let mut world = World::new(willing());
    world.channel(500, 2, 50);
    world.campaign_with(1, 1, 100_000, lane(Lane::Otp));
    world.campaign_with(2, 2, 100_000, lane(Lane::Bulk));
    // The codes' campaign is on the first bind alone, the other one on the second.
    world.links[0].core.turn(world.now);
    world.leave(0, 2);
    world.leave(1, 1);
    world.run_for(20_000_000);
    let share = world.count(2) as f64 / world.written.len() as f64;
    assert!((0.08..0.15).contains(&share), "{share}");
}

#[test]
fn equal_workspaces_get_equal_shares_whatever_their_number_of_campaigns() {
    for (rate, window, seconds) in [(0, 20, 2), (400, 20, 8), (5_000, 100, 4)] {
        let mut world = World::new(willing());
        world.channel(rate, 2, window);
        world.campaign(1, 1, 100_000);
        (2..=11).for_each(|no| world.campaign(no, 2, 10_000));
        world.run_for(seconds * 1_000_000);
        let (one, all) = (world.count(1) as f64, world.written.len() as f64);
        assert!((one / all - 0.5).abs() <= 0.01, "{} at {rate}/s", one / all);
        let least = (2..=11).map(|no| world.count(no)).min().expect("ten");
        // A turn more or less on each bind, and the first moments.
        assert!(least as f64 >= all / 20.0 * 0.95 - 2.0 * 64.0, "{least} of {all}");
        world.check();
    }
}

#[test]
fn two_hundred_campaigns_on_eight_binds_all_go_on_and_all_finish() {
    let mut world = World::new(willing());
    world.channel(20_000, 8, 20);
    (1..=200).for_each(|no| world.campaign(no, u64::from(no % 50), 300));
    world.run_for(1_500_000);
    let counts: Vec<u64> = (1..=200).map(|no| world.count(no)).collect();
    let (least, most) = (counts.iter().min().expect("200"), counts.iter().max().expect("200"));
    assert!(*least >= 100 && *most <= 200, "{least} to {most} of 150");
    world.run_for(4_000_000);
    (1..=200).for_each(|no| world.check_done(no, 300));
}

#[test]
fn the_lead_of_all_lanes_together_is_bounded() {
    let mut world = World::new(willing());
    world.channel(50_000, 1, 1_000);
    for (no, which) in (1..).zip(Lane::ALL.into_iter().cycle().take(9)) {
        world.campaign_with(no, u64::from(no), 50_000, lane(which));
    }
    for _ in 0..200 {
        world.run_for(3_000);
        let leads: u32 = world.links[0].core.flows.iter().flatten().map(|f| f.lead()).sum();
        assert!(leads <= LEAD + 2, "{leads}");
    }
}

#[test]
fn a_slow_channel_holds_about_a_second_of_work_and_leaves_the_rest_to_others() {
    let mut world = World::new(willing());
    world.channel(20, 2, 50);
    world.channel(2_000, 1, 50);
    world.campaign(1, 1, 20_000);
    world.run_for(6_000_000);
    let held =
        |w: &mut World, link: usize| w.links[link].core.flow_of(CampaignNo(1)).map_or(0, |f| f.unwritten());
    let slow = held(&mut world, 0) + held(&mut world, 1);
    assert!(slow <= 50, "{slow} units on a channel of 20 a second");
    world.run_for(6_000_000);
    world.check_done(1, 20_000);
}

#[test]
fn a_bind_whose_smsc_falls_silent_gives_back_what_is_not_on_the_wire() {
    let mut world = World::new(Box::new(|w| (w.link == 1).then_some((CommandStatus::OK, 1_000))));
    world.channel(0, 1, 10);
    world.channel(1_000, 1, 10);
    world.campaign(1, 1, 2_000);
    world.run_for(5_000_000);
    assert_eq!(world.held(1), 0);
    assert_eq!(world.count(1), 2_000, "ten wait for their answer, all others were sent elsewhere");
    world.check();
}

#[test]
fn a_campaign_that_ends_leaves_no_trace_on_a_link() {
    let mut world = World::new(willing());
    world.channel(0, 1, 10);
    world.campaign(1, 1, 1_000);
    world.settle();
    world.leave(0, 1);
    world.run_for(1_000_000);
    let core = &world.links[0].core;
    assert!(core.flows.iter().all(Option::is_none) && core.by_no.is_empty());
    world.check();
}

#[test]
fn a_campaign_that_joins_again_in_the_midst_of_it_is_one_member_and_leaves_nothing_behind() {
    let mut world = World::new(willing());
    world.channel(200, 2, 10);
    world.campaign(1, 1, 1_000);
    world.run_for(500_000);
    for (place, workspace) in [(Lane::Bulk, 2), (Lane::Otp, 3), (Lane::Otp, 3), (Lane::Normal, 1)] {
        world.join_again(1, |spec| (spec.lane, spec.workspace.0) = (place, workspace));
        world.leave(0, 1);
        world.join_again(1, |spec| (spec.lane, spec.workspace.0) = (place, workspace));
        world.run_for(300_000);
        let members = |world: &World, at: usize| {
            Lane::ALL.map(|lane| world.links[at].core.lanes.of(lane).members).iter().sum::<u32>()
        };
        assert_eq!((members(&world, 0), members(&world, 1)), (1, 1));
    }
    world.run_for(10_000_000);
    world.check_done(1, 1_000);
    (0..2).for_each(|at| world.leave(at, 1));
    world.run_for(1_000_000);
    for link in &world.links {
        let core = &link.core;
        assert!(core.flows.iter().all(Option::is_none) && core.by_no.is_empty());
        assert_eq!(core.chunks.len(), core.free_chunks.len());
        assert!(Lane::ALL.iter().all(|lane| core.lanes.of(*lane).members == 0));
    }
}
