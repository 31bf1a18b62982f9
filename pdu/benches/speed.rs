//! Goal: the hot paths keep their promised cost. A measurement, run by hand on a quiet machine:
//! `cargo bench -p pdu --bench speed`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints")]

use std::{hint::black_box, time::Instant};

use bytes::BytesMut;
use pdu::{
    Address, CommandStatus, DeliverSm, FoldedId, MAX_COMMAND_LENGTH, MessageIdForm, PackedId, Pdu, Receipt,
    ResponseImage, SubmitSm, SubmitSmResp, SubmitTemplate, Tag, TlvBuf, cut_frame, id_hash,
};

/// Best of nine rounds, in nanoseconds per call.
fn measure(name: &str, mut call: impl FnMut(u32)) {
    const CALLS: u32 = 400_000;
    let best = (0..9)
        .map(|_| {
            let start = Instant::now();
            for n in 0..CALLS {
                call(n);
            }
            start.elapsed().as_nanos()
        })
        .min()
        .unwrap();
    println!("{name:44} {:>7.2} ns", best as f64 / f64::from(CALLS));
}

fn main() {
    let message = SubmitSm {
        source: Address { ton: 5, npi: 0, addr: b"Shop" },
        dest: Address { ton: 1, npi: 1, addr: b"491701234567" },
        registered_delivery: 1,
        short_message: &[b'x'; 140],
        ..SubmitSm::default()
    };
    let template = SubmitTemplate::new(&message).unwrap();
    let mut out = BytesMut::with_capacity(1 << 16);
    measure("SubmitTemplate::push", |n| {
        if out.len() > 60_000 {
            out.clear();
        }
        template.push(n, black_box(491_701_000_000 + u64::from(n)), &mut out).unwrap();
    });
    measure("Pdu::encode submit_sm", |n| {
        if out.len() > 60_000 {
            out.clear();
        }
        Pdu::SubmitSm(black_box(message)).encode(CommandStatus::OK, n, &mut out).unwrap();
    });
    measure("ResponseImage::push", |n| {
        if out.len() > 60_000 {
            out.clear();
        }
        ResponseImage::DELIVER_SM_RESP.push(n, &mut out);
    });
    let resp = b"\x00\x00\x00\x19\x80\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x2A00B8BE19\x00";
    measure("cut_frame + message_id_of", |_| {
        let frame = cut_frame(black_box(resp), MAX_COMMAND_LENGTH).unwrap().unwrap();
        black_box(SubmitSmResp::message_id_of(frame.body));
    });
    let text = b"id:1234567890 sub:001 dlvrd:001 submit date:2401011200 done date:2401011201 stat:DELIVRD err:000 text:Hello";
    let mut body = BytesMut::new();
    DeliverSm { esm_class: 4, short_message: text, ..DeliverSm::default() }.encode_body(&mut body).unwrap();
    measure("DeliverSm::decode", |_| {
        black_box(DeliverSm::decode(black_box(&body)).unwrap());
    });
    measure("DeliverSm::decode + Receipt", |_| {
        let deliver = DeliverSm::decode(black_box(&body)).unwrap();
        black_box(Receipt::from_deliver_sm(&deliver).unwrap());
    });
    let mut tlvs = TlvBuf::new();
    tlvs.push_c_octets(Tag::RECEIPTED_MESSAGE_ID, b"1234567890").unwrap().push_u8(Tag::MESSAGE_STATE, 2);
    body.extend_from_slice(tlvs.tlvs().as_bytes());
    measure("DeliverSm::decode + Receipt with 2 TLVs", |_| {
        let deliver = DeliverSm::decode(black_box(&body)).unwrap();
        black_box(Receipt::from_deliver_sm(&deliver).unwrap());
    });
    measure("id_hash of a response id", |_| {
        black_box(id_hash(&FoldedId::new(black_box(b"00B8BE19F0"))));
    });
    measure("id_hash of a converted receipt id", |_| {
        let mut keys = MessageIdForm::HexToDecimal.receipt_keys(black_box(b"12107289"));
        black_box(id_hash(&keys.next().unwrap()));
    });
    measure("PackedId::pack", |_| {
        black_box(PackedId::pack(black_box(b"00B8BE19F0")));
    });
}
