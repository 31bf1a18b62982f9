//! Revisions of a sender: saved, submitted, decided about by somebody else, withdrawn.

use super::view::RevisionView;
use crate::api::caller::Member;
use crate::api::deciding::{Judge, MAX_TRIES, revision};
use crate::api::fields;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::Path;
use crate::api::registry::{MAX_REVISIONS, Registry};
use crate::api::routes::Routes;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use engine::model::{Revision, RevisionMove, RevisionStatus, Sender, check_source};
use engine::store::{Change, Entity, Expect};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::SenderWrite), routes!(create))
        .with(Access::Workspace(Action::SenderWrite), routes!(submit))
        .with(Access::Workspace(Action::SenderDecide), routes!(approve))
        .with(Access::Workspace(Action::SenderDecide), routes!(reject))
        .with(Access::Workspace(Action::SenderDecide), routes!(withdraw))
}

/// A source address.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRevision {
    /// With `ston` 5 a name of at most 11 characters with at least one letter, else at most 20 digits.
    #[schema(min_length = 1, max_length = 20, example = "Shop")]
    saddr: String,
    /// Type of number, 0 to 6; 5 is a name.
    #[schema(minimum = 0, maximum = 6, example = 5)]
    ston: u8,
    /// Numbering plan: 0, 1, 3, 4, 6, 8, 9, 10, 14 or 18.
    #[schema(minimum = 0, maximum = 18, example = 0)]
    snpi: u8,
    /// How the carriers know it: a number or name of their registration.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    registration_ref: Option<String>,
    /// Whether it is submitted for a decision at once.
    #[serde(default)]
    submit: bool,
}

/// Why something is refused or taken away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModeratorNote)]
pub(crate) struct Note {
    /// For those whom it concerns.
    #[schema(min_length = 1, max_length = 1000, example = "The carrier does not know it.")]
    pub(crate) note: String,
}

type Answer = Result<axum::Json<RevisionView>, Problem>;
type Place = Path<(String, Uuid, u32)>;

/// Saves a new revision as a draft, or submits it at once; the active one stays active until it is approved.
#[utoipa::path(
    post, path = "/w/{slug}/senders/{id}/revisions", tag = "Senders",
    params(("slug" = String, Path), ("id" = Uuid, Path)),
    request_body = NewRevision, responses((status = 201, body = RevisionView))
)]
async fn create(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, Uuid)>,
    Json(new): Json<NewRevision>,
) -> Result<(StatusCode, axum::Json<RevisionView>), Problem> {
    let registry = Registry::new(&api, member.workspace.id);
    let new = checked(new)?;
    for _ in 0..MAX_TRIES {
        let (now, sender) = (api.now(), registry.open_sender(id).await?);
        if new.submit {
            registry.has_room_to_wait().await?;
        }
        let revision = next_revision(registry, &sender, &new, &member, now).await?;
        let action = if new.submit { RevisionMove::Submit.action() } else { "sender_revision.create" };
        let change = registry.change(Expect::Absent, Entity::Revision(revision.clone()), action);
        if registry.apply(vec![change], &member.principal(), now).await? {
            return Ok((StatusCode::CREATED, axum::Json(revision.into())));
        }
    }
    Err(Problem::new(Code::VersionChanged))
}

/// Checks the address.
pub(super) fn source(saddr: &str, ston: u8, snpi: u8) -> Result<(), Problem> {
    check_source(saddr, ston, snpi)
        .map_err(|fault| Problem::field(fault.field(), fault.word(), format!("Not possible: {fault}.")))
}

fn checked(new: NewRevision) -> Result<NewRevision, Problem> {
    source(&new.saddr, new.ston, new.snpi)?;
    let registration_ref =
        new.registration_ref.as_deref().map(|text| fields::line("registration_ref", text)).transpose()?;
    Ok(NewRevision { registration_ref, ..new })
}

async fn next_revision(
    registry: Registry<'_>,
    sender: &Sender,
    new: &NewRevision,
    member: &Member,
    now: jiff::Timestamp,
) -> Result<Revision, Problem> {
    let status = if new.submit { RevisionStatus::PendingApproval } else { RevisionStatus::Draft };
    Ok(Revision {
        id: Uuid::now_v7(),
        sender_id: sender.id,
        workspace_id: sender.workspace_id,
        n: next_n(registry, sender).await?,
        saddr: new.saddr.clone(),
        ston: new.ston,
        snpi: new.snpi,
        status,
        version: 0,
        created_by: member.user_id(),
        submitted_by: None,
        decided_by: None,
        self_approved: false,
        registration_ref: new.registration_ref.clone(),
        note: None,
        created_at: now,
        decided_at: None,
        archived_at: None,
    })
}

/// The number of the next revision of a sender.
pub(super) async fn next_n(registry: Registry<'_>, sender: &Sender) -> Result<u32, Problem> {
    let revisions = registry.revisions(sender.id).await?;
    if revisions.len() >= MAX_REVISIONS {
        let told = format!("A sender has at most {MAX_REVISIONS} revisions; create another sender.");
        return Err(Problem::because(Code::StateConflict, told));
    }
    Ok(revisions.iter().map(|revision| revision.n).max().unwrap_or(0) + 1)
}

