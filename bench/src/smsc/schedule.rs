//! Things that fall due later: buckets of a fixed width in order of time, each in order of arrival.
//!
//! One burst of responses or receipts shares one bucket, so an entry costs a push and not a heap operation.
//! Nothing is ever later than asked; it may be up to one width early.

use std::collections::BTreeMap;

/// Emptied buckets kept for reuse.
const SPARE_LIMIT: usize = 64;

/// Entries ordered by due time with a resolution of `WIDTH_US`.
#[derive(Debug)]
pub(crate) struct Schedule<T, const WIDTH_US: u64> {
    buckets: BTreeMap<u64, Vec<T>>,
    spare: Vec<Vec<T>>,
}

impl<T, const WIDTH_US: u64> Default for Schedule<T, WIDTH_US> {
    fn default() -> Self {
        Self { buckets: BTreeMap::new(), spare: Vec::new() }
    }
}

impl<T, const WIDTH_US: u64> Schedule<T, WIDTH_US> {
    /// Adds `entry`, due at `due_us`.
    pub(crate) fn push(&mut self, due_us: u64, entry: T) {
        let spare = &mut self.spare;
        let bucket = self.buckets.entry(due_us / WIDTH_US).or_insert_with(|| spare.pop().unwrap_or_default());
        bucket.push(entry);
    }

    /// Takes the earliest bucket if it is due at `now_us`; hand it back with [`Schedule::recycle`].
    pub(crate) fn pop_due(&mut self, now_us: u64) -> Option<Vec<T>> {
        let first = self.buckets.first_entry()?;
        if *first.key() > now_us / WIDTH_US {
            return None;
        }
        Some(first.remove())
    }

    /// Keeps the allocation of an emptied bucket.
    pub(crate) fn recycle(&mut self, mut bucket: Vec<T>) {
        if self.spare.len() < SPARE_LIMIT {
            bucket.clear();
            self.spare.push(bucket);
        }
    }

    /// Start of the earliest bucket in us, `None` when nothing waits.
    pub(crate) fn next_us(&self) -> Option<u64> {
        self.buckets.first_key_value().map(|(key, _)| key * WIDTH_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_by_time_then_by_arrival() {
        let mut schedule = Schedule::<char, 100>::default();
        schedule.push(5_000, 'c');
        schedule.push(1_000, 'a');
        schedule.push(1_050, 'b');
        assert_eq!(schedule.next_us(), Some(1_000));
        assert_eq!(schedule.pop_due(999), None);
        let bucket = schedule.pop_due(1_000).expect("due");
        assert_eq!(bucket, ['a', 'b']);
        schedule.recycle(bucket);
        assert_eq!(schedule.pop_due(4_999), None);
        assert_eq!(schedule.pop_due(5_000), Some(vec!['c']));
        assert_eq!(schedule.next_us(), None);
    }
}
