//! Versions of a template: saved, submitted, decided about by somebody else.

use super::view::VersionView;
use crate::api::authoring::judge::names_in;
use crate::api::caller::Member;
use crate::api::deciding::{Judge, MAX_TRIES, revision};
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::routes::Routes;
use crate::api::routes::senders::Note;
use crate::api::state::Api;
use crate::api::templates::Templates;
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{MessageTemplate, RevisionStatus, TemplateVersion, Variable};
use engine::store::{Change, Entity, Expect};
use engine::text::{MAX_TEXT_CHARS, compose};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::TemplateWrite), routes!(create))
        .with(Access::Workspace(Action::TemplateWrite), routes!(submit))
        .with(Access::Workspace(Action::TemplateDecide), routes!(approve))
        .with(Access::Workspace(Action::TemplateDecide), routes!(reject))
}

/// A text.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTemplateVersion)]
pub(crate) struct NewVersion {
    /// Written as a campaign's: `{name}` stands for a value.
    #[schema(min_length = 1, max_length = 4096, example = "Your code is {code}.")]
    text: String,
    /// Whether it is submitted for a decision at once.
    #[serde(default)]
    submit: bool,
}

type Answer = Result<axum::Json<VersionView>, Problem>;
type Place = Path<(String, Uuid, u32)>;

/// Saves a new version as a draft, or submits it at once; the approved one stays so until this one is approved.
#[utoipa::path(
    post, path = "/w/{slug}/templates/{id}/versions", tag = "Templates",
    params(("slug" = String, Path), ("id" = Uuid, Path)),
    request_body = NewVersion, responses((status = 201, body = VersionView))
)]
async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Json(new): Json<NewVersion>,
) -> Result<(StatusCode, axum::Json<VersionView>), Problem> {
    let templates = Templates::new(&api, member.workspace.id);
    check_text(&new.text)?;
    for _ in 0..MAX_TRIES {
        let (now, template) = (api.now(), templates.open_template(id).await?);
        member.must_own(template.created_by)?;
        if new.submit {
            templates.has_room_to_wait(member.user_id()).await?;
        }
        let n = templates.next_n(template.id).await?;
        let version = first((&template, n), &new, &member, now);
        let action = if new.submit { SUBMIT } else { "template_version.create" };
        let change = templates.change(Expect::Absent, Entity::TemplateVersion(version.clone()), action);
        if templates.apply(vec![change], &member.principal(), now).await? {
            return Ok((StatusCode::CREATED, axum::Json(version.into())));
        }
    }
    Err(Problem::new(Code::VersionChanged))
}

/// The action of a version that is submitted, at once or later.
const SUBMIT: &str = "template_version.submit";

/// Refuses what cannot be a campaign's text. No list tells yet how long values are, so each counts as one character.
fn check_text(text: &str) -> Result<(), Problem> {
    if text.chars().count() > MAX_TEXT_CHARS {
        let message = format!("A text has at most {MAX_TEXT_CHARS} characters.");
        return Err(Problem::field("text", "too_long", message));
    }
    let refused = |message: String| Problem::field("text", "text_invalid", message);
    let names = names_in(text).map_err(refused)?;
    let variables: Vec<_> = names.into_iter().map(|name| Variable { name, max_chars: 1 }).collect();
    compose(text, &variables).map(drop).map_err(|error| refused(error.to_string()))
}

fn first(
    (template, n): (&MessageTemplate, u32),
    new: &NewVersion,
    member: &Member,
    now: jiff::Timestamp,
) -> TemplateVersion {
    TemplateVersion {
        id: Uuid::now_v7(),
        template_id: template.id,
        workspace_id: template.workspace_id,
        n,
        text: new.text.clone(),
        status: if new.submit { RevisionStatus::PendingApproval } else { RevisionStatus::Draft },
        state_version: 0,
        created_by: member.user_id(),
        submitted_by: None,
        decided_by: None,
        self_approved: false,
        note: None,
        created_at: now,
        decided_at: None,
        archived_at: None,
    }
}

