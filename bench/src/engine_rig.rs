//! The whole engine as a rig: SQLite store with everything durable, one approved campaign, binds to the sink.
//!
//! Store, seed and recipients are made before the clock starts; it runs from the start command until every
//! recipient is accounted for (with receipts: until every receipt is).

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use engine::model::{
    CHUNK_RECIPIENTS, CampaignId, DeliveryPolicy, QuietHours, RetryRule, SendingRules, SuppressionKind,
};
use engine::seed::{CampaignSeed, Seed};
use engine::store::{Catalog, Change, Entity, Expect, Journal, Kind, Scope, SqliteStore};
use engine::{BindKind, ChannelConfig, Engine, EngineConfig, Env, boot_id};
use tokio::time::{Instant, MissedTickBehavior};

use crate::rig::{FIRST_DESTINATION, RigOptions, RigReport, SOURCE, Stopwatch, TEXT, histogram, runtime};

/// How often the account is looked at; the end is late by at most this.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long the sink may take to answer a submit.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A rate that nobody reaches, segments per second.
const FAR_RATE: u32 = 50_000_000;

/// Opt-outs of the workspace, and how many go in one call.
const SUPPRESSED: u64 = 200_000;
const SUPPRESSED_A_CALL: u64 = 10_000;

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
        receipt_timeout: engine::RECEIPT_TIMEOUT,
        inbound: engine::InboundConfig::default(),
    };
    let catalog: Arc<dyn Catalog> = Arc::clone(&store) as _;
    let engine = Engine::start(config, catalog, Arc::clone(&store) as _, Env::system(1)).await?;
    let deadline = Instant::now() + options.limit();
    until(deadline, || engine.channels().iter().all(|c| c.up.iter().all(|up| *up))).await;
    if options.everything {
        suppress_others(&engine, &seed).await?;
    }
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
    let mut rules = SendingRules::default();
    if options.everything {
        limit(store, &seed, options.messages, at).await?;
        rules.daily_limit = Some(options.messages * 2);
        rules.validity_s = Some(3_600);
        rules.retry = vec![RetryRule { status: 8, attempts: 5, delay_s: 1 }];
    }
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
        rules,
        text: String::from_utf8(TEXT.to_vec())?,
        receipts: options.receipts,
        delivery_policy: DeliveryPolicy::AtMostOnce,
        recipients: options.messages,
        recipients_digest: String::new(),
    };
    let id = seed.campaign(&**store, no, campaign, at).await?;
    Ok((seed, id))
}

/// Rates, a daily limit and quiet hours for the workspace and its sender, all of them far away.
async fn limit(store: &SqliteStore, seed: &Seed, messages: u64, at: jiff::Timestamp) -> anyhow::Result<()> {
    let by = seed.author();
    let hour = |hours: i64| -> anyhow::Result<jiff::civil::Time> {
        let later = at.checked_add(jiff::Span::new().hours(hours))?;
        Ok(later.to_zoned(jiff::tz::TimeZone::UTC).time())
    };
    let found = store.get(Scope::Platform, Kind::Workspace, seed.workspace.into()).await?;
    let Entity::Workspace(mut workspace) = found else { anyhow::bail!("no workspace") };
    workspace.rate_per_s = FAR_RATE;
    workspace.daily_limit = Some(messages * 2);
    workspace.quiet_hours = Some(QuietHours { from: hour(10)?, to: hour(11)? });
    let scope = Scope::Workspace(seed.workspace);
    let found = store.get(scope, Kind::Sender, seed.revision().sender_id.into()).await?;
    let Entity::Sender(mut sender) = found else { anyhow::bail!("no sender") };
    sender.rate_per_s = FAR_RATE;
    for (scope, entity) in [(Scope::Platform, Entity::Workspace(workspace)), (scope, Entity::Sender(sender))]
    {
        let change = Change { scope, expect: Expect::Version(0), entity, action: "bench.limit" };
        store.apply(vec![change], &by, at).await?;
    }
    Ok(())
}

/// Numbers on the workspace's opt-out list, none of them a recipient's.
async fn suppress_others(engine: &Engine, seed: &Seed) -> anyhow::Result<()> {
    let scope = Scope::Workspace(seed.workspace);
    for call in 0..SUPPRESSED / SUPPRESSED_A_CALL {
        let first = FIRST_DESTINATION - SUPPRESSED + call * SUPPRESSED_A_CALL;
        let numbers = (first..first + SUPPRESSED_A_CALL).collect();
        engine.suppress(scope, numbers, (SuppressionKind::OptOut, "bench"), &seed.author()).await?;
    }
    Ok(())
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
        rate_per_s: if options.everything { FAR_RATE } else { 0 },
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
