//! One campaign over several kills, and the reckoning at its end.

use super::child::{Order, outfit};
use super::intents;
use bench::smsc::{Config, Fault, FaultRule, ReceiptConfig, Smsc};
use engine::model::{Campaign, CampaignId, Counts};
use engine::store::SqliteStore;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::evidence::{Evidence, zero_us};
use tests::invariants;
use tests::rig::{RigOptions, prepare, simulator, tick};
use tests::{Child, ChildError};

/// Nothing that is waited for takes longer on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// Outcomes that may be under way to the journal: two commits.
const OUTCOMES: u64 = 2 * 2048;
/// Intents of one bind ahead of its writes; unknown as well when the written mark cannot be trusted.
const LEAD: u64 = 1024;
/// Recipients of one campaign, and of one that a lead is lost from at each kill.
const RECIPIENTS: [u64; 2] = [8_000, 20_000];
/// Looks without a submit, half a second, after which a campaign counts as over.
const STILL: u32 = 100;

/// What happens to the written marks between a kill and the next start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Marks {
    #[default]
    Kept,
    Removed,
    Damaged,
    OtherBoot,
}

/// One way to run a campaign.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    pub(super) options: RigOptions,
    pub(super) latency_us: u64,
    pub(super) receipt_us: u64,
    pub(super) throttled: f64,
    pub(super) marks: Marks,
}

impl Trial {
    fn recipients(&self) -> u64 {
        RECIPIENTS[usize::from(self.marks != Marks::Kept)]
    }
}

/// What the rounds came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) rounds: u32,
    pub(super) submits: u64,
    /// Submits whose intent was looked for behind a kill.
    pub(super) judged: u64,
    pub(super) unknown: u64,
    /// Most unknown of one kill, and the bound that held there.
    pub(super) worst: u64,
    pub(super) worst_bound: u64,
}

impl Sum {
    pub(super) fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.submits += other.submits;
        self.judged += other.judged;
        self.unknown += other.unknown;
        if other.worst >= self.worst {
            (self.worst, self.worst_bound) = (other.worst, other.worst_bound);
        }
    }

    /// Notes what a start found.
    fn recovered(&mut self, unknown: u64, bound: u64, round: u32) -> anyhow::Result<()> {
        anyhow::ensure!(unknown <= bound, "round {round}: {unknown} unknown after one kill, bound {bound}");
        self.unknown += unknown;
        if unknown >= self.worst {
            (self.worst, self.worst_bound) = (unknown, bound);
        }
        Ok(())
    }
}

/// SplitMix64: the moments of the kills.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

fn config(trial: &Trial, seed: u64) -> Config {
    let receipts =
        ReceiptConfig { delay_us: trial.receipt_us, redeliver_us: 50_000, ..ReceiptConfig::default() };
    let throttled = FaultRule::new(Fault::Throttled, trial.throttled);
    Config {
        seed,
        latency_us: trial.latency_us,
        receipts: trial.options.receipts.then_some(receipts),
        faults: if trial.throttled > 0.0 { vec![throttled] } else { Vec::new() },
        ..Config::default()
    }
}

/// What a campaign needs over all its engines.
struct Stage {
    order: Order,
    smsc: Smsc,
    campaign: Campaign,
    place: tempfile::TempDir,
}

/// A simulator, a store and a campaign that is `Sending` without an engine.
async fn stage(trial: &Trial, seed: u64) -> anyhow::Result<Stage> {
    let place = tempfile::tempdir()?;
    let smsc = simulator(config(trial, seed)).await?;
    let (store, seeded, campaign) = prepare(place.path(), trial.recipients(), &trial.options).await?;
    drop(store);
    let order = Order {
        directory: place.path().to_owned(),
        address: smsc.local_addr().map(|a| a.to_string()).unwrap_or_default(),
        boot_id: engine::boot_id()?,
        options: trial.options.clone(),
    };
    // The campaign is started by an engine that ends in order; the children only go on with it.
    let (store, outfit) = outfit(&order)?;
    let engine = outfit.start().await?;
    engine.start_campaign(seeded.workspace, campaign, &seeded.author()).await?;
    engine.shutdown().await;
    let campaign = outfit.stored(campaign).await?;
    drop(outfit);
    released(store).await?;
    Ok(Stage { order, smsc, campaign, place })
}

/// Kills a child once its campaign is recorded as done; the counts that the next start shows at once.
pub(super) async fn killed_when_done(trial: &Trial) -> anyhow::Result<Counts> {
    let stage = stage(trial, 1).await?;
    let (mut child, _) = wait_for(stage.order.start()?, "all done").await?;
    child.kill()?;
    let (_store, outfit) = outfit(&stage.order)?;
    let engine = outfit.start().await?;
    let counts = engine.progress(stage.campaign.id).map(|p| p.counts);
    let status = outfit.stored(stage.campaign.id).await?.status;
    engine.shutdown().await;
    anyhow::ensure!(status.is_final(), "killed too early: {status}");
    counts.ok_or_else(|| anyhow::anyhow!("the start does not show the campaign"))
}

