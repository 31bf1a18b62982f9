//! Receipts without a message: they live in the journal until one of them is adopted, too old or one of too many.

use super::Keeper;
use crate::model::UnitStatus;
use crate::model::record::{Facts, Orphan};
use crate::store::RowSeq;

/// How long a receipt without a message is kept.
const ORPHAN_TTL_MS: u64 = 72 * 3600 * 1000;
/// Receipts without a message that are kept; the older half goes when there are more.
const MAX_ORPHANS: usize = 100_000;

/// A receipt without a message and the row that holds it.
#[derive(Clone, Copy)]
pub(super) struct KeptOrphan {
    row: RowSeq,
    at_ms: u64,
    status: UnitStatus,
    error: u16,
}

/// Channel and message id of a receipt without a message.
pub(super) type OrphanKey = (u32, Box<[u8]>);

impl Keeper {
    /// An orphan has no file of its own: it lives in the journal until it is adopted, too old or one of too many.
    pub(super) fn keep_orphan(&mut self, seq: RowSeq, orphan: &Orphan<'_>) {
        let key = (orphan.channel, Box::from(orphan.message_id));
        let kept = KeptOrphan { row: seq, at_ms: orphan.at_ms, status: orphan.status, error: orphan.error };
        self.newest_ms = self.newest_ms.max(orphan.at_ms);
        self.orphans.insert(key, kept);
        if self.orphans.len() > MAX_ORPHANS {
            let mut rows: Vec<RowSeq> = self.orphans.values().map(|kept| kept.row).collect();
            let (_, middle, _) = rows.select_nth_unstable(MAX_ORPHANS / 2);
            let middle = *middle;
            self.orphans.retain(|_, kept| kept.row > middle);
        }
    }

    /// Writes orphans in rows up to `upto` anew, so that the next compaction may trim those rows; returns the row
    /// from which on the journal must stay until then.
    pub(super) fn carry_orphans(&mut self, upto: RowSeq) -> Option<RowSeq> {
        let too_old = self.newest_ms.saturating_sub(ORPHAN_TTL_MS);
        self.orphans.retain(|_, kept| kept.at_ms >= too_old);
        let mut facts = Facts::default();
        let mut count = 0;
        for ((channel, message_id), kept) in self.orphans.iter().filter(|(_, kept)| kept.row <= upto) {
            let (at_ms, status, error) = (kept.at_ms, kept.status, kept.error);
            facts.orphan(&Orphan { at_ms, channel: *channel, status, error, message_id });
            count += 1;
        }
        if count > 0 {
            self.recorder.append(facts.octets(), count, true, 0);
        }
        self.orphans.values().map(|kept| kept.row).min()
    }
}
