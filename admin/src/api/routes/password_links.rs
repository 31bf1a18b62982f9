//! One-time links with which the owner of an account chooses its password: made by super admins, used by whoever
//! holds them.

use super::Routes;
use crate::accounts::{Owner, Secret, digest, end_link, end_links, new_link};
use crate::api::caller::{Caller, platform_principal};
use crate::api::guard::{Access, user};
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::password_policy::chosen;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::request::Trace;
use crate::api::state::Api;
use crate::mail::{Letter, Posted};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use engine::model::{PasswordLink, User, UserId};
use engine::store::{Change, Entity, Expect, Kind, Scope, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Where the console asks for a password; what follows the `#` is not sent to any server.
const PAGE: &str = "/login/password#token=";

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::SuperAdmin, routes!(reset)).with(Access::Public, routes!(choose))
}

/// A link to choose a password with, shown once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkView {
    /// For the account's owner; relative when the server does not know under which address it is reached.
    #[schema(example = "https://sms.example.com/login/password#token=6b1c0f…")]
    url: String,
    /// The secret in it.
    #[schema(example = "6b1c0f…")]
    token: String,
    /// Until when it works.
    expires_at: Moment,
}

/// A link that is made and not told yet.
pub(super) struct NewLink {
    link: PasswordLink,
    secret: Secret,
}

impl NewLink {
    /// For an account: the change that stores it, and what is told once it is stored.
    pub(super) fn make(user: UserId, now: Timestamp) -> (Change, Self) {
        let (change, link, secret) = new_link(user, now);
        (change, Self { link, secret })
    }

    /// Tells it: to the caller, and to the owner of the account where the site has mail.
    pub(super) fn tell(&self, api: &Api, user: &User, caller: &Caller) -> (LinkView, Posted) {
        let token = self.secret.reveal();
        let path = format!("{PAGE}{token}");
        let letter = Letter::Password { link: &self.link, user, path: &path };
        let mail = api.mail.post(&letter, Some(caller.trace.request_id.clone()));
        let url = format!("{}{path}", api.public_url.as_deref().unwrap_or_default());
        (LinkView { url, token: token.to_owned(), expires_at: self.link.expires_at.into() }, mail)
    }
}

/// The link of an account.
#[derive(Debug, Serialize, ToSchema)]
struct Made {
    /// It works once.
    link: LinkView,
    /// Whether it is mailed too.
    mail: Posted,
}

/// Make a link with which the account's owner chooses a password; earlier ones no longer work.
#[utoipa::path(
    post, path = "/users/{id}/reset-link", tag = "Users",
    params(("id" = Uuid, Path, description = "The account")), responses((status = 201, body = Made))
)]
async fn reset(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<impl IntoResponse, Problem> {
    let user = user(&api, UserId(id)).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    if user.disabled_at.is_some() {
        return Err(Problem::because(Code::StateConflict, "The account is disabled."));
    }
    let now = api.now();
    let mut changes = end_links(&*api.catalog, user.id, now).await?;
    let (change, new) = NewLink::make(user.id, now);
    changes.push(change);
    api.catalog.apply(changes, &caller.platform_principal(), now).await?;
    let (link, mail) = new.tell(&api, &user, &caller);
    Ok((StatusCode::CREATED, axum::Json(Made { link, mail })))
}

/// A password chosen with a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Choice {
    /// The secret of the link.
    #[schema(max_length = 64, example = "6b1c0f…")]
    token: String,
    /// The password from now on.
    #[schema(max_length = 128, example = "correct horse battery staple")]
    password: String,
}

/// Choose a password with a one-time link; all logins of the account end.
#[utoipa::path(
    post, path = "/password-links/use", tag = "Account", request_body = Choice,
    responses(
        (status = 204),
        (status = 404, description = "There is no such link"),
        (status = 410, description = "It was used, was replaced or has expired"),
        (status = 429, description = "Too many", headers(("retry-after" = u64, description = "Seconds"))),
    )
)]
async fn choose(
    State(api): State<Arc<Api>>,
    trace: Trace,
    Json(Choice { token, password }): Json<Choice>,
) -> Result<impl IntoResponse, Problem> {
    let (link, user) = behind(&api, &token).await?;
    let credential = chosen(&api, &password, Owner { email: &user.email, name: &user.name }).await?;
    let (by, now, user_id) = (platform_principal(&user, &trace), api.now(), user.id);
    let expect = Expect::Version(user.version);
    let entity = Entity::User(User { credential: Some(credential), version: user.version + 1, ..user });
    let change = Change { scope: Scope::Platform, expect, entity, action: "user.reset_password" };
    let mut changes = vec![change, end_link(link, "password_link.use", now)];
    changes.extend(api.logins.endings(user_id, None, now).await?);
    api.catalog.apply(changes, &by, now).await?;
    api.logins.end_all(user_id, None, &by, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The link of this secret and its account, if both can still be used.
async fn behind(api: &Api, token: &str) -> Result<(PasswordLink, User), Problem> {
    let link = match api.catalog.find(Scope::Platform, Kind::PasswordLink, digest(token).0).await {
        Ok(Entity::PasswordLink(link)) => link,
        Ok(_) | Err(StoreError::NotFound) => return Err(Problem::new(Code::NotFound)),
        Err(error) => return Err(error.into()),
    };
    let user = user(api, link.user_id).await?.filter(|user| user.disabled_at.is_none());
    match user {
        Some(user) if link.used_at.is_none() && api.now() < link.expires_at => Ok((link, user)),
        _ => Err(Problem::because(Code::Gone, "The link was used, was replaced or has expired.")),
    }
}
