//! engine: see DESIGN.

pub mod intake;
