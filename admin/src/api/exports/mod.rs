//! Files of recipients: made one at a time in the background, kept for a while, then removed.
//!
//! A file is named after its export and nothing else, is readable by this process alone, and appears under its name when
//! it is whole. What a process left half done is made anew by the next one; what nobody knows any more is removed.

mod file;
mod worker;

pub(crate) use worker::{Worker, withdraw};

use jiff::SignedDuration;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use uuid::Uuid;

/// Exports of one workspace that wait, are made or can be fetched: what a tenant may take of the disk.
pub(crate) const MAX_OF_WORKSPACE: usize = 50;
/// Exports of all workspaces that wait or are made.
pub(crate) const MAX_WAITING: usize = 100;

/// Where the files are.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
    kept: SignedDuration,
    bell: Arc<Notify>,
    is_ending: Arc<AtomicBool>,
}

impl Shelf {
    /// In this directory, which the worker creates; a file is kept for so long.
    pub(crate) fn new(directory: PathBuf, kept: std::time::Duration) -> Self {
        let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
        Self { directory, kept, bell: Arc::default(), is_ending: Arc::default() }
    }

    /// The file of an export.
    pub(crate) fn path(&self, export: Uuid) -> PathBuf {
        self.directory.join(export.to_string())
    }

    /// The same while it is written.
    fn unfinished(&self, export: Uuid) -> PathBuf {
        self.directory.join(format!("{export}.part"))
    }

    /// Tells the worker that there is something to do.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }
}
