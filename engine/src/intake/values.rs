//! The values of variables on their way from a line to its chunk.
//!
//! Each valid line appends its packed row to a log, in line order; the replay of the deduplication goes in line order
//! too, so that both are read side by side and nothing needs to be looked up or sorted. Memory: 128 KiB at most.
//! Values lose the spaces around them: exports pad fields, and no message wants that. An empty value is a value.

use std::io::{self, Read};
use std::path::Path;

use super::cutter::Row;
use super::error::IntakeError;
use super::reject::RejectReason;
use super::rows::field;
use super::scratch::{Log, SealedLog};
use super::shape::Shape;
use crate::model::values::pack_row;
use crate::model::{MAX_VARIABLES, ValueFault};

/// Takes the values of valid lines.
#[derive(Debug)]
pub(super) struct ValueLog {
    /// As `Options::variables` has them.
    wanted: Vec<String>,
    /// Where each variable's value stands in a line.
    columns: Vec<usize>,
    /// The packed row of the present line.
    row: Vec<u8>,
    log: Log,
}

impl ValueLog {
    /// `None` without variables.
    pub(super) fn new(variables: &[String], dir: &Path) -> Option<Self> {
        let wanted = variables.to_vec();
        (!wanted.is_empty()).then(|| Self {
            wanted,
            columns: Vec::new(),
            row: Vec::new(),
            log: Log::new(dir),
        })
    }

    /// Whether these names are those of a header: each variable has its column among them.
    pub(super) fn are_named_by(&self, names: &[String]) -> bool {
        self.wanted.iter().all(|wanted| by_name(wanted, names).is_some())
    }

    /// Finds the columns, by name if there is a header and else by place; `columns` are the summary's.
    pub(super) fn begin(&mut self, columns: &[String], has_header: bool) -> Result<(), IntakeError> {
        let find = |wanted: &String| {
            if has_header { by_name(wanted, columns) } else { by_place(wanted, columns.len()) }
        };
        self.columns = self.wanted.iter().filter_map(find).collect();
        if self.columns.len() == self.wanted.len() {
            return Ok(());
        }
        let missing = self.wanted.iter().filter(|wanted| find(wanted).is_none()).cloned().collect();
        Err(IntakeError::MissingColumns { missing, columns: columns.to_vec() })
    }

    /// Takes the values of a line whose number is valid; tells why it refuses them.
    #[inline]
    pub(super) fn take(&mut self, shape: Shape, row: &Row<'_>) -> io::Result<Result<(), RejectReason>> {
        self.row.clear();
        if let Err(reason) = self.pack(shape, row) {
            return Ok(Err(reason));
        }
        let length = u16::try_from(self.row.len()).map_err(io::Error::other)?;
        self.log.append(&length.to_le_bytes())?;
        self.log.append(&self.row)?;
        Ok(Ok(()))
    }

    fn pack(&mut self, shape: Shape, row: &Row<'_>) -> Result<(), RejectReason> {
        let mut values = [""; MAX_VARIABLES];
        for (value, column) in values.iter_mut().zip(&self.columns) {
            let octets = field(shape, row, *column).ok_or(RejectReason::MissingValue)?;
            *value = std::str::from_utf8(octets).map_err(|_| RejectReason::BadEncoding)?.trim();
        }
        pack_row(&mut self.row, &values[..self.columns.len()]).map_err(|fault| match fault {
            ValueFault::TooLong { .. } | ValueFault::RowTooLong => RejectReason::ValueTooLong,
            ValueFault::ControlCharacter { .. } => RejectReason::ControlCharacter,
        })
    }

    /// Ends the taking.
    pub(super) fn seal(self) -> io::Result<SealedLog> {
        self.log.seal()
    }
}

/// The first column of a name.
pub(super) fn by_name(wanted: &str, names: &[String]) -> Option<usize> {
    let wanted = wanted.trim().to_lowercase();
    names.iter().position(|name| name.to_lowercase() == wanted)
}

/// The column of a place, `2` or `c2`.
fn by_place(wanted: &str, columns: usize) -> Option<usize> {
    let wanted = wanted.trim();
    wanted
        .strip_prefix(['c', 'C'])
        .unwrap_or(wanted)
        .parse::<usize>()
        .ok()?
        .checked_sub(1)
        .filter(|place| *place < columns)
}

/// Reads rows back in line order.
pub(super) struct ValueReader<'a>(Box<dyn Read + 'a>);

impl<'a> ValueReader<'a> {
    pub(super) fn new(log: &'a SealedLog) -> Self {
        Self(log.read())
    }

    /// Appends the next row.
    pub(super) fn next(&mut self, packed: &mut Vec<u8>) -> io::Result<()> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length)?;
        let start = packed.len();
        packed.resize(start + usize::from(u16::from_le_bytes(length)), 0);
        self.0.read_exact(&mut packed[start..])
    }
}
