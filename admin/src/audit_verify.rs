//! `message-center audit-verify`: checks the hash chain of every audit log of a store that nobody is using.
//!
//! One line for each log and a verdict; nothing is changed. The heads that it prints, noted down elsewhere, prove
//! later that nobody wrote a whole new log.

use crate::config::Config;
use crate::exit::{self, Failure};
use crate::lines::{Lines, thousands};
use engine::store::{AuditReport, Catalog, Entity, Kind, Scope, SqliteStore, StoreError};
use std::path::Path;

/// The file that every store has.
const CONTROL_FILE: &str = "control.db";

/// Checks all logs; the exit code says whether all of them are what was written.
pub(crate) fn run(config: &Path) -> Result<u8, Failure> {
    let config = Config::load(config, std::env::vars_os())?;
    let store = open(&config.directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Failure::new(exit::ENGINE, format!("the runtime did not start: {error}")))?;
    runtime.block_on(verify(&store))
}

/// Opens the store, and never makes one.
fn open(directory: &Path) -> Result<SqliteStore, Failure> {
    if !directory.join(CONTROL_FILE).is_file() {
        let sentence = format!("there is no store in {}", directory.display());
        return Err(Failure::new(exit::STORE, sentence));
    }
    SqliteStore::open(directory).map_err(|error| {
        let hint = match error {
            StoreError::Unavailable(_) => "; while serve runs the store belongs to it, so end it first",
            _ => "",
        };
        Failure::new(exit::STORE, format!("{error}{hint}"))
    })
}

async fn verify(catalog: &dyn Catalog) -> Result<u8, Failure> {
    let (mut logs, mut events, mut broken) = (0_u64, 0, 0_u64);
    let mut last = None;
    loop {
        let page = catalog.audit_logs(last).await?;
        for scope in &page {
            let report = catalog.audit_verify(*scope).await?;
            logs += 1;
            events += report.events;
            broken += u64::from(report.broken.is_some());
            Lines::Out.say(&line(&name(catalog, *scope).await, &report));
        }
        match page.last() {
            Some(newest) => last = Some(*newest),
            None => break,
        }
    }
    let (logs, events) = (thousands(logs), thousands(events));
    if broken == 0 {
        Lines::Out.say(&format!("sound: {events} events in {logs} logs are what was written"));
        return Ok(exit::DONE);
    }
    Lines::Out.say(&format!("BROKEN: {} of {logs} logs are not what was written", thousands(broken)));
    Ok(exit::DISAGREEMENT)
}

/// How people know the log.
async fn name(catalog: &dyn Catalog, scope: Scope) -> String {
    let Scope::Workspace(id) = scope else { return "platform".to_owned() };
    match catalog.get(Scope::Platform, Kind::Workspace, id.into()).await {
        Ok(Entity::Workspace(workspace)) => format!("workspace {}", workspace.slug),
        _ => format!("workspace {id}"),
    }
}

fn line(name: &str, report: &AuditReport) -> String {
    let AuditReport { events, first_seq, last_seq, head, expired, broken, .. } = report;
    let state = match broken {
        None => format!("sound, head {head}"),
        Some(found) => format!("BROKEN at event {}: {}", found.seq, found.why),
    };
    let gone = if *expired > 0 { format!(", {} expired before", thousands(*expired)) } else { String::new() };
    format!("{name}: {} events ({first_seq} to {last_seq}{gone}): {state}", thousands(*events))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::store::AuditBreak;

    #[test]
    fn a_line_tells_the_log_what_is_in_it_and_where_it_breaks() {
        let report = AuditReport {
            workspace_id: None,
            events: 1_500,
            first_seq: 1_025,
            last_seq: 2_524,
            head: "ab".to_owned(),
            anchors: 1,
            expired: 1_024,
            broken: None,
        };
        assert_eq!(
            line("platform", &report),
            "platform: 1,500 events (1025 to 2524, 1,024 expired before): sound, head ab"
        );
        let broken = Some(AuditBreak { seq: 7, why: "it is missing".to_owned() });
        let report = AuditReport { events: 6, first_seq: 1, last_seq: 6, expired: 0, broken, ..report };
        assert_eq!(line("w", &report), "w: 6 events (1 to 6): BROKEN at event 7: it is missing");
    }

    #[test]
    fn a_directory_without_a_store_stays_as_it_is() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let failure = open(directory.path()).expect_err("there is none");
        assert_eq!(failure.code, exit::STORE);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    #[test]
    fn a_store_in_use_is_told_from_a_missing_one() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let store = SqliteStore::open(directory.path()).expect("the store opens");
        let failure = open(directory.path()).expect_err("it is in use");
        assert!(failure.to_string().contains("while serve runs"), "{failure}");
        drop(store);
        open(directory.path()).expect("nobody uses it");
    }
}
