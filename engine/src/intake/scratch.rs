//! One unlinked scratch file: appended to, then read by position. It vanishes with its last handle, also after a kill.
//!
//! A [`Log`] is read once from its beginning, so that a short one needs no file at all.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Octets gathered before a write.
const WRITE_BUFFER: usize = 64 << 10;

/// Octets of a log held in memory before it goes to a file.
const MEMORY_OCTETS: usize = 64 << 10;

/// A scratch file under construction.
#[derive(Debug)]
pub(super) struct Scratch {
    file: File,
    written: u64,
    pending: Vec<u8>,
}

impl Scratch {
    /// A new file in `dir` that has no name.
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        Ok(Self::over(tempfile::tempfile_in(dir)?))
    }

    fn over(file: File) -> Self {
        Self { file, written: 0, pending: Vec::with_capacity(WRITE_BUFFER) }
    }

    /// Appends octets; they may be written later.
    #[inline]
    pub(super) fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.pending.len() + octets.len() > WRITE_BUFFER {
            self.flush()?;
        }
        self.pending.extend_from_slice(octets);
        Ok(())
    }

    /// Writes everything appended so far and tells the length of the file.
    pub(super) fn flush(&mut self) -> io::Result<u64> {
        self.file.write_all(&self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(self.written)
    }

    /// Ends the writing.
    pub(super) fn into_file(mut self) -> io::Result<(File, u64)> {
        let length = self.flush()?;
        Ok((self.file, length))
    }
}

/// Reads one stretch of a file without moving its position, so that many can read the same file.
#[derive(Debug)]
pub(super) struct Stretch<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl<'a> Stretch<'a> {
    pub(super) fn new(file: &'a File, at: u64, end: u64) -> Self {
        Self { file, at, end }
    }
}

impl Read for Stretch<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = into.len().min(left);
        let got = self.file.read_at(&mut into[..wanted], self.at)?;
        if got == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += got as u64;
        Ok(got)
    }
}

/// Octets that are read in the order of their coming.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    memory: Vec<u8>,
    scratch: Option<Scratch>,
}

impl Log {
    /// An empty log whose file, if it needs one, goes to `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), memory: Vec::new(), scratch: None }
    }

    /// Appends octets.
    #[inline]
    pub(super) fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.scratch {
            Some(scratch) => scratch.append(octets),
            None => self.remember(octets),
        }
    }

    fn remember(&mut self, octets: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(octets);
        if self.memory.len() >= MEMORY_OCTETS {
            let mut scratch = Scratch::create(&self.dir)?;
            scratch.append(&self.memory)?;
            self.memory = Vec::new();
            self.scratch = Some(scratch);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn has_spilled(&self) -> bool {
        self.scratch.is_some()
    }

    /// Ends the writing.
    pub(super) fn seal(self) -> io::Result<SealedLog> {
        let Some(scratch) = self.scratch else {
            return Ok(SealedLog::Memory(self.memory));
        };
        let (file, length) = scratch.into_file()?;
        Ok(SealedLog::File(file, length))
    }
}

/// A log that can be read, as often as wanted.
#[derive(Debug)]
pub(super) enum SealedLog {
    Memory(Vec<u8>),
    File(File, u64),
}

impl SealedLog {
    /// Reads from the beginning.
    pub(super) fn read(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Memory(octets) => Box::new(octets.as_slice()),
            Self::File(file, length) => {
                Box::new(BufReader::with_capacity(MEMORY_OCTETS, Stretch::new(file, 0, *length)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_full_disk_is_told_and_not_swallowed() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut scratch = Scratch::over(full);
        let error = (0..100_000).find_map(|_| scratch.append(&[7; 12]).err()).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_scratch_file_has_no_name_in_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::create(dir.path()).unwrap();
        scratch.append(b"hello").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let (file, length) = scratch.into_file().unwrap();
        let mut text = String::new();
        Stretch::new(&file, 1, length).read_to_string(&mut text).unwrap();
        assert_eq!(text, "ello");
    }
}
