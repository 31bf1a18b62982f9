//! Several workspaces, campaigns and channels at once, on virtual or real time, and the reckoning behind them.
//!
//! Every campaign gets numbers of its own, so that a destination in a ledger names its campaign. What a test did
//! with times (approvals, acknowledged stops) is noted here, for [`crate::invariants`] to judge by.

use crate::doubles::Slow;
use crate::evidence::{Evidence, Stop, Trace};
use crate::outfit::pass;
use bench::smsc::{Config, Ledger, LedgerKind, Smsc};
use engine::intake::ListHasher;
use engine::model::{
    CHUNK_RECIPIENTS, Campaign, CampaignId, Counts, DeliveryPolicy, Mode, SendingRules, SuppressionKind,
    Workspace,
};
use engine::seed::{CampaignSeed, Seed};
use engine::store::fault::{FaultJournal, FaultPlan};
use engine::store::{Catalog, Change, Entity, Expect, Journal, Kind, Scope, SqliteStore};
use engine::{BindKind, ChannelConfig, Clock, Dial, Engine, EngineConfig, Env, Net, Workers, boot_id};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// First number of the first campaign.
const FIRST: u64 = 491_500_000_000;
/// Numbers that each campaign could have.
const NUMBERS_EACH: u64 = 10_000_000;
/// Room of an in-memory stream each way.
const STREAM_OCTETS: usize = 64 << 10;
/// Of so many calls for housekeeping one reaches a disturbed journal.
const MAINTAINED: u32 = 120;
/// Starts that a disturbed journal may spoil in a row.
const STARTS: u32 = 5;
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(100);

/// One channel and the SMSC behind it.
pub struct Line {
    /// The channel as the engine knows it.
    pub channel: ChannelConfig,
    /// Its SMSC.
    pub smsc: Smsc,
}

impl Line {
    /// A channel of two binds to an SMSC of its own.
    ///
    /// # Errors
    /// The simulator's.
    pub fn new(name: &str, config: Config) -> anyhow::Result<Self> {
        let smsc = Smsc::in_memory(Config { ledger: LedgerKind::Memory, ..config })?;
        Ok(Self { channel: channel(name), smsc })
    }
}

/// A channel as tests usually want it; its address is its name.
#[must_use]
pub fn channel(name: &str) -> ChannelConfig {
    ChannelConfig {
        name: name.to_owned(),
        address: name.to_owned(),
        system_id: "stage".to_owned(),
        password: "secret".to_owned(),
        system_type: String::new(),
        bind: BindKind::Transceiver,
        binds: 2,
        window: 20,
        rate_per_s: 0,
        enquire_link: Duration::from_secs(30),
        response_timeout: Duration::from_secs(10),
        message_id: pdu::MessageIdForm::Auto,
        prefixes: Vec::new(),
        weight: 1,
        workspaces: Vec::new(),
    }
}

/// What a campaign of the stage is like.
#[derive(Clone, Debug)]
pub struct Script {
    /// When it sends.
    pub mode: Mode,
    /// How it sends.
    pub rules: SendingRules,
    /// Its text.
    pub text: String,
    /// How many recipients, with numbers of the stage's choice.
    pub recipients: u64,
    /// The numbers instead; every one must belong to no other campaign.
    pub numbers: Vec<u64>,
    /// Whether receipts are asked for.
    pub receipts: bool,
    /// What happens to uncertain parts.
    pub policy: DeliveryPolicy,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            mode: Mode::OnDemand,
            rules: SendingRules::default(),
            text: "Hello from the stage".to_owned(),
            recipients: 100,
            numbers: Vec::new(),
            receipts: false,
            policy: DeliveryPolicy::AtMostOnce,
        }
    }
}

/// A throw-away folder, in memory where the system has such: virtual time makes every fsync a wait for nothing.
///
/// # Errors
/// When there is no room.
pub fn place() -> std::io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

/// Streams in memory to simulators by their name.
struct Wires(BTreeMap<String, Smsc>);

