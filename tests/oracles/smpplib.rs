//! The Python library `smpplib` reads what we write, and we read what it writes.

use std::process::Command;

use pdu::{MAX_COMMAND_LENGTH, Pdu, cut_frame};
use serde_json::{Value, json};

use super::samples::{daily_kinds, fast_paths};
use super::{Facts, Form, Sample, differences, hex, octets};

/// Fields that the library knows by the names of the specification.
const FIELDS: [(&str, Form); 36] = [
    ("command_id", Form::Integer),
    ("command_status", Form::Integer),
    ("sequence_number", Form::Integer),
    ("system_id", Form::Text),
    ("password", Form::Text),
    ("system_type", Form::Text),
    ("interface_version", Form::Integer),
    ("addr_ton", Form::Integer),
    ("addr_npi", Form::Integer),
    ("address_range", Form::Text),
    ("service_type", Form::Text),
    ("source_addr_ton", Form::Integer),
    ("source_addr_npi", Form::Integer),
    ("source_addr", Form::Text),
    ("dest_addr_ton", Form::Integer),
    ("dest_addr_npi", Form::Integer),
    ("destination_addr", Form::Text),
    ("esm_class", Form::Integer),
    ("protocol_id", Form::Integer),
    ("priority_flag", Form::Integer),
    ("schedule_delivery_time", Form::Text),
    ("validity_period", Form::Text),
    ("registered_delivery", Form::Integer),
    ("replace_if_present_flag", Form::Integer),
    ("data_coding", Form::Integer),
    ("sm_default_msg_id", Form::Integer),
    ("short_message", Form::Octets),
    ("message_id", Form::Text),
    ("user_message_reference", Form::Integer),
    ("sar_msg_ref_num", Form::Integer),
    ("sar_total_segments", Form::Integer),
    ("sar_segment_seqnum", Form::Integer),
    ("message_payload", Form::Octets),
    ("receipted_message_id", Form::Text),
    ("message_state", Form::Integer),
    ("sc_interface_version", Form::Integer),
];

