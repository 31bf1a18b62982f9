//! Numbers that are not to be written to, and why.
//!
//! A number can be on a list twice: because its owner opted out and because somebody blocked it. Either is taken
//! back by itself. Whose list an entry is on is the store's scope: one workspace's or the installation's.

use crate::model::Number;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest [`Suppression::source`] in characters; room for a file name or a keyword with its channel.
pub const MAX_SOURCE_CHARS: usize = 200;

/// Why a number is not to be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionKind {
    /// Its owner asked for no more; transactional campaigns still go out.
    OptOut,
    /// Blocked by a person or a program: nothing goes out.
    Block,
}

impl SuppressionKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OptOut, Self::Block];

    /// Its name in the API and in audit events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OptOut => "opt_out",
            Self::Block => "block",
        }
    }
}

/// One entry of a list. `Debug` masks the number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// E.164 digits.
    pub number: u64,
    /// Why.
    pub kind: SuppressionKind,
    /// Where it came from, for people: a keyword with its channel, a file, the console. At most
    /// [`MAX_SOURCE_CHARS`]; never a number or a message.
    pub source: String,
    /// Since when, millisecond precision.
    pub at: jiff::Timestamp,
}

impl fmt::Debug for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, kind, source, at } = self;
        write!(f, "Suppression({} {} by {source:?} at {at})", Number(*number), kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_never_prints_its_number() {
        for kind in SuppressionKind::ALL {
            let at = jiff::Timestamp::UNIX_EPOCH;
            let entry = Suppression { number: 4_915_112_345_678, kind, source: "console".to_owned(), at };
            let printed = format!("{entry:?}");
            assert!(printed.contains("••••••5678 ") && printed.contains(kind.name()), "{printed}");
            assert!(!printed.contains("12345678"), "{printed}");
        }
    }

    #[test]
    fn a_kind_has_the_same_name_everywhere() {
        for kind in SuppressionKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.name());
        }
    }
}
