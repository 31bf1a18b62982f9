//! `journal.db`: opaque rows with consecutive numbers, one fsync per commit.
//!
//! A row is stored only directly behind the newest one, so that a failed row never leaves a gap under the rows
//! that were already on their way. The log grows while commits append to it and a passive checkpoint beside a
//! writer never lets it start again; therefore [`JournalFile::maintain`] does the bulk on the reader's connection
//! and the next commit restarts the log itself when little is left to do.
//! Locks are taken in the order writer, reader.

use super::connection::{BUSY_TIMEOUT, Handle, JOURNAL_READER, JOURNAL_WRITER, PAGE_OCTETS};
use super::directory::Directory;
use super::{erase, lock};
use crate::store::{Commit, RowSeq, StoreError};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Rows, and in `meta` the newest row that was trimmed.
pub(super) const TABLES: &str = "
    INSERT INTO meta(key, value) VALUES('trimmed', 0);
    CREATE TABLE journal(seq INTEGER PRIMARY KEY, data BLOB NOT NULL);
";

const FILE: &str = "journal.db";

/// Above this size the log is to start again from its beginning.
const LOG_LIMIT_OCTETS: u64 = 64 << 20;

/// Most pages that a commit may fold before the log starts again: 8 MiB, some milliseconds.
const RESTART_PAGES: u64 = 1024;

/// Rows that one slice of a trim deletes: with rows of 27 KB two milliseconds with its fsync (measured).
const TRIM_ROWS: u64 = 256;

/// The journal's file with the connections of its two roles.
#[derive(Debug)]
pub(super) struct JournalFile {
    writer: Mutex<Writer>,
    reader: Mutex<Handle>,
    restart_due: AtomicBool,
}

#[derive(Debug)]
struct Writer {
    handle: Handle,
    /// The newest row as long as no error has put it in doubt.
    newest: Option<RowSeq>,
}

impl JournalFile {
    pub(super) fn open(directory: &Directory) -> Result<Self, StoreError> {
        let handle = |role| Handle::new(directory.file(FILE), directory.installation(), role);
        let journal = Self {
            writer: Mutex::new(Writer { handle: handle(&JOURNAL_WRITER), newest: None }),
            reader: Mutex::new(handle(&JOURNAL_READER)),
            restart_due: AtomicBool::new(false),
        };
        journal.newest()?;
        Ok(journal)
    }

    pub(super) fn commit(&self, seq: RowSeq, row: &[u8]) -> Commit {
        let mut writer = lock(&self.writer);
        match self.newest_of(&mut writer) {
            Ok(newest) if newest + 1 == seq => {}
            Ok(newest) => {
                tracing::warn!(seq, newest, "a journal row does not follow the newest one");
                return Commit::NotApplied;
            }
            Err(error) => {
                tracing::warn!(seq, %error, "the journal cannot be opened");
                return Commit::NotApplied;
            }
        }
        self.restart_log(&mut writer);
        let mut committing = false;
        let result = writer.handle.with(|connection| {
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            connection
                .prepare_cached("INSERT INTO journal(seq, data) VALUES(?1, ?2)")?
                .execute((seq.cast_signed(), row))?;
            committing = true;
            connection.prepare_cached("COMMIT")?.execute([])
        });
        match result {
            Ok(_) => {
                writer.newest = Some(seq);
                Commit::Durable
            }
            Err(error) => {
                tracing::warn!(seq, committing, %error, "a journal row could not be committed");
                self.doubt(&mut writer);
                if committing { Commit::Ambiguous } else { Commit::NotApplied }
            }
        }
    }

    pub(super) fn newest(&self) -> Result<RowSeq, StoreError> {
        self.newest_of(&mut lock(&self.writer))
    }

