//! A journal and a catalog that misbehave to order: test support for the contract suite and the simulation.
//!
//! The journal wraps a real one. Commits settle in the order of their calls, each a fixed time after its call, and end
//! as a plan says; nothing is handed to the wrapped journal before that time. Every other call can be made to fail
//! for a while. Chance comes from the seed in the plan, time from tokio, so that a run can be repeated exactly.

mod catalog;

pub use catalog::FaultCatalog;

use crate::model::{CampaignNo, ChunkNo, ChunkState, NumberHash};
use crate::store::{
    Commit, Header, Journal, RecipientWriter, Recipients, RowSeq, StateSave, StoreError, StoreFuture, Ticket,
};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What becomes of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored, and said so.
    Durable,
    /// Not stored, and said so.
    NotApplied,
    /// Stored, but nobody can tell.
    AmbiguousStored,
    /// Not stored, and nobody can tell.
    AmbiguousLost,
    /// Another owner has taken over; every later commit is fenced as well.
    Fenced,
}

/// Verdicts in order of the calls: first the script, then by chance.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    script: VecDeque<Verdict>,
    seed: u64,
    faults_per_mille: u64,
}

impl FaultPlan {
    /// Verdicts as listed, then all durable.
    pub fn script(verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        Self { script: verdicts.into_iter().collect(), ..Self::default() }
    }

    /// That many of a thousand commits fail, in one of the three ways that leave the journal usable.
    #[must_use]
    pub fn seeded(seed: u64, faults_per_mille: u16) -> Self {
        Self { seed, faults_per_mille: faults_per_mille.into(), ..Self::default() }
    }

    fn next(&mut self) -> Verdict {
        if let Some(verdict) = self.script.pop_front() {
            return verdict;
        }
        let draw = self.draw();
        if draw % 1000 >= self.faults_per_mille {
            return Verdict::Durable;
        }
        match draw / 1000 % 3 {
            0 => Verdict::NotApplied,
            1 => Verdict::AmbiguousStored,
            _ => Verdict::AmbiguousLost,
        }
    }

    /// SplitMix64: equal seeds give equal runs on every platform and version.
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The wrapper.
#[derive(Debug)]
pub struct FaultJournal<J> {
    inner: J,
    delay: Duration,
    flight: Mutex<Flight>,
    /// Held by whoever settles commits, so that they reach the wrapped journal in order.
    order: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Flight {
    plan: FaultPlan,
    saves: FaultPlan,
    tickets: u64,
    waiting: VecDeque<Waiting>,
    settled: BTreeMap<u64, Commit>,
    fenced: bool,
    failing_until: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    seq: RowSeq,
    row: Bytes,
    verdict: Verdict,
    due: Instant,
}

impl<J: Journal> FaultJournal<J> {
    /// Commits settle `delay` after their call as `plan` says.
    pub fn new(inner: J, delay: Duration, plan: FaultPlan) -> Self {
        let flight = Flight {
            plan,
            saves: FaultPlan::default(),
            tickets: 0,
            waiting: VecDeque::new(),
            settled: BTreeMap::new(),
            fenced: false,
            failing_until: None,
        };
        Self { inner, delay, flight: Mutex::new(flight), order: tokio::sync::Mutex::const_new(()) }
    }

    /// The journal that really keeps the rows.
    pub const fn inner(&self) -> &J {
        &self.inner
    }

    /// Replaces the plan for the commits called from now on.
    pub fn plan(&self, plan: FaultPlan) {
        self.flight().plan = plan;
    }

    /// What becomes of the saves of state and the erasures called from now on; all that fail say `Unavailable`, stored or not.
    pub fn plan_saves(&self, plan: FaultPlan) {
        self.flight().saves = plan;
    }

