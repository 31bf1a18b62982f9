//! The audit log inside `control.db`: one dense sequence per workspace and one for the platform, each a hash chain.
//!
//! Events are only ever added, in the transaction of the change that they record, and dropped behind an anchor when
//! they have expired; triggers refuse the rest. The head of a log is kept apart, so that cutting off its end shows.

mod expiry;
mod query;
mod verify;

use super::control::{Control, Outcome, octets, owner, sql_limit};
use crate::model::{AuditEvent, EntityId, Principal, UserId, WorkspaceId};
use crate::store::chain::{GENESIS, Hash, Link, hex};
use crate::store::{Change, Entity, MAX_NOTES, MAX_PAGE, Note, Scope, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// Part of `control.db`; an empty log is the platform's. What lists filter by stands before the long texts, so that
/// it is read without them; who acted is derived, so that it cannot differ from what the hash covers. The triggers keep a log append only and without gaps.
pub(in crate::store::sqlite) const TABLES: &str = "
    CREATE TABLE audit(
        log BLOB NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, action TEXT NOT NULL,
        entity_kind TEXT NOT NULL, entity_id BLOB NOT NULL, subject BLOB, note_id BLOB, hash BLOB NOT NULL,
        by TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
        actor TEXT GENERATED ALWAYS AS (by ->> '$.user_id') VIRTUAL, PRIMARY KEY(log, seq));
    CREATE INDEX audit_by_time ON audit(log, at_ms, seq);
    CREATE INDEX audit_by_actor ON audit(log, actor, at_ms, seq) WHERE actor IS NOT NULL;
    CREATE INDEX audit_by_subject ON audit(log, subject, at_ms, seq) WHERE subject IS NOT NULL;
    CREATE INDEX audit_by_action ON audit(log, action, at_ms, seq);
    CREATE INDEX audit_by_entity ON audit(log, entity_id, at_ms, seq);
    CREATE UNIQUE INDEX audit_by_note ON audit(note_id) WHERE note_id IS NOT NULL;
    CREATE TABLE audit_head(log BLOB PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL) WITHOUT ROWID;
    CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
        BEGIN SELECT raise(ABORT, 'the audit log is append only'); END;
    CREATE TABLE audit_anchor(
        log BLOB NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, last_hash BLOB NOT NULL,
        at_ms INTEGER NOT NULL, recorded_seq INTEGER NOT NULL, PRIMARY KEY(log, last_seq)) WITHOUT ROWID;
    CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
        WHEN NOT EXISTS(
            SELECT 1 FROM audit_anchor WHERE log = OLD.log AND OLD.seq BETWEEN first_seq AND last_seq)
        BEGIN SELECT raise(ABORT, 'the audit log is append only'); END;
    CREATE TRIGGER audit_has_no_gaps BEFORE INSERT ON audit
        WHEN NEW.seq <> coalesce((SELECT seq FROM audit_head WHERE log = NEW.log), 0) + 1
        BEGIN SELECT raise(ABORT, 'the audit log has no gaps'); END;
    CREATE TRIGGER audit_moves_its_head AFTER INSERT ON audit
        BEGIN INSERT INTO audit_head(log, seq, hash) VALUES(NEW.log, NEW.seq, NEW.hash)
            ON CONFLICT(log) DO UPDATE SET seq = excluded.seq, hash = excluded.hash; END;
    CREATE TRIGGER audit_anchor_fits BEFORE INSERT ON audit_anchor
        WHEN NEW.first_seq <> coalesce((SELECT max(last_seq) FROM audit_anchor WHERE log = NEW.log), 0) + 1
            OR NEW.last_seq < NEW.first_seq OR NEW.recorded_seq <= NEW.last_seq
            OR NOT EXISTS(
                SELECT 1 FROM audit WHERE log = NEW.log AND seq = NEW.last_seq AND hash = NEW.last_hash)
            OR NOT EXISTS(
                SELECT 1 FROM audit WHERE log = NEW.log AND seq = NEW.recorded_seq AND action = 'audit.expire')
        BEGIN SELECT raise(ABORT, 'an anchor covers the next events of its audit log'); END;
    CREATE TRIGGER audit_anchor_is_never_changed BEFORE UPDATE ON audit_anchor
        BEGIN SELECT raise(ABORT, 'the anchors of an audit log stay'); END;
    CREATE TRIGGER audit_anchor_is_never_deleted BEFORE DELETE ON audit_anchor
        BEGIN SELECT raise(ABORT, 'the anchors of an audit log stay'); END;
    CREATE TRIGGER audit_head_never_goes_back BEFORE UPDATE ON audit_head
        WHEN NEW.log <> OLD.log OR NEW.seq <> OLD.seq + 1
        BEGIN SELECT raise(ABORT, 'the head of an audit log never goes back'); END;
    CREATE TRIGGER audit_head_is_never_deleted BEFORE DELETE ON audit_head
        BEGIN SELECT raise(ABORT, 'the head of an audit log never goes back'); END;
";

/// The log of the platform; a workspace's log is named by its id.
const PLATFORM_LOG: [u8; 0] = [];

/// An event to be added.
#[derive(Default)]
pub(super) struct Event<'a> {
    /// The workspace whose log it is for; `None` is the platform's.
    pub(super) log: Option<[u8; 16]>,
    /// What was done.
    pub(super) action: &'a str,
    /// To what kind of entity.
    pub(super) entity_kind: &'a str,
    /// To which one.
    pub(super) entity_id: [u8; 16],
    /// The account that it is about, where that is not who acts.
    pub(super) subject: Option<[u8; 16]>,
    /// The id of a note.
    pub(super) note_id: Option<[u8; 16]>,
    /// JSON: what was there before.
    pub(super) before: &'a str,
    /// JSON: what is there now.
    pub(super) after: &'a str,
}

