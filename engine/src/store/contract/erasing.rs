//! The promises of a journal about numbers that are erased.

use super::Fixture;
use crate::model::values::pack_row;
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, ChunkNo, ChunkState, NumberHash};
use crate::store::{Journal, Recipients, StateSave, StoreError};
use std::collections::BTreeMap;

const NO: CampaignNo = CampaignNo(7);
const FULL: u64 = CHUNK_RECIPIENTS as u64;
const FIRST: u64 = 4_915_100_000_000;
/// Values of each recipient.
const WIDTH: usize = 2;

fn hash(number: u64) -> NumberHash {
    let octets = number.to_be_bytes();
    NumberHash(std::array::from_fn(|at| octets[at % 8]))
}

fn hashes(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, NumberHash> {
    numbers.into_iter().map(|number| (number, hash(number))).collect()
}

/// The chunk as it is when these numbers were erased from it.
fn chunk(chunk: ChunkNo, count: u64, is_erased: impl Fn(u64) -> bool) -> Recipients {
    let mut recipients = Recipients::default();
    let first = FIRST + u64::from(chunk) * FULL;
    for number in first..first + count {
        let (left, value) =
            if is_erased(number) { (0, String::new()) } else { (number, format!("of {number}")) };
        recipients.numbers.push(left);
        recipients.erased.extend(is_erased(number).then(|| hash(number)));
        let greeting = if is_erased(number) { "" } else { "Grüße" };
        pack_row(&mut recipients.values, &[value.as_str(), greeting]).expect("short values");
    }
    recipients
}

async fn write(journal: &impl Journal, recipients: u64) {
    let mut writer = journal.write_recipients(NO, recipients).expect("begins");
    for at in 0..recipients.div_ceil(FULL) {
        let count = FULL.min(recipients - at * FULL);
        let list = chunk(u32::try_from(at).expect("few"), count, |_| false);
        writer.chunk(&list.numbers, &list.values).expect("taken");
    }
    writer.finish().expect("finished");
}

pub(in crate::store) async fn an_erased_number_leaves_its_hash_and_nothing_else<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    for recipients in [100, FULL + 100] {
        let journal = fixture.open().await;
        write(&journal, recipients).await;
        let state = ChunkState { chunk: 0, status: vec![3; 100], ..ChunkState::default() };
        let save = StateSave { watermark: 5, chunks: vec![state.clone()], ..StateSave::default() };
        journal.save_state(NO, save).await.expect("saved");
        let (last, count) = (u32::from(recipients > FULL), recipients.min(FULL));
        let gone = |number: u64| number % 10 == 3;
        let some = || hashes((FIRST..FIRST + recipients).filter(|number| gone(*number)));
        let erased = journal.erase(NO, 0, some(), WIDTH).await.expect("erased");
        assert_eq!(erased, (FIRST..FIRST + count).filter(|number| gone(*number)).count() as u64);
        assert_eq!(journal.recipients(NO, 0).await.expect("there"), chunk(0, count, gone));
        assert_eq!(journal.erase(NO, 0, some(), WIDTH).await.expect("again"), 0);
        drop(journal);
        let journal = fixture.open().await;
        assert_eq!(journal.recipients(NO, 0).await.expect("there"), chunk(0, count, gone));
        // The others follow, between those that were erased before.
        let all = hashes(FIRST..FIRST + recipients);
        assert_eq!(journal.erase(NO, 0, all.clone(), WIDTH).await.expect("erased"), count - erased);
        assert_eq!(journal.recipients(NO, 0).await.expect("there"), chunk(0, count, |_| true));
        if last > 0 {
            let untouched = chunk(last, recipients - FULL, |_| false);
            assert_eq!(journal.recipients(NO, last).await.expect("there"), untouched);
        }
        assert!(matches!(journal.erase(NO, last + 1, all, WIDTH).await, Err(StoreError::NotFound)));
        assert_eq!(journal.state(NO, 0).await.expect("there"), Some(state));
        assert_eq!(journal.header(NO).await.expect("there").recipients, recipients);
        journal.scrub(vec![NO]).await.expect("scrubbed");
        journal.scrub(vec![NO]).await.expect("and again");
        assert_eq!(journal.recipients(NO, 0).await.expect("there"), chunk(0, count, |_| true));
        journal.remove(NO).await.expect("removed");
    }
}

