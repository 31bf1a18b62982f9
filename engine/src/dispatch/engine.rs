//! The engine's face: starts everything, takes life-cycle commands, tells progress, drains.
//!
//! A stop first sets the flag, then is recorded, then waits until every link has obeyed; only then is it
//! acknowledged. The engine verifies approval from the store before the first intent of a campaign.

use crate::dispatch::account::Tally;
use crate::dispatch::assembly::{self, Channel, Plan};
use crate::dispatch::breaker::BreakerState;
use crate::dispatch::cells::Board;
use crate::dispatch::channel::ChannelMsg;
use crate::dispatch::config::ChannelConfig;
use crate::dispatch::env::Env;
use crate::dispatch::keeper::{self, Keeper, KeeperMsg};
use crate::dispatch::latency::Latency;
use crate::dispatch::link::Desk;
use crate::dispatch::loader::Loader;
use crate::dispatch::mark::MarkDir;
use crate::dispatch::matcher::Matcher;
use crate::dispatch::message::{Message, MessageError};
use crate::dispatch::recorder::Recorder;
use crate::dispatch::recovery::{account_of, recover};
use crate::dispatch::route::RouteError;
use crate::dispatch::running::Running;
use crate::dispatch::status::RECEIPT_STATES;
use crate::dispatch::supervisor::SupervisorMsg;
use crate::dispatch::suppression::Suppressions;
use crate::model::{Campaign, CampaignId, CampaignNo, Counts, Move, Principal, Status, WorkspaceId};
use crate::store::{Catalog, Change, Entity, Expect, Journal, Kind, Scope, StoreError};
use ractor::ActorRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
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
    /// Receipts put off because they could not be stored.
    pub receipts_deferred: u64,
}

