//! The thread that erases: requests are served and exports are made by others.

use super::search::{self, Search};
use super::unowned::{remove_again, sweep};
use super::{all, of_store, retention};
use crate::api::state::Api;
use engine::model::{CampaignNo, ErasureStatus};
use engine::store::StoreError;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often it looks for what has come due.
const EVERY: Duration = Duration::from_secs(3600);

/// The running worker.
#[derive(Debug)]
pub(crate) struct Worker {
    end: oneshot::Sender<()>,
    ending: Ending,
}

/// One that was told to end.
#[derive(Debug)]
pub(crate) struct Ending(JoinHandle<()>);

impl Worker {
    /// Starts it; `first` is a number that this run was given before it wrote any list.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(api: Arc<Api>, first: CampaignNo) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (end, mut ended) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                // Dropped between two chunks: the next process goes on.
                tokio::select! {
                    biased;
                    _ = &mut ended => {}
                    () = run(&api, first) => {}
                }
            });
            // A list that is being copied is left to the next start, like one that a crash has cut short.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("erasing".to_owned()).spawn(work)?;
        Ok(Self { end, ending: Ending(thread) })
    }

    /// Tells it to end; what is being erased goes on with the next one.
    pub(crate) fn end(self) -> Ending {
        // An error means that it has ended by itself.
        let _ = self.end.send(());
        self.ending
    }
}

impl Ending {
    /// Waits until it has: for a chunk mostly, for a whole file while that is made anew.
    pub(crate) fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the thread that erases numbers panicked");
        }
    }
}

async fn run(api: &Api, first: CampaignNo) {
    let mut is_swept = false;
    loop {
        let work = async {
            if !is_swept {
                sweep(api, first).await?;
                is_swept = true;
            }
            round(api, api.now()).await
        };
        if let Err(error) = work.await {
            tracing::warn!(%error, "numbers that are to be erased stay for now");
        }
        // Whether somebody asked or an hour has passed: look.
        let _ = tokio::time::timeout(EVERY, api.erasing.bell.notified()).await;
    }
}

/// Erases what is to be erased at `now`, as far as nothing needs it any more.
///
/// # Errors
/// The store's; what was erased before stays so.
pub(crate) async fn round(api: &Api, now: Timestamp) -> Result<(), StoreError> {
    let due = retention::due(api, now).await?;
    let mut requests = all(&*api.catalog, ErasureStatus::Running).await?;
    requests.extend(all(&*api.catalog, ErasureStatus::Waiting).await?);
    if due.is_empty() && requests.is_empty() {
        return remove_again(api).await;
    }
    let held = api.engine.settle_numbers().await.map_err(of_store)?;
    let mut first = retention::erase(api, due, &held, now).await;
    let mut searches = Vec::new();
    for request in requests {
        match search::go_on(api, request, &held, now).await {
            Ok(search) if search.unscrubbed().is_some() => searches.push(search),
            Ok(search) => first = first.and(search.conclude().await),
            // One that cannot go on does not keep others from it.
            Err(error) => first = first.and(Err(error)),
        }
    }
    if let Err(error) = remove_again(api).await {
        return first.and(Err(error));
    }
    // Files are made anew once for all of them: whoever writes waits meanwhile.
    let unscrubbed: Vec<_> = searches.iter().filter_map(Search::unscrubbed).collect();
    if !unscrubbed.is_empty() {
        let nos: BTreeSet<_> = unscrubbed.concat().into_iter().collect();
        api.journal.scrub(nos.into_iter().collect()).await?;
    }
    for search in searches {
        first = first.and(search.conclude().await);
    }
    first
}
