//! Audit notes and where they go when the store takes none: the fallback file, replayed in order when it is back.
//!
//! Changes of entities have their event in their own transaction; everything else that is worth an event (logins,
//! refused attempts, exports, reveals) goes through [`Recorder::record`]. While there is anything in the file, every
//! note goes through it, so that their order stays. A note is kept durably before its call returns; what is beyond
//! the cap is dropped, counted and told, or refused, as the installation chose.

pub mod expiry;
mod file;
mod gap;
mod line;
mod replay;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use gap::Gap;

use engine::Clock;
use engine::model::AuditOverflow;
use engine::store::{Catalog, Note};
use file::{FallbackFile, Kept};
use jiff::{SignedDuration, Timestamp};
use replay::Progress;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most octets of the fallback file: 200 MiB.
pub const FALLBACK_OCTETS: u64 = 200 << 20;

/// Shares of the cap, in percent, at which a warning is due.
const WARNINGS: [u64; 2] = [50, 80];

/// How often it is told that events are being dropped.
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Where notes go while the store takes none.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// The file.
    pub path: PathBuf,
    /// Most octets in it; [`FALLBACK_OCTETS`] but in tests.
    pub octets: u64,
    /// What happens when it is full.
    pub overflow: AuditOverflow,
}

/// What became of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the store.
    Stored,
    /// It is in the fallback file.
    Buffered,
    /// It is counted and lost.
    Dropped,
}

/// The note can neither be stored nor buffered, and this installation does nothing that it cannot record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log is unavailable and its fallback is full")]
pub struct Blocked;

/// How the fallback stands: for diagnostics and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackState {
    /// Octets in the file.
    pub octets: u64,
    /// Since when notes go through it; `None` while they go to the store.
    pub since: Option<Timestamp>,
    /// Whether the file takes no more.
    pub is_full: bool,
    /// Notes dropped by this process.
    pub dropped: u64,
    /// Lines that could not be read when the file was replayed, by this process.
    pub damaged_lines: u64,
    /// Dropped notes that the log does not tell yet.
    pub gap: Option<Gap>,
}

/// Takes notes; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: Arc<dyn Catalog>,
    clock: Clock,
    path: PathBuf,
    buffer: Mutex<Buffer>,
    progress: tokio::sync::Mutex<Progress>,
    /// Rings when there is something to replay.
    bell: tokio::sync::Notify,
}

struct Buffer {
    file: FallbackFile,
    overflow: AuditOverflow,
    since: Option<Timestamp>,
    is_full: bool,
    /// How many of [`WARNINGS`] were given.
    warned: usize,
    told_at: Option<Timestamp>,
    gap: Option<Gap>,
    dropped: u64,
    damaged_lines: u64,
}

