//! The audit log inside `control.db`: one dense sequence per workspace and one for the platform.
//!
//! Events are only ever added, in the transaction of the change that they record; triggers refuse the rest.

use super::control::{Outcome, octets, owner, sql_limit};
use crate::model::{AuditEvent, EntityId, Principal, WorkspaceId};
use crate::store::{Change, Entity, MAX_PAGE, Scope, StoreError};
use rusqlite::{Connection, Row, Transaction};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The log of the platform; a workspace's log is named by its id.
const PLATFORM_LOG: [u8; 0] = [];

/// An event to be added.
pub(super) struct Event<'a> {
    /// The workspace whose log it is for; `None` is the platform's.
    pub(super) log: Option<[u8; 16]>,
    /// What was done.
    pub(super) action: &'a str,
    /// To what kind of entity.
    pub(super) entity_kind: &'a str,
    /// To which one.
    pub(super) entity_id: [u8; 16],
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
    let log: &[u8] = event.log.as_ref().map_or(&PLATFORM_LOG, |id| id);
    transaction
        .prepare_cached(
            "INSERT INTO audit(log, seq, at_ms, by, action, entity_kind, entity_id, before, after)
             VALUES(?1, (SELECT coalesce(max(seq), 0) + 1 FROM audit WHERE log = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            log,
            at.as_millisecond(),
            serde_json::to_string(by).expect("a principal is JSON"),
            event.action,
            event.entity_kind,
            event.entity_id,
            event.before,
            event.after,
        ))?;
    Ok(())
}

/// Events of the scope's own log behind `after`.
pub(super) fn read(connection: &Connection, scope: Scope, after: u64) -> Outcome<Vec<AuditEvent>> {
    let owner = owner(scope);
    let log: &[u8] = owner.as_ref().map_or(&PLATFORM_LOG, |id| id);
    let mut statement = connection.prepare_cached(
        "SELECT seq, log, at_ms, by, action, entity_kind, entity_id, before, after FROM audit
         WHERE log = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    statement.query_map((log, after, sql_limit(MAX_PAGE)), event)?.collect()
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
    let parts = || -> Result<AuditEvent, StoreError> {
        Ok(AuditEvent {
            seq: seq.cast_unsigned(),
            workspace_id: Uuid::from_slice(&log).ok().map(WorkspaceId),
            at,
            by: parse(seq, &by)?,
            action,
            entity_kind,
            entity_id,
            before: parse(seq, &before)?,
            after: parse(seq, &after)?,
        })
    };
    Ok(parts())
}

fn parse<T: DeserializeOwned>(seq: i64, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|e| StoreError::Unusable(format!("audit event {seq} cannot be read: {e}")))
}
