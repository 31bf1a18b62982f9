//! The hash chain of an audit log: how each event is bound to all that were written before it.
//!
//! A hash covers the one before it and every stored field, octet for octet as it is stored, so that nobody has to
//! understand an event to check it. Backends share it; it never reads or writes. The chain has no key: whoever can
//! rewrite a whole log and its head can make a new chain, so the head belongs noted down elsewhere now and then.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// A link of the chain.
pub(super) type Hash = [u8; 32];

/// What the first event of every log is bound to.
pub(super) const GENESIS: Hash = [0; 32];

/// Begins what is hashed, so that no other use of the hash can give the same value.
const FORM: &[u8] = b"message-center audit 1";

/// Stands for the length of a field that is absent.
const ABSENT: u64 = u64::MAX;

/// One event as stored.
pub(super) struct Link<'a> {
    /// Whose log it is in; empty for the platform's.
    pub(super) log: &'a [u8],
    /// Its place there.
    pub(super) seq: u64,
    /// When, milliseconds since 1970.
    pub(super) at_ms: i64,
    /// Who, JSON.
    pub(super) by: &'a [u8],
    /// What.
    pub(super) action: &'a [u8],
    /// To what kind of entity.
    pub(super) entity_kind: &'a [u8],
    /// To which one.
    pub(super) entity_id: &'a [u8],
    /// The account that it is about.
    pub(super) subject: Option<&'a [u8]>,
    /// The id of a note.
    pub(super) note_id: Option<&'a [u8]>,
    /// JSON: what was there before.
    pub(super) before: &'a [u8],
    /// JSON: what is there now.
    pub(super) after: &'a [u8],
}

impl Link<'_> {
    /// The hash that binds this event to the one whose hash is `previous`. Every field goes in behind its length, so
    /// that no octet can move from one field to the next.
    pub(super) fn hash(&self, previous: &[u8]) -> Hash {
        let (seq, at_ms) = (self.seq.to_be_bytes(), self.at_ms.to_be_bytes());
        let fields = [
            Some(FORM),
            Some(previous),
            Some(self.log),
            Some(&seq),
            Some(&at_ms),
            Some(self.by),
            Some(self.action),
            Some(self.entity_kind),
            Some(self.entity_id),
            self.subject,
            self.note_id,
            Some(self.before),
            Some(self.after),
        ];
        let mut digest = Sha256::new();
        for field in fields {
            digest.update(field.map_or(ABSENT, |octets| octets.len() as u64).to_be_bytes());
            digest.update(field.unwrap_or_default());
        }
        digest.finalize().into()
    }
}

/// As events and reports show it.
pub(super) fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, octet| {
        write!(text, "{octet:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link<'static> {
        Link {
            log: b"l",
            seq: 1,
            at_ms: 2,
            by: b"by",
            action: b"action",
            entity_kind: b"kind",
            entity_id: b"id",
            subject: None,
            note_id: None,
            before: b"null",
            after: b"{}",
        }
    }

    #[test]
    fn every_field_and_the_border_between_two_change_the_hash() {
        let links = [
            link(),
            Link { log: b"", ..link() },
            Link { seq: 2, ..link() },
            Link { at_ms: -2, ..link() },
            Link { by: b"b", ..link() },
            Link { by: b"bya", action: b"ction", ..link() },
            Link { entity_kind: b"kindi", entity_id: b"d", ..link() },
            Link { subject: Some(b""), ..link() },
            Link { note_id: Some(b""), ..link() },
            Link { before: b"", after: b"null{}", ..link() },
            Link { after: b"{ }", ..link() },
        ];
        let mut hashes: Vec<Hash> = links.iter().map(|link| link.hash(&GENESIS)).collect();
        hashes.push(link().hash(&[1; 32]));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), links.len() + 1);
    }

    #[test]
    fn the_chain_is_the_same_in_every_version() {
        assert_eq!(
            hex(&link().hash(&GENESIS)),
            "05070ac7803e704c407bdb7918893a4f6dd436adcb4cebe06aee2859b3393967"
        );
    }
}
