//! Expiry: the oldest whole segments of a log are dropped, and an anchor says which and with what hash they ended.
//!
//! Anchor, deletion and the event that records both are one transaction. The event is in the log that was shortened,
//! so that an anchor that somebody made up has nothing to show for it. Anchors are kept for ever.

use super::{Event, append, log_of};
use crate::model::Principal;
use crate::store::chain::{Hash, hex};
use crate::store::sqlite::control::{Control, owner};
use crate::store::{AUDIT_SEGMENT, AuditExpiry, Scope, StoreError};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

/// Segments that one call drops, over all logs: a good hundred milliseconds, during which nothing else is written.
const MOST_SEGMENTS: u64 = 8;

/// The action of the event that records an expiry.
pub(super) const ACTION: &str = "audit.expire";

/// What an anchor and the event that records it both say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// The first event that was dropped.
    pub(super) first_seq: i64,
    /// The last one.
    pub(super) last_seq: i64,
    /// Its hash, to which the first remaining one is bound.
    pub(super) last_hash: Hash,
}

impl Dropped {
    /// What the event has as its `before`.
    pub(super) fn text(&self) -> String {
        let Self { first_seq, last_seq, last_hash } = self;
        json!({ "first_seq": first_seq, "last_seq": last_seq, "last_hash": hex(last_hash) }).to_string()
    }
}

impl Control {
    pub(in crate::store::sqlite) fn expire_audit(
        &self,
        before: jiff::Timestamp,
        by: &Principal,
        at: jiff::Timestamp,
    ) -> Result<AuditExpiry, StoreError> {
        let (mut events, mut left, mut last) = (0, MOST_SEGMENTS, None);
        loop {
            let logs = self.audit_logs(last)?;
            for scope in &logs {
                let dropped = self.expire(*scope, (before.as_millisecond(), left), by, at)?;
                events += dropped;
                left = left.saturating_sub(dropped / AUDIT_SEGMENT);
                if left == 0 {
                    return Ok(AuditExpiry { events, more: true });
                }
            }
            let Some(newest) = logs.last() else { return Ok(AuditExpiry { events, more: false }) };
            last = Some(*newest);
        }
    }

    /// Drops what has expired of one log; gives how many events.
    fn expire(
        &self,
        scope: Scope,
        (before_ms, segments): (i64, u64),
        by: &Principal,
        at: jiff::Timestamp,
    ) -> Result<u64, StoreError> {
        let owner = owner(scope);
        let log = log_of(&owner);
        if self.read(|connection| Ok(Ok(expired(connection, log, before_ms, segments)?)))?.is_none() {
            return Ok(0);
        }
        self.write(|transaction| {
            let Some(dropped) = expired(transaction, log, before_ms, segments)? else { return Ok(Ok(0)) };
            let event = Event {
                log: owner,
                action: ACTION,
                entity_kind: "audit_log",
                // A log has no id of its own: there is one for its owner.
                entity_id: owner.unwrap_or_default(),
                before: &dropped.text(),
                after: "null",
                ..Event::default()
            };
            append(transaction, &event, by, at)?;
            transaction
                .prepare_cached(
                    "INSERT INTO audit_anchor(log, first_seq, last_seq, last_hash, at_ms, recorded_seq)
                     SELECT ?1, ?2, ?3, ?4, ?5, seq FROM audit_head WHERE log = ?1",
                )?
                .execute((
                    log,
                    dropped.first_seq,
                    dropped.last_seq,
                    dropped.last_hash,
                    at.as_millisecond(),
                ))?;
            let deleted = transaction
                .prepare_cached("DELETE FROM audit WHERE log = ?1 AND seq BETWEEN ?2 AND ?3")?
                .execute((log, dropped.first_seq, dropped.last_seq))?;
            Ok(Ok(deleted as u64))
        })
    }
}

/// The oldest whole segments, at most `segments`, whose events all happened before `before_ms`.
fn expired(
    connection: &Connection,
    log: &[u8],
    before_ms: i64,
    segments: u64,
) -> rusqlite::Result<Option<Dropped>> {
    let dropped_before: i64 = connection
        .prepare_cached("SELECT coalesce(max(last_seq), 0) FROM audit_anchor WHERE log = ?1")?
        .query_row([log], |row| row.get(0))?;
    let mut newest = connection.prepare_cached(
        "SELECT max(at_ms) FROM audit WHERE log = ?1 AND seq > ?2 AND seq <= ?3
         HAVING count(*) = ?3 - ?2",
    )?;
    let mut last_seq = dropped_before;
    for _ in 0..segments {
        let end = last_seq + AUDIT_SEGMENT.cast_signed();
        let newest_ms: Option<i64> =
            newest.query_row((log, last_seq, end), |row| row.get(0)).optional()?.flatten();
        match newest_ms {
            Some(newest_ms) if newest_ms < before_ms => last_seq = end,
            _ => break,
        }
    }
    if last_seq == dropped_before {
        return Ok(None);
    }
    let last_hash = connection
        .prepare_cached("SELECT hash FROM audit WHERE log = ?1 AND seq = ?2")?
        .query_row((log, last_seq), |row| row.get(0))?;
    Ok(Some(Dropped { first_seq: dropped_before + 1, last_seq, last_hash }))
}
