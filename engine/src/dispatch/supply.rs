//! The pure core of a campaign: which units are still to be handed to links, and who has asked for some.
//!
//! Links ask with credit and are answered with slices of at most 256 recipients; chunks are fetched ahead of need.
//! A unit is in exactly one place: untouched on disk, here, or with one link. What a link gives back comes first.

use crate::dispatch::keeper::Remaining;
use crate::dispatch::link::LinkInbox;
use crate::model::{CHUNK_RECIPIENTS, ChunkNo, Run};
use jiff::civil::Date;
use std::collections::VecDeque;
use std::sync::Arc;

/// Recipients in one slice: the cost of a mailbox hop is then 4 ns a recipient; nothing is gained beyond.
pub(crate) const SLICE_RECIPIENTS: u16 = 256;
/// Chunks fetched or in hand ahead of demand.
const PREFETCH: usize = 3;

/// Recipients of one chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkData {
    /// E.164 digits.
    pub(crate) numbers: Box<[u64]>,
    /// When each was accepted, seconds since 1970; empty unless they came one by one.
    pub(crate) accepted_s: Box<[u32]>,
}

/// Consecutive units of one chunk with whom to send them to, all of one route and one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) chunk: ChunkNo,
    /// The whole chunk.
    pub(crate) data: Arc<ChunkData>,
    pub(crate) from: u16,
    pub(crate) count: u16,
    pub(crate) attempt: u8,
    /// Suppression generation that its units were checked under.
    pub(crate) sieved: u32,
    /// Wall clock from which its units are too late, milliseconds since 1970; `u64::MAX` for never.
    pub(crate) not_after_ms: u64,
    /// Number of its route among the campaign's.
    pub(crate) route: u8,
    /// The local day whose budgets its recipients are charged to; `None` while they are with the supply uncharged.
    pub(crate) charged: Option<Date>,
}

/// What a link says to a campaign.
pub(crate) enum SupplyMsg {
    /// The link can take this many units.
    Want(Arc<LinkInbox>, u32),
    /// Units that the link did not send.
    Returned(Vec<Slice>),
    /// Units refused for a while: not to be given out before `due_us` on the monotonic clock.
    Later(Vec<Slice>, u64),
    /// A fetched chunk.
    Loaded(ChunkNo, Arc<ChunkData>),
    /// A chunk could not be read; it is asked for again.
    NotLoaded(ChunkNo),
    /// Units that a program has added.
    Pushed(Vec<Slice>),
}

/// Where a link sends [`SupplyMsg`]; the campaign's mailbox.
#[derive(Clone)]
pub(crate) struct SupplyRef(pub(crate) Arc<dyn Fn(SupplyMsg) + Send + Sync>);

impl SupplyRef {
    pub(crate) fn send(&self, message: SupplyMsg) {
        (self.0)(message);
    }
}

/// What the shell has to do.
#[derive(Debug)]
pub(crate) enum Do {
    /// Fetch the numbers of a chunk.
    Fetch(ChunkNo),
    /// Put slices into a link's inbox.
    Give(Arc<LinkInbox>, Vec<Slice>),
}

/// The core.
pub(crate) struct Supply {
    parts: u16,
    untouched: VecDeque<ChunkNo>,
    runs: VecDeque<Run>,
    fetching: Vec<(ChunkNo, Vec<Run>)>,
    ready: VecDeque<Slice>,
    wants: VecDeque<(Arc<LinkInbox>, u32)>,
}

impl Supply {
    pub(crate) fn new(parts: u8, remaining: Remaining) -> Self {
        Self {
            parts: u16::from(parts),
            untouched: remaining.untouched.into(),
            runs: remaining.runs.into(),
            fetching: Vec::new(),
            ready: VecDeque::new(),
            wants: VecDeque::new(),
        }
    }

