//! Recipients and state of campaigns: a file each for large ones, `small.db` for all small ones.
//!
//! A campaign is in its own file exactly when `campaign-<no>.db` exists; that file appears complete, by a rename.
//! At most a named number of files stay open per role, the least recently used one is closed first.
//! Locks are taken in the order uploads, writers, readers.

use super::connection::{
    self, CAMPAIGN_READER, CAMPAIGN_READERS, CAMPAIGN_WRITER, CAMPAIGN_WRITERS, Handle, Role, SMALL,
};
use super::control::sql_limit;
use super::directory::Directory;
use super::lock;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, ChunkNo, ChunkState, NumberHash};
use crate::store::{Header, MAX_PAGE, MAX_VALUES_OCTETS, Recipients, StateSave, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The same in every campaign file. A row in `campaign` says that the upload is complete.
pub(super) const TABLES: &str = "
    CREATE TABLE campaign(
        campaign INTEGER PRIMARY KEY, watermark INTEGER NOT NULL, recipients INTEGER NOT NULL, charges TEXT NOT NULL);
    CREATE TABLE chunk(
        campaign INTEGER NOT NULL, chunk INTEGER NOT NULL, recipients BLOB NOT NULL, texts BLOB NOT NULL,
        accepted BLOB NOT NULL, erased BLOB NOT NULL, PRIMARY KEY(campaign, chunk));
    CREATE TABLE state(
        campaign INTEGER NOT NULL, chunk INTEGER NOT NULL, status BLOB NOT NULL, errors BLOB NOT NULL,
        message_ids BLOB NOT NULL, submitted BLOB NOT NULL, final BLOB NOT NULL,
        PRIMARY KEY(campaign, chunk));
";

/// Every campaign up to `SMALL_RECIPIENTS`.
const SMALL_FILE: &str = "small.db";

/// Prefix of a file under upload; what is left of one is removed when the store is opened.
pub(super) const UPLOAD_PREFIX: &str = "upload-";

/// What SQLite puts beside a file.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Which file a campaign is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Small,
    Own(CampaignNo),
}

impl Home {
    fn file(self) -> String {
        match self {
            Self::Small => SMALL_FILE.to_owned(),
            Self::Own(no) => own_file(no),
        }
    }
}

/// Uploads under way: the turn of the one that counts, per campaign.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// A later upload of the same campaign takes the place of an earlier one.
    pub(super) turn: BTreeMap<CampaignNo, u64>,
    /// Of them or replaced, those that hold a file of their own open.
    pub(super) own: usize,
    /// Given to the last upload.
    pub(super) last: u64,
}

/// All campaign files of the installation.
#[derive(Debug)]
pub(super) struct CampaignFiles {
    pub(super) directory: Arc<Directory>,
    pub(super) uploads: Mutex<Uploads>,
    own: Mutex<BTreeSet<CampaignNo>>,
    /// Whether `small.db` may hold octets of what was erased, removed or failed in it: since it was made anew, and before
    /// that as far as this process knows.
    pub(super) small_remembers: AtomicBool,
    writers: Mutex<Pool>,
    readers: Mutex<Pool>,
}

impl CampaignFiles {
    /// Finds the campaign files, removes what unfinished uploads and removals left, and makes `small.db`.
    pub(super) fn open(directory: &Arc<Directory>) -> Result<Self, StoreError> {
        let names = directory.names()?;
        let own: BTreeSet<CampaignNo> = names.iter().filter_map(|name| own_no(name)).collect();
        for name in &names {
            let orphan = COMPANIONS
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .and_then(own_no)
                .is_some_and(|no| !own.contains(&no));
            if orphan || name.starts_with(UPLOAD_PREFIX) {
                tracing::info!(name, "what an unfinished upload or removal left is removed");
                directory.unlink(name)?;
            }
        }
        connection::open(&directory.file(SMALL_FILE), Some(directory.installation()), &SMALL)?;
        Ok(Self {
            directory: Arc::clone(directory),
            uploads: Mutex::default(),
            own: Mutex::new(own),
            small_remembers: AtomicBool::new(true),
            writers: Mutex::new(Pool {
                capacity: CAMPAIGN_WRITERS,
                role: &CAMPAIGN_WRITER,
                open: Vec::new(),
            }),
            readers: Mutex::new(Pool {
                capacity: CAMPAIGN_READERS,
                role: &CAMPAIGN_READER,
                open: Vec::new(),
            }),
        })
    }

