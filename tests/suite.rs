//! The suite: one binary, one module per subject.
