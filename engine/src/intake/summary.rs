//! What an intake tells about the file that it read.

use std::collections::BTreeMap;

use super::digest::RecipientsDigest;
use super::encoding::Encoding;
use super::number::E164;
use super::options::Delimiter;
use super::reject::{RejectReason, RejectReport};
use super::shape::Shape;

/// Numbers shown as a sample.
pub(super) const SAMPLE: usize = 5;

/// How the file turned out to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) encoding: Encoding,
    /// Octets of the byte-order mark.
    pub(super) mark: usize,
    pub(super) shape: Shape,
}

impl Found {
    pub(super) fn delimiter(self) -> Option<Delimiter> {
        match self.shape {
            Shape::Txt => None,
            Shape::Csv(octet) => Some(Delimiter::from_octet(octet)),
        }
    }
}

/// The result of an intake. A record that spans several lines counts once in `accepted`, `duplicate` and `invalid`, but
/// with all its lines in `lines`.
#[derive(Debug)]
pub struct IntakeSummary {
    /// Different recipients, all handed to the sink.
    pub accepted: u64,
    /// Records that repeat an earlier record's number.
    pub duplicate: u64,
    /// Records whose number was refused: the sum of `invalid_by_reason`.
    pub invalid: u64,
    /// Lines without anything but spaces, neither accepted nor invalid.
    pub blank: u64,
    /// All lines of the file, blank ones and the header included.
    pub lines: u64,
    /// Octets of the file as it came.
    pub bytes: u64,
    /// Refused records by reason; reasons that did not occur are left out.
    pub invalid_by_reason: BTreeMap<RejectReason, u64>,
    /// The names of the columns, or `c1`, `c2` ... without a header; of at most 256 columns.
    pub columns: Vec<String>,
    /// The first accepted numbers (at most 5), not masked.
    pub sample: Vec<E164>,
    /// Whether the first line was read as a header.
    pub has_header: bool,
    /// The encoding that was found.
    pub encoding: Encoding,
    /// What separates the fields; `None` for one number a line.
    pub delimiter: Option<Delimiter>,
    /// Binds the accepted numbers and their order.
    pub digest: RecipientsDigest,
    /// The refused and repeated lines.
    pub rejects: RejectReport,
}
