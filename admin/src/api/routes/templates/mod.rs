//! The message templates of a workspace: created and archived here, given a text by their versions.

#[cfg(test)]
mod tests;
mod versions;
mod view;

pub(crate) use view::VersionView;

use super::Routes;
use crate::api::caller::Member;
use crate::api::deciding::MAX_TRIES;
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::page::{self, Listed, bad_cursor};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::state::Api;
use crate::api::templates::Templates;
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{EntityId, MessageTemplate, TemplateId, TemplateStatus};
use engine::store::{Entity, Expect};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;
use view::{TemplateDetail, TemplateView, detail};

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::TemplateRead), routes!(list))
        .with(Access::Workspace(Action::TemplateWrite), routes!(create))
        .with(Access::Workspace(Action::TemplateRead), routes!(show))
        .with(Access::Workspace(Action::TemplateWrite), routes!(archive))
        .merge(versions::routes())
}

/// A template to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTemplate {
    /// Its name, unique among those that are not archived, whatever the case of its letters.
    #[schema(min_length = 1, max_length = 200, example = "Login code")]
    name: String,
}

/// Which templates.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateQuery {
    /// Items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
    /// Only those of this status: `Draft`, `Approved`, `Archived`.
    #[param(value_type = Option<String>)]
    status: Option<TemplateStatus>,
}

/// Lists the templates of a workspace with their approved texts, the newest first.
#[utoipa::path(
    get, path = "/w/{slug}/templates", tag = "Templates",
    params(("slug" = String, Path), TemplateQuery), responses((status = 200, body = Listed<TemplateView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(query): Query<TemplateQuery>,
) -> Result<axum::Json<Listed<TemplateView>>, Problem> {
    let limit = page::limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(|text| Uuid::try_parse(text).map_err(|_| bad_cursor()));
    let after = cursor.transpose()?.map(EntityId);
    let templates = Templates::new(&api, member.workspace.id);
    let (found, next) = templates.listed(query.status, (after, limit)).await?;
    let approved = templates.approved().await?;
    let mut approved: HashMap<_, _> = approved.into_iter().map(|v| (v.template_id, v)).collect();
    let view = |template: MessageTemplate| {
        let active = approved.remove(&template.id);
        TemplateView::of(template, active)
    };
    let items = found.into_iter().map(view).collect();
    Ok(axum::Json(Listed { items, next_cursor: next.map(|id| id.to_string()) }))
}

/// Creates a template without a text: its versions have one.
#[utoipa::path(
    post, path = "/w/{slug}/templates", tag = "Templates", params(("slug" = String, Path)),
    request_body = NewTemplate, responses((status = 201, body = TemplateDetail))
)]
async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Json(new): Json<NewTemplate>,
) -> Result<(StatusCode, axum::Json<TemplateDetail>), Problem> {
    let name = fields::line("name", &new.name)?;
    let templates = Templates::new(&api, member.workspace.id);
    for _ in 0..MAX_TRIES {
        let (now, place) = (api.now(), templates.place(member.user_id()).await?);
        let template = MessageTemplate {
            id: TemplateId(Uuid::now_v7()),
            workspace_id: member.workspace.id,
            name: name.clone(),
            created_by: member.user_id(),
            version: 0,
            created_at: now,
            archived_at: None,
            active: None,
        };
        let new = templates.change(Expect::Absent, Entity::Template(template.clone()), "template.create");
        if templates.apply(vec![place, new], &member.principal(), now).await? {
            return Ok((StatusCode::CREATED, axum::Json(detail(templates, template).await?)));
        }
    }
    Err(Problem::new(Code::VersionChanged))
}

/// Shows a template with its versions.
#[utoipa::path(
    get, path = "/w/{slug}/templates/{id}", tag = "Templates",
    params(("slug" = String, Path), ("id" = Uuid, Path)), responses((status = 200, body = TemplateDetail))
)]
async fn show(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<TemplateDetail>, Problem> {
    let templates = Templates::new(&api, member.workspace.id);
    let template = templates.template(id).await?;
    Ok(axum::Json(detail(templates, template).await?))
}

/// Archives a template: no campaign matches it from now on, and its name is free again.
#[utoipa::path(
    post, path = "/w/{slug}/templates/{id}/archive", tag = "Templates",
    params(("slug" = String, Path), ("id" = Uuid, Path)), responses((status = 200, body = TemplateDetail))
)]
async fn archive(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
) -> Result<axum::Json<TemplateDetail>, Problem> {
    let templates = Templates::new(&api, member.workspace.id);
    for _ in 0..MAX_TRIES {
        let (now, template) = (api.now(), templates.open_template(id).await?);
        member.must_own(template.created_by)?;
        let mut changes = templates.archiving(&template, now).await?;
        let expect = Expect::Version(template.version);
        let template = MessageTemplate {
            archived_at: Some(now),
            active: None,
            version: template.version + 1,
            ..template
        };
        changes.push(templates.change(expect, Entity::Template(template.clone()), "template.archive"));
        if templates.apply(changes, &member.principal(), now).await? {
            return Ok(axum::Json(detail(templates, template).await?));
        }
    }
    Err(Problem::new(Code::VersionChanged))
}
