//! The demo's recipients: a file, or generated lines, through the real intake into the store.

use crate::command::DemoOptions;
use crate::exit::{self, Failure};
use crate::lines::{Lines, thousands};
use crate::signals::Signals;
use engine::intake::{CHUNK_RECIPIENTS, ChunkSink, Intake, IntakeError, IntakeSummary, Options};
use engine::model::{CampaignNo, MAX_RECIPIENTS};
use engine::store::{Journal, RecipientWriter, SqliteStore, StoreError};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Recipients generated when nothing is said.
const DEFAULT_RECIPIENTS: u64 = 100_000;
/// Octets fed to the intake at once.
const PIECE_OCTETS: usize = 64 << 10;
/// The first generated number; the others follow it.
const FIRST_NUMBER: u64 = 4_915_100_000_000;
/// Refused lines shown on the screen.
const SHOWN_REJECTS: usize = 5;
/// File with the refused lines in the data directory.
const REJECTS_FILE: &str = "rejects.csv";

/// Where the lines come from.
pub(super) enum Source {
    /// A file, opened before anything else is begun.
    File(PathBuf, File),
    /// That many numbers in a row.
    Generated(u64),
}

impl Source {
    /// Opens what the options ask for.
    pub(super) fn open(options: &DemoOptions) -> Result<Self, Failure> {
        let Some(path) = &options.file else {
            return Ok(Self::Generated(options.recipients.unwrap_or(DEFAULT_RECIPIENTS)));
        };
        let refused = |why: String| Failure::new(exit::NO_INPUT, format!("{} {why}", path.display()));
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => refused("does not exist".to_owned()),
            ErrorKind::PermissionDenied => refused("may not be read: check its permissions".to_owned()),
            _ => refused(format!("cannot be opened: {error}")),
        })?;
        let is_dir = file.metadata().map_err(|error| refused(format!("cannot be read: {error}")))?.is_dir();
        if is_dir {
            return Err(refused("is a directory, not a recipient file".to_owned()));
        }
        Ok(Self::File(path.clone(), file))
    }

    fn name(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Generated(count) => format!("{} generated lines", thousands(*count)),
        }
    }

    /// Hands the lines to `each`, piece by piece; ends early when it says so.
    fn pieces(self, each: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        match self {
            Self::File(path, mut file) => {
                let mut piece = vec![0; PIECE_OCTETS];
                loop {
                    let count = file.read(&mut piece).map_err(|error| {
                        Failure::new(exit::NO_INPUT, format!("{} cannot be read: {error}", path.display()))
                    })?;
                    if count == 0 {
                        return Ok(());
                    }
                    each(&piece[..count])?;
                }
            }
            Self::Generated(count) => {
                let mut piece = Vec::with_capacity(PIECE_OCTETS);
                for number in FIRST_NUMBER..FIRST_NUMBER + count {
                    writeln!(piece, "+{number}").expect("a vector takes every octet");
                    if piece.len() + 32 > PIECE_OCTETS {
                        each(&piece)?;
                        piece.clear();
                    }
                }
                each(&piece)
            }
        }
    }
}

/// What an intake has stored.
pub(super) struct Stored {
    pub(super) recipients: u64,
    pub(super) digest: String,
}

/// Takes the lines in as the recipients of campaign `no`; `None` when a signal came first. Blocks. The directory serves
/// as scratch space and takes the list of refused lines; `keeps` tells whether it outlives the demo.
pub(super) fn store(
    (store, no): (&Arc<SqliteStore>, CampaignNo),
    (directory, keeps): (&Path, bool),
    source: Source,
    (signals, lines): (&Signals, Lines),
) -> Result<Option<Stored>, Failure> {
    let name = source.name();
    let mut intake = Intake::new(Options::default(), directory).map_err(|error| failed(&name, &error))?;
    let mut interrupted = false;
    source.pieces(&mut |piece| {
        interrupted |= signals.asked().is_some();
        if interrupted { Ok(()) } else { intake.feed(piece).map_err(|error| failed(&name, &error)) }
    })?;
    if interrupted {
        return Ok(None);
    }
    let mut sink = Sink { store, no, first: None, writer: None, error: None };
    let summary = match intake.finish(&mut sink) {
        Ok(summary) => summary,
        Err(error) => return Err(sink.error.take().map_or_else(|| failed(&name, &error), Failure::from)),
    };
    describe(&name, &summary, lines);
    list_rejects((directory, keeps), &summary, lines)?;
    if summary.accepted == 0 {
        return Err(Failure::new(exit::NO_INPUT, format!("{name}: no line holds a valid number")));
    }
    sink.finish()?;
    Ok(Some(Stored { recipients: summary.accepted, digest: summary.digest.to_string() }))
}

