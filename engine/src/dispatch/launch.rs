//! What a running campaign is given: its purse, routes, pace and place at the binds, and how these change live.
//!
//! The keeper has told every budget what is charged before the first campaign of a workspace begins: it answers in
//! order what is asked for at each beginning.

use crate::dispatch::assembly::start_child;
use crate::dispatch::budget::{Budget, Purse};
use crate::dispatch::campaign::{self, CampaignActor, CampaignMsg};
use crate::dispatch::channel::ChannelMsg;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::keeper::{KeeperMsg, Remaining, Standing};
use crate::dispatch::link::FlowSpec;
use crate::dispatch::loader::{Reading, Source};
use crate::dispatch::route::{RouteError, Routes};
use crate::dispatch::running::Running;
use crate::dispatch::sieve::Sieve;
use crate::dispatch::supervisor::Recipe;
use crate::dispatch::tenant::Tenant;
use crate::dispatch::timing::Pace;
use crate::model::{
    CHUNK_RECIPIENTS, Campaign, CampaignNo, HoldReason, Mode, Move, Plan, Principal, Status, WorkspaceId,
};
use crate::schedule::{Gate, PlanTerms, respread};
use ractor::ActorRef;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use tokio::sync::oneshot;

impl Engine {
    /// What a campaign draws on: its own budget and its workspace's.
    pub(super) fn purse(campaign: &Campaign, tenant: &Tenant) -> Arc<Purse> {
        let own = Budget::new(campaign.content.rules.daily_limit);
        Arc::new(Purse::new(own, Arc::clone(&tenant.budget)))
    }

    /// Starts the campaign's actor under its workspace's supervisor, once.
    pub(super) async fn launch(&self, running: &Arc<Running>) -> Result<(), EngineError> {
        if running.launched.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let launched = self.launch_now(running).await;
        if launched.is_err() {
            // The next command tries again.
            running.launched.store(false, Ordering::Release);
        }
        launched
    }

