//! A disk of a few octets, mounted for a test: what is full at once, fills up, and gets room again.

use crate::place::temp_dir;
use std::fs::{File, remove_file};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What is written at once to fill it; the last octets are tried one by one.
const BLOCKS: [usize; 3] = [64 << 10, 1 << 10, 1];

/// A mounted disk; it is unmounted with its value.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// A disk of this size, such as `64k` or `1m`; nothing without the right to mount one.
    #[must_use]
    pub fn mount(size: &str) -> Option<Self> {
        let directory = temp_dir().ok()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(directory.path());
        mount.output().is_ok_and(|done| done.status.success()).then(|| Self(directory))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all that is left of it.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn fill(&self) -> std::io::Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.ballast())?;
        for octets in BLOCKS {
            let block = vec![0; octets];
            while ballast.write(&block).is_ok_and(|count| count > 0) {}
        }
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn free(&self) -> std::io::Result<()> {
        remove_file(self.ballast())
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A mount that is left over is all that a failure would mean here.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}
