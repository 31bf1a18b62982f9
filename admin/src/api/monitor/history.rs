//! What channels did in the last 24 hours: one sample each ten seconds, in memory, bounded. Pure.
//!
//! A sample belongs to a slot of wall time, so that a process that stood still leaves a hole and no wrong time.

use std::collections::VecDeque;

/// Length of a slot, seconds.
pub(crate) const STEP_S: u64 = 10;
/// Slots that are kept: 24 hours.
pub(crate) const CAPACITY: usize = 8_640;
/// Most points of a series that is cut.
const MAX_POINTS: u64 = 720;

/// How several samples become one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fold {
    Mean,
    Least,
    Greatest,
}

/// What is sampled, in the order of [`Sample`].
const SERIES: [(&str, Fold); 9] = [
    ("submitted_per_s", Fold::Mean),
    ("accepted_per_s", Fold::Mean),
    ("refused_per_s", Fold::Mean),
    ("throttled_per_s", Fold::Mean),
    ("in_flight", Fold::Mean),
    ("waiting", Fold::Mean),
    ("binds_up", Fold::Least),
    ("p50_ms", Fold::Mean),
    ("p99_ms", Fold::Greatest),
];

/// Series that tell nothing about how much anybody sends.
pub(crate) const HEALTH: [&str; 3] = ["binds_up", "p50_ms", "p99_ms"];

/// One channel in one slot, in the order of [`SERIES`]; not a number where nothing is known.
pub(crate) type Sample = [f32; SERIES.len()];

/// A series: its name and its points, `None` where nothing is known.
pub(crate) type Series = (&'static str, Vec<Option<f64>>);

/// The samples of all channels.
#[derive(Debug, Default)]
pub(crate) struct History {
    newest: u64,
    slots: VecDeque<Vec<Sample>>,
}

/// Which part of a history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The first slot.
    first: u64,
    /// Slots of one point.
    every: u64,
    /// Points.
    pub(crate) points: u64,
}

impl Cut {
    /// When the first point begins, seconds since 1970.
    pub(crate) fn from_s(self) -> u64 {
        self.first * STEP_S
    }

    /// Seconds of one point.
    pub(crate) fn step_s(self) -> u64 {
        self.every * STEP_S
    }
}

impl History {
    /// Whether a sample of this slot is wanted.
    pub(crate) fn lacks(&self, slot: u64) -> bool {
        self.slots.is_empty() || slot > self.newest
    }

    /// Adds the samples of all channels; a slot that is not behind the newest one is left out.
    pub(crate) fn push(&mut self, slot: u64, samples: Vec<Sample>) {
        if !self.lacks(slot) {
            return;
        }
        let holes = if self.slots.is_empty() { 0 } else { slot - self.newest - 1 };
        if holes >= CAPACITY as u64 {
            self.slots.clear();
        } else {
            (0..holes).for_each(|_| self.slots.push_back(Vec::new()));
        }
        self.slots.push_back(samples);
        self.newest = slot;
        while self.slots.len() > CAPACITY {
            self.slots.pop_front();
        }
    }

    /// The last minutes with at most [`MAX_POINTS`] points, or everything as it was sampled. Points begin at multiples
    /// of their length, so that the same time gives the same points.
    pub(crate) fn cut(&self, minutes: Option<u64>) -> Cut {
        let held = self.slots.len() as u64;
        let slots = minutes.map_or(held, |minutes| (minutes * 60 / STEP_S).min(held));
        let every = minutes.map_or(1, |_| slots.div_ceil(MAX_POINTS).max(1));
        let points = slots.div_ceil(every);
        let last = self.newest / every;
        Cut { first: (last + 1).saturating_sub(points) * every, every, points }
    }

    /// The series of the channel at this place.
    pub(crate) fn series(&self, channel: usize, cut: Cut) -> Vec<Series> {
        let oldest = (self.newest + 1).saturating_sub(self.slots.len() as u64);
        let sample = |slot: u64| {
            let at = usize::try_from(slot.checked_sub(oldest)?).ok()?;
            self.slots.get(at)?.get(channel)
        };
        let one = |(at, (name, fold)): (usize, &(&'static str, Fold))| {
            let point = |point: u64| {
                let first = cut.first + point * cut.every;
                let known = (first..first + cut.every).filter_map(sample).map(|sample| f64::from(sample[at]));
                folded(*fold, known.filter(|value| value.is_finite()))
            };
            (*name, (0..cut.points).map(point).collect())
        };
        SERIES.iter().enumerate().map(one).collect()
    }
}

/// One point, rounded to hundredths.
fn folded(fold: Fold, known: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count, mut least, mut greatest) = (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    for value in known {
        sum += value;
        count += 1.0;
        least = least.min(value);
        greatest = greatest.max(value);
    }
    let value = match fold {
        Fold::Mean => sum / count,
        Fold::Least => least,
        Fold::Greatest => greatest,
    };
    (count > 0.0).then(|| (value * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(slots: std::ops::Range<u64>) -> History {
        let mut history = History::default();
        slots.for_each(|slot| history.push(slot, vec![[slot as f32; 9]]));
        history
    }

    #[test]
    fn a_day_is_kept_and_no_more() {
        let history = filled(100..100 + 9_000);
        let cut = history.cut(None);
        assert_eq!((cut.points, cut.step_s()), (CAPACITY as u64, STEP_S));
        assert_eq!(cut.from_s(), (9_100 - CAPACITY as u64) * STEP_S);
        let series = history.series(0, cut);
        assert_eq!(series[0].1.last(), Some(&Some(9_099.0)));
        assert!(
            series.iter().all(|(_, points)| points.len() == CAPACITY && points.iter().all(Option::is_some))
        );
    }

    #[test]
    fn a_cut_day_has_720_points_and_fewer_minutes_are_not_thinned() {
        let history = filled(1_000..10_000);
        let day = history.cut(Some(1_440));
        assert_eq!((day.points, day.step_s()), (720, 120));
        let hour = history.cut(Some(60));
        assert_eq!((hour.points, hour.step_s(), hour.from_s()), (360, 10, 9_640 * STEP_S));
        let all = history.series(0, day);
        // Slots 9996 to 9999 are in the last point, whose time has not passed yet.
        assert_eq!(all[0].1.last(), Some(&Some(9_997.5)));
        assert_eq!(all[6].1.last(), Some(&Some(9_996.0)));
        assert_eq!(all[8].1.last(), Some(&Some(9_999.0)));
    }

    #[test]
    fn a_hole_stays_a_hole_and_time_never_runs_back() {
        let mut history = filled(5..7);
        history.push(9, vec![[f32::NAN; 9]]);
        history.push(8, vec![[1.0; 9]]);
        let points = &history.series(0, history.cut(None))[0].1;
        assert_eq!(*points, [Some(5.0), Some(6.0), None, None, None]);
        history.push(9 + 1_000_000, vec![[2.0; 9]]);
        assert_eq!(history.series(0, history.cut(None))[0].1, [Some(2.0)]);
        assert_eq!(History::default().cut(Some(5)).points, 0);
    }
}
