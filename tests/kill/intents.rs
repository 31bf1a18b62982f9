//! I5, judged behind a kill and before anybody touches the store: what was written had its durable intent.
//!
//! The kill comes at a random moment of full traffic, so the newest submits are a few milliseconds old: an engine that
//! wrote before its intents are durable leaves some of them without a trace.

use super::child::Order;
use bench::smsc::Submit;
use engine::model::record::{Fact, read_row};
use engine::model::{CHUNK_RECIPIENTS, Campaign, UnitStatus};
use engine::store::{Journal, SqliteStore};
use std::collections::BTreeSet;
use std::path::Path;
use tests::rig::FIRST_NUMBER;

/// Units of the campaign that have an intent in the journal, or a later state in its columns, by number and part.
async fn traces(store: &SqliteStore, campaign: &Campaign) -> anyhow::Result<BTreeSet<(u64, u8)>> {
    let parts = u64::from(campaign.content.parts);
    let key = |chunk: u32, unit: u64| {
        let number = FIRST_NUMBER + u64::from(chunk) * CHUNK_RECIPIENTS as u64 + unit / parts;
        (number, u8::try_from(unit % parts + 1).unwrap_or(u8::MAX))
    };
    let mut found = BTreeSet::new();
    for chunk in 0..u32::try_from(campaign.recipients.div_ceil(CHUNK_RECIPIENTS as u64))? {
        let Some(state) = store.state(campaign.no, chunk).await? else { continue };
        let handed = (0u64..).zip(&state.status).filter(|(_, octet)| **octet != UnitStatus::Queued as u8);
        found.extend(handed.map(|(unit, _)| key(chunk, unit)));
    }
    let mut unread = None;
    let mut visit = |_, row: &[u8]| {
        let read = read_row(row, &mut |fact| {
            if let Fact::Intent(intent) = fact {
                let (from, count) = (u64::from(intent.run.from), u64::from(intent.run.count));
                found.extend((from..from + count).map(|unit| key(intent.run.chunk, unit)));
            }
        });
        unread = unread.take().or(read.err());
    };
    store.replay(0, &mut visit).await?;
    anyhow::ensure!(unread.is_none(), "{unread:?}");
    Ok(found)
}

/// Checks the submits of the life that has just ended. A refused one may be queued again and its intent trimmed.
pub(super) async fn check(order: &Order, campaign: &Campaign, submits: &[Submit]) -> anyhow::Result<()> {
    let store = SqliteStore::open(&Path::new(&order.directory).join("store"))?;
    let traces = traces(&store, campaign).await?;
    let accepted = submits.iter().filter(|submit| submit.status == 0);
    let without: Vec<_> = accepted.filter(|s| !traces.contains(&(s.destination, s.part))).collect();
    let first = without.first();
    anyhow::ensure!(without.is_empty(), "I5: {} submits without an intent, first {first:?}", without.len());
    Ok(())
}
