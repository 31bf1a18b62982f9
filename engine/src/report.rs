//! What is stored about the recipients of a campaign, read for people: rows for exports and errors by code.
//!
//! It reads lists and columns chunk by chunk and nothing else, so that memory stays at one chunk; [`recipients_now`]
//! asks the engine for them, the others read what is saved. While a
//! campaign runs, saved columns lag behind its live account by everything since the last save, and a chunk is not
//! read in one transaction with the next: the rows are true of some recent time each, the counts are not exact.
//! Of an ended campaign they are exact, but for receipts that still come.

use crate::dispatch::{Engine, for_each_id, unsent, whole};
use crate::model::explain::{explain_message, explain_receipt, is_engine_reason};
use crate::model::{
    CHUNK_RECIPIENTS, Campaign, ChunkNo, ChunkState, Identity, MAX_PARTS, NO_TIME, UnitStatus,
};
use crate::store::{Journal, Recipients, StoreError};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;

/// Different errors that are listed of a campaign: an SMSC that invents codes must not fill the memory.
pub const MAX_ERRORS: usize = 1000;

/// Who says that a message went wrong; the same code means something else from each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The SMSC, in its answer: the code is a `command_status`.
    Answer,
    /// The network, in a receipt: the code is its own, 0 for none.
    Receipt,
    /// The engine: the code is one of `model::record::reason`, 0 where none was stored.
    Engine,
}

/// How one part went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartError {
    /// Who says so.
    pub origin: Origin,
    /// Its code.
    pub code: u32,
    /// Where the part stands because of it.
    pub status: UnitStatus,
}

impl PartError {
    /// What it means for the recipient's message.
    #[must_use]
    pub fn explanation(&self) -> &'static str {
        match (self.origin, self.code, self.status) {
            (Origin::Engine, 0, UnitStatus::Cancelled) => {
                "The campaign was cancelled between the parts of the message; those already sent make no whole."
            }
            (Origin::Engine, 0, _) => "The engine gave the message up; no reason is stored.",
            (Origin::Answer, 0, _) => "The SMSC refused the message; its answer is not stored.",
            (Origin::Receipt, 0, UnitStatus::Expired) => {
                "The SMSC accepted the message and could not deliver it within its validity."
            }
            (Origin::Receipt, 0, UnitStatus::Rejected) => {
                "The SMSC accepted the message and the network rejected it later, without a reason."
            }
            (Origin::Receipt, code, _) => explain_receipt(code),
            (Origin::Engine | Origin::Answer, code, _) => explain_message(code),
        }
    }
}

/// One part of a recipient's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRow {
    /// Which part, from 1.
    pub part: u8,
    /// Where it stands.
    pub status: UnitStatus,
    /// How it went wrong, if it did.
    pub error: Option<PartError>,
    /// The id that the SMSC gave it, as the SMSC wrote it.
    pub message_id: Option<String>,
    /// When it was written to the SMSC, millisecond precision.
    pub submitted_at: Option<Timestamp>,
    /// When its final answer or receipt came, millisecond precision.
    pub final_at: Option<Timestamp>,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientRow {
    /// Its place in the campaign, from 0.
    pub ordinal: u64,
    /// Its number, or what an erasure has left of it; whoever shows it in full must be allowed to.
    pub identity: Identity,
    /// When a Trigger call brought it.
    pub accepted_at: Option<Timestamp>,
    /// Where its message stands: the least finished part decides, then the worst.
    pub status: UnitStatus,
    /// How its message went wrong, if it did: the error of the first part that has one.
    pub error: Option<PartError>,
    /// The parts of its message; those that its rendering does not have are left out.
    pub parts: Vec<PartRow>,
}

/// How many messages went wrong in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageError {
    /// How.
    pub error: PartError,
    /// Recipients whose first part that went wrong did so in this way.
    pub recipients: u64,
    /// What it means for one of them.
    pub explanation: &'static str,
}

/// The message errors of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageErrors {
    /// By recipients, the most first.
    pub items: Vec<MessageError>,
    /// Recipients whose error came after [`MAX_ERRORS`] different ones were found.
    pub beyond: u64,
}

