//! The recipients of one chunk, and how some of them lose their numbers.

use crate::model::{Identity, Number, NumberHash, Values};
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::fmt;

/// In the place of a number that was erased; no number is 0.
const ERASED: u64 = 0;

/// The recipients of one chunk. `Debug` tells how many, never whom.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Recipients {
    /// E.164 digits; 0 where the number was erased.
    pub numbers: Vec<u64>,
    /// For each recipient each variable: length as u16 little-endian, UTF-8; empty without variables. Whose number was
    /// erased has empty values.
    pub values: Vec<u8>,
    /// When each was accepted, seconds since 1970; Trigger only, else empty.
    pub accepted_s: Vec<u32>,
    /// What is left of the numbers that were erased, in the order of their places.
    pub erased: Vec<NumberHash>,
}

impl Recipients {
    /// Who each of them is, in order; a 0 without a hash, which no store writes, has none left.
    pub fn identities(&self) -> impl Iterator<Item = Identity> {
        let mut erased = self.erased.iter();
        self.numbers.iter().map(move |number| match *number {
            ERASED => Identity::Erased(erased.next().copied().unwrap_or(NumberHash([0; 32]))),
            number => Identity::Number(Number(number)),
        })
    }

    /// Replaces these numbers, wherever they stand, by their hashes, and the values beside them by empty ones. Gives
    /// how many recipients have lost theirs now.
    ///
    /// # Errors
    /// `Unusable`: the values are not those of so many variables, or a hash is missing.
    pub(crate) fn erase(
        &mut self,
        hashes: &BTreeMap<u64, NumberHash>,
        variables: usize,
    ) -> Result<u64, StoreError> {
        let damaged = |what: &str| StoreError::Unusable(format!("the {what} of a chunk cannot be read"));
        let rows = Values::index(&self.values, variables).ok_or_else(|| damaged("values"))?;
        if !self.values.is_empty() && rows.recipients() != self.numbers.len() {
            return Err(damaged("values"));
        }
        let (mut values, mut kept) = (Vec::with_capacity(self.values.len()), self.erased.iter());
        let (mut erased, mut count) = (Vec::new(), 0);
        for (at, number) in self.numbers.iter_mut().enumerate() {
            if *number == ERASED {
                erased.push(*kept.next().ok_or_else(|| damaged("hashes"))?);
            } else if let Some(hash) = hashes.get(number) {
                erased.push(*hash);
                (*number, count) = (ERASED, count + 1);
            }
            let row = rows.row(at);
            for place in 0..row.len() {
                let value = row.get(place).filter(|_| *number != ERASED).unwrap_or_default();
                let length = u16::try_from(value.len()).map_err(|_| damaged("values"))?;
                values.extend_from_slice(&length.to_le_bytes());
                values.extend_from_slice(value.as_bytes());
            }
        }
        (self.values, self.erased) = (values, erased);
        Ok(count)
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipients({} numbers, {} octets of values)", self.numbers.len(), self.values.len())
    }
}
