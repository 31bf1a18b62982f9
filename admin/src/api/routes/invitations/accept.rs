//! Accepting an invitation: with a new account, or logged in with the one that was invited.
//!
//! Of two who accept with one link, one wins: everything is one transaction against the invitation's version.

use crate::accounts::{Owner, digest};
use crate::api::caller::{Caller, Proof};
use crate::api::fields;
use crate::api::guard::{self, Access};
use crate::api::json::Json;
use crate::api::password_policy::chosen;
use crate::api::problem::{Code, Problem};
use crate::api::request::Trace;
use crate::api::roster::{self, Post, admission};
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use engine::model::{Admission, Invitation, Preferences, Principal, Role, User, UserId};
use engine::store::{Change, Entity, Expect, Kind, Scope, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Longest token that is looked up.
const MAX_TOKEN_CHARS: usize = 128;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::Public, routes!(accept))
}

/// What an invitation is accepted with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    /// What stands behind the `#` of the link.
    #[schema(max_length = 128)]
    token: String,
    /// The name of a new account; an existing one keeps its own.
    #[schema(example = "Ann Author", max_length = 200)]
    name: Option<String>,
    /// The password of a new account; an existing one keeps its own.
    #[schema(max_length = 128)]
    password: Option<String>,
}

/// A new membership.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The workspace's name in addresses.
    #[schema(example = "acme-corp")]
    slug: String,
    /// The workspace's name for people.
    #[schema(example = "Acme Corporation")]
    name: String,
    /// As what.
    #[schema(value_type = String, example = "Author")]
    role: Role,
    /// Whose account; log in with it.
    #[schema(value_type = Uuid)]
    user_id: UserId,
    /// Its email.
    #[schema(example = "ann@example.com")]
    email: String,
}

/// Accepts an invitation.
///
/// Without an account for its email, `name` and `password` make one. With one, log in as it and give neither: 401 when
/// nobody is logged in, 409 when somebody else is.
#[utoipa::path(
    post, path = "/invitations/accept", tag = "Members", request_body = Acceptance,
    responses(
        (status = 200, body = Accepted),
        (status = 401, body = crate::api::problem::ProblemBody, description = "Log in as the invited account",
            content_type = "application/problem+json"),
        (status = 404, body = crate::api::problem::ProblemBody, description = "No such link",
            content_type = "application/problem+json"),
        (status = 410, body = crate::api::problem::ProblemBody, description = "Revoked, or its time is over",
            content_type = "application/problem+json"),
        (status = 429, body = crate::api::problem::ProblemBody, description = "Too many passwords are being hashed",
            content_type = "application/problem+json"),
    )
)]
async fn accept(
    State(api): State<Arc<Api>>,
    trace: Trace,
    headers: HeaderMap,
    Json(body): Json<Acceptance>,
) -> Result<axum::Json<Accepted>, Problem> {
    let invitation = open(&api, &body.token).await?;
    let (user, created) = match account(&api, &invitation.email).await? {
        Some(user) => (existing(&api, (&trace, &headers), user, &body).await?, None),
        None => {
            let user = newcomer(&api, &invitation, &body).await?;
            let (expect, entity) = (Expect::Absent, Entity::User(user.clone()));
            let change = Change { scope: Scope::Platform, expect, entity, action: "user.create" };
            (user, Some(change))
        }
    };
    join(&api, &trace, invitation, (user, created)).await.map(axum::Json)
}

/// The invitation of a token, if it can be accepted.
async fn open(api: &Api, token: &str) -> Result<Invitation, Problem> {
    let unknown = || Problem::because(Code::NotFound, "There is no invitation with this link.");
    if token.len() > MAX_TOKEN_CHARS {
        return Err(unknown());
    }
    let found = api.catalog.find(Scope::Platform, Kind::Invitation, digest(token).0).await;
    let invitation = match found {
        Ok(Entity::Invitation(invitation)) => invitation,
        Ok(_) | Err(StoreError::NotFound) => return Err(unknown()),
        Err(error) => return Err(error.into()),
    };
    match invitation.status {
        Admission::Accepted => Err(used()),
        Admission::Declined => Err(Problem::because(Code::Gone, "The invitation was revoked.")),
        Admission::Pending if invitation.expires_at <= api.now() => {
            Err(Problem::because(Code::Gone, "The time of the invitation is over; ask for another one."))
        }
        Admission::Pending => Ok(invitation),
    }
}

