//! Failed logins: when an account is locked, and when an address has failed too often. All in memory, no clock.
//!
//! Three failures without a success in between lock an account for [`LOCK`] from the third one. While it is locked no
//! password is tested and nothing prolongs it; then it starts anew. Emails without an account count like all others,
//! so that nothing tells which accounts exist. A restart forgets everything. No lock ends a login that is open.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Failures that lock an account.
const FAILURES: u32 = 3;
/// For how long.
const LOCK: Duration = Duration::from_secs(60);
/// Failures of one address within [`BURST`]; an office behind one address makes fewer.
const ADDRESS_FAILURES: u32 = 20;
/// The time in which they are counted, from the first one.
const BURST: Duration = Duration::from_secs(60);
/// Emails remembered. Every one cost a hash of some 10 ms, so by the time that this many newer ones push one out, its
/// lock has long ended: pushing it out gains less than waiting.
const MAX_EMAILS: usize = 20_000;
/// Addresses remembered; somebody who has more is not held by this limit anyway.
const MAX_ADDRESSES: usize = 20_000;

/// Why a login is not tried, or not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// The account is locked this long.
    Locked(Duration),
    /// The address has failed too often; it may try again after this long.
    Flooding(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Account {
    failures: u32,
    last: Duration,
    locked_until: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    began: Duration,
    failures: u32,
}

/// All failures that count. Times are those of a clock that never goes back.
#[derive(Debug, Default)]
pub(crate) struct Lockout {
    accounts: HashMap<String, Account>,
    addresses: HashMap<IpAddr, Burst>,
}

impl Lockout {
    /// Whether a password may be tested.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self, email: &str, from: Option<IpAddr>, now: Duration) -> Result<(), Barred> {
        if let Some(burst) = from.and_then(|from| self.addresses.get(&network(from))) {
            let until = burst.began + BURST;
            if burst.failures >= ADDRESS_FAILURES && now < until {
                return Err(Barred::Flooding(until - now));
            }
        }
        self.check_account(email, now)
    }

    /// A password was right. Others may have failed while it was tested: then it does not count.
    ///
    /// # Errors
    /// The account has been locked in the meantime.
    pub(crate) fn succeeded(&mut self, email: &str, now: Duration) -> Result<(), Barred> {
        self.check_account(email, now)?;
        self.accounts.remove(email);
        Ok(())
    }

    /// A password was wrong; tells whether this failure has locked the account.
    ///
    /// # Errors
    /// The account was locked in the meantime, and the failure does not count.
    pub(crate) fn failed(
        &mut self,
        email: &str,
        from: Option<IpAddr>,
        now: Duration,
    ) -> Result<bool, Barred> {
        if let Some(from) = from {
            self.count(network(from), now);
        }
        self.check_account(email, now)?;
        if self.accounts.len() >= MAX_EMAILS && !self.accounts.contains_key(email) {
            forget_oldest(&mut self.accounts, |account| account.last);
        }
        let new = Account { failures: 0, last: now, locked_until: None };
        let account = self.accounts.entry(email.to_owned()).or_insert(new);
        if account.locked_until.is_some() {
            // The lock has ended: it starts anew.
            *account = new;
        }
        account.failures += 1;
        account.last = now;
        let is_locked = account.failures >= FAILURES;
        account.locked_until = is_locked.then(|| now + LOCK);
        Ok(is_locked)
    }

    fn check_account(&self, email: &str, now: Duration) -> Result<(), Barred> {
        match self.accounts.get(email).and_then(|account| account.locked_until) {
            Some(until) if now < until => Err(Barred::Locked(until - now)),
            _ => Ok(()),
        }
    }

    fn count(&mut self, from: IpAddr, now: Duration) {
        if self.addresses.len() >= MAX_ADDRESSES && !self.addresses.contains_key(&from) {
            forget_oldest(&mut self.addresses, |burst| burst.began);
        }
        let burst = self.addresses.entry(from).or_insert(Burst { began: now, failures: 0 });
        if now >= burst.began + BURST {
            *burst = Burst { began: now, failures: 0 };
        }
        burst.failures += 1;
    }
}

