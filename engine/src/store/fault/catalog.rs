//! A catalog that misbehaves to order.
//!
//! Calls that write end as the plan says: a failing one says `Unavailable`, whether it was stored or not. Every call
//! is a fixed time late, and every call can be made to fail for a while.

use super::{FaultPlan, Verdict};
use crate::model::traffic::Traffic;
use crate::model::{
    AuditEvent, CampaignId, CampaignNo, EntityId, JobError, JobErrors, Principal, Suppression,
    SuppressionKind, WorkspaceId,
};
use crate::store::{
    AuditExpiry, AuditPage, AuditQuery, AuditReport, CampaignPage, CampaignQuery, CampaignScope,
    CampaignUsage, Catalog, Change, Entity, HourUsage, Kind, Note, Overview, Page, Query, Scope, StoreError,
    StoreFuture, SuppressionKey,
};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The wrapper.
#[derive(Debug)]
pub struct FaultCatalog<C> {
    inner: C,
    delay: Duration,
    faults: Mutex<Faults>,
}

#[derive(Debug)]
struct Faults {
    writes: FaultPlan,
    failing_until: Option<Instant>,
}

impl<C: Catalog> FaultCatalog<C> {
    /// Every call is `delay` late, and those that write end as `writes` says; `Fenced` fails that one write.
    pub const fn new(inner: C, delay: Duration, writes: FaultPlan) -> Self {
        Self { inner, delay, faults: Mutex::new(Faults { writes, failing_until: None }) }
    }

    /// The catalog that really keeps everything.
    pub const fn inner(&self) -> &C {
        &self.inner
    }

    /// Every call is refused as `Unavailable` for that long.
    pub fn fail_calls_for(&self, outage: Duration) {
        self.faults().failing_until = Some(Instant::now() + outage);
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<'a, T>(
        &'a self,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'a,
    ) -> StoreFuture<'a, T>
    where
        T: 'a,
    {
        Box::pin(async move {
            sleep(self.delay).await;
            let failing = self.faults().failing_until.is_some_and(|until| Instant::now() < until);
            if failing { Err(unavailable()) } else { call.await }
        })
    }

    fn write<'a, T>(&'a self, call: impl FnOnce() -> StoreFuture<'a, T> + Send + 'a) -> StoreFuture<'a, T>
    where
        T: Send + 'a,
    {
        self.read(async move {
            let verdict = self.faults().writes.next();
            match verdict {
                Verdict::Durable => call().await,
                Verdict::AmbiguousStored => call().await.and(Err(unavailable())),
                Verdict::NotApplied | Verdict::AmbiguousLost | Verdict::Fenced => Err(unavailable()),
            }
        })
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("a failure made by the fault plan".to_owned())
}

impl<C: Catalog> Catalog for FaultCatalog<C> {
    fn apply<'a>(
        &'a self,
        changes: Vec<Change>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, ()> {
        self.write(move || self.inner.apply(changes, by, at))
    }

