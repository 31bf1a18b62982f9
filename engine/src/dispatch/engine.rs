//! The engine's face: what it is made of, how it starts and how it drains.
//!
//! Commands are in `commands`, what time does in `calendar`, numbers by call in `push`. A start recovers, connects,
//! resumes what was running and only then lets anything be sent.

use crate::dispatch::assembly::{self, Channel, Plan};
use crate::dispatch::breaker::BreakerState;
use crate::dispatch::calendar::Agenda;
use crate::dispatch::cells::Board;
use crate::dispatch::channel::ChannelMsg;
use crate::dispatch::config::ChannelConfig;
use crate::dispatch::env::{Env, Halt};
use crate::dispatch::growth::Growth;
use crate::dispatch::hearing::Hearing;
use crate::dispatch::inbound::{InboundConfig, Incoming};
use crate::dispatch::keeper::{self, Keeper, KeeperEvent, KeeperMsg};
use crate::dispatch::latency::Latency;
use crate::dispatch::link::Desk;
use crate::dispatch::loader::Loader;
use crate::dispatch::mark::MarkDir;
use crate::dispatch::matcher::{Early, Matcher};
use crate::dispatch::message::MessageError;
use crate::dispatch::opt_out;
use crate::dispatch::preflight::{Check, names};
use crate::dispatch::recorder::Recorder;
use crate::dispatch::recovery::{Found, recover};
use crate::dispatch::route::RouteError;
use crate::dispatch::running::Running;
use crate::dispatch::status::RECEIPT_STATES;
use crate::dispatch::supervisor::SupervisorMsg;
use crate::dispatch::suppression::Suppressions;
use crate::dispatch::tally::Tally;
use crate::dispatch::tenant::Tenants;
use crate::model::{Campaign, CampaignId, CampaignNo, Counts, Status, WorkspaceId};
use crate::store::{Catalog, Entity, Journal, Kind, Scope, StoreError};
use ractor::ActorRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where it sends.
    pub channels: Vec<ChannelConfig>,
    /// Directory of the written marks, on a local file system.
    pub marks: PathBuf,
    /// Installation id, as the store has it.
    pub installation: Uuid,
    /// This boot of the machine: written marks of another one are not trusted.
    pub boot_id: String,
    /// How long a shutdown waits for answers.
    pub drain_timeout: Duration,
    /// How long a receipt that was asked for is waited for, from the submit on, before its unit is `unknown`; usually
    /// [`RECEIPT_TIMEOUT`](crate::RECEIPT_TIMEOUT).
    pub receipt_timeout: Duration,
    /// How messages from handsets are understood.
    pub inbound: InboundConfig,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The life cycle has no such edge.
    #[error("a campaign that is {0} cannot {1}")]
    State(Status, &'static str),
    /// Not approved as it stands.
    #[error("the campaign's present content is not approved")]
    NotApproved,
    /// Its sender revision cannot be used: withdrawn, of another workspace, or not what was approved.
    #[error("the sender cannot be used: {0}")]
    Sender(&'static str),
    /// It failed while it was built, for this reason.
    #[error("the campaign cannot be sent: {0}")]
    NotBuilt(String),
    /// Its time has passed.
    #[error("the campaign's time has passed")]
    TooLate,
    /// It is large, and this is missing.
    #[error("the campaign is large and its pre-flight says no: {}", names(.0))]
    Preflight(Vec<Check>),
    /// No channel takes it.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Its text cannot be sent.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The campaign is stopped, but that could not be recorded: after a restart it would run again.
    #[error("stopped, not recorded: {0}")]
    StoppedNotRecorded(StoreError),
    /// Threads or files.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The dispatcher has ended.
    #[error("the engine is not running: {0}")]
    NotRunning(String),
}

/// What one campaign has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Recipients by state.
    pub counts: Counts,
    /// Segments by state; parts not yet rendered count as the longest message has them.
    pub segments: Counts,
    /// Recipients with at least one part handed to the wire.
    pub submitted: u64,
    /// Parts sent again under `at_least_once`.
    pub repeated: u64,
}

/// What one channel has done since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// Binds that are up, by bind.
    pub up: Vec<bool>,
    /// Unanswered submits, by bind.
    pub in_flight: Vec<u32>,
    /// Units held by its binds, not yet written.
    pub stock: u64,
    /// `submit_sm` encoded for the wire.
    pub submitted: u64,
    /// Accepted.
    pub accepted: u64,
    /// Refused for good.
    pub refused: u64,
    /// Throttled answers.
    pub throttled: u64,
    /// Segments a second that it keeps to now, 0 for no limit: the configured rate or what its SMSC takes.
    pub rate_per_s: u32,
    /// Whether it takes units.
    pub breaker: BreakerState,
    /// Refused for a while, queued again.
    pub retried: u64,
    /// Submits whose answer will not come.
    pub unknown: u64,
    /// Matched receipts.
    pub receipts: u64,
    /// The same by what they say: delivered, undeliverable, rejected, expired, unknown.
    pub receipts_by_state: [u64; RECEIPT_STATES.len()],
    /// Receipts without a message.
    pub orphans: u64,
    /// Answers and messages that belong to nothing.
    pub strays: u64,
    /// Receipts and messages from handsets put off because they could not be stored.
    pub receipts_deferred: u64,
    /// Messages from handsets.
    pub inbound: u64,
}

