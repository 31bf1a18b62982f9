//! An engine on a paused clock with an SMSC in memory: days of a campaign's life in milliseconds of a test.
//!
//! Time passes only where a test lets it pass. Never opens a socket; the store's files are real.

use crate::outfit::{Outfit, pass};
use crate::rig::{FIRST_NUMBER, RigOptions};
use bench::smsc::{Config, LedgerKind, Smsc};
use engine::intake::ListHasher;
use engine::model::{
    CHUNK_RECIPIENTS, Campaign, CampaignId, Counts, DeliveryPolicy, Mode, SendingRules, Status,
};
use engine::seed::{CampaignSeed, Seed};
use engine::store::{Catalog, Journal, SqliteStore};
use engine::{Clock, Dial, Engine, Env, Net, Workers};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// Room of an in-memory stream each way.
const STREAM_OCTETS: usize = 64 << 10;
/// Virtual time from one look to the next.
const LOOK: Duration = Duration::from_millis(20);

/// Connections in memory to one simulator.
pub struct Memory(pub Smsc);

impl Net for Memory {
    fn dial(&self, _: &str) -> Dial {
        let smsc = self.0.clone();
        Box::pin(async move {
            pass(Duration::from_millis(3)).await;
            let (ours, theirs) = tokio::io::duplex(STREAM_OCTETS);
            smsc.serve_stream(theirs);
            Ok(Box::new(ours) as Box<dyn engine::Wire>)
        })
    }
}

/// One workspace, one channel, virtual time.
pub struct Solo {
    /// The SMSC.
    pub smsc: Smsc,
    /// The store.
    pub store: Arc<SqliteStore>,
    /// What the engine is made of.
    pub outfit: Outfit,
    /// The engine.
    pub engine: Engine,
    /// People and sender.
    pub seed: Seed,
    begun: Instant,
    directory: TempDir,
}

impl Solo {
    /// A running engine whose wall clock shows `begin` (RFC 3339) now.
    ///
    /// # Errors
    /// Whatever the parts say.
    pub async fn new(begin: &str, config: Config, options: &RigOptions) -> anyhow::Result<Self> {
        let begin: Timestamp = begin.parse()?;
        let directory = place()?;
        let smsc = Smsc::in_memory(Config { ledger: LedgerKind::Memory, ..config })?;
        let store = Arc::new(SqliteStore::open(&directory.path().join("store"))?);
        let seed = Seed::create(&*store, "stage", "STAGE", begin).await?;
        let mut outfit = Outfit::on(&store, directory.path(), "memory", options)?;
        let begun = Instant::now();
        outfit.env = Env {
            clock: Clock::Virtual { start: begun, wall_ms: u64::try_from(begin.as_millisecond())? },
            net: Arc::new(Memory(smsc.clone())),
            workers: Workers::Tasks,
            seed: 7,
        };
        let engine = outfit.start().await?;
        Ok(Self { smsc, store, outfit, engine, seed, begun, directory })
    }

