//! What links read before every write: shared atomics for stop, gate and drain, never a queued message.
//!
//! A stop sets the campaign's flag, then moves the board's epoch; a link publishes the epoch that it has obeyed.
//! A stop is acknowledged when every link has published it or has no connection.

use crate::dispatch::env::{Bell, Gong};
use crate::dispatch::inbound::Waiting;
use crate::dispatch::recall::Recalls;
use crate::model::{CampaignNo, HoldReason};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A link without connection obeys every stop.
pub(crate) const OBEYS_ALL: u64 = u64::MAX;

/// One campaign as links see it: two reasons to be still, and how often it was stopped, in one word.
#[derive(Debug)]
pub(crate) struct CampaignCells {
    pub(crate) no: CampaignNo,
    /// The generation, above [`STOPPED`] and [`BEGINNING`].
    state: AtomicU64,
    open: Gate,
    hold: AtomicU8,
}

/// Somebody has stopped the campaign.
const STOPPED: u64 = 1;
/// Its actor is not ready; no answer to whether somebody has stopped it.
const BEGINNING: u64 = 2;
const GENERATION_SHIFT: u32 = 2;

/// Links stop this long before the end, milliseconds: a turn and its write to the socket take less.
pub(crate) const CLOSING_MS: u64 = 10;

/// Reasons to wait by their code, from 1.
const HOLDS: [HoldReason; 8] = [
    HoldReason::AwaitingStart,
    HoldReason::Scheduled,
    HoldReason::QuietHours,
    HoldReason::DailyLimit,
    HoldReason::RateLimit,
    HoldReason::NoChannel,
    HoldReason::StoreUnavailable,
    HoldReason::SchemaMismatch,
];

impl CampaignCells {
    pub(crate) fn new(no: CampaignNo, stop_gen: u32) -> Self {
        Self {
            no,
            state: AtomicU64::new(u64::from(stop_gen) << GENERATION_SHIFT),
            open: Gate::default(),
            hold: AtomicU8::new(0),
        }
    }

    /// Whether nothing of the campaign may be written.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Acquire) & (STOPPED | BEGINNING) != 0
    }

    /// Opens it from `from_ms` until before `until_ms`, milliseconds of the wall clock; an empty span closes it.
    /// Links look by themselves: opening wants a ring of their bells, closing at `until_ms` wants nothing.
    pub(crate) fn set_open(&self, from_ms: u64, until_ms: u64) {
        self.open.set(from_ms, until_ms);
    }

    /// Whether its calendar lets it send at a moment of the wall clock.
    pub(crate) fn is_open(&self, wall_ms: u64) -> bool {
        self.open.holds_until(wall_ms).is_some()
    }

    /// Whether nothing of it may be written at a moment of the wall clock: stopped, beginning or closed.
    #[cfg(test)]
    pub(crate) fn is_still(&self, wall_ms: u64) -> bool {
        self.is_stopped() || !self.is_open(wall_ms)
    }

    /// Whether a link that read the clock at the beginning of its turn may still write: not still, and not about to
    /// close, because the octets leave a little later than the clock was read.
    pub(crate) fn may_write(&self, wall_ms: u64) -> bool {
        !self.is_stopped() && self.open.holds_until(wall_ms).is_some_and(|until| wall_ms + CLOSING_MS < until)
    }

    /// When links stop writing by themselves, milliseconds of the wall clock.
    pub(crate) fn closes_at(&self) -> u64 {
        self.open.until_ms.load(Ordering::Relaxed).saturating_sub(CLOSING_MS)
    }

    /// Why it waits, as its actor sees it.
    pub(crate) fn hold(&self) -> Option<HoldReason> {
        let code = usize::from(self.hold.load(Ordering::Relaxed));
        code.checked_sub(1).and_then(|at| HOLDS.get(at).copied())
    }

    /// Says why it waits, or that it does not.
    pub(crate) fn set_hold(&self, reason: Option<HoldReason>) {
        let place = reason.and_then(|reason| HOLDS.iter().position(|known| *known == reason));
        let code = place.map_or(0, |place| u8::try_from(place + 1).unwrap_or(u8::MAX));
        self.hold.store(code, Ordering::Relaxed);
    }

    /// The generation that new intents carry.
    pub(crate) fn stop_gen(&self) -> u32 {
        u32::try_from(self.state.load(Ordering::Acquire) >> GENERATION_SHIFT).unwrap_or(u32::MAX)
    }

    /// Forbids further writes; returns the new generation.
    pub(crate) fn stop(&self) -> u32 {
        let next = |state: u64| ((state >> GENERATION_SHIFT) + 1) << GENERATION_SHIFT;
        let stopped = |state: u64| next(state) | STOPPED | (state & BEGINNING);
        let before = self.state.update(Ordering::AcqRel, Ordering::Acquire, stopped);
        u32::try_from(next(before) >> GENERATION_SHIFT).unwrap_or(u32::MAX)
    }

    /// Allows writes again unless somebody has stopped the campaign since generation `stop_gen`.
    pub(crate) fn go(&self, stop_gen: u32) {
        let allowed = |state: u64| {
            if state >> GENERATION_SHIFT == u64::from(stop_gen) { state & !STOPPED } else { state }
        };
        self.state.update(Ordering::AcqRel, Ordering::Acquire, allowed);
    }

    /// Keeps the campaign still while a new incarnation of its actor begins.
    pub(crate) fn hold_for_beginning(&self) {
        self.state.fetch_or(BEGINNING, Ordering::AcqRel);
    }

    /// The actor is ready; a stop that came meanwhile still holds.
    pub(crate) fn begun(&self) {
        self.state.fetch_and(!BEGINNING, Ordering::AcqRel);
    }
}

