//! Audit events as answers show them: who, what, when, from where, and what has changed.

use super::moment::Moment;
use super::roster;
use super::state::Api;
use engine::model::{AuditEvent, EntityId, UserId, WorkspaceId};
use engine::store::StoreError;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Who acted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ActorView {
    /// The account; `null` for the engine and for strangers.
    #[schema(value_type = Option<uuid::Uuid>)]
    user_id: Option<UserId>,
    /// Its present email.
    #[schema(example = "ann@example.com")]
    email: Option<String>,
    /// Its present name.
    #[schema(example = "Ann Author")]
    name: Option<String>,
    /// The role at that time.
    #[schema(example = "Author")]
    role: String,
}

/// An audit event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Place in its log, from 1, without gaps.
    seq: u64,
    /// When.
    at: Moment,
    /// Whose log it is in; `null` is the platform's.
    #[schema(value_type = Option<uuid::Uuid>)]
    workspace_id: Option<WorkspaceId>,
    /// Who.
    actor: ActorView,
    /// What.
    #[schema(example = "campaign.approve")]
    action: String,
    /// To what kind of thing.
    #[schema(example = "campaign")]
    entity_kind: String,
    /// To which one.
    #[schema(value_type = uuid::Uuid)]
    entity_id: EntityId,
    /// The account that it is about, where that is not who acted.
    #[schema(value_type = Option<uuid::Uuid>)]
    subject: Option<UserId>,
    /// Remote address.
    #[schema(example = "192.0.2.1")]
    address: Option<String>,
    /// User agent.
    user_agent: Option<String>,
    /// Ties it to logs and to the answer.
    request_id: Option<String>,
    /// Fields that were changed, as they were before; `null` for something new.
    before: Value,
    /// The same fields behind the change.
    after: Value,
    /// Binds the event to all before it in its log: SHA-256, hexadecimal.
    hash: String,
}

/// Shows events, with the people who acted.
///
/// # Errors
/// The store's.
pub(crate) async fn event_views(api: &Api, events: Vec<AuditEvent>) -> Result<Vec<EventView>, StoreError> {
    let mut people = BTreeMap::new();
    for id in events.iter().filter_map(|event| event.by.user_id) {
        if let std::collections::btree_map::Entry::Vacant(vacant) = people.entry(id) {
            vacant.insert(roster::user(api, id).await?);
        }
    }
    let view = |event: AuditEvent| {
        let by = event.by;
        let user = by.user_id.and_then(|id| people.get(&id).cloned().flatten());
        let (email, name) = user.map(|user| (user.email, user.name)).unzip();
        let (before, after) = differing(event.before, event.after);
        EventView {
            seq: event.seq,
            at: event.at.into(),
            workspace_id: event.workspace_id,
            actor: ActorView { user_id: by.user_id, email, name, role: by.role },
            action: event.action,
            entity_kind: event.entity_kind,
            entity_id: event.entity_id,
            subject: event.subject,
            address: by.address,
            user_agent: by.user_agent,
            request_id: by.request_id,
            before,
            after,
            hash: event.hash,
        }
    };
    Ok(events.into_iter().map(view).collect())
}

/// Of two states of one thing the fields that differ; anything else whole.
pub(crate) fn differing(before: Value, after: Value) -> (Value, Value) {
    match (before, after) {
        (Value::Object(mut before), Value::Object(mut after)) => {
            let equal: Vec<String> = before
                .iter()
                .filter(|(key, value)| after.get(*key) == Some(value))
                .map(|(key, _)| key.clone())
                .collect();
            for key in equal {
                before.remove(&key);
                after.remove(&key);
            }
            (before.into(), after.into())
        }
        whole => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown_of_a_change() {
        let table = [
            (
                (json!({"a": 1, "b": {"c": 1}}), json!({"a": 1, "b": {"c": 2}})),
                (json!({"b": {"c": 1}}), json!({"b": {"c": 2}})),
            ),
            ((json!({"a": null}), json!({"b": 1})), (json!({"a": null}), json!({"b": 1}))),
            ((Value::Null, json!({"a": 1})), (Value::Null, json!({"a": 1}))),
            ((json!({"a": 1}), json!({"a": 1})), (json!({}), json!({}))),
        ];
        for ((before, after), expected) in table {
            assert_eq!(differing(before, after), expected);
        }
    }
}
