//! Message Center's admin plane and its one program.
//!
//! `command` reads the command line and starts one of the commands: `demo` (one campaign against a simulated SMSC) or
//! `serve` (the engine on a configured store). `config` reads the configuration, `observe` serves metrics and health,
//! `privacy` names recipients where numbers are not shown, `exit` and `signals` say how the program ends. The store and SMPP belong to the engine; only `demo` knows the simulator.

mod accounts;
mod api;
pub mod audit;
mod command;
mod config;
mod demo;
mod exit;
mod lines;
mod log;
mod observe;
mod place;
mod privacy;
mod serve;
mod signals;
mod user;

pub use command::run;
