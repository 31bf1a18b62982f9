//! `dispatch`: all rigs in turn, round after round, each as a child process against a fresh sink process.
//!
//! Alternating rounds keep the machine's mood out of the ratios; processes of their own make CPU and memory
//! theirs alone. Children are ended by their id and never outlive this process: sinks watch their standard input.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use crate::compare::{Rounds, medians, to_json, to_table};
use crate::cpu::CpuTime;
use crate::rig::{Rig, RigReport, as_f64};

/// A round of the peer never lasts longer: it may be hundreds of times slower than the rest.
const PEER_LIMIT_S: u64 = 10;

/// A round of any other rig.
const LIMIT_S: u64 = 60;

/// What a child gets beyond its limit before it is ended.
const GRACE: Duration = Duration::from_secs(15);

/// Options of `dispatch`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DispatchOptions {
    /// Messages per round.
    #[arg(long, default_value_t = 2_000_000)]
    messages: u64,
    /// Connections.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    binds: u32,
    /// Unanswered submits per connection.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    window: u32,
    /// One receipt per message, 20 ms later and out of order.
    #[arg(long)]
    receipts: bool,
    /// Rounds; the medians need at least three.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(3..=1_000))]
    rounds: u32,
    /// Only these rigs, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "RIG")]
    only: Vec<String>,
    /// One JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// Runs all rounds and prints the comparison.
///
/// # Errors
/// When a child does not start or a rig fails.
pub(crate) fn dispatch(options: &DispatchOptions, rigs: &[Rig]) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("this program's own path is unknown")?;
    let known: Vec<_> = rigs.iter().map(|rig| rig.name).collect();
    if let Some(unknown) = options.only.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("no rig is called `{unknown}`: there are {}", known.join(", "));
    }
    let mut rounds: BTreeMap<&'static str, Rounds> = BTreeMap::new();
    for round in 1..=options.rounds {
        for rig in
            rigs.iter().filter(|rig| options.only.is_empty() || options.only.iter().any(|o| o == rig.name))
        {
            let (report, sink_cpu_us) = one_round(&own, rig.name, options)
                .with_context(|| format!("round {round} of {}", rig.name))?;
            let of = rounds.entry(rig.name).or_default();
            of.reports.push(report);
            of.sink_cpu_us.push(sink_cpu_us);
        }
    }
    let mut stdout = std::io::stdout().lock();
    if options.json {
        writeln!(stdout, "{}", to_json(&rounds))?;
    } else {
        write!(stdout, "{}", to_table(&medians(&rounds)))?;
    }
    Ok(())
}

/// One rig against one fresh sink: its report and the sink's CPU per message.
fn one_round(own: &Path, rig: &str, options: &DispatchOptions) -> anyhow::Result<(RigReport, f64)> {
    let sink = Sink::start(&sibling(own, "smsc")?, options.receipts)?;
    let before = CpuTime::of_process(sink.child.0.id())?;
    let limit_s = if rig == "peer" { PEER_LIMIT_S } else { LIMIT_S };
    let mut command = Command::new(own);
    command.arg(rig).args(["--addr", &sink.addr.to_string()]);
    command.args(["--messages", &options.messages.to_string(), "--binds", &options.binds.to_string()]);
    command.args(["--window", &options.window.to_string(), "--limit-s", &limit_s.to_string()]);
    if options.receipts {
        command.arg("--receipts");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Reaped(command.spawn().context("the rig did not start")?);
    let answer =
        first_line(&mut child, Duration::from_secs(limit_s) + GRACE).context("the rig says nothing")?;
    let status = child.0.wait()?;
    anyhow::ensure!(status.success(), "the rig failed ({status})");
    let report: RigReport = serde_json::from_str(&answer).context("the rig's report")?;
    let used = CpuTime::of_process(sink.child.0.id())?.total().saturating_sub(before.total());
    let sink_cpu_us = used.as_secs_f64() * 1e6 / as_f64(report.messages.max(1));
    Ok((report, sink_cpu_us))
}

/// The program `name` beside this one.
fn sibling(own: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = own.with_file_name(name);
    anyhow::ensure!(
        path.exists(),
        "{} is missing: build it with `cargo build --release -p bench`",
        path.display()
    );
    Ok(path)
}

/// The first line of a child's output; a child that is too late is ended by its owner.
fn first_line(child: &mut Reaped, within: Duration) -> anyhow::Result<String> {
    let stdout = child.0.stdout.take().context("the output is piped")?;
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line).map(|_| line);
        // Nobody waits any more when the time is over.
        let _ = send.send(read);
    });
    let line =
        receive.recv_timeout(within).with_context(|| format!("no line within {} s", within.as_secs()))?;
    Ok(line?)
}

/// A child that is ended, by its id, when its owner goes.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may have ended by itself; waiting then only collects it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running sink.
struct Sink {
    child: Reaped,
    addr: SocketAddr,
}

impl Sink {
    fn start(program: &Path, receipts: bool) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--until-stdin-closes"]);
        if receipts {
            command.args(["--receipts", "--receipt-delay-ms", "20", "--receipt-disorder-ms", "5"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Reaped(command.spawn().context("the sink did not start")?);
        let line = first_line(&mut child, GRACE).context("the sink says nothing")?;
        let addr = line.trim().strip_prefix("listening on ").context("the sink does not listen")?.parse()?;
        Ok(Self { child, addr })
    }
}
