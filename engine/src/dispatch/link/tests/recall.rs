//! Numbers suppressed while links hold units for them: wherever the unit is, nothing of it is written afterwards.

use super::*;
use crate::dispatch::recall::Recall;
use crate::dispatch::suppression::Listed;

const FIRST: u64 = 491_700_000_000;
const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(7));
const OTHER: WorkspaceId = WorkspaceId(Uuid::from_u128(8));

struct Story {
    world: World,
    lists: Suppressions,
}

impl Story {
    /// Campaigns 1 and 2 of one workspace, the second transactional, and 3 of another, on two binds.
    fn new() -> Self {
        let mut world = World::new(Box::new(|_| Some((CommandStatus::OK, 20_000))));
        let lists = Suppressions::default();
        world.channel(0, 2, 50);
        for (no, workspace, transactional) in [(1, WORKSPACE, false), (2, WORKSPACE, true), (3, OTHER, false)]
        {
            world.campaign_with(no, u64::from(no), 9_000, |spec| {
                spec.suppressed = lists.of(workspace);
                spec.transactional = transactional;
            });
        }
        Self { world, lists }
    }

    /// What the engine's face does; the world's campaigns then leave out what the lists refuse.
    /// On the lists of a workspace, or of the installation.
    fn suppress(&mut self, workspace: Option<WorkspaceId>, numbers: &[u64], listed: Listed) {
        self.lists.add_for(workspace, numbers, listed);
        self.world.board.recalls.push(Recall::new(workspace, listed == Listed::BLOCK, numbers));
        self.world.board.announce_stop();
    }

    fn obeyed(&self) -> bool {
        self.world.links.iter().all(|link| link.core.obeyed == self.world.board.stop_epoch())
    }

    /// What links hold of campaign 1, from what is encoded to what is queued, as distances from the first number.
    fn held_numbers(&self) -> Vec<u64> {
        let mut held = Vec::new();
        for core in self.world.links.iter().map(|link| &link.core) {
            let of = |owner: u32, unit: u16| {
                let entry = &core.chunks[owner as usize];
                let flow = core.flows[entry.flow as usize].as_ref().expect("a flow");
                (flow.no().0 == 1).then(|| entry.data.numbers[usize::from(unit)] - FIRST)
            };
            let slots = wire::submits(core.out()).into_iter().filter_map(|s| core.window.peek(s));
            held.extend(slots.filter_map(|slot| of(slot.owner, slot.unit)));
            let flow = core.flows.iter().flatten().find(|flow| flow.no().0 == 1).expect("a flow");
            let awaiting = flow.awaiting.iter().map(|(_, run)| run);
            let runs = flow.durable.iter().chain(awaiting).chain(&flow.queued);
            let units = runs.flat_map(|run| (0..run.count).map(|n| (run.owner, run.from + n)));
            held.extend(units.filter_map(|(owner, unit)| of(owner, unit)));
        }
        held
    }

    /// Units of a campaign that were written for a number.
    fn written(&self, no: u32, number: u64) -> usize {
        let place = place_of(number);
        self.world.written.iter().filter(|w| w.no == no && w.place == place).count()
    }
}

fn place_of(number: u64) -> (u32, u16) {
    let at = number - FIRST;
    (u32::try_from(at / CHUNK).expect("few chunks"), u16::try_from(at % CHUNK).expect("inside"))
}

/// Goal: whether a unit is queued, awaits its row, is durable or encoded, its number is not written behind the
/// acknowledgement, and its campaign has it back.
#[test]
fn a_suppressed_number_is_given_back_wherever_its_unit_is() {
    let mut met = 0;
    for round in 0..15 {
        let mut story = Story::new();
        story.world.run_for(60_000);
        // The kernel takes nothing for a while: encoded PDUs lie in the output.
        story.world.links.iter_mut().for_each(|link| link.is_open = false);
        story.world.run_for(30_000);
        let held = story.held_numbers();
        let at = held[held.len() * round / 15];
        let number = FIRST + at;
        let before = [1, 2, 3].map(|no| story.written(no, number));
        story.suppress(Some(WORKSPACE), &[number], Listed::OPT_OUT);
        story.world.links.iter_mut().for_each(|link| {
            let now = story.world.now;
            link.core.turn(now);
        });
        assert!(story.obeyed());
        story.world.links.iter_mut().for_each(|link| link.is_open = true);
        let recalled = story.world.camps[&1].mailbox.lock().expect("no panic").len();
        story.world.camps.get_mut(&1).expect("a campaign").refused = vec![number];
        story.world.run_for(20_000_000);
        assert_eq!(story.written(1, number), before[0], "at {at}");
        assert!(story.world.camps[&1].accepted.len() >= 8_999, "at {at}");
        assert_eq!([2, 3].map(|no| story.written(no, number)), [1, 1], "at {at}");
        let dropped = story.world.camps[&1].dropped;
        assert_eq!(dropped + before[0], 1, "at {at}");
        met += usize::from(dropped == 1 && recalled > 0);
        story.world.check();
        story.world.check_done(2, 9_000);
        story.world.check_done(3, 9_000);
    }
    assert_eq!(met, 15, "every one was still to be written");
}

