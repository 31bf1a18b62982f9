//! The platform's settings: the one entity of them, or what holds before anybody has set anything.

use super::problem::{Code, Problem};
use super::roster::ATTEMPTS;
use super::state::Api;
use crate::settings::stored;
use engine::model::{Principal, Settings};
use engine::store::{Change, Entity, Expect, Scope, StoreError};

/// The settings that hold.
///
/// # Errors
/// The store's.
pub(crate) async fn settings(api: &Api) -> Result<Settings, StoreError> {
    Ok(stored(&*api.catalog).await?.unwrap_or_default())
}

/// Edits the settings as they are stored now; an edit that changes nothing writes nothing.
///
/// # Errors
/// `version_changed` when others change them again and again, the store's.
pub(crate) async fn change(
    api: &Api,
    (by, action): (&Principal, &'static str),
    edit: impl Fn(&mut Settings),
) -> Result<Settings, Problem> {
    for _ in 0..ATTEMPTS {
        let before = stored(&*api.catalog).await?;
        let mut after = before.clone().unwrap_or_default();
        edit(&mut after);
        if after == before.clone().unwrap_or_default() {
            return Ok(after);
        }
        let expect = before.as_ref().map_or(Expect::Absent, |before| Expect::Version(before.version));
        after.version = before.map_or(0, |before| before.version + 1);
        let change =
            Change { scope: Scope::Platform, expect, entity: Entity::Settings(after.clone()), action };
        match api.catalog.apply(vec![change], by, api.now()).await {
            Ok(()) => return Ok(after),
            Err(StoreError::Conflict { .. } | StoreError::Taken(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::new(Code::VersionChanged))
}
