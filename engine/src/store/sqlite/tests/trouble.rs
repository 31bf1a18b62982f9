//! Full and read-only disks, failing transactions, panics and many threads.

use super::super::{SqliteStore, connection, lock};
use super::directory;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, ChunkState, Principal, Workspace, WorkspaceId};
use crate::store::{
    Catalog, Change, Commit, Entity, Expect, Journal, Kind, RecipientWriter, Recipients, Scope, StateSave,
    StoreError,
};
use rusqlite::Connection;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use tempfile::TempDir;
use uuid::Uuid;

/// One test at a time may start processes and count octets: between fork and exec a child shares descriptors and
/// keeps the space of removed files in use.
static MOUNTS: Mutex<()> = Mutex::new(());

/// A small file system in memory; unmounted when dropped.
struct Disk(TempDir, #[expect(dead_code, reason = "held until the disk is gone")] MutexGuard<'static, ()>);

impl Disk {
    /// `None` when this user may not mount.
    fn mount(octets: u64) -> Option<Self> {
        let disk = Self(directory(), lock(&MOUNTS));
        let size = format!("size={octets}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(disk.0.path())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            skipped();
        }
        mounted.then_some(disk)
    }

    /// Leaves no octet free.
    fn fill(&self) {
        let ballast = std::fs::OpenOptions::new().create(true).append(true).open(self.ballast());
        let full = ballast.expect("a file").write_all(&vec![1; 32 << 20]).expect_err("the disk is full");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Gives the space back, also while a child process that is just being started shares the descriptor.
    fn empty(&self) {
        std::fs::File::create(self.ballast()).expect("it was filled");
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.path().join("ballast")
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "remount {option}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[expect(clippy::print_stdout, reason = "a test that did not run says so")]
fn skipped() {
    println!("SKIPPED: this user may not mount a file system");
}

fn create(n: u128) -> Change {
    let workspace = Workspace {
        id: WorkspaceId(Uuid::from_u128(n)),
        slug: format!("w{n}"),
        name: "x".repeat(10_000),
        time_zone: "UTC".to_owned(),
        weight: 1,
        rate_per_s: 0,
        daily_limit: None,
        quiet_hours: None,
        stop_keywords: Vec::new(),
        policies: crate::model::Policies::default(),
        terms: crate::model::Terms::default(),
        version: 0,
        created_at: jiff::Timestamp::UNIX_EPOCH,
    };
    Change {
        scope: Scope::Platform,
        expect: Expect::Absent,
        entity: Entity::Workspace(workspace),
        action: "workspace.create",
    }
}

async fn apply(store: &SqliteStore, n: u128) -> Result<(), StoreError> {
    store.apply(vec![create(n)], &Principal::engine(), jiff::Timestamp::UNIX_EPOCH).await
}

fn unavailable<T>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Unavailable(sentence)) => sentence,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

fn save(watermark: u64) -> StateSave {
    save_of(watermark, 100)
}

fn save_of(watermark: u64, chunks: u32) -> StateSave {
    let chunk = |chunk| ChunkState { chunk, status: vec![2; CHUNK_RECIPIENTS], ..ChunkState::default() };
    StateSave { watermark, chunks: (0..chunks).map(chunk).collect(), ..StateSave::default() }
}

/// Uploads `chunks` full chunks into a file of their own.
fn upload(store: &SqliteStore, no: u32, chunks: u64) -> Result<(), StoreError> {
    let mut writer = store.write_recipients(CampaignNo(no), chunks * CHUNK_RECIPIENTS as u64)?;
    let numbers: Vec<u64> = (0..CHUNK_RECIPIENTS as u64).collect();
    (0..chunks).try_for_each(|_| writer.chunk(&numbers, &[]))?;
    writer.finish()
}

#[tokio::test]
async fn a_full_disk_refuses_and_the_store_works_again_when_there_is_space() {
    let Some(disk) = Disk::mount(16 << 20) else { return };
    let store = SqliteStore::open(disk.0.path()).expect("the store opens");
    upload(&store, 1, 2).expect("there is space");
    store.save_state(CampaignNo(1), save(1)).await.expect("there is space");
    apply(&store, 1).await.expect("there is space");
    for round in 0..2_u32 {
        disk.fill();
        let newest = store.newest().await.expect("readable");
        let mut seq = newest;
        let ending = loop {
            seq += 1;
            match store.commit(seq, vec![1; 100_000].into()).await {
                Commit::Durable => assert!(seq < newest + 100, "the disk is never full"),
                ending => break ending,
            }
        };
        assert!(matches!(ending, Commit::NotApplied | Commit::Ambiguous), "{ending:?}");
        assert_eq!(store.newest().await.expect("readable"), seq - 1);
        disk.fill();
        let sentence = unavailable(store.save_state(CampaignNo(1), save_of(9, 2_000)).await);
        assert!(sentence.contains("no space is left for"), "{sentence}");
        disk.fill();
        unavailable(upload(&store, 2 + round, 2));
        assert!(matches!(store.recipients(CampaignNo(2 + round), 0).await, Err(StoreError::NotFound)));
        disk.fill();
        let refused = (100..200).find(|n| apply(&store, n + 100 * u128::from(round)).refused());
        let refused = refused.expect("the disk is full") + 100 * u128::from(round);
        let id = crate::model::EntityId(Uuid::from_u128(refused));
        let absent = store.get(Scope::Platform, Kind::Workspace, id).await;
        assert!(matches!(absent, Err(StoreError::NotFound)), "{absent:?}");
        assert_eq!(
            store.recipients(CampaignNo(1), 1).await.expect("reading goes on").numbers.len(),
            CHUNK_RECIPIENTS
        );
        assert_eq!(store.header(CampaignNo(1)).await.expect("reading goes on").watermark, 1);

        disk.empty();
        assert_eq!(store.commit(seq, vec![1; 100_000].into()).await, Commit::Durable);
        store.save_state(CampaignNo(1), save(1)).await.expect("there is space");
        apply(&store, refused).await.expect("there is space");
        upload(&store, 2 + round, 2).expect("there is space");
        store.trim(seq).await.expect("there is space");
        store.maintain().await.expect("there is space");
    }
    drop(store);
    SqliteStore::open(disk.0.path()).expect("the store opens again");
}

trait Refused {
    fn refused(self) -> bool;
}

impl<F: Future<Output = Result<(), StoreError>>> Refused for F {
    /// The embedded store is ready at once.
    fn refused(self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(self).poll(&mut context) {
            std::task::Poll::Ready(result) => {
                result.inspect_err(|e| assert!(matches!(e, StoreError::Unavailable(_)), "{e}")).is_err()
            }
            std::task::Poll::Pending => panic!("it is ready at once"),
        }
    }
}

#[tokio::test]
async fn a_read_only_directory_is_refused_in_a_sentence() {
    let Some(disk) = Disk::mount(16 << 20) else { return };
    disk.remount("ro");
    let sentence = unavailable(SqliteStore::open(disk.0.path()));
    assert!(sentence.contains("cannot be written") && sentence.contains("tmp"), "{sentence}");
    disk.remount("rw");
    drop(SqliteStore::open(disk.0.path()).expect("the store opens"));
    disk.remount("ro");
    let sentence = unavailable(SqliteStore::open(disk.0.path()));
    assert!(sentence.contains("cannot be written"), "{sentence}");
}

#[test]
fn a_path_that_is_no_directory_is_refused_in_a_sentence() {
    let directory = directory();
    let file = directory.path().join("file");
    std::fs::write(&file, b"x").expect("written");
    for path in [file.clone(), file.join("below")] {
        let sentence = unavailable(SqliteStore::open(&path));
        assert!(sentence.contains("cannot be created") && sentence.contains("file"), "{sentence}");
    }
}

fn raw(directory: &Path, file: &str) -> Connection {
    Connection::open(directory.join(file)).expect("an SQLite file")
}

/// Makes every COMMIT fail that has added a row to `table`: a deferred reference to nothing.
fn break_commits(connection: &Connection, table: &str) {
    connection
        .execute_batch(&format!(
            "CREATE TABLE parent(id INTEGER PRIMARY KEY);
             CREATE TABLE child(p REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER break_commits AFTER INSERT ON {table} BEGIN INSERT INTO child VALUES(1); END;"
        ))
        .expect("broken");
}

fn mend_commits(connection: &Connection) {
    connection
        .execute_batch("DROP TRIGGER break_commits; DROP TABLE child; DROP TABLE parent;")
        .expect("mended");
}

#[tokio::test]
async fn a_failure_in_commit_is_ambiguous_and_the_next_call_uses_a_new_connection() {
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    assert_eq!(store.commit(1, vec![1].into()).await, Commit::Durable);
    let connection = raw(directory.path(), "journal.db");
    break_commits(&connection, "journal");
    assert_eq!(store.commit(2, vec![2].into()).await, Commit::Ambiguous);
    assert_eq!(store.commit(3, vec![3].into()).await, Commit::NotApplied);
    assert_eq!(store.newest().await.expect("readable"), 1);
    mend_commits(&connection);
    assert_eq!(store.commit(2, vec![2].into()).await, Commit::Durable);
    assert_eq!(store.newest().await.expect("readable"), 2);
}

#[tokio::test]
async fn a_failure_before_commit_is_not_applied() {
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    assert_eq!(store.commit(1, vec![1].into()).await, Commit::Durable);
    let connection = raw(directory.path(), "journal.db");
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON journal BEGIN SELECT raise(ABORT, 'no'); END;";
    connection.execute_batch(refuse).expect("broken");
    assert_eq!(store.commit(2, vec![2].into()).await, Commit::NotApplied);
    connection.execute_batch("DROP TRIGGER refuse").expect("mended");
    assert_eq!(store.commit(2, vec![2].into()).await, Commit::Durable);
}

#[tokio::test]
async fn an_entity_whose_commit_failed_is_not_there() {
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    let connection = raw(directory.path(), "control.db");
    break_commits(&connection, "entity");
    unavailable(apply(&store, 1).await);
    assert!(store.audit(Scope::Platform, 0).await.expect("readable").is_empty());
    mend_commits(&connection);
    apply(&store, 1).await.expect("stored");
    assert_eq!(store.audit(Scope::Platform, 0).await.expect("readable").len(), 1);
}

#[tokio::test]
async fn a_state_whose_commit_failed_is_not_there() {
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    upload(&store, 1, 2).expect("uploaded");
    store.save_state(CampaignNo(1), save(3)).await.expect("saved");
    let connection = raw(directory.path(), "campaign-1.db");
    break_commits(&connection, "state");
    unavailable(store.save_state(CampaignNo(1), save(4)).await);
    assert_eq!(store.header(CampaignNo(1)).await.expect("readable").watermark, 3);
    mend_commits(&connection);
    store.save_state(CampaignNo(1), save(4)).await.expect("saved");
    assert_eq!(store.header(CampaignNo(1)).await.expect("readable").watermark, 4);
}

#[tokio::test]
async fn a_grown_list_whose_commit_failed_is_as_it_was() {
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    store.write_recipients(CampaignNo(1), 0).and_then(RecipientWriter::finish).expect("an empty list");
    let grown = |count: u64| {
        let numbers = (0..count).collect();
        let recipients = Recipients { numbers, values: vec![1; 9], ..Recipients::default() };
        StateSave {
            watermark: count,
            charges: vec![(jiff::civil::date(2024, 5, 1), count)],
            recipients: vec![(0, recipients)],
            ..save_of(count, 1)
        }
    };
    store.save_state(CampaignNo(1), grown(3)).await.expect("saved");
    let before = store.header(CampaignNo(1)).await.expect("readable");
    let connection = raw(directory.path(), "small.db");
    for table in ["chunk", "state"] {
        break_commits(&connection, table);
        unavailable(store.save_state(CampaignNo(1), grown(4)).await);
        mend_commits(&connection);
        assert_eq!(store.header(CampaignNo(1)).await.expect("readable"), before);
        assert_eq!(store.recipients(CampaignNo(1), 0).await.expect("readable").numbers.len(), 3);
    }
    store.save_state(CampaignNo(1), grown(4)).await.expect("saved");
    assert_eq!(store.header(CampaignNo(1)).await.expect("readable").recipients, 4);
}

#[tokio::test]
async fn a_panic_in_a_visitor_leaves_the_store_usable() {
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    assert_eq!(store.commit(1, vec![1].into()).await, Commit::Durable);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(store.replay(0, &mut |_, _| panic!("a visitor's own mistake")));
    }));
    assert!(panicked.is_err());
    let mut rows = 0;
    store.replay(0, &mut |_, _| rows += 1).await.expect("readable");
    assert_eq!((rows, store.commit(2, vec![2].into()).await), (1, Commit::Durable));
}

#[test]
fn a_role_gets_its_share_of_the_cache() {
    let cache = |role: &connection::Role| {
        let directory = directory();
        SqliteStore::open(directory.path()).expect("the store opens");
        let path = directory.path().join("small.db");
        let connection = connection::open(&path, None, role).expect("opens");
        connection.query_row("PRAGMA cache_size", [], |row| row.get::<_, i64>(0)).expect("set")
    };
    assert_eq!(cache(&connection::CAMPAIGN_READER), -1024);
    assert_eq!(cache(&connection::CAMPAIGN_WRITER), -2048);
}

#[test]
fn all_roles_work_beside_each_other() {
    const ROWS: u64 = 300;
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    upload(&store, 1, 2).expect("uploaded");
    let wait = |future: crate::store::StoreFuture<'_, ()>| assert!(!future.refused());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for seq in 1..=ROWS {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                let ending = store.commit(seq, vec![1; 5_000].into()).as_mut().poll(&mut context);
                assert_eq!(ending, std::task::Poll::Ready(Commit::Durable));
            }
        });
        scope.spawn(|| (1..=ROWS).for_each(|seq| wait(store.trim(seq))));
        scope.spawn(|| (0..50).for_each(|_| wait(store.maintain())));
        scope.spawn(|| (1..=20).for_each(|watermark| wait(store.save_state(CampaignNo(1), save(watermark)))));
        scope.spawn(|| (2..=20).for_each(|no| upload(&store, no, 2).expect("uploaded")));
        scope.spawn(|| (1..=20).for_each(|n| assert!(!apply(&store, n).refused())));
        scope.spawn(|| {
            (0..200)
                .for_each(|_| wait(Box::pin(async { store.recipients(CampaignNo(1), 1).await.map(drop) })))
        });
        scope.spawn(|| {
            (100..120).for_each(|no| {
                let mut writer = store.write_recipients(CampaignNo(no), 3).expect("begins");
                writer.chunk(&[1, 2, 3], &[]).expect("taken");
                writer.finish().expect("finished");
                wait(store.remove(CampaignNo(no)));
            })
        });
    });
}