    pub(super) fn replay(
        &self,
        after: RowSeq,
        visit: &mut (dyn FnMut(RowSeq, &[u8]) + Send),
    ) -> Result<(), StoreError> {
        lock(&self.reader).with(|connection| {
            let transaction = connection.transaction()?;
            let mut last = after.max(trimmed(&transaction)?);
            let mut statement =
                transaction.prepare_cached("SELECT seq, data FROM journal WHERE seq > ?1 ORDER BY seq")?;
            let mut rows = statement.query([i64::try_from(last).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let seq = row.get::<_, i64>(0)?.cast_unsigned();
                if seq != last + 1 {
                    let sentence = format!("journal row {} is missing, the next one is {seq}", last + 1);
                    return Ok(Err(StoreError::Unusable(sentence)));
                }
                visit(seq, row.get_ref(1)?.as_blob()?);
                last = seq;
            }
            Ok(Ok(()))
        })?
    }

    /// Deletes in slices; a commit can go between two of them.
    pub(super) fn trim(&self, through: RowSeq) -> Result<(), StoreError> {
        while self.trim_slice(through)? {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Folds the log beside the writer and asks the writer to restart it when it has become large.
    pub(super) fn maintain(&self) -> Result<(), StoreError> {
        let (pages, folded) = lock(&self.reader).with(|connection| checkpoint(connection, "PASSIVE"))?;
        let left = pages.saturating_sub(folded);
        if pages * PAGE_OCTETS > LOG_LIMIT_OCTETS && left <= RESTART_PAGES {
            self.restart_due.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Leaves no octet of trimmed rows behind; commits wait for it.
    pub(super) fn scrub(&self) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let result = writer.handle.with(|connection| erase::scrub(connection));
        if result.is_err() {
            self.doubt(&mut writer);
        }
        erase::settled(result?)
    }

    /// Whether anything was left to delete.
    fn trim_slice(&self, through: RowSeq) -> Result<bool, StoreError> {
        let mut writer = lock(&self.writer);
        let through = through.min(self.newest_of(&mut writer)?);
        let result = writer.handle.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let first: Option<i64> =
                transaction.query_row("SELECT min(seq) FROM journal", [], |row| row.get(0))?;
            let Some(first) = first.map(i64::cast_unsigned).filter(|first| *first <= through) else {
                return Ok(false);
            };
            let last = through.min(first + TRIM_ROWS - 1);
            transaction
                .prepare_cached("DELETE FROM journal WHERE seq <= ?1")?
                .execute([last.cast_signed()])?;
            transaction
                .prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'trimmed'")?
                .execute([last.cast_signed()])?;
            transaction.commit()?;
            Ok(last < through)
        });
        if result.is_err() {
            self.doubt(&mut writer);
        }
        result
    }

    fn newest_of(&self, writer: &mut Writer) -> Result<RowSeq, StoreError> {
        if let Some(newest) = writer.newest {
            return Ok(newest);
        }
        let newest = writer.handle.with(|connection| {
            let stored: Option<i64> =
                connection.query_row("SELECT max(seq) FROM journal", [], |row| row.get(0))?;
            Ok(trimmed(connection)?.max(stored.unwrap_or(0).cast_unsigned()))
        });
        match newest {
            Ok(newest) => {
                writer.newest = Some(newest);
                Ok(newest)
            }
            Err(error) => {
                self.doubt(writer);
                Err(error)
            }
        }
    }

    /// After an error nothing that a connection remembers about the file counts any more.
    fn doubt(&self, writer: &mut Writer) {
        writer.newest = None;
        lock(&self.reader).close();
    }

    /// A failure here is no failure of the commit: the connection is gone, the commit opens another one.
    fn restart_log(&self, writer: &mut Writer) {
        if !self.restart_due.swap(false, Ordering::Relaxed) {
            return;
        }
        let result = writer.handle.with(|connection| {
            // A reader or a checkpoint under way must not hold up a commit: the next round tries again.
            connection.busy_timeout(Duration::ZERO)?;
            let result = checkpoint(connection, "RESTART");
            connection.busy_timeout(BUSY_TIMEOUT)?;
            result
        });
        match result {
            Ok((pages, folded)) => tracing::debug!(pages, folded, "the journal's log starts again"),
            Err(error) => {
                tracing::warn!(%error, "the journal's log could not be restarted");
                self.doubt(writer);
            }
        }
    }
}

/// Pages in the log and how many of them are folded; both 0 when another checkpoint was under way.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(u64, u64)> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((
            u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
            u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
        ))
    })
}

fn trimmed(connection: &Connection) -> rusqlite::Result<RowSeq> {
    let trimmed: Option<i64> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'trimmed'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(trimmed.unwrap_or(0).cast_unsigned())
}
