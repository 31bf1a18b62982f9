//! The Python library `smpplib` as an ESME against our simulated SMSC, both as programs over loopback.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::Child;

/// Far above what any step takes on a busy machine; reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// `ESME_RINVPASWD`.
const WRONG_PASSWORD: u64 = 0x0E;
const MESSAGES: usize = 50;

/// A simulated SMSC and its port.
fn smsc() -> (Child, u16) {
    let mut command = Command::new(tests::product("smsc").expect("the build group built the simulator"));
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--password",
        "secret",
        "--receipts",
        "--receipt-disorder-ms",
        "20",
    ]);
    command.args(["--seed", "7", "--json-stats-on-exit"]);
    let mut smsc = Child::start(&mut command).expect("the simulator starts");
    let line = smsc.wait_for_line(DEADLINE, |line| line.starts_with("listening on ")).expect("it listens");
    let port =
        line.rsplit(':').next().and_then(|port| port.parse().ok()).expect("the line ends with the port");
    (smsc, port)
}

/// Runs the ESME to its end and returns what it heard.
fn esme(mut python: Command, port: u16, password: &str) -> Value {
    python.arg(tests::repository().join("tests/oracles/smpplib_esme.py"));
    python.args([&port.to_string(), password, &MESSAGES.to_string()]);
    let mut esme = Child::start(&mut python).expect("python starts");
    let line = esme.wait_for_line(DEADLINE, |line| line.starts_with('{')).expect("the ESME ends its work");
    serde_json::from_str(&line).expect("the ESME prints JSON")
}

/// Ends the simulator and returns its counts.
fn counts(mut smsc: Child) -> Value {
    smsc.ask_to_end().expect("the simulator can be asked to end");
    let line = smsc.wait_for_line(DEADLINE, |line| line.starts_with('{')).expect("it prints its counts");
    assert!(smsc.wait_for_end(DEADLINE).expect("it ends").success());
    serde_json::from_str(&line).expect("the counts are JSON")
}

#[test]
fn a_third_party_esme_gets_an_answer_and_a_receipt_for_every_part() {
    let Some(python) = tests::python() else { tests::skip!("smpplib is not installed") };
    let (smsc, port) = smsc();
    let heard = esme(python, port, "secret");
    let accepted: Vec<&str> =
        heard["accepted"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    let ids: BTreeSet<&str> = accepted.iter().copied().collect();
    assert_eq!(ids.len(), accepted.len(), "a message id was given twice");
    assert!(accepted.len() > MESSAGES + 1, "the long text went out in several parts");
    let receipts = heard["receipts"].as_array().expect("receipts");
    let receipted: BTreeSet<&str> = receipts.iter().filter_map(|receipt| receipt[0].as_str()).collect();
    assert_eq!(receipts.len(), accepted.len(), "one receipt for each part");
    assert_eq!(receipted, ids);
    for receipt in receipts {
        let (id, text) = (receipt[0].as_str().unwrap_or_default(), receipt[1].as_str().unwrap_or_default());
        assert!(text.starts_with(&format!("id:{id} ")) && text.contains(" stat:DELIVRD "), "{text}");
        assert_eq!(receipt[2], 2);
    }
    let counts = counts(smsc);
    let parts = accepted.len();
    for name in ["submits", "accepted", "receipts_created", "receipts_sent", "receipts_acked"] {
        assert_eq!(counts[name], parts, "{name} in {counts}");
    }
    assert_eq!(
        (&counts["binds"], &counts["bound"], &counts["malformed"]),
        (&1.into(), &0.into(), &0.into()),
        "{counts}"
    );
}

#[test]
fn a_third_party_esme_with_a_wrong_password_is_told_so() {
    let Some(python) = tests::python() else { tests::skip!("smpplib is not installed") };
    let (smsc, port) = smsc();
    assert_eq!(esme(python, port, "guess"), serde_json::json!({"refused": WRONG_PASSWORD}));
    let counts = counts(smsc);
    assert_eq!((&counts["binds"], &counts["binds_refused"]), (&0.into(), &1.into()), "{counts}");
}
