//! Audit events of what changes no entity: reveals, downloads, batches of numbers. Who acts, and where, is the member's.

use super::caller::Member;
use super::problem::{Code, Problem};
use super::state::Api;
use engine::model::EntityId;
use engine::store::{Kind, Note};
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
    let note = Note {
        id: Uuid::now_v7(),
        scope: member.scope(),
        at: api.now(),
        by: member.principal(),
        action: action.to_owned(),
        entity_kind: kind.name().to_owned(),
        entity_id: id.into(),
        subject: None,
        details,
    };
    api.audit.record(note).await.map(|_| ()).map_err(|_| Problem::new(Code::AuditUnavailable))
}
