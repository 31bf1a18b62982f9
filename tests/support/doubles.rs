//! A catalog and a journal that pass everything on, but for what a test wants late or refused.

use bytes::Bytes;
use engine::model::traffic::Traffic;
use engine::model::{
    AuditEvent, CampaignId, CampaignNo, ChunkNo, ChunkState, EntityId, JobError, JobErrors, NumberHash,
    Principal, Suppression, SuppressionKind, WorkspaceId,
};
use engine::store::{
    AuditExpiry, AuditPage, AuditQuery, AuditReport, CampaignPage, CampaignQuery, CampaignScope,
    CampaignUsage, Catalog, Change, Entity, Header, HourUsage, Journal, Kind, Note, Overview, Page, Query,
    RecipientWriter, Recipients, RowSeq, Scope, StateSave, StoreError, StoreFuture, SuppressionKey, Ticket,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// What becomes of the changes with one action.
#[derive(Clone, Debug)]
pub enum Fate {
    /// That many are refused as `Unavailable`, the others pass.
    Refused(u32),
    /// Each waits until the bell has rung once for it.
    Waits(Arc<Notify>),
}

/// A catalog in front of another one.
pub struct Gate {
    inner: Arc<dyn Catalog>,
    action: &'static str,
    fate: Fate,
    /// Changes with the action so far.
    pub seen: AtomicU32,
}

impl Gate {
    /// Lets everything pass but changes with `action`.
    pub fn new(inner: Arc<dyn Catalog>, action: &'static str, fate: Fate) -> Self {
        Self { inner, action, fate, seen: AtomicU32::new(0) }
    }
}

impl Catalog for Gate {
    fn apply<'a>(
        &'a self,
        changes: Vec<Change>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if changes.iter().any(|change| change.action == self.action) {
                let before = self.seen.fetch_add(1, Ordering::SeqCst);
                match &self.fate {
                    Fate::Refused(count) if before < *count => {
                        return Err(StoreError::Unavailable("refused by the test".to_owned()));
                    }
                    Fate::Refused(_) => {}
                    Fate::Waits(bell) => bell.notified().await,
                }
            }
            self.inner.apply(changes, by, at).await
        })
    }

    fn get(&self, scope: Scope, kind: Kind, id: EntityId) -> StoreFuture<'_, Entity> {
        self.inner.get(scope, kind, id)
    }

    fn find(&self, scope: Scope, kind: Kind, unique: String) -> StoreFuture<'_, Entity> {
        self.inner.find(scope, kind, unique)
    }

    fn list(&self, scope: Scope, query: Query) -> StoreFuture<'_, Page<Entity>> {
        self.inner.list(scope, query)
    }

    fn campaigns(&self, scope: CampaignScope, query: CampaignQuery) -> StoreFuture<'_, CampaignPage> {
        self.inner.campaigns(scope, query)
    }

    fn overview(&self, scope: CampaignScope, now: jiff::Timestamp) -> StoreFuture<'_, Overview> {
        self.inner.overview(scope, now)
    }

    fn put_traffic(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        hours: Vec<(u32, Traffic)>,
    ) -> StoreFuture<'_, ()> {
        self.inner.put_traffic(workspace, campaign, hours)
    }

    fn traffic(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<HourUsage>> {
        self.inner.traffic(workspace, hours)
    }

    fn usage(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<CampaignUsage>> {
        self.inner.usage(workspace, hours)
    }

    fn audit(&self, scope: Scope, after: u64) -> StoreFuture<'_, Vec<AuditEvent>> {
        self.inner.audit(scope, after)
    }

    fn note(&self, notes: Vec<Note>) -> StoreFuture<'_, u64> {
        self.inner.note(notes)
    }

    fn audit_events(&self, scope: Scope, query: AuditQuery) -> StoreFuture<'_, AuditPage> {
        self.inner.audit_events(scope, query)
    }

    fn schema_version(&self) -> StoreFuture<'_, u32> {
        self.inner.schema_version()
    }

    fn audit_logs(&self, after: Option<Scope>) -> StoreFuture<'_, Vec<Scope>> {
        self.inner.audit_logs(after)
    }

    fn audit_verify(&self, scope: Scope) -> StoreFuture<'_, AuditReport> {
        self.inner.audit_verify(scope)
    }

    fn expire_audit<'a>(
        &'a self,
        before: jiff::Timestamp,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, AuditExpiry> {
        self.inner.expire_audit(before, by, at)
    }

    fn purge(&self, kind: Kind, before: jiff::Timestamp) -> StoreFuture<'_, u64> {
        self.inner.purge(kind, before)
    }

    fn next_campaign_no(&self) -> StoreFuture<'_, CampaignNo> {
        self.inner.next_campaign_no()
    }

    fn next_epoch(&self) -> StoreFuture<'_, u32> {
        self.inner.next_epoch()
    }

    fn suppress<'a>(
        &'a self,
        scope: Scope,
        entries: Vec<Suppression>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, u64> {
        self.inner.suppress(scope, entries, by, at)
    }

    fn unsuppress<'a>(
        &'a self,
        scope: Scope,
        keys: Vec<SuppressionKey>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, u64> {
        self.inner.unsuppress(scope, keys, by, at)
    }

    fn suppressions(
        &self,
        scope: Scope,
        after: Option<SuppressionKey>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Suppression>> {
        self.inner.suppressions(scope, after, limit)
    }

    fn all_suppressions<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Option<WorkspaceId>, u64, SuppressionKind) + Send),
    ) -> StoreFuture<'a, ()> {
        self.inner.all_suppressions(visit)
    }

    fn note_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: Vec<JobError>,
    ) -> StoreFuture<'_, ()> {
        self.inner.note_job_errors(scope, campaign, errors)
    }

    fn replace_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: JobErrors,
    ) -> StoreFuture<'_, ()> {
        self.inner.replace_job_errors(scope, campaign, errors)
    }

    fn job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, JobErrors> {
        self.inner.job_errors(scope, campaign, after, limit)
    }
}

