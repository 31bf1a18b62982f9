//! Words by which a handset opts out and back in: which one a text begins with.
//!
//! Only the first word counts, in any case, without what surrounds it; a text that merely mentions a word opts nobody
//! out. Pure: which workspace a text was meant for is decided elsewhere.

/// Words that opt out unless a workspace or the configuration has a list of its own; folded as by [`fold`].
pub const STOP_WORDS: [&str; 24] = [
    "stop",
    "stopp",
    "stopall",
    "unsubscribe",
    "unsub",
    "cancel",
    "end",
    "quit",
    "revoke",
    "optout",
    "abmelden",
    "abbestellen",
    "arret",
    "arrêt",
    "desabonner",
    "désabonner",
    "baja",
    "alto",
    "parar",
    "cancelar",
    "sair",
    "basta",
    "стоп",
    "отписка",
];

/// Words that opt in again.
pub const START_WORDS: [&str; 4] = ["start", "unstop", "subscribe", "старт"];

/// Longest word that is looked at, in characters: a longer one is no keyword.
const MAX_WORD_CHARS: usize = 32;

/// Ends of a word beside white space; other marks may stand inside one (`opt-out`).
const ENDS: [char; 10] = [',', ';', ':', '.', '!', '?', '…', '¡', '¿', '/'];

/// What a handset asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
}

/// The first word of a text in lower case without marks around or inside it; `None` when it has none, or one that is
/// longer than any keyword.
#[must_use]
pub fn first_word(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || ENDS.contains(&c));
    let word = words.map(fold).find(|word| !word.is_empty())?;
    (word.chars().count() <= MAX_WORD_CHARS).then_some(word)
}

/// A word as words are compared: lower case, letters, digits and nothing else.
#[must_use]
pub fn fold(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .take(MAX_WORD_CHARS + 1)
        .flat_map(char::to_lowercase)
        .collect()
}

/// What a first word asks for, given the words that opt out; opting out goes before opting in.
#[must_use]
pub fn keyword<S: AsRef<str>, T: AsRef<str>>(word: &str, stop: &[S], start: &[T]) -> Option<Keyword> {
    let is = |listed: &str| fold(listed) == word;
    match () {
        () if stop.iter().any(|listed| is(listed.as_ref())) => Some(Keyword::Stop),
        () if start.iter().any(|listed| is(listed.as_ref())) => Some(Keyword::Start),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asks(text: &str) -> Option<Keyword> {
        keyword(&first_word(text)?, &STOP_WORDS, &START_WORDS)
    }

    #[test]
    fn the_first_word_decides_in_any_case_and_dress() {
        for text in [
            "STOP",
            "stop",
            " Stop!",
            "\u{feff}stop.",
            "«Stop»",
            "STOP,please",
            "stop ALL",
            "Stopp",
            "ARRET",
            "Arrêt",
            "ARRÊT SVP",
            "Opt-Out",
            "(unsubscribe)",
            "\"END\"",
            "quit\u{200b}",
            "СТОП",
            "\r\nstop\0",
        ] {
            assert_eq!(asks(text), Some(Keyword::Stop), "{text:?}");
        }
        for text in ["START", "unstop", "Start!", "subscribe me"] {
            assert_eq!(asks(text), Some(Keyword::Start), "{text:?}");
        }
    }

    #[test]
    fn other_texts_ask_for_nothing() {
        for text in
            ["", " ", "!?", "please stop", "stopping by", "non-stop", "bus stop?", "endless", "ok", "1"]
        {
            assert_eq!(asks(text), None, "{text:?}");
        }
        assert_eq!(first_word(&"x".repeat(33)), None);
    }

    #[test]
    fn a_list_of_ones_own_replaces_the_built_in_one_and_is_folded_too() {
        let own = ["Abmelden!".to_owned(), "RAUS".to_owned()];
        let asks = |text: &str| keyword(&first_word(text).unwrap_or_default(), &own, &START_WORDS);
        assert_eq!(asks("raus hier"), Some(Keyword::Stop));
        assert_eq!(asks("abmelden"), Some(Keyword::Stop));
        assert_eq!(asks("stop"), None);
        assert_eq!(keyword("start", &["start"], &START_WORDS), Some(Keyword::Stop));
    }

    #[test]
    fn the_built_in_words_are_folded_already() {
        for word in STOP_WORDS.iter().chain(&START_WORDS) {
            assert_eq!(fold(word), *word);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_marks_around_a_word_change_nothing(text in ".*", marks in "[-!?.,'\" \t]{0,6}") {
            let _ = first_word(&text);
            prop_assert_eq!(asks(&format!("{marks}sToP{marks} {text}")), Some(Keyword::Stop));
        }
    }
}
