//! Connections: how a file is created, checked, opened and, after an error, opened again.
//!
//! A connection that gave an error is never used again: after a failed fsync the kernel may have dropped pages
//! that SQLite believes to be written. The next call opens a new one and, unless the disk was merely full or busy, folds
//! the whole log into the file first, so that whatever is read back from then on is durable.

use crate::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// Version of the layout of all files; a newer one is refused.
pub(super) const SCHEMA: i64 = crate::store::SCHEMA_VERSION as i64;

/// How long a connection waits for another one of this process before it gives up.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Octets of a page: half the overflow pages of a 32 KiB chunk compared with SQLite's own 4096.
pub(super) const PAGE_OCTETS: u64 = 8192;

/// Page cache of all connections together, in KiB; the shares below must fit into it.
const CACHE_TOTAL_KIB: usize = 48 * 1024;

/// Connections for reading campaign files that stay open; the least recently used one is closed.
pub(super) const CAMPAIGN_READERS: usize = 8;
/// The same for writing.
pub(super) const CAMPAIGN_WRITERS: usize = 8;
/// Uploads into files of their own at the same time.
pub(super) const UPLOADS: usize = 4;

const _: () = assert!(
    CONTROL.cache_kib
        + CONTROL_READER.cache_kib
        + JOURNAL_WRITER.cache_kib
        + JOURNAL_READER.cache_kib
        + CAMPAIGN_READERS * CAMPAIGN_READER.cache_kib
        + CAMPAIGN_WRITERS * CAMPAIGN_WRITER.cache_kib
        + UPLOADS * UPLOAD.cache_kib
        + SCRUBBER.cache_kib
        <= CACHE_TOTAL_KIB
);

/// What one role does with its connection.
#[derive(Debug)]
pub(super) struct Role {
    /// Tables of the file, created when it is empty; none for a role that never creates a file.
    pub(super) tables: &'static [&'static str],
    /// Share of the page cache.
    pub(super) cache_kib: usize,
    /// Statements run after opening.
    pub(super) pragmas: &'static str,
}

/// Entities and audit log.
pub(super) const CONTROL: Role = Role {
    tables: &[
        super::control::TABLES,
        super::audit::TABLES,
        super::suppression::TABLES,
        super::job_error::TABLES,
        super::campaigns::TABLES,
        super::traffic::TABLES,
    ],
    cache_kib: 4 * 1024,
    pragmas: "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216;",
};
/// Lists and sums, beside the writer.
pub(super) const CONTROL_READER: Role =
    Role { tables: &[], cache_kib: 4 * 1024, pragmas: "PRAGMA synchronous=FULL; PRAGMA query_only=1;" };
/// Commits and trims; the log is folded by the reader's connection, see `journal`.
pub(super) const JOURNAL_WRITER: Role = Role {
    tables: &[super::journal::TABLES],
    cache_kib: 4 * 1024,
    pragmas: "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;
        PRAGMA journal_size_limit=134217728;",
};
/// Replay and passive checkpoints.
pub(super) const JOURNAL_READER: Role = Role {
    tables: &[],
    cache_kib: 2 * 1024,
    pragmas: "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;",
};
/// Creates `small.db` once; afterwards the two campaign roles use it.
pub(super) const SMALL: Role = Role {
    tables: &[super::campaign_file::TABLES],
    cache_kib: 256,
    pragmas: "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
};
/// Recipients and state, read.
pub(super) const CAMPAIGN_READER: Role =
    Role { tables: &[], cache_kib: 1024, pragmas: "PRAGMA synchronous=FULL; PRAGMA query_only=1;" };
/// State and watermark, written.
pub(super) const CAMPAIGN_WRITER: Role = Role {
    tables: &[],
    cache_kib: 2 * 1024,
    pragmas: "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=33554432;",
};
/// Makes a campaign's own file anew, see `erase`.
pub(super) const SCRUBBER: Role = Role { tables: &[], cache_kib: 1024, pragmas: "PRAGMA synchronous=FULL;" };
/// A file that nobody sees until it is complete, synced and renamed: no log, no syncs of its own.
pub(super) const UPLOAD: Role = Role {
    tables: &[super::campaign_file::TABLES],
    cache_kib: 2 * 1024,
    pragmas: "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;",
};

/// A connection that is opened when needed and dropped after every error.
#[derive(Debug)]
pub(super) struct Handle {
    path: PathBuf,
    installation: Uuid,
    role: &'static Role,
    connection: Option<Connection>,
    suspect: bool,
}

