//! Numbers that were suppressed while this link holds units for them: found, revoked and given back.
//!
//! Looked for when the board's epoch has moved, among flows that are concerned and against what was added only; the
//! epoch is published when none is left, not even half of a PDU. What comes back is skipped by its campaign.

use super::core::LinkCore;
use super::flow::{Flow, LinkRun};
use crate::dispatch::recall::Recall;
use crate::dispatch::supply::Slice;

impl LinkCore {
    /// Takes note of what was added since this link looked last.
    pub(super) fn hear_recalls(&mut self) {
        (self.recalls, self.recalls_heard) = self.shared.board.recalls.since(self.recalls_seen);
    }

    /// Nothing of it is held any more.
    pub(super) fn forget_recalls(&mut self) {
        self.recalls.clear();
        self.recalls_seen = self.recalls_heard;
    }

    /// Whether a flow holds a unit, not yet encoded, whose number was added.
    pub(super) fn holds_recalled(&self, at: usize) -> bool {
        let Some(flow) = self.flows.get(at).and_then(Option::as_ref) else { return false };
        if !self.recalls.iter().any(|recall| concerns(recall, flow)) {
            return false;
        }
        let awaiting = flow.awaiting.iter().map(|(_, run)| run);
        let mut runs = flow.queued.iter().chain(&flow.durable).chain(awaiting);
        runs.any(|run| self.numbers_of(flow, run).any(|number| self.is_recalled(flow, number)))
    }

    /// Whether the unit in a window slot is for a number that was added.
    pub(super) fn is_recalled_unit(&self, owner: u32, unit: u16) -> bool {
        if self.recalls.is_empty() {
            return false;
        }
        let Some(flow) = self.flow_owning(owner) else { return false };
        let run = LinkRun { owner, from: unit, count: 1, attempt: 0 };
        self.numbers_of(flow, &run).any(|number| self.is_recalled(flow, number))
    }

    /// Whether a unit that could be sent again is for a number that must not be written to by now.
    pub(super) fn is_refused_unit(&self, owner: u32, unit: u16) -> bool {
        let Some(flow) = self.flow_owning(owner) else { return false };
        let run = LinkRun { owner, from: unit, count: 1, attempt: 0 };
        self.numbers_of(flow, &run).any(|number| refuses(flow, number))
    }

    /// Whether a slice was checked before the lists changed, and holds a number that was added since.
    pub(super) fn is_outdated(&self, at: usize, slice: &Slice) -> bool {
        let Some(flow) = self.flows.get(at).and_then(Option::as_ref) else { return false };
        if flow.spec.suppressed.generation() == slice.sieved {
            return false;
        }
        let mut numbers =
            recipients(parts(flow), slice.from, slice.count).filter_map(|at| slice.data.number(at));
        numbers.any(|number| refuses(flow, number))
    }

    fn is_recalled(&self, flow: &Flow, number: u64) -> bool {
        let mut concerned = self.recalls.iter().filter(|recall| concerns(recall, flow));
        concerned.any(|recall| recall.has(number).unwrap_or_else(|| refuses(flow, number)))
    }

    fn numbers_of(&self, flow: &Flow, run: &LinkRun) -> impl Iterator<Item = u64> {
        let data = self.chunks.get(run.owner as usize).map(|entry| &entry.data);
        let places = recipients(parts(flow), run.from, run.count);
        data.into_iter().flat_map(move |data| places.clone().filter_map(|at| data.number(at)))
    }

    fn flow_owning(&self, owner: u32) -> Option<&Flow> {
        let entry = self.chunks.get(owner as usize)?;
        self.flows.get(entry.flow as usize)?.as_ref()
    }
}

fn concerns(recall: &Recall, flow: &Flow) -> bool {
    recall.concerns(flow.spec.suppressed.workspace, flow.spec.transactional)
}

fn refuses(flow: &Flow, number: u64) -> bool {
    flow.spec.suppressed.refuses(number, flow.spec.transactional).is_some()
}

fn parts(flow: &Flow) -> u32 {
    u32::from(flow.spec.message.parts()).max(1)
}

/// Places in the chunk of the recipients that units belong to.
fn recipients(parts: u32, from: u16, count: u16) -> impl Iterator<Item = u16> + Clone {
    let places = u32::from(from) / parts..(u32::from(from) + u32::from(count)).div_ceil(parts);
    places.filter_map(|place| u16::try_from(place).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_belong_to_recipients_also_when_a_run_begins_in_the_midst_of_one() {
        let places = |parts: u32, from: u16, count: u16| recipients(parts, from, count).collect::<Vec<_>>();
        assert_eq!(places(1, 1, 2), [1, 2]);
        assert_eq!(places(3, 2, 2), [0, 1]);
        assert_eq!(places(3, 3, 3), [1]);
        assert_eq!(places(16, u16::MAX, 1), [4095]);
        assert!(places(1, 5, 0).is_empty());
    }
}
