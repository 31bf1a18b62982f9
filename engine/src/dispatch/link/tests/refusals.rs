//! Refusals: attempts, delays, the breaker of a channel, and that nothing is lost on the way.

use super::{World, willing};
use crate::dispatch::breaker::{BreakerState, OPEN_AFTER, PROBE_UNITS};
use crate::model::{RetryRule, UnitStatus};
use pdu::CommandStatus;
use std::collections::BTreeMap;

#[test]
fn a_temporary_error_is_tried_again_later_and_given_up_behind_its_last_attempt() {
    let mut world = World::new(Box::new(|w| match w.place.1 {
        0..50 => Some((CommandStatus::RECEIVER_TEMPORARY, 1_000)),
        _ => Some((CommandStatus::OK, 1_000)),
    }));
    world.channel(0, 2, 20);
    world.campaign(1, 1, 200);
    world.run_for(5_000_000);
    let camp = &world.camps[&1];
    assert_eq!((camp.later.iter().map(|l| u32::from(l.1.count)).sum::<u32>(), world.held(1)), (50, 0));
    assert!(world.camps[&1].later.len() <= 10, "units that follow each other go together");
    world.run_for(40_000_000);
    let mut attempts: BTreeMap<u16, Vec<(u8, u64)>> = BTreeMap::new();
    for w in &world.written {
        attempts.entry(w.place.1).or_default().push((w.attempt, w.at_us));
    }
    for (unit, tries) in attempts {
        let numbers: Vec<u8> = tries.iter().map(|t| t.0).collect();
        assert_eq!(numbers, if unit < 50 { vec![0, 1, 2] } else { vec![0] });
        assert!(tries.windows(2).all(|pair| pair[1].1 - pair[0].1 >= 10_000_000));
        let expected = if unit < 50 { UnitStatus::Failed } else { UnitStatus::Sent };
        assert_eq!(world.camps[&1].account.status(0, unit), Some(expected));
    }
    assert!(world.camps[&1].account.is_settled());
}

#[test]
fn a_campaigns_own_rule_decides_for_it_alone() {
    let mut world = World::new(Box::new(|_| Some((CommandStatus::INVALID_DEST_ADDRESS, 1_000))));
    world.channel(0, 1, 20);
    let rule = RetryRule { status: CommandStatus::INVALID_DEST_ADDRESS.0, attempts: 2, delay_s: 0 };
    world.campaign_with(1, 1, 30, |spec| spec.retry = [rule].into());
    world.campaign(2, 2, 30);
    world.run_for(5_000_000);
    assert_eq!((world.count(1), world.count(2)), (60, 30));
    let status = |no| world.camps[&no].account.status(0, 7);
    assert_eq!((status(1), status(2)), (Some(UnitStatus::Failed), Some(UnitStatus::Rejected)));
}

#[test]
fn a_failing_channel_gives_its_units_to_another_one_and_comes_back_when_it_works() {
    let mut world = World::new(Box::new(|w| {
        let status = if w.link < 2 { CommandStatus::SYSTEM_ERROR } else { CommandStatus::OK };
        Some((status, 5_000))
    }));
    world.channel(50, 2, 20);
    world.channel(200, 1, 20);
    world.campaign(1, 1, 10_000);
    world.run_for(3_500_000);
    assert_eq!(world.channels[0].breaker(), BreakerState::Open);
    let failed = world.written.iter().filter(|w| w.link < 2).count();
    assert!(failed >= OPEN_AFTER as usize);
    let held = |w: &World| {
        let unwritten =
            |link: &super::Wired| link.core.flows.iter().flatten().map(|f| f.unwritten()).sum::<u32>();
        w.links[..2].iter().map(unwritten).sum::<u32>()
    };
    assert_eq!(held(&world), 0, "everything unwritten went back");
    world.run_for(20_000_000);
    let probes = world.written.iter().filter(|w| w.link < 2).count() - failed;
    assert!((5..=6 * PROBE_UNITS as usize).contains(&probes), "{probes} units in probes");
    world.smsc = willing();
    world.run_for(40_000_000);
    assert_eq!(world.channels[0].breaker(), BreakerState::Closed);
    world.run_for(20_000_000);
    let camp = &world.camps[&1];
    let status = |unit| camp.account.status(0, unit);
    assert!((0..4096).all(|unit| matches!(status(unit), Some(UnitStatus::Sent | UnitStatus::Failed))));
    let lost = (0..4096).filter(|unit| status(*unit) == Some(UnitStatus::Failed)).count();
    assert!(lost < 30, "{lost} lost all three attempts to the failing channel");
    world.check();
}

#[test]
fn answers_that_never_come_open_the_breaker_too_and_half_of_the_binds_failing_does_not() {
    let mut world = World::new(Box::new(|w| (w.link == 1).then_some((CommandStatus::OK, 5_000))));
    world.channel(0, 2, 50);
    world.campaign(1, 1, 5_000);
    world.run_for(200_000);
    for _ in 0..6 {
        let now = world.now;
        world.links[0].core.expire(500_000, now);
        world.run_for(1_000_000);
    }
    assert_eq!(world.channels[0].breaker(), BreakerState::Closed, "the other bind answers");
    world.smsc = Box::new(|_| None);
    world.campaign(2, 2, 5_000);
    for _ in 0..12 {
        let now = world.now;
        world.links.iter_mut().for_each(|link| link.core.expire(500_000, now));
        world.run_for(1_000_000);
    }
    assert_ne!(world.channels[0].breaker(), BreakerState::Closed);
    let unknown = (0..5_000)
        .filter(|n| world.camps[&2].account.status(n / 4096, (n % 4096) as u16) == Some(UnitStatus::Unknown))
        .count();
    assert!(unknown < 700, "{unknown} units were spent on an SMSC that does not answer");
    world.check();
}
