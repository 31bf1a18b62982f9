//! What campaigns have sent in which hour, inside `control.db`: for those that ended, all of it.
//!
//! A campaign's rows are replaced whole, so that storing them twice does no harm. Reads find a workspace and its hours
//! in the key and touch nothing else.

use super::control::{Control, octets};
use crate::model::traffic::{Load, Traffic};
use crate::model::{CampaignId, UnitStatus, WorkspaceId};
use crate::store::{CampaignUsage, HourUsage, Kind, MAX_HOURS, StoreError};
use rusqlite::Row;
use std::ops::Range;
use uuid::Uuid;

/// Part of `control.db`. A state is the octet of a unit's, or [`FAILED`].
pub(super) const TABLES: &str = "
    CREATE TABLE traffic(
        workspace_id BLOB NOT NULL, hour INTEGER NOT NULL, campaign BLOB NOT NULL, state INTEGER NOT NULL,
        messages INTEGER NOT NULL, segments INTEGER NOT NULL,
        PRIMARY KEY(workspace_id, hour, campaign, state)) WITHOUT ROWID;
    CREATE INDEX traffic_of_campaign ON traffic(campaign);
";

/// In `state`: not what stands so, but what failed in that hour.
const FAILED: u8 = 255;

impl Control {
    pub(super) fn put_traffic(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        hours: &[(u32, Traffic)],
    ) -> Result<(), StoreError> {
        let (owner, id) = (octets(workspace), campaign.0.as_bytes());
        self.write(|transaction| {
            let is_known = transaction
                .prepare_cached("SELECT 1 FROM entity WHERE kind = ?1 AND id = ?2 AND workspace_id = ?3")?
                .exists((Kind::Campaign.name(), id, owner))?;
            if !is_known {
                return Ok(Err(StoreError::NotFound));
            }
            transaction.prepare_cached("DELETE FROM traffic WHERE campaign = ?1")?.execute([id])?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO traffic(workspace_id, hour, campaign, state, messages, segments)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for (hour, traffic) in hours {
                let states = traffic.submitted.iter().map(|(status, load)| (*status as u8, *load));
                let failed = Some((FAILED, traffic.failed)).filter(|(_, load)| *load != Load::default());
                for (state, load) in states.chain(failed) {
                    let (messages, segments) = (load.messages.cast_signed(), load.segments.cast_signed());
                    insert.execute((owner, hour, id, state, messages, segments))?;
                }
            }
            Ok(Ok(()))
        })
    }

    pub(super) fn traffic(
        &self,
        workspace: WorkspaceId,
        hours: &Range<u32>,
    ) -> Result<Vec<HourUsage>, StoreError> {
        if hours.end.saturating_sub(hours.start) > MAX_HOURS {
            return Err(StoreError::Refused(format!("at most {MAX_HOURS} hours in one call")));
        }
        let mut found: Vec<HourUsage> = Vec::new();
        self.rows(
            "SELECT campaign, state, messages, segments, hour FROM traffic
             WHERE workspace_id = ?1 AND hour >= ?2 AND hour < ?3 ORDER BY hour, campaign, state",
            (workspace, hours),
            |row, campaign_id| {
                let hour: u32 = row.get(4)?;
                if found.last().is_none_or(|last| (last.hour, last.campaign_id) != (hour, campaign_id)) {
                    found.push(HourUsage { hour, campaign_id, traffic: Traffic::default() });
                }
                let last = found.last_mut().expect("it was just put there");
                add(&mut last.traffic, row)
            },
        )?;
        Ok(found)
    }

    pub(super) fn usage(
        &self,
        workspace: WorkspaceId,
        hours: &Range<u32>,
    ) -> Result<Vec<CampaignUsage>, StoreError> {
        let mut found: Vec<CampaignUsage> = Vec::new();
        self.rows(
            "SELECT campaign, state, sum(messages), sum(segments) FROM traffic
             WHERE workspace_id = ?1 AND hour >= ?2 AND hour < ?3 GROUP BY campaign, state ORDER BY campaign, state",
            (workspace, hours),
            |row, campaign_id| {
                if found.last().is_none_or(|last| last.campaign_id != campaign_id) {
                    found.push(CampaignUsage { campaign_id, traffic: Traffic::default() });
                }
                let last = found.last_mut().expect("it was just put there");
                add(&mut last.traffic, row)
            },
        )?;
        Ok(found)
    }

    fn rows(
        &self,
        select: &str,
        (workspace, hours): (WorkspaceId, &Range<u32>),
        mut visit: impl FnMut(&Row<'_>, CampaignId) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.look(|connection| {
            let mut statement = connection.prepare_cached(select)?;
            let mut rows = statement.query((octets(workspace), hours.start, hours.end))?;
            while let Some(row) = rows.next()? {
                visit(row, CampaignId(Uuid::from_bytes(row.get(0)?)))?;
            }
            Ok(Ok(()))
        })
    }
}

/// Adds a row of a state, messages and segments behind the campaign.
fn add(traffic: &mut Traffic, row: &Row<'_>) -> rusqlite::Result<()> {
    let (state, messages, segments): (u8, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let load = Load { messages: messages.cast_unsigned(), segments: segments.cast_unsigned() };
    match UnitStatus::from_octet(state) {
        Some(status) => traffic.submit(status, load),
        None => traffic.failed.add(load),
    }
    Ok(())
}
