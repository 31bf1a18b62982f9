//! Packing of septets into octets, seven bits each, least significant bits first (3GPP TS 23.038 section 6.1.2.1).
//!
//! Only for SMSCs that want packed data: SMPP practice is unpacked. Behind a user data header the text begins at a
//! septet boundary, so up to six fill bits go between header and text (3GPP TS 23.040 section 9.2.3.24).

/// Fill bits behind a user data header of `header_octets` octets, its length octet included.
#[inline]
#[must_use]
pub const fn fill_bits(header_octets: usize) -> u8 {
    // The remainder of a division by seven.
    #[expect(clippy::cast_possible_truncation, reason = "at most six")]
    let over = (header_octets * 8 % 7) as u8;
    (7 - over) % 7
}

/// Appends `septets` packed, behind `fill` zero bits (0 to 6; more are taken modulo 8).
///
/// The top bit of every octet of `septets` is ignored; no septets need no fill bits.
pub fn pack(septets: &[u8], fill: u8, out: &mut Vec<u8>) {
    if septets.is_empty() {
        return;
    }
    let mut bits = u32::from(fill & 7);
    let mut held = 0_u32;
    out.reserve(septets.len());
    for septet in septets {
        held |= u32::from(septet & 0x7F) << bits;
        bits += 7;
        if bits >= 8 {
            out.push((held & 0xFF) as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push((held & 0xFF) as u8);
    }
}

/// Unpacks `count` septets behind `fill` bits; fewer when `octets` end before.
#[must_use]
pub fn unpack(octets: &[u8], fill: u8, count: usize) -> Vec<u8> {
    let mut septets = Vec::with_capacity(count.min(octets.len() * 8 / 7));
    let mut held = 0_u32;
    let mut bits = 0_u32;
    let mut skip = u32::from(fill & 7);
    for octet in octets {
        held |= u32::from(*octet) << bits;
        bits += 8;
        if skip > 0 {
            held >>= skip;
            bits -= skip;
            skip = 0;
        }
        while bits >= 7 && septets.len() < count {
            septets.push((held & 0x7F) as u8);
            held >>= 7;
            bits -= 7;
        }
        if septets.len() == count {
            break;
        }
    }
    septets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_packs_to_its_octets() {
        let mut out = Vec::new();
        pack(b"hellohello", 0, &mut out);
        assert_eq!(out, [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]);
        assert_eq!(unpack(&out, 0, 10), b"hellohello");
    }

    #[test]
    fn fill_bits_bring_the_text_to_a_septet_boundary() {
        assert_eq!(fill_bits(6), 1);
        assert_eq!(fill_bits(7), 0);
        for header in 0..140 {
            assert_eq!((header * 8 + usize::from(fill_bits(header))) % 7, 0);
        }
        // A concatenation header of six octets and 153 septets fill 140 octets exactly.
        let mut out = vec![0; 6];
        pack(&[b'a'; 153], fill_bits(6), &mut out);
        assert_eq!(out.len(), 140);
    }

    #[test]
    fn every_length_and_fill_goes_there_and_back() {
        for fill in 0..7 {
            for len in 1..170_usize {
                let septets: Vec<u8> = (0..128_u8).cycle().step_by(37).take(len).collect();
                let mut out = Vec::new();
                pack(&septets, fill, &mut out);
                assert_eq!(out.len(), (len * 7 + usize::from(fill)).div_ceil(8));
                assert_eq!(unpack(&out, fill, len), septets);
            }
        }
        let mut nothing = Vec::new();
        pack(&[], 6, &mut nothing);
        assert!(nothing.is_empty());
        assert_eq!(unpack(&[0xE8], 0, 10), [0x68]);
        assert!(unpack(&[], 6, usize::MAX).is_empty());
    }
}
