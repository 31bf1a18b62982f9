//! From what people write to E.164 digits.
//!
//! International forms are decided here, from the ITU's country calling codes and lengths alone: finer metadata ages and
//! would refuse real numbers. National forms need a region and go to [`super::region`].
//! Invariant: a normalised number written with `+` normalises to itself, with any region.

use std::fmt;

use super::region::Region;
use super::reject::RejectReason;

/// Fewest digits of an international number, country code included.
pub(super) const MIN_DIGITS: usize = 7;
/// Most digits of an international number (E.164).
pub(super) const MAX_DIGITS: usize = 15;
/// Digits looked at: `00`, a trunk prefix and 15 digits fit; whatever is longer is no number.
const MAX_SCANNED: usize = 22;

/// An international number as plain digits (E.164 without `+`), 7 to 15 of them. `Debug` shows only the last four.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(u64);

impl E164 {
    /// The digits as one integer; no E.164 number begins with 0.
    pub fn get(self) -> u64 {
        self.0
    }

    pub(super) fn from_stored(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164(*{:04})", self.0 % 10_000)
    }
}

/// Normalises one number as written: digits with optional `+`, spaces, dashes, dots, brackets, or a leading `00`.
/// A number with a trunk prefix (or any national form) needs `region`.
pub fn normalise(written: &[u8], region: Option<&Region>) -> Result<E164, RejectReason> {
    let scan = scan(written)?;
    let digits = scan.digits();
    if scan.plus {
        return international(digits);
    }
    if let Some(rest) = digits.strip_prefix(b"00") {
        return international(rest);
    }
    match region {
        Some(region) => region.resolve(digits),
        None if digits.first() == Some(&b'0') => Err(RejectReason::NationalWithoutRegion),
        None => international(digits),
    }
}

/// Reads ASCII digits that begin with a country calling code.
pub(super) fn international(digits: &[u8]) -> Result<E164, RejectReason> {
    if digits.len() < MIN_DIGITS {
        return Err(RejectReason::TooShort);
    }
    if digits.len() > MAX_DIGITS {
        return Err(RejectReason::TooLong);
    }
    let value = value_of(digits);
    if !CALLING_CODES[usize::from(three(digits))] {
        return Err(RejectReason::UnknownCountryCode);
    }
    // North America and Russia/Kazakhstan have one length only; a national number that lost its 0 often begins with 1 or 7.
    match (digits[0], digits.len()) {
        (b'1' | b'7', ..=10) => Err(RejectReason::TooShort),
        (b'1' | b'7', 12..) => Err(RejectReason::TooLong),
        _ => Ok(E164(value)),
    }
}

/// The integer of up to 19 ASCII digits.
pub(super) fn value_of(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}

fn three(digits: &[u8]) -> u16 {
    digits[..3].iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'))
}

/// The digits of a written number.
struct Scan {
    plus: bool,
    len: usize,
    buffer: [u8; MAX_SCANNED],
}

