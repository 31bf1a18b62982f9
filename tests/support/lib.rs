//! What every test of the suite may need: child processes, ports, folders, tools, and saying that a test was skipped.
//!
//! Owns the processes it starts: each ends, by its id, when its guard is dropped. Never waits by the clock alone:
//! every wait is a blocking read that ends when the line, the end of output or the deadline comes.

mod child;
mod disk;
pub mod doubles;
pub mod evidence;
pub mod invariants;
pub mod outfit;
mod place;
pub mod rig;
pub mod service;
mod skip;
pub mod solo;
pub mod stage;
pub mod tap;

pub use child::{Child, ChildError};
pub use disk::SmallDisk;
pub use place::{free_port, peak_mib, product, python, repository, schemathesis, temp_dir, tool};
pub use skip::report_skip;
