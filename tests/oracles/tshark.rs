//! Wireshark's dissector reads our octets from a capture file and says what every field holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::{Command, Output};

use pdu::text::Concat;

use super::rare::rare_kinds;
use super::samples::{REFERENCE, daily_kinds, fast_paths, texts};
use super::{Facts, Form, Sample, differences};

/// Kinds of PDU in SMPP 3.4 and 5.0.
const KINDS: usize = 33;

/// Separates values of a field that occurs more than once in a PDU.
const AGGREGATOR: char = '\u{1f}';

/// Fields by the names of the specification and of the dissector. It shows the times of a message as dates, so
/// these are left to the other judge.
const FIELDS: [(&str, &str, Form); 44] = [
    ("command_id", "smpp.command_id", Form::Integer),
    ("command_status", "smpp.command_status", Form::Integer),
    ("sequence_number", "smpp.sequence_number", Form::Integer),
    ("system_id", "smpp.system_id", Form::Text),
    ("password", "smpp.password", Form::Text),
    ("system_type", "smpp.system_type", Form::Text),
    ("interface_version", "smpp.interface_version", Form::Integer),
    ("addr_ton", "smpp.addr_ton", Form::Integer),
    ("addr_npi", "smpp.addr_npi", Form::Integer),
    ("address_range", "smpp.address_range", Form::Text),
    ("service_type", "smpp.service_type", Form::Text),
    ("source_addr_ton", "smpp.source_addr_ton", Form::Integer),
    ("source_addr_npi", "smpp.source_addr_npi", Form::Integer),
    ("source_addr", "smpp.source_addr", Form::Text),
    ("dest_addr_ton", "smpp.dest_addr_ton", Form::Integer),
    ("dest_addr_npi", "smpp.dest_addr_npi", Form::Integer),
    ("destination_addr", "smpp.destination_addr", Form::Text),
    ("protocol_id", "smpp.protocol_id", Form::Integer),
    ("priority_flag", "smpp.priority_flag", Form::Integer),
    ("replace_if_present_flag", "smpp.replace_if_present_flag", Form::Integer),
    ("data_coding", "smpp.data_coding", Form::Integer),
    ("sm_default_msg_id", "smpp.sm_default_msg_id", Form::Integer),
    ("sm_length", "smpp.sm_length", Form::Integer),
    ("short_message", "smpp.message", Form::Octets),
    ("message_id", "smpp.message_id", Form::Text),
    ("error_code", "smpp.error_code", Form::Integer),
    ("error_status_code", "smpp.error_status_code", Form::Integer),
    ("dl_name", "smpp.dl_name", Form::Text),
    ("esme_addr_ton", "smpp.esme_addr_ton", Form::Integer),
    ("esme_addr_npi", "smpp.esme_addr_npi", Form::Integer),
    ("esme_addr", "smpp.esme_addr", Form::Text),
    ("tags", "smpp.opt_param_tag", Form::Integer),
    ("user_message_reference", "smpp.user_message_reference", Form::Integer),
    ("sar_msg_ref_num", "smpp.sar_msg_ref_num", Form::Integer),
    ("sar_total_segments", "smpp.sar_total_segments", Form::Integer),
    ("sar_segment_seqnum", "smpp.sar_segment_seqnum", Form::Integer),
    ("source_port", "smpp.source_port", Form::Integer),
    ("message_payload", "smpp.message_payload", Form::Octets),
    ("receipted_message_id", "smpp.receipted_message_id", Form::Text),
    ("message_state", "smpp.message_state", Form::Integer),
    ("sc_interface_version", "smpp.SC_interface_version", Form::Integer),
    ("congestion_state", "smpp.congestion_state", Form::Integer),
    ("malformed", "_ws.malformed", Form::Text),
    ("text", "smpp.message_text", Form::Text),
];

