//! The source address of a sender: what may be one, and which two people take for the same.
//!
//! Only characters are allowed that have the same code in ASCII, in which SMPP carries an address, and in the GSM
//! alphabet, in which a handset shows it: no SMSC can turn one into another. Accents and other scripts therefore never
//! occur, and the look-alikes left are few enough for the table below.

/// Type of number of a name instead of digits.
pub const TON_ALPHANUMERIC: u8 = 5;
/// Longest name, characters: 3GPP TS 23.040 gives an address ten octets, which are eleven characters of seven bits.
pub const MAX_NAME_CHARS: usize = 11;
/// Most digits: `source_addr` of SMPP 3.4 has at most 20 octets before its NUL.
pub const MAX_DIGITS: usize = 20;
/// Greatest type of number that SMPP 3.4 knows (5.2.5): abbreviated.
pub const MAX_TON: u8 = 6;
/// The numbering plans that SMPP 3.4 knows (5.2.6).
pub const NPIS: [u8; 10] = [0, 1, 3, 4, 6, 8, 9, 10, 14, 18];

/// What is wrong with a source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// No type of number.
    #[error("a type of number is 0 to 6")]
    Ton,
    /// No numbering plan.
    #[error("a numbering plan is 0, 1, 3, 4, 6, 8, 9, 10, 14 or 18")]
    Npi,
    /// Nothing, or too much.
    #[error("a name (type of number 5) has 1 to 11 characters, any other address 1 to 20 digits")]
    Length,
    /// A character that some SMSC or handset would change, or that is no digit in a number.
    #[error(
        "a name (type of number 5) has letters A to Z, digits, spaces and ! \" # % & ' ( ) * + , - . / : ; < = > ?, \
         any other address has digits only"
    )]
    Character,
    /// A name that a handset shows as a number.
    #[error("a name (type of number 5) has at least one letter")]
    NoLetter,
    /// Spaces that nobody sees.
    #[error("a name neither begins nor ends with a space, nor has two in a row")]
    Spaces,
}

impl SourceFault {
    /// A word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ton | Self::Npi => "out_of_range",
            Self::Length => "length",
            Self::Character => "character",
            Self::NoLetter => "no_letter",
            Self::Spaces => "spaces",
        }
    }

    /// The field that it is about.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Ton => "ston",
            Self::Npi => "snpi",
            Self::Length | Self::Character | Self::NoLetter | Self::Spaces => "saddr",
        }
    }
}

/// Checks an address with its type of number and numbering plan.
///
/// # Errors
/// The first fault.
pub fn check_source(saddr: &str, ston: u8, snpi: u8) -> Result<(), SourceFault> {
    if ston > MAX_TON {
        return Err(SourceFault::Ton);
    }
    if !NPIS.contains(&snpi) {
        return Err(SourceFault::Npi);
    }
    let (most, is_allowed): (_, fn(char) -> bool) = match ston {
        TON_ALPHANUMERIC => (MAX_NAME_CHARS, is_common),
        _ => (MAX_DIGITS, |c| c.is_ascii_digit()),
    };
    if saddr.is_empty() || saddr.chars().count() > most {
        return Err(SourceFault::Length);
    }
    if !saddr.chars().all(is_allowed) {
        return Err(SourceFault::Character);
    }
    if ston != TON_ALPHANUMERIC {
        return Ok(());
    }
    if saddr.trim() != saddr || saddr.contains("  ") {
        return Err(SourceFault::Spaces);
    }
    if saddr.chars().any(|c| c.is_ascii_alphabetic()) { Ok(()) } else { Err(SourceFault::NoLetter) }
}

/// Whether a character has one code in ASCII and in the GSM alphabet; `$`, `@`, `_` and brackets have others there.
const fn is_common(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ' '..='#' | '%'..='?')
}

