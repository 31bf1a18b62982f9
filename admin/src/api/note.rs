//! Audit events of what changes no entity: reveals, downloads, batches of numbers. Who acts, and where, is the member's.

use super::caller::Member;
use super::problem::{Code, Problem};
use super::state::Api;
use engine::EngineError;
use engine::model::{EntityId, Principal};
use engine::store::{Kind, Note, Scope, StoreError};
use uuid::Uuid;

/// Notes it in the log of the member's workspace.
///
/// # Errors
/// `audit_unavailable`: what is not on record must not be done. Without the store it is in the fallback file first.
pub(crate) async fn note(
    api: &Api,
    member: &Member,
    action: &'static str,
    (kind, id): (Kind, impl Into<EntityId>),
    details: serde_json::Value,
) -> Result<(), Problem> {
    let entity = (kind.name(), id.into());
    let note = note_of(api, (member.scope(), member.principal()), action, entity, details);
    api.audit.record(note).await.map(|_| ()).map_err(|_| Problem::new(Code::AuditUnavailable))
}

/// Puts on record that something holds in the engine and not in the store, and answers with that: a restart would undo
/// it, and this note is then all that tells of it. It holds already, so that nothing is refused for want of the note.
pub(crate) async fn unrecorded(
    api: &Api,
    (scope, by): (Scope, Principal),
    action: &'static str,
    entity: (&str, EntityId),
    (why, mut details): (StoreError, serde_json::Value),
) -> Problem {
    details["why"] = why.to_string().into();
    let note = note_of(api, (scope, by), action, entity, details);
    if api.audit.record(note).await.is_err() {
        tracing::error!(action, id = %entity.1, "what holds in the engine alone is not on record either");
    }
    EngineError::StoppedNotRecorded(why).into()
}

fn note_of(
    api: &Api,
    (scope, by): (Scope, Principal),
    action: &'static str,
    (entity_kind, entity_id): (&str, EntityId),
    details: serde_json::Value,
) -> Note {
    let (id, at, action, entity_kind) =
        (Uuid::now_v7(), api.now(), action.to_owned(), entity_kind.to_owned());
    Note { id, scope, at, by, action, entity_kind, entity_id, subject: None, details }
}
