//! Recipient lists that nobody owns any more and that could not be removed: they are tried again with every look, and
//! nothing is called erased while there is one, since it may hold the number too.

use crate::api::state::Api;
use crate::leftovers::{self, Swept};
use engine::model::CampaignNo;
use engine::store::StoreError;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Of these are remembered; others stay until the next start.
const MAX_UNOWNED: usize = 10_000;

/// Which.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unowned(Arc<Mutex<BTreeSet<CampaignNo>>>);

impl Unowned {
    /// Remembers one that could not be removed now.
    pub(crate) fn later(&self, no: CampaignNo) {
        let mut nos = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nos.len() < MAX_UNOWNED {
            nos.insert(no);
        } else {
            tracing::error!(campaign = no.0, "a recipient list that nobody owns stays until the next start");
        }
    }

    fn all(&self) -> Vec<CampaignNo> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Forgets those that were looked at, but for the ones that are left.
    fn settle(&self, looked_at: &[CampaignNo], left: &[CampaignNo]) {
        let mut nos = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for no in looked_at {
            nos.remove(no);
        }
        nos.extend(left);
    }
}

/// Removes what earlier runs left to nobody; `first` is a number that this run was given before it wrote any list.
///
/// # Errors
/// The store's; then it is to be done again. A list that cannot be removed is none, it is remembered.
pub(super) async fn sweep(api: &Api, first: CampaignNo) -> Result<(), StoreError> {
    let Swept { removed, left } = leftovers::sweep(&*api.catalog, &*api.journal, first).await?;
    tracing::info!(removed, left = left.len(), "recipient lists that nobody owned were removed");
    for no in left {
        api.erasing.unowned.later(no);
    }
    Ok(())
}

/// Tries again what could not be removed. Their owners are looked for first: whoever gave one up may have been told
/// of a failure that was none.
///
/// # Errors
/// The store's; `Unavailable` while one is left.
pub(super) async fn remove_again(api: &Api) -> Result<(), StoreError> {
    let nos = api.erasing.unowned.all();
    if nos.is_empty() {
        return Ok(());
    }
    let Swept { left, .. } = leftovers::remove(&*api.catalog, &*api.journal, &nos).await?;
    api.erasing.unowned.settle(&nos, &left);
    if left.is_empty() {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!("{} recipient lists that nobody owns cannot be removed", left.len())))
}
