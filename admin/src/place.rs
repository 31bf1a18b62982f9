//! Where the store lives: its directory, checked before anything is created in it, and the store opened there.

use crate::config::Settings;
use crate::exit::{self, Failure};
use engine::store::{Catalog, Entity, Journal, Kind, Scope, SqliteStore, StoreError};
use engine::{ChannelConfig, Engine, EngineConfig, Env, boot_id};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a drain waits for answers of the SMSC.
const DRAIN: Duration = Duration::from_secs(10);
/// How long an engine may take to end: the drain, and saving. A store that takes nothing makes it endless.
const END: Duration = Duration::from_secs(15);

/// Refuses a directory whose parent is missing: a mistyped path must not become an empty store somewhere else.
pub(crate) fn check_parent(directory: &Path) -> Result<(), Failure> {
    let parent = match directory.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => return Ok(()),
    };
    if parent.is_dir() {
        return Ok(());
    }
    let sentence =
        format!("the directory {} does not exist: create it or choose another one", parent.display());
    Err(Failure::new(exit::STORE, sentence))
}

/// The store in `directory` and the engine's marks beside it.
pub(crate) struct Place {
    /// The store.
    pub(crate) store: Arc<SqliteStore>,
    marks: PathBuf,
    scratch: PathBuf,
}

impl Place {
    /// What keeps the store from being written, in its own words.
    pub(crate) async fn ailment(&self) -> String {
        match self.store.maintain().await {
            Err(error) => error.to_string(),
            Ok(()) => "the store does not take any facts".to_owned(),
        }
    }

    /// Opens the store, creating what is missing in `directory`.
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        check_parent(directory)?;
        let store = Arc::new(SqliteStore::open(directory)?);
        Ok(Self { store, marks: directory.join("marks"), scratch: directory.join("scratch") })
    }

    /// The directory for scratch files of uploads, made when it is missing: on the store's disk, because one in memory
    /// would hold whole files there. The files have no names and vanish with whoever writes them.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn scratch(&self) -> Result<PathBuf, Failure> {
        std::fs::create_dir_all(&self.scratch).map_err(|error| {
            Failure::new(exit::STORE, format!("{} cannot be made: {error}", self.scratch.display()))
        })?;
        Ok(self.scratch.clone())
    }

    /// Gives each channel the ids of the workspaces that may use it.
    ///
    /// # Errors
    /// The slug that no workspace has: left out, its channel would serve everybody.
    pub(crate) async fn allow(
        &self,
        channels: &mut [ChannelConfig],
        workspaces: &[Vec<String>],
    ) -> Result<(), Failure> {
        for (channel, slugs) in channels.iter_mut().zip(workspaces) {
            for slug in slugs {
                match self.store.find(Scope::Platform, Kind::Workspace, slug.clone()).await {
                    Ok(Entity::Workspace(workspace)) => channel.workspaces.push(workspace.id),
                    Ok(_) | Err(StoreError::NotFound) => {
                        let sentence = format!(
                            "channel {:?}: there is no workspace {slug:?}; create it first",
                            channel.name
                        );
                        return Err(Failure::new(exit::CONFIG, sentence));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Starts an engine on it; what was running goes on.
    pub(crate) async fn start_engine(
        &self,
        channels: Vec<ChannelConfig>,
        settings: Settings,
    ) -> Result<Engine, Failure> {
        let boot_id = boot_id().map_err(|error| {
            Failure::new(exit::STORE, format!("the boot id of this machine cannot be read: {error}"))
        })?;
        let config = EngineConfig {
            channels,
            marks: self.marks.clone(),
            installation: self.store.installation(),
            boot_id,
            drain_timeout: DRAIN,
            inbound: settings.inbound,
            receipt_timeout: settings.receipt_timeout,
        };
        let catalog: Arc<dyn Catalog> = Arc::clone(&self.store) as _;
        let journal: Arc<dyn Journal> = Arc::clone(&self.store) as _;
        Ok(Engine::start(config, catalog, journal, Env::system(seed())).await?)
    }
}

/// Ends the engine in order; a failure when it does not end in time, because the store takes nothing.
pub(crate) async fn end(engine: Engine) -> Result<(), Failure> {
    tokio::time::timeout(END, engine.shutdown()).await.map_err(|_| {
        let sentence = "the store did not take the last facts in time; what it took before is safe";
        Failure::new(exit::STORE, sentence)
    })
}

/// A number that differs from start to start: it seeds jitter, nothing secret.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or_default()
        ^ u64::from(std::process::id()) << 32
}
