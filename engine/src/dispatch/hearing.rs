//! The worker that does what messages from handsets ask for: opt-outs and their taking back.
//!
//! Takes the messages of whole journal rows in order, however long the store is away, and notes in the journal how far
//! it has come. What it does twice changes nothing the second time.

use crate::dispatch::addressee::{Ask, Directory, start_scopes, stop_scopes};
use crate::dispatch::assembly;
use crate::dispatch::engine::{Engine, EngineConfig, EngineError, Inner};
use crate::dispatch::inbound::{InboundConfig, Incoming};
use crate::dispatch::keeper::KeeperMsg;
use crate::dispatch::last_sender::{Chunks, Question, last_senders};
use crate::dispatch::matcher::channel_key;
use crate::dispatch::opt_out::KEYWORD_SOURCE;
use crate::dispatch::suppression::Listed;
use crate::intake::Region;
use crate::model::keyword::Keyword;
use crate::model::record::Facts;
use crate::model::{Campaign, ChunkNo, ChunkState, Principal, SuppressionKind, WorkspaceId};
use crate::store::{Journal, Scope, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Rows that are worked on together: one search for last senders serves all of them.
const ROWS_AT_ONCE: usize = 256;
/// Age from which words and addresses are read again, microseconds: a flood of messages must not read them for each.
const DIRECTORY_FOR_US: u64 = 1_000_000;
/// Pause before what the store did not take is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What the worker needs beside the engine.
pub(super) struct Hearing {
    config: InboundConfig,
    region: Option<Region>,
    /// Workspaces by the key of the channel that serves them; empty for all.
    served: BTreeMap<u32, Vec<WorkspaceId>>,
    journal: Arc<dyn Journal>,
    directory: Option<(u64, Directory)>,
}

impl Hearing {
    /// # Errors
    /// When nothing is known about the configured region.
    pub(super) fn new(config: &EngineConfig, journal: Arc<dyn Journal>) -> Result<Self, EngineError> {
        let region = config.inbound.region.as_deref().map(Region::new).transpose();
        let served = config.channels.iter().map(|c| (channel_key(&c.name), c.workspaces.clone()));
        Ok(Self {
            config: config.inbound.clone(),
            region: region.map_err(std::io::Error::other)?,
            served: served.collect(),
            journal,
            directory: None,
        })
    }

    /// The messages among these that may ask for something.
    async fn asks(&mut self, engine: &Engine, messages: &[Incoming]) -> Result<Vec<Ask>, StoreError> {
        let now_us = engine.0.env.clock.now().mono_us;
        if self.directory.as_ref().is_none_or(|(read_us, _)| *read_us + DIRECTORY_FOR_US <= now_us) {
            self.directory = Some((now_us, Directory::read(&*engine.0.catalog, &self.config).await?));
        }
        let directory = self.directory.as_ref().map(|(_, directory)| directory);
        let region = self.region.as_ref();
        Ok(directory.map_or(Vec::new(), |d| messages.iter().filter_map(|m| d.ask(m, region)).collect()))
    }

    /// The workspace that each of them is meant for, as far as somebody can tell.
    async fn addressees(
        &self,
        engine: &Engine,
        asks: &[Ask],
    ) -> Result<Vec<Option<WorkspaceId>>, StoreError> {
        let unclear: Vec<usize> = (0..asks.len()).filter(|at| asks[*at].owner().is_none()).collect();
        let question = |at: &usize| {
            let Ask { number, channel, at_ms, address, owners, .. } = asks[*at].clone();
            Question { number, channel, before_ms: at_ms, address: (!owners.is_empty()).then_some(address) }
        };
        let questions: Vec<Question> = unclear.iter().map(question).collect();
        let within_ms = u64::try_from(self.config.last_sender_within.as_millis()).unwrap_or(u64::MAX);
        let chunks = Stored { engine, journal: &*self.journal };
        let found = match last_senders((&*engine.0.catalog, &chunks), &questions, within_ms).await {
            Err(error @ StoreError::Unusable(_)) => {
                // Waiting mends nothing: the person is protected from all instead of from one.
                tracing::error!(%error, "the last senders to some handsets cannot be found out");
                vec![None; questions.len()]
            }
            found => found?,
        };
        let mut addressees: Vec<Option<WorkspaceId>> = asks.iter().map(Ask::owner).collect();
        for (at, workspace) in unclear.into_iter().zip(found) {
            addressees[at] = workspace;
        }
        Ok(addressees)
    }

    /// Does what is asked for; may be begun again after an error.
    async fn hear(&mut self, engine: &Engine, messages: &[Incoming]) -> Result<(), EngineError> {
        let asks = self.asks(engine, messages).await?;
        let addressees = self.addressees(engine, &asks).await?;
        let Some((_, directory)) = &self.directory else { return Ok(()) };
        for (ask, workspace) in asks.iter().zip(addressees) {
            let served = self.served.get(&ask.channel).map_or(&[][..], Vec::as_slice);
            match directory.keyword(workspace, &ask.word) {
                Some(Keyword::Stop) => {
                    for scope in stop_scopes(workspace, served) {
                        engine.opt_out(scope, ask).await?;
                    }
                }
                Some(Keyword::Start) => {
                    let opted_out = engine.0.suppressions.opted_out(ask.number);
                    for scope in start_scopes(workspace, served, opted_out) {
                        engine.opt_in(scope, ask).await?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Chunks as the journal and the keeper of accounts have them.
struct Stored<'a> {
    engine: &'a Engine,
    journal: &'a dyn Journal,
}

impl Chunks for Stored<'_> {
    async fn numbers(&self, campaign: &Campaign, chunk: ChunkNo) -> Result<Option<Vec<u64>>, StoreError> {
        if let Some(recipients) = self.engine.0.growth.get(campaign.no, chunk) {
            // What a program handed in and no file holds yet.
            return Ok(Some(recipients.numbers));
        }
        match self.journal.recipients(campaign.no, chunk).await {
            Ok(recipients) => Ok(Some(recipients.numbers)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn columns(&self, campaign: &Campaign, chunk: ChunkNo) -> Result<Option<ChunkState>, StoreError> {
        let (reply, columns) = oneshot::channel();
        let ended = || StoreError::Unavailable("the keeper of accounts has ended".to_owned());
        let question = KeeperMsg::Columns(campaign.no, chunk, reply);
        self.engine.tell_keeper(question).await.map_err(|_| ended())?;
        columns.await.map_err(|_| ended())
    }
}

impl Engine {
    /// Starts the worker.
    pub(super) fn watch_inbound(
        &self,
        mut hearing: Hearing,
        mut queue: mpsc::UnboundedReceiver<Vec<Incoming>>,
    ) -> Result<(), EngineError> {
        let engine = Arc::downgrade(&self.0);
        let ended = self.0.env.start("inbound", async move {
            let mut rows = Vec::with_capacity(ROWS_AT_ONCE);
            while queue.recv_many(&mut rows, ROWS_AT_ONCE).await > 0 {
                let messages: Vec<Incoming> = rows.drain(..).flatten().collect();
                if !hear_out(&engine, &mut hearing, &messages).await {
                    return;
                }
            }
        })?;
        assembly::report_panic("inbound", ended, &self.0.failure);
        Ok(())
    }

    async fn opt_out(&self, scope: Scope, ask: &Ask) -> Result<(), EngineError> {
        if self.0.suppressions.listed(scope, ask.number).any_stored(Listed::OPT_OUT) {
            return Ok(());
        }
        let source = format!("{KEYWORD_SOURCE}{}", ask.word);
        let kind = SuppressionKind::OptOut;
        match self.suppress_now(scope, &[ask.number], (kind, &source), &Principal::engine()).await {
            Ok(_) => {
                tracing::info!(channel = ask.channel, "a handset has opted out");
                Ok(())
            }
            Err(error) => permanent(error),
        }
    }

    /// Takes an opt-out back that came from a keyword.
    async fn opt_in(&self, scope: Scope, ask: &Ask) -> Result<(), EngineError> {
        let before = Some((ask.number - 1, SuppressionKind::Block));
        let entries = match self.0.catalog.suppressions(scope, before, SuppressionKind::ALL.len()).await {
            Ok(entries) => entries,
            Err(error) => return permanent(error.into()),
        };
        let kind = SuppressionKind::OptOut;
        let mut own = entries.iter().filter(|entry| (entry.number, entry.kind) == (ask.number, kind));
        if !own.any(|entry| entry.source.starts_with(KEYWORD_SOURCE)) {
            return Ok(());
        }
        match self.unsuppress_now(scope, &[(ask.number, kind)], &Principal::engine()).await {
            Ok(_) => {
                tracing::info!(channel = ask.channel, "a handset has opted in again");
                Ok(())
            }
            Err(error) => permanent(error),
        }
    }
}

/// An error that waiting would mend; any other is logged and the message counts as acted on.
fn permanent(error: EngineError) -> Result<(), EngineError> {
    match error {
        EngineError::Store(StoreError::Unavailable(_))
        | EngineError::StoppedNotRecorded(_)
        | EngineError::NotRunning(_) => Err(error),
        error => {
            tracing::error!(%error, "what a handset asked for cannot be done");
            Ok(())
        }
    }
}

/// Acts on messages until it is done and notes it; `false` when the engine has ended before that.
async fn hear_out(engine: &Weak<Inner>, hearing: &mut Hearing, messages: &[Incoming]) -> bool {
    let Some(last) = messages.last() else { return true };
    loop {
        let Some(inner) = engine.upgrade() else { return false };
        let engine = Engine(inner);
        match hearing.hear(&engine, messages).await {
            Ok(()) => {
                let mut facts = Facts::default();
                facts.heard(last.row);
                engine.0.recorder.append(facts.octets(), 1, false, engine.0.env.clock.now().mono_us);
                engine.0.board.unheard.done(u32::try_from(messages.len()).unwrap_or(u32::MAX));
                return true;
            }
            Err(error) if engine.0.failure.borrow().is_some() => {
                tracing::debug!(%error, "messages from handsets are left for the next start");
                return false;
            }
            Err(error) => tracing::warn!(%error, "messages from handsets are acted on later"),
        }
        drop(engine);
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
