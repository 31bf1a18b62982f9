//! The receipt index: from the hash of an SMSC message id to the unit that awaits its receipt.
//!
//! It keeps the whole hash (8 bits choose the shard, 56 are stored) and a 40-bit ordinal in 12 octets, never the
//! message id itself, and never asks a store. Two units under one hash make the entry ambiguous, so that no
//! receipt is ever credited to the wrong unit of the two. Invariant: while it grows the slots take at most
//! 24 octets an entry, the copy of the shard under growth included from a few thousand entries on; proved by
//! `memory_stays_within_24_octets_an_entry_at_every_size`. Octets are those asked of the allocator.

/// Shards. Many, because only one is copied at a time: at 5 million entries a copy is 20 thousand entries long.
const SHARDS: usize = 256;

/// Units have ordinals below this; the two highest stored values mean "ambiguous" and nothing.
pub(crate) const ORDINALS: u64 = AMBIGUOUS - 1;

/// The highest 40-bit value: more than one unit had this hash.
const AMBIGUOUS: u64 = (1 << 40) - 1;

/// A shard of at most this many slots keeps them when it runs empty, so that a trickle allocates nothing.
const KEEP_SLOTS: usize = 32;

/// The growth step that crosses this many slots is shorter by shard, so that shards do not all grow together.
const STAGGER_SLOTS: usize = 256;

/// 56 bits of tag, then 40 bits: 0 for an empty slot, [`AMBIGUOUS`], or the ordinal plus one.
type Slot = [u32; 3];

const EMPTY: Slot = [0; 3];

/// What an insertion found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// The hash was new.
    New,
    /// The same unit was filed under the hash before.
    Known,
    /// The hash was known; its entry now names no unit.
    Ambiguous,
}

/// What stood under a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// Exactly one unit, by ordinal.
    Unit(u64),
    /// Several units: the receipt is an orphan.
    Ambiguous,
}

/// All units that await a receipt. `&mut self` throughout: the caller holds one lock a read burst.
pub(crate) struct ReceiptIndex {
    shards: Box<[Shard]>,
    len: usize,
    slots: usize,
}

impl ReceiptIndex {
    /// An empty index, without any slots yet.
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), len: 0, slots: 0 }
    }

    /// Files `ordinal`, which must be below [`ORDINALS`], under `hash`.
    pub(crate) fn insert(&mut self, hash: u64, ordinal: u64) -> Inserted {
        assert!(ordinal < ORDINALS, "ordinals fit forty bits");
        let number = shard_of(hash);
        let shard = &mut self.shards[number];
        if shard.len >= shard.grow_at {
            let before = shard.slots.len();
            shard.grow(number);
            self.slots += shard.slots.len() - before;
        }
        let inserted = shard.insert(tag_of(hash), ordinal);
        self.len += usize::from(inserted == Inserted::New);
        inserted
    }

    /// What stands under `hash`.
    pub(crate) fn get(&self, hash: u64) -> Option<Hit> {
        let shard = &self.shards[shard_of(hash)];
        shard.find(tag_of(hash)).map(|at| hit(shard.slots[at]))
    }

    /// Removes and returns the one unit under `hash`; an ambiguous entry stays.
    pub(crate) fn take_unit(&mut self, hash: u64) -> Option<u64> {
        match self.take_if(hash, |found| matches!(found, Hit::Unit(_)))? {
            Hit::Unit(ordinal) => Some(ordinal),
            Hit::Ambiguous => None,
        }
    }

    /// Removes and returns what stands under `hash`.
    pub(crate) fn take(&mut self, hash: u64) -> Option<Hit> {
        self.take_if(hash, |_| true)
    }

    fn take_if(&mut self, hash: u64, wanted: impl Fn(Hit) -> bool) -> Option<Hit> {
        let shard = &mut self.shards[shard_of(hash)];
        let at = shard.find(tag_of(hash))?;
        let found = hit(shard.slots[at]);
        if !wanted(found) {
            return None;
        }
        shard.remove(at);
        self.len -= 1;
        if shard.is_sparse() {
            let before = shard.slots.len();
            shard.resize((before / 2).max(KEEP_SLOTS));
            self.slots -= before - shard.slots.len();
        }
        Some(found)
    }

    /// Entries, ambiguous ones included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Octets held: the slots and the table of shards.
    #[cfg(test)]
    pub(crate) fn memory_octets(&self) -> usize {
        self.slots * size_of::<Slot>() + SHARDS * size_of::<Shard>()
    }
}

