//! The promises of a journal about lists: their values, their growth and their header.

use super::Fixture;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, ChunkNo, ChunkState};
use crate::store::{Header, Journal, MAX_PAGE, MAX_VALUES_OCTETS, Recipients, StateSave, StoreError};
use jiff::civil::{Date, date};

const NO: CampaignNo = CampaignNo(7);
const FULL: u64 = CHUNK_RECIPIENTS as u64;

/// Announced sizes of a list that shares a file with others, and of one that does not.
const ANNOUNCED: [u64; 2] = [0, 3 * FULL];

fn charges(recipients: u64) -> Vec<(Date, u64)> {
    vec![(date(2024, 2, 29), recipients), (date(2024, 3, 1), u64::MAX)]
}

/// The first `count` recipients of a chunk; `mark` tells one version of a chunk from another.
fn recipients(chunk: ChunkNo, count: u64, mark: u32) -> Recipients {
    let first = 4_900_000_000_000 + u64::from(chunk) * FULL;
    Recipients {
        numbers: (first..first + count).collect(),
        values: (first..first + count).flat_map(|n| n.to_le_bytes()).chain(mark.to_le_bytes()).collect(),
        accepted_s: (mark..).take(usize::try_from(count).expect("small")).collect(),
        ..Recipients::default()
    }
}

async fn begin(journal: &impl Journal, announced: u64) {
    let writer = journal.write_recipients(NO, announced).expect("a list begins");
    writer.finish().expect("without any recipient");
}

fn growth(watermark: u64, chunks: Vec<(ChunkNo, Recipients)>) -> StateSave {
    let states = chunks.iter().map(|(chunk, recipients)| ChunkState {
        chunk: *chunk,
        status: vec![2; recipients.numbers.len()],
        ..ChunkState::default()
    });
    StateSave { watermark, chunks: states.collect(), charges: charges(watermark), recipients: chunks }
}

/// Whether all of `save` is stored, columns included.
async fn holds(journal: &impl Journal, save: &StateSave, total: u64) -> bool {
    let header = Header { watermark: save.watermark, recipients: total, charges: save.charges.clone() };
    let mut all = journal.header(NO).await.expect("known") == header;
    for (chunk, recipients) in &save.recipients {
        all &= journal.recipients(NO, *chunk).await.is_ok_and(|stored| stored == *recipients);
    }
    for state in &save.chunks {
        all &= journal.state(NO, state.chunk).await.expect("known").as_ref() == Some(state);
    }
    all
}

pub(in crate::store) async fn values_come_back_to_the_octet<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    for announced in [10, 3 * FULL] {
        let most = vec![0xAB; MAX_VALUES_OCTETS];
        let mut writer = journal.write_recipients(NO, announced).expect("begins");
        writer.chunk(&[1], &vec![0; MAX_VALUES_OCTETS + 1]).expect_err("too many octets");
        writer.chunk(&[1], &most).expect("as many as are allowed");
        writer.finish().expect("finished");
        let stored = journal.recipients(NO, 0).await.expect("stored");
        assert!(stored.values == most && stored.accepted_s.is_empty());
    }
    let numbers: Vec<u64> = (0..FULL).collect();
    let values = |chunk: u8| (0..=255).cycle().skip(chunk.into()).take(10_000).collect::<Vec<u8>>();
    let mut writer = journal.write_recipients(NO, 3 * FULL).expect("begins");
    for chunk in 0..3 {
        writer.chunk(&numbers, &values(chunk)).expect("taken");
    }
    writer.finish().expect("finished");
    drop(journal);
    let journal = fixture.open().await;
    for chunk in 0..3 {
        let expected = Recipients { numbers: numbers.clone(), values: values(chunk), ..<_>::default() };
        assert_eq!(journal.recipients(NO, chunk.into()).await.expect("stored"), expected);
    }
    assert_eq!(journal.header(NO).await.expect("known").recipients, 3 * FULL);
}

pub(in crate::store) async fn an_empty_list_is_a_list<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for announced in ANNOUNCED {
        let journal = fixture.open().await;
        assert!(matches!(journal.header(NO).await, Err(StoreError::NotFound)));
        begin(&journal, announced).await;
        let check = async |journal: &F::Store| {
            assert_eq!(journal.header(NO).await.expect("known"), Header::default());
            assert!(matches!(journal.recipients(NO, 0).await, Err(StoreError::NotFound)));
            assert_eq!(journal.state(NO, 0).await.expect("known"), None);
        };
        check(&journal).await;
        drop(journal);
        let journal = fixture.open().await;
        check(&journal).await;
        journal.remove(NO).await.expect("removed");
    }
}

pub(in crate::store) async fn a_list_grows_with_charges_and_watermark<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for announced in ANNOUNCED {
        let journal = fixture.open().await;
        begin(&journal, announced).await;
        let steps = [
            (growth(1, vec![(0, recipients(0, 1, 1))]), 1),
            (growth(2, vec![(0, recipients(0, 100, 2))]), 100),
            // The same again: after `Unavailable` nobody knows whether it was stored.
            (growth(2, vec![(0, recipients(0, 100, 2))]), 100),
            (growth(3, vec![(0, recipients(0, FULL, 3)), (1, recipients(1, 7, 3))]), FULL + 7),
            (growth(4, vec![(1, recipients(1, FULL, 4))]), 2 * FULL),
            (growth(5, vec![(0, recipients(0, FULL, 5)), (2, recipients(2, 9, 5))]), 2 * FULL + 9),
            (StateSave { watermark: 6, charges: charges(6), ..<_>::default() }, 2 * FULL + 9),
            (StateSave { watermark: 7, ..<_>::default() }, 2 * FULL + 9),
        ];
        for (save, total) in &steps {
            journal.save_state(NO, save.clone()).await.expect("saved");
            assert!(holds(&journal, save, *total).await, "watermark {}", save.watermark);
        }
        drop(journal);
        let journal = fixture.open().await;
        assert!(holds(&journal, &steps[7].0, 2 * FULL + 9).await);
        for (chunk, count, mark) in [(0, FULL, 5), (1, FULL, 4), (2, 9, 5)] {
            let stored = journal.recipients(NO, chunk).await.expect("stored");
            assert_eq!(stored, recipients(chunk, count, mark));
        }
        assert!(matches!(journal.recipients(NO, 3).await, Err(StoreError::NotFound)));
    }
}