    async fn launch_now(&self, running: &Arc<Running>) -> Result<(), EngineError> {
        let supervisor = self.workspace(running.campaign.workspace_id).await?;
        let (engine, of) = (self.clone(), Arc::clone(running));
        let on_start: campaign::OnStart = Arc::new(move |actor| engine.campaign_started(&of, actor));
        let tenant = self.tenant(running.campaign.workspace_id).await?;
        let routes = match self.routes(&running.campaign, &tenant) {
            // Its channels were taken away since it started: it must not keep the others from going on.
            Err(error) => {
                tracing::warn!(campaign = running.campaign.no.0, %error, "campaign waits for a channel");
                running.cells.set_hold(Some(HoldReason::NoChannel));
                // A change of its workspace, or the next command, tries again.
                running.launched.store(false, Ordering::Release);
                return Ok(());
            }
            Ok(routes) => Arc::new(routes),
        };
        *running.routes.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&routes));
        let arguments = self.arguments(running, routes, on_start);
        let name = format!("campaign {}", arguments.no.0);
        let recipe = Recipe::new::<CampaignActor, _>(name, move || arguments.clone());
        start_child(&supervisor, recipe).await.map(drop)
    }

    fn arguments(
        &self,
        running: &Running,
        routes: Arc<Routes>,
        on_start: campaign::OnStart,
    ) -> campaign::Arguments {
        let campaign = &running.campaign;
        let rules = &campaign.content.rules;
        let sieve = Sieve {
            no: campaign.no,
            message: Arc::clone(&running.message),
            parts: campaign.content.parts,
            routes,
            suppressed: self.0.suppressions.of(campaign.workspace_id),
            variables: campaign.content.variables.len(),
            transactional: rules.transactional,
            validity_s: rules.validity_s.filter(|_| campaign.mode == Mode::Trigger),
        };
        let engine = Arc::downgrade(&self.0);
        let on_overdue = move |no| {
            if let Some(inner) = engine.upgrade() {
                tokio::spawn(async move { Engine(inner).spread_anew(no).await });
            }
        };
        campaign::Arguments {
            no: campaign.no,
            recipients: campaign.recipients,
            sieve: Arc::new(sieve),
            purse: Arc::clone(&running.purse),
            cells: Arc::clone(&running.cells),
            board: Arc::clone(&self.0.board),
            recorder: Arc::clone(&self.0.recorder),
            clock: self.0.env.clock,
            loader: self.0.loader.clone(),
            source: (campaign.mode == Mode::Trigger).then(|| self.source(campaign.no)),
            on_start,
            on_overdue: Arc::new(on_overdue),
        }
    }

    /// Where the recipients of a Trigger campaign are read: what no file holds yet comes first.
    fn source(&self, no: CampaignNo) -> Source {
        let (growth, journal) = (Arc::clone(&self.0.growth), Arc::clone(&self.0.journal));
        Arc::new(move |chunk| {
            let (growth, journal) = (Arc::clone(&growth), Arc::clone(&journal));
            Box::pin(async move {
                match growth.get(no, chunk) {
                    Some(recipients) => Ok(recipients),
                    None => journal.recipients(no, chunk).await,
                }
            }) as Reading
        })
    }

    /// Over which channels a campaign may send, as its workspace is now.
    pub(super) fn routes(&self, campaign: &Campaign, tenant: &Tenant) -> Result<Routes, RouteError> {
        let pinned = campaign.content.rules.channel.as_deref();
        Routes::new(&self.0.configured, campaign.workspace_id, &tenant.settings().channels, pinned)
    }

    /// Bars from a campaign the channels that its workspace has no more; whether binds may hold what they must not
    /// send now.
    fn limit_channels(&self, running: &Running, tenant: &Tenant) -> bool {
        let routes = running.routes();
        routes.is_some_and(|routes| routes.limit(&self.0.configured, &tenant.settings().channels))
    }

    /// When a campaign may send, as its workspace and its plan are now.
    async fn pace(&self, running: &Running) -> Result<Pace, EngineError> {
        let campaign = &running.campaign;
        let calendar = self.tenant(campaign.workspace_id).await?.settings().calendar.clone();
        let gate = Gate::new(campaign.mode, &campaign.content.rules, &calendar)
            .map_err(|error| EngineError::NotBuilt(error.to_string()))?;
        let plan = running.plan.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Pace::new(gate, calendar.zone, plan))
    }

    /// Tells every bind that the campaign may use where its units come from and under which limits they leave.
    async fn register(&self, running: &Running, actor: &ActorRef<CampaignMsg>) -> Result<(), EngineError> {
        let gone = |_| EngineError::NotRunning("channel".to_owned());
        let campaign = &running.campaign;
        let tenant = self.tenant(campaign.workspace_id).await?;
        let sender = self.sender_rate(campaign).await?;
        let rates: Vec<_> = tenant.rate().into_iter().chain(sender).collect();
        running.rates.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&rates);
        let (high, low) = campaign.workspace_id.0.as_u64_pair();
        let rules = &campaign.content.rules;
        let spec = FlowSpec {
            cells: Arc::clone(&running.cells),
            message: Arc::clone(&running.message),
            policy: campaign.delivery_policy,
            workspace: (high ^ low, tenant.settings().weight),
            weight: campaign.weight.max(1),
            lane: rules.lane,
            rates,
            retry: rules.retry.as_slice().into(),
            suppressed: self.0.suppressions.of(campaign.workspace_id),
            transactional: rules.transactional,
            purse: Arc::clone(&running.purse),
            supply: campaign::supply_ref(actor),
        };
        // A barred channel too: what its binds give back must reach this mailbox.
        let routes = running.routes();
        let is_concerned = |channel: u8| routes.as_ref().is_some_and(|routes| routes.knows(channel));
        for (_, channel) in (0..=u8::MAX).zip(&self.0.channels).filter(|(at, _)| is_concerned(*at)) {
            let (told, answer) = oneshot::channel();
            let register = ChannelMsg::Register(Box::new(spec.clone()), told);
            channel.actor.cast(register).map_err(|_| EngineError::NotRunning("channel".to_owned()))?;
            answer.await.map_err(gone)?;
        }
        Ok(())
    }

    /// Tells every bind the new mailbox first: what binds give back from then on reaches it, and it keeps what the
    /// keeper did not know to be queued yet.
    pub(super) async fn begin(
        &self,
        running: &Running,
        actor: &ActorRef<CampaignMsg>,
    ) -> Result<(), EngineError> {
        let gone = |what: &str| EngineError::NotRunning(what.to_owned());
        let mut list = running.list.lock().await;
        if list.is_over {
            return actor.cast(CampaignMsg::End).map_err(|_| gone("campaign"));
        }
        // Changed between its launch and this.
        self.limit_channels(running, &*self.tenant(running.campaign.workspace_id).await?);
        self.register(running, actor).await?;
        self.0.board.all_obey(self.0.board.announce_stop()).await;
        let pace = Box::new(self.pace(running).await?);
        self.recorder_flush().await?;
        let remaining = self.remaining(running.campaign.no).await?;
        // Whatever comes back from now on comes behind the beginning.
        running.purse.forget_ahead();
        actor.cast(CampaignMsg::Begin(remaining, pace)).map_err(|_| gone("campaign"))?;
        list.known = list.next;
        *running.actor.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor.clone());
        Ok(())
    }

    async fn remaining(&self, no: CampaignNo) -> Result<Remaining, EngineError> {
        let (reply, remaining) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Remaining(no, reply)).await?;
        remaining.await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))
    }

    /// How a campaign stands with the keeper.
    pub(super) async fn standing(&self, no: CampaignNo) -> Result<Standing, EngineError> {
        let (reply, standing) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Standing(no, reply)).await?;
        standing.await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))
    }

    /// The same for the record of its end: one that has settled is in its file before the answer.
    pub(super) async fn closing(&self, no: CampaignNo) -> Result<Standing, EngineError> {
        let (reply, standing) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Close(no, reply)).await?;
        Ok(standing.await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))??)
    }

    /// Plans anew what an outage has left unsent, and records that. What fails is asked for again by the actor.
    async fn spread_anew(&self, no: CampaignNo) {
        let running = self.campaigns().get(&no).cloned();
        let Some(running) = running else { return };
        match self.respread_now(&running).await {
            Ok(()) => tracing::info!(campaign = no.0, "its rest is planned anew"),
            Err(error) => tracing::warn!(campaign = no.0, %error, "no new plan"),
        }
    }

    async fn respread_now(&self, running: &Running) -> Result<(), EngineError> {
        let campaign = self.campaign(running.campaign.workspace_id, running.campaign.id).await?;
        let Some(plan) = campaign.plan.clone().filter(|_| campaign.status == Status::Sending) else {
            return Err(EngineError::State(campaign.status, Move::Respread.word()));
        };
        let tenant = self.tenant(campaign.workspace_id).await?;
        let calendar = tenant.settings().calendar.clone();
        let now = self.timestamp();
        let today = calendar.zone.day_of(now);
        let charged = self.standing(campaign.no).await?.charges;
        let unsent = unsent_rows(&self.remaining(campaign.no).await?, &campaign);
        let terms = PlanTerms {
            rules: &campaign.content.rules,
            calendar: &calendar,
            charged: &charged,
            workspace_charged: &[(today, tenant.budget.used(today))],
            now,
        };
        let anew = respread(&plan, &unsent, &terms).map_err(|why| EngineError::NotBuilt(why.to_string()))?;
        let changed = Campaign { plan: Some(anew.plan.clone()), ..campaign };
        self.record(changed, (Move::Respread, None), &Principal::engine()).await?;
        *running.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(anew.plan);
        self.tell_pace(running).await
    }

    async fn tell_pace(&self, running: &Running) -> Result<(), EngineError> {
        let pace = Box::new(self.pace(running).await?);
        let actor = running.actor.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(actor) = actor
            && actor.cast(CampaignMsg::Pace(pace)).is_err()
        {
            tracing::debug!(campaign = running.campaign.no.0, "already ended");
        }
        Ok(())
    }

    /// Applies what a workspace says now to its running campaigns.
    pub(super) async fn apply_to_running(&self, workspace: WorkspaceId) -> Result<(), EngineError> {
        let concerned: Vec<Arc<Running>> = {
            let campaigns = self.campaigns();
            campaigns.values().filter(|r| r.campaign.workspace_id == workspace).cloned().collect()
        };
        let tenant = self.tenant(workspace).await?;
        for running in concerned {
            self.charge(&running, &tenant).await?;
            let is_launched = running.launched.load(Ordering::Acquire);
            if !is_launched && running.cells.hold() == Some(HoldReason::NoChannel) {
                self.launch(&running).await?;
            }
            // No new incarnation of its actor registers meanwhile.
            let _list = running.list.lock().await;
            let actor = running.actor.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(actor) = actor {
                let has_lost = self.limit_channels(&running, &tenant);
                self.register(&running, &actor).await?;
                if has_lost && actor.cast(CampaignMsg::Barred).is_err() {
                    tracing::debug!(campaign = running.campaign.no.0, "already ended");
                }
                self.tell_pace(&running).await?;
                self.look_at(workspace, running.campaign.id);
            }
        }
        self.0.board.ring_links();
        Ok(())
    }
}

