//! What of a chunk may be sent and over which route: suppression, rendering, routes, and the time until when.
//!
//! Runs on the loader's thread for whole chunks, and at give time for what was checked under older lists. Pure: it
//! gives slices of one route each and the facts of everything else; whoever calls it hands the facts to the recorder
//! before a slice can leave. Invariant: every unit of the runs is in exactly one slice, one skip, or on a route that
//! was not asked for.

use crate::dispatch::budget::Paid;
use crate::dispatch::message::Message;
use crate::dispatch::route::{RouteNo, RouteSet, Routes};
use crate::dispatch::supply::{ChunkData, SLICE_RECIPIENTS, Slice};
use crate::dispatch::suppression::Suppressed;
use crate::model::record::{Skip, reason};
use crate::model::{CampaignNo, ChunkNo, Run, UnitStatus};
use std::sync::Arc;

/// What one campaign's recipients are checked against.
pub(crate) struct Sieve {
    pub(crate) no: CampaignNo,
    pub(crate) message: Arc<Message>,
    /// Parts of every recipient's unit range, the most that a rendering may have.
    pub(crate) parts: u8,
    pub(crate) routes: Arc<Routes>,
    pub(crate) suppressed: Arc<Suppressed>,
    /// How many variables its text has.
    pub(crate) variables: usize,
    /// Whether people who opted out still get it.
    pub(crate) transactional: bool,
    /// How long after its acceptance a number that came by a call is worth sending to, seconds.
    pub(crate) validity_s: Option<u32>,
}

/// What a sieve lets through and what it does not.
#[derive(Debug, Default)]
pub(crate) struct Sifted {
    pub(crate) slices: Vec<Slice>,
    pub(crate) skips: Vec<Skip>,
}

/// What is wanted of a chunk.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) chunk: ChunkNo,
    /// Which units; empty for all.
    pub(crate) runs: Vec<Run>,
    /// Those of which routes.
    pub(crate) routes: RouteSet,
    /// Whether numbers without a route are to be settled: once for each chunk.
    pub(crate) settles_unrouted: bool,
}

/// What becomes of the units of one recipient.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Send { route: u8, not_after_ms: u64 },
    Skip(UnitStatus, u32),
    Leave,
}

impl Sieve {
    /// Sifts units of a chunk.
    pub(crate) fn sift(&self, data: &Arc<ChunkData>, wanted: &Wanted) -> Sifted {
        // Read before any number is checked: what is listed meanwhile moves it on and is found at give time.
        let mut sifting = Sifting::new(self, wanted.chunk, data);
        if wanted.runs.is_empty() {
            sifting.units(0, data.numbers.len() * usize::from(self.parts), wanted);
        }
        for run in &wanted.runs {
            sifting.units(usize::from(run.from), usize::from(run.count), wanted);
        }
        sifting.finish()
    }

    /// Sifts the units of a slice that was never sifted: one that a program's call has added.
    pub(crate) fn sift_slice(&self, slice: &Slice) -> Sifted {
        let run = Run { chunk: slice.chunk, from: slice.from, count: slice.count };
        let wanted = Wanted {
            chunk: slice.chunk,
            runs: vec![run],
            routes: RouteSet::first(self.routes.len()),
            settles_unrouted: true,
        };
        self.sift(&slice.data, &wanted)
    }

    /// Checks a slice again, at the moment when it is to be given out: `None` when nothing has changed.
    pub(crate) fn recheck(&self, slice: &Slice, wall_ms: u64) -> Option<Sifted> {
        if slice.not_after_ms <= wall_ms {
            let late = self.skip(slice, UnitStatus::Expired, reason::TOO_LATE);
            return Some(Sifted { slices: Vec::new(), skips: vec![late] });
        }
        let generation = self.suppressed.generation();
        if slice.sieved == generation {
            return None;
        }
        let mut sifted = Sifted::default();
        let parts = u16::from(self.parts);
        let mut left = slice.count;
        while left > 0 {
            let from = slice.from + (slice.count - left);
            let count = left.min(parts - from % parts);
            left -= count;
            let here = Slice { from, count, sieved: generation, ..slice.clone() };
            let number = slice.data.number(from / parts).unwrap_or(0);
            match self.suppressed.refuses(number, self.transactional) {
                Some(reason) => sifted.skips.push(self.skip(&here, UnitStatus::Skipped, reason)),
                None => match sifted.slices.last_mut() {
                    Some(last) if last.from.checked_add(last.count) == Some(from) => last.count += count,
                    _ => sifted.slices.push(here),
                },
            }
        }
        Some(sifted)
    }

    fn skip(&self, slice: &Slice, status: UnitStatus, reason: u32) -> Skip {
        let run = Run { chunk: slice.chunk, from: slice.from, count: slice.count };
        Skip { campaign: self.no, run, status, reason }
    }
}

/// One chunk being sifted: neighbours of one verdict become one run.
struct Sifting<'a> {
    sieve: &'a Sieve,
    chunk: ChunkNo,
    data: &'a Arc<ChunkData>,
    generation: u32,
    open: Option<(Verdict, u32, u32)>,
    sifted: Sifted,
}

