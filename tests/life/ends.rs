//! An engine that has ended: its store may be another one's by then, so nothing of it writes facts or accounts.

use super::*;
use engine::store::fault::{FaultJournal, FaultPlan, Verdict};
use engine::store::{Header, Journal, RowSeq};
use std::sync::Arc;
use tests::doubles::Slow;
use tests::outfit::pass;

type Faulty = Arc<FaultJournal<Slow>>;

/// An engine that is sending, over a journal that fails as it is told.
async fn sending() -> (Solo, Faulty, CampaignId) {
    let options = RigOptions { rate_per_s: 50, ..RigOptions::default() };
    let mut stage = Solo::new(BEGIN, Config::default(), &options).await.unwrap();
    let slow = Slow::new(Arc::clone(&stage.store) as _, Duration::ZERO);
    let journal = Arc::new(FaultJournal::new(slow, Duration::from_millis(5), FaultPlan::default()));
    stage.outfit.journal = Arc::clone(&journal) as _;
    stage.restart().await.unwrap();
    let id = stage.built(Mode::OnDemand, SendingRules::default(), 1_000).await.unwrap();
    stage.start(id).await.unwrap();
    stage.until(SOON, async |stage| stage.submits() >= 100).await.unwrap();
    (stage, journal, id)
}

async fn held(stage: &Solo, id: CampaignId) -> (RowSeq, Header) {
    let no = stage.stored(id).await.unwrap().no;
    (stage.store.newest().await.unwrap(), stage.store.header(no).await.unwrap())
}

#[test]
fn an_engine_that_ended_without_its_store_writes_nothing_when_the_store_is_back() {
    play(async || {
        let (mut stage, journal, id) = sending().await;
        journal.plan(FaultPlan::script([Verdict::NotApplied; 1_000]));
        stage.engine.clone().shutdown().await;
        let before = held(&stage, id).await;
        journal.plan(FaultPlan::default());
        pass(MINUTE).await;
        assert_eq!(held(&stage, id).await, before);
        // The next one accounts for everything that was sent.
        stage.engine = stage.outfit.start().await.unwrap();
        stage.until_status(id, Status::Done, SOON).await.unwrap();
        let counts = stage.counts(id);
        assert_eq!(
            (counts.sent + counts.unknown, stage.stored(id).await.unwrap().charged),
            (1_000, vec![(jiff::civil::date(2026, 5, 1), 1_000)])
        );
    });
}

#[test]
fn an_account_that_was_not_saved_at_the_end_is_not_saved_behind_it() {
    play(async || {
        let (mut stage, journal, id) = sending().await;
        journal.fail_calls_for(MINUTE);
        stage.engine.clone().shutdown().await;
        let before = held(&stage, id).await;
        journal.fail_calls_for(Duration::ZERO);
        // The last that holds the old one lets it go.
        stage.engine = stage.outfit.start().await.unwrap();
        stage.engine.pause(stage.seed.workspace, id, &stage.seed.author()).await.unwrap();
        assert_eq!(held(&stage, id).await.1, before.1);
    });
}
