//! Whose files they are, what version they have, and what a crash may leave among them.

use super::super::SqliteStore;
use super::directory;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, Principal, Workspace, WorkspaceId};
use crate::store::{
    Catalog, Change, Commit, Entity, Expect, Journal, RecipientWriter, Recipients, Scope, StateSave,
    StoreError,
};
use rusqlite::Connection;
use std::path::Path;
use tempfile::TempDir;
use uuid::Uuid;

const LARGE: u64 = 2 * CHUNK_RECIPIENTS as u64;

fn open(directory: &TempDir) -> SqliteStore {
    SqliteStore::open(directory.path()).expect("the store opens")
}

/// A campaign in a file of its own.
fn upload(store: &SqliteStore, no: CampaignNo) {
    let mut writer = store.write_recipients(no, LARGE).expect("begins");
    for first in [0, LARGE / 2] {
        let numbers: Vec<u64> = (first..first + LARGE / 2).collect();
        writer.chunk(&numbers, &[]).expect("taken");
    }
    writer.finish().expect("finished");
}

fn raw(directory: &TempDir, file: &str) -> Connection {
    Connection::open(directory.path().join(file)).expect("an SQLite file")
}

fn installation(directory: &TempDir) -> String {
    super::super::connection::installation(&raw(directory, "control.db")).expect("an id")
}

/// The sentence of a refusal that only a person can resolve.
fn unusable<T>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Unusable(sentence)) => sentence,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

