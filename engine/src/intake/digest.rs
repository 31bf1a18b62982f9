//! The digest that an approval binds: SHA-256 over the ordered SHA-256 hashes of the chunks.
//!
//! SHA-256 because the digest must withstand someone who looks for a second list with the same one, because an auditor
//! can recompute it with any tool, and because `sha2` is small pure Rust with the processor's own instructions.
//! A chunk's octets are its numbers as big-endian `u64`, in order.

use std::fmt;

use sha2::{Digest, Sha256};

/// Recipients of one chunk; only the last chunk of a list is shorter.
pub const CHUNK_RECIPIENTS: usize = 4096;

/// Names the construction, so that no other use of SHA-256 can yield the same digest.
const DOMAIN: &[u8] = b"message-center recipients 1";

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

    /// Adds the next chunk.
    pub fn chunk(&mut self, numbers: &[u64]) {
        self.octets.clear();
        self.octets.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        self.list.update(Sha256::digest(&self.octets));
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
        chunks.iter().for_each(|chunk| hasher.chunk(chunk));
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
}
