//! The keeper on a real store: receipts that do not come and long lists that are cancelled, over restarts.

use super::*;
use crate::dispatch::account::Unsent;
use crate::model::record::{Facts, Fate, Intent, Outcome, ReceiptFact};
use crate::model::{Counts, UnitStatus};
use crate::store::SqliteStore;

const NO: CampaignNo = CampaignNo(1);
const BASE_MS: u64 = 1_000_000;
/// Recipients of two parts each: a chunk and a few more.
const RECIPIENTS: u64 = 4_100;

struct Place {
    store: Arc<SqliteStore>,
    recipients: u64,
    recorder: Arc<Recorder>,
    _directory: tempfile::TempDir,
}

impl Place {
    fn new(recipients: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Arc::new(SqliteStore::open(directory.path()).expect("a store"));
        let mut writer = store.write_recipients(NO, recipients).expect("a list");
        let numbers: Vec<u64> = (1..=recipients).collect();
        numbers.chunks(4_096).for_each(|chunk| writer.chunk(chunk, &[]).expect("a chunk"));
        writer.finish().expect("durable");
        Self { store, recipients, recorder: Arc::new(Recorder::new()), _directory: directory }
    }

    /// A keeper of the campaign, with what its file holds.
    async fn keeper(&self) -> (Keeper, Arc<Tally>) {
        let (events, _) = mpsc::unbounded_channel();
        let (inbound, _) = mpsc::unbounded_channel();
        let journal: Arc<dyn Journal> = Arc::clone(&self.store) as _;
        let recorder = Arc::clone(&self.recorder);
        let mut keeper = Keeper::new(journal, recorder, Arc::new(Growth::default()), (events, inbound));
        let mut account = Box::new(Account::new(NO, self.recipients, 2, BASE_MS).asking(true, BASE_MS));
        for chunk in 0..account.chunks() {
            if let Some(state) = keeper.state(NO, chunk).await.expect("read") {
                account.restore(&state);
            }
        }
        let tally = Arc::new(Tally::default());
        let watermark = self.store.header(NO).await.expect("a header").watermark;
        keeper.open(account, Arc::clone(&tally), watermark);
        (keeper, tally)
    }

    /// What was appended, as a row.
    fn row(&self) -> Vec<u8> {
        let mut row = self.recorder.commit_due(u64::MAX).expect("something was appended");
        record::seal_row(&mut row);
        row
    }
}

fn sealed(facts: &mut Facts) -> Vec<u8> {
    let mut row = record::begin_row(64);
    row.extend_from_slice(facts.octets());
    record::seal_row(&mut row);
    row
}

/// Every part of both chunks is sent, a chunk a second; of chunk 0 one part has its receipt.
fn sent() -> Vec<u8> {
    let mut facts = Facts::default();
    for (chunk, count) in [(0, 8_192), (1, 8)] {
        let at_ms = BASE_MS + u64::from(chunk) * 1_000;
        let run = Run { chunk, from: 0, count };
        let (incarnation, position) = (Incarnation(1), 1 + u64::from(chunk) * 8_192);
        facts.intent(&Intent { incarnation, campaign: NO, stop_gen: 0, position, run, attempt: 0, at_ms });
        for unit in 0..count {
            let outcome = Outcome { unit, latency_ms: 0, fate: Fate::Accepted(b"id") };
            facts.outcome((NO, chunk, 9), at_ms, &outcome);
        }
    }
    let delivered = ReceiptFact { campaign: NO, chunk: 0, unit: 0, status: UnitStatus::Delivered, error: 0 };
    facts.receipt(BASE_MS, &delivered);
    sealed(&mut facts)
}

fn shown(keeper: &Keeper, tally: &Tally) -> Counts {
    keeper.show();
    tally.counts()
}

