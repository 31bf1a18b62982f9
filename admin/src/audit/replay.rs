//! Replay: what is in the fallback file goes to the store in order, a batch at a time, until the file is empty.
//!
//! The store skips a note that it has, so that a process that dies in the middle begins again at the first line and
//! still every event is there once. The file is cleared only when the store has all of it, and what tells of damaged
//! lines and of dropped notes.

use super::line::Damage;
use super::{Gap, Recorder, gap};
use engine::model::{EntityId, Principal};
use engine::store::{MAX_NOTES, Note, Scope, StoreError};
use serde_json::json;
use std::io;
use std::time::Duration;
use uuid::Uuid;

/// First wait before the store is tried again, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How far the file is in the store.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Octets from the beginning whose notes the store has.
    place: u64,
    damage: Damage,
    /// Notes that the store refuses for good; none should be.
    refused: u64,
}

/// Why the replay does not go on now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the fallback file cannot be read or cleared: {0}")]
    File(#[from] io::Error),
}

impl Recorder {
    /// Replays whenever there is something to replay, until it is dropped; waits longer from failure to failure.
    pub async fn keep_replaying(self) {
        loop {
            self.inner.bell.notified().await;
            let mut wait = WAIT.0;
            while let Err(halt) = self.drain().await {
                tracing::debug!(%halt, "audit events stay in the fallback file");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT.1);
            }
        }
    }

    /// Brings all of the file and the gap into the store.
    pub(super) async fn drain(&self) -> Result<(), Halt> {
        let mut progress = self.inner.progress.lock().await;
        let is_due = { self.buffer().file.octets() > 0 };
        loop {
            let mut damage = progress.damage;
            let batch = self.buffer().file.read(progress.place, MAX_NOTES, &mut damage)?;
            if batch.octets > 0 {
                progress.refused += self.store(batch.notes).await?;
                progress.place += batch.octets;
                progress.damage = damage;
                continue;
            }
            self.tell_damage(&progress).await?;
            self.tell_gap().await?;
            if self.clear(&mut progress)? {
                if is_due {
                    tracing::info!("the store has all audit events of the fallback file");
                }
                return Ok(());
            }
        }
    }

    /// Stores a batch; gives how many of it the store refuses for good.
    async fn store(&self, notes: Vec<Note>) -> Result<u64, StoreError> {
        if notes.is_empty() {
            return Ok(0);
        }
        match self.inner.catalog.note(notes.clone()).await {
            Err(StoreError::Refused(_)) => {}
            done => return done.map(|_| 0),
        }
        let mut refused = 0;
        for note in notes {
            match self.inner.catalog.note(vec![note]).await {
                Err(StoreError::Refused(why)) => {
                    tracing::error!(why, "an audit event of the fallback file cannot be stored");
                    refused += 1;
                }
                done => drop(done?),
            }
        }
        Ok(refused)
    }

    /// Notes what could not be read or stored. The id follows from it, so that it is told once.
    async fn tell_damage(&self, progress: &Progress) -> Result<(), StoreError> {
        let Progress { damage: Damage { lines, octets, crc }, refused, place } = *progress;
        if lines + refused == 0 {
            return Ok(());
        }
        let note = Note {
            id: Uuid::from_u128(
                u128::from(crc) << 96
                    | u128::from(place) << 48
                    | u128::from(octets) << 8
                    | u128::from(refused & 0xff),
            ),
            scope: Scope::Platform,
            at: self.now(),
            by: Principal::engine(),
            action: "audit.damaged".to_owned(),
            entity_kind: "audit_log".to_owned(),
            entity_id: EntityId(Uuid::nil()),
            subject: None,
            details: json!({ "lines": lines, "octets": octets, "refused": refused }),
        };
        self.inner.catalog.note(vec![note]).await.map(drop)
    }

    /// Notes what was dropped; what is dropped meanwhile is a gap of its own.
    async fn tell_gap(&self) -> Result<(), Halt> {
        let Some(told) = self.buffer().gap else { return Ok(()) };
        self.inner.catalog.note(vec![told.note(self.now())]).await?;
        let mut buffer = self.buffer();
        buffer.gap = buffer.gap.and_then(|gap: Gap| gap.since(told));
        Ok(gap::save(&self.inner.path, buffer.gap.as_ref())?)
    }

    /// Empties the file when nothing was added since; `false` when there is more to do.
    fn clear(&self, progress: &mut Progress) -> Result<bool, Halt> {
        let mut buffer = self.buffer();
        if buffer.file.octets() > progress.place || buffer.gap.is_some() {
            return Ok(false);
        }
        if progress.damage.lines + progress.refused > 0 {
            let aside = buffer.file.set_aside()?;
            let Damage { lines, octets, .. } = progress.damage;
            tracing::error!(lines, octets, kept = %aside.display(), "[audit-fallback] the fallback file was damaged");
        } else if buffer.file.octets() > 0 {
            buffer.file.clear()?;
        }
        buffer.damaged_lines += progress.damage.lines + progress.refused;
        (buffer.since, buffer.is_full, buffer.warned, buffer.told_at) = (None, false, 0, None);
        *progress = Progress::default();
        Ok(true)
    }
}