impl Net for Wires {
    fn dial(&self, address: &str) -> Dial {
        let smsc = self.0.get(address).cloned();
        Box::pin(async move {
            let smsc = smsc.ok_or(std::io::Error::from(std::io::ErrorKind::HostUnreachable))?;
            pass(Duration::from_millis(1)).await;
            let (ours, theirs) = tokio::io::duplex(STREAM_OCTETS);
            smsc.serve_stream(theirs);
            Ok(Box::new(ours) as Box<dyn engine::Wire>)
        })
    }
}

/// What a stage's journal is made to do wrong.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    /// Time from each commit to its end.
    pub delay: Duration,
    /// Seed of its chance.
    pub seed: u64,
    /// Commits of a thousand that fail.
    pub faults_per_mille: u16,
}

/// Settings of a workspace that were changed while it ran.
#[derive(Clone, Debug)]
pub struct Past {
    /// As they were.
    pub workspace: Workspace,
    /// When the change was acknowledged, milliseconds since 1970.
    pub until_ms: u64,
}

/// Numbers whose suppression was acknowledged.
#[derive(Clone, Debug)]
pub struct Hushed {
    /// Whose list.
    pub scope: Scope,
    /// The numbers.
    pub numbers: Vec<u64>,
    /// Why.
    pub kind: SuppressionKind,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
}

/// A store, an engine, and everybody on it.
pub struct Stage {
    /// The engine.
    pub engine: Engine,
    /// Its store.
    pub store: Arc<SqliteStore>,
    /// Channels with their SMSCs.
    pub lines: Vec<Line>,
    /// Campaigns in order of their creation, each with the first of its numbers.
    pub campaigns: Vec<(CampaignId, u64)>,
    /// Stops that were acknowledged: campaign and wall clock, milliseconds since 1970.
    pub stops: Vec<(CampaignId, u64)>,
    /// Resumes, as they were asked for.
    pub resumes: Vec<(CampaignId, u64)>,
    /// Settings that held once, in order.
    pub pasts: Vec<Past>,
    /// Suppressions that were acknowledged.
    pub hushed: Vec<Hushed>,
    /// The engine's journal, when it is a disturbed one.
    pub faults: Option<Arc<FaultJournal<Slow>>>,
    disturbance: Option<Disturbance>,
    /// Starts with a disturbed journal, failed ones too.
    starts: u64,
    env: Env,
    config: EngineConfig,
    began: (Instant, u64),
}

impl Stage {
    /// An engine on virtual time that begins at `at`, with the given channels. To be called on a paused runtime.
    ///
    /// # Errors
    /// The store's and the engine's.
    pub async fn new(directory: &Path, at: jiff::Timestamp, lines: Vec<Line>) -> anyhow::Result<Self> {
        let store = Arc::new(SqliteStore::open(&directory.join("store"))?);
        let wires = lines.iter().map(|l| (l.channel.address.clone(), l.smsc.clone())).collect();
        let began = (Instant::now(), u64::try_from(at.as_millisecond())?);
        let clock = Clock::Virtual { start: began.0, wall_ms: began.1 };
        let env = Env { clock, net: Arc::new(Wires(wires)), workers: Workers::Tasks, seed: 7 };
        let config = EngineConfig {
            channels: lines.iter().map(|l| l.channel.clone()).collect(),
            marks: directory.join("marks"),
            installation: store.installation(),
            boot_id: boot_id()?,
            drain_timeout: Duration::from_secs(5),
            receipt_timeout: engine::RECEIPT_TIMEOUT,
            inbound: engine::InboundConfig::default(),
        };
        let engine = start(&store, Arc::clone(&store) as _, &config, &env).await?;
        Ok(Self {
            engine,
            store,
            lines,
            campaigns: Vec::new(),
            stops: Vec::new(),
            resumes: Vec::new(),
            pasts: Vec::new(),
            hushed: Vec::new(),
            faults: None,
            disturbance: None,
            starts: 0,
            env,
            config,
            began,
        })
    }

