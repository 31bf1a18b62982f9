//! Keywords from handsets: for whom a STOP is meant, how it is taken back, and what a crash or a store away changes.

use super::*;
use engine::KEYWORD_SOURCE;
use engine::store::fault::{FaultJournal, FaultPlan, Verdict};
use tests::doubles::Slow;

const OK: u32 = 0;
const TEMPORARY: u32 = 0x64;

fn ucs2(source: u64, destination: &str, text: &str) -> MobileMessage {
    let octets = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    MobileMessage { octets, data_coding: 8, ..MobileMessage::text(source, destination, "") }
}

#[tokio::test]
async fn a_handset_that_writes_stop_gets_nothing_more_of_that_workspace() {
    let scene = Scene::new(Config { latency_us: 20_000, ..Config::default() }, RigOptions::default()).await;
    let (seed, other) = (scene.workspace("a", "SHOP").await, scene.workspace("b", "BANK").await);
    let sent = scene.send(&seed, 5_000, SendingRules::default()).await;
    sent.until(|s| s.scene.tap.begun() > 100).await;
    let last = FIRST_NUMBER + 4_999;
    scene.write(last, "SHOP", "Stop, please!");
    scene.smsc.put_mobile(ucs2(last - 1, "shop", "СТОП"));
    scene.write(last - 2, "SHOP", "How do I stop this?");
    let list = scene.until_listed(Scope::Workspace(seed.workspace), 2).await;
    assert_eq!(list.iter().map(|entry| entry.number).collect::<Vec<_>>(), [last - 1, last]);
    assert!(list.iter().all(|entry| entry.source.starts_with(KEYWORD_SOURCE)));
    scene.until_taken().await;
    assert_eq!(scene.smsc.mobile().1, [OK; 3]);
    assert_eq!(scene.engine.channels()[0].inbound, 3);
    let foreign = scene.send(&other, 5_000, SendingRules::default()).await;
    sent.until_done().await;
    foreign.until_done().await;
    assert_eq!((sent.counts().skipped, foreign.counts().skipped), (2, 0));
    scene.shutdown().await;
    assert_eq!([sent.unit(last).await, sent.unit(last - 1).await], [SKIPPED; 2]);
    assert_eq!(sent.unit(last - 2).await, (UnitStatus::Sent, None));
}

#[tokio::test]
async fn start_takes_back_what_a_keyword_did_and_nothing_that_a_person_entered() {
    let scene = Scene::new(Config::default(), RigOptions::default()).await;
    let seed = scene.workspace("a", "SHOP").await;
    let scope = Scope::Workspace(seed.workspace);
    let number = |n: u64| FIRST_NUMBER + n;
    scene.suppress(scope, &[number(1)], SuppressionKind::OptOut).await.unwrap();
    scene.suppress(scope, &[number(2)], SuppressionKind::Block).await.unwrap();
    for n in [0, 1, 2] {
        scene.write(number(n), "SHOP", "STOP");
    }
    scene.until_listed(scope, 4).await;
    for n in [0, 1, 2] {
        scene.write(number(n), "SHOP", "start");
    }
    let left = scene.until_listed(scope, 2).await;
    let left: Vec<_> = left.iter().map(|entry| (entry.number, entry.kind)).collect();
    assert_eq!(left, [(number(1), SuppressionKind::OptOut), (number(2), SuppressionKind::Block)]);
    let sent = scene.send(&seed, 10, SendingRules::default()).await;
    sent.until_done().await;
    assert_eq!((sent.counts().sent, sent.counts().skipped), (8, 2));
}

#[tokio::test]
async fn a_stop_to_a_shared_sender_is_for_the_workspace_that_wrote_last() {
    let scene = Scene::new(Config::default(), RigOptions::default()).await;
    let (a, b) = (scene.workspace("a", "SHARED").await, scene.workspace("b", "SHARED").await);
    let third = scene.workspace("c", "OTHER").await;
    scene.send(&a, 3, SendingRules::default()).await.until_done().await;
    scene.send(&b, 2, SendingRules::default()).await.until_done().await;
    scene.send(&third, 5_000, SendingRules::default()).await.until_done().await;
    let lists = [a.workspace, b.workspace, third.workspace].map(Scope::Workspace);
    // Written to by both, the second one last.
    scene.write(FIRST_NUMBER, "SHARED", "stop");
    scene.until_listed(lists[1], 1).await;
    // By the first one alone; the third has another sender.
    scene.write(FIRST_NUMBER + 2, "SHARED", "stop");
    scene.until_listed(lists[0], 1).await;
    // By neither: nobody can tell who is meant.
    scene.write(FIRST_NUMBER + 3, "SHARED", "stop");
    scene.until_listed(Scope::Platform, 1).await;
    // To an address that is nobody's: whoever wrote last, whatever the sender.
    scene.write(FIRST_NUMBER + 4_900, "80123", "stop");
    scene.until_listed(lists[2], 1).await;
    let numbers = |list: Vec<Suppression>| list.iter().map(|e| e.number - FIRST_NUMBER).collect::<Vec<_>>();
    assert_eq!(numbers(scene.list(lists[0]).await), [2]);
    assert_eq!(numbers(scene.list(lists[1]).await), [0]);
    assert_eq!(numbers(scene.list(lists[2]).await), [4_900]);
    assert_eq!(numbers(scene.list(Scope::Platform).await), [3]);
    // Taken back where it was put, though nobody can tell who is meant.
    scene.write(FIRST_NUMBER + 3, "SHARED", "START");
    scene.until_listed(Scope::Platform, 0).await;
}