pub(in crate::store) async fn a_number_is_erased_wherever_it_stands_and_times_stay<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    journal.write_recipients(NO, 0).expect("begins").finish().expect("a list that grows");
    let list =
        Recipients { numbers: vec![5, 6, 5, 7], accepted_s: vec![10, 20, 30, 40], ..Recipients::default() };
    let save = StateSave { watermark: 1, recipients: vec![(0, list)], ..StateSave::default() };
    journal.save_state(NO, save).await.expect("saved");
    assert_eq!(journal.erase(NO, 0, hashes([5, 9]), 0).await.expect("erased"), 2);
    let left = Recipients {
        numbers: vec![0, 6, 0, 7],
        accepted_s: vec![10, 20, 30, 40],
        erased: vec![hash(5), hash(5)],
        ..Recipients::default()
    };
    assert_eq!(journal.recipients(NO, 0).await.expect("there"), left);
    // A chunk that is saved again keeps what was erased in it.
    let save = StateSave { watermark: 2, recipients: vec![(0, left.clone())], ..StateSave::default() };
    journal.save_state(NO, save).await.expect("saved");
    assert_eq!(journal.recipients(NO, 0).await.expect("there"), left);
    let damaged = journal.erase(NO, 0, hashes([6]), 3).await.map(|_| ());
    assert!(damaged.is_ok(), "no values are right for any variables");
    journal.commit(1, vec![1; 100].into()).await;
    journal.commit(2, vec![2; 100].into()).await;
    journal.trim(1).await.expect("trimmed");
    journal.scrub(vec![NO]).await.expect("scrubbed");
    let mut rows = Vec::new();
    journal.replay(0, &mut |seq, row| rows.push((seq, row.to_vec()))).await.expect("read");
    assert_eq!(rows, [(2, vec![2; 100])]);
    assert_eq!(journal.newest().await.expect("known"), 2);
}

pub(in crate::store) async fn values_of_another_shape_are_left_alone<F>(fixture: &F)
where
    F: Fixture<Store: Journal>,
{
    let journal = fixture.open().await;
    write(&journal, 10).await;
    for wrong in [0, 1, 3] {
        let refused = journal.erase(NO, 0, hashes([FIRST]), wrong).await.expect_err("not so many values");
        assert!(matches!(refused, StoreError::Unusable(_)), "{refused}");
    }
    assert_eq!(journal.recipients(NO, 0).await.expect("there"), chunk(0, 10, |_| false));
}

/// Erases a list through failures that store and failures that do not, begun anew after each as after a crash: a chunk
/// is erased whole or not at all, and every recipient is counted once or, where nobody could tell, not at all.
pub(in crate::store) async fn a_failing_erasure_goes_on_where_it_was(journal: &impl Journal) -> u32 {
    const CHUNKS: u32 = 6;
    write(journal, u64::from(CHUNKS) * FULL).await;
    let (mut failures, mut counted) = (0, 0);
    'anew: loop {
        for at in 0..CHUNKS {
            let first = FIRST + u64::from(at) * FULL;
            match journal.erase(NO, at, hashes(first..first + FULL), WIDTH).await {
                Ok(erased) => counted += erased,
                Err(error) => {
                    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                    let stored = journal.recipients(NO, at).await.expect("there");
                    assert!(stored == chunk(at, FULL, |_| false) || stored == chunk(at, FULL, |_| true));
                    failures += 1;
                    assert!(failures < 1000, "it never ends");
                    continue 'anew;
                }
            }
        }
        break;
    }
    for at in 0..CHUNKS {
        assert_eq!(journal.recipients(NO, at).await.expect("there"), chunk(at, FULL, |_| true));
    }
    assert!(counted <= u64::from(CHUNKS) * FULL && counted.is_multiple_of(FULL));
    failures
}
