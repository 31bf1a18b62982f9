//! Cuts decoded text into lines and csv records, in constant memory and the same way for every split of the input.
//!
//! Lines end with LF, CR or CRLF. A line without a quotation mark is cut by one search; a csv line with one goes through
//! `csv-core`, which may take further lines into the record. A record whose quotes do not close within the longest
//! allowed line, or close amid a field, is given up: its lines, up to there, are read again one by one. So one stray
//! quotation mark costs its own line only, and no octet is read more than a few times.

use std::ops::Range;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::{memchr2, memchr3};

use super::shape::Shape;

/// Octets taken in at once beyond the longest line.
const READ_AHEAD: usize = 64 << 10;
/// Fields of a quoted record for which room is made at first.
const FIELDS: usize = 64;

/// One record of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row<'a> {
    /// A line without quotation marks (any line of a txt file), without its end.
    Plain(&'a [u8]),
    /// A csv record with quotation marks, unquoted.
    Quoted(Fields<'a>),
    /// A line beyond the limit, skipped.
    TooLong,
    /// A line with a quotation mark that is never closed.
    BadQuoting(&'a [u8]),
}

/// The fields of a quoted record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    octets: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.octets[start..end])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.ends.len()).filter_map(|index| self.get(index))
    }
}

/// Cuts one file.
#[derive(Debug)]
pub(super) struct Cutter {
    max_line: usize,
    buffer: Vec<u8>,
    /// Where the current record starts in the buffer.
    start: usize,
    /// Up to where the current record has been searched.
    scanned: usize,
    /// Octets of the file before the buffer.
    before: u64,
    /// Lines that ended so far.
    lines: u32,
    state: State,
    /// The last line ended with CR, so that a LF now belongs to it.
    after_cr: bool,
    /// Up to here in the file, records do not span lines: quotes were not closed.
    single_until: u64,
    csv: Option<CsvRecord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Line,
    Quoted,
    Skipping,
}

enum Cut {
    Plain(Range<usize>),
    Quoted,
    TooLong,
    BadQuoting(Range<usize>),
}

impl Cutter {
    pub(super) fn new(shape: Shape, max_line: usize) -> Self {
        Self {
            max_line,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            before: 0,
            lines: 0,
            state: State::Line,
            after_cr: false,
            single_until: 0,
            csv: match shape {
                Shape::Txt => None,
                Shape::Csv(delimiter) => Some(CsvRecord::new(delimiter)),
            },
        }
    }

    /// Lines that ended so far, blank ones and lines within quoted fields included.
    pub(super) fn lines(&self) -> u32 {
        self.lines
    }

    /// Takes in as much of `octets` as there is room for and tells how much. Afterwards [`Cutter::next`] must be called
    /// until it has no more, else there may never be room again.
    pub(super) fn fill(&mut self, octets: &[u8]) -> usize {
        if self.start > 0 {
            self.buffer.copy_within(self.start.., 0);
            self.buffer.truncate(self.buffer.len() - self.start);
            self.before += self.start as u64;
            self.scanned -= self.start;
            self.start = 0;
        }
        let room = self.max_line + 2 + READ_AHEAD - self.buffer.len();
        let taken = room.min(octets.len());
        self.buffer.extend_from_slice(&octets[..taken]);
        taken
    }

    /// The next complete record and the line (counted from 1) on which it starts. `at_end`: no octets will follow.
    #[inline]
    pub(super) fn next(&mut self, at_end: bool) -> Option<(u32, Row<'_>)> {
        let (line, cut) = self.advance(at_end)?;
        let row = match (cut, &self.csv) {
            (Cut::Plain(range), _) => Row::Plain(&self.buffer[range]),
            (Cut::BadQuoting(range), _) => Row::BadQuoting(&self.buffer[range]),
            (Cut::Quoted, Some(csv)) => Row::Quoted(csv.fields()),
            (Cut::Quoted, None) | (Cut::TooLong, _) => Row::TooLong,
        };
        Some((line, row))
    }

