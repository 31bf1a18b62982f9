//! Message ids: unique numbers and the shapes in which real SMSCs show them in responses and in receipts.
//!
//! A number is never issued twice by one simulator. The hexadecimal forms show it mixed by a bijection, so that
//! ids look random to an index and stay unique; the decimal forms show the running number itself.

/// Octets of the longest text form: `u64::MAX` in decimal.
const TEXT_MAX: usize = 20;

/// How a message id is written in the `submit_sm_resp` and how in the receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdForm {
    /// Sixteen lower-case hexadecimal digits in both.
    #[default]
    Hex,
    /// The running number in decimal in both.
    Decimal,
    /// Sixteen upper-case digits with leading zeros in the response, decimal without zeros in the receipt.
    PaddedHexThenDecimal,
    /// Lower-case digits in the response, upper-case without leading zeros in the receipt.
    HexThenUpperStripped,
}

impl std::str::FromStr for IdForm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hex" => Ok(Self::Hex),
            "decimal" => Ok(Self::Decimal),
            "padded-hex-then-decimal" => Ok(Self::PaddedHexThenDecimal),
            "hex-then-upper-stripped" => Ok(Self::HexThenUpperStripped),
            _ => Err(format!(
                "unknown message id form `{text}`: use hex, decimal, padded-hex-then-decimal or hex-then-upper-stripped"
            )),
        }
    }
}

/// The number behind a message id; the ledger and the tests compare this value, whatever the text looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// A short text without allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdText {
    octets: [u8; TEXT_MAX],
    from: usize,
    to: usize,
}

impl IdText {
    /// The characters.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.octets[self.from..self.to]
    }
}

impl MessageId {
    /// The id of the `number`th message under `form`.
    #[inline]
    pub(crate) fn issue(number: u64, form: IdForm) -> Self {
        match form {
            IdForm::Hex | IdForm::HexThenUpperStripped => Self(mix(number)),
            IdForm::Decimal | IdForm::PaddedHexThenDecimal => Self(number),
        }
    }

    /// The text in the `submit_sm_resp`.
    #[inline]
    pub(crate) fn in_response(self, form: IdForm) -> IdText {
        match form {
            IdForm::Hex | IdForm::HexThenUpperStripped => hex_text(self.0),
            IdForm::Decimal => decimal_text(self.0),
            IdForm::PaddedHexThenDecimal => upper(hex_text(self.0)),
        }
    }

    /// The text in the receipt.
    #[inline]
    pub(crate) fn in_receipt(self, form: IdForm) -> IdText {
        match form {
            IdForm::Hex => hex_text(self.0),
            IdForm::Decimal | IdForm::PaddedHexThenDecimal => decimal_text(self.0),
            IdForm::HexThenUpperStripped => stripped(upper(hex_text(self.0))),
        }
    }

    /// The text of the response as a `String`, for tests and reports.
    #[must_use]
    pub fn response_text(self, form: IdForm) -> String {
        String::from_utf8_lossy(self.in_response(form).as_bytes()).into_owned()
    }

    /// The text of the receipt as a `String`, for tests and reports.
    #[must_use]
    pub fn receipt_text(self, form: IdForm) -> String {
        String::from_utf8_lossy(self.in_receipt(form).as_bytes()).into_owned()
    }
}

/// The finaliser of `SplitMix64`: a bijection on 64 bits, so unique numbers stay unique.
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Sixteen lower-case hexadecimal digits, eight nibbles at a time.
#[inline]
pub(crate) fn hex_digits(value: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    digits[..8].copy_from_slice(&spread(value >> 32).to_be_bytes());
    digits[8..].copy_from_slice(&spread(value & 0xFFFF_FFFF).to_be_bytes());
    digits
}

/// Eight nibbles of the low half spread to eight ASCII digits.
#[inline]
fn spread(half: u64) -> u64 {
    let mut x = half;
    x = (x | (x << 16)) & 0x0000_FFFF_0000_FFFF;
    x = (x | (x << 8)) & 0x00FF_00FF_00FF_00FF;
    x = (x | (x << 4)) & 0x0F0F_0F0F_0F0F_0F0F;
    let letters = ((x + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    x + 0x3030_3030_3030_3030 + letters * 0x27
}

fn hex_text(value: u64) -> IdText {
    let mut octets = [0; TEXT_MAX];
    octets[..16].copy_from_slice(&hex_digits(value));
    IdText { octets, from: 0, to: 16 }
}

pub(crate) fn decimal_text(value: u64) -> IdText {
    let mut octets = [b'0'; TEXT_MAX];
    let mut rest = value;
    let mut from = TEXT_MAX;
    loop {
        from -= 1;
        octets[from] = b'0' + u8::try_from(rest % 10).expect("a remainder of ten is one digit");
        rest /= 10;
        if rest == 0 {
            return IdText { octets, from, to: TEXT_MAX };
        }
    }
}

fn upper(mut text: IdText) -> IdText {
    text.octets[text.from..text.to].make_ascii_uppercase();
    text
}

fn stripped(mut text: IdText) -> IdText {
    while text.from + 1 < text.to && text.octets[text.from] == b'0' {
        text.from += 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn hex_digits_equal_the_standard_formatter() {
        for value in [0, 1, 9, 10, 15, 16, 0xABCD_EF01_2345_6789, u64::MAX, mix(7)] {
            assert_eq!(hex_digits(value).as_slice(), format!("{value:016x}").as_bytes());
        }
    }

    #[test]
    fn each_form_shows_one_number_twice() {
        let id = MessageId::issue(0x00B8_BE19, IdForm::PaddedHexThenDecimal);
        assert_eq!(id.response_text(IdForm::PaddedHexThenDecimal), "0000000000B8BE19");
        assert_eq!(id.receipt_text(IdForm::PaddedHexThenDecimal), "12107289");
        assert_eq!(id.receipt_text(IdForm::HexThenUpperStripped), "B8BE19");
        assert_eq!(MessageId(0).receipt_text(IdForm::Decimal), "0");
        assert_eq!(MessageId(u64::MAX).receipt_text(IdForm::Decimal), u64::MAX.to_string());
    }

    #[test]
    fn ids_are_unique() {
        let ids: BTreeSet<_> = (0..100_000).map(|n| MessageId::issue(n, IdForm::Hex)).collect();
        assert_eq!(ids.len(), 100_000);
    }
}