/// A span of the wall clock that one writer at a time changes and readers see whole, without a lock: whoever reads
/// during a change sees it closed.
#[derive(Debug, Default)]
struct Gate {
    /// Odd while a change is under way.
    version: AtomicU64,
    from_ms: AtomicU64,
    until_ms: AtomicU64,
    changing: Mutex<()>,
}

impl Gate {
    fn set(&self, from_ms: u64, until_ms: u64) {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.version.fetch_add(1, Ordering::AcqRel);
        // Released: whoever reads one of these reads an odd or newer version behind it.
        self.from_ms.store(from_ms, Ordering::Release);
        self.until_ms.store(until_ms, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Its end, if the moment lies inside.
    fn holds_until(&self, wall_ms: u64) -> Option<u64> {
        let version = self.version.load(Ordering::Acquire);
        let from_ms = self.from_ms.load(Ordering::Acquire);
        let until_ms = self.until_ms.load(Ordering::Acquire);
        let is_whole = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        (is_whole && from_ms <= wall_ms && wall_ms < until_ms).then_some(until_ms)
    }
}

/// What every link of the engine watches.
#[derive(Debug, Default)]
pub(crate) struct Board {
    stop_epoch: AtomicU64,
    draining: AtomicBool,
    links: Mutex<Vec<Arc<LinkCells>>>,
    obeyed: Gong,
    /// Numbers that were suppressed while campaigns run.
    pub(crate) recalls: Recalls,
    /// Messages from handsets that were not acted on yet.
    pub(crate) unheard: Waiting,
}

impl Board {
    /// The newest stop.
    pub(crate) fn stop_epoch(&self) -> u64 {
        self.stop_epoch.load(Ordering::Acquire)
    }

    /// Announces a stop whose flags are set already.
    pub(crate) fn announce_stop(&self) -> u64 {
        let epoch = self.stop_epoch.fetch_add(1, Ordering::AcqRel) + 1;
        self.ring_links();
        epoch
    }

    /// Ends all sending for good: links settle what is in flight and unbind.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.announce_stop();
    }

    /// Whether the engine is shutting down.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Adds a link.
    pub(crate) fn add(&self, link: Arc<LinkCells>) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }

