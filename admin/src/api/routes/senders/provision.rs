//! An approved sender, put into a workspace by the provider, who answers for its registration with the carriers.

use super::revisions::{next_n, source};
use super::view::{SenderView, sender_view};
use crate::api::caller::Caller;
use crate::api::deciding::MAX_TRIES;
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::registry::Registry;
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{Revision, RevisionStatus, Sender, Workspace};
use engine::store::{Entity, Expect, Kind, Scope, StoreError};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// The audited action, told from every approval of a moderator.
const ACTION: &str = "sender_revision.provision";

pub(super) fn routes() -> Routes {
    Routes::new().with(Access::SuperAdmin, routes!(provision))
}

/// A sender with the address that it gets.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provision {
    /// Its name; a sender of this name gets a further revision.
    #[schema(min_length = 1, max_length = 200, example = "Shop")]
    name: String,
    /// With `ston` 5 a name of at most 11 characters with at least one letter, else at most 20 digits.
    #[schema(min_length = 1, max_length = 20, example = "Shop")]
    saddr: String,
    /// Type of number, 0 to 6; 5 is a name.
    #[schema(minimum = 0, maximum = 6, example = 5)]
    ston: u8,
    /// Numbering plan: 0, 1, 3, 4, 6, 8, 9, 10, 14 or 18.
    #[schema(minimum = 0, maximum = 18, example = 0)]
    snpi: u8,
    /// How the carriers know it.
    #[schema(min_length = 1, max_length = 200, example = "BNetzA 4711")]
    registration_ref: String,
}

/// Puts an approved sender into a workspace; audited there.
#[utoipa::path(
    post, path = "/workspaces/{slug}/senders/provision", tag = "Senders", params(("slug" = String, Path)),
    request_body = Provision, responses((status = 201, body = SenderView))
)]
async fn provision(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(slug): Path<String>,
    Json(new): Json<Provision>,
) -> Result<(StatusCode, axum::Json<SenderView>), Problem> {
    source(&new.saddr, new.ston, new.snpi)?;
    let name = fields::line("name", &new.name)?;
    let registration_ref = fields::line("registration_ref", &new.registration_ref)?;
    let new = Provision { name, registration_ref, ..new };
    let workspace = workspace(&api, &slug).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let registry = Registry::new(&api, workspace.id);
    for _ in 0..MAX_TRIES {
        let now = api.now();
        let (sender, expect) = sender(&api, &workspace, &new.name, now).await?;
        let n = if expect == Expect::Absent { 1 } else { next_n(registry, &sender).await? };
        let revision = approved(&sender, &new, &caller, (n, now));
        let mut changes = registry.activation((sender.clone(), expect), &revision, now).await?;
        changes.push(registry.change(Expect::Absent, Entity::Revision(revision), ACTION));
        if registry.apply(changes, &caller.platform_principal(), now).await? {
            let sender = registry.sender(sender.id.0).await?;
            return Ok((StatusCode::CREATED, axum::Json(sender_view(registry, sender).await?)));
        }
    }
    Err(Problem::new(Code::VersionChanged))
}

/// The workspace of a slug.
pub(super) async fn workspace(api: &Api, slug: &str) -> Result<Option<Workspace>, Problem> {
    match api.catalog.find(Scope::Platform, Kind::Workspace, slug.to_owned()).await {
        Ok(Entity::Workspace(workspace)) => Ok(Some(workspace)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The sender of this name, or a new one.
async fn sender(
    api: &Api,
    workspace: &Workspace,
    name: &str,
    now: jiff::Timestamp,
) -> Result<(Sender, Expect), Problem> {
    let key = format!("{}/{}", workspace.id, name.to_lowercase());
    match api.catalog.find(Scope::Workspace(workspace.id), Kind::Sender, key).await {
        Ok(Entity::Sender(sender)) if sender.archived_at.is_some() => {
            Err(Problem::because(Code::StateConflict, "The sender of this name is archived."))
        }
        Ok(Entity::Sender(sender)) => {
            let expect = Expect::Version(sender.version);
            Ok((sender, expect))
        }
        Ok(_) | Err(StoreError::NotFound) => {
            Ok((super::new_sender(workspace, name.to_owned(), now), Expect::Absent))
        }
        Err(error) => Err(error.into()),
    }
}

fn approved(sender: &Sender, new: &Provision, by: &Caller, (n, now): (u32, jiff::Timestamp)) -> Revision {
    Revision {
        id: Uuid::now_v7(),
        sender_id: sender.id,
        workspace_id: sender.workspace_id,
        n,
        saddr: new.saddr.clone(),
        ston: new.ston,
        snpi: new.snpi,
        status: RevisionStatus::Approved,
        version: 0,
        created_by: by.user.id,
        submitted_by: None,
        decided_by: Some(by.user.id),
        self_approved: false,
        registration_ref: Some(new.registration_ref.clone()),
        note: None,
        created_at: now,
        decided_at: Some(now),
        archived_at: None,
    }
}
