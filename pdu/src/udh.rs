//! The user data header: information elements in front of the text, present when `esm_class` has bit 0x40.
//!
//! A parser that never panics and two writers for concatenation. 3GPP TS 23.040 section 9.2.3.24: one octet of
//! length, then elements of one octet id, one octet length and data.

/// Element id of concatenation with an 8-bit reference.
pub const CONCAT_8: u8 = 0x00;
/// Element id of concatenation with a 16-bit reference.
pub const CONCAT_16: u8 = 0x08;
/// Element id of 16-bit application ports.
pub const PORTS_16: u8 = 0x05;

/// User data whose header does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the user data header is longer than the user data")]
pub struct UdhError;

/// A user data header, its length octet taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udh<'a> {
    elements: &'a [u8],
}

/// One information element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// What it is.
    pub id: u8,
    /// Its data.
    pub data: &'a [u8],
}

/// The place of a segment in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Equal in all segments of a message.
    pub reference: u16,
    /// Whether the reference has 16 bits; references of different width are different.
    pub wide: bool,
    /// Segments of the message, 1 to 255.
    pub total: u8,
    /// Number of this one, 1 to `total`.
    pub number: u8,
}

impl<'a> Udh<'a> {
    /// Takes the header off user data and returns it with the text behind it.
    ///
    /// # Errors
    /// `UdhError` when the length octet is missing or claims more than there is.
    pub fn split(user_data: &'a [u8]) -> Result<(Self, &'a [u8]), UdhError> {
        let (len, rest) = user_data.split_first().ok_or(UdhError)?;
        let (elements, text) = rest.split_at_checked(usize::from(*len)).ok_or(UdhError)?;
        Ok((Self { elements }, text))
    }

    /// The elements in order; a truncated one ends them.
    #[must_use]
    pub const fn iter(&self) -> ElementIter<'a> {
        ElementIter { rest: self.elements }
    }

    /// Octets of the header, its length octet included.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.elements.len() + 1
    }

    /// The concatenation element, the last one if there are several (TS 23.040); an impossible one is ignored.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.iter().filter_map(|element| element.place()).last()
    }
}

impl Element<'_> {
    fn place(&self) -> Option<Place> {
        let place = match (self.id, self.data) {
            (CONCAT_8, [reference, total, number]) => {
                Place { reference: u16::from(*reference), wide: false, total: *total, number: *number }
            }
            (CONCAT_16, [high, low, total, number]) => Place {
                reference: u16::from_be_bytes([*high, *low]),
                wide: true,
                total: *total,
                number: *number,
            },
            _ => return None,
        };
        (1..=place.total).contains(&place.number).then_some(place)
    }
}

/// Iterator over information elements, made by [`Udh::iter`].
#[derive(Clone, Copy, Debug)]
pub struct ElementIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for ElementIter<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let ([id, len], rest) = self.rest.split_first_chunk::<2>()?;
        let Some((data, rest)) = rest.split_at_checked(usize::from(*len)) else {
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some(Element { id: *id, data })
    }
}

/// The whole header of a segment with an 8-bit reference.
#[must_use]
pub const fn concat8(reference: u8, total: u8, number: u8) -> [u8; 6] {
    [5, CONCAT_8, 3, reference, total, number]
}

/// The whole header of a segment with a 16-bit reference.
#[must_use]
pub const fn concat16(reference: u16, total: u8, number: u8) -> [u8; 7] {
    let [high, low] = reference.to_be_bytes();
    [6, CONCAT_16, 4, high, low, total, number]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn both_concatenations_are_read_back() {
        let mut data = concat8(0x42, 3, 2).to_vec();
        data.extend_from_slice(b"text");
        let (udh, text) = Udh::split(&data).unwrap();
        assert_eq!(text, b"text");
        assert_eq!(udh.octets(), 6);
        assert_eq!(udh.place(), Some(Place { reference: 0x42, wide: false, total: 3, number: 2 }));
        let data = concat16(0x1234, 255, 255);
        let (udh, text) = Udh::split(&data).unwrap();
        assert!(text.is_empty());
        assert_eq!(udh.place(), Some(Place { reference: 0x1234, wide: true, total: 255, number: 255 }));
    }

    #[test]
    fn an_impossible_place_is_ignored_and_the_last_good_one_counts() {
        for (total, number) in [(0, 0), (0, 1), (2, 0), (2, 3)] {
            assert_eq!(Udh::split(&concat8(1, total, number)).unwrap().0.place(), None);
        }
        let two = [11, 0x05, 4, 0, 1, 0, 2, CONCAT_8, 3, 7, 2, 1];
        let (udh, _) = Udh::split(&two).unwrap();
        assert_eq!(udh.iter().map(|element| element.id).collect::<Vec<_>>(), [PORTS_16, CONCAT_8]);
        assert_eq!(udh.place().unwrap().reference, 7);
    }

    #[test]
    fn no_header_of_up_to_three_octets_panics() {
        for n in 0..=0xFF_FFFF_u32 {
            let octets = n.to_be_bytes();
            for data in [&octets[1..], &octets[2..], &octets[3..]] {
                if let Ok((udh, _)) = Udh::split(data) {
                    assert!(udh.iter().count() <= 2 && udh.place().is_none());
                }
            }
        }
        assert_eq!(Udh::split(&[]), Err(UdhError));
        assert_eq!(Udh::split(&[5, 0, 3]), Err(UdhError));
    }
}
