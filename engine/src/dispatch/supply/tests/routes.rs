//! Routes: who gets which number, how channels share, and what a list of changing routes costs.

use super::*;

#[test]
fn a_number_goes_only_to_channels_of_its_route() {
    let table: [(&[&str], u32); 3] = [(&["49"], 1), (&["43"], 1), (&[], 1)];
    let list: Vec<u64> = (0..30).map(|n| [4_911, 4_311, 7_911][n % 3] * 1000 + n as u64).collect();
    let remaining = Remaining { untouched: Vec::new(), runs: vec![run(0, 0, 30)] };
    let mut bench = Bench::new(1, &table, data(&list), remaining);
    let links: Vec<_> = (0..3).map(link).collect();
    links.iter().for_each(|link| drop(bench.want(link, 100)));
    let slices = bench.load();
    assert_eq!(given(&slices), 30);
    for (to, slice) in slices {
        for unit in slice.from..slice.from + slice.count {
            assert_eq!(unit % 3, u16::from(to.channel));
        }
    }
}

/// Messages to two links of one route each, and slices in them, for ten chunks whose numbers change their route after
/// every `block`.
fn counted(block: usize) -> (usize, usize) {
    let number = |n: usize| if (n / block).is_multiple_of(2) { 4_900_000 } else { 4_300_000 } + n as u64;
    let chunk = data(&(0..CHUNK_RECIPIENTS).map(number).collect::<Vec<_>>());
    let remaining = Remaining { untouched: (0..10).collect(), runs: Vec::new() };
    let mut bench = Bench::new(1, &[(&["49"], 1), (&["43"], 1)], chunk, remaining);
    let links = [link(0), link(1)];
    let (mut messages, mut slices, mut units) = (0, 0, 0);
    let mut count = |given_out: Vec<(Arc<LinkInbox>, Slice)>| {
        messages += links.iter().filter(|l| given_out.iter().any(|(to, _)| Arc::ptr_eq(l, to))).count();
        slices += given_out.len();
        units += given(&given_out);
    };
    // Half a chunk is in sight of each link at any time, so so many wants are surely enough.
    for _ in 0..10 * CHUNK_RECIPIENTS / 512 {
        for link in &links {
            count(bench.want(link, 512));
            while !bench.orders.is_empty() {
                count(bench.load());
            }
        }
    }
    assert_eq!(units as usize, 10 * CHUNK_RECIPIENTS);
    (messages, slices)
}

/// Goal: a list whose numbers change their route one by one costs links no more messages than a sorted one. What it
/// does cost is a slice a number, and with it an intent.
#[test]
fn a_list_that_changes_its_route_with_every_number_takes_no_more_messages_than_a_sorted_one() {
    let ((sorted, long), (mixed, short)) = (counted(CHUNK_RECIPIENTS / 2), counted(1));
    assert!(mixed <= sorted * 5 / 4, "{mixed} messages, {sorted} for a sorted list");
    assert!(
        long <= 10 * CHUNK_RECIPIENTS / 128 && short == 10 * CHUNK_RECIPIENTS,
        "{long} and {short} slices"
    );
}

#[test]
fn a_number_without_a_route_is_settled_and_not_sent() {
    let remaining = Remaining { untouched: Vec::new(), runs: vec![run(2, 0, 6)] };
    let mut bench = Bench::new(2, &[(&["49"], 1)], data(&[491, 441, 492]), remaining);
    bench.want(&link(0), 100);
    let slices = bench.load();
    assert_eq!(slices.iter().map(|(_, s)| (s.from, s.count)).collect::<Vec<_>>(), [(0, 2), (4, 2)]);
    let expected = Skip {
        campaign: CampaignNo(7),
        run: run(2, 2, 2),
        status: UnitStatus::Failed,
        reason: reason::NO_ROUTE,
    };
    assert_eq!((bench.skips.as_slice(), bench.supply.remaining()), (&[expected][..], 0));
}

#[test]
fn a_route_that_nobody_serves_keeps_nobody_from_going_on() {
    let table: [(&[&str], u32); 2] = [(&["49"], 1), (&["43"], 1)];
    let list: Vec<u64> = (0..4096).map(|n| if n % 64 == 0 { 4_300_000 } else { 4_900_000 } + n).collect();
    let remaining = Remaining { untouched: (0..10).collect(), runs: Vec::new() };
    let mut bench = Bench::new(1, &table, data(&list), remaining);
    let (dead, alive) = (link(0), link(1));
    let mut seen = BTreeSet::new();
    let collect = |bench: &mut Bench, seen: &mut BTreeSet<(ChunkNo, u16)>, link: &Arc<LinkInbox>| {
        let mut slices = bench.want(link, 50_000);
        while !bench.orders.is_empty() {
            slices.extend(bench.load());
            slices.extend(bench.want(link, 50_000));
        }
        for (_, slice) in slices {
            for unit in slice.from..slice.from + slice.count {
                assert!(seen.insert((slice.chunk, unit)), "given twice");
            }
        }
    };
    collect(&mut bench, &mut seen, &alive);
    assert_eq!(seen.len(), 640, "all of the route that is served");
    let in_hand: u64 = bench.supply.ready.iter().map(|ready| ready.units).sum();
    assert!(in_hand < 6 * 4096, "{in_hand} units of the other in memory");
    collect(&mut bench, &mut seen, &dead);
    assert_eq!((seen.len(), bench.supply.remaining()), (40_960, 0));
}

#[test]
fn channels_of_a_route_share_by_weight_and_one_that_does_not_ask_loses_its_share() {
    let table: [(&[&str], u32); 2] = [(&[], 3), (&[], 1)];
    let remaining = Remaining { untouched: vec![0], runs: Vec::new() };
    let mut bench = Bench::new(1, &table, numbers(4096), remaining);
    let links = [link(0), link(1)];
    links.iter().for_each(|link| drop(bench.want(link, 2_048)));
    let slices = bench.load();
    let of = |link: &Arc<LinkInbox>, slices: &[(Arc<LinkInbox>, Slice)]| {
        slices.iter().filter(|(to, _)| Arc::ptr_eq(to, link)).map(|(_, s)| u32::from(s.count)).sum::<u32>()
    };
    // Both asked for half: while both could take, it went three to one, then the rest to the lighter one.
    assert_eq!((of(&links[0], &slices), of(&links[1], &slices)), (2_048, 2_048));
    let first: Vec<u8> = slices.iter().map(|(to, _)| to.channel).collect();
    assert_eq!(first.iter().filter(|c| **c == 0).count(), 8);
    let mut bench = Bench::new(
        1,
        &table,
        numbers(1_024),
        Remaining { untouched: Vec::new(), runs: vec![run(0, 0, 1_024)] },
    );
    links.iter().for_each(|link| drop(bench.want(link, 2_048)));
    let slices = bench.load();
    assert_eq!((of(&links[0], &slices), of(&links[1], &slices)), (768, 256));
}
