//! The window of one bind: every submit_sm that is on the wire without a response, by sequence number.
//!
//! A slot is found by the low bits of its sequence number, in a table of at least twice the window. It never
//! reads a clock and keeps nothing per message beyond its slot. Invariant: a sequence number is not given again
//! while its message is unanswered, and at most `window` messages are; proved by `it_behaves_like_a_map`.
//! Limits: send times wrap after 71 minutes, so `expire` must be called at least every half hour.

use std::mem::take;

/// The highest sequence number, SMPP 3.4 section 5.1.4; the next one is 1.
const LAST_SEQUENCE: u32 = 0x7FFF_FFFF;

/// The widest window: a table of 32 MiB.
pub(crate) const MAX_WINDOW: u32 = 1 << 20;

/// Longest response timeout, 35 minutes: half of what the send times can tell apart.
pub(crate) const MAX_TIMEOUT_US: u64 = (1 << 31) - 1;

/// One unanswered message, 16 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Its sequence number; 0 marks an empty slot.
    pub(crate) sequence: u32,
    /// The slice or campaign that it belongs to, in the link's own numbering.
    pub(crate) owner: u32,
    /// When it was sent: the low half of the link's clock in microseconds.
    pub(crate) sent_us: u32,
    /// The unit inside its owner.
    pub(crate) unit: u16,
    /// Which attempt this is.
    pub(crate) attempt: u8,
}

/// The unanswered messages of one bind.
pub(crate) struct Window {
    slots: Box<[Slot]>,
    mask: u32,
    window: u32,
    in_flight: u32,
    /// The sequence number to try first.
    next: u32,
    /// No message in flight is older than this one; runs behind until somebody asks.
    oldest: u32,
}

impl Window {
    /// A window for `window` unanswered messages, `1..=MAX_WINDOW`.
    pub(crate) fn new(window: u32) -> Self {
        assert!((1..=MAX_WINDOW).contains(&window), "a window has room, within reason");
        let slots = (window * 2).next_power_of_two();
        Self {
            slots: vec![Slot::default(); slots as usize].into_boxed_slice(),
            mask: slots - 1,
            window,
            in_flight: 0,
            next: 1,
            oldest: 1,
        }
    }

    /// How many more messages may be sent.
    pub(crate) fn free(&self) -> u32 {
        self.window - self.in_flight
    }

    /// The window itself.
    pub(crate) fn size(&self) -> u32 {
        self.window
    }

    /// Gives a sequence number to a PDU that has no slot.
    pub(crate) fn skip(&mut self) -> u32 {
        while self.slots[self.place(self.next)].sequence != 0 {
            self.next = following(self.next);
        }
        let sequence = self.next;
        self.next = following(sequence);
        sequence
    }

    /// The message of this number, which stays.
    pub(crate) fn peek(&self, sequence: u32) -> Option<Slot> {
        let slot = self.slots[self.place(sequence)];
        (sequence != 0 && slot.sequence == sequence).then_some(slot)
    }

    /// Messages without a response.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Enters a message and gives it its sequence number. The caller has checked that there is room, and its
    /// send times never run backwards.
    pub(crate) fn push(&mut self, owner: u32, unit: u16, attempt: u8, sent_us: u32) -> u32 {
        assert!(self.free() > 0, "the caller asks for room first");
        let sequence = self.skip();
        self.slots[self.place(sequence)] = Slot { sequence, owner, sent_us, unit, attempt };
        if self.in_flight == 0 {
            self.oldest = sequence;
        }
        self.in_flight += 1;
        sequence
    }

    /// Removes the message that a response answers; `None` if there is none of that number.
    pub(crate) fn take(&mut self, sequence: u32) -> Option<Slot> {
        let place = self.place(sequence);
        if sequence == 0 || self.slots[place].sequence != sequence {
            return None;
        }
        self.in_flight -= 1;
        Some(take(&mut self.slots[place]))
    }

    /// The message that has waited longest. Cheap: each message is passed once, or the table is read once.
    pub(crate) fn oldest(&mut self) -> Option<Slot> {
        if self.in_flight == 0 {
            return None;
        }
        let known = self.slots[self.place(self.oldest)];
        if known.sequence == self.oldest {
            return Some(known);
        }
        if distance(self.oldest, self.next) as usize > self.slots.len() {
            let (from, slots) = (self.oldest, self.slots.iter().filter(|s| s.sequence != 0));
            let oldest = slots.min_by_key(|s| distance(from, s.sequence));
            self.oldest = oldest.expect("a message is in flight").sequence;
        }
        while self.slots[self.place(self.oldest)].sequence != self.oldest {
            self.oldest = following(self.oldest);
        }
        Some(self.slots[self.place(self.oldest)])
    }

