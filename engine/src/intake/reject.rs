//! Why a line was refused, and the report that lists refused and repeated lines.
//!
//! Details are kept for a bounded number of lines, first in memory, then in an unlinked scratch file; the rest is only
//! counted. Numbers are masked before they are kept.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use super::scratch::{Log, SealedLog};
use crate::model::JobErrorCode;

/// Characters of a refused value that are shown.
const SHOWN_CHARACTERS: usize = 32;
/// Digits at the end of a value that stay readable.
const SHOWN_DIGITS: usize = 4;

macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident = $code:literal, $sentence:literal;)+) => {
        /// Why a line was refused. The codes are stable; the sentences may be reworded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RejectReason { $($(#[$doc])+ $name,)+ }

        impl RejectReason {
            /// Every reason, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// One sentence for people.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

reasons! {
    /// The number column is there but empty.
    Empty = "empty", "The number column is empty.";
    /// It holds something that no phone number has.
    NotANumber = "not_a_number", "This is not a phone number: only digits, +, spaces, dashes, dots and brackets are allowed.";
    /// Fewer digits than any number of that country.
    TooShort = "too_short", "The number has too few digits; write it with its country code, such as +49 170 1234567.";
    /// More digits than any number of that country.
    TooLong = "too_long", "The number has too many digits.";
    /// No country has this calling code.
    UnknownCountryCode = "unknown_country_code", "The number does not begin with the calling code of a country.";
    /// A national form, but no region was given.
    NationalWithoutRegion = "national_without_region", "This is a national number; add the country code or choose a default region.";
    /// The region has no such number.
    InvalidForRegion = "invalid_for_region", "The default region has no such number.";
    /// A spreadsheet turned the number into `4.9E+11` or `49170.0`.
    SpreadsheetNumber = "spreadsheet_number", "A spreadsheet changed this number; format its column as text and export again.";
    /// A NUL or another control character stands in the number or in a value.
    ControlCharacter = "control_character", "The number or a value contains a control character.";
    /// The number or a value is not valid UTF-8 or UTF-16.
    BadEncoding = "bad_encoding", "The number or a value is not readable text; save the file as UTF-8.";
    /// The line is longer than allowed and was skipped.
    LineTooLong = "line_too_long", "The line is too long and was skipped.";
    /// The line has too few columns, or no column has the chosen name.
    MissingColumn = "missing_column", "The line has no such column.";
    /// A quote was opened and never closed.
    BadQuoting = "bad_quoting", "A quotation mark is opened and not closed.";
    /// The line has too few columns for a variable.
    MissingValue = "missing_value", "The line lacks the column of a variable.";
    /// A value, or all values of the line together, are longer than a message holds.
    ValueTooLong = "value_too_long", "A value is longer than 500 characters, or all values of the line are longer than 1,024 octets.";
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What is wrong with one listed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectKind {
    /// Its number was refused.
    Invalid(RejectReason),
    /// It repeats the number of an earlier line.
    Duplicate {
        /// The line that was taken instead.
        first_line: u32,
    },
}

impl RejectKind {
    /// The stable code: a reason's, or `duplicate`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid(reason) => reason.code(),
            Self::Duplicate { .. } => "duplicate",
        }
    }

    /// The job error that it is noted as.
    pub const fn job_error(self) -> JobErrorCode {
        match self {
            Self::Duplicate { .. } => JobErrorCode::LineDuplicate,
            Self::Invalid(reason) => match reason {
                RejectReason::Empty => JobErrorCode::LineEmpty,
                RejectReason::NotANumber => JobErrorCode::LineNotANumber,
                RejectReason::TooShort => JobErrorCode::LineTooShort,
                RejectReason::TooLong => JobErrorCode::LineTooLong,
                RejectReason::UnknownCountryCode => JobErrorCode::LineUnknownCountryCode,
                RejectReason::NationalWithoutRegion => JobErrorCode::LineNationalWithoutRegion,
                RejectReason::InvalidForRegion => JobErrorCode::LineInvalidForRegion,
                RejectReason::SpreadsheetNumber => JobErrorCode::LineSpreadsheetNumber,
                RejectReason::ControlCharacter => JobErrorCode::LineControlCharacter,
                RejectReason::BadEncoding => JobErrorCode::LineBadEncoding,
                RejectReason::LineTooLong => JobErrorCode::LineOverlong,
                RejectReason::MissingColumn => JobErrorCode::LineMissingColumn,
                RejectReason::BadQuoting => JobErrorCode::LineBadQuoting,
                RejectReason::MissingValue | RejectReason::ValueTooLong => JobErrorCode::LineBadValue,
            },
        }
    }

    /// One sentence for people.
    pub fn detail(self) -> String {
        match self {
            Self::Invalid(reason) => reason.sentence().to_owned(),
            Self::Duplicate { first_line } => format!("duplicate of line {first_line}"),
        }
    }
}

/// One listed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Counted from 1; the first line of a record that spans several.
    pub line: u32,
    /// What is wrong.
    pub kind: RejectKind,
    /// The number column's value, shortened, all digits but the last four replaced by `*`.
    pub value_masked: String,
}

