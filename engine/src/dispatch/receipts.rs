//! Receipts beyond the link: those that are awaited since before a start, and those that do not come.
//!
//! One worker. It first fills the receipt index for recovered campaigns. Then it looks every [`LOOK_EVERY`] for units
//! that were sent longer ago than the receipt time-out: they become `unknown` and leave the index, and a receipt that
//! comes later is an orphan. The first look is no sooner than that behind a start, so that receipts which the SMSC
//! has kept meanwhile come first.

use crate::dispatch::account::Overdue;
use crate::dispatch::assembly;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::keeper::{AwaitedId, KeeperMsg};
use crate::dispatch::running::{Running, chunks_of};
use crate::model::record::{Facts, ReceiptFact};
use crate::model::{CampaignNo, ChunkNo};
use pdu::MessageIdForm;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a receipt is waited for unless something else is configured.
pub const RECEIPT_TIMEOUT: Duration = Duration::from_secs(72 * 3600);
/// From one look for overdue receipts to the next.
const LOOK_EVERY: Duration = Duration::from_secs(600);

impl Engine {
    /// Starts the worker. The first PDU does not wait for the index: a receipt that comes before its entry is adopted
    /// by it.
    pub(super) fn watch_receipts(&self, recovered: Vec<Arc<Running>>) -> Result<(), EngineError> {
        let engine = self.clone();
        let ended = self.0.env.start("receipts", async move {
            engine.index_receipts(recovered).await;
            let (inner, mut failure) = (Arc::downgrade(&engine.0), engine.0.failure.subscribe());
            drop(engine);
            // A timeout is the tick; anything else means that the engine has ended.
            while tokio::time::timeout(LOOK_EVERY, failure.wait_for(Option::is_some)).await.is_err() {
                let Some(inner) = inner.upgrade() else { return };
                if let Err(error) = Self(inner).give_up_receipts().await {
                    tracing::warn!(%error, "overdue receipts are looked for again");
                }
            }
        })?;
        assembly::report_panic("receipts", ended, &self.0.failure);
        Ok(())
    }

    async fn index_receipts(&self, campaigns: Vec<Arc<Running>>) {
        for running in campaigns.iter().filter(|running| running.message.receipts) {
            for chunk in 0..chunks_of(&running.tally) {
                let (reply, awaiting) = oneshot::channel();
                let question = KeeperMsg::Awaiting(running.campaign.no, chunk, reply);
                if self.tell_keeper(question).await.is_err() {
                    return;
                }
                let Ok(awaiting) = awaiting.await else { return };
                self.expect_receipts(running, chunk, &awaiting);
            }
        }
    }

    fn expect_receipts(&self, running: &Running, chunk: ChunkNo, awaiting: &[AwaitedId]) {
        let parts = running.message.parts();
        let now = self.0.env.clock.now();
        let mut facts = Facts::default();
        let mut adopted = 0;
        let mut desk = self.desk();
        let Some(base) = desk.matcher.base_of((running.campaign.no, chunk), parts) else { return };
        for (channel, unit, id) in awaiting {
            let ordinal = base + u64::from(*unit);
            if desk.matcher.knows(*channel, id, ordinal) {
                // The campaign sends while its index is filled: this unit was accepted in this very run.
                continue;
            }
            if let Some(early) = desk.matcher.expect(*channel, MessageIdForm::Auto, id, ordinal) {
                let campaign = running.campaign.no;
                let fact =
                    ReceiptFact { campaign, chunk, unit: *unit, status: early.status, error: early.error };
                facts.receipt(now.wall_ms, &fact);
                facts.adopted(*channel, &early.message_id);
                adopted += 1;
            }
        }
        drop(desk);
        if adopted > 0 {
            self.0.recorder.append(facts.octets(), adopted, false, now.mono_us);
        }
    }

    /// Ends the wait for every receipt that is overdue now, a chunk after the other.
    async fn give_up_receipts(&self) -> Result<(), EngineError> {
        let now_ms = self.0.env.clock.now().wall_ms;
        let timeout_ms = u64::try_from(self.0.receipt_timeout.as_millis()).unwrap_or(u64::MAX);
        let before_ms = now_ms.saturating_sub(timeout_ms);
        loop {
            let (reply, overdue) = oneshot::channel();
            self.tell_keeper(KeeperMsg::GiveUpReceipts((before_ms, now_ms), reply)).await?;
            let gone = |_| EngineError::NotRunning("keeper".to_owned());
            let Some((no, chunk, overdue)) = overdue.await.map_err(gone)? else { return Ok(()) };
            self.0.overdue.fetch_add(overdue.units.len() as u64, Ordering::Relaxed);
            self.forget_receipts(no, chunk, &overdue);
            // The next chunk only when this one is stored: what waits for the store stays small.
            self.recorder_flush().await?;
        }
    }

    fn forget_receipts(&self, no: CampaignNo, chunk: ChunkNo, overdue: &Overdue) {
        let running = self.campaigns().get(&no).cloned();
        let Some(running) = running else { return };
        let mut desk = self.desk();
        let Some(base) = desk.matcher.base_of((no, chunk), running.message.parts()) else { return };
        for (channel, unit, id) in &overdue.ids {
            desk.matcher.forget(*channel, id, base + u64::from(*unit));
        }
    }
}