/// Runs a campaign over `rounds` kills and to its end.
pub(super) async fn run(trial: &Trial, seed: u64, rounds: u32) -> anyhow::Result<Sum> {
    let Stage { mut order, smsc, campaign, place } = stage(trial, seed).await?;
    let mut chance = Chance(seed);
    let mut sum = Sum::default();
    for round in 0..rounds {
        let bound = bound(trial, round);
        let before = smsc.with_ledger(|ledger| ledger.submits().len());
        one_kill(&order, &smsc, &mut chance, &mut sum, (round, bound)).await?;
        all_read(&smsc).await?;
        let submits = smsc.with_ledger(|ledger| ledger.submits()[before..].to_vec());
        intents::check(&order, &campaign, &submits).await?;
        sum.judged += submits.len() as u64;
        spoil(trial.marks, place.path(), &mut order)?;
    }
    finish(&order, &smsc, campaign.id, bound(trial, rounds), &mut sum).await?;
    Ok(sum)
}

/// Waits until the simulator has read to the end of every connection.
async fn all_read(smsc: &Smsc) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    while smsc.stats().bound > 0 {
        anyhow::ensure!(Instant::now() < end, "still bound: {:?}", smsc.stats());
        tick().await;
    }
    Ok(())
}

/// Waits until the workers of an engine that has ended have let go of the store.
async fn released(store: Arc<SqliteStore>) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    while Arc::strong_count(&store) > 1 {
        anyhow::ensure!(Instant::now() < end, "{} still hold the store", Arc::strong_count(&store) - 1);
        tick().await;
    }
    Ok(())
}

/// The most that one kill may leave unknown; the first start follows an orderly end.
fn bound(trial: &Trial, round: u32) -> u64 {
    let binds = u64::from(trial.options.binds);
    let lead = if trial.marks == Marks::Kept { 0 } else { binds * LEAD };
    if round == 0 { 0 } else { binds * u64::from(trial.options.window) + OUTCOMES + lead }
}

/// Starts a child, waits until the ledger has advanced by a random number, kills it.
async fn one_kill(
    order: &Order,
    smsc: &Smsc,
    chance: &mut Chance,
    sum: &mut Sum,
    (round, bound): (u32, u64),
) -> anyhow::Result<()> {
    let submits = || smsc.with_ledger(|ledger| ledger.submits().len() as u64);
    let before = submits();
    let (mut child, _) = wait_for(order.start()?, "opening").await?;
    sum.rounds += 1;
    if chance.below(6) == 0 {
        // Killed while it reads its journal, or writes down what it found there.
        child.kill()?;
        return Ok(());
    }
    let (mut child, line) = wait_for(child, "recovered").await?;
    let unknown = line.split_whitespace().skip_while(|w| !w.contains("recovered")).nth(1);
    sum.recovered(unknown.unwrap_or_default().parse()?, bound, round)?;
    let target = before + chance.below(2_500);
    let (end, mut still, mut seen) = (Instant::now() + LIMIT, 0, before);
    // A campaign that is over before that does not reach its target; whether it is over is asked at the end.
    while seen < target && still < STILL {
        anyhow::ensure!(Instant::now() < end, "round {round}: {seen} of {target} submits");
        tick().await;
        still = if submits() == seen { still + 1 } else { 0 };
        seen = submits();
    }
    child.kill()?;
    Ok(())
}

/// Waits for a line off the runtime: the simulator lives there.
async fn wait_for(mut child: Child, word: &'static str) -> anyhow::Result<(Child, String)> {
    let waiting = tokio::task::spawn_blocking(move || {
        let line = child.wait_for_line(LIMIT, |line| line.contains(word))?;
        Ok::<_, ChildError>((child, line))
    });
    Ok(waiting.await??)
}

/// What may befall the marks of a dead process.
fn spoil(marks: Marks, directory: &Path, order: &mut Order) -> anyhow::Result<()> {
    if marks == Marks::OtherBoot {
        let digit = if order.boot_id.starts_with('0') { "1" } else { "0" };
        order.boot_id.replace_range(..1, digit);
        return Ok(());
    }
    for entry in std::fs::read_dir(directory.join("marks"))? {
        let path = entry?.path();
        match marks {
            Marks::Removed => std::fs::remove_file(path)?,
            Marks::Damaged => {
                let mut octets = std::fs::read(&path)?;
                let at = octets.len() / 2;
                octets[at] ^= 0x55;
                std::fs::write(&path, octets)?;
            }
            Marks::Kept | Marks::OtherBoot => {}
        }
    }
    Ok(())
}

/// Lets the campaign come to its end in this process and compares everything.
async fn finish(
    order: &Order,
    smsc: &Smsc,
    campaign: CampaignId,
    bound: u64,
    sum: &mut Sum,
) -> anyhow::Result<()> {
    let (store, outfit) = outfit(order)?;
    let engine = outfit.start().await?;
    sum.recovered(engine.recovered().0, bound, u32::MAX)?;
    let counts = || engine.progress(campaign).map(|p| p.counts).unwrap_or_default();
    let end = Instant::now() + LIMIT;
    let open = |c: &Counts| c.queued + c.in_flight > 0 || smsc.stats().receipts_open() > 0;
    while open(&counts()) {
        anyhow::ensure!(Instant::now() < end, "not done: {:?} {:?}", counts(), smsc.stats());
        tick().await;
    }
    // Its end is recorded behind the last count.
    while !outfit.stored(campaign).await?.status.is_final() {
        anyhow::ensure!(Instant::now() < end, "its end is not recorded: {:?}", counts());
        tick().await;
    }
    engine.settle().await?;
    engine.clone().shutdown().await;
    let channel = (outfit.channel(), smsc, zero_us(smsc));
    invariants::check(Evidence::of_one(&store, vec![(campaign, Some(counts()))], channel)).await?;
    sum.submits += smsc.with_ledger(|ledger| ledger.submits().len() as u64);
    Ok(())
}
