//! One simulated run: what its seed makes of the SMSC, the store and the operator, and the reckoning at its end.

use super::chance::Chance;
use bench::smsc::{Config, Fault, FaultRule, Ledger, LedgerKind, ReceiptConfig, Smsc, StateShares};
use engine::model::{CampaignId, Counts};
use engine::seed::{CampaignSeed, Seed};
use engine::store::fault::{FaultJournal, FaultPlan};
use engine::store::{Catalog, Journal, SqliteStore};
use engine::{Clock, Engine, Env, Workers};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tests::doubles::Slow;
use tests::evidence::Evidence;
use tests::invariants;
use tests::outfit::{Outfit, pass};
use tests::rig::{FIRST_NUMBER, RigOptions};
use tests::solo::Memory;
use tokio::time::Instant;

/// Wall clock at the beginning of every run, milliseconds since 1970.
const BEGINNING_MS: u64 = 1_767_225_600_000;
/// Virtual time from one look to the next.
const LOOK: Duration = Duration::from_millis(250);

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    recipients: u64,
    rate_per_s: u32,
}

impl Size {
    /// About half a minute of traffic.
    pub(super) const SMALL: Self = Self { recipients: 1_500, rate_per_s: 50 };

    /// A campaign paced over so many hours.
    pub(super) fn hours(hours: u64) -> Self {
        Self { recipients: hours * 3600 * 2, rate_per_s: 2 }
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) trace: u64,
    pub(super) simulated_ms: u128,
    pub(super) counts: Counts,
    pub(super) faults: String,
}

/// Runs one seed on a runtime of its own.
pub(super) fn run(seed: u64, size: Size) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    runtime.block_on(World::run(seed, size, place.path()))
}

struct World {
    smsc: Smsc,
    store: Arc<SqliteStore>,
    outfit: Outfit,
    engine: Engine,
    seed: Seed,
    campaign: CampaignId,
    chance: Chance,
    begun: Instant,
}

impl World {
    async fn run(seed: u64, size: Size, directory: &Path) -> anyhow::Result<Report> {
        let mut world = Self::build(seed, size, directory).await?;
        world.engine.start_campaign(world.seed.workspace, world.campaign, &world.seed.author()).await?;
        world.trouble(size).await?;
        // The faults are over: from here on everything has to come to its end.
        world.smsc.update(|config| config.faults.clear())?;
        // The simulator never notices that a half-open session is dead, and keeps receipts for it.
        world.smsc.drop_connections();
        let backlog = Duration::from_secs(size.recipients / u64::from(size.rate_per_s) * 6 / 5 + 240);
        let end = Instant::now() + backlog;
        let open = |w: &Self| {
            let c = w.counts();
            c.queued + c.in_flight > 0 || w.smsc.stats().receipts_open() > 0
        };
        while open(&world) {
            anyhow::ensure!(
                Instant::now() < end,
                "not done {backlog:?} after the last fault: {:?} {:?} {:?}",
                world.counts(),
                world.engine.channels(),
                world.smsc.stats()
            );
            pass(LOOK).await;
        }
        world.engine.settle().await?;
        world.reckon().await
    }

    async fn build(seed: u64, size: Size, directory: &Path) -> anyhow::Result<Self> {
        let mut chance = Chance(seed);
        let smsc = Smsc::in_memory(misbehaviour(seed, &mut chance))?;
        let store = Arc::new(SqliteStore::open(&directory.join("store"))?);
        let (people, campaign) = prepare(&store, size.recipients).await?;
        let options = RigOptions {
            binds: 1 + u32::try_from(chance.below(3))?,
            window: 1 + u32::try_from(chance.below(60))?,
            rate_per_s: size.rate_per_s,
            receipts: true,
            enquire_link: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            ..RigOptions::default()
        };
        let mut outfit = Outfit::on(&store, directory, "memory", &options)?;
        let begun = Instant::now();
        outfit.env = Env {
            clock: Clock::Virtual { start: begun, wall_ms: BEGINNING_MS },
            net: Arc::new(Memory(smsc.clone())),
            workers: Workers::Tasks,
            seed,
        };
        let plan = FaultPlan::seeded(seed, u16::try_from(chance.below(30))?);
        let slow = Slow::new(Arc::clone(&store) as Arc<dyn Journal>, Duration::ZERO);
        outfit.journal = Arc::new(FaultJournal::new(slow, Duration::from_millis(50), plan));
        let engine = outfit.start().await?;
        Ok(Self { smsc, store, outfit, engine, seed: people, campaign, chance, begun })
    }

    /// While the campaign runs: connections drop, the SMSC goes away, the operator pauses, the engine is restarted.
    async fn trouble(&mut self, size: Size) -> anyhow::Result<()> {
        let seconds = size.recipients / u64::from(size.rate_per_s);
        for _ in 0..8 {
            pass(Duration::from_millis(1 + self.chance.below(seconds * 1000 / 8))).await;
            if self.counts().queued == 0 {
                return Ok(());
            }
            let (workspace, by) = (self.seed.workspace, self.seed.author());
            match self.chance.below(5) {
                0 | 1 => self.smsc.drop_connections(),
                2 => {
                    self.smsc.set_down(true).await?;
                    pass(Duration::from_millis(self.chance.below(20_000))).await;
                    self.smsc.set_down(false).await?;
                }
                3 => {
                    if self.engine.pause(workspace, self.campaign, &by).await.is_ok() {
                        self.stays_still().await?;
                        self.engine.resume(workspace, self.campaign, &by).await?;
                    }
                }
                _ => {
                    self.engine.clone().shutdown().await;
                    self.engine = self.outfit.start().await?;
                }
            }
        }
        Ok(())
    }

