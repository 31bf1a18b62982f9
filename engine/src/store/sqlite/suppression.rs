//! The suppression lists inside `control.db`: one for each workspace and one for the installation.
//!
//! Every call is one transaction with one audit event, in the log of the list's owner; the event tells how many
//! entries and the last digits of the first ones, never a whole number.

use super::audit::{self, Event};
use super::control::{Control, Outcome, owner, sql_limit};
use crate::model::{MAX_SOURCE_CHARS, Number, Principal, Suppression, SuppressionKind, WorkspaceId};
use crate::store::{MAX_PAGE, MAX_SUPPRESSIONS, Scope, StoreError, SuppressionKey};
use rusqlite::{Row, Transaction};
use serde_json::{Value, json};
use uuid::Uuid;

/// Part of `control.db`; an empty scope is the installation.
pub(super) const TABLES: &str = "
    CREATE TABLE suppression(
        scope BLOB NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        source TEXT NOT NULL, PRIMARY KEY(scope, number, kind)) WITHOUT ROWID;
";

/// Entries that an audit event names; of ten thousand, four digits each would say nothing.
const NAMED_ENTRIES: usize = 100;

/// The greatest E.164 number: fifteen digits.
const GREATEST_NUMBER: u64 = 999_999_999_999_999;

impl Control {
    pub(super) fn suppress(
        &self,
        scope: Scope,
        entries: &[Suppression],
        by: &Principal,
        at: jiff::Timestamp,
    ) -> Result<u64, StoreError> {
        check(entries.iter().map(|entry| entry.number))?;
        if entries.iter().any(|entry| entry.source.chars().count() > MAX_SOURCE_CHARS) {
            return Err(StoreError::Refused(format!("a source has at most {MAX_SOURCE_CHARS} characters")));
        }
        let keys: Vec<_> = entries.iter().map(|entry| (entry.number, entry.kind)).collect();
        if entries.is_empty() {
            return Ok(0);
        }
        self.write(|transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO suppression(scope, number, kind, at_ms, source) VALUES(?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT(scope, number, kind) DO NOTHING",
            )?;
            let mut added = 0;
            for Suppression { number, kind, source, at } in entries {
                let number = number.cast_signed();
                added += insert.execute((list(scope), number, code(*kind), at.as_millisecond(), source))?;
            }
            let after = json!({"count": keys.len(), "added": added, "entries": named(&keys)});
            record(transaction, (scope, "suppression.add"), (Value::Null, after), by, at)?;
            Ok(Ok(added as u64))
        })
    }

    pub(super) fn unsuppress(
        &self,
        scope: Scope,
        keys: &[SuppressionKey],
        by: &Principal,
        at: jiff::Timestamp,
    ) -> Result<u64, StoreError> {
        check(keys.iter().map(|(number, _)| *number))?;
        if keys.is_empty() {
            return Ok(0);
        }
        self.write(|transaction| {
            let mut delete = transaction
                .prepare_cached("DELETE FROM suppression WHERE scope = ?1 AND number = ?2 AND kind = ?3")?;
            let mut removed = 0;
            for (number, kind) in keys {
                removed += delete.execute((list(scope), number.cast_signed(), code(*kind)))?;
            }
            let before = json!({"count": keys.len(), "removed": removed, "entries": named(keys)});
            record(transaction, (scope, "suppression.remove"), (before, Value::Null), by, at)?;
            Ok(Ok(removed as u64))
        })
    }

    pub(super) fn suppressions(
        &self,
        scope: Scope,
        after: Option<SuppressionKey>,
        limit: usize,
    ) -> Result<Vec<Suppression>, StoreError> {
        let limit = sql_limit(limit.clamp(1, MAX_PAGE));
        let (number, kind) =
            after.map_or((-1, 0), |(number, kind)| (i64::try_from(number).unwrap_or(i64::MAX), code(kind)));
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, kind, at_ms, source FROM suppression
                 WHERE scope = ?1 AND (number, kind) > (?2, ?3) ORDER BY number, kind LIMIT ?4",
            )?;
            statement.query_map((list(scope), number, kind, limit), entry)?.collect()
        })
    }

    pub(super) fn all_suppressions(
        &self,
        visit: &mut dyn FnMut(Option<WorkspaceId>, u64, SuppressionKind),
    ) -> Result<(), StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT scope, number, kind FROM suppression ORDER BY scope, number, kind")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let workspace = match row.get_ref(0)?.as_blob()? {
                    [] => None,
                    id => match Uuid::from_slice(id) {
                        Ok(id) => Some(WorkspaceId(id)),
                        Err(e) => return Ok(Err(damaged(&e.to_string()))),
                    },
                };
                let number: i64 = row.get(1)?;
                match kind(row.get(2)?) {
                    Ok(kind) => visit(workspace, number.cast_unsigned(), kind),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(()))
        })
    }
}

fn check(numbers: impl ExactSizeIterator<Item = u64>) -> Result<(), StoreError> {
    if numbers.len() > MAX_SUPPRESSIONS {
        return Err(StoreError::Refused(format!("at most {MAX_SUPPRESSIONS} numbers in one call")));
    }
    let mut wrong = numbers.filter(|number| !(1..=GREATEST_NUMBER).contains(number));
    wrong
        .next()
        .map_or(Ok(()), |_| Err(StoreError::Refused("a number has at most fifteen digits".to_owned())))
}

fn record(
    transaction: &Transaction<'_>,
    (scope, action): (Scope, &str),
    (before, after): (Value, Value),
    by: &Principal,
    at: jiff::Timestamp,
) -> rusqlite::Result<()> {
    let event = Event {
        log: owner(scope),
        action,
        entity_kind: "suppression",
        // A list has no id of its own: there is one for its owner.
        entity_id: owner(scope).unwrap_or_default(),
        before: &before.to_string(),
        after: &after.to_string(),
        ..Event::default()
    };
    audit::append(transaction, &event, by, at)
}

fn named(keys: &[SuppressionKey]) -> Value {
    let name = |(number, kind): &SuppressionKey| json!({"number": Number(*number).to_string(), "kind": kind});
    keys.iter().take(NAMED_ENTRIES).map(name).collect()
}

fn list(scope: Scope) -> Vec<u8> {
    owner(scope).map_or_else(Vec::new, |workspace| workspace.to_vec())
}

const fn code(kind: SuppressionKind) -> i64 {
    match kind {
        SuppressionKind::OptOut => 1,
        SuppressionKind::Block => 2,
    }
}

fn kind(code: i64) -> Result<SuppressionKind, StoreError> {
    match code {
        1 => Ok(SuppressionKind::OptOut),
        2 => Ok(SuppressionKind::Block),
        other => Err(damaged(&format!("kind {other}"))),
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Unusable(format!("a stored suppression cannot be read: {what}"))
}

fn entry(row: &Row<'_>) -> Outcome<Suppression> {
    let number: i64 = row.get(0)?;
    let (code, at_ms): (i64, i64) = (row.get(1)?, row.get(2)?);
    let source = row.get(3)?;
    let Ok(at) = jiff::Timestamp::from_millisecond(at_ms) else {
        return Ok(Err(damaged(&format!("the time {at_ms}"))));
    };
    Ok(kind(code).map(|kind| Suppression { number: number.cast_unsigned(), kind, source, at }))
}
