//! Rings of turns: members in turn order, any of which comes and goes at the same small cost.
//!
//! Many rings share one arena of seats, since a member sits in one ring at a time. A ring never allocates but for the
//! first seat of a member, and knows nothing of what its members do with their turns.

/// No member.
const NONE: u32 = u32::MAX;

/// The seats of all members that could sit in rings of one kind, by member.
#[derive(Default)]
pub(crate) struct Seats(Vec<Seat>);

#[derive(Clone, Copy)]
struct Seat {
    before: u32,
    behind: u32,
}

const EMPTY: Seat = Seat { before: NONE, behind: NONE };

/// Whose turn it is; the others follow in the arena.
pub(crate) struct Ring {
    current: u32,
    len: u32,
}

impl Default for Ring {
    fn default() -> Self {
        Self { current: NONE, len: 0 }
    }
}

impl Ring {
    /// Whose turn it is.
    pub(crate) fn current(&self) -> Option<u32> {
        (self.len > 0).then_some(self.current)
    }

    /// Members.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }
}

impl Seats {
    pub(crate) fn is_seated(&self, member: u32) -> bool {
        self.0.get(member as usize).is_some_and(|seat| seat.behind != NONE)
    }

    /// Seats a member that sits nowhere just before the current one, which is last in turn.
    pub(crate) fn seat_last(&mut self, ring: &mut Ring, member: u32) {
        let at = member as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, EMPTY);
        }
        if ring.len == 0 {
            self.0[at] = Seat { before: member, behind: member };
            ring.current = member;
        } else {
            let behind = ring.current;
            let before = self.0[behind as usize].before;
            self.0[at] = Seat { before, behind };
            self.0[before as usize].behind = member;
            self.0[behind as usize].before = member;
        }
        ring.len += 1;
    }

    /// Takes a member out of the ring that it sits in; the turn goes to the next one if it was its.
    pub(crate) fn unseat(&mut self, ring: &mut Ring, member: u32) {
        let Seat { before, behind } = std::mem::replace(&mut self.0[member as usize], EMPTY);
        ring.len -= 1;
        if ring.len > 0 {
            self.0[before as usize].behind = behind;
            self.0[behind as usize].before = before;
        }
        if ring.current == member {
            ring.current = if ring.len > 0 { behind } else { NONE };
        }
    }

    /// Gives the turn to the next member.
    pub(crate) fn advance(&self, ring: &mut Ring) {
        if ring.len > 1 {
            ring.current = self.0[ring.current as usize].behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_list_that_is_turned(ops in proptest::collection::vec((0..3_u8, 0..12_u32), 1..300)) {
            let (mut seats, mut ring) = (Seats::default(), Ring::default());
            let mut model = std::collections::VecDeque::new();
            for (op, member) in ops {
                match (op, seats.is_seated(member)) {
                    (0, false) => {
                        seats.seat_last(&mut ring, member);
                        model.push_back(member);
                    }
                    (1, true) => {
                        seats.unseat(&mut ring, member);
                        model.retain(|m| *m != member);
                    }
                    (2, _) => {
                        seats.advance(&mut ring);
                        if !model.is_empty() {
                            model.rotate_left(1);
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(ring.current(), model.front().copied());
                prop_assert_eq!(ring.len() as usize, model.len());
                prop_assert_eq!(seats.is_seated(member), model.contains(&member));
            }
        }
    }
}
