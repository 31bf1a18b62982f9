//! The thread that erases: requests are served and exports are made by others.

use super::search::{self, Search};
use super::{MAX_OPEN, of_store, open, retention};
use crate::api::state::Api;
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
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(api: Arc<Api>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (end, mut ended) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                // Dropped between two chunks: the next process goes on.
                tokio::select! {
                    biased;
                    _ = &mut ended => {}
                    () = run(&api) => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("erasing".to_owned()).spawn(work)?;
        Ok(Self { end, thread })
    }

    /// Ends it; what is being erased goes on with the next one.
    pub(crate) fn end(self) {
        // An error means that it has ended by itself.
        let _ = self.end.send(());
        if self.thread.join().is_err() {
            tracing::error!("the thread that erases numbers panicked");
        }
    }
}

async fn run(api: &Api) {
    loop {
        if let Err(error) = round(api, api.now()).await {
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
    let (due, requests) = (retention::due(api, now).await?, open(&*api.catalog).await?);
    if due.is_empty() && requests.is_empty() {
        return Ok(());
    }
    let held = api.engine.settle_numbers().await.map_err(of_store)?;
    let mut first = retention::erase(api, due, &held, now).await;
    let mut searches = Vec::new();
    for request in requests.into_iter().take(MAX_OPEN) {
        match search::go_on(api, request, &held, now).await {
            Ok(search) => searches.push(search),
            // One that cannot go on does not keep others from it.
            Err(error) => first = first.and(Err(error)),
        }
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
