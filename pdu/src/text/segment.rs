//! Long texts in segments: how many, where they are cut, and what each one carries.
//!
//! A cut never falls inside a surrogate pair or an escape pair, so a segment may be one unit short of its limit.
//! Limits follow from 140 octets of user data less the header (3GPP TS 23.040 section 9.2.3.24.1).

use super::{ESCAPE, Encoding};
use crate::udh;

/// Most segments of one message: the total is one octet on the wire.
pub const MAX_SEGMENTS: usize = 255;

/// How the segments of a long message are tied together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concat {
    /// User data header with an 8-bit reference: what every SMSC understands.
    Udh8,
    /// User data header with a 16-bit reference.
    Udh16,
    /// `sar_*` TLVs; the SMSC makes the header, of the wide kind at worst, so room is left for that.
    Sar,
    /// One PDU with `message_payload`; the SMSC cuts. Segments are counted as for `Udh8`.
    Payload,
}

/// What a text costs in an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Septets, octets or UTF-16 units of the whole text; characters outside the encoding count as one.
    pub units: usize,
    /// Segments on the air, at least one.
    pub segments: usize,
    /// Units that still fit before one more segment is needed.
    pub left: usize,
}

/// A text that cannot be sent in segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// More than 255 segments.
    #[error("the text needs {0} segments, at most 255 are possible")]
    TooMany(usize),
    /// More than 65,535 octets for `message_payload`.
    #[error("the text has {0} octets, message_payload takes at most 65535")]
    TooLong(usize),
}

impl Concat {
    /// Units of a text that is sent alone: 160, 140 or 70.
    #[must_use]
    pub const fn single_limit(self, encoding: Encoding) -> usize {
        match encoding {
            Encoding::Gsm7 => 160,
            Encoding::Latin1 => 140,
            Encoding::Ucs2 => 70,
        }
    }

    /// Units of each segment of several: 153, 134, 67, or 152, 133, 66 with a 16-bit reference.
    #[must_use]
    pub const fn segment_limit(self, encoding: Encoding) -> usize {
        let narrow = match encoding {
            Encoding::Gsm7 => 153,
            Encoding::Latin1 => 134,
            Encoding::Ucs2 => 67,
        };
        match self {
            Self::Udh8 | Self::Payload => narrow,
            Self::Udh16 | Self::Sar => narrow - 1,
        }
    }
}

/// Counts units and segments of a text that comes character by character.
///
/// Wider characters and further ones never lower the count, so that a text measured at its widest bounds all others
/// (`a_wider_or_longer_text_never_needs_fewer_segments`).
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    single: usize,
    limit: usize,
    units: usize,
    segments: usize,
    used: usize,
}

impl Meter {
    /// A text without characters yet.
    #[must_use]
    pub const fn new(encoding: Encoding, concat: Concat) -> Self {
        let (single, limit) = (concat.single_limit(encoding), concat.segment_limit(encoding));
        Self { single, limit, units: 0, segments: 1, used: 0 }
    }

    /// Adds a character of so many units, one or two.
    #[inline]
    pub const fn add(&mut self, width: usize) {
        self.units += width;
        if self.used + width > self.limit {
            self.segments += 1;
            self.used = 0;
        }
        self.used += width;
    }

    /// Adds every character of a text; one outside the encoding counts as one unit.
    #[inline]
    pub fn add_text(&mut self, text: &str, encoding: Encoding) {
        for c in text.chars() {
            self.add(encoding.units(c).unwrap_or(1));
        }
    }

    /// What the characters so far cost.
    #[must_use]
    pub const fn measure(&self) -> Measure {
        let Self { single, limit, units, segments, used } = *self;
        if units <= single {
            return Measure { units, segments: 1, left: single - units };
        }
        Measure { units, segments, left: limit - used }
    }
}

/// Counts units and segments of a text without encoding it.
#[must_use]
pub fn measure(text: &str, encoding: Encoding, concat: Concat) -> Measure {
    let mut meter = Meter::new(encoding, concat);
    meter.add_text(text, encoding);
    meter.measure()
}

/// An encoded text and its cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments<'a> {
    octets: &'a [u8],
    encoding: Encoding,
    /// Octets of a segment at most; the length of the text when it is not cut.
    limit: usize,
    concat: Concat,
    total: u8,
}