fn failed(name: &str, error: &IntakeError) -> Failure {
    let code = match error {
        IntakeError::Scratch(_) | IntakeError::Sink(_) => exit::STORE,
        IntakeError::Options(_)
        | IntakeError::TooLarge { .. }
        | IntakeError::MissingColumns { .. }
        | IntakeError::TooManyRecipients { .. } => exit::NO_INPUT,
    };
    Failure::new(code, format!("{name}: {error}"))
}

fn describe(name: &str, summary: &IntakeSummary, lines: Lines) {
    lines.say(&format!(
        "{name}: {} lines, {} accepted, {} duplicate, {} invalid",
        thousands(summary.lines),
        thousands(summary.accepted),
        thousands(summary.duplicate),
        thousands(summary.invalid),
    ));
    for (reason, count) in &summary.invalid_by_reason {
        lines.say(&format!("    {:>9}  {reason}: {}", thousands(*count), reason.sentence()));
    }
}

/// Shows the first refused lines and writes all of them beside the store.
fn list_rejects(
    (directory, keeps): (&Path, bool),
    summary: &IntakeSummary,
    lines: Lines,
) -> Result<(), Failure> {
    if summary.rejects.total() == 0 {
        return Ok(());
    }
    let path = directory.join(REJECTS_FILE);
    let unwritten = |error: io::Error| {
        Failure::new(exit::STORE, format!("{} cannot be written: {error}", path.display()))
    };
    let mut shown = 0;
    let show = |reject: &engine::intake::Reject| {
        if shown < SHOWN_REJECTS {
            shown += 1;
            lines.say(&format!("    line {}: {} ({})", reject.line, reject.value_masked, reject.kind.code()));
        }
        Ok(())
    };
    summary.rejects.visit(show).map_err(unwritten)?;
    let mut file = io::BufWriter::new(File::create(&path).map_err(unwritten)?);
    summary.rejects.write_rejects_csv(&mut file).and_then(|()| file.flush()).map_err(unwritten)?;
    lines.say(&match keeps {
        true => format!("    all refused and repeated lines: {}", path.display()),
        false => "    --directory DIR keeps the list of all refused and repeated lines".to_owned(),
    });
    Ok(())
}

/// Writes chunks to the store. The writer is chosen late: whether a list is small is known at its second chunk.
struct Sink<'a> {
    store: &'a Arc<SqliteStore>,
    no: CampaignNo,
    first: Option<Vec<u64>>,
    writer: Option<Box<dyn RecipientWriter>>,
    /// What the store said; the intake would turn it into text.
    error: Option<StoreError>,
}

impl ChunkSink for Sink<'_> {
    /// The demo reads no variables, so that there are no values.
    fn chunk(&mut self, numbers: &[u64], _values: &[u8]) -> io::Result<()> {
        let done = self.take(numbers);
        done.map_err(|error| {
            self.error = Some(error);
            io::Error::other("not stored")
        })
    }
}

impl Sink<'_> {
    fn take(&mut self, numbers: &[u64]) -> Result<(), StoreError> {
        if let Some(writer) = &mut self.writer {
            return writer.chunk(numbers, &[]);
        }
        let Some(first) = self.first.take() else {
            self.first = Some(numbers.to_vec());
            return Ok(());
        };
        let mut writer = self.store.write_recipients(self.no, MAX_RECIPIENTS)?;
        writer.chunk(&first, &[])?;
        writer.chunk(numbers, &[])?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Makes everything durable.
    fn finish(self) -> Result<(), StoreError> {
        if let Some(writer) = self.writer {
            return writer.finish();
        }
        let first = self.first.unwrap_or_default();
        debug_assert!(first.len() <= CHUNK_RECIPIENTS);
        let mut writer = self.store.write_recipients(self.no, first.len() as u64)?;
        writer.chunk(&first, &[])?;
        writer.finish()
    }
}
