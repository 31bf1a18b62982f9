//! The thread that makes exports, the oldest first, and removes what has expired; requests are served by another one.

use super::Shelf;
use super::file::{self, Unwritten, Written};
use crate::api::state::Api;
use engine::model::{Campaign, EntityId, Export, ExportStatus, Principal};
use engine::store::{Change, Entity, Expect, Kind, MAX_PAGE, Query, Scope, StoreError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use uuid::Uuid;

/// From one look at what has expired to the next.
const LOOK: Duration = Duration::from_secs(30);

/// The running worker.
#[derive(Debug)]
pub(crate) struct Worker {
    shelf: Shelf,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// When the directory cannot be made or the system refuses a thread.
    pub(crate) fn start(api: Arc<Api>) -> io::Result<Self> {
        let shelf = api.exports.clone();
        std::fs::create_dir_all(&shelf.directory)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let work = move || runtime.block_on(run(&api));
        let thread = std::thread::Builder::new().name("exports".to_owned()).spawn(work)?;
        Ok(Self { shelf, thread })
    }

    /// Ends it; what is being made is made anew by the next one.
    pub(crate) fn end(self) {
        self.shelf.is_ending.store(true, Ordering::Release);
        self.shelf.ring();
        if self.thread.join().is_err() {
            tracing::error!("the thread that makes exports panicked");
        }
    }
}

async fn run(api: &Api) {
    let mut is_swept = false;
    while !api.exports.is_ending() {
        let round = async {
            let _lists = api.erasing.reading().await;
            if !is_swept {
                sweep(api).await?;
                is_swept = true;
            }
            expire(api).await?;
            make_next(api).await
        };
        match round.await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "exports wait"),
        }
        // Whether somebody rang or time has passed: look.
        let _ = tokio::time::timeout(LOOK, api.exports.bell.notified()).await;
    }
}

/// Every export of this status, the newest first.
async fn all(api: &Api, status: ExportStatus) -> Result<Vec<Export>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let statuses = vec![format!("{status:?}")];
        let query = Query { kind: Kind::Export, statuses, parent: None, after, limit: MAX_PAGE };
        let page = api.catalog.list(Scope::Platform, query).await?;
        found.extend(page.items.into_iter().filter_map(|entity| match entity {
            Entity::Export(export) => Some(export),
            _ => None,
        }));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

async fn change(api: &Api, changed: Export, action: &'static str) -> Result<Export, StoreError> {
    let expect = Expect::Version(changed.version);
    let changed = Export { version: changed.version + 1, ..changed };
    let (scope, entity) = (Scope::Workspace(changed.workspace_id), Entity::Export(changed.clone()));
    let change = Change { scope, expect, entity, action };
    api.catalog.apply(vec![change], &Principal::engine(), api.now()).await?;
    Ok(changed)
}

/// Queues again what an earlier process left half done, and removes files that belong to nothing.
async fn sweep(api: &Api) -> Result<(), StoreError> {
    for export in all(api, ExportStatus::Running).await? {
        change(api, Export { status: ExportStatus::Queued, ..export }, "export.queue_again").await?;
    }
    let unreadable = |error: io::Error| StoreError::Unavailable(format!("the directory of exports: {error}"));
    for entry in std::fs::read_dir(&api.exports.directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let id = entry.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok());
        let is_known = match id {
            Some(id) => match api.catalog.get(Scope::Platform, Kind::Export, EntityId(id)).await {
                Ok(Entity::Export(export)) => export.status == ExportStatus::Ready,
                Ok(_) | Err(StoreError::NotFound) => false,
                Err(error) => return Err(error),
            },
            None => false,
        };
        if !is_known {
            // It is logged, and looked for with the next start.
            let _ = remove(&entry.path());
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "an exported file is left");
            Err(StoreError::Unavailable(format!("an exported file cannot be removed: {error}")))
        }
        _ => Ok(()),
    }
}

/// Removes the files whose time is over: first the file, then the record, so that none is forgotten.
async fn expire(api: &Api) -> Result<(), StoreError> {
    let now = api.now();
    for export in all(api, ExportStatus::Ready).await? {
        if export.expires_at.is_some_and(|at| at <= now) {
            // One that cannot be removed is tried again, and does not keep others from it.
            if remove(&api.exports.path(export.id)).is_ok() {
                change(api, Export { status: ExportStatus::Expired, ..export }, "export.expire").await?;
            }
        }
    }
    Ok(())
}

/// Removes the files of a campaign before their time, while nobody makes one; how many.
pub(crate) async fn withdraw(api: &Api, campaign: &Campaign) -> Result<u64, StoreError> {
    let ready = vec![format!("{:?}", ExportStatus::Ready)];
    let parent = Some(campaign.id.into());
    // A workspace never keeps more than a page of them.
    let query = Query { kind: Kind::Export, statuses: ready, parent, after: None, limit: MAX_PAGE };
    let page = api.catalog.list(Scope::Workspace(campaign.workspace_id), query).await?;
    let mut removed = 0;
    for entity in page.items {
        if let Entity::Export(export) = entity {
            remove(&api.exports.path(export.id))?;
            change(api, Export { status: ExportStatus::Expired, ..export }, "export.expire").await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Makes the export that waits longest; whether there was one.
async fn make_next(api: &Api) -> Result<bool, StoreError> {
    let Some(export) = all(api, ExportStatus::Queued).await?.pop() else { return Ok(false) };
    let export = change(api, Export { status: ExportStatus::Running, ..export }, "export.run").await?;
    match make(api, &export).await {
        Ok(Written { rows, bytes }) => {
            let expires_at = Some(api.now() + api.exports.kept);
            let path = api.exports.path(export.id);
            let ready = Export { status: ExportStatus::Ready, rows, bytes, expires_at, ..export };
            if let Err(error) = change(api, ready, "export.ready").await {
                // Nobody would find it again to remove it.
                let _ = remove(&path);
                return Err(error);
            }
        }
        Err(Unwritten::Ending) => {}
        Err(error) => {
            tracing::warn!(export = %export.id, %error, "export not made");
            let reason = Some(match error {
                Unwritten::Store(_) | Unwritten::Ending => "The recipients could not be read.".to_owned(),
                Unwritten::File(_) => "The file could not be written.".to_owned(),
            });
            change(api, Export { status: ExportStatus::Failed, reason, ..export }, "export.fail").await?;
        }
    }
    Ok(true)
}

async fn make(api: &Api, export: &Export) -> Result<Written, Unwritten> {
    let campaign = campaign(api, export).await?;
    let (unfinished, path) = (api.exports.unfinished(export.id), api.exports.path(export.id));
    let is_ending = || api.exports.is_ending();
    let written = file::write((&api.engine, &api.ctn), (&campaign, export), &unfinished, is_ending).await;
    let named = written.and_then(|written| Ok(std::fs::rename(&unfinished, &path).map(|()| written)?));
    if named.is_err() {
        let _ = remove(&unfinished);
    }
    named
}

async fn campaign(api: &Api, export: &Export) -> Result<Campaign, StoreError> {
    let (scope, id) = (Scope::Workspace(export.workspace_id), export.campaign_id.into());
    match api.catalog.get(scope, Kind::Campaign, id).await? {
        Entity::Campaign(campaign) => Ok(*campaign),
        _ => Err(StoreError::NotFound),
    }
}
