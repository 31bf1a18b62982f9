//! The directory that one engine owns: its lock file, its installation id and the durability of its entries.
//!
//! A second engine on the same directory is refused while the first one lives; the operating system drops the
//! lock with the process, so a kill leaves nothing to clean up.

use crate::store::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Holds the lock and the process id of its holder.
const LOCK_FILE: &str = "engine.lock";

/// A locked directory of one installation.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    installation: Uuid,
    lock: File,
}

impl Directory {
    /// Creates the directory if it is missing and locks it; `identify` then reads or makes the installation id.
    pub(super) fn open(
        path: &Path,
        identify: impl FnOnce(&Path) -> Result<Uuid, StoreError>,
    ) -> Result<Self, StoreError> {
        create(path)?;
        let lock = lock(path)?;
        sync_directory(path)?;
        Ok(Self { path: path.to_owned(), installation: identify(path)?, lock })
    }

    /// Which installation every file in it must carry.
    pub(super) const fn installation(&self) -> Uuid {
        self.installation
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes created, renamed and removed entries durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        sync_directory(&self.path)
    }

    /// The names of its files.
    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        let unreadable = |e: std::io::Error| {
            StoreError::Unavailable(format!("the directory {} cannot be read: {e}", self.path.display()))
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(unreadable)? {
            names.extend(entry.map_err(unreadable)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Octets that its disk has left for this user.
    pub(super) fn free_octets(&self) -> Result<u64, StoreError> {
        let disk = rustix::fs::statvfs(&self.path).map_err(|e| {
            StoreError::Unavailable(format!("the disk of {} cannot be looked at: {e}", self.path.display()))
        })?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Removes a file; an absent one is fine.
    pub(super) fn unlink(&self, name: &str) -> Result<(), StoreError> {
        let path = self.file(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::Unavailable(format!("{} cannot be removed: {e}", path.display())))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Directory {
    /// Closing would not be enough while a child process that is just being started shares the descriptor.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, directory = %self.path.display(), "the directory stays locked until the end");
        }
    }
}

/// Makes the entries of `path` durable.
fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|e| {
        StoreError::Unavailable(format!("the directory {} cannot be made durable: {e}", path.display()))
    })
}

/// Creates what is missing of `path` and makes each new entry durable in its parent.
fn create(path: &Path) -> Result<(), StoreError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    std::fs::create_dir_all(&path).map_err(|e| {
        StoreError::Unavailable(format!("the directory {} cannot be created: {e}", path.display()))
    })?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_directory)
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK_FILE);
    let unwritable = |e: std::io::Error| {
        StoreError::Unavailable(format!("the directory {} cannot be written: {e}", directory.display()))
    };
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
    let mut file = options.open(&path).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(e)) => return Err(unwritable(e)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the sentence; without it the refusal stands all the same.
            let _ = file.read_to_string(&mut holder);
            return Err(StoreError::Unavailable(format!(
                "the directory {} is in use by another engine (process {})",
                directory.display(),
                if holder.is_empty() { "unknown" } else { holder.trim() },
            )));
        }
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(unwritable)?;
    Ok(file)
}