    /// Every link.
    pub(crate) fn links(&self) -> Vec<Arc<LinkCells>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Rings every link.
    pub(crate) fn ring_links(&self) {
        for link in self.links.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            link.bell.ring();
        }
    }

    /// A link has published an epoch.
    pub(crate) fn publish(&self, link: &LinkCells, epoch: u64) {
        if link.obeyed.swap(epoch, Ordering::AcqRel) != epoch {
            self.obeyed.ring();
        }
    }

    /// Waits until every link obeys `epoch` or has no connection.
    pub(crate) async fn all_obey(&self, epoch: u64) {
        let obeys = |link: &Arc<LinkCells>| link.obeyed.load(Ordering::Acquire) >= epoch;
        self.obeyed.until(|| self.links().iter().all(obeys)).await;
    }
}

/// One link as others see it.
#[derive(Debug)]
pub(crate) struct LinkCells {
    pub(crate) bell: Arc<Bell>,
    obeyed: AtomicU64,
    pub(crate) up: AtomicBool,
    /// Whether the SMSC has accepted something since this was last asked.
    pub(crate) answered: AtomicBool,
    pub(crate) in_flight: AtomicU32,
    pub(crate) stock: AtomicU32,
}

impl Default for LinkCells {
    fn default() -> Self {
        Self {
            bell: Arc::default(),
            obeyed: AtomicU64::new(OBEYS_ALL),
            up: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            stock: AtomicU32::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_still_until_it_is_opened_and_from_its_end_on() {
        let cells = CampaignCells::new(CampaignNo(1), 0);
        assert!(cells.is_still(0) && cells.is_still(u64::MAX));
        cells.set_open(1_000, 2_000);
        let open = [999, 1_000, 1_999, 2_000].map(|wall_ms| !cells.is_still(wall_ms));
        assert_eq!(open, [false, true, true, false]);
        let writes = [999, 1_000, 1_999 - CLOSING_MS, 2_000 - CLOSING_MS].map(|at| cells.may_write(at));
        assert_eq!((writes, cells.closes_at()), ([false, true, true, false], 2_000 - CLOSING_MS));
        cells.stop();
        assert!(cells.is_still(1_500) && cells.is_open(1_500));
        cells.set_open(0, 0);
        assert!(!cells.is_open(0));
    }

    #[test]
    fn the_reason_to_wait_is_what_was_said_last() {
        let cells = CampaignCells::new(CampaignNo(1), 0);
        assert_eq!(cells.hold(), None);
        for reason in HOLDS {
            cells.set_hold(Some(reason));
            assert_eq!(cells.hold(), Some(reason));
        }
        cells.set_hold(None);
        assert_eq!(cells.hold(), None);
    }

    /// Goal: a span that is moved while it is read is never seen as the hull of the old and the new one.
    #[test]
    fn a_gate_that_moves_is_never_seen_open_in_between() {
        let gate = Gate::default();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200_000 {
                    gate.set(0, 10);
                    gate.set(20, 30);
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                assert_eq!(gate.holds_until(15), None);
            }
        });
        assert_eq!((gate.holds_until(20), gate.holds_until(30)), (Some(30), None));
    }

    #[test]
    fn only_the_newest_stop_can_be_taken_back_and_a_beginning_takes_back_none() {
        let cells = CampaignCells::new(CampaignNo(1), 6);
        let first = cells.stop();
        let second = cells.stop();
        assert_eq!((first, second, cells.stop_gen()), (7, 8, 8));
        cells.go(first);
        assert!(cells.is_stopped());
        cells.hold_for_beginning();
        cells.go(second);
        assert!(cells.is_stopped());
        let third = cells.stop();
        cells.begun();
        assert!(cells.is_stopped());
        cells.go(third);
        assert!(!cells.is_stopped());
    }
}
