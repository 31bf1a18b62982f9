//! Message ids: one SMSC writes the same id differently in response and receipt.
//!
//! Ids are compared without case and leading zeros; per channel a form says whether the receipt's id is the
//! response's in another base. The key of a message is always the text of its response, folded. `PackedId` keeps
//! the usual ids exactly in nine octets.

/// How the id in a receipt relates to the id in the `submit_sm_resp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum MessageIdForm {
    /// The same but for case and leading zeros.
    #[default]
    AsIs,
    /// Hexadecimal in the response, decimal in the receipt.
    HexToDecimal,
    /// Decimal in the response, hexadecimal in the receipt.
    DecimalToHex,
    /// Not known: as it is first, then both conversions.
    Auto,
}

/// An id without leading zeros and surrounding spaces; case is ignored by comparison and hash.
#[derive(Clone, Copy)]
pub struct FoldedId<'a> {
    text: Folded<'a>,
}

#[derive(Clone, Copy)]
enum Folded<'a> {
    Borrowed(&'a [u8]),
    Converted(IdText),
}

/// The text of an id of at most twenty octets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdText {
    octets: [u8; 20],
    len: u8,
}

impl IdText {
    /// The octets of the text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// `value` in `BASE` (10 or 16, lower case), filled up with zeros to `width` digits of at most twenty.
    fn digits<const BASE: u64>(value: u64, width: usize) -> Self {
        let mut octets = [b'0'; 20];
        let (mut at, mut rest) = (20, value);
        while rest != 0 {
            at -= 1;
            octets[at] = b"0123456789abcdef"[usize::try_from(rest % BASE).expect("a digit is below 16")];
            rest /= BASE;
        }
        let from = at.min(20 - width.min(20));
        octets.copy_within(from.., 0);
        Self { octets, len: u8::try_from(20 - from).expect("at most twenty digits") }
    }
}

impl core::fmt::Debug for IdText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl<'a> FoldedId<'a> {
    /// Folds the id of a response, which makes it the key of its message.
    #[inline]
    #[must_use]
    pub fn new(id: &'a [u8]) -> Self {
        let id = id.trim_ascii();
        let zeros = id.iter().take_while(|octet| **octet == b'0').count();
        let text = if zeros == id.len() { &id[zeros.saturating_sub(1)..] } else { &id[zeros..] };
        Self { text: Folded::Borrowed(text) }
    }

    const fn converted(text: IdText) -> Self {
        Self { text: Folded::Converted(text) }
    }

    /// The folded text; its case is as it came.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.text {
            Folded::Borrowed(text) => text,
            Folded::Converted(text) => text.as_bytes(),
        }
    }

    /// Whether there is no id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl PartialEq for FoldedId<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().eq_ignore_ascii_case(other.as_bytes())
    }
}

impl Eq for FoldedId<'_> {}

impl core::fmt::Debug for FoldedId<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl MessageIdForm {
    /// The keys under which the message of a receipt may be found, most likely first, at most three.
    ///
    /// Conversions cover values up to 2^64 - 1; an id that cannot be converted is looked up as it is. More than
    /// one hit under `Auto` is ambiguous.
    #[inline]
    #[must_use]
    pub fn receipt_keys(self, id: &[u8]) -> ReceiptKeys<'_> {
        let folded = FoldedId::new(id);
        let text = folded.as_bytes();
        let in_hex = || decimal(text).map(|value| FoldedId::converted(IdText::digits::<16>(value, 1)));
        let in_decimal =
            || hexadecimal(text).map(|value| FoldedId::converted(IdText::digits::<10>(value, 1)));
        let keys = match self {
            Self::AsIs => [Some(folded), None, None],
            Self::HexToDecimal => [Some(in_hex().unwrap_or(folded)), None, None],
            Self::DecimalToHex => [Some(in_decimal().unwrap_or(folded)), None, None],
            Self::Auto => {
                let other = |key: Option<FoldedId<'static>>| key.filter(|key| *key != folded);
                [Some(folded), other(in_hex()), other(in_decimal())]
            }
        };
        ReceiptKeys { keys, next: 0 }
    }
}

/// Iterator over keys, made by [`MessageIdForm::receipt_keys`].
#[derive(Clone, Copy, Debug)]
pub struct ReceiptKeys<'a> {
    keys: [Option<FoldedId<'a>>; 3],
    next: usize,
}

impl<'a> Iterator for ReceiptKeys<'a> {
    type Item = FoldedId<'a>;

    #[inline]
    fn next(&mut self) -> Option<FoldedId<'a>> {
        while let Some(key) = self.keys.get(self.next) {
            self.next += 1;
            if key.is_some() {
                return *key;
            }
        }
        None
    }
}

