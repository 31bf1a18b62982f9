//! Whether rules can be taken at all: every field against its mode, its range, the present and the workspace.
//!
//! Says everything that is wrong at once, by the field names of the REST interface, in words for people. What passes
//! here makes a gate and, for Spread, a plan: proved by `what_passes_makes_a_gate_and_a_plan`.

use super::gate::{Gate, GateState, bounds};
use super::infeasible::Infeasible;
use super::planner::{PlanTerms, plan};
use super::zone::{Zone, instant_of, second_of};
use crate::model::{HoldReason, Mode, RetryRule, SendingRules};
use jiff::Timestamp;

/// Most retry rules of a campaign: more exceptions than that are another table, and one is looked up per refusal.
pub const MAX_RETRY_RULES: usize = 16;
/// Most attempts that a rule may ask for.
pub const MAX_ATTEMPTS: u8 = 10;
/// Longest pause between attempts, seconds: a day.
pub const MAX_RETRY_DELAY_S: u32 = 86_400;
/// Longest validity, seconds: what SMPP's relative time holds without months, whose length is the SMSC's guess.
pub const MAX_VALIDITY_S: u32 = 32 * 86_400 - 1;

/// What kind of mistake; the wire form is [`Code::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The mode needs this field.
    Required,
    /// The mode has no such field.
    NotInThisMode,
    /// A time that has passed.
    InThePast,
    /// The end is not behind the start.
    EndBeforeStart,
    /// `start_at` lies outside of the window.
    OutsideWindow,
    /// A number beyond its range.
    OutOfRange,
    /// More entries than allowed.
    TooMany,
    /// Two rules for one status.
    Duplicate,
    /// No zone of that name.
    UnknownZone,
    /// No plan fits window, quiet hours and limit.
    PlanInfeasible,
    /// Warning: inside the workspace's quiet hours.
    InQuietHours,
}

impl Code {
    /// As answers and the OpenAPI document spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::NotInThisMode => "not_in_this_mode",
            Self::InThePast => "in_the_past",
            Self::EndBeforeStart => "end_before_start",
            Self::OutsideWindow => "outside_window",
            Self::OutOfRange => "out_of_range",
            Self::TooMany => "too_many",
            Self::Duplicate => "duplicate",
            Self::UnknownZone => "unknown_zone",
            Self::PlanInfeasible => "plan_infeasible",
            Self::InQuietHours => "in_quiet_hours",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The writable field that it is about.
    pub field: &'static str,
    /// What kind.
    pub code: Code,
    /// In words.
    pub message: String,
}

/// Something that is allowed and worth a second look; the same shape as a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub Refusal);

/// Checks the rules of a campaign at `now`; warnings when nothing is wrong, else everything that is.
/// `charged` is what other campaigns have used of the workspace's days already. Cost: that of a plan for Spread.
pub fn check(mode: Mode, recipients: u64, terms: &PlanTerms<'_>) -> Result<Vec<Warning>, Vec<Refusal>> {
    let mut wrong = Vec::new();
    fields_of_mode(mode, terms.rules, &mut wrong);
    numbers(terms.rules, &mut wrong);
    retry_rules(&terms.rules.retry, &mut wrong);
    match Zone::named(&terms.rules.schedule.time_zone) {
        Ok(zone) => times(mode, terms.rules, &zone, terms.now, &mut wrong),
        Err(unknown) => wrong.push(refusal("time_zone", Code::UnknownZone, unknown.to_string())),
    }
    if wrong.is_empty() && mode == Mode::Spread {
        wrong.extend(plan(recipients, terms).err().map(|why| infeasible(&why, terms.rules)));
    }
    if wrong.is_empty() { Ok(warnings(mode, terms)) } else { Err(wrong) }
}

fn refusal(field: &'static str, code: Code, message: impl Into<String>) -> Refusal {
    Refusal { field, code, message: message.into() }
}

/// Which fields a mode needs and which it does not have.
fn fields_of_mode(mode: Mode, rules: &SendingRules, wrong: &mut Vec<Refusal>) {
    let (start, window) = (rules.schedule.start_at.is_some(), rules.schedule.window.is_some());
    let strange =
        |field, mode| refusal(field, Code::NotInThisMode, format!("{mode:?} campaigns have no {field}"));
    match mode {
        Mode::OnTime if !start => {
            wrong.push(refusal("start_at", Code::Required, "OnTime campaigns need start_at"));
        }
        Mode::OnDemand | Mode::Spread | Mode::Trigger if start => wrong.push(strange("start_at", mode)),
        _ => {}
    }
    match mode {
        Mode::Spread if !window => {
            wrong.push(refusal("window", Code::Required, "Spread campaigns need a window"));
        }
        Mode::OnDemand if window => wrong.push(strange("window", mode)),
        _ => {}
    }
    if rules.ignore_daily_window && mode != Mode::Trigger {
        let message = format!("only Trigger campaigns may send in quiet hours, this one is {mode:?}");
        wrong.push(refusal("ignore_daily_window", Code::NotInThisMode, message));
    }
}

