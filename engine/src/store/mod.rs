//! The two store roles, both batch-shaped: [`Catalog`] for entities, [`Journal`] for recipients and facts.
//!
//! They speak of entities, chunks and journal rows, never of tables or queries, so that one contract suite runs
//! on every backend. Control data owns the desired state, the journal owns the facts.
//! A store never imports the dispatcher.

mod audit;
mod chain;
#[cfg(test)]
mod contract;
mod entity;
pub mod fault;
mod listing;
mod recipients;
mod sqlite;
mod usage;

pub use audit::{
    AUDIT_SEGMENT, AuditBreak, AuditExpiry, AuditPage, AuditPlace, AuditQuery, AuditReport, MAX_AUDIT_PEOPLE,
    MAX_NOTE_DETAILS, MAX_NOTE_TEXT, MAX_NOTE_WORD, MAX_NOTES, Note,
};
pub use entity::{ACTIVE, ENDED, Entity, Kind, SUPER_ADMIN};
pub use listing::{
    AUTHORS_HOURS, ActiveCampaign, Archived, AuthorCount, CampaignCursor, CampaignItem, CampaignPage,
    CampaignQuery, CampaignScope, Direction, MAX_ACTIVE, MAX_AUTHORS, MAX_SCOPE_WORKSPACES, MAX_SEARCH_CHARS,
    NotACursor, Overview, Search, Sort, SortKey,
};
pub use recipients::Recipients;
pub use sqlite::SqliteStore;
pub use usage::{CampaignUsage, HourUsage, MAX_HOURS};

use crate::model::traffic::Traffic;
use crate::model::{
    AuditEvent, CampaignId, CampaignNo, ChunkNo, ChunkState, EntityId, JobError, JobErrors, NumberHash,
    Principal, Suppression, SuppressionKind, WorkspaceId,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

/// What a store call gives back; the embedded backend is ready at once, a remote one is not.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Version of the layout of everything stored that this program reads and writes.
pub const SCHEMA_VERSION: u32 = 5;

/// Most entities in one page of [`Catalog::list`].
pub const MAX_PAGE: usize = 200;

/// Most entries in one call of [`Catalog::suppress`] and [`Catalog::unsuppress`]: a transaction of some 50 ms.
pub const MAX_SUPPRESSIONS: usize = 10_000;

/// Why a store call did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The entity is absent, or belongs to another scope: the two are not told apart.
    #[error("not found")]
    NotFound,
    /// The expected version is not the stored one; somebody else was first.
    #[error("changed in the meantime: expected version {expected}, found {found}")]
    Conflict {
        /// What the caller had seen.
        expected: u32,
        /// What is stored.
        found: u32,
    },
    /// A unique key is taken; the key is named, its owner is not.
    #[error("{0} is already taken")]
    Taken(&'static str),
    /// What was asked breaks a limit or a rule of the store; asking again does not help.
    #[error("refused: {0}")]
    Refused(String),
    /// The store cannot be written or read now; nothing was applied.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored is damaged or of another installation or a newer version; it needs a person.
    #[error("the store cannot be used: {0}")]
    Unusable(String),
}

/// Which records a call may see. No query exists without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One tenant's.
    Workspace(WorkspaceId),
    /// The platform's own records and the engine's view over all tenants.
    Platform,
}

/// What the writer believes to be stored now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing yet.
    Absent,
    /// The entity at this [`Entity::state_version`].
    Version(u32),
}

/// One change of one entity; its audit event is written in the same transaction.
#[derive(Clone, Debug)]
pub struct Change {
    /// Within which scope; the entity must belong to it.
    pub scope: Scope,
    /// What must be stored before.
    pub expect: Expect,
    /// What is stored after.
    pub entity: Entity,
    /// The audited action: `campaign.pause` and its like.
    pub action: &'static str,
}

/// A page of entities of one kind, newest first.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which kind.
    pub kind: Kind,
    /// Only these status words; empty means any.
    pub statuses: Vec<String>,
    /// Only those that belong to this entity, see [`Entity::parent`].
    pub parent: Option<EntityId>,
    /// Continue behind this id.
    pub after: Option<EntityId>,
    /// At most this many, `1..=MAX_PAGE`.
    pub limit: usize,
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<EntityId>,
}

/// What names an entry of a suppression list: its number and its kind.
pub type SuppressionKey = (u64, SuppressionKind);

/// Entities with their audit log, suppression lists and job errors.
pub trait Catalog: Send + Sync {
    /// Applies all changes and their audit events, or none of them. A change of a workspace that only counts its version
    /// up is no event: with it, changes that must not happen beside each other conflict.
    ///
    /// # Errors
    /// `Conflict`, `Taken` (also for an id that exists), `NotFound` (absent, or outside the scope), `Refused` (a part of
    /// an entity that never changes, such as a revision's address), `Unavailable`.
    fn apply<'a>(
        &'a self,
        changes: Vec<Change>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, ()>;