fn used() -> Problem {
    Problem::because(Code::AlreadyDecided, "The invitation was accepted already.")
}

/// The account of an email.
pub(super) async fn account(api: &Api, email: &str) -> Result<Option<User>, StoreError> {
    match api.catalog.find(Scope::Platform, Kind::User, email.to_owned()).await {
        Ok(Entity::User(user)) => Ok(Some(user)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The invited account, if it is the one that is logged in.
async fn existing(
    api: &Api,
    (trace, headers): (&Trace, &HeaderMap),
    user: User,
    body: &Acceptance,
) -> Result<User, Problem> {
    let log_in = || {
        Problem::because(Code::Unauthenticated, "There is an account with this email: log in with it first.")
    };
    if headers.contains_key(header::AUTHORIZATION) {
        return Err(log_in());
    }
    let caller = guard::caller(api, headers, trace.clone()).await?.ok_or_else(log_in)?;
    let Caller { user: caller, proof: Proof::Login(_), .. } = caller else { return Err(log_in()) };
    if caller.id != user.id {
        let message = "The invitation is for another account than the one that is logged in.";
        return Err(Problem::because(Code::StateConflict, message));
    }
    if body.name.is_some() || body.password.is_some() {
        let message = "The account exists: it keeps its name and password, leave both out.";
        return Err(Problem::because(Code::StateConflict, message));
    }
    Ok(user)
}

/// The account to be made.
async fn newcomer(api: &Api, invitation: &Invitation, body: &Acceptance) -> Result<User, Problem> {
    let missing = |field: &str| Problem::field(field, "required", "A new account needs it.");
    let name = body.name.as_deref().ok_or_else(|| missing("name"))?;
    let name = fields::line("name", name)?;
    let password = body.password.as_deref().ok_or_else(|| missing("password"))?;
    let credential = chosen(api, password, Owner { email: &invitation.email, name: &name }).await?;
    Ok(User {
        id: UserId(Uuid::now_v7()),
        email: invitation.email.clone(),
        name,
        credential: Some(credential),
        super_admin: false,
        preferences: Preferences::default(),
        version: 0,
        created_at: api.now(),
        disabled_at: None,
    })
}

/// Stores account, membership and decision, all or none.
async fn join(
    api: &Api,
    trace: &Trace,
    invitation: Invitation,
    (user, created): (User, Option<Change>),
) -> Result<Accepted, Problem> {
    let (now, workspace_id, role) = (api.now(), invitation.workspace_id, invitation.role);
    let workspace = roster::workspace(api, workspace_id).await?;
    let record = roster::on_record(api, workspace_id, user.id).await?;
    let admitted = admission(record, (workspace_id, user.id), Post::of(role), now)?;
    let expect = Expect::Version(invitation.version);
    let accepted = Invitation { status: Admission::Accepted, version: invitation.version + 1, ..invitation };
    let (scope, entity) = (Scope::Workspace(workspace_id), Entity::Invitation(accepted));
    let mut changes = vec![Change { scope, expect, entity, action: "invitation.accept" }];
    changes.extend(created);
    changes.push(admitted);
    let by = Principal { user_id: Some(user.id), role: "User".to_owned(), ..trace.anonymous() };
    match api.catalog.apply(changes, &by, now).await {
        Ok(()) => {}
        Err(StoreError::Conflict { .. }) => return Err(used()),
        Err(error) => return Err(error.into()),
    }
    let (user_id, email) = (user.id, user.email);
    Ok(Accepted { slug: workspace.slug, name: workspace.name, role, user_id, email })
}
