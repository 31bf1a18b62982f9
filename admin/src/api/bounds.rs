//! Bounds on texts that people write: trimmed, not empty, not endless, and nothing in them that breaks a log or a page.

use super::problem::Problem;

/// Longest name of a thing, characters: one line in a list.
pub(crate) const MAX_NAME_CHARS: usize = 200;
/// Longest note of a moderator, characters: a paragraph.
pub(crate) const MAX_NOTE_CHARS: usize = 1_000;

/// A line of text, trimmed.
///
/// # Errors
/// `invalid` for this field.
pub(crate) fn line(field: &str, text: &str) -> Result<String, Problem> {
    bounded((field, text), MAX_NAME_CHARS, |c| !c.is_control())
}

/// A note of several lines, trimmed.
///
/// # Errors
/// `invalid` for the field `note`.
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
        return Err(Problem::field(field, "character", "Control characters are not possible."));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_trimmed_and_has_its_bounds() {
        assert_eq!(line("name", " Shop \u{e4} "), Ok("Shop \u{e4}".to_owned()));
        assert_eq!(note("one\ntwo"), Ok("one\ntwo".to_owned()));
        assert!(line("name", &"\u{e4}".repeat(200)).is_ok() && note(&"x".repeat(1_000)).is_ok());
        for wrong in ["", " \t", "a\nb", "a\0", &"x".repeat(201)] {
            assert_eq!(
                line("name", wrong).err().and_then(|p| p.fields().next().map(str::to_owned)).as_deref(),
                Some("name")
            );
        }
        assert!(note("a\u{7}").is_err() && note("").is_err() && note(&"x".repeat(1_001)).is_err());
    }
}
