//! Dashboards that Grafana shows as they were meant: readable JSON, unique ids, panels that explain themselves.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Tree, assert_clean, assert_complains};

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;
/// Panels that show no number: they need neither unit nor description.
const WITHOUT_DATA: [&str; 2] = ["row", "text"];

/// A panel's place on the grid.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    x: u64,
    y: u64,
    w: u64,
    h: u64,
}

impl Place {
    fn of(panel: &Value) -> Option<Self> {
        let side = |name: &str| panel["gridPos"][name].as_u64();
        Some(Self { x: side("x")?, y: side("y")?, w: side("w")?, h: side("h")? })
    }

    fn overlaps(self, other: Self) -> bool {
        let cross = |a: u64, a_size: u64, b: u64, b_size: u64| a < b + b_size && b < a + a_size;
        cross(self.x, self.w, other.x, other.w) && cross(self.y, self.h, other.y, other.h)
    }
}

/// Every JSON file below `grafana/` parses, and those with panels are sound dashboards.
fn dashboards(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut uids = BTreeSet::new();
    let is_json = |path: &str| path.starts_with("grafana/") && path.ends_with(".json");
    for (path, text) in tree.files.iter().filter(|(path, _)| is_json(path)) {
        let dashboard: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                complaints.push(format!("{path}: {error}"));
                continue;
            }
        };
        let Some(panels) = dashboard["panels"].as_array() else { continue };
        match dashboard["uid"].as_str() {
            Some(uid) if uids.insert(uid.to_owned()) => {}
            Some(uid) => complaints.push(format!("{path}: the uid {uid} is taken")),
            None => complaints.push(format!("{path}: no uid")),
        }
        let inner = panels.iter().filter_map(|panel| panel["panels"].as_array()).flatten();
        let all: Vec<&Value> = panels.iter().chain(inner).collect();
        complaints
            .extend(all.iter().flat_map(|panel| panel_faults(panel)).map(|fault| format!("{path}: {fault}")));
        complaints.extend(grid_faults(&all).into_iter().map(|fault| format!("{path}: {fault}")));
    }
    complaints
}

fn name(panel: &Value) -> String {
    format!("panel {} {:?}", panel["id"], panel["title"].as_str().unwrap_or_default())
}

/// What one panel lacks.
fn panel_faults(panel: &Value) -> Vec<String> {
    let lacks = |value: &Value| value.as_str().is_none_or(str::is_empty);
    let mut faults = Vec::new();
    if lacks(&panel["title"]) {
        faults.push("title");
    }
    if !WITHOUT_DATA.iter().any(|kind| panel["type"] == *kind) {
        if lacks(&panel["description"]) {
            faults.push("description");
        }
        if lacks(&panel["fieldConfig"]["defaults"]["unit"]) {
            faults.push("unit");
        }
    }
    faults.into_iter().map(|what| format!("{} has no {what}", name(panel))).collect()
}

/// Ids that are taken, places beyond the grid, and panels on top of each other.
fn grid_faults(panels: &[&Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for (at, panel) in panels.iter().enumerate() {
        if !panel["id"].as_u64().is_some_and(|id| ids.insert(id)) {
            faults.push(format!("{} has no id of its own", name(panel)));
        }
        let Some(place) =
            Place::of(panel).filter(|place| place.w > 0 && place.h > 0 && place.x + place.w <= COLUMNS)
        else {
            faults.push(format!("{} has no place on the grid of {COLUMNS} columns", name(panel)));
            continue;
        };
        let before =
            panels[..at].iter().filter(|other| Place::of(other).is_some_and(|other| other.overlaps(place)));
        faults.extend(before.map(|other| format!("{} overlaps {}", name(panel), name(other))));
    }
    faults
}

#[test]
fn every_dashboard_is_sound() {
    assert_clean(&dashboards(&Tree::of_repository()));
}

/// A sound dashboard of two panels, changed by `change`.
fn sample(change: impl Fn(&mut Value)) -> Vec<String> {
    let panel = |id: u64, x: u64| {
        serde_json::json!({
            "id": id, "type": "timeseries", "title": "Rate", "description": "Messages.",
            "gridPos": {"x": x, "y": 0, "w": 12, "h": 8}, "fieldConfig": {"defaults": {"unit": "mps"}}
        })
    };
    let mut dashboard = serde_json::json!({"uid": "a", "panels": [panel(1, 0), panel(2, 12)]});
    change(&mut dashboard);
    dashboards(&Tree::of(&[("grafana/a.json", &dashboard.to_string())]))
}

#[test]
fn an_unsound_dashboard_is_found() {
    assert_clean(&sample(|_| {}));
    assert_complains(&sample(|it| it["uid"] = Value::Null), "no uid");
    assert_complains(&sample(|it| it["panels"][1]["id"] = 1.into()), "no id of its own");
    assert_complains(&sample(|it| it["panels"][1]["title"] = "".into()), "no title");
    assert_complains(&sample(|it| it["panels"][1]["description"] = Value::Null), "no description");
    assert_complains(&sample(|it| it["panels"][1]["fieldConfig"] = Value::Null), "no unit");
    assert_complains(&sample(|it| it["panels"][1]["gridPos"]["x"] = 11.into()), "overlaps");
    assert_complains(&sample(|it| it["panels"][1]["gridPos"]["w"] = 13.into()), "no place on the grid");
    assert_complains(&dashboards(&Tree::of(&[("grafana/a.json", "{")])), "grafana/a.json");
    let twice = "{\"uid\": \"a\", \"panels\": []}";
    assert_complains(
        &dashboards(&Tree::of(&[("grafana/a.json", twice), ("grafana/b.json", twice)])),
        "taken",
    );
}
