//! What all rigs share: options, the report, the message that is sent, and the reading of latencies.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::cpu;

/// Source of every message: twenty octets, so that the PDU has 205.
pub(crate) const SOURCE: &str = "MESSAGE-CENTER-BENCH";

/// The text: 140 octets.
pub(crate) const TEXT: [u8; 140] = [b'x'; 140];

/// First destination; twelve digits.
pub(crate) const FIRST_DESTINATION: u64 = 420_700_000_000;

/// A rig as `main` knows it.
pub(crate) struct Rig {
    /// Subcommand and key in the JSON.
    pub(crate) name: &'static str,
    /// One line of help.
    pub(crate) about: &'static str,
    /// Runs it and measures.
    pub(crate) run: fn(&RigOptions) -> anyhow::Result<RigReport>,
}

/// What a rig is to send, and where.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RigOptions {
    /// Address of the sink.
    #[arg(long)]
    pub(crate) addr: SocketAddr,
    /// Messages over all binds.
    #[arg(long)]
    pub(crate) messages: u64,
    /// Connections, each a transceiver.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) binds: u32,
    /// Unanswered submits per bind.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) window: u32,
    /// Ask for receipts and wait until all are acknowledged.
    #[arg(long)]
    pub(crate) receipts: bool,
    /// Engine only: every limit, calendar and list switched on, none of them reached.
    #[arg(long)]
    pub(crate) everything: bool,
    /// Stop sending after this time and report what was answered.
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub(crate) limit_s: u64,
}

impl RigOptions {
    /// The time after which nothing more is sent.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.limit_s)
    }

    /// Messages of bind `index`, so that the sum is exact.
    pub(crate) fn share(&self, index: u32) -> u64 {
        let binds = u64::from(self.binds);
        self.messages / binds + u64::from(u64::from(index) < self.messages % binds)
    }
}

/// What a rig measured; rates and CPU per answered message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RigReport {
    /// What ran, with its version where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Messages answered per second.
    pub(crate) per_s: f64,
    /// User and system time of the process per message in microseconds.
    pub(crate) cpu_us_per_msg: f64,
    /// Median latency from write to response in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile of it.
    pub(crate) p99_ms: f64,
    /// Largest resident memory of the process in MiB.
    pub(crate) rss_mib: f64,
    /// Messages answered.
    pub(crate) messages: u64,
    /// Seconds from the first write to the last answer.
    pub(crate) elapsed_s: f64,
    /// Whether all messages were answered before the limit.
    pub(crate) complete: bool,
}

/// Longest latency told apart, in nanoseconds: longer ones count as this.
const LATENCY_MAX_NS: u64 = 120_000_000_000;

/// Latencies in nanoseconds; bounded, because a histogram that grows does not grow when saturating.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 2).expect("bounds and precision are valid")
}

/// A measurement that runs.
pub(crate) struct Stopwatch {
    started: tokio::time::Instant,
    cpu: cpu::CpuTime,
}

impl Stopwatch {
    /// Starts now.
    ///
    /// # Errors
    /// When the process cannot read its own CPU time.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self { cpu: cpu::CpuTime::of_self()?, started: tokio::time::Instant::now() })
    }

    /// Ends the measurement.
    ///
    /// # Errors
    /// As [`Stopwatch::start`], and when nothing was answered.
    pub(crate) fn report(
        &self,
        options: &RigOptions,
        answered: u64,
        latency: &Histogram<u64>,
    ) -> anyhow::Result<RigReport> {
        let elapsed_s = self.started.elapsed().as_secs_f64();
        let cpu = self.cpu.until_now()?;
        anyhow::ensure!(answered > 0, "no submit was answered within {} s", options.limit_s);
        Ok(RigReport {
            name: None,
            per_s: as_f64(answered) / elapsed_s,
            cpu_us_per_msg: cpu.as_secs_f64() * 1e6 / as_f64(answered),
            p50_ms: as_f64(latency.value_at_quantile(0.5)) / 1e6,
            p99_ms: as_f64(latency.value_at_quantile(0.99)) / 1e6,
            rss_mib: cpu::peak_rss_mib()?,
            messages: answered,
            elapsed_s,
            complete: answered == options.messages,
        })
    }
}

/// Counts are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a run are below 2^53")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The runtime of a rig: one thread for all binds.
///
/// # Errors
/// When the runtime does not start.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime did not start")
}

/// Prints a report as one line of JSON.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print(report: &RigReport) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(report)?)?;
    Ok(())
}
