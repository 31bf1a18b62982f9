//! Numbers that are not to be written to: a workspace's own list, and the installation's.
//!
//! Numbers come in a body and go out masked; an entry is named by an id that does not show its number. Everything goes
//! through the engine, which stops what is under way to a number before it answers.

use super::Routes;
use crate::api::caller::{Caller, Member, SuperAdmin};
use crate::api::fields::line;
use crate::api::guard::Access;
use crate::api::json::Json;
use crate::api::moment::Moment;
use crate::api::note::unrecorded;
use crate::api::page::{Listed, PageQuery, bad_cursor};
use crate::api::permission::Action;
use crate::api::problem::{Code, Problem};
use crate::api::query::{Path, Query};
use crate::api::sealed::Seal;
use crate::api::state::Api;
use axum::extract::State;
use axum::http::StatusCode;
use engine::intake::{Region, normalise};
use engine::model::{EntityId, Number, Principal, Suppression, SuppressionKind};
use engine::store::{MAX_SUPPRESSIONS, Scope, SuppressionKey};
use engine::{EngineError, KEYWORD_SOURCE};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

/// Longest number as written: fifteen digits with room for marks between them.
const MAX_WRITTEN_OCTETS: usize = 64;
/// Digits in a row from which a reason could hold a number, which would be told in full.
const MANY_DIGITS: usize = 6;

pub(super) fn routes() -> Routes {
    Routes::new()
        .with(Access::Workspace(Action::WorkspaceRead), routes!(list))
        .with(Access::Workspace(Action::WorkspaceManage), routes!(add))
        .with(Access::Workspace(Action::WorkspaceManage), routes!(remove))
        .with(Access::SuperAdmin, routes!(list_all, add_all))
        .with(Access::SuperAdmin, routes!(remove_all))
}

/// An entry of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuppressionView {
    /// Names it, without its number.
    #[schema(example = "5d2a7c0a000700080191d7c0a0007000", pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// The number, but for its last digits masked.
    #[schema(example = "••••••5678")]
    number: String,
    /// `block`: nothing goes out. `opt_out`: its owner asked for no more, transactional campaigns still go out.
    #[schema(value_type = String, example = "block")]
    kind: SuppressionKind,
    /// Where it came from.
    #[schema(example = "complaint of October")]
    reason: String,
    /// Since when.
    created_at: Moment,
}

impl SuppressionView {
    fn new(seal: &Seal, entry: Suppression) -> Self {
        Self {
            id: seal.close((entry.number, entry.kind)),
            number: Number(entry.number).to_string(),
            kind: entry.kind,
            reason: entry.source,
            created_at: entry.at.into(),
        }
    }
}

/// Numbers to be put on a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSuppressions {
    /// Digits with an optional `+`, spaces, dashes or leading `00`; national ones with the workspace's default region.
    #[schema(example = json!(["+49 151 12345678"]), min_items = 1, max_items = 10_000)]
    numbers: Vec<String>,
    /// For people: why, or where they come from; never a number.
    #[schema(example = "complaint of October", min_length = 1, max_length = 200)]
    reason: String,
    /// `block`, or `opt_out` to let transactional campaigns through.
    #[serde(default = "block")]
    #[schema(value_type = Option<String>, example = "block", pattern = "^(block|opt_out)$")]
    kind: SuppressionKind,
}

const fn block() -> SuppressionKind {
    SuppressionKind::Block
}

/// What became of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Suppressed {
    /// Different numbers that are on the list now.
    #[schema(example = 1)]
    listed: usize,
    /// How many of them were not before.
    #[schema(example = 1)]
    added: u64,
}

/// The workspace's list by number, masked.
#[utoipa::path(
    get, path = "/w/{slug}/suppressions", tag = "Suppressions",
    params(PageQuery, ("slug" = String, Path, description = "Slug")),
    responses((status = 200, body = Listed<SuppressionView>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    member: Member,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Listed<SuppressionView>>, Problem> {
    read(&api, member.scope(), page).await
}

/// The installation's list by number, masked.
#[utoipa::path(
    get, path = "/suppressions", tag = "Platform", params(PageQuery),
    responses((status = 200, body = Listed<SuppressionView>))
)]
async fn list_all(
    State(api): State<Arc<Api>>,
    _: SuperAdmin,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<Listed<SuppressionView>>, Problem> {
    read(&api, Scope::Platform, page).await
}

async fn read(
    api: &Api,
    scope: Scope,
    page: PageQuery,
) -> Result<axum::Json<Listed<SuppressionView>>, Problem> {
    let limit = page.limit()?;
    let seal = Seal::of(api, scope).await?;
    let after = page.cursor.map(|id| seal.open(&id).ok_or_else(bad_cursor)).transpose()?;
    let entries = api.catalog.suppressions(scope, after, limit).await?;
    let is_full = entries.len() == limit;
    let items: Vec<_> = entries.into_iter().map(|entry| SuppressionView::new(&seal, entry)).collect();
    let next_cursor = items.last().filter(|_| is_full).map(|last| last.id.clone());
    Ok(axum::Json(Listed { items, next_cursor }))
}

/// Puts numbers on the workspace's list, at once and also for campaigns that are sending.
///
/// All of them, or none when one is no number.
#[utoipa::path(
    post, path = "/w/{slug}/suppressions", tag = "Suppressions", request_body = NewSuppressions,
    params(("slug" = String, Path, description = "Slug")), responses((status = 201, body = Suppressed))
)]
async fn add(
    State(api): State<Arc<Api>>,
    member: Member,
    Json(body): Json<NewSuppressions>,
) -> Result<(StatusCode, axum::Json<Suppressed>), Problem> {
    let region = member.workspace.policies.default_region.as_deref();
    // A region that was known when it was chosen is known; without one, numbers are international.
    let region = region.and_then(|code| Region::new(code).ok());
    write(&api, (member.scope(), region), body, &member.principal()).await
}

