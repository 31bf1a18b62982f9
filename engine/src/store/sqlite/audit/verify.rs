//! Checking a log: every event is read in order and bound to the one before it, a page at a time, from the newest
//! anchor on; then the anchors are held against the events that record them.
//!
//! Nothing is decoded: a field that makes no sense is hashed like any other and found by its hash. Other calls go on
//! between two pages.

use super::expiry::{ACTION, Dropped};
use super::log_of;
use crate::model::WorkspaceId;
use crate::store::chain::{GENESIS, Hash, Link, hex};
use crate::store::sqlite::control::{Control, Outcome, owner};
use crate::store::{AuditBreak, AuditReport, MAX_PAGE, Scope, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

/// Events read under the lock of the connection at a time: some milliseconds.
const PAGE: i64 = 512;

impl Control {
    pub(in crate::store::sqlite) fn audit_logs(
        &self,
        after: Option<Scope>,
    ) -> Result<Vec<Scope>, StoreError> {
        self.read(|connection| {
            let mut logs = Vec::new();
            let mut last = after.map(|scope| log_of(&owner(scope)).to_vec());
            while logs.len() < MAX_PAGE {
                let Some(next) = log_behind(connection, last.as_deref())? else { break };
                match scope_of(&next) {
                    Some(scope) => logs.push(scope),
                    None => return Ok(Err(StoreError::Unusable("an audit log has no owner".to_owned()))),
                }
                last = Some(next);
            }
            Ok(Ok(logs))
        })
    }

    pub(in crate::store::sqlite) fn audit_verify(&self, scope: Scope) -> Result<AuditReport, StoreError> {
        let owner = owner(scope);
        let mut check = Check::new(scope, log_of(&owner));
        while !self.read(|connection| check.page(connection))? {}
        Ok(check.report)
    }
}

/// The first log behind `last` that has a head or an event.
fn log_behind(connection: &Connection, last: Option<&[u8]>) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached(
            "SELECT min(log) FROM (
                SELECT min(log) AS log FROM audit WHERE ?1 IS NULL OR log > ?1
                UNION ALL SELECT min(log) FROM audit_head WHERE ?1 IS NULL OR log > ?1)",
        )?
        .query_row([last], |row| row.get(0))
}

fn scope_of(log: &[u8]) -> Option<Scope> {
    match log {
        [] => Some(Scope::Platform),
        id => Uuid::from_slice(id).ok().map(|id| Scope::Workspace(WorkspaceId(id))),
    }
}

/// How far a log is checked.
struct Check<'a> {
    log: &'a [u8],
    /// The hash of the event at `place`.
    newest: Hash,
    /// The last event that was checked or dropped.
    place: i64,
    /// The last event that was dropped.
    dropped: i64,
    is_begun: bool,
    report: AuditReport,
}

impl<'a> Check<'a> {
    fn new(scope: Scope, log: &'a [u8]) -> Self {
        let workspace_id = match scope {
            Scope::Workspace(id) => Some(id),
            Scope::Platform => None,
        };
        let report = AuditReport {
            workspace_id,
            events: 0,
            first_seq: 0,
            last_seq: 0,
            head: hex(&GENESIS),
            anchors: 0,
            expired: 0,
            broken: None,
        };
        Self { log, newest: GENESIS, place: 0, dropped: 0, is_begun: false, report }
    }

    /// Checks the next page; `true` when there is nothing more to check.
    fn page(&mut self, connection: &Connection) -> Outcome<bool> {
        let mut statement = connection.prepare_cached(
            "SELECT seq, at_ms, action, entity_kind, entity_id, subject, note_id, hash, by, before, after
             FROM audit WHERE log = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?;
        self.begin_behind_anchor(connection)?;
        // What stands before the first one does not belong there.
        let from = if self.is_begun { self.place } else { i64::MIN };
        self.is_begun = true;
        let mut rows = statement.query((self.log, from, PAGE))?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            read += 1;
            if let Some(broken) = self.event(row)? {
                self.report.broken = Some(broken);
                return Ok(Ok(true));
            }
        }
        drop(rows);
        if read == PAGE {
            return Ok(Ok(false));
        }
        self.report.broken = match self.end(connection)? {
            None => self.anchors(connection)?,
            broken => broken,
        };
        Ok(Ok(true))
    }

    /// Goes on behind the newest anchor when what is before it was dropped, perhaps since the last page.
    fn begin_behind_anchor(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let anchor: Option<(i64, Option<Hash>)> = connection
            .prepare_cached(
                "SELECT last_seq, last_hash FROM audit_anchor WHERE log = ?1 ORDER BY last_seq DESC LIMIT 1",
            )?
            .query_row([self.log], |row| Ok((row.get(0)?, row.get(1).ok())))
            .optional()?;
        let Some((last_seq, last_hash)) = anchor else { return Ok(()) };
        self.dropped = last_seq;
        if last_seq > self.place {
            (self.report.events, self.report.first_seq) = (0, 0);
            self.place = last_seq;
            // No event is bound to a hash of another length, so that it is found there.
            self.newest = last_hash.unwrap_or_default();
        }
        Ok(())
    }

