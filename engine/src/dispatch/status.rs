//! What the engine tells about itself: campaigns, channels, times, whether it goes on, whether it stores, what waits.

use crate::dispatch::assembly::Channel;
use crate::dispatch::config::ChannelConfig;
use crate::dispatch::engine::{ChannelStatus, Engine, EngineError, Progress};
use crate::dispatch::keeper::KeeperMsg;
use crate::dispatch::latency::Latency;
use crate::dispatch::preflight::takes_units;
use crate::dispatch::route::{RouteError, Routes};
use crate::dispatch::running::Running;
use crate::model::{
    Campaign, CampaignId, CampaignNo, ChunkNo, ChunkState, Counts, HoldReason, Status, UnitStatus, UserId,
    Workspace, WorkspaceId,
};
use crate::store::{Recipients, StoreError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use tokio::sync::oneshot;

/// What a final receipt can say, in the order of `ChannelStatus::receipts_by_state`.
pub(crate) const RECEIPT_STATES: [UnitStatus; 5] = [
    UnitStatus::Delivered,
    UnitStatus::Undeliverable,
    UnitStatus::Rejected,
    UnitStatus::Expired,
    UnitStatus::Unknown,
];

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CampaignState {
    /// Its status.
    pub status: Status,
    /// Why it waits, if it does.
    pub hold_reason: Option<HoldReason>,
    /// Whether a Trigger campaign takes no more numbers.
    pub finished: bool,
    /// Recipients by state.
    pub counts: Counts,
    /// Segments by state; parts not yet rendered count as the longest message has them.
    pub segments: Counts,
}

/// For whom a channel works, as one workspace sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// Not for this workspace.
    Not,
    /// For this workspace alone.
    Alone,
    /// For this workspace and others that are named.
    Among,
    /// For every workspace.
    Everybody,
}

/// What a campaign that the engine holds has reached, for a pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveCampaign {
    /// Its owner.
    pub workspace_id: WorkspaceId,
    /// Its id.
    pub id: CampaignId,
    /// Who created it.
    pub created_by: UserId,
    /// Recipients whose message is sent and not answered.
    pub in_flight: u64,
    /// Recipients with at least one part handed to the wire.
    pub submitted: u64,
}

impl Engine {
    /// What a campaign has reached; `None` for one that this engine does not run.
    #[must_use]
    pub fn progress(&self, id: CampaignId) -> Option<Progress> {
        let tally = self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()?;
        Some(Progress {
            counts: tally.counts(),
            segments: tally.segment_counts(),
            submitted: tally.submitted.load(Ordering::Relaxed),
            repeated: tally.repeated.load(Ordering::Relaxed),
        })
    }

    /// Where a campaign stands, why it waits, and what it has reached.
    ///
    /// # Errors
    /// The store's; `NotFound` also for another workspace's.
    pub async fn status(&self, workspace: WorkspaceId, id: CampaignId) -> Result<CampaignState, EngineError> {
        let campaign = self.campaign(workspace, id).await?;
        let live = self.progress(id);
        let hold_reason = match campaign.status {
            Status::Sending => self.hold_reason(id),
            _ => campaign.hold_reason,
        };
        let unsent = |queued| Counts { total: queued, queued, ..Counts::default() };
        let units = campaign.recipients * u64::from(campaign.content.parts.max(1));
        let counts = live.map(|live| live.counts).or(campaign.counts);
        let segments = live.map(|live| live.segments).or(campaign.segment_counts);
        Ok(CampaignState {
            status: campaign.status,
            hold_reason,
            finished: campaign.finished,
            counts: counts.unwrap_or_else(|| unsent(campaign.recipients)),
            segments: segments.unwrap_or_else(|| unsent(units)),
        })
    }

    /// Why a campaign that is `Sending` does not send now, if it does not: its calendar or limits first, then what
    /// keeps every campaign.
    #[must_use]
    pub fn hold_reason(&self, id: CampaignId) -> Option<HoldReason> {
        let running = self.campaigns().values().find(|running| running.campaign.id == id).cloned()?;
        let counts = running.tally.counts();
        if counts.queued == 0 {
            // A Trigger campaign that has nothing to send waits for nothing.
            return running.cells.hold().filter(|why| *why != HoldReason::DailyLimit);
        }
        // Without an actor it says itself what it waits for.
        let is_reachable = running.routes().is_none_or(|routes| {
            let channels = (0..=u8::MAX).zip(&self.0.channels);
            channels.filter(|(at, _)| routes.uses(*at)).any(|(_, channel)| takes_units(channel))
        });
        let now_ns = self.0.env.clock.now().mono_us.saturating_mul(1_000);
        let rates = running.rates.lock().unwrap_or_else(PoisonError::into_inner).clone();
        running
            .cells
            .hold()
            .or_else(|| (!is_reachable).then_some(HoldReason::NoChannel))
            .or_else(|| (!self.is_storing()).then_some(HoldReason::StoreUnavailable))
            .or_else(|| {
                let is_empty = rates.iter().any(|bucket| bucket.ready_at(now_ns) > now_ns);
                is_empty.then_some(HoldReason::RateLimit)
            })
    }

