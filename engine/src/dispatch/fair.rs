//! The fair queue: deficit round robin in two levels, workspaces first, then the campaigns inside each.
//!
//! It decides whose turn it is and how many units the turn still allows; it holds no units and asks the caller what a
//! flow offers. Only flows that may have something sit in its rings: idle ones cost nothing, and coming, going and
//! leaving cost the same whatever their number. A workspace whose flows all have to wait for a rate leaves the ring
//! until then. Invariant: between two turns of a flow with backlog every other member of its ring gets at most one;
//! proved by `nobody_waits_longer_than_one_turn_of_all_others`.

use crate::dispatch::ring::{Ring, Seats};
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

/// Units of one turn at weight 1 where long runs are worth something.
pub(crate) const QUANTUM: u32 = 64;
/// The same where tokens may come one by one, and those who wait for a rate of their own must not miss it.
pub(crate) const FINE_QUANTUM: u32 = 8;

/// Weights above it count as this much: products of two of them and a number of units stay within 64 bits.
const MAX_WEIGHT: u32 = 1 << 16;

/// A campaign's place in the queue, given by the caller: small, and free again after `leave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FlowId(pub(crate) u32);

/// What a flow answers when it is its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It has none: it leaves the ring until it is woken, and forfeits the rest of its turn.
    Nothing,
    /// It has some, but a rate of its own does not let them go before then.
    NotBefore(u64),
    /// It sends so many now, at least one and at most what it was asked for.
    Units(u32),
}

/// Turns over the flows of one link.
pub(crate) struct Fair {
    quantum: u32,
    flows: Slab<Flow>,
    workspaces: Slab<Workspace>,
    by_key: BTreeMap<u64, u32>,
    ring: Ring,
    workspace_seats: Seats,
    flow_seats: Seats,
    /// Workspaces that wait for a rate, and until when.
    blocked: Vec<(u64, u32)>,
    /// Weights of all workspaces with a busy flow.
    busy: u64,
}

struct Flow {
    workspace: u32,
    turn: Turn,
    is_busy: bool,
}

struct Workspace {
    key: u64,
    turn: Turn,
    ring: Ring,
    /// Flows that have joined.
    members: u32,
    /// Weights of its busy flows.
    busy: u64,
}

impl Fair {
    /// An empty queue with so many units a turn at weight 1.
    pub(crate) fn new(quantum: u32) -> Self {
        Self {
            quantum,
            flows: Slab::default(),
            workspaces: Slab::default(),
            by_key: BTreeMap::new(),
            ring: Ring::default(),
            workspace_seats: Seats::default(),
            flow_seats: Seats::default(),
            blocked: Vec::new(),
            busy: 0,
        }
    }

    /// Adds a campaign, without backlog. The workspace's weight is the one given last; a weight of 0 counts as 1.
    pub(crate) fn join(&mut self, flow: FlowId, (key, weight): (u64, u32), campaign_weight: u32) {
        let turn = Turn::of_weight(weight, self.quantum);
        let number = match self.by_key.get(&key) {
            Some(&known) => {
                let workspace = &mut self.workspaces[known];
                if workspace.busy > 0 {
                    self.busy = self.busy - workspace.turn.weight() + turn.weight();
                }
                (workspace.turn.weight, workspace.turn.full) = (turn.weight, turn.full);
                workspace.members += 1;
                known
            }
            None => {
                let new = Workspace { key, turn, ring: Ring::default(), members: 1, busy: 0 };
                let new = self.workspaces.insert(new);
                self.by_key.insert(key, new);
                new
            }
        };
        let turn = Turn::of_weight(campaign_weight, self.quantum);
        self.flows.put(flow.0, Flow { workspace: number, turn, is_busy: false });
    }

    /// Removes a campaign, in the middle of its turn if need be; the last one takes its workspace along.
    pub(crate) fn leave(&mut self, flow: FlowId) {
        self.set_busy(flow, false);
        let number = self.flows[flow.0].workspace;
        let workspace = &mut self.workspaces[number];
        if self.flow_seats.is_seated(flow.0) {
            self.flow_seats.unseat(&mut workspace.ring, flow.0);
        }
        workspace.members -= 1;
        let (members, is_empty) = (workspace.members, workspace.ring.len() == 0);
        self.flows.take(flow.0);
        if is_empty {
            self.unseat_workspace(number);
        }
        if members == 0 {
            let workspace = self.workspaces.remove(number);
            self.by_key.remove(&workspace.key);
        }
    }

