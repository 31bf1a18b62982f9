//! Several channels on virtual time: who takes what, who takes over, who finds out how much an SMSC can bear.

#![expect(clippy::unwrap_used, reason = "tests")]

use bench::smsc::{Config, Fault, FaultRule};
use engine::model::{CampaignId, HoldReason, Mode, SendingRules, Status};
use engine::seed::Seed;
use engine::{EngineError, RouteError};
use std::future::Future;
use std::time::Duration;
use tests::invariants;
use tests::outfit::pass;
use tests::stage::{Line, Script, Stage, place};

const MINUTE: Duration = Duration::from_secs(60);

fn on_virtual_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

fn line(name: &str, with: impl FnOnce(&mut engine::ChannelConfig)) -> Line {
    let mut line = Line::new(name, Config { latency_us: 5_000, ..Config::default() }).unwrap();
    with(&mut line.channel);
    line
}

async fn stage(place: &tempfile::TempDir, lines: Vec<Line>) -> (Stage, Seed) {
    let stage = Stage::new(place.path(), "2026-05-04T10:00:00Z".parse().unwrap(), lines).await.unwrap();
    let seed = stage.workspace("house", |_| ()).await.unwrap();
    (stage, seed)
}

async fn started(stage: &mut Stage, seed: &Seed, script: &Script) -> CampaignId {
    let id = stage.campaign(seed, script).await.unwrap();
    stage.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
    id
}

fn accepted(stage: &Stage, line: usize) -> u64 {
    stage.lines[line].smsc.with_ledger(|ledger| ledger.accepted().count()) as u64
}

async fn ended(stage: &mut Stage, id: CampaignId, limit: Duration) {
    stage.until_final(limit, &[id]).await.unwrap();
    stage.engine.clone().shutdown().await;
    invariants::check(&*stage).await.unwrap();
}

#[test]
fn numbers_go_to_the_channel_of_their_longest_prefix_and_nobodys_number_fails() {
    on_virtual_time(async {
        let place = place().unwrap();
        let prefixes = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let lines = vec![
            line("german", |c| c.prefixes = prefixes(&["49"])),
            line("berlin", |c| c.prefixes = prefixes(&["4930"])),
            line("french", |c| c.prefixes = prefixes(&["33"])),
        ];
        let (mut stage, seed) = stage(&place, lines).await;
        let of = |from: u64| (from..from + 400).collect::<Vec<u64>>();
        let numbers: Vec<u64> =
            [of(4_915_100_000_000), of(493_000_000_000), of(33_600_000_000), of(44_700_000_000)]
                .into_iter()
                .reduce(|a, b| {
                    a.iter()
                        .zip(&b)
                        .flat_map(|(x, y)| [*x, *y])
                        .chain(a[b.len().min(a.len())..].iter().copied())
                        .collect()
                })
                .unwrap();
        let recipients = numbers.len() as u64;
        let id = started(&mut stage, &seed, &Script { numbers, recipients, ..Script::default() }).await;
        ended(&mut stage, id, 10 * MINUTE).await;
        let begins = |line: usize, prefix: &str| {
            stage.lines[line].smsc.with_ledger(|ledger| {
                ledger.submits().iter().all(|s| s.destination.to_string().starts_with(prefix))
            })
        };
        assert!(begins(1, "4930") && begins(2, "33") && begins(0, "4915"));
        let counts = stage.stored(id).await.unwrap().counts.unwrap();
        let sent: u64 = (0..3).map(|l| accepted(&stage, l)).sum();
        assert_eq!((counts.sent, counts.sent + counts.failed), (sent, recipients), "{counts:?}");
        assert!(counts.failed > 0);
    });
}

