//! From rounds to the answer: medians per rig, ratios, the JSON object and the table.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::rig::RigReport;

/// All rounds of one rig.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) reports: Vec<RigReport>,
    /// CPU of the sink per message, in microseconds.
    pub(crate) sink_cpu_us: Vec<f64>,
}

/// The medians of one rig.
#[derive(Clone, Debug)]
pub(crate) struct Medians {
    name: Option<String>,
    per_s: f64,
    cpu_us_per_msg: f64,
    p50_ms: f64,
    p99_ms: f64,
    rss_mib: f64,
    sink_cpu_us_per_msg: f64,
    incomplete: usize,
    rounds: usize,
}

impl Rounds {
    fn medians(&self) -> Option<Medians> {
        let of = |field: fn(&RigReport) -> f64| median(self.reports.iter().map(field).collect());
        let first = self.reports.first()?;
        Some(Medians {
            name: first.name.clone(),
            per_s: of(|report| report.per_s),
            cpu_us_per_msg: of(|report| report.cpu_us_per_msg),
            p50_ms: of(|report| report.p50_ms),
            p99_ms: of(|report| report.p99_ms),
            rss_mib: of(|report| report.rss_mib),
            sink_cpu_us_per_msg: median(self.sink_cpu_us.clone()),
            incomplete: self.reports.iter().filter(|report| !report.complete).count(),
            rounds: self.reports.len(),
        })
    }
}

/// Middle value; the mean of the two in the middle of an even number; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

/// Medians of every rig that ran.
pub(crate) fn medians(rounds: &BTreeMap<&'static str, Rounds>) -> BTreeMap<&'static str, Medians> {
    rounds.iter().filter_map(|(name, rounds)| Some((*name, rounds.medians()?))).collect()
}

/// The object of the command line's contract: a key per rig, and the engine's ratios, each the median over pairs of
/// one round: what the machine did to one of a pair it did to the other.
pub(crate) fn to_json(rounds: &BTreeMap<&'static str, Rounds>) -> Value {
    let mut object = Map::new();
    for (rig, of) in &medians(rounds) {
        let mut entry = json!({
            "per_s": of.per_s.round(),
            "cpu_us_per_msg": rounded(of.cpu_us_per_msg),
            "p50_ms": rounded(of.p50_ms),
            "p99_ms": rounded(of.p99_ms),
            "rss_mib": rounded(of.rss_mib),
            "sink_cpu_us_per_msg": rounded(of.sink_cpu_us_per_msg),
            "rounds": of.rounds,
            "incomplete_rounds": of.incomplete,
        });
        if let (Some(name), Some(entry)) = (&of.name, entry.as_object_mut()) {
            entry.insert("name".to_owned(), Value::from(name.clone()));
        }
        object.insert((*rig).to_owned(), entry);
    }
    let ratio = |other: &str, field: fn(&RigReport) -> f64| {
        let pairs = rounds.get("engine")?.reports.iter().zip(&rounds.get(other)?.reports);
        let ratios: Vec<f64> = pairs.map(|(engine, other)| field(engine) / field(other)).collect();
        ratios.iter().all(|ratio| ratio.is_finite()).then(|| rounded(median(ratios)))
    };
    object.insert(
        "ratio".to_owned(),
        json!({
            "per_s_to_floor": ratio("floor", |of| of.per_s),
            "per_s_to_peer": ratio("peer", |of| of.per_s),
            "cpu_to_peer": ratio("peer", |of| of.cpu_us_per_msg),
        }),
    );
    Value::Object(object)
}

/// The table for people.
pub(crate) fn to_table(medians: &BTreeMap<&'static str, Medians>) -> String {
    let mut table = format!(
        "{:<22}{:>12}{:>12}{:>10}{:>10}{:>10}{:>14}{:>8}\n",
        "rig", "msg/s", "CPU us/msg", "p50 ms", "p99 ms", "RSS MiB", "sink us/msg", "rounds"
    );
    for (rig, of) in medians {
        let name = of.name.as_ref().map_or_else(|| (*rig).to_owned(), |name| format!("{rig} ({name})"));
        let rounds =
            if of.incomplete == 0 { String::new() } else { format!(" ({} at the limit)", of.incomplete) };
        let line = writeln!(
            table,
            "{name:<22}{:>12.0}{:>12.3}{:>10.3}{:>10.3}{:>10.1}{:>14.3}{:>8}{rounds}",
            of.per_s, of.cpu_us_per_msg, of.p50_ms, of.p99_ms, of.rss_mib, of.sink_cpu_us_per_msg, of.rounds
        );
        line.expect("a String takes everything");
    }
    table
}

/// Three digits behind the point: more would pretend precision.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_medians_and_the_engine_s_ratios() {
        let report = |per_s, cpu_us_per_msg| RigReport {
            per_s,
            cpu_us_per_msg,
            complete: true,
            ..RigReport::default()
        };
        let rounds = |reports: Vec<RigReport>| Rounds { reports, sink_cpu_us: vec![0.1] };
        let mut all = BTreeMap::new();
        all.insert("engine", rounds(vec![report(3.0e6, 0.2), report(9.0e6, 0.9), report(4.0e6, 0.3)]));
        all.insert("floor", rounds(vec![report(6.0e6, 0.1), report(10.0e6, 0.1), report(8.0e6, 0.1)]));
        all.insert("peer", rounds(vec![report(0.4e6, 2.0), report(0.6e6, 4.0), report(0.5e6, 3.0)]));
        let json = to_json(&all);
        assert_eq!(json["engine"]["per_s"], 4.0e6);
        assert_eq!(json["ratio"], json!({"per_s_to_floor": 0.5, "per_s_to_peer": 8.0, "cpu_to_peer": 0.1}));
        all.remove("engine");
        assert_eq!(to_json(&all)["ratio"]["per_s_to_peer"], Value::Null);
        assert!(to_table(&medians(&all)).starts_with("rig "));
    }
}
