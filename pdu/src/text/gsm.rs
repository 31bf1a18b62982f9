//! The GSM 03.38 default alphabet with its extension table (3GPP TS 23.038 section 6.2.1).
//!
//! Unpacked: one septet per octet, which is what SMSCs expect in `short_message` with `data_coding` 0.
//! An extension character takes two septets, escape first. Decoding is total and lossy, encoding is exact.

use bytes::BytesMut;

/// The septet that announces a character of the extension table.
pub const ESCAPE: u8 = 0x1B;

/// The default alphabet by septet; the escape stands for itself.
const BASE: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', // 0x00
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1B}', 'Æ', 'æ', 'ß', 'É', // 0x10
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', // 0x20
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', // 0x30
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', // 0x40
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', // 0x50
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', // 0x60
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à', // 0x70
];

/// The extension table: septet behind the escape, character.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{0C}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// A character in the default alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Septets {
    /// In the base table: one septet.
    One(u8),
    /// In the extension table: the escape and this septet.
    Two(u8),
}

/// Octets that [`append_plain`] gathers before it appends them; a usual value of a variable fits.
const PLAIN_OCTETS: usize = 64;

const NONE: u8 = 0xFF;
const EXTENDED: u8 = 0x80;

/// Septet by code point below 256; the top bit marks the extension table, 0xFF a character outside.
const BY_LATIN1: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut septet = 0_u8;
    while septet < 128 {
        let code = BASE[septet as usize] as usize;
        if code < 256 && septet != ESCAPE {
            table[code] = septet;
        }
        septet += 1;
    }
    let mut at = 0;
    while at < EXTENSION.len() {
        let code = EXTENSION[at].1 as usize;
        if code < 256 {
            table[code] = EXTENSION[at].0 | EXTENDED;
        }
        at += 1;
    }
    table
};

/// The septets of a character, `None` if it is outside the alphabet.
#[inline]
#[must_use]
pub const fn septets(c: char) -> Option<Septets> {
    let code = c as usize;
    if code < 256 {
        return match BY_LATIN1[code] {
            NONE => None,
            septet if septet & EXTENDED != 0 => Some(Septets::Two(septet & !EXTENDED)),
            septet => Some(Septets::One(septet)),
        };
    }
    Some(match c {
        'Δ' => Septets::One(0x10),
        'Φ' => Septets::One(0x12),
        'Γ' => Septets::One(0x13),
        'Λ' => Septets::One(0x14),
        'Ω' => Septets::One(0x15),
        'Π' => Septets::One(0x16),
        'Ψ' => Septets::One(0x17),
        'Σ' => Septets::One(0x18),
        'Θ' => Septets::One(0x19),
        'Ξ' => Septets::One(0x1A),
        '€' => Septets::Two(0x65),
        _ => return None,
    })
}

/// Appends the septets of ASCII text without characters of the extension table, octet by octet and without looking at
/// one alone; `false` for any other text, and nothing is appended then.
#[inline]
pub(super) fn append_plain(text: &[u8], out: &mut BytesMut) -> bool {
    let start = out.len();
    let mut septets = [0; PLAIN_OCTETS];
    for piece in text.chunks(PLAIN_OCTETS) {
        let mut flags = 0;
        for (septet, octet) in septets.iter_mut().zip(piece) {
            *septet = BY_LATIN1[usize::from(*octet)];
            flags |= *septet | octet;
        }
        // The top bit marks what is no ASCII, what is in the extension table and what is outside.
        if flags & EXTENDED != 0 {
            out.truncate(start);
            return false;
        }
        out.extend_from_slice(&septets[..piece.len()]);
    }
    true
}

/// Whether a text is ASCII that [`append_plain`] takes: one septet an octet.
#[inline]
pub(super) fn is_plain(text: &[u8]) -> bool {
    let flags = text.iter().fold(0, |flags, octet| flags | BY_LATIN1[usize::from(*octet)] | octet);
    flags & EXTENDED == 0
}

/// Appends unpacked septets; on a character outside the alphabet `out` is as before and that character returned.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) -> Result<(), char> {
    let start = out.len();
    out.reserve(text.len());
    for c in text.chars() {
        match septets(c) {
            Some(Septets::One(septet)) => out.push(septet),
            Some(Septets::Two(septet)) => out.extend_from_slice(&[ESCAPE, septet]),
            None => {
                out.truncate(start);
                return Err(c);
            }
        }
    }
    Ok(())
}

/// Text of unpacked septets.
///
/// Behind an escape an unknown septet is read from the base table and an escape as a space (TS 23.038); octets
/// above 0x7F, which are no septets, become U+FFFD.
pub(super) fn decode(septets: &[u8]) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut rest = septets.iter().copied();
    while let Some(septet) = rest.next() {
        text.push(if septet == ESCAPE {
            match rest.next() {
                None | Some(ESCAPE) => ' ',
                Some(second) => match EXTENSION.iter().find(|(septet, _)| *septet == second) {
                    Some((_, c)) => *c,
                    None => base(second),
                },
            }
        } else {
            base(septet)
        });
    }
    text
}

fn base(septet: u8) -> char {
    BASE.get(usize::from(septet)).copied().unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_septet_goes_there_and_back() {
        for septet in (0..128_u8).filter(|septet| *septet != ESCAPE) {
            let text = decode(&[septet]);
            let mut back = Vec::new();
            encode(&text, &mut back).unwrap();
            assert_eq!(back, [septet], "{text:?}");
            assert_eq!(septets(text.chars().next().unwrap()), Some(Septets::One(septet)));
        }
        for (septet, c) in EXTENSION {
            assert_eq!(decode(&[ESCAPE, septet]), c.to_string());
            assert_eq!(septets(c), Some(Septets::Two(septet)));
        }
    }

    #[test]
    fn exactly_137_characters_are_in_the_alphabet() {
        let inside =
            (0..=char::MAX as u32).filter_map(char::from_u32).filter(|c| septets(*c).is_some()).count();
        assert_eq!(inside, 127 + EXTENSION.len());
        for outside in ['ç', '`', 'á', '\t', '\u{1B}', 'Α', 'ł', '’', '\u{A0}', '😀'] {
            assert_eq!(septets(outside), None, "{outside:?}");
        }
    }

    #[test]
    fn a_refused_character_leaves_the_buffer_as_it_was() {
        let mut out = vec![1, 2];
        assert_eq!(encode("ab😀", &mut out), Err('😀'));
        assert_eq!(out, [1, 2]);
    }

    #[test]
    fn foreign_septets_are_read_as_the_standard_says() {
        assert_eq!(decode(&[ESCAPE, b'A']), "A");
        assert_eq!(decode(&[ESCAPE, ESCAPE, b'A']), " A");
        assert_eq!(decode(&[b'A', ESCAPE]), "A ");
        assert_eq!(decode(&[0x80, ESCAPE, 0xFF]), "\u{FFFD}\u{FFFD}");
    }
}