/// Adds the event of a change to the log of the tenant that the entity is about, or to the platform's. What the platform
/// does to a workspace itself is in both.
pub(super) fn append_change(
    transaction: &Transaction<'_>,
    change: &Change,
    before: Option<&Entity>,
    by: &Principal,
    at: jiff::Timestamp,
) -> rusqlite::Result<()> {
    let entity = &change.entity;
    let tenant = entity.tenant().map(octets);
    let mut event = Event {
        log: tenant,
        action: change.action,
        entity_kind: entity.kind().name(),
        entity_id: *entity.id().0.as_bytes(),
        before: &before.map_or(serde_json::Value::Null, Entity::audited).to_string(),
        after: &entity.audited().to_string(),
        ..Event::default()
    };
    append(transaction, &event, by, at)?;
    if tenant.is_some() && entity.workspace().is_none() && change.scope == Scope::Platform {
        event.log = None;
        append(transaction, &event, by, at)?;
    }
    Ok(())
}

/// Adds an event.
pub(super) fn append(
    transaction: &Transaction<'_>,
    event: &Event<'_>,
    by: &Principal,
    at: jiff::Timestamp,
) -> rusqlite::Result<()> {
    let log = log_of(&event.log);
    let head: Option<(i64, Hash)> = transaction
        .prepare_cached("SELECT seq, hash FROM audit_head WHERE log = ?1")?
        .query_row([log], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (newest, previous) = head.unwrap_or((0, GENESIS));
    let by = serde_json::to_string(by).expect("a principal is JSON");
    let (seq, at_ms) = (newest + 1, at.as_millisecond());
    let link = Link {
        log,
        seq: seq.cast_unsigned(),
        at_ms,
        by: by.as_bytes(),
        action: event.action.as_bytes(),
        entity_kind: event.entity_kind.as_bytes(),
        entity_id: &event.entity_id,
        subject: event.subject.as_ref().map(<[u8; 16]>::as_slice),
        note_id: event.note_id.as_ref().map(<[u8; 16]>::as_slice),
        before: event.before.as_bytes(),
        after: event.after.as_bytes(),
    };
    transaction
        .prepare_cached(
            "INSERT INTO audit(log, seq, at_ms, action, entity_kind, entity_id, subject, note_id, hash, by, before,
                after) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute((
            log,
            seq,
            at_ms,
            event.action,
            event.entity_kind,
            event.entity_id,
            event.subject,
            event.note_id,
            link.hash(&previous),
            &by,
            event.before,
            event.after,
        ))?;
    Ok(())
}

impl Control {
    pub(super) fn audit(&self, scope: Scope, after: u64) -> Result<Vec<AuditEvent>, StoreError> {
        self.read(|connection| read(connection, scope, after))
    }

    pub(super) fn note(&self, notes: &[Note]) -> Result<u64, StoreError> {
        if notes.len() > MAX_NOTES {
            return Err(StoreError::Refused(format!("at most {MAX_NOTES} notes in one call")));
        }
        notes.iter().try_for_each(Note::check)?;
        if notes.is_empty() {
            return Ok(0);
        }
        self.write(|transaction| {
            let mut is_there = transaction.prepare_cached("SELECT 1 FROM audit WHERE note_id = ?1")?;
            let mut added = 0;
            for note in notes {
                if is_there.exists([note.id.as_bytes()])? {
                    continue;
                }
                let event = Event {
                    log: owner(note.scope),
                    action: &note.action,
                    entity_kind: &note.entity_kind,
                    entity_id: *note.entity_id.0.as_bytes(),
                    subject: note.subject.map(|user| *user.0.as_bytes()),
                    note_id: Some(*note.id.as_bytes()),
                    before: "null",
                    after: &note.details.to_string(),
                };
                append(transaction, &event, &note.by, note.at)?;
                added += 1;
            }
            Ok(Ok(added))
        })
    }
}

/// The columns that [`event`] reads.
const EVENT: &str = "seq, log, at_ms, by, action, entity_kind, entity_id, before, after, subject, hash";

/// Events of the scope's own log behind `after`.
fn read(connection: &Connection, scope: Scope, after: u64) -> Outcome<Vec<AuditEvent>> {
    let owner = owner(scope);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {EVENT} FROM audit WHERE log = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    ))?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    statement.query_map((log_of(&owner), after, sql_limit(MAX_PAGE)), event)?.collect()
}

