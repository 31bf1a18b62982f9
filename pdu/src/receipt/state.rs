//! What became of a message: the states of SMPP and the many ways in which receipts write them.
//!
//! SMPP 3.4 section 5.2.28 and appendix B, SMPP 5.0 section 4.7.15.

/// State of a message at the SMSC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageState {
    /// Waits for its time (SMPP 5.0), code 0.
    Scheduled,
    /// On its way, code 1; also `BUFFERD`.
    Enroute,
    /// Delivered, code 2.
    Delivered,
    /// Validity ended, code 3.
    Expired,
    /// Deleted at the SMSC, code 4.
    Deleted,
    /// Cannot be delivered, code 5; also `FAILED`.
    Undeliverable,
    /// Accepted, code 6; also `ACKED`.
    Accepted,
    /// The SMSC does not know, code 7.
    Unknown,
    /// Rejected, code 8.
    Rejected,
    /// Skipped (SMPP 5.0), code 9.
    Skipped,
    /// A state that no specification has, or none at all.
    Unrecognised,
}

impl MessageState {
    /// The ten states of the specification, by code.
    pub const ALL: [Self; 10] = [
        Self::Scheduled,
        Self::Enroute,
        Self::Delivered,
        Self::Expired,
        Self::Deleted,
        Self::Undeliverable,
        Self::Accepted,
        Self::Unknown,
        Self::Rejected,
        Self::Skipped,
    ];

    /// The state of a `message_state` octet.
    #[inline]
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        if code < 10 { Self::ALL[code as usize] } else { Self::Unrecognised }
    }

    /// The `message_state` octet, `None` for `Unrecognised`.
    #[must_use]
    pub const fn code(self) -> Option<u8> {
        match self {
            Self::Unrecognised => None,
            known => Some(known as u8),
        }
    }

    /// The state of a `stat:` field: any case, full words, seven-letter forms and single digits.
    #[inline]
    #[must_use]
    pub fn from_text(text: &[u8]) -> Self {
        if text == b"DELIVRD" {
            return Self::Delivered;
        }
        match &upper8(text) {
            b"DELIVRD\0" | b"DELIVERE" | b"DELIVERD" | b"DELIVRED" => Self::Delivered,
            b"UNDELIV\0" | b"UNDELIVE" | b"UNDELIVR" | b"UNDELVRD" => Self::Undeliverable,
            b"FAILED\0\0" | b"FAILURE\0" | b"FAIL\0\0\0\0" | b"ERROR\0\0\0" => Self::Undeliverable,
            b"EXPIRED\0" | b"EXPIRD\0\0" => Self::Expired,
            b"DELETED\0" | b"DELETD\0\0" => Self::Deleted,
            b"REJECTD\0" | b"REJECTED" | b"REJECT\0\0" => Self::Rejected,
            b"ACCEPTD\0" | b"ACCEPTED" | b"ACKED\0\0\0" => Self::Accepted,
            b"ENROUTE\0" | b"EN_ROUTE" | b"BUFFERD\0" | b"BUFFERED" => Self::Enroute,
            b"UNKNOWN\0" | b"UNKNOWND" | b"UNKNWN\0\0" => Self::Unknown,
            b"SCHEDULE" | b"SCHEDLD\0" | b"SCHEDUL\0" => Self::Scheduled,
            b"SKIPPED\0" | b"SKIPPD\0\0" => Self::Skipped,
            [digit @ b'0'..=b'9', 0, ..] => Self::from_code(*digit - b'0'),
            _ => Self::Unrecognised,
        }
    }

    /// The form used in receipts, seven letters but for the states of SMPP 5.0.
    #[must_use]
    pub const fn as_text(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown | Self::Unrecognised => "UNKNOWN",
            Self::Rejected => "REJECTD",
            Self::Skipped => "SKIPPED",
        }
    }

    /// Whether no other state will follow.
    ///
    /// `Accepted` counts as intermediate: the specification calls it final (read by customer service), but
    /// gateways use it for "taken by the next hop" and send `DELIVRD` later.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Delivered
            | Self::Expired
            | Self::Deleted
            | Self::Undeliverable
            | Self::Unknown
            | Self::Rejected
            | Self::Skipped => true,
            Self::Scheduled | Self::Enroute | Self::Accepted | Self::Unrecognised => false,
        }
    }
}

/// The first eight octets in upper case, filled up with NULs.
#[inline]
fn upper8(text: &[u8]) -> [u8; 8] {
    let mut upper = [0; 8];
    for (to, from) in upper.iter_mut().zip(text) {
        *to = from.to_ascii_uppercase();
    }
    upper
}

#[cfg(test)]
mod tests {
    use super::MessageState::{self, *};

    #[test]
    fn every_code_has_its_state() {
        for (code, state) in (0..).zip(MessageState::ALL) {
            assert_eq!(MessageState::from_code(code), state);
            assert_eq!(state.code(), Some(code));
            assert_eq!(MessageState::from_text(state.as_text().as_bytes()), state);
            assert_eq!(MessageState::from_text(code.to_string().as_bytes()), state);
        }
        assert!((10..=255).all(|code| MessageState::from_code(code) == Unrecognised));
        assert_eq!(Unrecognised.code(), None);
    }

    #[test]
    fn every_spelling_seen_in_the_wild_is_read_in_any_case() {
        for (text, state) in [
            ("DELIVRD", Delivered),
            ("DELIVERED", Delivered),
            ("EXPIRED", Expired),
            ("DELETED", Deleted),
            ("UNDELIV", Undeliverable),
            ("UNDELIVERABLE", Undeliverable),
            ("UNDELIVERED", Undeliverable),
            ("FAILED", Undeliverable),
            ("UNKNOWN", Unknown),
            ("ACCEPTD", Accepted),
            ("ACCEPTED", Accepted),
            ("ACKED", Accepted),
            ("REJECTD", Rejected),
            ("REJECTED", Rejected),
            ("BUFFERD", Enroute),
            ("BUFFERED", Enroute),
            ("ENROUTE", Enroute),
            ("SCHEDULED", Scheduled),
            ("SKIPPED", Skipped),
            ("", Unrecognised),
            ("QUEUED", Unrecognised),
            ("22", Unrecognised),
        ] {
            assert_eq!(MessageState::from_text(text.as_bytes()), state, "{text}");
            assert_eq!(MessageState::from_text(text.to_lowercase().as_bytes()), state, "{text}");
        }
    }

    #[test]
    fn four_states_are_not_final() {
        let open: Vec<_> = MessageState::ALL.into_iter().filter(|state| !state.is_final()).collect();
        assert_eq!(open, [Scheduled, Enroute, Accepted]);
        assert!(!Unrecognised.is_final());
    }
}
