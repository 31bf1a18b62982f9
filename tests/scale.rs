//! Large campaigns, the engine and the SMSC each in a process of its own: exact counts and bounded memory.
//!
//! The suite runs a small dose; `make long` sets `MC_SCALE` and runs a million and ten million recipients.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests; the figures are the point of the long run"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::Child;

/// Far above what any step takes; reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(600);
/// The dose of the suite.
const DOSE: u64 = 200_000;
/// Largest resident memory of the engine's process for a million recipients, MiB.
const RSS_MIB: f64 = 200.0;
/// What ten million may take on top, MiB, beside the receipts that are awaited.
const RSS_MORE_MIB: f64 = 64.0;
/// Octets for each awaited receipt.
const OCTETS_PER_RECEIPT: f64 = 24.0;

struct Run {
    engine: Value,
    smsc: Value,
}

/// One campaign of `recipients` with receipts through four binds, against a simulator with these arguments.
fn run(recipients: u64, smsc_arguments: &[&str]) -> Run {
    let mut command = Command::new(tests::product("smsc").unwrap());
    command.args(["--listen", "127.0.0.1:0", "--receipts", "--receipt-delay-ms", "20"]);
    command.args(["--receipt-disorder-ms", "20", "--json-stats-on-exit"]).args(smsc_arguments);
    let mut smsc = Child::start(&mut command).unwrap();
    let line = smsc.wait_for_line(DEADLINE, |line| line.starts_with("listening on ")).unwrap();
    let mut command = Command::new(tests::product("bench").unwrap());
    command.args(["engine", "--binds", "4", "--window", "100", "--receipts", "--limit-s", "500"]);
    command.args(["--messages", &recipients.to_string(), "--addr", line.rsplit(' ').next().unwrap()]);
    let mut engine = Child::start(&mut command).unwrap();
    let report = engine.wait_for_line(DEADLINE, |line| line.starts_with('{')).unwrap();
    assert!(engine.wait_for_end(DEADLINE).unwrap().success());
    smsc.ask_to_end().unwrap();
    let stats = smsc.wait_for_line(DEADLINE, |line| line.starts_with('{')).unwrap();
    Run { engine: serde_json::from_str(&report).unwrap(), smsc: serde_json::from_str(&stats).unwrap() }
}

fn check_counts(run: &Run, recipients: u64) {
    let smsc = |name: &str| run.smsc[name].as_u64();
    assert_eq!(run.engine["messages"].as_u64(), Some(recipients), "{}", run.engine);
    for count in ["submits", "accepted", "receipts_created", "receipts_acked"] {
        assert_eq!(smsc(count), Some(recipients), "{count} of {}", run.smsc);
    }
}

/// Accepted submits by destination, from the simulator's ledger file.
fn accepted_by_destination(ledger: &Path) -> BTreeMap<u64, u32> {
    let file = std::fs::File::open(ledger).unwrap();
    let mut found = BTreeMap::new();
    for line in BufReader::new(file).lines() {
        let line = line.unwrap();
        let fields: Vec<&str> = line.split(' ').collect();
        // time connection direction command_id status sequence source destination part message_id outcome ...
        if fields[2..4] == ["<", "00000004"] && fields[10] == "accepted" {
            *found.entry(fields[7].parse().unwrap()).or_default() += 1;
        }
    }
    found
}

#[test]
fn every_recipient_is_on_the_ledger_exactly_once_with_its_receipt() {
    let recipients = scale().map_or(DOSE, |_| 1_000_000);
    let directory = tests::temp_dir().unwrap();
    let ledger = directory.path().join("ledger");
    let run = run(recipients, &["--ledger", ledger.to_str().unwrap()]);
    check_counts(&run, recipients);
    let accepted = accepted_by_destination(&ledger);
    assert_eq!(accepted.len() as u64, recipients);
    assert!(accepted.values().all(|count| *count == 1));
    let rss = run.engine["rss_mib"].as_f64().unwrap();
    assert!(rss < RSS_MIB, "{rss} MiB");
    println!("{recipients} recipients: {}", run.engine);
}

#[test]
fn memory_grows_by_less_than_promised_for_ten_times_the_recipients() {
    let (few, many) = scale().map_or((DOSE / 10, DOSE), |scale| (1_000_000, scale));
    let small = run(few, &["--count-duplicates"]);
    let large = run(many, &["--count-duplicates"]);
    check_counts(&small, few);
    check_counts(&large, many);
    assert_eq!(large.smsc["duplicates"].as_u64(), Some(0));
    let rss = |run: &Run| run.engine["rss_mib"].as_f64().unwrap();
    // Never more receipts are awaited than there are recipients.
    let receipts_mib = OCTETS_PER_RECEIPT * f64::from(u32::try_from(many).unwrap()) / 1_048_576.0;
    let grown = rss(&large) - rss(&small);
    assert!(grown < RSS_MORE_MIB + receipts_mib, "{grown} MiB");
    println!("{few} recipients: {}\n{many} recipients: {}", small.engine, large.engine);
}

/// Recipients of the long run, when there is one.
fn scale() -> Option<u64> {
    std::env::var("MC_SCALE").ok().map(|value| value.parse().unwrap())
}
