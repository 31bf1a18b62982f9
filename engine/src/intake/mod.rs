//! Intake: turns the octets of a recipient file into chunks of distinct E.164 numbers, in constant memory.
//!
//! The path is `encoding` (to UTF-8) -> `cutter` (lines and records, guided by `shape`) -> `rows` (header, column,
//! `number` and `region`, counts) -> `dedup` (external sort) -> the caller's [`ChunkSink`]. Synchronous: run it on a
//! thread that may block. Never imports the store or the dispatcher.
//!
//! Invariants: the result does not depend on how the input was split (`every_split_of_a_file_gives_the_same_result`);
//! nothing reaches the sink before the whole file was read and judged (`a_refused_file_gives_the_sink_nothing`); scratch
//! files have no name, so they vanish whenever the [`Intake`] is dropped or the process dies.

mod cutter;
mod dedup;
mod digest;
mod encoding;
mod error;
mod number;
mod options;
mod region;
mod reject;
mod rows;
mod scratch;
mod shape;
mod sort;
mod summary;
#[cfg(test)]
mod tests;
mod values;
#[cfg(test)]
mod values_tests;

use std::io;
use std::path::{Path, PathBuf};

pub use digest::{CHUNK_RECIPIENTS, ListHasher, RecipientsDigest};
pub use encoding::Encoding;
pub use error::IntakeError;
pub use number::{E164, normalise};
pub use options::{
    CONSOLE_MAX_BYTES, Delimiter, Format, Header, Limits, MAX_LINE_OCTETS, MAX_RECIPIENTS,
    MAX_REJECT_DETAILS, NumberColumn, Options, SERVER_MAX_BYTES, SORT_ENTRIES,
};
pub use region::Region;
pub use reject::{Reject, RejectKind, RejectReason, RejectReport};
pub use summary::IntakeSummary;

use cutter::Cutter;
use dedup::Deduplicated;
use encoding::{SNIFF_OCTETS, Transcoder};
use reject::RejectLog;
use rows::Rows;
use scratch::SealedLog;
use summary::{Found, SAMPLE};
use values::{ValueLog, ValueReader};

/// Octets transcoded at once, so that a caller's large piece does not become a large buffer.
const PIECE_OCTETS: usize = 64 << 10;

/// Takes the accepted numbers and their values.
pub trait ChunkSink {
    /// Takes the next [`CHUNK_RECIPIENTS`] numbers (fewer only in the last chunk, never none), as E.164 digits in the
    /// order of their lines. `values` holds the values of `Options::variables` for each of them, packed as in
    /// `model::values`; it is empty without variables. An error ends the intake with [`IntakeError::Sink`].
    fn chunk(&mut self, numbers: &[u64], values: &[u8]) -> io::Result<()>;
}

/// The intake of one recipient file. Feed it the file, then finish it; drop it to abandon the file.
///
/// Memory: about 16 MiB at most while reading and 20 MiB while finishing, whatever the file holds, with the default
/// limits; a small file takes far less. Variables add the values of one chunk, 0.2 MiB as a rule and below 8 MiB at
/// most. Scratch space: at most 32 octets for each line with a valid number, and none below [`SORT_ENTRIES`] numbers
/// unless many lines are rejected; with variables the packed values and 2 octets for each such line.
#[derive(Debug)]
pub struct Intake {
    options: Options,
    scratch_dir: PathBuf,
    bytes: u64,
    failed: bool,
    rows: Rows,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The beginning of the file, until it suffices to decide encoding and shape.
    Sniffing(Vec<u8>),
    Reading(Box<Reading>),
}

#[derive(Debug)]
struct Reading {
    transcoder: Transcoder,
    cutter: Cutter,
    found: Found,
}

