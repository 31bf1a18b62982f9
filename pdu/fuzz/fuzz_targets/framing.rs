//! Feeds `bodies::framing` with whatever the fuzzer finds.
#![no_main]
#![allow(dead_code, reason = "each target uses one body")]

#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::framing(data));
