//! bench: see DESIGN.
