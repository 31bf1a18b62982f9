//! Plans Spread campaigns: which local day takes how many rows, and in which seconds of it.
//!
//! One planner for windows of a minute and of many months, to the second. A day's weight is its allowed seconds; days
//! of one weight and limit differ by at most one row. Invariant: no day holds more rows than its limit leaves, and the
//! rows of all days add up. Cost is that of the days, whatever the number of rows: about 3 us for each.

use super::calendar::{Calendar, Stretch};
use super::gate::bounds;
use super::infeasible::{Infeasible, Shortfall};
use super::plan::{due_in, mul_div};
use super::zone::{Zone, instant_of, second_from};
use crate::model::{Mode, Plan, PlanSpan, SendingRules};
use jiff::Timestamp;
use jiff::civil::Date;

/// Longest window: two years. A plan is kept with its campaign, at most three spans for each of these days.
pub const MAX_WINDOW_DAYS: i64 = 731;

/// Recipients that are charged to local days of the workspace already; a day used is never refilled.
pub type Charges = [(Date, u64)];

/// What a plan is made under.
#[derive(Clone, Copy, Debug)]
pub struct PlanTerms<'a> {
    /// The campaign's rules: window, zone, daily limit.
    pub rules: &'a SendingRules,
    /// The workspace's zone, quiet hours and daily limit.
    pub calendar: &'a Calendar,
    /// What the campaign itself is charged with; empty before its first message.
    pub charged: &'a Charges,
    /// What all campaigns of the workspace are charged with, this one too.
    pub workspace_charged: &'a Charges,
    /// The present; nothing is planned before it.
    pub now: Timestamp,
}

/// One local day to plan: its stretches, and what may go into them.
pub(super) struct Day {
    stretches: Vec<Stretch>,
    seconds: u64,
    cap: u64,
    rows: u64,
}

/// Plans rows `0..rows` over the window. Nothing is planned for a campaign without recipients.
pub fn plan(rows: u64, terms: &PlanTerms<'_>) -> Result<Plan, Infeasible> {
    let mut days = days(terms)?;
    if let Some(shortfall) = shortfall(rows, &days, terms) {
        return Err(Infeasible::Limit(shortfall));
    }
    share_out(rows, &mut days);
    let covered = if rows == 0 { Vec::new() } else { vec![(0, rows)] };
    Ok(Plan { version: 1, rows: covered, spans: spans(&days) })
}

/// What the days hold: `None` is room for any number.
pub(super) fn capacity(days: &[Day], terms: &PlanTerms<'_>) -> Option<u64> {
    limit(terms).map(|_| days.iter().fold(0, |sum, day| day.cap.saturating_add(sum)))
}

/// The days that are left of the window, none without an allowed second.
pub(super) fn days(terms: &PlanTerms<'_>) -> Result<Vec<Day>, Infeasible> {
    let (from_s, to_s) = window(terms)?;
    let mut days: Vec<Day> = Vec::new();
    for stretch in terms.calendar.allowed(from_s, to_s) {
        match days.last_mut().filter(|day| day.stretches[0].day == stretch.day) {
            Some(day) => {
                day.seconds += stretch.seconds();
                day.stretches.push(stretch);
            }
            None => days.push(Day {
                cap: cap(stretch.day, terms),
                seconds: stretch.seconds(),
                stretches: vec![stretch],
                rows: 0,
            }),
        }
    }
    match (days.is_empty(), terms.calendar.quiet) {
        (true, Some(hours)) => Err(Infeasible::Quiet { hours, zone: terms.calendar.zone.name().to_owned() }),
        _ => Ok(days),
    }
}

