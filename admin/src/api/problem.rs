//! Refusals as programs and people read them: RFC 9457 problem details with a closed list of codes.
//!
//! A handler returns a [`Problem`]; the outermost layer writes it, because only that one knows the request's id.
//! A problem never tells what belongs to another tenant, nor a number, text or secret.

use crate::accounts::{BUSY_RETRY_S, Busy, Weak};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::EngineError;
use engine::store::StoreError;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// What every `type` begins with; relative, so that it resolves inside an installation without internet.
pub(crate) const TYPE_BASE: &str = "/problems/";
/// Media type of a problem.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";
/// Most entries in `errors`: whoever sends a thousand wrong fields reads the first ones.
const MAX_FIELDS: usize = 50;

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $code:literal, $status:ident, $title:literal;)+) => {
        /// Everything that a request can be refused for. The codes are fixed, the titles may be reworded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Code { $($(#[$doc])+ $name,)+ }

        impl Code {
            /// Every code.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// How `type` ends.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The status of the answer.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// One line for people.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    /// The body is no JSON, or has unknown, repeated or misplaced fields.
    Malformed = "malformed", BAD_REQUEST, "The request cannot be read";
    /// A query parameter or header cannot be read.
    BadParameter = "bad_parameter", BAD_REQUEST, "A parameter cannot be read";
    /// Nobody is logged in, or the key is unknown, expired or revoked.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Log in first";
    /// Email or password is wrong.
    BadCredentials = "bad_credentials", UNAUTHORIZED, "Email or password is wrong";
    /// The role does not allow it.
    Forbidden = "forbidden", FORBIDDEN, "Your role does not allow this";
    /// Only the creator may do it in this role.
    NotYours = "not_yours", FORBIDDEN, "This belongs to somebody else";
    /// The API key lacks the scope.
    KeyScope = "key_scope", FORBIDDEN, "The API key does not allow this";
    /// A browser sent it from another site.
    CrossSite = "cross_site", FORBIDDEN, "The request comes from another site";
    /// Nobody approves what is their own.
    SelfApprovalForbidden = "self_approval_forbidden", FORBIDDEN, "Nobody approves what is their own";
    /// The scope only shows.
    ReadOnlyScope = "read_only_scope", FORBIDDEN, "This scope is read-only";
    /// Absent, or another tenant's: never told apart.
    NotFound = "not_found", NOT_FOUND, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// The state does not allow it.
    StateConflict = "state_conflict", CONFLICT, "The present state does not allow this";
    /// Somebody changed it in the meantime.
    VersionChanged = "version_changed", CONFLICT, "It was changed in the meantime";
    /// Somebody decided before.
    AlreadyDecided = "already_decided", CONFLICT, "It has been decided already";
    /// The same person approves twice.
    AlreadyApproved = "already_approved", CONFLICT, "You have approved it already";
    /// The name is in use.
    Taken = "taken", CONFLICT, "It is already taken";
    /// The sender address is reserved in this installation.
    SenderReserved = "sender_reserved", CONFLICT, "The address is reserved; contact the platform administrator";
    /// Somebody must say where it goes.
    WorkspaceChoiceRequired = "workspace_choice_required", CONFLICT, "Choose a workspace";
    /// The last admin stays.
    LastAdmin = "last_admin", CONFLICT, "A workspace keeps at least one admin";
    /// The idempotency key was used for another request.
    IdempotencyMismatch = "idempotency_mismatch", CONFLICT, "The idempotency key was used for another request";
    /// The outcome of the first request with this idempotency key is not known, or not known yet.
    IdempotencyPending = "idempotency_pending", CONFLICT, "The first request with this idempotency key has no known outcome";
    /// The campaign is not sending.
    NotStarted = "not_started", CONFLICT, "The campaign takes no numbers now";
    /// The campaign is large, and something that it needs is missing.
    PreflightFailed = "preflight_failed", CONFLICT, "The pre-flight of the large campaign says no";
    /// What was exported is gone.
    Gone = "gone", GONE, "It has expired";
    /// The body is longer than allowed.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The request is too large";
    /// The workspace's storage is used up.
    QuotaExceeded = "quota_exceeded", PAYLOAD_TOO_LARGE, "The workspace's storage is used up";
    /// Not a media type that is taken here.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "This media type is not taken here";
    /// Fields have values that cannot be used.
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "Some values cannot be used";
    /// No sender is chosen.
    SenderMissing = "sender_missing", UNPROCESSABLE_ENTITY, "The campaign has no sender";
    /// The sender has no approved revision like that.
    SenderNotApproved = "sender_not_approved", UNPROCESSABLE_ENTITY, "The sender is not approved";
    /// The schedule cannot be kept.
    PlanInfeasible = "plan_infeasible", UNPROCESSABLE_ENTITY, "The schedule cannot be kept";
    /// Nobody to send to.
    NoRecipients = "no_recipients", UNPROCESSABLE_ENTITY, "There is nobody to send to";
    /// The password is too weak.
    WeakPassword = "weak_password", UNPROCESSABLE_ENTITY, "The password is too weak";
    /// Too many failed logins.
    Locked = "locked", LOCKED, "Too many failed logins; try again later";
    /// The body came too slowly.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request came too slowly";
    /// Too many requests.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests; try again later";
    /// A defect.
    Internal = "internal", INTERNAL_SERVER_ERROR, "An internal error";
    /// The campaign does not send any more, but a restart might undo that.
    StoppedNotRecorded = "stopped_not_recorded", SERVICE_UNAVAILABLE, "Stopped, but not recorded";
    /// The store takes nothing now.
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, "The store is unavailable; nothing was changed";
    /// The audit log takes nothing now, and the installation refuses to act without it.
    AuditUnavailable = "audit_unavailable", SERVICE_UNAVAILABLE, "The audit log is unavailable; nothing was changed";
    /// The engine does not run.
    EngineUnavailable = "engine_unavailable", SERVICE_UNAVAILABLE, "The engine is unavailable";
    /// The disk is full.
    StorageFull = "storage_full", INSUFFICIENT_STORAGE, "The disk is full";
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Its name, with dots for nested ones.
    #[schema(example = "window.to")]
    pub(crate) field: String,
    /// What kind of mistake.
    #[schema(example = "end_before_start")]
    pub(crate) code: String,
    /// In words.
    pub(crate) message: String,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    code: Code,
    detail: Option<String>,
    errors: Vec<FieldError>,
    extra: serde_json::Map<String, serde_json::Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A refusal as it is written.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// What kind: `/problems/` and a code of the closed list.
    #[schema(example = "/problems/state_conflict")]
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What happened here, in words.
    detail: String,
    /// Ties it to logs and audit events.
    request_id: String,
    /// The fields that are wrong.
    errors: Vec<FieldError>,
    /// What a few kinds tell besides.
    #[serde(flatten)]
    #[schema(additional_properties, value_type = Object)]
    extra: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A refusal of this kind.
    pub(crate) fn new(code: Code) -> Self {
        Self { code, detail: None, errors: Vec::new(), extra: serde_json::Map::new(), headers: Vec::new() }
    }

    /// A refusal of this kind in words.
    pub(crate) fn because(code: Code, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::new(code) }
    }

    /// `invalid`, for one field.
    pub(crate) fn field(field: &str, code: &str, message: impl Into<String>) -> Self {
        Self::new(Code::Invalid).with_field(field, code, message)
    }

    /// Adds a field that is wrong.
    pub(crate) fn with_field(mut self, field: &str, code: &str, message: impl Into<String>) -> Self {
        if self.errors.len() < MAX_FIELDS {
            let (field, code) = (field.to_owned(), code.to_owned());
            self.errors.push(FieldError { field, code, message: message.into() });
        }
        self
    }

    /// Adds a member of its own.
    pub(crate) fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the answer.
    pub(crate) fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Which kind.
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// The fields that are wrong.
    #[cfg(test)]
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(|error| error.field.as_str())
    }

    /// The answer for the request of this id.
    pub(crate) fn write(self, request_id: &str) -> Response {
        let body = ProblemBody {
            r#type: format!("{TYPE_BASE}{}", self.code.as_str()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail.unwrap_or_else(|| format!("{}.", self.code.title())),
            request_id: request_id.to_owned(),
            errors: self.errors,
            extra: self.extra,
        };
        let text = serde_json::to_string(&body).expect("a problem has text keys only");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.extend(self.headers);
        (self.code.status(), headers, text).into_response()
    }
}

