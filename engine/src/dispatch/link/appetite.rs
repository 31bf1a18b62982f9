//! How much a link may hold: about what its bind can send in a second, as its answers tell.
//!
//! A bind that sends fast never waits for supply; one whose channel is slow or held leaves the work to others. It
//! counts answers in spans of a second of the caller's clock, grows at once when the link runs dry, and shrinks span
//! by span. That nobody has anything for it is no reason to shrink.

/// Units a second that a new bind is taken for, until its answers tell.
const FIRST_PER_S: u32 = 64;
/// Least after it ran dry: from one unit up it would take too many turns.
const LEAST_GROWN: u32 = 16;
/// Units a second beyond which nothing changes any more.
const MOST_PER_S: u32 = 1 << 20;
/// It shrinks to this part of what it was at most in a span: a bind that only paused is soon what it was.
const SHRINK: u32 = 8;
/// Over what answers are counted.
const SPAN_US: u64 = 1_000_000;

/// What a finished span says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// There is nothing to do.
    Fine,
    /// The link may hold less than before.
    Smaller,
    /// It held units and got no answer at all.
    Stalled,
}

/// The measure of one bind.
#[derive(Debug)]
pub(crate) struct Appetite {
    per_s: u32,
    answers: u32,
    begun_us: u64,
    /// Whether units came or became durable since it grew last: running dry without them says nothing of the bind.
    is_fed: bool,
    ran_dry: bool,
}

impl Appetite {
    pub(crate) fn new() -> Self {
        Self { per_s: FIRST_PER_S, answers: 0, begun_us: 0, is_fed: false, ran_dry: false }
    }

    /// Units a second that it is worth, at least 1.
    pub(crate) fn per_s(&self) -> u32 {
        self.per_s
    }

    /// Answers that settled their units.
    pub(crate) fn answered(&mut self, units: u32) {
        self.answers = self.answers.saturating_add(units);
    }

    /// Units came from a campaign or became durable.
    pub(crate) fn fed(&mut self) {
        self.is_fed = true;
    }

    /// The window has room, no rate holds the link, and there is nothing to send.
    pub(crate) fn dry(&mut self) {
        self.ran_dry = true;
        if std::mem::take(&mut self.is_fed) {
            self.per_s = self.per_s.saturating_mul(2).clamp(LEAST_GROWN, MOST_PER_S);
        }
    }

    /// Looks whether a span is over; `is_holding` tells whether the link has units that it could not send.
    pub(crate) fn tick(&mut self, now_us: u64, is_holding: bool) -> Span {
        if self.begun_us == 0 || (!is_holding && self.answers == 0) {
            self.begun_us = now_us.max(1);
        }
        let took_us = now_us - self.begun_us;
        if took_us < SPAN_US {
            return Span::Fine;
        }
        let measured = u64::from(self.answers) * 1_000_000 / took_us;
        let measured = u32::try_from(measured).unwrap_or(MOST_PER_S).clamp(1, MOST_PER_S);
        let before = self.per_s;
        let is_slow = is_holding && !self.ran_dry;
        self.per_s = match measured > before {
            true => measured,
            false if is_slow => measured.max(before / SHRINK).max(1),
            false => before,
        };
        let stalled = is_slow && self.answers == 0;
        (self.answers, self.begun_us, self.ran_dry) = (0, now_us, false);
        match (stalled, self.per_s < before) {
            (true, _) => Span::Stalled,
            (false, true) => Span::Smaller,
            (false, false) => Span::Fine,
        }
    }

    /// When the present span is over.
    pub(crate) fn next_tick(&self) -> u64 {
        self.begun_us + SPAN_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_bind_shrinks_to_what_it_sends_and_a_fast_one_grows_at_once() {
        let mut appetite = Appetite::new();
        assert_eq!(appetite.tick(5, true), Span::Fine);
        for second in 1..10 {
            appetite.answered(10);
            appetite.tick(5 + second * SPAN_US, true);
        }
        assert_eq!(appetite.per_s(), 10);
        appetite.fed();
        appetite.dry();
        assert_eq!(appetite.per_s(), 20);
        appetite.dry();
        assert_eq!(appetite.per_s(), 20, "dry without supply says nothing");
        appetite.answered(5_000);
        assert_eq!(appetite.tick(5 + 10 * SPAN_US, true), Span::Fine);
        assert_eq!(appetite.per_s(), 5_000);
    }

    #[test]
    fn idling_keeps_the_measure_and_silence_is_a_stall() {
        let mut appetite = Appetite::new();
        appetite.tick(1, false);
        for second in 1..10 {
            assert_eq!(appetite.tick(1 + second * SPAN_US, false), Span::Fine);
        }
        assert_eq!((appetite.per_s(), appetite.next_tick()), (FIRST_PER_S, 1 + 10 * SPAN_US));
        assert_eq!(appetite.tick(1 + 10 * SPAN_US, true), Span::Stalled);
        for second in 11..30 {
            appetite.tick(1 + second * SPAN_US, true);
        }
        assert_eq!(appetite.per_s(), 1);
    }
}