/// Shares rows out by weight; what is above a day's limit goes to the others, by weight again. What does not fit is
/// left out: the caller compares with [`capacity`] before.
pub(super) fn share_out(rows: u64, days: &mut [Day]) {
    // Days in the order in which a rising water level reaches their limit: lowest limit per second first.
    let mut order: Vec<usize> = (0..days.len()).collect();
    let weighed = |a: u64, b: u64| u128::from(a) * u128::from(b);
    order.sort_by(|a, b| {
        let (a, b) = (&days[*a], &days[*b]);
        weighed(a.cap, b.seconds).cmp(&weighed(b.cap, a.seconds))
    });
    let mut left = rows;
    let mut weight: u64 = days.iter().map(|day| day.seconds).sum();
    let mut is_full = vec![false; days.len()];
    for place in order {
        let day = &mut days[place];
        if weighed(left, day.seconds) < weighed(day.cap, weight) {
            break;
        }
        day.rows = day.cap.min(left);
        is_full[place] = true;
        left -= day.rows;
        weight -= day.seconds;
    }
    // Rounding the sums instead of the shares gives each day its share rounded down or up, and the total exactly.
    let (mut before, mut given) = (0, 0);
    for (day, _) in days.iter_mut().zip(is_full).filter(|(_, is_full)| !is_full) {
        before += day.seconds;
        let until = mul_div(left, before, weight);
        day.rows = until - given;
        given = until;
    }
}

/// The spans of all days that have rows.
pub(super) fn spans(days: &[Day]) -> Vec<PlanSpan> {
    let mut spans = Vec::new();
    for day in days.iter().filter(|day| day.rows > 0) {
        let (mut gone, mut given) = (0, 0);
        for stretch in &day.stretches {
            gone += stretch.seconds();
            let until = due_in(day.rows, day.seconds, gone);
            let (from_s, to_s) = (stretch.from_s, stretch.to_s);
            spans.push(PlanSpan { day: stretch.day, from_s, to_s, rows: until - given });
            given = until;
        }
    }
    spans
}

/// The window's seconds that are not past, as far as the window can be planned at all.
fn window(terms: &PlanTerms<'_>) -> Result<(i64, i64), Infeasible> {
    let zone = Zone::named(&terms.rules.schedule.time_zone).map_err(super::gate::GateError::from)?;
    let (from_s, to_s) = bounds(Mode::Spread, terms.rules, &zone)?;
    let (Some(local), Some(from_s), Some(to_s)) = (terms.rules.schedule.window, from_s, to_s) else {
        return Err(Infeasible::Rules(super::gate::GateError::NoWindow));
    };
    if from_s >= to_s {
        let zone = zone.name().to_owned();
        return Err(Infeasible::Empty { from: local.from, to: local.to, zone });
    }
    let now_s = second_from(terms.now);
    if now_s >= to_s {
        let now = zone.local(instant_of(now_s));
        return Err(Infeasible::Past { to: local.to, now, zone: zone.name().to_owned() });
    }
    let days = (to_s - from_s).div_euclid(86_400);
    if days > MAX_WINDOW_DAYS {
        return Err(Infeasible::TooLong { days });
    }
    Ok((from_s.max(now_s), to_s))
}

/// The smaller of the campaign's daily limit and its workspace's.
fn limit(terms: &PlanTerms<'_>) -> Option<u64> {
    terms.rules.daily_limit.into_iter().chain(terms.calendar.daily_limit).min()
}

/// What one day may still take.
fn cap(day: Date, terms: &PlanTerms<'_>) -> u64 {
    let left = |limit: Option<u64>, charges: &Charges| {
        let used: u64 = charges.iter().filter(|(date, _)| *date == day).map(|(_, count)| count).sum();
        limit.map_or(u64::MAX, |limit| limit.saturating_sub(used))
    };
    let own = left(terms.rules.daily_limit, terms.charged);
    own.min(left(terms.calendar.daily_limit, terms.workspace_charged))
}

fn shortfall(rows: u64, days: &[Day], terms: &PlanTerms<'_>) -> Option<Shortfall> {
    let (limit, capacity) = (limit(terms)?, capacity(days, terms)?);
    let count = u64::try_from(days.len()).unwrap_or(u64::MAX);
    (capacity < rows).then_some(Shortfall { days: count, limit, capacity, rows })
}
