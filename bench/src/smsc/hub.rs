//! What the sessions of one simulator share: settings, accounts, message ids, the rate limit, counts, the ledger.
//!
//! A session locks the hub once per burst of octets, never per message. No clock and no IO here: `now_us` comes
//! from the session's driver, text lines of the ledger are taken away by the writer thread.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pdu::CommandStatus;
use tokio::sync::Notify;

use super::account::Account;
use super::config::{Config, ReceiptFields};
use super::fault::{Fault, FaultError, FaultPlan};
use super::ids::{IdForm, MessageId, mix};
use super::ledger::{Book, Ledger, LedgerKind};
use super::mobile::{Mobile, MobileMessage};
use super::receipt::ReceiptStyle;
use super::stats::Stats;

/// A connection as the hub knows it.
#[derive(Debug)]
struct Door {
    bell: Arc<Notify>,
    doomed: bool,
}

/// A hasher for keys that are mixed already; fixed, so that runs repeat.
#[derive(Debug, Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = mix(self.0 ^ u64::from(*octet));
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// Which parts of the work a submit needs; worked out once per change of settings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// Nothing but a response with a hexadecimal id, at once.
    pub(crate) only_response: bool,
    /// Somebody wants the body's fields.
    pub(crate) body: bool,
}

/// Shared state of the sessions of one simulator.
#[derive(Debug)]
pub struct Hub {
    pub(crate) config: Config,
    pub(crate) plan: FaultPlan,
    pub(crate) needs: Needs,
    pub(crate) stats: Stats,
    pub(crate) book: Book,
    pub(crate) accounts: Vec<Account>,
    names: BTreeMap<Vec<u8>, usize>,
    doors: BTreeMap<u32, Door>,
    next_connection: u32,
    issued: u64,
    already_bound: u64,
    rate: RateLimit,
    seen: HashSet<u64, BuildHasherDefault<Mixed>>,
    fault_counts: [u64; Fault::KINDS],
    pub(crate) mobile: Mobile,
}

impl Hub {
    /// A hub with no sessions.
    ///
    /// # Errors
    /// When the faults contradict each other or want receipts that are off.
    pub fn new(config: Config) -> Result<Arc<Mutex<Self>>, FaultError> {
        let book = match config.ledger {
            LedgerKind::Off => Book::Off,
            LedgerKind::Memory => Book::Memory(Ledger::default()),
            LedgerKind::File(_) => Book::Text(Vec::new()),
        };
        let mut hub = Self {
            config: Config::default(),
            plan: FaultPlan::default(),
            needs: Needs::default(),
            stats: Stats::default(),
            book,
            accounts: Vec::new(),
            names: BTreeMap::new(),
            doors: BTreeMap::new(),
            next_connection: 1,
            issued: 0,
            already_bound: 0,
            rate: RateLimit::default(),
            seen: HashSet::default(),
            fault_counts: [0; Fault::KINDS],
            mobile: Mobile::default(),
        };
        hub.set_config(config)?;
        Ok(Arc::new(Mutex::new(hub)))
    }

    /// Changes settings while sessions run: from the next burst on they hold. The ledger's kind stays.
    ///
    /// # Errors
    /// As [`Hub::new`]; nothing changes then.
    pub fn set_config(&mut self, config: Config) -> Result<(), FaultError> {
        let plan = FaultPlan::new(&config.faults)?;
        match &config.receipts {
            None => FaultPlan::refuse_receipt_faults(&config.faults)?,
            Some(receipts) if !receipts.states.is_sound() => return Err(FaultError::BadStateShares),
            Some(_) => {}
        }
        if plan.already_bound != self.plan.already_bound {
            self.already_bound = plan.already_bound;
        }
        let body = self.book.is_on() || config.receipts.is_some() || config.count_duplicates;
        let plain = config.latency_us == 0
            && config.jitter_us == 0
            && config.rate_per_s == 0
            && config.id_form == IdForm::Hex;
        self.needs = Needs { only_response: plain && !body && !plan.touches_submits(), body };
        if config.rate_per_s != self.config.rate_per_s {
            self.rate = RateLimit::new(config.rate_per_s);
        }
        self.plan = plan;
        self.config = config;
        Ok(())
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A copy of the counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        for fault in Fault::all() {
            let count = self.fault_counts[fault.index()];
            if count > 0 {
                stats.faults.insert(fault.name(), count);
            }
        }
        stats
    }

    /// Receipts that wait or are unacknowledged, over all accounts.
    #[must_use]
    pub fn receipts_stored(&self) -> usize {
        self.accounts.iter().map(Account::stored).sum()
    }