    /// Shuts the engine down and starts it again on the same store.
    ///
    /// # Errors
    /// The engine's.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.engine.clone().shutdown().await;
        self.start().await
    }

    /// Another seed for the engine, a journal that fails, other settings of the channels: from the next start on.
    pub fn rearrange(
        &mut self,
        seed: u64,
        disturbance: Disturbance,
        mut with: impl FnMut(usize, &mut ChannelConfig),
    ) {
        self.env.seed = seed;
        self.disturbance = Some(disturbance);
        for (at, line) in self.lines.iter_mut().enumerate() {
            with(at, &mut line.channel);
        }
        self.config.channels = self.lines.iter().map(|l| l.channel.clone()).collect();
    }

    /// The machine loses power now: what the store's files hold goes on in `directory`, written marks do not; the old
    /// engine reaches nobody any more. Every line is up behind it.
    ///
    /// # Errors
    /// Whatever the parts say.
    pub async fn crash(&mut self, directory: &Path, old: &Path) -> anyhow::Result<()> {
        for line in &self.lines {
            line.smsc.set_down(true).await?;
        }
        crate::solo::copy(&old.join("store"), &directory.join("store"))?;
        self.engine.clone().shutdown().await;
        self.store = Arc::new(SqliteStore::open(&directory.join("store"))?);
        self.config.marks = directory.join("marks");
        for line in &self.lines {
            line.smsc.set_down(false).await?;
        }
        self.start().await
    }

    /// With a disturbed journal it is tried a few times: an engine that cannot store how the last one ended does not
    /// start, and has sent nothing.
    async fn start(&mut self) -> anyhow::Result<()> {
        let Some(how) = self.disturbance else {
            let journal = Arc::clone(&self.store) as _;
            self.engine = start(&self.store, journal, &self.config, &self.env).await?;
            return Ok(());
        };
        let mut tries = 0;
        loop {
            let slow = Slow::new(Arc::clone(&self.store) as _, Duration::ZERO).seldom_maintained(MAINTAINED);
            self.starts += 1;
            let plan = FaultPlan::seeded(how.seed ^ (self.starts << 32), how.faults_per_mille);
            let faults = Arc::new(FaultJournal::new(slow, how.delay, plan));
            self.faults = Some(Arc::clone(&faults));
            match start(&self.store, faults, &self.config, &self.env).await {
                Ok(engine) => self.engine = engine,
                Err(error) if tries == STARTS => return Err(error),
                Err(_) => {
                    tries += 1;
                    continue;
                }
            }
            return Ok(());
        }
    }

    /// The journal does nothing wrong from now on.
    pub fn heal(&mut self) {
        self.disturbance = None;
        if let Some(faults) = &self.faults {
            faults.plan(FaultPlan::default());
            faults.plan_saves(FaultPlan::default());
        }
    }

    /// The stage's wall clock, milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.env.clock.now().wall_ms
    }

    /// The same as a timestamp.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        let ms = i64::try_from(self.now_ms()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX)
    }

    /// A workspace with an approved sender, changed as `with` says.
    ///
    /// # Errors
    /// The store's.
    pub async fn workspace(&self, slug: &str, with: impl FnOnce(&mut Workspace)) -> anyhow::Result<Seed> {
        let saddr: String = slug.to_uppercase().chars().filter(|c| *c != '-').take(11).collect();
        let seed = Seed::create(&*self.store, slug, &saddr, self.now()).await?;
        self.rewrite(&seed, with).await?;
        Ok(seed)
    }

    /// The settings of a workspace, changed in the store alone; as they were before.
    async fn rewrite(&self, seed: &Seed, with: impl FnOnce(&mut Workspace)) -> anyhow::Result<Workspace> {
        let found = self.store.get(Scope::Platform, Kind::Workspace, seed.workspace.into()).await?;
        let expect = Expect::Version(found.state_version());
        let Entity::Workspace(before) = found else { anyhow::bail!("no workspace") };
        let mut workspace = before.clone();
        with(&mut workspace);
        let (scope, entity) = (Scope::Platform, Entity::Workspace(workspace));
        let change = Change { scope, expect, entity, action: "workspace.change" };
        self.store.apply(vec![change], &seed.author(), self.now()).await?;
        Ok(before)
    }

    /// Changes a workspace while it runs, and notes until when the old settings held.
    ///
    /// # Errors
    /// The store's and the engine's.
    pub async fn change(&mut self, seed: &Seed, with: impl FnOnce(&mut Workspace)) -> anyhow::Result<()> {
        let workspace = self.rewrite(seed, with).await?;
        self.engine.workspace_changed(seed.workspace).await?;
        self.pasts.push(Past { workspace, until_ms: self.now_ms() });
        Ok(())
    }

    /// Gives the sender of a workspace a rate, before it is used.
    ///
    /// # Errors
    /// The store's.
    pub async fn sender_rate(&self, seed: &Seed, rate_per_s: u32) -> anyhow::Result<()> {
        let scope = Scope::Workspace(seed.workspace);
        let found = self.store.get(scope, Kind::Sender, seed.revision().sender_id.into()).await?;
        let expect = Expect::Version(found.state_version());
        let Entity::Sender(mut sender) = found else { anyhow::bail!("no sender") };
        sender.rate_per_s = rate_per_s;
        let change = Change { scope, expect, entity: Entity::Sender(sender), action: "sender.change" };
        Ok(self.store.apply(vec![change], &seed.author(), self.now()).await?)
    }

    /// Puts numbers on a list and notes when that was acknowledged.
    ///
    /// # Errors
    /// The engine's.
    pub async fn suppress(
        &mut self,
        seed: &Seed,
        scope: Scope,
        numbers: Vec<u64>,
        kind: SuppressionKind,
    ) -> anyhow::Result<()> {
        self.engine.suppress(scope, numbers.clone(), (kind, "stage"), &seed.author()).await?;
        self.hushed.push(Hushed { scope, numbers, kind, at_ms: self.now_ms() });
        Ok(())
    }

    /// A campaign with numbers of its own, approved and built.
    ///
    /// # Errors
    /// The store's and the engine's.
    pub async fn campaign(&mut self, seed: &Seed, script: &Script) -> anyhow::Result<CampaignId> {
        let first = FIRST + NUMBERS_EACH * u64::try_from(self.campaigns.len())?;
        let no = self.store.next_campaign_no().await?;
        let numbers = match &script.numbers[..] {
            [] => (first..first + script.recipients).collect(),
            given => given.to_vec(),
        };
        let recipients = u64::try_from(numbers.len())?;
        let mut writer = self.store.write_recipients(no, recipients)?;
        let mut digest = ListHasher::new();
        for chunk in numbers.chunks(CHUNK_RECIPIENTS) {
            writer.chunk(chunk, &[])?;
            digest.chunk(chunk, &[]);
        }
        writer.finish()?;
        let campaign = CampaignSeed {
            name: format!("campaign {}", self.campaigns.len()),
            mode: script.mode,
            rules: script.rules.clone(),
            text: script.text.clone(),
            receipts: script.receipts,
            delivery_policy: script.policy,
            recipients,
            recipients_digest: match script.mode {
                Mode::Trigger => "open".to_owned(),
                _ => digest.finish().to_string(),
            },
        };
        let id = seed.approved(&*self.store, no, campaign, self.now()).await?;
        // Also when it cannot be built: it is in the catalog.
        self.campaigns.push((id, first));
        self.engine.build(seed.workspace, id, &seed.author()).await?;
        Ok(id)
    }

    /// The campaign as the catalog has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn stored(&self, id: CampaignId) -> anyhow::Result<Campaign> {
        match self.store.get(Scope::Platform, Kind::Campaign, id.into()).await? {
            Entity::Campaign(campaign) => Ok(*campaign),
            other => anyhow::bail!("not a campaign: {other:?}"),
        }
    }

    /// Counts now.
    #[must_use]
    pub fn counts(&self, id: CampaignId) -> Counts {
        self.engine.progress(id).unwrap_or_default().counts
    }

    /// Looks again and again until `done` holds.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub async fn until(&self, limit: Duration, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while !done(self) {
            let counts: Vec<_> = self.campaigns.iter().take(3).map(|(id, _)| self.counts(*id)).collect();
            anyhow::ensure!(
                Instant::now() < end,
                "not within {limit:?}: {counts:?} {:?}",
                self.engine.channels()
            );
            pass(LOOK).await;
        }
        Ok(())
    }

    /// Waits until the catalog calls every given campaign final.
    ///
    /// # Errors
    /// As [`Stage::until`].
    pub async fn until_final(&self, limit: Duration, ids: &[CampaignId]) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        for id in ids {
            loop {
                let campaign = self.stored(*id).await?;
                if campaign.status.is_final() {
                    break;
                }
                let counts = self.counts(*id);
                anyhow::ensure!(
                    Instant::now() < end,
                    "{} is {} within {limit:?}: {counts:?} {:?}",
                    campaign.name,
                    campaign.status,
                    self.engine.channels()
                );
                pass(LOOK).await;
            }
        }
        Ok(())
    }

    /// Pauses and notes when that was acknowledged.
    ///
    /// # Errors
    /// The engine's.
    pub async fn pause(&mut self, seed: &Seed, id: CampaignId) -> anyhow::Result<()> {
        self.engine.pause(seed.workspace, id, &seed.author()).await?;
        self.stops.push((id, self.now_ms()));
        Ok(())
    }

    /// Cancels and notes when that was acknowledged.
    ///
    /// # Errors
    /// The engine's.
    pub async fn cancel(&mut self, seed: &Seed, id: CampaignId) -> anyhow::Result<()> {
        self.engine.cancel(seed.workspace, id, &seed.author()).await?;
        self.stops.push((id, self.now_ms()));
        Ok(())
    }

    /// Resumes.
    ///
    /// # Errors
    /// The engine's.
    pub async fn resume(&mut self, seed: &Seed, id: CampaignId) -> anyhow::Result<()> {
        self.resumes.push((id, self.now_ms()));
        Ok(self.engine.resume(seed.workspace, id, &seed.author()).await?)
    }

    /// Copies of the ledgers so far, by line, each with the wall clock of its zero in microseconds since 1970.
    #[must_use]
    pub fn ledgers(&self) -> Vec<(Ledger, u64)> {
        let zero = |line: &Line| {
            let later = line.smsc.began().saturating_duration_since(self.began.0).as_micros();
            let earlier = self.began.0.saturating_duration_since(line.smsc.began()).as_micros();
            self.began.1 * 1000 + u64::try_from(later).unwrap_or(0) - u64::try_from(earlier).unwrap_or(0)
        };
        self.lines.iter().map(|line| (line.smsc.with_ledger(Clone::clone), zero(line))).collect()
    }
}

