//! Judges written fields as a whole: text, sender, channel, times and limits against the workspace and the present.
//!
//! Everything that is wrong is found at once; what is right is there also when something else is not, for previews of
//! half-filled drafts. Invariant: content that [`Judged::campaign`] gives passes what the engine checks before sending.

use super::fields::{Fields, WindowBody};
use super::findings::Findings;
use super::source;
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use engine::model::{
    Content, DeliveryPolicy, Lane, LocalWindow, Mode, Revision, Schedule, SendingRules, Variable, Workspace,
};
use engine::schedule::{Calendar, PlanTerms, Warning, Zone, check};
use engine::text::{Composition, compose, variable_names};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use uuid::Uuid;

/// Longest value of a variable, characters, where no list tells: Trigger. Codes and names are shorter, and with it
/// sixteen variables still fit a message.
pub(crate) const VALUE_CHARS: u16 = 64;
/// What stands for the digest of a list that grows.
pub(crate) const OPEN_LIST: &str = "open";
/// Types of number that SMPP has.
const MAX_TON: u8 = 6;
/// Numbering plans that SMPP has.
const NPIS: [u8; 10] = [0, 1, 3, 4, 6, 8, 9, 10, 14, 18];
/// International and E.164: how numbers are kept.
const DESTINATION: (u8, u8) = (1, 1);

/// The recipients that the fields are judged with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListFacts {
    /// How many.
    pub(crate) recipients: u64,
    /// What is known of each besides its number, in order.
    pub(crate) variables: Vec<Variable>,
}

/// What the fields are judged against.
pub(crate) struct Bench<'a> {
    /// Senders, channels, charges.
    pub(crate) api: &'a Api,
    /// The workspace.
    pub(crate) workspace: &'a Workspace,
    /// Its recipients; `None` before there are any.
    pub(crate) list: Option<&'a ListFacts>,
    /// The revision that stays, when an edit does not touch it.
    pub(crate) pinned: Option<Uuid>,
}

/// A text that can be sent.
#[derive(Clone, Debug)]
pub(crate) struct Wording {
    /// As written.
    pub(crate) text: String,
    /// Its variables in the order of the list's, or of appearance without a list.
    pub(crate) variables: Vec<Variable>,
    /// What it needs.
    pub(crate) composition: Composition,
}

/// What was found.
pub(crate) struct Judged {
    name: Option<String>,
    /// The mode, when one is given.
    pub(crate) mode: Option<Mode>,
    /// How it sends, as far as it can be read.
    pub(crate) rules: SendingRules,
    /// The text, when it can be sent.
    pub(crate) wording: Option<Wording>,
    /// Under which revision it goes out.
    pub(crate) source: Option<Revision>,
    destination: (u8, u8),
    delivery_policy: DeliveryPolicy,
    /// The workspace's time.
    pub(crate) calendar: Option<Calendar>,
    /// What the workspace has used of today.
    pub(crate) charged: Vec<(Date, u64)>,
    /// The moment of the judgement.
    pub(crate) now: Timestamp,
    /// Everything that is wrong.
    pub(crate) findings: Findings,
    /// What is allowed and worth a second look.
    pub(crate) warnings: Vec<Warning>,
}

/// What a campaign is made of, besides who and when.
pub(crate) struct Judgement {
    /// Its name, trimmed.
    pub(crate) name: String,
    /// When it sends.
    pub(crate) mode: Mode,
    /// What is approved; the digest of its recipients is the caller's to fill in.
    pub(crate) content: Content,
    /// What happens to uncertain parts.
    pub(crate) delivery_policy: DeliveryPolicy,
}

/// Judges.
///
/// # Errors
/// The store's; what is wrong with the fields is in the findings.
pub(crate) async fn judge(bench: &Bench<'_>, fields: &Fields) -> Result<Judged, Problem> {
    let Bench { api, workspace, list, pinned } = bench;
    let mut findings = Findings::default();
    fields.check_bounds(&mut findings);
    if fields.name.get().is_none() {
        findings.add("name", "required", "A campaign needs a name.");
    }
    let mode = fields.mode.get().map(|mode| mode.0);
    if mode.is_none() {
        findings.add("mode", "required", "A mode is needed: OnDemand, OnTime, Spread or Trigger.");
    }
    check_list(mode, *list, &mut findings);
    let wording = wording(fields, mode, *list, &mut findings);
    let source = source::choose((api, workspace.id), fields, *pinned, &mut findings).await?;
    let destination = destination(fields, &mut findings);
    check_channel(api, workspace, fields, &mut findings);
    let mut judged = Judged {
        name: fields.name.get().map(|name| name.trim().to_owned()),
        mode,
        rules: rules(fields, mode, workspace, &mut findings),
        wording,
        source,
        destination,
        delivery_policy: fields.delivery_policy.get().copied().unwrap_or(DeliveryPolicy::AtMostOnce),
        calendar: Calendar::of(workspace).ok(),
        charged: api.engine.charged_today(workspace.id).await?,
        now: api.now(),
        findings,
        warnings: Vec::new(),
    };
    let recipients = list.map_or(0, |list| list.recipients);
    judged.check_schedule(recipients);
    Ok(judged)
}

