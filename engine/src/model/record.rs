//! The octets of a journal row: facts in the order in which they became true, a checksum behind them.
//!
//! A row is a version octet, sections, and the CRC-32 of both. Integers are little-endian. Links write sections
//! straight into their buffers; recovery and the live account read them through the one [`read_row`], so the
//! state after a crash is by construction the state that was shown before it.
//! Per submitted message about 14 octets: 2 unit, 2 latency, 1 tag, 8 packed id, and its share of the headers.

use crate::model::{CampaignNo, Incarnation, Run, UnitStatus};
use pdu::PackedId;

/// Version of the row format.
pub const ROW_VERSION: u8 = 1;

/// Longest message id that is kept; SMPP allows 65 octets with the terminator.
pub const MAX_MESSAGE_ID: usize = 64;

const INTENT: u8 = 1;
const OUTCOMES: u8 = 2;
const REVOKE: u8 = 3;
const RECEIPTS: u8 = 4;
const ORPHAN: u8 = 5;
const ADOPTED: u8 = 6;

const TAG_NO_ID: u8 = 0;
const TAG_RAW_ID: u8 = 1;
const TAG_REFUSED: u8 = 2;
const TAG_RETRY: u8 = 3;
const TAG_UNKNOWN: u8 = 4;
const TAG_REPEAT: u8 = 5;
const TAG_FAILED: u8 = 6;
const TAG_PACKED: u8 = 0x40;

/// A run of units that may be on the wire from the moment its row is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Which life of which bind will write it.
    pub incarnation: Incarnation,
    /// Whose.
    pub campaign: CampaignNo,
    /// The stop generation under which it was granted.
    pub stop_gen: u32,
    /// Position of the first unit in this incarnation's order of this campaign, from 1, dense.
    pub position: u64,
    /// The units.
    pub run: Run,
    /// 0 for the first attempt.
    pub attempt: u8,
}

/// What became of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// Accepted; the id as the SMSC wrote it, perhaps empty.
    Accepted(&'a [u8]),
    /// Accepted with an id that packs into eight octets.
    AcceptedPacked(PackedId),
    /// Refused for good with this `command_status`.
    Refused(u32),
    /// Refused for now with this `command_status`; it is queued again.
    Retry(u32),
    /// Perhaps sent; stays so unless a receipt tells.
    Unknown,
    /// Perhaps sent; sent again under `at_least_once`, counted.
    Repeat,
    /// Given up by the engine: the `command_status` of the last refusal.
    Failed(u32),
}

impl Fate<'_> {
    /// The status that follows.
    #[must_use]
    pub const fn status(&self) -> UnitStatus {
        match self {
            Self::Accepted(_) | Self::AcceptedPacked(_) => UnitStatus::Sent,
            Self::Refused(_) => UnitStatus::Rejected,
            Self::Retry(_) | Self::Repeat => UnitStatus::Queued,
            Self::Unknown => UnitStatus::Unknown,
            Self::Failed(_) => UnitStatus::Failed,
        }
    }
}

/// One outcome inside an [`Fact::Outcomes`] section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// The unit inside the chunk.
    pub unit: u16,
    /// Milliseconds from write to answer, saturating.
    pub latency_ms: u16,
    /// What became of it.
    pub fate: Fate<'a>,
}

/// One matched receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptFact {
    /// Whose.
    pub campaign: CampaignNo,
    /// The unit, as a run of one.
    pub chunk: u32,
    /// The unit inside the chunk.
    pub unit: u16,
    /// The final state that the receipt tells.
    pub status: UnitStatus,
    /// The receipt's error code, 0 for none.
    pub error: u16,
}

/// A receipt whose message is not known (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orphan<'a> {
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    /// Key of the channel that it came from.
    pub channel: u32,
    /// The state that it tells.
    pub status: UnitStatus,
    /// Its error code, 0 for none.
    pub error: u16,
    /// The message id as the SMSC wrote it.
    pub message_id: &'a [u8],
}

