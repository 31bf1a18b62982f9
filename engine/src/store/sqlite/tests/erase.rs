//! What was erased is in none of the files any more: neither in them nor in their logs.

use super::*;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, NumberHash};
use crate::store::{Journal, Recipients, StateSave};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

const FIRST: u64 = 4_915_100_000_000;
const SECRET: &str = "a name that nobody is to read";

/// The files in which any of these octets stand.
fn holding(directory: &Path, octets: &[u8]) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let holds = |path: &Path| memchr::memmem::find(&std::fs::read(path).expect("a file"), octets).is_some();
    let found = entries.filter(|entry| entry.file_type().expect("known").is_file() && holds(&entry.path()));
    found.map(|entry| entry.file_name().into_string().expect("text")).collect()
}

fn values(count: usize) -> Vec<u8> {
    let length = u16::try_from(SECRET.len()).expect("short").to_le_bytes();
    std::iter::repeat_n([&length[..], SECRET.as_bytes()].concat(), count).flatten().collect()
}

async fn erase_all(store: &SqliteStore, no: CampaignNo) {
    for chunk in 0.. {
        let Ok(list) = store.recipients(no, chunk).await else { break };
        let hashes: BTreeMap<u64, NumberHash> =
            list.numbers.iter().map(|number| (*number, NumberHash([7; 32]))).collect();
        store.erase(no, chunk, hashes, 1).await.expect("erased");
    }
}

/// Goal: also where rows have moved from page to page, lists were written anew and removed, and a log was never folded.
#[tokio::test(start_paused = true)]
async fn no_octet_of_an_erased_number_is_left_in_any_file() {
    let fixture = Sqlite::new();
    let (directory, store) = (fixture.0.path().to_owned(), fixture.open().await);
    let full = CHUNK_RECIPIENTS as u64;
    // Small lists of many sizes with neighbours that come and go, one that grows, and one in a file of its own.
    for no in 0..40_u32 {
        let count = u64::from(no) * 37 % 300 + 1;
        for _ in 0..2 {
            let numbers: Vec<u64> = (FIRST..FIRST + count).collect();
            let mut writer = store.write_recipients(CampaignNo(no), count).expect("begins");
            writer.chunk(&numbers, &values(numbers.len())).expect("taken");
            writer.finish().expect("finished");
        }
        if no % 3 == 2 {
            store.remove(CampaignNo(no - 1)).await.expect("removed");
        }
    }
    let (growing, large) = (CampaignNo(50), CampaignNo(51));
    store.write_recipients(growing, 0).expect("begins").finish().expect("empty");
    for step in 1..=10_u64 {
        let numbers: Vec<u64> = (FIRST..FIRST + step * 200).collect();
        let list = Recipients { values: values(numbers.len()), numbers, ..Recipients::default() };
        let save = StateSave { watermark: step, recipients: vec![(0, list)], ..StateSave::default() };
        store.save_state(growing, save).await.expect("saved");
    }
    let mut writer = store.write_recipients(large, 3 * full).expect("begins");
    for chunk in 0..3 {
        let numbers: Vec<u64> = (FIRST..FIRST + full).map(|number| number + chunk * full).collect();
        writer.chunk(&numbers, &values(numbers.len())).expect("taken");
    }
    writer.finish().expect("finished");
    for seq in 1..=20 {
        store.commit(seq, FIRST.to_le_bytes().repeat(2_000).into()).await;
    }
    store.trim(20).await.expect("trimmed");
    let number = FIRST.to_le_bytes();
    let before = holding(&directory, &number);
    for file in ["small.db", "campaign-51.db", "journal.db"] {
        assert!(before.iter().any(|name| name.starts_with(file)), "{file} and its log not in {before:?}");
    }
    let every: Vec<CampaignNo> = (0..40).map(CampaignNo).chain([growing, large]).collect();
    for no in &every {
        erase_all(&store, *no).await;
    }
    assert!(!holding(&directory, &number).is_empty(), "without a scrub it proves nothing");
    store.scrub(every).await.expect("scrubbed");
    for octets in
        [&number[..], &(FIRST + 100).to_le_bytes(), &(FIRST + 2 * full).to_le_bytes(), SECRET.as_bytes()]
    {
        assert_eq!(holding(&directory, octets), [""; 0]);
    }
    // What is left is sound.
    assert_eq!(store.recipients(large, 2).await.expect("there").erased.len(), CHUNK_RECIPIENTS);
    assert_eq!(store.commit(21, vec![1].into()).await, crate::store::Commit::Durable);
    drop(store);
    let store = fixture.open().await;
    assert_eq!(store.newest().await.expect("known"), 21);
    assert_eq!(store.recipients(growing, 0).await.expect("there").erased.len(), 2_000);
}

async fn write(store: &SqliteStore, no: CampaignNo, expected: u64) {
    let mut writer = store.write_recipients(no, expected).expect("begins");
    writer.chunk(&[FIRST], &values(1)).expect("taken");
    writer.finish().expect("finished");
}

/// Goal: many write into the file of small lists, so that nobody may have to wait for a list in a file of its own; but
/// whatever small list was removed or erased is forgotten with the next list, whichever that is.
#[tokio::test]
async fn what_small_lists_share_is_made_anew_only_when_it_has_something_to_forget() {
    let fixture = Sqlite::new();
    let (directory, store) = (fixture.0.path().to_owned(), fixture.open().await);
    let (large, small, removed) = (CampaignNo(1), CampaignNo(2), CampaignNo(3));
    write(&store, large, 2 * CHUNK_RECIPIENTS as u64).await;
    // What an earlier process has left is not known.
    store.scrub(Vec::new()).await.expect("scrubbed");
    write(&store, small, 1).await;
    write(&store, removed, 1).await;
    erase_all(&store, large).await;
    let other = Connection::open(directory.join("small.db")).expect("opens");
    // Who writes into it waits for nobody, and nobody for whoever writes into it.
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    store.scrub(vec![large]).await.expect("it has a file of its own");
    other.execute_batch("ROLLBACK").expect("ends");
    drop(other);
    let number = FIRST.to_le_bytes();
    store.remove(removed).await.expect("removed");
    erase_all(&store, small).await;
    assert!(!holding(&directory, &number).is_empty(), "without a scrub it proves nothing");
    store.scrub(vec![large]).await.expect("scrubbed");
    assert_eq!(holding(&directory, &number), [""; 0]);
}

/// Goal: SQLite lets a checkpoint wait for readers and not for another checkpoint; one that comes at the same moment is
/// no reason to leave numbers in a log for an hour.
#[tokio::test]
async fn a_file_is_made_anew_beside_checkpoints_of_others() {
    let fixture = Sqlite::new();
    let (directory, store) = (fixture.0.path().to_owned(), fixture.open().await);
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let path = directory.join("small.db");
    let other = std::thread::spawn(move || {
        let connection = Connection::open(path).expect("opens");
        let mut checkpoints = 0_u32;
        while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let folded = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            checkpoints += u32::from(folded.is_ok());
        }
        checkpoints
    });
    for no in (0..200).map(CampaignNo) {
        write(&store, no, 1).await;
        store.remove(no).await.expect("removed");
        store.scrub(Vec::new()).await.expect("scrubbed");
    }
    drop(end);
    assert!(other.join().expect("ended") > 0);
}
