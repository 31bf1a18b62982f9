//! Receipts to messages: which unit does this id belong to.
//!
//! Ids wait in the receipt index from the answer of their submit on. A receipt that comes first is an orphan,
//! durable like any other, and adopted when the answer follows. Each id is credited at most once; a repetition
//! of one of the last [`RECENT`] or so is recognised. An id that fits two messages is nobody's.

use crate::dispatch::index::{Hit, ORDINALS, ReceiptIndex};
use crate::model::{CHUNK_RECIPIENTS, CampaignNo, ChunkNo, UnitStatus};
use pdu::{FoldedId, MessageIdForm, MessageState, Receipt, id_hash};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Orphans kept for adoption in memory; the others stay in the journal.
pub(crate) const MAX_EARLY: usize = 100_000;
/// An orphan older than this is adopted by nobody: by then its id may have been given again.
const EARLY_TTL_MS: u64 = 72 * 3600 * 1000;
/// Credited ids remembered to tell a repeated receipt from an orphan; a power of two.
const RECENT: usize = 1 << 16;
/// Ids that share a place: with one, any two of a few thousand would push each other out.
const RECENT_WAYS: usize = 8;
/// Matches by one reading of ids, and none by another, after which it is tried alone first.
const LEARNED: u32 = 64;

/// What a receipt belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matched {
    /// This unit.
    Unit {
        /// Whose.
        campaign: CampaignNo,
        /// The chunk.
        chunk: ChunkNo,
        /// The unit inside it.
        unit: u16,
    },
    /// It was credited before.
    Repeated,
    /// Nothing known, or not surely one.
    Orphan,
}

/// A receipt that came before the answer of its submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Early {
    pub(crate) status: UnitStatus,
    pub(crate) error: u16,
    pub(crate) message_id: Box<[u8]>,
    /// When it came, wall clock, milliseconds since 1970.
    pub(crate) at_ms: u64,
}

/// A chunk of a campaign.
type Place = (CampaignNo, ChunkNo);

/// The matcher; one for the engine, under one lock a read burst.
pub(crate) struct Matcher {
    index: ReceiptIndex,
    /// Chunks by their first ordinal, and the other way round.
    places: BTreeMap<u64, Place>,
    bases: BTreeMap<Place, u64>,
    next_base: u64,
    early: BTreeMap<u64, Arc<Early>>,
    /// Times and keys of `early` in order of arrival; keys of adopted ones stay until their turn.
    early_order: VecDeque<(u64, u64)>,
    recent: Box<[[u64; RECENT_WAYS]]>,
    forms: Forms,
}

/// How receipts of each channel have turned out to write ids: counts of as-is, hexadecimal and decimal readings.
#[derive(Default)]
struct Forms(BTreeMap<u32, [u32; 3]>);

impl Forms {
    fn count(&mut self, channel: u32, reading: usize) {
        if let Some(count) = self.0.entry(channel).or_default().get_mut(reading) {
            *count = count.saturating_add(1);
        }
    }

    /// The one reading that has matched so far, once it has often enough; it is then tried alone first.
    fn learned(&self, channel: u32) -> Option<MessageIdForm> {
        let forms = [MessageIdForm::AsIs, MessageIdForm::HexToDecimal, MessageIdForm::DecimalToHex];
        let counts = self.0.get(&channel)?;
        let (most, count) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
        (*count >= LEARNED && counts.iter().sum::<u32>() == *count).then(|| forms[most])
    }
}

impl Matcher {
    pub(crate) fn new() -> Self {
        Self {
            index: ReceiptIndex::new(),
            places: BTreeMap::new(),
            bases: BTreeMap::new(),
            next_base: 0,
            early: BTreeMap::new(),
            early_order: VecDeque::new(),
            recent: vec![[0; RECENT_WAYS]; RECENT / RECENT_WAYS].into(),
            forms: Forms::default(),
        }
    }

