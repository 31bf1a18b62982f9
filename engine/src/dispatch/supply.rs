//! The pure core of a campaign: which units are still to be handed to links, and who has asked for some.
//!
//! Links ask with credit and are answered with slices of at most 256 recipients of routes that their channel is part
//! of; chunks are fetched ahead of need. A unit is in exactly one place: untouched on disk, here, or with one link.
//! What a link gives back comes first. Nothing leaves beyond the terms, and every recipient that leaves for the first
//! time on a day is charged to that day.

use crate::dispatch::backlog::{Backlog, Order, Stock};
use crate::dispatch::budget::{Paid, Purse};
use crate::dispatch::env::Now;
use crate::dispatch::keeper::Remaining;
use crate::dispatch::later::Later;
use crate::dispatch::link::LinkInbox;
use crate::dispatch::route::RouteNo;
use crate::dispatch::sieve::{Sieve, Sifted};
use crate::dispatch::wants::Wants;
use crate::model::record::Skip;
use crate::model::{CHUNK_RECIPIENTS, ChunkNo, Row, Run, Values};
use jiff::civil::Date;
use std::collections::VecDeque;
use std::sync::Arc;

/// Recipients in one slice: the cost of a mailbox hop is then 4 ns a recipient; nothing is gained beyond.
pub(crate) const SLICE_RECIPIENTS: u16 = 256;

/// Units of one route that were pushed and wait in memory; more are left to be read when their turn comes, so that a
/// night of calls in quiet hours costs none.
const MAX_PUSHED: u64 = 16_384;

/// Recipients of one chunk, or of a stretch of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkData {
    /// Place in the chunk of the first one.
    pub(crate) first: u16,
    /// E.164 digits.
    pub(crate) numbers: Box<[u64]>,
    /// Their values of the text's variables; `None` for a text without.
    pub(crate) values: Option<Values>,
    /// When each was accepted, seconds since 1970; empty unless they came one by one.
    pub(crate) accepted_s: Box<[u32]>,
}

impl ChunkData {
    /// The number of a recipient, by its place in the chunk.
    pub(crate) fn number(&self, recipient: u16) -> Option<u64> {
        self.numbers.get(self.place(recipient)?).copied()
    }

    /// When it was accepted, if that is known, seconds since 1970.
    pub(crate) fn accepted_s(&self, recipient: u16) -> Option<u32> {
        self.accepted_s.get(self.place(recipient)?).copied()
    }

    /// The values of a recipient.
    #[inline]
    pub(crate) fn row(&self, recipient: u16) -> Row<'_> {
        match &self.values {
            None => Row::NONE,
            Some(values) => values.row(usize::from(recipient.wrapping_sub(self.first))),
        }
    }

    fn place(&self, recipient: u16) -> Option<usize> {
        recipient.checked_sub(self.first).map(usize::from)
    }
}

/// Consecutive units of one chunk with whom to send them to, all of one route and one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) chunk: ChunkNo,
    /// The chunk, as far as these units need it.
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
    /// Whether its units have their places in the budgets.
    pub(crate) paid: Paid,
}

impl Slice {
    /// Whether its messages are here with all their parts.
    pub(crate) fn is_whole(&self, parts: u8) -> bool {
        let parts = u16::from(parts).max(1);
        self.from.is_multiple_of(parts) && self.count.is_multiple_of(parts)
    }

    /// How many of its first units are `most`, up to the end of a message.
    fn up_to(&self, most: u16, parts: u8) -> u16 {
        let end = (u32::from(self.from) + u32::from(most)).next_multiple_of(u32::from(parts).max(1));
        u16::try_from(end - u32::from(self.from)).map_or(self.count, |units| units.min(self.count))
    }
}

