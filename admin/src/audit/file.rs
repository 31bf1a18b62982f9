//! The fallback file: notes that the store did not take, one a line, in order, never above its cap.
//!
//! A line is on stable storage before its note counts as kept; a write that fails is taken back. Lines are only added
//! at the end, and all of them go at once, when the store has them.

use super::line::{self, Batch, Damage};
use engine::store::Note;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Only this user reads it: notes hold addresses and names.
const MODE: u32 = 0o600;

/// What became of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is in the file.
    Yes,
    /// It would not fit below the cap.
    NoSpace,
}

/// The file, opened when it is needed.
#[derive(Debug)]
pub(super) struct FallbackFile {
    path: PathBuf,
    cap: u64,
    octets: u64,
    file: Option<File>,
}

impl FallbackFile {
    /// Takes over what an earlier process left. A line that it did not finish is ended, so that the next one stands
    /// by itself.
    pub(super) fn open(path: &Path, cap: u64) -> io::Result<Self> {
        let mut this = Self { path: path.to_owned(), cap, octets: 0, file: None };
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Whether it can be written is known now and not in the outage.
                this.create()?;
                return Ok(this);
            }
            file => file?,
        };
        this.octets = file.metadata()?.len();
        let mut last = [b'\n'];
        if this.octets > 0 {
            file.read_exact_at(&mut last, this.octets - 1)?;
        }
        if last != *b"\n" {
            let at = this.octets.min(cap.max(1) - 1);
            file.write_all_at(b"\n", at)?;
            file.set_len(at + 1)?;
            file.sync_data()?;
            this.octets = at + 1;
        }
        Ok(this)
    }

    /// Octets in it.
    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Octets that it may have.
    pub(super) const fn cap(&self) -> u64 {
        self.cap
    }

    /// Adds a note at the end and makes it durable.
    ///
    /// # Errors
    /// What the system says; then nothing was added.
    pub(super) fn append(&mut self, note: &Note) -> io::Result<Kept> {
        let line = line::encode(note);
        let octets = self.octets + line.len() as u64;
        if octets > self.cap {
            return Ok(Kept::NoSpace);
        }
        let before = self.octets;
        let file = match self.file.take() {
            Some(file) => file,
            None => self.create()?,
        };
        let written = file.write_all_at(&line, before).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // The line may be there in part; whatever stands behind `before` is written over or cut by the next one.
            if let Err(error) = file.set_len(before).and_then(|()| file.sync_data()) {
                tracing::warn!(%error, "a line of the audit fallback that was not finished stays behind its end");
            }
            return Err(error);
        }
        self.octets = octets;
        self.file = Some(file);
        Ok(Kept::Yes)
    }

    /// Up to `most` notes from octet `from` on; damaged lines are added to `damage`.
    pub(super) fn read(&self, from: u64, most: usize, damage: &mut Damage) -> io::Result<Batch> {
        if from >= self.octets {
            return Ok(Batch::default());
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        line::read(&mut BufReader::new(file.take(self.octets - from)), most, damage)
    }

    /// Forgets all lines: the store has them.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file = None;
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(0)?;
        file.sync_data()?;
        self.octets = 0;
        Ok(())
    }

    /// Forgets all lines and keeps the file aside, since there is something in it that nobody could read.
    pub(super) fn set_aside(&mut self) -> io::Result<PathBuf> {
        let aside = beside(&self.path, ".damaged");
        self.file = None;
        std::fs::rename(&self.path, &aside)?;
        self.octets = 0;
        self.create()?;
        Ok(aside)
    }

    fn create(&self) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(&self.path)?;
        sync_directory_of(&self.path)?;
        Ok(file)
    }
}

/// A path with something behind its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Replaces a small file as a whole.
pub(super) fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let fresh = beside(path, ".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&fresh)?;
    file.write_all(octets)?;
    file.sync_data()?;
    std::fs::rename(&fresh, path)?;
    sync_directory_of(path)
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::testing::note;
    use super::*;
    use tempfile::TempDir;

    fn all(file: &FallbackFile) -> (Vec<Note>, Damage) {
        let mut damage = Damage::default();
        (file.read(0, usize::MAX, &mut damage).expect("readable").notes, damage)
    }

    #[test]
    fn the_cap_is_reached_to_the_octet_and_never_passed() {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("fallback");
        let line = line::encode(&note(1)).len() as u64;
        let mut file = FallbackFile::open(&path, 2 * line).expect("opened");
        let kept = [1, 2, 3].map(|n| file.append(&note(n)).expect("written"));
        assert_eq!(kept, [Kept::Yes, Kept::Yes, Kept::NoSpace]);
        assert_eq!((file.octets(), std::fs::metadata(&path).expect("there").len()), (2 * line, 2 * line));
        let mut file = FallbackFile::open(&path, 2 * line + line - 1).expect("opened");
        assert_eq!(file.append(&note(3)).expect("written"), Kept::NoSpace);
        file.clear().expect("cleared");
        assert_eq!(file.append(&note(4)).expect("written"), Kept::Yes);
        assert_eq!(all(&file), (vec![note(4)], Damage::default()));
    }

    #[test]
    fn a_line_that_was_torn_at_any_octet_costs_itself_alone() {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("fallback");
        let (first, second) = (line::encode(&note(1)), line::encode(&note(2)));
        for torn in 1..second.len() {
            std::fs::write(&path, [&first[..], &second[..torn]].concat()).expect("written");
            let mut file = FallbackFile::open(&path, 1 << 20).expect("opened");
            assert_eq!(file.append(&note(3)).expect("written"), Kept::Yes);
            let (notes, damage) = all(&file);
            // Nothing but its line feed is missing in the last round, so that the note is whole.
            let is_whole = torn == second.len() - 1;
            assert_eq!((notes.len(), damage.lines), if is_whole { (3, 0) } else { (2, 1) }, "torn at {torn}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_known_at_once() {
        let directory = TempDir::new().expect("a temporary directory");
        assert!(FallbackFile::open(&directory.path().join("nowhere/fallback"), 100).is_err());
        assert!(FallbackFile::open(directory.path(), 100).is_err());
    }

    #[test]
    fn a_torn_line_at_the_cap_does_not_pass_it() {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("fallback");
        std::fs::write(&path, b"0123456789").expect("written");
        let file = FallbackFile::open(&path, 10).expect("opened");
        assert_eq!((file.octets(), std::fs::read(&path).expect("there")), (10, b"012345678\n".to_vec()));
    }
}