    fn advance(&mut self, at_end: bool) -> Option<(u32, Cut)> {
        loop {
            if self.after_cr && self.start < self.buffer.len() {
                self.after_cr = false;
                if self.buffer[self.start] == b'\n' {
                    self.start += 1;
                    self.scanned = self.start;
                }
            }
            let line = self.lines + 1;
            let cut = match self.state {
                State::Line => self.line(at_end)?,
                State::Quoted => self.quoted(at_end)?,
                State::Skipping => self.skip(at_end)?,
            };
            if let Some(cut) = cut {
                return Some((line, cut));
            }
        }
    }

    fn spans_lines(&self) -> bool {
        self.csv.is_some() && self.before + self.start as u64 >= self.single_until
    }

    /// Looks for the end of a line. `None`: more octets are needed. `Some(None)`: the state changed.
    fn line(&mut self, at_end: bool) -> Option<Option<Cut>> {
        let rest = &self.buffer[self.scanned..];
        let found =
            if self.spans_lines() { memchr3(b'\n', b'\r', b'"', rest) } else { memchr2(b'\n', b'\r', rest) };
        let end = found.map(|at| self.scanned + at);
        let length = end.unwrap_or(self.buffer.len()) - self.start;
        if length > self.max_line {
            self.state = State::Skipping;
            self.scanned = self.start + length;
            return Some(Some(Cut::TooLong));
        }
        match end {
            Some(end) if self.buffer[end] == b'"' => {
                self.state = State::Quoted;
                self.scanned = self.start;
                if let Some(csv) = &mut self.csv {
                    csv.begin();
                }
                Some(None)
            }
            Some(end) => Some(Some(self.whole_line(end, end + 1))),
            None if at_end && length > 0 => {
                let end = self.buffer.len();
                Some(Some(self.whole_line(end, end)))
            }
            None => {
                self.scanned = self.buffer.len();
                None
            }
        }
    }

    /// Ends the current line before `end`; the next one starts at `next`.
    fn whole_line(&mut self, end: usize, next: usize) -> Cut {
        let range = self.start..end;
        let single = self.csv.is_some() && !self.spans_lines();
        self.after_cr = self.buffer.get(end) == Some(&b'\r');
        self.lines += 1;
        self.start = next;
        self.scanned = next;
        let octets = &self.buffer[range.clone()];
        match &mut self.csv {
            Some(csv) if single && octets.contains(&b'"') => match csv.read_line(octets) {
                true => Cut::Quoted,
                false => Cut::BadQuoting(range),
            },
            Some(_) | None => Cut::Plain(range),
        }
    }

    /// Passes octets to the csv reader until the record ends. The answer is as for [`Cutter::line`].
    fn quoted(&mut self, at_end: bool) -> Option<Option<Cut>> {
        let csv = self.csv.as_mut()?;
        // One octet more than the longest line, for its end.
        let limit = self.buffer.len().min(self.start + self.max_line + 1);
        let (mut ended, taken) = csv.read(&self.buffer[self.scanned..limit]);
        self.scanned += taken;
        let given_up = limit == self.start + self.max_line + 1;
        if !ended && !given_up {
            if !at_end {
                return None;
            }
            // The end of the file ends a line too, but not an open quotation.
            ended = csv.read(b"\n").0;
        }
        self.state = State::Line;
        let raw = &self.buffer[self.start..self.scanned];
        let unended = !matches!(raw.last(), Some(b'\r' | b'\n'));
        let lines = line_ends(raw) + u32::from(unended);
        if !ended || lines > 1 && !well_quoted(raw, csv.delimiter) {
            self.single_until = self.before + self.scanned as u64;
            self.scanned = self.start;
            return Some(None);
        }
        self.after_cr = raw.last() == Some(&b'\r');
        self.lines += lines;
        self.start = self.scanned;
        Some(Some(Cut::Quoted))
    }

    /// Drops octets up to the end of a line that was too long. The answer is as for [`Cutter::line`].
    fn skip(&mut self, at_end: bool) -> Option<Option<Cut>> {
        let found = memchr2(b'\n', b'\r', &self.buffer[self.scanned..]);
        let end = found.map_or(self.buffer.len(), |at| self.scanned + at);
        self.start = end;
        if found.is_some() || at_end {
            self.after_cr = self.buffer.get(end) == Some(&b'\r');
            self.start += usize::from(found.is_some());
            self.lines += 1;
            self.state = State::Line;
        }
        self.scanned = self.start;
        found.map(|_| None)
    }
}

