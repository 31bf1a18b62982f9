//! The two programs as a person at a terminal meets them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::net::TcpStream;

use crate::esme::{StreamClient, submit};

fn smsc(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smsc"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A child that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn first_line(child: &mut Running) -> (String, BufReader<std::process::ChildStdout>) {
    let mut output = BufReader::new(child.0.stdout.take().expect("piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("readable");
    (line.trim().to_owned(), output)
}

#[tokio::test]
async fn the_simulator_names_its_address_and_ends_with_its_counts() {
    for arguments in [&["--until-stdin-closes"][..], &[]] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--listen", "127.0.0.1:0", "--json-stats-on-exit"]);
        let mut child = Running(smsc(&arguments).spawn().expect("built"));
        let (line, mut output) = first_line(&mut child);
        let addr = line.strip_prefix("listening on ").expect("the promised first line");
        let mut client = StreamClient::bound(TcpStream::connect(addr).await.expect("open")).await;
        client.send(&submit(1, 1)).await;
        client.next().await.expect("answered");
        if arguments.contains(&"--until-stdin-closes") {
            drop(child.0.stdin.take());
        } else {
            let id = child.0.id().to_string();
            Command::new("kill").args(["-TERM", &id]).status().expect("kill exists");
        }
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("text");
        assert!(child.0.wait().expect("ended").success());
        let stats: Value = serde_json::from_str(rest.trim()).expect("JSON");
        assert_eq!((&stats["accepted"], &stats["binds"]), (&Value::from(1), &Value::from(1)));
    }
}

#[test]
fn what_cannot_be_is_said_in_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound").to_string();
    for (arguments, code, sentence) in [
        (&["--listen", &taken][..], 1, "is in use by another program"),
        (&["--listen", "0.0.0.0:0"], 1, "add --allow-remote"),
        (&["--fault", "receipt_duplicate"], 1, "the fault `receipt_duplicate` needs receipts"),
        (&["--fault", "drop:0.7", "--fault", "reset:0.7"], 1, "add up to 1.400, more than 1"),
        (&["--fault", "drip"], 2, "unknown fault `drip`"),
    ] {
        let output = smsc(arguments).output().expect("built");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(sentence), "{text}");
        assert!(!text.contains("backtrace"), "{text}");
    }
}

#[test]
fn dispatch_compares_the_rigs_message_by_message() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["dispatch", "--messages", "2000", "--binds", "2", "--window", "10", "--receipts", "--json"])
        .output()
        .expect("built");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_str(&text).expect("JSON");
    for rig in ["floor", "peer"] {
        assert_eq!(
            (&json[rig]["rounds"], &json[rig]["incomplete_rounds"]),
            (&Value::from(3), &Value::from(0))
        );
        for field in ["per_s", "cpu_us_per_msg", "p50_ms", "p99_ms", "rss_mib"] {
            assert!(json[rig][field].as_f64().is_some_and(|value| value > 0.0), "{rig} {field}: {text}");
        }
    }
    assert!(json["peer"]["name"].as_str().is_some_and(|name| name.starts_with("rusmppc ")));
    assert!(json["ratio"].is_object());
}
