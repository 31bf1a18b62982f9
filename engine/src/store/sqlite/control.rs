//! `control.db`: entities, their audit log and the installation's counters.
//!
//! All changes of a call and their audit events are one transaction. Every transaction bumps a revision; when a
//! COMMIT fails, the revision read back over a new connection tells whether it took effect, so that a caller never
//! hears "unavailable" about a change that was made.

use super::connection::{self, CONTROL, CONTROL_READER, Handle, explain};
use super::directory::Directory;
use super::{audit, campaigns, lock};
use crate::model::{CampaignNo, EntityId, Principal, WorkspaceId};
use crate::store::{Change, Entity, Expect, Kind, MAX_PAGE, Page, Query, Scope, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::Mutex;
use uuid::Uuid;

const FILE: &str = "control.db";

/// Entities and counters.
pub(super) const TABLES: &str = "
    INSERT INTO meta(key, value) VALUES('revision', 0), ('epoch', 0), ('campaign_no', 0);
    CREATE TABLE entity(
        kind TEXT NOT NULL, id BLOB NOT NULL, workspace_id BLOB, parent BLOB, state_version INTEGER NOT NULL,
        status TEXT, unique_key TEXT, body TEXT NOT NULL, PRIMARY KEY(kind, id));
    CREATE UNIQUE INDEX entity_by_unique_key ON entity(kind, unique_key) WHERE unique_key IS NOT NULL;
    CREATE INDEX entity_by_workspace ON entity(workspace_id, kind, id);
    CREATE INDEX entity_by_parent ON entity(parent, kind, id) WHERE parent IS NOT NULL;
";

/// Reads the installation id, making a new installation when there is no control file yet.
pub(super) fn identify(directory: &Path) -> Result<Uuid, StoreError> {
    let path = directory.join(FILE);
    let connection = connection::open(&path, None, &CONTROL)?;
    let text = connection::installation(&connection).map_err(|e| explain(&path, &e))?;
    Uuid::parse_str(&text).map_err(|e| {
        StoreError::Unusable(format!("{} carries the installation id {text:?}: {e}", path.display()))
    })
}

/// What a transaction gives: an SQLite error ends the connection, a refusal only the transaction.
pub(super) type Outcome<T> = rusqlite::Result<Result<T, StoreError>>;

/// The catalog's file.
#[derive(Debug)]
pub(super) struct Control {
    handle: Mutex<Handle>,
    /// For lists and sums: whoever reads them waits for no commit, and no commit for them.
    reader: Mutex<Handle>,
}

impl Control {
    pub(super) fn open(directory: &Directory) -> Self {
        let connect = |role| Mutex::new(Handle::new(directory.file(FILE), directory.installation(), role));
        Self { handle: connect(&CONTROL), reader: connect(&CONTROL_READER) }
    }

    pub(super) fn apply(
        &self,
        changes: &[Change],
        by: &Principal,
        at: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            for change in changes {
                let before = match store(transaction, change)? {
                    Ok(before) => before.map(|body| decode(change.entity.kind(), &body)).transpose(),
                    Err(refusal) => return Ok(Err(refusal)),
                };
                if let Ok(Some(before)) = &before
                    && let Err(refusal) = before.check_next(&change.entity)
                {
                    return Ok(Err(refusal));
                }
                match before {
                    Ok(before) if is_event(&change.entity, before.as_ref()) => {
                        audit::append_change(transaction, change, before.as_ref(), by, at)?;
                    }
                    Ok(_) => {}
                    Err(unreadable) => return Ok(Err(unreadable)),
                }
            }
            Ok(Ok(()))
        })
    }

    pub(super) fn get(&self, scope: Scope, kind: Kind, id: EntityId) -> Result<Entity, StoreError> {
        self.one(
            "SELECT body FROM entity WHERE kind = ?1 AND id = ?2 AND (?3 IS NULL OR workspace_id = ?3)",
            kind,
            (kind.name(), id.0.as_bytes(), owner(scope)),
        )
    }

    pub(super) fn find(&self, scope: Scope, kind: Kind, unique: &str) -> Result<Entity, StoreError> {
        self.one(
            "SELECT body FROM entity WHERE kind = ?1 AND unique_key = ?2 AND (?3 IS NULL OR workspace_id = ?3)",
            kind,
            (kind.name(), unique, owner(scope)),
        )
    }

    pub(super) fn list(&self, scope: Scope, query: &Query) -> Result<Page<Entity>, StoreError> {
        let limit = query.limit.clamp(1, MAX_PAGE);
        // UUIDs of version 7 sort by time, so the newest has the greatest id.
        let select = format!(
            "SELECT body FROM entity WHERE kind = ?1 {} AND (?3 IS NULL OR id < ?3)
             AND (?4 = '[]' OR status IN (SELECT value FROM json_each(?4))) {} ORDER BY id DESC LIMIT ?5",
            match scope {
                Scope::Workspace(_) => "AND workspace_id = ?2",
                Scope::Platform => "AND ?2 IS NULL",
            },
            if query.parent.is_some() { "AND parent = ?6" } else { "AND ?6 IS NULL" }
        );
        let statuses = serde_json::to_string(&query.statuses).expect("a list of strings is JSON");
        let after = query.after.map(|id| *id.0.as_bytes());
        let mut items = lock(&self.handle).with(|connection| {
            let mut statement = connection.prepare_cached(&select)?;
            let parent = query.parent.map(|id| *id.0.as_bytes());
            let values = (query.kind.name(), owner(scope), after, statuses, sql_limit(limit + 1), parent);
            let rows = statement.query_map(values, |row| Ok(decode(query.kind, text(row, 0)?)))?;
            rows.collect::<rusqlite::Result<Result<Vec<Entity>, StoreError>>>()
        })??;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(Entity::id) } else { None };
        Ok(Page { items, next })
    }

    pub(super) fn purge(&self, kind: Kind, before: jiff::Timestamp) -> Result<u64, StoreError> {
        if !kind.is_passing() {
            return Err(StoreError::Refused(format!("a {} is kept", kind.name())));
        }
        // UUIDs of version 7 begin with their time.
        let ms = u128::try_from(before.as_millisecond()).unwrap_or(0);
        let first = Uuid::from_u128(ms << 80);
        self.write(|transaction| {
            let removed = transaction
                .prepare_cached("DELETE FROM entity WHERE kind = ?1 AND id < ?2")?
                .execute((kind.name(), first.as_bytes()))?;
            Ok(Ok(removed as u64))
        })
    }

    pub(super) fn next_campaign_no(&self) -> Result<CampaignNo, StoreError> {
        self.count("campaign_no").map(CampaignNo)
    }

    pub(super) fn next_epoch(&self) -> Result<u32, StoreError> {
        self.count("epoch")
    }

    pub(super) fn schema_version(&self) -> Result<u32, StoreError> {
        self.look(|connection| {
            let stored: i64 =
                connection.query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| row.get(0))?;
            let unreadable = || StoreError::Unusable(format!("the schema version {stored} is none"));
            Ok(u32::try_from(stored).map_err(|_| unreadable()))
        })
    }

    fn one(&self, select: &str, kind: Kind, values: impl rusqlite::Params) -> Result<Entity, StoreError> {
        lock(&self.handle)
            .with(|connection| {
                let mut statement = connection.prepare_cached(select)?;
                statement.query_row(values, |row| Ok(decode(kind, text(row, 0)?))).optional()
            })?
            .unwrap_or(Err(StoreError::NotFound))
    }

    fn count(&self, counter: &str) -> Result<u32, StoreError> {
        self.write(|transaction| {
            let next: i64 = transaction.query_row(
                "UPDATE meta SET value = value + 1 WHERE key = ?1 RETURNING value",
                [counter],
                |row| row.get(0),
            )?;
            Ok(u32::try_from(next)
                .map_err(|_| StoreError::Unusable(format!("the counter {counter} is used up"))))
        })
    }

    /// Reads everything of one moment, beside the writer: what was committed before is seen.
    pub(super) fn look<T>(&self, work: impl FnOnce(&Connection) -> Outcome<T>) -> Result<T, StoreError> {
        lock(&self.reader).with(|connection| work(&*connection.transaction()?))?
    }

    /// Reads on the writer's connection, beside nothing else.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Outcome<T>) -> Result<T, StoreError> {
        lock(&self.handle).with(|connection| work(connection))?
    }

    /// One durable transaction; a refusal leaves nothing behind.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        let mut handle = lock(&self.handle);
        let mut committing = None;
        let refused = handle.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            match work(&transaction)? {
                Err(refusal) => Ok(Some(refusal)),
                Ok(value) => {
                    let revision: i64 = transaction.query_row(
                        "UPDATE meta SET value = value + 1 WHERE key = 'revision' RETURNING value",
                        [],
                        |row| row.get(0),
                    )?;
                    committing = Some((revision, value));
                    transaction.commit()?;
                    Ok(None)
                }
            }
        });
        if refused.is_err() {
            // Nothing that a connection remembers about the file counts any more.
            lock(&self.reader).close();
        }
        match (refused, committing) {
            (Ok(Some(refusal)), _) => Err(refusal),
            (Ok(None), Some((_, value))) => Ok(value),
            (Err(_), Some((revision, value))) if handle.with(stored_revision)? >= revision => Ok(value),
            (Err(error), _) => Err(error),
            (Ok(None), None) => unreachable!("a transaction that was not refused was committed"),
        }
    }
}