/// Numbers with a range.
fn numbers(rules: &SendingRules, wrong: &mut Vec<Refusal>) {
    if rules.daily_limit == Some(0) {
        wrong.push(refusal(
            "daily_limit",
            Code::OutOfRange,
            "a daily limit is at least 1; leave it out for none",
        ));
    }
    if let Some(validity_s) = rules.validity_s.filter(|validity_s| !(1..=MAX_VALIDITY_S).contains(validity_s))
    {
        let message = format!("validity is 1 to {MAX_VALIDITY_S} seconds, not {validity_s}");
        wrong.push(refusal("validity_s", Code::OutOfRange, message));
    }
}

fn retry_rules(rules: &[RetryRule], wrong: &mut Vec<Refusal>) {
    if rules.len() > MAX_RETRY_RULES {
        let message = format!("{} retry rules; at most {MAX_RETRY_RULES}", rules.len());
        // Not one by one: how many there may be wrong is anybody's choice.
        return wrong.push(refusal("retry", Code::TooMany, message));
    }
    for (place, rule) in rules.iter().enumerate() {
        let name = format!("the rule for status 0x{:08X}", rule.status);
        let mut add = |code, message: String| wrong.push(refusal("retry", code, message));
        if rules[..place].iter().any(|earlier| earlier.status == rule.status) {
            add(Code::Duplicate, format!("{name} comes twice"));
        }
        if rule.status == 0 {
            add(Code::OutOfRange, format!("{name} is about success, which is never tried again"));
        }
        if !(1..=MAX_ATTEMPTS).contains(&rule.attempts) {
            add(Code::OutOfRange, format!("{name} asks for {} attempts; 1 to {MAX_ATTEMPTS}", rule.attempts));
        }
        if rule.delay_s > MAX_RETRY_DELAY_S {
            let delay_s = rule.delay_s;
            add(Code::OutOfRange, format!("{name} waits {delay_s} s; at most {MAX_RETRY_DELAY_S}"));
        }
    }
}

/// Times against each other and the present, by instant: local times that look right may be one moment.
fn times(mode: Mode, rules: &SendingRules, zone: &Zone, now: Timestamp, wrong: &mut Vec<Refusal>) {
    let name = zone.name();
    let clock = zone.local(instant_of(second_of(now)));
    let start = rules.schedule.start_at.filter(|_| mode == Mode::OnTime);
    let window = rules.schedule.window.filter(|_| mode != Mode::OnDemand);
    if let Some(start) = start.filter(|start| zone.resolve(*start) < now) {
        let message = format!("{start} ({name}) has passed; it is {clock} there now");
        wrong.push(refusal("start_at", Code::InThePast, message));
    }
    let Some(window) = window else { return };
    let (from, to) = (zone.resolve(window.from), zone.resolve(window.to));
    if to <= from {
        let message = format!("the window ends at {} and begins at {} ({name})", window.to, window.from);
        wrong.push(refusal("window", Code::EndBeforeStart, message));
    } else if to <= now {
        let message = format!("the window ended at {} ({name}); it is {clock} there now", window.to);
        wrong.push(refusal("window", Code::InThePast, message));
    }
    if let Some(start) = start.filter(|start| !(from..to).contains(&zone.resolve(*start)) && from < to) {
        let message =
            format!("{start} lies outside of the window from {} to {} ({name})", window.from, window.to);
        wrong.push(refusal("start_at", Code::OutsideWindow, message));
    }
}

/// The field is the one that its author can change: the workspace's limit is not theirs, the window is.
fn infeasible(why: &Infeasible, rules: &SendingRules) -> Refusal {
    let is_own_limit = matches!(why, Infeasible::Limit(short) if rules.daily_limit == Some(short.limit));
    let field = if is_own_limit { "daily_limit" } else { "window" };
    refusal(field, Code::PlanInfeasible, why.to_string())
}

/// What quiet hours will do to a campaign that begins inside them (C27: it waits, it is never dropped).
fn warnings(mode: Mode, terms: &PlanTerms<'_>) -> Vec<Warning> {
    let field = match mode {
        Mode::OnTime => "start_at",
        Mode::Trigger => "window",
        Mode::OnDemand | Mode::Spread => return Vec::new(),
    };
    warning(mode, field, terms).into_iter().collect()
}

fn warning(mode: Mode, field: &'static str, terms: &PlanTerms<'_>) -> Option<Warning> {
    let zone = Zone::named(&terms.rules.schedule.time_zone).ok()?;
    let (from_s, to_s) = bounds(mode, terms.rules, &zone).ok()?;
    let (begins, ends) = (instant_of(from_s?).max(terms.now), to_s.map(instant_of));
    let state = Gate::new(mode, terms.rules, terms.calendar).ok()?.at(begins);
    let GateState::Closed { until, why: HoldReason::QuietHours } = state else { return None };
    let hours = terms.calendar.quiet?;
    let shown = |at| terms.calendar.zone.local(at);
    let name = terms.calendar.zone.name();
    let quiet = format!("{} lies in the quiet hours {} to {} ({name})", shown(begins), hours.from, hours.to);
    let message = match until.filter(|until| ends.is_none_or(|ends| *until < ends)) {
        Some(until) => format!("{quiet}: sending begins at {}", shown(until)),
        None => format!("{quiet}, and so does all of its time: nothing will be sent"),
    };
    Some(Warning(refusal(field, Code::InQuietHours, message)))
}
