//! One bind: a pure core that plans, writes and settles, and a shell that owns the socket.
//!
//! The link never touches the store: facts go to the recorder, slices come from campaigns.

mod appetite;
mod core;
mod flow;
mod obey;
mod plan;
mod session;
mod shell;
#[cfg(test)]
mod tests;
mod wire;
mod write;

pub(crate) use flow::FlowSpec;
pub(crate) use shell::{Desk, LinkConfig, LinkShared, run};

use crate::dispatch::cells::LinkCells;
use crate::dispatch::supply::Slice;
use crate::model::CampaignNo;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What reaches a link from outside; read once a turn.
pub(crate) enum LinkMsg {
    /// A campaign may send here.
    Join(Box<FlowSpec>),
    /// Units asked for.
    Slices(CampaignNo, Vec<Slice>),
    /// The campaign has ended.
    Leave(CampaignNo),
}

/// The inbox of one incarnation. Bounded by credit: a campaign gives only what was wanted.
pub(crate) struct LinkInbox {
    pub(crate) cells: Arc<LinkCells>,
    /// Place of the link's channel in the configuration.
    pub(crate) channel: u8,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    messages: Vec<LinkMsg>,
    closed: bool,
}

impl LinkInbox {
    pub(crate) fn new(cells: Arc<LinkCells>, channel: u8) -> Self {
        Self { cells, channel, queue: Mutex::default() }
    }

    /// Hands a message over; given back when the incarnation has ended.
    pub(crate) fn push(&self, message: LinkMsg) -> Result<(), LinkMsg> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(message);
        }
        queue.messages.push(message);
        drop(queue);
        self.cells.bell.ring();
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn take(&self) -> Vec<LinkMsg> {
        std::mem::take(&mut self.lock().messages)
    }

    /// Ends the inbox; what is still in it is returned.
    pub(crate) fn close(&self) -> Vec<LinkMsg> {
        let mut queue = self.lock();
        queue.closed = true;
        std::mem::take(&mut queue.messages)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for LinkInbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkInbox").field("cells", &self.cells).finish_non_exhaustive()
    }
}
