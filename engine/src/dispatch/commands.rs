//! Life-cycle commands: what somebody, or the calendar, asks of a campaign.
//!
//! Every command is one compare-and-set on `state_version`, so of several at once exactly one wins. A stop first sets
//! the flag, then is recorded, then waits until every link has obeyed; only then is it acknowledged. A command runs
//! to its end also when its caller goes away in the midst of it.

use crate::dispatch::account::Unsent;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::keeper::KeeperMsg;
use crate::dispatch::recovery::account_of;
use crate::dispatch::tally::Tally;
use crate::model::{
    Campaign, CampaignId, CampaignNo, Counts, HoldReason, Mode, Move, Principal, Status, UnitStatus,
    WorkspaceId,
};
use crate::schedule::{Gate, GateState};
use crate::store::{Change, Entity, Expect, Scope, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::Instrument;

/// How often a command is tried again that lost to a change which concerns nobody.
const MAX_TRIES: u32 = 3;
/// Pause before a campaign that cannot be read is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What is asked of a campaign.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Start,
    /// It wants to start by itself.
    AutoStart,
    /// The time of a started one has come.
    Send,
    Pause,
    Resume,
    Cancel,
    /// Before anything was sent.
    Withdraw,
    /// The same, and out of the lists.
    WithdrawAndArchive,
    Finish,
    Fail(String),
    Expire,
}

impl Command {
    /// Whether it ends or holds the sending of a campaign that runs.
    const fn stops(&self) -> bool {
        matches!(self, Self::Pause | Self::Cancel)
    }
}

impl Engine {
    /// Starts a campaign that is `Pending`: it is `Sending` when this returns, or armed until its time comes.
    ///
    /// # Errors
    /// [`EngineError::State`], [`EngineError::NotApproved`], [`EngineError::Sender`], [`EngineError::Route`] when no
    /// channel is left to it, [`EngineError::Preflight`] for a large one, the store's.
    pub async fn start_campaign(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        self.command((workspace, id), Command::Start, by).await
    }

    /// Pauses: when this returns, no further PDU of the campaign is written.
    ///
    /// # Errors
    /// [`EngineError::State`]; [`EngineError::StoppedNotRecorded`] when it is stopped but the store is down, also when
    /// the campaign could not even be read.
    pub async fn pause(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        self.command((workspace, id), Command::Pause, by).await
    }

    /// Cancels: when this returns, no further PDU of the campaign is written and what was queued is cancelled; of more
    /// than 131,072 parts the counts say so some moments later, a second for ten million.
    ///
    /// # Errors
    /// As for [`Self::pause`].
    pub async fn cancel(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        self.command((workspace, id), Command::Cancel, by).await
    }

    /// Cancels a campaign that has not begun to send: `New`, `Building` or `Pending`. Of this and a start exactly one
    /// wins; when this returns, nothing was sent and nothing ever will be.
    ///
    /// # Errors
    /// [`EngineError::State`], also when a start was first; the store's.
    pub async fn withdraw(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        self.command((workspace, id), Command::Withdraw, by).await
    }

    /// Cancels a campaign that has not begun to send, and archives it in the same transaction: two audit events, and
    /// never one without the other.
    ///
    /// # Errors
    /// As for [`Self::withdraw`]; [`EngineError::State`] also for one that is archived.
    pub async fn withdraw_and_archive(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        self.command((workspace, id), Command::WithdrawAndArchive, by).await
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
        self.command((workspace, id), Command::Resume, by).await
    }

    /// Takes no more numbers for a Trigger campaign: it is `Done` once what it has is sent.
    ///
    /// # Errors
    /// [`EngineError::State`], also for another mode or when it was finished before; the store's.
    pub async fn finish(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        self.command((workspace, id), Command::Finish, by).await
    }

    /// Stops a campaign for good because it cannot proceed, for this `reason`; what was queued is cancelled.
    ///
    /// # Errors
    /// As for [`Self::pause`].
    pub async fn fail(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        reason: &str,
        by: &Principal,
    ) -> Result<(), EngineError> {
        self.command((workspace, id), Command::Fail(reason.to_owned()), by).await
    }