/// What a campaign is told about its units.
pub(crate) enum SupplyMsg {
    /// The link can take this many units.
    Want(Arc<LinkInbox>, u32),
    /// Units that the link did not send.
    Returned(Vec<Slice>),
    /// Units refused for a while: not to be given out before `due_us` on the monotonic clock.
    Later(Vec<Slice>, u64),
    /// What of an ordered chunk may be sent; the skips are with the recorder already.
    Loaded(u32, Sifted),
    /// An ordered chunk could not be read; it is asked for again.
    NotLoaded(u32),
    /// Units that a program has added and nobody has sifted; they go before everything fresh.
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

/// What the shell has to do, in this order.
#[derive(Debug)]
pub(crate) enum Do {
    /// Hand a fact to the recorder.
    Skip(Skip),
    /// Fetch a chunk.
    Fetch(Order),
    /// Put slices into a link's inbox.
    Give(Arc<LinkInbox>, Vec<Slice>),
}

/// What the calendar and the plan allow, see `timing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Whether anything may leave.
    pub(crate) is_open: bool,
    /// The local day that recipients are charged to.
    pub(crate) day: Date,
    /// Recipients that may leave for the first time under these terms; `u64::MAX` without a plan.
    pub(crate) fresh: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { is_open: false, day: Date::ZERO, fresh: 0 }
    }
}

/// The units of one route that are in hand, in the order in which they are looked at.
#[derive(Debug, Default)]
struct Ready {
    /// Given back unsent, or pushed.
    again: VecDeque<Slice>,
    /// Refused for a while and due again.
    retries: VecDeque<Slice>,
    /// Never given out.
    fresh: VecDeque<Slice>,
    units: u64,
    /// Whether some of it has just been given out: whoever got it will soon ask for more.
    was_served: bool,
}

impl Ready {
    fn slices_mut(&mut self) -> impl Iterator<Item = &mut Slice> {
        self.again.iter_mut().chain(&mut self.retries).chain(&mut self.fresh)
    }
}

/// One of the queues of a route.
type QueueOf = fn(&mut Ready) -> &mut VecDeque<Slice>;

/// The core.
pub(crate) struct Supply {
    sieve: Arc<Sieve>,
    purse: Arc<Purse>,
    terms: Terms,
    backlog: Backlog,
    ready: Vec<Ready>,
    later: Later,
    wants: Wants,
    /// The route that was served last; the next one goes first.
    last_route: usize,
    /// Recipients that have not left, or came back unsent.
    remaining: u64,
    skips: Vec<Skip>,
    /// Whether something stayed here for want of budget since the terms were set.
    is_poor: bool,
}

impl Supply {
    /// What is left of a campaign of so many recipients; closed until [`Self::set_terms`].
    pub(crate) fn new(sieve: Arc<Sieve>, purse: Arc<Purse>, recipients: u64, remaining: Remaining) -> Self {
        let parts = u32::from(sieve.parts);
        let in_chunk = |chunk: &ChunkNo| {
            recipients
                .saturating_sub(u64::from(*chunk) * CHUNK_RECIPIENTS as u64)
                .min(CHUNK_RECIPIENTS as u64)
        };
        let untouched: u64 = remaining.untouched.iter().map(in_chunk).sum();
        let touched: u64 = remaining.runs.iter().map(|run| first_parts(run.from, run.count, parts)).sum();
        let routes = sieve.routes.len();
        Self {
            sieve,
            purse,
            terms: Terms::default(),
            backlog: Backlog::new(remaining, routes),
            ready: (0..routes).map(|_| Ready::default()).collect(),
            later: Later::default(),
            wants: Wants::default(),
            last_route: 0,
            remaining: untouched + touched,
            skips: Vec::new(),
            is_poor: false,
        }
    }

    /// Recipients that have not left.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether a link asks for units.
    pub(crate) fn is_asked(&self) -> bool {
        !self.wants.is_empty()
    }

    /// Whether units stayed here because a budget is used up.
    pub(crate) fn is_poor(&self) -> bool {
        self.is_poor
    }

