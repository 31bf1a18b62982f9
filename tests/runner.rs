//! The runner judged: a stand-in for cargo prints what cargo would, and the runner must count and fail rightly.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use tests::{repository, temp_dir, tool};

/// Runs `tests/run` with a `cargo` that answers with the given shell text; `$1` is cargo's first argument.
fn run(cargo: &str, arguments: &[&str]) -> Output {
    let folder = temp_dir().expect("a temporary folder");
    let stand_in = folder.path().join("cargo");
    std::fs::write(&stand_in, format!("#!/bin/sh\n{cargo}\n")).expect("the stand-in is written");
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
    let path = std::env::var("PATH").expect("a PATH");
    Command::new(tool("python3").expect("python3 runs the suite"))
        .arg(repository().join("tests/run"))
        .args(arguments)
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .output()
        .expect("the runner starts")
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn the_runner_adds_up_all_binaries_and_takes_skipped_tests_out_of_the_passed_ones() {
    let cargo = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured'; echo ..
        echo 'SKIPPED a::b: no tshark'; echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured'";
    let output = run(cargo, &["unit"]);
    assert_eq!(last_line(&output), "4 passed, 0 failed, 2 skipped");
    assert!(output.status.success());
}

#[test]
fn the_runner_fails_with_a_failed_test_and_shows_it() {
    let cargo =
        "echo 'thread panicked at x'; echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored'; exit 101";
    let output = run(cargo, &["suite"]);
    assert_eq!(last_line(&output), "1 passed, 2 failed, 0 skipped");
    assert!(String::from_utf8_lossy(&output.stdout).contains("thread panicked at x"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_runner_counts_a_group_that_fails_without_tests_as_one_failure_and_goes_on() {
    let cargo = "if [ $1 = clippy ]; then exit 1; fi; echo 'test result: ok. 1 passed; 0 failed; 0 ignored'";
    let output = run(cargo, &["clippy", "unit"]);
    assert_eq!(last_line(&output), "1 passed, 1 failed, 0 skipped");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_runner_fails_when_a_test_group_runs_no_test() {
    let output = run("echo 'test result: ok. 0 passed; 0 failed; 0 ignored'", &["unit"]);
    assert_eq!(last_line(&output), "0 passed, 1 failed, 0 skipped");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_runner_fails_when_a_group_of_a_cold_run_leaves_its_budget() {
    let folder = temp_dir().expect("a temporary folder");
    let budget = folder.path().join("budget.toml");
    let shares = "tools = 0.3\nformat = 0.1\nclippy = 0.1\nbuild = 0.2\nunit = 0.1\nsuite = 0.1\ndoc = 0.1";
    std::fs::write(&budget, format!("factor = 2.0\nleast_cpu_minutes = 0\n[share]\n{shares}\n"))
        .expect("written");
    // Only the suite's stand-in works: a loop of the shell costs far more than starting the others.
    let cargo = "echo 'test result: ok. 1 passed; 0 failed; 0 ignored'
        case \"$*\" in *system*) i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done;; esac";
    let output = run(cargo, &["--budget", budget.to_str().expect("a readable path")]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("over budget: suite"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}
