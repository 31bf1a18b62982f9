//! Who lives in the simulated house: channels, workspaces and campaigns as a seed wants them.

use super::chance::Chance;
use super::world::misbehaviour;
use bench::smsc::Config;
use engine::ChannelConfig;
use engine::model::{
    DeliveryPolicy, Lane, LocalWindow, Mode, QuietHours, RetryRule, Schedule, SendingRules, Workspace,
};
use jiff::civil::{DateTime, Time, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tests::stage::{Line, Script};

/// Zones of workspaces and campaigns: with a change of an hour, of half an hour, and of none.
const ZONES: [&str; 5] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"];

/// Half a day to a day before a clock changes somewhere, and one day on which none does.
const BEGINNINGS: [&str; 7] = [
    "2026-03-28T12:00:00Z",
    "2026-10-24T12:00:00Z",
    "2026-03-07T18:00:00Z",
    "2026-10-31T18:00:00Z",
    "2026-04-04T06:00:00Z",
    "2026-10-03T06:00:00Z",
    "2026-05-04T10:00:00Z",
];

/// First numbers of the countries that recipients live in; campaigns follow in steps of a million.
const COUNTRIES: [u64; 3] = [491_500_000_000, 336_000_000_000, 447_700_000_000];

pub(super) fn beginning(chance: &mut Chance) -> anyhow::Result<Timestamp> {
    let at: Timestamp = chance.pick(&BEGINNINGS).parse()?;
    Ok(at + SignedDuration::from_secs(i64::try_from(chance.below(43_200))?))
}

/// One to three channels, the first of them for everybody and every number.
pub(super) fn lines(seed: u64, chance: &mut Chance) -> anyhow::Result<Vec<Line>> {
    let count = chance.below(3);
    (0..=count).map(|at| line(seed, at, chance)).collect()
}

fn line(seed: u64, at: u64, chance: &mut Chance) -> anyhow::Result<Line> {
    let config = Config { first_id: 1 + at * 100_000_000, ..misbehaviour(seed ^ (at << 32), chance) };
    let mut line = Line::new(&format!("line-{at}"), config)?;
    let channel: &mut ChannelConfig = &mut line.channel;
    channel.binds = chance.few(1, 3);
    channel.window = chance.few(1, 30);
    channel.rate_per_s = *chance.pick(&[0, 0, 2, 5, 20, 50]);
    channel.enquire_link = Duration::from_secs(chance.within(30, 120));
    channel.response_timeout = Duration::from_secs(chance.within(3, 30));
    channel.weight = chance.few(1, 4);
    if at > 0 && chance.one_in(2) {
        channel.prefixes = chance.pick(&["49", "4915 33", "336 44"]).split(' ').map(str::to_owned).collect();
    }
    Ok(line)
}

pub(super) fn quiet_hours(chance: &mut Chance) -> Option<QuietHours> {
    let hour = |hour: u64| time(i8::try_from(hour % 24).unwrap_or(0), 0, 0, 0);
    chance.one_in(2).then(|| {
        let from = chance.below(24);
        let minutes = i8::try_from(chance.below(4) * 15).unwrap_or(0);
        let to: Time = hour(from + chance.within(1, 10));
        QuietHours { from: hour(from).with().minute(minutes).build().unwrap_or(hour(from)), to }
    })
}

pub(super) fn daily_limit(chance: &mut Chance) -> Option<u64> {
    chance.one_in(3).then(|| chance.within(60, 600))
}

pub(super) fn rate(chance: &mut Chance) -> u32 {
    *chance.pick(&[0, 0, 1, 3, 10, 40])
}

pub(super) fn settle_in(workspace: &mut Workspace, chance: &mut Chance) {
    workspace.time_zone = (*chance.pick(&ZONES)).to_owned();
    workspace.quiet_hours = quiet_hours(chance);
    workspace.daily_limit = daily_limit(chance);
    workspace.rate_per_s = rate(chance);
    workspace.weight = chance.few(1, 5);
}

/// The first number of the campaign with this place on the stage.
pub(super) fn first_number(place: usize, chance: &mut Chance) -> u64 {
    *chance.pick(&COUNTRIES) + 1_000_000 * place as u64
}

/// A campaign of any mode. `first` is the first of its numbers.
pub(super) fn script(now: Timestamp, lines: &[Line], first: u64, chance: &mut Chance) -> Script {
    let mode = *chance.pick(&[Mode::OnDemand, Mode::OnTime, Mode::Spread, Mode::Trigger]);
    let recipients = if mode == Mode::Trigger { 0 } else { chance.within(1, 400) };
    let text = match chance.below(4) {
        0 => "x".repeat(usize::try_from(chance.within(161, 400)).unwrap_or(161)),
        1 => "Привет ".repeat(usize::try_from(chance.within(11, 25)).unwrap_or(11)),
        _ => "Hello from the house".to_owned(),
    };
    let policy = *chance.pick(&[DeliveryPolicy::AtMostOnce, DeliveryPolicy::AtLeastOnce]);
    let numbers = (first..first + recipients).collect();
    let receipts = chance.one_in(2);
    Script { mode, rules: rules(mode, now, lines, chance), text, recipients, numbers, receipts, policy }
}

fn rules(mode: Mode, now: Timestamp, lines: &[Line], chance: &mut Chance) -> SendingRules {
    let lane = if mode == Mode::Trigger { Lane::Otp } else { *chance.pick(&Lane::ALL) };
    let open: Vec<&Line> =
        lines.iter().filter(|l| l.channel.workspaces.is_empty() && l.channel.prefixes.is_empty()).collect();
    SendingRules {
        schedule: schedule(mode, now, chance),
        daily_limit: chance.one_in(4).then(|| chance.within(40, 200)),
        ignore_daily_window: mode == Mode::Trigger && chance.one_in(2),
        validity_s: chance.one_in(3).then(|| chance.few(60, 20_000)),
        lane,
        transactional: chance.one_in(3),
        channel: chance.one_in(6).then(|| chance.pick(&open).channel.name.clone()),
        retry: retry(chance),
        auto_start: chance.one_in(2),
    }
}

fn retry(chance: &mut Chance) -> Vec<RetryRule> {
    let mut rules = Vec::new();
    for status in [0x08, 0x14, 0x58] {
        if chance.one_in(4) {
            rules.push(RetryRule {
                status,
                attempts: *chance.pick(&[1, 2, 3, 4, 6]),
                delay_s: chance.few(0, 600),
            });
        }
    }
    rules
}

fn schedule(mode: Mode, now: Timestamp, chance: &mut Chance) -> Schedule {
    let time_zone = (*chance.pick(&ZONES)).to_owned();
    let zone = TimeZone::get(&time_zone).unwrap_or(TimeZone::UTC);
    let local = |minutes: u64| -> DateTime {
        let at = now + SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(0));
        let local = at.to_zoned(zone.clone()).datetime();
        local.with().second(0).subsec_nanosecond(0).build().unwrap_or(local)
    };
    let begin = chance.within(2, 600);
    let length = *chance.pick(&[20, 60, 300, 1_440, 4_320]) + chance.below(20);
    let window = LocalWindow { from: local(begin), to: local(begin + length) };
    let (start_at, window) = match mode {
        Mode::OnDemand => (None, None),
        Mode::OnTime => {
            (Some(local(begin + chance.below(length.min(60)))), chance.one_in(2).then_some(window))
        }
        Mode::Spread => (None, Some(window)),
        Mode::Trigger => (None, chance.one_in(4).then_some(window)),
    };
    Schedule { start_at, window, time_zone }
}