    /// The ordinal of a chunk's first unit, given when it is first asked for. `None` once [`ORDINALS`] are given in one
    /// run, 16 million chunks of the most parts: receipts for later ones are nobody's until the next start.
    pub(crate) fn base_of(&mut self, place: Place, parts: u8) -> Option<u64> {
        if let Some(base) = self.bases.get(&place) {
            return Some(*base);
        }
        let base = self.next_base;
        let next = base + CHUNK_RECIPIENTS as u64 * u64::from(parts);
        if next > ORDINALS {
            tracing::error!(
                campaign = place.0.0,
                chunk = place.1,
                "no ordinals are left; its receipts find nobody"
            );
            return None;
        }
        self.next_base = next;
        self.places.insert(base, place);
        self.bases.insert(place, base);
        Some(base)
    }

    /// The SMSC accepted the unit under this id; gives back a receipt that was there first.
    #[inline]
    pub(crate) fn expect(
        &mut self,
        channel: u32,
        form: MessageIdForm,
        id: &[u8],
        ordinal: u64,
    ) -> Option<Arc<Early>> {
        let key = FoldedId::new(id);
        if key.is_empty() {
            return None;
        }
        let hash = hash_of(channel, &key);
        if !self.early.is_empty()
            && let Some(early) = self.early.remove(&hash)
        {
            self.forget_early(channel, form, &early.message_id);
            self.remember(hash);
            return Some(early);
        }
        self.index.insert(hash, ordinal);
        None
    }

    /// Whether the unit waits under this id already or had its receipt a moment ago: filed twice, an id would be
    /// ambiguous.
    pub(crate) fn knows(&self, channel: u32, id: &[u8], ordinal: u64) -> bool {
        let key = FoldedId::new(id);
        if key.is_empty() {
            return false;
        }
        let hash = hash_of(channel, &key);
        self.index.get(hash) == Some(Hit::Unit(ordinal)) || self.is_recent(hash)
    }

    /// No receipt is awaited any more for a unit that was accepted under this id; one that comes is an orphan. What
    /// two units share stays, lest a third be taken for one of them.
    pub(crate) fn forget(&mut self, channel: u32, id: &[u8], ordinal: u64) {
        let hash = hash_of(channel, &FoldedId::new(id));
        if self.index.get(hash) == Some(Hit::Unit(ordinal)) {
            self.index.take(hash);
        }
    }

