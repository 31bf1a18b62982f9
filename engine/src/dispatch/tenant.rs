//! What the campaigns of a workspace share: its zone, quiet hours, weight, rate and daily budget.
//!
//! One [`Tenant`] a workspace, made when it is first needed and changed live: whoever holds it sees the change at the
//! next look. It never decides by itself what a campaign does.

use crate::dispatch::engine::{Engine, EngineError};
use crate::model::{Workspace, WorkspaceId};
use crate::schedule::Calendar;
use crate::store::{Entity, Kind, Scope, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a workspace says, as it was last read.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Zone, quiet hours, daily limit.
    pub(crate) calendar: Calendar,
    /// Share among workspaces, at least 1.
    pub(crate) weight: u32,
}

impl Settings {
    fn of(workspace: &Workspace) -> Self {
        Self { calendar: calendar_of(workspace), weight: workspace.weight.max(1) }
    }
}

/// A workspace as the dispatcher knows it.
pub(crate) struct Tenant {
    settings: Mutex<Arc<Settings>>,
}

impl Tenant {
    fn new(workspace: &Workspace) -> Self {
        Self { settings: Mutex::new(Arc::new(Settings::of(workspace))) }
    }

    /// What the workspace says now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Every tenant that was needed so far.
#[derive(Default)]
pub(crate) struct Tenants(Mutex<BTreeMap<WorkspaceId, Arc<Tenant>>>);

impl Tenants {
    fn get(&self, id: WorkspaceId) -> Option<Arc<Tenant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The tenant, made of `workspace` unless somebody was first.
    fn enter(&self, workspace: &Workspace) -> Arc<Tenant> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = known.entry(workspace.id).or_insert_with(|| Arc::new(Tenant::new(workspace)));
        Arc::clone(made)
    }
}

impl Engine {
    /// What the campaigns of this workspace share.
    pub(super) async fn tenant(&self, id: WorkspaceId) -> Result<Arc<Tenant>, EngineError> {
        if let Some(tenant) = self.0.tenants.get(id) {
            return Ok(tenant);
        }
        Ok(self.0.tenants.enter(&self.read_workspace(id).await?))
    }

    async fn read_workspace(&self, id: WorkspaceId) -> Result<Workspace, EngineError> {
        match self.0.catalog.get(Scope::Platform, Kind::Workspace, id.into()).await? {
            Entity::Workspace(workspace) => Ok(workspace),
            _ => Err(StoreError::NotFound.into()),
        }
    }
}

/// The calendar of a workspace; in UTC where nobody knows its zone, which the border refuses.
pub(crate) fn calendar_of(workspace: &Workspace) -> Calendar {
    let utc = || Workspace { time_zone: "UTC".to_owned(), ..workspace.clone() };
    Calendar::of(workspace)
        .or_else(|error| {
            tracing::error!(workspace = %workspace.id, %error, "its days are those of UTC");
            Calendar::of(&utc())
        })
        .expect("UTC is in the bundled data")
}
