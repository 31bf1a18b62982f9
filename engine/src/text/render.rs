//! Renderings: the text of one recipient, as people read it and as it is submitted.
//!
//! Nothing here allocates but [`render`] and [`samples`]: the dispatcher asks for the parts of a rendering and writes
//! each into the buffer of its socket. Both ways count with the same function, and the parts of a rendering joined are
//! the rendering (`the_parts_of_a_rendering_join_to_it`).

use bytes::BytesMut;
use pdu::text::{Concat, Encoding, SegmentError, Segments};

use super::template::{Literal, Piece, Template};
use crate::model::{Row, Values};

/// Most sample renderings of one preview.
pub const MAX_SAMPLES: usize = 10;

/// Why a recipient's values cannot be sent. Places count variables from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rendering {
    /// A character that the approved encoding lacks.
    #[error("value {} has the character U+{:04X}, which is outside the approved encoding", .place + 1, *.character as u32)]
    Encoding {
        /// Which variable.
        place: usize,
        /// The character.
        character: char,
    },
    /// More parts than approved.
    #[error("the rendering needs {needed} parts, {approved} are approved")]
    Segments {
        /// How many it needs.
        needed: usize,
        /// How many it may have.
        approved: u8,
    },
    /// A longer value than approved.
    #[error("value {} has {chars} characters, {limit} are approved", .place + 1)]
    ValueTooLong {
        /// Which variable.
        place: usize,
        /// How many it has.
        chars: usize,
        /// How many it may have.
        limit: u16,
    },
    /// The row has no such value.
    #[error("value {} is missing", .place + 1)]
    Missing {
        /// Which variable.
        place: usize,
    },
}

/// The text of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// As a handset shows it.
    pub text: String,
    /// Its encoding, the same for all recipients.
    pub encoding: Encoding,
    /// Its parts, within what was approved.
    pub segments: u8,
}

/// Which part of a rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Counted from 0.
    pub part: u8,
    /// How many the rendering has, as [`Template::segments`] told.
    pub total: u8,
    /// Ties the parts together at the handset.
    pub reference: u16,
}

