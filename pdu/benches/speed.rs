//! Goal: the hot paths keep their promised cost. A measurement, run by hand on a quiet machine:
//! `cargo bench -p pdu --bench speed`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints")]

use std::{hint::black_box, time::Instant};

use bytes::BytesMut;
use pdu::{
    Address, CommandStatus, DeliverSm, MAX_COMMAND_LENGTH, Pdu, ResponseImage, SubmitSm, SubmitSmResp,
    SubmitTemplate, cut_frame,
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
}
