//! Values of variables: how the rows of a chunk are packed, and their reading without a copy or a check a message.
//!
//! Packed: for each recipient in order, for each variable in the order of `Content::variables`, a length as u16,
//! little-endian, and so many octets of UTF-8. Without variables there is nothing at all.
//! Invariant: what [`pack_row`] takes is within the limits here, and [`Values::index`] gives it back.

use thiserror::Error;

/// Most variables of one text: more than any sensible message names, and few enough that a row is checked at once.
pub const MAX_VARIABLES: usize = 16;

/// Longest value in characters. Sixteen parts hold 528 characters of the widest kind, so that one value always fits.
pub const MAX_VALUE_CHARS: usize = 500;

/// Most octets of one recipient's packed values, so that those of a chunk never take more than 4 MiB.
pub const MAX_ROW_OCTETS: usize = 1024;

/// Why a row of values cannot be taken. Places count from 0 in the order of the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ValueFault {
    /// More characters than a value may have.
    #[error("value {} is longer than {MAX_VALUE_CHARS} characters", .place + 1)]
    TooLong {
        /// Which value.
        place: usize,
    },
    /// The values together are too long.
    #[error("the values together are longer than {MAX_ROW_OCTETS} octets")]
    RowTooLong,
    /// A character that no handset shows: a control character other than the ends of lines.
    #[error("value {} contains a control character", .place + 1)]
    ControlCharacter {
        /// Which value.
        place: usize,
    },
}

/// Appends the values of one recipient.
///
/// # Errors
/// [`ValueFault`]; then nothing is appended.
pub fn pack_row(packed: &mut Vec<u8>, row: &[&str]) -> Result<(), ValueFault> {
    let start = packed.len();
    for (place, value) in row.iter().enumerate() {
        if let Err(fault) = check(value, place).and_then(|()| pack(packed, value, start)) {
            packed.truncate(start);
            return Err(fault);
        }
    }
    Ok(())
}

fn check(value: &str, place: usize) -> Result<(), ValueFault> {
    // Octets are counted first: they are known, and a value short in octets is short in characters.
    if value.len() > MAX_VALUE_CHARS && value.chars().count() > MAX_VALUE_CHARS {
        return Err(ValueFault::TooLong { place });
    }
    let has_control = if value.is_ascii() {
        // Without an early end: values are short and control characters hardly ever there.
        let is_bad = |octet: u8| octet.is_ascii_control() & (octet != b'\n') & (octet != b'\r');
        value.bytes().fold(false, |found, octet| found | is_bad(octet))
    } else {
        value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r'))
    };
    match has_control {
        true => Err(ValueFault::ControlCharacter { place }),
        false => Ok(()),
    }
}

fn pack(packed: &mut Vec<u8>, value: &str, start: usize) -> Result<(), ValueFault> {
    let length = u16::try_from(value.len()).map_err(|_| ValueFault::RowTooLong)?;
    if packed.len() + 2 + value.len() - start > MAX_ROW_OCTETS {
        return Err(ValueFault::RowTooLong);
    }
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(value.as_bytes());
    Ok(())
}

/// The values of one chunk, checked once and read as often as wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// All values one after another.
    text: Box<str>,
    /// Where each of them ends in the text.
    ends: Box<[u32]>,
    variables: usize,
}

impl Values {
    /// Reads packed rows of so many values each; `None` if the octets are anything else than whole rows of text.
    #[must_use]
    pub fn index(octets: impl AsRef<[u8]>, variables: usize) -> Option<Self> {
        let mut rest = octets.as_ref();
        let mut text = String::with_capacity(rest.len());
        let mut ends = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let (value, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            text.push_str(std::str::from_utf8(value).ok()?);
            ends.push(u32::try_from(text.len()).ok()?);
            rest = behind;
        }
        let whole =
            rest.is_empty() && if variables == 0 { ends.is_empty() } else { ends.len() % variables == 0 };
        whole.then(|| Self { text: text.into(), ends: ends.into(), variables })
    }

    /// How many recipients have a row.
    #[must_use]
    pub fn recipients(&self) -> usize {
        self.ends.len().checked_div(self.variables).unwrap_or(0)
    }

    /// The values of a recipient, by its place in the chunk; of none beyond the last one.
    #[inline]
    #[must_use]
    pub fn row(&self, recipient: usize) -> Row<'_> {
        let first = recipient.saturating_mul(self.variables);
        let Some(ends) = self.ends.get(first..first.saturating_add(self.variables)) else { return Row::NONE };
        let start = first.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        Row { text: &self.text, start, ends }
    }
}