impl Judged {
    /// What a plan is made under; `None` for a workspace whose zone nobody knows.
    pub(crate) fn terms(&self) -> Option<PlanTerms<'_>> {
        let calendar = self.calendar.as_ref()?;
        let (rules, charged) = (&self.rules, &[]);
        Some(PlanTerms { rules, calendar, charged, workspace_charged: &self.charged, now: self.now })
    }

    fn check_schedule(&mut self, recipients: u64) {
        let wrong = ["time_zone", "start_at", "window", "window.from", "window.to"];
        if self.findings.errors().iter().any(|error| wrong.contains(&error.field.as_str())) {
            // What cannot be read would be called missing.
            return;
        }
        let (Some(mode), Some(terms)) = (self.mode, self.terms()) else { return };
        match check(mode, recipients, &terms) {
            Ok(warnings) => self.warnings = warnings,
            Err(refusals) => refusals.into_iter().for_each(|refusal| self.findings.add_schedule(refusal)),
        }
    }

    /// What a campaign is made of.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub(crate) fn campaign(self) -> Result<Judgement, Problem> {
        self.findings.check()?;
        let (Some(name), Some(mode), Some(wording), Some(revision)) =
            (self.name, self.mode, self.wording, self.source)
        else {
            // Whatever is missing is in the findings; a defect of this module else.
            return Err(Problem::new(Code::Internal));
        };
        let content = Content {
            text: wording.text,
            variables: wording.variables,
            sender_id: revision.sender_id,
            revision_id: revision.id,
            saddr: revision.saddr,
            ston: revision.ston,
            snpi: revision.snpi,
            dton: self.destination.0,
            dnpi: self.destination.1,
            parts: wording.composition.segments_max,
            receipts: true,
            recipients_digest: OPEN_LIST.to_owned(),
            rules: self.rules,
        };
        Ok(Judgement { name, mode, content, delivery_policy: self.delivery_policy })
    }
}

fn check_list(mode: Option<Mode>, list: Option<&ListFacts>, findings: &mut Findings) {
    let recipients = list.map_or(0, |list| list.recipients);
    match mode {
        Some(Mode::Trigger) if recipients > 0 => {
            let message = "A Trigger campaign begins without recipients; remove the list.";
            findings.add("recipients", "not_in_this_mode", message);
        }
        Some(Mode::OnDemand | Mode::OnTime | Mode::Spread) if recipients == 0 => {
            findings.add_as(Code::NoRecipients, "recipients", "no_recipients", "There is nobody to send to.");
        }
        _ => {}
    }
}

/// Whether a text names a variable: only then braces mean anything in it.
fn names_a_variable(text: &str) -> bool {
    text.split('{').skip(1).any(|rest| {
        rest.split_once('}').is_some_and(|(name, _)| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    })
}

/// The names of a text's variables in order of appearance.
///
/// # Errors
/// In words, what is wrong with its braces.
pub(crate) fn names_in(text: &str) -> Result<Vec<String>, String> {
    if !names_a_variable(text) {
        return Ok(Vec::new());
    }
    variable_names(text).map_err(|error| error.to_string())
}

fn wording(
    fields: &Fields,
    mode: Option<Mode>,
    list: Option<&ListFacts>,
    findings: &mut Findings,
) -> Option<Wording> {
    let Some(text) = fields.text.get() else {
        findings.add("text", "required", "A campaign needs a text.");
        return None;
    };
    let names = match names_in(text) {
        Ok(names) => names,
        Err(message) => {
            findings.add("text", "text_invalid", message);
            return None;
        }
    };
    let list = list.filter(|list| mode != Some(Mode::Trigger) && list.recipients > 0);
    let variables = match list {
        None => names.into_iter().map(|name| Variable { name, max_chars: VALUE_CHARS }).collect(),
        Some(list) => of_list(names, list, findings)?,
    };
    match compose(text, &variables) {
        Ok(composition) => Some(Wording { text: text.clone(), variables, composition }),
        Err(error) => {
            findings.add("text", "text_invalid", error.to_string());
            None
        }
    }
}

/// The variables of a text in the order in which the list holds their values.
fn of_list(names: Vec<String>, list: &ListFacts, findings: &mut Findings) -> Option<Vec<Variable>> {
    let place = |name: &str| list.variables.iter().position(|known| known.name.eq_ignore_ascii_case(name));
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        match place(&name) {
            Some(at) => found.push((at, Variable { max_chars: list.variables[at].max_chars, name })),
            None => missing.push(name),
        }
    }
    if missing.is_empty() {
        found.sort_by_key(|(at, _)| *at);
        return Some(found.into_iter().map(|(_, variable)| variable).collect());
    }
    let message = format!(
        "The recipients have no values for {}; upload them again with the present text.",
        missing.join(", ")
    );
    findings.add("text", "variable_missing", message);
    None
}

