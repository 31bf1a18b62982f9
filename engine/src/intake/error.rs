//! What can stop an intake as a whole. Bad content never does: it is counted as a reject.

use std::io;

/// Columns that an error names one by one: people look for a misspelt name, not for a list of hundreds.
const LISTED: usize = 32;

/// Why an intake ends without handing anything to its sink. After an error the intake must be dropped.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The options contradict each other or name an unknown region.
    #[error("intake options: {0}")]
    Options(String),
    /// The input is longer than `Limits::max_bytes`; the limit itself is allowed.
    #[error("the file is larger than {limit} octets")]
    TooLarge {
        /// The limit in octets.
        limit: u64,
    },
    /// The file lacks columns that variables are taken from.
    #[error("the file has no column {}; its columns are {}", listed(.missing), listed(.columns))]
    MissingColumns {
        /// What `Options::variables` asks for and the file does not have.
        missing: Vec<String>,
        /// What it has: `IntakeSummary::columns`.
        columns: Vec<String>,
    },
    /// More distinct recipients than `Limits::max_recipients`; the limit itself is allowed.
    #[error("the file holds {found} different recipients, more than the {limit} allowed")]
    TooManyRecipients {
        /// The limit in recipients.
        limit: u64,
        /// How many different recipients the file holds.
        found: u64,
    },
    /// The scratch directory is missing, full or not writable.
    #[error("scratch space: {0}")]
    Scratch(#[source] io::Error),
    /// The sink refused a chunk; it may have taken earlier ones.
    #[error("recipient sink: {0}")]
    Sink(#[source] io::Error),
}

/// Names in quotes, at most [`LISTED`] of them.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("\"{name}\"")).collect();
    let more = names.len() - shown.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}
