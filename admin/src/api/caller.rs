//! Who asks, and how they stand in the workspace that they ask about: what the guard found out, for handlers.
//!
//! Handlers take a [`Caller`], a [`Member`] or a [`SuperAdmin`]; each refuses a request that did not pass the guard, so
//! that a route which was bypassed fails closed.

use super::permission::{Action, Grant, Standing};
use super::problem::{Code, Problem};
use super::request::Trace;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use engine::model::{ApiKey, Login, Principal, Role, User, UserId, Workspace};
use engine::store::Scope;
use std::sync::Arc;
use uuid::Uuid;

/// How a caller proved who it is.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// A person's login.
    Login(Arc<Login>),
    /// A program's key.
    Key(Arc<ApiKey>),
}

impl Proof {
    /// The login's id, or the key's.
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::Login(login) => login.id,
            Self::Key(key) => key.id,
        }
    }
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The account.
    pub(crate) user: Arc<User>,
    /// How it was proved.
    pub(crate) proof: Proof,
    /// Where the request comes from.
    pub(crate) trace: Trace,
}

impl Caller {
    /// As audit events name it, in this role.
    pub(crate) fn principal(&self, role: &str) -> Principal {
        Principal { user_id: Some(self.user.id), role: role.to_owned(), ..self.trace.anonymous() }
    }

    /// Outside of workspaces: `SuperAdmin`, or `User`.
    pub(crate) fn platform_principal(&self) -> Principal {
        platform_principal(&self.user, &self.trace)
    }
}

/// An account outside of workspaces as audit events name it: `SuperAdmin`, or `User`.
pub(crate) fn platform_principal(user: &User, trace: &Trace) -> Principal {
    let role = if user.super_admin { Standing::SuperAdmin.role() } else { "User" };
    Principal { user_id: Some(user.id), role: role.to_owned(), ..trace.anonymous() }
}

/// Shows that a super admin asks: for handlers that read over all workspaces and need nothing else of the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SuperAdmin;

/// Somebody in a workspace, about to do what the guard has allowed.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Who.
    pub(crate) caller: Caller,
    /// Where.
    pub(crate) workspace: Arc<Workspace>,
    /// As what.
    pub(crate) standing: Standing,
    /// What the route does.
    pub(crate) action: Action,
    /// How far it is granted; never `No`.
    pub(crate) grant: Grant,
}

impl Member {
    /// What the store may show.
    pub(crate) fn scope(&self) -> Scope {
        Scope::Workspace(self.workspace.id)
    }

    /// The account.
    pub(crate) fn user_id(&self) -> UserId {
        self.caller.user.id
    }

    /// As audit events name it.
    pub(crate) fn principal(&self) -> Principal {
        self.caller.principal(self.standing.role())
    }

    /// Whether this standing may also do something else here, to anything.
    pub(crate) fn may(&self, action: Action) -> bool {
        let is_in_key = match &self.caller.proof {
            Proof::Login(_) => true,
            Proof::Key(key) => action.key_scope().is_some_and(|scope| key.scopes.contains(&scope)),
        };
        is_in_key
            && match action.grant(self.standing) {
                Grant::Yes => true,
                Grant::ByPolicy => by_policy(action, self.standing, &self.workspace),
                Grant::No | Grant::Own | Grant::BeforeStart => false,
            }
    }

    /// Refuses what somebody else created where only one's own is granted.
    ///
    /// # Errors
    /// `not_yours`.
    pub(crate) fn must_own(&self, created_by: UserId) -> Result<(), Problem> {
        match self.grant {
            Grant::Own if created_by != self.user_id() => Err(Problem::new(Code::NotYours)),
            Grant::No => Err(Problem::new(Code::Forbidden)),
            Grant::Own | Grant::BeforeStart | Grant::ByPolicy | Grant::Yes => Ok(()),
        }
    }

    /// Whether campaigns of others are hidden from this member.
    pub(crate) fn sees_own_only(&self) -> bool {
        matches!(self.standing, Standing::Author) && !self.workspace.policies.authors_see_all
    }
}

/// What a workspace's policies grant where the table leaves it to them.
pub(crate) fn by_policy(action: Action, standing: Standing, workspace: &Workspace) -> bool {
    let policies = &workspace.policies;
    let role = match standing {
        Standing::Author | Standing::FlaggedAuthor => Role::Author,
        Standing::Moderator => Role::Moderator,
        Standing::Admin => Role::Admin,
        Standing::SuperAdmin => return false,
    };
    match action {
        Action::Reveal => policies.reveal_roles.contains(&role),
        Action::SenderWrite => policies.authors_draft_senders,
        _ => false,
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::new(Code::Unauthenticated))
    }
}

impl<S: Sync> FromRequestParts<S> for SuperAdmin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.user.super_admin { Ok(Self) } else { Err(Problem::new(Code::Forbidden)) }
    }
}

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::new(Code::NotFound))
    }
}
