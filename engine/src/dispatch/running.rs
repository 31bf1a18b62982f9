//! Campaigns that this engine runs: how one is launched, begun again after a crash or a panic, and ended.
//!
//! The first start, a start after a crash and a restart after a panic are one path: call everything back, flush,
//! ask the keeper what is left, begin.

use crate::dispatch::account::Tally;
use crate::dispatch::assembly::{self, start_child};
use crate::dispatch::budget::{Budget, Purse};
use crate::dispatch::campaign::{self, CampaignActor, CampaignMsg};
use crate::dispatch::cells::CampaignCells;
use crate::dispatch::channel::ChannelMsg;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::keeper::{AwaitedId, KeeperEvent, KeeperMsg};
use crate::dispatch::link::FlowSpec;
use crate::dispatch::matcher::{Early, ordinal_in};
use crate::dispatch::message::Message;
use crate::dispatch::recovery::account_of;
use crate::dispatch::route::{RouteError, Routes};
use crate::dispatch::sieve::Sieve;
use crate::dispatch::supervisor::{Recipe, Supervisor, SupervisorMsg};
use crate::dispatch::timing::Pace;
use crate::model::record::{Facts, ReceiptFact};
use crate::model::{Campaign, CampaignNo, HoldReason, Mode, Move, Principal, Status, WorkspaceId};
use crate::schedule::{Calendar, Gate, Zone};
use crate::store::{Entity, Expect, Kind, Scope, StoreError};
use pdu::MessageIdForm;
use ractor::ActorRef;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Pause before an end that could not be recorded, for instance because a pause came first, is recorded again.
const COMPLETE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A campaign as the engine runs it.
pub(super) struct Running {
    pub(super) campaign: Campaign,
    pub(super) cells: Arc<CampaignCells>,
    pub(super) tally: Arc<Tally>,
    pub(super) message: Arc<Message>,
    pub(super) base: u64,
    pub(super) actor: Mutex<Option<ActorRef<CampaignMsg>>>,
    /// Whether it has an actor, or will have one in a moment: a second one would send everything again.
    pub(super) launched: AtomicBool,
}