/// A stretch of a rendering.
enum Stretch<'a> {
    Own(&'a Literal),
    /// The place of a variable, and its value.
    Value(usize, &'a str),
}

/// Renders a text for one recipient.
///
/// # Errors
/// [`Rendering`].
pub fn render(template: &Template, row: Row<'_>) -> Result<Rendered, Rendering> {
    let segments = template.segments(row)?;
    let mut text = String::new();
    template.walk(row, |stretch| {
        text.push_str(match stretch {
            Stretch::Own(own) => &own.text,
            Stretch::Value(_, value) => value,
        });
    })?;
    Ok(Rendered { text, encoding: template.encoding, segments })
}

/// Renders a text for the first recipients, at most [`MAX_SAMPLES`]; a plain text once.
#[must_use]
pub fn samples(template: &Template, values: &Values) -> Vec<Result<Rendered, Rendering>> {
    if template.is_plain() {
        return vec![render(template, Row::NONE)];
    }
    let recipients = values.recipients().min(MAX_SAMPLES);
    (0..recipients).map(|recipient| render(template, values.row(recipient))).collect()
}

impl Template {
    /// The parts of a recipient's rendering, at least one.
    ///
    /// # Errors
    /// [`Rendering`].
    #[inline]
    pub fn segments(&self, row: Row<'_>) -> Result<u8, Rendering> {
        let (mut units, mut is_wide) = (0, false);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(own) => {
                    units += own.units;
                    is_wide |= own.is_wide;
                }
                Piece::Value(place) => {
                    let value = row.get(*place).ok_or(Rendering::Missing { place: *place })?;
                    let (more, chars) = self.check(*place, value)?;
                    units += more;
                    is_wide |= more > chars;
                }
            }
        }
        let needed = self.count(units, is_wide, row)?;
        let segments = u8::try_from(needed).ok().filter(|parts| *parts <= self.most);
        segments.ok_or(self.beyond(needed))
    }

    const fn beyond(&self, needed: usize) -> Rendering {
        Rendering::Segments { needed, approved: self.most }
    }

    /// Units and characters of a value.
    #[inline]
    fn check(&self, place: usize, value: &str) -> Result<(usize, usize), Rendering> {
        let counted = self.encoding.count(value);
        let (units, chars) =
            counted.map_err(|outside| Rendering::Encoding { place, character: outside.0 })?;
        let limit = self.variables[place].max_chars;
        match chars <= usize::from(limit) {
            true => Ok((units, chars)),
            false => Err(Rendering::ValueTooLong { place, chars, limit }),
        }
    }

    /// The parts of so many units.
    #[inline]
    fn count(&self, units: usize, is_wide: bool, row: Row<'_>) -> Result<usize, Rendering> {
        if units <= Concat::Udh8.single_limit(self.encoding) {
            return Ok(1);
        }
        let limit = Concat::Udh8.segment_limit(self.encoding);
        // A character of two units may leave one unit of a part empty, and never more.
        let (least, most) = (units.div_ceil(limit), units.div_ceil(limit - 1));
        if !is_wide || least == most {
            return Ok(least);
        }
        let mut meter = self.meter();
        self.walk(row, |stretch| match stretch {
            Stretch::Own(own) => meter.add_text(&own.text, self.encoding),
            Stretch::Value(_, value) => meter.add_text(value, self.encoding),
        })?;
        Ok(meter.measure().segments)
    }

    /// Appends the user data of one part, with its header if there are several. `part.total` is trusted no further than
    /// that a wrong one is refused.
    ///
    /// # Errors
    /// [`Rendering`]; `out` may hold a part of the text then.
    #[inline]
    pub fn write(&self, row: Row<'_>, part: Part, out: &mut BytesMut) -> Result<(), Rendering> {
        if part.total > 1 {
            let [.., reference] = part.reference.to_be_bytes();
            out.extend_from_slice(&pdu::udh::concat8(reference, part.total, part.part.saturating_add(1)));
        }
        let start = out.len();
        let mut outside = None;
        self.walk(row, |stretch| match stretch {
            Stretch::Own(own) => out.extend_from_slice(&own.octets),
            Stretch::Value(place, value) => {
                if let Err(missing) = self.encoding.append(value, out) {
                    outside = outside.or(Some(Rendering::Encoding { place, character: missing.0 }));
                }
            }
        })?;
        if let Some(outside) = outside {
            return Err(outside);
        }
        self.keep(part, start, out)
    }

    /// Of a whole text that begins at `start`, keeps one part.
    #[inline]
    fn keep(&self, part: Part, start: usize, out: &mut BytesMut) -> Result<(), Rendering> {
        let segments = match Segments::new(&out[start..], self.encoding, Concat::Udh8) {
            Ok(segments) if segments.total() == part.total && part.part < part.total => segments,
            Ok(segments) => return Err(self.beyond(usize::from(segments.total()))),
            Err(SegmentError::TooMany(needed) | SegmentError::TooLong(needed)) => {
                return Err(self.beyond(needed));
            }
        };
        if part.total == 1 {
            return Ok(());
        }
        let mut from = start;
        let mut length = 0;
        for segment in segments.iter().take(usize::from(part.part) + 1) {
            from += length;
            length = segment.text.len();
        }
        out.copy_within(from..from + length, start);
        out.truncate(start + length);
        Ok(())
    }

    /// Visits every piece with the value that stands in its place.
    #[inline]
    fn walk<'a>(&'a self, row: Row<'a>, mut visit: impl FnMut(Stretch<'a>)) -> Result<(), Rendering> {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(own) => visit(Stretch::Own(own)),
                Piece::Value(place) => {
                    let value = row.get(*place).ok_or(Rendering::Missing { place: *place })?;
                    visit(Stretch::Value(*place, value));
                }
            }
        }
        Ok(())
    }
}
