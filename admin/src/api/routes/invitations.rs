//! Invitations into a workspace: made and revoked by its admins, accepted with the link that they pass on.
//!
//! A link works once, for three days, and only its hash is stored. Whoever has none learns nothing here.

mod accept;

use super::Routes;
use crate::accounts::Secret;
use crate::api::caller::Member;
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::page::{Listed, PageQuery};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::roster;
use crate::api::state::Api;
use crate::mail::{Letter, Posted};
use axum::extract::State;
use axum::http::{StatusCode, header};
use engine::model::{Admission, EntityId, Invitation, Role, UserId};
use engine::store::{Change, Entity, Expect, Kind, MAX_PAGE, Scope, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// How long a link works: over a weekend.
const LIFETIME: SignedDuration = SignedDuration::from_hours(72);
/// Most invitations of a workspace that can be accepted at a time; one page, so that they are counted in one look.
const MAX_OPEN: usize = MAX_PAGE;
/// Most invitations that a workspace creates within [`RECENT`], revoked ones included: each may cost somebody a mail.
const MAX_RECENT: usize = 100;
/// What counts as recent.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// Whoever creates an invitation holds it from counting the others to storing the new one, so that of many at once none
/// is overlooked.
static CREATING: Mutex<()> = Mutex::const_new(());

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::WorkspaceRead), routes!(list))
        .with(Access::Workspace(Action::WorkspaceManage), routes!(create))
        .with(Access::Workspace(Action::WorkspaceManage), routes!(revoke))
        .merge(accept::routes())
}

/// An invitation without its link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationView {
    /// Its id.
    id: Uuid,
    /// Whom.
    #[schema(example = "ann@example.com")]
    email: String,
    /// As what.
    #[schema(value_type = String, example = "Author")]
    role: Role,
    /// `Pending`, `Accepted`, `Revoked` or `Expired`.
    #[schema(example = "Pending")]
    status: &'static str,
    /// By whom.
    #[schema(value_type = Uuid)]
    invited_by: UserId,
    /// When.
    created_at: Moment,
    /// Until when its link works.
    expires_at: Moment,
}

impl InvitationView {
    fn new(invitation: Invitation, now: Timestamp) -> Self {
        let status = match invitation.status {
            Admission::Pending if invitation.expires_at <= now => "Expired",
            Admission::Pending => "Pending",
            Admission::Accepted => "Accepted",
            Admission::Declined => "Revoked",
        };
        Self {
            id: invitation.id,
            email: invitation.email,
            role: invitation.role,
            status,
            invited_by: invitation.invited_by,
            created_at: invitation.created_at.into(),
            expires_at: invitation.expires_at.into(),
        }
    }
}

/// Every invitation, the newest first.
#[utoipa::path(
    get, path = "/w/{slug}/invitations", tag = "Members",
    params(PageQuery, ("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = Listed<InvitationView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Listed<InvitationView>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let query =
        engine::store::Query { kind: Kind::Invitation, statuses: Vec::new(), parent: None, after, limit };
    let page = api.catalog.list(member.scope(), query).await?;
    let items = page.items.into_iter().filter_map(|entity| match entity {
        Entity::Invitation(invitation) => Some(InvitationView::new(invitation, api.now())),
        _ => None,
    });
    Ok(axum::Json(Listed { items: items.collect(), next_cursor: page.next.map(|id| id.0.to_string()) }))
}

/// An invitation to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvitation {
    /// Whom.
    #[schema(example = "ann@example.com", max_length = 254)]
    email: String,
    /// As what.
    #[schema(value_type = String, example = "Author", pattern = "^(Author|Moderator|Admin)$")]
    role: Role,
}

/// An invitation with its link, told once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedInvitation {
    /// The invitation without its link.
    #[serde(flatten)]
    view: InvitationView,
    /// The link's path on this site, to be passed on; it works once, and is told here only.
    #[schema(example = "/invitations/accept#5d2a...")]
    link: String,
    /// Whether the link is mailed too.
    mail: Posted,
}