/// Fields that the dissector shows in pieces: the piece's name and the bit where it begins.
const PIECES: [(&str, &[(&str, u32)]); 2] = [
    (
        "esm_class",
        &[("smpp.esm.submit.msg_mode", 0), ("smpp.esm.submit.msg_type", 2), ("smpp.esm.submit.features", 6)],
    ),
    ("registered_delivery", &[("smpp.regdel.receipt", 0), ("smpp.regdel.acks", 2), ("smpp.regdel.notif", 4)]),
];

/// What the dissector reads from the user data header: reference, parts, number of this part.
const HEADER: [&str; 3] = ["gsm_sms.udh.mm.msg_id", "gsm_sms.udh.mm.msg_parts", "gsm_sms.udh.mm.msg_part"];

/// The dissector, if it is installed.
struct Dissector;

/// One PDU as read: the facts, and the header of its user data.
struct Reading {
    facts: Facts,
    header: Vec<String>,
}

impl Dissector {
    fn find() -> Option<Self> {
        (tests::tool("tshark").is_some() && tests::tool("text2pcap").is_some()).then_some(Self)
    }

    /// Reads the samples, each in a packet of its own in one stream.
    fn read(&self, samples: &[Sample]) -> Vec<Reading> {
        let folder = tests::temp_dir().expect("a temporary folder");
        let (dump, capture) = (folder.path().join("pdus.hex"), folder.path().join("pdus.pcap"));
        std::fs::write(&dump, hex_dump(samples)).expect("the dump is written");
        // Preferences of whoever runs the suite must not change what is read.
        let with_home = |name: &str| {
            let mut command = Command::new(name);
            command.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
            command
        };
        succeed(with_home("text2pcap").args(["-q", "-T", "40000,2775"]).arg(&dump).arg(&capture).output());
        let mut tshark = with_home("tshark");
        tshark.arg("-r").arg(&capture).args(["-d", "tcp.port==2775,smpp", "-T", "fields"]);
        tshark.args(["-o", "smpp.decode_sms_over_smpp:GSM 7-bit", "-E", &format!("aggregator={AGGREGATOR}")]);
        let names = columns();
        for name in &names {
            tshark.args(["-e", name]);
        }
        let said = succeed(tshark.output());
        let lines = String::from_utf8_lossy(&said.stdout).into_owned();
        lines.lines().map(|line| reading(&names, line)).collect()
    }

    fn facts(&self, samples: &[Sample]) -> Vec<Facts> {
        self.read(samples).into_iter().map(|reading| reading.facts).collect()
    }
}

/// The names of the dissector in the order of its columns.
fn columns() -> Vec<&'static str> {
    let whole = FIELDS.iter().map(|(_, name, _)| *name);
    let pieces = PIECES.iter().flat_map(|(_, pieces)| pieces.iter().map(|(name, _)| *name));
    whole.chain(pieces).chain(HEADER).collect()
}

/// The fields that are compared: all but the text, which has a test of its own.
fn known() -> Vec<&'static str> {
    let whole = FIELDS.iter().map(|(name, ..)| *name).filter(|name| *name != "text");
    whole.chain(PIECES.iter().map(|(name, _)| *name)).collect()
}

