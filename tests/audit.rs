//! The audit log as an operator meets it: what a server leaves in it, and the program that checks it.

use super::demo::{program, served};
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tests::temp_dir;

/// Far above what any step takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

fn verify(folder: &Path) -> Output {
    let mut command = program(&["audit-verify", "--config", "message-center.toml"]);
    command.current_dir(folder).output().expect("the program starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Writes other octets of the same length into the store's file, as somebody with the disk in hand would.
fn forge(folder: &Path, old: &str, new: &str) {
    assert_eq!(old.len(), new.len());
    let path = folder.join("message-center-data/control.db");
    let mut octets = std::fs::read(&path).expect("the store's file");
    let mut found = 0;
    while let Some(at) = octets.windows(old.len()).position(|window| window == old.as_bytes()) {
        octets[at..at + old.len()].copy_from_slice(new.as_bytes());
        found += 1;
    }
    assert!(found > 0, "{old} is nowhere in {}", path.display());
    std::fs::write(&path, octets).expect("written");
}

#[test]
fn what_a_server_leaves_is_sound_until_somebody_changes_it() {
    let folder = temp_dir().expect("a temporary folder");
    let (mut serve, _) = served(folder.path());
    serve.wait_for_line(DEADLINE, |line| line.contains("metrics: http://")).expect("it serves");
    let busy = verify(folder.path());
    assert_eq!(busy.status.code(), Some(74), "{busy:?}");
    assert!(said(&busy).contains("while serve runs the store belongs to it"), "{busy:?}");
    serve.ask_to_end().expect("asked");
    assert_eq!(serve.wait_for_end(DEADLINE).expect("it ends").code(), Some(0));

    let sound = verify(folder.path());
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert!(said(&sound).contains("platform: 3 events (1 to 3): sound, head "), "{sound:?}");
    assert!(said(&sound).contains("sound: 3 events in 1 logs are what was written"), "{sound:?}");
    assert!(folder.path().join("message-center-data.audit-fallback").exists());

    forge(folder.path(), "server.stop", "server.stap");
    let broken = verify(folder.path());
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(said(&broken).contains("platform: 2 events (1 to 2): BROKEN at event 3"), "{broken:?}");
    assert!(said(&broken).contains("BROKEN: 1 of 1 logs"), "{broken:?}");
}

#[test]
fn a_store_that_is_not_there_is_told_and_not_made() {
    let folder = temp_dir().expect("a temporary folder");
    let printed = program(&["serve", "--print-config"]).output().expect("the program starts");
    std::fs::write(folder.path().join("message-center.toml"), printed.stdout).expect("written");
    let missing = verify(folder.path());
    assert_eq!(missing.status.code(), Some(74), "{missing:?}");
    assert!(said(&missing).contains("there is no store in message-center-data"), "{missing:?}");
    assert!(!folder.path().join("message-center-data").exists());
}