    /// The flow may have something: it takes its place, last in turn, if it has none.
    pub(crate) fn wake(&mut self, flow: FlowId) {
        if self.flow_seats.is_seated(flow.0) {
            return;
        }
        let number = self.flows[flow.0].workspace;
        self.flow_seats.seat_last(&mut self.workspaces[number].ring, flow.0);
        if !self.workspace_seats.is_seated(number) {
            self.blocked.retain(|(_, blocked)| *blocked != number);
            self.workspace_seats.seat_last(&mut self.ring, number);
        }
    }

    /// Lets workspaces take part again whose rate has something for them.
    pub(crate) fn unblock(&mut self, now_us: u64) {
        let mut at = 0;
        while at < self.blocked.len() {
            let (ready_us, number) = self.blocked[at];
            if ready_us > now_us {
                at += 1;
                continue;
            }
            self.blocked.remove(at);
            self.workspace_seats.seat_last(&mut self.ring, number);
        }
    }

    /// When the first workspace that waits for a rate may go on.
    pub(crate) fn next_ready(&self) -> Option<u64> {
        self.blocked.iter().map(|(ready_us, _)| *ready_us).min()
    }

    /// Whether somebody may have something that no rate holds back.
    pub(crate) fn has_turns(&self) -> bool {
        self.ring.len() > 0
    }

    /// Notes whether a flow holds or wants units at all: only those share what is to be divided.
    pub(crate) fn set_busy(&mut self, flow: FlowId, is_busy: bool) {
        let member = &mut self.flows[flow.0];
        if member.is_busy == is_busy {
            return;
        }
        member.is_busy = is_busy;
        let weight = member.turn.weight();
        let workspace = &mut self.workspaces[member.workspace];
        let before = workspace.busy;
        workspace.busy = if is_busy { before + weight } else { before - weight };
        match (before, workspace.busy) {
            (0, _) => self.busy += workspace.turn.weight(),
            (_, 0) => self.busy -= workspace.turn.weight(),
            _ => {}
        }
    }

    /// The flow's part of `whole`, by weight among workspaces and then among campaigns; at least 1.
    pub(crate) fn share(&self, flow: FlowId, whole: u32) -> u32 {
        let member = &self.flows[flow.0];
        let workspace = &self.workspaces[member.workspace];
        let (own, all_own) = (workspace.turn.weight(), member.turn.weight());
        let others = if workspace.busy == 0 { self.busy + own } else { self.busy };
        let campaigns = if member.is_busy { workspace.busy } else { workspace.busy + all_own };
        let part = u64::from(whole) * own * all_own / (others * campaigns).max(1);
        u32::try_from(part).unwrap_or(whole).clamp(1, whole.max(1))
    }

    /// Whose turn it is and how many units, `1..=budget`, it sends now.
    ///
    /// `offer` is asked how many of so many units a flow sends, and takes what rates they cost. A turn that `budget`
    /// cuts short goes on at the next call; whoever is alone takes what there is.
    pub(crate) fn pick(
        &mut self,
        budget: u32,
        offer: &mut dyn FnMut(FlowId, u32) -> Offer,
    ) -> Option<(FlowId, u32)> {
        if budget == 0 {
            return None;
        }
        while let Some(number) = self.ring.current() {
            let is_alone = self.ring.len() == 1;
            match self.ask_workspace(number, budget, is_alone, offer) {
                Answer::Sent(flow, units) => {
                    let workspace = &mut self.workspaces[number];
                    if is_alone {
                        workspace.turn.forfeit();
                    } else if workspace.turn.spend(units) {
                        self.workspace_seats.advance(&mut self.ring);
                    }
                    return Some((FlowId(flow), units));
                }
                Answer::Empty => self.unseat_workspace(number),
                Answer::Blocked(ready_us) => {
                    self.unseat_workspace(number);
                    self.blocked.push((ready_us, number));
                }
            }
        }
        None
    }

