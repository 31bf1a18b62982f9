//! Campaigns that this engine runs: how one is launched, begun again after a crash or a panic, and ended.
//!
//! The first start, a start after a crash and a restart after a panic are one path: call everything back, flush,
//! ask the keeper what is left, begin.

use crate::dispatch::assembly::{self, start_child};
use crate::dispatch::bucket::Bucket;
use crate::dispatch::budget::Purse;
use crate::dispatch::campaign::CampaignMsg;
use crate::dispatch::cells::CampaignCells;
use crate::dispatch::channel::ChannelMsg;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::keeper::{KeeperEvent, KeeperMsg, Standing};
use crate::dispatch::launch::plan_of;
use crate::dispatch::matcher::Early;
use crate::dispatch::message::Message;
use crate::dispatch::push::ListEnd;
use crate::dispatch::recovery::Found;
use crate::dispatch::route::Routes;
use crate::dispatch::supervisor::{Recipe, Supervisor, SupervisorMsg};
use crate::dispatch::tally::Tally;
use crate::dispatch::tenant::Tenant;
use crate::model::{
    CHUNK_RECIPIENTS, Campaign, CampaignNo, HoldReason, Mode, Move, Plan, Principal, Status, WorkspaceId,
};
use crate::store::{Expect, StoreError};
use pdu::MessageIdForm;
use ractor::ActorRef;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Pause before an end that could not be recorded, for instance because a pause came first, is recorded again.
const COMPLETE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A campaign as the engine runs it.
pub(super) struct Running {
    pub(super) campaign: Campaign,
    pub(super) cells: Arc<CampaignCells>,
    pub(super) tally: Arc<Tally>,
    pub(super) message: Arc<Message>,
    pub(super) actor: Mutex<Option<ActorRef<CampaignMsg>>>,
    /// Whether it has an actor, or will have one in a moment: a second one would send everything again.
    pub(super) launched: AtomicBool,
    /// How far the list of a Trigger campaign is; held while an actor begins.
    pub(super) list: tokio::sync::Mutex<ListEnd>,
    /// What it draws on; it outlives its actors.
    pub(super) purse: Arc<Purse>,
    /// Over which channels it may send; `None` until it has an actor.
    pub(super) routes: Mutex<Option<Arc<Routes>>>,
    /// Limits beside the channel's under which it sends.
    pub(super) rates: Mutex<Vec<Arc<Bucket>>>,
    /// Its plan as it is now.
    pub(super) plan: Mutex<Option<Plan>>,
}