/// What one client can choose freely: of an IPv6 address the lower half.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

fn forget_oldest<K: Clone + Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, age: impl Fn(&V) -> Duration) {
    let oldest = map.iter().min_by_key(|(_, value)| age(value)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        map.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "ann@example.com";

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn address(n: u32) -> Option<IpAddr> {
        Some(IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn the_third_failure_locks_for_a_minute_and_nothing_prolongs_it() {
        let mut lockout = Lockout::default();
        for (second, locks) in [(0, false), (100, false), (200, true)] {
            assert_eq!(lockout.check(ANN, None, at(second)), Ok(()));
            assert_eq!(lockout.failed(ANN, None, at(second)), Ok(locks));
        }
        for second in [200, 230, 259] {
            let left = Err(Barred::Locked(at(260 - second)));
            assert_eq!(lockout.check(ANN, None, at(second)), left);
            assert_eq!(lockout.succeeded(ANN, at(second)), left.map(|()| ()), "the right password at +59 s");
            assert_eq!(lockout.failed(ANN, None, at(second)), left.map(|()| false));
        }
        assert_eq!(lockout.check(ANN, None, at(261)), Ok(()));
        assert_eq!(lockout.succeeded(ANN, at(261)), Ok(()));
        assert!(lockout.accounts.is_empty());
    }

    #[test]
    fn after_a_lock_three_more_failures_are_needed_and_a_success_clears_them() {
        let mut lockout = Lockout::default();
        let mut fail = |second| lockout.failed(ANN, None, at(second));
        assert_eq!([0, 1, 2, 62, 63].map(&mut fail), [Ok(false), Ok(false), Ok(true), Ok(false), Ok(false)]);
        assert_eq!(lockout.succeeded(ANN, at(64)), Ok(()));
        let mut fail = |second| lockout.failed(ANN, None, at(second));
        assert_eq!([65, 66, 67].map(&mut fail), [Ok(false), Ok(false), Ok(true)]);
        assert_eq!(lockout.check("bob@example.com", None, at(67)), Ok(()), "nobody else is locked");
    }

    #[test]
    fn an_address_that_fails_too_often_waits_for_its_minute_to_end() {
        let mut lockout = Lockout::default();
        for n in 0..ADDRESS_FAILURES {
            assert_eq!(lockout.failed(&format!("{n}@example.com"), address(1), at(10)), Ok(false));
        }
        assert_eq!(lockout.check(ANN, address(1), at(30)), Err(Barred::Flooding(at(40))));
        assert_eq!(lockout.check(ANN, address(2), at(30)), Ok(()));
        assert_eq!(lockout.check(ANN, address(1), at(70)), Ok(()));
        let v6 = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        for _ in 0..ADDRESS_FAILURES {
            let _ = lockout.failed("x@example.com", v6("2001:db8::1"), at(100));
        }
        assert!(lockout.check(ANN, v6("2001:db8::2"), at(101)).is_err(), "one client has many of these");
        assert!(lockout.check(ANN, v6("2001:db8:0:1::1"), at(101)).is_ok());
    }

    #[test]
    fn a_flood_of_emails_and_addresses_is_bounded_and_pushes_out_the_oldest_first() {
        let mut lockout = Lockout::default();
        let mut n = 0;
        for second in 0..10 {
            for _ in 0..MAX_EMAILS / 8 {
                n += 1;
                let _ = lockout.failed(&format!("{n}@example.com"), address(n), at(second));
            }
            if second == 5 {
                for _ in 0..FAILURES {
                    let _ = lockout.failed(ANN, None, at(second));
                }
            }
        }
        assert_eq!((lockout.accounts.len(), lockout.addresses.len()), (MAX_EMAILS, MAX_ADDRESSES));
        assert!(lockout.check(ANN, None, at(9)).is_err(), "what is locked is not the oldest");
    }
}
