//! The engine's face for suppression: puts numbers on lists and takes them off, while campaigns run.
//!
//! An addition holds in memory first, then it is stored, then every link has looked through what it holds; only then is
//! it acknowledged, and no octet of a submit to that number is written any more. When the store cannot be reached
//! nothing is acknowledged, but the numbers stay refused until the engine ends: that harms nobody.

use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::recall::Recall;
use crate::dispatch::suppression::{Listed, Suppressions};
use crate::model::{Principal, Suppression, SuppressionKind, WorkspaceId};
use crate::store::{Catalog, MAX_SUPPRESSIONS, Scope, StoreError, SuppressionKey};
use tracing::Instrument;

/// What [`Suppression::source`] begins with when a handset asked for it by a keyword: another keyword takes only such
/// entries back. Callers of [`Engine::suppress`] must not use it.
pub const KEYWORD_SOURCE: &str = "keyword ";
/// The greatest E.164 number: fifteen digits.
const GREATEST_NUMBER: u64 = 999_999_999_999_999;

/// Reads every list: before anything is sent.
pub(super) async fn load(catalog: &dyn Catalog) -> Result<Suppressions, StoreError> {
    let lists = Suppressions::default();
    let mut visit = |workspace: Option<WorkspaceId>, number, kind| {
        lists.load(workspace.map_or(Scope::Platform, Scope::Workspace), number, listed(kind));
    };
    catalog.all_suppressions(&mut visit).await?;
    Ok(lists)
}

const fn listed(kind: SuppressionKind) -> Listed {
    match kind {
        SuppressionKind::OptOut => Listed::OPT_OUT,
        SuppressionKind::Block => Listed::BLOCK,
    }
}

impl Engine {
    /// Puts numbers on the list of a workspace, or of the installation for [`Scope::Platform`], with one audit event for
    /// every [`MAX_SUPPRESSIONS`] of them. When this returns they are stored, no further PDU to any of them is written
    /// for a campaign that the list concerns, and their queued messages become `skipped` with the reason. An entry that
    /// is there stays as it is, with its source. Returns how many are new.
    ///
    /// # Errors
    /// [`EngineError::StoppedNotRecorded`] when the store cannot be reached: the numbers are refused until the engine
    /// ends, but not stored (all of them, or those behind a multiple of [`MAX_SUPPRESSIONS`]). `Refused` for something
    /// that is no number, or a source that is too long; nothing is changed then.
    pub async fn suppress(
        &self,
        scope: Scope,
        numbers: Vec<u64>,
        (kind, source): (SuppressionKind, &str),
        by: &Principal,
    ) -> Result<u64, EngineError> {
        let (engine, by, source) = (self.clone(), by.clone(), source.to_owned());
        let work = async move { engine.suppress_now(scope, &numbers, (kind, &source), &by).await };
        // To its end also when its caller goes away in the midst of it.
        tokio::spawn(work.in_current_span())
            .await
            .unwrap_or_else(|ended| Err(EngineError::NotRunning(ended.to_string())))
    }

    pub(super) async fn suppress_now(
        &self,
        scope: Scope,
        numbers: &[u64],
        (kind, source): (SuppressionKind, &str),
        by: &Principal,
    ) -> Result<u64, EngineError> {
        check(numbers)?;
        let one_at_a_time = self.0.suppressing.lock().await;
        let before = self.0.suppressions.add(scope, numbers, listed(kind));
        if !before.is_empty() {
            self.recall(scope, kind, &before);
        }
        let mut added = 0;
        for part in numbers.chunks(MAX_SUPPRESSIONS) {
            let at = self.timestamp();
            let entry = |number: &u64| Suppression { number: *number, kind, source: source.to_owned(), at };
            match self.0.catalog.suppress(scope, part.iter().map(entry).collect(), by, at).await {
                Ok(new) => added += new,
                Err(error @ StoreError::Unavailable(_)) => {
                    return Err(EngineError::StoppedNotRecorded(error));
                }
                Err(error) => {
                    let unstored = |(number, _): &&(u64, Listed)| {
                        !self.0.suppressions.listed(scope, *number).any_stored(listed(kind))
                    };
                    let undo: Vec<(u64, Listed)> = before.iter().filter(unstored).copied().collect();
                    self.0.suppressions.restore(scope, &undo);
                    return Err(error.into());
                }
            }
            self.0.suppressions.stored(scope, part, listed(kind));
        }
        drop(one_at_a_time);
        // Also for numbers that were listed before: the call that listed them may not have waited.
        self.0.board.all_obey(self.0.board.stop_epoch()).await;
        Ok(added)
    }

    /// Takes exactly these entries off a list. Campaigns that are sending do not come back to numbers that they have
    /// skipped. Returns how many were there.
    ///
    /// # Errors
    /// The store's; the entries hold then, but for those before a multiple of [`MAX_SUPPRESSIONS`].
    pub async fn unsuppress(
        &self,
        scope: Scope,
        keys: Vec<SuppressionKey>,
        by: &Principal,
    ) -> Result<u64, EngineError> {
        let (engine, by) = (self.clone(), by.clone());
        let work = async move { engine.unsuppress_now(scope, &keys, &by).await };
        tokio::spawn(work).await.unwrap_or_else(|ended| Err(EngineError::NotRunning(ended.to_string())))
    }

    pub(super) async fn unsuppress_now(
        &self,
        scope: Scope,
        keys: &[SuppressionKey],
        by: &Principal,
    ) -> Result<u64, EngineError> {
        let _one_at_a_time = self.0.suppressing.lock().await;
        let mut removed = 0;
        for part in keys.chunks(MAX_SUPPRESSIONS) {
            removed += self.0.catalog.unsuppress(scope, part.to_vec(), by, self.timestamp()).await?;
            for (number, kind) in part {
                self.0.suppressions.remove(scope, &[*number], listed(*kind));
            }
        }
        Ok(removed)
    }

    /// Tells every link to look for numbers that are listed already.
    fn recall(&self, scope: Scope, kind: SuppressionKind, added: &[(u64, Listed)]) {
        let workspace = match scope {
            Scope::Workspace(id) => Some(id),
            Scope::Platform => None,
        };
        let numbers: Vec<u64> = added.iter().map(|(number, _)| *number).collect();
        self.0.board.recalls.push(Recall::new(workspace, kind == SuppressionKind::Block, &numbers));
        self.0.board.announce_stop();
    }
}

fn check(numbers: &[u64]) -> Result<(), EngineError> {
    if numbers.iter().all(|number| (1..=GREATEST_NUMBER).contains(number)) {
        return Ok(());
    }
    Err(StoreError::Refused("a number has one to fifteen digits".to_owned()).into())
}