/// Runs a script of this folder on a file of lines and returns its lines.
fn run(mut python: Command, script: &str, input: &str) -> Vec<String> {
    let folder = tests::temp_dir().expect("a temporary folder");
    let file = folder.path().join("input");
    std::fs::write(&file, input).expect("the input is written");
    let output = python.arg(tests::repository().join("tests/oracles").join(script)).arg(&file).output();
    let output = output.expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn read(python: Command, samples: &[Sample]) -> Vec<Facts> {
    let input: Vec<String> = samples.iter().map(|sample| hex(&sample.octets)).collect();
    let lines = run(python, "smpplib_decode.py", &input.join("\n"));
    lines.iter().map(|line| facts(&serde_json::from_str(line).expect("the script prints JSON"))).collect()
}

fn facts(object: &Value) -> Facts {
    let text = |value: &Value| {
        let octets = value.as_str().and_then(octets).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    };
    let value = |name: &str, form: Form| match form {
        Form::Integer => object[name].as_u64().map(|number| number.to_string()).unwrap_or_default(),
        Form::Octets => object[name].as_str().unwrap_or_default().to_owned(),
        Form::Text => text(&object[name]),
    };
    FIELDS.iter().map(|(name, form)| (*name, value(name, *form))).collect()
}

#[test]
fn smpplib_reads_every_pdu_as_it_was_meant() {
    let known: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
    for samples in [daily_kinds(), fast_paths()] {
        let Some(python) = tests::python() else { tests::skip!("smpplib is not installed") };
        super::assert_same(&differences(&samples, &read(python, &samples), &known));
    }
}

#[test]
fn smpplib_objects_to_a_changed_octet() {
    let Some(python) = tests::python() else { tests::skip!("smpplib is not installed") };
    let mut samples = daily_kinds();
    let submit = samples.iter_mut().find(|sample| sample.name == "submit_sm").expect("there is a submit_sm");
    submit.octets[22] ^= 1;
    let found = differences(&samples, &read(python, &samples), &["source_addr"]);
    assert_eq!(found.len(), 1, "{found:#?}");
}

/// Fields of a message as `smpplib` takes them.
fn message(command: &str) -> Value {
    json!({
        "command": command, "sequence": 77, "service_type": "CMT",
        "source_addr_ton": 5, "source_addr_npi": 0, "source_addr": "Shop",
        "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": "491701234567",
        "esm_class": 4, "protocol_id": 0x11, "priority_flag": 2,
        "schedule_delivery_time": "261231235959000+", "validity_period": "000001000000000R",
        "registered_delivery": 0x11, "replace_if_present_flag": 1, "data_coding": 4, "sm_default_msg_id": 9,
        "short_message": "\u{0}\u{7f}\u{ff}"
    })
}

#[test]
fn what_smpplib_writes_is_read_as_it_was_meant() {
    let Some(python) = tests::python() else { tests::skip!("smpplib is not installed") };
    let mut receipt = message("deliver_sm");
    receipt["receipted_message_id"] = "00B8BE19".into();
    receipt["message_state"] = 2.into();
    receipt["network_error_code"] = "\u{3}\u{1}\u{2}".into();
    let bind = json!({
        "command": "bind_transceiver", "sequence": 77, "system_id": "shop", "password": "secret",
        "system_type": "vms", "interface_version": 0x34, "addr_ton": 1, "addr_npi": 1, "address_range": "^4917"
    });
    let resp = json!({"command": "submit_sm_resp", "sequence": 77, "message_id": "0221067780"});
    let input: Vec<String> =
        [message("submit_sm"), receipt, bind, resp].iter().map(Value::to_string).collect();
    let lines = run(python, "smpplib_encode.py", &input.join("\n"));
    let pdus: Vec<Vec<u8>> = lines.iter().map(|line| octets(line).expect("the script prints hex")).collect();
    let decoded: Vec<Pdu<'_>> = pdus.iter().map(|octets| decode(octets)).collect();
    let [Pdu::SubmitSm(submit), Pdu::DeliverSm(receipt), Pdu::BindTransceiver(bind), Pdu::SubmitSmResp(resp)] =
        decoded.as_slice()
    else {
        panic!("other kinds than were sent: {decoded:?}");
    };
    let source = (submit.source.ton, submit.source.npi, submit.source.addr);
    assert_eq!(source, (5, 0, &b"Shop"[..]));
    assert_eq!((submit.dest.ton, submit.dest.npi, submit.dest.addr), (1, 1, &b"491701234567"[..]));
    assert_eq!((submit.esm_class, submit.protocol_id, submit.priority_flag), (4, 0x11, 2));
    assert_eq!(
        (submit.schedule_delivery_time, submit.validity_period),
        (&b"261231235959000+"[..], &b"000001000000000R"[..])
    );
    assert_eq!((submit.registered_delivery, submit.replace_if_present_flag), (0x11, 1));
    assert_eq!(
        (submit.data_coding, submit.sm_default_msg_id, submit.short_message),
        (4, 9, &[0, 0x7F, 0xFF][..])
    );
    assert!(submit.tlvs.is_empty());
    assert!(receipt.is_receipt());
    assert_eq!(receipt.tlvs.receipted_message_id(), Some(&b"00B8BE19"[..]));
    assert_eq!(receipt.tlvs.message_state(), Some(2));
    assert_eq!(receipt.tlvs.network_error_code(), Some((3, 0x0102)));
    assert_eq!(
        (bind.system_id, bind.password, bind.system_type),
        (&b"shop"[..], &b"secret"[..], &b"vms"[..])
    );
    assert_eq!(
        (bind.interface_version, bind.addr_ton, bind.addr_npi, bind.address_range),
        (0x34, 1, 1, &b"^4917"[..])
    );
    assert_eq!(resp.message_id, b"0221067780");
}

fn decode(octets: &[u8]) -> Pdu<'_> {
    let frame = cut_frame(octets, MAX_COMMAND_LENGTH).expect("a possible length").expect("a whole frame");
    assert_eq!(frame.len(), octets.len());
    assert_eq!(frame.header.sequence_number, 77);
    Pdu::decode(&frame).expect("a PDU that we know")
}
