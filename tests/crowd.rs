//! Many workspaces and campaigns at once: everybody ends, shares are right, nobody starves, nothing grows.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the figures are what they are run for")]

use bench::smsc::{Config, Ledger};
use engine::model::Lane;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::stage::{Line, Script, Stage};
use tests::{Child, invariants};

/// Workspaces, and campaigns of each.
const WORKSPACES: usize = 50;
const CAMPAIGNS: usize = 4;
/// Recipients of each campaign.
const RECIPIENTS: u64 = 150;
/// What all campaigns may take over one with all their recipients, MiB.
const MORE_MIB: f64 = 24.0;
/// Names the environment variable with the order to a process of its own.
const ORDER: &str = "MC_CROWD_CHILD";
/// Far above what such a process takes.
const DEADLINE: Duration = Duration::from_secs(120);
/// Segments per second of each of the two channels.
const RATE: u32 = 1_000;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

fn line(name: &str, rate_per_s: u32, binds: u32) -> Line {
    let mut line = Line::new(name, Config { latency_us: 5_000, ..Config::default() }).unwrap();
    line.channel.rate_per_s = rate_per_s;
    line.channel.binds = binds;
    line
}

fn new_year() -> jiff::Timestamp {
    "2026-01-01T10:00:00Z".parse().unwrap()
}

/// Submits by campaign, in the order of the stage, up to a moment of the ledgers.
fn sent(stage: &Stage, ledgers: &[(Ledger, u64)], until_us: u64) -> Vec<u64> {
    let firsts: BTreeMap<u64, usize> =
        stage.campaigns.iter().enumerate().map(|(at, (_, first))| (*first, at)).collect();
    let mut counts = vec![0; stage.campaigns.len()];
    for (ledger, zero_us) in ledgers {
        for submit in ledger.submits().iter().filter(|s| zero_us + s.time_us <= until_us) {
            let (_, at) = firsts.range(..=submit.destination).next_back().unwrap();
            counts[*at] += 1;
        }
    }
    counts
}

/// That many workspaces with that many campaigns each, all started at once and run to their end over eight binds; and
/// when they were started, microseconds since 1970.
async fn crowd(place: &Path, workspaces: usize, campaigns: usize, recipients: u64) -> (Stage, u64) {
    let lines = vec![line("north", RATE, 4), line("south", RATE, 4)];
    let mut stage = Stage::new(place, new_year(), lines).await.unwrap();
    let mut ids = Vec::new();
    for w in 0..workspaces {
        let seed = stage.workspace(&format!("w{w}"), |_| ()).await.unwrap();
        for _ in 0..campaigns {
            let script = Script { recipients, ..Script::default() };
            ids.push((seed.clone(), stage.campaign(&seed, &script).await.unwrap()));
        }
    }
    for (seed, id) in &ids {
        stage.engine.start_campaign(seed.workspace, *id, &seed.author()).await.unwrap();
    }
    let begun_us = stage.now_ms() * 1000;
    let all: Vec<_> = ids.iter().map(|(_, id)| *id).collect();
    stage.until_final(Duration::from_secs(60), &all).await.unwrap();
    (stage, begun_us)
}

#[test]
fn fifty_workspaces_with_four_campaigns_each_share_eight_binds_evenly_and_all_end() {
    runtime().block_on(async {
        let place = tests::stage::place().unwrap();
        let (stage, begun_us) = crowd(place.path(), WORKSPACES, CAMPAIGNS, RECIPIENTS).await;
        let ledgers = stage.ledgers();
        let total = (WORKSPACES * CAMPAIGNS) as u64 * RECIPIENTS;
        let took_us = ledgers.iter().flat_map(|(l, zero)| l.submits().last().map(|s| zero + s.time_us)).max();
        let took_s = (took_us.unwrap() - begun_us) as f64 / 1e6;
        let least_s = total as f64 / f64::from(2 * RATE);
        assert!(took_s < least_s * 1.1 + 1.0, "{took_s} s for what two full channels do in {least_s} s");
        // Half way through every workspace has its share, give or take one turn of each of its campaigns a bind.
        let half = sent(&stage, &ledgers, begun_us + total * 250_000 / u64::from(RATE));
        let by_workspace: Vec<u64> = half.chunks(CAMPAIGNS).map(|c| c.iter().sum()).collect();
        let (least, most) = (by_workspace.iter().min().unwrap(), by_workspace.iter().max().unwrap());
        let share = half.iter().sum::<u64>() / WORKSPACES as u64;
        assert!(most - least <= share / 4, "workspaces between {least} and {most}, share {share}");
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}

/// Not a test by itself: without an order it does nothing. It tells the peak of a process with one crowd in it.
#[test]
fn child_crowd() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let numbers: Vec<usize> = order.split(' ').map(|number| number.parse().unwrap()).collect();
    let [workspaces, campaigns, recipients] = numbers[..] else { panic!("no order: {order}") };
    runtime().block_on(async {
        let place = tests::stage::place().unwrap();
        let (stage, _) = crowd(place.path(), workspaces, campaigns, recipients as u64).await;
        stage.engine.clone().shutdown().await;
        println!("peak {} MiB", tests::peak_mib().unwrap());
    });
}

/// Largest resident memory of a process with such a crowd, engine and simulators together, MiB.
fn peak_of(order: &str) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crowd::child_crowd", "--nocapture"]).env(ORDER, order);
    let mut child = Child::start(&mut command).unwrap();
    let line = child.wait_for_line(DEADLINE, |line| line.contains("peak ")).unwrap();
    assert!(child.wait_for_end(DEADLINE).unwrap().success());
    line.split_whitespace().rev().nth(1).unwrap().parse().unwrap()
}

