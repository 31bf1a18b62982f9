//! The supply without actors: what leaves to whom, in which order, exactly once.

mod charges;
mod routes;

use super::*;
use crate::dispatch::config::ChannelConfig;
use crate::dispatch::message::Message;
use crate::dispatch::route::Routes;
use crate::dispatch::suppression::{Listed, Suppressions};
use crate::model::record::reason;
use crate::model::{CampaignNo, Content, SenderId, SendingRules, UnitStatus, Variable, WorkspaceId};
use crate::store::Scope;
use jiff::civil::date;
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
const TODAY: Date = date(2026, 3, 1);

/// Channels in the order of their place, by prefixes and weight.
pub(crate) fn channels(table: &[(&[&str], u32)]) -> Vec<ChannelConfig> {
    let of = |(prefixes, weight): &(&[&str], u32)| ChannelConfig {
        weight: *weight,
        ..crate::dispatch::testing::channel("c", prefixes)
    };
    table.iter().map(of).collect()
}

pub(crate) fn content(text: &str, parts: u8, variables: &[&str]) -> Content {
    Content {
        text: text.to_owned(),
        variables: variables.iter().map(|n| Variable { name: (*n).to_owned(), max_chars: 200 }).collect(),
        sender_id: SenderId(Uuid::nil()),
        revision_id: Uuid::nil(),
        saddr: "Shop".to_owned(),
        ston: 5,
        snpi: 0,
        dton: 1,
        dnpi: 1,
        parts,
        receipts: false,
        recipients_digest: String::new(),
        rules: SendingRules::default(),
    }
}

/// A sieve over these channels, and the lists that it looks at.
pub(crate) fn sieve(parts: u8, table: &[(&[&str], u32)]) -> (Sieve, Suppressions) {
    let lists = Suppressions::default();
    let sieve = Sieve {
        no: CampaignNo(7),
        message: Arc::new(Message::new(&content("hello", 1, &[]), 1).expect("a message")),
        parts,
        routes: Arc::new(Routes::new(&channels(table), WORKSPACE, &[], None).expect("routed")),
        suppressed: lists.of(WORKSPACE),
        variables: 0,
        transactional: false,
        validity_s: None,
    };
    (sieve, lists)
}

pub(crate) fn slice(chunk: ChunkNo, from: u16, count: u16) -> Slice {
    Slice {
        chunk,
        data: numbers(usize::from(from) + usize::from(count)),
        from,
        count,
        attempt: 0,
        sieved: 1,
        not_after_ms: u64::MAX,
        route: 0,
        paid: Paid::No,
    }
}

pub(crate) fn link(channel: u8) -> Arc<LinkInbox> {
    Arc::new(LinkInbox::new(Arc::default(), channel))
}

fn numbers(count: usize) -> Arc<ChunkData> {
    data(&vec![1; count])
}

fn data(numbers: &[u64]) -> Arc<ChunkData> {
    Arc::new(ChunkData { numbers: numbers.into(), ..ChunkData::default() })
}

/// A supply with its purse, and what the loader would do.
struct Bench {
    supply: Supply,
    sieve: Arc<Sieve>,
    lists: Suppressions,
    purse: Arc<Purse>,
    now: Now,
    /// What a fetched chunk holds.
    chunk: Arc<ChunkData>,
    orders: VecDeque<Order>,
    skips: Vec<Skip>,
}

impl Bench {
    fn new(parts: u8, table: &[(&[&str], u32)], chunk: Arc<ChunkData>, remaining: Remaining) -> Self {
        let (sieve, lists) = sieve(parts, table);
        let (sieve, purse) = (Arc::new(sieve), Arc::new(Purse::default()));
        let recipients = 10 * CHUNK_RECIPIENTS as u64;
        let supply = Supply::new(Arc::clone(&sieve), Arc::clone(&purse), recipients, remaining);
        let (orders, skips, now) = (VecDeque::new(), Vec::new(), Now::default());
        let mut bench = Self { supply, sieve, lists, purse, now, chunk, orders, skips };
        bench.terms(u64::MAX);
        bench
    }