    /// Removes the messages sent `timeout_us` ago or earlier, at most [`MAX_TIMEOUT_US`], oldest first.
    /// A call that finds none looks at the oldest message only.
    #[expect(clippy::cast_possible_truncation, reason = "send times are the low half of the clock")]
    pub(crate) fn expire(&mut self, now_us: u64, timeout_us: u64) -> Vec<Slot> {
        let timeout_us = timeout_us.min(MAX_TIMEOUT_US) as u32;
        // An age in the upper half is a send time just after `now_us`.
        let is_late = |slot: &Slot| {
            let age_us = (now_us as u32).wrapping_sub(slot.sent_us);
            age_us >= timeout_us && u64::from(age_us) <= MAX_TIMEOUT_US
        };
        match self.oldest() {
            Some(oldest) if is_late(&oldest) => self.remove(is_late),
            _ => Vec::new(),
        }
    }

    /// Removes all messages, oldest first: the bind is gone.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Slot> + use<> {
        self.remove(|_| true).into_iter()
    }

    fn remove(&mut self, chosen: impl Fn(&Slot) -> bool) -> Vec<Slot> {
        let slots = self.slots.iter_mut().filter(|s| s.sequence != 0 && chosen(s));
        let mut removed: Vec<Slot> = slots.map(take).collect();
        removed.sort_unstable_by_key(|s| distance(self.oldest, s.sequence));
        self.in_flight -= u32::try_from(removed.len()).expect("no more than the window");
        removed
    }

    fn place(&self, sequence: u32) -> usize {
        (sequence & self.mask) as usize
    }
}

fn following(sequence: u32) -> u32 {
    if sequence == LAST_SEQUENCE { 1 } else { sequence + 1 }
}