    pub(super) async fn command(
        &self,
        (workspace, id): (WorkspaceId, CampaignId),
        command: Command,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let (engine, by) = (self.clone(), by.clone());
        // Boxed: whoever waits for it holds a pointer, not the state of every command.
        detached(Box::pin(async move {
            let mut tries = 0;
            loop {
                let campaign = match engine.campaign(workspace, id).await {
                    Err(EngineError::Store(error @ StoreError::Unavailable(_))) => {
                        return engine.stop_unread((workspace, id), &command, error).await;
                    }
                    campaign => campaign?,
                };
                let (status, done) =
                    (campaign.status, engine.carry_out(campaign, command.clone(), &by).await);
                let Err(EngineError::Store(StoreError::Conflict { .. })) = &done else { return done };
                // Lost to something that left the status as it was, a new plan for instance: not to a person.
                tries += 1;
                if tries > MAX_TRIES || engine.campaign(workspace, id).await?.status != status {
                    return done;
                }
            }
        }))
        .await
    }

    /// Stops what cannot be read and so not recorded, if it is asked to stop and this engine runs it for that
    /// workspace.
    async fn stop_unread(
        &self,
        (workspace, id): (WorkspaceId, CampaignId),
        command: &Command,
        error: StoreError,
    ) -> Result<(), EngineError> {
        let is_it = |running: &Campaign| running.id == id && running.workspace_id == workspace;
        let found = self.campaigns().values().find(|running| is_it(&running.campaign)).cloned();
        let Some(running) = found.filter(|_| command.stops()) else { return Err(error.into()) };
        running.cells.stop();
        self.0.board.all_obey(self.0.board.announce_stop()).await;
        // One that has ended has nothing to stop.
        let is_over = running.list.lock().await.is_over;
        Err(if is_over { error.into() } else { EngineError::StoppedNotRecorded(error) })
    }

    async fn carry_out(
        &self,
        campaign: Campaign,
        command: Command,
        by: &Principal,
    ) -> Result<(), EngineError> {
        match command {
            Command::Start => self.start_now(campaign, by).await,
            Command::AutoStart => self.start_by_itself(campaign, by).await,
            Command::Send => self.send_or_hold(campaign, by).await,
            Command::Pause => self.stop(campaign, (Move::Pause, None), by).await,
            Command::Resume => self.resume_now(campaign, by).await,
            Command::Finish => self.finish_now(campaign, by).await,
            Command::Cancel => self.end(campaign, (Move::Cancel, None), by).await,
            Command::Withdraw => self.withdraw_now(campaign, by).await,
            Command::WithdrawAndArchive => self.withdraw_and_archive_now(campaign, by).await,
            Command::Fail(reason) => self.end(campaign, (Move::Fail, Some(reason)), by).await,
            Command::Expire => self.end(campaign, (Move::Expire, None), by).await,
        }
    }

    async fn start_now(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        self.check_startable(&campaign).await?;
        // Also for one that is only armed: whoever starts it can still mend what is missing.
        self.require_go(&campaign).await?;
        // Its channels may have been taken away since it was built.
        let tenant = self.tenant(campaign.workspace_id).await?;
        self.routes(&campaign, &tenant)?;
        self.begin_or_arm(campaign, by, Self::send).await
    }

    async fn start_by_itself(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        self.check_startable(&campaign).await?;
        self.begin_or_arm(campaign, by, Self::send_or_hold).await
    }

    async fn check_startable(&self, campaign: &Campaign) -> Result<(), EngineError> {
        if campaign.status.after(Move::Start).is_none() || campaign.started {
            return Err(EngineError::State(campaign.status, Move::Start.word()));
        }
        self.check_started(campaign).await
    }

    /// Arms it for its time, or has it begun.
    async fn begin_or_arm(
        &self,
        campaign: Campaign,
        by: &Principal,
        begin: impl AsyncFnOnce(&Self, Campaign, &Principal) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let (workspace, id) = (campaign.workspace_id, campaign.id);
        let calendar = self.tenant(workspace).await?.settings().calendar.clone();
        let gate = Gate::new(campaign.mode, &campaign.content.rules, &calendar);
        let state = gate.map_err(|error| EngineError::NotBuilt(error.to_string()))?.at(self.timestamp());
        let is_timed = matches!(campaign.mode, Mode::OnTime | Mode::Spread);
        let started = match state {
            GateState::Over => return Err(EngineError::TooLate),
            GateState::Closed { why: HoldReason::Scheduled, .. } if is_timed => {
                self.record(Campaign { started: true, ..campaign }, (Move::Arm, None), by).await.map(drop)
            }
            GateState::Open { .. } | GateState::Closed { .. } => begin(self, campaign, by).await,
        };
        self.look_at(workspace, id);
        started
    }