impl Engine {
    pub(super) async fn resume_recovered(
        &self,
        campaigns: Vec<(Campaign, Arc<Tally>)>,
        orphans: Vec<(u32, Early)>,
    ) -> Result<(), EngineError> {
        {
            let mut desk = self.desk();
            for (channel, early) in orphans {
                desk.matcher.keep_early(channel, MessageIdForm::Auto, early);
            }
        }
        let mut recovered = Vec::new();
        for (campaign, tally) in campaigns {
            let (no, ended) = (campaign.no, campaign.status.is_final());
            match self.running(campaign, tally) {
                Ok(running) => recovered.push(running),
                // Nothing more is sent for it: it must not keep the others from going on.
                Err(error) if ended => tracing::warn!(campaign = no.0, %error, "ended campaign left aside"),
                Err(error) => return Err(error),
            }
        }
        self.index_receipts(recovered.clone())?;
        for running in recovered {
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

    pub(super) fn running(&self, campaign: Campaign, tally: Arc<Tally>) -> Result<Arc<Running>, EngineError> {
        let reference = u16::try_from(campaign.no.0 % 255).unwrap_or(0) + 1;
        let message = Arc::new(Message::new(&campaign.content, reference)?);
        let cells = Arc::new(CampaignCells::new(campaign.no, campaign.stop_gen));
        let base = self.desk().matcher.register(campaign.no, campaign.recipients, campaign.content.parts);
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).insert(campaign.id, Arc::clone(&tally));
        let running = Arc::new(Running {
            campaign,
            cells,
            tally,
            message,
            base,
            actor: Mutex::default(),
            launched: AtomicBool::new(false),
        });
        self.campaigns().insert(running.campaign.no, Arc::clone(&running));
        Ok(running)
    }

    /// Starts the campaign's actor under its workspace's supervisor, once.
    pub(super) async fn launch(&self, running: &Arc<Running>) -> Result<(), EngineError> {
        if running.launched.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let supervisor = self.workspace(running.campaign.workspace_id).await?;
        let (engine, of) = (self.clone(), Arc::clone(running));
        let on_start: campaign::OnStart = Arc::new(move |actor| engine.campaign_started(&of, actor));
        let arguments = match self.arguments(running, on_start) {
            // Its channels were taken away since it started: it must not keep the others from going on.
            Err(EngineError::Route(error)) => {
                tracing::warn!(campaign = running.campaign.no.0, %error, "campaign waits for a channel");
                running.cells.set_hold(Some(HoldReason::NoChannel));
                return Ok(());
            }
            arguments => arguments?,
        };
        let name = format!("campaign {}", arguments.no.0);
        let recipe = Recipe::new::<CampaignActor, _>(name, move || arguments.clone());
        start_child(&supervisor, recipe).await.map(drop)
    }

    fn arguments(
        &self,
        running: &Running,
        on_start: campaign::OnStart,
    ) -> Result<campaign::Arguments, EngineError> {
        let campaign = &running.campaign;
        let rules = &campaign.content.rules;
        let sieve = Sieve {
            no: campaign.no,
            message: Arc::clone(&running.message),
            parts: campaign.content.parts,
            routes: Arc::new(self.routes(campaign)?),
            suppressed: self.0.suppressions.of(campaign.workspace_id),
            variables: campaign.content.variables.len(),
            transactional: rules.transactional,
            validity_s: rules.validity_s.filter(|_| campaign.mode == Mode::Trigger),
        };
        let purse = Purse::new(Arc::new(Budget::new(rules.daily_limit)), Arc::default());
        Ok(campaign::Arguments {
            no: campaign.no,
            recipients: campaign.recipients,
            sieve: Arc::new(sieve),
            purse: Arc::new(purse),
            cells: Arc::clone(&running.cells),
            board: Arc::clone(&self.0.board),
            recorder: Arc::clone(&self.0.recorder),
            clock: self.0.env.clock,
            loader: self.0.loader.clone(),
            source: None,
            on_start,
            on_overdue: Arc::new(|no| tracing::warn!(campaign = no.0, "nobody makes a new plan")),
        })
    }

    /// Over which channels a campaign may send.
    pub(super) fn routes(&self, campaign: &Campaign) -> Result<Routes, RouteError> {
        let pinned = campaign.content.rules.channel.as_deref();
        Routes::new(&self.0.configured, campaign.workspace_id, pinned)
    }

    async fn pace(&self, campaign: &Campaign) -> Result<Pace, EngineError> {
        let id = campaign.workspace_id;
        let found = self.0.catalog.get(Scope::Platform, Kind::Workspace, id.into()).await;
        let refused = |error: &dyn std::fmt::Display| EngineError::NotRunning(error.to_string());
        let calendar = match found {
            Ok(Entity::Workspace(workspace)) => Calendar::of(&workspace).map_err(|e| refused(&e))?,
            Ok(_) | Err(StoreError::NotFound) => {
                let zone = Zone::named("UTC").map_err(|e| refused(&e))?;
                Calendar { zone, quiet: None, daily_limit: None }
            }
            Err(error) => return Err(error.into()),
        };
        let gate = Gate::new(campaign.mode, &campaign.content.rules, &calendar).map_err(|e| refused(&e))?;
        Ok(Pace::new(gate, calendar.zone, campaign.plan.clone()))
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
            running.cells.hold_for_beginning();
            engine.0.board.all_obey(engine.0.board.announce_stop()).await;
            if let Err(error) = engine.begin(&running, &actor).await {
                tracing::error!(campaign = running.campaign.no.0, %error, "campaign not begun");
                return;
            }
            running.cells.begun();
            engine.0.board.ring_links();
        });
    }

    /// Tells every bind the new mailbox first: what binds give back from then on reaches it, and it keeps what the
    /// keeper did not know to be queued yet.
    async fn begin(&self, running: &Running, actor: &ActorRef<CampaignMsg>) -> Result<(), EngineError> {
        let gone = |what: &str| EngineError::NotRunning(what.to_owned());
        let (high, low) = running.campaign.workspace_id.0.as_u64_pair();
        let routes = self.routes(&running.campaign)?;
        let spec = FlowSpec {
            cells: Arc::clone(&running.cells),
            message: Arc::clone(&running.message),
            policy: running.campaign.delivery_policy,
            workspace: (high ^ low, 1),
            weight: running.campaign.weight.max(1),
            lane: running.campaign.content.rules.lane,
            rates: Vec::new(),
            retry: running.campaign.content.rules.retry.as_slice().into(),
            base: running.base,
            supply: campaign::supply_ref(actor),
        };
        let usable = (0..=u8::MAX).zip(&self.0.channels).filter(|(at, _)| routes.uses(*at));
        for (_, channel) in usable {
            let (told, answer) = oneshot::channel();
            let register = ChannelMsg::Register(Box::new(spec.clone()), told);
            channel.actor.cast(register).map_err(|_| gone("channel"))?;
            answer.await.map_err(|_| gone("channel"))?;
        }
        self.0.board.all_obey(self.0.board.announce_stop()).await;
        self.recorder_flush().await?;
        let (reply, remaining) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Remaining(running.campaign.no, reply)).await?;
        let remaining = remaining.await.map_err(|_| gone("keeper"))?;
        let pace = Box::new(self.pace(&running.campaign).await?);
        actor.cast(CampaignMsg::Begin(remaining, pace)).map_err(|_| gone("campaign"))?;
        *running.actor.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor.clone());
        Ok(())
    }

    /// Fills the receipt index for recovered campaigns in the background: the first PDU does not wait for it, and a
    /// receipt that comes before its entry is adopted by it.
    fn index_receipts(&self, campaigns: Vec<Arc<Running>>) -> Result<(), EngineError> {
        let engine = self.clone();
        self.0.env.start("receipt-index", async move {
            for running in campaigns.iter().filter(|running| running.message.receipts) {
                for chunk in 0..account_of(&running.campaign).chunks() {
                    let (reply, awaiting) = oneshot::channel();
                    let question = KeeperMsg::Awaiting(running.campaign.no, chunk, reply);
                    if engine.tell_keeper(question).await.is_err() {
                        return;
                    }
                    let Ok(awaiting) = awaiting.await else { return };
                    engine.expect_receipts(running, chunk, &awaiting);
                }
            }
        })?;
        Ok(())
    }

    fn expect_receipts(&self, running: &Running, chunk: u32, awaiting: &[AwaitedId]) {
        let parts = usize::from(running.message.parts());
        let now = self.0.env.clock.now();
        let mut facts = Facts::default();
        let mut adopted = 0;
        let mut desk = self.desk();
        for (channel, unit, id) in awaiting {
            let ordinal = running.base + ordinal_in(chunk, *unit, parts);
            if desk.matcher.knows(*channel, id, ordinal) {
                // The campaign sends while its index is filled: this unit was accepted in this very run.
                continue;
            }
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
    pub(super) fn watch_events(
        &self,
        mut events: mpsc::UnboundedReceiver<KeeperEvent>,
    ) -> Result<(), EngineError> {
        let engine = Arc::downgrade(&self.0);
        let ended = self.0.env.start("control", async move {
            while let Some(KeeperEvent::Settled(no)) = events.recv().await {
                loop {
                    let Some(inner) = engine.upgrade() else { return };
                    let Err(error) = Self(inner).complete(no).await else { break };
                    tracing::warn!(campaign = no.0, %error, "completion not recorded");
                    let passing = matches!(
                        error,
                        EngineError::Store(StoreError::Conflict { .. } | StoreError::Unavailable(_))
                    );
                    if !passing {
                        break;
                    }
                    tokio::time::sleep(COMPLETE_AGAIN_AFTER).await;
                }
            }
        })?;
        assembly::report_panic("control", ended, &self.0.failure);
        Ok(())
    }

    async fn complete(&self, no: CampaignNo) -> Result<(), EngineError> {
        let running = self.campaigns().get(&no).cloned();
        let Some(running) = running else { return Ok(()) };
        let campaign = self.campaign(running.campaign.workspace_id, running.campaign.id).await?;
        let expect = Expect::Version(campaign.state_version);
        let status = campaign.status.after(Move::Complete).unwrap_or(campaign.status);
        if status.is_final() && campaign.counts.is_none() {
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
}
