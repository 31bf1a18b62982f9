//! Numbers suppressed by a call: before a campaign begins, while it runs, and while the store is away.

use super::*;

/// Goal: wherever a unit is when its number is suppressed (on disk, with the campaign, queued, planned, encoded), not
/// one octet of a submit to it begins behind the acknowledgement, and everybody else is sent to exactly once.
#[tokio::test]
async fn a_number_suppressed_while_campaigns_run_is_never_written_to_after_the_acknowledgement() {
    const RECIPIENTS: u64 = 30_000;
    let options = RigOptions { binds: 2, window: 40, ..RigOptions::default() };
    let scene = Scene::new(Config { latency_us: 2_000, ..Config::default() }, options).await;
    let seed = scene.workspace("a", "A").await;
    let sent = scene.send(&seed, RECIPIENTS, SendingRules::default()).await;
    let (mut marks, mut round) = (Vec::new(), 0_u64);
    while scene.tap.begun() as u64 + 3_000 < RECIPIENTS {
        let next = scene.tap.begun() + 450;
        sent.until(|s| s.scene.tap.begun() >= next).await;
        let at = scene.tap.begun() as u64;
        // From what is on the wire to what is still on disk.
        let ahead = [0, 3, 20, 90, 300, 700, 1_200, 1_900, 2_600, 6_000];
        let numbers: Vec<u64> =
            ahead.iter().map(|n| FIRST_NUMBER + (at + n + round % 7) % RECIPIENTS).collect();
        let (scope, kind) = match round % 3 {
            0 => (Scope::Platform, SuppressionKind::OptOut),
            1 => (Scope::Workspace(seed.workspace), SuppressionKind::Block),
            _ => (Scope::Workspace(seed.workspace), SuppressionKind::OptOut),
        };
        scene.suppress(scope, &numbers, kind).await.unwrap();
        let mark = scene.tap.begun();
        marks.extend(numbers.into_iter().map(|number| (number, mark)));
        round += 1;
    }
    assert!(round > 20, "{round} rounds");
    sent.until_done().await;
    let counts = sent.counts();
    scene.shutdown().await;
    let late: Vec<u64> =
        marks.iter().filter(|(n, mark)| scene.tap.count(*n, *mark).1 > 0).map(|(n, _)| *n).collect();
    assert!(late.is_empty(), "{} of {} written behind their acknowledgement", late.len(), marks.len());
    let exact = scene.smsc.with_ledger(|ledger| ledger.exact());
    assert!(exact.repeated().is_empty());
    let mut skipped = 0;
    for number in FIRST_NUMBER..FIRST_NUMBER + RECIPIENTS {
        let accepted = exact.accepted.get(&(number, 1)).copied().unwrap_or(0);
        let is_listed = marks.iter().any(|(n, _)| *n == number);
        if accepted == 1 {
            continue;
        }
        assert!(is_listed, "nothing was sent to somebody else");
        let (status, error) = sent.unit(number).await;
        assert_eq!(status, UnitStatus::Skipped);
        assert!([reason::OPTED_OUT, reason::BLOCKED].map(Some).contains(&error), "{error:?}");
        skipped += 1;
    }
    assert!(skipped > 60, "only {skipped} of {} were still to be sent", marks.len());
    assert_eq!((counts.skipped, counts.sent), (skipped, RECIPIENTS - skipped));
}

#[tokio::test]
async fn people_who_opted_out_get_transactional_messages_and_blocked_numbers_nothing() {
    let scene = Scene::new(Config::default(), RigOptions::default()).await;
    let (seed, other) = (scene.workspace("a", "A").await, scene.workspace("b", "B").await);
    let own = Scope::Workspace(seed.workspace);
    let number = |n: u64| FIRST_NUMBER + n;
    scene.suppress(own, &[number(1), number(2)], SuppressionKind::OptOut).await.unwrap();
    scene.suppress(own, &[number(2), number(3)], SuppressionKind::Block).await.unwrap();
    scene.suppress(Scope::Platform, &[number(4)], SuppressionKind::OptOut).await.unwrap();
    scene.suppress(Scope::Platform, &[number(5)], SuppressionKind::Block).await.unwrap();
    let usual = scene.send(&seed, 100, SendingRules::default()).await;
    let needed = scene.send(&seed, 100, transactional()).await;
    let foreign = scene.send(&other, 100, SendingRules::default()).await;
    for sent in [&usual, &needed, &foreign] {
        sent.until_done().await;
    }
    scene.shutdown().await;
    let sent = (UnitStatus::Sent, None);
    let wanted = [
        (&usual, [sent, SKIPPED, BLOCKED, BLOCKED, SKIPPED, BLOCKED]),
        (&needed, [sent, sent, BLOCKED, BLOCKED, sent, BLOCKED]),
        (&foreign, [sent, sent, sent, sent, SKIPPED, BLOCKED]),
    ];
    for (campaign, units) in wanted {
        for (n, unit) in (0..).zip(units) {
            assert_eq!(campaign.unit(number(n)).await, unit, "number {n}");
        }
    }
    assert_eq!([usual.counts().skipped, needed.counts().skipped, foreign.counts().skipped], [5, 3, 2]);
}

#[tokio::test]
async fn numbers_taken_off_a_list_are_sent_to_by_new_campaigns_only() {
    let scene = Scene::new(Config { latency_us: 20_000, ..Config::default() }, RigOptions::default()).await;
    let seed = scene.workspace("a", "A").await;
    let scope = Scope::Workspace(seed.workspace);
    scene.suppress(scope, &[FIRST_NUMBER], SuppressionKind::OptOut).await.unwrap();
    let first = scene.send(&seed, 2_000, SendingRules::default()).await;
    first.until(|s| s.counts().skipped == 1).await;
    let keys = vec![(FIRST_NUMBER, SuppressionKind::OptOut)];
    assert_eq!(scene.engine.unsuppress(scope, keys.clone(), &Principal::engine()).await.unwrap(), 1);
    let second = scene.send(&seed, 100, SendingRules::default()).await;
    first.until_done().await;
    second.until_done().await;
    assert_eq!((first.counts().skipped, second.counts().skipped), (1, 0));
    assert_eq!(scene.engine.unsuppress(scope, keys, &Principal::engine()).await.unwrap(), 0);
}

#[tokio::test]
async fn without_the_store_nothing_is_acknowledged_and_the_number_is_refused_all_the_same() {
    let config = Config { latency_us: 20_000, ..Config::default() };
    let (scene, catalog) = Scene::with_catalog(config).await;
    let seed = scene.workspace("a", "A").await;
    let scope = Scope::Workspace(seed.workspace);
    let sent = scene.send(&seed, 3_000, SendingRules::default()).await;
    sent.until(|s| s.scene.tap.begun() > 100).await;
    catalog.fail_calls_for(Duration::from_millis(300));
    let number = FIRST_NUMBER + 2_900;
    let refused = scene.suppress(scope, &[number], SuppressionKind::OptOut).await;
    assert!(matches!(refused, Err(EngineError::StoppedNotRecorded(_))), "{refused:?}");
    sent.until_done().await;
    assert_eq!((sent.counts().skipped, scene.tap.count(number, 0).1), (1, 0));
    assert!(scene.list(scope).await.is_empty());
    assert_eq!(scene.suppress(scope, &[number], SuppressionKind::OptOut).await.unwrap(), 1);
    for wrong in [0, 1_000_000_000_000_000] {
        assert!(scene.suppress(scope, &[wrong], SuppressionKind::Block).await.is_err());
    }
}
