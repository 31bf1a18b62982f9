//! Recipients on their way in.
//!
//! A large upload fills a file under a temporary name without log or syncs; `finish` syncs the file once and
//! renames it, so that a campaign file is either absent or complete and every octet is written once.
//! A small upload is one chunk, kept in memory until `finish` stores it in `small.db`.

use super::campaign_file::{CampaignFiles, UPLOAD_PREFIX, check_chunk, insert_campaign, insert_chunk};
use super::connection::{self, UPLOAD, UPLOADS, explain};
use super::lock;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, ChunkNo};
use crate::store::{RecipientWriter, Recipients, StoreError};
use rusqlite::Connection;
use std::fs::File;
use std::sync::Arc;

/// Campaigns up to this size share a file: one full chunk.
const SMALL_RECIPIENTS: u64 = CHUNK_RECIPIENTS as u64;

/// Chunks in one transaction of a large upload: 2 MiB without values, what its page cache holds; more values only spill
/// into the file sooner.
const TRANSACTION_CHUNKS: ChunkNo = 64;

/// Begins an upload; what was stored of the campaign is removed now.
pub(super) fn begin(
    files: &Arc<CampaignFiles>,
    no: CampaignNo,
    expected: u64,
) -> Result<Box<dyn RecipientWriter>, StoreError> {
    let mut uploads = lock(&files.uploads);
    let small = expected <= SMALL_RECIPIENTS;
    if !small && uploads.own == UPLOADS {
        return Err(StoreError::Unavailable(format!("{UPLOADS} uploads are under way, try again later")));
    }
    uploads.turn.remove(&no);
    files.clear(no)?;
    uploads.last += 1;
    let turn = uploads.last;
    let place = || Place { files: Arc::clone(files), no, turn };
    let writer: Box<dyn RecipientWriter> = if small {
        Box::new(SmallUpload { place: place(), recipients: None })
    } else {
        let name = format!("{UPLOAD_PREFIX}{}-{turn}.db", no.0);
        let directory = &files.directory;
        let connection = connection::open(&directory.file(&name), Some(directory.installation()), &UPLOAD)
            .inspect_err(|_| {
                let _ = directory.unlink(&name);
            })?;
        uploads.own += 1;
        Box::new(OwnUpload {
            place: place(),
            name,
            connection: Some(connection),
            next: 0,
            recipients: 0,
            ended: false,
        })
    };
    uploads.turn.insert(no, turn);
    Ok(writer)
}

/// Which campaign an upload is for, and whether it still is.
struct Place {
    files: Arc<CampaignFiles>,
    no: CampaignNo,
    turn: u64,
}

impl Place {
    /// Makes the upload visible by `publish`, unless a later upload or a removal came in between.
    fn publish(
        &self,
        publish: impl FnOnce(&CampaignFiles) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut uploads = lock(&self.files.uploads);
        if uploads.turn.get(&self.no) != Some(&self.turn) {
            return Err(StoreError::Unavailable(
                "the upload was replaced or its campaign removed".to_owned(),
            ));
        }
        uploads.turn.remove(&self.no);
        publish(&self.files).inspect_err(|_| {
            if let Err(error) = self.files.clear(self.no) {
                tracing::warn!(campaign = self.no.0, %error, "what a failed upload left could not be removed");
            }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut uploads = lock(&self.files.uploads);
        if uploads.turn.get(&self.no) == Some(&self.turn) {
            uploads.turn.remove(&self.no);
        }
    }
}

/// At most one chunk, for `small.db`.
struct SmallUpload {
    place: Place,
    recipients: Option<Recipients>,
}

impl RecipientWriter for SmallUpload {
    fn chunk(&mut self, numbers: &[u64], values: &[u8]) -> Result<(), StoreError> {
        check_chunk(numbers, values)?;
        if self.recipients.is_some() {
            return Err(StoreError::Unavailable(format!(
                "more recipients than announced: at most {SMALL_RECIPIENTS} fit"
            )));
        }
        self.recipients =
            Some(Recipients { numbers: numbers.to_vec(), values: values.to_vec(), ..Recipients::default() });
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        self.place.publish(|files| files.insert_small(self.place.no, self.recipients.as_ref()))
    }
}

/// Many chunks, in a file that is not yet the campaign's.
struct OwnUpload {
    place: Place,
    name: String,
    /// Gone after an error; the upload cannot be finished then.
    connection: Option<Connection>,
    next: ChunkNo,
    /// In all chunks so far.
    recipients: u64,
    /// A short chunk was the last one.
    ended: bool,
}

impl RecipientWriter for OwnUpload {
    fn chunk(&mut self, numbers: &[u64], values: &[u8]) -> Result<(), StoreError> {
        check_chunk(numbers, values)?;
        if self.ended {
            return Err(StoreError::Unavailable("only the last chunk may be short".to_owned()));
        }
        let (no, next) = (self.place.no, self.next);
        let recipients =
            Recipients { numbers: numbers.to_vec(), values: values.to_vec(), ..Recipients::default() };
        self.with(|connection| {
            if next.is_multiple_of(TRANSACTION_CHUNKS) {
                connection.execute_batch(if next == 0 { "BEGIN" } else { "COMMIT; BEGIN" })?;
            }
            insert_chunk(connection, (no, next), &recipients)
        })?;
        self.next += 1;
        self.recipients += numbers.len() as u64;
        self.ended = numbers.len() < CHUNK_RECIPIENTS;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let (no, begun, recipients) = (self.place.no, self.next > 0, self.recipients);
        self.with(|connection| {
            insert_campaign(connection, no, recipients)?;
            connection.execute_batch(if begun { "COMMIT" } else { "" })?;
            connection.execute_batch("PRAGMA journal_mode=WAL;")
        })?;
        self.connection = None;
        let path = self.place.files.directory.file(&self.name);
        File::open(&path).and_then(|file| file.sync_all()).map_err(|e| {
            StoreError::Unavailable(format!("{} cannot be made durable: {e}", path.display()))
        })?;
        self.place.publish(|files| files.adopt(no, &self.name))
    }
}

impl OwnUpload {
    fn with<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let Some(connection) = self.connection.take() else {
            return Err(StoreError::Unavailable("the upload failed before".to_owned()));
        };
        let value =
            work(&connection).map_err(|e| explain(&self.place.files.directory.file(&self.name), &e))?;
        self.connection = Some(connection);
        Ok(value)
    }
}

impl Drop for OwnUpload {
    fn drop(&mut self) {
        self.connection = None;
        // After a rename there is nothing under this name; a leftover is removed at the next start.
        let _ = self.place.files.directory.unlink(&self.name);
        lock(&self.place.files.uploads).own -= 1;
    }
}