    /// Every call but `commit` is refused as `Unavailable` for that long.
    pub fn fail_calls_for(&self, outage: Duration) {
        self.flight().failing_until = Some(Instant::now() + outage);
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self) -> Result<(), StoreError> {
        match self.flight().failing_until {
            Some(until) if Instant::now() < until => {
                Err(StoreError::Unavailable("an outage made by the fault plan".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Settles waiting commits in order until the ticket's; of a call that was given up nothing is known.
    async fn settle(&self, ticket: u64) -> Commit {
        let _order = self.order.lock().await;
        loop {
            let next = {
                let mut flight = self.flight();
                if let Some(outcome) = flight.settled.remove(&ticket) {
                    return outcome;
                }
                flight.waiting.pop_front()
            };
            let Some(next) = next else { return Commit::Ambiguous };
            let number = next.ticket;
            let outcome = self.perform(next).await;
            self.flight().settled.insert(number, outcome);
        }
    }

    async fn perform(&self, next: Waiting) -> Commit {
        if self.flight().fenced {
            return Commit::Fenced;
        }
        match next.verdict {
            Verdict::Durable => self.inner.commit(next.seq, next.row).await,
            Verdict::NotApplied => Commit::NotApplied,
            Verdict::AmbiguousStored => match self.inner.commit(next.seq, next.row).await {
                Commit::Durable => Commit::Ambiguous,
                other => other,
            },
            Verdict::AmbiguousLost => Commit::Ambiguous,
            Verdict::Fenced => {
                self.flight().fenced = true;
                Commit::Fenced
            }
        }
    }

    /// A save that is stored or not, and says so or not, as the plan of saves says.
    async fn save<'a, T>(
        &'a self,
        save: impl FnOnce(&'a J) -> StoreFuture<'a, T> + Send,
    ) -> Result<T, StoreError> {
        self.refuse()?;
        let failed = || StoreError::Unavailable("a failed save made by the fault plan".to_owned());
        let verdict = self.flight().saves.next();
        let is_stored = matches!(verdict, Verdict::Durable | Verdict::AmbiguousStored);
        let saved = if is_stored { save(&self.inner).await? } else { return Err(failed()) };
        if verdict == Verdict::Durable { Ok(saved) } else { Err(failed()) }
    }

    /// Waits for every commit called so far.
    async fn settle_all(&self) {
        let last = self.flight().waiting.back().map(|last| (last.ticket, last.due));
        if let Some((ticket, due)) = last {
            sleep_until(due).await;
            let outcome = self.settle(ticket).await;
            self.flight().settled.insert(ticket, outcome);
        }
    }
}

impl<J: Journal> Journal for FaultJournal<J> {
    fn write_recipients(
        &self,
        no: CampaignNo,
        expected: u64,
    ) -> Result<Box<dyn RecipientWriter>, StoreError> {
        self.refuse()?;
        self.inner.write_recipients(no, expected)
    }

    fn recipients(&self, no: CampaignNo, chunk: ChunkNo) -> StoreFuture<'_, Recipients> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.recipients(no, chunk).await
        })
    }

    fn commit(&self, seq: RowSeq, row: Bytes) -> Ticket<'_> {
        let due = Instant::now() + self.delay;
        let mut flight = self.flight();
        flight.tickets += 1;
        let ticket = flight.tickets;
        let verdict = flight.plan.next();
        flight.waiting.push_back(Waiting { ticket, seq, row, verdict, due });
        drop(flight);
        Box::pin(async move {
            sleep_until(due).await;
            self.settle(ticket).await
        })
    }

    fn newest(&self) -> StoreFuture<'_, RowSeq> {
        Box::pin(async move {
            self.refuse()?;
            self.settle_all().await;
            self.inner.newest().await
        })
    }

