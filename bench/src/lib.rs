//! SMSC simulator and load rigs of Message Center.
//!
//! [`smsc`] is the simulator: a pure protocol core under a thin async shell, the same for TCP, for in-memory
//! streams under a paused clock and for the binary `smsc`. Nothing here knows a campaign: the far end is SMPP.

pub mod smsc;
pub mod turn;