impl Intake {
    /// An intake whose scratch files go to `scratch_dir`, which must exist and should be on a disk, not in memory.
    ///
    /// Fails with [`IntakeError::Options`] or, without that directory, with [`IntakeError::Scratch`].
    pub fn new(options: Options, scratch_dir: &Path) -> Result<Self, IntakeError> {
        options.check()?;
        if !std::fs::metadata(scratch_dir).map_err(IntakeError::Scratch)?.is_dir() {
            return Err(IntakeError::Scratch(io::ErrorKind::NotADirectory.into()));
        }
        let region = options.default_region.as_deref().map(Region::new).transpose()?;
        Ok(Self {
            rows: Rows::new(&options, region, scratch_dir),
            options,
            scratch_dir: scratch_dir.to_owned(),
            bytes: 0,
            failed: false,
            stage: Stage::Sniffing(Vec::new()),
        })
    }

    /// Takes the next octets of the file, in pieces of any size.
    ///
    /// Fails with [`IntakeError::TooLarge`], [`IntakeError::MissingColumns`] or [`IntakeError::Scratch`]; then the intake
    /// is spent.
    pub fn feed(&mut self, octets: &[u8]) -> Result<(), IntakeError> {
        self.unspent()?;
        let fed = self.feed_unspent(octets);
        self.failed = fed.is_err();
        fed
    }

    fn feed_unspent(&mut self, octets: &[u8]) -> Result<(), IntakeError> {
        let limit = self.options.limits.max_bytes;
        self.bytes = self.bytes.saturating_add(octets.len() as u64);
        if self.bytes > limit {
            return Err(IntakeError::TooLarge { limit });
        }
        let mut rest = octets;
        if let Stage::Sniffing(head) = &mut self.stage {
            let (now, later) = octets.split_at(octets.len().min(SNIFF_OCTETS - head.len()));
            head.extend_from_slice(now);
            if head.len() < SNIFF_OCTETS {
                return Ok(());
            }
            let head = std::mem::take(head);
            let mut reading = self.start(&head);
            reading.take(&head[reading.found.mark..], &mut self.rows)?;
            self.stage = Stage::Reading(Box::new(reading));
            rest = later;
        }
        match &mut self.stage {
            Stage::Reading(reading) => reading.take(rest, &mut self.rows),
            Stage::Sniffing(_) => Ok(()),
        }
    }

    /// Decides encoding and shape from the beginning of the file.
    fn start(&mut self, head: &[u8]) -> Reading {
        let (encoding, mark) = encoding::sniff(head);
        let mut trial = Transcoder::new(encoding);
        let shape = shape::decide(trial.decode(&head[mark..]), self.options.format, self.options.delimiter);
        self.rows.set_shape(shape);
        Reading {
            transcoder: Transcoder::new(encoding),
            cutter: Cutter::new(shape, self.options.limits.max_line_octets),
            found: Found { encoding, mark, shape },
        }
    }

    /// Ends the file: judges it as a whole, then hands the accepted numbers to `sink`.
    ///
    /// Fails as [`Intake::feed`] does, with [`IntakeError::TooManyRecipients`] or [`IntakeError::Scratch`] before the
    /// sink got anything (a scratch file that cannot be read back may fail later), or with [`IntakeError::Sink`].
    pub fn finish(mut self, sink: &mut dyn ChunkSink) -> Result<IntakeSummary, IntakeError> {
        self.unspent()?;
        let stage = std::mem::replace(&mut self.stage, Stage::Sniffing(Vec::new()));
        let reading = match stage {
            Stage::Reading(reading) => *reading,
            Stage::Sniffing(head) => {
                let mut reading = self.start(&head);
                reading.take(&head[reading.found.mark..], &mut self.rows)?;
                reading
            }
        };
        let found = reading.found;
        let lines = reading.finish(&mut self.rows)?;
        let Self { options, scratch_dir, bytes, rows, .. } = self;
        let valid = rows.valid.finish().map_err(IntakeError::Scratch)?;
        let limit = options.limits.max_recipients;
        if valid.unique > limit {
            return Err(IntakeError::TooManyRecipients { limit, found: valid.unique });
        }
        let values = rows.values.map(ValueLog::seal).transpose().map_err(IntakeError::Scratch)?;
        let details = options.limits.max_reject_details;
        let mut repeated = RejectLog::new(&scratch_dir, details);
        let delivery = deliver((&valid, values.as_ref()), &mut repeated, sink)?;
        let invalid: u64 = rows.invalid.iter().sum();
        let rejected = invalid + delivery.duplicate;
        Ok(IntakeSummary {
            accepted: valid.unique,
            duplicate: delivery.duplicate,
            invalid,
            blank: rows.blank,
            lines: u64::from(lines),
            bytes,
            invalid_by_reason: (RejectReason::ALL.iter().copied())
                .zip(rows.invalid)
                .filter(|(_, count)| *count > 0)
                .collect(),
            columns: rows.columns,
            sample: delivery.sample,
            has_header: rows.has_header,
            encoding: found.encoding,
            delimiter: found.delimiter(),
            digest: delivery.digest,
            rejects: RejectReport::new(rows.rejects, repeated, rejected, details)
                .map_err(IntakeError::Scratch)?,
        })
    }

