//! The guard of child processes judged: what other tests rely on when they start the product.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::{Child, ChildError};

/// Far above what any step takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

fn shell(script: &str) -> Child {
    Child::start(Command::new("sh").args(["-c", script])).expect("a shell starts")
}

fn is_running(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

#[test]
fn a_child_ends_with_its_guard() {
    let mut child = shell("echo ready; exec tail -f /dev/null");
    child.wait_for_line(DEADLINE, |line| line == "ready").expect("it says so");
    let id = child.id();
    assert!(is_running(id));
    drop(child);
    assert!(!is_running(id));
}

#[test]
fn a_line_of_either_stream_is_waited_for_and_an_early_end_is_an_error_with_the_last_words() {
    let mut child = shell("echo one; echo two >&2; exit 3");
    child.wait_for_line(DEADLINE, |line| line == "two").expect("the line of the error stream");
    let error = child.wait_for_line(DEADLINE, |line| line == "three").expect_err("no such line comes");
    assert!(matches!(&error, ChildError::Ended(heard) if heard.contains("two")), "{error}");
    assert_eq!(child.wait_for_end(DEADLINE).expect("it ends").code(), Some(3));
}

#[test]
fn a_child_that_says_nothing_is_given_up_at_the_deadline() {
    let mut child = shell("exec tail -f /dev/null");
    let error = child.wait_for_line(Duration::from_millis(1), |_| true).expect_err("nothing is said");
    assert!(matches!(error, ChildError::Deadline(_)), "{error}");
}

#[test]
fn a_child_that_is_asked_to_end_can_still_say_something() {
    let mut child =
        shell("tail --pid=$$ -f /dev/null & trap \"echo bye; kill $!; exit 0\" TERM; echo ready; wait");
    child.wait_for_line(DEADLINE, |line| line == "ready").expect("it says so");
    child.ask_to_end().expect("the request is made");
    child.wait_for_line(DEADLINE, |line| line == "bye").expect("it says so");
}
