//! `smsc`: the SMSC simulator as a program, on one current-thread runtime.
//!
//! First line: `listening on ADDRESS:PORT`. SIGTERM and SIGINT end it with a summary and exit code 0.
#![expect(clippy::print_stderr, reason = "a program says on standard error why it ends")]

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use bench::smsc::{
    Config, FaultRule, IdForm, LedgerKind, ReceiptConfig, ReceiptFields, Smsc, StateShares, Stats,
};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// SMSC simulator: accepts submit_sm, answers, sends receipts, and misbehaves on demand.
#[derive(Debug, Parser)]
#[command(name = "smsc", version)]
struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:2775")]
    listen: SocketAddr,
    /// Listen on an address that other machines can reach.
    #[arg(long)]
    allow_remote: bool,
    /// The only accepted system_id (any by default).
    #[arg(long)]
    system_id: Option<String>,
    /// The password that a bind must carry (any by default).
    #[arg(long)]
    password: Option<String>,
    /// Submits per second, answered THROTTLED beyond it; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    rate: u32,
    /// Delay of each submit_sm_resp.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// Random addition to the delay.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    jitter_ms: u64,
    /// Message ids: hex, decimal, padded-hex-then-decimal, hex-then-upper-stripped.
    #[arg(long, value_name = "FORM", default_value = "hex")]
    message_id: IdForm,
    /// Number behind the first message id. Without it: the time of the start, so that a restarted simulator
    /// never repeats an id; with --seed: 1.
    #[arg(long, value_name = "N")]
    first_id: Option<u64>,
    /// A fault and its share, repeatable: KIND:SHARE, refuse:STATUSHEX:SHARE, already_bound:N, close_after:N.
    #[arg(long = "fault", value_name = "KIND:SHARE")]
    faults: Vec<FaultRule>,
    /// Time between two octets under slow_drip.
    #[arg(long, value_name = "MS", default_value_t = 10)]
    drip_ms: u64,
    /// Seed of all chance.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Append one line per PDU to this file.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Remember every accepted (destination, part) and count repetitions.
    #[arg(long)]
    count_duplicates: bool,
    /// End with the counts as one JSON object on the last line.
    #[arg(long)]
    json_stats_on_exit: bool,
    /// End also when standard input closes, so that a killed parent leaves nothing behind.
    #[arg(long)]
    until_stdin_closes: bool,
    #[command(flatten)]
    receipts: Receipts,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Receipts")]
struct Receipts {
    /// Send receipts to those that ask with registered_delivery.
    #[arg(long)]
    receipts: bool,
    /// Send receipts also to those that do not ask.
    #[arg(long, requires = "receipts")]
    receipts_unasked: bool,
    /// Time from the submit to its receipt.
    #[arg(long, value_name = "MS", default_value_t = 0, requires = "receipts")]
    receipt_delay_ms: u64,
    /// Random addition to that time; receipts overtake each other.
    #[arg(long, value_name = "MS", default_value_t = 0, requires = "receipts")]
    receipt_disorder_ms: u64,
    /// Share of UNDELIV.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "receipts")]
    undeliverable: f64,
    /// Share of EXPIRED.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "receipts")]
    expired: f64,
    /// Share of REJECTD.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "receipts")]
    rejected: f64,
    /// Where the receipt names its message.
    #[arg(long, value_name = "both|text|tlv", default_value = "both", requires = "receipts",
          value_parser = parse_fields)]
    receipt_fields: ReceiptFields,
    /// Send an ENROUTE receipt before each final one.
    #[arg(long, requires = "receipts")]
    intermediate: bool,
    /// Unanswered deliver_sm per session.
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "receipts")]
    receipt_window: usize,
    /// Time from a temporary error to the next attempt.
    #[arg(long, value_name = "MS", default_value_t = 1_000, requires = "receipts")]
    redeliver_ms: u64,
    /// Time without an answer after which a receipt is delivered again; 0 for never.
    #[arg(long, value_name = "MS", default_value_t = 30_000, requires = "receipts")]
    receipt_timeout_ms: u64,
}

