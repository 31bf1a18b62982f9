//! Which workspace wrote to a handset last: looked up in the recipients of the campaigns of the last days.
//!
//! Many numbers in one pass, chunk by chunk, on the asking worker's thread. No index is kept for it: keywords from
//! shared senders are rare, and an index over every message of three days would not be small.
//! Bounded by [`MAX_CHUNKS`]; beyond it the campaigns created first are not looked through.

use crate::dispatch::addressee::fold_address;
use crate::dispatch::columns::for_each_id;
use crate::model::{Campaign, ChunkNo, ChunkState, NO_TIME, Status, UnitStatus, WorkspaceId};
use crate::store::{Catalog, Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use std::collections::BTreeMap;

/// Chunks of one pass: 67 million recipients, half a gigabyte of reading.
const MAX_CHUNKS: u32 = 16_384;
/// Pages of campaigns of one pass: ten thousand campaigns, running ones first.
const MAX_PAGES: usize = 50;

/// Who wrote to this number last?
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) number: u64,
    /// Over this channel.
    pub(crate) channel: u32,
    /// Not after this, milliseconds since 1970.
    pub(crate) before_ms: u64,
    /// From this address, where that is known to be somebody's.
    pub(crate) address: Option<String>,
}

/// Where chunks come from, also what of them is not saved yet.
pub(crate) trait Chunks {
    /// The numbers of a chunk; `None` past the end.
    async fn numbers(&self, campaign: &Campaign, chunk: ChunkNo) -> Result<Option<Vec<u64>>, StoreError>;

    /// The columns of a chunk as they are.
    async fn columns(&self, campaign: &Campaign, chunk: ChunkNo) -> Result<Option<ChunkState>, StoreError>;
}

/// Answers all questions in one pass; `None` where nobody did within `within_ms`.
pub(crate) async fn last_senders(
    (catalog, chunks): (&dyn Catalog, &impl Chunks),
    questions: &[Question],
    within_ms: u64,
) -> Result<Vec<Option<WorkspaceId>>, StoreError> {
    let mut found: Vec<Option<(u64, WorkspaceId)>> = vec![None; questions.len()];
    let Some(first_ms) = questions.iter().map(|q| q.before_ms.saturating_sub(within_ms)).min() else {
        return Ok(Vec::new());
    };
    let mut wanted: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, question) in questions.iter().enumerate() {
        wanted.entry(question.number).or_default().push(at);
    }
    let mut left = MAX_CHUNKS;
    for campaign in campaigns(catalog, first_ms).await? {
        let address = fold_address(campaign.content.saddr.as_bytes());
        let base_ms = u64::try_from(campaign.created_at.as_millisecond()).unwrap_or(0);
        let shape = (usize::from(campaign.content.parts.max(1)), base_ms);
        let is_from = |q: &Question| q.address.as_ref().is_none_or(|asked| *asked == address);
        if !questions.iter().any(is_from) {
            continue;
        }
        for chunk in 0.. {
            if left == 0 {
                tracing::warn!("the search for the last senders to some handsets was cut short");
                return Ok(found.into_iter().map(|best| best.map(|(_, workspace)| workspace)).collect());
            }
            left -= 1;
            let Some(numbers) = chunks.numbers(&campaign, chunk).await? else { break };
            let hits = hits(&numbers, &wanted);
            if hits.is_empty() {
                continue;
            }
            let Some(state) = chunks.columns(&campaign, chunk).await? else { continue };
            for (recipient, question) in hits {
                let asked = &questions[question];
                let Some(at_ms) = sent_at(shape, &state, recipient, asked) else { continue };
                let is_recent = at_ms + within_ms >= asked.before_ms && at_ms <= asked.before_ms;
                if is_recent && is_from(asked) && found[question].is_none_or(|(best_ms, _)| best_ms < at_ms) {
                    found[question] = Some((at_ms, campaign.workspace_id));
                }
            }
        }
    }
    Ok(found.into_iter().map(|best| best.map(|(_, workspace)| workspace)).collect())
}

