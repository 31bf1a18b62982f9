//! Texts of messages: what a text with variables means, what it costs, and what each recipient gets.
//!
//! One set of functions feeds preview, limits, dispatcher and export: [`Template`] is the text as it was approved,
//! [`compose`] tells before the approval what it needs at worst, [`render`] and [`Template::write`] make it for one
//! recipient. Pure: no store, no dispatcher, no clock.
//!
//! Invariant: a rendering is in the approved encoding and never longer than the approved parts, or it is refused.

mod character;
mod compose;
mod render;
mod template;
#[cfg(test)]
mod tests;

pub use character::{Character, describe};
pub use compose::{Composition, ForcingCharacter, MAX_FORCING_CHARACTERS, compose};
pub use pdu::text::Encoding;
pub use render::{MAX_SAMPLES, Part, Rendered, Rendering, render, samples};
pub use template::{MAX_NAME_CHARS, MAX_TEXT_CHARS, Template, TextError, variable_names};
