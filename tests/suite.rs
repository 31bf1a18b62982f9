//! The suite: one binary, one module per subject.

mod oracles;
mod runner;
mod tidy;
