//! What the judge reads of a run: the store, the ledgers, and what the test itself did to the engine and when.
//!
//! To be taken once the engine has shut down or settled. All times are wall clock, microseconds since 1970.

use crate::stage::{Hushed, Past};
use bench::smsc::{Ledger, Smsc};
use engine::ChannelConfig;
use engine::model::{Campaign, CampaignId, Counts};
use engine::store::{Catalog, Entity, Kind, Scope, SqliteStore};
use std::sync::Arc;

/// An acknowledged pause or cancel.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// When it was acknowledged.
    pub at_us: u64,
    /// Its submits whose first octet was handed to the kernel by then, where a tap counted them.
    pub written: Option<usize>,
}

/// One channel with what its SMSC saw.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The channel.
    pub channel: ChannelConfig,
    /// What its SMSC saw.
    pub ledger: Ledger,
    /// When the ledger's times begin.
    pub zero_us: u64,
}

/// Everything that is judged.
pub struct Evidence {
    /// Control data and journal.
    pub store: Arc<SqliteStore>,
    /// Every campaign that sent, with its counts as the engine showed them last, if it did.
    pub campaigns: Vec<(CampaignId, Option<Counts>)>,
    /// All channels.
    pub traces: Vec<Trace>,
    /// Acknowledged stops.
    pub stops: Vec<Stop>,
    /// Resumes, as they were asked for.
    pub resumes: Vec<(CampaignId, u64)>,
    /// Settings of workspaces that held once, in order.
    pub pasts: Vec<Past>,
    /// Acknowledged suppressions.
    pub hushed: Vec<Hushed>,
    /// Submits came over sockets, where octets lie for as long as a busy machine likes: I6, I7 and suppressions,
    /// which are judged by the time of arrival, are not; a stop is judged by the count that was written.
    pub over_sockets: bool,
}

impl Evidence {
    /// Of campaigns that went through one channel to one SMSC, whose ledger begins at `zero_us`.
    #[must_use]
    pub fn of_one(
        store: &Arc<SqliteStore>,
        campaigns: Vec<(CampaignId, Option<Counts>)>,
        (channel, smsc, zero_us): (ChannelConfig, &Smsc, u64),
    ) -> Self {
        Self {
            store: Arc::clone(store),
            campaigns,
            traces: vec![Trace { channel, ledger: smsc.with_ledger(Clone::clone), zero_us }],
            stops: Vec::new(),
            resumes: Vec::new(),
            pasts: Vec::new(),
            hushed: Vec::new(),
            over_sockets: smsc.local_addr().is_some(),
        }
    }

    /// A campaign as the catalog has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored(&self, id: CampaignId) -> anyhow::Result<Campaign> {
        match self.store.get(Scope::Platform, Kind::Campaign, id.into()).await? {
            Entity::Campaign(campaign) => Ok(*campaign),
            other => anyhow::bail!("not a campaign: {other:?}"),
        }
    }

    /// The first resume behind a stop.
    #[must_use]
    pub fn resumed_behind(&self, stop: &Stop) -> Option<u64> {
        let behind = self.resumes.iter().filter(|(id, at_us)| *id == stop.campaign && *at_us >= stop.at_us);
        behind.map(|(_, at_us)| *at_us).min()
    }
}

/// The wall clock at the zero of a simulator's ledger on the machine's own clocks.
#[must_use]
pub fn zero_us(smsc: &Smsc) -> u64 {
    let now_us = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
    now_us.saturating_sub(u64::try_from(smsc.began().elapsed().as_micros()).unwrap_or(0))
}