pub(in crate::store) async fn what_would_leave_a_gap_in_a_list_saves_nothing<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for announced in ANNOUNCED {
        let journal = fixture.open().await;
        begin(&journal, announced).await;
        let good = growth(3, vec![(0, recipients(0, FULL, 3)), (1, recipients(1, 7, 3))]);
        journal.save_state(NO, good.clone()).await.expect("saved");
        let uneven = Recipients { accepted_s: vec![1], ..recipients(1, 8, 4) };
        for wrong in [
            vec![(0, recipients(0, FULL - 1, 4))],
            vec![(1, recipients(1, 6, 4))],
            vec![(1, recipients(1, 0, 4))],
            vec![(1, recipients(1, FULL + 1, 4))],
            vec![(2, recipients(2, 1, 4))],
            vec![(1, recipients(1, 8, 4)), (2, recipients(2, 1, 4))],
            vec![(0, recipients(0, FULL, 4)), (3, recipients(3, 1, 4))],
            vec![(u32::MAX, recipients(0, 1, 4))],
            vec![(1, uneven)],
        ] {
            let mut save = growth(4, wrong);
            save.chunks =
                good.chunks.iter().map(|state| ChunkState { status: vec![9], ..state.clone() }).collect();
            let refused = journal.save_state(NO, save).await.expect_err("not a list");
            assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
            assert!(holds(&journal, &good, FULL + 7).await);
        }
        journal.save_state(NO, growth(4, vec![(1, recipients(1, 8, 4))])).await.expect("it goes on");
        journal.remove(NO).await.expect("removed");
    }
}

pub(in crate::store) async fn a_header_survives_a_restart_and_not_a_new_upload<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for announced in ANNOUNCED {
        let journal = fixture.open().await;
        begin(&journal, announced).await;
        let save = growth(42, vec![(0, recipients(0, 5, 1))]);
        journal.save_state(NO, save.clone()).await.expect("saved");
        drop(journal);
        let journal = fixture.open().await;
        assert!(holds(&journal, &save, 5).await);
        let mut writer = journal.write_recipients(NO, announced).expect("begins anew");
        assert!(matches!(journal.header(NO).await, Err(StoreError::NotFound)));
        writer.chunk(&[1, 2, 3], &[]).expect("taken");
        writer.finish().expect("finished");
        let fresh = Header { recipients: 3, ..Header::default() };
        assert_eq!(journal.header(NO).await.expect("known"), fresh);
    }
}

/// Saves a growing list through failures that store and failures that do not: after each one everything of a save
/// is there or nothing, and saving again ends with everything.
pub(in crate::store) async fn a_failing_save_is_whole_or_not_at_all(
    journal: &impl Journal,
    saves: u32,
) -> u32 {
    begin(journal, 0).await;
    let (mut before, mut total, mut failures) = (StateSave::default(), 0, 0);
    for mark in 1..=saves {
        let count = u64::from(mark) * 700;
        let place = |chunk: u32| count.saturating_sub(u64::from(chunk) * FULL).min(FULL);
        let chunks = (0..).map_while(|chunk| match place(chunk) {
            0 => None,
            length => Some((chunk, recipients(chunk, length, mark))),
        });
        let save = growth(mark.into(), chunks.collect());
        while journal.save_state(NO, save.clone()).await.is_err() {
            failures += 1;
            assert!(holds(journal, &before, total).await || holds(journal, &save, count).await);
            assert!(failures < 100 * saves, "it never ends");
        }
        (before, total) = (save, count);
        assert!(holds(journal, &before, total).await);
    }
    failures
}

pub(in crate::store) async fn every_stored_list_is_named_in_pages_and_no_other<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    let write =
        |no: u32, announced: u64| journal.write_recipients(CampaignNo(no), announced).expect("begins");
    assert_eq!(journal.lists(CampaignNo(0)).await.expect("readable"), []);
    let last = 2 * u32::try_from(MAX_PAGE).expect("a page is small");
    for no in 1..=last {
        // Every hundredth has a file of its own.
        write(no, if no % 100 == 0 { 3 * FULL } else { 0 }).finish().expect("an empty list");
    }
    let under_way = write(1_000, 3 * FULL);
    journal.remove(CampaignNo(7)).await.expect("removed");
    journal.remove(CampaignNo(200)).await.expect("removed");
    let (mut found, mut after) = (Vec::new(), CampaignNo(0));
    loop {
        let page = journal.lists(after).await.expect("readable");
        assert!(page.len() <= MAX_PAGE, "{}", page.len());
        let Some(newest) = page.last() else { break };
        after = *newest;
        found.extend(page);
    }
    let expected = (1..=last).filter(|no| ![7, 200].contains(no)).map(CampaignNo);
    assert_eq!(found, expected.collect::<Vec<_>>());
    drop(under_way);
}
