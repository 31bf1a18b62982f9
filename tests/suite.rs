//! The suite: one binary, one module per subject.

mod children;
mod demo;
mod dispatch;
mod faults;
mod kill;
mod life;
mod oracles;
mod runner;
mod scale;
mod simulation;
mod stopping;
mod suppression;
mod tidy;
