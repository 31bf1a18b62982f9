//! Who must not be written to: the installation's lists and those of each workspace, in memory.
//!
//! Never reads or writes the store: the engine's face keeps both in step. A list costs 12 to 16 octets a number.
//! Invariant: a number is in its list before the generation that tells of it moves, so whoever checks under the present
//! generation misses nobody that was acknowledged.

use crate::model::WorkspaceId;
use crate::model::record::reason;
use crate::store::Scope;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Parts of a list under a lock of their own: one of a million entries then grows in steps of a millisecond.
const SHARDS: usize = 16;
/// Bits below the number in a slot; fifteen digits take fifty.
const FLAG_BITS: u32 = 4;
/// Slots of a shard that was never empty.
const LEAST_SLOTS: usize = 8;
/// Slots that share a word of the filter: at most six numbers set three of its 64 bits each, one in fifty others
/// finds its own three set.
const FILTERED_SLOTS: usize = 8;

/// Why a number is listed; several reasons may hold at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed(u8);

impl Listed {
    /// Blocked: for every message.
    pub(crate) const BLOCK: Self = Self(1);
    /// Opted out: for every message that is not transactional.
    pub(crate) const OPT_OUT: Self = Self(2);

    /// Whether one of `other`'s reasons is among these.
    pub(crate) const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether one of `other`'s reasons is among these and in the store.
    pub(crate) const fn any_stored(self, other: Self) -> bool {
        self.0 & !(self.0 >> 2) & other.0 != 0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With more reasons, marked as not yet stored unless they were there: they hold, but are to be written again.
    const fn plus(self, more: Self) -> Self {
        let fresh = more.0 & !self.0;
        Self(self.0 | fresh | fresh << 2)
    }

    const fn minus(self, other: Self) -> Self {
        Self(self.0 & !(other.0 | other.0 << 2))
    }

    const fn stored(self, reasons: Self) -> Self {
        Self(self.0 & !(reasons.0 << 2))
    }

    /// Why a message is not sent, if it is not; a block goes before an opt-out.
    const fn refusal(self, transactional: bool) -> Option<u32> {
        if self.any_of(Self::BLOCK) {
            return Some(reason::BLOCKED);
        }
        if !transactional && self.any_of(Self::OPT_OUT) {
            return Some(reason::OPTED_OUT);
        }
        None
    }
}

/// One list: a set of numbers with what they are listed for, read from many threads.
#[derive(Debug)]
struct List {
    len: AtomicUsize,
    shards: [RwLock<Shard>; SHARDS],
}

impl List {
    fn new() -> Self {
        Self { len: AtomicUsize::new(0), shards: std::array::from_fn(|_| RwLock::default()) }
    }

    fn get(&self, number: u64) -> Listed {
        if self.len.load(Ordering::Acquire) == 0 {
            return Listed::default();
        }
        let hash = mix(number);
        self.shard(hash).read().unwrap_or_else(PoisonError::into_inner).get(number, hash)
    }

    /// Tells which of `numbers` are listed, by their index. Without a lock or a doubtful decision between them, the looks
    /// of neighbours into memory overlap.
    fn each_listed(&self, numbers: &[u64], mut found: impl FnMut(usize, Listed)) {
        if self.len.load(Ordering::Acquire) == 0 {
            return;
        }
        let shards: [RwLockReadGuard<'_, Shard>; SHARDS] =
            std::array::from_fn(|at| self.shards[at].read().unwrap_or_else(PoisonError::into_inner));
        for (at, number) in numbers.iter().enumerate() {
            let hash = mix(*number);
            let listed = shards[shard_of(hash)].get(*number, hash);
            if listed != Listed::default() {
                found(at, listed);
            }
        }
    }

    /// Changes what a number is listed for; returns what it was listed for before.
    fn change(&self, number: u64, change: impl FnOnce(Listed) -> Listed) -> Listed {
        let hash = mix(number);
        let mut shard = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        let before = shard.get(number, hash);
        let after = change(before);
        if after != before {
            shard.set(number, hash, after);
            match (before.0, after.0) {
                (0, _) => self.len.fetch_add(1, Ordering::AcqRel),
                (_, 0) => self.len.fetch_sub(1, Ordering::AcqRel),
                _ => 0,
            };
        }
        before
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[shard_of(hash)]
    }

    #[cfg(test)]
    fn octets(&self) -> usize {
        let octets = |shard: &RwLock<Shard>| {
            let shard = shard.read().expect("not poisoned");
            (shard.slots.capacity() + shard.filter.capacity()) * 8
        };
        self.shards.iter().map(octets).sum()
    }
}

/// Open addressing with linear probing at a load of 9/16 to 3/4; 0 is an empty slot, for no number is 0.
#[derive(Debug, Default)]
struct Shard {
    slots: Vec<u64>,
    /// A Bloom filter, an eighth as large, that settles nearly every look for a number that is not here. What was
    /// removed stays in it until the shard grows.
    filter: Vec<u64>,
    used: usize,
}

impl Shard {
    fn get(&self, number: u64, hash: u64) -> Listed {
        match self.find(number, hash) {
            Some(at) => Listed(flags(self.slots[at])),
            None => Listed::default(),
        }
    }

