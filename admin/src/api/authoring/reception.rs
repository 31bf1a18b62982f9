//! Receives a recipient file over HTTP: its media type, how it says it is to be read, and how long it may be.
//!
//! 50 MiB with a person's login, 1 GiB with an API key, the limit itself allowed (C21); never more than is left of the
//! workspace's quota, which is looked at before the file and behind it. What says itself that it is too long is refused before it is read.

use super::judge::names_in;
use super::list::discard;
use super::quota;
use super::upload::{self, Taken, drain};
use crate::api::caller::{Member, Proof};
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use engine::intake::{
    CONSOLE_MAX_BYTES, Delimiter, Format, Header, Limits, NumberColumn, Options, SERVER_MAX_BYTES,
};
use engine::model::MAX_VARIABLES;
use serde::Deserialize;
use utoipa::IntoParams;

/// Longest name of a column in a query, characters: as many as the intake keeps of a header.
const MAX_COLUMN_CHARS: usize = 64;

/// How a file is to be read; what is not said is detected.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileQuery {
    /// The column of the numbers: its name in the header, or its place from 1.
    #[param(max_length = 64, example = "phone")]
    number_column: Option<String>,
    /// `comma`, `semicolon`, `tab`, or the character itself.
    #[param(max_length = 16, example = "semicolon")]
    delimiter: Option<String>,
    /// Whether the first line names the columns: `true` or `false`.
    header: Option<bool>,
    /// Columns to keep for the text besides those that it names now, between commas.
    #[param(max_length = 1000, example = "name,city")]
    variables: Option<String>,
}

/// Receives a file for this text.
///
/// # Errors
/// 413, 415, 400 for parameters, and those of [`upload::take`].
pub(crate) async fn receive(
    api: &Api,
    member: &Member,
    (query, text): (FileQuery, Option<&str>),
    request: Request,
) -> Result<Taken, Problem> {
    let most = match member.caller.proof {
        Proof::Login(_) => CONSOLE_MAX_BYTES,
        Proof::Key(_) => SERVER_MAX_BYTES,
    };
    let (parts, body) = request.into_parts();
    let prepared = prepare(api, member, (query, text), (&parts.headers, most)).await;
    match prepared {
        Ok((options, names, over)) => {
            let whose = (api, member.workspace.id);
            let taken = upload::take(whose, (options, names), body, over).await?;
            with_room(api, member, taken).await
        }
        Err(problem) => {
            // Whoever waits to be told to go on sends nothing.
            if !parts.headers.contains_key(header::EXPECT) {
                tokio::spawn(drain(body));
            }
            Err(problem)
        }
    }
}

/// The file with its room: others may have come while it did.
async fn with_room(api: &Api, member: &Member, taken: Taken) -> Result<Taken, Problem> {
    match quota::reserve(api, &member.workspace, taken.bytes).await {
        Ok(room) => Ok(Taken { _room: Some(room), ..taken }),
        Err(problem) => {
            discard(api, taken.stored.no).await;
            Err(problem)
        }
    }
}

type Prepared = (Options, Vec<String>, Code);

async fn prepare(
    api: &Api,
    member: &Member,
    (query, text): (FileQuery, Option<&str>),
    (headers, most): (&HeaderMap, u64),
) -> Result<Prepared, Problem> {
    let workspace = &member.workspace;
    let format = format(headers)?;
    let mut options = options(&query, format)?;
    options.variables = variables(&query, text)?;
    options.default_region.clone_from(&workspace.policies.default_region);
    let left = quota::left(api, workspace).await?;
    let over = if left < most { Code::QuotaExceeded } else { Code::TooLarge };
    options.limits = Limits { max_bytes: most.min(left), ..Limits::default() };
    check_length(headers, most.min(left), over)?;
    let names = options.variables.clone();
    Ok((options, names, over))
}

fn check_length(headers: &HeaderMap, limit: u64, over: Code) -> Result<(), Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > limit => {
            Err(Problem::because(over, format!("The file has {length} octets; {limit} are allowed.")))
        }
        _ => Ok(()),
    }
}

fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_plain = headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    match media.as_str() {
        "text/csv" if is_plain => Ok(Format::Csv),
        "text/plain" if is_plain => Ok(Format::Detect),
        _ => Err(Problem::because(
            Code::UnsupportedMediaType,
            "A recipient file is text/plain or text/csv, without a content encoding.",
        )),
    }
}

fn options(query: &FileQuery, format: Format) -> Result<Options, Problem> {
    let wrong = |field: &str, message: &str| {
        Problem::new(Code::BadParameter).with_field(field, "out_of_range", message)
    };
    let delimiter = match query.delimiter.as_deref() {
        None | Some("auto") => Delimiter::Detect,
        Some("," | "comma") => Delimiter::Comma,
        Some(";" | "semicolon") => Delimiter::Semicolon,
        Some("\t" | "\\t" | "tab") => Delimiter::Tab,
        Some(_) => return Err(wrong("delimiter", "A delimiter is comma, semicolon or tab.")),
    };
    let header = match query.header {
        None => Header::Auto,
        Some(true) => Header::Yes,
        Some(false) => Header::No,
    };
    let number_column = match query.number_column.as_deref().map(str::trim) {
        None => NumberColumn::default(),
        Some(name) if name.is_empty() || name.chars().count() > MAX_COLUMN_CHARS => {
            return Err(wrong("number_column", "A column is named by 1 to 64 characters."));
        }
        Some(name) => match name.parse::<usize>().map(|place| place.checked_sub(1)) {
            Ok(Some(index)) => NumberColumn::Index(index),
            Ok(None) => return Err(wrong("number_column", "Columns are counted from 1.")),
            Err(_) => NumberColumn::Name(name.to_owned()),
        },
    };
    Ok(Options { format, delimiter, header, number_column, ..Options::default() })
}

/// The columns that the text names now, and those that are asked for besides.
fn variables(query: &FileQuery, text: Option<&str>) -> Result<Vec<String>, Problem> {
    // A text that cannot be read names none; it is refused when the draft is submitted.
    let mut names = text.and_then(|text| names_in(text).ok()).unwrap_or_default();
    let asked = query.variables.as_deref().unwrap_or_default();
    for name in asked.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name.chars().count() > MAX_COLUMN_CHARS {
            let message = format!("The name of a column has at most {MAX_COLUMN_CHARS} characters.");
            return Err(Problem::new(Code::BadParameter).with_field("variables", "too_long", message));
        }
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    }
    if names.len() > MAX_VARIABLES {
        let message = format!("At most {MAX_VARIABLES} columns can be kept.");
        return Err(Problem::new(Code::BadParameter).with_field("variables", "too_many", message));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_at_the_limit_is_allowed_and_one_octet_more_is_not() {
        let headers = |length: u64| {
            HeaderMap::from_iter([(header::CONTENT_LENGTH, length.to_string().parse().expect("a value"))])
        };
        for limit in [0, 1, CONSOLE_MAX_BYTES, SERVER_MAX_BYTES] {
            assert_eq!(check_length(&headers(limit), limit, Code::TooLarge), Ok(()));
            let refused = check_length(&headers(limit + 1), limit, Code::TooLarge).expect_err("too long");
            assert_eq!(refused.code(), Code::TooLarge);
        }
        assert_eq!(check_length(&HeaderMap::new(), 5, Code::TooLarge), Ok(()));
    }

    #[test]
    fn columns_are_named_or_counted_from_one() {
        let of = |column: &str| {
            let query = FileQuery { number_column: Some(column.to_owned()), ..FileQuery::default() };
            options(&query, Format::Csv).map(|options| options.number_column)
        };
        assert_eq!(of("2"), Ok(NumberColumn::Index(1)));
        assert_eq!(of(" phone "), Ok(NumberColumn::Name("phone".to_owned())));
        assert_eq!((of("0").is_err(), of(" ").is_err(), of(&"x".repeat(65)).is_err()), (true, true, true));
    }

    #[test]
    fn the_columns_of_the_text_come_first_and_none_comes_twice() {
        let query = FileQuery { variables: Some("city, Name,,".to_owned()), ..FileQuery::default() };
        let names = variables(&query, Some("Hello {name}"));
        assert_eq!(names, Ok(vec!["name".to_owned(), "city".to_owned()]));
    }
}
