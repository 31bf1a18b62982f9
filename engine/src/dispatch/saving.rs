//! Saving an account: columns, charges, recipients that were added and the watermark, in one transaction a campaign.
//!
//! What is saved leaves memory only behind the store's word. A failure keeps everything where it was.

use crate::dispatch::account::{Account, Late, Unsent};
use crate::dispatch::budget::Purse;
use crate::dispatch::growth::Growth;
use crate::dispatch::keeper::SAVE_CHUNKS;
use crate::dispatch::tally::Tally;
use crate::model::{CampaignNo, ChunkNo, ChunkState};
use crate::store::{Journal, RowSeq, StateSave, StoreError};
use std::sync::Arc;

/// A campaign's account as the keeper holds it.
pub(super) struct Held {
    pub(super) account: Box<Account>,
    pub(super) tally: Arc<Tally>,
    pub(super) watermark: RowSeq,
    pub(super) touched: bool,
    pub(super) told: bool,
    /// It ended: what is queued again by a late answer is settled as well.
    pub(super) unsent: Option<Unsent>,
    /// Daily limits that learn of its charges.
    pub(super) purse: Option<Arc<Purse>>,
    /// When waiting receipts were folded for somebody who asked, milliseconds since 1970.
    pub(super) folded_ms: u64,
}

/// Where state is saved to, and the recipients that are saved with it.
pub(super) type To<'a> = (&'a dyn Journal, &'a Growth);

/// Saves everything of a campaign, waiting receipts folded in; `applied` is the newest applied row.
pub(super) async fn save_all(
    to: To<'_>,
    no: CampaignNo,
    held: &mut Held,
    applied: RowSeq,
) -> Result<(), StoreError> {
    fold_late(to, no, held).await?;
    let watermark = held.account.watermark(applied);
    let chunks = held.account.columns(true);
    save(to, no, held, chunks, watermark).await
}

/// Saves these columns under this watermark, with whatever belongs to them; nothing when nothing is new.
pub(super) async fn save(
    (journal, growth): To<'_>,
    no: CampaignNo,
    held: &mut Held,
    chunks: Vec<ChunkState>,
    watermark: RowSeq,
) -> Result<(), StoreError> {
    if chunks.is_empty() && watermark == held.watermark && !growth.is_unsaved(no) {
        return Ok(());
    }
    let numbers: Vec<ChunkNo> = chunks.iter().map(|c| c.chunk).collect();
    let charges = held.account.charges_saved_with(&numbers);
    let traffic = held.account.traffic_of(&chunks);
    journal.save_state(no, StateSave { watermark, chunks, charges, recipients: growth.unsaved(no) }).await?;
    held.account.saved(&numbers);
    held.account.keep_traffic(traffic);
    growth.saved(no);
    held.watermark = watermark;
    Ok(())
}

/// Folds waiting receipts into the saved columns, chunk by chunk; a failure keeps them in memory.
pub(super) async fn fold_late(to: To<'_>, no: CampaignNo, held: &mut Held) -> Result<(), StoreError> {
    let late = held.account.take_late();
    let mut chunks = Vec::new();
    let mut failed = None;
    for receipts in late.chunk_by(|a, b| a.chunk == b.chunk) {
        let folded = match failed {
            None => fold_chunk(to, no, held, receipts, &mut chunks).await,
            Some(_) => Ok(()),
        };
        failed = failed.or(folded.err());
    }
    if failed.is_none() {
        failed = save(to, no, held, chunks, held.watermark).await.err();
    }
    match failed {
        None => Ok(()),
        Some(error) => {
            held.account.put_late_back(late);
            Err(error)
        }
    }
}

async fn fold_chunk(
    to: To<'_>,
    no: CampaignNo,
    held: &mut Held,
    receipts: &[Late],
    chunks: &mut Vec<ChunkState>,
) -> Result<(), StoreError> {
    let Some(first) = receipts.first() else { return Ok(()) };
    let Some(mut state) = to.0.state(no, first.chunk).await? else { return Ok(()) };
    held.account.fold(&mut state, receipts);
    chunks.push(state);
    if chunks.len() >= SAVE_CHUNKS {
        save(to, no, held, std::mem::take(chunks), held.watermark).await?;
    }
    Ok(())
}