/// Workers that a shutdown waits for; each resolves when it has ended, with an error when it panicked.
struct Workers {
    dispatch: oneshot::Receiver<()>,
    recording: oneshot::Receiver<()>,
    keeping: oneshot::Receiver<()>,
}

/// What workers read that begin behind the recovered campaigns.
struct Inboxes {
    hearing: Hearing,
    events: mpsc::UnboundedReceiver<KeeperEvent>,
    agenda: mpsc::UnboundedReceiver<Agenda>,
    inbound: mpsc::UnboundedReceiver<Vec<Incoming>>,
}

/// A running engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) env: Env,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) growth: Arc<Growth>,
    pub(super) agenda: mpsc::UnboundedSender<Agenda>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) keeper: mpsc::Sender<KeeperMsg>,
    pub(super) board: Arc<Board>,
    pub(super) suppressions: Suppressions,
    /// Held while a list changes, so that memory and store see changes in one order.
    pub(super) suppressing: tokio::sync::Mutex<()>,
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) loader: Loader,
    pub(super) root: ActorRef<SupervisorMsg>,
    pub(super) channels: Vec<Channel>,
    /// The same channels as configured.
    pub(super) configured: Vec<ChannelConfig>,
    pub(super) campaigns: Mutex<BTreeMap<CampaignNo, Arc<Running>>>,
    pub(super) tallies: Mutex<BTreeMap<CampaignId, Arc<Tally>>>,
    pub(super) workspaces: Mutex<BTreeMap<WorkspaceId, ActorRef<SupervisorMsg>>>,
    pub(super) tenants: Tenants,
    pub(super) failure: watch::Sender<Option<String>>,
    /// Held by a shutdown until all of them have ended; none behind it.
    workers: tokio::sync::Mutex<Option<Workers>>,
    /// Ends the recorder and the keeper, wherever they are.
    halt: Arc<Halt>,
    pub(super) recovered: (u64, u64),
    /// Units whose receipts were given up since the start.
    pub(super) overdue: AtomicU64,
    pub(super) receipt_timeout: Duration,
    pub(super) drain_timeout: Duration,
}

impl Engine {
    /// Recovers, connects and resumes what was running.
    ///
    /// # Errors
    /// When the store cannot be read or a thread cannot be started; nothing has been sent then.
    pub async fn start(
        config: EngineConfig,
        catalog: Arc<dyn Catalog>,
        journal: Arc<dyn Journal>,
        env: Env,
    ) -> Result<Self, EngineError> {
        let hearing = Hearing::new(&config, Arc::clone(&journal))?;
        let epoch = catalog.next_epoch().await?;
        let marks = Arc::new(MarkDir::open(&config.marks, config.boot_id.clone(), config.installation)?);
        let (events, events_in) = mpsc::unbounded_channel();
        let wall_ms = env.clock.now().wall_ms;
        let read = marks.read_all();
        let recorder = Arc::new(Recorder::new());
        let (inbound, inbound_in) = mpsc::unbounded_channel();
        let growth = Arc::new(Growth::default());
        let keeper =
            Keeper::new(Arc::clone(&journal), Arc::clone(&recorder), Arc::clone(&growth), (events, inbound));
        let suppressions = opt_out::load(&*catalog).await?;
        let mut recovered = recover((&*catalog, &journal), keeper, &read, wall_ms).await?;
        marks.clear()?;
        let board = Arc::new(Board::default());
        board.unheard.add(recovered.keeper.hear_replayed());
        let (keeper, keeper_in) = mpsc::channel(keeper::ROWS);
        let failure = watch::Sender::new(None);
        let loader = Loader::start(&env, Arc::clone(&journal), Arc::clone(&recorder), &failure)?;
        let halt = Arc::new(Halt::default());
        let of_worker = (&failure, &halt);
        let keeping = assembly::start_keeper(&env, recovered.keeper, keeper_in, of_worker)?;
        let recording =
            assembly::start_recorder(&env, (&recorder, &journal), &keeper, recovered.newest, of_worker)?;
        assembly::start_maintainer(&env, &journal, failure.subscribe())?;
        let latency = config.channels.iter().map(|_| Latency::new()).collect();
        let desk = Arc::new(Mutex::new(Desk { matcher: Matcher::new(), latency }));
        let plan = Plan { epoch, marks, board: &board, desk: &desk, recorder: &recorder, failure: &failure };
        let (root, channels, dispatch) = assembly::start_channels(&env, &config, plan).await?;
        let (agenda, agenda_in) = mpsc::unbounded_channel();
        let inner = Inner {
            env,
            catalog,
            journal,
            growth,
            agenda,
            recorder,
            keeper,
            board,
            suppressions,
            suppressing: tokio::sync::Mutex::default(),
            desk,
            loader,
            root,
            channels,
            configured: config.channels,
            campaigns: Mutex::default(),
            tallies: Mutex::default(),
            workspaces: Mutex::default(),
            tenants: Tenants::default(),
            failure,
            workers: tokio::sync::Mutex::new(Some(Workers { dispatch, recording, keeping })),
            halt,
            recovered: (recovered.unknown, recovered.revoked),
            overdue: AtomicU64::new(0),
            receipt_timeout: config.receipt_timeout,
            drain_timeout: config.drain_timeout,
        };
        let inboxes = Inboxes { hearing, events: events_in, agenda: agenda_in, inbound: inbound_in };
        Self(Arc::new(inner)).go_on((recovered.campaigns, recovered.orphans), inboxes).await
    }