    fn replay<'a>(
        &'a self,
        after: RowSeq,
        visit: &'a mut (dyn FnMut(RowSeq, &[u8]) + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.replay(after, visit).await
        })
    }

    fn save_state(&self, no: CampaignNo, save: StateSave) -> StoreFuture<'_, ()> {
        Box::pin(self.save(move |inner| inner.save_state(no, save)))
    }

    fn header(&self, no: CampaignNo) -> StoreFuture<'_, Header> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.header(no).await
        })
    }

    fn state(&self, no: CampaignNo, chunk: ChunkNo) -> StoreFuture<'_, Option<ChunkState>> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.state(no, chunk).await
        })
    }

    fn trim(&self, through: RowSeq) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.trim(through).await
        })
    }

    fn maintain(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.maintain().await
        })
    }

    fn lists(&self, after: CampaignNo) -> StoreFuture<'_, Vec<CampaignNo>> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.lists(after).await
        })
    }

    fn free_octets(&self) -> StoreFuture<'_, Option<u64>> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.free_octets().await
        })
    }

    fn erase(
        &self,
        no: CampaignNo,
        chunk: ChunkNo,
        hashes: BTreeMap<u64, NumberHash>,
        variables: usize,
    ) -> StoreFuture<'_, u64> {
        Box::pin(self.save(move |inner| inner.erase(no, chunk, hashes, variables)))
    }

    fn scrub(&self, nos: Vec<CampaignNo>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.scrub(nos).await
        })
    }

    fn remove(&self, no: CampaignNo) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.refuse()?;
            self.inner.remove(no).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;
    use tempfile::TempDir;

    const DELAY: Duration = Duration::from_millis(50);

    fn journal(plan: FaultPlan) -> (TempDir, FaultJournal<SqliteStore>) {
        let directory = TempDir::new().expect("a temporary directory");
        let store = SqliteStore::open(directory.path()).expect("the store opens");
        (directory, FaultJournal::new(store, DELAY, plan))
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_settles_exactly_its_delay_after_its_call() {
        let (_directory, journal) = journal(FaultPlan::default());
        let begin = Instant::now();
        let tickets = [journal.commit(1, vec![1].into()), journal.commit(2, vec![2].into())];
        assert_eq!(journal.inner().newest().await.expect("readable"), 0);
        for ticket in tickets {
            assert_eq!(ticket.await, Commit::Durable);
            assert_eq!(begin.elapsed(), DELAY);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_verdict_stores_and_says_what_its_name_says() {
        use Verdict::{AmbiguousLost, AmbiguousStored, Durable, Fenced, NotApplied};
        let script = [NotApplied, AmbiguousLost, AmbiguousStored, Durable, Fenced, Durable];
        let (_directory, journal) = journal(FaultPlan::script(script));
        for (seq, outcome, newest) in [
            (1, Commit::NotApplied, 0),
            (1, Commit::Ambiguous, 0),
            (1, Commit::Ambiguous, 1),
            (2, Commit::Durable, 2),
            (3, Commit::Fenced, 2),
            (3, Commit::Fenced, 2),
        ] {
            assert_eq!(journal.commit(seq, vec![1].into()).await, outcome);
            assert_eq!(journal.newest().await.expect("readable"), newest);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_given_up_is_settled_with_those_behind_it() {
        let (_directory, journal) = journal(FaultPlan::default());
        drop(journal.commit(1, vec![1].into()));
        assert_eq!(journal.commit(2, vec![2].into()).await, Commit::Durable);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_refuses_every_other_call_until_it_is_over() {
        let (_directory, journal) = journal(FaultPlan::default());
        journal.fail_calls_for(Duration::from_secs(3));
        assert_eq!(journal.commit(1, vec![1].into()).await, Commit::Durable);
        assert!(matches!(journal.newest().await, Err(StoreError::Unavailable(_))));
        assert!(journal.write_recipients(CampaignNo(1), 1).is_err());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(journal.newest().await.expect("the outage is over"), 1);
    }

    #[test]
    fn equal_seeds_give_equal_faults_and_about_as_many_as_asked_for() {
        let verdicts = |seed| {
            let mut plan = FaultPlan::seeded(seed, 100);
            (0..1000).map(|_| plan.next()).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(7), verdicts(7));
        assert_ne!(verdicts(7), verdicts(8));
        let faults = verdicts(7).iter().filter(|verdict| **verdict != Verdict::Durable).count();
        assert!((70..130).contains(&faults), "{faults}");
    }
}