fn succeed(output: std::io::Result<Output>) -> Output {
    let output = output.expect("the tool starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The form that text2pcap takes: an offset that begins at zero for each packet, then octets.
fn hex_dump(samples: &[Sample]) -> String {
    let mut dump = String::new();
    for sample in samples {
        dump.push_str("000000");
        for octet in &sample.octets {
            write!(dump, " {octet:02x}").expect("a string takes all text");
        }
        dump.push_str("\n\n");
    }
    dump
}

fn reading(names: &[&str], line: &str) -> Reading {
    let cells: BTreeMap<&str, &str> = names.iter().copied().zip(line.split('\t')).collect();
    let cell = |name: &str| cells.get(name).copied().unwrap_or_default();
    let mut facts = Facts::new();
    for (name, column, form) in FIELDS {
        let values = cell(column).split(AGGREGATOR).filter(|value| !value.is_empty());
        let values: Vec<String> = values.map(|value| brought_into(form, value)).collect();
        facts.insert(name, values.join(","));
    }
    // A request has a status too, always zero; the dissector leaves it out.
    facts.entry("command_status").and_modify(|status| {
        if status.is_empty() {
            "0".clone_into(status);
        }
    });
    for (name, pieces) in PIECES {
        let numbers = pieces.iter().map(|(piece, shift)| number(cell(piece)).map(|bits| bits << shift));
        let whole: Option<u64> = numbers.sum();
        facts.insert(name, whole.map(|bits| bits.to_string()).unwrap_or_default());
    }
    Reading { facts, header: HEADER.iter().map(|name| cell(name).to_owned()).collect() }
}

fn brought_into(form: Form, value: &str) -> String {
    match form {
        Form::Integer => number(value).map_or_else(|| value.to_owned(), |number| number.to_string()),
        Form::Octets => value.replace(':', ""),
        // The dissector's word for an empty service type.
        Form::Text if value == "(Default)" => String::new(),
        Form::Text => value.replace("\\n", "\n").replace("\\\\", "\\"),
    }
}

fn number(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

#[test]
fn tshark_reads_every_kind_of_pdu_as_it_was_meant() {
    let Some(dissector) = Dissector::find() else { tests::skip!("tshark is not installed") };
    let samples = [daily_kinds(), rare_kinds()].concat();
    let kinds: BTreeSet<_> = samples.iter().map(|sample| &sample.meant["command_id"]).collect();
    assert_eq!(kinds.len(), KINDS, "a kind of PDU has no sample");
    super::assert_same(&differences(&samples, &dissector.facts(&samples), &known()));
}

#[test]
fn tshark_reads_templates_and_ready_made_answers_as_they_were_meant() {
    let Some(dissector) = Dissector::find() else { tests::skip!("tshark is not installed") };
    let samples = fast_paths();
    let known: Vec<_> = known().into_iter().filter(|field| *field != "message_payload").collect();
    super::assert_same(&differences(&samples, &dissector.facts(&samples), &known));
}

#[test]
fn tshark_puts_every_text_together_again_from_its_segments() {
    let Some(dissector) = Dissector::find() else { tests::skip!("tshark is not installed") };
    let texts = texts();
    // One run for all: starting the dissector costs more than its work.
    let parts: Vec<Sample> = texts.iter().flat_map(|carried| carried.parts.clone()).collect();
    let mut readings = dissector.read(&parts).into_iter();
    for carried in texts {
        let readings: Vec<Reading> = readings.by_ref().take(carried.parts.len()).collect();
        let text: String = readings.iter().map(|reading| reading.facts["text"].as_str()).collect();
        let what = format!("{:?} in {} parts", carried.concat, carried.parts.len());
        assert_eq!(text, carried.text, "{what}");
        let total = readings.len();
        for (number, reading) in (1..).zip(&readings) {
            let reference = match carried.concat {
                _ if total == 1 => None,
                Concat::Udh8 => Some(REFERENCE & 0xFF),
                Concat::Udh16 => Some(REFERENCE),
                Concat::Sar | Concat::Payload => None,
            };
            let header = reference.map(|it| vec![it.to_string(), total.to_string(), number.to_string()]);
            assert_eq!(reading.header, header.unwrap_or(vec![String::new(); 3]), "{what}");
        }
    }
}

#[test]
fn tshark_objects_to_a_changed_octet() {
    let Some(dissector) = Dissector::find() else { tests::skip!("tshark is not installed") };
    let submit =
        daily_kinds().into_iter().find(|sample| sample.name == "submit_sm").expect("there is a submit_sm");
    let changed_at = [7, 15, 20, 23, 27];
    let samples: Vec<Sample> = changed_at
        .iter()
        .map(|at| {
            let mut sample = submit.clone();
            sample.octets[*at] ^= 1;
            sample
        })
        .collect();
    let facts = dissector.facts(&samples);
    for (at, (sample, facts)) in changed_at.iter().zip(samples.into_iter().zip(facts)) {
        let found = differences(&[sample], &[facts], &known());
        assert!(!found.is_empty(), "octet {at} was changed and nobody noticed");
    }
}
