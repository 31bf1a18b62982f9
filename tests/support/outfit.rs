//! An engine put together from parts of a test's choice: its own catalog, journal, clock, network or boot.

use crate::rig::RigOptions;
use engine::model::{Campaign, CampaignId};
use engine::store::{Catalog, Entity, Journal, Kind, Scope, SqliteStore};
use engine::{ChannelConfig, Engine, EngineConfig, Env, boot_id};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The parts; [`Outfit::on`] gives the usual ones.
#[derive(Clone)]
pub struct Outfit {
    /// Control data.
    pub catalog: Arc<dyn Catalog>,
    /// Facts.
    pub journal: Arc<dyn Journal>,
    /// Where the written marks are.
    pub marks: PathBuf,
    /// Which boot of the machine this claims to be.
    pub boot_id: String,
    /// Clock, network, threads, chance.
    pub env: Env,
    /// Where the SMSC is.
    pub address: String,
    /// The channel.
    pub options: RigOptions,
    store: Arc<SqliteStore>,
}

impl Outfit {
    /// The real clock, TCP, and one store as catalog and journal; marks beside it in `directory`.
    ///
    /// # Errors
    /// When the system tells no boot id.
    pub fn on(
        store: &Arc<SqliteStore>,
        directory: &std::path::Path,
        address: &str,
        options: &RigOptions,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            catalog: Arc::clone(store) as _,
            journal: Arc::clone(store) as _,
            marks: directory.join("marks"),
            boot_id: boot_id()?,
            env: Env::system(7),
            address: address.to_owned(),
            options: options.clone(),
            store: Arc::clone(store),
        })
    }

    /// A campaign as the catalog has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored(&self, campaign: CampaignId) -> anyhow::Result<Campaign> {
        match self.store.get(Scope::Platform, Kind::Campaign, campaign.into()).await? {
            Entity::Campaign(campaign) => Ok(*campaign),
            other => anyhow::bail!("not a campaign: {other:?}"),
        }
    }

    /// The channel as the engine gets it.
    #[must_use]
    pub fn channel(&self) -> ChannelConfig {
        let options = &self.options;
        ChannelConfig {
            name: "rig".to_owned(),
            address: self.address.clone(),
            system_id: "rig".to_owned(),
            password: "secret".to_owned(),
            system_type: String::new(),
            bind: options.bind,
            binds: options.binds,
            window: options.window,
            rate_per_s: options.rate_per_s,
            enquire_link: options.enquire_link,
            response_timeout: options.response_timeout,
            message_id: pdu::MessageIdForm::Auto,
            prefixes: Vec::new(),
            weight: 1,
            workspaces: Vec::new(),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// The engine's.
    pub async fn start(&self) -> anyhow::Result<Engine> {
        let config = EngineConfig {
            channels: vec![self.channel()],
            marks: self.marks.clone(),
            installation: self.store.installation(),
            boot_id: self.boot_id.clone(),
            drain_timeout: Duration::from_secs(5),
            receipt_timeout: self.options.receipt_timeout,
            inbound: engine::InboundConfig::default(),
        };
        let (catalog, journal) = (Arc::clone(&self.catalog), Arc::clone(&self.journal));
        Ok(Engine::start(config, catalog, journal, self.env.clone()).await?)
    }
}

/// Lets virtual time pass, or a double be slow; no test waits by the real clock with it.
pub async fn pass(time: Duration) {
    let time = time.max(Duration::from_millis(1));
    tokio::time::interval_at(tokio::time::Instant::now() + time, time).tick().await;
}
