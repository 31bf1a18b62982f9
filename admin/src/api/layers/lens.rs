//! A catalog that remembers under which scopes it was asked, and forgets them on its way to the store where a test
//! wants that.

use crate::api::testing::House;
use engine::model::traffic::Traffic;
use engine::model::{
    AuditEvent, CampaignId, CampaignNo, EntityId, JobError, JobErrors, Principal, Suppression,
    SuppressionKind, WorkspaceId,
};
use engine::store::{
    AuditExpiry, AuditPage, AuditQuery, AuditReport, CampaignPage, CampaignQuery, CampaignScope,
    CampaignUsage, Catalog, Change, Entity, HourUsage, Kind, Note, Overview, Page, Query, Scope, SqliteStore,
    StoreFuture, SuppressionKey,
};
use jiff::Timestamp;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// What of the store was asked for under which scope: the name of a kind, or of what is no entity.
pub(super) type Asked = (Scope, &'static str);

/// What becomes of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// They are handed on.
    Keen,
    /// Whatever is asked for is looked for in all workspaces.
    Blind,
}

/// The catalog.
pub(super) struct Lens {
    store: Arc<SqliteStore>,
    sight: Sight,
    asked: Mutex<Vec<Asked>>,
}

impl Lens {
    /// An installation whose API sees the store through it.
    pub(super) async fn before(sight: Sight) -> (House, Arc<Self>) {
        let mut made = None;
        let house = House::open_through(|store| {
            let lens = Arc::new(Self { store, sight, asked: Mutex::default() });
            made = Some(Arc::clone(&lens));
            lens
        });
        let house = house.await;
        (house, made.expect("it was opened through it"))
    }

    /// What was asked since the last time that this was called.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn at(&self, scope: Scope, what: &'static str) -> Scope {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((scope, what));
        if self.sight == Sight::Blind { Scope::Platform } else { scope }
    }

    fn over(&self, scope: CampaignScope, what: &'static str) -> CampaignScope {
        let told = match &scope {
            CampaignScope::Workspace(id) => Scope::Workspace(*id),
            CampaignScope::Workspaces { .. } | CampaignScope::EveryWorkspace => Scope::Platform,
        };
        self.at(told, what);
        if self.sight == Sight::Blind { CampaignScope::EveryWorkspace } else { scope }
    }
}

/// Methods that are handed on as they are.
macro_rules! handed_on {
    ($($name:ident($($given:ident: $of:ty),*) -> $out:ty;)+) => {
        $(fn $name(&self, $($given: $of),*) -> StoreFuture<'_, $out> {
            self.store.$name($($given),*)
        })+
    };
}

/// Methods that are asked under a scope.
macro_rules! scoped {
    ($($name:ident($what:expr; $($given:ident: $of:ty),*) -> $out:ty;)+) => {
        $(fn $name(&self, scope: Scope, $($given: $of),*) -> StoreFuture<'_, $out> {
            let scope = self.at(scope, $what);
            self.store.$name(scope, $($given),*)
        })+
    };
}

impl Catalog for Lens {
    handed_on! {
        put_traffic(workspace: WorkspaceId, campaign: CampaignId, hours: Vec<(u32, Traffic)>) -> ();
        note(notes: Vec<Note>) -> u64;
        schema_version() -> u32;
        audit_logs(after: Option<Scope>) -> Vec<Scope>;
        purge(kind: Kind, before: Timestamp) -> u64;
        next_campaign_no() -> CampaignNo;
        next_epoch() -> u32;
    }

    scoped! {
        get(kind.name(); kind: Kind, id: EntityId) -> Entity;
        find(kind.name(); kind: Kind, unique: String) -> Entity;
        list(query.kind.name(); query: Query) -> Page<Entity>;
        audit("audit"; after: u64) -> Vec<AuditEvent>;
        audit_events("audit"; query: AuditQuery) -> AuditPage;
        audit_verify("audit";) -> AuditReport;
        suppressions("suppression"; after: Option<SuppressionKey>, limit: usize) -> Vec<Suppression>;
        note_job_errors("job errors"; campaign: CampaignId, errors: Vec<JobError>) -> ();
        replace_job_errors("job errors"; campaign: CampaignId, errors: JobErrors) -> ();
        job_errors("job errors"; campaign: CampaignId, after: u64, limit: usize) -> JobErrors;
    }

    fn apply<'a>(&'a self, changes: Vec<Change>, by: &'a Principal, at: Timestamp) -> StoreFuture<'a, ()> {
        let scoped =
            |change: Change| Change { scope: self.at(change.scope, change.entity.kind().name()), ..change };
        self.store.apply(changes.into_iter().map(scoped).collect(), by, at)
    }

    fn campaigns(&self, scope: CampaignScope, query: CampaignQuery) -> StoreFuture<'_, CampaignPage> {
        self.store.campaigns(self.over(scope, Kind::Campaign.name()), query)
    }

    fn overview(&self, scope: CampaignScope, now: Timestamp) -> StoreFuture<'_, Overview> {
        self.store.overview(self.over(scope, "overview"), now)
    }

    fn traffic(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<HourUsage>> {
        self.at(Scope::Workspace(workspace), "usage");
        self.store.traffic(workspace, hours)
    }

    fn usage(&self, workspace: WorkspaceId, hours: Range<u32>) -> StoreFuture<'_, Vec<CampaignUsage>> {
        self.at(Scope::Workspace(workspace), "usage");
        self.store.usage(workspace, hours)
    }

    fn expire_audit<'a>(
        &'a self,
        before: Timestamp,
        by: &'a Principal,
        at: Timestamp,
    ) -> StoreFuture<'a, AuditExpiry> {
        self.store.expire_audit(before, by, at)
    }

    fn suppress<'a>(
        &'a self,
        scope: Scope,
        entries: Vec<Suppression>,
        by: &'a Principal,
        at: Timestamp,
    ) -> StoreFuture<'a, u64> {
        self.store.suppress(self.at(scope, "suppression"), entries, by, at)
    }

    fn unsuppress<'a>(
        &'a self,
        scope: Scope,
        keys: Vec<SuppressionKey>,
        by: &'a Principal,
        at: Timestamp,
    ) -> StoreFuture<'a, u64> {
        self.store.unsuppress(self.at(scope, "suppression"), keys, by, at)
    }

    fn all_suppressions<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Option<WorkspaceId>, u64, SuppressionKind) + Send),
    ) -> StoreFuture<'a, ()> {
        self.store.all_suppressions(visit)
    }
}