/// A 64-bit hash of an id, equal for equal ids, on every machine and in every run.
///
/// Not keyed: it must not index a table that a hostile peer can fill with chosen ids without bound.
#[inline]
#[must_use]
pub fn id_hash(id: &FoldedId<'_>) -> u64 {
    const K: [u64; 3] = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93, 0xA076_1D64_78BD_642F];
    let text = id.as_bytes();
    let mut hash = K[0] ^ text.len() as u64;
    let mut rest = text;
    while let Some((eight, tail)) = rest.split_first_chunk::<8>() {
        hash = fold(lower(u64::from_le_bytes(*eight)) ^ K[1], hash ^ K[2]);
        rest = tail;
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |word, octet| (word << 8) | u64::from(*octet));
        hash = fold(lower(last) ^ K[1], hash ^ K[2]);
    }
    fold(hash ^ K[1], K[2])
}

/// Both halves of the 128-bit product.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let low = product as u64;
    low ^ (product >> 64) as u64
}

/// Eight octets in ASCII lower case at once.
#[inline]
const fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low7 = word & (0x7F * ONES);
    let from_a = low7 + (0x80 - b'A' as u64) * ONES;
    let above_z = low7 + (0x7F - b'Z' as u64) * ONES;
    let upper = (from_a ^ above_z) & !word & (0x80 * ONES);
    word | (upper >> 2)
}

/// An id in a tag octet and 64 bits, restored octet for octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackedId {
    tag: u8,
    value: u64,
}

const DECIMAL: u8 = 1 << 5;
const LOWER_HEX: u8 = 2 << 5;
const UPPER_HEX: u8 = 3 << 5;
const WIDTH: u8 = 0x1F;

/// In [`DIGITS`]: a lower-case letter, an upper-case one, no hexadecimal digit at all.
const LOWER: u8 = 0x10;
const UPPER: u8 = 0x20;
const NO_DIGIT: u8 = 0x80;

/// The value of each octet as a hexadecimal digit, with its class.
const DIGITS: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        table[digit as usize] = if value < 10 { value } else { value | LOWER };
        if value >= 10 {
            table[digit.to_ascii_uppercase() as usize] = value | UPPER;
        }
        value += 1;
    }
    table
};

impl PackedId {
    /// Packs 1 to 19 decimal digits or 1 to 16 hexadecimal digits of one case; `None` for every other id.
    #[inline]
    #[must_use]
    pub fn pack(id: &[u8]) -> Option<Self> {
        let width = u8::try_from(id.len()).ok().filter(|width| (1..=19).contains(width))?;
        let (mut seen, mut value) = (0, 0_u64);
        for octet in id {
            let digit = DIGITS[usize::from(*octet)];
            seen |= digit;
            value = (value << 4) | u64::from(digit & 0x0F);
        }
        match seen & (NO_DIGIT | LOWER | UPPER) {
            0 => decimal(id).map(|value| Self { tag: DECIMAL | width, value }),
            LOWER if width <= 16 => Some(Self { tag: LOWER_HEX | width, value }),
            UPPER if width <= 16 => Some(Self { tag: UPPER_HEX | width, value }),
            _ => None,
        }
    }

    /// Restores an id from its parts; `None` if no id has them.
    #[inline]
    #[must_use]
    pub fn from_parts(tag: u8, value: u64) -> Option<Self> {
        const ONES: u64 = 0x1111_1111_1111_1111;
        let width = u32::from(tag & WIDTH);
        let possible = match tag & !WIDTH {
            DECIMAL => (1..=19).contains(&width) && value < 10_u64.pow(width.min(19)),
            // Without a digit above nine it would have been packed as a decimal.
            LOWER_HEX | UPPER_HEX => {
                (1..=16).contains(&width)
                    && value.checked_shr(4 * width).unwrap_or(0) == 0
                    && (value >> 3) & ((value >> 2) | (value >> 1)) & ONES != 0
            }
            _ => false,
        };
        possible.then_some(Self { tag, value })
    }

    /// Kind and width, never zero, so that zero may mark an id that is stored raw.
    #[inline]
    #[must_use]
    pub const fn tag(&self) -> u8 {
        self.tag
    }