    /// Binds one event to the one before it, or says why it cannot be.
    fn event(&mut self, row: &Row<'_>) -> rusqlite::Result<Option<AuditBreak>> {
        let seq: i64 = row.get(0)?;
        let expected = (self.place + 1).cast_unsigned();
        if seq <= self.place {
            let why = format!("event {seq} stands before it, where there is none");
            return Ok(Some(AuditBreak { seq: expected, why }));
        }
        if seq > self.place + 1 {
            let why = format!("it is missing; the next one there is {seq}");
            return Ok(Some(AuditBreak { seq: expected, why }));
        }
        let at_ms: Option<i64> = match row.get_ref(1)? {
            ValueRef::Integer(at_ms) => Some(at_ms),
            _ => None,
        };
        let link = Link {
            log: self.log,
            seq: expected,
            at_ms: at_ms.unwrap_or(i64::MIN),
            action: field(row, 2)?.unwrap_or_default(),
            entity_kind: field(row, 3)?.unwrap_or_default(),
            entity_id: field(row, 4)?.unwrap_or_default(),
            subject: field(row, 5)?,
            note_id: field(row, 6)?,
            by: field(row, 8)?.unwrap_or_default(),
            before: field(row, 9)?.unwrap_or_default(),
            after: field(row, 10)?.unwrap_or_default(),
        };
        let hash = link.hash(&self.newest);
        if field(row, 7)? != Some(&hash) {
            let why = "it is not what was written behind the event before it".to_owned();
            return Ok(Some(AuditBreak { seq: expected, why }));
        }
        if self.report.events == 0 {
            self.report.first_seq = expected;
        }
        self.report.events += 1;
        self.report.last_seq = expected;
        self.place = seq;
        self.report.head = hex(&hash);
        self.newest = hash;
        Ok(None)
    }

    /// Compares the last event with the head of the log.
    fn end(&self, connection: &Connection) -> rusqlite::Result<Option<AuditBreak>> {
        let head: Option<(i64, Option<Hash>)> = connection
            .prepare_cached("SELECT seq, hash FROM audit_head WHERE log = ?1")?
            .query_row([self.log], |row| Ok((row.get(0)?, row.get(1).ok())))
            .optional()?;
        let last = self.place.cast_unsigned();
        let (seq, hash) = head.map_or((0, Some(GENESIS)), |(seq, hash)| (seq.cast_unsigned(), hash));
        let (seq, why) = if seq > last {
            (last + 1, format!("it is missing; the log went up to {seq}"))
        } else if seq < last {
            (seq + 1, format!("it stands behind the end of the log, which is at {seq}"))
        } else if hash != Some(self.newest) {
            (last, "the head of the log is not that of its last event".to_owned())
        } else {
            return Ok(None);
        };
        Ok(Some(AuditBreak { seq, why }))
    }
}

impl Check<'_> {
    /// Holds every anchor against the one before it and against the event that records it, while that one is there.
    /// The newest anchor's event always is: it was written behind all that the anchor covers.
    fn anchors(&mut self, connection: &Connection) -> rusqlite::Result<Option<AuditBreak>> {
        let mut statement = connection.prepare_cached(
            "SELECT first_seq, last_seq, last_hash, recorded_seq,
                (SELECT before FROM audit
                 WHERE audit.log = anchor.log AND audit.seq = recorded_seq AND action = ?2)
             FROM audit_anchor AS anchor WHERE log = ?1 ORDER BY last_seq",
        )?;
        let mut rows = statement.query((self.log, ACTION))?;
        let mut covered: i64 = 0;
        while let Some(row) = rows.next()? {
            let dropped = Dropped {
                first_seq: row.get(0)?,
                last_seq: row.get(1)?,
                last_hash: row.get(2).unwrap_or_default(),
            };
            let recorded_seq: i64 = row.get(3)?;
            let is_recorded = if recorded_seq > self.dropped {
                field(row, 4)? == Some(dropped.text().as_bytes())
            } else {
                recorded_seq > dropped.last_seq
            };
            if dropped.first_seq != covered + 1 || !is_recorded {
                let why = format!("no event records that those up to {} have expired", dropped.last_seq);
                return Ok(Some(AuditBreak { seq: (covered + 1).cast_unsigned(), why }));
            }
            covered = dropped.last_seq;
            self.report.anchors += 1;
            self.report.expired = covered.cast_unsigned();
        }
        Ok(None)
    }
}

/// The octets of a text or a blob; whatever else stands there was never written by this program.
fn field<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r [u8]>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(octets) | ValueRef::Blob(octets) => Some(octets),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    })
}
