//! The character encodings of a recipient file, streamed into UTF-8.
//!
//! UTF-8 passes unchanged and unchecked (only the number's own field is judged later); UTF-16 is transcoded. A unit that
//! is no character becomes the octet `0xFF`, which is never valid UTF-8, so its line is rejected if it hits the number.

/// Octets looked at before encoding, format and delimiter are decided.
pub(super) const SNIFF_OCTETS: usize = 8 << 10;
/// Stands for what cannot be decoded.
const BROKEN: u8 = 0xff;

/// The encoding of the file as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 (or any other superset of ASCII) without byte-order mark.
    Utf8,
    /// UTF-8 with byte-order mark.
    Utf8Bom,
    /// UTF-16, low octet first.
    Utf16Le,
    /// UTF-16, high octet first.
    Utf16Be,
}

/// Decides the encoding from the beginning of a file and tells how many octets its mark takes.
pub(super) fn sniff(head: &[u8]) -> (Encoding, usize) {
    match head {
        [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8Bom, 3),
        [0xff, 0xfe, ..] => (Encoding::Utf16Le, 2),
        [0xfe, 0xff, ..] => (Encoding::Utf16Be, 2),
        _ => (without_mark(head), 0),
    }
}

/// UTF-16 without a mark is believed only if one half of the units is never NUL and the other often is.
fn without_mark(head: &[u8]) -> Encoding {
    let units = head.len() / 2;
    let zeros = |offset: usize| head.iter().skip(offset).step_by(2).filter(|octet| **octet == 0).count();
    let often = |zeros: usize| units >= 4 && zeros * 4 >= units;
    match (zeros(0), zeros(1)) {
        (0, odd) if often(odd) => Encoding::Utf16Le,
        (even, 0) if often(even) => Encoding::Utf16Be,
        _ => Encoding::Utf8,
    }
}

/// Turns the octets of a file into UTF-8, whatever pieces they come in.
#[derive(Debug)]
pub(super) struct Transcoder {
    encoding: Encoding,
    /// Half a unit.
    octet: Option<u8>,
    /// Half a surrogate pair.
    high: Option<u16>,
    out: Vec<u8>,
}

impl Transcoder {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self { encoding, octet: None, high: None, out: Vec::new() }
    }

    /// Decodes the next piece. The answer is at most twice as long as the piece.
    pub(super) fn decode<'a>(&'a mut self, piece: &'a [u8]) -> &'a [u8] {
        let join = match self.encoding {
            Encoding::Utf8 | Encoding::Utf8Bom => return piece,
            Encoding::Utf16Le => u16::from_le_bytes,
            Encoding::Utf16Be => u16::from_be_bytes,
        };
        self.out.clear();
        for &octet in piece {
            match self.octet.take() {
                None => self.octet = Some(octet),
                Some(first) => self.unit(join([first, octet])),
            }
        }
        &self.out
    }

    /// What is left at the end of the file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.clear();
        if self.high.is_some() || self.octet.is_some() {
            self.out.push(BROKEN);
        }
        self.out
    }

    #[inline]
    fn unit(&mut self, unit: u16) {
        if let Some(high) = self.high.take() {
            if let Some(Ok(character)) = char::decode_utf16([high, unit]).next() {
                self.character(character);
                return;
            }
            self.out.push(BROKEN);
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => match char::from_u32(u32::from(unit)) {
                Some(character) => self.character(character),
                None => self.out.push(BROKEN),
            },
        }
    }

    #[inline]
    fn character(&mut self, character: char) {
        let mut octets = [0; 4];
        self.out.extend_from_slice(character.encode_utf8(&mut octets).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: Encoding, octets: &[u8], piece: usize) -> Vec<u8> {
        let mut transcoder = Transcoder::new(encoding);
        let mut out = Vec::new();
        for piece in octets.chunks(piece) {
            out.extend_from_slice(transcoder.decode(piece));
        }
        out.extend(transcoder.finish());
        out
    }

    #[test]
    fn utf16_becomes_utf8_in_pieces_of_any_size() {
        let text = "+49;Jörg 😀\r\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for piece in 1..9 {
            assert_eq!(decode(Encoding::Utf16Le, &little, piece), text.as_bytes());
            assert_eq!(decode(Encoding::Utf16Be, &big, piece), text.as_bytes());
        }
    }

    #[test]
    fn broken_utf16_leaves_a_mark_that_is_no_character() {
        let cases: [(&[u8], &[u8]); 4] = [
            (&[0x00, 0xd8, 0x31, 0x00], b"\xff1"),
            (&[0x00, 0xdc, 0x31, 0x00], b"\xff1"),
            (&[0x31, 0x00, 0x32], b"1\xff"),
            (&[0x31, 0x00, 0x00, 0xd8], b"1\xff"),
        ];
        for (octets, wanted) in cases {
            assert_eq!(decode(Encoding::Utf16Le, octets, 1), wanted);
        }
    }

    #[test]
    fn the_encoding_is_found_by_its_mark_or_its_zeros() {
        assert_eq!(sniff(b"\xef\xbb\xbf1"), (Encoding::Utf8Bom, 3));
        assert_eq!(sniff(b"\xff\xfe1\0"), (Encoding::Utf16Le, 2));
        assert_eq!(sniff(b"\xfe\xff\x001"), (Encoding::Utf16Be, 2));
        assert_eq!(sniff(b"4\x009\x001\x007\0"), (Encoding::Utf16Le, 0));
        assert_eq!(sniff(b"\x004\x009\x001\x007"), (Encoding::Utf16Be, 0));
        for plain in [&b""[..], b"4", b"4\0", b"4917\0\0\0\0\0\0", b"49170", b"\0\0\0\0\0\0\0\0"] {
            assert_eq!(sniff(plain), (Encoding::Utf8, 0), "{plain:?}");
        }
    }
}
