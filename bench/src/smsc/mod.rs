//! The SMSC simulator: what a campaign platform meets on the other side of the wire, faults included.
//!
//! [`SmscSession`] is the pure core of one connection (octets and `now` in, octets and a [`Directive`] out);
//! sessions of one simulator share a [`Hub`]: accounts, receipts on their way, message ids, counts and the ledger.
//! [`Smsc`] is the async shell. Same seed, same order of input: same octets out.

mod accept;
mod account;
mod binding;
mod config;
mod deliver;
mod dispatch;
mod fault;
mod hub;
mod ids;
mod ledger;
mod ledger_file;
mod mobile;
mod receipt;
mod response;
mod schedule;
mod serve;
mod session;
mod stats;
mod submit;

pub use config::{Config, ReceiptConfig, ReceiptFields, StateShares};
pub use fault::{Fault, FaultError, FaultRule};
pub use hub::Hub;
pub use ids::{IdForm, MessageId};
pub use ledger::{Accept, Delivery, Exact, Ledger, LedgerKind, ReceiptAck, Source, Submit};
pub use mobile::MobileMessage;
pub use receipt::MessageState;
pub use serve::Smsc;
pub use session::{Directive, SmscSession};
pub use stats::Stats;