/// Submits a draft for a decision.
#[utoipa::path(
    post, path = "/w/{slug}/templates/{id}/versions/{n}/submit", tag = "Templates",
    params(("slug" = String, Path), ("id" = Uuid, Path), ("n" = u32, Path)),
    responses((status = 200, body = VersionView))
)]
async fn submit(State(api): State<Arc<Api>>, member: Member, Path((_, id, n)): Place) -> Answer {
    moved((&api, &member), (id, n), Step::Submit).await
}

/// Approves a version: campaigns with exactly this text are marked in the queue, and still decided about one by one.
#[utoipa::path(
    post, path = "/w/{slug}/templates/{id}/versions/{n}/approve", tag = "Templates",
    params(("slug" = String, Path), ("id" = Uuid, Path), ("n" = u32, Path)),
    responses((status = 200, body = VersionView))
)]
async fn approve(State(api): State<Arc<Api>>, member: Member, Path((_, id, n)): Place) -> Answer {
    moved((&api, &member), (id, n), Step::Approve).await
}

/// Rejects a version with a note.
#[utoipa::path(
    post, path = "/w/{slug}/templates/{id}/versions/{n}/reject", tag = "Templates",
    params(("slug" = String, Path), ("id" = Uuid, Path), ("n" = u32, Path)),
    request_body = Note, responses((status = 200, body = VersionView))
)]
async fn reject(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id, n)): Place,
    Json(body): Json<Note>,
) -> Answer {
    let note = fields::note(&body.note)?;
    moved((&api, &member), (id, n), Step::Reject(&note)).await
}

/// What somebody wants of a version.
#[derive(Clone, Copy)]
enum Step<'a> {
    Submit,
    Approve,
    Reject(&'a str),
}

/// Moves a version by compare-and-set; what was wanted is judged anew when somebody was faster.
async fn moved((api, member): (&Api, &Member), (id, n): (Uuid, u32), step: Step<'_>) -> Answer {
    let templates = Templates::new(api, member.workspace.id);
    for _ in 0..MAX_TRIES {
        let (now, template) = (api.now(), templates.template(id).await?);
        let stored = templates.version(template.id, n).await?;
        let (next, changes) = changes((templates, member), (template, &stored), step, now).await?;
        if templates.apply(changes, &member.principal(), now).await? {
            return Ok(axum::Json(next.into()));
        }
    }
    Err(Problem::new(Code::VersionChanged))
}

/// The version behind a step, and everything that changes with it.
async fn changes(
    (templates, member): (Templates<'_>, &Member),
    (template, stored): (MessageTemplate, &TemplateVersion),
    step: Step<'_>,
    now: jiff::Timestamp,
) -> Result<(TemplateVersion, Vec<Change>), Problem> {
    let judge = Judge::of(member);
    match step {
        Step::Submit => {
            member.must_own(template.created_by)?;
            let next = revision::submit(stored, member.user_id())?;
            templates.open_template(template.id.0).await?;
            templates.has_room_to_wait(member.user_id()).await?;
            Ok((next.clone(), vec![templates.moved(stored, next, SUBMIT)]))
        }
        Step::Approve => {
            let next = revision::approve(stored, &judge, now)?;
            let template = templates.open_template(template.id.0).await?;
            let mut changes = templates.archiving(&template, now).await?;
            let expect = Expect::Version(template.version);
            let template =
                MessageTemplate { active: Some(next.n), version: template.version + 1, ..template };
            changes.push(templates.change(expect, Entity::Template(template), "template.activate"));
            changes.push(templates.moved(stored, next.clone(), "template_version.approve"));
            Ok((next, changes))
        }
        Step::Reject(note) => {
            let next = revision::reject(stored, &judge, note, now)?;
            Ok((next.clone(), vec![templates.moved(stored, next, "template_version.reject")]))
        }
    }
}
