//! The product's program as its users meet it: what it prints, what it counts and with which code it ends.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tests::{Child, ChildError, SmallDisk, product, skip, temp_dir, tool};

/// Far above what any step takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// The keys of the JSON object, sorted.
const KEYS: [&str; 9] = [
    "accepted",
    "delivered",
    "elapsed_s",
    "failed",
    "responses_ok",
    "segments",
    "submit_per_s",
    "submitted",
    "unknown",
];

/// Metrics that a running engine always shows.
const METRICS: [&str; 10] = [
    "mc_channel_submitted_total",
    "mc_channel_responses_total",
    "mc_channel_receipts_total",
    "mc_channel_window_in_flight",
    "mc_channel_bind_up",
    "mc_channel_throttled_total",
    "mc_submit_latency_seconds",
    "mc_queue_depth",
    "mc_unknown_total",
    "mc_build_info",
];

/// The program with nothing of the surrounding environment that could configure it.
pub(super) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(product("message-center").expect("the product is built"));
    let settings = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MC_"));
    settings.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.env("MC_METRICS__LISTEN", "127.0.0.1:0").env("MC_ADMIN__LISTEN", "127.0.0.1:0").args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the program starts")
}

/// The one object that `--json` promises, with everything else on the other stream.
fn object(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let value: Value = serde_json::from_str(text.trim_end()).expect("standard output is one JSON object");
    let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
    assert_eq!(keys, KEYS);
    value
}

/// An end as promised for everything that can go wrong: that code, one sentence that says `word`, no panic.
fn assert_refused(output: &Output, code: i32, word: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let sentences: Vec<&str> = said.lines().filter(|line| line.starts_with("message-center: ")).collect();
    assert_eq!(sentences.len(), 1, "one sentence was expected: {said}");
    assert!(sentences[0].contains(word), "{word:?} is not in {said}");
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{said}");
}

/// One GET over a plain socket.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the listener answers");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

/// The address in a line such as `metrics: http://127.0.0.1:1/metrics`.
fn metrics_address(child: &mut Child) -> String {
    let line =
        child.wait_for_line(DEADLINE, |line| line.contains("metrics: http://")).expect("it says where");
    let (_, address) = line.split_once("metrics: http://").expect("an address");
    address.trim_end_matches("/metrics").to_owned()
}

#[test]
fn the_demo_accounts_for_every_recipient_in_one_json_object() {
    let value = object(&run(&["demo", "--recipients", "2000", "--exit", "--json"]));
    for key in ["accepted", "submitted", "responses_ok", "delivered", "segments"] {
        assert_eq!(value[key], 2000, "{key} in {value}");
    }
    assert_eq!((&value["failed"], &value["unknown"]), (&0.into(), &0.into()), "{value}");
    assert!(value["elapsed_s"].as_f64() > Some(0.0) && value["submit_per_s"].as_f64() > Some(0.0), "{value}");
}

#[test]
fn a_message_of_two_segments_counts_twice_in_segments_alone() {
    let text = "a".repeat(200);
    let value = object(&run(&["demo", "--recipients", "300", "--text", &text, "--exit", "--json"]));
    assert_eq!(
        (&value["accepted"], &value["delivered"], &value["segments"]),
        (&300.into(), &300.into(), &600.into())
    );
}

#[test]
fn without_receipts_nothing_is_delivered_and_everything_answered() {
    let value = object(&run(&["demo", "--recipients", "500", "--no-receipts", "--exit", "--json"]));
    assert_eq!((&value["responses_ok"], &value["delivered"]), (&500.into(), &0.into()));
}

