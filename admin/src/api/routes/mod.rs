//! Every route of the API: one file per resource, each route registered with whom it is open to.
//!
//! Registering adds to the OpenAPI document what all routes share: the login, the refusals, who may call it.

mod api_keys;
mod audit_log;
mod campaigns;
mod diagnostics;
mod drafts;
mod health;
mod invitations;
mod join_requests;
mod login;
mod logins;
mod me;
mod members;
mod moderation;
mod monitoring;
mod openapi;
mod overview;
mod password_links;
mod platform_settings;
mod privacy;
mod senders;
mod settings;
mod setup;
mod suppressions;
mod templates;
mod usage;
mod users;
mod workspaces;
mod writing;

use super::guard::Access;
use super::permission::Standing;
use super::problem::CONTENT_TYPE;
use super::state::{AccessTable, Api};
use std::sync::Arc;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, RefOr, ResponseBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// What every path but those of health begins with.
pub(crate) const BASE: &str = "/api/v1";

/// Routes with their documentation and access.
pub(crate) struct Routes {
    /// For serving and documenting.
    pub(crate) router: OpenApiRouter<Arc<Api>>,
    /// For the guard.
    pub(crate) access: AccessTable,
}

impl Routes {
    /// No routes.
    pub(crate) fn new() -> Self {
        Self { router: OpenApiRouter::new(), access: AccessTable::new() }
    }

    /// Adds the methods of one path, all open to the same people.
    pub(crate) fn with(mut self, access: Access, methods: UtoipaMethodRouter<Arc<Api>>) -> Self {
        let (schemas, mut paths, router) = methods;
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                complete(operation, &method, access);
                let former = self.access.insert((word(&method).to_owned(), path.clone()), access);
                assert!(former.is_none(), "{} {path} is registered twice", word(&method));
            }
        }
        self.router = self.router.routes((schemas, paths, router));
        self
    }

    /// Adds others.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.access.extend(other.access);
        self
    }

    /// Puts all of them under a path.
    fn nest(self, base: &str) -> Self {
        let access = self
            .access
            .into_iter()
            .map(|((method, path), access)| ((method, format!("{base}{path}")), access));
        Self { router: OpenApiRouter::new().nest(base, self.router), access: access.collect() }
    }
}

/// All routes.
pub(crate) fn all() -> Routes {
    let parts = [
        openapi::routes(),
        setup::routes(),
        login::routes(),
        me::routes(),
        logins::routes(),
        users::routes(),
        password_links::routes(),
        campaigns::routes(),
        drafts::routes(),
        writing::routes(),
        moderation::routes(),
        senders::routes(),
        templates::routes(),
        monitoring::routes(),
        overview::routes(),
        usage::routes(),
        workspaces::routes(),
        platform_settings::routes(),
        privacy::routes(),
        settings::routes(),
        members::routes(),
        invitations::routes(),
        join_requests::routes(),
        api_keys::routes(),
        suppressions::routes(),
        audit_log::routes(),
        diagnostics::routes(),
    ];
    let api = parts.into_iter().fold(Routes::new(), Routes::merge);
    health::routes().merge(api.nest(BASE))
}

fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
        .collect()
}

const fn word(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Delete => "DELETE",
        _ => "other",
    }
}

/// The statuses that the layers before a handler, and every handler of its kind, may refuse with.
fn refusals(operation: &Operation, method: &HttpMethod, access: Access) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("400", "The request cannot be read"),
        ("500", "A defect"),
        ("503", "The store, the audit log or the engine is unavailable"),
    ];
    if access != Access::Public {
        all.extend([("401", "Nobody is logged in"), ("403", "Not allowed")]);
    }
    if matches!(access, Access::Workspace(_)) || operation.parameters.as_ref().is_some_and(|p| !p.is_empty())
    {
        all.push(("404", "Absent, or another tenant's"));
    }
    if !matches!(method, HttpMethod::Get) {
        all.extend([
            ("403", "Not allowed, or sent from another site"),
            ("409", "The state does not allow it"),
        ]);
    }
    if operation.request_body.is_some() {
        all.extend([
            ("413", "The body is too large"),
            ("415", "The body is of another media type"),
            ("422", "Values cannot be used"),
        ]);
    }
    all
}

fn complete(operation: &mut Operation, method: &HttpMethod, access: Access) {
    for (status, description) in refusals(operation, method, access) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let refusal = ResponseBuilder::new().description(description).content(CONTENT_TYPE, content).build();
        operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(refusal));
    }
    let none: [&str; 0] = [];
    operation.security = Some(match access {
        Access::Public => Vec::new(),
        Access::Login | Access::SuperAdmin => vec![SecurityRequirement::new("login", none)],
        Access::Workspace(action) => {
            let mut ways = vec![SecurityRequirement::new("login", none)];
            ways.extend(action.key_scope().map(|_| SecurityRequirement::new("api_key", none)));
            ways
        }
    });
    operation.extensions = Some(ExtensionsBuilder::new().add("x-access", told(access)).build());
}

/// Who may call it, for readers and tests of the document.
fn told(access: Access) -> serde_json::Value {
    match access {
        Access::Public => "public".into(),
        Access::Login => "login".into(),
        Access::SuperAdmin => "super_admin".into(),
        Access::Workspace(action) => {
            let grants = Standing::ALL.into_iter().zip(action.grants());
            let grants: serde_json::Map<_, _> = grants
                .map(|(standing, grant)| {
                    (format!("{standing:?}"), serde_json::to_value(grant).unwrap_or_default())
                })
                .collect();
            serde_json::json!({ "action": action.word(), "grants": grants, "key_scope": action.key_scope() })
        }
    }
}
