//! The recipients of a one-call campaign: the same rules as for a file, with the place in the request for a line.
//!
//! The first of equal numbers is taken, what cannot be taken becomes a job error and does not fail the others.

use super::fields::RecipientBody;
use super::list::{ListWriter, RowWriter};
use super::quota;
use super::upload::Taken;
use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use engine::intake::{Region, RejectKind, RejectReason, normalise};
use engine::model::{JobError, JobErrorCode, JobErrors, MAX_JOB_ERRORS, Number, Workspace, values};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most recipients of one call: more of them are a file.
const MAX_RECIPIENTS: usize = 10_000;
/// Numbers shown as a sample.
const SAMPLE: usize = 5;
/// Digits at the end of a refused value that stay readable.
const SHOWN_DIGITS: usize = 4;
/// Characters of a refused value that are shown.
const SHOWN_CHARS: usize = 32;

/// What is found while the recipients are read.
struct Reading {
    taken: Vec<(u64, Vec<String>)>,
    rejects: JobErrors,
    duplicate: u64,
    invalid_by_reason: BTreeMap<String, u64>,
}

/// Writes the recipients of one call as a list whose rows have values for `names`.
///
/// # Errors
/// 422 for too many of them; 413 where the workspace has no room for them; 429, 503 and 507 as for a file.
pub(crate) async fn take(
    api: &Api,
    (recipients, names): (Vec<RecipientBody>, Vec<String>),
    workspace: &Workspace,
) -> Result<Taken, Problem> {
    if recipients.len() > MAX_RECIPIENTS {
        let message = format!("One call has at most {MAX_RECIPIENTS} recipients; upload a file instead.");
        return Err(Problem::field("recipients", "too_many", message));
    }
    // First of all: those who wait for their room hold their recipients in memory.
    let permit = api.intakes.permit_for(workspace.id)?;
    let room = quota::reserve(api, workspace, octets(&recipients)).await?;
    let region = workspace.policies.default_region.as_deref().map(Region::new).transpose();
    let region = region.map_err(|_| Problem::new(Code::Internal))?;
    let reading = read(&recipients, &names, region.as_ref(), api.now());
    let no = api.catalog.next_campaign_no().await?;
    let (journal, rows) = (Arc::clone(&api.journal), reading.taken);
    let sample = rows.iter().take(SAMPLE).map(|(number, _)| Number(*number).to_string()).collect();
    let work = move || {
        let _permit = permit;
        let mut list = RowWriter::new(ListWriter::new(journal, no, names));
        for (number, row) in &rows {
            list.row(*number, &row.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        list.finish()
    };
    let stored = tokio::task::spawn_blocking(work).await.map_err(|_| Problem::new(Code::Internal))??;
    Ok(Taken {
        stored,
        bytes: octets(&recipients),
        lines: recipients.len() as u64,
        duplicate: reading.duplicate,
        invalid: reading.invalid_by_reason.values().sum(),
        invalid_by_reason: reading.invalid_by_reason,
        columns: Vec::new(),
        sample,
        rejects: reading.rejects,
        _room: Some(room),
    })
}

/// Octets that recipients count of their workspace's storage.
fn octets(recipients: &[RecipientBody]) -> u64 {
    let of = |recipient: &RecipientBody| {
        let values: usize = recipient.variables.values().map(String::len).sum();
        (recipient.number.len() + values) as u64
    };
    recipients.iter().map(of).sum()
}

fn read(recipients: &[RecipientBody], names: &[String], region: Option<&Region>, at: Timestamp) -> Reading {
    let mut reading = Reading {
        taken: Vec::with_capacity(recipients.len()),
        rejects: JobErrors::default(),
        duplicate: 0,
        invalid_by_reason: BTreeMap::new(),
    };
    let mut first: HashMap<u64, u64> = HashMap::with_capacity(recipients.len());
    for (line, recipient) in (1..).zip(recipients) {
        let (code, detail) = match judge(recipient, names, region) {
            Err(kind) => {
                *reading.invalid_by_reason.entry(kind.job_error().code().to_owned()).or_default() += 1;
                (kind.job_error(), mask(&recipient.number))
            }
            Ok((number, values)) => match first.get(&number) {
                None => {
                    first.insert(number, line);
                    reading.taken.push((number, values));
                    continue;
                }
                Some(before) => {
                    reading.duplicate += 1;
                    (JobErrorCode::LineDuplicate, format!("{} duplicate of line {before}", Number(number)))
                }
            },
        };
        reading.rejects.noted += 1;
        if reading.rejects.items.len() < MAX_JOB_ERRORS {
            reading.rejects.items.push(JobError { seq: 0, at, code, line: Some(line), detail });
        }
    }
    reading
}

fn judge(
    recipient: &RecipientBody,
    names: &[String],
    region: Option<&Region>,
) -> Result<(u64, Vec<String>), RejectKind> {
    let number = normalise(recipient.number.as_bytes(), region).map_err(RejectKind::Invalid)?;
    let value = |name: &String| recipient.variables.get(name).map(|value| value.trim().to_owned());
    let row: Option<Vec<String>> = names.iter().map(value).collect();
    let row = row.ok_or(RejectKind::Invalid(RejectReason::MissingValue))?;
    let fits = values::pack_row(&mut Vec::new(), &row.iter().map(String::as_str).collect::<Vec<_>>());
    fits.map_err(|_| RejectKind::Invalid(RejectReason::ValueTooLong))?;
    Ok((number.get(), row))
}

/// A refused number as job errors show it: all digits but the last ones hidden.
fn mask(written: &str) -> String {
    let shown: Vec<char> = written.trim().chars().take(SHOWN_CHARS).collect();
    let is_cut = written.trim().chars().count() > SHOWN_CHARS;
    let digits = shown.iter().filter(|c| c.is_numeric()).count();
    let mut hidden = if is_cut { digits } else { digits.saturating_sub(SHOWN_DIGITS) };
    let hide = |c: char| match c {
        c if c.is_control() => '\u{fffd}',
        c if c.is_numeric() && hidden > 0 => {
            hidden -= 1;
            '*'
        }
        c => c,
    };
    shown.into_iter().map(hide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(number: &str, name: Option<&str>) -> RecipientBody {
        let variables = name.map(|name| ("name".to_owned(), name.to_owned())).into_iter().collect();
        RecipientBody { number: number.to_owned(), variables }
    }

    #[test]
    fn good_recipients_are_taken_and_bad_ones_told_by_their_place_and_masked() {
        let recipients = [
            recipient("+49 170 1234567", Some(" Ann ")),
            recipient("0049-170-1234567", Some("Bob")),
            recipient("+49 170 7654321", None),
            recipient("not 12345678 it", Some("Cid")),
            recipient("+49 170 7654322", Some("Dan")),
        ];
        let reading = read(&recipients, &["name".to_owned()], None, Timestamp::UNIX_EPOCH);
        let expected = [(491_701_234_567, vec!["Ann".to_owned()]), (491_707_654_322, vec!["Dan".to_owned()])];
        assert_eq!(reading.taken, expected);
        let told: Vec<_> =
            reading.rejects.items.iter().map(|e| (e.line, e.code.code(), e.detail.as_str())).collect();
        let duplicate = "\u{2022}\u{2022}\u{2022}\u{2022}\u{2022}\u{2022}4567 duplicate of line 1";
        assert_eq!(
            told,
            [
                (Some(2), "line_duplicate", duplicate),
                (Some(3), "line_bad_value", "+** *** ***4321"),
                (Some(4), "line_not_a_number", "not ****5678 it"),
            ]
        );
        assert_eq!((reading.duplicate, reading.rejects.noted), (1, 3));
    }
}