/// The values of one recipient, in the order of the variables.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    text: &'a str,
    start: u32,
    ends: &'a [u32],
}

impl<'a> Row<'a> {
    /// No values: the row of every recipient of a campaign without variables.
    pub const NONE: Self = Self { text: "", start: 0, ends: &[] };

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A value by its variable's place.
    #[inline]
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&'a str> {
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(self.start, |before| self.ends[before]);
        self.text.get(start as usize..end as usize)
    }

    /// All values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let row = *self;
        (0..row.len()).map(move |place| row.get(place).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn packed(rows: &[&[&str]]) -> Vec<u8> {
        let mut packed = Vec::new();
        rows.iter().for_each(|row| pack_row(&mut packed, row).unwrap());
        packed
    }

    #[test]
    fn rows_are_packed_as_lengths_and_utf8() {
        assert_eq!(packed(&[&["Jö", ""], &["x", "y"]]), b"\x03\0J\xC3\xB6\0\0\x01\0x\x01\0y");
        assert!(packed(&[&[], &[]]).is_empty());
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_and_leaves_nothing() {
        let (most, over) = ("ö".repeat(MAX_VALUE_CHARS), "ö".repeat(MAX_VALUE_CHARS + 1));
        let mut out = vec![7];
        assert_eq!(pack_row(&mut out, &["a", &over]), Err(ValueFault::TooLong { place: 1 }));
        assert_eq!(pack_row(&mut out, &["a", &most, "0123456789012345678"]), Err(ValueFault::RowTooLong));
        assert_eq!(pack_row(&mut out, &["a\0"]), Err(ValueFault::ControlCharacter { place: 0 }));
        for bad in ["a\u{7F}", "ö\t", "\u{85}", "a\u{1F}"] {
            assert_eq!(
                pack_row(&mut out, &["", bad]),
                Err(ValueFault::ControlCharacter { place: 1 }),
                "{bad:?}"
            );
        }
        assert_eq!(pack_row(&mut out, &["a\tb"]), Err(ValueFault::ControlCharacter { place: 0 }));
        assert_eq!(out, [7]);
        assert_eq!(pack_row(&mut out, &["a\r\n", &most, "012345678901234"]), Ok(()));
        assert_eq!(out.len(), 1 + MAX_ROW_OCTETS);
        assert_eq!(ValueFault::TooLong { place: 1 }.to_string(), "value 2 is longer than 500 characters");
    }

    #[test]
    fn octets_that_are_no_rows_are_not_read() {
        for octets in [&b"\x01"[..], b"\x02\0a", b"\x01\0\xFF", b"\x01\0a\x01\0b\x01\0c"] {
            assert_eq!(Values::index(octets, 2), None, "{octets:?}");
        }
        assert_eq!(Values::index(b"\x01\0a", 0), None);
        assert_eq!(Values::index(b"", 0).unwrap().recipients(), 0);
        assert_eq!(Values::index(b"", 3).unwrap().row(0).len(), 0);
    }

    proptest! {
        #[test]
        fn any_rows_come_back(rows in proptest::collection::vec(proptest::collection::vec("[^\\pC]{0,20}", 3), 0..40)) {
            let mut packed = Vec::new();
            for row in &rows {
                let row: Vec<&str> = row.iter().map(String::as_str).collect();
                pack_row(&mut packed, &row).unwrap();
            }
            let values = Values::index(&packed, 3).unwrap();
            prop_assert_eq!(values.recipients(), rows.len());
            for (recipient, wanted) in rows.iter().enumerate() {
                let row = values.row(recipient);
                prop_assert_eq!(&row.iter().collect::<Vec<_>>(), wanted);
                prop_assert_eq!((row.get(2), row.get(3)), (Some(wanted[2].as_str()), None));
            }
            prop_assert!(values.row(rows.len()).is_empty());
        }

        #[test]
        fn any_octets_are_rows_or_none(octets in proptest::collection::vec(0_u8..4, 0..60), variables in 0_usize..4) {
            if let Some(values) = Values::index(&octets, variables) {
                let count: usize = (0..values.recipients()).map(|r| values.row(r).len()).sum();
                prop_assert_eq!(count, values.recipients() * variables);
            }
        }
    }
}