#[test]
fn a_file_is_sent_without_its_duplicates_and_invalid_lines_which_are_told() {
    let folder = temp_dir().expect("a temporary folder");
    let file = folder.path().join("numbers.csv");
    std::fs::write(&file, "number\n+491701234567\n00491701234567\nabc\n+4917012345678\n").expect("written");
    let output = run(&["demo", "--file", file.to_str().expect("readable"), "--exit", "--json"]);
    let value = object(&output);
    assert_eq!((&value["accepted"], &value["delivered"]), (&2.into(), &2.into()), "{value}");
    let said = String::from_utf8_lossy(&output.stderr);
    for words in ["2 accepted, 1 duplicate, 1 invalid", "not_a_number", "line 3: ********4567 (duplicate)"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(!said.contains("1701234567"), "a number is shown: {said}");
}

#[test]
fn two_demos_at_the_same_time_and_two_in_the_same_directory_work() {
    let folder = temp_dir().expect("a temporary folder");
    let kept = folder.path().join("data");
    let kept = kept.to_str().expect("readable");
    let arguments = ["demo", "--recipients", "5000", "--exit", "--json"];
    let mut beside = Child::start(&mut program(&arguments)).expect("it starts");
    for _ in 0..2 {
        let value = object(&run(&[&arguments[..], &["--directory", kept]].concat()));
        assert_eq!(value["delivered"], 5000, "{value}");
    }
    assert!(beside.wait_for_end(DEADLINE).expect("it ends").success());
    assert!(Path::new(kept).join("control.db").is_file());
}

#[test]
fn what_the_demo_cannot_use_is_told_in_one_sentence() {
    let folder = temp_dir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("readable").to_owned();
    assert_refused(&run(&["demo", "--exit", "--file", &path("nothing")]), 66, "does not exist");
    assert_refused(&run(&["demo", "--exit", "--file", &path("")]), 66, "is a directory");
    std::fs::write(path("words"), "one\ntwo\n").expect("written");
    assert_refused(&run(&["demo", "--exit", "--file", &path("words")]), 66, "no line holds a valid number");
    assert_refused(&run(&["demo", "--exit", "--directory", &path("a/b")]), 74, "does not exist");
    assert_refused(&run(&["demo", "--exit", "--text", ""]), 2, "empty");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    assert_refused(&run(&["demo", "--exit", "--metrics-listen", &address]), 69, "in use");
}

#[test]
fn a_full_disk_is_told_in_one_sentence() {
    let (Some(at_once), Some(later)) = (SmallDisk::mount("64k"), SmallDisk::mount("1m")) else {
        skip!("a full disk needs the right to mount one");
    };
    let path = |disk: &SmallDisk| disk.path().to_str().expect("readable").to_owned();
    let (at_once_path, later_path) = (path(&at_once), path(&later));
    assert_refused(&run(&["demo", "--exit", "--directory", &at_once_path]), 74, "no space");
    let many = ["demo", "--exit", "--recipients", "300000", "--directory", &later_path];
    assert_refused(&run(&many), 74, "no space");
}

#[test]
fn a_demo_that_is_asked_to_end_in_mid_campaign_drains_and_the_next_one_goes_on() {
    let folder = temp_dir().expect("a temporary folder");
    let kept = folder.path().join("data");
    let kept = kept.to_str().expect("readable");
    let slow = ["demo", "--recipients", "5000", "--rate", "500", "--directory", kept];
    let mut demo = Child::start(&mut program(&slow)).expect("it starts");
    demo.wait_for_line(DEADLINE, |line| line.contains(" sent, ")).expect("it sends");
    demo.ask_to_end().expect("asked");
    let agreed = demo.wait_for_line(DEADLINE, |line| line.starts_with("engine and simulator agree"));
    agreed.expect("the account so far agrees");
    assert_eq!(demo.wait_for_end(DEADLINE).expect("it ends").code(), Some(143));

    let refused = run(&["demo", "--recipients", "10", "--exit", "--directory", kept]);
    assert_refused(&refused, 2, "interrupted");
    let value = object(&run(&["demo", "--exit", "--json", "--directory", kept]));
    assert_eq!((&value["accepted"], &value["responses_ok"]), (&5000.into(), &5000.into()), "{value}");
    assert!(value["segments"].as_u64() < Some(5000), "a part was sent before: {value}");
}

#[test]
fn a_demo_that_stays_up_serves_metrics_and_health_until_it_is_asked_to_end() {
    let mut demo = Child::start(&mut program(&["demo", "--recipients", "1000"])).expect("it starts");
    let address = metrics_address(&mut demo);
    demo.wait_for_line(DEADLINE, |line| line.starts_with("staying up")).expect("the campaign ends");
    let health = get(&address, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200 ") && health.ends_with("ok\n"), "{health}");
    let metrics = get(&address, "/metrics");
    for name in METRICS {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name} is not in {metrics}");
    }
    for line in [
        "mc_channel_submitted_total{channel=\"demo\"} 1000",
        "mc_channel_receipts_total{channel=\"demo\",state=\"delivered\"} 1000",
        "mc_channel_bind_up{channel=\"demo\",bind=\"4\"} 1",
        "mc_submit_latency_seconds_count{channel=\"demo\"} 1000",
        "mc_queue_depth{channel=\"\",lane=\"normal\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
    demo.ask_to_end().expect("asked");
    assert!(demo.wait_for_end(DEADLINE).expect("it ends").success());
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let Some(promtool) = tool("promtool") else { skip!("promtool is not installed") };
    let mut demo = Child::start(&mut program(&["demo", "--recipients", "100"])).expect("it starts");
    let answer = get(&metrics_address(&mut demo), "/metrics");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut check = check.spawn().expect("promtool starts");
    check.stdin.take().expect("piped").write_all(body.as_bytes()).expect("it listens");
    let done = check.wait_with_output().expect("it ends");
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}

/// Writes the printed default configuration into `folder`, with free ports, and starts `serve` there.
pub(super) fn served(folder: &Path) -> (Child, Command) {
    let printed = run(&["serve", "--print-config"]);
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8_lossy(&printed.stdout).replace("127.0.0.1:8080", "127.0.0.1:0");
    std::fs::write(folder.join("message-center.toml"), text).expect("written");
    let again = || {
        let mut serve = program(&["serve", "--config", "message-center.toml"]);
        serve.current_dir(folder);
        serve
    };
    (Child::start(&mut again()).expect("it starts"), again())
}

#[test]
fn the_printed_configuration_is_one_that_serve_runs_with_until_it_is_asked_to_end() {
    let folder = temp_dir().expect("a temporary folder");
    let (mut serve, mut second) = served(folder.path());
    let address = metrics_address(&mut serve);
    assert!(get(&address, "/metrics").contains("mc_channel_bind_up{channel=\"main\",bind=\"1\"} 0"));
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200 "));
    assert_refused(&second.output().expect("the program starts"), 74, "in use by another engine");
    serve.ask_to_end().expect("asked");
    let drained = serve.wait_for_line(DEADLINE, |line| line.contains("drained"));
    assert!(!matches!(drained, Err(ChildError::Deadline(_))), "{drained:?}");
    assert_eq!(serve.wait_for_end(DEADLINE).expect("it ends").code(), Some(0));
}

#[test]
fn what_serve_cannot_use_is_told_in_one_sentence() {
    let folder = temp_dir().expect("a temporary folder");
    let file = folder.path().join("mc.toml");
    let serve = |text: &str, variables: &[(&str, &str)]| {
        std::fs::write(&file, text).expect("written");
        let mut command = program(&["serve", "--config", "mc.toml"]);
        command.current_dir(folder.path()).envs(variables.iter().copied()).output().expect("it starts")
    };
    let printed = String::from_utf8(run(&["serve", "--print-config"]).stdout).expect("text");
    assert_refused(&serve("[store\n", &[]), 78, "mc.toml, line 1, column 7");
    assert_refused(&serve(&format!("{printed}[grafana]\n"), &[]), 78, "grafana is not supported yet");
    assert_refused(
        &serve(&format!("{printed}[mail]\n"), &[]),
        78,
        "admin.public_url is missing: with [mail]",
    );
    assert_refused(&serve(&printed, &[("MC_STORE__URL", "mongodb://h/d")]), 78, "not supported yet");
    assert_refused(&serve(&printed, &[("MC_STORE__COLOUR", "x")]), 78, "MC_STORE__COLOUR");
    assert_refused(&serve(&printed, &[("MC_STORE__URL", "sqlite:no/such/place")]), 74, "does not exist");
    let nobody = [("MC_CHANNELS__0__WORKSPACES", "nobody"), ("MC_METRICS__LISTEN", "127.0.0.1:0")];
    assert_refused(&serve(&printed, &nobody), 78, "there is no workspace \"nobody\"");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    assert_refused(&serve(&printed, &[("MC_METRICS__LISTEN", &address)]), 69, "in use");
    assert_refused(&run(&["serve", "--config", "/no/such/file.toml"]), 66, "cannot be read");
    if let Some(full) = SmallDisk::mount("64k") {
        let url = format!("sqlite:{}", full.path().display());
        assert_refused(&serve(&printed, &[("MC_STORE__URL", &url)]), 74, "no space");
    }
}