impl Scan {
    fn digits(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    fn is_international(&self) -> bool {
        self.plus || self.digits().starts_with(b"00")
    }
}

fn scan(written: &[u8]) -> Result<Scan, RejectReason> {
    let mut scan = Scan { plus: false, len: 0, buffer: [0; MAX_SCANNED] };
    let mut dots = 0_u32;
    let mut at = 0;
    while let Some(&octet) = written.get(at) {
        at += 1;
        match octet {
            b'0'..=b'9' => {
                let slot = scan.buffer.get_mut(scan.len);
                *slot.ok_or(RejectReason::TooLong)? = octet;
                scan.len += 1;
            }
            b'+' if !scan.plus && scan.len == 0 => scan.plus = true,
            // "+49 (0) 170": the bracketed trunk prefix is dropped when dialled from abroad.
            b'(' if scan.len > 0 && scan.is_international() && written[at..].starts_with(b"0)") => at += 2,
            b' ' | b'\t' | b'-' | b'(' | b')' => {}
            b'.' => dots += 1,
            // A spreadsheet's mark for "this is text".
            b'\'' if scan.len == 0 => {}
            0x80.. => at += ignorable(&written[at - 1..])? - 1,
            _ => return Err(unexpected(octet, scan.len, &written[at..])),
        }
    }
    if scan.len == 0 {
        return Err(if written.trim_ascii().is_empty() {
            RejectReason::Empty
        } else {
            RejectReason::NotANumber
        });
    }
    if dots == 1 && written.trim_ascii_end().ends_with(b".0") {
        return Err(RejectReason::SpreadsheetNumber);
    }
    Ok(scan)
}

/// The length of the ignorable character that `rest` begins with: special spaces and dashes, direction marks.
fn ignorable(rest: &[u8]) -> Result<usize, RejectReason> {
    let head = &rest[..rest.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        None => Err(RejectReason::BadEncoding),
        Some(
            character @ ('\u{a0}'
            | '\u{ad}'
            | '\u{2000}'..='\u{2015}'
            | '\u{202a}'..='\u{202f}'
            | '\u{205f}'..='\u{2069}'
            | '\u{2212}'
            | '\u{3000}'
            | '\u{feff}'),
        ) => Ok(character.len_utf8()),
        Some('\u{80}'..='\u{9f}') => Err(RejectReason::ControlCharacter),
        Some(_) => Err(RejectReason::NotANumber),
    }
}

#[cold]
fn unexpected(octet: u8, digits_before: usize, rest: &[u8]) -> RejectReason {
    match octet {
        0..=0x1f | 0x7f => RejectReason::ControlCharacter,
        b'e' | b'E' if digits_before > 0 && is_exponent(rest) => RejectReason::SpreadsheetNumber,
        _ => RejectReason::NotANumber,
    }
}

fn is_exponent(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_end();
    let digits = rest.strip_prefix(b"+").unwrap_or(rest);
    matches!(digits.len(), 1..=2) && digits.iter().all(u8::is_ascii_digit)
}

/// Whether a three-digit beginning belongs to an assigned country calling code (ITU-T E.164, list of assigned codes,
/// global services included).
static CALLING_CODES: [bool; 1000] = calling_codes();

const fn calling_codes() -> [bool; 1000] {
    let mut known = [false; 1000];
    let one = [1, 7];
    let two = [
        20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57,
        58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
    ];
    let three = [
        (211, 213),
        (216, 216),
        (218, 218),
        (220, 258),
        (260, 269),
        (290, 291),
        (297, 299),
        (350, 359),
        (370, 383),
        (385, 387),
        (389, 389),
        (420, 421),
        (423, 423),
        (500, 509),
        (590, 599),
        (670, 670),
        (672, 683),
        (685, 692),
        (800, 800),
        (808, 808),
        (850, 850),
        (852, 853),
        (855, 856),
        (870, 870),
        (878, 878),
        (880, 883),
        (886, 886),
        (888, 888),
        (960, 968),
        (970, 977),
        (979, 979),
        (992, 998),
    ];
    let mut at = 0;
    while at < one.len() {
        fill(&mut known, one[at] * 100, one[at] * 100 + 99);
        at += 1;
    }
    at = 0;
    while at < two.len() {
        fill(&mut known, two[at] * 10, two[at] * 10 + 9);
        at += 1;
    }
    at = 0;
    while at < three.len() {
        fill(&mut known, three[at].0, three[at].1);
        at += 1;
    }
    known
}

const fn fill(known: &mut [bool; 1000], first: usize, last: usize) {
    let mut at = first;
    while at <= last {
        known[at] = true;
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn written_forms_become_digits_or_a_named_reason() {
        use RejectReason::*;
        let cases: &[(&str, Result<u64, RejectReason>)] = &[
            ("+49 170 1234567", Ok(491_701_234_567)),
            ("0049-170-1234567", Ok(491_701_234_567)),
            ("491701234567", Ok(491_701_234_567)),
            ("+49 (0) 170 / 1234567", Err(NotANumber)),
            ("+49 (0)170.123.45.67", Ok(491_701_234_567)),
            ("(+49) 170\u{a0}1234567", Ok(491_701_234_567)),
            ("\u{202a}+49 170 1234567\u{202c}", Ok(491_701_234_567)),
            ("'+491701234567", Ok(491_701_234_567)),
            ("+33 6.12.34.56.00", Ok(33_612_345_600)),
            ("+1 (202) 555-0123", Ok(12_025_550_123)),
            ("1701234567", Err(TooShort)),
            ("+4420", Err(TooShort)),
            ("+1234567890123456", Err(TooLong)),
            ("123456789012345678901234567890", Err(TooLong)),
            ("+2101234567", Err(UnknownCountryCode)),
            ("+0491701234567", Err(UnknownCountryCode)),
            ("01701234567", Err(NationalWithoutRegion)),
            ("", Err(Empty)),
            ("  \t", Err(Empty)),
            ("--", Err(NotANumber)),
            ("+", Err(NotANumber)),
            ("49+1701234567", Err(NotANumber)),
            ("anna@example.org", Err(NotANumber)),
            ("+4917012345é", Err(NotANumber)),
            ("4.91701E+11", Err(SpreadsheetNumber)),
            ("491701234567.0", Err(SpreadsheetNumber)),
            ("49170\u{0}1234567", Err(ControlCharacter)),
        ];
        for (written, wanted) in cases {
            let got = normalise(written.as_bytes(), None).map(E164::get);
            assert_eq!(got, *wanted, "{written:?}");
        }
        assert_eq!(normalise(b"+4917\xff01234567", None), Err(BadEncoding));
    }

    #[test]
    fn every_calling_code_of_the_metadata_is_known() {
        for code in 1..=999_u16 {
            if phonenumber::metadata::DATABASE.by_code(&code).is_some() {
                let padded = format!("{code}000000000");
                assert!(CALLING_CODES[usize::from(three(padded.as_bytes()))], "{code}");
            }
        }
    }

    #[test]
    fn debug_output_hides_all_but_four_digits() {
        assert_eq!(format!("{:?}", E164(491_701_234_567)), "E164(*4567)");
    }

    proptest! {
        #[test]
        fn a_normalised_number_normalises_to_itself(written in "[+0-9 ().-]{0,24}") {
            let region = Region::new("DE").unwrap();
            for region in [None, Some(&region)] {
                if let Ok(number) = normalise(written.as_bytes(), region) {
                    let again = format!("+{number}");
                    prop_assert_eq!(normalise(again.as_bytes(), region), Ok(number));
                    prop_assert_eq!(normalise(number.to_string().as_bytes(), None), Ok(number));
                }
            }
        }

        #[test]
        fn any_octets_are_judged_without_a_panic(written in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = normalise(&written, None);
        }
    }
}