impl Recorder {
    /// Takes over what an earlier process left in the file. Nothing is replayed before [`Recorder::keep_replaying`].
    ///
    /// # Errors
    /// When the file cannot be created, read or written.
    pub fn open(catalog: Arc<dyn Catalog>, clock: Clock, fallback: Fallback) -> io::Result<Self> {
        let Fallback { path, octets, overflow } = fallback;
        let file = FallbackFile::open(&path, octets)?;
        let left = file.octets();
        let buffer = Buffer {
            overflow,
            since: (left > 0).then(|| clock.timestamp()),
            is_full: left >= octets,
            warned: 0,
            told_at: None,
            gap: gap::load(&path),
            dropped: 0,
            damaged_lines: 0,
            file,
        };
        if left > 0 {
            tracing::warn!(
                octets = left,
                "[audit-fallback] an earlier process left audit events to be stored"
            );
        }
        let (progress, bell) = (tokio::sync::Mutex::default(), tokio::sync::Notify::new());
        if left > 0 || buffer.gap.is_some() {
            bell.notify_one();
        }
        let inner = Inner { catalog, clock, path, buffer: Mutex::new(buffer), progress, bell };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Records a note: in the store, or durably in the fallback file. What is too long in it is cut.
    ///
    /// # Errors
    /// `Blocked`: it is recorded nowhere, and what it tells must not happen.
    pub async fn record(&self, note: Note) -> Result<Recorded, Blocked> {
        let note = note.within_limits();
        if self.buffer().file.octets() > 0 {
            return self.keep(&note, "earlier ones wait");
        }
        match self.inner.catalog.note(vec![note.clone()]).await {
            Ok(_) => Ok(Recorded::Stored),
            Err(error) => self.keep(&note, error),
        }
    }

    /// Whether a change may be made: not while a note about it would be refused.
    ///
    /// # Errors
    /// `Blocked`, until the store has taken what waits.
    pub fn admit(&self) -> Result<(), Blocked> {
        let buffer = self.buffer();
        if buffer.is_full && buffer.overflow == AuditOverflow::Block { Err(Blocked) } else { Ok(()) }
    }

    /// What happens from now on when the file is full.
    pub fn set_overflow(&self, overflow: AuditOverflow) {
        self.buffer().overflow = overflow;
    }

    /// How the fallback stands.
    #[must_use]
    pub fn state(&self) -> FallbackState {
        let buffer = self.buffer();
        FallbackState {
            octets: buffer.file.octets(),
            since: buffer.since,
            is_full: buffer.is_full,
            dropped: buffer.dropped,
            damaged_lines: buffer.damaged_lines,
            gap: buffer.gap,
        }
    }

    /// Appends to the file, on the calling thread: one write and one flush to the disk.
    fn keep(&self, note: &Note, why: impl Display) -> Result<Recorded, Blocked> {
        let now = self.now();
        let mut buffer = self.buffer();
        let kept = if buffer.is_full { Ok(Kept::NoSpace) } else { buffer.file.append(note) };
        let refused = match kept {
            Ok(Kept::Yes) => {
                buffer.has_grown(now, &why);
                drop(buffer);
                self.inner.bell.notify_one();
                return Ok(Recorded::Buffered);
            }
            Ok(Kept::NoSpace) => {
                // Smaller notes could still fit; one gap is easier to understand than many.
                buffer.is_full = true;
                "the file is full".to_owned()
            }
            Err(error) => format!("the file cannot be written: {error}"),
        };
        let recorded = buffer.refuse(note.at);
        if buffer.told_at.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY) {
            buffer.told_at = Some(now);
            let dropped = buffer.gap.map_or(0, |gap| gap.count);
            let octets = buffer.file.octets();
            tracing::error!(
                dropped,
                octets,
                why = refused,
                "[audit-fallback-overflow] audit events are lost or refused"
            );
            if let Err(error) = gap::save(&self.inner.path, buffer.gap.as_ref()) {
                tracing::warn!(%error, "how many audit events were dropped would not survive a crash");
            }
        }
        drop(buffer);
        self.inner.bell.notify_one();
        recorded
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        // Every change of it is whole before anything can panic.
        self.inner.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.timestamp()
    }
}

impl Buffer {
    /// Tells that the fallback begins, and that it fills up.
    fn has_grown(&mut self, now: Timestamp, why: &impl Display) {
        let (octets, cap) = (self.file.octets(), self.file.cap());
        if self.since.is_none() {
            self.since = Some(now);
            tracing::error!(%why, "[audit-fallback] the store takes no audit events; they go to the fallback file");
        }
        while let Some(percent) = WARNINGS.get(self.warned)
            && octets >= cap / 100 * percent
        {
            self.warned += 1;
            tracing::warn!(octets, cap, "[audit-fallback] the fallback file is at {percent} % of its cap");
        }
    }

    /// Drops a note that happened at `at` and counts it, or refuses it.
    fn refuse(&mut self, at: Timestamp) -> Result<Recorded, Blocked> {
        match self.overflow {
            AuditOverflow::Block => Err(Blocked),
            AuditOverflow::Drop => {
                self.dropped += 1;
                self.gap.get_or_insert_with(|| Gap::new(at)).widen(at);
                Ok(Recorded::Dropped)
            }
        }
    }
}