impl From<&Stage> for Evidence {
    fn from(stage: &Stage) -> Self {
        let counts = |id| stage.engine.progress(id).map(|progress| progress.counts);
        let traces = stage.lines.iter().zip(stage.ledgers()).map(|(line, (ledger, zero_us))| {
            let channel = line.channel.clone();
            Trace { channel, ledger, zero_us }
        });
        let stop = |(campaign, at_ms): &(CampaignId, u64)| {
            let campaign = *campaign;
            Stop { campaign, at_us: at_ms * 1000, written: None }
        };
        Self {
            store: Arc::clone(&stage.store),
            campaigns: stage.campaigns.iter().map(|(id, _)| (*id, counts(*id))).collect(),
            traces: traces.collect(),
            stops: stage.stops.iter().map(stop).collect(),
            resumes: stage.resumes.iter().map(|(id, at_ms)| (*id, at_ms * 1000)).collect(),
            pasts: stage.pasts.clone(),
            hushed: stage.hushed.clone(),
            over_sockets: false,
        }
    }
}

async fn start(
    store: &Arc<SqliteStore>,
    journal: Arc<dyn Journal>,
    config: &EngineConfig,
    env: &Env,
) -> anyhow::Result<Engine> {
    let catalog: Arc<dyn Catalog> = Arc::clone(store) as _;
    Ok(Engine::start(config.clone(), catalog, journal, env.clone()).await?)
}
