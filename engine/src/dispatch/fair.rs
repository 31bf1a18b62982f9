//! The fair queue: deficit round robin in two levels, workspaces first, then the campaigns inside each.
//!
//! It decides whose turn it is and how many units the turn still allows; it holds no units, knows no rates and
//! reads backlogs through the caller. All units cost the same, so a turn's allowance is either used up exactly or
//! forfeited. Invariant: between two turns of a flow with backlog every other member of its ring gets at most one;
//! proved by `nobody_waits_longer_than_one_turn_of_all_others`. A call asks every flow at most once.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

/// Units of one turn at weight 1: enough to make a batch, few enough that the next turn comes soon.
pub(crate) const QUANTUM: u32 = 64;

/// A campaign's place in the queue; valid from `join` to `leave`, then given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FlowId(pub(crate) u32);

/// Turns over all flows of one link.
#[derive(Default)]
pub(crate) struct Fair {
    flows: Slab<Flow>,
    workspaces: Slab<Workspace>,
    by_key: BTreeMap<u64, u32>,
    ring: Ring,
}

struct Flow {
    workspace: u32,
    turn: Turn,
}

struct Workspace {
    key: u64,
    turn: Turn,
    ring: Ring,
}

impl Fair {
    /// Adds a campaign behind all others of its workspace. The workspace's weight is the one given last;
    /// a weight of 0 counts as 1.
    pub(crate) fn join(&mut self, workspace_key: u64, workspace_weight: u32, campaign_weight: u32) -> FlowId {
        let turn = Turn::of_weight(workspace_weight);
        let number = match self.by_key.get(&workspace_key) {
            Some(&known) => {
                self.workspaces[known].turn.full = turn.full;
                known
            }
            None => {
                let new =
                    self.workspaces.insert(Workspace { key: workspace_key, turn, ring: Ring::default() });
                self.by_key.insert(workspace_key, new);
                self.ring.insert_last(new);
                new
            }
        };
        let flow = self.flows.insert(Flow { workspace: number, turn: Turn::of_weight(campaign_weight) });
        self.workspaces[number].ring.insert_last(flow);
        FlowId(flow)
    }

    /// Removes a campaign, in the middle of its turn if need be; the last one takes its workspace along.
    pub(crate) fn leave(&mut self, flow: FlowId) {
        let number = self.flows.remove(flow.0).workspace;
        let ring = &mut self.workspaces[number].ring;
        ring.remove(flow.0);
        if ring.members.is_empty() {
            self.ring.remove(number);
            let workspace = self.workspaces.remove(number);
            self.by_key.remove(&workspace.key);
        }
    }

    /// Whose turn it is and how many units, `1..=budget`, it may send now; the caller sends exactly as many.
    ///
    /// `backlog` tells how many units a flow could send now. A flow without any forfeits the rest of its turn, a
    /// workspace without any likewise. A turn that `budget` cuts short goes on at the next call.
    pub(crate) fn pick(
        &mut self,
        budget: u32,
        backlog: &mut dyn FnMut(FlowId) -> u32,
    ) -> Option<(FlowId, u32)> {
        if budget == 0 {
            return None;
        }
        for _ in 0..self.ring.members.len() {
            let workspace = &mut self.workspaces[self.ring.current()];
            let Some((flow, waiting)) = next_with_backlog(&mut self.flows, &mut workspace.ring, backlog)
            else {
                workspace.turn.forfeit();
                self.ring.advance();
                continue;
            };
            let turn = &mut self.flows[flow].turn;
            let units = budget.min(waiting).min(turn.left()).min(workspace.turn.left());
            if turn.spend(units) {
                workspace.ring.advance();
            }
            if workspace.turn.spend(units) {
                self.ring.advance();
            }
            return Some((FlowId(flow), units));
        }
        None
    }
}

/// Moves the turn to the next flow with backlog and tells how much; `None` after one round without any.
fn next_with_backlog(
    flows: &mut Slab<Flow>,
    ring: &mut Ring,
    backlog: &mut dyn FnMut(FlowId) -> u32,
) -> Option<(u32, u32)> {
    for _ in 0..ring.members.len() {
        let flow = ring.current();
        let waiting = backlog(FlowId(flow));
        if waiting > 0 {
            return Some((flow, waiting));
        }
        flows[flow].turn.forfeit();
        ring.advance();
    }
    None
}

/// The allowance of one member; outside its turn nothing of it is spent.
struct Turn {
    full: u32,
    spent: u32,
}

impl Turn {
    fn of_weight(weight: u32) -> Self {
        Self { full: QUANTUM.saturating_mul(weight.max(1)), spent: 0 }
    }

