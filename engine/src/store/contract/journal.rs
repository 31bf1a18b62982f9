//! The promises of a journal.

use super::Fixture;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, ChunkState, NO_TIME};
use crate::store::{Commit, Journal, RowSeq, StateSave, StoreError};
use std::collections::VecDeque;

const NO: CampaignNo = CampaignNo(7);

/// One size that shares a file with others, and one that does not.
const SIZES: [usize; 2] = [CHUNK_RECIPIENTS / 2, 2 * CHUNK_RECIPIENTS + 100];

fn numbers(count: usize, first: u64) -> Vec<u64> {
    (first..).take(count).collect()
}

async fn upload(journal: &impl Journal, no: CampaignNo, numbers: &[u64]) {
    let mut writer = journal.write_recipients(no, numbers.len() as u64).expect("an upload begins");
    for chunk in numbers.chunks(CHUNK_RECIPIENTS) {
        writer.chunk(chunk, &[]).expect("a chunk is taken");
    }
    writer.finish().expect("an upload ends");
}

/// All recipients, read chunk by chunk until there are no more.
async fn download(journal: &impl Journal, no: CampaignNo) -> Vec<u64> {
    let mut all = Vec::new();
    for chunk in 0.. {
        match journal.recipients(no, chunk).await {
            Ok(recipients) => all.extend(recipients.numbers),
            Err(StoreError::NotFound) => break,
            Err(error) => panic!("{error}"),
        }
    }
    all
}

fn row(seq: RowSeq) -> Vec<u8> {
    seq.to_le_bytes().repeat(usize::try_from(seq % 50).expect("small") + 1)
}

async fn rows_behind(journal: &impl Journal, after: RowSeq) -> Vec<RowSeq> {
    let mut seen = Vec::new();
    let mut visit = |seq: RowSeq, data: &[u8]| {
        assert_eq!(data, row(seq));
        seen.push(seq);
    };
    journal.replay(after, &mut visit).await.expect("the journal can be replayed");
    seen
}

async fn commit(journal: &impl Journal, rows: std::ops::RangeInclusive<RowSeq>) {
    for seq in rows {
        assert_eq!(journal.commit(seq, row(seq).into()).await, Commit::Durable);
    }
}

fn state(chunk: u32, units: usize, octet: u8) -> ChunkState {
    let times = |first: u32| (first..).take(units).chain([NO_TIME]).collect();
    ChunkState {
        chunk,
        status: vec![octet; units],
        errors: vec![(0, 0x58), (u16::MAX, u32::MAX)],
        message_ids: vec![octet; units * 9],
        submitted_ms: times(1),
        final_ms: times(1 << 30),
    }
}

pub(in crate::store) async fn recipients_come_back_as_they_went_in<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    let full = CHUNK_RECIPIENTS;
    for (no, count) in (1..).zip([1, 100, full - 1, full, full + 1, 3 * full, 3 * full + 7]) {
        let expected = numbers(count, 999_999_999_999_999 - 20_000);
        upload(&journal, CampaignNo(no), &expected).await;
        assert_eq!(download(&journal, CampaignNo(no)).await, expected);
        let last = u32::try_from((count - 1) / full).expect("small");
        let length = journal.recipients(CampaignNo(no), last).await.expect("the last chunk").numbers.len();
        assert_eq!(length, (count - 1) % full + 1);
    }
}

pub(in crate::store) async fn recipients_survive_a_restart<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for (no, count) in (1..).zip(SIZES) {
        let expected = numbers(count, 49_000_000_000);
        let journal = fixture.open().await;
        upload(&journal, CampaignNo(no), &expected).await;
        drop(journal);
        assert_eq!(download(&fixture.open().await, CampaignNo(no)).await, expected);
    }
}

pub(in crate::store) async fn an_upload_is_invisible_until_it_is_finished<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for size in SIZES {
        let journal = fixture.open().await;
        let mut writer = journal.write_recipients(NO, size as u64).expect("an upload begins");
        writer.chunk(&numbers(size.min(CHUNK_RECIPIENTS), 1), &[]).expect("a chunk is taken");
        for chunk in [0, 1] {
            let hidden = journal.recipients(NO, chunk).await.expect_err("not finished");
            assert!(matches!(hidden, StoreError::NotFound), "{hidden}");
        }
        assert!(matches!(journal.header(NO).await, Err(StoreError::NotFound)));
        drop(writer);
        assert!(download(&journal, NO).await.is_empty());
        drop(journal);
        assert!(download(&fixture.open().await, NO).await.is_empty());
    }
}