#[test]
fn two_hundred_campaigns_take_little_more_memory_than_one_with_all_their_recipients() {
    let all = (WORKSPACES * CAMPAIGNS) as u64 * RECIPIENTS;
    let one = peak_of(&format!("1 1 {all}"));
    let many = peak_of(&format!("{WORKSPACES} {CAMPAIGNS} {RECIPIENTS}"));
    println!(
        "{} campaigns: {many:.1} MiB, one with all their recipients: {one:.1} MiB",
        WORKSPACES * CAMPAIGNS
    );
    assert!(many - one < MORE_MIB, "{:.1} MiB more", many - one);
}

#[test]
fn two_equal_workspaces_with_one_and_ten_campaigns_get_equal_shares() {
    runtime().block_on(async {
        let place = tests::stage::place().unwrap();
        let mut stage = Stage::new(place.path(), new_year(), vec![line("one", 500, 2)]).await.unwrap();
        let (lone, many) =
            (stage.workspace("lone", |_| ()).await.unwrap(), stage.workspace("many", |_| ()).await.unwrap());
        let script = |recipients| Script { recipients, ..Script::default() };
        let first = stage.campaign(&lone, &script(8_000)).await.unwrap();
        stage.engine.start_campaign(lone.workspace, first, &lone.author()).await.unwrap();
        for _ in 0..10 {
            let id = stage.campaign(&many, &script(4_000)).await.unwrap();
            stage.engine.start_campaign(many.workspace, id, &many.author()).await.unwrap();
        }
        let begun_us = stage.now_ms() * 1000;
        stage.until(Duration::from_secs(60), |s| s.counts(first).sent >= 7_000).await.unwrap();
        let ledgers = stage.ledgers();
        let end_us = stage.now_ms() * 1000;
        let before = sent(&stage, &ledgers, begun_us + 1_000_000);
        let after = sent(&stage, &ledgers, end_us);
        let gain: Vec<u64> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
        let (one, ten) = (gain[0], gain[1..].iter().sum::<u64>());
        let off = one.abs_diff(ten) as f64 / (one + ten) as f64;
        assert!(off <= 0.02, "{one} and {ten} of equal workspaces: {off:.3} apart");
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}

#[test]
fn an_otp_campaign_overtakes_a_full_channel() {
    runtime().block_on(async {
        let place = tests::stage::place().unwrap();
        let mut stage = Stage::new(place.path(), new_year(), vec![line("slow", 100, 1)]).await.unwrap();
        let (big, small) =
            (stage.workspace("big", |_| ()).await.unwrap(), stage.workspace("small", |_| ()).await.unwrap());
        let bulk = stage.campaign(&big, &Script { recipients: 20_000, ..Script::default() }).await.unwrap();
        stage.engine.start_campaign(big.workspace, bulk, &big.author()).await.unwrap();
        stage.until(Duration::from_secs(60), |s| s.counts(bulk).sent >= 500).await.unwrap();
        let mut script = Script { recipients: 50, ..Script::default() };
        script.rules.lane = Lane::Otp;
        let otp = stage.campaign(&small, &script).await.unwrap();
        let begun_us = stage.now_ms() * 1000;
        stage.engine.start_campaign(small.workspace, otp, &small.author()).await.unwrap();
        stage.until_final(Duration::from_secs(5), &[otp]).await.unwrap();
        let ledgers = stage.ledgers();
        let first = stage.campaigns[1].1;
        let of_otp = |s: &&bench::smsc::Submit| s.destination >= first;
        let (ledger, zero_us) = &ledgers[0];
        let last_us = ledger.submits().iter().filter(of_otp).map(|s| zero_us + s.time_us).max().unwrap();
        // Fifty at a hundred a second, of which nine in ten are theirs.
        assert!(last_us - begun_us < 700_000, "{} us for fifty codes", last_us - begun_us);
        stage.engine.clone().shutdown().await;
        invariants::check(&stage).await.unwrap();
    });
}
