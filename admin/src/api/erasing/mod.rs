//! Erasing numbers: all of a campaign when the platform keeps them no longer, and one everywhere when a person asks.
//!
//! What is left of a number is its keyed hash. A worker looks every hour and when somebody asks; whoever copies numbers
//! out of lists holds them shared meanwhile, so that no copy is missed. Nothing of it ever takes an entry off a
//! suppression list: who does not want to be written to must be known.

mod retention;
mod search;
mod worker;

pub(crate) use worker::Worker;
#[cfg(test)]
pub(crate) use worker::round;

use super::problem::{Code, Problem};
use engine::EngineError;
use engine::model::{Campaign, Erasure, ErasureStatus, Number};
use engine::store::{Catalog, Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, RwLock, RwLockReadGuard, RwLockWriteGuard};
use uuid::Uuid;

/// Requests that are not done at once: below a page, so that counting them is one read.
pub(crate) const MAX_OPEN: usize = 100;

/// What requests and the worker share.
#[derive(Debug, Default)]
pub(crate) struct Erasing {
    bell: Notify,
    lists: RwLock<()>,
    /// Of requests that this process was given. After a restart a number is known by its hash alone, which finds it all
    /// the same and takes longer.
    numbers: Mutex<BTreeMap<Uuid, Number>>,
}

impl Erasing {
    /// Keeps numbers from being erased while somebody reads them to write them elsewhere.
    pub(crate) async fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.lists.read().await
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

/// The requests that are not done, the oldest first.
///
/// # Errors
/// The store's.
pub(crate) async fn open(catalog: &dyn Catalog) -> Result<Vec<Erasure>, StoreError> {
    let statuses = [ErasureStatus::Running, ErasureStatus::Waiting].map(|status| format!("{status:?}"));
    let query = Query {
        kind: Kind::Erasure,
        statuses: statuses.to_vec(),
        parent: None,
        after: None,
        limit: MAX_PAGE,
    };
    let page = catalog.list(Scope::Platform, query).await?;
    let requests = page.items.into_iter().rev();
    Ok(requests.filter_map(|entity| if let Entity::Erasure(e) = entity { Some(e) } else { None }).collect())
}

/// What the engine says, as one who only reads and writes lists takes it.
fn of_store(error: EngineError) -> StoreError {
    match error {
        EngineError::Store(error) => error,
        other => StoreError::Unavailable(other.to_string()),
    }
}
