//! Erasing numbers of stored recipients, and making the files forget them.
//!
//! A chunk is rewritten in one transaction. That leaves its former octets in the write-ahead log and in unused parts of
//! pages, where rows that move from page to page leave copies too; `secure_delete` overwrites only some of them. A
//! `VACUUM` makes the file anew from what is still there, and a truncating checkpoint empties the log.

use super::campaign_file::{CampaignFiles, read_chunk, write_chunk};
use super::connection::{self, BUSY_TIMEOUT, SCRUBBER, explain};
use crate::model::{CampaignNo, ChunkNo, NumberHash};
use crate::store::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long another checkpoint of the same file is given before it is asked about again.
const CHECKPOINT_RETRY: Duration = Duration::from_millis(10);

impl CampaignFiles {
    /// On any error nothing of it is visible to a later read, or all of it is.
    pub(super) fn erase(
        &self,
        (no, chunk): (CampaignNo, ChunkNo),
        hashes: &BTreeMap<u64, NumberHash>,
        variables: usize,
    ) -> Result<u64, StoreError> {
        let erased = self.write(Some(no), |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let Some(mut recipients) = read_chunk(&transaction, (no, chunk))? else {
                return Ok(Err(StoreError::NotFound));
            };
            let erased = match recipients.erase(hashes, variables) {
                Ok(erased) => erased,
                Err(damaged) => return Ok(Err(damaged)),
            };
            if erased > 0 {
                write_chunk(&transaction, (no, chunk), &recipients)?;
                transaction.commit()?;
            }
            Ok(Ok(erased))
        });
        if self.is_small(no) {
            // Behind the commit: a scrub in between has not seen it.
            self.small_remembers.store(true, Ordering::Release);
        }
        erased?
    }

    /// Files are made anew beside everybody else; who writes into the same one meanwhile waits, for as long as its
    /// connection waits for a lock. So many write into `small.db` that it is spared where it has nothing to forget.
    pub(super) fn scrub(&self, nos: &[CampaignNo]) -> Result<(), StoreError> {
        for path in nos.iter().filter_map(|no| self.own_path(*no)) {
            self.scrub_file(&path)?;
        }
        if !self.small_remembers.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let scrubbed = self.scrub_file(&self.small_path());
        if scrubbed.is_err() {
            self.small_remembers.store(true, Ordering::Release);
        }
        scrubbed
    }

    fn scrub_file(&self, path: &Path) -> Result<(), StoreError> {
        self.has_room_for(path)?;
        let connection = connection::open(path, Some(self.directory.installation()), &SCRUBBER)?;
        settled(scrub(&connection).map_err(|e| explain(path, &e))?)
    }

    /// A file that is made anew stands on the disk three times for a moment: itself, the new one and its log.
    fn has_room_for(&self, path: &Path) -> Result<(), StoreError> {
        let octets = std::fs::metadata(path).map_or(0, |file| file.len());
        if self.directory.free_octets()? < 2 * octets {
            let told = format!("the disk has no room to make {} anew", path.display());
            return Err(StoreError::Unavailable(told));
        }
        Ok(())
    }
}

/// Makes the file anew and empties its log; whether somebody kept it from doing so to the end.
pub(super) fn scrub(connection: &Connection) -> rusqlite::Result<bool> {
    connection.execute_batch("VACUUM")?;
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if !is_busy || Instant::now() >= end {
            return Ok(is_busy);
        }
        // For readers it has waited; for another checkpoint SQLite does not (`sqlite3_wal_checkpoint_v2`).
        std::thread::sleep(CHECKPOINT_RETRY);
    }
}

/// # Errors
/// `Unavailable` when the log is still being read.
pub(super) fn settled(is_busy: bool) -> Result<(), StoreError> {
    match is_busy {
        true => {
            Err(StoreError::Unavailable("a file that is to forget numbers is still being read".to_owned()))
        }
        false => Ok(()),
    }
}
