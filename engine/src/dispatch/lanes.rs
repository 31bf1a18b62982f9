//! The lanes of one link: one-time codes first, then the usual, then what can wait, and room kept free for each.
//!
//! It owns the fair queues of each lane, one for planning and one for writing, and decides which lane goes next; the
//! units themselves are the link's. Invariants: somebody else's backlog gets at least one unit in [`OTP_RUN`] + 1,
//! Normal and Bulk share [`NORMAL_RUN`] to [`BULK_RUN`], and no lane's lead can keep another one from planning;
//! proved by `no_lane_starves_and_a_code_waits_for_one_unit_at_most` and `a_full_lane_leaves_the_others_their_room`.

use crate::dispatch::fair::{FINE_QUANTUM, Fair, FlowId, QUANTUM};
use crate::model::Lane;

/// Units of one-time codes in a row while others wait: those keep every tenth, so that nobody starves.
pub(crate) const OTP_RUN: u32 = 9;
/// Normal to Bulk is 4 to 1; runs that short keep the share exact also when tokens come one by one.
pub(crate) const NORMAL_RUN: u32 = 16;
/// Bulk's part of a round.
pub(crate) const BULK_RUN: u32 = 4;
/// Slots of a window kept for codes: one in so many, at least one.
const OTP_WINDOW_PART: u32 = 10;
/// Parts of a lead kept for each lane that has campaigns; what is left goes to whoever needs it.
const LEAD_PARTS: [(u32, u32); 3] = [(1, 8), (1, 2), (1, 8)];

/// Which lane goes next when several have backlog.
#[derive(Debug, Default)]
pub(crate) struct Precedence {
    /// Units of codes since somebody else had its turn.
    otp: u32,
    /// Units of the present round of the other two.
    normal: u32,
    bulk: u32,
}

impl Precedence {
    /// The lane that goes next, of those that have backlog, and how many units at most before asking again.
    pub(crate) fn next(&self, has_backlog: [bool; 3]) -> Option<(Lane, u32)> {
        let [otp, normal, bulk] = has_backlog;
        let others = normal || bulk;
        if otp && (!others || self.otp < OTP_RUN) {
            return Some((Lane::Otp, if others { OTP_RUN - self.otp } else { u32::MAX }));
        }
        let (lane, most) = match (normal, bulk) {
            (true, true) if self.normal < NORMAL_RUN => (Lane::Normal, NORMAL_RUN - self.normal),
            (true, true) => (Lane::Bulk, BULK_RUN - self.bulk),
            (true, false) => (Lane::Normal, u32::MAX),
            (false, true) => (Lane::Bulk, u32::MAX),
            (false, false) => return None,
        };
        Some((lane, if otp { 1 } else { most }))
    }

    /// Notes what a lane has sent, while those lanes had backlog.
    pub(crate) fn sent(&mut self, lane: Lane, units: u32, has_backlog: [bool; 3]) {
        let [_, normal, bulk] = has_backlog;
        match lane {
            Lane::Otp if normal || bulk => self.otp = (self.otp + units).min(OTP_RUN),
            Lane::Otp => self.otp = 0,
            Lane::Normal | Lane::Bulk if !(normal && bulk) => {
                (self.otp, self.normal, self.bulk) = (0, 0, 0);
            }
            Lane::Normal => (self.otp, self.normal) = (0, (self.normal + units).min(NORMAL_RUN)),
            Lane::Bulk => {
                (self.otp, self.bulk) = (0, self.bulk + units);
                if self.bulk >= BULK_RUN {
                    (self.normal, self.bulk) = (0, 0);
                }
            }
        }
    }
}

/// One lane of a link.
pub(crate) struct LaneQueues {
    /// Whose intent is next.
    pub(crate) plan: Fair,
    /// Whose unit is next on the wire.
    pub(crate) write: Fair,
    /// Campaigns.
    pub(crate) members: u32,
    /// Intents that are not on the wire.
    pub(crate) lead: u32,
    /// Of these the durable ones.
    pub(crate) durable: u32,
}

impl Default for LaneQueues {
    fn default() -> Self {
        let (plan, write) = (Fair::new(QUANTUM), Fair::new(FINE_QUANTUM));
        Self { plan, write, members: 0, lead: 0, durable: 0 }
    }
}

/// The lanes of a link.
#[derive(Default)]
pub(crate) struct Lanes {
    lanes: [LaneQueues; 3],
    pub(crate) precedence: Precedence,
}

impl Lanes {
    pub(crate) fn of(&self, lane: Lane) -> &LaneQueues {
        &self.lanes[lane as usize]
    }