/// One open-addressing table. A tag's home grows with the tag, so a resize runs through both tables in order.
#[derive(Default)]
struct Shard {
    slots: Box<[Slot]>,
    len: u32,
    /// An insertion at this length grows first: three quarters, where a miss looks at 8 slots (50 at nine tenths).
    grow_at: u32,
}

impl Shard {
    fn insert(&mut self, tag: u64, ordinal: u64) -> Inserted {
        let mut at = self.home(tag);
        while self.slots[at] != EMPTY {
            if self.slots[at] == slot(tag, ordinal + 1) {
                return Inserted::Known;
            }
            if tag_in(self.slots[at]) == tag {
                self.slots[at] = slot(tag, AMBIGUOUS);
                return Inserted::Ambiguous;
            }
            at = self.after(at);
        }
        self.slots[at] = slot(tag, ordinal + 1);
        self.len += 1;
        Inserted::New
    }

    fn find(&self, tag: u64) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let mut at = self.home(tag);
        while self.slots[at] != EMPTY {
            if tag_in(self.slots[at]) == tag {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    /// Empties a slot and moves later entries of the run back, so that no tombstones gather.
    fn remove(&mut self, mut hole: usize) {
        let mut at = self.after(hole);
        while self.slots[at] != EMPTY {
            let home = self.home(tag_in(self.slots[at]));
            if self.distance(home, at) >= self.distance(hole, at) {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.after(at);
        }
        self.slots[hole] = EMPTY;
        self.len -= 1;
    }

    fn is_sparse(&self) -> bool {
        self.slots.len() > KEEP_SLOTS && self.len as usize * 8 <= self.slots.len()
    }

    /// Grows by a quarter, to three fifths full. The smallest steps keep to two slots an entry.
    fn grow(&mut self, number: usize) {
        let old = self.slots.len();
        let mut new = ((self.len as usize + 1) * 5).div_ceil(3);
        if old < STAGGER_SLOTS && new >= STAGGER_SLOTS {
            new -= (new - old) * number / SHARDS * 3 / 4;
        }
        self.resize(new);
    }

    fn resize(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots].into_boxed_slice());
        self.grow_at = u32::try_from(slots * 3 / 4).expect("a shard has fewer than 2^32 slots");
        for &moved in old.iter().filter(|s| **s != EMPTY) {
            let mut at = self.home(tag_in(moved));
            while self.slots[at] != EMPTY {
                at = self.after(at);
            }
            self.slots[at] = moved;
        }
    }

    /// Where a tag would stand without collisions: its upper 32 bits scaled to the number of slots.
    fn home(&self, tag: u64) -> usize {
        ((tag >> 24) as usize * self.slots.len()) >> 32
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// Steps from one slot forward to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }
}

fn shard_of(hash: u64) -> usize {
    usize::from(hash.to_le_bytes()[0])
}

fn tag_of(hash: u64) -> u64 {
    hash >> 8
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the tag has 56 bits and the value 40: cut into 32, 24+8, 32"
)]
fn slot(tag: u64, value: u64) -> Slot {
    [(tag >> 24) as u32, (tag << 8) as u32 | (value >> 32) as u32, value as u32]
}

fn tag_in(slot: Slot) -> u64 {
    u64::from(slot[0]) << 24 | u64::from(slot[1] >> 8)
}

fn hit(slot: Slot) -> Hit {
    match u64::from(slot[1] & 0xFF) << 32 | u64::from(slot[2]) {
        AMBIGUOUS => Hit::Ambiguous,
        value => Hit::Unit(value - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// A bijection of `u64` that spreads consecutive numbers: distinct hashes without a table to remember them.
    fn mixed(n: u64) -> u64 {
        let n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ n >> 31
    }

    #[test]
    fn an_entry_is_found_once_and_then_gone() {
        let mut index = ReceiptIndex::new();
        assert_eq!(index.take(7), None);
        for ordinal in [0, 1, 0xFFFF_FFFE, 0xFFFF_FFFF, ORDINALS - 1] {
            assert_eq!(index.insert(mixed(ordinal), ordinal), Inserted::New);
            assert_eq!(index.get(mixed(ordinal)), Some(Hit::Unit(ordinal)));
            assert_eq!(index.take(mixed(ordinal)), Some(Hit::Unit(ordinal)));
            assert_eq!(index.take(mixed(ordinal)), None);
        }
        assert_eq!(index.len(), 0);
    }

    #[test]
    fn two_units_under_one_hash_become_ambiguous_and_count_once() {
        let mut index = ReceiptIndex::new();
        index.insert(0, 1);
        assert_eq!((index.insert(0, 1), index.get(0)), (Inserted::Known, Some(Hit::Unit(1))));
        assert_eq!(index.insert(0, 2), Inserted::Ambiguous);
        assert_eq!(index.insert(0, 3), Inserted::Ambiguous);
        assert_eq!((index.len(), index.get(0)), (1, Some(Hit::Ambiguous)));
        assert_eq!(index.take(0), Some(Hit::Ambiguous));
        assert_eq!((index.len(), index.take(0)), (0, None));
    }

    #[test]
    fn hashes_that_differ_in_any_one_bit_are_different_entries() {
        let mut index = ReceiptIndex::new();
        for bit in 0..64 {
            assert_eq!(index.insert(1 << bit, bit), Inserted::New);
        }
        for bit in 0..64 {
            assert_eq!(index.take(1 << bit), Some(Hit::Unit(bit)));
        }
    }

    #[test]
    fn memory_stays_within_24_octets_an_entry_at_every_size() {
        let mut index = ReceiptIndex::new();
        let table = SHARDS * size_of::<Shard>();
        let mut worst = 0;
        for n in 1..=2_000_000 {
            let hash = mixed(n as u64);
            let before = index.shards[shard_of(hash)].slots.len();
            index.insert(hash, n as u64);
            assert!(index.memory_octets() - table <= 24 * n, "{n} entries");
            let grown = index.shards[shard_of(hash)].slots.len() != before;
            let peak = index.memory_octets() + if grown { before * size_of::<Slot>() } else { 0 };
            assert!(n < 4096 || peak <= 24 * n, "{n} entries, {peak} octets while growing");
            worst = worst.max(if n < 100_000 { 0 } else { peak * 100 / n });
        }
        assert!(worst <= 2000, "staggered growth keeps it lower still: {worst} hundredths");
        assert_eq!(index.slots, index.shards.iter().map(|s| s.slots.len()).sum::<usize>());
    }

    #[test]
    fn a_steady_flow_allocates_nothing_and_an_empty_index_shrinks() {
        let mut index = ReceiptIndex::new();
        let awaiting = 100_000;
        for n in 0..2 * awaiting {
            index.insert(mixed(n), n);
        }
        (0..awaiting).for_each(|n| assert_eq!(index.take(mixed(n)), Some(Hit::Unit(n))));
        let octets = index.memory_octets();
        for n in awaiting..10 * awaiting {
            index.insert(mixed(n + awaiting), n + awaiting);
            assert_eq!(index.take(mixed(n)), Some(Hit::Unit(n)));
            assert_eq!(index.memory_octets(), octets);
        }
        (10 * awaiting..11 * awaiting).for_each(|n| assert_eq!(index.take(mixed(n)), Some(Hit::Unit(n))));
        assert!(index.memory_octets() <= SHARDS * (size_of::<Shard>() + KEEP_SLOTS * size_of::<Slot>()));
    }

    proptest! {
        /// Few shards and crowded homes: upper and lower hash bits take few values, so runs wrap and collide.
        #[test]
        fn it_behaves_like_a_map(
            ops in proptest::collection::vec((0..3_u8, 0..40_u64, 0..3_usize, 0..ORDINALS), 1..2000),
        ) {
            let mut index = ReceiptIndex::new();
            let mut model: HashMap<u64, Hit> = HashMap::new();
            for (op, low, high, ordinal) in ops {
                let hash = [0, 1 << 63, u64::MAX << 44][high] | low << 8;
                match op {
                    0 => { prop_assert_eq!(index.take(hash), model.remove(&hash)); }
                    1 => { prop_assert_eq!(index.get(hash), model.get(&hash).copied()); }
                    _ => {
                        let new = !model.contains_key(&hash);
                        let expected = if new { Inserted::New } else { Inserted::Ambiguous };
                        model.insert(hash, if new { Hit::Unit(ordinal) } else { Hit::Ambiguous });
                        prop_assert_eq!(index.insert(hash, ordinal), expected);
                    }
                }
                prop_assert_eq!(index.len(), model.len());
            }
            for (hash, hit) in model {
                prop_assert_eq!(index.take(hash), Some(hit));
            }
        }
    }
}
