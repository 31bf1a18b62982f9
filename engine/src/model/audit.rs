//! Who acts, and the record of what was done.

use crate::model::{EntityId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// Who acts and from where; stamped on every audit event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The account; `None` is the engine itself.
    pub user_id: Option<UserId>,
    /// The role at the time of the action, `Engine` for the engine itself.
    pub role: String,
    /// Remote address, where there is one.
    pub address: Option<String>,
    /// User agent, where there is one.
    pub user_agent: Option<String>,
    /// Ties the event to logs and to the answer.
    pub request_id: Option<String>,
}

impl Principal {
    /// The engine acting by itself: schedules, completion, recovery.
    #[must_use]
    pub fn engine() -> Self {
        Self { user_id: None, role: "Engine".to_owned(), address: None, user_agent: None, request_id: None }
    }
}

/// One audit event as the store keeps it, written in the transaction of the change that it records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Order within its workspace, from 1, without gaps.
    pub seq: u64,
    /// Whose log it is in; `None` is the platform's.
    pub workspace_id: Option<WorkspaceId>,
    /// When, millisecond precision.
    pub at: jiff::Timestamp,
    /// Who.
    pub by: Principal,
    /// What: `campaign.approve` and its like.
    pub action: String,
    /// The kind of the entity, as in [`crate::model`].
    pub entity_kind: String,
    /// Which entity.
    pub entity_id: EntityId,
    /// The account that it is about where that is not who acts, for instance whose login failed.
    pub subject: Option<UserId>,
    /// The entity before, `null` when created.
    pub before: serde_json::Value,
    /// The entity after, `null` when removed.
    pub after: serde_json::Value,
    /// Binds the event to all before it in its log: SHA-256, hexadecimal.
    pub hash: String,
}
