//! What the keeper tells of traffic: for the record of an end, and for whoever looks at a campaign that runs.
//!
//! It is told from columns. Receipts that wait for columns on disk are folded first: at an end whose receipts are
//! over, and for a look once in a while, so that what is told equals the rows that are read.

use super::{Keeper, Standing};
use crate::dispatch::account::Hours;
use crate::dispatch::saving::fold_late;
use crate::model::CampaignNo;
use crate::store::StoreError;

/// Pause between two folds of a campaign that somebody looks at: each rewrites the columns that it touches.
const FOLD_EVERY_MS: u64 = 5_000;
/// Campaigns that are folded for one look; the others are folded for the next ones.
const MAX_FOLDS: usize = 16;

impl Keeper {
    /// How a campaign stands; what was never sent is in no journal, so that one that has settled is saved first.
    pub(super) async fn close(&mut self, no: CampaignNo) -> Result<Standing, StoreError> {
        let mut standing = self.standing(no);
        if !standing.is_settled {
            return Ok(standing);
        }
        self.save_settled(no).await?;
        if !standing.awaits_receipts {
            self.fold(no).await?;
        }
        standing.traffic = self.held.get(&no).map(|held| held.account.traffic()).unwrap_or_default();
        Ok(standing)
    }

    /// The traffic of those of these campaigns that are held.
    pub(super) async fn traffic(&mut self, nos: &[CampaignNo], now_ms: u64) -> Vec<(CampaignNo, Hours)> {
        let is_due = |no: &&CampaignNo| {
            self.held.get(no).is_some_and(|held| {
                held.account.has_late() && now_ms >= held.folded_ms.saturating_add(FOLD_EVERY_MS)
            })
        };
        let due: Vec<CampaignNo> = nos.iter().filter(is_due).take(MAX_FOLDS).copied().collect();
        for no in due {
            if let Err(error) = self.fold(no).await {
                tracing::warn!(campaign = no.0, %error, "receipts not folded; they stay in memory");
            }
            if let Some(held) = self.held.get_mut(&no) {
                held.folded_ms = now_ms;
            }
        }
        let of = |no: &CampaignNo| Some((*no, self.held.get(no)?.account.traffic()));
        nos.iter().filter_map(of).collect()
    }

    /// Folds waiting receipts of one campaign into its columns.
    async fn fold(&mut self, no: CampaignNo) -> Result<(), StoreError> {
        let Some(held) = self.held.get_mut(&no) else { return Ok(()) };
        match fold_late((&*self.journal, &self.growth), no, held).await {
            // Removed with everything that it had.
            Err(StoreError::NotFound) => Ok(()),
            folded => folded,
        }
    }
}
