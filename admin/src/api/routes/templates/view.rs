//! Templates and versions as answers show them.

use crate::api::moment::Moment;
use crate::api::problem::Problem;
use crate::api::templates::Templates;
use engine::model::{
    MessageTemplate, RevisionStatus, TemplateId, TemplateStatus, TemplateVersion, UserId, WorkspaceId,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A message template.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Template)]
pub(crate) struct TemplateView {
    #[schema(value_type = Uuid)]
    id: TemplateId,
    #[schema(value_type = Uuid)]
    workspace_id: WorkspaceId,
    #[schema(example = "Login code")]
    name: String,
    /// `Draft` before its first approval, `Approved` while a version is, `Archived`.
    #[schema(value_type = String, example = "Approved")]
    status: TemplateStatus,
    /// The version that campaigns match.
    active: Option<VersionView>,
    #[schema(value_type = Uuid)]
    created_by: UserId,
    created_at: Moment,
    archived_at: Option<Moment>,
}

/// A message template with its versions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TemplateDetail {
    #[serde(flatten)]
    template: TemplateView,
    /// Every version, the newest first.
    versions: Vec<VersionView>,
}

/// A version of a template; its text never changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TemplateVersion)]
pub(crate) struct VersionView {
    id: Uuid,
    #[schema(value_type = Uuid)]
    template_id: TemplateId,
    /// 1 for the first version of a template.
    #[schema(example = 1)]
    n: u32,
    #[schema(example = "Your code is {code}.")]
    text: String,
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
    /// Why it was rejected.
    note: Option<String>,
    /// When it went out of use.
    archived_at: Option<Moment>,
}

impl From<TemplateVersion> for VersionView {
    fn from(v: TemplateVersion) -> Self {
        Self {
            id: v.id,
            template_id: v.template_id,
            n: v.n,
            text: v.text,
            status: v.status,
            created_by: v.created_by,
            created_at: v.created_at.into(),
            submitted_by: v.submitted_by,
            decided_by: v.decided_by,
            decided_at: v.decided_at.map(Moment),
            self_approved: v.self_approved,
            note: v.note,
            archived_at: v.archived_at.map(Moment),
        }
    }
}

impl TemplateView {
    /// A template with its approved version.
    pub(super) fn of(template: MessageTemplate, active: Option<TemplateVersion>) -> Self {
        Self {
            id: template.id,
            workspace_id: template.workspace_id,
            status: template.status(),
            name: template.name,
            active: active.map(VersionView::from),
            created_by: template.created_by,
            created_at: template.created_at.into(),
            archived_at: template.archived_at.map(Moment),
        }
    }
}

/// A template with all its versions.
pub(super) async fn detail(
    templates: Templates<'_>,
    template: MessageTemplate,
) -> Result<TemplateDetail, Problem> {
    let versions = templates.versions(template.id).await?;
    let active = versions.iter().find(|version| Some(version.n) == template.active).cloned();
    let template = TemplateView::of(template, active);
    Ok(TemplateDetail { template, versions: versions.into_iter().map(VersionView::from).collect() })
}
