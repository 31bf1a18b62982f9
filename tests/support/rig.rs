//! An engine, a store and a simulator over real TCP and real files, with one campaign that is judged at its end.

use crate::evidence::{Evidence, Stop, zero_us};
use crate::invariants;
use crate::outfit::Outfit;
use crate::tap::Tap;
use bench::smsc::{Config, LedgerKind, Smsc};
use engine::model::{Campaign, CampaignId, Counts, DeliveryPolicy, WorkspaceId};
use engine::seed::{CampaignSeed, Seed};
use engine::store::{Catalog, Entity, Journal, Kind, Scope, SqliteStore};
use engine::{BindKind, Engine, EngineError};
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

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
    /// Its SMSC.
    pub smsc: Smsc,
    /// Its store.
    pub store: Arc<SqliteStore>,
    /// What the engine is made of; another part counts from the next restart on.
    pub outfit: Outfit,
    /// What the engine writes.
    pub tap: Tap,
    /// The seeded workspace.
    pub seed: Seed,
    /// The campaign.
    pub campaign: CampaignId,
    /// Number of recipients.
    pub recipients: u64,
    /// Acknowledged stops with what was written by then, and resumes as they were asked for.
    stops: RefCell<Vec<(Instant, usize)>>,
    resumes: RefCell<Vec<Instant>>,
    _directory: TempDir,
}

impl Rig {
    /// Store, workspace, sender and an approved campaign of `recipients`, not started.
    ///
    /// # Errors
    /// Whatever the parts say.
    pub async fn new(smsc: &Smsc, recipients: u64, options: &RigOptions) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (store, seed, campaign) = prepare(directory.path(), recipients, options).await?;
        let address = smsc.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let mut outfit = Outfit::on(&store, directory.path(), &address, options)?;
        let tap = Tap::default();
        outfit.env.net = Arc::new(tap.clone());
        Ok(Self {
            engine: outfit.start().await?,
            smsc: smsc.clone(),
            store,
            outfit,
            tap,
            seed,
            campaign,
            recipients,
            stops: RefCell::default(),
            resumes: RefCell::default(),
            _directory: directory,
        })
    }

    /// Ends the engine in order and starts another one on the same directory, made of what the outfit has now.
    ///
    /// # Errors
    /// The engine's.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.engine.clone().shutdown().await;
        self.engine = self.outfit.start().await?;
        Ok(())
    }

    /// Starts the campaign.
    ///
    /// # Errors
    /// The engine's.
    pub async fn go(&self) -> anyhow::Result<()> {
        Ok(self.engine.start_campaign(self.workspace(), self.campaign, &self.seed.author()).await?)
    }

    /// Pauses it and notes what was written by the acknowledgement; how long that took.
    ///
    /// # Errors
    /// The engine's.
    pub async fn pause(&self) -> Result<Duration, EngineError> {
        let begun = Instant::now();
        self.engine.pause(self.workspace(), self.campaign, &self.seed.author()).await?;
        Ok(self.note_stop(begun))
    }

    /// Cancels it and notes what was written by the acknowledgement; how long that took.
    ///
    /// # Errors
    /// The engine's.
    pub async fn cancel(&self) -> Result<Duration, EngineError> {
        let begun = Instant::now();
        self.engine.cancel(self.workspace(), self.campaign, &self.seed.author()).await?;
        Ok(self.note_stop(begun))
    }

    fn note_stop(&self, begun: Instant) -> Duration {
        let took = begun.elapsed();
        let written = self.tap.begun_to(FIRST_NUMBER..FIRST_NUMBER + self.recipients);
        self.stops.borrow_mut().push((Instant::now(), written));
        took
    }

    /// Resumes it.
    ///
    /// # Errors
    /// The engine's.
    pub async fn resume(&self) -> Result<(), EngineError> {
        self.resumes.borrow_mut().push(Instant::now());
        self.engine.resume(self.workspace(), self.campaign, &self.seed.author()).await
    }

    /// Shuts the engine down, and everything that it has sent is judged.
    ///
    /// # Errors
    /// With what is wrong.
    pub async fn judge(&self) -> anyhow::Result<()> {
        self.engine.clone().shutdown().await;
        invariants::check(self).await
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.seed.workspace
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

    /// Waits until nothing is queued or in flight and the catalog has the end with its counts.
    ///
    /// # Errors
    /// As [`Rig::until`].
    pub async fn until_done(&self, limit: Duration) -> anyhow::Result<Counts> {
        self.until(limit, |c| c.queued + c.in_flight == 0).await?;
        let end = Instant::now() + limit;
        loop {
            let stored = self.stored().await?;
            if stored.status.is_final() && stored.counts.is_some() {
                break;
            }
            anyhow::ensure!(Instant::now() < end, "settled, but its end is not recorded");
            tick().await;
        }
        Ok(self.counts())
    }

    /// The campaign as the catalog has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored(&self) -> anyhow::Result<Campaign> {
        self.outfit.stored(self.campaign).await
    }
}

impl From<&Rig> for Evidence {
    fn from(rig: &Rig) -> Self {
        let zero_us = zero_us(&rig.smsc);
        let counts = rig.engine.progress(rig.campaign).map(|progress| progress.counts);
        let at_us = |at: Instant| {
            let since = at.duration_since(rig.smsc.began()).as_micros();
            zero_us + u64::try_from(since).unwrap_or(u64::MAX)
        };
        let campaign = rig.campaign;
        let stop =
            |(at, written): &(Instant, usize)| Stop { campaign, at_us: at_us(*at), written: Some(*written) };
        let resume = |at: &Instant| (campaign, at_us(*at));
        Self {
            stops: rig.stops.borrow().iter().map(stop).collect(),
            resumes: rig.resumes.borrow().iter().map(resume).collect(),
            ..Self::of_one(&rig.store, vec![(campaign, counts)], (rig.outfit.channel(), &rig.smsc, zero_us))
        }
    }
}

/// One look later: lets the runtime do its work without a wait by the clock.
pub async fn tick() {
    let interval = Duration::from_millis(5);
    tokio::time::interval_at(tokio::time::Instant::now() + interval, interval).tick().await;
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
    let at = jiff::Timestamp::now();
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
    Ok(seed.campaign(&**store, no, campaign, jiff::Timestamp::now()).await?)
}