    fn get(&self, scope: Scope, kind: Kind, id: EntityId) -> StoreFuture<'_, Entity> {
        self.read(async move { self.inner.get(scope, kind, id).await })
    }

    fn find(&self, scope: Scope, kind: Kind, unique: String) -> StoreFuture<'_, Entity> {
        self.read(async move { self.inner.find(scope, kind, unique).await })
    }

    fn list(&self, scope: Scope, query: Query) -> StoreFuture<'_, Page<Entity>> {
        self.read(async move { self.inner.list(scope, query).await })
    }

    fn campaigns(&self, scope: CampaignScope, query: CampaignQuery) -> StoreFuture<'_, CampaignPage> {
        self.read(async move { self.inner.campaigns(scope, query).await })
    }

    fn overview(&self, scope: CampaignScope, now: jiff::Timestamp) -> StoreFuture<'_, Overview> {
        self.read(async move { self.inner.overview(scope, now).await })
    }

    fn put_traffic(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        hours: Vec<(u32, Traffic)>,
    ) -> StoreFuture<'_, ()> {
        self.write(move || self.inner.put_traffic(workspace, campaign, hours))
    }

    fn traffic(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<HourUsage>> {
        self.read(async move { self.inner.traffic(workspace, hours).await })
    }

    fn usage(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<CampaignUsage>> {
        self.read(async move { self.inner.usage(workspace, hours).await })
    }

    fn audit(&self, scope: Scope, after: u64) -> StoreFuture<'_, Vec<AuditEvent>> {
        self.read(async move { self.inner.audit(scope, after).await })
    }

    fn note(&self, notes: Vec<Note>) -> StoreFuture<'_, u64> {
        self.write(move || self.inner.note(notes))
    }

    fn audit_events(&self, scope: Scope, query: AuditQuery) -> StoreFuture<'_, AuditPage> {
        self.read(async move { self.inner.audit_events(scope, query).await })
    }

    fn schema_version(&self) -> StoreFuture<'_, u32> {
        self.read(async move { self.inner.schema_version().await })
    }

    fn audit_logs(&self, after: Option<Scope>) -> StoreFuture<'_, Vec<Scope>> {
        self.read(async move { self.inner.audit_logs(after).await })
    }

    fn audit_verify(&self, scope: Scope) -> StoreFuture<'_, AuditReport> {
        self.read(async move { self.inner.audit_verify(scope).await })
    }

    fn expire_audit<'a>(
        &'a self,
        before: jiff::Timestamp,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, AuditExpiry> {
        self.write(move || self.inner.expire_audit(before, by, at))
    }

    fn purge(&self, kind: Kind, before: jiff::Timestamp) -> StoreFuture<'_, u64> {
        self.write(move || self.inner.purge(kind, before))
    }

    fn next_campaign_no(&self) -> StoreFuture<'_, CampaignNo> {
        self.write(|| self.inner.next_campaign_no())
    }

    fn next_epoch(&self) -> StoreFuture<'_, u32> {
        self.write(|| self.inner.next_epoch())
    }

    fn suppress<'a>(
        &'a self,
        scope: Scope,
        entries: Vec<Suppression>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, u64> {
        self.write(move || self.inner.suppress(scope, entries, by, at))
    }

    fn unsuppress<'a>(
        &'a self,
        scope: Scope,
        keys: Vec<SuppressionKey>,
        by: &'a Principal,
        at: jiff::Timestamp,
    ) -> StoreFuture<'a, u64> {
        self.write(move || self.inner.unsuppress(scope, keys, by, at))
    }

    fn suppressions(
        &self,
        scope: Scope,
        after: Option<SuppressionKey>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Suppression>> {
        self.read(async move { self.inner.suppressions(scope, after, limit).await })
    }

    fn all_suppressions<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Option<WorkspaceId>, u64, SuppressionKind) + Send),
    ) -> StoreFuture<'a, ()> {
        self.read(async move { self.inner.all_suppressions(visit).await })
    }

    fn note_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: Vec<JobError>,
    ) -> StoreFuture<'_, ()> {
        self.write(move || self.inner.note_job_errors(scope, campaign, errors))
    }

    fn replace_job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        errors: JobErrors,
    ) -> StoreFuture<'_, ()> {
        self.write(move || self.inner.replace_job_errors(scope, campaign, errors))
    }

    fn job_errors(
        &self,
        scope: Scope,
        campaign: CampaignId,
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, JobErrors> {
        self.read(async move { self.inner.job_errors(scope, campaign, after, limit).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;
    use tempfile::TempDir;

    #[tokio::test(start_paused = true)]
    async fn a_failing_write_says_so_whether_it_was_stored_or_not_and_an_outage_refuses_all() {
        use Verdict::{AmbiguousLost, AmbiguousStored, NotApplied};
        let directory = TempDir::new().expect("a temporary directory");
        let store = SqliteStore::open(directory.path()).expect("the store opens");
        let script = FaultPlan::script([NotApplied, AmbiguousLost, AmbiguousStored]);
        let catalog = FaultCatalog::new(store, Duration::from_millis(50), script);
        let begin = Instant::now();
        for _ in 0..3 {
            assert!(matches!(catalog.next_epoch().await, Err(StoreError::Unavailable(_))));
        }
        assert_eq!(begin.elapsed(), Duration::from_millis(150));
        assert_eq!(catalog.next_epoch().await.expect("it passes"), 2, "one of three was stored");
        catalog.fail_calls_for(Duration::from_secs(3));
        assert!(catalog.audit(Scope::Platform, 0).await.is_err());
        assert!(catalog.next_epoch().await.is_err());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(catalog.next_epoch().await.expect("the outage is over"), 3);
    }
}
