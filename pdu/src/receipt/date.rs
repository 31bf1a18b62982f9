//! Dates in receipts: `YYMMDDhhmm`, with seconds, or with a year of four digits.
//!
//! Receipts carry no zone: the caller knows the SMSC's. Calendars are not this crate's business, so that a
//! thirtieth of February is passed on.

/// A local date and time as the SMSC wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiptDate {
    /// Year, two digits on the wire are of this century.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 60, zero when not sent.
    pub second: u8,
}

impl ReceiptDate {
    /// Reads 10, 12 or 14 digits; `None` for anything else and for zeros.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let pair = |at: usize| match text.get(at..at + 2) {
            Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => Some((tens - b'0') * 10 + (ones - b'0')),
            _ => None,
        };
        let (century, at) = match text.len() {
            10 | 12 => (20, 0),
            14 => (pair(0)?, 2),
            _ => return None,
        };
        let date = Self {
            year: u16::from(century) * 100 + u16::from(pair(at)?),
            month: pair(at + 2)?,
            day: pair(at + 4)?,
            hour: pair(at + 6)?,
            minute: pair(at + 8)?,
            second: if text.len() == 10 { 0 } else { pair(at + 10)? },
        };
        let possible = (1..=12).contains(&date.month)
            && (1..=31).contains(&date.day)
            && date.hour < 24
            && date.minute < 60
            && date.second < 61;
        possible.then_some(date)
    }

    /// The ten digits `YYMMDDhhmm` of SMPP 3.4 appendix B.
    #[must_use]
    pub const fn digits(&self) -> [u8; 10] {
        let year = (self.year % 100) as u8;
        let pairs = [year, self.month, self.day, self.hour, self.minute];
        let mut digits = [b'0'; 10];
        let mut at = 0;
        while at < 5 {
            digits[at * 2] = b'0' + pairs[at] / 10 % 10;
            digits[at * 2 + 1] = b'0' + pairs[at] % 10;
            at += 1;
        }
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::ReceiptDate;

    #[test]
    fn three_lengths_are_read_and_one_is_written() {
        let date = ReceiptDate { year: 2024, month: 12, day: 31, hour: 23, minute: 59, second: 0 };
        assert_eq!(ReceiptDate::parse(b"2412312359"), Some(date));
        assert_eq!(date.digits(), *b"2412312359");
        let exact = ReceiptDate { second: 58, ..date };
        assert_eq!(ReceiptDate::parse(b"241231235958"), Some(exact));
        assert_eq!(ReceiptDate::parse(b"20241231235958"), Some(exact));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [&b""[..], b"0000000000", b"000000000000", b"2413312359", b"2412322359", b"2412312459"] {
            assert_eq!(ReceiptDate::parse(text), None);
        }
        for text in [&b"24123123595"[..], b"24-12-3123", b"241231235961", b"24123123 9", b"240012000000"] {
            assert_eq!(ReceiptDate::parse(text), None);
        }
    }
}
