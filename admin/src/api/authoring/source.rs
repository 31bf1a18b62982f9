//! Under which sender a campaign goes out: the newest approved revision of the chosen sender, or the approved one of the
//! workspace that an override names (C4). Whatever is not approved, archived or foreign is one refusal.

use super::fields::Fields;
use super::findings::Findings;
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use engine::model::{EntityId, Revision, RevisionStatus, Sender, SenderId, WorkspaceId};
use engine::store::{Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use uuid::Uuid;

/// Finds the revision that the fields ask for; what is wrong goes into `findings`. `pinned` is the one that a campaign
/// has and that an edit does not touch.
///
/// # Errors
/// The store's.
pub(crate) async fn choose(
    (api, workspace): (&Api, WorkspaceId),
    fields: &Fields,
    pinned: Option<Uuid>,
    findings: &mut Findings,
) -> Result<Option<Revision>, Problem> {
    let not_approved = |field: &str, message: &str| (field.to_owned(), message.to_owned());
    let found = match (pinned, fields.sender_id.get()) {
        (Some(revision), _) => match revision_of(api, workspace, revision).await? {
            Some(revision) if revision.status == RevisionStatus::Approved => Ok(revision),
            _ => Err(not_approved(
                "sender_id",
                "The campaign's sender is no longer approved; choose another one.",
            )),
        },
        (None, None) => {
            findings.add_as(Code::SenderMissing, "sender_id", "required", "A sender is needed.");
            return Ok(None);
        }
        (None, Some(id)) => by_sender(api, workspace, (SenderId(*id), fields)).await?,
    };
    match found {
        Ok(revision) => Ok(Some(revision)),
        Err((field, message)) => {
            findings.add_as(Code::SenderNotApproved, &field, "sender_not_approved", message);
            Ok(None)
        }
    }
}

/// A field and what is wrong with it.
type Refused = (String, String);

async fn by_sender(
    api: &Api,
    workspace: WorkspaceId,
    (id, fields): (SenderId, &Fields),
) -> Result<Result<Revision, Refused>, Problem> {
    let refused = |field: &str, message: &str| Ok(Err((field.to_owned(), message.to_owned())));
    let own = match usable_sender(api, workspace, id).await? {
        true => newest_approved(api, workspace, Some(id)).await?.into_iter().next(),
        false => return refused("sender_id", "There is no such sender in this workspace."),
    };
    let Some(own) = own else { return refused("sender_id", "The sender has no approved revision.") };
    if matches_override(&own, fields) {
        return Ok(Ok(own));
    }
    for revision in newest_approved(api, workspace, None).await? {
        if matches_override(&revision, fields) && usable_sender(api, workspace, revision.sender_id).await? {
            return Ok(Ok(revision));
        }
    }
    let field = if fields.saddr.get().is_some() { "saddr" } else { "ston" };
    refused(
        field,
        "No approved sender of this workspace has this address, type of number and numbering plan.",
    )
}

/// Whether the fields leave the revision as it is, or name just this one.
fn matches_override(revision: &Revision, fields: &Fields) -> bool {
    fields.saddr.get().is_none_or(|saddr| *saddr == revision.saddr)
        && fields.ston.get().is_none_or(|ston| *ston == revision.ston)
        && fields.snpi.get().is_none_or(|snpi| *snpi == revision.snpi)
}

/// Whether the workspace has this sender and still offers it.
async fn usable_sender(api: &Api, workspace: WorkspaceId, id: SenderId) -> Result<bool, StoreError> {
    match api.catalog.get(Scope::Workspace(workspace), Kind::Sender, id.into()).await {
        Ok(Entity::Sender(Sender { archived_at: None, .. })) => Ok(true),
        Ok(_) | Err(StoreError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn revision_of(api: &Api, workspace: WorkspaceId, id: Uuid) -> Result<Option<Revision>, StoreError> {
    match api.catalog.get(Scope::Workspace(workspace), Kind::Revision, EntityId(id)).await {
        Ok(Entity::Revision(revision)) => Ok(Some(revision)),
        Ok(_) | Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of one sender or of each: its approved revision with the greatest number.
async fn newest_approved(
    api: &Api,
    workspace: WorkspaceId,
    of: Option<SenderId>,
) -> Result<Vec<Revision>, StoreError> {
    let mut newest: std::collections::BTreeMap<SenderId, Revision> = std::collections::BTreeMap::new();
    let mut after = None;
    loop {
        let statuses = vec![format!("{:?}", RevisionStatus::Approved)];
        let query =
            Query { kind: Kind::Revision, statuses, parent: of.map(EntityId::from), after, limit: MAX_PAGE };
        let page = api.catalog.list(Scope::Workspace(workspace), query).await?;
        for entity in page.items {
            let Entity::Revision(revision) = entity else { continue };
            let known = newest.get(&revision.sender_id).is_some_and(|known| known.n > revision.n);
            if !known && revision.decided_by.is_some() {
                newest.insert(revision.sender_id, revision);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(newest.into_values().collect()),
        }
    }
}
