//! Exact removal of duplicates in bounded memory: the first line of a number wins and the order of lines is kept.
//!
//! Entries are sorted externally by (number, line); neighbours with one number are duplicates of the first. Their lines
//! are sorted externally again, and a last pass over the entries in line order skips them. While entries fit into the
//! sort buffer they are their own line order; from the first spill on, a scratch file keeps it.
//! Scratch space: at most 32 octets an entry.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::scratch::{Scratch, Stretch};
use super::sort::{Merge, Record, RecordReader, Sorted, Sorter};

/// Octets read at once from the line-order file.
const READ_OCTETS: usize = 64 << 10;

/// A valid number and the line on which it stands. Lines are strictly ascending as entries come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) line: u32,
}

impl Record for Entry {
    type Octets = [u8; 12];

    fn octets(self) -> [u8; 12] {
        let mut octets = [0; 12];
        octets[..8].copy_from_slice(&self.number.to_le_bytes());
        octets[8..].copy_from_slice(&self.line.to_le_bytes());
        octets
    }

    fn from_octets(octets: &[u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, line @ ..] = *octets;
        Self { number: u64::from_le_bytes([a, b, c, d, e, f, g, h]), line: u32::from_le_bytes(line) }
    }
}

/// A line that repeats an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Repeat {
    line: u32,
    first: u32,
}

impl Record for Repeat {
    type Octets = [u8; 8];

    fn octets(self) -> [u8; 8] {
        (u64::from(self.line) << 32 | u64::from(self.first)).to_le_bytes()
    }

    fn from_octets(octets: &[u8; 8]) -> Self {
        let [first @ .., a, b, c, d] = *octets;
        Self { line: u32::from_le_bytes([a, b, c, d]), first: u32::from_le_bytes(first) }
    }
}

/// Takes entries in line order.
#[derive(Debug)]
pub(super) struct Deduplicator {
    dir: PathBuf,
    capacity: usize,
    sorter: Sorter<Entry>,
    /// All spilled entries in line order.
    in_order: Option<Scratch>,
}

impl Deduplicator {
    /// Holds at most `capacity` entries (16 octets each) in memory.
    pub(super) fn new(dir: &Path, capacity: usize) -> Self {
        Self { dir: dir.to_owned(), capacity, sorter: Sorter::new(dir, capacity), in_order: None }
    }

    #[inline]
    pub(super) fn push(&mut self, entry: Entry) -> io::Result<()> {
        if self.sorter.is_full() {
            self.spill()?;
        }
        self.sorter.push(entry)
    }

    #[cold]
    fn spill(&mut self) -> io::Result<()> {
        let in_order = match &mut self.in_order {
            Some(in_order) => in_order,
            None => self.in_order.insert(Scratch::create(&self.dir)?),
        };
        for entry in self.sorter.unsorted() {
            in_order.append(&entry.octets())?;
        }
        self.sorter.spill()
    }

    /// Finds all duplicates.
    pub(super) fn finish(mut self) -> io::Result<Deduplicated> {
        if self.in_order.is_some() {
            self.spill()?;
        }
        let repeats = Sorter::new(&self.dir, self.capacity);
        let (entries, unique, repeats) = match self.in_order {
            None => {
                let mut entries = self.sorter.into_memory();
                let mut sorted = entries.iter().copied();
                let (unique, repeats) = find_repeats(|| Ok(sorted.next()), repeats)?;
                entries.sort_unstable_by_key(|entry| entry.line);
                (Entries::Memory(entries), unique, repeats)
            }
            Some(in_order) => {
                let (file, length) = in_order.into_file()?;
                let sorted = self.sorter.finish()?;
                let mut merge = sorted.merge()?;
                let (unique, repeats) = find_repeats(|| merge.next(), repeats)?;
                (Entries::File(file, length), unique, repeats)
            }
        };
        Ok(Deduplicated { unique, entries, repeats: repeats.finish()? })
    }
}