    /// The wall clock of the engine.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let wall_ms = i64::try_from(self.outfit.env.clock.now().wall_ms).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(wall_ms).unwrap_or(Timestamp::MAX)
    }

    /// A campaign of generated numbers as an author would submit it; a Trigger campaign gets none.
    ///
    /// # Errors
    /// The store's.
    pub async fn draft(
        &self,
        mode: Mode,
        rules: SendingRules,
        recipients: u64,
    ) -> anyhow::Result<(engine::model::CampaignNo, CampaignSeed)> {
        let no = self.store.next_campaign_no().await?;
        let recipients = if mode == Mode::Trigger { 0 } else { recipients };
        let mut writer = self.store.write_recipients(no, recipients)?;
        let numbers: Vec<u64> = (FIRST_NUMBER..FIRST_NUMBER + recipients).collect();
        let mut hasher = ListHasher::new();
        for chunk in numbers.chunks(CHUNK_RECIPIENTS) {
            writer.chunk(chunk, &[])?;
            hasher.chunk(chunk, &[]);
        }
        writer.finish()?;
        let is_open = mode == Mode::Trigger;
        let options = &self.outfit.options;
        let campaign = CampaignSeed {
            name: format!("{mode:?}"),
            mode,
            rules,
            text: options.text.clone(),
            receipts: options.receipts,
            delivery_policy: DeliveryPolicy::AtMostOnce,
            recipients,
            recipients_digest: if is_open { "open".to_owned() } else { hasher.finish().to_string() },
        };
        Ok((no, campaign))
    }

    /// An approved campaign that the engine has built.
    ///
    /// # Errors
    /// The store's and the engine's.
    pub async fn built(
        &self,
        mode: Mode,
        rules: SendingRules,
        recipients: u64,
    ) -> anyhow::Result<CampaignId> {
        let (no, campaign) = self.draft(mode, rules, recipients).await?;
        let id = self.seed.approved(&*self.store, no, campaign, self.now()).await?;
        self.engine.build(self.seed.workspace, id, &self.seed.moderator()).await?;
        Ok(id)
    }

    /// Starts a campaign.
    ///
    /// # Errors
    /// The engine's.
    pub async fn start(&self, id: CampaignId) -> anyhow::Result<()> {
        Ok(self.engine.start_campaign(self.seed.workspace, id, &self.seed.author()).await?)
    }

    /// The campaign as the catalog has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored(&self, id: CampaignId) -> anyhow::Result<Campaign> {
        self.outfit.stored(id).await
    }

    /// Its status.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self, id: CampaignId) -> anyhow::Result<Status> {
        Ok(self.stored(id).await?.status)
    }

    /// Its counts as the engine shows them.
    #[must_use]
    pub fn counts(&self, id: CampaignId) -> Counts {
        self.engine.progress(id).unwrap_or_default().counts
    }

    /// How many submits the SMSC has read.
    #[must_use]
    pub fn submits(&self) -> usize {
        self.smsc.with_ledger(|ledger| ledger.submits().len())
    }

    /// Lets time pass until `done` holds.
    ///
    /// # Errors
    /// When it does not within `limit` of virtual time.
    pub async fn until(&self, limit: Duration, done: impl AsyncFn(&Self) -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while !done(self).await {
            let passed = self.begun.elapsed();
            anyhow::ensure!(Instant::now() < end, "not within {limit:?}, {passed:?} after the beginning");
            pass(LOOK).await;
        }
        Ok(())
    }

    /// Lets time pass until the campaign has this status.
    ///
    /// # Errors
    /// When it has not within `limit` of virtual time.
    pub async fn until_status(&self, id: CampaignId, status: Status, limit: Duration) -> anyhow::Result<()> {
        let is_so = async |stage: &Self| stage.status(id).await.is_ok_and(|now| now == status);
        self.until(limit, is_so).await.map_err(|error| error.context(format!("{status}")))
    }

    /// Shuts the engine down in order and starts it again.
    ///
    /// # Errors
    /// The engine's.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.engine.clone().shutdown().await;
        self.engine = self.outfit.start().await?;
        Ok(())
    }

    /// The machine loses power now: what the store's files hold goes on in a new place, written marks do not; the old
    /// engine reaches nobody any more.
    ///
    /// # Errors
    /// Whatever the parts say.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.smsc.set_down(true).await?;
        let directory = place()?;
        copy(&self.directory.path().join("store"), &directory.path().join("store"))?;
        let store = Arc::new(SqliteStore::open(&directory.path().join("store"))?);
        let mut outfit = Outfit::on(&store, directory.path(), "memory", &self.outfit.options)?;
        outfit.env = self.outfit.env.clone();
        self.engine.clone().shutdown().await;
        self.smsc.set_down(false).await?;
        self.engine = outfit.start().await?;
        (self.store, self.outfit, self.directory) = (store, outfit, directory);
        Ok(())
    }
}

fn place() -> anyhow::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    Ok(if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? })
}

/// Copies a folder with everything in it, as a power loss would leave it: a store's calls run on the caller's thread, so
/// that on a runtime of one thread no write comes between two of its files.
///
/// # Errors
/// The system's.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