    /// Never 0: a turn that is used up ends; a weight lowered in mid-turn leaves one unit.
    fn left(&self) -> u32 {
        self.full.saturating_sub(self.spent).max(1)
    }

    /// Whether that ends the turn.
    fn spend(&mut self, units: u32) -> bool {
        self.spent += units;
        let ends = self.spent >= self.full;
        if ends {
            self.spent = 0;
        }
        ends
    }

    fn forfeit(&mut self) {
        self.spent = 0;
    }
}

/// Members in turn order and whose turn it is.
#[derive(Default)]
struct Ring {
    members: Vec<u32>,
    at: usize,
}

impl Ring {
    /// The caller has seen that there are members.
    fn current(&self) -> u32 {
        self.members[self.at]
    }

    fn advance(&mut self) {
        self.at += 1;
        if self.at >= self.members.len() {
            self.at = 0;
        }
    }

    /// Just before the current one, which is last in turn: leaving and joining again never gains a turn.
    fn insert_last(&mut self, member: u32) {
        self.members.insert(self.at, member);
        if self.members.len() > 1 {
            self.advance();
        }
    }

    fn remove(&mut self, member: u32) {
        let place = self.members.iter().position(|m| *m == member).expect("a member is in its ring");
        self.members.remove(place);
        if place < self.at {
            self.at -= 1;
        } else if self.at >= self.members.len() {
            self.at = 0;
        }
    }
}