    /// Begins to send a campaign whose time has come.
    pub(super) async fn send(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        let (workspace, id) = (campaign.workspace_id, campaign.id);
        let zone = self.tenant(workspace).await?.settings().calendar.zone.clone();
        let campaign = self.record(Campaign { started: true, ..campaign }, (Move::Start, None), by).await?;
        let account = Box::new(account_of(&campaign, Some(zone), 0, self.0.env.clock.now().wall_ms));
        let tally = Arc::new(Tally::default());
        account.publish(&tally);
        // The account first: it must know every row of a campaign that may be pushed to.
        self.tell_keeper(KeeperMsg::Open(account, Arc::clone(&tally))).await?;
        let running = self.running(campaign, tally).await?;
        // Stopped between the record and the moment when the stop could find it running.
        let mut unread = None;
        let status = loop {
            match self.campaign(workspace, id).await {
                Ok(campaign) => break campaign.status,
                Err(EngineError::Store(StoreError::Unavailable(_))) => {
                    unread = Some(running.cells.stop());
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
                Err(error) => return Err(error),
            }
        };
        if let Some(stop_gen) = unread.filter(|_| status == Status::Sending) {
            running.cells.go(stop_gen);
        }
        if status != Status::Sending {
            running.cells.stop();
        }
        if let Some(unsent) = unsent(status) {
            return self.settle_queued(running.campaign.no, unsent).await;
        }
        self.launch(&running).await
    }

    async fn resume_now(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        let running = self.campaigns().get(&campaign.no).cloned();
        // Taken before the resume is recorded: a stop that comes behind it is not undone.
        let stop_gen = running.as_ref().map(|r| r.cells.stop_gen());
        let resumed = self.record(campaign, (Move::Resume, None), by).await?;
        if let (Some(running), Some(stop_gen)) = (running, stop_gen) {
            running.cells.go(stop_gen);
            if running.cells.is_stopped() {
                // By a stop that came behind the look above and lost its record to this one, unless it was recorded.
                let stop_gen = running.cells.stop_gen();
                let now = self.campaign(resumed.workspace_id, resumed.id).await?;
                if now.status == Status::Sending && now.state_version == resumed.state_version {
                    running.cells.go(stop_gen);
                }
            }
            // A start that failed half way left it without an actor.
            self.launch(&running).await?;
        }
        self.0.board.ring_links();
        Ok(())
    }

    async fn finish_now(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        if campaign.mode != Mode::Trigger || campaign.finished {
            return Err(EngineError::State(campaign.status, Move::Finish.word()));
        }
        let no = campaign.no;
        let running = self.campaigns().get(&no).cloned();
        {
            // No call is between its look at the campaign and its ordinals.
            let _list = match &running {
                Some(running) => Some(running.list.lock().await),
                None => None,
            };
            self.record(Campaign { finished: true, ..campaign }, (Move::Finish, None), by).await?;
        }
        self.recorder_flush().await?;
        self.tell_keeper(KeeperMsg::Tell(no)).await
    }

    /// The compare-and-set alone decides: a start records itself before anything is made ready for sending, and finds
    /// another version behind this.
    async fn withdraw_now(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        if !has_not_begun(campaign.status) {
            return Err(EngineError::State(campaign.status, "be withdrawn"));
        }
        self.record(campaign, (Move::Cancel, None), by).await.map(drop)
    }

    async fn withdraw_and_archive_now(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        if !has_not_begun(campaign.status) || campaign.filing.archived_at.is_some() {
            return Err(EngineError::State(campaign.status, "be cancelled and archived"));
        }
        let scope = Scope::Workspace(campaign.workspace_id);
        let expect = Expect::Version(campaign.state_version);
        let cancelled = self.moved(campaign, (Move::Cancel, None))?;
        let behind = Expect::Version(cancelled.state_version);
        let mut archived = Campaign { state_version: cancelled.state_version + 1, ..cancelled.clone() };
        archived.filing.archived_at = Some(self.timestamp());
        archived.filing.archived_by = by.user_id;
        let change = |campaign, expect, action| Change {
            scope,
            expect,
            entity: Entity::Campaign(Box::new(campaign)),
            action,
        };
        let changes = vec![
            change(cancelled, expect, Move::Cancel.action()),
            change(archived, behind, "campaign.archive"),
        ];
        Ok(self.0.catalog.apply(changes, by, self.timestamp()).await?)
    }

    /// Stops a campaign for good and settles what it has not sent.
    async fn end(
        &self,
        campaign: Campaign,
        step: (Move, Option<String>),
        by: &Principal,
    ) -> Result<(), EngineError> {
        let (no, to) = (campaign.no, campaign.status.after(step.0));
        self.stop(campaign, step, by).await?;
        match to.and_then(unsent) {
            Some(unsent) => self.settle_queued(no, unsent).await,
            None => Ok(()),
        }
    }

    async fn settle_queued(&self, no: CampaignNo, unsent: Unsent) -> Result<(), EngineError> {
        self.recorder_flush().await?;
        let (reply, done) = oneshot::channel();
        self.tell_keeper(KeeperMsg::SettleQueued(no, unsent, reply)).await?;
        done.await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))
    }

    async fn stop(
        &self,
        campaign: Campaign,
        step: (Move, Option<String>),
        by: &Principal,
    ) -> Result<(), EngineError> {
        let (no, status) = (campaign.no, campaign.status);
        if status.after(step.0).is_none() {
            return Err(EngineError::State(status, step.0.word()));
        }
        let running = self.campaigns().get(&no).cloned();
        let Some(running) = running else {
            self.record(campaign, step, by).await?;
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
        let recorded = self.record(campaign, step, by).await;
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

    /// Records one move with its audit event; the campaign as it is then.
    pub(super) async fn record(
        &self,
        campaign: Campaign,
        step: (Move, Option<String>),
        by: &Principal,
    ) -> Result<Campaign, EngineError> {
        let (what, expect) = (step.0, Expect::Version(campaign.state_version));
        let changed = self.moved(campaign, step)?;
        self.apply(changed.clone(), expect, what, by).await?;
        Ok(changed)
    }

    /// A campaign behind one move, not recorded yet.
    fn moved(
        &self,
        campaign: Campaign,
        (what, reason): (Move, Option<String>),
    ) -> Result<Campaign, EngineError> {
        let Some(status) = campaign.status.after(what) else {
            return Err(EngineError::State(campaign.status, what.word()));
        };
        let mut changed = Campaign {
            status,
            hold_reason: if what == Move::Hold { campaign.hold_reason } else { what.hold_reason() },
            state_version: campaign.state_version + 1,
            stop_gen: campaign.stop_gen + u32::from(what.stops()),
            reason: reason.or(campaign.reason),
            ..campaign
        };
        if matches!(what, Move::Start | Move::Cancel) {
            // Why it was held says nothing about what it is now.
            changed.reason = None;
        }
        if what == Move::Start {
            changed.filing.started_at = changed.filing.started_at.or_else(|| Some(self.timestamp()));
        }
        if status.is_final() {
            changed.ended_at = Some(self.timestamp());
            if !matches!(campaign.status, Status::Sending | Status::Paused) {
                let units = changed.recipients * u64::from(changed.content.parts.max(1));
                changed.counts = changed.counts.or_else(|| never_sent(status, changed.recipients));
                changed.segment_counts = changed.segment_counts.or_else(|| never_sent(status, units));
                changed.receipts_over = true;
            }
        }
        Ok(changed)
    }

    pub(super) async fn apply(
        &self,
        campaign: Campaign,
        expect: Expect,
        what: Move,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let scope = Scope::Workspace(campaign.workspace_id);
        let entity = Entity::Campaign(Box::new(campaign));
        let change = Change { scope, expect, entity, action: what.action() };
        Ok(self.0.catalog.apply(vec![change], by, self.timestamp()).await?)
    }

    /// The wall clock as the catalog writes it.
    pub(super) fn timestamp(&self) -> jiff::Timestamp {
        self.0.env.clock.timestamp()
    }
}

/// Whether nothing of a campaign can have been sent yet; no way leads back here from `Sending`.
const fn has_not_begun(status: Status) -> bool {
    matches!(status, Status::New | Status::Building | Status::Pending)
}

/// What becomes of units that were not sent when their campaign got this status; `None` when they still may be.
pub(crate) fn unsent(status: Status) -> Option<Unsent> {
    use crate::model::record::reason::TOO_LATE;
    match status {
        Status::Cancelled | Status::Failed => Some(Unsent { status: UnitStatus::Cancelled, reason: 0 }),
        Status::Expired => Some(Unsent { status: UnitStatus::Expired, reason: TOO_LATE }),
        Status::New | Status::Building | Status::Pending | Status::Sending | Status::Paused => None,
        Status::Done => None,
    }
}

/// The account of a campaign that ended before it was ever started.
fn never_sent(status: Status, recipients: u64) -> Option<Counts> {
    let counts = Counts { total: recipients, ..Counts::default() };
    Some(match unsent(status)?.status {
        UnitStatus::Expired => Counts { expired: recipients, ..counts },
        _ => Counts { cancelled: recipients, ..counts },
    })
}

async fn detached(
    command: impl Future<Output = Result<(), EngineError>> + Send + 'static,
) -> Result<(), EngineError> {
    tokio::spawn(command.in_current_span())
        .await
        .unwrap_or_else(|ended| Err(EngineError::NotRunning(ended.to_string())))
}