    /// The recipients of a chunk, with those that no file holds yet.
    pub(crate) async fn list(&self, no: CampaignNo, chunk: ChunkNo) -> Result<Recipients, StoreError> {
        match self.0.growth.get(no, chunk) {
            Some(recipients) => Ok(recipients),
            None => self.0.journal.recipients(no, chunk).await,
        }
    }

    /// Where the recipients of a chunk stand, with what is not saved yet.
    pub(crate) async fn columns(
        &self,
        campaign: &Campaign,
        chunk: ChunkNo,
    ) -> Result<ChunkState, StoreError> {
        if self.progress(campaign.id).is_none() {
            return Ok(self.0.journal.state(campaign.no, chunk).await?.unwrap_or_default());
        }
        let ended = || StoreError::Unavailable("the keeper of accounts has ended".to_owned());
        let (reply, columns) = oneshot::channel();
        self.tell_keeper(KeeperMsg::Columns(campaign.no, chunk, reply)).await.map_err(|_| ended())?;
        Ok(columns.await.map_err(|_| ended())?.unwrap_or_default())
    }

    /// The names of the channels that a campaign of this workspace would be sent over, as its terms are; `pinned` is
    /// the only one that it wants.
    ///
    /// # Errors
    /// [`RouteError`], in words for the campaign's author.
    pub fn channels_of(
        &self,
        workspace: &Workspace,
        pinned: Option<&str>,
    ) -> Result<Vec<String>, RouteError> {
        let routes = Routes::new(&self.0.configured, workspace.id, &workspace.terms.channels, pinned)?;
        let used = (0..=u8::MAX).zip(&self.0.configured).filter(|(at, _)| routes.uses(*at));
        Ok(used.map(|(_, channel)| channel.name.clone()).collect())
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
                rate_per_s: cells.rate_per_s(),
                breaker: cells.breaker(),
                retried: count(&cells.retried),
                unknown: count(&cells.unknown),
                receipts: cells.receipts.iter().map(count).sum(),
                receipts_by_state: RECEIPT_STATES.map(|state| count(&cells.receipts[state as usize])),
                orphans: count(&cells.orphans),
                strays: count(&cells.strays),
                receipts_deferred: count(&cells.receipts_deferred),
                inbound: count(&cells.inbound),
            }
        };
        self.0.channels.iter().map(of).collect()
    }

    /// Quantile of the time from submit to answer over all channels since the start, microseconds.
    #[must_use]
    pub fn submit_latency_us(&self, quantile: f64) -> u64 {
        let mut all = Latency::new();
        self.submit_latencies().iter().for_each(|of_channel| all.add(of_channel));
        all.quantile(quantile)
    }

    /// Times from submit to accepting answer since the start, channel by channel as in [`Engine::channels`].
    #[must_use]
    pub fn submit_latencies(&self) -> Vec<Latency> {
        self.desk().latency.clone()
    }

    /// Whether a channel takes messages of a workspace, and whether it takes those of others too; places as in
    /// [`Engine::channels`].
    #[must_use]
    pub fn serves(&self, workspace: WorkspaceId) -> Vec<Serving> {
        let of = |channel: &ChannelConfig| match channel.workspaces.as_slice() {
            [] => Serving::Everybody,
            [only] if *only == workspace => Serving::Alone,
            some if some.contains(&workspace) => Serving::Among,
            _ => Serving::Not,
        };
        self.0.configured.iter().map(of).collect()
    }

    /// What the campaigns that this engine holds have reached, those whose receipts are awaited too; by number.
    #[must_use]
    pub fn live_campaigns(&self) -> Vec<LiveCampaign> {
        let of = |running: &Arc<Running>| LiveCampaign {
            workspace_id: running.campaign.workspace_id,
            id: running.campaign.id,
            created_by: running.campaign.created_by,
            in_flight: running.tally.by_status[UnitStatus::Intended as usize].load(Ordering::Relaxed),
            submitted: running.tally.submitted.load(Ordering::Relaxed),
        };
        self.campaigns().values().map(of).collect()
    }

    /// Ids that await a receipt.
    #[must_use]
    pub fn receipts_awaited(&self) -> usize {
        self.desk().matcher.waiting()
    }

    /// Units whose receipts did not come in time, since the start.
    #[must_use]
    pub fn receipts_overdue(&self) -> u64 {
        self.0.overdue.load(Ordering::Relaxed)
    }

    /// Units whose fate this start left unknown, and units that it found never sent.
    #[must_use]
    pub fn recovered(&self) -> (u64, u64) {
        self.0.recovered
    }

    /// Recipients of all campaigns that are not yet sent.
    #[must_use]
    pub fn queued(&self) -> u64 {
        let tallies = self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.values().map(|tally| tally.counts().queued).sum()
    }

    /// Whether the engine goes on: not failed, not shut down.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.failure.borrow().is_none()
    }

    /// Whether the store took the newest facts; while it does not, nothing new is sent.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        self.0.recorder.is_healthy()
    }
}
