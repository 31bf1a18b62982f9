//! Guesses the shape of a file from its first lines: one number a line, or csv and with which delimiter.

use super::options::{Delimiter, Format};

/// Lines that are looked at.
const LINES: usize = 32;
/// Candidates; on equal evidence the earlier one wins, because commas stand in ordinary text.
const CANDIDATES: [u8; 3] = [b'\t', b';', b','];

/// How lines are divided into fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The whole line is the number.
    Txt,
    /// Fields between delimiters, perhaps quoted.
    Csv(u8),
}

/// Decides the shape. `head` is the decoded beginning of the file; it may end within a line.
pub(super) fn decide(head: &[u8], format: Format, delimiter: Delimiter) -> Shape {
    match (format, delimiter.octet()) {
        (Format::Txt, _) => Shape::Txt,
        (Format::Csv, Some(octet)) => Shape::Csv(octet),
        (Format::Csv, None) => Shape::Csv(guess(head).unwrap_or(b',')),
        (Format::Detect, given) => match guess(head) {
            Some(found) => Shape::Csv(given.unwrap_or(found)),
            None => Shape::Txt,
        },
    }
}

/// The delimiter that most lines have as often as the first line; a quoted first field without any delimiter counts as csv.
fn guess(head: &[u8]) -> Option<u8> {
    let lines: Vec<&[u8]> = head
        .split(|octet| matches!(octet, b'\n' | b'\r'))
        .filter(|line| !line.trim_ascii().is_empty())
        .take(LINES)
        .collect();
    let first = lines.first()?;
    let mut best = None;
    let mut most = 0;
    for candidate in CANDIDATES {
        let wanted = count(first, candidate);
        let agreeing = lines.iter().filter(|line| count(line, candidate) == wanted).count();
        if wanted > 0 && agreeing > most {
            most = agreeing;
            best = Some(candidate);
        }
    }
    let quoted = lines.iter().any(|line| line.starts_with(b"\""));
    best.or(quoted.then_some(b','))
}

/// How often a delimiter stands outside quotes.
fn count(line: &[u8], delimiter: u8) -> usize {
    let mut quoted = false;
    let mut found = 0;
    for &octet in line {
        match octet {
            b'"' => quoted = !quoted,
            _ if octet == delimiter && !quoted => found += 1,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_that_the_lines_agree_on_is_found() {
        let cases: [(&str, Shape); 9] = [
            ("+49 170 1\n+49 170 2\n", Shape::Txt),
            ("", Shape::Txt),
            ("\n \n", Shape::Txt),
            ("1,a\n2,b", Shape::Csv(b',')),
            ("1;a, b\n2;c, d\n", Shape::Csv(b';')),
            ("1\ta;b,c\r2\td;e,f", Shape::Csv(b'\t')),
            ("\"1\"\n\"2\"\n", Shape::Csv(b',')),
            ("\"x;y\",1\n\"z\",2\n", Shape::Csv(b',')),
            ("\n\nphone;name\n1;x\n", Shape::Csv(b';')),
        ];
        for (text, wanted) in cases {
            let got = decide(text.as_bytes(), Format::Detect, Delimiter::Detect);
            assert_eq!(got, wanted, "{text:?}");
        }
    }

    #[test]
    fn what_is_given_is_not_guessed() {
        let head = b"1;2\n3;4\n";
        assert_eq!(decide(head, Format::Txt, Delimiter::Detect), Shape::Txt);
        assert_eq!(decide(head, Format::Csv, Delimiter::Comma), Shape::Csv(b','));
        assert_eq!(decide(head, Format::Detect, Delimiter::Tab), Shape::Csv(b'\t'));
        assert_eq!(decide(b"1\n2\n", Format::Csv, Delimiter::Detect), Shape::Csv(b','));
    }
}