    fn find(&self, number: u64, hash: u64) -> Option<usize> {
        let mut at = self.home(hash)?;
        if self.filter[at / FILTERED_SLOTS] & filter_bits(hash) != filter_bits(hash) {
            return None;
        }
        loop {
            match self.slots[at] {
                0 => return None,
                slot if slot >> FLAG_BITS == number => return Some(at),
                _ => at = self.behind(at),
            }
        }
    }

    fn set(&mut self, number: u64, hash: u64, listed: Listed) {
        match (self.find(number, hash), listed.0) {
            (Some(at), 0) => self.remove(at),
            (Some(at), flags) => self.slots[at] = number << FLAG_BITS | u64::from(flags),
            (None, 0) => {}
            (None, flags) => {
                if (self.used + 1) * 4 > self.slots.len() * 3 {
                    self.grow();
                }
                self.put(number << FLAG_BITS | u64::from(flags));
                self.used += 1;
            }
        }
    }

    fn put(&mut self, slot: u64) {
        let hash = mix(slot >> FLAG_BITS);
        let Some(mut at) = self.home(hash) else { return };
        self.filter[at / FILTERED_SLOTS] |= filter_bits(hash);
        while self.slots[at] != 0 {
            at = self.behind(at);
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        // A third more and not twice as much: sixteen octets a number at the most, the filter's among them.
        let wanted = (self.slots.len() * 4 / 3).max(LEAST_SLOTS);
        self.filter = vec![0; wanted.div_ceil(FILTERED_SLOTS)];
        let old = std::mem::replace(&mut self.slots, vec![0; wanted]);
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            self.put(slot);
        }
    }

    /// Empties a slot and moves those behind it up, so that no search ends too early.
    fn remove(&mut self, mut hole: usize) {
        self.used -= 1;
        let mut at = hole;
        loop {
            self.slots[hole] = 0;
            loop {
                at = self.behind(at);
                let slot = self.slots[at];
                if slot == 0 {
                    return;
                }
                let home = self.home(mix(slot >> FLAG_BITS)).unwrap_or(at);
                let stays = if hole <= at { hole < home && home <= at } else { hole < home || home <= at };
                if !stays {
                    self.slots[hole] = slot;
                    hole = at;
                    break;
                }
            }
        }
    }

    /// Where a number is looked for first; its shard took the lowest bits of the hash.
    fn home(&self, hash: u64) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        usize::try_from((u128::from(hash) * self.slots.len() as u128) >> 64).ok()
    }

