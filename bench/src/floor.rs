//! The raw floor: pre-built `submit_sm` copied to the socket, responses counted by their headers, nothing kept.
//!
//! No program that speaks SMPP over these connections and windows can be faster with one thread; the distance to
//! it is what a client costs. Latency is sampled once per turn and bind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use bench::turn::turn;
use bytes::{Buf, BytesMut};
use hdrhistogram::Histogram;
use pdu::{Address, CommandId, CommandStatus, Pdu, SubmitSm, cut_frame, registered_delivery};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::rig::{FIRST_DESTINATION, RigOptions, RigReport, SOURCE, Stopwatch, TEXT, histogram, runtime};

/// Octets of every PDU; the measurements of other projects use the same.
const PDU_LEN: usize = 205;

/// PDUs prepared per bind, at least; windows beyond it get as many as the window.
const RING_MIN: u32 = 256;

/// Room for one read.
const READ_ROOM: usize = 256 * 1024;

/// Runs the floor and measures it.
///
/// # Errors
/// When the sink cannot be reached, refuses a bind or closes a connection.
pub(crate) fn run_floor(options: &RigOptions) -> anyhow::Result<RigReport> {
    runtime()?.block_on(measure(options))
}

async fn measure(options: &RigOptions) -> anyhow::Result<RigReport> {
    let ring: Arc<[u8]> = ring(options)?.into();
    let common = Arc::new(Common { receipts: AtomicU64::new(0), settled: Notify::new() });
    let mut binds = Vec::new();
    for index in 0..options.binds {
        let stream = connect(options, index).await?;
        binds.push(Bind::new(stream, options, index, (Arc::clone(&ring), Arc::clone(&common))));
    }
    let stopwatch = Stopwatch::start()?;
    let deadline = Instant::now() + options.limit();
    let mut running = JoinSet::new();
    for bind in binds {
        running.spawn(bind.run(deadline));
    }
    let (mut answered, mut latency) = (0, histogram());
    let mut done = Vec::new();
    while let Some(bind) = running.join_next().await {
        let bind = bind.context("a bind panicked")??;
        answered += bind.answered;
        latency.add(&bind.latency).context("histograms of one kind")?;
        done.push(bind);
    }
    let report = stopwatch.report(options, answered, &latency)?;
    for bind in done {
        bind.leave().await?;
    }
    Ok(report)
}

/// What the binds of a run share.
struct Common {
    receipts: AtomicU64,
    /// Rings when the last receipt has come.
    settled: Notify,
}

/// One connection of the floor.
struct Bind {
    stream: TcpStream,
    ring: Arc<[u8]>,
    common: Arc<Common>,
    input: BytesMut,
    out: BytesMut,
    window: u64,
    /// Messages to send over this bind, and receipts to wait for over all.
    share: u64,
    receipts: u64,
    sent: u64,
    answered: u64,
    latency: Histogram<u64>,
    /// The sampled turn: it is answered when this many are, and began then.
    sample: Option<(u64, Instant)>,
}

impl Bind {
    fn new(
        stream: TcpStream,
        options: &RigOptions,
        index: u32,
        (ring, common): (Arc<[u8]>, Arc<Common>),
    ) -> Self {
        Self {
            stream,
            ring,
            common,
            input: BytesMut::new(),
            out: BytesMut::new(),
            window: u64::from(options.window),
            share: options.share(index),
            receipts: if options.receipts { options.messages } else { 0 },
            sent: 0,
            answered: 0,
            latency: histogram(),
            sample: None,
        }
    }