/// Gathers rejects of one kind in line order.
#[derive(Debug)]
pub(super) struct RejectLog {
    left: u64,
    log: Log,
}

impl RejectLog {
    /// Keeps at most `details` rejects.
    pub(super) fn new(dir: &Path, details: u64) -> Self {
        Self { left: details, log: Log::new(dir) }
    }

    pub(super) fn has_room(&self) -> bool {
        self.left > 0
    }

    /// Keeps a reject while there is room. `value` is masked here.
    #[inline]
    pub(super) fn push(&mut self, line: u32, kind: RejectKind, value: &[u8]) -> io::Result<()> {
        if self.has_room() {
            self.keep(line, kind, value)?;
        }
        Ok(())
    }

    fn keep(&mut self, line: u32, kind: RejectKind, value: &[u8]) -> io::Result<()> {
        self.left -= 1;
        let masked = mask(value);
        let (tag, first) = match kind {
            RejectKind::Invalid(reason) => (reason as u8, 0),
            RejectKind::Duplicate { first_line } => (u8::MAX, first_line),
        };
        let length = u8::try_from(masked.len()).unwrap_or(u8::MAX);
        self.log.append(&line.to_le_bytes())?;
        self.log.append(&first.to_le_bytes())?;
        self.log.append(&[tag, length])?;
        self.log.append(&masked.as_bytes()[..usize::from(length)])
    }
}

struct RejectReader<'a>(Box<dyn Read + 'a>);

impl RejectReader<'_> {
    fn next(&mut self) -> io::Result<Option<Reject>> {
        let mut head = [0; 10];
        match self.0.read(&mut head[..1])? {
            0 => return Ok(None),
            _ => self.0.read_exact(&mut head[1..])?,
        }
        let [a, b, c, d, e, f, g, h, tag, length] = head;
        let mut masked = vec![0; usize::from(length)];
        self.0.read_exact(&mut masked)?;
        let kind = match RejectReason::ALL.get(usize::from(tag)) {
            Some(reason) => RejectKind::Invalid(*reason),
            None => RejectKind::Duplicate { first_line: u32::from_le_bytes([e, f, g, h]) },
        };
        Ok(Some(Reject {
            line: u32::from_le_bytes([a, b, c, d]),
            kind,
            value_masked: String::from_utf8(masked).map_err(io::Error::other)?,
        }))
    }
}

/// The refused and repeated lines of one file: the first `Limits::max_reject_details` of them, in line order.
#[derive(Debug)]
pub struct RejectReport {
    invalid: SealedLog,
    repeated: SealedLog,
    total: u64,
    details: u64,
}

impl RejectReport {
    pub(super) fn new(invalid: RejectLog, repeated: RejectLog, total: u64, details: u64) -> io::Result<Self> {
        Ok(Self { invalid: invalid.log.seal()?, repeated: repeated.log.seal()?, total, details })
    }

    /// All refused and repeated lines, listed or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them are listed.
    pub fn listed(&self) -> u64 {
        self.total.min(self.details)
    }

    /// Hands every listed line to `each`, in line order, in constant memory.
    pub fn visit(&self, mut each: impl FnMut(&Reject) -> io::Result<()>) -> io::Result<()> {
        let mut logs = [RejectReader(self.invalid.read()), RejectReader(self.repeated.read())];
        let mut heads = [logs[0].next()?, logs[1].next()?];
        for _ in 0..self.listed() {
            let line =
                |head: &Option<Reject>| head.as_ref().map_or(u64::MAX, |reject| u64::from(reject.line));
            let earlier = usize::from(line(&heads[1]) < line(&heads[0]));
            let Some(reject) = &heads[earlier] else { break };
            each(reject)?;
            heads[earlier] = logs[earlier].next()?;
        }
        Ok(())
    }

    /// Writes the report as csv with the columns `line,column_value_masked,reason,detail`. Values that a spreadsheet would
    /// run as a formula are preceded by an apostrophe. Lines beyond the listed ones are told in one last row.
    pub fn write_rejects_csv(&self, into: &mut impl Write) -> io::Result<()> {
        into.write_all(b"line,column_value_masked,reason,detail\r\n")?;
        self.visit(|reject| {
            let value = csv_field(&reject.value_masked);
            let detail = csv_field(&reject.kind.detail());
            write!(into, "{},{value},{},{detail}\r\n", reject.line, reject.kind.code())
        })?;
        match self.total - self.listed() {
            0 => Ok(()),
            more => write!(into, ",,more,{more} further lines are counted and not listed\r\n"),
        }
    }
}

