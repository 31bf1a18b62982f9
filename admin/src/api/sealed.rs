//! Ids of entries of suppression lists: stable, and without a trace of the number that they name.
//!
//! An entry has no id of its own, its number is its name, and numbers never stand in an address. So number and kind are
//! enciphered under a key of the installation, bound to the list that they are on (deterministic authenticated
//! encryption: a tag over the text, and the text under a mask that the tag gives). What nobody sealed is refused.
//! The key protects addresses and logs, not the store: whoever reads that reads the numbers.

use super::platform;
use super::problem::Problem;
use super::state::Api;
use crate::accounts::Secret;
use engine::model::{Principal, SuppressionKind};
use engine::store::{Scope, SuppressionKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// Octets of the tag, and of the text.
const HALF: usize = 8;

/// Seals the entries of one list.
pub(crate) struct Seal {
    key: String,
    list: [u8; 16],
}

impl Seal {
    /// For the list of this scope, with the installation's key, which is made when it is needed first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn of(api: &Api, scope: Scope) -> Result<Self, Problem> {
        let mut settings = platform::settings(api).await?;
        if settings.credential.is_none() {
            let made = Secret::new().credential();
            let edit = |settings: &mut engine::model::Settings| {
                settings.credential.get_or_insert_with(|| made.clone());
            };
            settings = platform::change(api, (&Principal::engine(), "settings.make_key"), edit).await?;
        }
        let key = settings.credential.map(|credential| credential.0).unwrap_or_default();
        let list = match scope {
            Scope::Workspace(id) => *id.0.as_bytes(),
            Scope::Platform => [0; 16],
        };
        Ok(Self { key, list })
    }

    /// The id of an entry.
    pub(crate) fn close(&self, (number, kind): SuppressionKey) -> String {
        let text = (number << 1 | u64::from(kind == SuppressionKind::Block)).to_be_bytes();
        let tag = self.mac(b"tag", text);
        let hidden = xor(text, self.mac(b"mask", tag));
        let mut id = String::with_capacity(4 * HALF);
        for octet in tag.into_iter().chain(hidden) {
            // Writing to a string does not fail.
            let _ = write!(id, "{octet:02x}");
        }
        id
    }

    /// The entry of an id of this list.
    pub(crate) fn open(&self, id: &str) -> Option<SuppressionKey> {
        let is_id =
            id.len() == 4 * HALF && id.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        let value = u128::from_str_radix(id, 16).ok().filter(|_| is_id)?.to_be_bytes();
        let (tag, hidden) = value.split_first_chunk::<HALF>()?;
        let text = xor(*hidden.first_chunk::<HALF>()?, self.mac(b"mask", *tag));
        if self.mac(b"tag", text) != *tag {
            return None;
        }
        let text = u64::from_be_bytes(text);
        Some((text >> 1, if text & 1 == 1 { SuppressionKind::Block } else { SuppressionKind::OptOut }))
    }

    fn mac(&self, purpose: &[u8], text: [u8; HALF]) -> [u8; HALF] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("a key of any length makes an HMAC");
        for part in [purpose, &self.list, &text] {
            mac.update(part);
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|at| whole[at])
    }
}

fn xor(left: [u8; HALF], right: [u8; HALF]) -> [u8; HALF] {
    std::array::from_fn(|at| left[at] ^ right[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_from_its_id_in_its_own_list_only() {
        let seal = |key: &str, list| Seal { key: key.to_owned(), list: [list; 16] };
        let (here, there, elsewhere) = (seal("k", 1), seal("k", 2), seal("l", 1));
        for number in [1, 4_915_112_345_678, 999_999_999_999_999] {
            for kind in SuppressionKind::ALL {
                let id = here.close((number, kind));
                assert_eq!((id.len(), here.open(&id)), (32, Some((number, kind))));
                assert_eq!(here.close((number, kind)), id, "stable");
                assert!(!id.contains(&number.to_string()) || number == 1, "{id}");
                assert_eq!((there.open(&id), elsewhere.open(&id)), (None, None));
                for at in 0..id.len() {
                    let mut other = id.clone();
                    let digit = if &id[at..=at] == "0" { "1" } else { "0" };
                    other.replace_range(at..=at, digit);
                    assert_eq!(here.open(&other), None, "{at}");
                }
            }
        }
        for wrong in ["", "+1", &"f".repeat(31), &"é".repeat(16), &"F".repeat(32)] {
            assert_eq!(here.open(wrong), None, "{wrong}");
        }
    }
}
