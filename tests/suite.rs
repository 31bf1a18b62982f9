//! The suite: one binary, one module per subject.

mod api;
mod audit;
mod channels;
mod children;
mod crowd;
mod demo;
mod dispatch;
mod faults;
mod judge;
mod kill;
mod latency;
mod life;
mod modes;
mod oracles;
mod runner;
mod scale;
mod simulation;
mod stopping;
mod suppression;
mod tidy;
mod triggers;