/// Campaigns that may have sent since `first_ms`, the newest first, running ones before ended ones.
async fn campaigns(catalog: &dyn Catalog, first_ms: u64) -> Result<Vec<Campaign>, StoreError> {
    let may_have_sent = |campaign: &Campaign| {
        let ended_ms = campaign.ended_at.map(jiff::Timestamp::as_millisecond);
        ended_ms.is_none_or(|at_ms| u64::try_from(at_ms).unwrap_or(0) >= first_ms)
    };
    let mut found = Vec::new();
    let mut pages = MAX_PAGES;
    let ended = [Status::Done, Status::Cancelled, Status::Failed, Status::Expired];
    for statuses in [&[Status::Sending, Status::Paused][..], &ended] {
        let mut after = None;
        while pages > 0 {
            pages -= 1;
            let statuses = statuses.iter().map(Status::to_string).collect();
            let query = Query { kind: Kind::Campaign, statuses, parent: None, after, limit: MAX_PAGE };
            let page = catalog.list(Scope::Platform, query).await?;
            found.extend(page.items.into_iter().filter_map(|entity| match entity {
                Entity::Campaign(campaign) if may_have_sent(&campaign) => Some(*campaign),
                _ => None,
            }));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

/// Recipients of a chunk that are asked about, with the question.
fn hits(numbers: &[u64], wanted: &BTreeMap<u64, Vec<usize>>) -> Vec<(usize, usize)> {
    // Most numbers are ruled out by their lowest bits, without a search.
    let mask = wanted.keys().fold(0_u64, |mask, number| mask | 1 << (number % 64));
    let mut hits = Vec::new();
    for (recipient, number) in numbers.iter().enumerate() {
        if mask >> (number % 64) & 1 == 1
            && let Some(questions) = wanted.get(number)
        {
            hits.extend(questions.iter().map(|question| (recipient, *question)));
        }
    }
    hits
}

/// When a recipient's message went out over the channel that is asked about, milliseconds since 1970.
fn sent_at(
    (parts, base_ms): (usize, u64),
    state: &ChunkState,
    recipient: usize,
    asked: &Question,
) -> Option<u64> {
    let mut newest = None;
    for unit in recipient * parts..(recipient + 1) * parts {
        let status = state.status.get(unit).and_then(|octet| UnitStatus::from_octet(*octet))?;
        let at_ms = match (status, state.submitted_ms.get(unit)) {
            // Refused: it did not reach anybody.
            (UnitStatus::Rejected | UnitStatus::Failed, _) => continue,
            // On its way at this very moment.
            (UnitStatus::Intended, _) => asked.before_ms,
            (_, Some(ms)) if *ms != NO_TIME => base_ms + u64::from(*ms),
            _ => continue,
        };
        if is_over(state, unit, asked.channel) {
            newest = newest.max(Some(at_ms));
        }
    }
    newest
}

/// Whether a unit's message id does not say that it went over another channel.
fn is_over(state: &ChunkState, unit: usize, channel: u32) -> bool {
    let mut is_over = true;
    for_each_id(&state.message_ids, |key, of, _| {
        if usize::from(of) == unit {
            is_over = key == channel;
        }
    });
    is_over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(number: u64, channel: u32) -> Question {
        Question { number, channel, before_ms: 50_000, address: None }
    }

    #[test]
    fn every_question_about_a_number_is_found_in_one_look_and_others_are_not() {
        let wanted = BTreeMap::from([(7, vec![0, 2]), (71, vec![1])]);
        assert_eq!(hits(&[6, 7, 135, 71, 8], &wanted), [(1, 0), (1, 2), (3, 1)]);
        assert!(hits(&[1, 2, 3], &wanted).is_empty());
    }

    #[test]
    fn the_last_part_that_went_out_over_the_channel_counts() {
        let status = [UnitStatus::Sent, UnitStatus::Delivered, UnitStatus::Rejected, UnitStatus::Queued];
        let state = ChunkState {
            status: status.iter().map(|s| *s as u8).collect(),
            submitted_ms: vec![10, 30, 40, NO_TIME],
            // Channel 9 for every unit with an id: two raw ones of one octet, and two without.
            message_ids: [&[2, 9, 0, 0, 0][..], &[1, 1, b'x', 1, 1, b'y', 0, 0]].concat(),
            ..ChunkState::default()
        };
        let at = |parts: usize, recipient: usize, channel: u32| {
            sent_at((parts, 1_000), &state, recipient, &asked(1, channel))
        };
        assert_eq!(
            [at(1, 0, 9), at(1, 1, 9), at(1, 2, 9), at(1, 3, 9)],
            [Some(1_010), Some(1_030), None, None]
        );
        assert_eq!([at(2, 0, 9), at(2, 1, 9)], [Some(1_030), None]);
        assert_eq!(at(1, 0, 8), None);
        assert_eq!(at(1, 9, 9), None);
    }

    #[test]
    fn what_is_on_its_way_was_sent_just_now() {
        let state = ChunkState {
            status: vec![UnitStatus::Intended as u8],
            submitted_ms: vec![NO_TIME],
            ..ChunkState::default()
        };
        assert_eq!(sent_at((1, 1_000), &state, 0, &asked(1, 9)), Some(50_000));
    }
}
