//! An engine, a store and a simulator over real TCP and real files, and what the engine's account must say.

use bench::smsc::{Config, Exact, LedgerKind, Smsc};
use engine::model::{CampaignId, Counts, DeliveryPolicy, WorkspaceId};
use engine::seed::{CampaignSeed, Seed};
use engine::store::{Catalog, Entity, Journal, Kind, Scope, SqliteStore};
use engine::{BindKind, ChannelConfig, Engine, EngineConfig, Env, boot_id};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// First number of every generated list; the others follow.
pub const FIRST_NUMBER: u64 = 4_915_100_000_000;

/// What a rig's channel and campaign look like.
#[derive(Clone, Debug)]
pub struct RigOptions {
    /// Binds.
    pub binds: u32,
    /// Window of each.
    pub window: u32,
    /// How they are made.
    pub bind: BindKind,
    /// Segments per second, 0 for no limit.
    pub rate_per_s: u32,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// Quiet time before enquire_link.
    pub enquire_link: Duration,
    /// Policy for uncertain parts.
    pub policy: DeliveryPolicy,
    /// Whether receipts are asked for.
    pub receipts: bool,
    /// How long one is waited for.
    pub receipt_timeout: Duration,
    /// The text.
    pub text: String,
}

impl Default for RigOptions {
    fn default() -> Self {
        Self {
            binds: 2,
            window: 50,
            bind: BindKind::Transceiver,
            rate_per_s: 0,
            response_timeout: Duration::from_secs(10),
            enquire_link: Duration::from_secs(30),
            policy: DeliveryPolicy::AtMostOnce,
            receipts: false,
            receipt_timeout: engine::RECEIPT_TIMEOUT,
            text: "Hello from the rig".to_owned(),
        }
    }
}

/// A simulator on a free loopback port with its ledger in memory.
///
/// # Errors
/// When no port is free.
pub async fn simulator(config: Config) -> anyhow::Result<Smsc> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    Smsc::serve(listener, Config { ledger: LedgerKind::Memory, ..config })
}

/// A running engine with one campaign.
pub struct Rig {
    /// The engine.
    pub engine: Engine,
    /// Its store.
    pub store: Arc<SqliteStore>,
    /// The seeded workspace.
    pub seed: Seed,
    /// The campaign.
    pub campaign: CampaignId,
    /// Number of recipients.
    pub recipients: u64,
    directory: TempDir,
}

impl Rig {
    /// Store, workspace, sender and an approved campaign of `recipients`, not started.
    ///
    /// # Errors
    /// Whatever the parts say.
    pub async fn new(address: &str, recipients: u64, options: &RigOptions) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (store, seed, campaign) = prepare(directory.path(), recipients, options).await?;
        let engine = start_engine(&store, directory.path(), address, options).await?;
        Ok(Self { engine, store, seed, campaign, recipients, directory })
    }

    /// Starts the campaign.
    ///
    /// # Errors
    /// The engine's.
    pub async fn go(&self) -> anyhow::Result<()> {
        Ok(self.engine.start_campaign(self.workspace(), self.campaign, &self.seed.author()).await?)
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.seed.workspace
    }

    /// Where store and marks are.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Counts now: the engine's, or those recorded of a campaign that it has no more to do with.
    #[must_use]
    pub fn counts(&self) -> Counts {
        match self.engine.progress(self.campaign) {
            Some(progress) => progress.counts,
            None => self.recorded_counts().unwrap_or_default(),
        }
    }

    fn recorded_counts(&self) -> Option<Counts> {
        let scope = Scope::Workspace(self.workspace());
        let mut campaign = self.store.get(scope, Kind::Campaign, self.campaign.into());
        // The embedded store is ready at once.
        match campaign.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Entity::Campaign(campaign))) => campaign.counts,
            _ => None,
        }
    }

    /// Looks again and again until `done` holds of the counts.
    ///
    /// # Errors
    /// With the last counts when it does not within `limit`.
    pub async fn until(&self, limit: Duration, done: impl Fn(&Counts) -> bool) -> anyhow::Result<Counts> {
        let end = Instant::now() + limit;
        loop {
            let counts = self.counts();
            if done(&counts) {
                return Ok(counts);
            }
            anyhow::ensure!(
                Instant::now() < end,
                "not reached within {limit:?}: {counts:?} {:?}",
                self.engine.channels()
            );
            tick().await;
        }
    }

    /// Waits until nothing is queued or in flight and the catalog says so.
    ///
    /// # Errors
    /// As [`Rig::until`].
    pub async fn until_done(&self, limit: Duration) -> anyhow::Result<Counts> {
        self.until(limit, |c| c.queued + c.in_flight == 0).await?;
        let end = Instant::now() + limit;
        while !self.stored().await?.status.is_final() {
            anyhow::ensure!(Instant::now() < end, "settled, but the campaign is not final");
            tick().await;
        }
        Ok(self.counts())
    }

    /// The campaign as the catalog has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored(&self) -> anyhow::Result<engine::model::Campaign> {
        let scope = Scope::Workspace(self.workspace());
        match self.store.get(scope, Kind::Campaign, self.campaign.into()).await? {
            Entity::Campaign(campaign) => Ok(*campaign),
            other => anyhow::bail!("not a campaign: {other:?}"),
        }
    }

    /// Checks the account against the simulator's ledger: at most one accepted submit a part, and exactly those
    /// recipients accepted that the account calls accepted, give or take the unknown ones.
    ///
    /// # Errors
    /// With what does not agree.
    pub fn check_ledger(&self, exact: &Exact, counts: &Counts) -> anyhow::Result<()> {
        check_at_most_once(exact, self.recipients, counts)
    }
}