/// Whether storing this in the place of `before` is to be found in the audit log.
fn is_event(entity: &Entity, before: Option<&Entity>) -> bool {
    entity.is_audited() && !before.is_some_and(|before| entity.is_only_counted(before))
}

fn stored_revision(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT value FROM meta WHERE key = 'revision'", [], |row| row.get(0))
}

/// Stores one entity after all checks and gives what was stored before.
fn store(transaction: &Transaction<'_>, change: &Change) -> Outcome<Option<String>> {
    let entity = &change.entity;
    let (kind, id) = (entity.kind().name(), entity.id());
    if owner(change.scope).is_some_and(|workspace| entity.tenant().map(octets) != Some(workspace)) {
        return Ok(Err(StoreError::NotFound));
    }
    let stored: Option<(u32, Option<[u8; 16]>, String)> = transaction
        .prepare_cached("SELECT state_version, workspace_id, body FROM entity WHERE kind = ?1 AND id = ?2")?
        .query_row((kind, id.0.as_bytes()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let before = match (change.expect, stored) {
        (Expect::Absent, None) => None,
        (Expect::Absent, Some(_)) => return Ok(Err(StoreError::Taken("id"))),
        (Expect::Version(_), None) => return Ok(Err(StoreError::NotFound)),
        (Expect::Version(_), Some((_, owner, _))) if owner != entity.workspace().map(octets) => {
            return Ok(Err(StoreError::NotFound));
        }
        (Expect::Version(expected), Some((found, _, _))) if found != expected => {
            return Ok(Err(StoreError::Conflict { expected, found }));
        }
        (Expect::Version(_), Some((_, _, body))) => Some(body),
    };
    let unique = entity.unique_key();
    if let Some((name, key)) = &unique {
        let taken = transaction
            .prepare_cached("SELECT 1 FROM entity WHERE kind = ?1 AND unique_key = ?2 AND id <> ?3")?
            .exists((kind, key, id.0.as_bytes()))?;
        if taken {
            return Ok(Err(StoreError::Taken(name)));
        }
    }
    transaction
        .prepare_cached(
            "INSERT INTO entity(kind, id, workspace_id, parent, state_version, status, unique_key, body)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT(kind, id) DO UPDATE SET state_version = excluded.state_version,
                status = excluded.status, unique_key = excluded.unique_key, body = excluded.body",
        )?
        .execute((
            kind,
            id.0.as_bytes(),
            entity.workspace().map(octets),
            entity.parent().map(|id| *id.0.as_bytes()),
            entity.state_version(),
            entity.status(),
            unique.map(|(_, key)| key),
            entity.body().to_string(),
        ))?;
    campaigns::list(transaction, entity)?;
    Ok(Ok(before))
}

fn decode(kind: Kind, body: &str) -> Result<Entity, StoreError> {
    kind.read(body).map_err(|e| StoreError::Unusable(format!("a stored {} cannot be read: {e}", kind.name())))
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    match row.get_ref(column)? {
        ValueRef::Text(text) => std::str::from_utf8(text).map_err(|e| rusqlite::Error::Utf8Error(column, e)),
        other => Err(rusqlite::Error::InvalidColumnType(column, "body".to_owned(), other.data_type())),
    }
}

/// A number of rows as SQLite takes it.
pub(super) fn sql_limit(rows: usize) -> i64 {
    i64::try_from(rows).expect("a page is small")
}

/// The workspace that a scope is limited to.
pub(super) const fn owner(scope: Scope) -> Option<[u8; 16]> {
    match scope {
        Scope::Workspace(workspace) => Some(octets(workspace)),
        Scope::Platform => None,
    }
}

/// A workspace id as stored.
pub(super) const fn octets(workspace: WorkspaceId) -> [u8; 16] {
    *workspace.0.as_bytes()
}