    /// Goes on with what was running; an engine that cannot has ended when this says so.
    async fn go_on(
        self,
        (campaigns, orphans): (Vec<Found>, Vec<(u32, Early)>),
        inboxes: Inboxes,
    ) -> Result<Self, EngineError> {
        let resumed = async {
            self.resume_recovered(campaigns, orphans).await?;
            // Behind the recovered campaigns: an event about one that is not known yet would be lost.
            self.watch_events(inboxes.events)?;
            self.start_calendar(inboxes.agenda)?;
            self.watch_inbound(inboxes.hearing, inboxes.inbound)
        };
        if let Err(error) = resumed.await {
            self.shutdown().await;
            return Err(error);
        }
        Ok(self)
    }

    /// Resolves when the engine can no longer go on, with the reason.
    pub async fn failed(&self) -> String {
        let mut failure = self.0.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the engine has ended".to_owned(),
        }
    }

    /// Waits until every fact so far is durable and in the accounts.
    ///
    /// # Errors
    /// When the engine has ended.
    pub async fn settle(&self) -> Result<(), EngineError> {
        self.recorder_flush().await?;
        let (reply, done) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Remaining(CampaignNo(0), reply)).await?;
        done.await.map(drop).map_err(|_| EngineError::NotRunning("keeper".to_owned()))
    }

    /// Ends in order: nothing new is sent, answers are awaited, binds are closed, everything is saved. Behind it nothing
    /// of this engine writes facts or accounts, also when the store took too long: another one may start.
    pub async fn shutdown(self) {
        self.0.board.drain();
        for running in self.campaigns().values() {
            if let Some(actor) = running.actor.lock().unwrap_or_else(PoisonError::into_inner).take() {
                actor.stop(None);
            }
        }
        for channel in &self.0.channels {
            if channel.actor.cast(ChannelMsg::Drain).is_err() {
                tracing::debug!(channel = channel.name, "already ended");
            }
        }
        let mut workers = self.0.workers.lock().await;
        let Some(Workers { dispatch, mut recording, keeping }) = workers.take() else { return };
        // The dispatcher ends when the last channel is drained.
        let _ = dispatch.await;
        self.0.recorder.close();
        let reason = match tokio::time::timeout(self.0.drain_timeout, &mut recording).await {
            Ok(_) => {
                self.save_accounts().await;
                self.0.halt.call();
                "shut down"
            }
            Err(_) => {
                tracing::warn!(
                    "the store takes nothing: facts of the last moment are lost, their units become unknown"
                );
                self.0.halt.call();
                let _ = recording.await;
                "shut down without the store"
            }
        };
        let _ = keeping.await;
        self.0.failure.send_replace(Some(reason.to_owned()));
    }

    async fn save_accounts(&self) {
        let (reply, saved) = oneshot::channel();
        if self.tell_keeper(KeeperMsg::Compact(reply)).await.is_ok()
            && let Ok(Err(error)) = saved.await
        {
            tracing::warn!(%error, "not everything was saved; the journal holds it");
        }
    }

    pub(super) async fn campaign(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
    ) -> Result<Campaign, EngineError> {
        match self.0.catalog.get(Scope::Workspace(workspace), Kind::Campaign, id.into()).await? {
            Entity::Campaign(campaign) => Ok(*campaign),
            _ => Err(StoreError::NotFound.into()),
        }
    }

    pub(super) async fn recorder_flush(&self) -> Result<(), EngineError> {
        match self.0.recorder.flush().await {
            true => Ok(()),
            false => Err(EngineError::NotRunning("recorder".to_owned())),
        }
    }

    pub(super) async fn tell_keeper(&self, message: KeeperMsg) -> Result<(), EngineError> {
        self.0.keeper.send(message).await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn campaigns(&self) -> MutexGuard<'_, BTreeMap<CampaignNo, Arc<Running>>> {
        self.0.campaigns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn workspaces(&self) -> MutexGuard<'_, BTreeMap<WorkspaceId, ActorRef<SupervisorMsg>>> {
        self.0.workspaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
