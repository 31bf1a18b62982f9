//! How a channel is configured: where its binds go, how fast, and for whom.
//!
//! Plain data, checked by whoever reads it from a file; the dispatcher takes it as it is.

use crate::model::WorkspaceId;
use pdu::MessageIdForm;
use std::time::Duration;

/// How the binds of a channel are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindKind {
    /// One session both ways.
    Transceiver,
    /// Two sessions, one for each way.
    TransmitterReceiver,
}

/// One channel: an account at an SMSC.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// Its name, unique.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Account.
    pub system_id: String,
    /// Secret of the account, at most 8 octets.
    pub password: String,
    /// Usually empty.
    pub system_type: String,
    /// Which binds.
    pub bind: BindKind,
    /// Number of binds (pairs for [`BindKind::TransmitterReceiver`]).
    pub binds: u32,
    /// Most unanswered submits of one bind.
    pub window: u32,
    /// Segments per second over all binds, 0 for no limit.
    pub rate_per_s: u32,
    /// Quiet time after which the SMSC is asked whether it is there.
    pub enquire_link: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// How receipts write message ids.
    pub message_id: MessageIdForm,
    /// Numbers that it takes, by their first digits; empty for all.
    pub prefixes: Vec<String>,
    /// Its share among the channels that could take a message, at least 1.
    pub weight: u32,
    /// Workspaces that may use it; empty for all.
    pub workspaces: Vec<WorkspaceId>,
}