impl Handle {
    /// Nothing is opened yet.
    pub(super) const fn new(path: PathBuf, installation: Uuid, role: &'static Role) -> Self {
        Self { path, installation, role, connection: None, suspect: false }
    }

    /// Runs `work`; whatever it had begun and not committed is rolled back when it fails.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.take()?;
        match work(&mut connection) {
            Ok(value) => {
                self.connection = Some(connection);
                Ok(value)
            }
            Err(e) => {
                // Neither of the two says anything about what was written before.
                let harmless = [Some(ErrorCode::DiskFull), Some(ErrorCode::DatabaseBusy)];
                self.suspect |= !harmless.contains(&e.sqlite_error_code());
                Err(explain(&self.path, &e))
            }
        }
    }

    /// Closes the connection.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    fn take(&mut self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connection = open(&self.path, Some(self.installation), self.role)?;
        if self.suspect {
            let busy: i64 = connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
                .map_err(|e| explain(&self.path, &e))?;
            if busy != 0 {
                return Err(StoreError::Unavailable(format!("{} is still being read", self.path.display())));
            }
            self.suspect = false;
        }
        Ok(connection)
    }
}

/// Opens a file in its role, creates its tables if it is empty and checks whose it is.
pub(super) fn open(path: &Path, installation: Option<Uuid>, role: &Role) -> Result<Connection, StoreError> {
    connect(path, installation, role).map_err(|e| explain(path, &e))?
}

fn connect(
    path: &Path,
    installation: Option<Uuid>,
    role: &Role,
) -> rusqlite::Result<Result<Connection, StoreError>> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, !role.tables.is_empty());
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 {
        connection.execute_batch(&format!("PRAGMA page_size={PAGE_OCTETS};"))?;
    }
    connection.execute_batch(role.pragmas)?;
    connection.execute_batch(&format!("PRAGMA cache_size=-{};", role.cache_kib))?;
    if objects == 0 && !role.tables.is_empty() {
        create(&mut connection, role.tables, installation.unwrap_or_else(Uuid::now_v7))?;
    }
    Ok(check(&connection, path, installation)?.map(|()| connection))
}

fn create(connection: &mut Connection, tables: &[&str], installation: Uuid) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TABLE meta(key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;")?;
    transaction.execute_batch(&tables.concat())?;
    let mut insert = transaction.prepare("INSERT INTO meta(key, value) VALUES(?1, ?2)")?;
    insert.execute(("installation", installation.to_string()))?;
    insert.execute(("schema", SCHEMA))?;
    drop(insert);
    transaction.commit()
}

fn check(
    connection: &Connection,
    path: &Path,
    installation: Option<Uuid>,
) -> rusqlite::Result<Result<(), StoreError>> {
    let path = path.display();
    let unusable = |sentence: String| Ok(Err(StoreError::Unusable(sentence)));
    let has_meta: bool = connection.query_row(
        "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE name = 'meta')",
        [],
        |row| row.get(0),
    )?;
    if !has_meta {
        return unusable(format!("{path} is not a file of this program"));
    }
    let schema: Option<i64> = connection
        .query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| row.get(0))
        .optional()?;
    match schema {
        Some(SCHEMA) => {}
        Some(newer) if newer > SCHEMA => {
            return unusable(format!(
                "{path} has schema version {newer}, this program knows up to {SCHEMA}: start a newer program"
            ));
        }
        other => {
            return unusable(format!("{path} has schema version {other:?}, this program needs {SCHEMA}"));
        }
    }
    let Some(expected) = installation else { return Ok(Ok(())) };
    let found = self::installation(connection)?;
    if found != expected.to_string() {
        return unusable(format!(
            "{path} belongs to installation {found}, the other files here to installation {expected}"
        ));
    }
    Ok(Ok(()))
}

/// The installation id that a file carries.
pub(super) fn installation(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM meta WHERE key = 'installation'", [], |row| row.get(0))
}

/// What an SQLite error means to the caller, as a sentence with the file in it.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Unavailable(format!("no space is left for {path}")),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::Unavailable(format!(
            "{path} cannot be written: check the permissions of the file and its directory"
        )),
        Some(ErrorCode::CannotOpen) => StoreError::Unavailable(format!(
            "{path} cannot be opened: check that it exists and may be read and written"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Unavailable(format!("{path} is locked by another program"))
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Unusable(format!("{path} is damaged: {error}"))
        }
        Some(_) => StoreError::Unavailable(format!("{path}: {error}")),
        None => StoreError::Unusable(format!("{path} holds what this program did not write: {error}")),
    }
}
