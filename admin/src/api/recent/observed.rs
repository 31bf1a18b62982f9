//! The catalog of the admin plane: the store's, and whatever changes who may do what is told to [`Recent`].
//!
//! What is read inside a workspace is looked at once more: a store that forgot a scope would still show nothing foreign.

use super::{Concern, Recent};
use engine::model::traffic::Traffic;
use engine::model::{
    AuditEvent, CampaignId, CampaignNo, EntityId, JobError, JobErrors, Principal, Suppression,
    SuppressionKind, WorkspaceId,
};
use engine::store::{
    AuditExpiry, AuditPage, AuditQuery, AuditReport, CampaignPage, CampaignQuery, CampaignScope,
    CampaignUsage, Catalog, Change, Entity, HourUsage, Kind, Note, Overview, Page, Query, Scope, StoreError,
    StoreFuture, SuppressionKey,
};
use jiff::Timestamp;
use std::ops::Range;
use std::sync::Arc;
use tracing::Instrument;

/// The wrapper.
pub(crate) struct Observed {
    inner: Arc<dyn Catalog>,
    recent: Arc<Recent>,
}

impl Observed {
    /// Over this catalog, for this memory.
    pub(crate) fn new(inner: Arc<dyn Catalog>, recent: Arc<Recent>) -> Self {
        Self { inner, recent }
    }
}

/// Whether it may be seen under this scope: records of the platform may under every one.
fn is_within(scope: Scope, entity: &Entity) -> bool {
    match scope {
        Scope::Platform => true,
        Scope::Workspace(id) => entity.tenant().is_none_or(|tenant| tenant == id),
    }
}

fn owned(scope: Scope, entity: Entity) -> Result<Entity, StoreError> {
    match is_within(scope, &entity) {
        true => Ok(entity),
        false => {
            tracing::error!(
                ?scope,
                kind = entity.kind().name(),
                "the store showed something of another workspace"
            );
            Err(StoreError::NotFound)
        }
    }
}

impl Catalog for Observed {
    /// A change that concerns the memory runs to its end also when its caller goes away: it may take effect, and then
    /// it must be known. One that fails may have taken effect too.
    fn apply<'a>(&'a self, changes: Vec<Change>, by: &'a Principal, at: Timestamp) -> StoreFuture<'a, ()> {
        let concerns: Vec<_> = changes.iter().filter_map(|change| Concern::of(&change.entity)).collect();
        if concerns.is_empty() {
            return self.inner.apply(changes, by, at);
        }
        let (inner, recent, by) = (Arc::clone(&self.inner), Arc::clone(&self.recent), by.clone());
        let applying = async move {
            let done = inner.apply(changes, &by, at).await;
            recent.forget(&concerns);
            done
        };
        Box::pin(async move {
            let ended = |why: tokio::task::JoinError| StoreError::Unavailable(why.to_string());
            tokio::spawn(applying.in_current_span()).await.map_err(ended)?
        })
    }

    fn get(&self, scope: Scope, kind: Kind, id: EntityId) -> StoreFuture<'_, Entity> {
        Box::pin(async move { owned(scope, self.inner.get(scope, kind, id).await?) })
    }

    fn find(&self, scope: Scope, kind: Kind, unique: String) -> StoreFuture<'_, Entity> {
        Box::pin(async move { owned(scope, self.inner.find(scope, kind, unique).await?) })
    }

    fn list(&self, scope: Scope, query: Query) -> StoreFuture<'_, Page<Entity>> {
        Box::pin(async move {
            let mut page = self.inner.list(scope, query).await?;
            page.items.retain(|entity| is_within(scope, entity));
            Ok(page)
        })
    }

    fn campaigns(&self, scope: CampaignScope, query: CampaignQuery) -> StoreFuture<'_, CampaignPage> {
        Box::pin(async move {
            let mut page = self.inner.campaigns(scope.clone(), query).await?;
            page.items.retain(|item| match &scope {
                CampaignScope::Workspace(id) => item.campaign.workspace_id == *id,
                CampaignScope::Workspaces { all, own, .. } => {
                    all.iter().chain(own).any(|id| item.campaign.workspace_id == *id)
                }
                CampaignScope::EveryWorkspace => true,
            });
            Ok(page)
        })
    }

    fn overview(&self, scope: CampaignScope, now: Timestamp) -> StoreFuture<'_, Overview> {
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
        Box::pin(async move {
            let mut page = self.inner.audit_events(scope, query).await?;
            page.items.retain(|event| event.workspace_id.map_or(Scope::Platform, Scope::Workspace) == scope);
            Ok(page)
        })
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
        before: Timestamp,
        by: &'a Principal,
        at: Timestamp,
    ) -> StoreFuture<'a, AuditExpiry> {
        self.inner.expire_audit(before, by, at)
    }

    fn purge(&self, kind: Kind, before: Timestamp) -> StoreFuture<'_, u64> {
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
        at: Timestamp,
    ) -> StoreFuture<'a, u64> {
        self.inner.suppress(scope, entries, by, at)
    }

    fn unsuppress<'a>(
        &'a self,
        scope: Scope,
        keys: Vec<SuppressionKey>,
        by: &'a Principal,
        at: Timestamp,
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