    pub(crate) fn of_mut(&mut self, lane: Lane) -> &mut LaneQueues {
        &mut self.lanes[lane as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LaneQueues> {
        self.lanes.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut LaneQueues> {
        self.lanes.iter_mut()
    }

    /// Adds a campaign.
    pub(crate) fn join(&mut self, lane: Lane, flow: FlowId, workspace: (u64, u32), weight: u32) {
        let lane = self.of_mut(lane);
        lane.plan.join(flow, workspace, weight);
        lane.write.join(flow, workspace, weight);
        lane.members += 1;
    }

    /// Removes a campaign that holds nothing.
    pub(crate) fn leave(&mut self, lane: Lane, flow: FlowId) {
        let lane = self.of_mut(lane);
        lane.plan.leave(flow);
        lane.write.leave(flow);
        lane.members -= 1;
    }

    /// Intents that are not on the wire.
    pub(crate) fn lead(&self) -> u32 {
        self.lanes.iter().map(|lane| lane.lead).sum()
    }

    /// Whether there is nothing that could be written, rates and window aside.
    pub(crate) fn are_dry(&self) -> bool {
        !self.lanes.iter().any(|lane| lane.durable > 0 && lane.write.has_turns())
    }

    /// Units that may be written.
    pub(crate) fn durable(&self) -> u32 {
        self.lanes.iter().map(|lane| lane.durable).sum()
    }

    /// How many more intents a lane may have when all together may have `most`: the others' room stays free, and a
    /// lane without any may always have one.
    pub(crate) fn lead_room(&self, lane: Lane, most: u32) -> u32 {
        let kept = |other: Lane| {
            let (part, of) = LEAD_PARTS[other as usize];
            let queues = self.of(other);
            let is_kept = other != lane && queues.members > 0;
            if is_kept { (most * part / of).saturating_sub(queues.lead) } else { 0 }
        };
        let others: u32 = Lane::ALL.into_iter().map(kept).sum();
        most.saturating_sub(self.lead() + others).max(u32::from(self.of(lane).lead == 0))
    }

    /// How many of `free` slots of a window of `size` are for others than codes.
    pub(crate) fn slots_for_others(&self, free: u32, size: u32) -> u32 {
        if self.of(Lane::Otp).members == 0 {
            return free;
        }
        free.saturating_sub(size.div_ceil(OTP_WINDOW_PART).min(size - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Units by lane after `rounds` calls with that budget each.
    fn sent(has_backlog: [bool; 3], rounds: u32, budget: u32) -> [u32; 3] {
        let mut precedence = Precedence::default();
        let mut sent = [0; 3];
        for _ in 0..rounds {
            let (lane, most) = precedence.next(has_backlog).expect("backlog");
            let units = most.min(budget);
            precedence.sent(lane, units, has_backlog);
            sent[lane as usize] += units;
        }
        sent
    }

    #[test]
    fn shares_are_exact_whether_tokens_come_one_by_one_or_many_at_once() {
        assert_eq!(sent([true, true, true], 10_000, 1), [9_000, 800, 200]);
        assert_eq!(sent([false, true, true], 10_000, 1), [0, 8_000, 2_000]);
        assert_eq!(sent([true, false, true], 10_000, 1), [9_000, 0, 1_000]);
        let [otp, normal, bulk] = sent([false, true, true], 1_000, 100_000);
        assert_eq!((otp, normal), (0, bulk * 4));
        assert_eq!(sent([false, false, true], 3, 500), [0, 0, 1_500]);
        assert_eq!(Precedence::default().next([false; 3]), None);
    }

    proptest! {
        #[test]
        fn no_lane_starves_and_a_code_waits_for_one_unit_at_most(
            steps in proptest::collection::vec((any::<[bool; 3]>(), 1..200_u32), 1..400),
        ) {
            let mut precedence = Precedence::default();
            let (mut codes, mut bulk_waits) = (0, 0);
            for (has_backlog, budget) in steps {
                let Some((lane, most)) = precedence.next(has_backlog) else { continue };
                prop_assert!(most > 0 && has_backlog[lane as usize]);
                let units = most.min(budget);
                precedence.sent(lane, units, has_backlog);
                let others = has_backlog[1] || has_backlog[2];
                codes = if lane == Lane::Otp && others { codes + units } else { 0 };
                prop_assert!(codes <= OTP_RUN);
                prop_assert!(lane == Lane::Otp || !has_backlog[0] || units == 1);
                let waits = has_backlog == [false, true, true] && lane == Lane::Normal;
                bulk_waits = if waits { bulk_waits + units } else { 0 };
                prop_assert!(bulk_waits <= NORMAL_RUN);
            }
        }
    }

    #[test]
    fn a_full_lane_leaves_the_others_their_room() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.lead_room(Lane::Bulk, 1024), 1024);
        lanes.join(Lane::Bulk, FlowId(0), (1, 1), 1);
        lanes.join(Lane::Otp, FlowId(1), (1, 1), 1);
        lanes.of_mut(Lane::Bulk).lead = 896;
        assert_eq!((lanes.lead_room(Lane::Bulk, 1024), lanes.lead_room(Lane::Otp, 1024)), (0, 128));
        lanes.join(Lane::Normal, FlowId(2), (1, 1), 1);
        assert_eq!((lanes.lead_room(Lane::Normal, 1024), lanes.lead_room(Lane::Bulk, 1024)), (1, 0));
        lanes.of_mut(Lane::Bulk).lead = 384;
        assert_eq!((lanes.lead_room(Lane::Normal, 1024), lanes.lead_room(Lane::Bulk, 1024)), (512, 0));
        lanes.of_mut(Lane::Bulk).lead = 0;
        let small = Lane::ALL.map(|lane| lanes.lead_room(lane, 1));
        assert_eq!(small, [1, 1, 1], "the slowest channel still plans for everybody");
    }

    #[test]
    fn codes_have_slots_of_their_own_once_there_are_any() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.slots_for_others(10, 10), 10);
        lanes.join(Lane::Otp, FlowId(0), (1, 1), 1);
        let left = [(10, 10), (1, 10), (1, 1), (2, 2), (100, 100), (8, 100)];
        assert_eq!(left.map(|(free, size)| lanes.slots_for_others(free, size)), [9, 0, 1, 1, 90, 0]);
        lanes.leave(Lane::Otp, FlowId(0));
        assert_eq!(lanes.slots_for_others(10, 10), 10);
    }
}
