//! The engine's face: starts everything, takes life-cycle commands, tells progress, drains.
//!
//! A stop first sets the flag, then is recorded, then waits until every link has obeyed; only then is it
//! acknowledged. The engine verifies approval from the store before the first intent of a campaign.

use crate::dispatch::account::Tally;
use crate::dispatch::assembly::{self, Channel, Plan, start_child};
use crate::dispatch::campaign::{self, CampaignActor, CampaignMsg};
use crate::dispatch::cells::{Board, CampaignCells};
use crate::dispatch::channel::ChannelMsg;
use crate::dispatch::env::Env;
use crate::dispatch::keeper::{self, KeeperEvent, KeeperMsg};
use crate::dispatch::latency::Latency;
use crate::dispatch::link::{Desk, FlowSpec};
use crate::dispatch::loader::Loader;
use crate::dispatch::mark::MarkDir;
use crate::dispatch::matcher::{Early, Matcher, ordinal_in};
use crate::dispatch::message::{Message, MessageError};
use crate::dispatch::recorder::Recorder;
use crate::dispatch::recovery::{account_of, recover};
use crate::dispatch::supervisor::{Recipe, Supervisor, SupervisorMsg};
use crate::model::{Campaign, CampaignId, CampaignNo, Counts, Move, Principal, Status, WorkspaceId};
use crate::store::record::{Facts, ReceiptFact};
use crate::store::{Catalog, Change, Entity, Expect, Journal, Kind, Scope, StoreError};
use pdu::MessageIdForm;
use ractor::ActorRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

/// How the binds of a channel are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindKind {
    /// One session both ways.
    Transceiver,
    /// Two sessions, one for each way.
    TransmitterReceiver,
}

/// One channel: an account at an SMSC.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// Its name, unique.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Account.
    pub system_id: String,
    /// Secret of the account, at most 8 octets.
    pub password: String,
    /// Usually empty.
    pub system_type: String,
    /// Which binds.
    pub bind: BindKind,
    /// Number of binds (pairs for [`BindKind::TransmitterReceiver`]).
    pub binds: u32,
    /// Most unanswered submits of one bind.
    pub window: u32,
    /// Segments per second over all binds, 0 for no limit.
    pub rate_per_s: u32,
    /// Quiet time after which the SMSC is asked whether it is there.
    pub enquire_link: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// How receipts write message ids.
    pub message_id: MessageIdForm,
}

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
    /// Refused for a while, queued again.
    pub retried: u64,
    /// Submits whose answer will not come.
    pub unknown: u64,
    /// Matched receipts.
    pub receipts: u64,
    /// Receipts without a message.
    pub orphans: u64,
    /// Answers and messages that belong to nothing.
    pub strays: u64,
    /// Receipts put off because they could not be stored.
    pub receipts_deferred: u64,
}

struct Running {
    campaign: Campaign,
    cells: Arc<CampaignCells>,
    tally: Arc<Tally>,
    message: Arc<Message>,
    base: u64,
    actor: Mutex<Option<ActorRef<CampaignMsg>>>,
}

