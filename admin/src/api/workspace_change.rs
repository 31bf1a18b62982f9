//! Changing a workspace: whatever else changes beside it, and with word to the engine.

use super::problem::{Code, Problem};
use super::roster::{self, ATTEMPTS};
use super::state::Api;
use engine::model::{Principal, Workspace, WorkspaceId};
use engine::store::{Change, Entity, Expect, Kind, Scope, StoreError};

/// The workspace of a slug.
///
/// # Errors
/// `not_found`, the store's.
pub(crate) async fn by_slug(api: &Api, slug: &str) -> Result<Workspace, Problem> {
    match api.catalog.find(Scope::Platform, Kind::Workspace, slug.to_owned()).await {
        Ok(Entity::Workspace(workspace)) => Ok(workspace),
        Ok(_) | Err(StoreError::NotFound) => Err(Problem::new(Code::NotFound)),
        Err(error) => Err(error.into()),
    }
}

/// Who changes a workspace, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hand<'a> {
    /// The workspace's own scope for its admins, the platform's for the provider.
    pub(crate) scope: Scope,
    /// Who.
    pub(crate) by: &'a Principal,
    /// The audited action.
    pub(crate) action: &'static str,
}

/// Edits a workspace as it is stored now and tells the engine, which it does also when nothing has changed: whoever
/// was told that the engine did not take a change can send it again.
///
/// # Errors
/// Those of `edit`, `version_changed` when others change it again and again, the store's and the engine's.
pub(crate) async fn change(
    api: &Api,
    id: WorkspaceId,
    hand: Hand<'_>,
    edit: impl Fn(&mut Workspace) -> Result<(), Problem>,
) -> Result<Workspace, Problem> {
    let Hand { scope, by, action } = hand;
    for _ in 0..ATTEMPTS {
        let before = roster::workspace(api, id).await?;
        let mut after = before.clone();
        edit(&mut after)?;
        if after != before {
            after.version = before.version + 1;
            let (expect, entity) = (Expect::Version(before.version), Entity::Workspace(after.clone()));
            match api.catalog.apply(vec![Change { scope, expect, entity, action }], by, api.now()).await {
                Ok(()) => {}
                Err(StoreError::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        api.engine.workspace_changed(id).await?;
        return Ok(after);
    }
    Err(Problem::new(Code::VersionChanged))
}
