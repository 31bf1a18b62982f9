//! What is written comes back, and nothing damaged gets through.

use super::*;
use proptest::prelude::*;

const CAMPAIGN: CampaignNo = CampaignNo(7);

fn sealed(facts: &mut Facts) -> Vec<u8> {
    let mut row = begin_row(64);
    row.extend_from_slice(facts.octets());
    seal_row(&mut row);
    row
}

fn outcome(unit: u16, fate: Fate<'_>) -> Outcome<'_> {
    Outcome { unit, latency_ms: unit % 77, fate }
}

#[test]
fn facts_come_back_in_order_and_neighbours_share_a_section() {
    let packed = PackedId::pack(b"00ab12").expect("packs");
    let fates = [
        Fate::AcceptedPacked(packed),
        Fate::Accepted(b"an-odd-id"),
        Fate::Accepted(b""),
        Fate::Refused(0x0B),
        Fate::Retry(0x58),
        Fate::Unknown,
        Fate::Repeat,
        Fate::Failed(8),
    ];
    let run = Run { chunk: 3, from: 9, count: 2 };
    let intent = Intent {
        incarnation: Incarnation(5),
        campaign: CAMPAIGN,
        stop_gen: 2,
        position: 11,
        run,
        attempt: 1,
        at_ms: 77,
    };
    let receipt =
        ReceiptFact { campaign: CAMPAIGN, chunk: 3, unit: 9, status: UnitStatus::Delivered, error: 4 };
    let orphan = Orphan { at_ms: 1, channel: 2, status: UnitStatus::Expired, error: 3, message_id: b"lost" };
    let mut facts = Facts::default();
    facts.intent(&intent);
    for (unit, fate) in (0..).zip(fates) {
        facts.outcome((CAMPAIGN, 3, 1), 99, &outcome(unit, fate));
    }
    facts.receipt(100, &receipt);
    facts.receipt(100, &ReceiptFact { unit: 10, ..receipt });
    facts.revoke(CAMPAIGN, &run);
    facts.orphan(&orphan);
    facts.adopted(2, b"lost");
    let row = sealed(&mut facts);
    let mut seen = Vec::new();
    read_row(&row, &mut |fact| match fact {
        Fact::Intent(got) => {
            assert_eq!(got, intent);
            seen.push("intent");
        }
        Fact::Outcomes { campaign, chunk, channel, at_ms, entries } => {
            assert_eq!((campaign, chunk, channel, at_ms), (CAMPAIGN, 3, 1, 99));
            assert!(entries.eq((0..).zip(fates).map(|(unit, fate)| outcome(unit, fate))));
            seen.push("outcomes");
        }
        Fact::Receipts { at_ms, entries } => {
            assert_eq!(at_ms, 100);
            assert!(entries.eq([receipt, ReceiptFact { unit: 10, ..receipt }]));
            seen.push("receipts");
        }
        Fact::Revoke { campaign, run: got } => {
            assert_eq!((campaign, got), (CAMPAIGN, run));
            seen.push("revoke");
        }
        Fact::Orphan(got) => {
            assert_eq!(got, orphan);
            seen.push("orphan");
        }
        Fact::Adopted { channel, message_id } => {
            assert_eq!((channel, message_id), (2, &b"lost"[..]));
            seen.push("adopted");
        }
        other => panic!("nobody wrote {other:?}"),
    })
    .expect("the row is whole");
    assert_eq!(seen, ["intent", "outcomes", "receipts", "revoke", "orphan", "adopted"]);
}

#[test]
fn facts_about_recipients_and_handsets_come_back() {
    let run = Run { chunk: 3, from: 9, count: 2 };
    let skip = Skip { campaign: CAMPAIGN, run, status: UnitStatus::Skipped, reason: reason::OPTED_OUT };
    let numbers = Numbers {
        campaign: CAMPAIGN,
        chunk: 1,
        from: 4,
        at_ms: 5,
        count: 2,
        numbers: &[7; 16],
        values: b"values",
    };
    let inbound =
        Inbound { at_ms: 9, channel: 2, source: b"49151", destination: b"SHOP", text: b"stop please" };
    let mut facts = Facts::default();
    facts.skip(&skip);
    facts.numbers(&numbers);
    facts.inbound(&inbound);
    facts.heard(41);
    let row = sealed(&mut facts);
    let mut seen = Vec::new();
    read_row(&row, &mut |fact| match fact {
        Fact::Skip(got) => {
            assert_eq!(got, skip);
            seen.push("skip");
        }
        Fact::Numbers(got) => {
            assert_eq!(got, numbers);
            seen.push("numbers");
        }
        Fact::Inbound(got) => {
            assert_eq!(got, inbound);
            seen.push("inbound");
        }
        Fact::Heard { row } => {
            assert_eq!(row, 41);
            seen.push("heard");
        }
        other => panic!("nobody wrote {other:?}"),
    })
    .expect("the row is whole");
    assert_eq!(seen, ["skip", "numbers", "inbound", "heard"]);
}

#[test]
fn an_accepted_message_costs_thirteen_octets_beside_the_header() {
    let mut facts = Facts::default();
    let id = PackedId::pack(b"0123456789abcdef").expect("packs");
    for unit in 0..100 {
        facts.outcome((CAMPAIGN, 0, 0), 5, &outcome(unit, Fate::AcceptedPacked(id)));
    }
    assert_eq!(facts.octets().len(), 23 + 100 * 13);
}

proptest! {
    #[test]
    fn a_damaged_row_is_refused_and_never_panics(flip in 0usize..200, bit in 0u8..8, cut in 0usize..200) {
        let mut facts = Facts::default();
        for unit in 0..12 {
            facts.outcome((CAMPAIGN, 0, 0), 5, &outcome(unit, Fate::Accepted(b"raw id")));
        }
        let row = sealed(&mut facts);
        let mut damaged = row.clone();
        let at = flip % damaged.len();
        damaged[at] ^= 1 << bit;
        let result = read_row(&damaged, &mut |_| ());
        prop_assert!(result.is_err());
        let cut = cut % row.len();
        let result = read_row(&row[..cut], &mut |_| ());
        prop_assert!(result.is_err());
    }

    #[test]
    fn arbitrary_sections_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        // Either outcome is right; what matters is that reading ends.
        let result = read_sections(&octets, &mut |fact| if let Fact::Outcomes { entries, .. } = fact {
            assert!(entries.count() <= octets.len());
        });
        prop_assert!(result.is_ok() || matches!(result, Err(RowError::Malformed(_))));
    }
}
