//! What is measured of requests: how long they took, by route, method and status.

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
}

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