    fn behind(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }
}

fn shard_of(hash: u64) -> usize {
    usize::try_from(hash & (SHARDS as u64 - 1)).unwrap_or(0)
}

/// The bits of a number in its word of the filter; its shard and its home take others of the hash.
const fn filter_bits(hash: u64) -> u64 {
    1 << (hash >> 4 & 63) | 1 << (hash >> 10 & 63) | 1 << (hash >> 16 & 63)
}

fn flags(slot: u64) -> u8 {
    u8::try_from(slot & ((1 << FLAG_BITS) - 1)).unwrap_or(0)
}

/// Spreads neighbouring numbers (SplitMix64); fixed, so that runs repeat.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What one workspace must respect: its own lists and the installation's.
#[derive(Debug)]
pub(crate) struct Suppressed {
    pub(crate) workspace: WorkspaceId,
    installation: Arc<List>,
    own: List,
    generation: AtomicU32,
}

impl Suppressed {
    /// Counts the additions, from 1, so that 0 stands for never checked. To be read before the numbers are checked that
    /// it is noted with.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Why a number gets no message, one of [`reason`]'s codes; blocks hold for transactional messages too.
    pub(crate) fn refuses(&self, number: u64, transactional: bool) -> Option<u32> {
        self.own.get(number).and(self.installation.get(number)).refusal(transactional)
    }

    /// [`Suppressed::refuses`] for each of `numbers`: the index of everyone refused and why, ascending.
    pub(crate) fn refused(&self, numbers: &[u64], transactional: bool) -> Vec<(usize, u32)> {
        let mut listed = Vec::new();
        self.own.each_listed(numbers, |at, why| listed.push((at, why)));
        self.installation.each_listed(numbers, |at, why| listed.push((at, why)));
        listed.sort_unstable_by_key(|(at, _)| *at);
        listed.dedup_by(|more, first| {
            let same = more.0 == first.0;
            if same {
                first.1 = first.1.and(more.1);
            }
            same
        });
        listed.into_iter().filter_map(|(at, why)| Some((at, why.refusal(transactional)?))).collect()
    }

    fn moved(&self) {
        // Never 0, not even after four thousand million additions.
        self.generation.update(Ordering::AcqRel, Ordering::Acquire, |now| now.checked_add(1).unwrap_or(1));
    }
}

/// Every list of the installation.
#[derive(Debug)]
pub(crate) struct Suppressions {
    installation: Arc<List>,
    workspaces: Mutex<BTreeMap<WorkspaceId, Arc<Suppressed>>>,
}

impl Default for Suppressions {
    fn default() -> Self {
        Self { installation: Arc::new(List::new()), workspaces: Mutex::default() }
    }
}

impl Suppressions {
    /// The view of one workspace; the same one for all its campaigns.
    pub(crate) fn of(&self, workspace: WorkspaceId) -> Arc<Suppressed> {
        let fresh = || {
            let installation = Arc::clone(&self.installation);
            Arc::new(Suppressed { workspace, installation, own: List::new(), generation: AtomicU32::new(1) })
        };
        Arc::clone(self.workspaces().entry(workspace).or_insert_with(fresh))
    }

    /// Lists a number of the store: for the start, before anything is checked.
    pub(crate) fn load(&self, scope: Scope, number: u64, listed: Listed) {
        self.change(scope, &[number], |before| before.and(listed));
    }

    /// [`Suppressions::add`] for those who know no store: the lists of a workspace, or of the installation.
    #[cfg(test)]
    pub(crate) fn add_for(&self, workspace: Option<WorkspaceId>, numbers: &[u64], listed: Listed) {
        self.add(workspace.map_or(Scope::Platform, Scope::Workspace), numbers, listed);
    }

    /// Lists numbers, not yet stored, and moves the generations of those concerned; returns how each that changed was
    /// listed before.
    pub(crate) fn add(&self, scope: Scope, numbers: &[u64], listed: Listed) -> Vec<(u64, Listed)> {
        let before = self.change(scope, numbers, |before| before.plus(listed));
        match scope {
            _ if before.is_empty() => {}
            Scope::Workspace(id) => self.of(id).moved(),
            Scope::Platform => self.workspaces().values().for_each(|view| view.moved()),
        }
        before
    }

    /// The store has them.
    pub(crate) fn stored(&self, scope: Scope, numbers: &[u64], listed: Listed) {
        self.change(scope, numbers, |before| before.stored(listed));
    }

    /// Takes reasons away; what was skipped meanwhile stays so.
    pub(crate) fn remove(&self, scope: Scope, numbers: &[u64], listed: Listed) {
        self.change(scope, numbers, |before| before.minus(listed));
    }

