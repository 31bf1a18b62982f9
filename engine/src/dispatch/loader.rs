//! The worker that reads recipients from the store, so that no actor ever waits for a disk.

use crate::dispatch::assembly::{Failure, report_panic};
use crate::dispatch::env::Env;
use crate::dispatch::growth::Growth;
use crate::dispatch::supply::{ChunkData, SupplyMsg, SupplyRef};
use crate::model::{CampaignNo, ChunkNo};
use crate::store::Journal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Pause before a chunk that could not be read is asked for again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

struct Fetch {
    no: CampaignNo,
    chunk: ChunkNo,
    reply: SupplyRef,
}

/// A handle to the worker. Its queue is bounded by the campaigns: each has at most three chunks under way.
#[derive(Clone)]
pub(crate) struct Loader(mpsc::UnboundedSender<Fetch>);

impl Loader {
    /// Starts the worker.
    pub(crate) fn start(
        env: &Env,
        (journal, growth): (Arc<dyn Journal>, Arc<Growth>),
        failure: &Failure,
    ) -> std::io::Result<Self> {
        let (sender, mut fetches) = mpsc::unbounded_channel::<Fetch>();
        let ended = env.start("loader", async move {
            while let Some(Fetch { no, chunk, reply }) = fetches.recv().await {
                let recipients = match growth.get(no, chunk) {
                    Some(recipients) => Ok(recipients),
                    None => journal.recipients(no, chunk).await,
                };
                match recipients {
                    Ok(loaded) => {
                        let data = ChunkData {
                            numbers: loaded.numbers.into(),
                            accepted_s: loaded.accepted_s.into(),
                        };
                        reply.send(SupplyMsg::Loaded(chunk, Arc::new(data)));
                    }
                    Err(error) => {
                        tracing::error!(campaign = no.0, chunk, %error, "recipients not read; asking again");
                        tokio::time::sleep(RETRY_AFTER).await;
                        reply.send(SupplyMsg::NotLoaded(chunk));
                    }
                }
            }
        })?;
        report_panic("loader", ended, failure);
        Ok(Self(sender))
    }

    /// Asks for a chunk; the answer goes to `reply`.
    pub(crate) fn fetch(&self, no: CampaignNo, chunk: ChunkNo, reply: SupplyRef) {
        if self.0.send(Fetch { no, chunk, reply }).is_err() {
            tracing::debug!("chunk asked for after the loader has ended");
        }
    }
}