/// The message errors of a campaign by code, each recipient counted once; empty before it has recipients.
/// While it runs they lag, see the head of this module.
///
/// # Errors
/// `Unavailable`, `Unusable`.
pub async fn message_errors(journal: &dyn Journal, campaign: &Campaign) -> Result<MessageErrors, StoreError> {
    let recipients = match journal.header(campaign.no).await {
        Err(StoreError::NotFound) => return Ok(MessageErrors::default()),
        header => header?.recipients,
    };
    let mut found: BTreeMap<PartError, u64> = BTreeMap::new();
    let mut beyond = 0;
    for chunk in 0..chunks(recipients) {
        let Some(state) = journal.state(campaign.no, chunk).await? else { continue };
        let has_id = has_id(&state);
        let parts = parts_of(campaign);
        let error_at = |first: usize| error_of(&state, first..first + parts, &has_id);
        for error in (0..state.status.len()).step_by(parts).filter_map(error_at) {
            let has_room = found.len() < MAX_ERRORS;
            match found.get_mut(&error) {
                Some(count) => *count += 1,
                None if has_room => {
                    found.insert(error, 1);
                }
                None => beyond += 1,
            }
        }
    }
    let explained = |(error, recipients): (PartError, u64)| MessageError {
        error,
        recipients,
        explanation: error.explanation(),
    };
    let mut items: Vec<MessageError> = found.into_iter().map(explained).collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.recipients));
    Ok(MessageErrors { items, beyond })
}

/// The recipients of one chunk of a campaign in order, at most 4096; `NotFound` past the last chunk. While the
/// campaign runs they lag, see the head of this module.
///
/// # Errors
/// `NotFound`, `Unavailable`, `Unusable`.
pub async fn recipients(
    journal: &dyn Journal,
    campaign: &Campaign,
    chunk: ChunkNo,
) -> Result<Vec<RecipientRow>, StoreError> {
    let list = journal.recipients(campaign.no, chunk).await?;
    let state = journal.state(campaign.no, chunk).await?.unwrap_or_default();
    Ok(rows(campaign, chunk, &list, state))
}

/// The same with what the engine knows and no file holds yet, so that it agrees with the live counts. Only those that
/// are `wanted`; where there are none, their states are not read.
///
/// # Errors
/// As for [`recipients`].
pub async fn recipients_now(
    engine: &Engine,
    campaign: &Campaign,
    chunk: ChunkNo,
    wanted: impl Fn(Identity) -> bool,
) -> Result<Vec<RecipientRow>, StoreError> {
    let list = engine.list(campaign.no, chunk).await?;
    let places: Vec<bool> = list.identities().map(wanted).collect();
    if !places.contains(&true) {
        return Ok(Vec::new());
    }
    let state = engine.columns(campaign, chunk).await?;
    let rows = rows(campaign, chunk, &list, state).into_iter().zip(places);
    Ok(rows.filter_map(|(row, is_wanted)| is_wanted.then_some(row)).collect())
}

fn rows(campaign: &Campaign, chunk: ChunkNo, list: &Recipients, state: ChunkState) -> Vec<RecipientRow> {
    let parts = parts_of(campaign);
    let state = &ended(campaign, list.numbers.len() * parts, state);
    let base_ms = campaign.created_at.as_millisecond();
    let ids = texts(state);
    let has_id: Vec<bool> = ids.iter().map(Option::is_some).collect();
    let time = |column: &[u32], unit: usize| {
        let after_ms = column.get(unit).copied().filter(|ms| *ms != NO_TIME)?;
        Timestamp::from_millisecond(base_ms + i64::from(after_ms)).ok()
    };
    let part = |unit: usize| PartRow {
        part: u8::try_from(unit % parts).unwrap_or(MAX_PARTS) + 1,
        status: status_of(state, unit),
        error: part_error(state, unit, &has_id),
        message_id: ids.get(unit).cloned().flatten(),
        submitted_at: time(&state.submitted_ms, unit),
        final_at: time(&state.final_ms, unit),
    };
    let first = u64::from(chunk) * CHUNK_RECIPIENTS as u64;
    let row = |(at, identity): (usize, Identity)| {
        let units = at * parts..(at + 1) * parts;
        let accepted_s = list.accepted_s.get(at);
        RecipientRow {
            ordinal: first + at as u64,
            identity,
            accepted_at: accepted_s.and_then(|s| Timestamp::from_second(i64::from(*s)).ok()),
            status: whole_of(state, units.clone()),
            error: error_of(state, units.clone(), &has_id),
            parts: units.map(part).filter(|part| part.status != UnitStatus::Absent).collect(),
        }
    };
    list.identities().enumerate().map(row).collect()
}