/// A running engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    env: Env,
    catalog: Arc<dyn Catalog>,
    recorder: Arc<Recorder>,
    keeper: mpsc::Sender<KeeperMsg>,
    board: Arc<Board>,
    desk: Arc<Mutex<Desk>>,
    loader: Loader,
    root: ActorRef<SupervisorMsg>,
    channels: Vec<Channel>,
    campaigns: Mutex<BTreeMap<CampaignNo, Arc<Running>>>,
    tallies: Mutex<BTreeMap<CampaignId, Arc<Tally>>>,
    workspaces: Mutex<BTreeMap<WorkspaceId, ActorRef<SupervisorMsg>>>,
    failure: watch::Sender<Option<String>>,
    ended: Mutex<Vec<oneshot::Receiver<()>>>,
    recovered: (u64, u64),
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
        let recovered = recover(&*catalog, Arc::clone(&journal), &read, wall_ms, events).await?;
        marks.clear()?;
        let recorder = Arc::new(Recorder::new());
        let (keeper, keeper_in) = mpsc::channel(keeper::ROWS);
        let loader = Loader::start(&env, Arc::clone(&journal))?;
        let keeper_ended = env.start("keeper", recovered.keeper.run(keeper_in))?;
        let failure = watch::Sender::new(None);
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
            campaigns: Mutex::default(),
            tallies: Mutex::default(),
            workspaces: Mutex::default(),
            failure,
            ended: Mutex::new(vec![dispatch_ended, recorder_ended, keeper_ended, maintainer_ended]),
            recovered: (recovered.unknown, recovered.revoked),
        };
        let engine = Self(Arc::new(inner));
        engine.watch_events(events_in)?;
        engine.resume_recovered(recovered.campaigns, recovered.orphans).await?;
        Ok(engine)
    }

    async fn resume_recovered(
        &self,
        campaigns: Vec<(Campaign, Arc<Tally>)>,
        orphans: Vec<(u32, Early)>,
    ) -> Result<(), EngineError> {
        {
            let mut desk = self.desk();
            for (channel, early) in orphans {
                desk.matcher.restore_early(channel, MessageIdForm::Auto, early);
            }
        }
        for (campaign, tally) in campaigns {
            let running = self.running(campaign, tally)?;
            self.index_receipts(&running)?;
            match running.campaign.status {
                Status::Sending => self.launch(&running).await?,
                Status::Paused => {
                    running.cells.stop();
                    self.launch(&running).await?;
                }
                _ => {}
            }
        }
        Ok(())
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
        let campaign = self.campaign(workspace, id).await?;
        if !campaign.is_approved() {
            return Err(EngineError::NotApproved);
        }
        Message::new(&campaign.content, 1)?;
        let campaign = self.record_move(campaign, Move::Start, "start", by).await?;
        let account = Box::new(account_of(&campaign));
        let tally = Arc::new(Tally::default());
        account.publish(&tally);
        let running = self.running(campaign, Arc::clone(&tally))?;
        self.tell_keeper(KeeperMsg::Open(account, tally)).await?;
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
        let campaign = self.campaign(workspace, id).await?;
        let no = campaign.no;
        self.stop(campaign, Move::Cancel, "cancel", by).await?;
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
        let campaign = self.campaign(workspace, id).await?;
        let campaign = self.record_move(campaign, Move::Resume, "resume", by).await?;
        if let Some(running) = self.campaigns().get(&campaign.no) {
            running.cells.go();
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
            return self.record_move(campaign, what, word, by).await.map(drop);
        };
        let was_stopped = running.cells.is_stopped();
        running.cells.stop();
        let epoch = self.0.board.announce_stop();
        let recorded = self.record_move(campaign, what, word, by).await;
        if let Err(EngineError::Store(StoreError::Conflict { .. }) | EngineError::State(..)) = &recorded {
            // Somebody else was first; what they decided holds, also for the flag.
            if !was_stopped && status == Status::Sending {
                running.cells.go();
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

    /// What a campaign has reached; `None` for one that this engine does not run.
    #[must_use]
    pub fn progress(&self, id: CampaignId) -> Option<Progress> {
        let tally = self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()?;
        Some(Progress {
            counts: tally.counts(),
            submitted: tally.submitted.load(Ordering::Relaxed),
            repeated: tally.repeated.load(Ordering::Relaxed),
        })
    }

    /// What the channels have done.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelStatus> {
        let of = |channel: &Channel| {
            let count = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
            let cells = &channel.cells;
            ChannelStatus {
                name: channel.name.clone(),
                up: channel.links.iter().map(|l| l.up.load(Ordering::Relaxed)).collect(),
                in_flight: channel.links.iter().map(|l| l.in_flight.load(Ordering::Relaxed)).collect(),
                stock: channel.links.iter().map(|l| u64::from(l.stock.load(Ordering::Relaxed))).sum(),
                submitted: count(&cells.submitted),
                accepted: count(&cells.accepted),
                refused: count(&cells.refused),
                throttled: count(&cells.throttled),
                retried: count(&cells.retried),
                unknown: count(&cells.unknown),
                receipts: count(&cells.receipts),
                orphans: count(&cells.orphans),
                strays: count(&cells.strays),
                receipts_deferred: count(&cells.receipts_deferred),
            }
        };
        self.0.channels.iter().map(of).collect()
    }

    /// Quantile of the time from submit to answer since the start, microseconds.
    #[must_use]
    pub fn submit_latency_us(&self, quantile: f64) -> u64 {
        self.desk().latency.quantile(quantile)
    }

    /// Ids that await a receipt.
    #[must_use]
    pub fn receipts_awaited(&self) -> usize {
        self.desk().matcher.waiting()
    }

    /// Units whose fate this start left unknown, and units that it found never sent.
    #[must_use]
    pub fn recovered(&self) -> (u64, u64) {
        self.0.recovered
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
        if let Some(recorder) = ended.next() {
            let _ = recorder.await;
        }
        let (reply, saved) = oneshot::channel();
        if self.tell_keeper(KeeperMsg::Compact(reply)).await.is_ok()
            && let Ok(Err(error)) = saved.await
        {
            tracing::warn!(%error, "not everything was saved; the journal holds it");
        }
        self.0.failure.send_replace(Some("shut down".to_owned()));
    }

    async fn campaign(&self, workspace: WorkspaceId, id: CampaignId) -> Result<Campaign, EngineError> {
        match self.0.catalog.get(Scope::Workspace(workspace), Kind::Campaign, id.into()).await? {
            Entity::Campaign(campaign) => Ok(*campaign),
            _ => Err(StoreError::NotFound.into()),
        }
    }

    async fn record_move(
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

    async fn apply(
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

    fn running(&self, campaign: Campaign, tally: Arc<Tally>) -> Result<Arc<Running>, EngineError> {
        let reference = u16::try_from(campaign.no.0 % 255).unwrap_or(0) + 1;
        let message = Arc::new(Message::new(&campaign.content, reference)?);
        let cells = Arc::new(CampaignCells::new(campaign.no, campaign.stop_gen));
        let base = self.desk().matcher.register(campaign.no, campaign.recipients, campaign.content.parts);
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).insert(campaign.id, Arc::clone(&tally));
        let running = Arc::new(Running { campaign, cells, tally, message, base, actor: Mutex::default() });
        self.campaigns().insert(running.campaign.no, Arc::clone(&running));
        Ok(running)
    }

    /// Starts the campaign's actor under its workspace's supervisor.
    async fn launch(&self, running: &Arc<Running>) -> Result<(), EngineError> {
        let supervisor = self.workspace(running.campaign.workspace_id).await?;
        let (engine, of) = (self.clone(), Arc::clone(running));
        let on_start: campaign::OnStart = Arc::new(move |actor| engine.campaign_started(&of, actor));
        let (no, parts, loader) =
            (running.campaign.no, running.campaign.content.parts, self.0.loader.clone());
        let recipe = Recipe::new::<CampaignActor, _>(format!("campaign {}", no.0), move || {
            campaign::Arguments { no, parts, loader: loader.clone(), on_start: Arc::clone(&on_start) }
        });
        start_child(&supervisor, recipe).await.map(drop)
    }

    async fn workspace(&self, id: WorkspaceId) -> Result<ActorRef<SupervisorMsg>, EngineError> {
        let known = self.workspaces().get(&id).cloned();
        if let Some(supervisor) = known {
            return Ok(supervisor);
        }
        let failure = self.0.failure.clone();
        let recipe =
            Recipe::new::<Supervisor, _>(format!("workspace {id}"), move || assembly::melt(&failure));
        let supervisor: ActorRef<SupervisorMsg> = start_child(&self.0.root, recipe).await?.into();
        Ok(self.workspaces().entry(id).or_insert(supervisor).clone())
    }

    /// A new incarnation of a campaign's actor: whatever links still hold is called back, facts are flushed, and
    /// the keeper tells what is left. The same for the first start, a resume after a crash and after a panic.
    fn campaign_started(&self, running: &Arc<Running>, actor: ActorRef<CampaignMsg>) {
        let (engine, running) = (self.clone(), Arc::clone(running));
        tokio::spawn(async move {
            let paused = running.cells.is_stopped();
            running.cells.stop();
            engine.0.board.all_obey(engine.0.board.announce_stop()).await;
            if let Err(error) = engine.begin(&running, &actor).await {
                tracing::error!(campaign = running.campaign.no.0, %error, "campaign not begun");
                return;
            }
            if !paused {
                running.cells.go();
                engine.0.board.ring_links();
            }
        });
    }

    async fn begin(&self, running: &Running, actor: &ActorRef<CampaignMsg>) -> Result<(), EngineError> {
        let gone = |what: &str| EngineError::NotRunning(what.to_owned());
        self.recorder_flush().await?;
        let (reply, remaining) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Remaining(running.campaign.no, reply)).await?;
        let remaining = remaining.await.map_err(|_| gone("keeper"))?;
        actor.cast(CampaignMsg::Begin(remaining)).map_err(|_| gone("campaign"))?;
        *running.actor.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor.clone());
        let (high, low) = running.campaign.workspace_id.0.as_u64_pair();
        let workspace = high ^ low;
        let spec = FlowSpec {
            cells: Arc::clone(&running.cells),
            message: Arc::clone(&running.message),
            policy: running.campaign.delivery_policy,
            workspace: (workspace, 1),
            weight: running.campaign.weight.max(1),
            base: running.base,
            supply: campaign::supply_ref(actor),
        };
        for channel in &self.0.channels {
            let register = ChannelMsg::Register(Box::new(spec.clone()));
            channel.actor.cast(register).map_err(|_| gone("channel"))?;
        }
        Ok(())
    }

    /// Fills the receipt index for a recovered campaign in the background: the first PDU does not wait for it, and
    /// a receipt that comes before its entry is adopted by it.
    fn index_receipts(&self, running: &Arc<Running>) -> Result<(), EngineError> {
        if !running.message.receipts {
            return Ok(());
        }
        let (engine, running) = (self.clone(), Arc::clone(running));
        self.0.env.start("receipt-index", async move {
            let chunks = account_of(&running.campaign).chunks();
            for chunk in 0..chunks {
                let (reply, awaiting) = oneshot::channel();
                if engine.tell_keeper(KeeperMsg::Awaiting(running.campaign.no, chunk, reply)).await.is_err() {
                    return;
                }
                let Ok(awaiting) = awaiting.await else { return };
                engine.expect_receipts(&running, chunk, &awaiting);
            }
        })?;
        Ok(())
    }

    fn expect_receipts(&self, running: &Running, chunk: u32, awaiting: &[(u32, u16, Box<[u8]>)]) {
        let parts = running.message.parts.len();
        let now = self.0.env.clock.now();
        let mut facts = Facts::default();
        let mut adopted = 0;
        let mut desk = self.desk();
        for (channel, unit, id) in awaiting {
            let ordinal = running.base + ordinal_in(chunk, *unit, parts);
            if let Some(early) = desk.matcher.expect(*channel, MessageIdForm::Auto, id, ordinal) {
                let campaign = running.campaign.no;
                let fact =
                    ReceiptFact { campaign, chunk, unit: *unit, status: early.status, error: early.error };
                facts.receipt(now.wall_ms, &fact);
                facts.adopted(*channel, &early.message_id);
                adopted += 1;
            }
        }
        drop(desk);
        if adopted > 0 {
            self.0.recorder.append(facts.octets(), adopted, false, now.mono_us);
        }
    }

    /// Ends campaigns that have settled.
    fn watch_events(&self, mut events: mpsc::UnboundedReceiver<KeeperEvent>) -> Result<(), EngineError> {
        let engine = Arc::downgrade(&self.0);
        self.0.env.start("control", async move {
            while let Some(KeeperEvent::Settled(no)) = events.recv().await {
                let Some(inner) = engine.upgrade() else { return };
                if let Err(error) = Self(inner).complete(no).await {
                    tracing::warn!(campaign = no.0, %error, "completion not recorded; tried again at the next start");
                }
            }
        })?;
        Ok(())
    }

    async fn complete(&self, no: CampaignNo) -> Result<(), EngineError> {
        let running = self.campaigns().get(&no).cloned();
        let Some(running) = running else { return Ok(()) };
        let campaign = self.campaign(running.campaign.workspace_id, running.campaign.id).await?;
        let expect = Expect::Version(campaign.state_version);
        if let Some(status) = campaign.status.after(Move::Complete) {
            let ended = Campaign {
                status,
                hold_reason: None,
                state_version: campaign.state_version + 1,
                counts: Some(running.tally.counts()),
                ..campaign
            };
            self.apply(ended, expect, Move::Complete, &Principal::engine()).await?;
        }
        for channel in &self.0.channels {
            if channel.actor.cast(ChannelMsg::Unregister(no)).is_err() {
                tracing::debug!(channel = channel.name, "already ended");
            }
        }
        let actor = running.actor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(actor) = actor
            && actor.cast(CampaignMsg::End).is_err()
        {
            tracing::debug!(campaign = no.0, "already ended");
        }
        Ok(())
    }

    async fn recorder_flush(&self) -> Result<(), EngineError> {
        self.0.recorder.flush().await;
        Ok(())
    }

    async fn tell_keeper(&self, message: KeeperMsg) -> Result<(), EngineError> {
        self.0.keeper.send(message).await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn campaigns(&self) -> MutexGuard<'_, BTreeMap<CampaignNo, Arc<Running>>> {
        self.0.campaigns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workspaces(&self) -> MutexGuard<'_, BTreeMap<WorkspaceId, ActorRef<SupervisorMsg>>> {
        self.0.workspaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
