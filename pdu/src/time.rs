//! Times in `schedule_delivery_time`, `validity_period` and `final_date`: `YYMMDDhhmmsstnnp`.
//!
//! Sixteen characters, absolute with an offset from UTC in quarter hours, or relative to the SMSC's clock (`R`).
//! SMPP 3.4 section 7.1.1, SMPP 5.0 section 4.7.23. Calendars are the caller's business.

/// A time on the wire; two-digit fields as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SmppTime {
    /// Year (of this century if absolute), month, day, hour, minute, second.
    pub fields: [u8; 6],
    /// Tenths of a second, 0 to 9; 0 if relative.
    pub tenths: u8,
    /// Offset from UTC in quarter hours, -48 to 48; `None` if relative.
    pub offset_quarters: Option<i8>,
}

/// Longest relative time that needs no month, whose length is the SMSC's guess: 31 days and 23:59:59.
pub const RELATIVE_MAX_S: u32 = 32 * 86_400 - 1;

impl SmppTime {
    /// So many seconds from now, `None` above [`RELATIVE_MAX_S`].
    #[must_use]
    pub fn relative(seconds: u32) -> Option<Self> {
        if seconds > RELATIVE_MAX_S {
            return None;
        }
        let parts = [0, 0, seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
        let fields = parts.map(|part| u8::try_from(part).expect("at most 59"));
        Some(Self { fields, tenths: 0, offset_quarters: None })
    }

    /// Reads sixteen characters, with their NUL taken off; `None` for anything impossible.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; 16] = text.try_into().ok()?;
        let digits = &text[..15];
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let pair = |at: usize| (digits[at] - b'0') * 10 + (digits[at + 1] - b'0');
        let fields = [pair(0), pair(2), pair(4), pair(6), pair(8), pair(10)];
        let quarters = i8::try_from(pair(13)).ok().filter(|quarters| *quarters <= 48)?;
        let offset_quarters = match text[15] {
            b'+' => Some(quarters),
            b'-' => Some(-quarters),
            b'R' => None,
            _ => return None,
        };
        let [_, month, day, hour, minute, second] = fields;
        let clock = hour < 24 && minute < 60 && second < 61;
        let date = (1..=12).contains(&month) && (1..=31).contains(&day);
        let possible = offset_quarters.is_none() || clock && date;
        possible.then_some(Self { fields, tenths: digits[12] - b'0', offset_quarters })
    }

    /// The sixteen characters, without NUL; fields above 99 are taken modulo 100.
    #[must_use]
    pub fn text(&self) -> [u8; 16] {
        let mut text = [b'0'; 16];
        let mut put = |at: usize, value: u8| {
            text[at] = b'0' + value / 10 % 10;
            text[at + 1] = b'0' + value % 10;
        };
        for (n, field) in self.fields.into_iter().enumerate() {
            put(n * 2, field);
        }
        put(13, self.offset_quarters.map_or(0, i8::unsigned_abs));
        text[12] = b'0' + self.tenths % 10;
        text[15] = match self.offset_quarters {
            None => b'R',
            Some(quarters) if quarters < 0 => b'-',
            Some(_) => b'+',
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times_are_written_in_days_and_less() {
        for (seconds, text) in [
            (0, b"000000000000000R"),
            (90, b"000000000130000R"),
            (86_400, b"000001000000000R"),
            (7 * 86_400 + 3_661, b"000007010101000R"),
            (RELATIVE_MAX_S, b"000031235959000R"),
        ] {
            let time = SmppTime::relative(seconds);
            assert_eq!(time.map(|time| time.text()), Some(*text));
            assert_eq!(SmppTime::parse(text), time);
        }
        assert_eq!(SmppTime::relative(RELATIVE_MAX_S + 1), None);
    }

    #[test]
    fn absolute_times_come_back_with_their_offset() {
        for text in [b"240102030405000+", b"991231235960908-", b"240229000000048+", b"240229000000123+"] {
            let time = SmppTime::parse(text);
            assert_eq!(time.map(|time| time.text()), Some(*text));
            assert!(time.is_some_and(|time| time.offset_quarters.is_some()));
        }
        let east = SmppTime::parse(b"240102030405608+");
        assert_eq!(east.map(|time| (time.tenths, time.offset_quarters)), Some((6, Some(8))));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            &b""[..],
            b"240101",
            b"240102030405000",
            b"240102030405000Z",
            b"24010203040500 +",
            b"241302030405000+",
            b"240132030405000+",
            b"240102240405000+",
            b"240102030405049+",
            b"2401020304050000+",
        ] {
            assert_eq!(SmppTime::parse(text), None, "{}", text.escape_ascii());
        }
    }
}
