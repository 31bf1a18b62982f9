//! The embedded backend: SQLite files in one directory that one engine owns.
//!
//! `control.db` holds entities and the audit log, `journal.db` the journal rows, `campaign-<no>.db` the chunks and
//! states of one large campaign and `small.db` those of all small ones. Every call does its work on the calling
//! thread before it returns; the returned future is ready at once. Each role has a connection behind its own lock,
//! so that a commit never waits for a reader, and no lock is held across an await.

mod audit;
mod campaign_file;
mod campaigns;
mod connection;
mod control;
mod directory;
mod erase;
mod job_error;
mod journal;
mod overview;
mod suppression;
#[cfg(test)]
mod tests;
mod traffic;
mod upload;

use crate::model::traffic::Traffic;
use crate::model::{
    AuditEvent, CampaignId, CampaignNo, ChunkNo, ChunkState, EntityId, JobError, JobErrors, NumberHash,
    Principal, Suppression, SuppressionKind, WorkspaceId,
};
use crate::store::{
    AuditExpiry, AuditPage, AuditQuery, AuditReport, CampaignPage, CampaignQuery, CampaignScope,
    CampaignUsage, Catalog, Change, Entity, Header, HourUsage, Journal, Kind, Note, Overview, Page, Query,
    RecipientWriter, Recipients, RowSeq, Scope, StateSave, StoreError, StoreFuture, SuppressionKey, Ticket,
};
use bytes::Bytes;
use campaign_file::CampaignFiles;
use control::Control;
use directory::Directory;
use journal::JournalFile;
use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entities, audit log, recipients and facts of one installation in one directory.
#[derive(Debug)]
pub struct SqliteStore {
    installation: uuid::Uuid,
    control: Control,
    journal: JournalFile,
    campaigns: Arc<CampaignFiles>,
}

impl SqliteStore {
    /// Opens the store in `directory`, which is created if it is missing, and removes unfinished uploads.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be created, read or written, its disk is full or another engine uses
    /// it; `Unusable` when a file in it is damaged, of another installation or of a newer version.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let directory = Arc::new(Directory::open(directory, control::identify)?);
        let store = Self {
            installation: directory.installation(),
            control: Control::open(&directory),
            journal: JournalFile::open(&directory)?,
            campaigns: Arc::new(CampaignFiles::open(&directory)?),
        };
        directory.sync()?;
        Ok(store)
    }

    /// The installation that the files belong to.
    #[must_use]
    pub const fn installation(&self) -> uuid::Uuid {
        self.installation
    }
}

impl Catalog for SqliteStore {
    fn apply<'a>(
        &'a self,
        changes: Vec<Change>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, ()> {
        Box::pin(ready(self.control.apply(&changes, by, at)))
    }