pub(in crate::store) async fn a_replaced_upload_leaves_nothing_of_the_former_one<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for former in SIZES {
        for later in SIZES.map(|size| size - 10) {
            let journal = fixture.open().await;
            upload(&journal, NO, &numbers(former, 1)).await;
            let save = StateSave { watermark: 9, chunks: vec![state(0, 10, 2)], ..<_>::default() };
            journal.save_state(NO, save).await.expect("saved");
            upload(&journal, NO, &numbers(later, 500)).await;
            assert_eq!(download(&journal, NO).await, numbers(later, 500));
            assert_eq!(journal.header(NO).await.expect("known").watermark, 0);
            assert_eq!(journal.state(NO, 0).await.expect("known"), None);
            drop(journal);
            assert_eq!(download(&fixture.open().await, NO).await, numbers(later, 500));
        }
    }
}

pub(in crate::store) async fn only_the_last_of_two_uploads_at_once_can_be_finished<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    for first_size in SIZES {
        for last_size in SIZES {
            let mut first = journal.write_recipients(NO, first_size as u64).expect("begins");
            let mut last = journal.write_recipients(NO, last_size as u64).expect("begins as well");
            first.chunk(&numbers(10, 1), &[]).expect("taken");
            last.chunk(&numbers(10, 100), &[]).expect("taken");
            first.finish().expect_err("it was replaced");
            last.finish().expect("it is the last one");
            assert_eq!(download(&journal, NO).await, numbers(10, 100));
        }
        let writer = journal.write_recipients(NO, first_size as u64).expect("begins");
        journal.remove(NO).await.expect("removed");
        writer.finish().expect_err("its campaign was removed");
        assert!(matches!(journal.header(NO).await, Err(StoreError::NotFound)));
    }
}

pub(in crate::store) async fn a_wrong_chunk_is_refused<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    let mut large = journal.write_recipients(NO, 50_000).expect("begins");
    large.chunk(&[], &[]).expect_err("an empty chunk");
    large.chunk(&numbers(CHUNK_RECIPIENTS + 1, 1), &[]).expect_err("too long a chunk");
    large.chunk(&numbers(10, 1), &[]).expect("a short chunk");
    large.chunk(&numbers(10, 1), &[]).expect_err("a chunk behind a short one");
    drop(large);
    let mut small = journal.write_recipients(NO, 10).expect("begins");
    small.chunk(&numbers(CHUNK_RECIPIENTS, 1), &[]).expect("more than announced, but one chunk");
    small.chunk(&numbers(1, 1), &[]).expect_err("much more than announced");
}

pub(in crate::store) async fn a_removed_campaign_is_gone_also_after_a_restart<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for size in SIZES {
        let journal = fixture.open().await;
        let other = CampaignNo(NO.0 + 1);
        for no in [NO, other] {
            upload(&journal, no, &numbers(size, 1)).await;
            let save = StateSave { watermark: 3, chunks: vec![state(0, 10, 2)], ..<_>::default() };
            journal.save_state(no, save).await.expect("saved");
        }
        journal.remove(NO).await.expect("removed");
        journal.remove(NO).await.expect("nothing left to remove");
        let check = async |journal: &F::Store| {
            assert!(download(journal, NO).await.is_empty());
            assert!(matches!(journal.header(NO).await, Err(StoreError::NotFound)));
            assert!(matches!(journal.state(NO, 0).await, Err(StoreError::NotFound)));
            assert_eq!(download(journal, other).await.len(), size);
            assert_eq!(journal.header(other).await.expect("kept").watermark, 3);
        };
        check(&journal).await;
        drop(journal);
        check(&fixture.open().await).await;
    }
}

pub(in crate::store) async fn state_comes_back_as_it_was_saved<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    for size in SIZES {
        upload(&journal, NO, &numbers(size, 1)).await;
        assert_eq!(journal.header(NO).await.expect("known").watermark, 0);
        assert_eq!(journal.state(NO, 0).await.expect("known"), None);
        for (watermark, octet) in [(5, 1), (6, 2), (1 << 60, 3)] {
            let chunks =
                vec![state(0, size, octet), state(1, 3, octet), ChunkState { chunk: 2, ..<_>::default() }];
            let save = StateSave { watermark, chunks: chunks.clone(), ..<_>::default() };
            journal.save_state(NO, save).await.expect("saved");
            assert_eq!(journal.header(NO).await.expect("known").watermark, watermark);
            for expected in chunks {
                assert_eq!(journal.state(NO, expected.chunk).await.expect("known"), Some(expected));
            }
        }
        journal
            .save_state(NO, StateSave { watermark: 9, chunks: Vec::new(), ..<_>::default() })
            .await
            .expect("saved");
        assert_eq!(journal.header(NO).await.expect("known").watermark, 9);
        assert_eq!(journal.state(NO, 0).await.expect("known"), Some(state(0, size, 3)));
    }
}

pub(in crate::store) async fn states_survive_a_restart_with_their_watermark<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for size in SIZES {
        let journal = fixture.open().await;
        upload(&journal, NO, &numbers(size, 1)).await;
        let save = StateSave { watermark: 42, chunks: vec![state(0, 100, 4)], ..<_>::default() };
        journal.save_state(NO, save).await.expect("saved");
        drop(journal);
        let journal = fixture.open().await;
        assert_eq!(journal.header(NO).await.expect("known").watermark, 42);
        assert_eq!(journal.state(NO, 0).await.expect("known"), Some(state(0, 100, 4)));
        assert_eq!(download(&journal, NO).await.len(), size);
    }
}

