//! admin: see DESIGN.
