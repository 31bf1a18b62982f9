//! Text of short messages: encodings, and which of them a text needs.
//!
//! Owns GSM 03.38, Latin-1 and UCS-2 (as UTF-16BE, so that emoji work) and the segments of long texts.
//! Encoding is exact or refused, decoding is total: a receiver has to show something.

mod gsm;
mod pack;
mod segment;

use bytes::BytesMut;

pub use gsm::{ESCAPE, Septets, septets};
pub use pack::{fill_bits, pack, unpack};
pub use segment::{
    Concat, MAX_SEGMENTS, Measure, Meter, Segment, SegmentError, SegmentIter, Segments, measure,
};

/// Octets that [`Encoding::append`] gathers before it appends them; a usual value of a variable fits.
const APPEND_OCTETS: usize = 64;

/// How text becomes octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// GSM 03.38 default alphabet, one septet per octet, `data_coding` 0.
    Gsm7,
    /// ISO 8859-1, `data_coding` 3.
    Latin1,
    /// UTF-16 big-endian, called UCS-2 in SMPP, `data_coding` 8.
    Ucs2,
}

/// A character that the chosen encoding does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the character U+{:04X} is outside the encoding", *.0 as u32)]
pub struct Unencodable(pub char);

impl Encoding {
    /// Gsm7 if the text fits it, else Ucs2: the two that every handset and SMSC has.
    #[must_use]
    pub fn least(text: &str) -> Self {
        if Self::Gsm7.fits(text) { Self::Gsm7 } else { Self::Ucs2 }
    }

    /// The allowed encoding that needs the fewest segments, the earliest of equals; `None` if none has all
    /// characters.
    #[must_use]
    pub fn least_of(text: &str, allowed: &[Self], concat: Concat) -> Option<Self> {
        let fits = allowed.iter().copied().filter(|encoding| encoding.fits(text));
        fits.min_by_key(|encoding| measure(text, *encoding, concat).segments)
    }

    /// The value of `data_coding` for this encoding.
    #[must_use]
    pub const fn data_coding(self) -> u8 {
        match self {
            Self::Gsm7 => 0,
            Self::Latin1 => 3,
            Self::Ucs2 => 8,
        }
    }

    /// The encoding behind a `data_coding` (SMPP 3.4 section 5.2.19; message classes of TS 23.038 included).
    ///
    /// IA5 (1) is read as Latin-1; binary, Cyrillic, JIS and the like are `None`.
    #[must_use]
    pub const fn from_data_coding(data_coding: u8) -> Option<Self> {
        match data_coding {
            0 => Some(Self::Gsm7),
            1 | 3 => Some(Self::Latin1),
            8 => Some(Self::Ucs2),
            0x10..=0x3F => match data_coding & 0x0C {
                0x00 => Some(Self::Gsm7),
                0x08 => Some(Self::Ucs2),
                _ => None,
            },
            0xF0..=0xFF if data_coding & 0x04 == 0 => Some(Self::Gsm7),
            _ => None,
        }
    }

    /// Units (septets, octets, UTF-16 units) of one character, `None` if the encoding does not have it.
    #[inline]
    #[must_use]
    pub const fn units(self, c: char) -> Option<usize> {
        match self {
            Self::Gsm7 => match septets(c) {
                Some(Septets::One(_)) => Some(1),
                Some(Septets::Two(_)) => Some(2),
                None => None,
            },
            Self::Latin1 => {
                if (c as u32) < 256 {
                    Some(1)
                } else {
                    None
                }
            }
            Self::Ucs2 => Some(c.len_utf16()),
        }
    }

    /// Units and characters of a text.
    ///
    /// # Errors
    /// The first character outside the encoding.
    #[inline]
    pub fn count(self, text: &str) -> Result<(usize, usize), Unencodable> {
        let is_plain = match self {
            Self::Gsm7 => gsm::is_plain(text.as_bytes()),
            Self::Latin1 | Self::Ucs2 => text.is_ascii(),
        };
        if is_plain {
            return Ok((text.len(), text.len()));
        }
        text.chars().try_fold((0, 0), |(units, chars), c| {
            Ok((units + self.units(c).ok_or(Unencodable(c))?, chars + 1))
        })
    }

    /// Whether every character of the text is in this encoding.
    #[must_use]
    pub fn fits(self, text: &str) -> bool {
        text.chars().all(|c| self.units(c).is_some())
    }

    /// The characters of the text that this encoding lacks, each once, in order of appearance.
    ///
    /// For `Gsm7` these are the characters that force UCS-2.
    #[must_use]
    pub fn missing(self, text: &str) -> Vec<char> {
        let mut missing = Vec::new();
        for c in text.chars().filter(|c| self.units(*c).is_none()) {
            if !missing.contains(&c) {
                missing.push(c);
            }
        }
        missing
    }

    /// Appends the encoded text.
    ///
    /// # Errors
    /// The first character outside the encoding; `out` is as before then.
    pub fn encode(self, text: &str, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        match self {
            Self::Gsm7 => gsm::encode(text, out).map_err(Unencodable),
            Self::Latin1 => {
                let start = out.len();
                for c in text.chars() {
                    let Ok(octet) = u8::try_from(c as u32) else {
                        out.truncate(start);
                        return Err(Unencodable(c));
                    };
                    out.push(octet);
                }
                Ok(())
            }
            Self::Ucs2 => {
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
                Ok(())
            }
        }
    }

