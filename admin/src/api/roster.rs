//! Who belongs to a workspace: the one place where memberships are made, changed and ended.
//!
//! Invariant: a workspace that has an Admin keeps one. Whoever takes an Admin away does it against the version of the
//! workspace, so that of two who remove each other one comes too late.

use super::problem::{Code, Problem};
use super::state::Api;
use engine::model::{ApiKey, EntityId, Membership, Principal, Role, User, UserId, Workspace, WorkspaceId};
use engine::store::{ACTIVE, Change, Entity, Expect, Kind, MAX_PAGE, Query, Scope, StoreError};
use jiff::Timestamp;
use uuid::Uuid;

/// How often a change is tried while others change the same.
pub(crate) const ATTEMPTS: usize = 5;

/// What somebody is in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Post {
    /// As what.
    pub(crate) role: Role,
    /// Whether an author decides too.
    pub(crate) is_moderator: bool,
    /// Until when.
    pub(crate) expires_at: Option<Timestamp>,
}

impl Post {
    /// A post without a flag or an end.
    pub(crate) const fn of(role: Role) -> Self {
        Self { role, is_moderator: false, expires_at: None }
    }

    /// Of a membership.
    pub(crate) const fn held(membership: &Membership) -> Self {
        let Membership { role, is_moderator, expires_at, .. } = *membership;
        Self { role, is_moderator, expires_at }
    }

    /// Refuses the flag beside any role but Author.
    pub(crate) fn check(self) -> Result<Self, Problem> {
        if self.is_moderator && self.role != Role::Author {
            let message = "Only an Author has this flag: the other roles decide anyway.";
            return Err(Problem::field("is_moderator", "author_only", message));
        }
        Ok(self)
    }

    const fn is_standing_admin(self) -> bool {
        matches!(self.role, Role::Admin) && self.expires_at.is_none()
    }
}

/// What is to become of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It stays as it is.
    Keep,
    /// It is to be this.
    Hold(Post),
    /// It ends.
    End,
}

