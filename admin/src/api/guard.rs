//! The gate before every route: who asks, and whether the route is open to them.
//!
//! Every route is registered with its [`Access`] (see `routes`); a route without one does not exist. Foreign, unknown
//! and unreadable slugs are one and the same 404. Cookie clients prove that the request comes from this site. While the
//! store cannot be read, whoever was let in a few minutes ago still is: what they may change then is the handlers' to
//! say, and but for pause and cancel that is nothing.

use super::caller::{Caller, Member, Proof, by_policy};
use super::permission::{Action, Grant, Standing};
use super::problem::{Code, Problem};
use super::recent::{Met, Place, Whose};
use super::request::Trace;
use super::state::Api;
use crate::accounts::{digest, parse_key};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::model::{EntityId, Membership, User, UserId, Workspace};
use engine::store::{Entity, Kind, Scope, StoreError};
use std::sync::Arc;

/// Name of the login's cookie: bound to the host, to HTTPS and to the whole site.
pub(crate) const COOKIE: &str = "__Host-mc_login";
/// What paths inside a workspace begin with.
const WORKSPACES: &str = "/api/v1/w/";

/// To whom a route is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Public,
    /// Everybody with a login.
    Login,
    /// Super admins with a login.
    SuperAdmin,
    /// Members of the workspace in the path, as the table of permissions says.
    Workspace(Action),
}

