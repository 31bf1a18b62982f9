//! Names of the characters that make a message UCS-2, so that an author finds them and knows what to write instead.
//!
//! Word processors bring most of them in unseen. What has no entry of its own is told by its script.

/// What people call a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Character {
    /// Its name, or the kind that it is of.
    pub name: &'static str,
    /// What says the same in the GSM alphabet, empty for a character that nobody sees; `None` if nothing does.
    pub instead: Option<&'static str>,
}

/// Characters with a name of their own.
const NAMED: [(char, &str, Option<&str>); 46] = [
    ('\t', "tab", Some(" ")),
    ('`', "grave accent", Some("'")),
    ('\u{A0}', "no-break space", Some(" ")),
    ('©', "copyright sign", Some("(c)")),
    ('«', "left double angle quotation mark", Some("\"")),
    ('\u{AD}', "soft hyphen", Some("")),
    ('®', "registered sign", Some("(R)")),
    ('°', "degree sign", None),
    ('²', "superscript two", Some("2")),
    ('³', "superscript three", Some("3")),
    ('´', "acute accent", Some("'")),
    ('µ', "micro sign", None),
    ('·', "middle dot", Some(".")),
    ('»', "right double angle quotation mark", Some("\"")),
    ('½', "one half", Some("1/2")),
    ('×', "multiplication sign", Some("x")),
    ('ç', "small c with cedilla", None),
    ('÷', "division sign", Some("/")),
    ('\u{2009}', "thin space", Some(" ")),
    ('\u{200B}', "zero width space", Some("")),
    ('\u{200C}', "zero width non-joiner", Some("")),
    ('\u{200D}', "zero width joiner", None),
    ('\u{200E}', "left-to-right mark", Some("")),
    ('\u{200F}', "right-to-left mark", None),
    ('\u{2010}', "hyphen", Some("-")),
    ('\u{2011}', "no-break hyphen", Some("-")),
    ('\u{2013}', "en dash", Some("-")),
    ('\u{2014}', "em dash", Some("-")),
    ('\u{2018}', "left single quotation mark", Some("'")),
    ('\u{2019}', "right single quotation mark (typographic apostrophe)", Some("'")),
    ('\u{201A}', "low single quotation mark", Some("'")),
    ('\u{201C}', "left double quotation mark", Some("\"")),
    ('\u{201D}', "right double quotation mark", Some("\"")),
    ('\u{201E}', "low double quotation mark", Some("\"")),
    ('\u{2022}', "bullet", Some("-")),
    ('\u{2026}', "ellipsis", Some("...")),
    ('\u{202F}', "narrow no-break space", Some(" ")),
    ('\u{2032}', "prime", Some("'")),
    ('\u{2033}', "double prime", Some("\"")),
    ('\u{2039}', "left angle quotation mark", Some("'")),
    ('\u{203A}', "right angle quotation mark", Some("'")),
    ('\u{2122}', "trade mark sign", Some("(TM)")),
    ('\u{2212}', "minus sign", Some("-")),
    ('\u{FE0E}', "variation selector for text", Some("")),
    ('\u{FE0F}', "variation selector for emoji", Some("")),
    ('\u{FEFF}', "zero width no-break space (byte-order mark)", Some("")),
];

/// What people call a character that the GSM alphabet lacks.
#[must_use]
pub fn describe(c: char) -> Character {
    match NAMED.binary_search_by_key(&c, |(named, ..)| *named) {
        Ok(at) => Character { name: NAMED[at].1, instead: NAMED[at].2 },
        Err(_) => Character { name: kind(c), instead: None },
    }
}

fn kind(c: char) -> &'static str {
    match c {
        '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => "Latin letter outside the GSM alphabet",
        '\u{300}'..='\u{36F}' => "combining accent",
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => "Greek letter outside the GSM alphabet",
        '\u{400}'..='\u{52F}' => "Cyrillic letter",
        '\u{530}'..='\u{58F}' => "Armenian letter",
        '\u{590}'..='\u{5FF}' => "Hebrew letter",
        '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' | '\u{FB50}'..='\u{FDFF}' => "Arabic letter",
        '\u{900}'..='\u{97F}' => "Devanagari letter",
        '\u{980}'..='\u{9FF}' => "Bengali letter",
        '\u{E00}'..='\u{E7F}' => "Thai letter",
        '\u{10A0}'..='\u{10FF}' => "Georgian letter",
        '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7AF}' => "Hangul letter",
        '\u{2000}'..='\u{206F}' => "typographic mark",
        '\u{20A0}'..='\u{20CF}' => "currency sign",
        '\u{2190}'..='\u{21FF}' => "arrow",
        '\u{2200}'..='\u{22FF}' => "mathematical sign",
        '\u{2600}'..='\u{27BF}' | '\u{1F000}'..='\u{1FAFF}' => "emoji or pictograph",
        '\u{3040}'..='\u{30FF}' => "Japanese letter",
        '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}' => "Chinese character",
        _ => "character outside the GSM alphabet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pdu::text::Encoding;

    #[test]
    fn named_characters_are_in_order_and_their_substitutes_in_the_gsm_alphabet() {
        assert!(NAMED.is_sorted_by(|one, next| one.0 < next.0));
        for (c, _, instead) in NAMED {
            assert!(Encoding::Gsm7.units(c).is_none(), "{c:?} forces nothing");
            assert!(instead.is_none_or(|instead| Encoding::Gsm7.fits(instead)), "{c:?}");
        }
    }

    #[test]
    fn characters_are_told_by_name_or_by_kind() {
        let names = ['’', 'Ж', '😀', 'ł', '中', '\u{A0}', '\u{2FFF}'].map(|c| describe(c).name);
        assert_eq!(
            names,
            [
                "right single quotation mark (typographic apostrophe)",
                "Cyrillic letter",
                "emoji or pictograph",
                "Latin letter outside the GSM alphabet",
                "Chinese character",
                "no-break space",
                "character outside the GSM alphabet",
            ]
        );
        assert_eq!((describe('’').instead, describe('Ж').instead), (Some("'"), None));
    }
}