/// The name of a log by its owner.
fn log_of(owner: &Option<[u8; 16]>) -> &[u8] {
    owner.as_ref().map_or(&PLATFORM_LOG, |id| id)
}

fn event(row: &Row<'_>) -> Outcome<AuditEvent> {
    let seq: i64 = row.get(0)?;
    let log: Vec<u8> = row.get(1)?;
    let at_ms: i64 = row.get(2)?;
    let [by, before, after]: [String; 3] = [row.get(3)?, row.get(7)?, row.get(8)?];
    let Ok(at) = jiff::Timestamp::from_millisecond(at_ms) else {
        return Ok(Err(StoreError::Unusable(format!("audit event {seq} has the impossible time {at_ms}"))));
    };
    let (action, entity_kind) = (row.get(4)?, row.get(5)?);
    let entity_id = EntityId(Uuid::from_bytes(row.get(6)?));
    let subject: Option<[u8; 16]> = row.get(9)?;
    let hash: Hash = row.get(10)?;
    let parts = || -> Result<AuditEvent, StoreError> {
        Ok(AuditEvent {
            seq: seq.cast_unsigned(),
            workspace_id: Uuid::from_slice(&log).ok().map(WorkspaceId),
            at,
            by: parse(seq, &by)?,
            action,
            entity_kind,
            entity_id,
            subject: subject.map(|id| UserId(Uuid::from_bytes(id))),
            before: parse(seq, &before)?,
            after: parse(seq, &after)?,
            hash: hex(&hash),
        })
    };
    Ok(parts())
}

fn parse<T: DeserializeOwned>(seq: i64, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|e| StoreError::Unusable(format!("audit event {seq} cannot be read: {e}")))
}