    /// Moves the turn inside a workspace to the next flow that sends.
    fn ask_workspace(
        &mut self,
        number: u32,
        budget: u32,
        is_alone: bool,
        offer: &mut dyn FnMut(FlowId, u32) -> Offer,
    ) -> Answer {
        let workspace = &mut self.workspaces[number];
        let most = if is_alone { budget } else { budget.min(workspace.turn.left()) };
        let (mut held, mut ready_us) = (0, u64::MAX);
        while let Some(flow) = workspace.ring.current() {
            let turn = &mut self.flows[flow].turn;
            let is_only = workspace.ring.len() == 1;
            let most = if is_only { most } else { most.min(turn.left()) };
            match offer(FlowId(flow), most) {
                Offer::Units(units) => {
                    if is_only {
                        turn.forfeit();
                    } else if turn.spend(units) {
                        self.flow_seats.advance(&mut workspace.ring);
                    }
                    return Answer::Sent(flow, units);
                }
                Offer::Nothing => {
                    turn.forfeit();
                    self.flow_seats.unseat(&mut workspace.ring, flow);
                }
                Offer::NotBefore(ready) => {
                    // Its turn is not forfeited: after a whole round the same flow is current again.
                    ready_us = ready_us.min(ready);
                    held += 1;
                    self.flow_seats.advance(&mut workspace.ring);
                }
            }
            if held > 0 && held >= workspace.ring.len() {
                return Answer::Blocked(ready_us);
            }
        }
        Answer::Empty
    }

    fn unseat_workspace(&mut self, number: u32) {
        self.workspaces[number].turn.forfeit();
        if self.workspace_seats.is_seated(number) {
            self.workspace_seats.unseat(&mut self.ring, number);
        } else {
            self.blocked.retain(|(_, blocked)| *blocked != number);
        }
    }
}

/// What a workspace answers when it is its turn.
enum Answer {
    Sent(u32, u32),
    Empty,
    Blocked(u64),
}

/// The allowance of one member; outside its turn nothing of it is spent.
struct Turn {
    weight: u32,
    full: u32,
    spent: u32,
}

impl Turn {
    fn of_weight(weight: u32, quantum: u32) -> Self {
        let weight = weight.clamp(1, MAX_WEIGHT);
        Self { weight, full: quantum * weight, spent: 0 }
    }

    fn weight(&self) -> u64 {
        u64::from(self.weight)
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
        u32::try_from(self.places.len() - 1).expect("fewer than 2^32 workspaces")
    }

    /// Under a number of the caller's choice; such a slab is never inserted into.
    fn put(&mut self, number: u32, value: T) {
        let at = number as usize;
        if self.places.len() <= at {
            self.places.resize_with(at + 1, || None);
        }
        self.places[at] = Some(value);
    }

    /// Takes out what was put under a number.
    fn take(&mut self, number: u32) -> T {
        self.places[number as usize].take().expect("what leaves has joined")
    }

