//! What could not be kept: how many notes, from when to when, so that the log can say so when the store is back.
//!
//! A gap is also kept in a small file beside the fallback file, written when the gap begins and then as often as it
//! is told in the log: a process that dies loses at most a minute of the count, never the gap.

use super::file::{beside, replace};
use engine::model::{EntityId, Principal};
use engine::store::{Note, Scope};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Dropped notes in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    id: Uuid,
    /// How many.
    pub count: u64,
    /// When the first of them happened.
    pub from: Timestamp,
    /// When the last of them happened.
    pub to: Timestamp,
}

impl Gap {
    /// A gap that begins now.
    pub(super) fn new(at: Timestamp) -> Self {
        Self { id: Uuid::now_v7(), count: 0, from: at, to: at }
    }

    /// One more.
    pub(super) fn widen(&mut self, at: Timestamp) {
        *self = Self { id: self.id, count: self.count + 1, from: self.from.min(at), to: self.to.max(at) };
    }

    /// What was dropped since `before`, an earlier state of the same gap, was written down.
    pub(super) fn since(self, before: Self) -> Option<Self> {
        match self.count - before.count {
            0 => None,
            count => Some(Self { id: Uuid::now_v7(), count, from: before.to, to: self.to }),
        }
    }

    /// The event that tells it. Its id depends on the count: the same state is stored once, a wider one once more,
    /// under the same `gap`.
    pub(super) fn note(&self, now: Timestamp) -> Note {
        Note {
            id: Uuid::from_u128(self.id.as_u128() ^ u128::from(self.count)),
            scope: Scope::Platform,
            at: now,
            by: Principal::engine(),
            action: "audit.gap".to_owned(),
            entity_kind: "audit_log".to_owned(),
            entity_id: EntityId(Uuid::nil()),
            subject: None,
            details: json!({ "gap": self.id, "dropped": self.count, "from": self.from, "to": self.to }),
        }
    }
}

/// Where the gap of a fallback file is kept.
fn path_of(fallback: &Path) -> PathBuf {
    beside(fallback, ".gap")
}

/// The gap that an earlier process left; one that cannot be read is told in the log and given up.
pub(super) fn load(fallback: &Path) -> Option<Gap> {
    let octets = match std::fs::read(path_of(fallback)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        octets => octets,
    };
    let gap = octets.and_then(|octets| Ok(serde_json::from_slice(&octets)?));
    gap.inspect_err(|error| tracing::error!(%error, "how many audit events were dropped before is not known"))
        .ok()
}

/// Keeps the gap, or forgets it.
pub(super) fn save(fallback: &Path, gap: Option<&Gap>) -> io::Result<()> {
    let path = path_of(fallback);
    match gap {
        Some(gap) => replace(&path, &serde_json::to_vec(gap)?),
        None => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}
