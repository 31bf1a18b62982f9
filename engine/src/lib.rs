//! engine: see DESIGN.
