//! Sharing a sender address between workspaces, for brands with several: granted and revoked by the provider.
//!
//! The platform's log names both workspaces. Each of them has a record of its own part, which does not name the other.

use super::provision::workspace;
use crate::api::caller::Caller;
use crate::api::deciding::MAX_TRIES;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::registry::{apply, claim};
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::extract::State;
use engine::model::{Claim, EntityId, Share, SharePart, WorkspaceId};
use engine::store::{Change, Entity, Expect, Kind, Scope, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Most workspaces that share one address: brands, not a market.
const MAX_GRANTS: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::SuperAdmin, routes!(grant, revoke))
}

/// With which workspace.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guest {
    /// Its slug.
    #[schema(min_length = 1, max_length = 200, example = "acme-retail")]
    slug: String,
}

/// Who may use an address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SenderClaim)]
pub(crate) struct ClaimView {
    /// As it was approved first.
    #[schema(example = "Acme")]
    saddr: String,
    /// Whose it is.
    #[schema(example = "acme-corp")]
    owner: String,
    /// Who may use it besides.
    grants: Vec<String>,
}

/// Lets another workspace have an address approved that one has claimed; audited in both.
#[utoipa::path(
    post, path = "/sender-claims/{saddr}/grants", tag = "Senders", params(("saddr" = String, Path)),
    request_body = Guest, responses((status = 200, body = ClaimView))
)]
async fn grant(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(saddr): Path<String>,
    Json(guest): Json<Guest>,
) -> Result<axum::Json<ClaimView>, Problem> {
    shared(&api, &caller, (&saddr, &guest.slug), Wish::Grant).await
}

/// Takes a grant back: nothing further is approved under it, what was approved stays until it is withdrawn.
#[utoipa::path(
    delete, path = "/sender-claims/{saddr}/grants", tag = "Senders", params(("saddr" = String, Path)),
    request_body = Guest, responses((status = 200, body = ClaimView))
)]
async fn revoke(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(saddr): Path<String>,
    Json(guest): Json<Guest>,
) -> Result<axum::Json<ClaimView>, Problem> {
    shared(&api, &caller, (&saddr, &guest.slug), Wish::Revoke).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Grant,
    Revoke,
}

impl Wish {
    const fn action(self) -> &'static str {
        match self {
            Self::Grant => "sender_claim.grant",
            Self::Revoke => "sender_claim.revoke",
        }
    }
}

async fn shared(
    api: &Api,
    caller: &Caller,
    (saddr, slug): (&str, &str),
    wish: Wish,
) -> Result<axum::Json<ClaimView>, Problem> {
    let guest = workspace(api, slug).await?;
    let guest = guest.ok_or_else(|| Problem::field("slug", "unknown", "There is no such workspace."))?;
    for _ in 0..MAX_TRIES {
        let now = api.now();
        let stored = claim(api, saddr).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
        let next = changed(&stored, guest.id, wish)?;
        let (scope, expect) = (Scope::Platform, Expect::Version(stored.version));
        let (entity, action) = (Entity::Claim(next.clone()), wish.action());
        let mut changes = vec![Change { scope, expect, entity, action }];
        for (part, whose) in [(SharePart::Owner, stored.owner), (SharePart::Guest, guest.id)] {
            changes.push(share(api, &stored, (part, whose, guest.id), wish, now).await?);
        }
        if apply(api, changes, &caller.platform_principal(), now).await? {
            return view(api, next).await.map(axum::Json);
        }
    }
    Err(Problem::new(Code::VersionChanged))
}

/// The claim once the wish is granted.
fn changed(claim: &Claim, guest: WorkspaceId, wish: Wish) -> Result<Claim, Problem> {
    let conflict = |told: &str| Err(Problem::because(Code::StateConflict, told));
    let mut next = claim.clone();
    match wish {
        Wish::Grant if claim.admits(guest) => return conflict("The workspace may use the address already."),
        Wish::Grant if claim.grants.len() >= MAX_GRANTS => {
            return conflict("Too many workspaces share the address.");
        }
        Wish::Grant => next.grants.push(guest),
        Wish::Revoke if !claim.grants.contains(&guest) => {
            return conflict("The workspace has no such grant.");
        }
        Wish::Revoke => next.grants.retain(|other| *other != guest),
    }
    next.version += 1;
    Ok(next)
}

/// The record of one of the two workspaces.
async fn share(
    api: &Api,
    claim: &Claim,
    (part, whose, guest): (SharePart, WorkspaceId, WorkspaceId),
    wish: Wish,
    now: jiff::Timestamp,
) -> Result<Change, Problem> {
    let (scope, id) = (Scope::Workspace(whose), Share::id_of(claim.id, guest, part));
    let ended_at = (wish == Wish::Revoke).then_some(now);
    let (expect, share) = match api.catalog.get(scope, Kind::Share, EntityId(id)).await {
        Ok(Entity::Share(stored)) => {
            let granted_at = if wish == Wish::Grant { now } else { stored.granted_at };
            let expect = Expect::Version(stored.version);
            (expect, Share { granted_at, ended_at, version: stored.version + 1, ..stored })
        }
        Ok(_) | Err(StoreError::NotFound) => {
            let (saddr, granted_at) = (claim.saddr.clone(), now);
            let share = Share { id, workspace_id: whose, part, saddr, granted_at, ended_at, version: 0 };
            (Expect::Absent, share)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Change { scope, expect, entity: Entity::Share(share), action: wish.action() })
}

async fn view(api: &Api, claim: Claim) -> Result<ClaimView, Problem> {
    let mut grants = Vec::with_capacity(claim.grants.len());
    for guest in &claim.grants {
        grants.push(slug(api, *guest).await?);
    }
    Ok(ClaimView { saddr: claim.saddr, owner: slug(api, claim.owner).await?, grants })
}

async fn slug(api: &Api, id: WorkspaceId) -> Result<String, Problem> {
    match api.catalog.get(Scope::Platform, Kind::Workspace, id.into()).await? {
        Entity::Workspace(workspace) => Ok(workspace.slug),
        _ => Err(Problem::new(Code::Internal)),
    }
}