    /// The ledger in memory, empty for the other kinds.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        if let Book::Memory(ledger) = &self.book { Some(ledger) } else { None }
    }

    /// Takes the ledger's entries so far away.
    pub fn take_ledger(&mut self) -> Ledger {
        if let Book::Memory(ledger) = &mut self.book { std::mem::take(ledger) } else { Ledger::default() }
    }

    /// Dooms every connection: each closes at its next poll, without a farewell.
    pub fn drop_connections(&mut self) {
        for door in self.doors.values_mut() {
            door.doomed = true;
            door.bell.notify_one();
        }
    }

    /// Puts a message from a handset in, for the next session that receives.
    pub fn put_mobile(&mut self, message: MobileMessage) {
        self.mobile.put(message);
        for door in self.doors.values() {
            door.bell.notify_one();
        }
    }

    /// Connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.doors.len()
    }

    pub(crate) fn enter(&mut self, bell: Arc<Notify>) -> u32 {
        let connection = self.next_connection;
        self.next_connection += 1;
        self.stats.connections += 1;
        self.doors.insert(connection, Door { bell, doomed: false });
        connection
    }

    pub(crate) fn leave(&mut self, connection: u32) {
        self.doors.remove(&connection);
    }

    pub(crate) fn is_doomed(&self, connection: u32) -> bool {
        self.doors.get(&connection).is_none_or(|door| door.doomed)
    }

    /// The account of `system_id`, made at its first bind.
    pub(crate) fn account_of(&mut self, system_id: &[u8]) -> usize {
        if let Some(index) = self.names.get(system_id) {
            return *index;
        }
        let index = self.accounts.len();
        self.accounts.push(Account::default());
        self.names.insert(system_id.to_vec(), index);
        index
    }

    /// Makes a bound session known to its account as able to receive.
    pub(crate) fn enter_receiver(&mut self, account: usize, connection: u32) {
        if let Some(door) = self.doors.get(&connection) {
            self.accounts[account].enter(connection, Arc::clone(&door.bell));
        }
    }

    /// The next message id.
    #[inline]
    pub(crate) fn issue_id(&mut self) -> MessageId {
        let number = self.config.first_id.wrapping_add(self.issued);
        self.issued += 1;
        MessageId::issue(number, self.config.id_form)
    }

    /// Whether the rate allows one more submit.
    pub(crate) fn rate_allows(&mut self, now_us: u64) -> bool {
        self.rate.allows(now_us)
    }

    /// Uses up one refusal of `already_bound`, if any is left.
    pub(crate) fn take_already_bound(&mut self) -> bool {
        let left = self.already_bound > 0;
        self.already_bound = self.already_bound.saturating_sub(1);
        left
    }

    pub(crate) fn count_fault(&mut self, fault: Fault) {
        self.fault_counts[fault.index()] += 1;
    }

    pub(crate) fn count_refused(&mut self, status: CommandStatus) {
        *self.stats.refused.entry(status.0).or_default() += 1;
    }

    /// Counts an accepted (destination, part) that was accepted before.
    pub(crate) fn note_accepted(&mut self, destination: u64, part: u8) {
        if !self.seen.insert(mix(destination ^ u64::from(part) << 56)) {
            self.stats.duplicates += 1;
        }
    }

    /// Lines of the text ledger that wait for the writer thread, swapped for the empty `spare`.
    pub(crate) fn swap_lines(&mut self, spare: &mut Vec<u8>) {
        if let Book::Text(lines) = &mut self.book {
            std::mem::swap(lines, spare);
        }
    }

    /// Octets of text ledger that wait.
    pub(crate) fn lines_waiting(&self) -> usize {
        if let Book::Text(lines) = &self.book { lines.len() } else { 0 }
    }

    pub(crate) fn receipt_style(&self) -> ReceiptStyle {
        let fields = self.config.receipts.as_ref().map_or(ReceiptFields::Both, |receipts| receipts.fields);
        ReceiptStyle { form: self.config.id_form, fields, start_unix_s: self.config.start_unix_s }
    }
}

/// Locks a hub; a panic in another session does not make its counts unreadable.
pub(crate) fn lock(hub: &Mutex<Hub>) -> MutexGuard<'_, Hub> {
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

/// GCRA over all sessions with a burst of a tenth of a second, at least one message.
#[derive(Debug, Default)]
struct RateLimit {
    /// Time between two submits in nanoseconds, 0 for no limit.
    interval_ns: u64,
    burst_ns: u64,
    next_ns: u64,
}

impl RateLimit {
    fn new(rate_per_s: u32) -> Self {
        let interval_ns = 1_000_000_000_u64.checked_div(u64::from(rate_per_s)).unwrap_or(0);
        Self { interval_ns, burst_ns: 100_000_000_u64.saturating_sub(interval_ns), next_ns: 0 }
    }

    fn allows(&mut self, now_us: u64) -> bool {
        if self.interval_ns == 0 {
            return true;
        }
        let now_ns = now_us * 1_000;
        if self.next_ns > now_ns + self.burst_ns {
            return false;
        }
        self.next_ns = self.next_ns.max(now_ns) + self.interval_ns;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_limit_lets_exactly_its_rate_through() {
        let mut limit = RateLimit::new(1_000);
        let allowed = (0..1_000_000).step_by(100).filter(|now_us| limit.allows(*now_us)).count();
        assert!((1_000..=1_100).contains(&allowed), "{allowed} in one second");
        let mut slow = RateLimit::new(2);
        let allowed = (0..10).filter(|second| slow.allows(second * 100_000)).count();
        assert_eq!(allowed, 2);
    }
}