    fn unspent(&self) -> Result<(), IntakeError> {
        match self.failed {
            false => Ok(()),
            true => Err(IntakeError::Scratch(io::Error::other("the intake failed before"))),
        }
    }
}

impl Reading {
    fn take(&mut self, octets: &[u8], rows: &mut Rows) -> Result<(), IntakeError> {
        for piece in octets.chunks(PIECE_OCTETS) {
            cut(&mut self.cutter, self.transcoder.decode(piece), rows)?;
        }
        Ok(())
    }

    /// Reads what is left at the end of the file and tells how many lines it had.
    fn finish(mut self, rows: &mut Rows) -> Result<u32, IntakeError> {
        cut(&mut self.cutter, &self.transcoder.finish(), rows)?;
        while let Some((line, row)) = self.cutter.next(true) {
            rows.take(line, &row)?;
        }
        Ok(self.cutter.lines())
    }
}

fn cut(cutter: &mut Cutter, mut text: &[u8], rows: &mut Rows) -> Result<(), IntakeError> {
    while !text.is_empty() {
        text = &text[cutter.fill(text)..];
        while let Some((line, row)) = cutter.next(false) {
            rows.take(line, &row)?;
        }
    }
    Ok(())
}

/// What handing over the numbers taught.
struct Delivery {
    duplicate: u64,
    sample: Vec<E164>,
    digest: RecipientsDigest,
}

/// Hands all first lines to the sink in chunks, and notes the others.
fn deliver(
    (valid, values): (&Deduplicated, Option<&SealedLog>),
    repeated: &mut RejectLog,
    sink: &mut dyn ChunkSink,
) -> Result<Delivery, IntakeError> {
    let mut chunk = Vec::with_capacity(CHUNK_RECIPIENTS);
    let mut hasher = ListHasher::new();
    let mut sample = Vec::new();
    let mut duplicate = 0;
    let mut values = values.map(ValueReader::new);
    let mut packed = Vec::new();
    let mut hand_over = |chunk: &mut Vec<u64>, packed: &mut Vec<u8>| {
        if !chunk.is_empty() {
            hasher.chunk(chunk, packed);
            sink.chunk(chunk, packed).map_err(IntakeError::Sink)?;
            chunk.clear();
            packed.clear();
        }
        Ok(())
    };
    let mut replay = valid.replay().map_err(IntakeError::Scratch)?;
    while let Some((entry, first)) = replay.next().map_err(IntakeError::Scratch)? {
        let number = E164::from_stored(entry.number);
        let before = packed.len();
        if let Some(values) = &mut values {
            values.next(&mut packed).map_err(IntakeError::Scratch)?;
        }
        if let Some(first_line) = first {
            packed.truncate(before);
            duplicate += 1;
            if repeated.has_room() {
                let kind = RejectKind::Duplicate { first_line };
                let written = number.to_string();
                (repeated.push(entry.line, kind, written.as_bytes())).map_err(IntakeError::Scratch)?;
            }
            continue;
        }
        if sample.len() < SAMPLE {
            sample.push(number);
        }
        chunk.push(entry.number);
        if chunk.len() == CHUNK_RECIPIENTS {
            hand_over(&mut chunk, &mut packed)?;
        }
    }
    hand_over(&mut chunk, &mut packed)?;
    Ok(Delivery { duplicate, sample, digest: hasher.finish() })
}
