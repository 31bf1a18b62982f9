//! The reading side of a row: one path for recovery and for the live account.

use super::*;

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

    fn octets(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn short(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.u8()?);
        self.octets(len)
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
                at_ms: self.u64()?,
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
            SKIP => Fact::Skip(Skip {
                campaign: CampaignNo(self.u32()?),
                run: self.run()?,
                status: UnitStatus::from_octet(self.u8()?)?,
                reason: self.u32()?,
            }),
            NUMBERS => {
                let (campaign, chunk, from) = (CampaignNo(self.u32()?), self.u32()?, self.u16()?);
                let (at_ms, count) = (self.u64()?, self.u16()?);
                let numbers = self.octets(usize::from(count) * 8)?;
                let len = usize::try_from(self.u32()?).ok()?;
                let values = self.octets(len)?;
                Fact::Numbers(Numbers { campaign, chunk, from, at_ms, count, numbers, values })
            }
            INBOUND => Fact::Inbound(Inbound {
                at_ms: self.u64()?,
                channel: self.u32()?,
                source: self.short()?,
                destination: self.short()?,
                text: self.short()?,
            }),
            HEARD => Fact::Heard { row: self.u64()? },
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
