//! Message Center's admin plane and its one program.
//!
//! `command` reads the command line and starts one of the commands: `demo` (one campaign against a simulated SMSC) or
//! `serve` (the engine on a configured store). `config` reads the configuration, `observe` serves metrics and health,
//! `audit` keeps what is worth an event and changes nothing, `audit_verify` checks the logs, `mail` sends links where
//! the site has mail, `privacy` names recipients where numbers are not shown, `erasing` forgets numbers, `leftovers`
//! removes lists that nobody owns, `exit` and `signals` say how the program ends. The store and SMPP belong to the
//! engine; only `demo` knows the simulator.

mod accounts;
mod api;
pub mod audit;
mod audit_verify;
mod command;
mod config;
mod demo;
mod exit;
mod leftovers;
mod lines;
mod log;
mod mail;
mod month;
mod observe;
mod place;
mod privacy;
mod serve;
mod settings;
mod signals;
mod usage_report;
mod user;

pub use command::run;
