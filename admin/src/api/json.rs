//! Request bodies: strict JSON within a limit, with an error that names the place.
//!
//! Bounds: octets by route, and time, so that nobody fills the memory or holds a connection by sending little by little.

use super::authoring::upload::drain;
use super::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::{FromRequest, MatchedPath, Request};
use axum::http::header;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest JSON body where no list comes: several times the longest text, every character of it escaped. All connections
/// there may be hold some 256 MiB with it.
const MAX_OCTETS: usize = 256 << 10;
/// Longest JSON body with a list: ten thousand recipients with some variables each (`POST /w/{slug}/campaigns`).
const MAX_LIST_OCTETS: usize = 8 << 20;
/// Routes whose bodies have lists of recipients or numbers. All of them want a member or a super admin, who is known
/// before the body is read.
const WITH_LISTS: [&str; 4] = [
    "/api/v1/suppressions",
    "/api/v1/w/{slug}/campaigns",
    "/api/v1/w/{slug}/campaigns/{id}/numbers",
    "/api/v1/w/{slug}/suppressions",
];
/// JSON bodies longer than [`MAX_OCTETS`] that are received at a time: 128 MiB.
const MAX_LARGE_BODIES: usize = 16;
static LARGE_BODIES: Semaphore = Semaphore::const_new(MAX_LARGE_BODIES);
/// How long a whole JSON body may take: the longest one at 280 KiB a second.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body of JSON. Its types refuse unknown fields themselves: `#[serde(deny_unknown_fields)]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.and_then(|media| media.split(';').next()).map(str::trim);
        // Only JSON is a request that no form of another site can send.
        if !media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
            return Err(Problem::because(Code::UnsupportedMediaType, "The body must be application/json."));
        }
        let limit = limit(request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str));
        let body = octets(request.into_body(), limit).await?;
        read(&body).map(Self)
    }
}

/// Longest JSON body of a route, octets.
pub(crate) fn limit(route: &str) -> usize {
    if WITH_LISTS.contains(&route) { MAX_LIST_OCTETS } else { MAX_OCTETS }
}

/// The whole body of a request, if it is not longer than `limit` and comes in time.
///
/// # Errors
/// 413, 408, 429 where many large ones come at once, and 400 for one that breaks off.
pub(crate) async fn octets(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let whole = gather(body, limit, Some(&LARGE_BODIES));
    tokio::time::timeout(BODY_TIMEOUT, whole).await.unwrap_or_else(|_| {
        Err(Problem::because(Code::RequestTimeout, "The body comes too slowly; it was given up."))
    })
}

/// A whole body, if it is not longer than `limit`, however long it takes.
///
/// # Errors
/// 413, and 400 for one that breaks off.
pub(crate) async fn collect(body: Body, limit: usize) -> Result<Bytes, Problem> {
    gather(body, limit, None).await
}

/// Takes one of `places` once the body is longer than [`MAX_OCTETS`].
async fn gather(mut body: Body, limit: usize, places: Option<&'static Semaphore>) -> Result<Bytes, Problem> {
    let (mut octets, mut place) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::because(Code::Malformed, "The body ended early."))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - octets.len() {
            tokio::spawn(drain(body));
            return Err(Problem::because(Code::TooLarge, format!("The body is longer than {limit} octets.")));
        }
        if let Some(places) = places
            && place.is_none()
            && octets.len() + data.len() > MAX_OCTETS
        {
            let Ok(taken) = places.try_acquire() else {
                tokio::spawn(drain(body));
                return Err(Problem::because(Code::RateLimited, "Many long lists are being received."));
            };
            place = Some(taken);
        }
        octets.extend_from_slice(&data);
    }
    Ok(octets.freeze())
}

/// Reads JSON: 400 for what is no JSON or has fields that nobody knows, 422 for values of a wrong type.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        explain(&path, &cause)
    })?;
    reader.end().map_err(|cause| explain("", &cause))?;
    Ok(value)
}