/// Values under small numbers, which are used again.
struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    fn insert(&mut self, value: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self.places[number as usize] = Some(value);
            return number;
        }
        self.places.push(Some(value));
        u32::try_from(self.places.len() - 1).expect("fewer than 2^32 flows")
    }

    fn remove(&mut self, number: u32) -> T {
        let value = self.places[number as usize].take().expect("what leaves has joined");
        self.free.push(number);
        value
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, number: u32) -> &T {
        self.places[number as usize].as_ref().expect("rings name only members")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        self.places[number as usize].as_mut().expect("rings name only members")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLENTY: u32 = 1 << 30;

    /// Units by flow number after `picks` calls, while the given flows have endless backlog.
    fn shares(fair: &mut Fair, budget: u32, picks: usize, busy: &[FlowId]) -> Vec<u64> {
        let mut sent = vec![0; 64];
        for _ in 0..picks {
            let picked = fair.pick(budget, &mut |f| if busy.contains(&f) { PLENTY } else { 0 });
            let (flow, units) = picked.expect("somebody has backlog");
            assert!(busy.contains(&flow) && (1..=budget).contains(&units));
            sent[flow.0 as usize] += u64::from(units);
        }
        sent
    }

    fn assert_share(part: u64, whole: u64, share: f64) {
        let actual = part as f64 / whole as f64;
        assert!((actual - share).abs() <= share * 0.02, "{actual} instead of {share}");
    }

    #[test]
    fn an_empty_queue_picks_nobody() {
        let mut fair = Fair::default();
        assert_eq!(fair.pick(10, &mut |_| 1), None);
        let flow = fair.join(1, 1, 1);
        assert_eq!((fair.pick(0, &mut |_| 1), fair.pick(10, &mut |_| 0)), (None, None));
        assert_eq!(fair.pick(10, &mut |_| 3), Some((flow, 3)));
    }

    #[test]
    fn campaigns_share_by_weight_whatever_the_budget() {
        for budget in [1, 7, 64, 100, 1000] {
            let mut fair = Fair::default();
            let flows = [4, 2, 1].map(|weight| fair.join(9, 1, weight));
            let sent = shares(&mut fair, budget, 300_000, &flows);
            let all = sent.iter().sum();
            for (flow, share) in flows.iter().zip([4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]) {
                assert_share(sent[flow.0 as usize], all, share);
            }
        }
    }

    #[test]
    fn workspaces_share_by_weight() {
        let mut fair = Fair::default();
        let flows = [4, 2, 1].map(|weight| fair.join(u64::from(weight), weight, 1));
        let sent = shares(&mut fair, 50, 100_000, &flows);
        let all = sent.iter().sum();
        for (flow, share) in flows.iter().zip([4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]) {
            assert_share(sent[flow.0 as usize], all, share);
        }
    }

    #[test]
    fn ten_campaigns_of_one_workspace_get_no_more_than_one_of_another() {
        let mut fair = Fair::default();
        let lone = fair.join(1, 3, 1);
        let mut flows: Vec<_> = (0..10).map(|_| fair.join(2, 3, 5)).collect();
        flows.push(lone);
        let sent = shares(&mut fair, 90, 50_000, &flows);
        let all = sent.iter().sum();
        assert_share(sent[lone.0 as usize], all, 0.5);
        flows.iter().filter(|f| **f != lone).for_each(|f| assert_share(sent[f.0 as usize], all, 0.05));
    }

    #[test]
    fn flows_without_backlog_are_passed_and_keep_their_place_but_not_their_allowance() {
        let mut fair = Fair::default();
        let [a, b, c] = [1, 1, 1].map(|weight| fair.join(1, 100, weight));
        assert_eq!(fair.pick(10, &mut |_| PLENTY), Some((a, 10)));
        assert_eq!(fair.pick(500, &mut |f| u32::from(f == c)), Some((c, 1)), "a and b have nothing");
        assert_eq!(fair.pick(500, &mut |_| PLENTY), Some((c, 63)), "c goes on with the rest of its turn");
        assert_eq!(fair.pick(500, &mut |_| PLENTY), Some((a, 64)), "a starts a new turn, without its 54");
        assert_eq!(fair.pick(500, &mut |_| PLENTY), Some((b, 64)));
    }

    #[test]
    fn campaigns_come_and_go_in_the_middle_of_a_round() {
        let mut fair = Fair::default();
        let [a, b] = [1, 2].map(|key| fair.join(key, 1, 1));
        assert_eq!(fair.pick(40, &mut |_| PLENTY), Some((a, 40)));
        let c = fair.join(3, 1, 1);
        fair.leave(a);
        let again = fair.join(1, 1, 1);
        let mut order = || fair.pick(64, &mut |_| PLENTY).expect("all have backlog").0;
        assert_eq!([order(), order(), order(), order()], [b, c, again, b], "joining again is last in turn");
        fair.leave(c);
        fair.leave(again);
        fair.leave(b);
        assert_eq!(fair.pick(64, &mut |_| PLENTY), None);
        assert!(fair.by_key.is_empty() && fair.ring.members.is_empty());
    }

    #[test]
    fn a_weight_lowered_in_mid_turn_ends_the_turn() {
        let mut fair = Fair::default();
        let [a, b] = [1, 2].map(|key| fair.join(key, 9, 9));
        assert_eq!(fair.pick(200, &mut |_| PLENTY), Some((a, 200)));
        let c = fair.join(1, 1, 1);
        assert_eq!(fair.pick(200, &mut |_| PLENTY), Some((a, 1)));
        assert_eq!(fair.pick(200, &mut |f| if f == c { PLENTY } else { 0 }), Some((c, 64)));
        assert_eq!(fair.pick(200, &mut |_| PLENTY).map(|p| p.0), Some(b));
    }

    proptest! {
        /// Goal: no starvation under any mix of weights, backlogs and budgets, while others come and go.
        #[test]
        fn nobody_waits_longer_than_one_turn_of_all_others(
            weights in proptest::collection::vec((0..5_u64, 0..4_u32, 0..4_u32), 1..20),
            budgets in proptest::collection::vec(1..400_u32, 1..50),
            backlogs in proptest::collection::vec(0..300_u32, 1..40),
            guests in proptest::collection::vec((0..5_u64, 1..40_usize), 0..20),
        ) {
            let mut fair = Fair::default();
            let watched = fair.join(77, 1, 1);
            let flows: Vec<_> = weights.iter().map(|(key, w, c)| fair.join(*key, *w, *c)).collect();
            let mut guest = None;
            let (mut waited, mut round) = (0, 0);
            // Five other workspaces of weight 3 at most, and a call for each piece of a budget and a flow.
            let most = 5 * 3 * QUANTUM;
            for call in 0..2000 {
                if guests.iter().any(|(_, every)| call % every == 0) {
                    let (key, _) = guests[call % guests.len()];
                    guest.replace(fair.join(key, 3, 3)).into_iter().for_each(|g| fair.leave(g));
                }
                let picked = fair.pick(budgets[call % budgets.len()], &mut |f| {
                    round += 1;
                    if f == watched { 1 } else { backlogs[(f.0 as usize + round) % backlogs.len()] }
                });
                let (flow, units) = picked.expect("the watched flow has backlog");
                waited = if flow == watched { 0 } else { waited + units };
                prop_assert!(waited <= most, "{} units before its turn", waited);
            }
            flows.into_iter().chain(guest).chain([watched]).for_each(|f| fair.leave(f));
            prop_assert!(fair.ring.members.is_empty() && fair.by_key.is_empty());
        }
    }
}