    pub(super) fn recipients(&self, no: CampaignNo, chunk: ChunkNo) -> Result<Recipients, StoreError> {
        self.read(no, |connection| read_chunk(connection, (no, chunk)))?.ok_or(StoreError::NotFound)
    }

    pub(super) fn header(&self, no: CampaignNo) -> Result<Header, StoreError> {
        let (watermark, recipients, charges): (i64, i64, String) = self
            .read(no, |connection| {
                connection
                    .prepare_cached(
                        "SELECT watermark, recipients, charges FROM campaign WHERE campaign = ?1",
                    )?
                    .query_row([no.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                    .optional()
            })?
            .ok_or(StoreError::NotFound)?;
        let charges = serde_json::from_str(&charges).map_err(|e| {
            StoreError::Unusable(format!("the stored charges of campaign {} cannot be read: {e}", no.0))
        })?;
        Ok(Header { watermark: watermark.cast_unsigned(), recipients: recipients.cast_unsigned(), charges })
    }

    pub(super) fn state(&self, no: CampaignNo, chunk: ChunkNo) -> Result<Option<ChunkState>, StoreError> {
        self.read(no, |connection| {
            connection
                .prepare_cached(
                    "SELECT status, errors, message_ids, submitted, final
                     FROM campaign LEFT JOIN state ON state.campaign = ?1 AND state.chunk = ?2
                     WHERE campaign.campaign = ?1",
                )?
                .query_row((no.0, chunk), |row| columns(row, chunk))
                .optional()
        })?
        .ok_or(StoreError::NotFound)
    }

    /// On any error nothing of `save` is visible to a later read, or all of it is.
    pub(super) fn save_state(&self, no: CampaignNo, save: &StateSave) -> Result<(), StoreError> {
        let charges = serde_json::to_string(&save.charges).expect("days and numbers are JSON");
        self.write(Some(no), |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let stored: Option<i64> = transaction
                .prepare_cached("SELECT recipients FROM campaign WHERE campaign = ?1")?
                .query_row([no.0], |row| row.get(0))
                .optional()?;
            let Some(stored) = stored else { return Ok(Err(StoreError::NotFound)) };
            let recipients = match grown(stored.cast_unsigned(), &save.recipients) {
                Ok(recipients) => recipients,
                Err(refusal) => return Ok(Err(refusal)),
            };
            transaction
                .prepare_cached(
                    "UPDATE campaign SET watermark = ?2, recipients = ?3, charges = ?4 WHERE campaign = ?1",
                )?
                .execute((no.0, save.watermark.cast_signed(), recipients.cast_signed(), charges))?;
            for (chunk, recipients) in &save.recipients {
                insert_chunk(&transaction, (no, *chunk), recipients)?;
            }
            insert_states(&transaction, no, &save.chunks)?;
            transaction.commit()?;
            Ok(Ok(()))
        })?
    }

    /// The numbers of complete lists above `after` in order, a page of them.
    pub(super) fn lists(&self, after: CampaignNo) -> Result<Vec<CampaignNo>, StoreError> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let mut found: Vec<CampaignNo> = lock(&self.own).range(behind).take(MAX_PAGE).copied().collect();
        let mut readers = lock(&self.readers);
        let small = readers.handle(&self.directory, Home::Small).with(|connection| {
            connection
                .prepare_cached(
                    "SELECT campaign FROM campaign WHERE campaign > ?1 ORDER BY campaign LIMIT ?2",
                )?
                .query_map((after.0, sql_limit(MAX_PAGE)), |row| row.get(0).map(CampaignNo))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        found.extend(small);
        found.sort_unstable();
        found.truncate(MAX_PAGE);
        Ok(found)
    }

    /// Removes the campaign and makes an upload of it that is under way fail.
    pub(super) fn remove(&self, no: CampaignNo) -> Result<(), StoreError> {
        let mut uploads = lock(&self.uploads);
        uploads.turn.remove(&no);
        self.clear(no)
    }

    /// Removes what is stored of the campaign.
    pub(super) fn clear(&self, no: CampaignNo) -> Result<(), StoreError> {
        if self.home(no) == Home::Own(no) {
            let mut writers = lock(&self.writers);
            let mut readers = lock(&self.readers);
            writers.close(Home::Own(no));
            readers.close(Home::Own(no));
            self.directory.unlink(&own_file(no))?;
            self.unlink_companions(no)?;
            self.directory.sync()?;
            // Only now: a removal that failed half-way can be tried again.
            lock(&self.own).remove(&no);
        }
        let known = self.read(no, |connection| {
            connection.prepare_cached("SELECT 1 FROM campaign WHERE campaign = ?1")?.exists([no.0])
        })?;
        if !known {
            return Ok(());
        }
        let removed = self.write(None, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for table in ["campaign", "chunk", "state"] {
                transaction.execute(&format!("DELETE FROM {table} WHERE campaign = ?1"), [no.0])?;
            }
            transaction.commit()
        });
        // Behind the commit: a scrub in between has not seen it.
        self.small_remembers.store(true, Ordering::Release);
        removed
    }

    /// Stores a whole small campaign.
    pub(super) fn insert_small(
        &self,
        no: CampaignNo,
        recipients: Option<&Recipients>,
    ) -> Result<(), StoreError> {
        self.write(None, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            insert_campaign(
                &transaction,
                no,
                recipients.map_or(0, |recipients| recipients.numbers.len() as u64),
            )?;
            if let Some(recipients) = recipients {
                insert_chunk(&transaction, (no, 0), recipients)?;
            }
            transaction.commit()
        })
    }

