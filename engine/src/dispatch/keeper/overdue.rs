//! Receipts that do not come: the keeper finds them and appends their end, as receipts that say `unknown`.
//!
//! A chunk at a time, so that what is appended stays small; it reaches the accounts like every other row.

use super::Keeper;
use crate::dispatch::account::Overdue;
use crate::model::record::{Facts, ReceiptFact};
use crate::model::{CampaignNo, ChunkNo, UnitStatus};
use crate::store::StoreError;

impl Keeper {
    /// Gives up waiting for receipts of one chunk, of units that were sent before `before_ms`; `None` when there are
    /// none anywhere.
    pub(super) async fn give_up_receipts(
        &mut self,
        (before_ms, now_ms): (u64, u64),
    ) -> Result<Option<(CampaignNo, ChunkNo, Overdue)>, StoreError> {
        while let Some((campaign, chunk)) = self.overdue_chunk(before_ms) {
            let mut state = self.columns(campaign, chunk).await?.unwrap_or_default();
            state.chunk = chunk;
            let Some(held) = self.held.get_mut(&campaign) else { continue };
            let overdue = held.account.take_overdue(&state, before_ms);
            if overdue.units.is_empty() {
                continue;
            }
            let mut facts = Facts::default();
            for unit in overdue.units.iter().copied() {
                let status = UnitStatus::Unknown;
                facts.receipt(now_ms, &ReceiptFact { campaign, chunk, unit, status, error: 0 });
            }
            let count = u32::try_from(overdue.units.len()).unwrap_or(u32::MAX);
            self.recorder.append(facts.octets(), count, true, 0);
            return Ok(Some((campaign, chunk, overdue)));
        }
        Ok(None)
    }

    fn overdue_chunk(&mut self, before_ms: u64) -> Option<(CampaignNo, ChunkNo)> {
        self.held.iter_mut().find_map(|(no, held)| Some((*no, held.account.overdue_chunk(before_ms)?)))
    }
}