#[test]
fn a_workspace_uses_only_channels_that_it_may_and_without_any_it_is_told_so() {
    on_virtual_time(async {
        let place = place().unwrap();
        let stranger: engine::model::WorkspaceId =
            serde_json::from_str("\"00000000-0000-7000-8000-000000000009\"").unwrap();
        let lines = vec![line("theirs", |c| c.workspaces = vec![stranger]), line("ours", |_| ())];
        let (mut stage, seed) = stage(&place, lines).await;
        let id = started(&mut stage, &seed, &Script::default()).await;
        ended(&mut stage, id, MINUTE).await;
        assert_eq!((accepted(&stage, 0), accepted(&stage, 1)), (0, 100));
    });
}

/// Two channels of 20 messages a second each.
fn slow_lines() -> Vec<Line> {
    vec![line("a", |c| c.rate_per_s = 20), line("b", |c| c.rate_per_s = 20)]
}

fn grant(workspace: &mut engine::model::Workspace, channels: &[&str]) {
    workspace.terms.channels = channels.iter().map(|name| (*name).to_owned()).collect();
}

#[test]
fn a_workspace_that_is_limited_sends_over_what_is_left_to_it_and_without_any_it_is_told_so() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, slow_lines()).await;
        let waiting = stage.campaign(&seed, &Script::default()).await.unwrap();
        stage.change(&seed, |workspace| grant(workspace, &["gone"])).await.unwrap();
        let refused = stage.engine.start_campaign(seed.workspace, waiting, &seed.author()).await;
        assert!(matches!(refused, Err(EngineError::Route(RouteError::NoChannel))), "{refused:?}");
        let checks = stage.engine.preflight(&stage.stored(waiting).await.unwrap()).await.unwrap();
        let told = checks.iter().find(|check| check.name == "channels").unwrap();
        assert_eq!((told.ok, told.detail.as_str()), (false, "no channel accepts messages of this workspace"));
        stage.change(&seed, |workspace| grant(workspace, &["b"])).await.unwrap();
        stage.engine.start_campaign(seed.workspace, waiting, &seed.author()).await.unwrap();
        ended(&mut stage, waiting, MINUTE).await;
        assert_eq!((accepted(&stage, 0), accepted(&stage, 1)), (0, 100));
    });
}

#[test]
fn a_running_campaign_loses_a_channel_at_once_and_gets_it_back_at_once() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, slow_lines()).await;
        let id = started(&mut stage, &seed, &Script { recipients: 2_000, ..Script::default() }).await;
        stage.until(MINUTE, |stage| accepted(stage, 0) > 50 && accepted(stage, 1) > 50).await.unwrap();
        stage.change(&seed, |workspace| grant(workspace, &["a"])).await.unwrap();
        // What was in flight at the change is answered meanwhile.
        pass(Duration::from_secs(1)).await;
        let (a, b) = (accepted(&stage, 0), accepted(&stage, 1));
        stage.until(MINUTE, |stage| accepted(stage, 0) > a + 200).await.unwrap();
        assert_eq!(accepted(&stage, 1), b, "not one more over the channel that was taken away");
        stage.change(&seed, |workspace| grant(workspace, &["gone"])).await.unwrap();
        pass(Duration::from_secs(1)).await;
        let still = accepted(&stage, 0);
        pass(MINUTE).await;
        assert_eq!((accepted(&stage, 0), accepted(&stage, 1)), (still, b));
        assert_eq!(stage.engine.hold_reason(id), Some(HoldReason::NoChannel));
        stage.change(&seed, |workspace| grant(workspace, &[])).await.unwrap();
        ended(&mut stage, id, 10 * MINUTE).await;
        assert_eq!(accepted(&stage, 0) + accepted(&stage, 1), 2_000);
        assert!(accepted(&stage, 1) > b + 200, "{} and {b}", accepted(&stage, 1));
    });
}