    /// Undoes an addition that the store refuses for good.
    pub(crate) fn restore(&self, scope: Scope, before: &[(u64, Listed)]) {
        for (number, listed) in before {
            self.change(scope, &[*number], |_| *listed);
        }
    }

    /// How a number is listed in one scope, not counting others.
    pub(crate) fn listed(&self, scope: Scope, number: u64) -> Listed {
        match scope {
            Scope::Platform => self.installation.get(number),
            Scope::Workspace(id) => {
                let view = self.workspaces().get(&id).cloned();
                view.map_or(Listed::default(), |view| view.own.get(number))
            }
        }
    }

    /// The scopes in which a number has opted out, the installation first.
    pub(crate) fn opted_out(&self, number: u64) -> Vec<Scope> {
        let out = |list: &List| list.get(number).any_of(Listed::OPT_OUT);
        let installation = out(&self.installation).then_some(Scope::Platform);
        let workspaces = self.workspaces();
        let own = workspaces.iter().filter(|(_, view)| out(&view.own));
        installation.into_iter().chain(own.map(|(id, _)| Scope::Workspace(*id))).collect()
    }

    fn change(&self, scope: Scope, numbers: &[u64], change: impl Fn(Listed) -> Listed) -> Vec<(u64, Listed)> {
        let view = match scope {
            Scope::Workspace(id) => Some(self.of(id)),
            Scope::Platform => None,
        };
        let list = view.as_ref().map_or(&*self.installation, |view| &view.own);
        let mut changed = Vec::new();
        for number in numbers {
            let before = list.change(*number, &change);
            if change(before) != before {
                changed.push((*number, before));
            }
        }
        changed
    }

    fn workspaces(&self) -> MutexGuard<'_, BTreeMap<WorkspaceId, Arc<Suppressed>>> {
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap as Model;
    use uuid::Uuid;

    const A: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const B: WorkspaceId = WorkspaceId(Uuid::from_u128(2));
    const NUMBER: u64 = 4_915_112_345_678;

    #[test]
    fn a_workspace_respects_its_own_lists_and_those_of_the_installation() {
        let all = Suppressions::default();
        let (a, b) = (all.of(A), all.of(B));
        all.add(Scope::Workspace(A), &[NUMBER], Listed::OPT_OUT);
        assert_eq!(a.refuses(NUMBER, false), Some(reason::OPTED_OUT));
        assert_eq!((a.refuses(NUMBER, true), b.refuses(NUMBER, false)), (None, None));
        all.add(Scope::Platform, &[NUMBER], Listed::BLOCK);
        for view in [&a, &b, &all.of(WorkspaceId(Uuid::from_u128(3)))] {
            assert_eq!(view.refuses(NUMBER, true), Some(reason::BLOCKED));
            assert_eq!(view.refuses(NUMBER + 1, false), None);
        }
        all.remove(Scope::Platform, &[NUMBER], Listed::BLOCK);
        assert_eq!((a.refuses(NUMBER, false), b.refuses(NUMBER, false)), (Some(reason::OPTED_OUT), None));
    }

    #[test]
    fn many_numbers_are_refused_as_each_of_them_alone() {
        let all = Suppressions::default();
        let view = all.of(A);
        let numbers: Vec<u64> = (0..200).map(|n| NUMBER + n).collect();
        for (at, number) in numbers.iter().enumerate() {
            for (every, scope, listed) in [
                (2, Scope::Workspace(A), Listed::OPT_OUT),
                (3, Scope::Platform, Listed::OPT_OUT),
                (5, Scope::Platform, Listed::BLOCK),
            ] {
                if at % every == 0 {
                    all.add(scope, &[*number], listed);
                }
            }
        }
        for transactional in [false, true] {
            let alone = |(at, number): (usize, &u64)| Some((at, view.refuses(*number, transactional)?));
            let expected: Vec<_> = numbers.iter().enumerate().filter_map(alone).collect();
            assert!(expected.len() >= 40);
            assert_eq!(view.refused(&numbers, transactional), expected);
        }
    }