/// Rows whose first part has not left, as (first recipient, count).
fn unsent_rows(remaining: &Remaining, campaign: &Campaign) -> Vec<(u64, u64)> {
    let chunk_rows = CHUNK_RECIPIENTS as u64;
    let parts = u64::from(campaign.content.parts.max(1));
    let whole = remaining.untouched.iter().map(|chunk| {
        let first = u64::from(*chunk) * chunk_rows;
        (first, campaign.recipients.saturating_sub(first).min(chunk_rows))
    });
    let pieces = remaining.runs.iter().map(|run| {
        let (from, count) = (u64::from(run.from), u64::from(run.count));
        let (first, end) = (from.div_ceil(parts), (from + count).div_ceil(parts));
        (u64::from(run.chunk) * chunk_rows + first, end.saturating_sub(first))
    });
    whole.chain(pieces).filter(|(_, count)| *count > 0).collect()
}

/// The plan that a campaign has when it starts to run.
pub(super) fn plan_of(campaign: &Campaign) -> std::sync::Mutex<Option<Plan>> {
    std::sync::Mutex::new(campaign.plan.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::campaign;
    use crate::model::Run;

    #[test]
    fn rows_count_as_unsent_by_their_first_part() {
        let mut campaign = Campaign { recipients: 4_100, ..campaign(Mode::Spread) };
        let run = |from, count| Run { chunk: 0, from, count };
        let remaining = Remaining { untouched: vec![1], runs: vec![run(0, 3), run(10, 1)] };
        assert_eq!(unsent_rows(&remaining, &campaign), [(4_096, 4), (0, 3), (10, 1)]);
        campaign.content.parts = 3;
        let remaining = Remaining { untouched: Vec::new(), runs: vec![run(0, 4), run(7, 2), run(8, 5)] };
        assert_eq!(unsent_rows(&remaining, &campaign), [(0, 2), (3, 2)]);
    }
}