    /// The number that the digits make.
    #[inline]
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// The id as it was.
    #[must_use]
    pub fn text(&self) -> IdText {
        let width = usize::from(self.tag & WIDTH);
        if self.tag & !WIDTH == DECIMAL {
            return IdText::digits::<10>(self.value, width);
        }
        let mut text = IdText::digits::<16>(self.value, width);
        if self.tag & !WIDTH == UPPER_HEX {
            text.octets.make_ascii_uppercase();
        }
        text
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0_u64, |value, octet| {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    let (mut seen, mut value) = (0, 0_u64);
    for octet in text {
        let digit = DIGITS[usize::from(*octet)];
        seen |= digit;
        value = (value << 4) | u64::from(digit & 0x0F);
    }
    (seen & NO_DIGIT == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn hash(id: &str) -> u64 {
        id_hash(&FoldedId::new(id.as_bytes()))
    }

    fn keys(form: MessageIdForm, id: &str) -> Vec<String> {
        form.receipt_keys(id.as_bytes())
            .map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned())
            .collect()
    }

    #[test]
    fn case_leading_zeros_and_spaces_do_not_matter() {
        for same in ["00B8BE19", "b8be19", "B8BE19", " b8be19 ", "0b8Be19"] {
            assert_eq!(hash(same), hash("B8BE19"), "{same:?}");
            assert_eq!(FoldedId::new(same.as_bytes()), FoldedId::new(b"b8be19"));
        }
        assert_eq!(hash("0221067780"), hash("221067780"));
        assert_eq!(hash("0"), hash("0000"));
        let uuid = "6c7c7de2-8bb3-e961-9477-00000000fe37";
        assert_eq!(hash(uuid), hash(&uuid.to_uppercase()));
        for other in ["b8be1", "b8be19 1", "b8be18", "", "0", "b8be19\0", "[8be19"] {
            assert_ne!(hash(other), hash("b8be19"), "{other:?}");
        }
        assert!(FoldedId::new(b"  ").is_empty());
    }

    #[test]
    fn the_hash_never_changes() {
        // Stored with journals: a change here needs a migration.
        assert_eq!(
            [hash(""), hash("b8be19"), hash("1234567890123456789")],
            [8_919_650_308_505_948_816, 13_777_308_733_119_983_580, 5_129_692_436_265_440_816]
        );
    }

    #[test]
    fn lower_case_of_eight_octets_is_that_of_each() {
        for octet in 0..=255_u8 {
            let word = u64::from_le_bytes([octet, b'Z', octet, b'a', octet, 0, 0xFF, octet]);
            let each = word.to_le_bytes().map(|octet| octet.to_ascii_lowercase());
            assert_eq!(lower(word).to_le_bytes(), each);
        }
    }

    #[test]
    fn a_form_finds_the_response_of_a_receipt_in_another_base() {
        assert_eq!(keys(MessageIdForm::AsIs, "00B8BE19"), ["B8BE19"]);
        assert_eq!(keys(MessageIdForm::HexToDecimal, "012107289"), ["b8be19"]);
        assert_eq!(keys(MessageIdForm::DecimalToHex, "00B8BE19"), ["12107289"]);
        let found = MessageIdForm::HexToDecimal.receipt_keys(b"12107289").next().unwrap();
        assert_eq!(id_hash(&found), hash("00B8BE19"));
        assert_eq!(keys(MessageIdForm::HexToDecimal, "18446744073709551615"), ["ffffffffffffffff"]);
        assert_eq!(keys(MessageIdForm::DecimalToHex, "ffffffffffffffff"), ["18446744073709551615"]);
    }

    #[test]
    fn what_cannot_be_converted_is_looked_up_as_it_is() {
        assert_eq!(keys(MessageIdForm::HexToDecimal, "b8be19"), ["b8be19"]);
        assert_eq!(keys(MessageIdForm::HexToDecimal, "18446744073709551616"), ["18446744073709551616"]);
        assert_eq!(keys(MessageIdForm::DecimalToHex, "xyz"), ["xyz"]);
        assert_eq!(keys(MessageIdForm::DecimalToHex, "10000000000000000"), ["10000000000000000"]);
        assert_eq!(keys(MessageIdForm::Auto, ""), [""]);
    }

    #[test]
    fn auto_tries_every_reading_once() {
        assert_eq!(keys(MessageIdForm::Auto, "12107289"), ["12107289", "b8be19", "303067785"]);
        assert_eq!(keys(MessageIdForm::Auto, "B8BE19"), ["B8BE19", "12107289"]);
        assert_eq!(keys(MessageIdForm::Auto, "7"), ["7"]);
        assert_eq!(keys(MessageIdForm::Auto, "m-1"), ["m-1"]);
    }

    #[test]
    fn packed_ids_come_back_octet_for_octet() {
        for id in [
            "0",
            "000",
            "7",
            "00B8BE19",
            "00b8be19",
            "b8be19",
            "0221067780",
            "9999999999999999999",
            "0000000000000000000",
            "FFFFFFFFFFFFFFFF",
            "000000000000000f",
            "1234567890123456",
        ] {
            let packed = PackedId::pack(id.as_bytes()).unwrap();
            assert_eq!(packed.text().as_bytes(), id.as_bytes());
            assert_ne!(packed.tag(), 0);
            assert_eq!(PackedId::from_parts(packed.tag(), packed.value()), Some(packed));
        }
        for id in ["", "00b8BE19", "12345678901234567890", "a0000000000000000", "m1", "-1", "1 ", "+1", "é"]
        {
            assert_eq!(PackedId::pack(id.as_bytes()), None, "{id:?}");
        }
    }

    #[test]
    fn parts_of_no_id_are_refused() {
        assert_eq!(PackedId::from_parts(0, 0), None);
        assert_eq!(PackedId::from_parts(DECIMAL | 2, 100), None);
        assert_eq!(PackedId::from_parts(LOWER_HEX | 4, 0x1234), None);
        assert_eq!(PackedId::from_parts(UPPER_HEX | 17, 0xA), None);
        for tag in 0..=255 {
            for value in [0, 9, 0xA, 99, u64::MAX] {
                if let Some(id) = PackedId::from_parts(tag, value) {
                    assert_eq!(PackedId::pack(id.text().as_bytes()), Some(id));
                }
            }
        }
    }
}