/// One section of a row.
#[derive(Clone, Debug)]
pub enum Fact<'a> {
    /// Units that may be written from now on.
    Intent(Intent),
    /// Answers for units of one chunk.
    Outcomes {
        /// Whose.
        campaign: CampaignNo,
        /// The chunk.
        chunk: u32,
        /// Key of the channel that was asked; message ids are unique only there.
        channel: u32,
        /// Wall clock of the answers, milliseconds since 1970.
        at_ms: u64,
        /// The answers.
        entries: Outcomes<'a>,
    },
    /// Units of an earlier intent that surely never reached the wire; queued again.
    Revoke {
        /// Whose.
        campaign: CampaignNo,
        /// The units.
        run: Run,
    },
    /// Receipts in order of arrival.
    Receipts {
        /// Wall clock of their arrival, milliseconds since 1970.
        at_ms: u64,
        /// The receipts.
        entries: Receipts<'a>,
    },
    /// A receipt without a message.
    Orphan(Orphan<'a>),
    /// An orphan was matched after all.
    Adopted {
        /// Key of its channel.
        channel: u32,
        /// Its message id.
        message_id: &'a [u8],
    },
}

/// A row that cannot be read: damaged, or of a newer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The checksum does not match.
    #[error("checksum mismatch")]
    Checksum,
    /// Written by a newer program.
    #[error("row version {0} is newer than this program")]
    Version(u8),
    /// The checksum matches but the sections do not parse: a defect of the writer.
    #[error("malformed section {0}")]
    Malformed(u8),
}

/// Collects sections; a link owns one and hands its octets on once a turn.
#[derive(Debug, Default)]
pub struct Facts {
    octets: Vec<u8>,
    open: Option<OpenSection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenSection {
    place: (CampaignNo, u32, u32),
    at_ms: u64,
    count_at: usize,
    count: u16,
    receipts: bool,
}

impl Facts {
    /// Whether nothing was collected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// The collected sections; the collection stays usable and keeps its memory.
    pub fn octets(&mut self) -> &[u8] {
        self.close();
        &self.octets
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.open = None;
        self.octets.clear();
    }

    /// Adds an intent.
    pub fn intent(&mut self, intent: &Intent) {
        self.close();
        self.octets.push(INTENT);
        self.octets.extend_from_slice(&intent.incarnation.0.to_le_bytes());
        self.octets.extend_from_slice(&intent.campaign.0.to_le_bytes());
        self.octets.extend_from_slice(&intent.stop_gen.to_le_bytes());
        self.octets.extend_from_slice(&intent.position.to_le_bytes());
        self.run(&intent.run);
        self.octets.push(intent.attempt);
    }

    /// Adds a revocation.
    pub fn revoke(&mut self, campaign: CampaignNo, run: &Run) {
        self.close();
        self.octets.push(REVOKE);
        self.octets.extend_from_slice(&campaign.0.to_le_bytes());
        self.run(run);
    }

    /// Adds the outcome of one unit of (campaign, chunk) over a channel; neighbours share a header.
    #[inline]
    pub fn outcome(&mut self, place: (CampaignNo, u32, u32), at_ms: u64, outcome: &Outcome<'_>) {
        let wanted = |o: &OpenSection| !o.receipts && o.place == place && o.count < u16::MAX;
        if !self.open.as_ref().is_some_and(wanted) {
            self.open_outcomes(place, at_ms);
        }
        if let Some(open) = &mut self.open {
            open.count += 1;
        }
        let [u0, u1] = outcome.unit.to_le_bytes();
        let [l0, l1] = outcome.latency_ms.to_le_bytes();
        if let Fate::AcceptedPacked(id) = outcome.fate {
            let v = id.value().to_le_bytes();
            let tag = TAG_PACKED + id.tag();
            self.octets
                .extend_from_slice(&[u0, u1, l0, l1, tag, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]]);
            return;
        }
        self.octets.extend_from_slice(&[u0, u1, l0, l1]);
        self.rare_fate(&outcome.fate);
    }

    /// Adds a matched receipt.
    #[inline]
    pub fn receipt(&mut self, at_ms: u64, fact: &ReceiptFact) {
        if !self.open.as_ref().is_some_and(|o| o.receipts && o.at_ms == at_ms && o.count < u16::MAX) {
            self.close();
            self.octets.push(RECEIPTS);
            self.octets.extend_from_slice(&at_ms.to_le_bytes());
            self.begin(OpenSection {
                place: (CampaignNo(0), 0, 0),
                at_ms,
                count_at: self.octets.len(),
                count: 0,
                receipts: true,
            });
        }
        if let Some(open) = &mut self.open {
            open.count += 1;
        }
        let c = fact.campaign.0.to_le_bytes();
        let k = fact.chunk.to_le_bytes();
        let [u0, u1] = fact.unit.to_le_bytes();
        let [e0, e1] = fact.error.to_le_bytes();
        self.octets.extend_from_slice(&[
            c[0],
            c[1],
            c[2],
            c[3],
            k[0],
            k[1],
            k[2],
            k[3],
            u0,
            u1,
            fact.status as u8,
            e0,
            e1,
        ]);
    }

