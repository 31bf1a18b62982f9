//! Metric names: what dashboards and documents mention is declared, and what is declared is promised outside.

use std::collections::BTreeSet;

use super::lexer::Kind;
use super::{Tree, assert_clean, assert_complains};

/// Where every metric is declared, as string literals.
const DECLARED_IN: [&str; 2] = ["engine/src/metrics.rs", "engine/src/metrics/"];
/// The names that programs outside rely on. A new metric joins this list with its declaration.
const PROMISED: [&str; 22] = [
    "mc_channel_submitted_total",
    "mc_channel_responses_total",
    "mc_channel_receipts_total",
    "mc_channel_window_in_flight",
    "mc_channel_bind_up",
    "mc_channel_throttled_total",
    "mc_submit_latency_seconds",
    "mc_receipt_latency_seconds",
    "mc_queue_depth",
    "mc_queue_oldest_age_seconds",
    "mc_journal_commit_seconds",
    "mc_unknown_total",
    "mc_orphan_receipts_total",
    "mc_campaigns",
    "mc_http_request_seconds",
    "mc_core_request_seconds",
    "mc_audit_fallback_bytes",
    "mc_audit_events_dropped_total",
    "mc_login_failures_total",
    "mc_mail_total",
    "mc_certificate_expiry_seconds",
    "mc_build_info",
];
/// What the exposition format appends: `_total` to counters, the others to histograms.
const SUFFIXES: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];

/// A name without what the exposition format appends.
fn base(name: &str) -> &str {
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// Names of metrics in a text; a trailing underscore stands for all names that go on from there.
fn names(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("mc_") && word.len() > 3 && word.chars().all(is_name)).collect()
}

fn is_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

/// The names declared by the engine.
fn declared(tree: &Tree) -> BTreeSet<String> {
    let files =
        tree.sources.iter().filter(|source| DECLARED_IN.iter().any(|place| source.path.starts_with(place)));
    let literals = files.flat_map(|file| file.tokens.iter().zip(&file.is_test));
    let literals = literals.filter(|(token, test)| token.kind == Kind::Text && !**test);
    let whole = literals.filter(|(token, _)| names(&token.text) == [token.text.as_str()]);
    whole.map(|(token, _)| token.text.clone()).collect()
}

/// Every name in dashboards, alert rules and documents is declared.
fn mentioned_are_declared(tree: &Tree) -> Vec<String> {
    let declared = declared(tree);
    let is_reader = |path: &str| {
        path == "README.md"
            || path.starts_with("grafana/")
            || path.starts_with("docs/") && path.ends_with(".md")
    };
    let mut complaints = BTreeSet::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| is_reader(path)) {
        for name in names(text) {
            let matches =
                |known: &String| base(known) == base(name) || name.ends_with('_') && known.starts_with(name);
            if !declared.iter().any(matches) {
                complaints.insert(format!("{path}: {name} is not declared in {}", DECLARED_IN[0]));
            }
        }
    }
    complaints.into_iter().collect()
}

/// Every declared name is among the promised ones.
fn declared_are_promised(tree: &Tree) -> Vec<String> {
    let is_promised = |name: &String| PROMISED.iter().any(|promised| base(promised) == base(name));
    let strange = declared(tree).into_iter().filter(|name| !is_promised(name));
    strange.map(|name| format!("{name} is declared and not promised to anybody")).collect()
}

#[test]
fn every_metric_that_is_mentioned_is_declared() {
    assert_clean(&mentioned_are_declared(&Tree::of_repository()));
}

#[test]
fn a_mention_of_an_unknown_metric_is_found() {
    let declaration =
        ("engine/src/metrics.rs", "const A: &str = \"mc_queue_depth\"; const B: &str = \"about mc_other\";");
    let one = |path: &str, text: &str| mentioned_are_declared(&Tree::of(&[declaration, (path, text)]));
    assert_clean(&one("grafana/a.json", "{\"expr\": \"sum(mc_queue_depth_bucket{lane=\\\"otp\\\"})\"}"));
    assert_clean(&one("docs/a.md", "all of `mc_queue_*`, a key mc_<id>, MC_CORE__URL"));
    assert_complains(&one("grafana/a.json", "rate(mc_other[5m])"), "grafana/a.json: mc_other");
    assert_complains(&one("README.md", "mc_submit_*"), "mc_submit_");
}

#[test]
fn every_declared_metric_is_promised() {
    assert_clean(&declared_are_promised(&Tree::of_repository()));
}

#[test]
fn a_metric_that_nobody_was_promised_is_found() {
    let one = |text: &str| declared_are_promised(&Tree::of(&[("engine/src/metrics/channel.rs", text)]));
    assert_clean(&one("const A: [&str; 2] = [\"mc_unknown\", \"mc_unknown_total\"];"));
    assert_complains(&one("const A: &str = \"mc_stray_total\";"), "mc_stray_total");
}