    async fn run(mut self, deadline: Instant) -> anyhow::Result<Self> {
        let common = Arc::clone(&self.common);
        loop {
            let now = Instant::now();
            self.note_latency(now);
            if now >= deadline {
                return Ok(self);
            }
            self.fill(now);
            let settled = common.settled.notified();
            if self.answered == self.share && common.receipts.load(Ordering::Relaxed) >= self.receipts {
                return Ok(self);
            }
            self.input.reserve(READ_ROOM);
            tokio::select! {
                biased;
                read = turn(&mut self.stream, &mut self.input, &mut self.out, true) => {
                    anyhow::ensure!(read? != Some(0), "the sink closed a connection");
                    self.take_input()?;
                }
                () = settled => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Copies as many PDUs as the window allows.
    fn fill(&mut self, now: Instant) {
        let before = self.sent;
        while self.sent < self.share && self.sent - self.answered < self.window {
            let room = (self.window - (self.sent - self.answered)).min(self.share - self.sent);
            let slots = self.ring.len() / PDU_LEN;
            let slot = usize::try_from(self.sent % slots as u64).expect("below the slots of a ring");
            let run = usize::try_from(room).unwrap_or(slots).min(slots - slot);
            self.out.extend_from_slice(&self.ring[slot * PDU_LEN..(slot + run) * PDU_LEN]);
            self.sent += run as u64;
        }
        if self.sample.is_none() && self.sent > before {
            self.sample = Some((self.sent, now));
        }
    }

    fn note_latency(&mut self, now: Instant) {
        if let Some((until, began)) = self.sample
            && self.answered >= until
        {
            let ns = u64::try_from((now - began).as_nanos()).unwrap_or(u64::MAX);
            self.latency.saturating_record(ns);
            self.sample = None;
        }
    }

    fn take_input(&mut self) -> anyhow::Result<()> {
        let (mut taken, mut receipts) = (0, 0);
        while let Some(frame) = cut_frame(&self.input[taken..], pdu::MAX_COMMAND_LENGTH)? {
            taken += frame.len();
            match frame.header.command_id {
                CommandId::SUBMIT_SM_RESP => {
                    let status = frame.header.command_status;
                    anyhow::ensure!(
                        status == CommandStatus::OK,
                        "the sink refused a submit with {:#x}",
                        status.0
                    );
                    self.answered += 1;
                }
                CommandId::DELIVER_SM => {
                    receipts += 1;
                    put_ack(&mut self.out, frame.header.sequence_number);
                }
                _ => {}
            }
        }
        self.input.advance(taken);
        if receipts > 0 {
            let all = self.common.receipts.fetch_add(receipts, Ordering::Relaxed) + receipts;
            if all >= self.receipts {
                self.common.settled.notify_waiters();
            }
        }
        Ok(())
    }

    /// Flushes the last acknowledgements and unbinds.
    async fn leave(mut self) -> anyhow::Result<()> {
        put_bare(&mut self.out, CommandId::UNBIND, 1);
        self.stream.write_all(&self.out).await?;
        while self.stream.read_buf(&mut self.input).await? > 0 {
            self.input.clear();
        }
        Ok(())
    }
}

/// PDUs that differ in sequence number and destination, as many as can be unanswered at once.
fn ring(options: &RigOptions) -> anyhow::Result<Vec<u8>> {
    let mut ring = BytesMut::new();
    for index in 0..options.window.max(RING_MIN) {
        let destination = (FIRST_DESTINATION + u64::from(index)).to_string();
        let submit = SubmitSm {
            source: Address { ton: 5, npi: 0, addr: SOURCE.as_bytes() },
            dest: Address { ton: 1, npi: 1, addr: destination.as_bytes() },
            registered_delivery: u8::from(options.receipts) * registered_delivery::FINAL,
            short_message: &TEXT,
            ..SubmitSm::default()
        };
        Pdu::SubmitSm(submit).encode(CommandStatus::OK, index + 1, &mut ring)?;
    }
    anyhow::ensure!(ring.len().is_multiple_of(PDU_LEN), "every PDU has {PDU_LEN} octets");
    Ok(ring.to_vec())
}

async fn connect(options: &RigOptions, index: u32) -> anyhow::Result<TcpStream> {
    let mut stream =
        TcpStream::connect(options.addr).await.with_context(|| format!("no sink at {}", options.addr))?;
    stream.set_nodelay(true)?;
    let mut bind = BytesMut::new();
    let body = b"floor\0\0\0\x34\0\0\0";
    let length = u32::try_from(16 + body.len()).expect("a bind is short");
    for word in [length, CommandId::BIND_TRANSCEIVER.0, 0, 1] {
        bind.extend_from_slice(&word.to_be_bytes());
    }
    bind.extend_from_slice(body);
    stream.write_all(&bind).await?;
    let mut answer = BytesMut::new();
    loop {
        if let Some(frame) = cut_frame(&answer, pdu::MAX_COMMAND_LENGTH)? {
            let status = frame.header.command_status;
            anyhow::ensure!(status == CommandStatus::OK, "bind {index} was refused with {:#x}", status.0);
            return Ok(stream);
        }
        anyhow::ensure!(stream.read_buf(&mut answer).await? > 0, "the sink closed during bind {index}");
    }
}

fn put_ack(out: &mut BytesMut, sequence: u32) {
    let mut octets = [0; 17];
    octets[..4].copy_from_slice(&17_u32.to_be_bytes());
    octets[4..8].copy_from_slice(&CommandId::DELIVER_SM_RESP.0.to_be_bytes());
    octets[12..16].copy_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&octets);
}

fn put_bare(out: &mut BytesMut, id: CommandId, sequence: u32) {
    for word in [16, id.0, 0, sequence] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}
