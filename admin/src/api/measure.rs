//! What is measured of requests: how long they took, by route, method and status.

use crate::mail::Ending;
use engine::metrics::{ApiSnapshot, RequestSnapshot};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of `mc_http_request_seconds`, microseconds.
pub(crate) const BOUNDS_US: [u64; 10] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000, 10_000_000];

/// Requests of one route, method and status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    /// How many took at most each of [`BOUNDS_US`] and longer than the one before.
    pub(crate) buckets: [u64; BOUNDS_US.len()],
    /// How many.
    pub(crate) count: u64,
    /// How long all of them took, microseconds.
    pub(crate) sum_us: u64,
}

/// All requests. Its labels are bounded: routes are the registered ones.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    requests: Mutex<BTreeMap<(String, String, u16), Measure>>,
    login_failures: AtomicU64,
    /// In the order of [`Ending::ALL`].
    mails: [AtomicU64; Ending::ALL.len()],
}

impl Measures {
    /// Counts a login that was refused.
    pub(crate) fn login_failure(&self) {
        self.login_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Logins that were refused.
    pub(crate) fn login_failures(&self) -> u64 {
        self.login_failures.load(Ordering::Relaxed)
    }

    /// Counts a mail that came to its end.
    pub(crate) fn mail(&self, ending: Ending) {
        let counters = Ending::ALL.into_iter().zip(&self.mails);
        counters.filter(|(of, _)| *of == ending).for_each(|(_, counter)| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Mails by how they ended.
    pub(crate) fn mails(&self) -> Vec<(&'static str, u64)> {
        let counters = Ending::ALL.into_iter().zip(&self.mails);
        counters.map(|(ending, counter)| (ending.word(), counter.load(Ordering::Relaxed))).collect()
    }

    /// Counts a request.
    pub(crate) fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // A client may make up methods.
        let method = if METHODS.contains(&method) { method } else { "other" };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let measure = requests.entry((route.to_owned(), method.to_owned(), status)).or_default();
        if let Some(bucket) = BOUNDS_US.iter().position(|bound| us <= *bound) {
            measure.buckets[bucket] += 1;
        }
        measure.count += 1;
        measure.sum_us = measure.sum_us.saturating_add(us);
    }

    /// Requests as metrics tell them.
    pub(crate) fn snapshot(&self) -> ApiSnapshot {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |((route, method, status), measure): ((String, String, u16), Measure)| RequestSnapshot {
            route,
            method,
            status,
            buckets: measure.buckets.to_vec(),
            count: measure.count,
            sum_us: measure.sum_us,
        };
        ApiSnapshot { requests: requests.into_iter().map(of).collect(), bounds_us: &BOUNDS_US }
    }
}

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_by_route_method_and_status() {
        let measures = Measures::default();
        for (method, status) in [("POST", 401), ("POST", 200), ("POST", 200), ("BREW", 405)] {
            measures.request("/api/v1/login", method, status, Duration::from_millis(2));
        }
        measures.request("/api/v1/me", "GET", 401, Duration::from_secs(60));
        let told = measures.snapshot();
        assert_eq!(told.requests.len(), 4);
        assert!(told.requests.iter().any(|of| of.method == "other" && of.status == 405));
        let slow = told.requests.iter().find(|of| of.route == "/api/v1/me").expect("it was counted");
        assert_eq!((slow.count, slow.buckets.iter().sum::<u64>(), slow.sum_us), (1, 0, 60_000_000));
    }
}