/// Steps from one sequence number forward to another.
fn distance(from: u32, to: u32) -> u32 {
    if to >= from { to - from } else { to + LAST_SEQUENCE - from }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A window whose next sequence number is `next`.
    fn window_at(window: u32, next: u32) -> Window {
        Window { next, oldest: next, ..Window::new(window) }
    }

    #[test]
    fn a_response_returns_what_was_sent_and_only_once() {
        let mut window = Window::new(2);
        assert_eq!((window.push(7, 8, 9, 10), window.free(), window.in_flight()), (1, 1, 1));
        let sent = Slot { sequence: 1, owner: 7, sent_us: 10, unit: 8, attempt: 9 };
        assert_eq!((window.take(0), window.take(5), window.take(1)), (None, None, Some(sent)));
        assert_eq!((window.take(1), window.free()), (None, 2));
        assert_eq!(size_of::<Slot>(), 16);
    }

    #[test]
    fn sequence_numbers_wrap_from_the_last_to_one() {
        let mut window = window_at(64, 0x7FFF_FFF0);
        let given: Vec<u32> = (0..32).map(|n| window.push(n, 0, 0, n)).collect();
        assert_eq!(given, (0x7FFF_FFF0..=0x7FFF_FFFF).chain(1..=16).collect::<Vec<_>>());
        for (owner, sequence) in (0..32).zip(&given).rev() {
            assert_eq!(window.take(*sequence).map(|s| s.owner), Some(owner));
        }
    }

    #[test]
    fn messages_come_out_in_the_order_they_were_sent_also_over_the_wrap() {
        let mut window = window_at(64, 0x7FFF_FFF0);
        let given: Vec<u32> = (0..40).map(|n| window.push(n, 0, 0, n)).collect();
        for n in [0, 1, 2, 17, 20, 39] {
            window.take(given[n]);
        }
        assert_eq!(window.oldest().map(|s| s.owner), Some(3));
        let owners: Vec<u32> = window.drain().map(|s| s.owner).collect();
        assert_eq!(owners, (3..39).filter(|n| ![17, 20].contains(n)).collect::<Vec<_>>());
        assert_eq!((window.in_flight(), window.oldest(), window.push(0, 0, 0, 50)), (0, None, 25));
    }

    #[test]
    fn an_unanswered_message_keeps_its_number_while_the_others_pass() {
        let mut window = Window::new(4);
        let stuck = window.push(99, 0, 0, 0);
        for n in 1..1000 {
            let sequence = window.push(n, 0, 0, n);
            assert_ne!(sequence % 8, stuck % 8, "its slot is passed over");
            window.take(sequence);
            assert_eq!(window.oldest().map(|s| s.owner), Some(99));
        }
        let later = window.push(1000, 0, 0, 1000);
        assert_eq!(window.take(stuck).map(|s| s.owner), Some(99));
        assert_eq!(window.oldest().map(|s| s.sequence), Some(later));
    }

    #[test]
    fn messages_expire_at_their_timeout_not_before_also_when_the_time_wraps() {
        for start_us in [0, u64::from(u32::MAX) - 1_000_500, 7 << 32] {
            let mut window = Window::new(10);
            for n in 0..5 {
                #[expect(clippy::cast_possible_truncation, reason = "send times wrap")]
                window.push(n, 0, 0, (start_us + u64::from(n) * 1000) as u32);
            }
            window.take(2);
            let mut expired = |at_us| -> Vec<u32> {
                window.expire(start_us + at_us, 1_000_000).iter().map(|s| s.owner).collect()
            };
            assert!(expired(0).is_empty());
            assert!(expired(999_999).is_empty());
            assert_eq!(expired(1_000_000), [0]);
            assert_eq!(expired(1_003_500), [2, 3]);
            assert!(expired(1_003_999).is_empty());
            assert_eq!(expired(60_000_000), [4]);
            assert_eq!(window.free(), 10);
        }
    }

    #[test]
    fn a_send_time_just_after_now_is_not_late() {
        let mut window = Window::new(1);
        window.push(1, 0, 0, 1_000);
        assert_eq!(window.expire(999, 0), []);
        assert_eq!(window.expire(1_000, 0).len(), 1);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push,
        Answer(usize),
        Stray(u32),
        Expire(u64),
        Oldest,
        Drain,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            20 => Just(Op::Push),
            15 => (0..8_usize).prop_map(Op::Answer),
            2 => any::<u32>().prop_map(Op::Stray),
            2 => (0..400_u64).prop_map(Op::Expire),
            2 => Just(Op::Oldest),
            1 => Just(Op::Drain),
        ];
        proptest::collection::vec(op, 1..800)
    }

    proptest! {
        /// The model orders messages by how often `push` was called, whatever their numbers.
        #[test]
        fn it_behaves_like_a_map(size in 1..40_u32, before_wrap in 0..60_u32, ops in ops()) {
            let mut window = window_at(size, LAST_SEQUENCE - before_wrap);
            let mut model: BTreeMap<u32, Slot> = BTreeMap::new();
            let mut now = 0_u32;
            for op in ops {
                now += 1;
                match op {
                    Op::Push if window.free() > 0 => {
                        let sequence = window.push(now, 3, 4, now);
                        prop_assert!((1..=LAST_SEQUENCE).contains(&sequence));
                        prop_assert!(model.values().all(|s| s.sequence != sequence), "given twice");
                        model.insert(now, Slot { sequence, owner: now, sent_us: now, unit: 3, attempt: 4 });
                    }
                    Op::Push => prop_assert_eq!(model.len(), size as usize),
                    Op::Answer(nth) => if let Some((&key, &slot)) = model.iter().nth(nth) {
                        model.remove(&key);
                        prop_assert_eq!(window.take(slot.sequence), Some(slot));
                    },
                    Op::Stray(n) => if model.values().all(|s| s.sequence != n) {
                        prop_assert_eq!(window.take(n), None);
                    },
                    Op::Expire(timeout) => {
                        let expired = window.expire(u64::from(now), timeout);
                        let late = |s: &Slot| u64::from(now - s.sent_us) >= timeout;
                        let expected: Vec<Slot> = model.values().copied().filter(late).collect();
                        prop_assert_eq!(expired, expected);
                        model.retain(|_, s| !late(s));
                    }
                    Op::Oldest => prop_assert_eq!(window.oldest(), model.values().next().copied()),
                    Op::Drain => {
                        prop_assert!(window.drain().eq(model.values().copied()));
                        model.clear();
                    }
                }
                prop_assert_eq!(window.in_flight() as usize, model.len());
                prop_assert_eq!(window.free(), size - window.in_flight());
            }
        }
    }
}
