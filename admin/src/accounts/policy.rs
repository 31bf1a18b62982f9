//! What a password must be: long enough, not well known, and nothing that stands on the account itself.
//!
//! There are no rules about kinds of characters (ASVS 6.2.5). Whatever is refused is told in one sentence, and never
//! with the password in it.

use super::password::Passwords;
use engine::model::PasswordPolicy;

/// Longest password, characters: more is no safer, and hashing it is work.
pub(crate) const MAX_PASSWORD_CHARS: usize = 128;
/// Shortest word of an account that must not stand in its password; shorter ones are in every other sentence.
const MIN_WORD_CHARS: usize = 4;
/// Different characters that a password has at least.
const MIN_DIFFERENT: usize = 5;
/// What everybody tries first at this product.
const PRODUCT: &str = "messagecenter";

/// Well-known passwords, letters and digits of them in lower case. Those of twelve characters and more matter most;
/// the shorter ones count where the policy allows them, and repeated: `passwordpassword`.
const COMMON: [&str; 56] = [
    "password",
    "passw0rd",
    "passwort",
    "12345678",
    "123456789",
    "1234567890",
    "12345678910",
    "123456789012",
    "0123456789",
    "9876543210",
    "0987654321",
    "123123123",
    "qwertyuiop",
    "qwerty123456",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdfgh",
    "asdfghjkl",
    "asdfghjkl123",
    "zxcvbnm",
    "zxcvbnm12345",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "1qaz2wsx",
    "1qaz2wsx3edc",
    "qazwsxedc",
    "qazwsxedcrfv",
    "abcdefgh",
    "abcdefghijkl",
    "abcdefghijklmnop",
    "abcd1234",
    "abc123456789",
    "iloveyou",
    "iloveyou1234",
    "letmein",
    "letmein12345",
    "letmeinplease",
    "welcome",
    "welcome12345",
    "welcome1",
    "administrator",
    "adminadmin",
    "admin123456",
    "admin12345678",
    "changeme",
    "changeme1234",
    "changemenow",
    "changeitnow",
    "superuser",
    "supersecret",
    "trustno1",
    "sunshine",
    "princess",
    "football",
    "baseball",
];

/// Why a password is refused, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Weak(String);

/// Whose password it is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// The account's email.
    pub(crate) email: &'a str,
    /// The account's name.
    pub(crate) name: &'a str,
}

impl Passwords {
    /// Whether the policy allows this password to this owner.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_policy(policy: PasswordPolicy, password: &str, owner: Owner<'_>) -> Result<(), Weak> {
        let weak = |why: String| Err(Weak(why));
        let chars = password.chars().count();
        if chars < usize::from(policy.min_chars) {
            return weak(format!("A password has at least {} characters.", policy.min_chars));
        }
        if chars > MAX_PASSWORD_CHARS {
            return weak(format!("A password has at most {MAX_PASSWORD_CHARS} characters."));
        }
        let bare = bare(password);
        if words_of(owner).any(|word| bare.contains(&word)) {
            return weak("The password contains the name, the email or the product.".to_owned());
        }
        if policy.refuse_common && is_common(password, &bare) {
            return weak("The password is well known or too regular.".to_owned());
        }
        Ok(())
    }
}

/// Letters and digits alone, in lower case: what is added around them does not hide a word.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn words_of(owner: Owner<'_>) -> impl Iterator<Item = String> {
    let local = owner.email.split('@').next().unwrap_or_default();
    let names = owner.name.split_whitespace().map(bare);
    names
        .chain([bare(owner.name), bare(local), PRODUCT.to_owned()])
        .filter(|word| word.chars().count() >= MIN_WORD_CHARS)
}

fn is_common(password: &str, bare: &str) -> bool {
    let mut different: Vec<char> = password.chars().collect();
    different.sort_unstable();
    different.dedup();
    different.len() < MIN_DIFFERENT || COMMON.iter().any(|common| is_repeated(bare, common))
}

/// Whether a text is this word once or several times.
fn is_repeated(text: &str, word: &str) -> bool {
    !text.is_empty() && text.replace(word, "").is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: PasswordPolicy, password: &str) -> Result<(), Weak> {
        let owner = Owner { email: "ann.author@example.com", name: "Ann Margret" };
        Passwords::check_policy(policy, password, owner)
    }

    #[test]
    fn a_password_is_refused_for_its_length_and_for_what_everybody_guesses() {
        let table = [
            ("correct horse battery staple", true),
            ("пароль из четырёх слов", true),
            ("elevenchars", false),
            ("twelve chars", true),
            (&"x7!kQ ".repeat(22), false),
            ("password-PASSWORD", false),
            ("1q2w3e4r5t6y", false),
            ("aaaaaaaaaaaaaaa", false),
            ("abababababab", false),
            ("my Message-Center 7", false),
            ("Ann.Author forever", false),
            ("7 times margret!", false),
            ("annmargret-2026", false),
        ];
        for (password, expected) in table {
            assert_eq!(check(PasswordPolicy::default(), password).is_ok(), expected, "{password}");
        }
    }

    #[test]
    fn the_policy_sets_the_length_and_may_tolerate_well_known_ones() {
        let short = PasswordPolicy { min_chars: 8, refuse_common: true };
        assert!(check(short, "k7#pQ2xz").is_ok() && check(short, "passw0rd").is_err());
        let tolerant = PasswordPolicy { refuse_common: false, ..short };
        assert!(check(tolerant, "passw0rd").is_ok() && check(tolerant, "margret1").is_err());
    }

    #[test]
    fn every_well_known_password_is_written_as_it_is_compared() {
        for common in COMMON {
            assert_eq!(bare(common), common);
        }
    }
}
