//! From a password that somebody has chosen to what is stored of it, under the policy in force.

use super::problem::Problem;
use super::state::Api;
use crate::accounts::{Owner, Passwords};
use crate::settings::stored;
use engine::model::{Credential, PasswordPolicy};
use engine::store::{Catalog, StoreError};

/// What a password must be now.
///
/// # Errors
/// The store's.
pub(crate) async fn password_policy(catalog: &dyn Catalog) -> Result<PasswordPolicy, StoreError> {
    Ok(stored(catalog).await?.unwrap_or_default().password_policy)
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