    /// One route, everything queued in runs of one chunk.
    fn plain(chunk: usize, runs: Vec<Run>) -> Self {
        Self::new(1, &[(&[], 1)], numbers(chunk), Remaining { untouched: Vec::new(), runs })
    }

    fn terms(&mut self, fresh: u64) {
        self.supply.set_terms(Terms { is_open: true, day: TODAY, fresh });
    }

    /// What is given out; orders and skips are kept.
    fn on(&mut self, message: SupplyMsg) -> Vec<(Arc<LinkInbox>, Slice)> {
        let todo = self.supply.on(message, self.now);
        self.sort(todo)
    }

    /// Recipients charged today, and units given out that the keeper does not know yet.
    fn used(&self) -> u64 {
        self.purse.own().used(TODAY)
    }

    /// The keeper learns of intents for so many units, by which so many recipients are charged today.
    fn publish(&self, charged: u64, intended: u64) {
        self.purse.publish(vec![(TODAY, charged)], intended);
    }

    fn go_on(&mut self) -> Vec<(Arc<LinkInbox>, Slice)> {
        let todo = self.supply.go_on(self.now);
        self.sort(todo)
    }

    fn sort(&mut self, todo: Vec<Do>) -> Vec<(Arc<LinkInbox>, Slice)> {
        let mut given = Vec::new();
        for step in todo {
            match step {
                Do::Skip(skip) => self.skips.push(skip),
                Do::Fetch(order) => self.orders.push_back(order),
                Do::Give(link, slices) => given.extend(slices.into_iter().map(|s| (Arc::clone(&link), s))),
            }
        }
        given
    }

    /// Carries out the oldest order.
    fn load(&mut self) -> Vec<(Arc<LinkInbox>, Slice)> {
        let order = self.orders.pop_front().expect("an order");
        let sifted = self.sieve.sift(&self.chunk, &order.wanted);
        self.skips.extend(&sifted.skips);
        self.on(SupplyMsg::Loaded(order.id, sifted))
    }

    fn want(&mut self, link: &Arc<LinkInbox>, units: u32) -> Vec<(Arc<LinkInbox>, Slice)> {
        self.on(SupplyMsg::Want(Arc::clone(link), units))
    }
}

fn given(slices: &[(Arc<LinkInbox>, Slice)]) -> u32 {
    slices.iter().map(|(_, s)| u32::from(s.count)).sum()
}

fn run(chunk: ChunkNo, from: u16, count: u16) -> Run {
    Run { chunk, from, count }
}