/// A running engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) env: Env,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) keeper: mpsc::Sender<KeeperMsg>,
    pub(super) board: Arc<Board>,
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) loader: Loader,
    pub(super) root: ActorRef<SupervisorMsg>,
    pub(super) channels: Vec<Channel>,
    /// The same channels as configured.
    pub(super) configured: Vec<ChannelConfig>,
    pub(super) suppressions: Suppressions,
    pub(super) campaigns: Mutex<BTreeMap<CampaignNo, Arc<Running>>>,
    pub(super) tallies: Mutex<BTreeMap<CampaignId, Arc<Tally>>>,
    pub(super) workspaces: Mutex<BTreeMap<WorkspaceId, ActorRef<SupervisorMsg>>>,
    pub(super) failure: watch::Sender<Option<String>>,
    pub(super) ended: Mutex<Vec<oneshot::Receiver<()>>>,
    pub(super) recovered: (u64, u64),
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
        let epoch = catalog.next_epoch().await?;
        let marks = Arc::new(MarkDir::open(&config.marks, config.boot_id.clone(), config.installation)?);
        let (events, events_in) = mpsc::unbounded_channel();
        let wall_ms = env.clock.now().wall_ms;
        let read = marks.read_all();
        let recorder = Arc::new(Recorder::new());
        let keeper = Keeper::new(Arc::clone(&journal), Arc::clone(&recorder), events);
        let recovered = recover((&*catalog, &journal), keeper, &read, wall_ms).await?;
        marks.clear()?;
        let (keeper, keeper_in) = mpsc::channel(keeper::ROWS);
        let failure = watch::Sender::new(None);
        let loader = Loader::start(&env, Arc::clone(&journal), Arc::clone(&recorder), &failure)?;
        let keeper_ended = assembly::start_keeper(&env, recovered.keeper, keeper_in, &failure)?;
        let recorder_ended =
            assembly::start_recorder(&env, (&recorder, &journal), &keeper, recovered.newest, &failure)?;
        let maintainer_ended = assembly::start_maintainer(&env, &journal, failure.subscribe())?;
        let board = Arc::new(Board::default());
        let desk = Arc::new(Mutex::new(Desk { matcher: Matcher::new(), latency: Latency::new() }));
        let plan = Plan { epoch, marks, board: &board, desk: &desk, recorder: &recorder, failure: &failure };
        let (root, channels, dispatch_ended) = assembly::start_channels(&env, &config, plan).await?;
        let inner = Inner {
            env,
            catalog,
            recorder,
            keeper,
            board,
            desk,
            loader,
            root,
            channels,
            configured: config.channels,
            suppressions: Suppressions::default(),
            campaigns: Mutex::default(),
            tallies: Mutex::default(),
            workspaces: Mutex::default(),
            failure,
            ended: Mutex::new(vec![dispatch_ended, recorder_ended, keeper_ended, maintainer_ended]),
            recovered: (recovered.unknown, recovered.revoked),
            drain_timeout: config.drain_timeout,
        };
        let engine = Self(Arc::new(inner));
        engine.resume_recovered(recovered.campaigns, recovered.orphans).await?;
        // Behind the recovered campaigns: an event about one that is not known yet would be lost.
        engine.watch_events(events_in)?;
        Ok(engine)
    }

    /// Starts a campaign that is `Pending`: it is `Sending` when this returns.
    ///
    /// # Errors
    /// [`EngineError::State`], [`EngineError::NotApproved`], the store's.
    pub async fn start_campaign(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let (engine, by) = (self.clone(), by.clone());
        detached(async move { engine.start_now(workspace, id, &by).await }).await
    }

    async fn start_now(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let campaign = self.campaign(workspace, id).await?;
        if !campaign.is_approved() {
            return Err(EngineError::NotApproved);
        }
        Message::new(&campaign.content, 1)?;
        self.routes(&campaign)?;
        let campaign = self.record_move(campaign, Move::Start, "start", by).await?;
        let account = Box::new(account_of(&campaign));
        let tally = Arc::new(Tally::default());
        account.publish(&tally);
        let running = self.running(campaign, Arc::clone(&tally))?;
        self.tell_keeper(KeeperMsg::Open(account, tally)).await?;
        // Stopped between the record and the moment when the stop could find it running.
        let status = self.campaign(workspace, id).await.map_or(Status::Sending, |c| c.status);
        if status != Status::Sending {
            running.cells.stop();
        }
        if status.is_final() {
            return self.cancel_queued(running.campaign.no).await;
        }
        self.launch(&running).await
    }

    /// Pauses: when this returns, no further PDU of the campaign is written.
    ///
    /// # Errors
    /// [`EngineError::State`]; [`EngineError::StoppedNotRecorded`] when it is stopped but the store is down.
    pub async fn pause(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let (engine, by) = (self.clone(), by.clone());
        detached(async move { engine.pause_now(workspace, id, &by).await }).await
    }

    async fn pause_now(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let campaign = self.campaign(workspace, id).await?;
        self.stop(campaign, Move::Pause, "pause", by).await
    }

    /// Cancels: when this returns, no further PDU of the campaign is written and what was queued is cancelled.
    ///
    /// # Errors
    /// As for [`Self::pause`].
    pub async fn cancel(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let (engine, by) = (self.clone(), by.clone());
        detached(async move { engine.cancel_now(workspace, id, &by).await }).await
    }

    async fn cancel_now(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let campaign = self.campaign(workspace, id).await?;
        let no = campaign.no;
        self.stop(campaign, Move::Cancel, "cancel", by).await?;
        self.cancel_queued(no).await
    }

    async fn cancel_queued(&self, no: CampaignNo) -> Result<(), EngineError> {
        self.recorder_flush().await?;
        let (reply, done) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Cancel(no, reply)).await?;
        done.await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))
    }

    /// Goes on with a paused campaign.
    ///
    /// # Errors
    /// [`EngineError::State`], the store's.
    pub async fn resume(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let (engine, by) = (self.clone(), by.clone());
        detached(async move { engine.resume_now(workspace, id, &by).await }).await
    }

    async fn resume_now(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let campaign = self.campaign(workspace, id).await?;
        let running = self.campaigns().get(&campaign.no).cloned();
        // Taken before the resume is recorded: a stop that comes behind it is not undone.
        let stop_gen = running.as_ref().map(|r| r.cells.stop_gen());
        self.record_move(campaign, Move::Resume, "resume", by).await?;
        if let (Some(running), Some(stop_gen)) = (running, stop_gen) {
            running.cells.go(stop_gen);
            // A start that failed half way left it without an actor.
            self.launch(&running).await?;
        }
        self.0.board.ring_links();
        Ok(())
    }

    async fn stop(
        &self,
        campaign: Campaign,
        what: Move,
        word: &'static str,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let (no, status) = (campaign.no, campaign.status);
        if status.after(what).is_none() {
            return Err(EngineError::State(status, word));
        }
        let running = self.campaigns().get(&no).cloned();
        let Some(running) = running else {
            self.record_move(campaign, what, word, by).await?;
            // It may have been started meanwhile.
            let started = self.campaigns().get(&no).cloned();
            if let Some(running) = started {
                running.cells.stop();
                self.0.board.all_obey(self.0.board.announce_stop()).await;
            }
            return Ok(());
        };
        let (workspace, id) = (campaign.workspace_id, campaign.id);
        let stop_gen = running.cells.stop();
        let epoch = self.0.board.announce_stop();
        let recorded = self.record_move(campaign, what, word, by).await;
        if let Err(EngineError::Store(StoreError::Conflict { .. }) | EngineError::State(..)) = &recorded {
            // Somebody else was first; what they decided holds, also for the flag.
            if self.campaign(workspace, id).await?.status == Status::Sending {
                running.cells.go(stop_gen);
                self.0.board.ring_links();
            }
            return recorded.map(drop);
        }
        self.0.board.all_obey(epoch).await;
        match recorded {
            Ok(_) => Ok(()),
            Err(EngineError::Store(error)) => Err(EngineError::StoppedNotRecorded(error)),
            Err(other) => Err(other),
        }
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

    /// Ends in order: nothing new is sent, answers are awaited, binds are closed, everything is saved.
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
        let ended = std::mem::take(&mut *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner));
        let mut ended = ended.into_iter();
        if let Some(dispatch) = ended.next() {
            // The dispatcher ends when the last channel is drained.
            let _ = dispatch.await;
        }
        self.0.recorder.close();
        if let Some(recorder) = ended.next()
            && tokio::time::timeout(self.0.drain_timeout, recorder).await.is_err()
        {
            tracing::warn!(
                "the store takes nothing: facts of the last moment are lost, their units become unknown"
            );
            self.0.failure.send_replace(Some("shut down without the store".to_owned()));
            return;
        }
        let (reply, saved) = oneshot::channel();
        if self.tell_keeper(KeeperMsg::Compact(reply)).await.is_ok()
            && let Ok(Err(error)) = saved.await
        {
            tracing::warn!(%error, "not everything was saved; the journal holds it");
        }
        self.0.failure.send_replace(Some("shut down".to_owned()));
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

    pub(super) async fn record_move(
        &self,
        campaign: Campaign,
        what: Move,
        word: &'static str,
        by: &Principal,
    ) -> Result<Campaign, EngineError> {
        let Some(status) = campaign.status.after(what) else {
            return Err(EngineError::State(campaign.status, word));
        };
        let expect = Expect::Version(campaign.state_version);
        let stops = matches!(what, Move::Pause | Move::Cancel | Move::Fail | Move::Expire);
        let changed = Campaign {
            status,
            hold_reason: None,
            state_version: campaign.state_version + 1,
            stop_gen: campaign.stop_gen + u32::from(stops),
            ..campaign
        };
        self.apply(changed.clone(), expect, what, by).await?;
        Ok(changed)
    }

    pub(super) async fn apply(
        &self,
        campaign: Campaign,
        expect: Expect,
        what: Move,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let action = match what {
            Move::Start => "campaign.start",
            Move::Pause => "campaign.pause",
            Move::Resume => "campaign.resume",
            Move::Cancel => "campaign.cancel",
            Move::Complete => "campaign.complete",
            Move::Approve => "campaign.approve",
            Move::Reject => "campaign.reject",
            Move::Built => "campaign.built",
            Move::Fail => "campaign.fail",
            Move::Expire => "campaign.expire",
        };
        let wall_ms = i64::try_from(self.0.env.clock.now().wall_ms).unwrap_or(i64::MAX);
        let at = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(jiff::Timestamp::MAX);
        let scope = Scope::Workspace(campaign.workspace_id);
        let change = Change { scope, expect, entity: Entity::Campaign(Box::new(campaign)), action };
        Ok(self.0.catalog.apply(vec![change], by, at).await?)
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

/// Runs a command to its end also when its caller goes away in the midst of it.
async fn detached(
    command: impl Future<Output = Result<(), EngineError>> + Send + 'static,
) -> Result<(), EngineError> {
    tokio::spawn(command).await.unwrap_or_else(|ended| Err(EngineError::NotRunning(ended.to_string())))
}
