//! What a campaign would do: its encoding and length, how it reads for the first recipients, when it sends. The same for
//! a half-filled draft, a whole one and a stored campaign; what keeps it from being sent is told beside it.

use super::judge::{Judged, ListFacts};
use crate::api::campaign_view::encoding_word;
use crate::api::moment::Moment;
use crate::api::problem::{FieldError, Problem};
use crate::api::state::Api;
use engine::model::{CampaignNo, Mode, Plan, Values, values};
use engine::schedule::{Charges, MAX_WINDOW_DAYS, ON_TIME_GRACE_S, Zone, plan};
use engine::store::StoreError;
use engine::text::{ForcingCharacter, MAX_SAMPLES, Template, samples};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds of a day, for the end of a search.
const DAY_S: i64 = 86_400;

/// What a campaign would do.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Outlook)]
pub(crate) struct Outlook {
    /// `gsm7`, `latin1` or `ucs2`; `null` while the text cannot be sent.
    #[schema(example = "gsm7")]
    encoding: Option<&'static str>,
    /// What forces UCS-2.
    forcing_characters: Vec<ForcingView>,
    /// Segments of a message at least.
    segments_min: Option<u8>,
    /// Segments of a message at worst.
    segments_max: Option<u8>,
    /// How it reads for the first recipients.
    samples: Vec<SampleView>,
    /// When the first message is due, as far as the schedule tells.
    first_at: Option<Moment>,
    /// When the last one is due; Spread only.
    last_at: Option<Moment>,
    /// Recipients of each local day.
    per_day: Vec<DayView>,
    /// Why it cannot be sent like this.
    refusal: Option<String>,
    /// Everything that is wrong.
    errors: Vec<FieldError>,
    /// What is worth a second look.
    warnings: Vec<FieldError>,
}

impl Outlook {
    /// Of a campaign that is past its approval: when it sends is decided, and what was wrong with it then is history.
    pub(crate) fn planned(self, plan: Option<&Plan>) -> Self {
        let decided = Self { refusal: None, errors: Vec::new(), warnings: Vec::new(), ..self };
        let Some(plan) = plan else { return decided };
        let day = |(day, recipients)| DayView { day, recipients };
        Self {
            first_at: plan.first_at().map(Moment),
            last_at: plan.last_at().map(Moment),
            per_day: plan.per_day().into_iter().map(day).collect(),
            ..decided
        }
    }
}

/// A character outside of the GSM alphabet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForcingCharacter)]
struct ForcingView {
    #[schema(example = "\u{2019}")]
    character: String,
    /// Where it stands first, in characters from 1.
    at: usize,
    /// How often.
    count: usize,
    /// What it is called.
    name: &'static str,
    /// What could stand in its place.
    instead: Option<&'static str>,
}

/// A message as one recipient gets it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sample)]
struct SampleView {
    /// Masked; `null` without recipients.
    number: Option<String>,
    /// `null` when this recipient's values cannot be sent.
    text: Option<String>,
    segments: Option<u8>,
    /// Why they cannot.
    error: Option<String>,
}

/// A day of a plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlannedDay)]
struct DayView {
    #[schema(value_type = String, format = Date, example = "2026-11-21")]
    day: Date,
    recipients: u64,
}

/// What the judged fields would do to the list stored under `no`.
///
/// # Errors
/// The store's.
pub(crate) async fn outlook(
    api: &Api,
    judged: &Judged,
    (no, list): (CampaignNo, Option<&ListFacts>),
) -> Result<Outlook, Problem> {
    let mut outlook = Outlook {
        errors: judged.findings.errors(),
        warnings: judged.warnings.iter().map(|warning| told(&warning.0)).collect(),
        ..Outlook::default()
    };
    let infeasible = outlook.errors.iter().find(|error| error.code == "plan_infeasible");
    outlook.refusal = infeasible.or(outlook.errors.first()).map(|error| error.message.clone());
    if let Some(wording) = &judged.wording {
        let composition = &wording.composition;
        outlook.encoding = Some(encoding_word(composition.encoding));
        outlook.forcing_characters = composition.forcing_characters.iter().map(forcing).collect();
        outlook.segments_min = Some(composition.segments_min);
        outlook.segments_max = Some(composition.segments_max);
        outlook.samples = sampled(api, judged, (no, list)).await?;
    }
    tell_times(judged, list.map_or(0, |list| list.recipients), &mut outlook);
    Ok(outlook)
}

fn told(refusal: &engine::schedule::Refusal) -> FieldError {
    let (field, code) = (refusal.field.to_owned(), refusal.code.as_str().to_owned());
    FieldError { field, code, message: refusal.message.clone() }
}

fn forcing(found: &ForcingCharacter) -> ForcingView {
    let (character, name) = (found.character.to_string(), found.described.name);
    ForcingView { character, at: found.at, count: found.count, name, instead: found.described.instead }
}

