//! Message templates and their immutable versions: texts that a moderator knows already when a campaign has one.

use crate::model::{RevisionStatus, TemplateId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A message template of a workspace; its texts are in its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageTemplate {
    /// Its id.
    pub id: TemplateId,
    /// The owner.
    pub workspace_id: WorkspaceId,
    /// Name shown to people.
    pub name: String,
    /// Who created it.
    pub created_by: UserId,
    /// Counts changes.
    pub version: u32,
    /// When it was created.
    pub created_at: jiff::Timestamp,
    /// Set when it is out of use: nothing matches it any more, and its name is free again.
    pub archived_at: Option<jiff::Timestamp>,
    /// The number of the approved version. Whatever sets it, or takes it away, bumps `version`: of two approvals at
    /// once, or an approval and an archiving, one finds that it has lost.
    pub active: Option<u32>,
}

impl MessageTemplate {
    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> TemplateStatus {
        match (&self.archived_at, self.active) {
            (Some(_), _) => TemplateStatus::Archived,
            (None, Some(_)) => TemplateStatus::Approved,
            (None, None) => TemplateStatus::Draft,
        }
    }
}

/// The life of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TemplateStatus {
    /// No version is approved yet.
    Draft,
    /// A version is approved.
    Approved,
    /// Out of use.
    Archived,
}

/// One version of a template; its text never changes after it was saved. It lives as a sender revision does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateVersion {
    /// Its id.
    pub id: Uuid,
    /// The template that it belongs to.
    pub template_id: TemplateId,
    /// The owner.
    pub workspace_id: WorkspaceId,
    /// 1 for the first version of a template.
    pub n: u32,
    /// The text, written as a campaign's.
    pub text: String,
    /// Where it stands.
    pub status: RevisionStatus,
    /// Counts decisions and other moves.
    pub state_version: u32,
    /// Who created it.
    pub created_by: UserId,
    /// Who submitted it, if that was not its creator.
    pub submitted_by: Option<UserId>,
    /// Who decided, once decided.
    pub decided_by: Option<UserId>,
    /// Whether it was approved by somebody who had created or submitted it, where the workspace is granted that.
    #[serde(default)]
    pub self_approved: bool,
    /// Why it was rejected.
    pub note: Option<String>,
    /// When it was created.
    pub created_at: jiff::Timestamp,
    /// When it was decided.
    pub decided_at: Option<jiff::Timestamp>,
    /// When it went out of use: another one took its place, or its template was archived.
    pub archived_at: Option<jiff::Timestamp>,
}

impl TemplateVersion {
    /// What a stored version that becomes `next` would lose and must not: its text and place never change, nor who
    /// submitted what was decided. `None` when nothing.
    #[must_use]
    pub fn lost_by(&self, next: &Self) -> Option<&'static str> {
        let place = |v: &Self| (v.template_id, v.workspace_id, v.n, v.created_by, v.created_at);
        if self.text != next.text {
            return Some("the text of a template version never changes");
        }
        if place(self) != place(next) {
            return Some("template, number and origin of a template version never change");
        }
        let is_open = matches!(self.status, RevisionStatus::Draft | RevisionStatus::PendingApproval);
        (!is_open && self.submitted_by != next.submitted_by)
            .then_some("a decided template version never changes")
    }
}