    /// Makes a complete, synced and closed file of the directory the campaign's own.
    pub(super) fn adopt(&self, no: CampaignNo, name: &str) -> Result<(), StoreError> {
        // A log left by a removal that a crash cut short must not be taken for this file's.
        self.unlink_companions(no)?;
        let (from, to) = (self.directory.file(name), self.directory.file(&own_file(no)));
        std::fs::rename(&from, &to)
            .map_err(|e| StoreError::Unavailable(format!("{} cannot be renamed: {e}", from.display())))?;
        lock(&self.own).insert(no);
        self.directory.sync()
    }

    fn unlink_companions(&self, no: CampaignNo) -> Result<(), StoreError> {
        COMPANIONS.iter().try_for_each(|suffix| self.directory.unlink(&format!("{}{suffix}", own_file(no))))
    }

    /// The campaign's own file, where it has one.
    pub(super) fn own_path(&self, no: CampaignNo) -> Option<PathBuf> {
        match self.home(no) {
            Home::Small => None,
            home @ Home::Own(_) => Some(self.directory.file(&home.file())),
        }
    }

    /// Whether the campaign shares the file of all small ones.
    pub(super) fn is_small(&self, no: CampaignNo) -> bool {
        self.home(no) == Home::Small
    }

    /// The file of all small campaigns.
    pub(super) fn small_path(&self) -> PathBuf {
        self.directory.file(&Home::Small.file())
    }

    fn home(&self, no: CampaignNo) -> Home {
        if lock(&self.own).contains(&no) { Home::Own(no) } else { Home::Small }
    }