#[test]
fn a_campaign_that_is_found_without_a_channel_goes_on_when_its_workspace_is_granted_one() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, slow_lines()).await;
        let id = started(&mut stage, &seed, &Script { recipients: 1_000, ..Script::default() }).await;
        stage.until(MINUTE, |stage| accepted(stage, 0) > 50).await.unwrap();
        stage.change(&seed, |workspace| grant(workspace, &["gone"])).await.unwrap();
        stage.restart().await.unwrap();
        let before = accepted(&stage, 0) + accepted(&stage, 1);
        pass(MINUTE).await;
        assert_eq!(accepted(&stage, 0) + accepted(&stage, 1), before);
        assert_eq!(stage.engine.hold_reason(id), Some(HoldReason::NoChannel));
        let a = accepted(&stage, 0);
        stage.change(&seed, |workspace| grant(workspace, &["b"])).await.unwrap();
        ended(&mut stage, id, 10 * MINUTE).await;
        assert_eq!((accepted(&stage, 0), accepted(&stage, 0) + accepted(&stage, 1)), (a, 1_000));
    });
}

#[test]
fn a_paced_campaign_is_split_by_weight() {
    on_virtual_time(async {
        let place = place().unwrap();
        let lines = vec![line("three", |c| c.weight = 3), line("one", |_| ())];
        let (mut stage, seed) = stage(&place, lines).await;
        let mut rules = SendingRules { auto_start: true, ..SendingRules::default() };
        rules.schedule.window = Some(engine::model::LocalWindow {
            from: "2026-05-04T10:01:00".parse().unwrap(),
            to: "2026-05-04T10:21:00".parse().unwrap(),
        });
        let script = Script { mode: Mode::Spread, rules, recipients: 4_000, ..Script::default() };
        let id = stage.campaign(&seed, &script).await.unwrap();
        ended(&mut stage, id, 40 * MINUTE).await;
        let (three, one) = (accepted(&stage, 0), accepted(&stage, 1));
        assert_eq!(three + one, 4_000);
        assert!((2_900..=3_100).contains(&three), "{three} and {one}");
    });
}

#[test]
fn what_a_lost_channel_held_is_taken_over_at_once_and_exactly_once() {
    on_virtual_time(async {
        let place = place().unwrap();
        let slow = |c: &mut engine::ChannelConfig| c.rate_per_s = 50;
        let (mut stage, seed) = stage(&place, vec![line("a", slow), line("b", slow)]).await;
        let id = started(&mut stage, &seed, &Script { recipients: 3_000, ..Script::default() }).await;
        stage.until(MINUTE, |s| s.counts(id).sent >= 500).await.unwrap();
        stage.lines[0].smsc.set_down(true).await.unwrap();
        let before = accepted(&stage, 1);
        pass(Duration::from_secs(20)).await;
        let gained = accepted(&stage, 1) - before;
        assert!(gained >= 980, "the other goes on at its own rate: {gained}");
        stage.lines[0].smsc.set_down(false).await.unwrap();
        ended(&mut stage, id, 5 * MINUTE).await;
        let counts = stage.stored(id).await.unwrap().counts.unwrap();
        assert_eq!(counts.sent + counts.unknown, 3_000, "{counts:?}");
        assert!(accepted(&stage, 0) > 600, "and comes back: {}", accepted(&stage, 0));
    });
}

#[test]
fn a_channel_that_only_fails_is_left_alone_and_its_traffic_goes_elsewhere() {
    on_virtual_time(async {
        let place = place().unwrap();
        let slow = |c: &mut engine::ChannelConfig| c.rate_per_s = 50;
        let (mut stage, seed) = stage(&place, vec![line("sick", slow), line("well", slow)]).await;
        stage.lines[0].smsc.update(|c| c.faults = vec![FaultRule::new(Fault::SysErr, 1.0)]).unwrap();
        let id = started(&mut stage, &seed, &Script { recipients: 3_000, ..Script::default() }).await;
        stage.until(2 * MINUTE, |s| s.counts(id).sent >= 2_000).await.unwrap();
        let tried = stage.lines[0].smsc.with_ledger(|l| l.submits().len());
        assert!(tried < 200, "{tried} submits to an SMSC that takes none");
        assert_eq!(stage.counts(id).failed, 0, "nobody pays for a sick SMSC");
        stage.lines[0].smsc.update(|c| c.faults.clear()).unwrap();
        ended(&mut stage, id, 5 * MINUTE).await;
        assert_eq!(stage.stored(id).await.unwrap().counts.unwrap().sent, 3_000);
    });
}