    /// Adds a receipt without a message; ids beyond [`MAX_MESSAGE_ID`] are cut.
    pub fn orphan(&mut self, orphan: &Orphan<'_>) {
        self.close();
        self.octets.push(ORPHAN);
        self.octets.extend_from_slice(&orphan.at_ms.to_le_bytes());
        self.octets.extend_from_slice(&orphan.channel.to_le_bytes());
        self.octets.push(orphan.status as u8);
        self.octets.extend_from_slice(&orphan.error.to_le_bytes());
        self.short(orphan.message_id);
    }

    /// Adds that an orphan was matched.
    pub fn adopted(&mut self, channel: u32, message_id: &[u8]) {
        self.close();
        self.octets.push(ADOPTED);
        self.octets.extend_from_slice(&channel.to_le_bytes());
        self.short(message_id);
    }

    fn run(&mut self, run: &Run) {
        self.octets.extend_from_slice(&run.chunk.to_le_bytes());
        self.octets.extend_from_slice(&run.from.to_le_bytes());
        self.octets.extend_from_slice(&run.count.to_le_bytes());
    }

    fn short(&mut self, octets: &[u8]) {
        let kept = &octets[..octets.len().min(MAX_MESSAGE_ID)];
        self.octets.push(u8::try_from(kept.len()).unwrap_or(0));
        self.octets.extend_from_slice(kept);
    }

    fn open_outcomes(&mut self, place: (CampaignNo, u32, u32), at_ms: u64) {
        self.close();
        self.octets.push(OUTCOMES);
        for field in [place.0.0, place.1, place.2] {
            self.octets.extend_from_slice(&field.to_le_bytes());
        }
        self.octets.extend_from_slice(&at_ms.to_le_bytes());
        let count_at = self.octets.len();
        self.begin(OpenSection { place, at_ms, count_at, count: 0, receipts: false });
    }

    fn begin(&mut self, section: OpenSection) {
        self.octets.extend_from_slice(&[0, 0]);
        self.open = Some(section);
    }

    #[cold]
    fn rare_fate(&mut self, fate: &Fate<'_>) {
        match *fate {
            Fate::AcceptedPacked(_) | Fate::Accepted([]) => self.octets.push(TAG_NO_ID),
            Fate::Accepted(id) => {
                self.octets.push(TAG_RAW_ID);
                self.short(id);
            }
            Fate::Refused(code) => self.coded(TAG_REFUSED, code),
            Fate::Retry(code) => self.coded(TAG_RETRY, code),
            Fate::Failed(code) => self.coded(TAG_FAILED, code),
            Fate::Unknown => self.octets.push(TAG_UNKNOWN),
            Fate::Repeat => self.octets.push(TAG_REPEAT),
        }
    }

    fn coded(&mut self, tag: u8, code: u32) {
        self.octets.push(tag);
        self.octets.extend_from_slice(&code.to_le_bytes());
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.octets[open.count_at..open.count_at + 2].copy_from_slice(&open.count.to_le_bytes());
        }
    }
}

/// Begins a row.
#[must_use]
pub fn begin_row(capacity: usize) -> Vec<u8> {
    let mut row = Vec::with_capacity(capacity);
    row.push(ROW_VERSION);
    row
}

/// Seals a row with its checksum.
pub fn seal_row(row: &mut Vec<u8>) {
    let sum = crc32fast::hash(row);
    row.extend_from_slice(&sum.to_le_bytes());
}

/// Reads a sealed row and hands each fact to `visit`, in order.
///
/// # Errors
/// [`RowError`]; facts before a malformed section were already visited.
pub fn read_row<'a>(row: &'a [u8], visit: &mut dyn FnMut(Fact<'a>)) -> Result<(), RowError> {
    let Some((body, sum)) = row.split_last_chunk::<4>() else { return Err(RowError::Checksum) };
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err(RowError::Checksum);
    }
    match body.split_first() {
        Some((&ROW_VERSION, sections)) => read_sections(sections, visit),
        Some((&version, _)) => Err(RowError::Version(version)),
        None => Err(RowError::Checksum),
    }
}