/// The text for the first recipients, without any for nobody.
async fn sampled(
    api: &Api,
    judged: &Judged,
    (no, list): (CampaignNo, Option<&ListFacts>),
) -> Result<Vec<SampleView>, Problem> {
    let Some(wording) = &judged.wording else { return Ok(Vec::new()) };
    let Ok(template) = Template::parse(&wording.text, &wording.variables) else { return Ok(Vec::new()) };
    let first = match list.filter(|list| list.recipients > 0) {
        None => engine::store::Recipients::default(),
        Some(_) => match api.journal.recipients(no, 0).await {
            Err(StoreError::NotFound) => engine::store::Recipients::default(),
            first => first?,
        },
    };
    let known = list.map_or(&[][..], |list| &list.variables);
    let rows = Values::index(&first.values, known.len()).unwrap_or_default();
    let place = |name: &str| known.iter().position(|known| known.name.eq_ignore_ascii_case(name));
    let mut packed = Vec::new();
    for at in 0..first.numbers.len().min(MAX_SAMPLES) {
        let row = rows.row(at);
        let value = |name: &str| place(name).and_then(|place| row.get(place)).unwrap_or_default();
        let row: Vec<&str> = wording.variables.iter().map(|variable| value(&variable.name)).collect();
        // Stored values are within their limits.
        let _ = values::pack_row(&mut packed, &row);
    }
    let values = Values::index(&packed, wording.variables.len()).unwrap_or_default();
    let view = |(at, rendered): (usize, Result<engine::text::Rendered, engine::text::Rendering>)| {
        // One that was erased has none to show.
        let number = first.identities().nth(at).and_then(|identity| identity.number());
        let number = number.map(|number| number.to_string());
        match rendered {
            Ok(rendered) => {
                let (text, segments) = (Some(rendered.text), Some(rendered.segments));
                SampleView { number, text, segments, error: None }
            }
            Err(error) => SampleView { number, text: None, segments: None, error: Some(error.to_string()) },
        }
    };
    Ok(samples(&template, &values).into_iter().enumerate().map(view).collect())
}

fn tell_times(judged: &Judged, recipients: u64, outlook: &mut Outlook) {
    let (Some(mode), Some(terms)) = (judged.mode, judged.terms()) else { return };
    match mode {
        Mode::Spread => {
            let Ok(plan) = plan(recipients, &terms) else { return };
            outlook.first_at = plan.first_at().map(Moment);
            outlook.last_at = plan.last_at().map(Moment);
            let day = |(day, recipients)| DayView { day, recipients };
            outlook.per_day = plan.per_day().into_iter().map(day).collect();
        }
        Mode::OnDemand | Mode::OnTime => fill_days(judged, recipients, outlook),
        Mode::Trigger => {
            let starts = engine::schedule::starts_at(mode, &judged.rules.schedule, None);
            outlook.first_at = starts.map(Moment);
        }
    }
}

/// Fills one allowed day after the other up to its limit, as the dispatcher does with a backlog that it sends at once.
fn fill_days(judged: &Judged, recipients: u64, outlook: &mut Outlook) {
    let Some(calendar) = &judged.calendar else { return };
    let Some((from_s, to_s)) = bounds(judged) else { return };
    let mut left = recipients;
    for stretch in calendar.allowed(from_s, to_s) {
        if left == 0 {
            break;
        }
        let room = room(judged, calendar.daily_limit, stretch.day);
        let is_known = outlook.per_day.last().is_some_and(|last| last.day == stretch.day);
        if room == 0 || is_known {
            continue;
        }
        if outlook.first_at.is_none() {
            outlook.first_at =
                Timestamp::from_second(stretch.from_s).ok().map(|at| Moment(at.max(judged.now)));
        }
        let recipients = left.min(room);
        left -= recipients;
        outlook.per_day.push(DayView { day: stretch.day, recipients });
    }
    if left > 0 && outlook.refusal.is_none() {
        outlook.refusal = Some(format!("{left} recipients do not fit into the time and the daily limit."));
    }
}

/// From when to when it may send: seconds since 1970.
fn bounds(judged: &Judged) -> Option<(i64, i64)> {
    let schedule = &judged.rules.schedule;
    let zone = Zone::named(&schedule.time_zone).ok()?;
    let now_s = judged.now.as_second();
    if judged.mode == Some(Mode::OnDemand) {
        return Some((now_s, now_s + MAX_WINDOW_DAYS * DAY_S));
    }
    let from_s = zone.resolve(schedule.start_at?).as_second();
    let to_s = schedule.window.map_or(from_s + ON_TIME_GRACE_S, |window| zone.resolve(window.to).as_second());
    Some((from_s.max(now_s), to_s))
}

/// How many recipients a day still takes.
fn room(judged: &Judged, of_workspace: Option<u64>, day: Date) -> u64 {
    let charged = |charges: &Charges| -> u64 {
        charges.iter().filter(|(charged, _)| *charged == day).map(|(_, count)| count).sum()
    };
    let shared = of_workspace.map_or(u64::MAX, |limit| limit.saturating_sub(charged(&judged.charged)));
    judged.rules.daily_limit.unwrap_or(u64::MAX).min(shared)
}