pub(in crate::store) async fn state_of_an_unknown_campaign_is_not_found<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    let save = StateSave { watermark: 42, chunks: vec![state(0, 100, 4)], ..<_>::default() };
    assert!(matches!(journal.save_state(NO, save).await, Err(StoreError::NotFound)));
    assert!(matches!(journal.state(NO, 0).await, Err(StoreError::NotFound)));
    assert!(matches!(journal.header(NO).await, Err(StoreError::NotFound)));
}

pub(in crate::store) async fn rows_come_back_in_order_from_any_place<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    assert_eq!(journal.newest().await.expect("readable"), 0);
    assert!(rows_behind(&journal, 0).await.is_empty());
    commit(&journal, 1..=30).await;
    drop(journal);
    let journal = fixture.open().await;
    assert_eq!(journal.newest().await.expect("readable"), 30);
    commit(&journal, 31..=40).await;
    for after in [0, 1, 17, 39, 40, 41, u64::MAX] {
        assert_eq!(rows_behind(&journal, after).await, (after.saturating_add(1)..=40).collect::<Vec<_>>());
    }
}

pub(in crate::store) async fn several_commits_in_flight_keep_their_order<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    let mut tickets: VecDeque<_> = (1..=10).map(|seq| journal.commit(seq, row(seq).into())).collect();
    // The last one first: the others are settled all the same.
    assert_eq!(tickets.pop_back().expect("ten tickets").await, Commit::Durable);
    assert_eq!(journal.newest().await.expect("readable"), 10);
    for ticket in tickets {
        assert_eq!(ticket.await, Commit::Durable);
    }
    assert_eq!(rows_behind(&journal, 0).await, (1..=10).collect::<Vec<_>>());
}

pub(in crate::store) async fn a_row_that_does_not_follow_is_not_applied<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    assert_eq!(journal.commit(2, row(2).into()).await, Commit::NotApplied);
    commit(&journal, 1..=3).await;
    for seq in [0, 1, 3, 5, u64::MAX] {
        assert_eq!(journal.commit(seq, b"wrong".to_vec().into()).await, Commit::NotApplied);
    }
    assert_eq!(rows_behind(&journal, 0).await, [1, 2, 3]);
    commit(&journal, 4..=4).await;
}

pub(in crate::store) async fn the_newest_row_survives_trimming_and_restarts<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    commit(&journal, 1..=20).await;
    journal.trim(5).await.expect("trimmed");
    assert_eq!(rows_behind(&journal, 0).await, (6..=20).collect::<Vec<_>>());
    assert_eq!(rows_behind(&journal, 18).await, [19, 20]);
    journal.trim(1_000).await.expect("no more than there is");
    journal.trim(3).await.expect("long done");
    drop(journal);
    let journal = fixture.open().await;
    assert_eq!(journal.newest().await.expect("readable"), 20);
    assert!(rows_behind(&journal, 0).await.is_empty());
    commit(&journal, 21..=22).await;
    assert_eq!(rows_behind(&journal, 0).await, [21, 22]);
}

pub(in crate::store) async fn trimming_many_rows_keeps_the_rest<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    commit(&journal, 1..=600).await;
    journal.trim(599).await.expect("trimmed");
    assert_eq!(rows_behind(&journal, 0).await, [600]);
}

pub(in crate::store) async fn housekeeping_loses_nothing<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    for first in [1, 11, 21] {
        commit(&journal, first..=first + 9).await;
        journal.maintain().await.expect("done");
    }
    assert_eq!(rows_behind(&journal, 0).await, (1..=30).collect::<Vec<_>>());
}

/// A writer as the contract asks for: after a failure it settles what is in flight, reads the newest row back and
/// goes on behind it. Gives whether it was fenced; checks that what it was told is what is stored.
pub(in crate::store) async fn a_careful_writer_gets_every_row_in(
    journal: &impl Journal,
    last: RowSeq,
) -> bool {
    let mut next = 1;
    let (mut fenced, mut told) = (false, 0);
    while next <= last && !fenced {
        let flight: VecDeque<_> =
            (next..=last.min(next + 3)).map(|seq| (seq, journal.commit(seq, row(seq).into()))).collect();
        let mut failed = false;
        for (seq, ticket) in flight {
            match ticket.await {
                Commit::Durable => told = seq,
                Commit::NotApplied | Commit::Ambiguous => failed = true,
                Commit::Fenced => fenced = true,
            }
        }
        next = if failed { journal.newest().await.expect("readable") + 1 } else { told + 1 };
        assert!(next > told, "row {told} was durable, the newest is {}", next - 1);
    }
    let stored = rows_behind(journal, 0).await;
    assert_eq!(stored, (1..next).collect::<Vec<_>>());
    fenced
}