    /// A final receipt has come.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        channel: u32,
        form: MessageIdForm,
        receipt: &Receipt<'_>,
        (status, error, at_ms): (UnitStatus, u16, u64),
    ) -> Matched {
        let learned = if form == MessageIdForm::Auto { self.forms.learned(channel) } else { None };
        if let Some(key) = learned.and_then(|form| form.receipt_keys(receipt.message_id).next())
            && !key.is_empty()
        {
            let hash = hash_of(channel, &key);
            if let Some(ordinal) = self.index.take_unit(hash) {
                self.remember(hash);
                return self.unit_of(ordinal).unwrap_or(Matched::Orphan);
            }
        }
        match self.look_up(channel, form, receipt.message_id) {
            Ok((hash, reading, ordinal)) => {
                self.forms.count(channel, reading);
                self.index.take(hash);
                self.remember(hash);
                self.unit_of(ordinal).unwrap_or(Matched::Orphan)
            }
            Err(Matched::Orphan) => {
                let message_id = receipt.message_id.into();
                self.keep_early(channel, form, Early { status, error, message_id, at_ms });
                Matched::Orphan
            }
            Err(other) => other,
        }
    }

    /// Tries every reading of the id; exactly one must fit. Gives hash, reading and ordinal.
    fn look_up(&self, channel: u32, form: MessageIdForm, id: &[u8]) -> Result<(u64, usize, u64), Matched> {
        let mut found = None;
        for (reading, key) in form.receipt_keys(id).enumerate().filter(|(_, key)| !key.is_empty()) {
            let hash = hash_of(channel, &key);
            match self.index.get(hash) {
                None if self.is_recent(hash) => return Err(Matched::Repeated),
                None => {}
                Some(Hit::Unit(ordinal)) if found.is_none() => {
                    // The second of two keys is the decimal reading when the hexadecimal one does not exist.
                    let other = if reading == 1 && !id.iter().all(u8::is_ascii_digit) { 2 } else { reading };
                    found = Some((hash, other, ordinal));
                }
                Some(_) => return Err(Matched::Orphan),
            }
        }
        found.ok_or(Matched::Orphan)
    }

    /// Ids that await a receipt.
    pub(crate) fn waiting(&self) -> usize {
        self.index.len()
    }

    fn unit_of(&self, ordinal: u64) -> Option<Matched> {
        let (base, (campaign, chunk)) = self.places.range(..=ordinal).next_back()?;
        let unit = u16::try_from(ordinal - base).ok()?;
        Some(Matched::Unit { campaign: *campaign, chunk: *chunk, unit })
    }

    /// Keeps an orphan for adoption, as it came or as the journal has it; the oldest make room.
    pub(crate) fn keep_early(&mut self, channel: u32, form: MessageIdForm, early: Early) {
        let at_ms = early.at_ms;
        let early = Arc::new(early);
        for key in form.receipt_keys(&early.message_id).filter(|key| !key.is_empty()) {
            let hash = hash_of(channel, &key);
            self.early.insert(hash, Arc::clone(&early));
            self.early_order.push_back((at_ms, hash));
        }
        while let Some((oldest_ms, hash)) = self.early_order.front().copied() {
            if self.early_order.len() <= MAX_EARLY && oldest_ms.saturating_add(EARLY_TTL_MS) >= at_ms {
                break;
            }
            self.early_order.pop_front();
            if self.early.get(&hash).is_some_and(|early| early.at_ms == oldest_ms) {
                self.early.remove(&hash);
            }
        }
    }

    fn forget_early(&mut self, channel: u32, form: MessageIdForm, id: &[u8]) {
        for key in form.receipt_keys(id) {
            self.early.remove(&hash_of(channel, &key));
        }
    }

    /// The newest comes first and pushes the oldest of its place out.
    fn remember(&mut self, hash: u64) {
        let place = &mut self.recent[place_of(hash)];
        place.copy_within(..RECENT_WAYS - 1, 1);
        place[0] = hash;
    }

    fn is_recent(&self, hash: u64) -> bool {
        self.recent[place_of(hash)].contains(&hash)
    }
}

fn place_of(hash: u64) -> usize {
    usize::try_from(hash % (RECENT / RECENT_WAYS) as u64).unwrap_or(0)
}