impl<'a> Segments<'a> {
    /// Cuts `octets`, the whole text as [`Encoding::encode`] wrote it.
    ///
    /// # Errors
    /// `TooMany` above 255 segments, `TooLong` for a payload above 65,535 octets.
    pub fn new(octets: &'a [u8], encoding: Encoding, concat: Concat) -> Result<Self, SegmentError> {
        let width = if encoding == Encoding::Ucs2 { 2 } else { 1 };
        let whole = Self { octets, encoding, limit: octets.len(), concat, total: 1 };
        if concat == Concat::Payload {
            return if octets.len() > 65_535 { Err(SegmentError::TooLong(octets.len())) } else { Ok(whole) };
        }
        if octets.len() <= concat.single_limit(encoding) * width {
            return Ok(whole);
        }
        let mut cut = Self { limit: concat.segment_limit(encoding) * width, ..whole };
        let count = SegmentIter { segments: cut, rest: octets, number: 0 }.count_cuts();
        cut.total = u8::try_from(count).map_err(|_| SegmentError::TooMany(count))?;
        Ok(cut)
    }

    /// Number of PDUs, at least one.
    #[must_use]
    pub const fn total(&self) -> u8 {
        self.total
    }

    /// How the segments are tied together.
    #[must_use]
    pub const fn concat(&self) -> Concat {
        self.concat
    }

    /// The segments in order.
    #[must_use]
    pub const fn iter(&self) -> SegmentIter<'a> {
        SegmentIter { segments: *self, rest: self.octets, number: 0 }
    }

    /// Where the next segment ends in `rest`.
    fn cut(&self, rest: &[u8]) -> usize {
        if rest.len() <= self.limit {
            return rest.len();
        }
        let at = self.limit;
        match self.encoding {
            // A second septet is never an escape, so an escape before the cut always begins a pair.
            Encoding::Gsm7 if rest[at - 1] == ESCAPE => at - 1,
            Encoding::Ucs2 if matches!(rest[at - 2], 0xD8..=0xDB) => at - 2,
            _ => at,
        }
    }
}

/// Iterator over segments, made by [`Segments::iter`].
#[derive(Clone, Copy, Debug)]
pub struct SegmentIter<'a> {
    segments: Segments<'a>,
    rest: &'a [u8],
    number: u8,
}

impl SegmentIter<'_> {
    fn count_cuts(mut self) -> usize {
        let mut count = 0;
        while !self.rest.is_empty() {
            self.rest = &self.rest[self.segments.cut(self.rest)..];
            count += 1;
        }
        count
    }
}

impl<'a> Iterator for SegmentIter<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.number == self.segments.total {
            return None;
        }
        self.number += 1;
        let (text, rest) = self.rest.split_at(self.segments.cut(self.rest));
        self.rest = rest;
        Some(Segment { text, number: self.number, total: self.segments.total, concat: self.segments.concat })
    }
}

/// One segment of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Encoded text of this segment, without header.
    pub text: &'a [u8],
    /// Counted from 1.
    pub number: u8,
    /// Segments of the message.
    pub total: u8,
    concat: Concat,
}

