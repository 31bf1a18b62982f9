//! The worker that reads recipients from the store and sifts them, so that no actor ever waits for a disk.
//!
//! The facts of what is not sent are with the recorder before the campaign learns of the rest.

use crate::dispatch::assembly::{Failure, report_panic};
use crate::dispatch::backlog::Order;
use crate::dispatch::env::{Env, Now};
use crate::dispatch::recorder::Recorder;
use crate::dispatch::sieve::Sieve;
use crate::dispatch::supply::{ChunkData, SupplyMsg, SupplyRef};
use crate::model::record::{Facts, Skip};
use crate::model::{ChunkNo, Values};
use crate::store::{Journal, Recipients, StoreError};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Pause before a chunk that could not be read is asked for again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Recipients on their way.
pub(crate) type Reading = Pin<Box<dyn Future<Output = Result<Recipients, StoreError>> + Send>>;

/// Where recipients come from that the store does not hold yet: those of a list that grows.
pub(crate) type Source = Arc<dyn Fn(ChunkNo) -> Reading + Send + Sync>;

/// A chunk to be read and sifted.
pub(crate) struct Fetch {
    pub(crate) order: Order,
    pub(crate) sieve: Arc<Sieve>,
    /// In place of the store.
    pub(crate) source: Option<Source>,
    pub(crate) reply: SupplyRef,
}

/// A handle to the worker. Its queue is bounded by the campaigns: each has at most three chunks under way.
#[derive(Clone)]
pub(crate) struct Loader(mpsc::UnboundedSender<Fetch>);

impl Loader {
    /// Starts the worker.
    pub(crate) fn start(
        env: &Env,
        journal: Arc<dyn Journal>,
        recorder: Arc<Recorder>,
        failure: &Failure,
    ) -> std::io::Result<Self> {
        let (sender, mut fetches) = mpsc::unbounded_channel::<Fetch>();
        let clock = env.clock;
        let ended = env.start("loader", async move {
            while let Some(fetch) = fetches.recv().await {
                let Fetch { order, sieve, source, reply } = fetch;
                let (no, chunk) = (sieve.no, order.wanted.chunk);
                let read = match &source {
                    Some(source) => source(chunk).await,
                    None => journal.recipients(no, chunk).await,
                };
                match read.and_then(|recipients| chunk_data(recipients, &order, &sieve)) {
                    Ok(data) => {
                        let sifted = sieve.sift(&Arc::new(data), &order.wanted);
                        record(&sifted.skips, &recorder, clock.now());
                        reply.send(SupplyMsg::Loaded(order.id, sifted));
                    }
                    Err(error) => {
                        tracing::error!(campaign = no.0, chunk, %error, "recipients not read; asking again");
                        // Beside the work for others.
                        tokio::spawn(async move {
                            tokio::time::sleep(RETRY_AFTER).await;
                            reply.send(SupplyMsg::NotLoaded(order.id));
                        });
                    }
                }
            }
        })?;
        report_panic("loader", ended, failure);
        Ok(Self(sender))
    }

    /// Asks for a chunk.
    pub(crate) fn fetch(&self, fetch: Fetch) {
        if self.0.send(fetch).is_err() {
            tracing::debug!("chunk asked for after the loader has ended");
        }
    }
}

/// Hands the facts of units that are not sent to the recorder.
pub(crate) fn record(skips: &[Skip], recorder: &Recorder, now: Now) {
    if skips.is_empty() {
        return;
    }
    let mut facts = Facts::default();
    let mut units = 0;
    for skip in skips {
        facts.skip(skip);
        units += u32::from(skip.run.count);
    }
    recorder.append(facts.octets(), units, false, now.mono_us);
}

/// The recipients as the dispatcher has them; an error when they are not those that were asked for.
fn chunk_data(recipients: Recipients, order: &Order, sieve: &Sieve) -> Result<ChunkData, StoreError> {
    let parts = usize::from(sieve.parts);
    let units = recipients.numbers.len() * parts;
    let last = order.wanted.runs.iter().map(|run| usize::from(run.from) + usize::from(run.count)).max();
    if last.is_some_and(|last| last > units) {
        return Err(StoreError::Unavailable(format!("{units} units are there, {last:?} are wanted")));
    }
    let values = match sieve.variables {
        0 => None,
        variables => {
            let values = Values::index(&recipients.values, variables);
            let whole = values.filter(|values| values.recipients() == recipients.numbers.len());
            Some(whole.ok_or_else(|| StoreError::Unusable("values of recipients are damaged".to_owned()))?)
        }
    };
    let (numbers, accepted_s) = (recipients.numbers.into(), recipients.accepted_s.into());
    Ok(ChunkData { first: 0, numbers, values, accepted_s })
}