    /// One entity; `NotFound` when it is absent or outside the scope.
    fn get(&self, scope: Scope, kind: Kind, id: EntityId) -> StoreFuture<'_, Entity>;

    /// The entity behind a unique key, see [`Entity::unique_key`].
    fn find(&self, scope: Scope, kind: Kind, unique: String) -> StoreFuture<'_, Entity>;

    /// A page of entities.
    fn list(&self, scope: Scope, query: Query) -> StoreFuture<'_, Page<Entity>>;

    /// A page of campaigns with exact totals, all of one moment; it reads the bodies of the page alone.
    ///
    /// # Errors
    /// `Refused`: a cursor of another order, a long search, too many workspaces. `Unavailable`, `Unusable`.
    fn campaigns(&self, scope: CampaignScope, query: CampaignQuery) -> StoreFuture<'_, CampaignPage>;

    /// The sums of a workspace's home, all of one moment; `now` ends the time that authors are counted in.
    ///
    /// # Errors
    /// `Refused` for too many workspaces; `Unavailable`.
    fn overview(&self, scope: CampaignScope, now: jiff::Timestamp) -> StoreFuture<'_, Overview>;

    /// Stores what a campaign has sent in which hour since 1970, in place of what was stored of it; facts of the
    /// journal, so no audit event.
    ///
    /// # Errors
    /// `NotFound` without such a campaign in the workspace; `Unavailable`.
    fn put_traffic(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        hours: Vec<(u32, Traffic)>,
    ) -> StoreFuture<'_, ()>;

    /// Stored traffic of a workspace hour by hour and campaign by campaign, in this order.
    ///
    /// # Errors
    /// `Refused` for more than [`MAX_HOURS`]; `Unavailable`.
    fn traffic(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<HourUsage>>;

    /// Stored traffic of a workspace in these hours by campaign.
    fn usage(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<CampaignUsage>>;

    /// Audit events of the scope's own log in order, `seq` above `after`, at most [`MAX_PAGE`]. A change is in the
    /// log of the tenant that the entity is about, else in the platform's; that of a workspace itself in both, unless it
    /// was made within the workspace's own scope.
    fn audit(&self, scope: Scope, after: u64) -> StoreFuture<'_, Vec<AuditEvent>>;

    /// Adds notes to the logs that they are for, in their order, in one transaction; one that is stored already is
    /// skipped. Gives how many are new.
    ///
    /// # Errors
    /// `Refused`: more than [`MAX_NOTES`], or a note beyond its limits, see [`Note::within_limits`]. `Unavailable`.
    fn note(&self, notes: Vec<Note>) -> StoreFuture<'_, u64>;

    /// A page of the scope's own log, newest first. A call looks through a bounded number of events, whatever the log
    /// holds: where a query joins several wishes a page may be short and still have a next one.
    ///
    /// # Errors
    /// `Refused` for more than [`MAX_AUDIT_PEOPLE`] accounts or entities. `Unavailable`.
    fn audit_events(&self, scope: Scope, query: AuditQuery) -> StoreFuture<'_, AuditPage>;

    /// The version of the layout in which everything is stored; this program writes [`SCHEMA_VERSION`].
    fn schema_version(&self) -> StoreFuture<'_, u32>;

    /// The scopes whose own logs hold anything, at most [`MAX_PAGE`], the platform's first; behind `after`.
    fn audit_logs(&self, after: Option<Scope>) -> StoreFuture<'_, Vec<Scope>>;

    /// Checks the scope's own log from its first event to its head, page by page; what is wrong with it is in the
    /// report.
    ///
    /// # Errors
    /// `Unavailable`, when it cannot be read to its end.
    fn audit_verify(&self, scope: Scope) -> StoreFuture<'_, AuditReport>;

    /// Drops the oldest whole segments of every log, see [`AUDIT_SEGMENT`], as far as all their events happened before
    /// `before`, and leaves an anchor and the event `audit.expire` in each log that was shortened. A bounded number in
    /// one call.
    ///
    /// # Errors
    /// `Unavailable`; what was dropped of other logs before is dropped.
    fn expire_audit<'a>(
        &'a self,
        before: jiff::Timestamp,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, AuditExpiry>;

    /// Removes what is left of a passing kind ([`Kind::is_passing`]) that was created before this time: how many.
    ///
    /// # Errors
    /// `Refused` for a kind that is kept; `Unavailable`.
    fn purge(&self, kind: Kind, before: jiff::Timestamp) -> StoreFuture<'_, u64>;

    /// The next campaign number; durable before it is returned, never given twice.
    fn next_campaign_no(&self) -> StoreFuture<'_, CampaignNo>;

    /// Bumps and returns the installation's start counter; the upper half of every incarnation of this run.
    fn next_epoch(&self) -> StoreFuture<'_, u32>;

    /// Puts entries on the scope's own list: the workspace's, or the installation's. An entry that is there stays as
    /// it is. One transaction with one audit event, `suppression.add`, which masks the numbers; an empty call does
    /// nothing. Gives how many are new.
    ///
    /// # Errors
    /// `Refused`: more than [`MAX_SUPPRESSIONS`], an impossible number, a long source. `Unavailable`.
    fn suppress<'a>(
        &'a self,
        scope: Scope,
        entries: Vec<Suppression>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, u64>;

    /// Takes exactly these entries off the scope's own list; absent ones are fine. One transaction with one audit
    /// event, `suppression.remove`; an empty call does nothing. Gives how many were there.
    ///
    /// # Errors
    /// `Refused` and `Unavailable` as in [`Catalog::suppress`].
    fn unsuppress<'a>(
        &'a self,
        scope: Scope,
        keys: Vec<SuppressionKey>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, u64>;

    /// A page of the scope's own list by number and kind, behind `after`, at most `limit` of `1..=MAX_PAGE`.
    fn suppressions(
        &self,
        scope: Scope,
        after: Option<SuppressionKey>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Suppression>>;

    /// Hands every entry of every list to `visit`: the installation's first (`None`), then workspace by workspace,
    /// each by number and kind. For the start; `visit` must not call the catalog.
    fn all_suppressions<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Option<WorkspaceId>, u64, SuppressionKind) + Send),
    ) -> StoreFuture<'a, ()>;