fn names(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("our own names"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_second_engine_on_the_directory_is_refused_until_the_first_is_gone() {
    let directory = directory();
    let first = open(&directory);
    for _ in 0..2 {
        match SqliteStore::open(directory.path()) {
            Err(StoreError::Unavailable(sentence)) => {
                let holder = format!("in use by another engine (process {})", std::process::id());
                assert!(sentence.contains(&holder), "{sentence}");
            }
            other => panic!("{other:?}"),
        }
    }
    drop(first);
    open(&directory);
}

#[test]
fn a_missing_directory_is_created() {
    let directory = directory();
    let path = directory.path().join("a/b");
    SqliteStore::open(&path).expect("created and opened");
    assert!(path.join("control.db").exists());
}

#[tokio::test]
async fn a_file_of_another_installation_is_refused_with_both_ids() {
    let (ours, theirs) = (directory(), directory());
    let (no, our_store, their_store) = (CampaignNo(1), open(&ours), open(&theirs));
    upload(&our_store, no);
    upload(&their_store, no);
    drop((our_store, their_store));
    let ids = [installation(&ours), installation(&theirs)];
    assert_ne!(ids[0], ids[1]);
    let take = |file: &str| std::fs::copy(theirs.path().join(file), ours.path().join(file)).expect("copied");

    take("campaign-1.db");
    let sentence = unusable(open(&ours).recipients(no, 0).await);
    assert!(ids.iter().all(|id| sentence.contains(id)), "{sentence}");
    let save = StateSave { watermark: 1, ..StateSave::default() };
    unusable(open(&ours).save_state(no, save).await);
    for file in ["small.db", "journal.db"] {
        take(file);
        let sentence = unusable(SqliteStore::open(ours.path()));
        assert!(ids.iter().all(|id| sentence.contains(id)) && sentence.contains(file), "{sentence}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_in_every_file() {
    let directory = directory();
    let store = open(&directory);
    upload(&store, CampaignNo(1));
    drop(store);
    for file in ["campaign-1.db", "small.db", "journal.db", "control.db"] {
        raw(&directory, file).execute("UPDATE meta SET value = 99 WHERE key = 'schema'", []).expect("set");
        let sentence = match SqliteStore::open(directory.path()) {
            Ok(store) => unusable(store.recipients(CampaignNo(1), 0).await),
            refused => unusable(refused),
        };
        assert!(sentence.contains("schema version 99") && sentence.contains(file), "{sentence}");
    }
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_refused_with_its_name() {
    for file in ["control.db", "journal.db", "small.db"] {
        let directory = directory();
        drop(open(&directory));
        std::fs::write(directory.path().join(file), b"not a database, but long enough to be read")
            .expect("ok");
        let sentence = unusable(SqliteStore::open(directory.path()));
        assert!(sentence.contains(file), "{sentence}");
        std::fs::remove_file(directory.path().join(file)).expect("removed");
        raw(&directory, file).execute_batch("CREATE TABLE other(x)").expect("somebody else's");
        let sentence = unusable(SqliteStore::open(directory.path()));
        assert!(sentence.contains("not a file of this program"), "{sentence}");
    }
}

#[tokio::test]
async fn a_missing_journal_row_is_noticed() {
    for missing in [1, 3] {
        let directory = directory();
        let store = open(&directory);
        for seq in 1..=5 {
            assert_eq!(store.commit(seq, vec![1].into()).await, Commit::Durable);
        }
        raw(&directory, "journal.db").execute("DELETE FROM journal WHERE seq = ?1", [missing]).expect("gone");
        let sentence = unusable(store.replay(0, &mut |_, _| {}).await);
        assert!(sentence.contains(&format!("row {missing} is missing")), "{sentence}");
    }
}

#[tokio::test]
async fn what_a_crash_left_of_uploads_and_removals_is_removed_at_the_next_start() {
    let directory = directory();
    let store = open(&directory);
    upload(&store, CampaignNo(1));
    drop(store);
    let clean = names(&directory);
    for file in ["upload-7-1.db", "upload-8-2.db-journal", "campaign-9.db-wal", "campaign-9.db-shm"] {
        std::fs::write(directory.path().join(file), b"half").expect("left");
    }
    let store = open(&directory);
    assert_eq!(store.recipients(CampaignNo(1), 1).await.expect("kept").numbers.len(), CHUNK_RECIPIENTS);
    assert!(matches!(store.recipients(CampaignNo(9), 0).await, Err(StoreError::NotFound)));
    drop(store);
    assert_eq!(names(&directory), clean);
}

#[tokio::test]
async fn an_upload_or_a_removed_campaign_leaves_no_file() {
    let directory = directory();
    let store = open(&directory);
    let mut writer = store.write_recipients(CampaignNo(1), LARGE).expect("begins");
    writer.chunk(&[1], &[]).expect("taken");
    drop(writer);
    upload(&store, CampaignNo(2));
    store.remove(CampaignNo(2)).await.expect("removed");
    drop(store);
    let expected = ["control.db", "engine.lock", "journal.db", "small.db"];
    assert_eq!(names(&directory), expected);
}

#[tokio::test]
async fn a_list_that_grows_stays_in_the_file_where_it_began() {
    let directory = directory();
    let store = open(&directory);
    for (no, announced) in [(CampaignNo(1), 0), (CampaignNo(2), LARGE)] {
        store.write_recipients(no, announced).and_then(RecipientWriter::finish).expect("an empty list");
        let chunks =
            (0..2).map(|chunk| (chunk, Recipients { numbers: vec![7; CHUNK_RECIPIENTS], ..<_>::default() }));
        let save = StateSave { watermark: 1, recipients: chunks.collect(), ..StateSave::default() };
        store.save_state(no, save).await.expect("saved");
        assert_eq!(store.header(no).await.expect("known").recipients, LARGE);
    }
    assert!(!names(&directory).contains(&"campaign-1.db".to_owned()));
    assert!(names(&directory).contains(&"campaign-2.db".to_owned()));
}

#[tokio::test]
async fn charges_that_were_written_by_somebody_else_are_refused() {
    let directory = directory();
    let store = open(&directory);
    store.write_recipients(CampaignNo(1), 0).and_then(RecipientWriter::finish).expect("an empty list");
    raw(&directory, "small.db").execute("UPDATE campaign SET charges = '[1]'", []).expect("damaged");
    assert!(unusable(store.header(CampaignNo(1)).await).contains("charges of campaign 1"));
}

#[test]
fn too_many_large_uploads_at_once_are_refused_and_small_ones_are_not() {
    let directory = directory();
    let store = open(&directory);
    let begin = |no| store.write_recipients(CampaignNo(no), LARGE);
    let mut writers: Vec<_> = (1..=4).map(|no| begin(no).expect("room for four")).collect();
    assert!(matches!(begin(5).err(), Some(StoreError::Unavailable(_))));
    store.write_recipients(CampaignNo(6), 10).expect("a small one");
    writers.pop();
    writers.push(begin(5).expect("room again"));
}

#[tokio::test]
async fn more_campaigns_than_open_files_are_served() {
    let directory = directory();
    let store = open(&directory);
    for no in 1..=20 {
        upload(&store, CampaignNo(no));
    }
    for watermark in 1..=2 {
        for no in 1..=20 {
            let save = StateSave { watermark, ..StateSave::default() };
            store.save_state(CampaignNo(no), save).await.expect("saved");
            assert_eq!(store.header(CampaignNo(no)).await.expect("known").watermark, watermark);
            assert_eq!(store.recipients(CampaignNo(no), 1).await.expect("there").numbers[0], LARGE / 2);
        }
    }
    let open_files = std::fs::read_dir("/proc/self/fd").map_or(0, |files| {
        files
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .filter(|path| path.starts_with(directory.path()) && path.extension().is_some_and(|e| e == "db"))
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("campaign"))
            })
            .count()
    });
    assert!(open_files <= 16, "{open_files} campaign files are open");
}

#[tokio::test]
async fn nothing_can_change_or_remove_an_audit_event() {
    let directory = directory();
    let store = open(&directory);
    let workspace = Workspace {
        id: WorkspaceId(Uuid::from_u128(1)),
        slug: "north".to_owned(),
        name: "North".to_owned(),
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
    let create = Change {
        scope: Scope::Platform,
        expect: Expect::Absent,
        entity: Entity::Workspace(workspace),
        action: "workspace.create",
    };
    store.apply(vec![create], &Principal::engine(), jiff::Timestamp::UNIX_EPOCH).await.expect("new");
    let connection = raw(&directory, "control.db");
    let columns = "log, seq, at_ms, by, action, entity_kind, entity_id, before, after, hash";
    for statement in [
        "UPDATE audit SET action = 'nothing'".to_owned(),
        "DELETE FROM audit".to_owned(),
        format!("INSERT OR REPLACE INTO audit({columns}) SELECT {columns} FROM audit"),
        format!("INSERT INTO audit({columns}) SELECT log, 3, 0, '{{}}', '', '', x'', '', '', x'' FROM audit"),
        "UPDATE audit_head SET seq = 0".to_owned(),
        "DELETE FROM audit_head".to_owned(),
    ] {
        let refused = connection.execute(&statement, []).expect_err("the log is append only");
        assert!(refused.to_string().contains("audit log"), "{refused}");
    }
    let events = store.audit(Scope::Platform, 0).await.expect("readable");
    assert_eq!((events.len(), events[0].action.as_str()), (1, "workspace.create"));
}

#[tokio::test]
async fn the_journals_log_starts_again_when_it_has_grown_large() {
    let directory = directory();
    let store = open(&directory);
    let log = |path: &Path| std::fs::metadata(path.join("journal.db-wal")).expect("a log").len();
    let row = vec![7; 1 << 20];
    let (mut seq, mut largest) = (0, 0);
    let reader = raw(&directory, "journal.db");
    for _round in 0..3 {
        for _ in 0..70 {
            seq += 1;
            assert_eq!(store.commit(seq, row.clone().into()).await, Commit::Durable);
        }
        store.trim(seq).await.expect("trimmed");
        // A snapshot stands for a writer that never pauses: the passive checkpoint cannot fold the last rows.
        reader.execute_batch("BEGIN; SELECT count(*) FROM journal;").expect("a snapshot");
        seq += 1;
        assert_eq!(store.commit(seq, row.clone().into()).await, Commit::Durable);
        store.maintain().await.expect("folded");
        reader.execute_batch("COMMIT").expect("the snapshot ends");
        largest = largest.max(log(directory.path()));
    }
    assert!(largest < 80 << 20, "210 MiB of rows made a log of {} MiB", largest >> 20);
    drop(store);
    assert_eq!(open(&directory).newest().await.expect("readable"), seq);
}
