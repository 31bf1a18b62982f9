//! The simulator from outside: its pure core octet by octet, then the same core on TCP and on in-memory streams.

mod core;
mod esme;
mod faults;
mod programs;
mod receipts;
mod wire;