    /// Adds job errors to those of a campaign or draft; the first [`MAX_JOB_ERRORS`](crate::model::MAX_JOB_ERRORS) are kept,
    /// the others counted.
    ///
    /// # Errors
    /// `NotFound` without such a campaign in the scope; `Refused` for more than are ever kept; `Unavailable`.
    fn note_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: Vec<JobError>,
    ) -> StoreFuture<'_, ()>;

    /// Puts these job errors in the place of all that were noted for a campaign or draft: what a new recipient file
    /// says about its lines. `errors.noted` counts them all, `errors.items` are the first ones.
    ///
    /// # Errors
    /// As for [`Catalog::note_job_errors`].
    fn replace_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: JobErrors,
    ) -> StoreFuture<'_, ()>;

    /// Job errors of a campaign or draft in order, `seq` above `after`, at most `limit` of `1..=MAX_PAGE`; `NotFound` without
    /// such a campaign in the scope.
    fn job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, JobErrors>;
}

/// Place of a row in the journal: consecutive, from 1.
pub type RowSeq = u64;

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// On stable storage.
    Durable,
    /// Surely not stored; may be tried again.
    NotApplied,
    /// Perhaps stored: read [`Journal::newest`] back before trying again.
    Ambiguous,
    /// Another owner has taken over; nothing may be written any more.
    Fenced,
}

/// A commit under way.
pub type Ticket<'a> = Pin<Box<dyn Future<Output = Commit> + Send + 'a>>;

/// Takes the recipients of one campaign in order; dropped before `finish`, it leaves nothing behind.
pub trait RecipientWriter: Send {
    /// The next chunk: 4096 numbers, fewer only in the last one, and their values packed as in
    /// [`Recipients::values`], at most [`MAX_VALUES_OCTETS`]. A list without any chunk is legal.
    ///
    /// # Errors
    /// `Refused` for a chunk of another size; `Unavailable`, for instance a full disk.
    fn chunk(&mut self, numbers: &[u64], values: &[u8]) -> Result<(), StoreError>;

    /// Makes everything durable.
    ///
    /// # Errors
    /// `Unavailable`; then nothing of the upload remains.
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// Most octets of values in one chunk: 4 KiB a recipient on average, about what the longest message can show.
pub const MAX_VALUES_OCTETS: usize = 16 << 20;

/// What is stored once for a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Rows up to this one are reflected in the saved columns of every chunk; 0 before the first save.
    pub watermark: RowSeq,
    /// Recipients in all chunks.
    pub recipients: u64,
    /// Recipients charged to local days, as last saved.
    pub charges: Vec<(jiff::civil::Date, u64)>,
}

