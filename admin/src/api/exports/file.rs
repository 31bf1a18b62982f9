//! One export's file: rows of recipients as CSV or as bare numbers, a chunk at a time.
//!
//! CSV is that of RFC 4180. Texts of an SMSC are nothing that this program may run on somebody's desk: see [`cell`].

use crate::api::csv::cell;
use crate::api::moment::Moment;
use crate::api::recipient_view::{Numbers, RecipientView, Shower};
use crate::privacy::CtnHasher;
use engine::Engine;
use engine::model::{Campaign, Export, ExportFormat};
use engine::report::{self, RecipientRow};
use engine::store::StoreError;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The columns of a CSV file.
const COLUMNS: [&str; 12] = [
    "id",
    "ctn_hash",
    "number",
    "status",
    "error_origin",
    "error_code",
    "explanation",
    "planned_at",
    "submitted_at",
    "final_at",
    "parts",
    "message_ids",
];

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritten {
    /// The process ends.
    #[error("the process ends")]
    Ending,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Writes the file whole and makes it durable; `is_ending` is asked before every chunk.
pub(super) async fn write(
    (engine, ctn): (&Engine, &CtnHasher),
    (campaign, export): (&Campaign, &Export),
    path: &Path,
    is_ending: impl Fn() -> bool,
) -> Result<Written, Unwritten> {
    let numbers = if export.full_numbers { Numbers::Full } else { Numbers::Masked };
    let shower = Shower::new(ctn, campaign, numbers);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut file = Counted { file: BufWriter::new(file), bytes: 0 };
    if export.format == ExportFormat::Csv {
        line(&mut file, COLUMNS.map(str::to_owned))?;
    }
    let mut rows = 0;
    for chunk in 0.. {
        if is_ending() {
            return Err(Unwritten::Ending);
        }
        let found = match report::recipients_now(engine, campaign, chunk, |_| true).await {
            Err(StoreError::NotFound) => break,
            found => found?,
        };
        if found.is_empty() {
            break;
        }
        let is_wanted =
            |row: &&RecipientRow| export.statuses.is_empty() || export.statuses.contains(&row.status);
        for row in found.iter().filter(is_wanted) {
            match export.format {
                ExportFormat::Csv => line(&mut file, cells(shower.show(row), row))?,
                ExportFormat::Txt => match numbers.show(row.identity) {
                    Some(number) => writeln!(file, "{number}")?,
                    // A line is a number: there is none for whose number was erased.
                    None => continue,
                },
            }
            rows += 1;
        }
    }
    let bytes = file.bytes;
    let whole = file.file.into_inner().map_err(io::IntoInnerError::into_error)?;
    File::sync_all(&whole)?;
    Ok(Written { rows, bytes })
}

struct Counted {
    file: BufWriter<File>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write(octets)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn cells(shown: RecipientView, row: &RecipientRow) -> [String; 12] {
    let time = |at: Option<Moment>| at.map(|Moment(at)| format!("{at:.3}")).unwrap_or_default();
    let ids: Vec<&str> = row.parts.iter().filter_map(|part| part.message_id.as_deref()).collect();
    [
        shown.id.to_string(),
        shown.ctn_hash,
        shown.number.unwrap_or_default(),
        shown.status.to_owned(),
        shown.error_origin.unwrap_or_default().to_owned(),
        shown.error_code.map(|code| code.to_string()).unwrap_or_default(),
        shown.explanation.unwrap_or_default().to_owned(),
        time(shown.planned_at),
        time(shown.submitted_at),
        time(shown.final_at),
        shown.parts.to_string(),
        ids.join(";"),
    ]
}

fn line(file: &mut impl Write, cells: [String; 12]) -> io::Result<()> {
    for (place, text) in cells.iter().enumerate() {
        if place > 0 {
            file.write_all(b",")?;
        }
        file.write_all(cell(text).as_bytes())?;
    }
    file.write_all(b"\r\n")
}
