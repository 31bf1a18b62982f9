//! The whole engine as a rig: SQLite store with everything durable, one approved campaign, binds to the sink.
//!
//! Store, seed and recipients are made before the clock starts; it runs from the start command until every
//! recipient is accounted for (with receipts: until every receipt is).

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use engine::model::{CHUNK_RECIPIENTS, CampaignId, DeliveryPolicy};
use engine::seed::{CampaignSeed, Seed};
use engine::store::{Catalog, Journal, SqliteStore};
use engine::{BindKind, ChannelConfig, Engine, EngineConfig, Env, boot_id};
use tokio::time::{Instant, MissedTickBehavior};

use crate::rig::{FIRST_DESTINATION, RigOptions, RigReport, SOURCE, Stopwatch, TEXT, histogram, runtime};

/// How often the account is looked at; the end is late by at most this.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long the sink may take to answer a submit.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the engine and measures it.
///
/// # Errors
/// When the store cannot be made or the sink cannot be reached.
pub(crate) fn run_engine(options: &RigOptions) -> anyhow::Result<RigReport> {
    runtime()?.block_on(measure(options))
}

async fn measure(options: &RigOptions) -> anyhow::Result<RigReport> {
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let store = Arc::new(SqliteStore::open(&directory.path().join("store"))?);
    let (seed, campaign) = prepare(&store, options).await?;
    let config = EngineConfig {
        channels: vec![channel(options)],
        marks: directory.path().join("marks"),
        installation: store.installation(),
        boot_id: boot_id()?,
        drain_timeout: RESPONSE_TIMEOUT,
        inbound: engine::InboundConfig::default(),
    };
    let catalog: Arc<dyn Catalog> = Arc::clone(&store) as _;
    let engine = Engine::start(config, catalog, Arc::clone(&store) as _, Env::system(1)).await?;
    let deadline = Instant::now() + options.limit();
    until(deadline, || engine.channels().iter().all(|c| c.up.iter().all(|up| *up))).await;
    let stopwatch = Stopwatch::start()?;
    engine.start_campaign(seed.workspace, campaign, &seed.author()).await?;
    let answered = || {
        let counts = engine.progress(campaign).unwrap_or_default().counts;
        let receipts = counts.delivered + counts.undeliverable + counts.expired + counts.rejected;
        if options.receipts { receipts } else { receipts + counts.sent }
    };
    until(deadline, || answered() == options.messages).await;
    let mut report = stopwatch.report(options, answered(), &histogram())?;
    report.p50_ms = milliseconds(engine.submit_latency_us(0.5));
    report.p99_ms = milliseconds(engine.submit_latency_us(0.99));
    engine.shutdown().await;
    Ok(report)
}

/// Waits until `done`, or the deadline.
async fn until(deadline: Instant, done: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !done() && Instant::now() < deadline {
        looks.tick().await;
    }
}

async fn prepare(store: &Arc<SqliteStore>, options: &RigOptions) -> anyhow::Result<(Seed, CampaignId)> {
    let at = jiff::Timestamp::now();
    let seed = Seed::create(&**store, "bench", SOURCE, at).await?;
    let no = store.next_campaign_no().await?;
    let mut recipients = store.write_recipients(no, options.messages)?;
    let mut chunk = Vec::with_capacity(CHUNK_RECIPIENTS);
    for number in FIRST_DESTINATION..FIRST_DESTINATION + options.messages {
        chunk.push(number);
        if chunk.len() == CHUNK_RECIPIENTS {
            recipients.chunk(&chunk, &[])?;
            chunk.clear();
        }
    }
    if !chunk.is_empty() {
        recipients.chunk(&chunk, &[])?;
    }
    recipients.finish()?;
    let campaign = CampaignSeed {
        name: "bench".to_owned(),
        mode: engine::model::Mode::OnDemand,
        rules: engine::model::SendingRules::default(),
        text: String::from_utf8(TEXT.to_vec())?,
        receipts: options.receipts,
        delivery_policy: DeliveryPolicy::AtMostOnce,
        recipients: options.messages,
        recipients_digest: String::new(),
    };
    let id = seed.campaign(&**store, no, campaign, at).await?;
    Ok((seed, id))
}

fn channel(options: &RigOptions) -> ChannelConfig {
    ChannelConfig {
        name: "bench".to_owned(),
        address: options.addr.to_string(),
        system_id: "bench".to_owned(),
        password: String::new(),
        system_type: String::new(),
        bind: BindKind::Transceiver,
        binds: options.binds,
        window: options.window,
        rate_per_s: 0,
        enquire_link: RESPONSE_TIMEOUT,
        response_timeout: RESPONSE_TIMEOUT,
        message_id: pdu::MessageIdForm::Auto,
        prefixes: Vec::new(),
        weight: 1,
        workspaces: Vec::new(),
    }
}

fn milliseconds(us: u64) -> f64 {
    crate::rig::as_f64(us) / 1_000.0
}
