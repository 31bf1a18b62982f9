//! Recipients that Trigger calls have added and that no campaign's file holds yet.
//!
//! The keeper adds what durable rows tell and saves whole chunks together with their state; until then this is the
//! only place where a number can be read, so whoever loads a chunk looks here first. Bounded by the journal: what is
//! here has its row there, and a full journal makes the keeper save.

use crate::model::record::Numbers;
use crate::model::{CampaignNo, ChunkNo};
use crate::store::Recipients;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chunks that grew, whole.
#[derive(Debug, Default)]
pub(crate) struct Growth(Mutex<BTreeMap<(CampaignNo, ChunkNo), Grown>>);

#[derive(Debug, Default)]
struct Grown {
    recipients: Recipients,
    is_unsaved: bool,
}

impl Growth {
    /// Whether the chunk can grow here: it is held, or begins with what is added.
    pub(crate) fn holds(&self, no: CampaignNo, chunk: ChunkNo) -> bool {
        self.lock().contains_key(&(no, chunk))
    }

    /// Takes over a chunk as its file has it.
    pub(crate) fn enter(&self, no: CampaignNo, chunk: ChunkNo, recipients: Recipients) {
        self.lock().entry((no, chunk)).or_insert(Grown { recipients, is_unsaved: false });
    }

    /// Adds recipients behind those that are there; what is there already, told again by a replay, is left alone.
    pub(crate) fn add(&self, added: &Numbers<'_>) {
        let mut chunks = self.lock();
        let grown = chunks.entry((added.campaign, added.chunk)).or_default();
        let recipients = &mut grown.recipients;
        if recipients.numbers.len() != usize::from(added.from) {
            return;
        }
        let at_s = u32::try_from(added.at_ms / 1000).unwrap_or(u32::MAX);
        let (numbers, _) = added.numbers.as_chunks::<8>();
        recipients.numbers.extend(numbers.iter().map(|octets| u64::from_le_bytes(*octets)));
        recipients.values.extend_from_slice(added.values);
        recipients.accepted_s.resize(recipients.numbers.len(), at_s);
        grown.is_unsaved = true;
    }

    /// A chunk that no file holds as it is.
    pub(crate) fn get(&self, no: CampaignNo, chunk: ChunkNo) -> Option<Recipients> {
        self.lock().get(&(no, chunk)).map(|grown| grown.recipients.clone())
    }

    /// What is to be saved of a campaign, in order of chunks.
    pub(crate) fn unsaved(&self, no: CampaignNo) -> Vec<(ChunkNo, Recipients)> {
        let chunks = self.lock();
        let of_campaign = chunks.range((no, 0)..=(no, ChunkNo::MAX)).filter(|(_, grown)| grown.is_unsaved);
        of_campaign.map(|((_, chunk), grown)| (*chunk, grown.recipients.clone())).collect()
    }

    /// Whether something is to be saved of a campaign.
    pub(crate) fn is_unsaved(&self, no: CampaignNo) -> bool {
        self.lock().range((no, 0)..=(no, ChunkNo::MAX)).any(|(_, grown)| grown.is_unsaved)
    }

    /// Forgets a campaign whose file holds everything.
    pub(crate) fn saved(&self, no: CampaignNo) {
        self.lock().retain(|(of, _), _| *of != no);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(CampaignNo, ChunkNo), Grown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(growth: &Growth, chunk: ChunkNo, from: u16, numbers: &[u64], values: &[u8]) {
        let octets: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let count = u16::try_from(numbers.len()).expect("few");
        let campaign = CampaignNo(1);
        growth.add(&Numbers { campaign, chunk, from, at_ms: 7_999, count, numbers: &octets, values });
    }

    #[test]
    fn what_is_added_stands_behind_what_is_there_once_however_often_it_is_told() {
        let growth = Growth::default();
        let recipients = |numbers: &[u64], values: &[u8], accepted_s: &[u32]| Recipients {
            numbers: numbers.to_vec(),
            values: values.to_vec(),
            accepted_s: accepted_s.to_vec(),
            ..Recipients::default()
        };
        let saved = recipients(&[1, 2], b"ab", &[5, 5]);
        growth.enter(CampaignNo(1), 3, saved);
        assert!(!growth.is_unsaved(CampaignNo(1)));
        add(&growth, 3, 1, &[2], b"b");
        assert!(!growth.is_unsaved(CampaignNo(1)), "told again");
        add(&growth, 3, 2, &[3], b"c");
        add(&growth, 3, 2, &[3], b"c");
        add(&growth, 4, 0, &[4], b"d");
        let grown = recipients(&[1, 2, 3], b"abc", &[5, 5, 7]);
        assert_eq!(growth.get(CampaignNo(1), 3), Some(grown.clone()));
        let unsaved = growth.unsaved(CampaignNo(1));
        assert_eq!(unsaved.iter().map(|(chunk, _)| *chunk).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(unsaved[0].1, grown);
        growth.saved(CampaignNo(1));
        assert_eq!((growth.get(CampaignNo(1), 3), growth.is_unsaved(CampaignNo(1))), (None, false));
    }
}