/// The ends of lines in some octets, CRLF counted once.
fn line_ends(octets: &[u8]) -> u32 {
    let mut count = 0;
    let mut before = 0;
    for &octet in octets {
        count += u32::from(octet == b'\r' || octet == b'\n' && before != b'\r');
        before = octet;
    }
    count
}

/// Whether every closing quotation mark of a record stands before a delimiter or an end of line. If not, what looks like
/// one record over several lines is a stray mark that the next quoted field seemed to close.
fn well_quoted(record: &[u8], delimiter: u8) -> bool {
    enum At {
        FieldStart,
        Plain,
        Quoted,
        Closed,
    }
    let mut at = At::FieldStart;
    for &octet in record {
        let ends_field = octet == delimiter || matches!(octet, b'\r' | b'\n');
        at = match (at, octet) {
            (At::FieldStart | At::Closed, b'"') | (At::Quoted, ..=b'!' | b'#'..) => At::Quoted,
            (At::Quoted, b'"') => At::Closed,
            (At::FieldStart | At::Plain | At::Closed, _) if ends_field => At::FieldStart,
            (At::FieldStart | At::Plain, _) => At::Plain,
            (At::Closed, _) => return false,
        };
    }
    true
}

/// The csv reader with room for one record.
struct CsvRecord {
    delimiter: u8,
    reader: Reader,
    octets: Vec<u8>,
    written: usize,
    ends: Vec<usize>,
    fields: usize,
}

