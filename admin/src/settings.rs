//! The platform's settings as they are stored: one entity, absent until somebody or the first start has set something.

use engine::model::{EntityId, Settings};
use engine::store::{Catalog, Entity, Kind, Scope, StoreError};

/// The settings, if there are any.
///
/// # Errors
/// The store's.
pub(crate) async fn stored(catalog: &dyn Catalog) -> Result<Option<Settings>, StoreError> {
    match catalog.get(Scope::Platform, Kind::Settings, EntityId(Settings::ID)).await {
        Ok(Entity::Settings(settings)) => Ok(Some(settings)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
