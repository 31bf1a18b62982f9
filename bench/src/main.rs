//! `bench`: the rigs that send, each in a process of its own, and `dispatch`, which compares them.
//!
//! A rig measures itself (rate, CPU, latency, memory) against a sink at an address and prints one JSON object.
//! Adding a rig is one line in [`RIGS`].

mod compare;
mod cpu;
mod dispatch;
mod engine_rig;
mod floor;
mod peer;
mod rig;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::dispatch::DispatchOptions;
use crate::rig::{Rig, RigOptions};

/// Every rig, in the order of a round.
const RIGS: &[Rig] = &[
    Rig {
        name: "floor",
        about: "raw floor: pre-built PDUs, one write and one read per turn",
        run: floor::run_floor,
    },
    Rig {
        name: "engine",
        about: "the whole engine: store, intents, outcomes and accounts, all durable",
        run: engine_rig::run_engine,
    },
    Rig { name: "peer", about: "the client library rusmppc in a windowed loop", run: peer::run_peer },
];

fn main() -> anyhow::Result<()> {
    let mut command = Command::new("bench")
        .about("Load rigs of Message Center")
        .subcommand_required(true)
        .subcommand(DispatchOptions::augment_args(
            Command::new("dispatch").about("Compare all rigs, alternating, each against a fresh sink"),
        ));
    for rig in RIGS {
        command = command.subcommand(RigOptions::augment_args(Command::new(rig.name).about(rig.about)));
    }
    let matches = command.get_matches();
    let (name, options) = matches.subcommand().expect("clap requires a subcommand");
    run(name, options)
}

fn run(name: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    match RIGS.iter().find(|rig| rig.name == name) {
        Some(rig) => rig::print(&(rig.run)(&RigOptions::from_arg_matches(matches)?)?),
        None => dispatch::dispatch(&DispatchOptions::from_arg_matches(matches)?, RIGS),
    }
}
