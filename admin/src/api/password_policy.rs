//! From a password that somebody has chosen to what is stored of it, under the policy in force.

use super::problem::Problem;
use super::state::Api;
use crate::accounts::{Owner, Passwords};
use engine::model::{Credential, EntityId, PasswordPolicy, Settings};
use engine::store::{Catalog, Entity, Kind, Scope, StoreError};

/// What a password must be now.
///
/// # Errors
/// The store's.
pub(crate) async fn password_policy(catalog: &dyn Catalog) -> Result<PasswordPolicy, StoreError> {
    match catalog.get(Scope::Platform, Kind::Settings, EntityId(Settings::ID)).await {
        Ok(Entity::Settings(settings)) => Ok(settings.password_policy),
        Ok(_) | Err(StoreError::NotFound) => Ok(PasswordPolicy::default()),
        Err(error) => Err(error),
    }
}

/// What to store of a chosen password.
///
/// # Errors
/// `weak_password`, `rate_limited`, the store's.
pub(crate) async fn chosen(api: &Api, password: &str, owner: Owner<'_>) -> Result<Credential, Problem> {
    let policy = password_policy(&*api.catalog).await?;
    Passwords::check_policy(policy, password, owner)?;
    Ok(api.passwords.hash(password).await?)
}
