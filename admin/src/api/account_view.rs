//! An account as answers show it, with the workspaces that it is a member of.

use super::moment::Moment;
use super::problem::Problem;
use super::state::Api;
use engine::model::{Membership, Preferences, Role, User, UserId};
use engine::store::{ACTIVE, Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

/// Most memberships that are shown: more than one person can work in.
const MAX_MEMBERSHIPS: usize = 1_000;

/// How somebody likes to see things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PreferencesView {
    /// IANA zone of the times shown; `null` for the browser's.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// BCP 47 tag of the language shown; `null` for the browser's.
    #[schema(example = "en-GB")]
    language: Option<String>,
}

impl From<&Preferences> for PreferencesView {
    fn from(preferences: &Preferences) -> Self {
        Self { time_zone: preferences.time_zone.clone(), language: preferences.language.clone() }
    }
}

/// An account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: UserId,
    /// Its email.
    #[schema(example = "ann@example.com")]
    email: String,
    /// Its name.
    #[schema(example = "Ann Author")]
    name: String,
    /// Whether it administers the platform.
    super_admin: bool,
    /// Whether a password has been chosen.
    has_password: bool,
    /// How its owner likes to see things.
    preferences: PreferencesView,
    /// When it was created.
    created_at: Moment,
    /// Since when nobody may log in with it.
    disabled_at: Option<Moment>,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
            name: user.name.clone(),
            super_admin: user.super_admin,
            has_password: user.credential.is_some(),
            preferences: (&user.preferences).into(),
            created_at: user.created_at.into(),
            disabled_at: user.disabled_at.map(Moment),
        }
    }
}

/// A workspace that an account is a member of.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MembershipView {
    /// The workspace's name in addresses.
    #[schema(example = "acme")]
    slug: String,
    /// The workspace's name.
    #[schema(example = "Acme Ltd")]
    name: String,
    /// As what.
    #[schema(value_type = String, example = "Author")]
    role: Role,
    /// Whether an author also decides about the campaigns of others.
    is_moderator: bool,
}

/// An account with its memberships.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AccountView {
    /// The account.
    user: UserView,
    /// Where it is a member now.
    memberships: Vec<MembershipView>,
}

/// An account with the memberships that count now.
///
/// # Errors
/// The store's.
pub(crate) async fn account_view(api: &Api, user: &User) -> Result<AccountView, Problem> {
    let mut memberships = Vec::new();
    for membership in memberships_of(api, user.id).await? {
        let id = membership.workspace_id.into();
        let found = api.catalog.get(Scope::Platform, Kind::Workspace, id).await?;
        if let Entity::Workspace(workspace) = found {
            let Membership { role, is_moderator, .. } = membership;
            let (slug, name) = (workspace.slug, workspace.name);
            memberships.push(MembershipView { slug, name, role, is_moderator });
        }
    }
    memberships.sort_by(|a, b| a.slug.cmp(&b.slug));
    Ok(AccountView { user: user.into(), memberships })
}

async fn memberships_of(api: &Api, user: UserId) -> Result<Vec<Membership>, StoreError> {
    let (statuses, parent) = (vec![ACTIVE.to_owned()], Some(user.into()));
    let mut query = Query { kind: Kind::Membership, statuses, parent, after: None, limit: MAX_PAGE };
    let (mut all, now) = (Vec::new(), api.now());
    while all.len() < MAX_MEMBERSHIPS {
        let page = api.catalog.list(Scope::Platform, query.clone()).await?;
        all.extend(page.items.into_iter().filter_map(|entity| match entity {
            Entity::Membership(membership) if membership.holds_at(now) => Some(membership),
            _ => None,
        }));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    Ok(all)
}
