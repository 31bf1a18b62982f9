//! Third-party judges of our octets: Wireshark's dissector and the Python library `smpplib`.
//!
//! A sample is a PDU with what was meant by it, written down from the values handed to the encoder. A judge reads
//! the octets alone; whatever it reads differently is a complaint. Each judge also has to object to a changed octet.

mod esme;
mod rare;
mod samples;
mod smpplib;
mod tshark;

use std::collections::BTreeMap;

/// Field names of the specification with values in one form: integers decimal, octets in hex, text as it is.
type Facts = BTreeMap<&'static str, String>;

/// How a judge's word for a field is brought into that form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Integer,
    Octets,
    Text,
}

/// One encoded PDU and what was meant by it.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    octets: Vec<u8>,
    meant: Facts,
}

/// Where a judge's reading of the samples differs from what was meant, in the fields that this judge knows.
fn differences(samples: &[Sample], readings: &[Facts], known: &[&'static str]) -> Vec<String> {
    let mut found = Vec::new();
    if samples.len() != readings.len() {
        found.push(format!("{} PDUs were read, {} were sent", readings.len(), samples.len()));
    }
    for (sample, reading) in samples.iter().zip(readings) {
        for field in known {
            let text = |facts: &Facts| facts.get(field).cloned().unwrap_or_default();
            let (meant, read) = (text(&sample.meant), text(reading));
            if meant != read {
                found.push(format!("{}: {field} was meant as {meant:?} and read as {read:?}", sample.name));
            }
        }
    }
    found
}

/// Fails with every difference on a line of its own.
fn assert_same(differences: &[String]) {
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

/// Octets as lower-case hex digits.
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The octets behind hex digits, or nothing when these are none.
fn octets(hex: &str) -> Option<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2).map(|at| hex.get(at..at + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

#[test]
fn a_field_that_is_read_differently_is_a_difference() {
    let meant = Facts::from([("data_coding", "8".to_owned())]);
    let samples = [Sample { name: "one".to_owned(), octets: Vec::new(), meant }];
    let reading = |value: &str| [Facts::from([("data_coding", value.to_owned())])];
    assert!(differences(&samples, &reading("8"), &["data_coding", "message_id"]).is_empty());
    assert_eq!(differences(&samples, &reading("0"), &["data_coding"]).len(), 1);
    assert_eq!(differences(&samples, &[], &["data_coding"]).len(), 1);
}
