//! Who administers the platform: there is at least one from the setup on.
//!
//! Every change of who they are bumps the roster in the same transaction: of two changes that were decided at once the
//! later one fails with a conflict, so that neither two first ones are created nor the last two removed.

use engine::model::{EntityId, Roster, UserId};
use engine::store::{Catalog, Change, Entity, Expect, Kind, Query, SUPER_ADMIN, Scope, StoreError};

/// Who they were at one moment.
#[derive(Clone, Debug)]
pub(crate) struct SuperAdmins {
    /// Some of them: two are enough to tell whether anybody else is left.
    some: Vec<UserId>,
    roster: Option<Roster>,
}

impl SuperAdmins {
    /// Reads who they are.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn read(catalog: &dyn Catalog) -> Result<Self, StoreError> {
        // The roster first: a change between the two reads makes the later write fail.
        let roster = match catalog.get(Scope::Platform, Kind::Roster, EntityId(Roster::ID)).await {
            Ok(Entity::Roster(roster)) => Some(roster),
            Ok(_) | Err(StoreError::NotFound) => None,
            Err(error) => return Err(error),
        };
        let statuses = vec![SUPER_ADMIN.to_owned()];
        let query = Query { kind: Kind::User, statuses, parent: None, after: None, limit: 2 };
        let page = catalog.list(Scope::Platform, query).await?;
        let some = page.items.iter().map(|entity| UserId(entity.id().0)).collect();
        Ok(Self { some, roster })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.some.is_empty()
    }

    /// Whether there is one beside this account.
    pub(crate) fn has_other_than(&self, user: UserId) -> bool {
        self.some.iter().any(|other| *other != user)
    }

    /// What belongs into the transaction of a change of who they are.
    pub(crate) fn bump(&self) -> Change {
        let (expect, version) = match self.roster {
            None => (Expect::Absent, 0),
            Some(roster) => (Expect::Version(roster.version), roster.version + 1),
        };
        let entity = Entity::Roster(Roster { version });
        Change { scope: Scope::Platform, expect, entity, action: "super_admins.change" }
    }
}