    fn get(&self, scope: Scope, kind: Kind, id: EntityId) -> StoreFuture<'_, Entity> {
        Box::pin(ready(self.control.get(scope, kind, id)))
    }

    fn find(&self, scope: Scope, kind: Kind, unique: String) -> StoreFuture<'_, Entity> {
        Box::pin(ready(self.control.find(scope, kind, &unique)))
    }

    fn list(&self, scope: Scope, query: Query) -> StoreFuture<'_, Page<Entity>> {
        Box::pin(ready(self.control.list(scope, &query)))
    }

    fn campaigns(&self, scope: CampaignScope, query: CampaignQuery) -> StoreFuture<'_, CampaignPage> {
        Box::pin(ready(self.control.campaigns(&scope, &query)))
    }

    fn overview(&self, scope: CampaignScope, now: jiff::Timestamp) -> StoreFuture<'_, Overview> {
        Box::pin(ready(self.control.overview(&scope, now)))
    }

    fn put_traffic(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        hours: Vec<(u32, Traffic)>,
    ) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.control.put_traffic(workspace, campaign, &hours)))
    }

    fn traffic(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<HourUsage>> {
        Box::pin(ready(self.control.traffic(workspace, &hours)))
    }

    fn usage(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<CampaignUsage>> {
        Box::pin(ready(self.control.usage(workspace, &hours)))
    }

    fn audit(&self, scope: Scope, after: u64) -> StoreFuture<'_, Vec<AuditEvent>> {
        Box::pin(ready(self.control.audit(scope, after)))
    }

    fn note(&self, notes: Vec<Note>) -> StoreFuture<'_, u64> {
        Box::pin(ready(self.control.note(&notes)))
    }

    fn audit_events(&self, scope: Scope, query: AuditQuery) -> StoreFuture<'_, AuditPage> {
        Box::pin(ready(self.control.audit_events(scope, &query)))
    }

    fn schema_version(&self) -> StoreFuture<'_, u32> {
        Box::pin(ready(self.control.schema_version()))
    }

    fn audit_logs(&self, after: Option<Scope>) -> StoreFuture<'_, Vec<Scope>> {
        Box::pin(ready(self.control.audit_logs(after)))
    }

    fn audit_verify(&self, scope: Scope) -> StoreFuture<'_, AuditReport> {
        Box::pin(ready(self.control.audit_verify(scope)))
    }

    fn expire_audit<'a>(
        &'a self,
        before: jiff::Timestamp,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, AuditExpiry> {
        Box::pin(ready(self.control.expire_audit(before, by, at)))
    }

    fn purge(&self, kind: Kind, before: jiff::Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(ready(self.control.purge(kind, before)))
    }

    fn next_campaign_no(&self) -> StoreFuture<'_, CampaignNo> {
        Box::pin(ready(self.control.next_campaign_no()))
    }

    fn next_epoch(&self) -> StoreFuture<'_, u32> {
        Box::pin(ready(self.control.next_epoch()))
    }

    fn suppress<'a>(
        &'a self,
        scope: Scope,
        entries: Vec<Suppression>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, u64> {
        Box::pin(ready(self.control.suppress(scope, &entries, by, at)))
    }

    fn unsuppress<'a>(
        &'a self,
        scope: Scope,
        keys: Vec<SuppressionKey>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, u64> {
        Box::pin(ready(self.control.unsuppress(scope, &keys, by, at)))
    }

    fn suppressions(
        &self,
        scope: Scope,
        after: Option<SuppressionKey>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Suppression>> {
        Box::pin(ready(self.control.suppressions(scope, after, limit)))
    }

    fn all_suppressions<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Option<WorkspaceId>, u64, SuppressionKind) + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(ready(self.control.all_suppressions(visit)))
    }

    fn note_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: Vec<JobError>,
    ) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.control.note_job_errors(scope, campaign, &errors)))
    }

    fn replace_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: JobErrors,
    ) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.control.replace_job_errors(scope, campaign, &errors)))
    }

    fn job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, JobErrors> {
        Box::pin(ready(self.control.job_errors(scope, campaign, after, limit)))
    }
}

impl Journal for SqliteStore {
    fn write_recipients(
        &self,
        no: CampaignNo,
        expected: u64,
    ) -> Result<Box<dyn RecipientWriter>, StoreError> {
        upload::begin(&self.campaigns, no, expected)
    }

    fn recipients(&self, no: CampaignNo, chunk: ChunkNo) -> StoreFuture<'_, Recipients> {
        Box::pin(ready(self.campaigns.recipients(no, chunk)))
    }

    fn commit(&self, seq: RowSeq, row: Bytes) -> Ticket<'_> {
        Box::pin(ready(self.journal.commit(seq, &row)))
    }

    fn newest(&self) -> StoreFuture<'_, RowSeq> {
        Box::pin(ready(self.journal.newest()))
    }

    fn replay<'a>(
        &'a self,
        after: RowSeq,
        visit: &'a mut (dyn FnMut(RowSeq, &[u8]) + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(ready(self.journal.replay(after, visit)))
    }

    fn save_state(&self, no: CampaignNo, save: StateSave) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.campaigns.save_state(no, &save)))
    }

    fn header(&self, no: CampaignNo) -> StoreFuture<'_, Header> {
        Box::pin(ready(self.campaigns.header(no)))
    }

    fn state(&self, no: CampaignNo, chunk: ChunkNo) -> StoreFuture<'_, Option<ChunkState>> {
        Box::pin(ready(self.campaigns.state(no, chunk)))
    }

    fn trim(&self, through: RowSeq) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.journal.trim(through)))
    }

    fn maintain(&self) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.journal.maintain()))
    }

    fn lists(&self, after: CampaignNo) -> StoreFuture<'_, Vec<CampaignNo>> {
        Box::pin(ready(self.campaigns.lists(after)))
    }

    fn free_octets(&self) -> StoreFuture<'_, Option<u64>> {
        Box::pin(ready(self.campaigns.directory.free_octets().map(Some)))
    }

    fn erase(
        &self,
        no: CampaignNo,
        chunk: ChunkNo,
        hashes: BTreeMap<u64, NumberHash>,
        variables: usize,
    ) -> StoreFuture<'_, u64> {
        Box::pin(ready(self.campaigns.erase((no, chunk), &hashes, variables)))
    }

    fn scrub(&self, nos: Vec<CampaignNo>) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.campaigns.scrub(&nos).and_then(|()| self.journal.scrub())))
    }

    fn remove(&self, no: CampaignNo) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.campaigns.remove(no)))
    }
}

/// A panic under the lock dropped the connection with it, so that the state behind a poisoned lock is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
