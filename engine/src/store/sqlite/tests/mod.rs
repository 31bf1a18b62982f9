//! The contract on SQLite, plain and behind faults, and what is this backend's own.

mod audit;
mod erase;
mod files;
mod trouble;

use super::SqliteStore;
use crate::store::contract::audit::failing_notes_are_stored_once_and_in_order;
use crate::store::contract::erasing::a_failing_erasure_goes_on_where_it_was;
use crate::store::contract::journal::a_careful_writer_gets_every_row_in;
use crate::store::contract::lists::a_failing_save_is_whole_or_not_at_all;
use crate::store::contract::suppressions::a_failing_call_about_suppressions_is_whole_or_not_at_all;
use crate::store::contract::{Fixture, catalog_contract, journal_contract};
use crate::store::fault::{FaultCatalog, FaultJournal, FaultPlan, Verdict};
use std::time::Duration;
use tempfile::TempDir;

const LATE: Duration = Duration::from_millis(50);

struct Sqlite(TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(directory())
    }
}

/// In memory where that is possible: what these tests are about does not depend on the disk.
fn directory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary directory")
}

impl Fixture for Sqlite {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path()).expect("the store opens")
    }
}

/// Fifty milliseconds late and otherwise well.
struct Late(Sqlite);

impl Fixture for Late {
    type Store = FaultJournal<SqliteStore>;

    async fn open(&self) -> Self::Store {
        FaultJournal::new(self.0.open().await, LATE, FaultPlan::default())
    }
}

/// The same for the catalog.
struct LateCatalog(Sqlite);

impl Fixture for LateCatalog {
    type Store = FaultCatalog<SqliteStore>;

    async fn open(&self) -> Self::Store {
        FaultCatalog::new(self.0.open().await, LATE, FaultPlan::default())
    }
}

mod plain {
    use super::*;
    catalog_contract!(Sqlite::new());
    journal_contract!(Sqlite::new());
}

mod late {
    use super::*;
    catalog_contract!(LateCatalog(Sqlite::new()));
    journal_contract!(Late(Sqlite::new()));
}

#[tokio::test(start_paused = true)]
async fn a_careful_writer_loses_and_doubles_nothing_under_faults() {
    assert!(!a_careful_writer_gets_every_row_in(&Sqlite::new().open().await, 20).await);
    for seed in 0..10 {
        let fixture = Sqlite::new();
        let journal = FaultJournal::new(fixture.open().await, LATE, FaultPlan::seeded(seed, 300));
        assert!(!a_careful_writer_gets_every_row_in(&journal, 60).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fenced_writer_writes_nothing_more() {
    use Verdict::{AmbiguousLost, AmbiguousStored, Durable, Fenced, NotApplied};
    let fixture = Sqlite::new();
    let script = [Durable, NotApplied, Durable, AmbiguousStored, Durable, AmbiguousLost, Durable, Fenced];
    let journal = FaultJournal::new(fixture.open().await, LATE, FaultPlan::script(script));
    assert!(a_careful_writer_gets_every_row_in(&journal, 60).await);
}

#[tokio::test(start_paused = true)]
async fn a_growing_list_is_saved_whole_or_not_at_all_under_faults() {
    let mut failures = 0;
    for seed in 0..5 {
        let fixture = Sqlite::new();
        let journal = FaultJournal::new(fixture.open().await, LATE, FaultPlan::default());
        journal.plan_saves(FaultPlan::seeded(seed, 400));
        failures += a_failing_save_is_whole_or_not_at_all(&journal, 15).await;
    }
    assert!(failures > 20, "{failures} failures prove little");
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_is_cut_short_goes_on_under_faults() {
    let mut failures = 0;
    for seed in 0..5 {
        let fixture = Sqlite::new();
        let journal = FaultJournal::new(fixture.open().await, LATE, FaultPlan::default());
        journal.plan_saves(FaultPlan::seeded(seed, 400));
        failures += a_failing_erasure_goes_on_where_it_was(&journal).await;
    }
    assert!(failures > 20, "{failures} failures prove little");
}

#[tokio::test(start_paused = true)]
async fn suppressions_are_added_whole_or_not_at_all_under_faults() {
    let mut failures = 0;
    for seed in 0..5 {
        let fixture = Sqlite::new();
        let catalog = FaultCatalog::new(fixture.open().await, LATE, FaultPlan::seeded(seed, 400));
        failures += a_failing_call_about_suppressions_is_whole_or_not_at_all(&catalog, 20).await;
    }
    assert!(failures > 20, "{failures} failures prove little");
}

#[tokio::test(start_paused = true)]
async fn notes_given_again_until_they_are_taken_are_stored_once_and_in_order() {
    let mut failures = 0;
    for seed in 0..5 {
        let fixture = Sqlite::new();
        let catalog = FaultCatalog::new(fixture.open().await, LATE, FaultPlan::seeded(seed, 400));
        failures += failing_notes_are_stored_once_and_in_order(&catalog, 20).await;
    }
    assert!(failures > 20, "{failures} failures prove little");
}
