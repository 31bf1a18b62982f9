//! One-time links with which an account's owner chooses a password.
//!
//! A link works once, for [`LINK_LIFETIME`], and only until a later one is made for the same account. Its secret stands
//! behind `#`, which browsers do not send: no log or proxy on the way sees it.

use super::secret::Secret;
use engine::model::{PasswordLink, UserId};
use engine::store::{ACTIVE, Catalog, Change, Entity, Expect, Kind, MAX_PAGE, Query, Scope, StoreError};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// How long a link works.
pub(crate) const LINK_LIFETIME: SignedDuration = SignedDuration::from_hours(72);

/// A new link: the change that stores it, and the secret for its holder.
pub(crate) fn new_link(user_id: UserId, now: Timestamp) -> (Change, PasswordLink, Secret) {
    let secret = Secret::new();
    let link = PasswordLink {
        id: Uuid::now_v7(),
        user_id,
        credential: secret.credential(),
        version: 0,
        created_at: now,
        expires_at: now + LINK_LIFETIME,
        used_at: None,
    };
    let entity = Entity::PasswordLink(link.clone());
    let (scope, expect) = (Scope::Platform, Expect::Absent);
    (Change { scope, expect, entity, action: "password_link.create" }, link, secret)
}

/// What ends a link: it was used, or a later one replaces it.
pub(crate) fn end_link(link: PasswordLink, action: &'static str, now: Timestamp) -> Change {
    let expect = Expect::Version(link.version);
    let ended = PasswordLink { used_at: Some(now), version: link.version + 1, ..link };
    Change { scope: Scope::Platform, expect, entity: Entity::PasswordLink(ended), action }
}

/// What ends every link of an account that still works.
///
/// # Errors
/// The store's.
pub(crate) async fn end_links(
    catalog: &dyn Catalog,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<Change>, StoreError> {
    let (statuses, parent) = (vec![ACTIVE.to_owned()], Some(user.into()));
    let query = Query { kind: Kind::PasswordLink, statuses, parent, after: None, limit: MAX_PAGE };
    // Making one ends those before it, so that there is never more than a page.
    let page = catalog.list(Scope::Platform, query).await?;
    let links = page.items.into_iter().filter_map(|entity| match entity {
        Entity::PasswordLink(link) => Some(end_link(link, "password_link.replace", now)),
        _ => None,
    });
    Ok(links.collect())
}