#[test]
fn a_want_fetches_ahead_and_is_answered_with_no_more_than_was_wanted() {
    let remaining = Remaining { untouched: (0..10).collect(), runs: Vec::new() };
    let mut bench = Bench::new(1, &[(&[], 1)], numbers(4096), remaining);
    assert_eq!(given(&bench.want(&link(0), 600)), 0);
    assert_eq!(bench.orders.iter().map(|o| o.wanted.chunk).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(given(&bench.load()), 600);
    assert_eq!(given(&bench.want(&link(0), 10_000)), 4096 - 600);
}

#[test]
fn what_a_link_gives_back_is_given_out_first_and_exactly_once() {
    let mut bench = Bench::plain(50, vec![run(4, 7, 3)]);
    bench.want(&link(0), 100);
    assert_eq!(bench.orders.len(), 1);
    let slices: Vec<Slice> = bench.load().into_iter().map(|(_, s)| s).collect();
    assert_eq!((slices.len(), slices[0].from, slices[0].count), (1, 7, 3));
    assert_eq!(given(&bench.want(&link(0), 100)), 0);
    assert_eq!(given(&bench.on(SupplyMsg::Returned(slices))), 3);
    assert_eq!(given(&bench.want(&link(0), 100)), 0);
}

#[test]
fn every_unit_of_a_chunk_with_the_most_parts_is_given_out_once() {
    let remaining = Remaining { untouched: vec![0], runs: Vec::new() };
    let mut bench = Bench::new(16, &[(&[], 1)], numbers(4096), remaining);
    bench.want(&link(0), u32::MAX);
    let slices = bench.load();
    assert_eq!(given(&slices), 4096 * 16);
    let mut next = 0u32;
    for (_, slice) in slices {
        assert_eq!(u32::from(slice.from), next);
        next += u32::from(slice.count);
    }
    bench.publish(4096, 4096 * 16);
    assert_eq!((bench.used(), bench.supply.remaining()), (4096, 0));
}

#[test]
fn a_closed_link_gets_nothing_and_what_comes_back_from_it_goes_to_the_others_at_once() {
    let mut bench = Bench::plain(100, vec![run(0, 0, 100)]);
    let (closed, open) = (link(0), link(0));
    bench.want(&closed, 40);
    let slices: Vec<Slice> = bench.load().into_iter().map(|(_, s)| s).collect();
    assert_eq!(slices[0].count, 40);
    bench.want(&closed, 10);
    assert_eq!(given(&bench.want(&open, 200)), 50, "the rest");
    drop(closed.close());
    bench.want(&open, 200);
    let again = bench.on(SupplyMsg::Returned(slices));
    assert!(again.iter().all(|(to, _)| Arc::ptr_eq(to, &open)));
    assert_eq!(given(&again), 40);
}

#[test]
fn delayed_units_come_when_they_are_due_and_too_many_of_them_hold_everything_fresh_back() {
    let mut bench = Bench::plain(4_096, vec![run(0, 0, 4_096)]);
    let link = link(0);
    bench.want(&link, 100);
    let mut slices: Vec<Slice> = bench.load().into_iter().map(|(_, s)| s).collect();
    assert_eq!((slices[0].count, bench.used()), (100, 100));
    slices[0].attempt = 1;
    bench.publish(0, 100);
    slices[0].paid = bench.purse.come_back(slices[0].paid, 100, true);
    bench.on(SupplyMsg::Later(slices, 5_000));
    assert_eq!(given(&bench.want(&link, 10)), 10, "fresh ones go on");
    let flood: Vec<Slice> = (0..17).map(|n| Slice { attempt: 1, ..slice(n, 0, 4_096) }).collect();
    bench.on(SupplyMsg::Later(flood, 9_000));
    assert_eq!(given(&bench.want(&link, 10)), 0);
    bench.now.mono_us = 5_000;
    let due = bench.go_on();
    assert_eq!((given(&due), due[0].1.from, due[0].1.attempt), (10, 0, 1));
    assert_eq!(bench.used(), 20, "a retry needs a place when it leaves again, and none while it waits");
    assert_eq!(bench.supply.next_due_us(), Some(9_000));
}

#[test]
fn nothing_leaves_beyond_the_plan_and_what_comes_back_may_leave_again() {
    let mut bench = Bench::plain(4_096, vec![run(0, 0, 4_096)]);
    let link = link(0);
    bench.terms(30);
    bench.want(&link, 2_000);
    let slices = bench.load();
    assert_eq!((given(&slices), bench.supply.remaining()), (30, 4_066));
    assert_eq!(given(&bench.want(&link, 2_000)), 0);
    bench.on(SupplyMsg::Returned(slices.into_iter().map(|(_, s)| s).collect()));
    assert_eq!((bench.supply.remaining(), bench.used()), (4_066, 30), "out again at once");
    bench.terms(7);
    assert_eq!(given(&bench.go_on()), 0, "a want is answered once");
    assert_eq!(given(&bench.want(&link, 2_000)), 7);
}

#[test]
fn a_daily_limit_counts_recipients_and_not_their_parts() {
    let remaining = Remaining { untouched: Vec::new(), runs: vec![run(0, 1, 29)] };
    let mut bench = Bench::new(3, &[(&[], 1)], numbers(10), remaining);
    bench.purse.own().set_limit(Some(4));
    assert_eq!(bench.supply.remaining(), 9, "of the first one a part is gone already");
    bench.want(&link(0), 100);
    // The rest of the one that was begun: nobody here knows whether it is charged.
    assert_eq!(given(&bench.load()), 2 + 3 * 3);
    assert!(bench.supply.is_poor());
    bench.publish(4, 11);
    let tomorrow = date(2026, 3, 2);
    bench.supply.set_terms(Terms { is_open: true, day: tomorrow, fresh: u64::MAX });
    let slices = bench.want(&link(0), 100);
    assert_eq!((given(&slices), bench.purse.left(tomorrow)), (12, 0));
    let unsent: Vec<Slice> = slices.into_iter().map(|(_, s)| s).collect();
    bench.on(SupplyMsg::Returned(unsent));
    assert_eq!((bench.used(), bench.purse.left(tomorrow)), (4, 4));
}

#[test]
fn a_message_is_never_torn_in_two() {
    let remaining = Remaining { untouched: Vec::new(), runs: vec![run(0, 1, 29)] };
    let mut bench = Bench::new(3, &[(&[], 1)], numbers(10), remaining);
    bench.want(&link(0), 1);
    assert_eq!(given(&bench.load()), 2);
    assert_eq!(given(&bench.want(&link(0), 4)), 6);
}

#[test]
fn a_part_that_comes_back_alone_leaves_its_recipient_charged_and_is_not_charged_again() {
    let remaining = Remaining { untouched: Vec::new(), runs: vec![run(0, 0, 30)] };
    let mut bench = Bench::new(3, &[(&[], 1)], numbers(10), remaining);
    bench.purse.own().set_limit(Some(4));
    let link = link(0);
    bench.want(&link, 100);
    let out = bench.load();
    bench.publish(4, 12);
    assert_eq!((given(&out), bench.used()), (12, 4));
    // The first part was throttled; the others of its message may have been accepted.
    let paid = bench.purse.come_back(out[0].1.paid, 1, false);
    let first = Slice { count: 1, paid, ..out[0].1.clone() };
    bench.on(SupplyMsg::Returned(vec![first]));
    let again = bench.want(&link, 100);
    assert_eq!((given(&again), bench.supply.remaining()), (1, 6), "that part and nobody else");
    bench.publish(4, 1);
    // A whole message that comes back frees its place.
    let paid = bench.purse.come_back(out[0].1.paid, 3, true);
    let whole = Slice { from: 3, count: 3, paid, ..out[0].1.clone() };
    bench.publish(3, 0);
    bench.on(SupplyMsg::Returned(vec![whole]));
    let again = bench.want(&link, 100);
    bench.publish(4, 3);
    assert_eq!((given(&again), bench.used()), (3, 4));
}

#[test]
fn what_stays_charged_for_good_leaves_again_on_a_day_that_is_used_up() {
    let mut bench = Bench::plain(100, vec![run(0, 0, 100)]);
    bench.purse.own().set_limit(Some(10));
    let link = link(0);
    bench.want(&link, 100);
    let out = bench.load();
    bench.publish(10, 10);
    let paid = bench.purse.come_back(Paid::Kept, 1, true);
    bench.on(SupplyMsg::Returned(vec![Slice { count: 1, attempt: 1, paid, ..out[0].1.clone() }]));
    assert_eq!(bench.used(), 10, "none while it waits");
    let again = bench.want(&link, 100);
    assert_eq!((given(&again), again[0].1.paid), (1, Paid::Kept));
    bench.publish(10, 1);
    assert_eq!(bench.used(), 10);
}

#[test]
fn nothing_leaves_while_it_is_closed_and_wants_are_kept() {
    let mut bench = Bench::plain(100, vec![run(0, 0, 100)]);
    bench.supply.set_terms(Terms::default());
    bench.want(&link(0), 40);
    assert_eq!(given(&bench.load()), 0);
    bench.terms(u64::MAX);
    assert_eq!(given(&bench.go_on()), 40);
}

#[test]
fn a_number_that_is_listed_meanwhile_is_left_out_at_the_last_moment() {
    let list: Vec<u64> = (0..100).map(|n| 4_900 + n).collect();
    let remaining = Remaining { untouched: Vec::new(), runs: vec![run(0, 0, 100)] };
    let mut bench = Bench::new(1, &[(&[], 1)], data(&list), remaining);
    bench.want(&link(0), 10);
    bench.load();
    bench.lists.add(Scope::Workspace(WORKSPACE), &[4_950, 4_951], Listed::OPT_OUT);
    let rest = bench.want(&link(0), 1_000);
    assert_eq!(rest.iter().map(|(_, s)| (s.from, s.count)).collect::<Vec<_>>(), [(10, 40), (52, 48)]);
    let skipped: Vec<_> = bench.skips.iter().map(|s| (s.run.from, s.status, s.reason)).collect();
    let out = (UnitStatus::Skipped, reason::OPTED_OUT);
    assert_eq!(skipped, [(50, out.0, out.1), (51, out.0, out.1)]);
    assert_eq!((bench.supply.remaining(), bench.used()), (0, 98));
}

#[test]
fn what_a_program_pushes_goes_before_everything_fresh_and_expires_in_its_time() {
    let mut bench = Bench::plain(1_000, vec![run(0, 0, 500)]);
    bench.want(&link(0), 1);
    bench.load();
    let data = Arc::new(ChunkData { first: 600, numbers: Box::new([5, 6]), ..ChunkData::default() });
    let pushed = |bench: &mut Bench, accepted: u32| {
        let mut data = (*data).clone();
        data.accepted_s = Box::new([accepted; 2]);
        let slice = Slice { data: Arc::new(data), sieved: 0, ..slice(0, 600, 2) };
        bench.on(SupplyMsg::Pushed(vec![slice]))
    };
    pushed(&mut bench, 0);
    let next = bench.want(&link(0), 3);
    assert_eq!(next.iter().map(|(_, s)| (s.from, s.count)).collect::<Vec<_>>(), [(600, 2), (1, 1)]);
    let (mut sieve, _) = sieve(1, &[(&[], 1)]);
    sieve.validity_s = Some(60);
    bench.sieve = Arc::new(sieve);
    bench.supply.sieve = Arc::clone(&bench.sieve);
    pushed(&mut bench, 100);
    bench.now.wall_ms = 160_000;
    let next = bench.want(&link(0), 3);
    assert_eq!(next[0].1.from, 2);
    assert_eq!((bench.skips[0].status, bench.skips[0].reason), (UnitStatus::Expired, reason::TOO_LATE));
}

#[test]
fn a_night_of_pushes_is_left_to_be_read_when_the_morning_comes() {
    let mut bench = Bench::plain(4_096, Vec::new());
    bench.supply.set_terms(Terms::default());
    for chunk in 0..8 {
        for from in (0..4_096).step_by(64) {
            bench.on(SupplyMsg::Pushed(vec![slice(chunk, from, 64)]));
        }
    }
    let in_hand = bench.supply.ready[0].units;
    assert!((MAX_PUSHED..MAX_PUSHED + 64).contains(&in_hand), "{in_hand}");
    assert_eq!(bench.supply.remaining(), 8 * 4_096);
    bench.terms(u64::MAX);
    let link = link(0);
    let mut count = given(&bench.want(&link, 1_000_000));
    while !bench.orders.is_empty() {
        count += given(&bench.load());
        count += given(&bench.want(&link, 1_000_000));
    }
    assert_eq!((count, bench.supply.remaining()), (8 * 4_096, 0));
}

#[test]
fn a_rendering_with_fewer_parts_leaves_the_others_out() {
    let personal = content("Dear {name}, your table is ready", 2, &["name"]);
    let (mut sieve, _) = sieve(2, &[(&[], 1)]);
    sieve.message = Arc::new(Message::new(&personal, 1).expect("a message"));
    sieve.variables = 1;
    let mut packed = Vec::new();
    for name in ["Ann", &"x".repeat(150), "Жан", "Bob"] {
        crate::model::values::pack_row(&mut packed, &[name]).expect("packed");
    }
    let values = crate::model::Values::index(&packed, 1);
    let data = Arc::new(ChunkData { numbers: vec![1; 4].into(), values, ..ChunkData::default() });
    let mut routes = crate::dispatch::route::RouteSet::default();
    routes.add(RouteNo(0));
    let wanted =
        crate::dispatch::sieve::Wanted { chunk: 0, runs: Vec::new(), routes, settles_unrouted: true };
    let sifted = sieve.sift(&data, &wanted);
    let runs: Vec<_> = sifted.slices.iter().map(|s| (s.from, s.count)).collect();
    let skips: Vec<_> = sifted.skips.iter().map(|s| (s.run.from, s.run.count, s.status)).collect();
    assert_eq!(runs[..2], [(0, 1), (2, 2)]);
    assert_eq!(skips[0], (1, 1, UnitStatus::Absent));
    let whole: u32 =
        runs.iter().map(|(_, c)| u32::from(*c)).chain(skips.iter().map(|s| u32::from(s.1))).sum();
    assert_eq!(whole, 8, "{runs:?} {skips:?}");
}

proptest! {
    /// Goal: whatever links ask, return and delay, every unit leaves exactly once unless it came back, on a route of
    /// its link's channel, and the books agree with what is out.
    #[test]
    fn every_unit_is_in_one_place(
        parts in 1..4_u8,
        steps in proptest::collection::vec((0..6_u8, 0..4_u8, 1..700_u32), 1..120),
    ) {
        let table: [(&[&str], u32); 4] = [(&["49"], 2), (&["49"], 1), (&["43", "49"], 1), (&[], 5)];
        let list: Vec<u64> = (0..1_000u64)
            .map(|n| n + match n % 7 % 3 { 0 => 4_900_000, 1 => 4_300_000, _ => 7_000_000 })
            .collect();
        let remaining = Remaining { untouched: vec![0], runs: Vec::new() };
        let mut bench = Bench::new(parts, &table, data(&list), remaining);
        bench.supply.remaining = 1_000;
        let routes = Arc::clone(&bench.sieve.routes);
        let links: Vec<_> = (0..4).map(link).collect();
        let mut out: Vec<Slice> = Vec::new();
        let mut held = BTreeSet::new();
        let took = |given: Vec<(Arc<LinkInbox>, Slice)>, out: &mut Vec<Slice>, held: &mut BTreeSet<u16>| {
            for (to, slice) in given {
                for unit in slice.from..slice.from + slice.count {
                    assert!(held.insert(unit), "unit {unit} is out twice");
                    let number = list[usize::from(unit / u16::from(parts))];
                    let route = routes.route_of(number).expect("a route");
                    assert!(routes.channels(route).contains(&to.channel));
                }
                out.push(slice);
            }
        };
        for (what, which, amount) in steps {
            bench.now.mono_us += 1_000;
            let given = match what {
                0..=2 => bench.want(&links[usize::from(which)], amount),
                3 if !bench.orders.is_empty() => bench.load(),
                4 | 5 if !out.is_empty() => {
                    let mut slice = out.swap_remove(amount as usize % out.len());
                    (slice.from..slice.from + slice.count).for_each(|unit| { held.remove(&unit); });
                    if what == 4 {
                        bench.on(SupplyMsg::Returned(vec![slice]))
                    } else {
                        slice.attempt += 1;
                        bench.on(SupplyMsg::Later(vec![slice], bench.now.mono_us + u64::from(amount)))
                    }
                }
                _ => bench.go_on(),
            };
            took(given, &mut out, &mut held);
        }
        bench.now.mono_us += 1_000_000;
        for _ in 0..40 {
            for link in &links {
                let given = bench.want(link, 5_000);
                took(given, &mut out, &mut held);
            }
            while !bench.orders.is_empty() {
                let given = bench.load();
                took(given, &mut out, &mut held);
            }
        }
        prop_assert_eq!(held.len(), 1_000 * usize::from(parts));
        prop_assert_eq!((bench.supply.remaining(), bench.used()), (0, 1_000 * u64::from(parts)));
    }
}
