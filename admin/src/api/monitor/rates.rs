//! How fast campaigns send now: messages handed over in the last seconds. Pure.

use engine::LiveCampaign;
use engine::model::{CampaignId, UserId, WorkspaceId};
use std::collections::{BTreeMap, VecDeque};

/// How far back the present rate looks, milliseconds: what changes is seen within five seconds.
const SPAN_MS: u64 = 4_000;

/// The campaigns of the engine, as they were looked at.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    campaigns: BTreeMap<CampaignId, Track>,
}

#[derive(Debug)]
struct Track {
    now: LiveCampaign,
    /// When how many were handed over, the oldest first; one of them may be older than the span.
    marks: VecDeque<(u64, u64)>,
}

impl Rates {
    /// Looks at what the engine holds; campaigns that it no longer holds are forgotten.
    pub(crate) fn look(&mut self, at_ms: u64, live: Vec<LiveCampaign>) {
        let mut before = std::mem::take(&mut self.campaigns);
        for now in live {
            let mut marks = before.remove(&now.id).map(|track| track.marks).unwrap_or_default();
            marks.push_back((at_ms, now.submitted));
            while marks.get(1).is_some_and(|(second, _)| second + SPAN_MS <= at_ms) {
                marks.pop_front();
            }
            self.campaigns.insert(now.id, Track { now, marks });
        }
    }

    /// Messages on the wire and messages a second of a workspace's campaigns, or of those that one account has created.
    pub(crate) fn of(&self, workspace: WorkspaceId, own: Option<UserId>) -> (u64, f64) {
        let is_wanted = |track: &&Track| {
            track.now.workspace_id == workspace && own.is_none_or(|user| user == track.now.created_by)
        };
        let tracks = self.campaigns.values().filter(is_wanted);
        tracks.fold((0, 0.0), |(in_flight, rate), track| {
            (in_flight + track.now.in_flight, rate + track.per_s())
        })
    }
}

impl Track {
    fn per_s(&self) -> f64 {
        let (Some((from, first)), Some((to, last))) = (self.marks.front(), self.marks.back()) else {
            return 0.0;
        };
        let passed_s = to.saturating_sub(*from) as f64 / 1e3;
        if passed_s > 0.0 { last.saturating_sub(*first) as f64 / passed_s } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

    fn live(campaign: u128, user: u128, submitted: u64) -> LiveCampaign {
        LiveCampaign {
            workspace_id: WORKSPACE,
            id: CampaignId(Uuid::from_u128(campaign)),
            created_by: UserId(Uuid::from_u128(user)),
            in_flight: campaign as u64,
            submitted,
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds_and_of_the_own_campaigns() {
        let mut rates = Rates::default();
        for second in 0..10 {
            rates.look(second * 1_000, vec![live(1, 7, second * 100), live(2, 8, 1_000 + second * 10)]);
        }
        assert_eq!(rates.of(WORKSPACE, None), (3, 110.0));
        assert_eq!(rates.of(WORKSPACE, Some(UserId(Uuid::from_u128(8)))), (2, 10.0));
        assert_eq!(rates.of(WorkspaceId(Uuid::from_u128(9)), None), (0, 0.0));
        for second in 10..14 {
            rates.look(second * 1_000, vec![live(1, 7, 900)]);
        }
        assert_eq!(rates.of(WORKSPACE, None), (1, 0.0));
    }
}