    /// Appends the encoded text to a buffer of PDUs, without another allocation than its growth.
    ///
    /// # Errors
    /// The first character outside the encoding; `out` is as before then.
    #[inline]
    pub fn append(self, text: &str, out: &mut BytesMut) -> Result<(), Unencodable> {
        if self == Self::Gsm7 && gsm::append_plain(text.as_bytes(), out) {
            return Ok(());
        }
        let start = out.len();
        // Octets gather here, because a reservation for every character would cost more than the character.
        let (mut gathered, mut count) = ([0; APPEND_OCTETS], 0);
        for c in text.chars() {
            if count > APPEND_OCTETS - 4 {
                out.extend_from_slice(&gathered[..count]);
                count = 0;
            }
            let Some((octets, width)) = self.octets(c) else {
                out.truncate(start);
                return Err(Unencodable(c));
            };
            gathered[count..count + 4].copy_from_slice(&octets);
            count += width;
        }
        out.extend_from_slice(&gathered[..count]);
        Ok(())
    }

    /// The encoded character: the first so many of four octets.
    #[inline]
    fn octets(self, c: char) -> Option<([u8; 4], usize)> {
        match self {
            Self::Gsm7 => Some(match septets(c)? {
                Septets::One(septet) => ([septet, 0, 0, 0], 1),
                Septets::Two(septet) => ([ESCAPE, septet, 0, 0], 2),
            }),
            Self::Latin1 => Some(([u8::try_from(c).ok()?, 0, 0, 0], 1)),
            Self::Ucs2 => {
                let mut units = [0; 2];
                let width = c.encode_utf16(&mut units).len() * 2;
                let [[a, b], [c, d]] = units.map(u16::to_be_bytes);
                Some(([a, b, c, d], width))
            }
        }
    }

    /// The text of encoded octets; what cannot be read becomes U+FFFD.
    #[must_use]
    pub fn decode(self, octets: &[u8]) -> String {
        match self {
            Self::Gsm7 => gsm::decode(octets),
            Self::Latin1 => octets.iter().map(|octet| char::from(*octet)).collect(),
            Self::Ucs2 => {
                let (pairs, odd) = octets.as_chunks::<2>();
                let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
                let lossy = |unit: Result<char, _>| unit.unwrap_or(char::REPLACEMENT_CHARACTER);
                let mut text: String = char::decode_utf16(units).map(lossy).collect();
                text.extend(odd.first().map(|_| char::REPLACEMENT_CHARACTER));
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_least_encoding_is_found() {
        assert_eq!(Encoding::least("Hello {€}"), Encoding::Gsm7);
        assert_eq!(Encoding::least("Привет"), Encoding::Ucs2);
        assert_eq!(Encoding::least(""), Encoding::Gsm7);
        let all = [Encoding::Gsm7, Encoding::Latin1, Encoding::Ucs2];
        let least = |text: &str| Encoding::least_of(text, &all, Concat::Udh8);
        assert_eq!(least("plain"), Some(Encoding::Gsm7));
        assert_eq!(least(&"ç".repeat(100)), Some(Encoding::Latin1));
        assert_eq!(least("łódź"), Some(Encoding::Ucs2));
        // 130 characters of which 40 take two septets: two GSM segments, one Latin-1 segment.
        assert_eq!(least(&("{".repeat(40) + &"a".repeat(90))), Some(Encoding::Latin1));
        assert_eq!(Encoding::least_of("ł", &all[..2], Concat::Udh8), None);
    }

    #[test]
    fn the_characters_that_force_ucs2_are_listed_once_in_order() {
        assert_eq!(Encoding::Gsm7.missing("ça «va» ça ’"), ['ç', '«', '»', '’']);
        assert!(Encoding::Ucs2.missing("ça 😀").is_empty());
        assert_eq!(Encoding::Latin1.missing("ça 😀"), ['😀']);
    }

    #[test]
    fn ucs2_and_latin1_are_read_and_written() {
        let mut out = Vec::new();
        Encoding::Ucs2.encode("aЖ😀", &mut out).unwrap();
        assert_eq!(out, [0, b'a', 0x04, 0x16, 0xD8, 0x3D, 0xDE, 0x00]);
        assert_eq!(Encoding::Ucs2.decode(&out), "aЖ😀");
        assert_eq!(Encoding::Ucs2.decode(&[0, b'a', 0xD8, 0x3D, 7]), "a\u{FFFD}\u{FFFD}");
        assert_eq!(Encoding::Latin1.decode(&[0x61, 0xE9]), "aé");
        let mut out = vec![9];
        assert_eq!(Encoding::Latin1.encode("é€", &mut out), Err(Unencodable('€')));
        assert_eq!(out, [9]);
        assert_eq!(Unencodable('€').to_string(), "the character U+20AC is outside the encoding");
    }

    #[test]
    fn every_data_coding_has_its_encoding_or_none() {
        for encoding in [Encoding::Gsm7, Encoding::Latin1, Encoding::Ucs2] {
            assert_eq!(Encoding::from_data_coding(encoding.data_coding()), Some(encoding));
        }
        assert_eq!(Encoding::from_data_coding(0x10), Some(Encoding::Gsm7));
        assert_eq!(Encoding::from_data_coding(0x18), Some(Encoding::Ucs2));
        assert_eq!(Encoding::from_data_coding(0xF1), Some(Encoding::Gsm7));
        assert_eq!(Encoding::from_data_coding(0xF5), None);
        assert_eq!(Encoding::from_data_coding(4), None);
        assert_eq!((0..=255).filter(|dc| Encoding::from_data_coding(*dc).is_some()).count(), 4 + 24 + 8);
    }
}