/// Submits a draft for a decision.
#[utoipa::path(
    post, path = "/w/{slug}/senders/{id}/revisions/{n}/submit", tag = "Senders",
    params(("slug" = String, Path), ("id" = Uuid, Path), ("n" = u32, Path)),
    responses((status = 200, body = RevisionView))
)]
async fn submit(State(api): State<Arc<Api>>, member: Member, Path((_, id, n)): Place) -> Answer {
    decided((&api, &member), (id, n), Step::Submit).await.map(answer)
}

/// Approves a revision: its address is claimed in the whole installation, and new campaigns get it.
#[utoipa::path(
    post, path = "/w/{slug}/senders/{id}/revisions/{n}/approve", tag = "Senders",
    params(("slug" = String, Path), ("id" = Uuid, Path), ("n" = u32, Path)),
    responses((status = 200, body = RevisionView))
)]
async fn approve(State(api): State<Arc<Api>>, member: Member, Path((_, id, n)): Place) -> Answer {
    decided((&api, &member), (id, n), Step::Approve).await.map(answer)
}

/// Rejects a revision with a note.
#[utoipa::path(
    post, path = "/w/{slug}/senders/{id}/revisions/{n}/reject", tag = "Senders",
    params(("slug" = String, Path), ("id" = Uuid, Path), ("n" = u32, Path)),
    request_body = Note, responses((status = 200, body = RevisionView))
)]
async fn reject(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id, n)): Place,
    Json(body): Json<Note>,
) -> Answer {
    let note = fields::note(&body.note)?;
    decided((&api, &member), (id, n), Step::Reject(&note)).await.map(answer)
}

/// Withdraws an approved revision with a note: campaigns that send under it, or would, fail.
///
/// Sent again when the first answer was 503, it fails those that still go on.
#[utoipa::path(
    post, path = "/w/{slug}/senders/{id}/revisions/{n}/withdraw", tag = "Senders",
    params(("slug" = String, Path), ("id" = Uuid, Path), ("n" = u32, Path)),
    request_body = Note, responses((status = 200, body = RevisionView))
)]
async fn withdraw(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id, n)): Place,
    Json(body): Json<Note>,
) -> Answer {
    let note = fields::note(&body.note)?;
    let (workspace, by) = (member.workspace.id, member.principal());
    match decided((&api, &member), (id, n), Step::Withdraw(&note)).await {
        Ok(withdrawn) => {
            api.engine.revision_withdrawn(workspace, withdrawn.id, &by).await?;
            Ok(answer(withdrawn))
        }
        Err(refused) => {
            let registry = Registry::new(&api, workspace);
            let stored = registry.revision(registry.sender(id).await?.id, n).await?;
            if !revision::is_withdrawn(&stored) {
                return Err(refused);
            }
            let stopped = api.engine.revision_withdrawn(workspace, stored.id, &by).await?;
            if stopped.is_empty() { Err(refused) } else { Ok(answer(stored)) }
        }
    }
}

fn answer(revision: Revision) -> axum::Json<RevisionView> {
    axum::Json(revision.into())
}

/// What somebody wants of a revision.
#[derive(Clone, Copy)]
enum Step<'a> {
    Submit,
    Approve,
    Reject(&'a str),
    Withdraw(&'a str),
}

/// Moves a revision by compare-and-set; what was wanted is judged anew when somebody was faster.
async fn decided(
    (api, member): (&Api, &Member),
    (id, n): (Uuid, u32),
    step: Step<'_>,
) -> Result<Revision, Problem> {
    let registry = Registry::new(api, member.workspace.id);
    for _ in 0..MAX_TRIES {
        let (now, sender) = (api.now(), registry.sender(id).await?);
        let stored = registry.revision(sender.id, n).await?;
        let (next, changes) = changes((registry, member), (sender, &stored), step, now).await?;
        if registry.apply(changes, &member.principal(), now).await? {
            return Ok(next);
        }
    }
    Err(Problem::new(Code::VersionChanged))
}

/// The revision behind a step, and everything that changes with it.
async fn changes(
    (registry, member): (Registry<'_>, &Member),
    (sender, stored): (Sender, &Revision),
    step: Step<'_>,
    now: jiff::Timestamp,
) -> Result<(Revision, Vec<Change>), Problem> {
    let judge = Judge::of(member);
    let expect = Expect::Version(sender.version);
    let (next, what, more) = match step {
        Step::Submit => {
            let next = revision::submit(stored, member.user_id())?;
            registry.open_sender(sender.id.0).await?;
            registry.has_room_to_wait().await?;
            (next, RevisionMove::Submit, Vec::new())
        }
        Step::Approve => {
            let next = revision::approve(stored, &judge, now)?;
            registry.open_sender(sender.id.0).await?;
            let more = registry.activation((sender, expect), &next, now).await?;
            (next, RevisionMove::Approve, more)
        }
        Step::Reject(note) => {
            (revision::reject(stored, &judge, note, now)?, RevisionMove::Reject, Vec::new())
        }
        Step::Withdraw(note) => {
            let next = revision::withdraw(stored, member.user_id(), note, now)?;
            let sender = Sender { active: None, version: sender.version + 1, ..sender };
            let more = registry.change(expect, Entity::Sender(sender), "sender.deactivate");
            (next, RevisionMove::Withdraw, vec![more])
        }
    };
    let mut changes = vec![registry.moved(stored, next.clone(), what)];
    changes.extend(more);
    Ok((next, changes))
}