    /// Everything written before the acknowledgement is read within a second; after that nothing comes.
    async fn stays_still(&mut self) -> anyhow::Result<()> {
        let submits = |w: &Self| w.smsc.with_ledger(|ledger| ledger.submits().len());
        pass(Duration::from_secs(1)).await;
        let before = submits(self);
        pass(Duration::from_secs(1 + self.chance.below(20))).await;
        anyhow::ensure!(submits(self) == before, "{} submits after a pause", submits(self) - before);
        Ok(())
    }

    fn counts(&self) -> Counts {
        self.engine.progress(self.campaign).unwrap_or_default().counts
    }

    /// Shuts down, compares every unit with the ledger and hashes what was seen.
    async fn reckon(self) -> anyhow::Result<Report> {
        let counts = self.counts();
        let simulated_ms = self.begun.elapsed().as_millis();
        self.engine.clone().shutdown().await;
        let campaign = self.outfit.stored(self.campaign).await?;
        anyhow::ensure!(campaign.status.is_final(), "settled, but {}", campaign.status);
        // Clock and simulator began in the same moment of virtual time.
        let line = (self.outfit.channel(), &self.smsc, BEGINNING_MS * 1000);
        invariants::check(Evidence::of_one(&self.store, vec![(self.campaign, Some(counts))], line)).await?;
        let ledger = self.smsc.take_ledger();
        let faults = format!("{:?}", self.smsc.stats().faults);
        Ok(Report { trace: trace(&ledger, &counts), simulated_ms, counts, faults })
    }
}

/// What the seed makes of the SMSC.
pub(super) fn misbehaviour(seed: u64, chance: &mut Chance) -> Config {
    let mut rule = |fault, most| FaultRule::new(fault, chance.share(most));
    let faults = vec![
        rule(Fault::Throttled, 100),
        rule(Fault::QueueFull, 20),
        rule(Fault::SysErr, 20),
        rule(Fault::NoResponse, 3),
        rule(Fault::Reset, 3),
        rule(Fault::Drop, 3),
        rule(Fault::Disorder, 100),
        rule(Fault::DuplicateResponse, 20),
        rule(Fault::Garbage, 2),
        rule(Fault::UnbindMid, 2),
        rule(Fault::HalfOpen, 1),
        rule(Fault::ReceiptsFirst, 50),
        rule(Fault::ReceiptDuplicate, 50),
        rule(Fault::ReceiptUnknownId, 10),
        rule(Fault::EnquireIgnore, 50),
    ];
    let receipts = ReceiptConfig {
        delay_us: 1 + chance.below(10_000_000),
        disorder_us: chance.below(5_000_000),
        states: StateShares { undeliverable: chance.share(100), expired: chance.share(50), rejected: 0.0 },
        ..ReceiptConfig::default()
    };
    Config {
        seed,
        latency_us: 1_000 + chance.below(80_000),
        jitter_us: chance.below(20_000),
        receipts: Some(receipts),
        faults,
        ledger: LedgerKind::Memory,
        ..Config::default()
    }
}

/// People, sender and an approved campaign, all at the beginning of virtual time.
async fn prepare(store: &Arc<SqliteStore>, recipients: u64) -> anyhow::Result<(Seed, CampaignId)> {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(BEGINNING_MS)?)?;
    let seed = Seed::create(&**store, "sim", "SIM", at).await?;
    let no = store.next_campaign_no().await?;
    let mut writer = store.write_recipients(no, recipients)?;
    let numbers: Vec<u64> = (FIRST_NUMBER..FIRST_NUMBER + recipients).collect();
    for chunk in numbers.chunks(engine::model::CHUNK_RECIPIENTS) {
        writer.chunk(chunk, &[])?;
    }
    writer.finish()?;
    let campaign = CampaignSeed {
        name: "sim".to_owned(),
        mode: engine::model::Mode::OnDemand,
        rules: engine::model::SendingRules::default(),
        text: "Hello from the simulation".to_owned(),
        receipts: true,
        delivery_policy: engine::model::DeliveryPolicy::AtMostOnce,
        recipients,
        recipients_digest: String::new(),
    };
    let campaign = seed.campaign(&**store, no, campaign, at).await?;
    Ok((seed, campaign))
}

/// FNV-1a over everything that the simulator saw, in its order and with its times, and over the account.
fn trace(ledger: &Ledger, counts: &Counts) -> u64 {
    let mut digest = Digest::default();
    digest.ledger(ledger);
    digest.line(format_args!("{counts:?}"));
    digest.done()
}

/// FNV-1a over lines of text.
pub(super) struct Digest {
    hash: u64,
    line: String,
}

impl Default for Digest {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, line: String::new() }
    }
}

impl Digest {
    pub(super) fn ledger(&mut self, ledger: &Ledger) {
        ledger.submits().iter().for_each(|submit| self.line(format_args!("{submit:?}")));
        ledger.deliveries().iter().for_each(|delivery| self.line(format_args!("{delivery:?}")));
        ledger.acks().iter().for_each(|ack| self.line(format_args!("{ack:?}")));
    }

    pub(super) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.line.clear();
        // Writing into a string cannot fail.
        let _ = self.line.write_fmt(line);
        for octet in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(super) const fn done(&self) -> u64 {
        self.hash
    }
}
