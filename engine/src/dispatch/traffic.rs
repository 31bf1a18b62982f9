//! The traffic of a workspace: what the catalog holds of campaigns that ended, and what the keeper knows of its own.
//!
//! A campaign that the keeper holds is told by the keeper alone, so that none is counted twice.

use crate::dispatch::account::Hours;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::keeper::KeeperMsg;
use crate::model::traffic::Traffic;
use crate::model::{Campaign, CampaignId, CampaignNo, WorkspaceId};
use crate::store::{CampaignUsage, MAX_HOURS, StoreError};
use std::collections::BTreeMap;
use std::ops::Range;
use tokio::sync::oneshot;

impl Engine {
    /// What a workspace has sent in each of these hours since 1970 (UTC), in order, one entry an hour; of messages sent
    /// a moment ago also what no file holds yet.
    ///
    /// # Errors
    /// The store's; `Refused` for more than [`MAX_HOURS`].
    pub async fn traffic(
        &self,
        workspace: WorkspaceId,
        hours: Range<u32>,
    ) -> Result<Vec<Traffic>, EngineError> {
        if hours.end.saturating_sub(hours.start) > MAX_HOURS {
            return Err(StoreError::Refused(format!("at most {MAX_HOURS} hours in one call")).into());
        }
        let live = self.live_traffic(workspace).await?;
        let mut sums: Vec<Traffic> = hours.clone().map(|_| Traffic::default()).collect();
        let mut add = |hour: u32, traffic: &Traffic| {
            let at = hour.checked_sub(hours.start).and_then(|at| usize::try_from(at).ok());
            if let Some(sum) = at.and_then(|at| sums.get_mut(at)) {
                sum.add(traffic);
            }
        };
        for stored in self.0.catalog.traffic(workspace, hours.clone()).await? {
            if !live.contains_key(&stored.campaign_id) {
                add(stored.hour, &stored.traffic);
            }
        }
        live.values().flatten().for_each(|(hour, traffic)| add(*hour, traffic));
        Ok(sums)
    }

    /// What each campaign of a workspace has sent in a stretch of hours since 1970 (UTC), those that sent nothing left
    /// out; by id.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(
        &self,
        workspace: WorkspaceId,
        hours: Range<u32>,
    ) -> Result<Vec<CampaignUsage>, EngineError> {
        let live = self.live_traffic(workspace).await?;
        let mut usage = self.0.catalog.usage(workspace, hours.clone()).await?;
        usage.retain(|stored| !live.contains_key(&stored.campaign_id));
        for (campaign_id, sent) in live {
            let mut traffic = Traffic::default();
            sent.range(hours.clone()).for_each(|(_, of_hour)| traffic.add(of_hour));
            if !traffic.is_empty() {
                usage.push(CampaignUsage { campaign_id, traffic });
            }
        }
        usage.sort_by_key(|of| of.campaign_id);
        Ok(usage)
    }

    async fn live_traffic(&self, workspace: WorkspaceId) -> Result<BTreeMap<CampaignId, Hours>, EngineError> {
        let ids: BTreeMap<CampaignNo, CampaignId> = {
            let campaigns = self.campaigns();
            let own = campaigns.values().filter(|running| running.campaign.workspace_id == workspace);
            own.map(|running| (running.campaign.no, running.campaign.id)).collect()
        };
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (reply, told) = oneshot::channel();
        let now_ms = self.0.env.clock.now().wall_ms;
        self.tell_keeper(KeeperMsg::Traffic(ids.keys().copied().collect(), now_ms, reply)).await?;
        let told = told.await.map_err(|_| EngineError::NotRunning("keeper".to_owned()))?;
        Ok(told.into_iter().filter_map(|(no, hours)| Some((*ids.get(&no)?, hours))).collect())
    }

    /// Stores what a campaign has sent, for when the keeper no longer holds it.
    pub(super) async fn put_traffic(&self, campaign: &Campaign, hours: Hours) -> Result<(), EngineError> {
        let hours = hours.into_iter().collect();
        Ok(self.0.catalog.put_traffic(campaign.workspace_id, campaign.id, hours).await?)
    }
}