    fn read<T>(
        &self,
        no: CampaignNo,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut readers = lock(&self.readers);
        // Looked up under the lock: a removal cannot come between.
        readers.handle(&self.directory, self.home(no)).with(work)
    }

    /// Into the campaign's file, or into the one of all small campaigns.
    pub(super) fn write<T>(
        &self,
        no: Option<CampaignNo>,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut writers = lock(&self.writers);
        let home = no.map_or(Home::Small, |no| self.home(no));
        let result = writers.handle(&self.directory, home).with(work);
        if result.is_err() {
            lock(&self.readers).close(home);
            if home == Home::Small {
                self.small_remembers.store(true, Ordering::Release);
            }
        }
        result
    }
}

/// Open files of one role, the most recently used last.
#[derive(Debug)]
struct Pool {
    capacity: usize,
    role: &'static Role,
    open: Vec<(Home, Handle)>,
}

impl Pool {
    fn handle(&mut self, directory: &Directory, home: Home) -> &mut Handle {
        if let Some(place) = self.open.iter().position(|(open, _)| *open == home) {
            self.open[place..].rotate_left(1);
        } else {
            if self.open.len() == self.capacity {
                self.open.remove(0);
            }
            let path = directory.file(&home.file());
            self.open.push((home, Handle::new(path, directory.installation(), self.role)));
        }
        &mut self.open.last_mut().expect("it was just put there").1
    }

    fn close(&mut self, home: Home) {
        self.open.retain(|(open, _)| *open != home);
    }
}

fn own_file(no: CampaignNo) -> String {
    format!("campaign-{}.db", no.0)
}

fn own_no(name: &str) -> Option<CampaignNo> {
    let digits = name.strip_prefix("campaign-")?.strip_suffix(".db")?;
    digits.parse().ok().map(CampaignNo)
}

/// The row that says that the upload is complete.
pub(super) fn insert_campaign(
    connection: &Connection,
    no: CampaignNo,
    recipients: u64,
) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT INTO campaign(campaign, watermark, recipients, charges) VALUES(?1, 0, ?2, '[]')",
        (no.0, recipients.cast_signed()),
    )
}

/// One chunk of recipients, in place of what was stored of it.
pub(super) fn insert_chunk(
    connection: &Connection,
    (no, chunk): (CampaignNo, ChunkNo),
    recipients: &Recipients,
) -> rusqlite::Result<usize> {
    let Recipients { numbers, values, accepted_s, erased } = recipients;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO chunk(campaign, chunk, recipients, texts, accepted, erased)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((no.0, chunk, u64_octets(numbers), values, u32_octets(accepted_s), hash_octets(erased)))
}

/// What an erasure has left of one chunk of recipients; their times stay as they are.
pub(super) fn write_chunk(
    connection: &Connection,
    (no, chunk): (CampaignNo, ChunkNo),
    recipients: &Recipients,
) -> rusqlite::Result<usize> {
    let Recipients { numbers, values, erased, .. } = recipients;
    connection
        .prepare_cached(
            "UPDATE chunk SET recipients = ?3, texts = ?4, erased = ?5 WHERE campaign = ?1 AND chunk = ?2",
        )?
        .execute((no.0, chunk, u64_octets(numbers), values, hash_octets(erased)))
}

/// One chunk of recipients; `None` past the end.
pub(super) fn read_chunk(
    connection: &Connection,
    (no, chunk): (CampaignNo, ChunkNo),
) -> rusqlite::Result<Option<Recipients>> {
    connection
        .prepare_cached(
            "SELECT recipients, texts, accepted, erased FROM chunk WHERE campaign = ?1 AND chunk = ?2",
        )?
        .query_row((no.0, chunk), |row| {
            let (hashes, _) = row.get_ref(3)?.as_blob()?.as_chunks::<32>();
            Ok(Recipients {
                numbers: u64s(row.get_ref(0)?.as_blob()?),
                values: row.get(1)?,
                accepted_s: u32s(row.get_ref(2)?.as_blob()?),
                erased: hashes.iter().map(|octets| NumberHash(*octets)).collect(),
            })
        })
        .optional()
}

