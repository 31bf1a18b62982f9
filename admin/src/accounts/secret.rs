//! Secrets of 256 random bits: cookies, links and API keys; stored as SHA-256, which is enough for what nobody can guess.

use engine::model::Credential;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fmt::Write;
use uuid::Uuid;

/// What every API key begins with.
pub(crate) const KEY_PREFIX: &str = "mc_";
/// Random octets of a secret.
const OCTETS: usize = 32;

/// A secret on its way to its owner; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// A new one.
    ///
    /// # Panics
    /// When the system has no randomness to give: nothing safe can be done then.
    pub(crate) fn new() -> Self {
        let mut octets = [0; OCTETS];
        getrandom::fill(&mut octets).expect("the system gives randomness");
        Self(hex(&octets))
    }

    /// For its owner, once.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub(crate) fn credential(&self) -> Credential {
        digest(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is stored of a secret.
pub(crate) fn digest(secret: &str) -> Credential {
    Credential(hex(&Sha256::digest(secret.as_bytes())))
}

/// What tells two bodies apart: SHA-256, hexadecimal.
pub(crate) fn fingerprint(octets: &[u8]) -> String {
    hex(&Sha256::digest(octets))
}

/// An API key as its owner gets it: `mc_<id>_<secret>`.
pub(crate) fn key_text(id: Uuid, secret: &Secret) -> String {
    format!("{KEY_PREFIX}{}_{}", id.simple(), secret.0)
}

/// Id and secret of an API key.
pub(crate) fn parse_key(text: &str) -> Option<(Uuid, &str)> {
    let (id, secret) = text.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    let id = Uuid::try_parse(id).ok()?;
    (secret.len() == 2 * OCTETS).then_some((id, secret))
}

fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_key_is_read_back_and_nothing_else_is_taken_for_one() {
        let (id, secret) = (Uuid::now_v7(), Secret::new());
        let text = key_text(id, &secret);
        assert_eq!(parse_key(&text), Some((id, secret.reveal())));
        for wrong in ["", "mc_", "mc_1_2", &text[3..], &text[..text.len() - 1], &format!("{text}0")] {
            assert_eq!(parse_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_do_not_repeat_are_never_printed_and_are_stored_as_a_digest() {
        let secrets: BTreeSet<String> = (0..10_000).map(|_| Secret::new().reveal().to_owned()).collect();
        assert_eq!(secrets.len(), 10_000);
        let secret = Secret::new();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_ne!(secret.credential().0, secret.reveal());
        assert_eq!(secret.credential(), digest(secret.reveal()));
    }
}
