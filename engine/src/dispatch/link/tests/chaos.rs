//! Whatever gates, stops, sockets and the SMSC do, in any order: nothing is lost and nothing is accepted twice.

use super::{Smsc, World, willing};
use crate::dispatch::bucket::Bucket;
use crate::model::{Lane, UnitStatus};
use pdu::CommandStatus;
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Op {
    Pass(u64),
    Shut(u32),
    ShutIn(u32, u64),
    Open(u32),
    StopAndGo(u32, u64),
    Socket(usize, bool),
    Smsc(u8),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let no = || 1..=4_u32;
    let op = prop_oneof![
        6 => (1_000..700_000_u64).prop_map(Op::Pass),
        2 => no().prop_map(Op::Shut),
        1 => (no(), 1..900_u64).prop_map(|(no, ms)| Op::ShutIn(no, ms)),
        3 => no().prop_map(Op::Open),
        2 => (no(), 0..300_000_u64).prop_map(|(no, us)| Op::StopAndGo(no, us)),
        2 => (0..3_usize, any::<bool>()).prop_map(|(link, open)| Op::Socket(link, open)),
        3 => (0..6_u8).prop_map(Op::Smsc),
    ];
    proptest::collection::vec(op, 1..40)
}

fn smsc(kind: u8) -> Smsc {
    let always = |status| -> Smsc { Box::new(move |_| Some((status, 3_000))) };
    match kind {
        0 => Box::new(|w| {
            let status = if w.place.1 % 3 == 0 { CommandStatus::THROTTLED } else { CommandStatus::OK };
            Some((status, 20_000))
        }),
        1 => always(CommandStatus::THROTTLED),
        2 => always(CommandStatus::SYSTEM_ERROR),
        3 => Box::new(|_| None),
        4 => always(CommandStatus::INVALID_DEST_ADDRESS),
        _ => willing(),
    }
}

fn world() -> World {
    let mut world = World::new(willing());
    world.channel(300, 2, 10);
    world.channel(0, 1, 5);
    let rate = Arc::new(Bucket::new(200, 10));
    for (no, lane) in [(1, Lane::Bulk), (2, Lane::Normal), (3, Lane::Otp), (4, Lane::Bulk)] {
        let rates = if no > 2 { vec![Arc::clone(&rate)] } else { Vec::new() };
        world.campaign_with(no, u64::from(no / 3), 1_500, |spec| (spec.lane, spec.rates) = (lane, rates));
    }
    world
}

fn apply(world: &mut World, op: Op) {
    match op {
        Op::Pass(us) => world.run_for(us),
        Op::Shut(no) => world.camps[&no].cells.set_open(0, 0),
        Op::ShutIn(no, ms) => world.camps[&no].cells.set_open(0, world.now.wall_ms + ms),
        Op::Open(no) => world.camps[&no].cells.set_open(0, u64::MAX),
        Op::StopAndGo(no, us) => {
            let cells = Arc::clone(&world.camps[&no].cells);
            let stop_gen = cells.stop();
            world.board.announce_stop();
            world.settle();
            let before = world.count(no);
            world.run_for(us);
            assert_eq!(world.count(no), before, "written behind a stop");
            cells.go(stop_gen);
        }
        Op::Socket(link, is_open) => world.links[link].is_open = is_open,
        Op::Smsc(kind) => world.smsc = smsc(kind),
    }
    expire(world);
}

/// As the shell does it: a submit that is still here is not given up, its session ends instead.
fn expire(world: &mut World) {
    let now = world.now;
    for link in world.links.iter_mut().filter(|link| link.core.out().is_empty()) {
        link.core.expire(5_000_000, now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_is_lost_and_nothing_is_accepted_twice(ops in ops()) {
        let mut world = world();
        for op in ops {
            apply(&mut world, op);
        }
        world.smsc = willing();
        (1..=4).for_each(|no| world.camps[&no].cells.set_open(0, u64::MAX));
        world.links.iter_mut().for_each(|link| link.is_open = true);
        for _ in 0..60 {
            world.run_for(3_000_000);
            expire(&mut world);
        }
        world.run_for(1_000_000);
        world.check();
        for (no, camp) in &world.camps {
            for unit in 0..1_500 {
                let status = camp.account.status(0, unit);
                let is_final = matches!(status, Some(UnitStatus::Sent | UnitStatus::Failed
                    | UnitStatus::Rejected | UnitStatus::Unknown));
                prop_assert!(is_final, "campaign {} unit {}: {:?}", no, unit, status);
            }
            prop_assert!(camp.account.is_settled());
        }
    }
}
