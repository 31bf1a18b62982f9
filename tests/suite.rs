//! The suite: one binary, one module per subject.

mod runner;
mod tidy;