impl Running {
    /// Over which channels it may send, once that is known.
    pub(super) fn routes(&self) -> Option<Arc<Routes>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Engine {
    pub(super) async fn resume_recovered(
        &self,
        campaigns: Vec<Found>,
        orphans: Vec<(u32, Early)>,
    ) -> Result<(), EngineError> {
        {
            let mut desk = self.desk();
            for (channel, early) in orphans {
                desk.matcher.keep_early(channel, MessageIdForm::Auto, early);
            }
        }
        let mut recovered = Vec::new();
        for Found { campaign, tally } in campaigns {
            let (no, ended) = (campaign.no, campaign.status.is_final());
            match self.running(campaign, tally).await {
                Ok(running) => recovered.push(running),
                // Nothing more is sent for it: it must not keep the others from going on.
                Err(error) if ended => tracing::warn!(campaign = no.0, %error, "ended campaign left aside"),
                Err(error @ EngineError::Store(StoreError::Unavailable(_))) => return Err(error),
                Err(error) => {
                    tracing::error!(campaign = no.0, %error, "campaign left aside, it needs a person")
                }
            }
        }
        self.watch_receipts(recovered.clone())?;
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

    pub(super) async fn running(
        &self,
        campaign: Campaign,
        tally: Arc<Tally>,
    ) -> Result<Arc<Running>, EngineError> {
        let tenant = self.tenant(campaign.workspace_id).await?;
        let reference = u16::try_from(campaign.no.0 % 255).unwrap_or(0) + 1;
        let message = Arc::new(Message::new(&campaign.content, reference)?);
        let cells = Arc::new(CampaignCells::new(campaign.no, campaign.stop_gen));
        let next = tally.counts().total;
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).insert(campaign.id, Arc::clone(&tally));
        let purse = Self::purse(&campaign, &tenant);
        let running = Arc::new(Running {
            purse,
            plan: plan_of(&campaign),
            routes: Mutex::default(),
            rates: Mutex::default(),
            campaign,
            cells,
            tally,
            message,
            actor: Mutex::default(),
            launched: AtomicBool::new(false),
            list: tokio::sync::Mutex::new(ListEnd { next, known: 0, is_over: false }),
        });
        self.campaigns().insert(running.campaign.no, Arc::clone(&running));
        self.charge(&running, &tenant).await?;
        Ok(running)
    }

    /// Lets the keeper charge a campaign to days of its workspace's zone. What was recorded with an end is charged
    /// when the tenant is made.
    pub(super) async fn charge(&self, running: &Running, tenant: &Tenant) -> Result<(), EngineError> {
        if running.campaign.counts.is_some() {
            return Ok(());
        }
        let zone = tenant.settings().calendar.zone.clone();
        self.tell_keeper(KeeperMsg::Charge(running.campaign.no, Arc::clone(&running.purse), zone)).await
    }

    pub(super) async fn workspace(&self, id: WorkspaceId) -> Result<ActorRef<SupervisorMsg>, EngineError> {
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
    pub(super) fn campaign_started(&self, running: &Arc<Running>, actor: ActorRef<CampaignMsg>) {
        let (engine, running) = (self.clone(), Arc::clone(running));
        tokio::spawn(async move {
            running.cells.hold_for_beginning();
            engine.0.board.all_obey(engine.0.board.announce_stop()).await;
            while let Err(error) = engine.begin(&running, &actor).await {
                tracing::error!(campaign = running.campaign.no.0, %error, "campaign not begun");
                if !matches!(error, EngineError::Store(StoreError::Unavailable(_))) {
                    return;
                }
                tokio::time::sleep(COMPLETE_AGAIN_AFTER).await;
            }
            running.cells.begun();
            engine.0.board.ring_links();
        });
    }

    /// Ends campaigns that have settled.
    pub(super) fn watch_events(
        &self,
        mut events: mpsc::UnboundedReceiver<KeeperEvent>,
    ) -> Result<(), EngineError> {
        let engine = Arc::downgrade(&self.0);
        let ended = self.0.env.start("control", async move {
            while let Some(event) = events.recv().await {
                let no = match event {
                    KeeperEvent::Settled(no) => no,
                    KeeperEvent::Freed(no) => {
                        let Some(inner) = engine.upgrade() else { return };
                        Self(inner).look_for_places(no);
                        continue;
                    }
                };
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

    /// Lets campaigns look again that wait for places of a day which this one has freed.
    fn look_for_places(&self, no: CampaignNo) {
        let campaigns = self.campaigns();
        let Some(workspace) = campaigns.get(&no).map(|running| running.campaign.workspace_id) else { return };
        let waits = |running: &&Arc<Running>| running.cells.hold() == Some(HoldReason::DailyLimit);
        let of_workspace = campaigns.values().filter(|running| running.campaign.workspace_id == workspace);
        for running in of_workspace.filter(waits) {
            let actor = running.actor.lock().unwrap_or_else(PoisonError::into_inner);
            if actor.as_ref().is_some_and(|actor| actor.cast(CampaignMsg::Look).is_err()) {
                tracing::debug!(campaign = running.campaign.no.0, "already ended");
            }
        }
    }

    async fn complete(&self, no: CampaignNo) -> Result<(), EngineError> {
        let running = self.campaigns().get(&no).cloned();
        let Some(running) = running else { return Ok(()) };
        let campaign = self.campaign(running.campaign.workspace_id, running.campaign.id).await?;
        let is_open = campaign.mode == Mode::Trigger && !campaign.finished;
        if is_open && !campaign.status.is_final() {
            // Settled for the moment: more numbers may come.
            return Ok(());
        }
        let Standing { is_settled, charges, awaits_receipts, traffic } = self.closing(no).await?;
        if !is_settled {
            // What had settled then has grown since; the keeper tells again.
            return Ok(());
        }
        let counts = running.tally.counts();
        let expect = Expect::Version(campaign.state_version);
        let what = if campaign.counts.is_none() { Move::Complete } else { Move::CloseReceipts };
        let status = campaign.status.after(what).unwrap_or(campaign.status);
        // Recorded when it ends, and again when its last receipt has come or is given up.
        let is_news = !awaits_receipts && (!campaign.receipts_over || campaign.counts != Some(counts));
        if status.is_final() && (campaign.counts.is_none() || is_news) {
            let ended = Campaign {
                status,
                hold_reason: None,
                state_version: campaign.state_version + 1,
                ended_at: campaign.ended_at.or_else(|| Some(self.timestamp())),
                charged: charges,
                recipients: if campaign.mode == Mode::Trigger { counts.total } else { campaign.recipients },
                counts: Some(counts),
                segment_counts: Some(running.tally.segment_counts()),
                receipts_over: !awaits_receipts,
                ..campaign
            };
            // Before the end: until that is recorded, a start finds the campaign and tells its traffic anew.
            self.put_traffic(&ended, traffic).await?;
            self.apply(ended, expect, what, &Principal::engine()).await?;
        }
        // No actor of it registers behind this: a flow of a campaign that has ended would stay with every link.
        running.list.lock().await.is_over = true;
        for channel in &self.0.channels {
            if channel.actor.cast(ChannelMsg::Unregister(no)).is_err() {
                tracing::debug!(channel = channel.name, "already ended");
            }
        }
        running.purse.forget_ahead();
        let actor = running.actor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(actor) = actor
            && actor.cast(CampaignMsg::End).is_err()
        {
            tracing::debug!(campaign = no.0, "already ended");
        }
        Ok(())
    }
}

/// Chunks that a campaign has now.
pub(super) fn chunks_of(tally: &Tally) -> u32 {
    u32::try_from(tally.counts().total.div_ceil(CHUNK_RECIPIENTS as u64)).unwrap_or(u32::MAX)
}
