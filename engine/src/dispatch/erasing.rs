//! Erasing numbers from the lists of campaigns that are over, chunk by chunk.
//!
//! A list is touched only when nothing needs its numbers any more: the campaign has ended, no receipt of it is awaited,
//! and the journal holds no row that a start would add to it. Begun again after a crash it goes on where it was; who
//! drops it between two chunks has lost nothing.

use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::keeper::KeeperMsg;
use crate::model::record::{self, Fact};
use crate::model::{Campaign, CampaignNo, ChunkNo, Identity, Number, NumberHash};
use crate::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

impl Engine {
    /// Saves what is known and trims the journal; gives the campaigns of whose recipients it still holds numbers, so that
    /// theirs cannot be erased yet.
    ///
    /// # Errors
    /// The store's; when the engine has ended.
    pub async fn settle_numbers(&self) -> Result<BTreeSet<CampaignNo>, EngineError> {
        self.recorder_flush().await?;
        let (reply, saved) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Compact(reply)).await?;
        // What could not be saved has its rows in the journal still, and is among those below.
        if let Err(error) = saved.await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))? {
            tracing::warn!(%error, "not everything was saved before numbers are erased");
        }
        let (mut held, mut damaged) = (BTreeSet::new(), None);
        let mut visit = |seq, row: &[u8]| {
            let mut note = |fact: Fact<'_>| {
                if let Fact::Numbers(added) = fact {
                    held.insert(added.campaign);
                }
            };
            if let Err(error) = record::read_row(row, &mut note) {
                damaged = Some(StoreError::Unusable(format!("journal row {seq} cannot be read: {error}")));
            }
        };
        self.0.journal.replay(0, &mut visit).await?;
        damaged.map_or(Ok(held), |error| Err(error.into()))
    }

    /// How many recipients of a list still have a number that is `wanted`, also while its campaign runs.
    ///
    /// # Errors
    /// The store's.
    pub async fn count_numbers(
        &self,
        no: CampaignNo,
        wanted: impl Fn(Number) -> bool,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for chunk in 0..ChunkNo::MAX {
            let list = match self.list(no, chunk).await {
                Err(StoreError::NotFound) => break,
                list => list?,
            };
            count += list.identities().filter_map(Identity::number).filter(|number| wanted(*number)).count();
            // The store answers at once: without a pause nobody else would get a turn.
            tokio::task::yield_now().await;
        }
        Ok(count as u64)
    }

    /// Replaces the numbers of a campaign's recipients for which `hash` gives one by that hash, and what is known beside
    /// them by nothing; durable chunk by chunk. Gives how many recipients have lost theirs now.
    ///
    /// # Errors
    /// `Refused` for a campaign that is not over; else the store's: what was erased before stays so, asking again goes on.
    pub async fn erase_numbers(
        &self,
        campaign: &Campaign,
        hash: impl Fn(Number) -> Option<NumberHash>,
    ) -> Result<u64, StoreError> {
        if !campaign.is_over() || self.0.growth.is_unsaved(campaign.no) {
            return Err(StoreError::Refused("the campaign still needs its recipients".to_owned()));
        }
        // What is kept of it in memory would go on showing numbers.
        self.0.growth.saved(campaign.no);
        let variables = campaign.content.variables.len();
        let mut erased = 0;
        for chunk in 0..ChunkNo::MAX {
            let list = match self.0.journal.recipients(campaign.no, chunk).await {
                Err(StoreError::NotFound) => break,
                list => list?,
            };
            let numbers = list.identities().filter_map(Identity::number);
            let hashes: BTreeMap<u64, NumberHash> =
                numbers.filter_map(|number| Some((number.0, hash(number)?))).collect();
            if !hashes.is_empty() {
                erased += self.0.journal.erase(campaign.no, chunk, hashes, variables).await?;
            }
            tokio::task::yield_now().await;
        }
        Ok(erased)
    }
}