/// What is left of an address once everything is taken away that people overlook: letter case, spaces, punctuation, an
/// international prefix of `00`, and which of several look-alikes stands there. Two addresses with one skeleton are
/// taken for the same, a name for a number too. The idea is that of Unicode TR39; only ASCII is ever an address.
#[must_use]
pub fn skeleton(saddr: &str) -> String {
    let digits: String = saddr.chars().filter(char::is_ascii_alphanumeric).collect();
    let is_number = digits.chars().all(|c| c.is_ascii_digit());
    let bare = digits.strip_prefix("00").filter(|rest| is_number && !rest.is_empty()).unwrap_or(&digits);
    let folded: String = bare.chars().map(|c| like(c.to_ascii_lowercase())).collect();
    // In the narrow letters of a handset `rn` is an `m`, and two `v` are a `w`.
    folded.replace("rn", "m").replace("vv", "w")
}

/// The one of its look-alikes that stands for a small letter or digit.
const fn like(c: char) -> char {
    match c {
        // A zero is an `O` without its slash.
        '0' => 'o',
        // A one, a small `l` and a capital `I` are the same stroke; the small `i` is that `I` in another case.
        '1' | 'i' => 'l',
        // Read at a glance: `5` and `S`, `8` and `B`, `2` and `Z`.
        '5' => 's',
        '8' => 'b',
        '2' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_short_name_or_digits_and_every_fault_is_told() {
        use SourceFault::{Character, Length, NoLetter, Npi, Spaces, Ton};
        let twenty = "1".repeat(20);
        let table: [(&str, u8, u8, Result<(), SourceFault>); 24] = [
            ("Shop", 5, 0, Ok(())),
            ("H&M 24/7", 5, 1, Ok(())),
            ("elevenchars", 5, 0, Ok(())),
            ("4915112345", 1, 1, Ok(())),
            ("80800", 3, 18, Ok(())),
            (&twenty, 0, 0, Ok(())),
            ("", 5, 0, Err(Length)),
            ("", 0, 0, Err(Length)),
            ("twelve chars", 5, 0, Err(Length)),
            (&format!("{twenty}1"), 2, 1, Err(Length)),
            ("Caf\u{e9}", 5, 0, Err(Character)),
            ("\u{410}cme", 5, 0, Err(Character)),
            ("A_B", 5, 0, Err(Character)),
            ("A$B", 5, 0, Err(Character)),
            ("A@B", 5, 0, Err(Character)),
            ("A\nB", 5, 0, Err(Character)),
            ("A\u{7f}", 5, 0, Err(Character)),
            ("+4915112345", 1, 1, Err(Character)),
            ("Shop", 0, 0, Err(Character)),
            ("12345", 5, 0, Err(NoLetter)),
            (" Shop", 5, 0, Err(Spaces)),
            ("A  B", 5, 0, Err(Spaces)),
            ("Shop", 7, 0, Err(Ton)),
            ("Shop", 5, 2, Err(Npi)),
        ];
        for (saddr, ston, snpi, expected) in table {
            assert_eq!(check_source(saddr, ston, snpi), expected, "{saddr:?} {ston} {snpi}");
        }
    }

    #[test]
    fn an_allowed_character_has_the_same_code_in_ascii_and_in_the_gsm_alphabet() {
        for code in 0..128_u8 {
            let c = char::from(code);
            let mut septets = Vec::new();
            let is_written = pdu::text::Encoding::Gsm7.encode(&c.to_string(), &mut septets).is_ok();
            let is_same = is_written && septets == [code];
            assert_eq!(is_common(c), is_same && !c.is_control(), "{c:?}");
        }
    }

    #[test]
    fn what_looks_alike_has_one_skeleton_and_what_differs_another() {
        let same = [
            ("Acme", "ACME"),
            ("Acme", "A.c m-e"),
            ("BANK", "8ank"),
            ("GO4IT", "G04lT"),
            ("SHOP", "5hop"),
            ("Bill", "B1II"),
            ("modern", "modem"),
            ("vvork", "Work"),
            ("ZOO", "200"),
            ("4915112345", "004915112345"),
            ("15O", "150"),
        ];
        for (one, other) in same {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
        let different = [
            ("Acme", "Acne"),
            ("Shop", "Shops"),
            ("800123", "0800123"),
            ("4915112345", "4915112346"),
            ("00", ""),
        ];
        for (one, other) in different {
            assert_ne!(skeleton(one), skeleton(other), "{one} {other}");
        }
        assert_eq!(skeleton("A&B!"), "ab");
    }
}