fn destination(fields: &Fields, findings: &mut Findings) -> (u8, u8) {
    let ton = fields.dton.get().copied().unwrap_or(DESTINATION.0);
    let npi = fields.dnpi.get().copied().unwrap_or(DESTINATION.1);
    if ton > MAX_TON {
        findings.add("dton", "out_of_range", format!("SMPP has the types of number 0 to {MAX_TON}."));
    }
    if !NPIS.contains(&npi) {
        findings.add(
            "dnpi",
            "out_of_range",
            "SMPP has the numbering plans 0, 1, 3, 4, 6, 8, 9, 10, 14 and 18.",
        );
    }
    (ton, npi)
}

fn check_channel(api: &Api, workspace: &Workspace, fields: &Fields, findings: &mut Findings) {
    let pinned = fields.channel.get().map(String::as_str);
    if api.engine.channels_of(workspace, pinned).is_ok() {
        return;
    }
    let message = match pinned {
        Some(_) => "No channel of this name serves this workspace.",
        None => "No channel serves this workspace.",
    };
    findings.add("channel", "not_available", message);
}

fn rules(
    fields: &Fields,
    mode: Option<Mode>,
    workspace: &Workspace,
    findings: &mut Findings,
) -> SendingRules {
    let name = fields.time_zone.get().unwrap_or(&workspace.time_zone);
    let schedule = match Zone::named(name) {
        Ok(zone) => schedule(fields, &zone, findings),
        Err(error) => {
            findings.add("time_zone", "unknown_zone", error.to_string());
            Schedule::default()
        }
    };
    let lane = if mode == Some(Mode::Trigger) { Lane::Otp } else { Lane::Normal };
    let is = |given: &super::fields::Given<bool>| given.get().copied().unwrap_or(false);
    SendingRules {
        schedule,
        daily_limit: fields.daily_limit.get().copied(),
        ignore_daily_window: is(&fields.ignore_daily_window),
        validity_s: fields.validity_s.get().copied(),
        lane: fields.lane.get().copied().unwrap_or(lane),
        transactional: is(&fields.transactional),
        channel: fields.channel.get().cloned(),
        retry: Vec::new(),
        auto_start: is(&fields.auto_start),
    }
}

fn schedule(fields: &Fields, zone: &Zone, findings: &mut Findings) -> Schedule {
    let mut local = |field: &str, text: &String| -> Option<DateTime> {
        let read = zone.parse(text);
        read.map_err(|error| findings.add(field, "malformed", error.to_string())).ok().map(|at| at.local)
    };
    let start_at = fields.start_at.get().and_then(|text| local("start_at", text));
    let window = fields.window.get().and_then(|WindowBody { from, to }| {
        let (from, to) = (local("window.from", from), local("window.to", to));
        Some(LocalWindow { from: from?, to: to? })
    });
    Schedule { start_at, window, time_zone: zone.name().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_mean_something_only_where_a_variable_is_named() {
        assert_eq!(names_in("50 % off {today"), Ok(Vec::new()));
        assert_eq!(names_in(":-} {} { x }"), Ok(Vec::new()));
        assert_eq!(names_in("{a} and {b_2} and {a}"), Ok(vec!["a".to_owned(), "b_2".to_owned()]));
        names_in("{a} and { b").expect_err("a brace that is not closed");
    }
}