/// One look later: lets the runtime do its work without a wait by the clock.
pub async fn tick() {
    let interval = Duration::from_millis(5);
    tokio::time::interval_at(tokio::time::Instant::now() + interval, interval).tick().await;
}

/// The invariants I1 to I3 on an account and a ledger.
///
/// # Errors
/// With what does not agree.
pub fn check_at_most_once(exact: &Exact, recipients: u64, counts: &Counts) -> anyhow::Result<()> {
    let repeated = exact.repeated();
    anyhow::ensure!(
        repeated.is_empty(),
        "{} parts were accepted twice, first {:?}",
        repeated.len(),
        repeated.first()
    );
    anyhow::ensure!(
        counts.total == recipients,
        "the account has {} of {recipients} recipients",
        counts.total
    );
    let accepted = exact.destinations().len() as u64;
    let sure = counts.sent + counts.delivered + counts.undeliverable + counts.expired;
    anyhow::ensure!(
        sure <= accepted && accepted <= sure + counts.unknown + counts.in_flight + counts.rejected,
        "the ledger has {accepted} accepted, the account {counts:?}"
    );
    Ok(())
}

/// Creates store, seed and campaign in `directory`.
///
/// # Errors
/// Whatever the parts say.
pub async fn prepare(
    directory: &Path,
    recipients: u64,
    options: &RigOptions,
) -> anyhow::Result<(Arc<SqliteStore>, Seed, CampaignId)> {
    let store = Arc::new(SqliteStore::open(&directory.join("store"))?);
    let at = engine_time();
    let seed = Seed::create(&*store, "rig", "RIG", at).await?;
    let campaign = add_campaign(&store, &seed, recipients, options).await?;
    Ok((store, seed, campaign))
}

/// Adds an approved campaign of generated numbers.
///
/// # Errors
/// The store's.
pub async fn add_campaign(
    store: &Arc<SqliteStore>,
    seed: &Seed,
    recipients: u64,
    options: &RigOptions,
) -> anyhow::Result<CampaignId> {
    let no = store.next_campaign_no().await?;
    let mut writer = store.write_recipients(no, recipients)?;
    let numbers: Vec<u64> = (FIRST_NUMBER..FIRST_NUMBER + recipients).collect();
    for chunk in numbers.chunks(engine::model::CHUNK_RECIPIENTS) {
        writer.chunk(chunk, &[])?;
    }
    writer.finish()?;
    let campaign = CampaignSeed {
        name: "rig".to_owned(),
        mode: engine::model::Mode::OnDemand,
        rules: engine::model::SendingRules::default(),
        text: options.text.clone(),
        receipts: options.receipts,
        delivery_policy: options.policy,
        recipients,
        recipients_digest: String::new(),
    };
    Ok(seed.campaign(&**store, no, campaign, engine_time()).await?)
}

fn engine_time() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Starts an engine on the store with one channel to `address`.
///
/// # Errors
/// The engine's.
pub async fn start_engine(
    store: &Arc<SqliteStore>,
    directory: &Path,
    address: &str,
    options: &RigOptions,
) -> anyhow::Result<Engine> {
    let channel = ChannelConfig {
        name: "rig".to_owned(),
        address: address.to_owned(),
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
    };
    let config = EngineConfig {
        channels: vec![channel],
        marks: directory.join("marks"),
        installation: store.installation(),
        boot_id: boot_id()?,
        drain_timeout: Duration::from_secs(5),
        receipt_timeout: options.receipt_timeout,
        inbound: engine::InboundConfig::default(),
    };
    let catalog: Arc<dyn Catalog> = Arc::clone(store) as _;
    let journal: Arc<dyn Journal> = Arc::clone(store) as _;
    Ok(Engine::start(config, catalog, journal, Env::system(7)).await?)
}