    fn remove(&mut self, number: u32) -> T {
        self.free.push(number);
        self.take(number)
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

    /// Flows with numbers in order of joining; all are woken before each pick, as a caller does that sees backlog.
    struct Queue {
        fair: Fair,
        joined: Vec<FlowId>,
        next: u32,
    }

    impl Default for Queue {
        fn default() -> Self {
            Self { fair: Fair::new(QUANTUM), joined: Vec::new(), next: 0 }
        }
    }

    impl Queue {
        fn join(&mut self, key: u64, workspace_weight: u32, weight: u32) -> FlowId {
            let flow = FlowId(self.next);
            self.next += 1;
            self.fair.join(flow, (key, workspace_weight), weight);
            self.joined.push(flow);
            flow
        }

        fn leave(&mut self, flow: FlowId) {
            self.fair.leave(flow);
            self.joined.retain(|f| *f != flow);
        }

        /// A pick where `backlog` tells how much each flow has.
        fn pick(&mut self, budget: u32, backlog: &mut dyn FnMut(FlowId) -> u32) -> Option<(FlowId, u32)> {
            self.joined.iter().for_each(|f| self.fair.wake(*f));
            self.fair.pick(budget, &mut |flow, most| match backlog(flow).min(most) {
                0 => Offer::Nothing,
                units => Offer::Units(units),
            })
        }

        fn is_empty(&self) -> bool {
            self.fair.by_key.is_empty() && !self.fair.has_turns() && self.fair.busy == 0
        }
    }

    /// Units by flow number after `picks` calls, while the given flows have endless backlog.
    fn shares(queue: &mut Queue, budget: u32, picks: usize, busy: &[FlowId]) -> Vec<u64> {
        let mut sent = vec![0; 64];
        for _ in 0..picks {
            let picked = queue.pick(budget, &mut |f| if busy.contains(&f) { PLENTY } else { 0 });
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
        let mut queue = Queue::default();
        assert_eq!(queue.pick(10, &mut |_| 1), None);
        let flow = queue.join(1, 1, 1);
        assert_eq!((queue.pick(0, &mut |_| 1), queue.pick(10, &mut |_| 0)), (None, None));
        assert_eq!(queue.pick(10, &mut |_| 3), Some((flow, 3)));
    }

    #[test]
    fn whoever_is_alone_takes_what_there_is() {
        let mut queue = Queue::default();
        let flow = queue.join(1, 1, 1);
        assert_eq!(queue.pick(1000, &mut |_| PLENTY), Some((flow, 1000)));
        let other = queue.join(2, 1, 1);
        let both = [0; 2].map(|_| queue.pick(1000, &mut |_| PLENTY));
        assert_eq!(both, [Some((flow, 64)), Some((other, 64))], "being alone costs no turn");
    }

    #[test]
    fn campaigns_share_by_weight_whatever_the_budget() {
        for budget in [1, 7, 64, 100, 1000] {
            let mut queue = Queue::default();
            let flows = [4, 2, 1].map(|weight| queue.join(9, 1, weight));
            let sent = shares(&mut queue, budget, 300_000, &flows);
            let all = sent.iter().sum();
            for (flow, share) in flows.iter().zip([4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]) {
                assert_share(sent[flow.0 as usize], all, share);
            }
        }
    }

    #[test]
    fn workspaces_share_by_weight() {
        let mut queue = Queue::default();
        let flows = [4, 2, 1].map(|weight| queue.join(u64::from(weight), weight, 1));
        let sent = shares(&mut queue, 50, 100_000, &flows);
        let all = sent.iter().sum();
        for (flow, share) in flows.iter().zip([4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]) {
            assert_share(sent[flow.0 as usize], all, share);
        }
    }

    #[test]
    fn ten_campaigns_of_one_workspace_get_no_more_than_one_of_another() {
        let mut queue = Queue::default();
        let lone = queue.join(1, 3, 1);
        let mut flows: Vec<_> = (0..10).map(|_| queue.join(2, 3, 5)).collect();
        flows.push(lone);
        let sent = shares(&mut queue, 90, 50_000, &flows);
        let all = sent.iter().sum();
        assert_share(sent[lone.0 as usize], all, 0.5);
        flows.iter().filter(|f| **f != lone).for_each(|f| assert_share(sent[f.0 as usize], all, 0.05));
    }

    #[test]
    fn a_flow_that_has_run_dry_forfeits_its_turn_and_is_last_when_it_comes_back() {
        let mut queue = Queue::default();
        let [a, b, c] = [1, 1, 1].map(|weight| queue.join(1, 100, weight));
        let guest = queue.join(2, 1, 1);
        let mut pick = |busy: &[FlowId]| queue.pick(50, &mut |f| if busy.contains(&f) { PLENTY } else { 0 });
        assert_eq!(pick(&[a, b, c]), Some((a, 50)));
        assert_eq!(pick(&[b, c]), Some((b, 50)), "a has nothing");
        assert_eq!(pick(&[a, b, c]), Some((b, 14)), "b goes on with the rest of its turn");
        assert_eq!([pick(&[a, b, c]), pick(&[a, b, c])], [Some((c, 50)), Some((c, 14))]);
        assert_eq!(pick(&[a, b, c]), Some((a, 50)), "a starts a new turn, without its 14");
        queue.leave(guest);
    }

    #[test]
    fn campaigns_come_and_go_in_the_middle_of_a_round() {
        let mut queue = Queue::default();
        let [a, b] = [1, 2].map(|key| queue.join(key, 1, 1));
        assert_eq!(queue.pick(40, &mut |_| PLENTY), Some((a, 40)));
        let c = queue.join(3, 1, 1);
        queue.leave(a);
        let again = queue.join(1, 1, 1);
        let mut order = || queue.pick(64, &mut |_| PLENTY).expect("all have backlog").0;
        assert_eq!([order(), order(), order(), order()], [b, c, again, b], "joining again is last in turn");
        queue.leave(c);
        queue.leave(again);
        queue.leave(b);
        assert_eq!(queue.pick(64, &mut |_| PLENTY), None);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_weight_lowered_in_mid_turn_ends_the_turn() {
        let mut queue = Queue::default();
        let [a, b] = [1, 2].map(|key| queue.join(key, 9, 9));
        assert_eq!(queue.pick(200, &mut |_| PLENTY), Some((a, 200)));
        let c = queue.join(1, 1, 1);
        assert_eq!(queue.pick(200, &mut |_| PLENTY), Some((a, 1)));
        assert_eq!(queue.pick(200, &mut |_| PLENTY), Some((b, 200)));
        assert_eq!(queue.pick(999, &mut |f| if f == b { 0 } else { PLENTY }), Some((a, 575)), "c is there");
        queue.leave(c);
    }

    #[test]
    fn a_workspace_at_its_rate_leaves_the_others_unslowed_and_is_not_asked_before_it_is_ready() {
        let mut queue = Queue::default();
        let [limited, second] = [1, 1].map(|key| queue.join(key, 1, 1));
        let free = queue.join(2, 1, 1);
        let fair = &mut queue.fair;
        [limited, second, free].into_iter().for_each(|f| fair.wake(f));
        let mut asked = 0;
        for _ in 0..1000 {
            let picked = fair.pick(10, &mut |f, most| {
                asked += u32::from(f != free);
                if f == free { Offer::Units(most) } else { Offer::NotBefore(500 + u64::from(f.0)) }
            });
            assert_eq!(picked, Some((free, 10)));
        }
        assert_eq!((asked, fair.next_ready()), (2, Some(500)));
        fair.unblock(499);
        assert_eq!(fair.pick(1, &mut |f, _| if f == free { Offer::Nothing } else { unreachable!() }), None);
        fair.unblock(500);
        assert_eq!(fair.pick(9, &mut |_, most| Offer::Units(most)).map(|p| p.0), Some(limited));
    }

    #[test]
    fn campaigns_that_share_a_rate_keep_their_weights_when_tokens_come_one_by_one() {
        let mut queue = Queue::default();
        let flows = [3, 1].map(|weight| queue.join(1, 1, weight));
        flows.iter().for_each(|f| queue.fair.wake(*f));
        let mut sent = [0, 0];
        for now in 0..4096 {
            queue.fair.unblock(now);
            let mut tokens = 1;
            while let Some((flow, units)) = queue.fair.pick(100, &mut |_, _| match tokens {
                0 => Offer::NotBefore(now + 1),
                _ => {
                    tokens -= 1;
                    Offer::Units(1)
                }
            }) {
                sent[flow.0 as usize] += units;
            }
        }
        assert_eq!(sent, [3072, 1024]);
    }

    #[test]
    fn busy_flows_divide_by_workspace_and_then_by_campaign() {
        let mut queue = Queue::default();
        let [a, b] = [1, 3].map(|weight| queue.join(1, 1, weight));
        let c = queue.join(2, 1, 1);
        let shares = |q: &Queue| [a, b, c].map(|f| q.fair.share(f, 800));
        assert_eq!(shares(&queue), [800, 800, 800], "whoever comes first may have everything");
        queue.fair.set_busy(a, true);
        assert_eq!(shares(&queue), [800, 600, 400]);
        [b, c].into_iter().for_each(|f| queue.fair.set_busy(f, true));
        assert_eq!(shares(&queue), [100, 300, 400]);
        [b, b].into_iter().for_each(|f| queue.fair.set_busy(f, false));
        assert_eq!(shares(&queue), [400, 300, 400]);
        [a, b, c].into_iter().for_each(|f| queue.leave(f));
        assert!(queue.is_empty());
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
            let mut queue = Queue::default();
            let watched = queue.join(77, 1, 1);
            let flows: Vec<_> = weights.iter().map(|(key, w, c)| queue.join(*key, *w, *c)).collect();
            let mut guest = None;
            let (mut waited, mut round) = (0, 0);
            // Five other workspaces of weight 3 at most, and a call for each piece of a budget and a flow.
            let most = 5 * 3 * QUANTUM;
            for call in 0..2000 {
                if guests.iter().any(|(_, every)| call % every == 0) {
                    let (key, _) = guests[call % guests.len()];
                    let new = queue.join(key, 3, 3);
                    guest.replace(new).into_iter().for_each(|g| queue.leave(g));
                }
                let picked = queue.pick(budgets[call % budgets.len()], &mut |f| {
                    round += 1;
                    if f == watched { 1 } else { backlogs[(f.0 as usize + round) % backlogs.len()] }
                });
                let (flow, units) = picked.expect("the watched flow has backlog");
                waited = if flow == watched { 0 } else { waited + units };
                prop_assert!(waited <= most, "{} units before its turn", waited);
            }
            flows.into_iter().chain(guest).chain([watched]).for_each(|f| queue.leave(f));
            prop_assert!(queue.is_empty());
        }
    }
}