fn explain(path: &str, cause: &serde_json::Error) -> Problem {
    let told = cause.to_string();
    let told = told.split(" at line ").next().unwrap_or(&told);
    if !cause.is_data() {
        let place = format!("line {}, column {}", cause.line(), cause.column());
        return Problem::because(Code::Malformed, format!("The body is not JSON: {told} ({place})."));
    }
    let named = told.split('`').nth(1).unwrap_or_default();
    let inside = |name: &str| match path {
        "." | "" => name.to_owned(),
        path if path.ends_with(name) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if told.starts_with("unknown field") {
        return Problem::new(Code::Malformed).with_field(
            &inside(named),
            "unknown_field",
            "There is no such field.",
        );
    }
    if told.starts_with("duplicate field") {
        return Problem::new(Code::Malformed).with_field(
            &inside(named),
            "duplicate",
            "The field comes twice.",
        );
    }
    if told.starts_with("missing field") {
        return Problem::field(&inside(named), "required", "This field is required.");
    }
    let field = if path == "." { "body" } else { path };
    // What stands before it repeats what was sent.
    let wanted =
        told.rsplit_once(", expected ").map(|(_, wanted)| format!(" Expected is {}.", plain(wanted)));
    let message = format!("This value cannot be used.{}", wanted.unwrap_or_default());
    Problem::field(field, "wrong_type", message)
}

/// What a parser expects, in words of the document rather than of the language.
fn plain(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number within its limits",
        wanted if wanted.starts_with("struct ") => "an object",
        wanted => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document;
    use axum::response::Response;
    use futures_util::{StreamExt, stream};
    use serde::Deserialize;
    use serde_json::Value;
    use std::convert::Infallible;
    use tower::ServiceExt;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read")]
        name: String,
        #[expect(dead_code, reason = "only read")]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read")]
        count: u8,
    }

    /// So many spaces, a second between two of them.
    fn slow(octets: usize) -> Body {
        let each = tokio::time::interval(Duration::from_secs(1));
        Body::from_stream(stream::unfold((each, octets), async |(mut each, left)| {
            let left = left.checked_sub(1)?;
            each.tick().await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), (each, left)))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_too_slowly_is_given_up() {
        assert_eq!(octets(slow(30), 30).await.map(|body| body.len()), Ok(30));
        let began = tokio::time::Instant::now();
        let refused = octets(slow(3_600), 3_600).await.expect_err("slow");
        assert_eq!(
            (refused.code(), began.elapsed().as_secs()),
            (Code::RequestTimeout, BODY_TIMEOUT.as_secs())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn few_long_bodies_are_received_at_a_time_and_short_ones_always() {
        static PLACES: Semaphore = Semaphore::const_new(1);
        let long = || {
            let begin = stream::once(async { Ok(Bytes::from(vec![b' '; MAX_OCTETS + 1])) });
            Body::from_stream(begin.chain(slow(2).into_data_stream()))
        };
        let short = || Body::from(vec![b' '; MAX_OCTETS]);
        let gathered = async |body| gather(body, MAX_LIST_OCTETS, Some(&PLACES)).await;
        let (first, second, third) = tokio::join!(gathered(long()), gathered(long()), gathered(short()));
        let length = |found: Result<Bytes, Problem>| found.map(|body| body.len()).map_err(|no| no.code());
        assert_eq!(length(first), Ok(MAX_OCTETS + 3));
        assert_eq!(length(second), Err(Code::RateLimited));
        assert_eq!(length(third), Ok(MAX_OCTETS));
        assert_eq!(length(gathered(long()).await), Ok(MAX_OCTETS + 3), "a place is given back");
    }

    #[tokio::test]
    async fn a_body_may_be_as_long_as_its_route_allows_and_no_longer() {
        let takes = axum::routing::post(async |Json(_): Json<Value>| ());
        let list = WITH_LISTS[1];
        let router = axum::Router::new().route("/api/v1/w/{slug}/drafts", takes.clone()).route(list, takes);
        let status = async |path: &str, octets: usize| {
            let body = format!("{}1", " ".repeat(octets - 1));
            let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
            let sent = router.clone().oneshot(request.body(Body::from(body)).expect("a request")).await;
            sent.map(|answer: Response| answer.status().as_u16())
        };
        for (path, limit) in [("/api/v1/w/a/drafts", MAX_OCTETS), ("/api/v1/w/a/campaigns", MAX_LIST_OCTETS)]
        {
            assert_eq!(
                (status(path, limit).await, status(path, limit + 1).await),
                (Ok(200), Ok(413)),
                "{path}"
            );
        }
    }

    /// Most items of a list in this schema.
    fn most_items(document: &Value, schema: &Value) -> u64 {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return most_items(document, &document["components"]["schemas"][name]);
        }
        let own = schema["maxItems"].as_u64().unwrap_or(0);
        let inner: Vec<_> = match schema {
            Value::Object(members) => members.values().collect(),
            Value::Array(members) => members.iter().collect(),
            _ => Vec::new(),
        };
        inner.into_iter().map(|inner| most_items(document, inner)).fold(own, u64::max)
    }

    /// Goal: whoever adds a route that takes a long list finds out here that its bodies may be longer.
    #[test]
    fn every_route_that_takes_a_long_list_is_known_as_one() {
        let document = document();
        let mut found = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            let bodies = methods.as_object().into_iter().flatten().map(|(_, method)| &method["requestBody"]);
            if bodies.map(|body| most_items(&document, body)).any(|most| most >= 1_000) {
                found.push(path.as_str());
            }
        }
        found.sort_unstable();
        assert_eq!(found, WITH_LISTS);
    }

    #[test]
    fn what_was_sent_is_not_repeated_and_what_is_wanted_is_told() {
        let table = [
            (r#"{"name":["secret, expected by nobody"]}"#, "Expected is a string."),
            (r#"{"name":"a","inner":{"count":70000}}"#, "Expected is a whole number within its limits."),
            (r#"{"name":"a","inner":"secret, expected by nobody"}"#, "Expected is an object."),
        ];
        for (text, wanted) in table {
            let problem = format!("{:?}", read::<Outer>(text.as_bytes()).expect_err("a wrong type"));
            assert!(problem.contains(wanted), "{problem}");
            assert!(!problem.contains("secret") && !problem.contains("70000"), "{problem}");
        }
    }

    #[test]
    fn every_mistake_names_its_place() {
        let table = [
            (r#"{"name":"a"}"#, None),
            (r#"{"name":"a","inner":{"count":1}}"#, None),
            (r#"{"name":"#, Some((Code::Malformed, ""))),
            (r#"{"name":"a"} x"#, Some((Code::Malformed, ""))),
            (r#"{"name":"a","nome":1}"#, Some((Code::Malformed, "nome"))),
            (r#"{"name":"a","name":"b"}"#, Some((Code::Malformed, "name"))),
            (r#"{"name":"a","inner":{"count":1,"x":2}}"#, Some((Code::Malformed, "inner.x"))),
            (r#"{"inner":null}"#, Some((Code::Invalid, "name"))),
            (r#"{"name":{"$gt":""}}"#, Some((Code::Invalid, "name"))),
            (r#"{"name":"a","inner":{"count":300}}"#, Some((Code::Invalid, "inner.count"))),
            ("[]", Some((Code::Invalid, "body"))),
        ];
        for (text, expected) in table {
            let found = read::<Outer>(text.as_bytes()).err();
            let Some((code, field)) = expected else {
                assert_eq!(found, None, "{text}");
                continue;
            };
            let problem = found.unwrap_or_else(|| panic!("{text} was taken"));
            assert_eq!(problem.code(), code, "{text}");
            assert_eq!(problem.fields().next().unwrap_or_default(), field, "{text}");
        }
    }
}
