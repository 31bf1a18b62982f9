//! Senders and revisions as answers show them.

use crate::api::moment::Moment;
use crate::api::problem::Problem;
use crate::api::registry::Registry;
use engine::model::{Revision, RevisionStatus, Sender, SenderId, UserId, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A sender.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Sender)]
pub(crate) struct SenderView {
    #[schema(value_type = Uuid)]
    id: SenderId,
    #[schema(value_type = Uuid)]
    workspace_id: WorkspaceId,
    #[schema(example = "Shop")]
    name: String,
    /// `Archived`; `Approved` while a revision is active; else the status of the newest revision, `Draft` without one.
    #[schema(value_type = String, example = "Approved")]
    pub(super) status: RevisionStatus,
    /// The revision that new campaigns get.
    active: Option<RevisionView>,
    created_at: Moment,
    archived_at: Option<Moment>,
    /// Every revision, the newest first.
    revisions: Vec<RevisionView>,
}

/// A revision of a sender; its address never changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SenderRevision)]
pub(crate) struct RevisionView {
    id: Uuid,
    #[schema(value_type = Uuid)]
    sender_id: SenderId,
    /// 1 for the first revision of a sender.
    #[schema(example = 1)]
    n: u32,
    #[schema(example = "Shop")]
    saddr: String,
    #[schema(example = 5)]
    ston: u8,
    #[schema(example = 0)]
    snpi: u8,
    /// How the carriers know it.
    registration_ref: Option<String>,
    #[schema(value_type = String, example = "Approved")]
    status: RevisionStatus,
    #[schema(value_type = Uuid)]
    created_by: UserId,
    created_at: Moment,
    /// Who submitted it, if that was not its creator.
    #[schema(value_type = Option<Uuid>)]
    submitted_by: Option<UserId>,
    #[schema(value_type = Option<Uuid>)]
    decided_by: Option<UserId>,
    decided_at: Option<Moment>,
    /// Whether whoever approved it had created or submitted it, as the workspace is granted.
    self_approved: bool,
    /// Why it was rejected or withdrawn.
    note: Option<String>,
    /// When it went out of use.
    archived_at: Option<Moment>,
}

impl From<Revision> for RevisionView {
    fn from(r: Revision) -> Self {
        Self {
            id: r.id,
            sender_id: r.sender_id,
            n: r.n,
            saddr: r.saddr,
            ston: r.ston,
            snpi: r.snpi,
            registration_ref: r.registration_ref,
            status: r.status,
            created_by: r.created_by,
            created_at: r.created_at.into(),
            submitted_by: r.submitted_by,
            decided_by: r.decided_by,
            decided_at: r.decided_at.map(Moment),
            self_approved: r.self_approved,
            note: r.note,
            archived_at: r.archived_at.map(Moment),
        }
    }
}

/// A sender with all its revisions.
pub(super) async fn sender_view(registry: Registry<'_>, sender: Sender) -> Result<SenderView, Problem> {
    let revisions = registry.revisions(sender.id).await?;
    let active = revisions.iter().find(|revision| revision.status == RevisionStatus::Approved).cloned();
    let newest = revisions.first().map_or(RevisionStatus::Draft, |revision| revision.status);
    let status = match (&sender.archived_at, &active) {
        (Some(_), _) => RevisionStatus::Archived,
        (None, Some(_)) => RevisionStatus::Approved,
        (None, None) => newest,
    };
    Ok(SenderView {
        id: sender.id,
        workspace_id: sender.workspace_id,
        name: sender.name,
        status,
        active: active.map(RevisionView::from),
        created_at: sender.created_at.into(),
        archived_at: sender.archived_at.map(Moment),
        revisions: revisions.into_iter().map(RevisionView::from).collect(),
    })
}