fn hash_of(channel: u32, key: &FoldedId<'_>) -> u64 {
    id_hash(key) ^ (u64::from(channel) << 16).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The status that a receipt's state settles; `None` for a state on the way or one that tells nothing.
pub(crate) fn final_status(state: MessageState) -> Option<UnitStatus> {
    Some(match state {
        MessageState::Delivered => UnitStatus::Delivered,
        MessageState::Expired | MessageState::Deleted => UnitStatus::Expired,
        MessageState::Undeliverable | MessageState::Skipped => UnitStatus::Undeliverable,
        MessageState::Rejected => UnitStatus::Rejected,
        MessageState::Unknown => UnitStatus::Unknown,
        MessageState::Scheduled
        | MessageState::Enroute
        | MessageState::Accepted
        | MessageState::Unrecognised => return None,
    })
}

/// The receipt's error as sixteen bits, 0 for none.
pub(crate) fn error_code(receipt: &Receipt<'_>) -> u16 {
    receipt.error_code().map_or(0, |code| u16::try_from(code).unwrap_or(u16::MAX))
}

/// Key of a channel in the index and in the journal: the checksum of its name, so that it survives reordering.
pub(crate) fn channel_key(name: &str) -> u32 {
    crc32fast::hash(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(id: &[u8]) -> Receipt<'_> {
        Receipt::new(id, MessageState::Delivered)
    }

    fn base(m: &mut Matcher, campaign: u32, chunk: ChunkNo) -> u64 {
        m.base_of((CampaignNo(campaign), chunk), 1).expect("ordinals")
    }

    /// A chunk takes its ordinals when it is sent: a million open lists cost nothing, and there is an end to it.
    #[test]
    fn chunks_get_their_ordinals_one_by_one_and_the_last_ones_are_said_to_be_the_last() {
        let mut m = Matcher::new();
        let far = 1_000_000;
        for no in 0..=far {
            assert_eq!(base(&mut m, no, 0), u64::from(no) * 4096);
        }
        assert_eq!((base(&mut m, 7, 0), base(&mut m, 7, 1)), (7 * 4096, u64::from(far + 1) * 4096));
        let ordinal = base(&mut m, far, 0) + 5;
        m.expect(1, MessageIdForm::AsIs, b"a1", ordinal);
        let unit = Matched::Unit { campaign: CampaignNo(far), chunk: 0, unit: 5 };
        assert_eq!(m.receive(1, MessageIdForm::AsIs, &receipt(b"a1"), DELIVERED), unit);
        m.next_base = ORDINALS - 4096;
        let last = base(&mut m, 7, 2);
        assert_eq!((m.base_of((CampaignNo(7), 3), 1), base(&mut m, 7, 2)), (None, last));
        m.expect(1, MessageIdForm::AsIs, b"a2", last + 4095);
        let unit = Matched::Unit { campaign: CampaignNo(7), chunk: 2, unit: 4095 };
        assert_eq!(m.receive(1, MessageIdForm::AsIs, &receipt(b"a2"), DELIVERED), unit);
    }

    const DELIVERED: (UnitStatus, u16, u64) = (UnitStatus::Delivered, 0, 5);

    #[test]
    fn a_receipt_finds_its_unit_once_and_a_repetition_is_recognised() {
        let mut m = Matcher::new();
        let first = base(&mut m, 1, 1);
        let second = m.base_of((CampaignNo(2), 0), 3).expect("ordinals");
        assert_eq!(m.expect(9, MessageIdForm::Auto, b"00AB12", second + 7), None);
        assert_eq!(m.expect(9, MessageIdForm::Auto, b"77", first + 5), None);
        let unit = Matched::Unit { campaign: CampaignNo(2), chunk: 0, unit: 7 };
        assert_eq!(m.receive(9, MessageIdForm::Auto, &receipt(b"ab12"), DELIVERED), unit);
        assert_eq!(m.receive(9, MessageIdForm::Auto, &receipt(b"ab12"), DELIVERED), Matched::Repeated);
        let unit = Matched::Unit { campaign: CampaignNo(1), chunk: 1, unit: 5 };
        assert_eq!(m.receive(9, MessageIdForm::Auto, &receipt(b"0077"), DELIVERED), unit);
        assert_eq!(m.waiting(), 0);
    }

    #[test]
    fn a_receipt_before_its_answer_is_adopted_by_it() {
        let mut m = Matcher::new();
        let base = base(&mut m, 1, 0);
        assert_eq!(m.receive(1, MessageIdForm::Auto, &receipt(b"255"), DELIVERED), Matched::Orphan);
        let early = m.expect(1, MessageIdForm::Auto, b"ff", base).map(|e| e.status);
        assert_eq!(early, Some(UnitStatus::Delivered));
        assert!(m.early.is_empty());
        assert_eq!(m.receive(2, MessageIdForm::Auto, &receipt(b"ff"), DELIVERED), Matched::Orphan);
    }

    #[test]
    fn a_channel_that_writes_decimal_receipts_is_learned_and_still_finds_the_exception() {
        let mut m = Matcher::new();
        let base = base(&mut m, 1, 0);
        for n in 0..200u16 {
            let id = format!("a{n:04x}");
            m.expect(1, MessageIdForm::Auto, id.as_bytes(), base + u64::from(n));
            let receipt_id = u64::from_str_radix(&id, 16).expect("hex").to_string();
            let unit = Matched::Unit { campaign: CampaignNo(1), chunk: 0, unit: n };
            assert_eq!(m.receive(1, MessageIdForm::Auto, &receipt(receipt_id.as_bytes()), DELIVERED), unit);
        }
        assert_eq!(m.forms.learned(1), Some(MessageIdForm::HexToDecimal));
        m.expect(1, MessageIdForm::Auto, b"b00b", base + 300);
        let unit = Matched::Unit { campaign: CampaignNo(1), chunk: 0, unit: 300 };
        assert_eq!(m.receive(1, MessageIdForm::Auto, &receipt(b"b00b"), DELIVERED), unit);
    }

    /// What recovery asks while the campaign sends: a unit of this run must not be filed a second time.
    #[test]
    fn a_unit_is_known_while_it_waits_and_just_after_its_receipt() {
        let mut m = Matcher::new();
        let base = base(&mut m, 1, 0);
        assert!(!m.knows(1, b"a1", base));
        m.expect(1, MessageIdForm::AsIs, b"a1", base);
        assert!(m.knows(1, b"A1", base) && !m.knows(1, b"a1", base + 1) && !m.knows(2, b"a1", base));
        assert!(!m.knows(1, b"", base));
    }

    #[test]
    fn the_oldest_orphans_make_room_and_a_stale_one_is_adopted_by_nobody() {
        let mut m = Matcher::new();
        let base = base(&mut m, 1, 0);
        let early = |at_ms| Early {
            status: UnitStatus::Delivered,
            error: 0,
            message_id: b"xyz1".as_slice().into(),
            at_ms,
        };
        m.keep_early(1, MessageIdForm::AsIs, early(0));
        let later = Early { message_id: b"xyz2".as_slice().into(), ..early(EARLY_TTL_MS + 1) };
        m.keep_early(1, MessageIdForm::AsIs, later);
        assert_eq!(m.expect(1, MessageIdForm::AsIs, b"xyz1", base), None);
        assert!(m.expect(1, MessageIdForm::AsIs, b"xyz2", base + 1).is_some());
        for n in 0..=MAX_EARLY {
            let message_id = format!("id-{n}").into_bytes().into();
            m.keep_early(1, MessageIdForm::AsIs, Early { message_id, ..early(EARLY_TTL_MS + 2) });
        }
        assert_eq!(m.early.len(), MAX_EARLY);
    }

    #[test]
    fn a_receipt_that_comes_when_nobody_waits_any_more_is_an_orphan() {
        let mut m = Matcher::new();
        let base = base(&mut m, 1, 0);
        m.expect(1, MessageIdForm::AsIs, b"7", base);
        m.expect(1, MessageIdForm::AsIs, b"8", base + 1);
        m.forget(1, b"7", base + 1);
        m.forget(1, b"8", base + 1);
        assert_eq!(m.waiting(), 1);
        assert_eq!(m.receive(1, MessageIdForm::AsIs, &receipt(b"8"), DELIVERED), Matched::Orphan);
        let unit = Matched::Unit { campaign: CampaignNo(1), chunk: 0, unit: 0 };
        assert_eq!(m.receive(1, MessageIdForm::AsIs, &receipt(b"7"), DELIVERED), unit);
    }

    #[test]
    fn an_id_given_twice_is_nobodys() {
        let mut m = Matcher::new();
        let base = base(&mut m, 1, 0);
        m.expect(1, MessageIdForm::AsIs, b"7", base);
        m.expect(1, MessageIdForm::AsIs, b"7", base + 1);
        assert_eq!(m.receive(1, MessageIdForm::AsIs, &receipt(b"7"), DELIVERED), Matched::Orphan);
    }
}