/// What is saved together for one campaign: state columns and how far the journal is folded into them.
#[derive(Clone, Debug, Default)]
pub struct StateSave {
    /// Rows up to this one are reflected in the saved columns of every chunk.
    pub watermark: RowSeq,
    /// The chunks whose columns changed.
    pub chunks: Vec<ChunkState>,
    /// Recipients charged to local days: all of them, in place of those saved before.
    pub charges: Vec<(jiff::civil::Date, u64)>,
    /// Chunks of a Trigger list that grew, whole, ascending: only the last one of a list may be short, no list
    /// shrinks.
    pub recipients: Vec<(ChunkNo, Recipients)>,
}

/// Recipients, facts and the state folded from them.
pub trait Journal: Send + Sync {
    /// Begins the recipients of a campaign; what an earlier unfinished or finished upload left is removed at once,
    /// state and header with it. Recipients beyond one chunk must be announced by `expected`; 0 begins a list that
    /// grows by [`Journal::save_state`].
    ///
    /// # Errors
    /// `Unavailable`.
    fn write_recipients(&self, no: CampaignNo, expected: u64)
    -> Result<Box<dyn RecipientWriter>, StoreError>;

    /// The recipients of one chunk; `NotFound` past the end.
    fn recipients(&self, no: CampaignNo, chunk: ChunkNo) -> StoreFuture<'_, Recipients>;

    /// Makes one row durable. Rows are committed in order of `seq`; several tickets may be in flight.
    /// A row that does not directly follow the newest stored one is `NotApplied`: a failure leaves no gap.
    fn commit(&self, seq: RowSeq, row: Bytes) -> Ticket<'_>;

    /// The newest stored row, 0 when there is none and none was trimmed. Answers behind every commit called before.
    fn newest(&self) -> StoreFuture<'_, RowSeq>;

    /// Hands every stored row behind `after` to `visit`, in order; a damaged or missing row is `Unusable`.
    /// `visit` must not call the journal.
    fn replay<'a>(
        &'a self,
        after: RowSeq,
        visit: &'a mut (dyn FnMut(RowSeq, &[u8]) + Send),
    ) -> StoreFuture<'a, ()>;

    /// Saves all of `save` for one campaign in one durable transaction; `NotFound` when no list was written, not even
    /// an empty one, `Refused` for chunks that do not continue the list. After `Unavailable` read the header back or save again: saving twice does no harm.
    fn save_state(&self, no: CampaignNo, save: StateSave) -> StoreFuture<'_, ()>;

    /// What is stored once for a campaign; `NotFound` when no list was written.
    fn header(&self, no: CampaignNo) -> StoreFuture<'_, Header>;

    /// The saved state of one chunk; `None` before its first save.
    fn state(&self, no: CampaignNo, chunk: ChunkNo) -> StoreFuture<'_, Option<ChunkState>>;

    /// Deletes rows up to and including `through`; callers pass the smallest watermark read back from the files.
    fn trim(&self, through: RowSeq) -> StoreFuture<'_, ()>;

    /// Housekeeping off the commit path: folds the write-ahead logs. Called between commits by its own worker.
    fn maintain(&self) -> StoreFuture<'_, ()>;

    /// Numbers of stored lists in order, above `after`, at most [`MAX_PAGE`]; also those that no campaign owns.
    ///
    /// # Errors
    /// `Unavailable`.
    fn lists(&self, after: CampaignNo) -> StoreFuture<'_, Vec<CampaignNo>>;

    /// Octets that the disk of the lists has left; `None` for a store whose disk is not of this machine.
    ///
    /// # Errors
    /// `Unavailable`.
    fn free_octets(&self) -> StoreFuture<'_, Option<u64>>;

    /// Replaces these numbers in one chunk, wherever they stand in it, by their hashes and the values beside them, so
    /// many `variables` each, by empty ones; durable, all of it or nothing. Gives how many recipients have lost theirs
    /// now: 0 when it was done before. Only for a list that nobody sends to any more.
    ///
    /// # Errors
    /// `NotFound` past the end, `Unusable` for values of another shape, `Unavailable`.
    fn erase(
        &self,
        no: CampaignNo,
        chunk: ChunkNo,
        hashes: BTreeMap<u64, NumberHash>,
        variables: usize,
    ) -> StoreFuture<'_, u64>;

    /// Behind it, no octet of what was erased from these lists, nor of any list that was removed or row that was trimmed,
    /// is left in what the store keeps. Takes as long as writing these lists and, where that has anything to forget,
    /// what small ones share anew; who writes into one of those waits, and so do commits while what is left of the
    /// journal is written.
    ///
    /// # Errors
    /// `Unavailable`; asking again goes on.
    fn scrub(&self, nos: Vec<CampaignNo>) -> StoreFuture<'_, ()>;

    /// Removes everything of a campaign.
    fn remove(&self, no: CampaignNo) -> StoreFuture<'_, ()>;
}
