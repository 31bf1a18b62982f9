//! What the simulator reads of a `submit_sm` body: addresses, the part and the content.
//!
//! A second, independent reading of the wire format on purpose: a ledger written with the engine's own decoder
//! could not show an error of the engine's encoder. SMPP 3.4 section 4.4.1, SMPP 5.0 section 4.2.1.1.

/// Octets of an address without its NUL, SMPP 3.4 section 4.4.1.
pub(crate) const ADDRESS_MAX: usize = 20;

const TLV_SAR_REF: u16 = 0x020C;
const TLV_SAR_TOTAL: u16 = 0x020E;
const TLV_SAR_SEQ: u16 = 0x020F;
const TLV_PAYLOAD: u16 = 0x0424;
const ESM_UDH: u8 = 0x40;

/// An address with its type of number and numbering plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addr<'a> {
    pub(crate) ton: u8,
    pub(crate) npi: u8,
    pub(crate) octets: &'a [u8],
}

/// Which part of a concatenated message this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) reference: u16,
    pub(crate) number: u8,
    pub(crate) total: u8,
}

impl Part {
    /// A message in one piece.
    pub(crate) const SINGLE: Self = Self { reference: 0, number: 1, total: 1 };
}

/// The fields of a `submit_sm` that matter to the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubmitView<'a> {
    pub(crate) source: Addr<'a>,
    pub(crate) destination: Addr<'a>,
    pub(crate) registered_delivery: u8,
    pub(crate) data_coding: u8,
    pub(crate) part: Part,
    /// The text without its user data header, from `short_message` or `message_payload`.
    pub(crate) content: &'a [u8],
}

impl<'a> SubmitView<'a> {
    /// Reads a body; `None` when it breaks the format.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(body);
        cursor.c_string(5)?;
        let source = cursor.addr()?;
        let destination = cursor.addr()?;
        let [esm_class, _protocol, _priority] = cursor.take()?;
        cursor.c_string(16)?;
        cursor.c_string(16)?;
        let [registered_delivery, _replace, data_coding, _default_id, sm_length] = cursor.take()?;
        let mut content = cursor.bytes(usize::from(sm_length))?;
        let mut part = Part::SINGLE;
        if esm_class & ESM_UDH == 0 || sm_length == 0 {
            cursor.tlvs(&mut part, &mut content)?;
        }
        if esm_class & ESM_UDH != 0 {
            let udh = usize::from(*content.first()?) + 1;
            part = udh_part(content.get(1..udh)?).unwrap_or(part);
            content = &content[udh..];
        }
        Some(Self { source, destination, registered_delivery, data_coding, part, content })
    }
}

/// The digits of an address as a number: 0 when it is not numeric or longer than 19 digits.
pub(crate) fn digits(octets: &[u8]) -> u64 {
    let octets = octets.strip_prefix(b"+").unwrap_or(octets);
    if octets.len() > 19 || !octets.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    octets.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

/// The part named by a user data header, from the 8-bit (0x00) or the 16-bit (0x08) concatenation element.
fn udh_part(mut elements: &[u8]) -> Option<Part> {
    loop {
        let [id, length, rest @ ..] = elements else { return None };
        let value = rest.get(..usize::from(*length))?;
        match (id, value) {
            (0x00, &[reference, total, number]) => {
                return Some(Part { reference: u16::from(reference), number, total });
            }
            (0x08, &[high, low, total, number]) => {
                return Some(Part { reference: u16::from_be_bytes([high, low]), number, total });
            }
            _ => elements = &rest[usize::from(*length)..],
        }
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    /// A NUL-terminated string of at most `max` octets before the NUL.
    fn c_string(&mut self, max: usize) -> Option<&'a [u8]> {
        let reach = self.0.len().min(max + 1);
        let end = self.0[..reach].iter().position(|octet| *octet == 0)?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    fn addr(&mut self) -> Option<Addr<'a>> {
        let [ton, npi] = self.take()?;
        Some(Addr { ton, npi, octets: self.c_string(ADDRESS_MAX)? })
    }

    /// Reads the optional parameters that name a part or carry the content.
    fn tlvs(&mut self, part: &mut Part, content: &mut &'a [u8]) -> Option<()> {
        while !self.0.is_empty() {
            let [t0, t1, l0, l1] = self.take()?;
            let value = self.bytes(usize::from(u16::from_be_bytes([l0, l1])))?;
            match (u16::from_be_bytes([t0, t1]), value) {
                (TLV_SAR_REF, &[high, low]) => part.reference = u16::from_be_bytes([high, low]),
                (TLV_SAR_TOTAL, &[total]) => part.total = total,
                (TLV_SAR_SEQ, &[number]) => part.number = number,
                (TLV_PAYLOAD, payload) if content.is_empty() => *content = payload,
                _ => {}
            }
        }
        Some(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A `submit_sm` body with the given destination, `esm_class`, `short_message` and raw optional parameters.
    pub(crate) fn body(destination: &str, esm_class: u8, text: &[u8], tlvs: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 5, 0];
        body.extend_from_slice(b"ACME\0\x01\x01");
        body.extend_from_slice(destination.as_bytes());
        body.extend_from_slice(&[0, esm_class, 0, 0, 0, 0, 1, 0, 0, 0]);
        body.push(u8::try_from(text.len()).expect("short"));
        body.extend_from_slice(text);
        body.extend_from_slice(tlvs);
        body
    }

    #[test]
    fn a_plain_body_gives_addresses_and_text() {
        let body = body("420777123456", 0, b"hello", &[]);
        let view = SubmitView::read(&body).expect("well formed");
        assert_eq!(view.source, Addr { ton: 5, npi: 0, octets: b"ACME" });
        assert_eq!(digits(view.destination.octets), 420_777_123_456);
        assert_eq!(
            (view.part, view.content, view.registered_delivery),
            (Part::SINGLE, b"hello".as_slice(), 1)
        );
    }

    #[test]
    fn parts_come_from_the_user_data_header_or_from_sar() {
        let narrow = body("1", 0x40, b"\x05\x00\x03\x2a\x03\x02xyz", &[]);
        let view = SubmitView::read(&narrow).expect("well formed");
        assert_eq!(view.part, Part { reference: 42, number: 2, total: 3 });
        assert_eq!(view.content, b"xyz");
        let wide = body("1", 0x40, b"\x06\x08\x04\x01\x02\x02\x01z", &[]);
        let view = SubmitView::read(&wide).expect("well formed");
        assert_eq!(view.part, Part { reference: 0x0102, number: 1, total: 2 });
        let sar = b"\x02\x0c\0\x02\x00\x07\x02\x0e\0\x01\x04\x02\x0f\0\x01\x03";
        let view = body("1", 0, b"z", sar);
        let view = SubmitView::read(&view).expect("well formed");
        assert_eq!(view.part, Part { reference: 7, number: 3, total: 4 });
    }

    #[test]
    fn a_payload_parameter_is_the_content() {
        let body = body("1", 0, b"", b"\x04\x24\0\x03abc");
        assert_eq!(SubmitView::read(&body).expect("well formed").content, b"abc");
    }

    #[test]
    fn every_cut_of_a_body_is_refused_and_none_panics() {
        let whole = body("420777123456", 0x40, b"\x05\x00\x03\x2a\x03\x02xyz", &[]);
        for end in 0..whole.len() {
            assert_eq!(SubmitView::read(&whole[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn an_address_that_is_no_number_has_no_digits() {
        assert_eq!(digits(b"+4207"), 4207);
        assert_eq!(digits(b"ACME"), 0);
        assert_eq!(digits(b"99999999999999999999"), 0);
    }
}