impl std::fmt::Debug for CsvRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvRecord").field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl CsvRecord {
    fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            octets: Vec::new(),
            written: 0,
            ends: vec![0; FIELDS],
            fields: 0,
        }
    }

    fn begin(&mut self) {
        self.reader.reset();
        self.written = 0;
        self.fields = 0;
    }

    /// Reads on in the current record: whether it ended, and how many octets were taken (all, if it did not).
    fn read(&mut self, input: &[u8]) -> (bool, usize) {
        let mut taken = 0;
        while taken < input.len() {
            if self.octets.len() < self.written + input.len() - taken {
                self.octets.resize(self.written + input.len() - taken, 0);
            }
            let (octets, ends) = (&mut self.octets[self.written..], &mut self.ends[self.fields..]);
            let (result, read, written, fields) = self.reader.read_record(&input[taken..], octets, ends);
            taken += read;
            self.written += written;
            self.fields += fields;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.octets.push(0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => return (true, taken),
            }
        }
        (false, taken)
    }

    /// Reads one line as a whole record; `false` if a quotation is left open.
    fn read_line(&mut self, line: &[u8]) -> bool {
        self.begin();
        self.read(line);
        self.read(b"\n").0
    }

    fn fields(&self) -> Fields<'_> {
        Fields { octets: &self.octets[..self.written], ends: &self.ends[..self.fields] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 24;

    /// A file, the rows it is cut into with their lines, and its number of lines.
    type Case = (Shape, &'static str, &'static [(u32, &'static str)], u32);

    fn cut(shape: Shape, text: &[u8], piece: usize) -> (Vec<(u32, String)>, u32) {
        let mut cutter = Cutter::new(shape, MAX);
        let mut rows = Vec::new();
        let mut drain = |cutter: &mut Cutter, at_end| {
            while let Some((line, row)) = cutter.next(at_end) {
                let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                rows.push((
                    line,
                    match row {
                        Row::Plain(octets) => text(octets),
                        Row::Quoted(fields) => fields.iter().map(|f| format!("<{}>", text(f))).collect(),
                        Row::TooLong => "TOO LONG".to_owned(),
                        Row::BadQuoting(octets) => format!("BAD {}", text(octets)),
                    },
                ));
            }
        };
        for mut piece in text.chunks(piece.max(1)) {
            while !piece.is_empty() {
                piece = &piece[cutter.fill(piece)..];
                drain(&mut cutter, false);
            }
        }
        drain(&mut cutter, true);
        (rows, cutter.lines())
    }

    #[test]
    fn lines_and_records_are_cut_as_written() {
        let csv = Shape::Csv(b',');
        let cases: &[Case] = &[
            (Shape::Txt, "", &[], 0),
            (Shape::Txt, "1", &[(1, "1")], 1),
            (Shape::Txt, "1\n", &[(1, "1")], 1),
            (Shape::Txt, "1\r\n2\r3\n\r4", &[(1, "1"), (2, "2"), (3, "3"), (4, ""), (5, "4")], 5),
            (Shape::Txt, "\"1\n2", &[(1, "\"1"), (2, "2")], 2),
            (Shape::Txt, "123456789012345678901234\nx", &[(1, "123456789012345678901234"), (2, "x")], 2),
            (Shape::Txt, "1234567890123456789012345\r\nx", &[(1, "TOO LONG"), (2, "x")], 2),
            (Shape::Txt, "1234567890123456789012345678901234567890", &[(1, "TOO LONG")], 1),
            (csv, "1,a\n\"2\",\"b\"\"c\"\r\n3,d", &[(1, "1,a"), (2, "<2><b\"c>"), (3, "3,d")], 3),
            (csv, "1,\"a\r\nb\nc\"\r\n2,d\n", &[(1, "<1><a\r\nb\nc>"), (4, "2,d")], 4),
            (csv, "1,\"a\n\"", &[(1, "<1><a\n>")], 2),
            (csv, "1,5\" pipe\n2,x\n", &[(1, "<1><5\" pipe>"), (2, "2,x")], 2),
            (csv, "1,\"a\n2,b\n3,c", &[(1, "BAD 1,\"a"), (2, "2,b"), (3, "3,c")], 3),
            (
                csv,
                "1,\"a\n2,\"b\"\n34567,x\n45678,y\n56789,z\n\"6\",w\n",
                // The second line's quotation mark would close the first one's, amid a field.
                &[
                    (1, "BAD 1,\"a"),
                    (2, "<2><b>"),
                    (3, "34567,x"),
                    (4, "45678,y"),
                    (5, "56789,z"),
                    (6, "<6><w>"),
                ],
                6,
            ),
            (
                csv,
                "1,\"a\n34567,x\n45678,y\n56789,z\n\"6\",\"w\"\n",
                &[(1, "BAD 1,\"a"), (2, "34567,x"), (3, "45678,y"), (4, "56789,z"), (5, "<6><w>")],
                5,
            ),
            (csv, "\"123456789012345678901234567\",\n2,x\n", &[(1, "TOO LONG"), (2, "2,x")], 2),
        ];
        for (shape, text, rows, lines) in cases {
            let wanted: Vec<_> = rows.iter().map(|(line, row)| (*line, (*row).to_owned())).collect();
            for piece in 1..text.len() + 2 {
                assert_eq!(
                    cut(*shape, text.as_bytes(), piece),
                    (wanted.clone(), *lines),
                    "{text:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn many_fields_find_room() {
        let text = format!("{}\"x\"\n", "a,".repeat(500));
        let mut cutter = Cutter::new(Shape::Csv(b','), 4096);
        cutter.fill(text.as_bytes());
        let Some((1, Row::Quoted(fields))) = cutter.next(false) else { panic!() };
        assert_eq!((fields.iter().count(), fields.get(500), fields.get(501)), (501, Some(&b"x"[..]), None));
    }

    #[test]
    fn memory_stays_constant_over_an_endless_line() {
        let mut cutter = Cutter::new(Shape::Csv(b','), 1000);
        let piece = vec![b'"'; 100_000];
        let mut rows = 0;
        for _ in 0..100 {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                rest = &rest[cutter.fill(rest)..];
                while cutter.next(false).is_some() {
                    rows += 1;
                }
            }
        }
        assert_eq!(rows, 1);
        assert!(cutter.buffer.capacity() <= 2 * (1002 + READ_AHEAD));
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same_rows(text in "[1,\"\r\nab]{0,120}", piece in 1_usize..40) {
            for shape in [Shape::Txt, Shape::Csv(b',')] {
                let whole = cut(shape, text.as_bytes(), text.len());
                prop_assert_eq!(whole.1, line_ends(text.as_bytes())
                    + u32::from(!text.is_empty() && !text.ends_with(['\r', '\n'])));
                prop_assert_eq!(cut(shape, text.as_bytes(), piece), whole);
            }
        }
    }
}
