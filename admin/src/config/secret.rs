//! Secrets of the configuration: written in it, or the first line of a file that it names.

use std::path::Path;

/// Largest file that is read: a mistaken path must not fill the memory.
const MOST_OCTETS: u64 = 4096;

/// The key and why it cannot be.
pub(super) type Refusal = (&'static str, String);

/// The secret of `password`, or of the file of `password_file`; `None` when neither is given.
///
/// # Errors
/// Both are given, or the file cannot be read; never with the secret.
pub(super) fn password(given: Option<&str>, file: Option<&Path>) -> Result<Option<String>, Refusal> {
    match (given, file) {
        (Some(password), None) => Ok(Some(password.to_owned())),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(("password", "is given twice, as itself and as a file".to_owned())),
        (None, Some(path)) => {
            let text = text_of("password_file", path, MOST_OCTETS)?;
            Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
        }
    }
}

/// The text of the file that `key` names, at most `most_octets` of it.
///
/// # Errors
/// It is missing, larger, or no text.
pub(super) fn text_of(key: &'static str, path: &Path, most_octets: u64) -> Result<String, Refusal> {
    let unread = |why: String| (key, format!("{} {why}", path.display()));
    let about = std::fs::metadata(path).map_err(|error| unread(format!("cannot be read: {error}")))?;
    if about.len() > most_octets {
        return Err(unread(format!("is larger than {most_octets} octets")));
    }
    std::fs::read_to_string(path).map_err(|error| unread(format!("cannot be read: {error}")))
}