/// Carries the problem to the outermost layer, which writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::new(Code::NotFound),
            StoreError::Conflict { .. } => Self::new(Code::VersionChanged),
            StoreError::Taken(what) => Self::because(Code::Taken, format!("This {what} is already taken.")),
            StoreError::Refused(why) => Self::because(Code::Invalid, why),
            StoreError::Unavailable(why) => {
                tracing::warn!(%why, "the store is unavailable");
                Self::new(Code::StoreUnavailable)
            }
            StoreError::Unusable(why) => {
                tracing::error!(%why, "the store cannot be used");
                Self::new(Code::Internal)
            }
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let told = error.to_string();
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::State(..) | EngineError::NotApproved | EngineError::TooLate => {
                Self::because(Code::StateConflict, told)
            }
            EngineError::Preflight(missing) => {
                let check = |check: engine::Check| json!({ "name": check.name, "ok": check.ok, "detail": check.detail });
                let checks: Vec<_> = missing.into_iter().map(check).collect();
                Self::because(Code::PreflightFailed, told).with("checks", checks)
            }
            EngineError::Sender(_) => Self::because(Code::SenderNotApproved, told),
            EngineError::NotBuilt(_) | EngineError::Route(_) | EngineError::Message(_) => {
                Self::because(Code::Invalid, told)
            }
            EngineError::StoppedNotRecorded(_) => Self::because(Code::StoppedNotRecorded, told),
            EngineError::Io(_) | EngineError::NotRunning(_) => {
                tracing::error!(%error, "the engine refused");
                Self::new(Code::EngineUnavailable)
            }
        }
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        let detail = format!("{busy}; try again in a moment.");
        Self::because(Code::RateLimited, detail).with_header(header::RETRY_AFTER, BUSY_RETRY_S)
    }
}

impl From<Weak> for Problem {
    fn from(weak: Weak) -> Self {
        let why = weak.to_string();
        Self::because(Code::WeakPassword, why.clone()).with_field("password", "weak", why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_kinds_share_a_code_and_every_one_is_an_error() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().as_u16() >= 400 && !code.title().is_empty()));
    }

    #[tokio::test]
    async fn a_problem_is_written_with_everything_it_knows() {
        let problem = Problem::field("name", "required", "A name is needed.")
            .with("choices", vec!["a"])
            .with_header(header::RETRY_AFTER, 60);
        let response = problem.write("r-1");
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "60");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            body,
            serde_json::json!({
                "type": "/problems/invalid", "title": "Some values cannot be used", "status": 422,
                "detail": "Some values cannot be used.", "request_id": "r-1", "choices": ["a"],
                "errors": [{"field": "name", "code": "required", "message": "A name is needed."}],
            })
        );
    }
}
