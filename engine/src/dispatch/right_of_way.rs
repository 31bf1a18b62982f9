//! The right of way at a rate that several links share: whoever waits with a one-time code goes first.
//!
//! Links that lack a token say so. Those without codes let codes pass; for every [`OTP_RUN`] codes that passed, one
//! unit of the others has the right of way. Counters only, no lock and no clock; with one thread for all
//! links it is exact, with several it is off by what they take at the same moment.

use crate::dispatch::lanes::OTP_RUN;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Units of the others that may be owed at most: a second of codes alone must not end in a burst of the rest.
const MAX_OWED: u32 = 16 * OTP_RUN;

/// Whose unit waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// A one-time code.
    Code,
    /// Anything else.
    Other,
}

/// Who waits, and what is owed to the others.
#[derive(Debug, Default)]
pub(crate) struct RightOfWay {
    codes: AtomicU32,
    others: AtomicU32,
    owed: AtomicU32,
}

impl RightOfWay {
    /// A link waits for a token.
    pub(crate) fn claim(&self, waiting: Waiting) {
        self.count(waiting).fetch_add(1, Relaxed);
    }

    /// It has got one, or does not wait any more.
    pub(crate) fn release(&self, waiting: Waiting) {
        self.count(waiting).fetch_sub(1, Relaxed);
    }

    fn count(&self, waiting: Waiting) -> &AtomicU32 {
        match waiting {
            Waiting::Code => &self.codes,
            Waiting::Other => &self.others,
        }
    }

    /// Codes that passed.
    pub(crate) fn passed(&self, codes: u32) {
        if self.owed.load(Relaxed) < MAX_OWED {
            self.owed.fetch_add(codes.min(MAX_OWED), Relaxed);
        }
    }

    /// How many of `want` units may go now.
    pub(crate) fn lets(&self, waiting: Waiting, want: u32) -> u32 {
        let owed = || self.owed.load(Relaxed) / OTP_RUN;
        match waiting {
            Waiting::Code if self.others.load(Relaxed) > 0 && owed() > 0 => 0,
            Waiting::Other if self.codes.load(Relaxed) > 0 => want.min(owed()),
            Waiting::Code | Waiting::Other => want,
        }
    }

    /// So many other units went.
    pub(crate) fn went(&self, units: u32) {
        let paid = units.saturating_mul(OTP_RUN);
        if self.owed.load(Relaxed) > 0 {
            self.owed.update(Relaxed, Relaxed, |owed| owed.saturating_sub(paid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_wait_while_a_code_waits_but_for_every_tenth_unit() {
        let way = RightOfWay::default();
        let lets = |w: &RightOfWay| (w.lets(Waiting::Code, 50), w.lets(Waiting::Other, 50));
        assert_eq!(lets(&way), (50, 50));
        way.claim(Waiting::Code);
        assert_eq!(lets(&way), (50, 0));
        way.passed(OTP_RUN * 2 + 1);
        assert_eq!(lets(&way), (50, 2));
        way.claim(Waiting::Other);
        assert_eq!(lets(&way), (0, 2), "now it is the others' turn");
        way.went(1);
        assert_eq!(lets(&way), (0, 1));
        way.went(1);
        assert_eq!(lets(&way), (50, 0));
        way.release(Waiting::Code);
        way.release(Waiting::Other);
        assert_eq!(lets(&way), (50, 50));
        way.claim(Waiting::Code);
        way.passed(1_000_000);
        way.passed(1_000_000);
        assert!(lets(&way).1 <= 2 * MAX_OWED / OTP_RUN, "what is owed is bounded");
    }
}
