//! Erasing numbers: all of a campaign when the platform keeps them no longer, and one everywhere when a person asks.
//!
//! What is left of a number is its keyed hash. A worker looks every hour and when somebody asks; whoever copies numbers
//! out of lists holds them shared meanwhile, so that no copy is missed. Nothing of it ever takes an entry off a
//! suppression list: who does not want to be written to must be known.

mod retention;
mod search;
mod unowned;
mod worker;

#[cfg(test)]
pub(crate) use worker::round;
pub(crate) use worker::{Ending, Worker};

use super::problem::{Code, Problem};
use axum::http::header;
use engine::EngineError;
use engine::model::{Campaign, Erasure, ErasureStatus, Number};
use engine::store::{Catalog, Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, RwLock, RwLockReadGuard, RwLockWriteGuard};
use unowned::Unowned;
use uuid::Uuid;

/// Requests that lists are looked through for at once: each reads every list that there is.
pub(crate) const MAX_RUNNING: usize = 100;
/// Requests that wait for campaigns to be over, which may be a year: each costs a look at these campaigns an hour.
pub(crate) const MAX_WAITING_REQUESTS: usize = 1_000;
/// How long a request waits for its turn to read numbers, behind who erases, who waits for an export in turn.
const READING_TIMEOUT: Duration = Duration::from_secs(5);
/// After how many seconds such a request may come again: exports take that long.
const READING_RETRY_S: u32 = 30;

/// What requests and the worker share.
#[derive(Debug, Default)]
pub(crate) struct Erasing {
    bell: Notify,
    lists: RwLock<()>,
    /// Of requests that this process was given. After a restart a number is known by its hash alone, which finds it all
    /// the same and takes longer.
    numbers: Mutex<BTreeMap<Uuid, Number>>,
    /// Lists that are to be removed.
    pub(crate) unowned: Unowned,
    /// When numbers were last erased because their time was over.
    expired_at: Mutex<Option<Timestamp>>,
}

impl Erasing {
    /// Keeps numbers from being erased while somebody reads them to write them elsewhere.
    pub(crate) async fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.lists.read().await
    }

    /// The same for somebody who waits for an answer.
    ///
    /// # Errors
    /// `rate_limited` when that takes too long.
    pub(crate) async fn reading_soon(&self) -> Result<RwLockReadGuard<'_, ()>, Problem> {
        tokio::time::timeout(READING_TIMEOUT, self.reading()).await.map_err(|_| {
            Problem::because(Code::RateLimited, "Numbers are being erased; try again in a moment.")
                .with_header(header::RETRY_AFTER, READING_RETRY_S)
        })
    }

    /// Waits until nobody does.
    async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.lists.write().await
    }

    /// Hands the worker a request that is stored.
    pub(crate) fn ask(&self, request: Uuid, number: Number) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).insert(request, number);
        self.bell.notify_one();
    }

    fn number(&self, request: Uuid) -> Option<Number> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).get(&request).copied()
    }

    fn forget(&self, request: Uuid) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).remove(&request);
    }
}

/// Refuses what needs the numbers of a campaign whose numbers were erased.
///
/// # Errors
/// `state_conflict`.
pub(crate) fn has_numbers(campaign: &Campaign) -> Result<(), Problem> {
    let Some(at) = campaign.filing.numbers_erased_at else { return Ok(()) };
    let told = format!(
        "The numbers of this campaign's recipients were erased at {at:.3}; only their hashes are left."
    );
    Err(Problem::because(Code::StateConflict, told))
}

/// The requests of this status, the oldest first.
///
/// # Errors
/// The store's.
pub(crate) async fn all(catalog: &dyn Catalog, status: ErasureStatus) -> Result<Vec<Erasure>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let statuses = vec![format!("{status:?}")];
        let query = Query { kind: Kind::Erasure, statuses, parent: None, after, limit: MAX_PAGE };
        let page = catalog.list(Scope::Platform, query).await?;
        found.extend(page.items.into_iter().filter_map(|entity| match entity {
            Entity::Erasure(request) => Some(request),
            _ => None,
        }));
        after = page.next;
        if after.is_none() {
            found.reverse();
            return Ok(found);
        }
    }
}

/// Refuses a further request when there are too many.
///
/// # Errors
/// `rate_limited`; the store's.
pub(crate) async fn has_room(catalog: &dyn Catalog) -> Result<(), Problem> {
    for (status, most, told) in [
        (ErasureStatus::Running, MAX_RUNNING, "are being worked on"),
        (ErasureStatus::Waiting, MAX_WAITING_REQUESTS, "wait for campaigns that are not over"),
    ] {
        if all(catalog, status).await?.len() >= most {
            let told = format!("{most} requests {told}; try again when some of them are done.");
            return Err(Problem::because(Code::RateLimited, told));
        }
    }
    Ok(())
}

/// What the engine says, as one who only reads and writes lists takes it.
fn of_store(error: EngineError) -> StoreError {
    match error {
        EngineError::Store(error) => error,
        other => StoreError::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an export that reads for an hour, and who erases behind it, keep no request waiting for as long.
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_an_answer_is_told_to_come_again() {
        let erasing = Erasing::default();
        let export = erasing.reading().await;
        assert!(erasing.reading_soon().await.is_ok(), "many may read");
        let mut alone = std::pin::pin!(erasing.alone());
        let waits = std::future::poll_fn(|context| std::task::Poll::Ready(alone.as_mut().poll(context)));
        assert!(waits.await.is_pending());
        let refused = erasing.reading_soon().await.map(drop).map_err(|problem| problem.code());
        assert_eq!(refused.map_err(Code::as_str), Err("rate_limited"));
        drop(export);
        drop(alone.await);
        assert!(erasing.reading_soon().await.is_ok());
    }
}
