//! Who may depend on whom among the crates, and on which published crates they never may.

use toml::Table;

use super::paths::mentions;
use super::{Tree, assert_clean, assert_complains};

/// What a crate may use of this workspace, and what it must not use of others.
struct Crate {
    name: &'static str,
    may_use: &'static [&'static str],
    never: &'static [&'static str],
}

/// The table of the crates: one line, no cycles.
const CRATES: [Crate; 5] = [
    Crate { name: "pdu", may_use: &[], never: &["tokio", "serde", "serde_json", "mio", "socket2"] },
    Crate { name: "engine", may_use: &["pdu"], never: &["argon2", "askama", "lettre"] },
    Crate { name: "admin", may_use: &["engine", "bench"], never: &["rusqlite", "mongodb", "bson", "ractor"] },
    Crate { name: "bench", may_use: &["engine", "pdu"], never: &[] },
    Crate { name: "tests", may_use: &["pdu", "engine", "admin", "bench"], never: &[] },
];
/// The one part of `admin` that may use `bench`: the demo brings its own simulated SMSC.
const DEMO: [&str; 2] = ["admin/src/demo.rs", "admin/src/demo/"];

/// Every table of dependencies in a manifest, those for one platform too.
fn dependencies(manifest: &Table) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        match key.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => {
                for (name, how) in table {
                    let package = how.get("package").and_then(toml::Value::as_str);
                    names.push(package.unwrap_or(name).to_owned());
                }
            }
            "target" => names.extend(table.values().filter_map(toml::Value::as_table).flat_map(dependencies)),
            _ => {}
        }
    }
    names
}

/// The manifests keep to the table.
fn manifests(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for krate in &CRATES {
        let path = format!("{}/Cargo.toml", krate.name);
        let manifest = tree.text(&path).map(str::parse::<Table>);
        let Some(Ok(manifest)) = manifest else {
            complaints.push(format!("{path} is missing or not TOML"));
            continue;
        };
        for name in dependencies(&manifest) {
            let is_ours = CRATES.iter().any(|other| other.name == name);
            if krate.never.contains(&name.as_str()) || is_ours && !krate.may_use.contains(&name.as_str()) {
                complaints.push(format!("{path}: {} must not use {name}", krate.name));
            }
        }
    }
    complaints
}

/// The sources keep to the table, and only the demo brings the simulator into the product.
fn sources(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for krate in &CRATES {
        let folder = format!("{}/src/", krate.name);
        for source in tree.below(&folder) {
            for mention in mentions(source) {
                let name = mention.segments[0].as_str();
                // Many files have a module of their own called `tests`; nobody can name the crate by accident,
                // since no manifest may hold it.
                let is_ours = name != "tests" && CRATES.iter().any(|other| other.name == name);
                let is_demo = DEMO.iter().any(|demo| source.path.starts_with(demo));
                let is_demo_only = krate.name == "admin" && name == "bench" && !is_demo;
                let is_foreign = is_ours && name != krate.name && !krate.may_use.contains(&name);
                if krate.never.contains(&name) || is_foreign || is_demo_only {
                    complaints.push(format!("{}:{}: must not use {name}", source.path, mention.line));
                }
            }
        }
    }
    complaints
}

#[test]
fn the_manifests_keep_to_the_table_of_crates() {
    assert_clean(&manifests(&Tree::of_repository()));
}

#[test]
fn a_manifest_that_reaches_past_the_table_is_found() {
    let with = |name: &str, text: &str| {
        let files: Vec<(String, String)> = CRATES
            .iter()
            .map(|krate| {
                (format!("{}/Cargo.toml", krate.name), if krate.name == name { text } else { "" }.to_owned())
            })
            .collect();
        manifests(&Tree::from_files(files))
    };
    assert_clean(&with("engine", "[dependencies]\npdu.workspace = true"));
    assert_complains(&with("pdu", "[dependencies]\ntokio = \"1\""), "pdu must not use tokio");
    assert_complains(
        &with("bench", "[dev-dependencies]\nadmin.workspace = true"),
        "bench must not use admin",
    );
    assert_complains(
        &with("admin", "[dependencies]\ncodec = { package = \"pdu\" }"),
        "admin must not use pdu",
    );
    assert_complains(&with("admin", "[target.'cfg(unix)'.dependencies]\nractor = \"1\""), "ractor");
    assert_complains(&with("engine", "not TOML"), "engine/Cargo.toml");
}

#[test]
fn the_sources_keep_to_the_table_of_crates() {
    assert_clean(&sources(&Tree::of_repository()));
}

#[test]
fn a_source_that_reaches_past_the_table_is_found() {
    let one = |path: &str, text: &str| sources(&Tree::of(&[(path, text)]));
    assert_clean(&one("admin/src/demo/run.rs", "use bench::smsc;"));
    assert_clean(&one("engine/src/a.rs", "// bench::smsc\nfn f() { x.bench(); }"));
    assert_complains(&one("admin/src/api.rs", "fn f() { bench::smsc() }"), "api.rs:1: must not use bench");
    assert_complains(&one("pdu/src/a.rs", "use {serde::Serialize, std::io};"), "must not use serde");
    assert_complains(&one("engine/src/a.rs", "use admin::x;"), "must not use admin");
}