/// Counts the different numbers of a sorted sequence and gathers the lines that repeat one.
fn find_repeats(
    mut next: impl FnMut() -> io::Result<Option<Entry>>,
    mut repeats: Sorter<Repeat>,
) -> io::Result<(u64, Sorter<Repeat>)> {
    let mut unique = 0;
    let mut first: Option<Entry> = None;
    while let Some(entry) = next()? {
        match first {
            Some(first) if first.number == entry.number => {
                repeats.push(Repeat { line: entry.line, first: first.line })?
            }
            Some(_) | None => {
                unique += 1;
                first = Some(entry);
            }
        }
    }
    Ok((unique, repeats))
}

/// The entries with their duplicates known.
#[derive(Debug)]
pub(super) struct Deduplicated {
    /// How many different numbers there are.
    pub(super) unique: u64,
    entries: Entries,
    repeats: Sorted<Repeat>,
}

#[derive(Debug)]
enum Entries {
    Memory(Vec<Entry>),
    File(File, u64),
}

impl Deduplicated {
    /// Reads all entries in line order, telling duplicates from first lines.
    pub(super) fn replay(&self) -> io::Result<Replay<'_>> {
        let entries = match &self.entries {
            Entries::Memory(entries) => Source::Memory(entries.iter()),
            Entries::File(file, length) => {
                Source::File(RecordReader::new(Stretch::new(file, 0, *length), READ_OCTETS))
            }
        };
        let mut repeats = self.repeats.merge()?;
        let repeat = repeats.next()?;
        Ok(Replay { entries, repeats, repeat })
    }
}

/// One pass in line order.
pub(super) struct Replay<'a> {
    entries: Source<'a>,
    repeats: Merge<'a, Repeat>,
    repeat: Option<Repeat>,
}

enum Source<'a> {
    Memory(std::slice::Iter<'a, Entry>),
    File(RecordReader<'a, Entry>),
}

impl Replay<'_> {
    /// The next entry, and the number's first line if this one repeats it.
    #[inline]
    pub(super) fn next(&mut self) -> io::Result<Option<(Entry, Option<u32>)>> {
        let entry = match &mut self.entries {
            Source::Memory(entries) => entries.next().copied(),
            Source::File(entries) => entries.next()?,
        };
        let Some(entry) = entry else {
            return Ok(None);
        };
        match self.repeat {
            Some(repeat) if repeat.line == entry.line => {
                self.repeat = self.repeats.next()?;
                Ok(Some((entry, Some(repeat.first))))
            }
            Some(_) | None => Ok(Some((entry, None))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn run(numbers: &[u64], capacity: usize) -> (u64, Vec<(u64, Option<u32>)>) {
        let dir = tempfile::tempdir().unwrap();
        let mut dedup = Deduplicator::new(dir.path(), capacity);
        for (line, &number) in (1..).step_by(3).zip(numbers) {
            dedup.push(Entry { number, line }).unwrap();
        }
        assert_eq!(dedup.in_order.is_some(), numbers.len() > capacity);
        let done = dedup.finish().unwrap();
        let mut replay = done.replay().unwrap();
        let mut got = Vec::new();
        while let Some((entry, first)) = replay.next().unwrap() {
            got.push((entry.number, first));
        }
        (done.unique, got)
    }

    fn model(numbers: &[u64]) -> (u64, Vec<(u64, Option<u32>)>) {
        let mut firsts = HashMap::new();
        let told = (1..)
            .step_by(3)
            .zip(numbers)
            .map(|(line, &number)| match firsts.get(&number) {
                Some(first) => (number, Some(*first)),
                None => {
                    firsts.insert(number, line);
                    (number, None)
                }
            })
            .collect();
        (firsts.len() as u64, told)
    }

    proptest! {
        #[test]
        fn duplicates_are_those_of_a_plain_map(
            numbers in proptest::collection::vec(0_u64..60, 0..250), capacity in 1_usize..50,
        ) {
            prop_assert_eq!(run(&numbers, capacity), model(&numbers));
        }
    }

    #[test]
    fn sorted_reversed_and_equal_numbers_agree_with_a_plain_map() {
        let ascending: Vec<u64> = (0..1000).collect();
        let descending: Vec<u64> = (0..1000).rev().collect();
        for numbers in [ascending, descending, vec![7; 1000], Vec::new()] {
            for capacity in [1, 7, 999, 1000, 5000] {
                assert_eq!(run(&numbers, capacity), model(&numbers));
            }
        }
    }
}
