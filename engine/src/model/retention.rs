//! How long audit events are kept: which of the settings made so far is in force.
//!
//! A longer time counts at once, a shorter one only when it has stood for a week: nobody can make a log forget today
//! what happened yesterday.

use jiff::{SignedDuration, Timestamp};

/// How long a shorter time has to stand before it counts.
pub const RETENTION_WAIT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Days that audit events are kept unless somebody says otherwise.
pub const RETENTION_DAYS: u32 = 90;

/// A setting that somebody made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionChange {
    /// When.
    pub at: Timestamp,
    /// How many days from then on.
    pub days: u32,
}

/// The days in force at `now`: the longest of all that held at any time within the last week. `first` held before
/// all `changes`, which come in order of time; those behind `now` do not count.
#[must_use]
pub fn retention_in_force(first: u32, changes: &[RetentionChange], now: Timestamp) -> u32 {
    let mut longest = first;
    for change in changes.iter().take_while(|change| change.at <= now) {
        let has_stood = now.duration_since(change.at) >= RETENTION_WAIT;
        longest = if has_stood { change.days } else { longest.max(change.days) };
    }
    longest
}

/// What may be dropped at `now`: all that happened before. Nothing, when the days reach back beyond all time.
#[must_use]
pub fn expired_before(days: u32, now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(n * 24)
    }

    fn at(first: u32, changes: &[(i64, u32)], now: Timestamp) -> u32 {
        let changes: Vec<_> =
            changes.iter().map(|(at, days)| RetentionChange { at: day(*at), days: *days }).collect();
        retention_in_force(first, &changes, now)
    }

    #[test]
    fn a_longer_time_counts_at_once() {
        assert_eq!(at(90, &[(10, 365)], day(10)), 365);
        assert_eq!(at(90, &[(10, 365)], day(10) - SignedDuration::from_nanos(1)), 90);
    }

    #[test]
    fn a_shorter_time_counts_after_a_week() {
        let changes = [(10, 30)];
        assert_eq!(at(90, &changes, day(10)), 90);
        assert_eq!(at(90, &changes, day(17) - SignedDuration::from_nanos(1)), 90);
        assert_eq!(at(90, &changes, day(17)), 30);
        assert_eq!(at(90, &[], day(17)), 90);
    }

    #[test]
    fn each_step_of_a_way_down_waits_for_itself() {
        let changes = [(10, 30), (16, 20)];
        assert_eq!(
            [at(90, &changes, day(16)), at(90, &changes, day(17)), at(90, &changes, day(23))],
            [90, 30, 20]
        );
    }

    #[test]
    fn a_short_time_taken_back_within_the_week_never_counted() {
        let changes = [(10, 1), (16, 90)];
        assert!((10..40).all(|now| at(90, &changes, day(now)) == 90));
        let up_and_down = [(10, 365), (11, 90)];
        assert_eq!([at(90, &up_and_down, day(17)), at(90, &up_and_down, day(18))], [365, 90]);
    }

    #[test]
    fn a_time_beyond_all_time_lets_nothing_expire() {
        assert_eq!(expired_before(90, day(100)), day(10));
        assert_eq!(expired_before(u32::MAX, day(100)), Timestamp::MIN);
    }
}