    /// When the first delayed unit is due, microseconds of the monotonic clock.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        self.later.next_due_us()
    }

    /// What holds from now on; the answers that it allows come with the next message or [`Self::go_on`].
    pub(crate) fn set_terms(&mut self, terms: Terms) {
        let is_new_day = terms.day != self.terms.day;
        self.terms = terms;
        self.is_poor = false;
        if is_new_day {
            self.leave_other_days();
        }
    }

    /// Whether anything may leave, until the terms are set anew.
    pub(crate) fn set_open(&mut self, is_open: bool) {
        self.terms.is_open = is_open;
    }

    pub(crate) fn on(&mut self, message: SupplyMsg, now: Now) -> Vec<Do> {
        match message {
            SupplyMsg::Want(link, units) => self.wants.ask(link, units),
            SupplyMsg::Returned(slices) => slices.into_iter().rev().for_each(|slice| self.returned(slice)),
            SupplyMsg::Later(mut slices, due_us) => {
                slices.iter_mut().for_each(|slice| self.free(slice));
                self.later.add(slices, due_us);
            }
            SupplyMsg::Loaded(id, sifted) => {
                if self.backlog.answered(id).is_some() {
                    for slice in sifted.slices {
                        let ready = self.ready_of(&slice);
                        ready.units += u64::from(slice.count);
                        ready.fresh.push_back(slice);
                    }
                    self.settled(&sifted.skips);
                }
            }
            SupplyMsg::NotLoaded(id) => return self.backlog.again(id).map(Do::Fetch).into_iter().collect(),
            SupplyMsg::Pushed(slices) => slices.iter().for_each(|slice| self.pushed(slice)),
        }
        self.go_on(now)
    }

    /// Gives what may be given and fetches what will be needed.
    pub(crate) fn go_on(&mut self, now: Now) -> Vec<Do> {
        while let Some(due) = self.later.take_due(now.mono_us) {
            for slice in due {
                let ready = self.ready_of(&slice);
                ready.units += u64::from(slice.count);
                ready.retries.push_back(slice);
            }
        }
        self.ready.iter_mut().for_each(|ready| ready.was_served = false);
        let given = self.give(now);
        let mut todo: Vec<Do> = std::mem::take(&mut self.skips).into_iter().map(Do::Skip).collect();
        todo.extend(given);
        while let Some(order) = self.backlog.next(&self.stock()) {
            todo.push(Do::Fetch(order));
        }
        todo
    }

    fn returned(&mut self, mut slice: Slice) {
        self.free(&mut slice);
        let recipients = self.first_parts_of(&slice);
        let is_unsent = slice.attempt == 0;
        if is_unsent {
            self.remaining += recipients;
            self.terms.fresh = self.terms.fresh.saturating_add(recipients);
        }
        let ready = self.ready_of(&slice);
        ready.units += u64::from(slice.count);
        if is_unsent { ready.again.push_front(slice) } else { ready.retries.push_front(slice) }
    }

    /// Gives back the places of what has come back. Of a message of several parts another one may have been accepted:
    /// what is not here as a whole keeps them for its day, and is not charged again.
    fn free(&self, slice: &mut Slice) {
        let is_over = matches!(slice.paid, Paid::On(day) if day != self.terms.day);
        if slice.paid == Paid::Kept {
            self.purse.give_back(u64::from(slice.count));
        } else if slice.paid != Paid::No && (is_over || slice.is_whole(self.sieve.parts)) {
            self.purse.give_back(u64::from(slice.count));
            slice.paid = Paid::No;
        }
    }

    /// Gives back the places of another day. Kept behind something that needs one, they could be what that waits for.
    fn leave_other_days(&mut self) {
        let here = self.ready.iter_mut().flat_map(Ready::slices_mut);
        for slice in here.chain(self.later.slices_mut()) {
            if matches!(slice.paid, Paid::On(day) if day != self.terms.day) {
                self.purse.give_back(u64::from(slice.count));
                slice.paid = Paid::No;
            }
        }
    }

    fn pushed(&mut self, slice: &Slice) {
        self.remaining += self.first_parts_of(slice);
        let in_hand: u64 = self.ready.iter().map(|ready| ready.units).max().unwrap_or(0);
        if in_hand >= MAX_PUSHED || !self.backlog.is_empty() {
            // In order: behind what is to be read, everything is.
            self.backlog.add(Run { chunk: slice.chunk, from: slice.from, count: slice.count });
            return;
        }
        let sifted = self.sieve.sift_slice(slice);
        for slice in sifted.slices {
            let ready = self.ready_of(&slice);
            ready.units += u64::from(slice.count);
            ready.again.push_back(slice);
        }
        self.settled(&sifted.skips);
        self.skips.extend(sifted.skips);
    }

    /// Counts what will not be sent as gone.
    fn settled(&mut self, skips: &[Skip]) {
        let parts = u32::from(self.sieve.parts);
        let gone: u64 = skips.iter().map(|skip| first_parts(skip.run.from, skip.run.count, parts)).sum();
        self.remaining = self.remaining.saturating_sub(gone);
    }

    /// Answers links: the channel whose turn it is, one slice at a time, so that a small campaign is spread.
    fn give(&mut self, now: Now) -> Vec<Do> {
        let mut answers: Vec<(Arc<LinkInbox>, Vec<Slice>)> = Vec::new();
        let mut empty_handed = Vec::new();
        while self.terms.is_open {
            let Some(channel) = self.wants.next(|channel| !empty_handed.contains(&channel)) else { break };
            let Some((link, units)) = self.wants.front(channel).map(|(l, units)| (Arc::clone(l), units))
            else {
                break;
            };
            let slices = self.take(channel, units, now);
            if slices.is_empty() {
                empty_handed.push(channel);
                continue;
            }
            let count = slices.iter().map(|s| u32::from(s.count)).sum();
            self.wants.given(channel, self.sieve.routes.weight(channel), count);
            match answers.iter_mut().find(|(l, _)| Arc::ptr_eq(l, &link)) {
                Some((_, known)) => known.extend(slices),
                None => answers.push((link, slices)),
            }
        }
        answers.iter().for_each(|(link, _)| self.wants.answered(link));
        answers.into_iter().map(|(link, slices)| Do::Give(link, slices)).collect()
    }

    /// At most `units`, and what one slice may hold, for a channel, from the next of its routes that has some.
    fn take(&mut self, channel: u8, units: u32, now: Now) -> Vec<Slice> {
        let queues: [QueueOf; 3] = [|r| &mut r.again, |r| &mut r.retries, |r| &mut r.fresh];
        let usable = if self.later.is_full() { 2 } else { 3 };
        let most = units.clamp(1, u32::from(SLICE_RECIPIENTS) * u32::from(self.sieve.parts));
        let (routes, first) = (self.ready.len(), self.last_route + 1);
        let mut taken = Vec::new();
        for route in (0..routes).map(|step| (first + step) % routes) {
            let number = RouteNo(u8::try_from(route).unwrap_or(u8::MAX));
            if self.ready[route].units == 0 || !self.sieve.routes.open_channels(number).any(|c| c == channel)
            {
                continue;
            }
            let mut left = u16::try_from(most).unwrap_or(u16::MAX);
            for queue in &queues[..usable] {
                while left > 0
                    && let Some(slice) = self.take_from(route, *queue, left, now)
                {
                    left = left.saturating_sub(slice.count);
                    taken.push(slice);
                }
            }
            if !taken.is_empty() {
                self.last_route = route;
                break;
            }
        }
        taken
    }

    /// The head of a queue as far as it is wanted, allowed and paid for; a message is never torn in two.
    fn take_from(&mut self, at: usize, queue: QueueOf, most: u16, now: Now) -> Option<Slice> {
        loop {
            let front = queue(&mut self.ready[at]).front()?;
            if let Some(sifted) = self.sieve.recheck(front, now.wall_ms) {
                let before = queue(&mut self.ready[at]).pop_front();
                self.replace(before, sifted, queue, at);
                continue;
            }
            let (from, attempt, paid) = (front.from, front.attempt, front.paid);
            let wanted = front.up_to(most, self.sieve.parts);
            let count = self.pay((from, wanted), attempt, paid)?;
            let ready = &mut self.ready[at];
            ready.units = ready.units.saturating_sub(u64::from(count));
            ready.was_served = true;
            let queue = queue(ready);
            let front = queue.front_mut()?;
            let paid = if front.paid == Paid::Kept { Paid::Kept } else { Paid::On(self.terms.day) };
            let head = Slice { count, paid, ..front.clone() };
            if front.count == count {
                queue.pop_front();
            } else {
                front.from += count;
                front.count -= count;
            }
            return Some(head);
        }
    }

    /// How many of the first `count` units may leave now, with places for their recipients; `None` for none.
    fn pay(&mut self, (from, count): (u16, u16), attempt: u8, paid: Paid) -> Option<u16> {
        let parts = u32::from(self.sieve.parts);
        let fresh = first_parts(from, count, parts);
        // The rest of a message whose first part has left is in front of all first parts.
        let begun = u64::from(!u32::from(from).is_multiple_of(parts));
        let recipients = begun + fresh;
        let granted = match paid {
            Paid::On(_) => recipients,
            Paid::Kept => {
                self.purse.hold(u64::from(count));
                recipients
            }
            Paid::No => {
                let allowed = if attempt == 0 { begun + fresh.min(self.terms.fresh) } else { recipients };
                let granted = self.purse.take(self.terms.day, allowed, u64::from(parts));
                self.is_poor |= granted < allowed;
                granted
            }
        };
        // Up to the first part of the first recipient that must wait.
        let first = u32::from(from) / parts;
        let end = (u64::from(first) + granted) * u64::from(parts);
        let units =
            u16::try_from(end.saturating_sub(u64::from(from))).map_or(count, |units| units.min(count));
        if paid == Paid::No {
            self.purse.give_back(granted * u64::from(parts) - u64::from(units));
        }
        if attempt == 0 {
            let left = first_parts(from, units, parts);
            self.remaining = self.remaining.saturating_sub(left);
            // Without a plan there is nothing to count down.
            if self.terms.fresh != u64::MAX {
                self.terms.fresh = self.terms.fresh.saturating_sub(left);
            }
        }
        (units > 0).then_some(units)
    }

    /// Puts what a second check left of a slice back in its place.
    fn replace(&mut self, before: Option<Slice>, sifted: Sifted, queue: QueueOf, at: usize) {
        let Some(before) = before else { return };
        let ready = &mut self.ready[at];
        ready.units = ready.units.saturating_sub(u64::from(before.count));
        if matches!(before.paid, Paid::On(_)) {
            self.purse.give_back(u64::from(before.count));
        }
        for slice in sifted.slices.into_iter().rev() {
            ready.units += u64::from(slice.count);
            let paid = if slice.paid == Paid::Kept { Paid::Kept } else { Paid::No };
            queue(ready).push_front(Slice { paid, ..slice });
        }
        if before.attempt == 0 {
            self.settled(&sifted.skips);
        }
        self.skips.extend(sifted.skips);
    }

    fn stock(&self) -> Vec<Stock> {
        let parts = u64::from(self.sieve.parts);
        let of = |(route, ready): (u8, &Ready)| Stock {
            recipients: ready.units / parts,
            is_wanted: ready.was_served
                || self.sieve.routes.open_channels(RouteNo(route)).any(|channel| self.wants.asks(channel)),
        };
        (0..=u8::MAX).zip(&self.ready).map(of).collect()
    }

    fn ready_of(&mut self, slice: &Slice) -> &mut Ready {
        let last = self.ready.len() - 1;
        &mut self.ready[usize::from(slice.route).min(last)]
    }

    fn first_parts_of(&self, slice: &Slice) -> u64 {
        first_parts(slice.from, slice.count, u32::from(self.sieve.parts))
    }
}

/// How many of so many units are the first part of a recipient: those recipients are charged.
fn first_parts(from: u16, count: u16, parts: u32) -> u64 {
    let (from, end) = (u32::from(from), u32::from(from) + u32::from(count));
    u64::from(end.div_ceil(parts) - from.div_ceil(parts))
}

#[cfg(test)]
pub(crate) mod tests;
