//! Templates: texts in which `{name}` stands for a value, `{{` and `}}` for braces.
//!
//! Braces are syntax only in a text that has variables: without them a text is taken literally, to the last brace.
//! The literal text alone decides the encoding: GSM 03.38 if all of it fits, else UCS-2. Values have to fit what it
//! decided; whoever expects other alphabets in values puts one such character into the text.
//! Invariant: a template has words of its own, so that no value is the whole message (nobody has approved that one).

use std::fmt::Write;

use pdu::text::Encoding;

use crate::model::{Content, MAX_PARTS, MAX_VALUE_CHARS, MAX_VARIABLES, Variable};

/// Longest text as written, in characters: more than [`MAX_PARTS`] parts hold, names and doubled braces included.
pub const MAX_TEXT_CHARS: usize = 4096;

/// Longest name of a variable, in characters.
pub const MAX_NAME_CHARS: usize = 32;

/// Why a text cannot be a campaign's. Places are characters of the text as written, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No text.
    #[error("the message text is empty")]
    Empty,
    /// A longer text than any message holds.
    #[error("the text has {chars} characters, at most {MAX_TEXT_CHARS} are allowed")]
    TooLong {
        /// How many it has.
        chars: usize,
    },
    /// A control character other than tab, form feed and the ends of lines.
    #[error("character {at} of the text is a control character")]
    ControlCharacter {
        /// Where.
        at: usize,
    },
    /// An opening brace without its closing one.
    #[error("the brace at character {at} is not closed; write {{{{ for a brace in the text")]
    Unclosed {
        /// Where it stands.
        at: usize,
    },
    /// A closing brace without its opening one.
    #[error("the brace at character {at} closes nothing; write }}}} for a brace in the text")]
    Unopened {
        /// Where it stands.
        at: usize,
    },
    /// Nothing between braces.
    #[error("the braces at character {at} hold no name")]
    NoName {
        /// Where they open.
        at: usize,
    },
    /// Something between braces, or declared, that is no name.
    #[error(
        "\"{name}\" is no name of a variable: a letter (a to z), then letters, digits and _, \
         at most {MAX_NAME_CHARS} in all"
    )]
    BadName {
        /// What stands there, at most so much of it as a name may have.
        name: String,
        /// Where its brace opens; `None` for a declared variable.
        at: Option<usize>,
    },
    /// A name that no variable has.
    #[error("the text has no variable \"{name}\" (character {at})")]
    Unknown {
        /// The name.
        name: String,
        /// Where its brace opens.
        at: usize,
    },
    /// A variable that the text does not use.
    #[error("the variable \"{name}\" does not stand in the text")]
    Unused {
        /// Its name.
        name: String,
    },
    /// Two variables of one name.
    #[error("the variable \"{name}\" is declared twice")]
    Twice {
        /// Their name.
        name: String,
    },
    /// A length that no value can have.
    #[error("values of \"{name}\" may have 1 to {MAX_VALUE_CHARS} characters, not {max_chars}")]
    BadLength {
        /// The variable.
        name: String,
        /// What it declares.
        max_chars: u16,
    },
    /// Too many variables.
    #[error("the text has {0} variables, at most {MAX_VARIABLES} are allowed")]
    TooManyVariables(usize),
    /// Nothing but variables and spaces.
    #[error("a text needs words of its own beside its variables")]
    NothingButVariables,
    /// More parts than a campaign may have, with every value at its longest.
    #[error("the text needs {0} parts, at most {MAX_PARTS} are allowed")]
    TooManyParts(usize),
}

/// A text ready to be rendered: its literal pieces are encoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub(super) pieces: Vec<Piece>,
    pub(super) variables: Vec<Variable>,
    pub(super) encoding: Encoding,
    /// Most parts of a rendering.
    pub(super) most: u8,
}

/// A stretch of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The same for everybody.
    Literal(Literal),
    /// The value of the variable at this place.
    Value(usize),
}

/// Text that is the same for everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) text: String,
    pub(super) octets: Vec<u8>,
    /// Septets or UTF-16 units.
    pub(super) units: usize,
    /// Whether some character takes two units.
    pub(super) is_wide: bool,
}

impl Template {
    /// Reads a text; its renderings may have [`MAX_PARTS`] parts.
    ///
    /// # Errors
    /// [`TextError`], but never `TooManyParts`.
    pub fn parse(text: &str, variables: &[Variable]) -> Result<Self, TextError> {
        check_text(text)?;
        check_variables(variables)?;
        let encoding = Encoding::least(text);
        let mut pieces = Vec::new();
        if variables.is_empty() {
            pieces.push(literal(text.to_owned(), encoding));
        } else {
            let found = scan(text)?;
            let mut used = [false; MAX_VARIABLES];
            for piece in found {
                pieces.push(match piece {
                    Found::Literal(text) => literal(text, encoding),
                    Found::Name(name, at) => {
                        let place = variables.iter().position(|variable| variable.name == name);
                        let place = place.ok_or(TextError::Unknown { name, at })?;
                        used[place] = true;
                        Piece::Value(place)
                    }
                });
            }
            if let Some((unused, _)) = variables.iter().zip(used).find(|(_, used)| !used) {
                return Err(TextError::Unused { name: unused.name.clone() });
            }
            let is_word = |piece: &Piece| matches!(piece, Piece::Literal(own) if !own.text.trim().is_empty());
            if !pieces.iter().any(is_word) {
                return Err(TextError::NothingButVariables);
            }
        }
        Ok(Self { pieces, variables: variables.to_vec(), encoding, most: MAX_PARTS })
    }

