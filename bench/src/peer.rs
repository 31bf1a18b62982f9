//! The peer: the client library `rusmppc` as its users write it, a task per window slot that submits in a loop.
//!
//! Same runtime, binds, window and message as the floor; two worker threads, or one task per bind for all slots,
//! were measured and not cheaper.
//! Nothing is stored: a bare client against an engine with a journal, so the comparison favours the peer, and one
//! more help is given: see [`drive`].

use std::pin::pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use hdrhistogram::Histogram;
use rusmpp::CommandId;
use rusmpp::pdus::{BindTransceiver, DeliverSmResp, SubmitSm};
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::{Npi, RegisteredDelivery, Ton};
use rusmppc::{Client, ConnectionBuilder, Event};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::rig::{FIRST_DESTINATION, RigOptions, RigReport, SOURCE, Stopwatch, TEXT, histogram, runtime};

/// Version in the workspace's lock file.
const NAME: &str = "rusmppc 0.4.0";

/// Time between two extra polls of a connection: the finest that tokio's timer has.
const NUDGE: Duration = Duration::from_millis(1);

/// How long an unbind may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs the peer and measures it.
///
/// # Errors
/// When the sink cannot be reached or the library reports an error.
pub(crate) fn run_peer(options: &RigOptions) -> anyhow::Result<RigReport> {
    let report = runtime()?.block_on(measure(options))?;
    Ok(RigReport { name: Some(NAME.to_owned()), ..report })
}

/// Receipts over all binds.
struct Receipts {
    acknowledged: AtomicU64,
    wanted: u64,
    settled: Notify,
}

async fn measure(options: &RigOptions) -> anyhow::Result<RigReport> {
    let wanted = if options.receipts { options.messages } else { 0 };
    let receipts = Arc::new(Receipts { acknowledged: AtomicU64::new(0), wanted, settled: Notify::new() });
    let mut clients = Vec::new();
    for _ in 0..options.binds {
        clients.push(connect(options, &receipts).await?);
    }
    let template = message(options)?;
    let stopwatch = Stopwatch::start()?;
    let deadline = Instant::now() + options.limit();
    let (mut running, mut binds) = (JoinSet::new(), Vec::new());
    for (index, client) in (0..).zip(&clients) {
        let next = Arc::new(AtomicU64::new(0));
        let answered = Arc::new(Mutex::new(Answered { count: 0, latency: histogram() }));
        for _ in 0..options.window {
            let slot = Slot {
                client: client.clone(),
                template: template.clone(),
                next: Arc::clone(&next),
                share: options.share(index),
                answered: Arc::clone(&answered),
            };
            running.spawn(slot.run(deadline));
        }
        binds.push(answered);
    }
    while let Some(slot) = running.join_next().await {
        slot.context("a slot panicked")??;
    }
    wait_for_receipts(&receipts, deadline).await;
    let (mut count, mut latency) = (0, histogram());
    for bind in &binds {
        let answered = bind.lock().unwrap_or_else(PoisonError::into_inner);
        count += answered.count;
        latency.add(&answered.latency).context("histograms of one kind")?;
    }
    let report = stopwatch.report(options, count, &latency)?;
    for client in clients {
        // The run is measured; a library that fails to say goodbye does not spoil it.
        let _ = tokio::time::timeout(FAREWELL, client.unbind()).await;
    }
    Ok(report)
}

async fn wait_for_receipts(receipts: &Receipts, deadline: Instant) {
    loop {
        let settled = receipts.settled.notified();
        if receipts.acknowledged.load(Ordering::Relaxed) >= receipts.wanted || Instant::now() >= deadline {
            return;
        }
        // The limit ends the wait as well; what was answered until then is reported.
        let _ = tokio::time::timeout_at(deadline, settled).await;
    }
}

/// One place in the window of a bind.
struct Slot {
    client: Client,
    template: SubmitSm,
    /// Index of the bind's next message.
    next: Arc<AtomicU64>,
    share: u64,
    answered: Arc<Mutex<Answered>>,
}

/// What a bind has measured; one for all its slots, because a histogram each would show as memory of the peer.
struct Answered {
    count: u64,
    latency: Histogram<u64>,
}

impl Slot {
    async fn run(self, deadline: Instant) -> anyhow::Result<()> {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let began = Instant::now();
            if index >= self.share || began >= deadline {
                return Ok(());
            }
            let mut submit = self.template.clone();
            submit.destination_addr = COctetString::from_str(&(FIRST_DESTINATION + index).to_string())?;
            match self.client.submit_sm(submit).await {
                Ok(_) => {}
                // The library's own response timeout ends a submit that the limit has overtaken.
                Err(_) if Instant::now() >= deadline => return Ok(()),
                Err(error) => return Err(error).context("the library reports a failed submit"),
            }
            let ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
            answered.count += 1;
            answered.latency.saturating_record(ns);
        }
    }
}

fn message(options: &RigOptions) -> anyhow::Result<SubmitSm> {
    let receipts =
        if options.receipts { RegisteredDelivery::request_all() } else { RegisteredDelivery::default() };
    Ok(SubmitSm::builder()
        .source_addr_ton(Ton::Alphanumeric)
        .source_addr(COctetString::from_str(SOURCE)?)
        .dest_addr_ton(Ton::International)
        .dest_addr_npi(Npi::Isdn)
        .registered_delivery(receipts)
        .short_message(OctetString::from_slice(&TEXT)?)
        .build())
}

/// Polls a connection also once a millisecond. Version 0.4.0 takes at most five actions per poll and then sleeps
/// without a waker when the responses to them are in already: left alone it stands still until its next
/// `enquire_link`, after some thousand messages against a fast sink.
async fn drive(connection: impl Future<Output = ()>) {
    let mut connection = pin!(connection);
    let mut nudge = tokio::time::interval(NUDGE);
    nudge.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = &mut connection => return,
            _ = nudge.tick() => {}
        }
    }
}

/// Binds a transceiver; its receipts are acknowledged in a task of their own.
async fn connect(options: &RigOptions, receipts: &Arc<Receipts>) -> anyhow::Result<Client> {
    // TCP_NODELAY stays off as in the library's own connect: it writes every PDU by itself, and letting the kernel
    // join them was measured to be twice as fast (3.6 instead of 7.6 us at 4 binds and window 100).
    let stream =
        TcpStream::connect(options.addr).await.with_context(|| format!("no sink at {}", options.addr))?;
    let (client, mut events, connection) = ConnectionBuilder::new().no_spawn().connected(stream);
    tokio::spawn(drive(connection));
    let bind = BindTransceiver::builder().system_id(COctetString::from_str("peer")?).build();
    client.bind_transceiver(bind).await.context("the library could not bind")?;
    let (answering, receipts) = (client.clone(), Arc::clone(receipts));
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let Event::Incoming(command) = event else { continue };
            if command.id() != CommandId::DeliverSm {
                continue;
            }
            if answering.deliver_sm_resp(command.sequence_number(), DeliverSmResp::default()).await.is_err() {
                return;
            }
            if receipts.acknowledged.fetch_add(1, Ordering::Relaxed) + 1 >= receipts.wanted {
                receipts.settled.notify_waiters();
            }
        }
    });
    Ok(client)
}