fn parse_fields(text: &str) -> Result<ReceiptFields, String> {
    match text {
        "both" => Ok(ReceiptFields::Both),
        "text" => Ok(ReceiptFields::TextOnly),
        "tlv" => Ok(ReceiptFields::TlvOnly),
        _ => Err(format!("`{text}` is none of both, text, tlv")),
    }
}

impl Options {
    fn config(&self) -> Config {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = u64::try_from(now.as_micros()).unwrap_or(1);
        Config {
            seed: self.seed.unwrap_or(0),
            first_id: self.first_id.unwrap_or(if self.seed.is_some() { 1 } else { started }),
            start_unix_s: now.as_secs(),
            system_id: self.system_id.clone(),
            password: self.password.clone(),
            latency_us: self.latency_ms * 1_000,
            jitter_us: self.jitter_ms * 1_000,
            rate_per_s: self.rate,
            id_form: self.message_id,
            receipts: self.receipts.receipts.then(|| self.receipts.config()),
            faults: self.faults.clone(),
            drip_us: self.drip_ms * 1_000,
            count_duplicates: self.count_duplicates,
            ledger: self.ledger.clone().map_or(LedgerKind::Off, LedgerKind::File),
            ..Config::default()
        }
    }
}

impl Receipts {
    fn config(&self) -> ReceiptConfig {
        ReceiptConfig {
            delay_us: self.receipt_delay_ms * 1_000,
            disorder_us: self.receipt_disorder_ms * 1_000,
            states: StateShares {
                undeliverable: self.undeliverable,
                expired: self.expired,
                rejected: self.rejected,
            },
            fields: self.receipt_fields,
            intermediate: self.intermediate,
            unasked: self.receipts_unasked,
            window: self.receipt_window,
            redeliver_us: self.redeliver_ms * 1_000,
            timeout_us: self.receipt_timeout_ms * 1_000,
            ..ReceiptConfig::default()
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("smsc: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if !options.listen.ip().is_loopback() && !options.allow_remote {
        return Err(format!(
            "{} can be reached by other machines and a simulator has no protection: use 127.0.0.1, or add --allow-remote",
            options.listen
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime did not start: {error}"))?;
    runtime.block_on(serve(options))
}

async fn serve(options: &Options) -> Result<(), String> {
    let listener = TcpListener::bind(options.listen).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "{} is in use by another program: end it or choose another port with --listen",
                options.listen
            )
        }
        _ => format!("cannot listen on {}: {error}", options.listen),
    })?;
    // Before the first line: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let smsc = Smsc::serve(listener, options.config()).map_err(|error| format!("{error:#}"))?;
    let addr = smsc.local_addr().expect("a simulator on a listener has its address");
    say(&format!("listening on {addr}"));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_closed(), if options.until_stdin_closes => {}
    }
    let written = smsc.shutdown().await;
    let stats = smsc.stats();
    if options.json_stats_on_exit {
        say(&serde_json::to_string(&stats).map_err(|error| error.to_string())?);
    } else {
        say(&summary(&stats));
    }
    written.map_err(|error| format!("the ledger is incomplete: {error}"))
}

/// Waits on a thread of its own; tokio's standard input would keep the runtime from ending.
async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An unreadable standard input is as closed as an ended one.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = wait.await;
}

/// Prints a line at once; a closed pipe at the other end is no reason to fail.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn summary(stats: &Stats) -> String {
    let mut text = format!(
        "{} connections, {} binds, {} submits: {} accepted, {} refused, {} duplicates; receipts: {} created, {} sent, {} acknowledged, {} open",
        stats.connections,
        stats.binds,
        stats.submits,
        stats.accepted,
        stats.refused_total(),
        stats.duplicates,
        stats.receipts_created,
        stats.receipts_sent,
        stats.receipts_acked,
        stats.receipts_open(),
    );
    for (fault, count) in &stats.faults {
        text.push_str(&format!("; {fault} {count}"));
    }
    text
}