    #[test]
    fn every_addition_moves_the_generation_of_those_concerned() {
        let all = Suppressions::default();
        let (a, b) = (all.of(A), all.of(B));
        let before = (a.generation(), b.generation());
        all.add(Scope::Workspace(A), &[NUMBER], Listed::OPT_OUT);
        assert_ne!(a.generation(), before.0);
        assert_eq!(b.generation(), before.1);
        let between = (a.generation(), b.generation());
        all.add(Scope::Platform, &[NUMBER], Listed::OPT_OUT);
        assert!(a.generation() != between.0 && b.generation() != between.1);
    }

    #[test]
    fn what_the_store_does_not_have_yet_holds_and_is_told_apart() {
        let all = Suppressions::default();
        let scope = Scope::Workspace(A);
        all.load(scope, 1, Listed::BLOCK);
        all.add(scope, &[1, 2], Listed::OPT_OUT);
        let listed = all.listed(scope, 1);
        assert!(listed.any_of(Listed::OPT_OUT) && !listed.any_stored(Listed::OPT_OUT));
        assert!(listed.any_stored(Listed::BLOCK));
        assert_eq!(all.of(A).refuses(2, false), Some(reason::OPTED_OUT));
        all.stored(scope, &[1], Listed::OPT_OUT);
        assert!(all.listed(scope, 1).any_stored(Listed::OPT_OUT));
        assert!(all.add(scope, &[1], Listed::OPT_OUT).is_empty());
        assert!(!all.listed(scope, 2).any_stored(Listed::OPT_OUT));
        all.remove(scope, &[2], Listed::OPT_OUT);
        assert_eq!(all.listed(scope, 2), Listed::default());
        all.add(Scope::Platform, &[1], Listed::OPT_OUT);
        assert_eq!(all.opted_out(1), [Scope::Platform, scope]);
    }

    #[test]
    fn a_refused_addition_is_undone_exactly() {
        let all = Suppressions::default();
        all.load(Scope::Platform, 1, Listed::OPT_OUT);
        let before = all.add(Scope::Platform, &[1, 2], Listed::BLOCK);
        assert_eq!(before.len(), 2);
        all.restore(Scope::Platform, &before);
        let listed = [1, 2].map(|number| all.listed(Scope::Platform, number));
        assert_eq!(listed, [Listed::OPT_OUT, Listed::default()]);
    }

    #[test]
    fn a_list_of_any_size_up_to_a_million_costs_at_most_sixteen_octets_a_number() {
        let list = List::new();
        for n in 0..1_000_000_u64 {
            list.change(NUMBER + n * 7, |_| Listed::OPT_OUT);
            if n > 10_000 && n % 9_973 == 0 {
                // Shards grow at about the same time but not at once: a little above the limit of one shard.
                assert!(list.octets() as u64 <= n * 33 / 2, "{} octets for {n}", list.octets());
            }
        }
        assert!(list.octets() <= 16_000_000, "{}", list.octets());
        assert!((0..1_000_000).all(|n| list.get(NUMBER + n * 7) == Listed::OPT_OUT));
        assert!((0..1_000_000).all(|n| list.get(NUMBER + n * 7 + 1) == Listed::default()));
    }

    proptest! {
        #[test]
        fn a_list_says_what_a_plain_map_says(
            changes in proptest::collection::vec((1_u64..60, 0_u8..16), 0..400),
        ) {
            let list = List::new();
            let mut model = Model::new();
            for (number, flags) in changes {
                let before = list.change(number, |_| Listed(flags));
                prop_assert_eq!(before, model.insert(number, Listed(flags)).unwrap_or_default());
                for n in 1..60 {
                    prop_assert_eq!(list.get(n), model.get(&n).copied().unwrap_or_default());
                }
            }
            let numbers: Vec<u64> = (1..60).collect();
            let mut each = vec![Listed::default(); numbers.len()];
            list.each_listed(&numbers, |at, listed| each[at] = listed);
            prop_assert_eq!(each, numbers.iter().map(|n| list.get(*n)).collect::<Vec<_>>());
            let listed = model.values().filter(|l| l.0 != 0).count();
            prop_assert_eq!(list.len.load(Ordering::Acquire), listed);
        }
    }
}
