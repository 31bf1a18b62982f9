//! The suite of the crate, one binary: octets of the specification, round trips, mutations, an oracle, seeds.

mod differential;
mod golden;
mod golden_rare;
mod pool;
mod receipts;
mod round_trip;
mod seeds;
mod texts;
