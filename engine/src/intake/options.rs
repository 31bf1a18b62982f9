//! How a recipient file is to be read, and the limits that hold while it is.

use super::error::IntakeError;
use crate::model::MAX_VARIABLES;

/// Largest file that the console may upload, in octets.
pub const CONSOLE_MAX_BYTES: u64 = 50 << 20;
/// Largest file of a server-side upload, in octets.
pub const SERVER_MAX_BYTES: u64 = 1 << 30;
/// Longest line (or quoted csv record) in octets without its end. A longer one is rejected and skipped.
pub const MAX_LINE_OCTETS: usize = 64 << 10;
/// Most different recipients of one file.
pub const MAX_RECIPIENTS: u64 = 10_000_000;
/// Rejected and duplicate lines listed one by one in the report; further ones are only counted.
pub const MAX_REJECT_DETAILS: u64 = 100_000;
/// Numbers sorted in memory before a run goes to scratch: 16 octets each, so 12 MiB.
pub const SORT_ENTRIES: usize = 768 << 10;

/// The limits of one intake. `Default` is the server-side upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of input; the limit itself is allowed. At most `u32::MAX`, because lines are numbered with 32 bits.
    pub max_bytes: u64,
    /// Octets of one line after transcoding to UTF-8, at least 1.
    pub max_line_octets: usize,
    /// Different recipients.
    pub max_recipients: u64,
    /// Lines listed in the reject report.
    pub max_reject_details: u64,
    /// Numbers held in memory before they are spilled, at least 1. Tests make it small; see `SORT_ENTRIES`.
    pub sort_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: SERVER_MAX_BYTES,
            max_line_octets: MAX_LINE_OCTETS,
            max_recipients: MAX_RECIPIENTS,
            max_reject_details: MAX_REJECT_DETAILS,
            sort_entries: SORT_ENTRIES,
        }
    }
}

impl Limits {
    /// The limits of an upload through the console (50 MiB).
    pub fn console() -> Self {
        Self { max_bytes: CONSOLE_MAX_BYTES, ..Self::default() }
    }
}

/// The shape of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Csv if the first lines show a delimiter or a quoted field, else one number a line.
    #[default]
    Detect,
    /// One number a line; the whole line is the number.
    Txt,
    /// Delimited fields, quoted with `"` where needed.
    Csv,
}

/// What separates csv fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delimiter {
    /// The candidate (tab, `;`, `,`) that the first lines agree on.
    #[default]
    Detect,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
}

impl Delimiter {
    /// The octet, or `None` for [`Delimiter::Detect`].
    pub fn octet(self) -> Option<u8> {
        match self {
            Self::Detect => None,
            Self::Comma => Some(b','),
            Self::Semicolon => Some(b';'),
            Self::Tab => Some(b'\t'),
        }
    }

    pub(super) fn from_octet(octet: u8) -> Self {
        match octet {
            b';' => Self::Semicolon,
            b'\t' => Self::Tab,
            _ => Self::Comma,
        }
    }
}

/// Whether the first line that is not blank names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It does if its number column is not empty and holds no digit, if the number column was chosen by name, or if every
    /// variable has its column in it and the number column holds no valid number.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// Which csv column holds the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberColumn {
    /// Counted from 0.
    Index(usize),
    /// By the header's name, without regard to case and surrounding spaces.
    Name(String),
}

impl Default for NumberColumn {
    fn default() -> Self {
        Self::Index(0)
    }
}

/// How to read a recipient file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The shape of the file.
    pub format: Format,
    /// What separates csv fields.
    pub delimiter: Delimiter,
    /// Whether the first line names the columns.
    pub header: Header,
    /// Which column holds the number.
    pub number_column: NumberColumn,
    /// The columns of the campaign's variables, in the variables' order: by the header's name, without regard to case and
    /// surrounding spaces, or in a file without a header by place (`2` or `c2`, counted from 1). At most
    /// [`MAX_VARIABLES`].
    pub variables: Vec<String>,
    /// ISO 3166 country (`DE`) whose national numbers are understood; without it they are rejected.
    pub default_region: Option<String>,
    /// The limits.
    pub limits: Limits,
}

impl Options {
    pub(super) fn check(&self) -> Result<(), IntakeError> {
        let limits = &self.limits;
        let named = matches!(self.number_column, NumberColumn::Name(_));
        let problem = if named && self.header == Header::No {
            "a number column chosen by name needs a header"
        } else if limits.max_bytes > u64::from(u32::MAX) {
            "max_bytes is beyond 4 GiB"
        } else if self.variables.len() > MAX_VARIABLES {
            "too many variables"
        } else if self.variables.iter().any(|column| column.trim().is_empty()) {
            "the column of a variable has no name"
        } else if limits.max_line_octets == 0 || limits.sort_entries == 0 {
            "a limit is zero"
        } else {
            return Ok(());
        };
        Err(IntakeError::Options(problem.to_owned()))
    }
}
