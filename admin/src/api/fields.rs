//! Values of request bodies that several resources take: lines, notes, emails, instants; checked where they come in.
//!
//! Every refusal names the field, and none repeats what was sent.

use super::problem::Problem;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// Longest name or other line of anything, characters: it has to fit in a line of a list.
pub(crate) const MAX_LINE_CHARS: usize = 200;
/// Longest note of a moderator, characters: a paragraph.
pub(crate) const MAX_NOTE_CHARS: usize = 1_000;
/// Longest email, octets (RFC 5321, 4.5.3.1.3).
pub(crate) const MAX_EMAIL_OCTETS: usize = 254;
/// Longest part of an email before the `@`, octets (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_OCTETS: usize = 64;
/// Longest phone number as written, characters: fifteen digits with whatever people put between them.
pub(crate) const MAX_NUMBER_CHARS: usize = 64;

/// A line of text, such as a name, without blanks around it.
///
/// # Errors
/// `invalid`: empty, long, or with control characters.
pub(crate) fn line(field: &str, text: &str) -> Result<String, Problem> {
    bounded((field, text), MAX_LINE_CHARS, |c| !c.is_control())
}

/// A note of several lines, without blanks around it.
///
/// # Errors
/// `invalid` for the field `note`, as for [`line`].
pub(crate) fn note(text: &str) -> Result<String, Problem> {
    bounded(("note", text), MAX_NOTE_CHARS, |c| !c.is_control() || c == '\n' || c == '\t')
}

fn bounded((field, text): (&str, &str), most: usize, allows: fn(char) -> bool) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::field(field, "required", "Something must be written here."));
    }
    if text.chars().count() > most {
        return Err(Problem::field(field, "too_long", format!("At most {most} characters are possible.")));
    }
    if !text.chars().all(allows) {
        return Err(Problem::field(field, "control_character", "Control characters are not possible."));
    }
    Ok(text.to_owned())
}

/// An email in lower case.
///
/// # Errors
/// `invalid` for what no mail could reach.
pub(crate) fn email(field: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim().to_lowercase();
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.chars().any(|c| c.is_control() || c.is_whitespace() || "@<>,;:\"".contains(c))
    };
    let is_email = text.split_once('@').is_some_and(|(local, domain)| {
        let is_domain = is_plain(domain) && !domain.starts_with('.') && !domain.ends_with('.');
        is_plain(local) && local.len() <= MAX_LOCAL_OCTETS && is_domain
    });
    if !is_email || text.len() > MAX_EMAIL_OCTETS {
        return Err(Problem::field(field, "no_email", "This is not an email address."));
    }
    Ok(text)
}

/// An instant that is still to come.
///
/// # Errors
/// `invalid`: no RFC 3339 time with an offset, or past.
pub(crate) fn future(field: &str, text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let at: Timestamp = text.parse().map_err(|_| {
        Problem::field(field, "no_time", "Write a time with its offset, such as 2026-11-21T18:00:00Z.")
    })?;
    if at <= now {
        return Err(Problem::field(field, "past", "This time is past."));
    }
    Ok(at)
}

/// For fields of a change that may be left out, set, or set to `null`: `Some(None)` is the `null`.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_trimmed_and_has_its_bounds() {
        assert_eq!(line("name", " Ann Ölund ").as_deref(), Ok("Ann Ölund"));
        assert_eq!(note("one\ntwo").as_deref(), Ok("one\ntwo"));
        assert!(line("name", &"ü".repeat(200)).is_ok() && note(&"x".repeat(1_000)).is_ok());
        for wrong in ["", " \t", "a\nb", "a\0", &"ü".repeat(201)] {
            let refused = line("name", wrong).expect_err("it is refused");
            assert_eq!(refused.fields().collect::<Vec<_>>(), ["name"], "{wrong:?}");
        }
        assert!(note("a\u{7}").is_err() && note("").is_err() && note(&"x".repeat(1_001)).is_err());
    }

    #[test]
    fn an_email_is_lower_case_and_brings_no_header_with_it() {
        assert_eq!(email("email", " Ann.B+c@Example.COM ").as_deref(), Ok("ann.b+c@example.com"));
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", "b".repeat(260));
        for wrong in [
            "",
            "ann",
            "@b.c",
            "a@",
            "a b@c.d",
            "a@b@c",
            "a@b.c\r\nBcc: x@y.z",
            "a@.b",
            "a@b.",
            &long,
            &longer,
        ] {
            assert!(email("email", wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_instant_has_an_offset_and_is_to_come() {
        let now: Timestamp = "2026-11-21T18:00:00Z".parse().expect("a time");
        assert!(future("expires_at", "2026-11-21T19:00:01+01:00", now).is_ok());
        for wrong in ["2026-11-21T19:00:00+01:00", "2026-12-01T10:00:00", "2026-12-01", "soon", ""] {
            assert!(future("expires_at", wrong, now).is_err(), "{wrong}");
        }
    }
}