/// Reads sections that were not sealed yet, as a link handed them over.
///
/// # Errors
/// [`RowError::Malformed`].
pub fn read_sections<'a>(octets: &'a [u8], visit: &mut dyn FnMut(Fact<'a>)) -> Result<(), RowError> {
    let mut rest = Reader(octets);
    while let Some(kind) = rest.u8() {
        let fact = rest.fact(kind).ok_or(RowError::Malformed(kind))?;
        visit(fact);
    }
    Ok(())
}

/// The outcomes of one section.
#[derive(Clone, Debug)]
pub struct Outcomes<'a> {
    rest: Reader<'a>,
    left: u16,
}

impl<'a> Iterator for Outcomes<'a> {
    type Item = Outcome<'a>;

    #[inline]
    fn next(&mut self) -> Option<Outcome<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.rest.outcome()
    }
}

/// The receipts of one section.
#[derive(Clone, Debug)]
pub struct Receipts<'a> {
    rest: Reader<'a>,
    left: u16,
}

impl Iterator for Receipts<'_> {
    type Item = ReceiptFact;

    fn next(&mut self) -> Option<ReceiptFact> {
        self.left = self.left.checked_sub(1)?;
        self.rest.receipt()
    }
}

#[derive(Clone, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    #[inline]
    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[o]| o)
    }

    #[inline]
    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn short(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.u8()?);
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn run(&mut self) -> Option<Run> {
        Some(Run { chunk: self.u32()?, from: self.u16()?, count: self.u16()? })
    }

    fn fact(&mut self, kind: u8) -> Option<Fact<'a>> {
        Some(match kind {
            INTENT => Fact::Intent(Intent {
                incarnation: Incarnation(self.u64()?),
                campaign: CampaignNo(self.u32()?),
                stop_gen: self.u32()?,
                position: self.u64()?,
                run: self.run()?,
                attempt: self.u8()?,
            }),
            OUTCOMES => {
                let (campaign, chunk) = (CampaignNo(self.u32()?), self.u32()?);
                let (channel, at_ms) = (self.u32()?, self.u64()?);
                let left = self.u16()?;
                let entries = Outcomes { rest: self.clone(), left };
                for _ in 0..left {
                    self.outcome()?;
                }
                Fact::Outcomes { campaign, chunk, channel, at_ms, entries }
            }
            REVOKE => Fact::Revoke { campaign: CampaignNo(self.u32()?), run: self.run()? },
            RECEIPTS => {
                let at_ms = self.u64()?;
                let left = self.u16()?;
                let (entries, rest) = self.0.split_at_checked(usize::from(left) * 13)?;
                self.0 = rest;
                Fact::Receipts { at_ms, entries: Receipts { rest: Reader(entries), left } }
            }
            ORPHAN => Fact::Orphan(Orphan {
                at_ms: self.u64()?,
                channel: self.u32()?,
                status: UnitStatus::from_octet(self.u8()?)?,
                error: self.u16()?,
                message_id: self.short()?,
            }),
            ADOPTED => Fact::Adopted { channel: self.u32()?, message_id: self.short()? },
            _ => return None,
        })
    }

    #[inline]
    fn outcome(&mut self) -> Option<Outcome<'a>> {
        let (unit, latency_ms, tag) = (self.u16()?, self.u16()?, self.u8()?);
        let fate = match tag {
            TAG_PACKED.. => Fate::AcceptedPacked(PackedId::from_parts(tag - TAG_PACKED, self.u64()?)?),
            TAG_NO_ID => Fate::Accepted(&[]),
            TAG_RAW_ID => Fate::Accepted(self.short()?),
            TAG_REFUSED => Fate::Refused(self.u32()?),
            TAG_RETRY => Fate::Retry(self.u32()?),
            TAG_FAILED => Fate::Failed(self.u32()?),
            TAG_UNKNOWN => Fate::Unknown,
            TAG_REPEAT => Fate::Repeat,
            _ => return None,
        };
        Some(Outcome { unit, latency_ms, fate })
    }

    fn receipt(&mut self) -> Option<ReceiptFact> {
        Some(ReceiptFact {
            campaign: CampaignNo(self.u32()?),
            chunk: self.u32()?,
            unit: self.u16()?,
            status: UnitStatus::from_octet(self.u8()?)?,
            error: self.u16()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAMPAIGN: CampaignNo = CampaignNo(7);

    fn sealed(facts: &mut Facts) -> Vec<u8> {
        let mut row = begin_row(64);
        row.extend_from_slice(facts.octets());
        seal_row(&mut row);
        row
    }

    fn outcome(unit: u16, fate: Fate<'_>) -> Outcome<'_> {
        Outcome { unit, latency_ms: unit % 77, fate }
    }

    #[test]
    fn facts_come_back_in_order_and_neighbours_share_a_section() {
        let packed = PackedId::pack(b"00ab12").expect("packs");
        let fates = [
            Fate::AcceptedPacked(packed),
            Fate::Accepted(b"an-odd-id"),
            Fate::Accepted(b""),
            Fate::Refused(0x0B),
            Fate::Retry(0x58),
            Fate::Unknown,
            Fate::Repeat,
            Fate::Failed(8),
        ];
        let run = Run { chunk: 3, from: 9, count: 2 };
        let intent = Intent {
            incarnation: Incarnation(5),
            campaign: CAMPAIGN,
            stop_gen: 2,
            position: 11,
            run,
            attempt: 1,
        };
        let receipt =
            ReceiptFact { campaign: CAMPAIGN, chunk: 3, unit: 9, status: UnitStatus::Delivered, error: 4 };
        let orphan =
            Orphan { at_ms: 1, channel: 2, status: UnitStatus::Expired, error: 3, message_id: b"lost" };
        let mut facts = Facts::default();
        facts.intent(&intent);
        for (unit, fate) in (0..).zip(fates) {
            facts.outcome((CAMPAIGN, 3, 1), 99, &outcome(unit, fate));
        }
        facts.receipt(100, &receipt);
        facts.receipt(100, &ReceiptFact { unit: 10, ..receipt });
        facts.revoke(CAMPAIGN, &run);
        facts.orphan(&orphan);
        facts.adopted(2, b"lost");
        let row = sealed(&mut facts);
        let mut seen = Vec::new();
        read_row(&row, &mut |fact| match fact {
            Fact::Intent(got) => {
                assert_eq!(got, intent);
                seen.push("intent");
            }
            Fact::Outcomes { campaign, chunk, channel, at_ms, entries } => {
                assert_eq!((campaign, chunk, channel, at_ms), (CAMPAIGN, 3, 1, 99));
                assert!(entries.eq((0..).zip(fates).map(|(unit, fate)| outcome(unit, fate))));
                seen.push("outcomes");
            }
            Fact::Receipts { at_ms, entries } => {
                assert_eq!(at_ms, 100);
                assert!(entries.eq([receipt, ReceiptFact { unit: 10, ..receipt }]));
                seen.push("receipts");
            }
            Fact::Revoke { campaign, run: got } => {
                assert_eq!((campaign, got), (CAMPAIGN, run));
                seen.push("revoke");
            }
            Fact::Orphan(got) => {
                assert_eq!(got, orphan);
                seen.push("orphan");
            }
            Fact::Adopted { channel, message_id } => {
                assert_eq!((channel, message_id), (2, &b"lost"[..]));
                seen.push("adopted");
            }
        })
        .expect("the row is whole");
        assert_eq!(seen, ["intent", "outcomes", "receipts", "revoke", "orphan", "adopted"]);
    }

    #[test]
    fn an_accepted_message_costs_thirteen_octets_beside_the_header() {
        let mut facts = Facts::default();
        let id = PackedId::pack(b"0123456789abcdef").expect("packs");
        for unit in 0..100 {
            facts.outcome((CAMPAIGN, 0, 0), 5, &outcome(unit, Fate::AcceptedPacked(id)));
        }
        assert_eq!(facts.octets().len(), 23 + 100 * 13);
    }

    proptest! {
        #[test]
        fn a_damaged_row_is_refused_and_never_panics(flip in 0usize..200, bit in 0u8..8, cut in 0usize..200) {
            let mut facts = Facts::default();
            for unit in 0..12 {
                facts.outcome((CAMPAIGN, 0, 0), 5, &outcome(unit, Fate::Accepted(b"raw id")));
            }
            let row = sealed(&mut facts);
            let mut damaged = row.clone();
            let at = flip % damaged.len();
            damaged[at] ^= 1 << bit;
            let result = read_row(&damaged, &mut |_| ());
            prop_assert!(result.is_err());
            let cut = cut % row.len();
            let result = read_row(&row[..cut], &mut |_| ());
            prop_assert!(result.is_err());
        }

        #[test]
        fn arbitrary_sections_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            // Either outcome is right; what matters is that reading ends.
            let result = read_sections(&octets, &mut |fact| if let Fact::Outcomes { entries, .. } = fact {
                assert!(entries.count() <= octets.len());
            });
            prop_assert!(result.is_ok() || matches!(result, Err(RowError::Malformed(_))));
        }
    }
}
