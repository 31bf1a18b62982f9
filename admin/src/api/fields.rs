//! Values of request bodies that several resources take: names, emails, instants; checked where they come in.
//!
//! Every refusal names the field, and none repeats what was sent.

use super::problem::Problem;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// Longest name of anything, characters: it has to fit in a line of a list.
pub(crate) const MAX_NAME_CHARS: usize = 200;
/// Longest email, octets (RFC 5321, 4.5.3.1.3).
pub(crate) const MAX_EMAIL_OCTETS: usize = 254;
/// Longest part of an email before the `@`, octets (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_OCTETS: usize = 64;

/// A name without blanks around it.
///
/// # Errors
/// `invalid`: empty, long, or with control characters.
pub(crate) fn name(field: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::field(field, "required", "A name is needed."));
    }
    if text.chars().count() > MAX_NAME_CHARS {
        let message = format!("A name has at most {MAX_NAME_CHARS} characters.");
        return Err(Problem::field(field, "too_long", message));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::field(field, "control_character", "A name has no control characters."));
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
    fn a_name_is_trimmed_bounded_and_of_one_line() {
        assert_eq!(name("name", " Ann Ölund ").as_deref(), Ok("Ann Ölund"));
        let longest = "ü".repeat(MAX_NAME_CHARS);
        assert_eq!(name("name", &longest), Ok(longest.clone()));
        for wrong in ["", " \t", "a\nb", &format!("{longest}x")] {
            assert!(name("name", wrong).is_err(), "{wrong:?}");
        }
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
