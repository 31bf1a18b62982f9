//! External merge sort of small fixed-size records in bounded memory.
//!
//! Records gather in one buffer; when it is full it is sorted and appended to a scratch file as a run. Merging reads all
//! runs at once with buffers that share [`MERGE_OCTETS`]. What fits into the buffer never touches a file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::scratch::{Scratch, Stretch};

/// Octets of all read buffers of a merge together.
const MERGE_OCTETS: usize = 4 << 20;
/// Least octets of one read buffer: below it, reads would cost more than the sort.
const MIN_READ: usize = 4 << 10;

/// A record that can be written to scratch.
pub(super) trait Record: Copy + Ord {
    /// Its octets on disk.
    type Octets: AsRef<[u8]> + AsMut<[u8]> + Default + Copy;
    /// Into its form on disk.
    fn octets(self) -> Self::Octets;
    /// From its form on disk.
    fn from_octets(octets: &Self::Octets) -> Self;
}

/// Gathers records.
#[derive(Debug)]
pub(super) struct Sorter<R> {
    dir: PathBuf,
    capacity: usize,
    buffer: Vec<R>,
    scratch: Option<Scratch>,
    /// Where each run ends in the scratch file.
    ends: Vec<u64>,
}

impl<R: Record> Sorter<R> {
    /// Holds at most `capacity` records in memory.
    pub(super) fn new(dir: &Path, capacity: usize) -> Self {
        Self { dir: dir.to_owned(), capacity, buffer: Vec::new(), scratch: None, ends: Vec::new() }
    }

    /// The records since the last spill, in the order of their coming.
    pub(super) fn unsorted(&self) -> &[R] {
        &self.buffer
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= self.capacity
    }

    pub(super) fn has_spilled(&self) -> bool {
        self.scratch.is_some()
    }

    /// Adds a record, spilling a full buffer before.
    #[inline]
    pub(super) fn push(&mut self, record: R) -> io::Result<()> {
        if self.buffer.len() == self.buffer.capacity() {
            self.make_room()?;
        }
        self.buffer.push(record);
        Ok(())
    }

    /// Grows by doubling, but never beyond the capacity.
    #[cold]
    fn make_room(&mut self) -> io::Result<()> {
        if self.is_full() {
            return self.spill();
        }
        let wanted = (self.buffer.len() * 2).clamp(1024, self.capacity.max(1024));
        self.buffer.reserve_exact(wanted.min(self.capacity) - self.buffer.len());
        Ok(())
    }

    /// Sorts the buffer and appends it to the scratch file as one run.
    pub(super) fn spill(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.buffer.sort_unstable();
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            None => self.scratch.insert(Scratch::create(&self.dir)?),
        };
        for record in &self.buffer {
            scratch.append(record.octets().as_ref())?;
        }
        self.ends.push(scratch.flush()?);
        self.buffer.clear();
        Ok(())
    }

    /// The sorted buffer of a sorter that never spilled.
    pub(super) fn into_memory(mut self) -> Vec<R> {
        debug_assert!(!self.has_spilled());
        self.buffer.sort_unstable();
        self.buffer
    }

    /// Ends the gathering; the records are then read by [`Sorted::merge`].
    pub(super) fn finish(mut self) -> io::Result<Sorted<R>> {
        if !self.has_spilled() {
            return Ok(Sorted::Memory(self.into_memory()));
        }
        self.spill()?;
        let Self { scratch, ends, .. } = self;
        let (file, _) = scratch.ok_or(io::ErrorKind::NotFound)?.into_file()?;
        Ok(Sorted::Runs { file, ends })
    }
}

/// All records, ready to be read in order.
#[derive(Debug)]
pub(super) enum Sorted<R> {
    Memory(Vec<R>),
    Runs { file: File, ends: Vec<u64> },
}

