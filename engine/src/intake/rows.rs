//! Takes rows one by one: finds the header and the number column, normalises the number, counts, and keeps what is needed
//! for deduplication and the reject report. Never touches the sink.

use std::path::Path;

use super::cutter::Row;
use super::dedup::{Deduplicator, Entry};
use super::error::IntakeError;
use super::number::normalise;
use super::options::{Header, NumberColumn, Options};
use super::region::Region;
use super::reject::{RejectKind, RejectLog, RejectReason};
use super::shape::Shape;
use super::values::{ValueLog, by_name};

/// Columns that are named in the summary.
const MAX_COLUMNS: usize = 256;
/// Characters of a column's name.
const MAX_COLUMN_NAME: usize = 64;

/// What has been learned from the rows so far.
#[derive(Debug)]
pub(super) struct Rows {
    shape: Shape,
    header: Header,
    wanted: NumberColumn,
    region: Option<Region>,
    /// Where the number stands; `None` if the header has no such name.
    column: Option<usize>,
    started: bool,
    pub(super) has_header: bool,
    pub(super) columns: Vec<String>,
    pub(super) blank: u64,
    /// Counts by place in [`RejectReason::ALL`].
    pub(super) invalid: [u64; RejectReason::ALL.len()],
    pub(super) rejects: RejectLog,
    pub(super) valid: Deduplicator,
    /// A row of values for each entry of `valid`; `None` without variables.
    pub(super) values: Option<ValueLog>,
}

impl Rows {
    pub(super) fn new(options: &Options, region: Option<Region>, scratch_dir: &Path) -> Self {
        Self {
            shape: Shape::Txt,
            header: options.header,
            wanted: options.number_column.clone(),
            region,
            column: Some(0),
            started: false,
            has_header: false,
            columns: Vec::new(),
            blank: 0,
            invalid: [0; RejectReason::ALL.len()],
            rejects: RejectLog::new(scratch_dir, options.limits.max_reject_details),
            valid: Deduplicator::new(scratch_dir, options.limits.sort_entries),
            values: ValueLog::new(&options.variables, scratch_dir),
        }
    }

    /// Tells how lines are divided, before the first row.
    pub(super) fn set_shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// Takes the next row.
    #[inline]
    pub(super) fn take(&mut self, line: u32, row: &Row<'_>) -> Result<(), IntakeError> {
        if let Row::Plain(octets) = row
            && octets.trim_ascii_start().is_empty()
        {
            self.blank += 1;
            return Ok(());
        }
        let readable = matches!(row, Row::Plain(_) | Row::Quoted(_));
        if readable && !self.started && self.begin(row)? {
            return Ok(());
        }
        let (field, mut verdict) = match row {
            Row::TooLong => (&b""[..], Err(RejectReason::LineTooLong)),
            Row::BadQuoting(octets) => (*octets, Err(RejectReason::BadQuoting)),
            Row::Plain(_) | Row::Quoted(_) => {
                match self.column.and_then(|column| field(self.shape, row, column)) {
                    Some(field) => (field, normalise(field, self.region.as_ref())),
                    None => (&b""[..], Err(RejectReason::MissingColumn)),
                }
            }
        };
        if let (Ok(number), Some(values)) = (verdict, &mut self.values) {
            let taken = values.take(self.shape, row).map_err(IntakeError::Scratch)?;
            verdict = taken.map(|()| number);
        }
        match verdict {
            Ok(number) => self.valid.push(Entry { number: number.get(), line }),
            Err(reason) => {
                self.invalid[reason as usize] += 1;
                self.rejects.push(line, RejectKind::Invalid(reason), field)
            }
        }
        .map_err(IntakeError::Scratch)
    }

    /// Learns the columns from the first readable row that is not blank, and tells whether it is a header. Fails with
    /// [`IntakeError::MissingColumns`].
    #[cold]
    fn begin(&mut self, row: &Row<'_>) -> Result<bool, IntakeError> {
        self.started = true;
        let names = names(self.shape, row);
        let column = match (&self.wanted, self.shape) {
            (NumberColumn::Index(_), Shape::Txt) => Some(0),
            (NumberColumn::Index(index), Shape::Csv(_)) => Some(*index),
            (NumberColumn::Name(name), _) => by_name(name, &names),
        };
        self.column = column;
        self.has_header = match (self.header, &self.wanted) {
            (Header::Yes, _) | (Header::Auto, NumberColumn::Name(_)) => true,
            (Header::No, _) => false,
            (Header::Auto, NumberColumn::Index(_)) => {
                let number = column.and_then(|column| field(self.shape, row, column)).unwrap_or_default();
                let names_variables = self.values.as_ref().is_some_and(|values| values.are_named_by(&names));
                // A first recipient whose values happen to be names of columns is a recipient all the same.
                is_name(number) || names_variables && normalise(number, self.region.as_ref()).is_err()
            }
        };
        // What is taken for a header may be somebody's line, and names are shown to everybody and kept for long.
        let named = |(at, name): (usize, String)| match self.has_header && !holds_number(&name) {
            true => name,
            false => format!("c{}", at + 1),
        };
        self.columns = names.into_iter().enumerate().map(named).collect();
        if let Some(values) = &mut self.values {
            values.begin(&self.columns, self.has_header)?;
        }
        Ok(self.has_header)
    }
}

/// Fewest digits of a phone number (E.164 has no shorter ones in use).
const LEAST_DIGITS: usize = 7;

/// Whether a name might be somebody's number.
fn holds_number(name: &str) -> bool {
    name.chars().filter(char::is_ascii_digit).count() >= LEAST_DIGITS
}

/// Whether a number column's value is a heading: not empty, readable, and without any digit.
fn is_name(value: &[u8]) -> bool {
    !value.trim_ascii().is_empty() && !value.iter().any(|octet| octet.is_ascii_digit() || *octet < b' ')
}

/// One field of a row.
#[inline]
pub(super) fn field<'a>(shape: Shape, row: &Row<'a>, index: usize) -> Option<&'a [u8]> {
    let octets = match row {
        Row::Plain(octets) => *octets,
        Row::Quoted(fields) => return fields.get(index),
        Row::TooLong | Row::BadQuoting(_) => return None,
    };
    let Shape::Csv(delimiter) = shape else {
        return (index == 0).then_some(octets);
    };
    let mut rest = octets;
    for _ in 0..index {
        rest = &rest[memchr::memchr(delimiter, rest)? + 1..];
    }
    Some(&rest[..memchr::memchr(delimiter, rest).unwrap_or(rest.len())])
}

/// The row's values as names of columns.
fn names(shape: Shape, row: &Row<'_>) -> Vec<String> {
    let name = |octets: &[u8]| -> String {
        let text = String::from_utf8_lossy(octets.trim_ascii());
        text.trim_matches(['\u{feff}', '\u{a0}']).chars().take(MAX_COLUMN_NAME).collect()
    };
    match (row, shape) {
        (Row::Plain(octets), Shape::Txt) => vec![name(octets)],
        (Row::Plain(octets), Shape::Csv(delimiter)) => {
            octets.split(|octet| *octet == delimiter).take(MAX_COLUMNS).map(name).collect()
        }
        (Row::Quoted(fields), _) => fields.iter().take(MAX_COLUMNS).map(name).collect(),
        (Row::TooLong | Row::BadQuoting(_), _) => Vec::new(),
    }
}
