//! Goal: the bodies of the fuzz targets hold for every committed seed, on a stable compiler and in every run.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../fuzz/bodies.rs"]
mod bodies;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        body(&seed);
        for len in 0..seed.len() {
            body(&seed[..len]);
        }
        seeds += 1;
    }
    assert!(seeds >= 5, "{target} has {seeds} seeds");
}

#[test]
fn pdu_decode_holds_for_its_seeds() {
    replay("pdu_decode", bodies::pdu_decode);
}

#[test]
fn framing_holds_for_its_seeds() {
    replay("framing", bodies::framing);
}

#[test]
fn receipt_holds_for_its_seeds() {
    replay("receipt", bodies::receipt);
}

#[test]
fn text_holds_for_its_seeds() {
    replay("text", bodies::text);
}

#[test]
fn udh_holds_for_its_seeds() {
    replay("udh", bodies::udh);
}
