//! What a start does before the first PDU: accounts from saved state, facts from the journal, fates of intents.
//!
//! No intent, or an intent beyond a trusted written mark: queued, sent later. Outcome: done. Any other intent
//! without outcome: `unknown`, or queued again under `at_least_once`. Control data is read first, so that what was
//! stopped stays stopped. The resolution is itself a journal row, durable before anything is sent.

use crate::dispatch::account::Account;
use crate::dispatch::commands::unsent;
use crate::dispatch::keeper::{Keeper, Unresolved};
use crate::dispatch::mark::Marks;
use crate::dispatch::matcher::Early;
use crate::dispatch::tally::Tally;
use crate::dispatch::tenant::calendar_of;
use crate::model::record::{self, Fact, Facts, Fate, Intent, Numbers, Orphan, Outcome, Skip};
use crate::model::{Campaign, CampaignNo, DeliveryPolicy, Mode, Run, Status, WorkspaceId};
use crate::schedule::Zone;
use crate::store::{Catalog, Commit, Entity, Journal, Kind, MAX_PAGE, Query, RowSeq, Scope, StoreError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What recovery found.
pub(crate) struct Recovered {
    pub(crate) keeper: Keeper,
    pub(crate) newest: RowSeq,
    /// Campaigns whose facts may go on: running, paused, or ended with receipts to come.
    pub(crate) campaigns: Vec<Found>,
    /// Receipts that have no message yet, by channel.
    pub(crate) orphans: Vec<(u32, Early)>,
    /// Units whose fate is uncertain since this start.
    pub(crate) unknown: u64,
    /// Units that surely never left and are queued again.
    pub(crate) revoked: u64,
}

/// A campaign that recovery has found.
pub(crate) struct Found {
    pub(crate) campaign: Campaign,
    pub(crate) tally: Arc<Tally>,
}

/// Rebuilds the accounts and resolves what the last run left open.
pub(crate) async fn recover(
    (catalog, journal): (&dyn Catalog, &Arc<dyn Journal>),
    mut keeper: Keeper,
    marks: &Marks,
    wall_ms: u64,
) -> Result<Recovered, StoreError> {
    let mut newest = journal.newest().await?;
    keeper.begin_behind(newest);
    // Bounded by the journal's size, which compaction keeps at some 64 MiB.
    let mut rows = Vec::new();
    let mut keep = |seq: RowSeq, row: &[u8]| rows.push((seq, Bytes::copy_from_slice(row)));
    journal.replay(0, &mut keep).await?;
    let mut orphans = BTreeMap::new();
    let mut touched = BTreeMap::new();
    for (seq, row) in &rows {
        survey(*seq, row, &mut orphans, &mut touched)?;
    }
    let mut campaigns = Vec::new();
    let mut zones = BTreeMap::new();
    for campaign in concerned(catalog, &**journal, &touched).await? {
        let zone = match zones.get(&campaign.workspace_id) {
            Some(zone) => Option::<Zone>::clone(zone),
            None => zone_of(catalog, campaign.workspace_id).await?,
        };
        zones.insert(campaign.workspace_id, zone.clone());
        let (account, watermark) = restore(&**journal, &campaign, zone, wall_ms).await?;
        let tally = Arc::new(Tally::default());
        keeper.open(account, Arc::clone(&tally), watermark);
        campaigns.push(Found { campaign, tally });
    }
    for (seq, row) in rows {
        keeper.replay(seq, &row).await?;
    }
    let policies = campaigns.iter().map(|c| (c.campaign.no, c.campaign.delivery_policy)).collect();
    let (facts, unknown, revoked) = resolve(&keeper.unresolved(), marks, &policies, wall_ms);
    if let Some(row) = facts {
        newest += 1;
        match journal.commit(newest, row.clone()).await {
            Commit::Durable => keeper.apply(newest, &row).await?,
            other => return Err(StoreError::Unavailable(format!("recovery row not stored: {other:?}"))),
        }
    }
    for Found { campaign, .. } in &campaigns {
        if let Some(unsent) = unsent(campaign.status) {
            keeper.settle_queued(campaign.no, unsent).await?;
        }
    }
    keeper.show();
    let orphans = orphans.into_iter().map(|((channel, _), early)| (channel, early)).collect();
    Ok(Recovered { keeper, newest, campaigns, orphans, unknown, revoked })
}

/// Every campaign that may have facts from now on, and every one whose file does not hold all of its facts yet:
/// rows are trimmed only below watermarks of campaigns that are held.
async fn concerned(
    catalog: &dyn Catalog,
    journal: &dyn Journal,
    touched: &BTreeMap<CampaignNo, RowSeq>,
) -> Result<Vec<Campaign>, StoreError> {
    let mut found = active(catalog).await?;
    let held: BTreeSet<CampaignNo> = found.iter().map(|c| c.no).collect();
    for (no, row) in touched.iter().filter(|(no, _)| !held.contains(no)) {
        match journal.header(*no).await {
            Ok(header) if header.watermark >= *row => continue,
            Ok(_) => {}
            // Its recipients were removed: nobody asks for its facts any more.
            Err(StoreError::NotFound) => continue,
            Err(error) => return Err(error),
        }
        match catalog.find(Scope::Platform, Kind::Campaign, no.0.to_string()).await {
            Ok(Entity::Campaign(campaign)) => found.push(*campaign),
            Ok(_) | Err(StoreError::NotFound) => {
                tracing::warn!(
                    campaign = no.0,
                    "the journal has facts of a campaign that the catalog does not know"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Campaigns that run, that ended without an account, or that have receipts to come; with recipients in the store.
async fn active(catalog: &dyn Catalog) -> Result<Vec<Campaign>, StoreError> {
    let statuses =
        [Status::Sending, Status::Paused, Status::Done, Status::Cancelled, Status::Failed, Status::Expired];
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let statuses = statuses.iter().map(Status::to_string).collect();
        let query = Query { kind: Kind::Campaign, statuses, parent: None, after, limit: MAX_PAGE };
        let page = catalog.list(Scope::Platform, query).await?;
        found.extend(page.items.into_iter().filter_map(|entity| match entity {
            Entity::Campaign(campaign) if may_change(&campaign) => Some(*campaign),
            _ => None,
        }));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
}

/// Whether facts of the campaign may still come: it runs, its end was not accounted for, or receipts are awaited.
fn may_change(campaign: &Campaign) -> bool {
    !campaign.is_over()
}

async fn restore(
    journal: &dyn Journal,
    campaign: &Campaign,
    zone: Option<Zone>,
    now_ms: u64,
) -> Result<(Box<Account>, RowSeq), StoreError> {
    let header = match journal.header(campaign.no).await {
        // Rejected, removed, or a campaign that never had recipients: an account with nothing saved.
        Err(StoreError::NotFound) => return Ok((Box::new(account_of(campaign, zone, 0, now_ms)), 0)),
        header => header?,
    };
    let mut account = Box::new(account_of(campaign, zone, header.recipients, now_ms));
    // Below the first watermark the journal holds every fact, those that saved columns show included.
    if header.watermark > 0 || campaign.counts.is_some() {
        account.restore_charges(header.charges);
        for chunk in 0..account.chunks() {
            if let Some(state) = journal.state(campaign.no, chunk).await? {
                account.restore(&state);
            }
        }
    }
    Ok((account, header.watermark))
}

/// A fresh account of a campaign whose recipients are charged to days of this zone; a Trigger campaign has as many as
/// its file holds, `stored`.
pub(crate) fn account_of(campaign: &Campaign, zone: Option<Zone>, stored: u64, now_ms: u64) -> Account {
    let wall_ms = |at: jiff::Timestamp| u64::try_from(at.as_millisecond()).unwrap_or(0);
    let base_ms = wall_ms(campaign.created_at);
    let newest_ms = campaign.ended_at.map_or(now_ms, wall_ms);
    let is_growing = campaign.mode == Mode::Trigger;
    let recipients = if is_growing { stored } else { campaign.recipients };
    let account = Account::new(campaign.no, recipients, campaign.content.parts, base_ms);
    account.in_zone(zone).growing(is_growing).asking(campaign.content.receipts, newest_ms)
}

/// The zone whose days a workspace's limits count; none for a workspace that is gone.
async fn zone_of(catalog: &dyn Catalog, workspace: WorkspaceId) -> Result<Option<Zone>, StoreError> {
    match catalog.get(Scope::Platform, Kind::Workspace, workspace.into()).await {
        Ok(Entity::Workspace(workspace)) => Ok(Some(calendar_of(&workspace).zone)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

type Orphans = BTreeMap<(u32, Box<[u8]>), Early>;

/// Looks through a row: whose facts it holds, and which receipts have no message.
fn survey(
    seq: RowSeq,
    row: &[u8],
    orphans: &mut Orphans,
    touched: &mut BTreeMap<CampaignNo, RowSeq>,
) -> Result<(), StoreError> {
    let mut visit = |fact: Fact<'_>| match fact {
        Fact::Orphan(Orphan { channel, status, error, message_id, at_ms }) => {
            let early = Early { status, error, message_id: message_id.into(), at_ms };
            orphans.insert((channel, message_id.into()), early);
        }
        Fact::Adopted { channel, message_id } => {
            orphans.remove(&(channel, message_id.into()));
        }
        Fact::Intent(Intent { campaign, .. })
        | Fact::Outcomes { campaign, .. }
        | Fact::Revoke { campaign, .. }
        | Fact::Skip(Skip { campaign, .. })
        | Fact::Numbers(Numbers { campaign, .. }) => {
            touched.insert(campaign, seq);
        }
        // The keeper hands these on.
        Fact::Inbound(_) | Fact::Heard { .. } => {}
        Fact::Receipts { entries, .. } => touched.extend(entries.map(|receipt| (receipt.campaign, seq))),
    };
    record::read_row(row, &mut visit)
        .map_err(|error| StoreError::Unusable(format!("journal row {seq} cannot be read: {error}")))
}

/// Decides the fate of every intent without outcome; `None` when there is none.
fn resolve(
    units: &[Unresolved],
    marks: &Marks,
    policies: &BTreeMap<CampaignNo, DeliveryPolicy>,
    wall_ms: u64,
) -> (Option<Bytes>, u64, u64) {
    if units.is_empty() {
        return (None, 0, 0);
    }
    let mut facts = Facts::default();
    let (mut unknown, mut revoked) = (0, 0);
    for unit in units {
        let unsent =
            marks.position(unit.incarnation, unit.campaign).is_some_and(|written| unit.position > written);
        if unsent {
            revoked += 1;
            facts.revoke(unit.campaign, &Run { chunk: unit.chunk, from: unit.unit, count: 1 });
            continue;
        }
        unknown += 1;
        let fate = match policies.get(&unit.campaign) {
            Some(DeliveryPolicy::AtLeastOnce) => Fate::Repeat,
            Some(DeliveryPolicy::AtMostOnce) | None => Fate::Unknown,
        };
        let outcome = Outcome { unit: unit.unit, latency_ms: 0, fate };
        facts.outcome((unit.campaign, unit.chunk, 0), wall_ms, &outcome);
    }
    let octets = facts.octets();
    let mut row = record::begin_row(octets.len() + 8);
    row.extend_from_slice(octets);
    record::seal_row(&mut row);
    (Some(Bytes::from(row)), unknown, revoked)
}