#[test]
fn a_block_of_the_installation_holds_for_every_campaign() {
    let mut story = Story::new();
    story.world.run_for(40_000);
    let numbers: Vec<u64> = (0..9_000).map(|n| FIRST + n).collect();
    let before = story.world.written.len();
    // More than are compared one by one: links ask the lists.
    story.suppress(None, &numbers, Listed::BLOCK);
    story.world.links.iter_mut().for_each(|link| {
        let now = story.world.now;
        link.core.turn(now);
    });
    assert!(story.obeyed());
    for no in [1, 2, 3] {
        assert_eq!(story.world.held(no), 0);
    }
    assert_eq!(story.world.written.len(), before);
}

/// Goal: a slice that was checked before and reaches the link behind the recall goes back, one without such a number
/// does not.
#[test]
fn a_slice_checked_before_the_lists_changed_is_checked_again_when_it_arrives() {
    let mut story = Story::new();
    story.world.links.truncate(1);
    story.world.settle();
    story.suppress(Some(WORKSPACE), &[FIRST + 8_900], Listed::OPT_OUT);
    story.world.settle();
    let slice = |from: u16| Slice { from, count: 5, ..slices(9_000).pop_back().expect("some") };
    let held = story.world.held(1);
    let inbox = Arc::clone(&story.world.links[0].core.inbox);
    let place = place_of(FIRST + 8_900).1;
    for (from, taken) in [(place - 5, 5), (place - 2, 0), (place, 0), (place + 1, 5)] {
        let before = story.world.held(1);
        assert!(inbox.push(LinkMsg::Slices(CampaignNo(1), vec![slice(from)])).is_ok());
        let core = &mut story.world.links[0].core;
        for message in core.inbox.take() {
            core.on_message(message);
        }
        assert_eq!(story.world.held(1) - before, taken, "from {from}");
    }
    assert!(story.world.held(1) > held);
}

/// Goal: half of a PDU on the wire is finished before the recall is acknowledged.
#[test]
fn a_recall_is_not_acknowledged_while_half_of_the_pdu_is_on_the_wire() {
    let mut story = Story::new();
    story.world.links.truncate(1);
    story.world.links[0].is_open = false;
    story.world.run_for(20_000);
    let core = &mut story.world.links[0].core;
    let slot = core.window.peek(wire::submits(core.out())[0]).expect("in the window");
    let entry = &core.chunks[slot.owner as usize];
    let number = entry.data.numbers[usize::from(slot.unit)];
    let workspace = core.flows[entry.flow as usize].as_ref().expect("a flow").spec.suppressed.workspace;
    core.wrote(10);
    story.suppress(Some(workspace), &[number], Listed::BLOCK);
    let now = story.world.now;
    story.world.links[0].core.turn(now);
    assert!(!story.obeyed());
    let core = &mut story.world.links[0].core;
    let rest = core.out_head;
    core.wrote(rest);
    core.turn(now);
    assert!(story.obeyed());
}

/// Goal: flows without such a number keep what they hold.
#[test]
fn a_recall_leaves_others_alone() {
    let mut story = Story::new();
    story.world.links.iter_mut().for_each(|link| link.is_open = false);
    story.world.run_for(20_000);
    let held = [1, 2, 3].map(|no| story.world.held(no));
    assert!(held.iter().all(|units| *units > 0));
    story.suppress(Some(WORKSPACE), &[FIRST + 8_999], Listed::OPT_OUT);
    story.suppress(Some(WorkspaceId(Uuid::from_u128(9))), &[FIRST], Listed::BLOCK);
    story.world.links.iter_mut().for_each(|link| {
        let now = story.world.now;
        link.core.turn(now);
    });
    assert!(story.obeyed());
    assert_eq!([1, 2, 3].map(|no| story.world.held(no)), held);
}
