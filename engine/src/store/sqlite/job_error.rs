//! Job errors inside `control.db`: the first ones of each campaign or draft, and how many were noted in all.

use super::control::{Control, Outcome, owner, sql_limit};
use crate::model::{CampaignId, JobError, JobErrorCode, JobErrors, MAX_JOB_DETAIL_CHARS, MAX_JOB_ERRORS};
use crate::store::{Kind, MAX_PAGE, Scope, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

/// Part of `control.db`.
pub(super) const TABLES: &str = "
    CREATE TABLE job_errors(campaign BLOB PRIMARY KEY, noted INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE job_error(
        campaign BLOB NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, code TEXT NOT NULL,
        line INTEGER, detail TEXT NOT NULL, PRIMARY KEY(campaign, seq)) WITHOUT ROWID;
";

const KEPT: u64 = MAX_JOB_ERRORS as u64;

impl Control {
    pub(super) fn note_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: &[JobError],
    ) -> Result<(), StoreError> {
        check_count(errors)?;
        if errors.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let Some(before) = noted(transaction, scope, campaign)? else {
                return Ok(Err(StoreError::NotFound));
            };
            insert(transaction, campaign, before, errors)?;
            set_noted(transaction, campaign, before + errors.len() as u64).map(Ok)
        })
    }

    pub(super) fn replace_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: &JobErrors,
    ) -> Result<(), StoreError> {
        check_count(&errors.items)?;
        self.write(|transaction| {
            if noted(transaction, scope, campaign)?.is_none() {
                return Ok(Err(StoreError::NotFound));
            }
            transaction.execute("DELETE FROM job_error WHERE campaign = ?1", [campaign.0.as_bytes()])?;
            insert(transaction, campaign, 0, &errors.items)?;
            set_noted(transaction, campaign, errors.noted.max(errors.items.len() as u64)).map(Ok)
        })
    }

    pub(super) fn job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        after: u64,
        limit: usize,
    ) -> Result<JobErrors, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = sql_limit(limit.clamp(1, MAX_PAGE));
        self.read(|connection| {
            let Some(noted) = noted(connection, scope, campaign)? else {
                return Ok(Err(StoreError::NotFound));
            };
            let mut statement = connection.prepare_cached(
                "SELECT seq, at_ms, code, line, detail FROM job_error WHERE campaign = ?1 AND seq > ?2
                 ORDER BY seq LIMIT ?3",
            )?;
            let items: rusqlite::Result<Result<_, StoreError>> =
                statement.query_map((campaign.0.as_bytes(), after, limit), error)?.collect();
            Ok(items?.map(|items| JobErrors { items, noted }))
        })
    }
}

fn check_count(errors: &[JobError]) -> Result<(), StoreError> {
    if errors.len() > MAX_JOB_ERRORS {
        return Err(StoreError::Refused(format!("at most {MAX_JOB_ERRORS} job errors in one call")));
    }
    Ok(())
}

/// Puts errors behind the `before` ones, as far as there is room.
fn insert(
    connection: &Connection,
    campaign: CampaignId,
    before: u64,
    errors: &[JobError],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO job_error(campaign, seq, at_ms, code, line, detail) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (seq, error) in (before + 1..=KEPT).zip(errors) {
        let line = error.line.map(u64::cast_signed);
        let detail: String = error.detail.chars().take(MAX_JOB_DETAIL_CHARS).collect();
        let (at_ms, code) = (error.at.as_millisecond(), error.code.code());
        insert.execute((campaign.0.as_bytes(), seq.cast_signed(), at_ms, code, line, detail))?;
    }
    Ok(())
}

fn set_noted(connection: &Connection, campaign: CampaignId, noted: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO job_errors(campaign, noted) VALUES(?1, ?2)")?
        .execute((campaign.0.as_bytes(), noted.cast_signed()))
        .map(drop)
}

/// How many were noted for the campaign or draft; `None` when the scope has neither of this id.
fn noted(connection: &Connection, scope: Scope, campaign: CampaignId) -> rusqlite::Result<Option<u64>> {
    let noted: Option<i64> = connection
        .prepare_cached(
            "SELECT coalesce(noted, 0) FROM entity LEFT JOIN job_errors ON job_errors.campaign = entity.id
             WHERE kind IN (?1, ?2) AND id = ?3 AND (?4 IS NULL OR workspace_id = ?4)",
        )?
        .query_row((Kind::Campaign.name(), Kind::Draft.name(), campaign.0.as_bytes(), owner(scope)), |row| {
            row.get(0)
        })
        .optional()?;
    Ok(noted.map(i64::cast_unsigned))
}

fn error(row: &Row<'_>) -> Outcome<JobError> {
    let (seq, at_ms, line): (i64, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(3)?);
    let (code, detail): (String, String) = (row.get(2)?, row.get(4)?);
    let damaged = |what: String| StoreError::Unusable(format!("job error {seq} cannot be read: {what}"));
    let parts = || {
        Ok(JobError {
            seq: seq.cast_unsigned(),
            at: jiff::Timestamp::from_millisecond(at_ms).map_err(|e| damaged(e.to_string()))?,
            code: JobErrorCode::try_from(code).map_err(damaged)?,
            line: line.map(i64::cast_unsigned),
            detail,
        })
    };
    Ok(parts())
}