#[tokio::test]
async fn an_opt_out_outlives_a_restart_and_is_not_done_twice() {
    let mut scene = Scene::new(Config::default(), RigOptions::default()).await;
    let seed = scene.workspace("a", "SHOP").await;
    let scope = Scope::Workspace(seed.workspace);
    scene.write(FIRST_NUMBER, "SHOP", "STOP");
    scene.until_listed(scope, 1).await;
    scene.write(FIRST_NUMBER, "SHOP", "STOP");
    scene.write(FIRST_NUMBER + 1, "SHOP", "STOP");
    scene.until_listed(scope, 2).await;
    // A person takes one back: a start must not put it there again from the journal.
    let keys = vec![(FIRST_NUMBER + 1, SuppressionKind::OptOut)];
    scene.engine.unsuppress(scope, keys, &Principal::engine()).await.unwrap();
    scene.restart().await;
    let sent = scene.send(&seed, 10, SendingRules::default()).await;
    sent.until_done().await;
    assert_eq!((sent.counts().sent, sent.counts().skipped), (9, 1));
    assert_eq!(scene.list(scope).await.len(), 1);
    assert_eq!(scene.audited(scope).await, (2, 1));
}

#[tokio::test]
async fn a_stop_while_the_journal_is_away_is_put_off_comes_again_and_is_done_once() {
    let mut journal = None;
    let scene = Scene::with(Config::default(), RigOptions::default(), |outfit| {
        let slow = Slow::new(Arc::clone(&outfit.journal), Duration::ZERO);
        let faulty = FaultJournal::new(slow, Duration::from_millis(20), FaultPlan::default());
        let faulty = Arc::new(faulty);
        outfit.journal = Arc::clone(&faulty) as _;
        journal = Some(faulty);
    })
    .await;
    let seed = scene.workspace("a", "SHOP").await;
    let scope = Scope::Workspace(seed.workspace);
    journal.unwrap().plan(FaultPlan::script([Verdict::NotApplied; 5]));
    // The first one meets the failure with its own row, the second one is told to come again.
    scene.write(FIRST_NUMBER, "SHOP", "STOP");
    let end = Instant::now() + LIMIT;
    while scene.engine.is_storing() {
        assert!(Instant::now() < end, "the journal never failed");
        tick().await;
    }
    scene.write(FIRST_NUMBER + 1, "SHOP", "STOP");
    scene.until_listed(scope, 2).await;
    scene.until_taken().await;
    let answers = scene.smsc.mobile().1;
    assert!(answers.contains(&TEMPORARY) && answers.iter().filter(|a| **a == OK).count() == 2, "{answers:?}");
    assert!(scene.engine.channels()[0].receipts_deferred > 0);
    assert_eq!(scene.audited(scope).await, (2, 0));
}

#[tokio::test]
async fn a_stop_while_the_catalog_is_away_is_done_when_it_is_back_also_by_the_next_engine() {
    let (mut scene, catalog) = Scene::with_catalog(Config::default()).await;
    let seed = scene.workspace("a", "SHOP").await;
    let scope = Scope::Workspace(seed.workspace);
    catalog.fail_calls_for(Duration::from_millis(500));
    scene.write(FIRST_NUMBER, "SHOP", "STOP");
    scene.until_taken().await;
    assert_eq!(scene.smsc.mobile().1, [OK]);
    scene.until_listed(scope, 1).await;
    // Away until this engine has ended: the row waits for the next one.
    catalog.fail_calls_for(Duration::from_secs(3_600));
    scene.write(FIRST_NUMBER + 1, "SHOP", "STOP");
    scene.until_taken().await;
    scene.shutdown().await;
    assert_eq!(scene.list(scope).await.len(), 1);
    catalog.fail_calls_for(Duration::ZERO);
    scene.engine = scene.outfit.start().await.unwrap();
    scene.until_listed(scope, 2).await;
    assert_eq!(scene.audited(scope).await, (2, 0));
}