fn insert_states(
    transaction: &Transaction<'_>,
    no: CampaignNo,
    states: &[ChunkState],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO state(campaign, chunk, status, errors, message_ids, submitted, final)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for state in states {
        insert.execute((
            no.0,
            state.chunk,
            &state.status,
            error_octets(&state.errors),
            &state.message_ids,
            u32_octets(&state.submitted_ms),
            u32_octets(&state.final_ms),
        ))?;
    }
    Ok(())
}

/// Whether a chunk may be stored at all.
pub(super) fn check_chunk(numbers: &[u64], values: &[u8]) -> Result<(), StoreError> {
    let (count, octets) = (numbers.len(), values.len());
    if !(1..=CHUNK_RECIPIENTS).contains(&count) {
        let sentence = format!("a chunk of {count} recipients, not 1 to {CHUNK_RECIPIENTS}");
        return Err(StoreError::Refused(sentence));
    }
    if octets > MAX_VALUES_OCTETS {
        let sentence = format!("a chunk with {octets} octets of values, more than {MAX_VALUES_OCTETS}");
        return Err(StoreError::Refused(sentence));
    }
    Ok(())
}

/// Recipients of a list of `stored` when the chunks are in their places: no gap, no short chunk but the last.
fn grown(stored: u64, chunks: &[(ChunkNo, Recipients)]) -> Result<u64, StoreError> {
    const FULL: u64 = CHUNK_RECIPIENTS as u64;
    let mut total = stored;
    for (chunk, Recipients { numbers, values, accepted_s, .. }) in chunks {
        check_chunk(numbers, values)?;
        let first = u64::from(*chunk) * FULL;
        let end = first + numbers.len() as u64;
        let has_times = accepted_s.is_empty() || accepted_s.len() == numbers.len();
        if first > total || end < total.min(first + FULL) || !has_times {
            return Err(StoreError::Refused(format!(
                "chunk {chunk} with {} recipients and {} times does not continue a list of {total}",
                numbers.len(),
                accepted_s.len()
            )));
        }
        total = total.max(end);
    }
    Ok(total)
}

fn columns(row: &Row<'_>, chunk: ChunkNo) -> rusqlite::Result<Option<ChunkState>> {
    let Some(status) = row.get::<_, Option<Vec<u8>>>(0)? else { return Ok(None) };
    Ok(Some(ChunkState {
        chunk,
        status,
        errors: errors(row.get_ref(1)?.as_blob()?),
        message_ids: row.get(2)?,
        submitted_ms: u32s(row.get_ref(3)?.as_blob()?),
        final_ms: u32s(row.get_ref(4)?.as_blob()?),
    }))
}

fn hash_octets(hashes: &[NumberHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

fn u64_octets(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn u64s(octets: &[u8]) -> Vec<u64> {
    octets.as_chunks().0.iter().map(|eight| u64::from_le_bytes(*eight)).collect()
}

fn u32s(octets: &[u8]) -> Vec<u32> {
    octets.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)).collect()
}

fn u32_octets(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn error_octets(errors: &[(u16, u32)]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(errors.len() * 6);
    for (unit, code) in errors {
        octets.extend_from_slice(&unit.to_le_bytes());
        octets.extend_from_slice(&code.to_le_bytes());
    }
    octets
}

fn errors(octets: &[u8]) -> Vec<(u16, u32)> {
    let (entries, _) = octets.as_chunks::<6>();
    entries
        .iter()
        .map(|[a, b, c, d, e, f]| (u16::from_le_bytes([*a, *b]), u32::from_le_bytes([*c, *d, *e, *f])))
        .collect()
}