/// A journal in front of another one; reading columns may take a while or fail.
pub struct Slow {
    inner: Arc<dyn Journal>,
    state_delay: Duration,
    /// Of so many calls to maintain one is passed on.
    maintained: (AtomicU32, u32),
    /// So many reads of columns from now on are refused.
    pub refuse_states: AtomicU32,
}

impl Slow {
    /// Every read of a chunk's columns takes `state_delay` more.
    pub fn new(inner: Arc<dyn Journal>, state_delay: Duration) -> Self {
        let maintained = (AtomicU32::new(0), 1);
        Self { inner, state_delay, maintained, refuse_states: AtomicU32::new(0) }
    }

    /// Passes only one of so many calls to maintain on: over days of virtual time they would cost most of all.
    #[must_use]
    pub fn seldom_maintained(self, one_of: u32) -> Self {
        Self { maintained: (AtomicU32::new(0), one_of.max(1)), ..self }
    }
}

impl Journal for Slow {
    fn write_recipients(
        &self,
        no: CampaignNo,
        expected: u64,
    ) -> Result<Box<dyn RecipientWriter>, StoreError> {
        self.inner.write_recipients(no, expected)
    }

    fn recipients(&self, no: CampaignNo, chunk: ChunkNo) -> StoreFuture<'_, Recipients> {
        self.inner.recipients(no, chunk)
    }

    fn commit(&self, seq: RowSeq, row: Bytes) -> Ticket<'_> {
        self.inner.commit(seq, row)
    }

    fn newest(&self) -> StoreFuture<'_, RowSeq> {
        self.inner.newest()
    }

    fn replay<'a>(
        &'a self,
        after: RowSeq,
        visit: &'a mut (dyn FnMut(RowSeq, &[u8]) + Send),
    ) -> StoreFuture<'a, ()> {
        self.inner.replay(after, visit)
    }

    fn save_state(&self, no: CampaignNo, save: StateSave) -> StoreFuture<'_, ()> {
        self.inner.save_state(no, save)
    }

    fn header(&self, no: CampaignNo) -> StoreFuture<'_, Header> {
        self.inner.header(no)
    }

    fn state(&self, no: CampaignNo, chunk: ChunkNo) -> StoreFuture<'_, Option<ChunkState>> {
        Box::pin(async move {
            if !self.state_delay.is_zero() {
                crate::outfit::pass(self.state_delay).await;
            }
            let take = |left: u32| left.checked_sub(1);
            if self.refuse_states.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                return Err(StoreError::Unavailable("refused by the test".to_owned()));
            }
            self.inner.state(no, chunk).await
        })
    }

    fn trim(&self, through: RowSeq) -> StoreFuture<'_, ()> {
        self.inner.trim(through)
    }

    fn maintain(&self) -> StoreFuture<'_, ()> {
        let (calls, one_of) = &self.maintained;
        if calls.fetch_add(1, Ordering::SeqCst) % one_of == 0 {
            return self.inner.maintain();
        }
        Box::pin(async { Ok(()) })
    }

    fn lists(&self, after: CampaignNo) -> StoreFuture<'_, Vec<CampaignNo>> {
        self.inner.lists(after)
    }

    fn free_octets(&self) -> StoreFuture<'_, Option<u64>> {
        self.inner.free_octets()
    }

    fn erase(
        &self,
        no: CampaignNo,
        chunk: ChunkNo,
        hashes: BTreeMap<u64, NumberHash>,
        variables: usize,
    ) -> StoreFuture<'_, u64> {
        self.inner.erase(no, chunk, hashes, variables)
    }

    fn scrub(&self, nos: Vec<CampaignNo>) -> StoreFuture<'_, ()> {
        self.inner.scrub(nos)
    }

    fn remove(&self, no: CampaignNo) -> StoreFuture<'_, ()> {
        self.inner.remove(no)
    }
}