/// Puts numbers on the installation's list: nobody writes to them any more.
///
/// All of them, or none when one is no number. They are international: the installation has no region.
#[utoipa::path(
    post, path = "/suppressions", tag = "Platform", request_body = NewSuppressions,
    responses((status = 201, body = Suppressed))
)]
async fn add_all(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(body): Json<NewSuppressions>,
) -> Result<(StatusCode, axum::Json<Suppressed>), Problem> {
    write(&api, (Scope::Platform, None), body, &caller.platform_principal()).await
}

async fn write(
    api: &Api,
    (scope, region): (Scope, Option<Region>),
    body: NewSuppressions,
    by: &Principal,
) -> Result<(StatusCode, axum::Json<Suppressed>), Problem> {
    let reason = reason(&body.reason)?;
    let numbers = numbers(&body.numbers, region.as_ref())?;
    let listed = numbers.len();
    let added = match api.engine.suppress(scope, numbers, (body.kind, &reason), by).await {
        Err(EngineError::StoppedNotRecorded(why)) => {
            let details = json!({ "numbers": listed, "kind": body.kind, "source": reason });
            let id = match scope {
                Scope::Workspace(workspace) => workspace.into(),
                Scope::Platform => EntityId(Uuid::nil()),
            };
            let (who, entity) = ((scope, by.clone()), ("suppression", id));
            return Err(unrecorded(api, who, "suppression.add_unrecorded", entity, (why, details)).await);
        }
        added => added?,
    };
    Ok((StatusCode::CREATED, axum::Json(Suppressed { listed, added })))
}

fn reason(text: &str) -> Result<String, Problem> {
    let reason = line("reason", text)?;
    // What begins like this is taken back by a keyword of the handset.
    if reason.starts_with(KEYWORD_SOURCE) {
        return Err(Problem::field("reason", "reserved", "This beginning marks what handsets asked for."));
    }
    let runs = reason.split(|c: char| !c.is_ascii_digit());
    if runs.map(str::len).any(|digits| digits > MANY_DIGITS) {
        return Err(Problem::field(
            "reason",
            "number",
            "A reason holds no number: it is shown to everybody.",
        ));
    }
    Ok(reason)
}

/// The different numbers in their order.
fn numbers(written: &[String], region: Option<&Region>) -> Result<Vec<u64>, Problem> {
    if written.is_empty() || written.len() > MAX_SUPPRESSIONS {
        let message = format!("From 1 to {MAX_SUPPRESSIONS} numbers.");
        return Err(Problem::field("numbers", "out_of_range", message));
    }
    let mut refused: Option<Problem> = None;
    let mut numbers = Vec::with_capacity(written.len());
    for (index, text) in written.iter().enumerate() {
        match read_number(text, region) {
            Ok(number) => numbers.push(number),
            Err((code, message)) => {
                let problem = refused.take().unwrap_or_else(|| Problem::new(Code::Invalid));
                refused = Some(problem.with_field(&format!("numbers[{index}]"), code, message));
            }
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    refused.map_or(Ok(numbers), Err)
}

fn read_number(text: &str, region: Option<&Region>) -> Result<u64, (&'static str, &'static str)> {
    if text.len() > MAX_WRITTEN_OCTETS {
        return Err(("too_long", "This is too long for a number."));
    }
    let number = normalise(text.as_bytes(), region);
    number.map(engine::intake::E164::get).map_err(|why| (why.code(), why.sentence()))
}

/// Takes an entry off the workspace's list.
#[utoipa::path(
    delete, path = "/w/{slug}/suppressions/{id}", tag = "Suppressions",
    params(("slug" = String, Path, description = "Slug"), ("id" = String, Path, description = "Entry")),
    responses((status = 204, description = "Taken off"))
)]
async fn remove(
    State(api): State<Arc<Api>>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    take_off(&api, member.scope(), &id, &member.principal()).await
}

/// Takes an entry off the installation's list.
#[utoipa::path(
    delete, path = "/suppressions/{id}", tag = "Platform", params(("id" = String, Path, description = "Entry")),
    responses((status = 204, description = "Taken off"))
)]
async fn remove_all(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    take_off(&api, Scope::Platform, &id, &caller.platform_principal()).await
}

async fn take_off(api: &Api, scope: Scope, id: &str, by: &Principal) -> Result<StatusCode, Problem> {
    let key = Seal::of(api, scope).await?.open(id);
    let key = key.ok_or_else(|| Problem::new(Code::NotFound))?;
    let found = api.catalog.suppressions(scope, Some(before(key)), 1).await?;
    if found.first().is_none_or(|entry| (entry.number, entry.kind) != key) {
        return Err(Problem::new(Code::NotFound));
    }
    api.engine.unsuppress(scope, vec![key], by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The greatest key that a list orders before this one.
const fn before((number, kind): SuppressionKey) -> SuppressionKey {
    match kind {
        SuppressionKind::OptOut => (number.saturating_sub(1), SuppressionKind::Block),
        SuppressionKind::Block => (number, SuppressionKind::OptOut),
    }
}

#[cfg(test)]
mod tests;
