//! How long audit events are kept: which of the settings made so far is in force.
//!
//! A longer time counts at once, a shorter one only when it has stood for a week: nobody can make a log forget today
//! what happened yesterday.

use crate::model::Settings;
use jiff::{SignedDuration, Timestamp};

/// How long a shorter time has to stand before it counts.
pub const RETENTION_WAIT: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Settings {
    /// Keeps audit events for `days` from now on; what held until now is remembered while it still counts.
    pub fn keep_audit(&mut self, days: u32, now: Timestamp) {
        let before = self.audit_retention_days;
        self.audit_retention_days = days;
        if before > days {
            let until = now.checked_add(RETENTION_WAIT).unwrap_or(Timestamp::MAX);
            self.audit_retention_before.push((before, until));
        }
        // A shorter one that ends sooner says nothing beside a longer one, so that the list never grows long.
        let all = self.audit_retention_before.clone();
        let is_outlived = |(days, until): &(u32, Timestamp)| {
            all.iter()
                .any(|(longer, later)| (longer, later) > (days, until) && longer >= days && later >= until)
        };
        self.audit_retention_before.retain(|entry| entry.1 > now && !is_outlived(entry));
        self.audit_retention_before.dedup();
    }

    /// The days in force at `now`: the longest of all that held at any time within the last week.
    #[must_use]
    pub fn audit_retention_in_force(&self, now: Timestamp) -> u32 {
        let before = self.audit_retention_before.iter().filter(|(_, until)| *until > now);
        before.map(|(days, _)| *days).fold(self.audit_retention_days, u32::max)
    }
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

    /// 90 days, then what was set on each day.
    fn set(changes: &[(i64, u32)]) -> Settings {
        let mut settings = Settings { audit_retention_days: 90, ..Settings::default() };
        changes.iter().for_each(|(at, days)| settings.keep_audit(*days, day(*at)));
        settings
    }

    #[test]
    fn a_longer_time_counts_at_once() {
        assert_eq!(set(&[(10, 365)]).audit_retention_in_force(day(10)), 365);
        assert!(set(&[(10, 365)]).audit_retention_before.is_empty());
    }

    #[test]
    fn a_shorter_time_counts_after_a_week() {
        let settings = set(&[(10, 30)]);
        assert_eq!(settings.audit_retention_in_force(day(10)), 90);
        assert_eq!(settings.audit_retention_in_force(day(17) - SignedDuration::from_nanos(1)), 90);
        assert_eq!(settings.audit_retention_in_force(day(17)), 30);
    }

    #[test]
    fn each_step_of_a_way_down_waits_for_itself() {
        let settings = set(&[(10, 30), (16, 20)]);
        assert_eq!([16, 17, 23].map(|n| settings.audit_retention_in_force(day(n))), [90, 30, 20]);
    }

    #[test]
    fn a_short_time_taken_back_within_the_week_never_counted() {
        let settings = set(&[(10, 1), (16, 90)]);
        assert!((16..40).all(|n| settings.audit_retention_in_force(day(n)) == 90));
        let settings = set(&[(10, 365), (11, 90)]);
        assert_eq!([17, 18].map(|n| settings.audit_retention_in_force(day(n))), [365, 90]);
    }

    #[test]
    fn the_memory_of_many_changes_stays_short() {
        let changes: Vec<(i64, u32)> =
            (0..1_000).map(|n| (n / 500, if n % 2 == 0 { 30 } else { 90 })).collect();
        let settings = set(&changes);
        assert_eq!(settings.audit_retention_before, [(90, day(8))]);
        assert_eq!(set(&[(1, 30), (20, 40)]).audit_retention_before, []);
    }

    #[test]
    fn a_time_beyond_all_time_lets_nothing_expire() {
        assert_eq!(expired_before(90, day(100)), day(10));
        assert_eq!(expired_before(u32::MAX, day(100)), Timestamp::MIN);
    }
}
