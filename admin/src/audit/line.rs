//! One note as one line of the fallback file: a checksum, a space, JSON, a line feed.
//!
//! JSON has no line feed of its own, so that a damaged line never takes the next one with it.

use engine::store::Note;
use std::io::{self, BufRead, Read};

/// Longest line, octets: more than a note within its limits can take, with every character escaped.
pub(super) const MAX_LINE: usize = 64 << 10;

/// Digits of the checksum.
const CRC_DIGITS: usize = 8;

/// The line of a note.
pub(super) fn encode(note: &Note) -> Vec<u8> {
    let json = serde_json::to_vec(note).expect("a note has text keys only");
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    line
}

/// The note of a line without its line feed; `None` when the line is damaged.
pub(super) fn decode(line: &[u8]) -> Option<Note> {
    let (digits, rest) = line.split_at_checked(CRC_DIGITS)?;
    let json = rest.strip_prefix(b" ")?;
    let crc = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    if crc != crc32fast::hash(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// What could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Lines, a run of octets without a line feed being one.
    pub(super) lines: u64,
    /// Octets in them.
    pub(super) octets: u64,
    /// A checksum over all of them, in order.
    pub(super) crc: u32,
}

impl Damage {
    fn add(&mut self, octets: &[u8]) {
        let mut crc = crc32fast::Hasher::new_with_initial(self.crc);
        crc.update(octets);
        (self.octets, self.crc) = (self.octets + octets.len() as u64, crc.finalize());
    }
}

/// Notes read from one place on.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The notes, in order.
    pub(super) notes: Vec<Note>,
    /// Octets that were read.
    pub(super) octets: u64,
}

/// Reads up to `most` notes; damaged lines are skipped and added to `damage`. Nothing read means the end.
pub(super) fn read(reader: &mut impl BufRead, most: usize, damage: &mut Damage) -> io::Result<Batch> {
    let mut batch = Batch::default();
    let mut line = Vec::new();
    let mut is_within_long_line = false;
    while batch.notes.len() < most {
        line.clear();
        let octets = reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
        if octets == 0 {
            break;
        }
        batch.octets += octets as u64;
        let is_ended = line.ends_with(b"\n");
        let note = if is_ended && !is_within_long_line { decode(&line[..octets - 1]) } else { None };
        if let Some(note) = note {
            batch.notes.push(note);
        } else {
            damage.lines += u64::from(!is_within_long_line);
            damage.add(&line);
        }
        is_within_long_line = !is_ended;
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::super::testing::note;
    use super::*;

    fn read_all(octets: &[u8]) -> (Vec<Note>, Damage) {
        let mut damage = Damage::default();
        let batch = read(&mut &octets[..], usize::MAX, &mut damage).expect("memory can be read");
        assert_eq!(batch.octets, octets.len() as u64);
        (batch.notes, damage)
    }

    #[test]
    fn a_note_comes_back_from_its_line() {
        let (one, other) = (note(1), note(2));
        let lines = [encode(&one), encode(&other)].concat();
        assert_eq!(read_all(&lines), (vec![one, other], Damage::default()));
    }

    #[test]
    fn a_flipped_bit_anywhere_costs_one_line_or_the_two_that_it_joins() {
        let lines = [encode(&note(1)), encode(&note(2)), encode(&note(3))].concat();
        for at in 0..lines.len() {
            let mut flipped = lines.clone();
            flipped[at] ^= 1;
            let (notes, damage) = read_all(&flipped);
            assert!((1..=2).contains(&notes.len()) && (1..=2).contains(&damage.lines), "at {at}: {damage:?}");
        }
    }

    #[test]
    fn a_torn_end_a_long_run_without_a_line_feed_and_garbage_are_told_from_notes() {
        let whole = encode(&note(1));
        let (notes, damage) = read_all(&whole[..whole.len() - 1]);
        assert_eq!((notes.len(), damage.lines, damage.octets), (0, 1, whole.len() as u64 - 1));
        let run = [vec![0; 3 * MAX_LINE + 5], b"\n".to_vec(), whole.clone()].concat();
        let (notes, damage) = read_all(&run);
        assert_eq!((notes.len(), damage.lines, damage.octets), (1, 1, 3 * MAX_LINE as u64 + 6));
        let (notes, damage) = read_all(b"\n\n00000000 {}\n00000000\nzzzzzzzz \n");
        assert_eq!((notes.len(), damage.lines), (0, 5));
    }

    #[test]
    fn the_longest_note_fits_a_line() {
        let text = "\u{1}".repeat(engine::store::MAX_NOTE_TEXT);
        let mut long = note(1);
        long.by.role.clone_from(&text);
        long.by.address = Some(text.clone());
        long.by.user_agent = Some(text.clone());
        long.by.request_id = Some(text);
        long.action = "\u{1}".repeat(engine::store::MAX_NOTE_WORD);
        long.entity_kind.clone_from(&long.action);
        long.details = "x".repeat(engine::store::MAX_NOTE_DETAILS - 2).into();
        assert_eq!(long.clone().within_limits(), long);
        assert!(encode(&long).len() < MAX_LINE);
    }
}