/// One csv field, quoted where needed and harmless in a spreadsheet.
fn csv_field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains([',', ';', '\t', '"', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

/// A value as the report shows it: at most 32 characters, control characters replaced, all digits but the last four hidden.
pub(super) fn mask(value: &[u8]) -> String {
    let window = &value[..value.len().min(4 * SHOWN_CHARACTERS)];
    let text = String::from_utf8_lossy(window.trim_ascii());
    let cut = window.len() < value.len() || text.chars().count() > SHOWN_CHARACTERS;
    let shown: Vec<char> = text.chars().take(SHOWN_CHARACTERS).collect();
    let digits = shown.iter().filter(|character| character.is_numeric()).count();
    let mut hidden = if cut { digits } else { digits.saturating_sub(SHOWN_DIGITS) };
    let mut out = String::with_capacity(SHOWN_CHARACTERS + 3);
    for character in shown {
        if character.is_control() {
            out.push('\u{fffd}');
        } else if character.is_numeric() && hidden > 0 {
            hidden -= 1;
            out.push('*');
        } else {
            out.push(character);
        }
    }
    if cut {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_reason_is_a_job_error_and_only_those_of_values_share_one() {
        let kinds = RejectReason::ALL.iter().map(|reason| RejectKind::Invalid(*reason));
        let kinds = kinds.chain([RejectKind::Duplicate { first_line: 1 }]);
        let codes: std::collections::BTreeSet<_> = kinds.map(RejectKind::job_error).collect();
        assert_eq!(codes.len(), RejectReason::ALL.len());
        assert!(codes.iter().all(|code| code.code().starts_with("line_")));
    }

    #[test]
    fn reasons_have_distinct_codes_and_their_place_in_the_list() {
        for (place, reason) in RejectReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place);
            assert!(reason.code().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert!(reason.sentence().ends_with('.'));
            assert_eq!(RejectReason::ALL.iter().filter(|r| r.code() == reason.code()).count(), 1);
        }
    }

    #[test]
    fn masking_leaves_four_digits_and_no_control_character() {
        assert_eq!(mask(b" +49 170 1234567 "), "+** *** ***4567");
        assert_eq!(mask(b"123"), "123");
        assert_eq!(mask(b"12\x00345"), "*2\u{fffd}345");
        assert_eq!(mask("٠١٢٣٤٥".as_bytes()), "**٢٣٤٥");
        assert_eq!(mask(&[b'7'; 1000]), format!("{}…", "*".repeat(32)));
        assert!(mask("😀".repeat(100).as_bytes()).len() < 255);
        assert!(mask(&[0xff; 1000]).len() < 255);
    }

    #[test]
    fn spreadsheet_formulas_and_quotes_are_made_harmless() {
        assert_eq!(csv_field("=1+2"), "'=1+2");
        assert_eq!(csv_field("+***4567"), "'+***4567");
        assert_eq!(csv_field("@a,\"b\""), "\"'@a,\"\"b\"\"\"");
        assert_eq!(csv_field("plain"), "plain");
    }

    #[test]
    fn the_report_merges_both_logs_by_line_and_counts_what_it_does_not_list() {
        let dir = tempfile::tempdir().unwrap();
        let mut invalid = RejectLog::new(dir.path(), 4);
        let mut repeated = RejectLog::new(dir.path(), 4);
        for line in [2, 3, 8, 9, 10] {
            invalid.push(line, RejectKind::Invalid(RejectReason::TooShort), b"12").unwrap();
        }
        repeated.push(5, RejectKind::Duplicate { first_line: 1 }, b"491701234567").unwrap();
        let report = RejectReport::new(invalid, repeated, 6, 4).unwrap();
        let mut csv = Vec::new();
        report.write_rejects_csv(&mut csv).unwrap();
        let sentence = csv_field(RejectReason::TooShort.sentence());
        let wanted = format!(
            "line,column_value_masked,reason,detail\r\n2,12,too_short,{sentence}\r\n3,12,too_short,{sentence}\r\n\
             5,********4567,duplicate,duplicate of line 1\r\n8,12,too_short,{sentence}\r\n\
             ,,more,2 further lines are counted and not listed\r\n"
        );
        assert_eq!(String::from_utf8(csv).unwrap(), wanted);
    }

    #[test]
    fn a_long_log_goes_to_scratch_and_comes_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut invalid = RejectLog::new(dir.path(), 10_000);
        for line in 1..=10_000_u32 {
            let value = format!("x{line}");
            invalid.push(line, RejectKind::Invalid(RejectReason::NotANumber), value.as_bytes()).unwrap();
        }
        assert!(invalid.log.has_spilled());
        let report = RejectReport::new(invalid, RejectLog::new(dir.path(), 1), 10_000, 10_000).unwrap();
        let mut line = 0;
        report
            .visit(|reject| {
                line += 1;
                assert_eq!((reject.line, &reject.value_masked), (line, &mask(format!("x{line}").as_bytes())));
                Ok(())
            })
            .unwrap();
        assert_eq!(line, 10_000);
    }
}
