//! Goal: for any text at all, measuring, encoding, cutting, headers and packing agree with each other.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::BytesMut;
use pdu::{
    text::{Concat, Encoding, Meter, SegmentError, Segments, fill_bits, measure, pack, unpack},
    udh::Udh,
};
use proptest::{collection::vec, prelude::*};

const ENCODINGS: [Encoding; 3] = [Encoding::Gsm7, Encoding::Latin1, Encoding::Ucs2];
const CONCATS: [Concat; 4] = [Concat::Udh8, Concat::Udh16, Concat::Sar, Concat::Payload];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 @£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ{}\\[\\]~^|€\\\\]{0,700}",
        "\\PC{0,300}",
        "[😀-😏а-я]{0,400}",
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_text_that_fits_an_encoding_comes_back(text in prop_oneof![text(), "[ -~\n]{0,200}", "[a-zA-Z .]{0,200}"]) {
        for encoding in ENCODINGS {
            let mut octets = vec![1, 2, 3];
            let missing = encoding.missing(&text);
            prop_assert_eq!(missing.is_empty(), encoding.fits(&text));
            let mut appended = BytesMut::from(&octets[..]);
            let outcome = encoding.append(&text, &mut appended);
            prop_assert_eq!(outcome, encoding.encode(&text, &mut octets));
            prop_assert_eq!(&appended[..], &octets[..]);
            let widths = text.chars().map(|c| encoding.units(c));
            let units = widths.sum::<Option<usize>>().map(|units| (units, text.chars().count()));
            prop_assert_eq!(encoding.count(&text), outcome.map(|()| units.unwrap_or_default()));
            match outcome {
                Ok(()) => {
                    prop_assert!(missing.is_empty());
                    prop_assert_eq!(encoding.decode(&octets[3..]), text.clone());
                }
                Err(error) => {
                    prop_assert_eq!(error.0, missing[0]);
                    prop_assert_eq!(&octets[..], [1, 2, 3]);
                }
            }
        }
        prop_assert!(Encoding::least(&text).fits(&text));
    }

    #[test]
    fn segments_join_to_the_text_and_agree_with_the_measure(text in text(), reference: u16) {
        for encoding in ENCODINGS.into_iter().filter(|encoding| encoding.fits(&text)) {
            let mut octets = Vec::new();
            encoding.encode(&text, &mut octets).unwrap();
            for concat in CONCATS {
                let measured = measure(&text, encoding, concat);
                let segments = match Segments::new(&octets, encoding, concat) {
                    Ok(segments) => segments,
                    Err(SegmentError::TooMany(count)) => {
                        prop_assert_eq!(count, measured.segments);
                        continue;
                    }
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                };
                if concat != Concat::Payload {
                    prop_assert_eq!(usize::from(segments.total()), measured.segments);
                }
                let mut joined = String::new();
                for (number, segment) in (1..).zip(segments.iter()) {
                    prop_assert_eq!(segment.number, number);
                    joined += &encoding.decode(segment.text);
                    let mut data = Vec::new();
                    let has_header = segment.user_data(reference, &mut data);
                    if has_header {
                        let (udh, behind) = Udh::split(&data).unwrap();
                        let place = udh.place().unwrap();
                        prop_assert_eq!((place.total, place.number), (segments.total(), number));
                        prop_assert_eq!(place.wide, concat == Concat::Udh16);
                        prop_assert_eq!(behind, segment.text);
                    }
                    let air = if encoding == Encoding::Gsm7 {
                        (data.len() - segment.text.len()) * 8 + segment.text.len() * 7
                    } else {
                        data.len() * 8
                    };
                    prop_assert!(concat == Concat::Payload || air <= 140 * 8);
                }
                prop_assert_eq!(joined, text.clone());
            }
        }
    }

    #[test]
    fn a_wider_or_longer_text_never_needs_fewer_segments(
        widths in vec(1_usize..=2, 0..400), widened in vec(any::<bool>(), 400), further in 0_usize..50,
    ) {
        for encoding in ENCODINGS {
            for concat in CONCATS {
                let (mut meter, mut larger) = (Meter::new(encoding, concat), Meter::new(encoding, concat));
                for (width, wide) in widths.iter().zip(&widened) {
                    meter.add(*width);
                    larger.add(if *wide { 2 } else { *width });
                }
                (0..further).for_each(|_| larger.add(1));
                prop_assert!(meter.measure().segments <= larger.measure().segments);
            }
        }
    }

    #[test]
    fn any_octets_decode_to_some_text(octets in vec(any::<u8>(), 0..400)) {
        for encoding in ENCODINGS {
            let text = encoding.decode(&octets);
            prop_assert!(text.chars().count() <= octets.len());
            for concat in CONCATS {
                if let Ok(segments) = Segments::new(&octets, encoding, concat) {
                    let joined: Vec<u8> = segments.iter().flat_map(|segment| segment.text.to_vec()).collect();
                    prop_assert_eq!(&joined, &octets);
                }
            }
        }
    }

    #[test]
    fn packed_septets_come_back(septets in vec(0_u8..128, 0..300), header in 0_usize..20) {
        let mut packed = Vec::new();
        pack(&septets, fill_bits(header), &mut packed);
        prop_assert_eq!(unpack(&packed, fill_bits(header), septets.len()), septets);
    }

    #[test]
    fn any_octets_are_some_header_or_none(octets in vec(any::<u8>(), 0..200)) {
        if let Ok((udh, text)) = Udh::split(&octets) {
            prop_assert_eq!(udh.octets() + text.len(), octets.len());
            let held: usize = udh.iter().map(|element| element.data.len() + 2).sum();
            prop_assert!(held < udh.octets());
            if let Some(place) = udh.place() {
                prop_assert!((1..=place.total).contains(&place.number));
            }
        }
    }
}
