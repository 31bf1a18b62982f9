//! Units that were refused for a while, in the order of the time from which they may be tried again.
//!
//! Nothing is dropped: when more than [`MAX_LATER`] units wait, the supply gives nothing fresh until some are due.
//! Never reads a clock.

use crate::dispatch::supply::Slice;
use std::collections::BTreeMap;

/// Delayed units of a campaign beyond which nothing fresh is given: at a slice of one unit each they take 5 MiB.
pub(crate) const MAX_LATER: u64 = 65_536;

/// Delayed slices by the moment from which they may be tried, microseconds of the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Later {
    by_due: BTreeMap<u64, Vec<Slice>>,
    units: u64,
}

impl Later {
    /// Keeps slices until `due_us`.
    pub(crate) fn add(&mut self, slices: Vec<Slice>, due_us: u64) {
        self.units += slices.iter().map(|s| u64::from(s.count)).sum::<u64>();
        self.by_due.entry(due_us).or_default().extend(slices);
    }

    /// Takes the slices that are due next, if it is time.
    pub(crate) fn take_due(&mut self, now_us: u64) -> Option<Vec<Slice>> {
        let first = self.by_due.first_entry().filter(|first| *first.key() <= now_us)?;
        let slices = first.remove();
        self.units -= slices.iter().map(|s| u64::from(s.count)).sum::<u64>();
        Some(slices)
    }

    /// Everything that waits.
    pub(crate) fn slices_mut(&mut self) -> impl Iterator<Item = &mut Slice> {
        self.by_due.values_mut().flatten()
    }

    /// When the first of them is due.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        self.by_due.first_key_value().map(|(due_us, _)| *due_us)
    }

    /// Whether so many wait that nothing fresh may be given.
    pub(crate) fn is_full(&self) -> bool {
        self.units > MAX_LATER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::supply::tests::slice;

    #[test]
    fn what_is_due_comes_in_order_of_time_and_of_arrival() {
        let mut later = Later::default();
        later.add(vec![slice(0, 0, 2)], 500);
        later.add(vec![slice(1, 0, 3)], 100);
        later.add(vec![slice(2, 0, 4)], 500);
        assert_eq!((later.next_due_us(), later.take_due(99).is_none()), (Some(100), true));
        let mut order = Vec::new();
        while let Some(slices) = later.take_due(500) {
            order.extend(slices.iter().map(|s| s.chunk));
        }
        assert_eq!((order, later.next_due_us(), later.units), (vec![1, 0, 2], None, 0));
    }

    #[test]
    fn it_is_full_beyond_its_limit_and_still_takes_everything() {
        let mut later = Later::default();
        for n in 0..4 {
            later.add(vec![slice(n, 0, 16_384)], 7);
        }
        assert!(!later.is_full());
        later.add(vec![slice(9, 0, 1)], 7);
        assert!(later.is_full());
        assert_eq!(later.take_due(7).map(|s| s.len()), Some(5));
        assert!(!later.is_full());
    }
}
