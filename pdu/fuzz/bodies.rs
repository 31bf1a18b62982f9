//! What each fuzz target checks; the suite replays the seeds through the same functions.

use bytes::BytesMut;
use pdu::{
    CommandId, CommandStatus, DeliverSm, FoldedId, Frame, HEADER_LEN, Header, MAX_COMMAND_LENGTH,
    MessageIdForm, PackedId, Pdu, Receipt, ReceiptDate, cut_frame, id_hash,
    text::{Concat, Encoding, Segments, fill_bits, measure, pack, unpack},
    udh::Udh,
};

/// The first octet picks the command, the rest is its body: what is decoded and encodable comes back equal.
pub(crate) fn pdu_decode(data: &[u8]) {
    let Some((pick, body)) = data.split_first() else { return };
    let command_id = CommandId::ALL[usize::from(*pick) % CommandId::ALL.len()];
    let Ok(command_length) = u32::try_from(HEADER_LEN + body.len()) else { return };
    let header = Header { command_length, command_id, command_status: CommandStatus::OK, sequence_number: 1 };
    let Ok(pdu) = Pdu::decode(&Frame { header, body }) else { return };
    assert_eq!(pdu.command_id(), command_id);
    if let Pdu::DeliverSm(deliver) = &pdu {
        let _ = Receipt::from_deliver_sm(deliver);
        assert!(deliver.tlvs.iter().count() <= body.len());
    }
    let mut out = BytesMut::new();
    if pdu.encode(CommandStatus::OK, 1, &mut out).is_ok() {
        let frame =
            cut_frame(&out, u32::MAX).expect("the encoder writes its length").expect("the PDU is whole");
        assert_eq!(frame.len(), out.len());
        assert_eq!(Pdu::decode(&frame), Ok(pdu));
    } else {
        assert!(out.is_empty());
    }
}

/// Frames are the same whether the stream arrives at once or octet by octet.
pub(crate) fn framing(data: &[u8]) {
    let (mut at, mut arrived) = (0, 0);
    let mut rest = data;
    loop {
        let whole = cut_frame(rest, MAX_COMMAND_LENGTH);
        let slow = loop {
            match cut_frame(&data[at..arrived], MAX_COMMAND_LENGTH) {
                Ok(None) if arrived < data.len() => arrived += 1,
                done => break done,
            }
        };
        assert_eq!(whole, slow);
        let Ok(Some(frame)) = whole else { break };
        let _ = Pdu::decode(&frame);
        at += frame.len();
        rest = &rest[frame.len()..];
    }
}

/// Fields lie inside the text; ids fold, convert and pack without loss; a written receipt is read back.
pub(crate) fn receipt(data: &[u8]) {
    let receipt = Receipt::parse(data);
    let fields = [receipt.message_id, receipt.err, receipt.sub, receipt.dlvrd, receipt.text];
    assert!(fields.iter().map(|field| field.len()).sum::<usize>() <= data.len());
    let _ = (
        receipt.error_code(),
        ReceiptDate::parse(receipt.done_date),
        ReceiptDate::parse(receipt.submit_date),
    );
    let id = receipt.message_id;
    let folded = FoldedId::new(id);
    assert_eq!(id_hash(&folded), id_hash(&FoldedId::new(&id.to_ascii_uppercase())));
    for form in
        [MessageIdForm::AsIs, MessageIdForm::HexToDecimal, MessageIdForm::DecimalToHex, MessageIdForm::Auto]
    {
        assert!((1..=3).contains(&form.receipt_keys(id).count()));
    }
    if let Some(packed) = PackedId::pack(id) {
        assert_eq!(packed.text().as_bytes(), id);
        assert_eq!(PackedId::from_parts(packed.tag(), packed.value()), Some(packed));
    }
    let deliver = DeliverSm { esm_class: 4, short_message: data, ..DeliverSm::default() };
    assert!(data.is_empty() || Receipt::from_deliver_sm(&deliver) == Some(receipt));
    let plain = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_alphanumeric);
    if [receipt.message_id, receipt.sub, receipt.dlvrd, receipt.err].into_iter().all(plain) {
        let mut out = BytesMut::new();
        receipt.write_text(&mut out);
        let read = Receipt::parse(&out);
        assert_eq!((read.message_id, read.sub, read.dlvrd), (receipt.message_id, receipt.sub, receipt.dlvrd));
        assert_eq!(read.err, receipt.err);
    }
}

/// Decoding is total; a text that fits comes back; segments join and agree with the measure.
pub(crate) fn text(data: &[u8]) {
    for encoding in [Encoding::Gsm7, Encoding::Latin1, Encoding::Ucs2] {
        let text = encoding.decode(data);
        let lossy = String::from_utf8_lossy(data);
        for text in [&text[..], &lossy[..]] {
            let mut octets = Vec::new();
            if encoding.encode(text, &mut octets).is_err() {
                assert!(!encoding.missing(text).is_empty() && octets.is_empty());
                continue;
            }
            assert_eq!(encoding.decode(&octets), text);
            for concat in [Concat::Udh8, Concat::Udh16, Concat::Sar] {
                if let Ok(segments) = Segments::new(&octets, encoding, concat) {
                    assert_eq!(usize::from(segments.total()), measure(text, encoding, concat).segments);
                    let joined: String =
                        segments.iter().map(|segment| encoding.decode(segment.text)).collect();
                    assert_eq!(joined, text);
                }
            }
        }
    }
}

/// A header is within its data; packed septets come back behind any header.
pub(crate) fn udh(data: &[u8]) {
    let Ok((udh, text)) = Udh::split(data) else { return };
    assert_eq!(udh.octets() + text.len(), data.len());
    assert!(udh.iter().map(|element| element.data.len() + 2).sum::<usize>() < udh.octets());
    if let Some(place) = udh.place() {
        assert!(place.number >= 1 && place.number <= place.total);
    }
    let septets = unpack(text, fill_bits(udh.octets()), text.len() * 8 / 7);
    let mut packed = Vec::new();
    pack(&septets, fill_bits(udh.octets()), &mut packed);
    assert!(packed.len() <= text.len());
    assert_eq!(unpack(&packed, fill_bits(udh.octets()), septets.len()), septets);
}
