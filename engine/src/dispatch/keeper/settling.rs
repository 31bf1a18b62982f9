//! What a campaign that ended has not sent: settled a batch at a time, each saved before the next, for the columns of
//! ten million recipients would take 400 MiB at once.

use super::{Keeper, READ_AGAIN_AFTER, SAVE_CHUNKS};
use crate::dispatch::account::Unsent;
use crate::model::CampaignNo;
use crate::store::StoreError;

impl Keeper {
    /// Settles what is still queued of a campaign that ended: the first batch at once, the rest as time allows.
    pub(crate) async fn settle_queued(&mut self, no: CampaignNo, unsent: Unsent) -> Result<(), StoreError> {
        if let Some(held) = self.held.get_mut(&no) {
            held.unsent = Some(unsent);
            // Told again: what settled before it ended may have been an open list with nothing on it to send.
            (held.told, held.touched) = (false, true);
        }
        self.settle_batch(no).await
    }

    /// Settles the next batch of a campaign that ended, once the one before is saved.
    pub(super) async fn settle_batch(&mut self, no: CampaignNo) -> Result<(), StoreError> {
        let Some(held) = self.held.get(&no) else { return Ok(()) };
        let (Some(unsent), queued) = (held.unsent, held.account.queued_chunks()) else { return Ok(()) };
        let is_unsaved = held.account.complete_chunks() >= SAVE_CHUNKS;
        if queued.len() > SAVE_CHUNKS {
            self.settling.insert(no);
        }
        if is_unsaved && let Err(error) = self.save_settled(no).await {
            tracing::warn!(campaign = no.0, %error, "what it did not send is not saved; trying again");
            self.settling.insert(no);
            tokio::time::sleep(READ_AGAIN_AFTER).await;
            return Ok(());
        }
        for chunk in queued.iter().take(SAVE_CHUNKS) {
            self.load_columns(no, *chunk).await?;
            if let Some(held) = self.held.get_mut(&no) {
                held.account.settle_queued(*chunk, unsent);
                held.touched = true;
            }
        }
        if queued.len() <= SAVE_CHUNKS {
            self.settling.remove(&no);
        }
        Ok(())
    }
}
