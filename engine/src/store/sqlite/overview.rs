//! The sums of an overview, from the rows that lists use: no body is read.

use super::campaigns::{Condition, check_scope};
use super::control::{Control, sql_limit};
use crate::model::{CampaignId, Status, UserId, WorkspaceId};
use crate::store::StoreError;
use crate::store::listing::{
    ACTIVE_STATUSES, AUTHORS_HOURS, ActiveCampaign, AuthorCount, CampaignScope, MAX_ACTIVE, MAX_AUTHORS,
    Overview,
};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};
use uuid::Uuid;

const HOUR_MS: i64 = 3_600_000;

impl Control {
    pub(super) fn overview(&self, scope: &CampaignScope, now: Timestamp) -> Result<Overview, StoreError> {
        check_scope(scope)?;
        let since_ms = now.as_millisecond().saturating_sub(AUTHORS_HOURS * HOUR_MS);
        self.look(|connection| {
            Ok(Ok(Overview {
                by_status: by_status(connection, scope)?,
                active: active(connection, scope, since_ms)?,
                authors: authors(connection, scope, since_ms)?,
            }))
        })
    }
}

fn by_status(connection: &Connection, scope: &CampaignScope) -> rusqlite::Result<[u64; Status::ALL.len()]> {
    let mut condition = Condition::scope(scope);
    condition.and("archived = 0", []);
    let select =
        format!("SELECT status, count(*) FROM campaign_row WHERE {} GROUP BY status", condition.sql());
    let mut counts = [0; Status::ALL.len()];
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query(condition.values())?;
    while let Some(row) = rows.next()? {
        let (place, count): (u8, i64) = (row.get(0)?, row.get(1)?);
        if let Some(of) = counts.get_mut(usize::from(place)) {
            *of = count.cast_unsigned();
        }
    }
    Ok(counts)
}

fn active(
    connection: &Connection,
    scope: &CampaignScope,
    since_ms: i64,
) -> rusqlite::Result<Vec<ActiveCampaign>> {
    let [first, .., last] = ACTIVE_STATUSES;
    let mut condition = Condition::scope(scope);
    let range = [Value::Integer(first as i64), Value::Integer(last as i64)];
    // The four are neighbours, and a range is found in the index.
    condition.and("archived = 0 AND status BETWEEN ? AND ?", range);
    condition.and("TRUE ORDER BY id DESC LIMIT ?", [Value::Integer(sql_limit(MAX_ACTIVE))]);
    let select = format!(
        "SELECT workspace_id, id, status, recipients, created_by, created_ms FROM campaign_row WHERE {}",
        condition.sql()
    );
    let mut statement = connection.prepare_cached(&select)?;
    let campaign = |row: &Row<'_>| {
        let created_ms: i64 = row.get(5)?;
        Ok(ActiveCampaign {
            workspace_id: WorkspaceId(Uuid::from_bytes(row.get(0)?)),
            id: CampaignId(Uuid::from_bytes(row.get(1)?)),
            status: Status::ALL.get(usize::from(row.get::<_, u8>(2)?)).copied().unwrap_or(Status::Building),
            recipients: row.get::<_, i64>(3)?.cast_unsigned(),
            created_by: UserId(Uuid::from_bytes(row.get(4)?)),
            is_recent: created_ms >= since_ms,
        })
    };
    statement.query_map(condition.values(), campaign)?.collect()
}

fn authors(
    connection: &Connection,
    scope: &CampaignScope,
    since_ms: i64,
) -> rusqlite::Result<Vec<AuthorCount>> {
    let mut condition = Condition::scope(scope);
    condition.and("created_ms >= ?", [Value::Integer(since_ms)]);
    condition.and(
        "TRUE GROUP BY created_by ORDER BY campaigns DESC, messages DESC, created_by LIMIT ?",
        [Value::Integer(sql_limit(MAX_AUTHORS))],
    );
    let select = format!(
        "SELECT created_by, count(*) AS campaigns, sum(messages) AS messages FROM campaign_row WHERE {}",
        condition.sql()
    );
    let mut statement = connection.prepare_cached(&select)?;
    let author = |row: &Row<'_>| {
        Ok(AuthorCount {
            user_id: UserId(Uuid::from_bytes(row.get(0)?)),
            campaigns: row.get::<_, i64>(1)?.cast_unsigned(),
            messages: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    };
    statement.query_map(condition.values(), author)?.collect()
}