/// The columns of `units` of a campaign that may be over: what no column speaks of then ended with it.
fn ended(campaign: &Campaign, units: usize, mut state: ChunkState) -> ChunkState {
    let Some(unsent) = unsent(campaign.status) else { return state };
    let untouched = state.status.len()..units;
    if unsent.reason != 0 {
        let places = untouched.clone().filter_map(|unit| u16::try_from(unit).ok());
        state.errors.extend(places.map(|unit| (unit, unsent.reason)));
    }
    state.status.extend(untouched.map(|_| unsent.status as u8));
    state
}

fn parts_of(campaign: &Campaign) -> usize {
    usize::from(campaign.content.parts.clamp(1, MAX_PARTS))
}

fn chunks(recipients: u64) -> ChunkNo {
    ChunkNo::try_from(recipients.div_ceil(CHUNK_RECIPIENTS as u64)).unwrap_or(ChunkNo::MAX)
}

/// Where a unit stands; one that no column speaks of yet has not been touched.
fn status_of(state: &ChunkState, unit: usize) -> UnitStatus {
    state.status.get(unit).and_then(|octet| UnitStatus::from_octet(*octet)).unwrap_or(UnitStatus::Queued)
}

/// Where a recipient stands.
fn whole_of(state: &ChunkState, units: Range<usize>) -> UnitStatus {
    let mut octets = [0; MAX_PARTS as usize];
    let octets = &mut octets[..units.len().min(MAX_PARTS.into())];
    for (octet, unit) in octets.iter_mut().zip(units) {
        *octet = status_of(state, unit) as u8;
    }
    whole(octets)
}

/// How a recipient's message went wrong: its first part that did, or that it was cancelled half-sent.
fn error_of(state: &ChunkState, units: Range<usize>, has_id: &[bool]) -> Option<PartError> {
    let of_part = units.clone().find_map(|unit| part_error(state, unit, has_id));
    let half_sent = || {
        let cancelled = PartError { origin: Origin::Engine, code: 0, status: UnitStatus::Cancelled };
        (whole_of(state, units) == UnitStatus::Failed).then_some(cancelled)
    };
    of_part.or_else(half_sent)
}

/// How a unit went wrong. The columns keep one code a unit and not who gave it: a unit with a message id was
/// accepted, so that only a receipt can have ended it; the engine's codes are beyond all others.
fn part_error(state: &ChunkState, unit: usize, has_id: &[bool]) -> Option<PartError> {
    let status = status_of(state, unit);
    let code = code_of(state, unit);
    let has_id = has_id.get(unit).copied().unwrap_or(false);
    let origin = match status {
        UnitStatus::Queued
        | UnitStatus::Intended
        | UnitStatus::Sent
        | UnitStatus::Delivered
        | UnitStatus::Cancelled
        | UnitStatus::Unknown
        | UnitStatus::Absent => return None,
        UnitStatus::Skipped => Origin::Engine,
        _ if is_engine_reason(code) => Origin::Engine,
        UnitStatus::Undeliverable => Origin::Receipt,
        UnitStatus::Expired | UnitStatus::Rejected if has_id => Origin::Receipt,
        UnitStatus::Rejected => Origin::Answer,
        // The last refusal before the engine gave it up.
        UnitStatus::Failed if code != 0 => Origin::Answer,
        UnitStatus::Expired | UnitStatus::Failed => Origin::Engine,
    };
    Some(PartError { origin, code, status })
}

/// The stored code of a unit, 0 without one.
fn code_of(state: &ChunkState, unit: usize) -> u32 {
    let found = state.errors.binary_search_by_key(&unit, |(of, _)| usize::from(*of));
    found.ok().and_then(|at| state.errors.get(at)).map_or(0, |(_, code)| *code)
}

fn has_id(state: &ChunkState) -> Vec<bool> {
    let mut has_id = vec![false; state.status.len()];
    for_each_id(&state.message_ids, |_, unit, _| {
        if let Some(place) = has_id.get_mut(usize::from(unit)) {
            *place = true;
        }
    });
    has_id
}

fn texts(state: &ChunkState) -> Vec<Option<String>> {
    let mut texts = vec![None; state.status.len()];
    for_each_id(&state.message_ids, |_, unit, id| {
        if let Some(place) = texts.get_mut(usize::from(unit)) {
            *place = Some(id.with_text(|text| String::from_utf8_lossy(text).into_owned()));
        }
    });
    texts
}

#[cfg(test)]
mod tests;