    pub(crate) fn on(&mut self, message: SupplyMsg) -> Vec<Do> {
        match message {
            SupplyMsg::Want(link, units) => self.wants.push_back((link, units)),
            SupplyMsg::Returned(slices) | SupplyMsg::Later(slices, _) => {
                for slice in slices.into_iter().rev() {
                    self.ready.push_front(slice);
                }
            }
            SupplyMsg::Loaded(chunk, data) => self.loaded(chunk, &data),
            SupplyMsg::Pushed(slices) => self.ready.extend(slices),
            SupplyMsg::NotLoaded(chunk) => return vec![Do::Fetch(chunk)],
        }
        let mut todo = self.give();
        todo.extend(self.fetch());
        todo
    }

    fn loaded(&mut self, chunk: ChunkNo, data: &Arc<ChunkData>) {
        let Some(at) = self.fetching.iter().position(|(c, _)| *c == chunk) else { return };
        let (_, mut runs) = self.fetching.swap_remove(at);
        if runs.is_empty() {
            let units = data.numbers.len() * usize::from(self.parts);
            // A chunk of 4096 recipients with 16 parts has one unit more than a run can count.
            let half = u16::try_from(units / 2).unwrap_or(u16::MAX);
            let rest = u16::try_from(units - usize::from(half)).unwrap_or(u16::MAX);
            runs = vec![Run { chunk, from: 0, count: half }, Run { chunk, from: half, count: rest }];
        }
        let most = SLICE_RECIPIENTS * self.parts;
        for run in runs {
            let mut from = run.from;
            let mut left = run.count;
            while left > 0 {
                let count = left.min(most);
                self.ready.push_back(Slice {
                    chunk,
                    data: Arc::clone(data),
                    from,
                    count,
                    attempt: 0,
                    sieved: 0,
                    not_after_ms: u64::MAX,
                    route: 0,
                    charged: None,
                });
                from = from.wrapping_add(count);
                left -= count;
            }
        }
    }

    /// Answers waiting links in turn, one slice at a time, so that a small campaign is spread over its links.
    fn give(&mut self) -> Vec<Do> {
        let mut answers: Vec<(Arc<LinkInbox>, Vec<Slice>)> = Vec::new();
        while let Some((link, units)) = self.wants.pop_front() {
            if self.ready.is_empty() || link.is_closed() {
                if !link.is_closed() {
                    self.wants.push_front((link, units));
                    break;
                }
                continue;
            }
            let Some(slice) = self.take(units) else { break };
            let left = units.saturating_sub(u32::from(slice.count));
            match answers.iter_mut().find(|(l, _)| Arc::ptr_eq(l, &link)) {
                Some((_, slices)) => slices.push(slice),
                None => answers.push((Arc::clone(&link), vec![slice])),
            }
            if left > 0 && !self.ready.is_empty() {
                self.wants.push_back((link, left));
            }
        }
        answers.into_iter().map(|(link, slices)| Do::Give(link, slices)).collect()
    }

    fn take(&mut self, units: u32) -> Option<Slice> {
        let front = self.ready.front_mut()?;
        let most = u16::try_from(units.max(1)).unwrap_or(u16::MAX);
        if front.count <= most {
            return self.ready.pop_front();
        }
        let head = Slice { count: most, ..front.clone() };
        front.from += most;
        front.count -= most;
        Some(head)
    }

    fn fetch(&mut self) -> Vec<Do> {
        let mut todo = Vec::new();
        let per_chunk = CHUNK_RECIPIENTS / usize::from(SLICE_RECIPIENTS);
        while self.fetching.len() + self.ready.len().div_ceil(per_chunk) < PREFETCH {
            let Some((chunk, runs)) = self.next_chunk() else { break };
            self.fetching.push((chunk, runs));
            todo.push(Do::Fetch(chunk));
        }
        todo
    }

