//! What a text needs before anybody has approved it: encoding, what forces it, and parts at least and at worst.
//!
//! The worst case is exact for the worst values: every value at its longest, every character of it of two units (in
//! GSM 03.38 those of the extension table, in UCS-2 emoji). No rendering needs more (`pdu::text::Meter` says why).

use pdu::text::{Concat, Encoding, Measure, Meter};

use super::character::{Character, describe};
use super::template::{Piece, Template, TextError};
use crate::model::{MAX_PARTS, Variable};

/// Different characters listed as the ones that force UCS-2: a text in another script is obvious after a few.
pub const MAX_FORCING_CHARACTERS: usize = 16;

/// What a text needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    /// The encoding of every rendering.
    pub encoding: Encoding,
    /// The characters that force UCS-2, each once in order of appearance, at most [`MAX_FORCING_CHARACTERS`].
    pub forcing_characters: Vec<ForcingCharacter>,
    /// Different forcing characters beyond those.
    pub forcing_unlisted: usize,
    /// Parts when every value is empty.
    pub segments_min: u8,
    /// Parts at worst, which is what a campaign's approval binds.
    pub segments_max: u8,
    /// Octets of the longest rendering as it is submitted, headers not counted.
    pub octets: usize,
    /// Units (septets or UTF-16 units) that the last part of the longest rendering still has.
    pub units_left_in_last_segment: usize,
}

/// A character that forces UCS-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForcingCharacter {
    /// Itself.
    pub character: char,
    /// Where it stands first in the text as written, in characters from 1.
    pub at: usize,
    /// How often it stands there.
    pub count: usize,
    /// What it is called, and what could stand in its place.
    pub described: Character,
}

/// Tells what a text needs.
///
/// # Errors
/// [`TextError`]; `TooManyParts` when the worst case has more than [`MAX_PARTS`].
pub fn compose(text: &str, variables: &[Variable]) -> Result<Composition, TextError> {
    let template = Template::parse(text, variables)?;
    let most = template.measure(|variable| variable.max_chars);
    let (forcing_characters, forcing_unlisted) = match template.encoding {
        Encoding::Gsm7 => (Vec::new(), 0),
        Encoding::Latin1 | Encoding::Ucs2 => forcing(text),
    };
    Ok(Composition {
        encoding: template.encoding,
        forcing_characters,
        forcing_unlisted,
        segments_min: template.least_segments()?,
        segments_max: parts(most)?,
        octets: if template.encoding == Encoding::Ucs2 { most.units * 2 } else { most.units },
        units_left_in_last_segment: most.left,
    })
}

impl Template {
    /// Counts parts the way that they are sent: tied together by a header with an 8-bit reference.
    pub(super) const fn meter(&self) -> Meter {
        Meter::new(self.encoding, Concat::Udh8)
    }

    /// Parts when every value is empty: no rendering has fewer.
    ///
    /// # Errors
    /// `TooManyParts`: they are more than [`MAX_PARTS`].
    pub fn least_segments(&self) -> Result<u8, TextError> {
        parts(self.measure(|_| 0))
    }

    /// What a rendering costs whose values have so many characters, each of two units.
    fn measure(&self, chars: impl Fn(&Variable) -> u16) -> Measure {
        let mut meter = self.meter();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(own) => meter.add_text(&own.text, self.encoding),
                Piece::Value(place) => (0..chars(&self.variables[*place])).for_each(|_| meter.add(2)),
            }
        }
        meter.measure()
    }
}

fn parts(measure: Measure) -> Result<u8, TextError> {
    let parts = u8::try_from(measure.segments).ok().filter(|parts| *parts <= MAX_PARTS);
    parts.ok_or(TextError::TooManyParts(measure.segments))
}

/// The characters outside GSM 03.38. Names and braces are inside, so that the text as written is looked at.
fn forcing(text: &str) -> (Vec<ForcingCharacter>, usize) {
    let different = Encoding::Gsm7.missing(text);
    let places = |wanted: char| text.chars().zip(1..).filter(move |(c, _)| *c == wanted).map(|(_, at)| at);
    let listed = different.iter().take(MAX_FORCING_CHARACTERS).map(|&character| ForcingCharacter {
        character,
        at: places(character).next().unwrap_or(1),
        count: places(character).count(),
        described: describe(character),
    });
    (listed.collect(), different.len().saturating_sub(MAX_FORCING_CHARACTERS))
}
