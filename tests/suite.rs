//! The suite: one binary, one module per subject.

mod children;
mod demo;
mod dispatch;
mod faults;
mod oracles;
mod runner;
mod scale;
mod stopping;
mod tidy;
