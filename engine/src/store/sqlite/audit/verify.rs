//! Checking a log: every event is read in order and bound to the one before it, a page at a time.
//!
//! Nothing is decoded: a field that makes no sense is hashed like any other and found by its hash. Other calls go on
//! between two pages.

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
    newest: Hash,
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
            broken: None,
        };
        Self { log, newest: GENESIS, report }
    }

    /// Checks the next page; `true` when there is nothing more to check.
    fn page(&mut self, connection: &Connection) -> Outcome<bool> {
        let mut statement = connection.prepare_cached(
            "SELECT seq, at_ms, action, entity_kind, entity_id, subject, note_id, hash, by, before, after
             FROM audit WHERE log = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?;
        // Events numbered from 0 down are read first, as what does not belong there.
        let from = if self.report.events == 0 { i64::MIN } else { self.report.last_seq.cast_signed() };
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
        self.report.broken = self.end(connection)?;
        Ok(Ok(true))
    }

    /// Binds one event to the one before it, or says why it cannot be.
    fn event(&mut self, row: &Row<'_>) -> rusqlite::Result<Option<AuditBreak>> {
        let seq: i64 = row.get(0)?;
        let expected = self.report.last_seq + 1;
        if seq < expected.cast_signed() {
            let why = format!("event {seq} stands before the first one");
            return Ok(Some(AuditBreak { seq: expected, why }));
        }
        if seq > expected.cast_signed() {
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
        let last = self.report.last_seq;
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

/// The octets of a text or a blob; whatever else stands there was never written by this program.
fn field<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r [u8]>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(octets) | ValueRef::Blob(octets) => Some(octets),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    })
}