impl Segment<'_> {
    /// Appends the user data of this segment, with its header where there is one, and tells whether there is one
    /// (`esm_class` bit 0x40 has to be set then).
    ///
    /// With `Sar` the caller adds [`TlvBuf::push_sar`](crate::TlvBuf::push_sar) when `total` is above one; with
    /// `Payload` the user data goes into `message_payload`. Of `reference` an 8-bit header keeps the low octet.
    pub fn user_data(&self, reference: u16, out: &mut Vec<u8>) -> bool {
        let header = self.total > 1 && matches!(self.concat, Concat::Udh8 | Concat::Udh16);
        if header && self.concat == Concat::Udh8 {
            out.extend_from_slice(&udh::concat8(reference.to_be_bytes()[1], self.total, self.number));
        } else if header {
            out.extend_from_slice(&udh::concat16(reference, self.total, self.number));
        }
        out.extend_from_slice(self.text);
        header
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const ENCODINGS: [Encoding; 3] = [Encoding::Gsm7, Encoding::Latin1, Encoding::Ucs2];
    const CONCATS: [Concat; 4] = [Concat::Udh8, Concat::Udh16, Concat::Sar, Concat::Payload];

    fn cut(text: &str, encoding: Encoding, concat: Concat) -> Vec<String> {
        let mut octets = Vec::new();
        encoding.encode(text, &mut octets).unwrap();
        let segments = Segments::new(&octets, encoding, concat).unwrap();
        assert_eq!(segments.iter().count(), usize::from(segments.total()));
        segments.iter().map(|segment| encoding.decode(segment.text)).collect()
    }

    #[test]
    fn the_limits_are_those_of_140_octets() {
        for (encoding, single, narrow) in
            [(Encoding::Gsm7, 160, 153), (Encoding::Latin1, 140, 134), (Encoding::Ucs2, 70, 67)]
        {
            let text = |len: usize| if encoding == Encoding::Ucs2 { "Ж" } else { "a" }.repeat(len);
            for (concat, limit) in
                [(Concat::Udh8, narrow), (Concat::Udh16, narrow - 1), (Concat::Sar, narrow - 1)]
            {
                for (len, segments) in [
                    (0, 1),
                    (1, 1),
                    (single, 1),
                    (single + 1, 2),
                    (limit * 2, 2),
                    (limit * 2 + 1, 3),
                    (limit * 255, 255),
                ] {
                    assert_eq!(
                        cut(&text(len), encoding, concat).len(),
                        segments,
                        "{encoding:?} {concat:?} {len}"
                    );
                    assert_eq!(measure(&text(len), encoding, concat).segments, segments);
                }
                let mut octets = Vec::new();
                encoding.encode(&text(limit * 255 + 1), &mut octets).unwrap();
                assert_eq!(Segments::new(&octets, encoding, concat), Err(SegmentError::TooMany(256)));
            }
        }
    }

    #[test]
    fn a_cut_never_splits_an_escape_pair_or_a_surrogate_pair() {
        for before in 0..160 {
            let text = "a".repeat(before) + &"€".repeat(200);
            let parts = cut(&text, Encoding::Gsm7, Concat::Udh8);
            assert_eq!(parts.concat(), text);
            let text = "Ж".repeat(before) + &"😀".repeat(200);
            let parts = cut(&text, Encoding::Ucs2, Concat::Udh16);
            assert_eq!(parts.concat(), text);
            assert!(parts.iter().all(|part| !part.contains('\u{FFFD}')));
        }
        // An escape pair across the limit of 153 moves into the second segment.
        let parts = cut(&("a".repeat(152) + "€" + &"b".repeat(7)), Encoding::Gsm7, Concat::Udh8);
        assert_eq!(parts, ["a".repeat(152), "€".to_owned() + "bbbbbbb"]);
    }

    #[test]
    fn measuring_agrees_with_cutting() {
        for text in ["", "a", &"€a".repeat(300), &"{}a".repeat(100), &"é".repeat(161)] {
            for encoding in ENCODINGS {
                if !encoding.fits(text) {
                    continue;
                }
                for concat in &CONCATS[..3] {
                    let measured = measure(text, encoding, *concat);
                    assert_eq!(measured.segments, cut(text, encoding, *concat).len());
                    let longer = text.to_owned() + &"a".repeat(measured.left);
                    assert_eq!(measure(&longer, encoding, *concat).segments, measured.segments);
                    let longest = longer + "a";
                    assert_eq!(measure(&longest, encoding, *concat).segments, measured.segments + 1);
                }
            }
        }
    }

    #[test]
    fn user_data_carries_the_header_of_its_kind() {
        let octets = [b'a'; 161];
        let data = |concat, n: usize| {
            let segments = Segments::new(&octets, Encoding::Gsm7, concat).unwrap();
            let mut out = Vec::new();
            let header = segments.iter().nth(n).unwrap().user_data(0x1234, &mut out);
            (header, out)
        };
        let (header, out) = data(Concat::Udh8, 1);
        assert!(header);
        assert_eq!(out, b"\x05\x00\x03\x34\x02\x02aaaaaaaa");
        let (header, out) = data(Concat::Udh16, 0);
        assert!(header);
        assert_eq!(&out[..8], b"\x06\x08\x04\x12\x34\x02\x01a");
        assert_eq!(out.len(), 7 + 152);
        assert_eq!(data(Concat::Sar, 1), (false, vec![b'a'; 9]));
        assert_eq!(data(Concat::Payload, 0), (false, octets.to_vec()));
        let segments = Segments::new(b"short", Encoding::Gsm7, Concat::Udh8).unwrap();
        let mut out = Vec::new();
        assert!(!segments.iter().next().unwrap().user_data(1, &mut out));
        assert_eq!(out, b"short");
    }

    #[test]
    fn a_payload_is_one_segment_up_to_its_limit() {
        let octets = vec![b'a'; 65_536];
        assert_eq!(Segments::new(&octets[1..], Encoding::Gsm7, Concat::Payload).unwrap().total(), 1);
        assert_eq!(
            Segments::new(&octets, Encoding::Gsm7, Concat::Payload),
            Err(SegmentError::TooLong(65_536))
        );
    }
}
