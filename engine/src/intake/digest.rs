//! The digest that an approval binds: SHA-256 over the ordered SHA-256 hashes of the chunks.
//!
//! SHA-256 because the digest must withstand someone who looks for a second list with the same one, because an auditor
//! can recompute it with any tool, and because `sha2` is small pure Rust with the processor's own instructions.
//! A chunk's octets are its numbers as big-endian `u64`, in order. With values of variables they are a prefix of their
//! own, the count of numbers, the numbers and the packed values; no number begins like the prefix.

use std::fmt;

use sha2::{Digest, Sha256};

/// Recipients of one chunk; only the last chunk of a list is shorter.
pub const CHUNK_RECIPIENTS: usize = 4096;

/// Names the construction, so that no other use of SHA-256 can yield the same digest.
const DOMAIN: &[u8] = b"message-center recipients 1";

/// Begins the octets of a chunk with values, so that no chunk of numbers alone has them.
const WITH_VALUES: &[u8] = b"message-center values 1";

/// The digest of a whole recipient list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecipientsDigest([u8; 32]);

impl RecipientsDigest {
    /// The 32 octets.
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RecipientsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for RecipientsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Builds a [`RecipientsDigest`] chunk by chunk; a store can use it to verify what it holds.
#[derive(Debug)]
pub struct ListHasher {
    list: Sha256,
    octets: Vec<u8>,
}

impl ListHasher {
    /// The digest of no chunk yet.
    pub fn new() -> Self {
        Self { list: Sha256::new_with_prefix(DOMAIN), octets: Vec::new() }
    }

    /// Adds the next chunk; `values` are its packed values, empty without variables.
    pub fn chunk(&mut self, numbers: &[u64], values: &[u8]) {
        self.octets.clear();
        if !values.is_empty() {
            self.octets.extend_from_slice(WITH_VALUES);
            self.octets.extend_from_slice(&(numbers.len() as u64).to_be_bytes());
        }
        self.octets.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        let chunk = Sha256::new_with_prefix(&self.octets).chain_update(values);
        self.list.update(chunk.finalize());
    }

    /// The digest of all chunks so far.
    pub fn finish(self) -> RecipientsDigest {
        RecipientsDigest(self.list.finalize().into())
    }
}

impl Default for ListHasher {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(chunks: &[&[u64]]) -> RecipientsDigest {
        let mut hasher = ListHasher::new();
        chunks.iter().for_each(|chunk| hasher.chunk(chunk, b""));
        hasher.finish()
    }

    #[test]
    fn the_digest_depends_on_numbers_their_order_and_the_chunks() {
        let wanted = digest(&[&[1, 2], &[3]]);
        assert_eq!(wanted, digest(&[&[1, 2], &[3]]));
        assert_eq!(wanted.to_string().len(), 64);
        for other in [&[&[2, 1][..], &[3]][..], &[&[1, 2]], &[&[1], &[2, 3]], &[]] {
            assert_ne!(wanted, digest(other));
        }
    }

    #[test]
    fn digests_are_those_that_any_tool_computes() {
        // Python: sha256(DOMAIN + sha256(struct.pack(">2Q", 1, 2)).digest() + sha256(struct.pack(">Q", 3)).digest())
        let plain = "5c1e42ef4a1fee67cc79d014d2fa990453f85fd12025fcbb54400a7802621e4d";
        assert_eq!(digest(&[&[1, 2], &[3]]).to_string(), plain);
        let mut hasher = ListHasher::new();
        hasher.chunk(&[491_701_234_567, 491_701_234_568], "\u{5}\0Jörg\0\0\u{3}\0Ann\u{4}\0Bonn".as_bytes());
        let with_values = "ede4ab6407f9179e53a6b4f79abae78222b35ce2a0d4f199d0cf2e235bb2084e";
        assert_eq!(hasher.finish().to_string(), with_values);
    }
}