#[tokio::test]
async fn overdue_receipts_are_given_up_a_chunk_at_a_time_and_a_restart_before_or_behind_changes_nothing() {
    let place = Place::new(RECIPIENTS);
    let (mut first, _) = place.keeper().await;
    let sent = sent();
    first.apply(1, &sent).await.expect("applied");
    first.compact().await.expect("saved");
    drop(first);

    // Behind a restart the columns are on disk.
    let (mut keeper, tally) = place.keeper().await;
    let times = (BASE_MS + 1_001, BASE_MS + 9_000);
    assert_eq!(keeper.give_up_receipts((BASE_MS, times.1)).await.expect("read"), None);
    let (_, chunk, overdue) = keeper.give_up_receipts(times).await.expect("read").expect("the first");
    assert_eq!((chunk, overdue.units.len(), overdue.ids.len()), (0, 8_191, 8_191));
    let rows = [place.row(), {
        let (_, chunk, overdue) = keeper.give_up_receipts(times).await.expect("read").expect("the second");
        assert_eq!((chunk, overdue.units.len()), (1, 8));
        place.row()
    }];
    assert_eq!(keeper.give_up_receipts(times).await.expect("read"), None);
    assert_eq!(shown(&keeper, &tally).sent, 4_100, "nothing is so before it is durable");

    for (seq, row) in (2..).zip(&rows) {
        keeper.apply(seq, row).await.expect("applied");
        keeper.apply(seq, row).await.expect("applied again");
    }
    let counts = shown(&keeper, &tally);
    assert_eq!((counts.unknown, counts.sent, counts.total), (4_100, 0, 4_100));
    assert!(!keeper.standing(NO).awaits_receipts);
    drop(keeper);

    // A crash before the save: the rows are read again. Then a restart behind it: the file tells.
    let (mut again, tally) = place.keeper().await;
    for (seq, row) in (2..).zip(&rows) {
        again.replay(seq, row).await.expect("replayed");
    }
    assert_eq!(shown(&again, &tally), counts);
    again.compact().await.expect("saved");
    let (mut last, tally) = place.keeper().await;
    assert_eq!(shown(&last, &tally), counts);
    assert_eq!(last.give_up_receipts((u64::MAX, u64::MAX)).await.expect("read"), None);
    let state = last.state(NO, 0).await.expect("read").expect("saved");
    assert_eq!((state.final_ms[0], state.final_ms[1]), (0, 9_000));
}

/// Whatever is at hand after each batch, and in the end: everybody is cancelled and nothing is in memory.
#[tokio::test]
async fn a_long_list_is_cancelled_a_batch_at_a_time_and_goes_on_behind_a_restart() {
    let chunks = 5 * SAVE_CHUNKS as u64 / 2;
    let place = Place::new(chunks * 4_096 - 7);
    let unsent = Unsent { status: UnitStatus::Cancelled, reason: 0 };
    let (mut keeper, tally) = place.keeper().await;
    keeper.settle_queued(NO, unsent).await.expect("settled");
    keeper.publish();
    let batch = SAVE_CHUNKS as u64 * 4_096;
    assert_eq!((tally.counts().cancelled, keeper.settling.len()), (batch, 1));
    keeper.save_if_due().await;
    drop(keeper);

    // The first batch is in the file; a start goes on behind it.
    let (mut keeper, tally) = place.keeper().await;
    assert_eq!(tally.counts().cancelled, batch);
    keeper.settle_queued(NO, unsent).await.expect("settled");
    let open = |keeper: &Keeper| keeper.held[&NO].account.complete_chunks();
    assert_eq!((open(&keeper), keeper.settling.len()), (SAVE_CHUNKS, 1));
    // Nobody else saves: the next batch does, before it begins.
    keeper.settle_batch(NO).await.expect("settled");
    assert_eq!((open(&keeper), keeper.settling.len()), (SAVE_CHUNKS / 2, 0));
    assert!(keeper.close(NO).await.expect("saved").is_settled);
    assert_eq!(open(&keeper), 0);
    let (_, tally) = place.keeper().await;
    assert_eq!((tally.counts().cancelled, tally.counts().total), (place.recipients, place.recipients));
}

#[tokio::test]
async fn a_campaign_that_was_removed_keeps_no_memory_and_nobody_else_from_being_saved() {
    let chunks = SAVE_CHUNKS as u64;
    let place = Place::new(chunks * 4_096);
    let unsent = Unsent { status: UnitStatus::Cancelled, reason: 0 };
    let (mut keeper, _) = place.keeper().await;
    let removed = CampaignNo(0);
    keeper.open(Box::new(Account::new(removed, chunks * 4_096, 1, BASE_MS)), Arc::default(), 0);
    for no in [removed, NO] {
        keeper.settle_queued(no, unsent).await.expect("settled");
    }
    keeper.save_complete().await.expect("saved");
    for no in [removed, NO] {
        assert_eq!(keeper.held[&no].account.complete_chunks(), 0);
    }
    let (_, tally) = place.keeper().await;
    assert_eq!(tally.counts().cancelled, place.recipients);
}