/// The layer.
pub(crate) async fn guard(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    match admit(&api, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(api: &Api, request: &mut Request) -> Result<(), Problem> {
    let trace = request.extensions().get::<Trace>().cloned().ok_or_else(|| Problem::new(Code::Internal))?;
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let slug = slug(request.uri().path()).map(str::to_owned);
    let access = route.as_deref().and_then(|route| api.access(request.method(), route));
    if access == Some(Access::Public) {
        return check_site(request.method(), request.headers(), api);
    }
    if !request.method().is_safe() {
        // Nothing is changed that could not be recorded, where the installation wants that.
        api.audit.admit().map_err(|_| Problem::new(Code::AuditUnavailable))?;
    }
    let is_synthetic = matches!(slug.as_deref(), Some("master" | "archive"));
    if access.is_none() && !is_synthetic {
        // No route, or none with this method: axum's own answer.
        return Ok(());
    }
    let caller =
        caller(api, request.headers(), trace).await?.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
    if matches!(caller.proof, Proof::Login(_)) {
        check_site(request.method(), request.headers(), api)?;
    }
    if let Some(slug) = slug.as_deref().filter(|_| is_synthetic) {
        synthetic(slug, request.method(), &caller)?;
    }
    match access {
        Some(Access::Workspace(action)) => {
            let member = member(api, &caller, slug.as_deref().unwrap_or_default(), action).await?;
            request.extensions_mut().insert(member);
        }
        Some(Access::SuperAdmin) if !caller.user.super_admin => return Err(Problem::new(Code::Forbidden)),
        Some(Access::SuperAdmin | Access::Login) if matches!(caller.proof, Proof::Key(_)) => {
            return Err(Problem::because(Code::KeyScope, "An API key works inside its workspace only."));
        }
        Some(Access::SuperAdmin | Access::Login | Access::Public) | None => {}
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// The scopes over several workspaces: whoever may look at them changes nothing in them.
fn synthetic(slug: &str, method: &Method, caller: &Caller) -> Result<(), Problem> {
    if slug == "master" && !caller.user.super_admin {
        return Err(Problem::new(Code::NotFound));
    }
    if !method.is_safe() {
        return Err(Problem::new(Code::ReadOnlyScope));
    }
    Ok(())
}

/// The slug of a path inside a workspace.
fn slug(path: &str) -> Option<&str> {
    path.strip_prefix(WORKSPACES)?.split('/').next()
}

/// Who the request's cookie or key belongs to.
///
/// # Errors
/// The store's, unless it is known from a few minutes ago. A key that is not known is a refusal of its own; a cookie that
/// has ended is no login.
pub(crate) async fn caller(api: &Api, headers: &HeaderMap, trace: Trace) -> Result<Option<Caller>, Problem> {
    let Some(token) = Token::of(headers) else { return Ok(None) };
    let (mark, now, digest) = (api.recent.mark(), api.now(), token.digest());
    let met = match met(api, token).await {
        Err(problem) if problem.code() == Code::StoreUnavailable => {
            Some(api.recent.caller(&digest, now).ok_or(problem)?)
        }
        Ok(Some(met)) => {
            api.recent.keep_caller(mark, digest, met.clone(), now);
            Some(met)
        }
        refused => {
            api.recent.refuse_caller(&digest);
            refused?
        }
    };
    Ok(met.map(|(user, proof)| Caller { user, proof, trace }))
}

/// What a request shows of itself.
#[derive(Clone, Copy)]
enum Token<'a> {
    Key(&'a str),
    Cookie(&'a str),
}

impl<'a> Token<'a> {
    fn of(headers: &'a HeaderMap) -> Option<Self> {
        let Some(authorization) = headers.get(header::AUTHORIZATION) else {
            return cookie(headers).map(Self::Cookie);
        };
        let text = authorization.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).map(str::trim);
        Some(Self::Key(text.unwrap_or_default()))
    }

    /// Under which it is remembered: a cookie is never taken for a key.
    fn digest(self) -> String {
        match self {
            Self::Key(text) => digest(&format!("key {text}")).0,
            Self::Cookie(secret) => digest(&format!("cookie {secret}")).0,
        }
    }
}

/// Who the store says that a token belongs to.
async fn met(api: &Api, token: Token<'_>) -> Result<Option<Met>, Problem> {
    let (user_id, proof) = match token {
        Token::Key(text) => {
            let key = key(api, text).await?;
            (key.user_id, Proof::Key(Arc::new(key)))
        }
        Token::Cookie(secret) => {
            let Some(login) = api.logins.by_cookie(secret, api.now()).await? else { return Ok(None) };
            (login.user_id, Proof::Login(Arc::new(login)))
        }
    };
    let user = user(api, user_id).await?.filter(|user| user.disabled_at.is_none());
    Ok(user.map(|user| (Arc::new(user), proof)))
}

async fn key(api: &Api, text: &str) -> Result<engine::model::ApiKey, Problem> {
    let refused = || Problem::because(Code::Unauthenticated, "The API key is unknown, expired or revoked.");
    let (id, secret) = parse_key(text).ok_or_else(refused)?;
    let key = match api.catalog.get(Scope::Platform, Kind::ApiKey, EntityId(id)).await {
        Ok(Entity::ApiKey(key)) => key,
        Ok(_) | Err(StoreError::NotFound) => return Err(refused()),
        Err(error) => return Err(error.into()),
    };
    // Digests are compared: what can be learned from the time that takes says nothing about a secret.
    let holds = key.revoked_at.is_none() && key.expires_at.is_none_or(|until| api.now() < until);
    if holds && key.credential == digest(secret) { Ok(key) } else { Err(refused()) }
}

/// An account, also a disabled one.
pub(crate) async fn user(api: &Api, id: UserId) -> Result<Option<User>, StoreError> {
    match api.catalog.get(Scope::Platform, Kind::User, id.into()).await {
        Ok(Entity::User(user)) => Ok(Some(user)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The secret of the login in the cookie header.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

/// How the caller stands in the workspace of this slug, and whether that allows the action.
async fn member(api: &Api, caller: &Caller, slug: &str, action: Action) -> Result<Member, Problem> {
    let not_found = || Problem::new(Code::NotFound);
    let (workspace, membership) = place(api, (caller.user.id, slug.to_owned())).await?;
    if let Proof::Key(key) = &caller.proof
        && key.workspace_id != workspace.id
    {
        return Err(not_found());
    }
    let mut standings: Vec<Standing> = membership.iter().map(Standing::of).collect();
    if caller.user.super_admin && matches!(caller.proof, Proof::Login(_)) {
        standings.push(Standing::SuperAdmin);
    }
    if standings.is_empty() {
        return Err(not_found());
    }
    let granted = |standing: &Standing| match action.grant(*standing) {
        Grant::No => false,
        Grant::ByPolicy => by_policy(action, *standing, &workspace),
        Grant::Own | Grant::BeforeStart | Grant::Yes => true,
    };
    let Some(standing) = standings.into_iter().find(granted) else {
        return Err(Problem::new(Code::Forbidden));
    };
    if let Proof::Key(key) = &caller.proof
        && !action.key_scope().is_some_and(|scope| key.scopes.contains(&scope))
    {
        return Err(Problem::new(Code::KeyScope));
    }
    let (caller, grant) = (caller.clone(), action.grant(standing));
    Ok(Member { caller, workspace, standing, action, grant })
}

/// A workspace and what somebody is in it: as the store says, or as it said a few minutes ago when it cannot be read.
async fn place(api: &Api, whose: Whose) -> Result<Place, Problem> {
    let (mark, now) = (api.recent.mark(), api.now());
    match read_place(api, &whose).await {
        Err(StoreError::Unavailable(why)) => match api.recent.place(&whose, now) {
            Some(place) => Ok(place),
            None => Err(StoreError::Unavailable(why).into()),
        },
        place => {
            let place = place?;
            api.recent.keep_place(mark, whose, place.clone(), now);
            Ok(place)
        }
    }
}

async fn read_place(api: &Api, (user, slug): &Whose) -> Result<Place, StoreError> {
    match api.catalog.find(Scope::Platform, Kind::Workspace, slug.clone()).await? {
        Entity::Workspace(workspace) => {
            let membership = membership(api, &workspace, *user).await?;
            Ok((Arc::new(workspace), membership))
        }
        _ => Err(StoreError::NotFound),
    }
}

/// The same member as they stand now, for an answer that goes on: whatever was taken away meanwhile ends it.
///
/// # Errors
/// As at the request's beginning.
pub(crate) async fn readmit(api: &Api, former: &Member) -> Result<Member, Problem> {
    let gone = || Problem::new(Code::Unauthenticated);
    let (kind, id) = match &former.caller.proof {
        Proof::Login(login) => (Kind::Login, login.id),
        Proof::Key(key) => (Kind::ApiKey, key.id),
    };
    let now = api.now();
    let proof = match api.catalog.get(Scope::Platform, kind, EntityId(id)).await? {
        Entity::Login(login) if login.ended_at.is_none() && now < login.expires_at => {
            Proof::Login(Arc::new(login))
        }
        Entity::ApiKey(key) if key.revoked_at.is_none() && key.expires_at.is_none_or(|until| now < until) => {
            Proof::Key(Arc::new(key))
        }
        _ => return Err(gone()),
    };
    let user = user(api, former.user_id()).await?.filter(|user| user.disabled_at.is_none());
    let user = Arc::new(user.ok_or_else(gone)?);
    let caller = Caller { user, proof, trace: former.caller.trace.clone() };
    member(api, &caller, &former.workspace.slug, former.action).await
}

/// The membership that counts now.
pub(crate) async fn membership(
    api: &Api,
    workspace: &Workspace,
    user: UserId,
) -> Result<Option<Membership>, StoreError> {
    let key = format!("{}/{user}", workspace.id);
    match api.catalog.find(Scope::Workspace(workspace.id), Kind::Membership, key).await {
        Ok(Entity::Membership(membership)) => Ok(Some(membership).filter(|m| m.holds_at(api.now()))),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses a change that a browser sends from another site. Programs without these headers are no browsers.
fn check_site(method: &Method, headers: &HeaderMap, api: &Api) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or("?"));
    let refused = Err(Problem::new(Code::CrossSite));
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return if matches!(site, "same-origin" | "none") { Ok(()) } else { refused };
    }
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let host = text(header::HOST).unwrap_or_default();
    let is_own = origin.split_once("://").is_some_and(|(_, authority)| authority == host && !host.is_empty());
    if is_own || api.public_url.as_deref() == Some(origin) { Ok(()) } else { refused }
}

#[cfg(test)]
mod tests;
