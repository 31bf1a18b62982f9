//! What a campaign has not read yet: chunks never touched, runs of others, and what was left aside of chunks already
//! read because nobody asked for its route.
//!
//! A route without a channel that sends must not keep the others from going on, nor fill the memory: once enough of
//! it is in hand, its recipients stay on disk and their chunk is read again for them alone.

use crate::dispatch::keeper::Remaining;
use crate::dispatch::route::{RouteNo, RouteSet};
use crate::dispatch::sieve::Wanted;
use crate::model::{CHUNK_RECIPIENTS, ChunkNo, Run};
use std::collections::VecDeque;

/// Chunks fetched or in hand ahead of demand.
const PREFETCH: usize = 3;
/// Recipients in hand over all routes, beyond which more of a route is left aside: 1.5 MiB if every one is a slice.
const HOARD: u64 = 6 * CHUNK_RECIPIENTS as u64;
/// Recipients of one route that may be in hand however many routes there are.
const LEAST_HOARD: u64 = 1024;

/// A chunk to fetch, with a number that its answer carries.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: u32,
    pub(crate) wanted: Wanted,
}

/// What is in hand of one route, and whether a link asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stock {
    pub(crate) recipients: u64,
    pub(crate) is_wanted: bool,
}

/// Chunks and runs to be read.
#[derive(Debug)]
pub(crate) struct Backlog {
    untouched: VecDeque<ChunkNo>,
    runs: VecDeque<Run>,
    /// By route: chunks read without its recipients, with the runs concerned.
    aside: Vec<VecDeque<(ChunkNo, Vec<Run>)>>,
    fetching: Vec<Order>,
    next_id: u32,
}

impl Backlog {
    pub(crate) fn new(remaining: Remaining, routes: usize) -> Self {
        Self {
            untouched: remaining.untouched.into(),
            runs: remaining.runs.into(),
            aside: vec![VecDeque::new(); routes],
            fetching: Vec::new(),
            next_id: 0,
        }
    }

    /// Adds units that were pushed and not kept in hand.
    pub(crate) fn add(&mut self, run: Run) {
        match self.runs.back_mut() {
            Some(last) if last.chunk == run.chunk && last.from.checked_add(last.count) == Some(run.from) => {
                match last.count.checked_add(run.count) {
                    Some(count) => last.count = count,
                    None => self.runs.push_back(run),
                }
            }
            _ => self.runs.push_back(run),
        }
    }

    /// Whether nothing is left to be read.
    pub(crate) fn is_empty(&self) -> bool {
        let is_read = self.untouched.is_empty() && self.runs.is_empty() && self.fetching.is_empty();
        is_read && self.aside.iter().all(VecDeque::is_empty)
    }

    /// What to fetch next, given what is in hand by route; nothing when that is enough for now.
    pub(crate) fn next(&mut self, stock: &[Stock]) -> Option<Order> {
        if self.fetching.len() >= PREFETCH {
            return None;
        }
        self.next_aside(stock).or_else(|| self.next_fresh(stock))
    }

    /// The order that an answer belongs to; it is no longer under way.
    pub(crate) fn answered(&mut self, id: u32) -> Option<Order> {
        let at = self.fetching.iter().position(|order| order.id == id)?;
        Some(self.fetching.swap_remove(at))
    }

    /// The order that could not be carried out, to be fetched again.
    pub(crate) fn again(&self, id: u32) -> Option<Order> {
        self.fetching.iter().find(|order| order.id == id).cloned()
    }

    /// A chunk that was left aside by a route that is asked for and has little in hand.
    fn next_aside(&mut self, stock: &[Stock]) -> Option<Order> {
        for (route, stock) in (0..=u8::MAX).map(RouteNo).zip(stock) {
            let at = usize::from(route.0);
            let under_way =
                self.fetching.iter().any(|o| !o.wanted.settles_unrouted && o.wanted.routes.has(route));
            if !stock.is_wanted || under_way || stock.recipients >= LEAST_HOARD {
                continue;
            }
            if let Some((chunk, runs)) = self.aside.get_mut(at).and_then(VecDeque::pop_front) {
                let mut routes = RouteSet::default();
                routes.add(route);
                return Some(self.order(Wanted { chunk, runs, routes, settles_unrouted: false }));
            }
        }
        None
    }

    fn next_fresh(&mut self, stock: &[Stock]) -> Option<Order> {
        let is_left_aside = |at: usize| self.aside.get(at).is_some_and(|aside| !aside.is_empty());
        // What those have who ask and whom only a fresh chunk can help; when nobody asks, what there is most of.
        let wanted = (0..).zip(stock).filter(|(at, stock)| stock.is_wanted && !is_left_aside(*at));
        let least = wanted.map(|(_, stock)| stock.recipients).min();
        let in_hand = match least {
            Some(least) => least,
            None if stock.iter().any(|stock| stock.is_wanted) => return None,
            None => stock.iter().map(|stock| stock.recipients).max().unwrap_or(0),
        };
        let chunks = usize::try_from(in_hand.div_ceil(CHUNK_RECIPIENTS as u64)).unwrap_or(usize::MAX);
        if self.fetching.len().saturating_add(chunks) >= PREFETCH {
            return None;
        }
        let most = (HOARD / u64::try_from(stock.len()).unwrap_or(1).max(1)).max(LEAST_HOARD);
        let mut routes = RouteSet::default();
        let mut left_out = Vec::new();
        for (at, stock) in (0..=u8::MAX).zip(stock) {
            // In order: a route that has left a chunk aside reads it before what comes behind.
            if stock.recipients < most && !is_left_aside(usize::from(at)) {
                routes.add(RouteNo(at));
            } else {
                left_out.push(usize::from(at));
            }
        }
        // A single route is never left out: it has little in hand, or nothing would be fetched.
        let (chunk, runs) = self.next_chunk()?;
        for at in left_out {
            self.aside[at].push_back((chunk, runs.clone()));
        }
        Some(self.order(Wanted { chunk, runs, routes, settles_unrouted: true }))
    }

    fn order(&mut self, wanted: Wanted) -> Order {
        let order = Order { id: self.next_id, wanted };
        self.next_id = self.next_id.wrapping_add(1);
        self.fetching.push(order.clone());
        order
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