    /// The text of a campaign; its renderings may have the parts that were approved.
    ///
    /// # Errors
    /// As for [`Template::parse`].
    pub fn of(content: &Content) -> Result<Self, TextError> {
        let template = Self::parse(&content.text, &content.variables)?;
        Ok(Self { most: content.parts.min(MAX_PARTS), ..template })
    }

    /// The text as an author would write it; reading it again gives this template.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(own) if self.is_plain() => text.push_str(&own.text),
                Piece::Literal(own) => text.push_str(&own.text.replace('{', "{{").replace('}', "}}")),
                // Writing to a string does not fail.
                Piece::Value(place) => drop(write!(text, "{{{}}}", self.variables[*place].name)),
            }
        }
        text
    }

    /// The encoding of every rendering: [`Encoding::Gsm7`] or [`Encoding::Ucs2`].
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether everybody gets the same text.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.variables.is_empty()
    }

    /// The variables, in the order of the values of a row.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }
}

/// The names between braces, each once, in order of appearance.
///
/// # Errors
/// What [`Template::parse`] says about the syntax, and `TooManyVariables`.
pub fn variable_names(text: &str) -> Result<Vec<String>, TextError> {
    check_text(text)?;
    let mut names: Vec<String> = Vec::new();
    for piece in scan(text)? {
        if let Found::Name(name, _) = piece
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    if names.len() > MAX_VARIABLES { Err(TextError::TooManyVariables(names.len())) } else { Ok(names) }
}

fn check_text(text: &str) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    let chars = text.chars().count();
    if chars > MAX_TEXT_CHARS {
        return Err(TextError::TooLong { chars });
    }
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{C}');
    match text.chars().position(is_bad) {
        Some(before) => Err(TextError::ControlCharacter { at: before + 1 }),
        None => Ok(()),
    }
}

fn check_variables(variables: &[Variable]) -> Result<(), TextError> {
    if variables.len() > MAX_VARIABLES {
        return Err(TextError::TooManyVariables(variables.len()));
    }
    for (place, Variable { name, max_chars }) in variables.iter().enumerate() {
        if !is_name(name) {
            return Err(bad_name(name, None));
        }
        if variables[..place].iter().any(|earlier| earlier.name == *name) {
            return Err(TextError::Twice { name: name.clone() });
        }
        if !(1..=MAX_VALUE_CHARS).contains(&usize::from(*max_chars)) {
            return Err(TextError::BadLength { name: name.clone(), max_chars: *max_chars });
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_CHARS
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn bad_name(name: &str, at: Option<usize>) -> TextError {
    TextError::BadName { name: name.chars().take(MAX_NAME_CHARS).collect(), at }
}

/// What a scan finds.
enum Found {
    Literal(String),
    /// A well-formed name and where its brace opens.
    Name(String, usize),
}

/// Divides a text at its braces.
fn scan(text: &str) -> Result<Vec<Found>, TextError> {
    let mut found = Vec::new();
    let mut own = String::new();
    let mut rest = text.chars().zip(1..).peekable();
    while let Some((c, at)) = rest.next() {
        let is_doubled = rest.peek().is_some_and(|(next, _)| *next == c);
        match c {
            '{' | '}' if is_doubled => {
                rest.next();
                own.push(c);
            }
            '{' => {
                let mut name = String::new();
                loop {
                    match rest.next() {
                        Some(('}', _)) => break,
                        None | Some(('{', _)) => return Err(TextError::Unclosed { at }),
                        Some((c, _)) => name.push(c),
                    }
                }
                if name.is_empty() {
                    return Err(TextError::NoName { at });
                }
                if !is_name(&name) {
                    return Err(bad_name(&name, Some(at)));
                }
                if !own.is_empty() {
                    found.push(Found::Literal(std::mem::take(&mut own)));
                }
                found.push(Found::Name(name, at));
            }
            '}' => return Err(TextError::Unopened { at }),
            _ => own.push(c),
        }
    }
    if !own.is_empty() {
        found.push(Found::Literal(own));
    }
    Ok(found)
}

fn literal(text: String, encoding: Encoding) -> Piece {
    let mut octets = Vec::new();
    let encoded = encoding.encode(&text, &mut octets);
    debug_assert!(encoded.is_ok(), "the encoding was chosen for this text");
    let widths = || text.chars().map(|c| encoding.units(c).unwrap_or(1));
    let (units, is_wide) = (widths().sum(), widths().any(|width| width > 1));
    Piece::Literal(Literal { units, is_wide, text, octets })
}
