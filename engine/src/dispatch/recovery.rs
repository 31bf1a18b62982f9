//! What a start does before the first PDU: accounts from saved state, facts from the journal, fates of intents.
//!
//! No intent, or an intent beyond a trusted written mark: queued, sent later. Outcome: done. Any other intent
//! without outcome: `unknown`, or queued again under `at_least_once`. Control data is read first, so that what was
//! stopped stays stopped. The resolution is itself a journal row, durable before anything is sent.

use crate::dispatch::account::{Account, Tally};
use crate::dispatch::keeper::{Keeper, KeeperEvent, Unresolved};
use crate::dispatch::mark::Marks;
use crate::dispatch::matcher::Early;
use crate::model::record::{self, Fact, Facts, Fate, Orphan, Outcome};
use crate::model::{Campaign, CampaignNo, DeliveryPolicy, Run, Status};
use crate::store::{Catalog, Commit, Entity, Journal, Kind, MAX_PAGE, Query, RowSeq, Scope, StoreError};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How long after its creation an ended campaign is still loaded for receipts.
const RECEIPTS_FOR_MS: u64 = 72 * 3600 * 1000;

/// What recovery found.
pub(crate) struct Recovered {
    pub(crate) keeper: Keeper,
    pub(crate) newest: RowSeq,
    /// Campaigns whose facts may go on: running, paused, or ended with receipts to come.
    pub(crate) campaigns: Vec<(Campaign, Arc<Tally>)>,
    /// Receipts that have no message yet, by channel.
    pub(crate) orphans: Vec<(u32, Early)>,
    /// Units whose fate is uncertain since this start.
    pub(crate) unknown: u64,
    /// Units that surely never left and are queued again.
    pub(crate) revoked: u64,
}

/// Rebuilds the accounts and resolves what the last run left open.
pub(crate) async fn recover(
    catalog: &dyn Catalog,
    journal: Arc<dyn Journal>,
    marks: &Marks,
    wall_ms: u64,
    events: mpsc::UnboundedSender<KeeperEvent>,
) -> Result<Recovered, StoreError> {
    let mut newest = journal.newest().await?;
    let mut keeper = Keeper::new(Arc::clone(&journal), newest, events);
    let mut campaigns = Vec::new();
    let mut oldest = newest;
    for campaign in active(catalog, wall_ms).await? {
        let (account, watermark) = restore(&*journal, &campaign).await?;
        let tally = Arc::new(Tally::default());
        keeper.open(account, Arc::clone(&tally), watermark);
        oldest = oldest.min(watermark);
        campaigns.push((campaign, tally));
    }
    let mut rows = Vec::new();
    let mut keep = |seq: RowSeq, row: &[u8]| rows.push((seq, Bytes::copy_from_slice(row)));
    journal.replay(0, &mut keep).await?;
    let mut orphans = BTreeMap::new();
    for (seq, row) in rows {
        collect_orphans(seq, &row, &mut orphans)?;
        if seq > oldest {
            keeper.replay(seq, &row).await?;
        }
    }
    let policies = campaigns.iter().map(|(c, _)| (c.no, c.delivery_policy)).collect();
    let (facts, unknown, revoked) = resolve(&keeper.unresolved(), marks, &policies, wall_ms);
    if let Some(row) = facts {
        newest += 1;
        match journal.commit(newest, row.clone()).await {
            Commit::Durable => keeper.apply(newest, &row).await?,
            other => return Err(StoreError::Unavailable(format!("recovery row not stored: {other:?}"))),
        }
    }
    let cancelled = |c: &&(Campaign, Arc<Tally>)| c.0.status.is_final() && c.0.status != Status::Done;
    for (campaign, _) in campaigns.iter().filter(cancelled) {
        keeper.cancel(campaign.no);
    }
    let orphans = orphans.into_iter().map(|((channel, _), early)| (channel, early)).collect();
    Ok(Recovered { keeper, newest, campaigns, orphans, unknown, revoked })
}

/// Every campaign that may have facts from now on.
async fn active(catalog: &dyn Catalog, wall_ms: u64) -> Result<Vec<Campaign>, StoreError> {
    let statuses =
        [Status::Sending, Status::Paused, Status::Done, Status::Cancelled, Status::Failed, Status::Expired];
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let statuses = statuses.iter().map(Status::to_string).collect();
        let query = Query { kind: Kind::Campaign, statuses, after, limit: MAX_PAGE };
        let page = catalog.list(Scope::Platform, query).await?;
        found.extend(page.items.into_iter().filter_map(|entity| match entity {
            Entity::Campaign(campaign) if may_change(&campaign, wall_ms) => Some(*campaign),
            _ => None,
        }));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
}

/// Whether facts of the campaign may still come: it runs, its end was not accounted for, or receipts are due.
fn may_change(campaign: &Campaign, wall_ms: u64) -> bool {
    let Some(counts) = campaign.counts.filter(|_| campaign.status.is_final()) else { return true };
    let created_ms = u64::try_from(campaign.created_at.as_millisecond()).unwrap_or(0);
    counts.sent + counts.unknown + counts.in_flight > 0
        && wall_ms.saturating_sub(created_ms) < RECEIPTS_FOR_MS
}

async fn restore(journal: &dyn Journal, campaign: &Campaign) -> Result<(Box<Account>, RowSeq), StoreError> {
    let mut account = Box::new(account_of(campaign));
    let watermark = journal.watermark(campaign.no).await?;
    if watermark > 0 || campaign.counts.is_some() {
        for chunk in 0..account.chunks() {
            if let Some(state) = journal.state(campaign.no, chunk).await? {
                account.restore(&state);
            }
        }
    }
    Ok((account, watermark))
}

/// A fresh account of a campaign.
pub(crate) fn account_of(campaign: &Campaign) -> Account {
    let base_ms = u64::try_from(campaign.created_at.as_millisecond()).unwrap_or(0);
    Account::new(campaign.no, campaign.recipients, campaign.content.parts, base_ms)
}

type Orphans = BTreeMap<(u32, Box<[u8]>), Early>;

fn collect_orphans(seq: RowSeq, row: &[u8], orphans: &mut Orphans) -> Result<(), StoreError> {
    let mut visit = |fact: Fact<'_>| match fact {
        Fact::Orphan(Orphan { channel, status, error, message_id, .. }) => {
            let early = Early { status, error, message_id: message_id.into() };
            orphans.insert((channel, message_id.into()), early);
        }
        Fact::Adopted { channel, message_id } => {
            orphans.remove(&(channel, message_id.into()));
        }
        _ => {}
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
