//! Goal: every form of receipt that operators report is read, and nothing but a receipt is taken for one.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::BytesMut;
use pdu::{DeliverSm, MessageState, Receipt, ReceiptDate, Tag, TlvBuf};

/// id, state, err, sub, dlvrd, submit date, done date, text.
type Fields<'a> = (&'a str, MessageState, &'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

fn check(text: &str, fields: Fields<'_>) {
    let receipt = Receipt::parse(text.as_bytes());
    let s = |field| std::str::from_utf8(field).unwrap();
    let read = (
        s(receipt.message_id),
        receipt.state,
        s(receipt.err),
        s(receipt.sub),
        s(receipt.dlvrd),
        s(receipt.submit_date),
        s(receipt.done_date),
        s(receipt.text),
    );
    assert_eq!(read, fields, "{text}");
}

#[test]
fn the_form_of_the_specification_and_its_variants_are_read() {
    use MessageState::*;
    let usual = ("7", Delivered, "000", "001", "001", "2401011200", "2401011201", "Hi you");
    check(
        "id:7 sub:001 dlvrd:001 submit date:2401011200 done date:2401011201 stat:DELIVRD err:000 text:Hi you",
        usual,
    );
    // Upper case, as in appendix B itself, and a line break inside a key.
    check(
        "ID:7 SUB:001 DLVRD:001 Submit Date:2401011200 Done\ndate:2401011201 Stat:DELIVRD Err:000 Text:Hi you",
        usual,
    );
    // No space in the keys, seconds in the dates, four digits of error.
    check(
        "id:0118Z-0122I-2309U-57DGB sub:000 dlvrd:000 submitdate:180122230957 donedate:000000000000 stat:REJECTED err:3750 text:",
        ("0118Z-0122I-2309U-57DGB", Rejected, "3750", "000", "000", "180122230957", "000000000000", ""),
    );
    check(
        "id:7 sub:001 dlvrd:001 submit_date:2401011200 done_date:2401011201 stat:DELIVRD err:0000 text:Hi you",
        ("7", Delivered, "0000", "001", "001", "2401011200", "2401011201", "Hi you"),
    );
    // Commas, semicolons, equals signs, quotes.
    check(
        "id:7,sub:001,dlvrd:001,submit date:2401011200,done date:2401011201,stat:DELIVRD,err:000,text:Hi you",
        usual,
    );
    check(
        "id=7;sub=001;dlvrd=001;submit date=2401011200;done date=2401011201;status=\"delivrd\";error=000;text=Hi you",
        usual,
    );
    // Columns alone.
    check("7,001,001,2401011200,2401011201,DELIVRD,000,Hi you", usual);
    // Spaces behind colons and a padded state.
    check(
        "id: 7 sub: 001 dlvrd: 001 submit date: 2401011200 done date: 2401011201 stat: ACKED   err: 0 text: Hi",
        ("7", Accepted, "0", "001", "001", "2401011200", "2401011201", " Hi"),
    );
}

#[test]
fn missing_fields_and_other_orders_are_read() {
    use MessageState::*;
    check(
        "id:1526758174 submit date:1701240904 done date:1701240904 stat:DELIVRD err:000 text:hellow",
        ("1526758174", Delivered, "000", "", "", "1701240904", "1701240904", "hellow"),
    );
    check("stat:UNDELIV id:abc err:17", ("abc", Undeliverable, "17", "", "", "", "", ""));
    check("id: sub:001 dlvrd:000 stat:EXPIRED err:", ("", Expired, "", "001", "000", "", "", ""));
    check("id:1 stat:", ("1", Unrecognised, "", "", "", "", "", ""));
    check("id:1 stat:LOST err:9", ("1", Unrecognised, "9", "", "", "", "", ""));
    check("id:1 smsc:x2 time:12:00:01 stat:FAILED", ("1", Undeliverable, "", "", "", "", "", ""));
    check(
        "text:Hello there id:9 stat:DELIVRD err:001",
        ("9", Delivered, "001", "", "", "", "", "Hello there"),
    );
    check("", ("", Unrecognised, "", "", "", "", "", ""));
    check("hello, this, is, not, a, receipt, at, all", ("", Unrecognised, "", "", "", "", "", ""));
}

#[test]
fn the_text_of_the_subscriber_cannot_change_the_receipt() {
    use MessageState::*;
    check(
        "id:1 sub:001 dlvrd:000 stat:UNDELIV err:001 text:id:2 stat:DELIVRD err:000",
        ("1", Undeliverable, "001", "001", "000", "", "", "id:2 stat:DELIVRD err:000"),
    );
}

