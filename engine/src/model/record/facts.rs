//! The writing side of a row: facts become octets as they happen.

use super::*;

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
        self.octets.extend_from_slice(&intent.at_ms.to_le_bytes());
    }

    /// Adds units that are settled without having been sent.
    pub fn skip(&mut self, skip: &Skip) {
        self.close();
        self.octets.push(SKIP);
        self.octets.extend_from_slice(&skip.campaign.0.to_le_bytes());
        self.run(&skip.run);
        self.octets.push(skip.status as u8);
        self.octets.extend_from_slice(&skip.reason.to_le_bytes());
    }

    /// Adds recipients of a Trigger campaign; `numbers` holds eight octets for each of them.
    pub fn numbers(&mut self, added: &Numbers<'_>) {
        self.close();
        self.octets.push(NUMBERS);
        self.octets.extend_from_slice(&added.campaign.0.to_le_bytes());
        self.octets.extend_from_slice(&added.chunk.to_le_bytes());
        self.octets.extend_from_slice(&added.from.to_le_bytes());
        self.octets.extend_from_slice(&added.at_ms.to_le_bytes());
        self.octets.extend_from_slice(&added.count.to_le_bytes());
        self.octets.extend_from_slice(added.numbers);
        self.octets.extend_from_slice(&u32::try_from(added.values.len()).unwrap_or(0).to_le_bytes());
        self.octets.extend_from_slice(added.values);
    }

    /// Adds a message from a handset; its text beyond [`MAX_INBOUND_TEXT`] is cut.
    pub fn inbound(&mut self, inbound: &Inbound<'_>) {
        self.close();
        self.octets.push(INBOUND);
        self.octets.extend_from_slice(&inbound.at_ms.to_le_bytes());
        self.octets.extend_from_slice(&inbound.channel.to_le_bytes());
        self.short(inbound.source);
        self.short(inbound.destination);
        let text = &inbound.text[..inbound.text.len().min(MAX_INBOUND_TEXT)];
        self.octets.push(u8::try_from(text.len()).unwrap_or(0));
        self.octets.extend_from_slice(text);
    }

    /// Adds that messages from handsets were acted on, in every row up to `row`.
    pub fn heard(&mut self, row: u64) {
        self.close();
        self.octets.push(HEARD);
        self.octets.extend_from_slice(&row.to_le_bytes());
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