    fn next_chunk(&mut self) -> Option<(ChunkNo, Vec<Run>)> {
        if let Some(first) = self.runs.pop_front() {
            let mut runs = vec![first];
            while self.runs.front().is_some_and(|r| r.chunk == first.chunk) {
                runs.extend(self.runs.pop_front());
            }
            return Some((first.chunk, runs));
        }
        self.untouched.pop_front().map(|chunk| (chunk, Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Arc<LinkInbox> {
        Arc::new(LinkInbox::new(Arc::default(), 0))
    }

    fn numbers(count: usize) -> Arc<ChunkData> {
        Arc::new(ChunkData { numbers: vec![1; count].into(), ..ChunkData::default() })
    }

    fn given(todo: &[Do]) -> u32 {
        let units = |d: &Do| match d {
            Do::Give(_, slices) => slices.iter().map(|s| u32::from(s.count)).sum(),
            Do::Fetch(_) => 0,
        };
        todo.iter().map(units).sum()
    }

    #[test]
    fn a_want_fetches_ahead_and_is_answered_with_no_more_than_was_wanted() {
        let remaining = Remaining { untouched: (0..10).collect(), runs: Vec::new() };
        let mut supply = Supply::new(1, remaining);
        let todo = supply.on(SupplyMsg::Want(link(), 600));
        assert!(matches!(todo[..], [Do::Fetch(0), Do::Fetch(1), Do::Fetch(2)]), "{todo:?}");
        let todo = supply.on(SupplyMsg::Loaded(0, numbers(4096)));
        assert_eq!(given(&todo), 600);
        assert_eq!(given(&supply.on(SupplyMsg::Want(link(), 10_000))), 4096 - 600);
    }

    #[test]
    fn what_a_link_gives_back_is_given_out_first_and_exactly_once() {
        let runs = vec![Run { chunk: 4, from: 7, count: 3 }];
        let mut supply = Supply::new(1, Remaining { untouched: Vec::new(), runs });
        let todo = supply.on(SupplyMsg::Want(link(), 100));
        assert!(matches!(todo[..], [Do::Fetch(4)]));
        let todo = supply.on(SupplyMsg::Loaded(4, numbers(50)));
        let [Do::Give(_, slices)] = &todo[..] else { panic!("{todo:?}") };
        assert_eq!((slices.len(), slices[0].from, slices[0].count), (1, 7, 3));
        let slices = slices.clone();
        assert_eq!(given(&supply.on(SupplyMsg::Want(link(), 100))), 0);
        assert_eq!(given(&supply.on(SupplyMsg::Returned(slices))), 3);
        assert_eq!(given(&supply.on(SupplyMsg::Want(link(), 100))), 0);
    }

    #[test]
    fn every_unit_of_a_chunk_with_the_most_parts_is_given_out_once() {
        let remaining = Remaining { untouched: vec![0], runs: Vec::new() };
        let mut supply = Supply::new(16, remaining);
        supply.on(SupplyMsg::Want(link(), u32::MAX));
        let todo = supply.on(SupplyMsg::Loaded(0, numbers(4096)));
        assert_eq!(given(&todo), 4096 * 16);
        let [Do::Give(_, slices)] = &todo[..] else { panic!("{todo:?}") };
        let mut next = 0u32;
        for slice in slices {
            assert_eq!(u32::from(slice.from), next);
            next += u32::from(slice.count);
        }
    }

    #[test]
    fn a_closed_link_gets_nothing() {
        let mut supply = Supply::new(1, Remaining { untouched: vec![0], runs: Vec::new() });
        let (closed, open) = (link(), link());
        supply.on(SupplyMsg::Want(Arc::clone(&closed), 10));
        drop(closed.close());
        supply.on(SupplyMsg::Want(Arc::clone(&open), 10));
        let todo = supply.on(SupplyMsg::Loaded(0, numbers(100)));
        let [Do::Give(to, _)] = &todo[..] else { panic!("{todo:?}") };
        assert!(Arc::ptr_eq(to, &open));
    }
}