impl<R: Record> Sorted<R> {
    /// Reads the records in ascending order.
    pub(super) fn merge(&self) -> io::Result<Merge<'_, R>> {
        let (file, ends) = match self {
            Self::Memory(records) => return Ok(Merge::Memory(records.iter())),
            Self::Runs { file, ends } => (file, ends),
        };
        let share = (MERGE_OCTETS / ends.len().max(1)).max(MIN_READ);
        let mut heads = BinaryHeap::with_capacity(ends.len());
        let mut runs = Vec::with_capacity(ends.len());
        let mut start = 0;
        for (run, end) in ends.iter().enumerate() {
            let mut reader = RecordReader::new(Stretch::new(file, start, *end), share);
            if let Some(record) = reader.next()? {
                heads.push(Reverse((record, run)));
            }
            runs.push(reader);
            start = *end;
        }
        Ok(Merge::Runs { heads, runs })
    }
}

/// A pass over sorted records.
pub(super) enum Merge<'a, R: Record> {
    Memory(std::slice::Iter<'a, R>),
    Runs { heads: BinaryHeap<Reverse<(R, usize)>>, runs: Vec<RecordReader<'a, R>> },
}

impl<R: Record> Merge<'_, R> {
    /// The next record in ascending order.
    #[inline]
    pub(super) fn next(&mut self) -> io::Result<Option<R>> {
        let (heads, runs) = match self {
            Self::Memory(records) => return Ok(records.next().copied()),
            Self::Runs { heads, runs } => (heads, runs),
        };
        let Some(mut head) = heads.peek_mut() else {
            return Ok(None);
        };
        let Reverse((smallest, run)) = *head;
        match runs[run].next()? {
            Some(record) => *head = Reverse((record, run)),
            None => drop(PeekMut::pop(head)),
        }
        Ok(Some(smallest))
    }
}

/// Reads records from one stretch of a scratch file.
pub(super) struct RecordReader<'a, R: Record> {
    source: Stretch<'a>,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    record: std::marker::PhantomData<R>,
}

impl<'a, R: Record> RecordReader<'a, R> {
    /// Reads with a buffer of about `octets`.
    pub(super) fn new(source: Stretch<'a>, octets: usize) -> Self {
        let width = R::Octets::default().as_ref().len();
        Self {
            source,
            buffer: vec![0; octets / width * width],
            at: 0,
            filled: 0,
            record: std::marker::PhantomData,
        }
    }

    /// The next record in the order of the file.
    #[inline]
    pub(super) fn next(&mut self) -> io::Result<Option<R>> {
        if self.at == self.filled && !self.refill()? {
            return Ok(None);
        }
        let mut octets = R::Octets::default();
        let width = octets.as_ref().len();
        octets.as_mut().copy_from_slice(&self.buffer[self.at..self.at + width]);
        self.at += width;
        Ok(Some(R::from_octets(&octets)))
    }

    #[cold]
    fn refill(&mut self) -> io::Result<bool> {
        self.at = 0;
        self.filled = 0;
        while self.filled < self.buffer.len() {
            match self.source.read(&mut self.buffer[self.filled..])? {
                0 => break,
                got => self.filled += got,
            }
        }
        Ok(self.filled > 0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::dedup::Entry;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_records_come_back_sorted_whatever_the_memory(
            numbers in proptest::collection::vec(0_u64..50, 0..200), capacity in 1_usize..40,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(dir.path(), capacity);
            let mut wanted: Vec<Entry> = (0_u32..).zip(&numbers).map(|(line, &number)| Entry { number, line }).collect();
            for entry in &wanted {
                sorter.push(*entry).unwrap();
                prop_assert!(sorter.buffer.capacity() <= capacity);
            }
            prop_assert_eq!(sorter.has_spilled(), numbers.len() > capacity);
            let sorted = sorter.finish().unwrap();
            let mut merge = sorted.merge().unwrap();
            let mut got = Vec::new();
            while let Some(entry) = merge.next().unwrap() {
                got.push(entry);
            }
            wanted.sort_unstable();
            prop_assert_eq!(got, wanted);
        }
    }
}