#[test]
fn a_channel_finds_what_its_smsc_can_bear_and_climbs_when_it_can_bear_more() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, vec![line("limited", |c| c.window = 50)]).await;
        stage.lines[0].smsc.update(|c| c.rate_per_s = 200).unwrap();
        let id = started(&mut stage, &seed, &Script { recipients: 150_000, ..Script::default() }).await;
        pass(Duration::from_secs(30)).await;
        let throttled = |s: &Stage| s.engine.channels()[0].throttled;
        let (before, hits) = (accepted(&stage, 0), throttled(&stage));
        pass(MINUTE).await;
        let (gained, more) = (accepted(&stage, 0) - before, throttled(&stage) - hits);
        assert!(gained >= 200 * 60 * 9 / 10, "{gained} of 12,000");
        assert!(more * 20 <= gained, "{more} throttled for {gained}");
        stage.lines[0].smsc.update(|c| c.rate_per_s = 800).unwrap();
        pass(MINUTE).await;
        let before = accepted(&stage, 0);
        pass(Duration::from_secs(20)).await;
        let gained = accepted(&stage, 0) - before;
        assert!(gained >= 800 * 20 * 8 / 10, "{gained} of 16,000 a minute after the limit was raised");
        stage.engine.cancel(seed.workspace, id, &seed.author()).await.unwrap();
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}

#[test]
fn rates_of_workspace_and_sender_hold_and_leave_the_others_unslowed() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, free) = stage(&place, vec![line("wide", |c| c.rate_per_s = 500)]).await;
        let capped = stage.workspace("capped", |w| w.rate_per_s = 40).await.unwrap();
        let script = |recipients| Script { recipients, text: "x".repeat(300), ..Script::default() };
        let slow = [
            started(&mut stage, &capped, &script(300)).await,
            started(&mut stage, &capped, &script(300)).await,
        ];
        let fast = started(&mut stage, &free, &script(4_000)).await;
        stage.until_final(MINUTE, &[fast]).await.unwrap();
        let took = stage.now_ms();
        let begun: u64 = 1_777_888_800_000;
        assert!(took - begun < 20_000, "8,000 segments at 460 a second or more: {}", took - begun);
        stage.until_final(2 * MINUTE, &slow).await.unwrap();
        let all = stage.now_ms() - begun;
        assert!((28_000..33_000).contains(&all), "1,200 segments at 40 a second: {all}");
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}

#[test]
fn stale_messages_of_a_slow_return_expire_instead_of_bursting_out() {
    on_virtual_time(async {
        let place = place().unwrap();
        let (mut stage, seed) = stage(&place, vec![line("only", |c| c.rate_per_s = 100)]).await;
        stage.lines[0].smsc.set_down(true).await.unwrap();
        let mut rules = SendingRules { auto_start: true, ..SendingRules::default() };
        rules.schedule.start_at = Some("2026-05-04T10:05:00".parse().unwrap());
        let script = Script { mode: Mode::OnTime, rules, recipients: 500, ..Script::default() };
        let id = stage.campaign(&seed, &script).await.unwrap();
        pass(180 * MINUTE).await;
        stage.lines[0].smsc.set_down(false).await.unwrap();
        pass(MINUTE).await;
        ended(&mut stage, id, MINUTE).await;
        let campaign = stage.stored(id).await.unwrap();
        assert_eq!((campaign.status, accepted(&stage, 0)), (Status::Expired, 0));
        assert_eq!(campaign.counts.unwrap().expired, 500);
    });
}
