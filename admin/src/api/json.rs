//! Request bodies: strict JSON within a limit, with an error that names the place.

use super::problem::{Code, Problem};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

/// Longest JSON body: ten thousand recipients with some variables each (`POST /w/{slug}/campaigns`).
pub(crate) const MAX_JSON_OCTETS: usize = 8 << 20;

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
        let body = octets(request, MAX_JSON_OCTETS).await?;
        read(&body).map(Self)
    }
}

/// A whole body, if it is not longer than `limit`.
pub(crate) async fn octets(request: Request, limit: usize) -> Result<bytes::Bytes, Problem> {
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Problem::because(Code::TooLarge, format!("The body is longer than {limit} octets.")))
        }
        Err(_) => Err(Problem::because(Code::Malformed, "The body ended early.")),
    }
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
    use serde::Deserialize;

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