/// Invites somebody, who may have no account yet. An address has one open invitation, and a workspace creates at most
/// 100 invitations within an hour.
#[utoipa::path(
    post, path = "/w/{slug}/invitations", tag = "Members", request_body = NewInvitation,
    params(("slug" = String, Path, description = "Slug")),
    responses(
        (status = 201, body = CreatedInvitation),
        (status = 409, description = "A member, or invited already", content_type = "application/problem+json"),
        (status = 429, description = "Too many invitations lately", content_type = "application/problem+json")
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Json(body): Json<NewInvitation>,
) -> Result<(StatusCode, axum::Json<CreatedInvitation>), Problem> {
    let (now, workspace_id) = (api.now(), member.workspace.id);
    let email = fields::email("email", &body.email)?;
    if let Some(user) = accept::account(&api, &email).await? {
        let record = roster::on_record(&api, workspace_id, user.id).await?;
        if record.is_some_and(|membership| membership.holds_at(now)) {
            return Err(Problem::because(Code::Taken, "This account is a member already."));
        }
    }
    let creating = CREATING.lock().await;
    must_have_room(&api, (member.scope(), &email), now).await?;
    must_be_quiet(&api, member.scope(), now).await?;
    let secret = Secret::new();
    let invitation = Invitation {
        id: Uuid::now_v7(),
        workspace_id,
        email,
        role: body.role,
        credential: secret.credential(),
        status: Admission::Pending,
        invited_by: member.user_id(),
        version: 0,
        created_at: now,
        expires_at: now + LIFETIME,
    };
    let entity = Entity::Invitation(invitation.clone());
    let change =
        Change { scope: member.scope(), expect: Expect::Absent, entity, action: "invitation.create" };
    api.catalog.apply(vec![change], &member.principal(), now).await?;
    drop(creating);
    let link = format!("/invitations/accept#{}", secret.reveal());
    let (inviter, workspace) = (&*member.caller.user, &*member.workspace);
    let letter = Letter::Invitation { invitation: &invitation, inviter, workspace, path: &link };
    let mail = api.mail.post(&letter, Some(member.caller.trace.request_id.clone()));
    let created = CreatedInvitation { view: InvitationView::new(invitation, now), link, mail };
    Ok((StatusCode::CREATED, axum::Json(created)))
}

/// Refuses another invitation for an address that has an open one, and where too many can be accepted.
async fn must_have_room(api: &Api, (scope, email): (Scope, &str), now: Timestamp) -> Result<(), Problem> {
    let statuses = vec![format!("{:?}", Admission::Pending)];
    // Each is open for the same time, so that no open one is older than one that has expired.
    let mut open = newest(api, scope, (statuses, MAX_OPEN)).await?;
    open.retain(|invitation| now < invitation.expires_at);
    if open.iter().any(|invitation| invitation.email == email) {
        let message = "This address has an open invitation; revoke it to make another one.";
        return Err(Problem::because(Code::Taken, message));
    }
    if open.len() >= MAX_OPEN {
        let message = format!("{MAX_OPEN} invitations are open; revoke one first.");
        return Err(Problem::because(Code::StateConflict, message));
    }
    Ok(())
}

/// Refuses another invitation where too many were created lately, whatever became of them.
async fn must_be_quiet(api: &Api, scope: Scope, now: Timestamp) -> Result<(), Problem> {
    let newest = newest(api, scope, (Vec::new(), MAX_RECENT)).await?;
    let Some(oldest) = newest.get(MAX_RECENT - 1) else { return Ok(()) };
    let wait = RECENT - now.duration_since(oldest.created_at);
    if wait <= SignedDuration::ZERO {
        return Ok(());
    }
    let message = format!("{MAX_RECENT} invitations were created within an hour; try again later.");
    let wait_s = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
    Err(Problem::because(Code::RateLimited, message).with_header(header::RETRY_AFTER, wait_s))
}

/// The newest invitations of these statuses, of all without one, and at most so many.
async fn newest(
    api: &Api,
    scope: Scope,
    (statuses, limit): (Vec<String>, usize),
) -> Result<Vec<Invitation>, Problem> {
    let query = engine::store::Query { kind: Kind::Invitation, statuses, parent: None, after: None, limit };
    let found = api.catalog.list(scope, query).await?.items.into_iter();
    Ok(found
        .filter_map(|entity| if let Entity::Invitation(one) = entity { Some(one) } else { None })
        .collect())
}

/// Revokes an invitation that was not accepted: its link is dead.
#[utoipa::path(
    delete, path = "/w/{slug}/invitations/{id}", tag = "Members",
    params(("slug" = String, Path, description = "Slug"), ("id" = Uuid, Path, description = "Invitation")),
    responses((status = 204, description = "Revoked, or revoked before"))
)]
async fn revoke(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<StatusCode, Problem> {
    let accepted =
        || Problem::because(Code::AlreadyDecided, "The invitation was accepted; remove the member.");
    let found = api.catalog.get(member.scope(), Kind::Invitation, EntityId(id)).await?;
    let Entity::Invitation(invitation) = found else { return Err(Problem::new(Code::NotFound)) };
    match invitation.status {
        Admission::Accepted => return Err(accepted()),
        Admission::Declined => return Ok(StatusCode::NO_CONTENT),
        Admission::Pending => {}
    }
    let expect = Expect::Version(invitation.version);
    let revoked = Invitation { status: Admission::Declined, version: invitation.version + 1, ..invitation };
    let (scope, entity) = (member.scope(), Entity::Invitation(revoked));
    let change = Change { scope, expect, entity, action: "invitation.revoke" };
    match api.catalog.apply(vec![change], &member.principal(), api.now()).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(StoreError::Conflict { .. }) => Err(Problem::new(Code::AlreadyDecided)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