#[test]
fn only_what_the_smsc_marks_is_a_receipt() {
    let text = b"id:7 stat:DELIVRD err:000";
    let plain = DeliverSm { short_message: text, ..DeliverSm::default() };
    assert_eq!(Receipt::from_deliver_sm(&plain), None);
    let marked = DeliverSm { esm_class: 0x04, ..plain };
    assert_eq!(Receipt::from_deliver_sm(&marked).unwrap().message_id, b"7");
    let intermediate = DeliverSm { esm_class: 0x20, ..plain };
    assert!(Receipt::from_deliver_sm(&intermediate).is_some());
    // An acknowledgement by the user of a handset is none.
    let acknowledged = DeliverSm { esm_class: 0x08, ..plain };
    assert_eq!(Receipt::from_deliver_sm(&acknowledged), None);
    let mut tlvs = TlvBuf::new();
    tlvs.push_c_octets(Tag::RECEIPTED_MESSAGE_ID, b"8").unwrap();
    let one_tlv = DeliverSm { tlvs: tlvs.tlvs(), ..DeliverSm::default() };
    assert_eq!(Receipt::from_deliver_sm(&one_tlv), None);
    let mut tlvs = tlvs.clone();
    tlvs.push_u8(Tag::MESSAGE_STATE, 2);
    let both = DeliverSm { tlvs: tlvs.tlvs(), ..DeliverSm::default() };
    let receipt = Receipt::from_deliver_sm(&both).unwrap();
    assert_eq!((receipt.message_id, receipt.state), (&b"8"[..], MessageState::Delivered));
}

#[test]
fn tlvs_come_before_the_text() {
    let mut tlvs = TlvBuf::new();
    tlvs.push(Tag::RECEIPTED_MESSAGE_ID, b"B8BE19").unwrap();
    tlvs.push_u16(Tag::MESSAGE_STATE, 5);
    tlvs.push(Tag::NETWORK_ERROR_CODE, &[3, 0, 27]).unwrap();
    let deliver = DeliverSm {
        esm_class: 4,
        short_message: b"id: sub:001 dlvrd:000 stat:DELIVRD err:000 text:x",
        tlvs: tlvs.tlvs(),
        ..DeliverSm::default()
    };
    let receipt = Receipt::from_deliver_sm(&deliver).unwrap();
    assert_eq!(receipt.message_id, b"B8BE19");
    assert_eq!(receipt.state, MessageState::Undeliverable);
    assert_eq!(receipt.sub, b"001");
    assert_eq!(receipt.network_error, Some((3, 27)));
    assert_eq!(receipt.error_code(), Some(27));
    // The text may be in message_payload, behind a user data header, or absent.
    let mut payload = TlvBuf::new();
    payload.push(Tag::MESSAGE_PAYLOAD, b"\x02\x70\x00id:7 stat:EXPIRED err:0x1").unwrap();
    let deliver = DeliverSm { esm_class: 0x44, tlvs: payload.tlvs(), ..DeliverSm::default() };
    let receipt = Receipt::from_deliver_sm(&deliver).unwrap();
    assert_eq!((receipt.message_id, receipt.state), (&b"7"[..], MessageState::Expired));
    assert_eq!(receipt.error_code(), None);
    let empty = DeliverSm { esm_class: 4, ..DeliverSm::default() };
    assert_eq!(Receipt::from_deliver_sm(&empty).unwrap().message_id, b"");
}

#[test]
fn a_written_receipt_is_read_back() {
    let date = ReceiptDate { year: 2024, month: 1, day: 2, hour: 3, minute: 4, second: 0 };
    for state in MessageState::ALL {
        let written = Receipt {
            err: b"017",
            sub: b"001",
            dlvrd: b"000",
            submit_date: &date.digits(),
            done_date: &date.digits(),
            text: b"0123456789012345678 stat:X",
            ..Receipt::new(b"00B8BE19", state)
        };
        let mut out = BytesMut::new();
        written.write_text(&mut out);
        let read = Receipt::parse(&out);
        assert_eq!(read, Receipt { text: b"0123456789012345678 ", ..written });
        assert_eq!(ReceiptDate::parse(read.done_date), Some(date));
        assert_eq!(read.error_code(), Some(17));
    }
    let mut out = BytesMut::new();
    Receipt::new(b"1", MessageState::Delivered).write_text(&mut out);
    assert_eq!(
        &out[..],
        b"id:1 sub:001 dlvrd:001 submit date:0000000000 done date:0000000000 stat:DELIVRD err:000 text:"
    );
}

#[test]
fn no_cut_and_no_flipped_octet_makes_the_scanner_panic() {
    let text = b"id:7 sub:001 dlvrd:001 submit date:2401011200 done date:2401011201 stat:DELIVRD err:000 text:Hi id:8";
    for end in 0..=text.len() {
        for start in 0..=end {
            let _ = Receipt::parse(&text[start..end]);
        }
    }
    for at in 0..text.len() {
        for octet in 0..=255 {
            let mut changed = *text;
            changed[at] = octet;
            let _ = Receipt::parse(&changed);
        }
    }
}