/// The account's membership that was not removed; its time may be over.
pub(crate) async fn on_record(
    api: &Api,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Membership>, StoreError> {
    let key = format!("{workspace}/{user}");
    match api.catalog.find(Scope::Workspace(workspace), Kind::Membership, key).await {
        Ok(Entity::Membership(membership)) => Ok(Some(membership)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The change that gives this account a post, in the place of a membership whose time is over if there is one.
///
/// # Errors
/// `taken` for a present member.
pub(crate) fn admission(
    record: Option<Membership>,
    (workspace_id, user_id): (WorkspaceId, UserId),
    post: Post,
    now: Timestamp,
) -> Result<Change, Problem> {
    if record.as_ref().is_some_and(|membership| membership.holds_at(now)) {
        return Err(Problem::because(Code::Taken, "This account is a member already."));
    }
    Ok(placed(record, (workspace_id, user_id), post, now).1)
}

fn placed(
    record: Option<Membership>,
    (workspace_id, user_id): (WorkspaceId, UserId),
    Post { role, is_moderator, expires_at }: Post,
    now: Timestamp,
) -> (Membership, Change) {
    let expect = record.as_ref().map_or(Expect::Absent, |membership| Expect::Version(membership.version));
    let holds = record.as_ref().is_some_and(|membership| membership.holds_at(now));
    let membership = match record {
        Some(found) => {
            let created_at = if holds { found.created_at } else { now };
            Membership { role, is_moderator, expires_at, created_at, version: found.version + 1, ..found }
        }
        None => Membership {
            id: Uuid::now_v7(),
            workspace_id,
            user_id,
            role,
            is_moderator,
            version: 0,
            created_at: now,
            expires_at,
            removed_at: None,
        },
    };
    let action = if holds { "member.change" } else { "member.add" };
    let (scope, entity) = (Scope::Workspace(workspace_id), Entity::Membership(membership.clone()));
    (membership, Change { scope, expect, entity, action })
}

/// Does to the account's membership what `wish` says to the one on record, whatever happens beside it.
///
/// # Errors
/// Those of `wish`; `last_admin`, `version_changed` when others change it again and again, the store's.
pub(crate) async fn change(
    api: &Api,
    (workspace, user): (WorkspaceId, UserId),
    wish: impl Fn(Option<&Membership>) -> Result<Wish, Problem>,
    by: &Principal,
) -> Result<Option<Membership>, Problem> {
    for _ in 0..ATTEMPTS {
        let now = api.now();
        let record = on_record(api, workspace, user).await?;
        let held = record.as_ref().filter(|membership| membership.holds_at(now)).map(Post::held);
        let wish = wish(record.as_ref())?;
        let (after, mut changes) = match (wish, record) {
            (Wish::Keep, record) => return Ok(record),
            (Wish::Hold(post), record) => {
                let (after, change) = placed(record, (workspace, user), post, now);
                (Some(after), vec![change])
            }
            (Wish::End, None) => return Ok(None),
            (Wish::End, Some(record)) => (None, removal(api, record, now).await?),
        };
        let stays = matches!(wish, Wish::Hold(post) if post.is_standing_admin());
        if held.is_some_and(Post::is_standing_admin) && !stays {
            changes.push(leave_an_admin(api, workspace, user).await?);
        }
        match api.catalog.apply(changes, by, now).await {
            Ok(()) => return Ok(after),
            Err(StoreError::Conflict { .. } | StoreError::Taken(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::new(Code::VersionChanged))
}

/// Ends a membership and the keys of its programs, which must not come back with the person.
async fn removal(api: &Api, record: Membership, now: Timestamp) -> Result<Vec<Change>, Problem> {
    let scope = Scope::Workspace(record.workspace_id);
    let keys = keys_of(api, record.workspace_id, record.user_id).await?;
    let expect = Expect::Version(record.version);
    let ended = Membership { removed_at: Some(now), version: record.version + 1, ..record };
    let mut changes =
        vec![Change { scope, expect, entity: Entity::Membership(ended), action: "member.remove" }];
    changes.extend(keys.into_iter().map(|key| revocation(key, now)));
    Ok(changes)
}

/// The keys of an account that were not revoked, at most [`MAX_PAGE`].
pub(crate) async fn keys_of(
    api: &Api,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<ApiKey>, StoreError> {
    let query = Query {
        kind: Kind::ApiKey,
        statuses: vec![ACTIVE.to_owned()],
        parent: Some(user.into()),
        after: None,
        limit: MAX_PAGE,
    };
    let page = api.catalog.list(Scope::Workspace(workspace), query).await?;
    let keys = page.items.into_iter().filter_map(|entity| match entity {
        Entity::ApiKey(key) => Some(key),
        _ => None,
    });
    Ok(keys.collect())
}

/// The change that ends a key.
pub(crate) fn revocation(key: ApiKey, now: Timestamp) -> Change {
    let (scope, expect) = (Scope::Workspace(key.workspace_id), Expect::Version(key.version));
    let entity = Entity::ApiKey(ApiKey { revoked_at: Some(now), version: key.version + 1, ..key });
    Change { scope, expect, entity, action: "api_key.revoke" }
}

/// Counts the workspace's version up, if somebody else is an Admin without an end.
async fn leave_an_admin(api: &Api, id: WorkspaceId, leaving: UserId) -> Result<Change, Problem> {
    // Read before the admins: whoever takes another one away in the meantime makes this change conflict.
    let workspace = workspace(api, id).await?;
    let mut after = None;
    loop {
        let (kind, statuses) = (Kind::Membership, vec![ACTIVE.to_owned()]);
        let query = Query { kind, statuses, parent: None, after, limit: MAX_PAGE };
        let page = api.catalog.list(Scope::Workspace(id), query).await?;
        for entity in page.items {
            let Entity::Membership(other) = entity else { continue };
            let is_admin = other.user_id != leaving && Post::held(&other).is_standing_admin();
            if is_admin && user(api, other.user_id).await?.is_some_and(|user| user.disabled_at.is_none()) {
                let expect = Expect::Version(workspace.version);
                let counted = Workspace { version: workspace.version + 1, ..workspace };
                let (scope, entity) = (Scope::Workspace(id), Entity::Workspace(counted));
                return Ok(Change { scope, expect, entity, action: "workspace.count" });
            }
        }
        after = page.next;
        if after.is_none() {
            return Err(Problem::new(Code::LastAdmin));
        }
    }
}

/// A workspace by its id.
pub(crate) async fn workspace(api: &Api, id: WorkspaceId) -> Result<Workspace, Problem> {
    match api.catalog.get(Scope::Platform, Kind::Workspace, id.into()).await? {
        Entity::Workspace(workspace) => Ok(workspace),
        _ => Err(Problem::new(Code::NotFound)),
    }
}

/// An account by its id.
pub(crate) async fn user(api: &Api, id: UserId) -> Result<Option<User>, StoreError> {
    match api.catalog.get(Scope::Platform, Kind::User, EntityId(id.0)).await {
        Ok(Entity::User(user)) => Ok(Some(user)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