impl<'a> Sifting<'a> {
    fn new(sieve: &'a Sieve, chunk: ChunkNo, data: &'a Arc<ChunkData>) -> Self {
        let generation = sieve.suppressed.generation();
        Self { sieve, chunk, data, generation, open: None, sifted: Sifted::default() }
    }

    fn units(&mut self, from: usize, count: usize, wanted: &Wanted) {
        let parts = u32::from(self.sieve.parts);
        let to_unit = |unit: usize| u32::try_from(unit).unwrap_or(u32::MAX);
        let (mut unit, end) = (to_unit(from), to_unit(from + count));
        let mut refused = self.refused(unit / parts, end.div_ceil(parts)).into_iter().peekable();
        while unit < end {
            let recipient = unit / parts;
            let first = recipient * parts;
            let behind = end.min(first + parts);
            let refusal = refused.next_if(|(refused, _)| *refused == recipient).map(|(_, reason)| reason);
            let (verdict, segments) = self.judge(recipient, refusal, wanted);
            // The parts that this rendering has, and those that it has not.
            let present = behind.min(first + segments).max(unit);
            self.add(verdict, unit, present);
            self.add(Verdict::Skip(UnitStatus::Absent, 0), present, behind);
            unit = behind;
        }
        self.close();
    }

    /// Who of these recipients must not be written to, and why.
    fn refused(&self, from: u32, to: u32) -> Vec<(u32, u32)> {
        let first = u32::from(self.data.first);
        let place = |recipient: u32| usize::try_from(recipient.saturating_sub(first)).unwrap_or(usize::MAX);
        let known = self.data.numbers.len();
        let numbers = &self.data.numbers[place(from).min(known)..place(to).min(known)];
        let refused = self.sieve.suppressed.refused(numbers, self.sieve.transactional);
        let behind = |at: usize| from.max(first) + u32::try_from(at).unwrap_or(u32::MAX);
        refused.into_iter().map(|(at, reason)| (behind(at), reason)).collect()
    }

    /// What becomes of a recipient that the lists refuse for this reason, and how many of its parts there are.
    fn judge(&self, recipient: u32, refusal: Option<u32>, wanted: &Wanted) -> (Verdict, u32) {
        let sieve = self.sieve;
        let whole = |verdict| (verdict, u32::from(sieve.parts));
        let recipient = u16::try_from(recipient).unwrap_or(u16::MAX);
        let Some(number) = self.data.number(recipient) else { return whole(Verdict::Leave) };
        let Some(RouteNo(route)) = sieve.routes.route_of(number) else {
            let no_route = Verdict::Skip(UnitStatus::Failed, reason::NO_ROUTE);
            return whole(if wanted.settles_unrouted { no_route } else { Verdict::Leave });
        };
        if !wanted.routes.has(RouteNo(route)) {
            return whole(Verdict::Leave);
        }
        if let Some(reason) = refusal {
            return whole(Verdict::Skip(UnitStatus::Skipped, reason));
        }
        let until = sieve.validity_s.zip(self.data.accepted_s(recipient));
        let not_after_ms = until.map_or(u64::MAX, |(validity_s, accepted_s)| {
            (u64::from(accepted_s) + u64::from(validity_s)) * 1000
        });
        if self.data.values.is_none() {
            return whole(Verdict::Send { route, not_after_ms });
        }
        match sieve.message.segments(self.data.row(recipient)) {
            Ok(segments) => (Verdict::Send { route, not_after_ms }, u32::from(segments)),
            Err(_) => whole(Verdict::Skip(UnitStatus::Failed, reason::RENDERING)),
        }
    }

    fn add(&mut self, verdict: Verdict, from: u32, to: u32) {
        if from >= to {
            return;
        }
        match &mut self.open {
            Some((known, _, end)) if *known == verdict && *end == from => *end = to,
            _ => {
                self.close();
                self.open = Some((verdict, from, to));
            }
        }
    }

    fn close(&mut self) {
        let Some((verdict, mut from, to)) = self.open.take() else { return };
        let most = u32::from(SLICE_RECIPIENTS) * u32::from(self.sieve.parts);
        while from < to {
            let count = (to - from).min(most);
            // A chunk of sixteen parts has 65,536 units: numbers of units fit, an end would not.
            let run = Run {
                chunk: self.chunk,
                from: u16::try_from(from).unwrap_or(u16::MAX),
                count: u16::try_from(count).unwrap_or(u16::MAX),
            };
            match verdict {
                Verdict::Send { route, not_after_ms } => self.sifted.slices.push(Slice {
                    chunk: run.chunk,
                    data: Arc::clone(self.data),
                    from: run.from,
                    count: run.count,
                    attempt: 0,
                    sieved: self.generation,
                    not_after_ms,
                    route,
                    paid: Paid::No,
                }),
                Verdict::Skip(status, reason) => {
                    self.sifted.skips.push(Skip { campaign: self.sieve.no, run, status, reason });
                }
                Verdict::Leave => {}
            }
            from += count;
        }
    }

    fn finish(mut self) -> Sifted {
        self.close();
        self.sifted
    }
}
