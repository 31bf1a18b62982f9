//! The shape of the repository: what lies at its top, what files may be called, and what the README must say.

use std::collections::BTreeSet;

use super::{Tree, assert_clean, assert_complains};

/// Names at the top that a clone must have.
const TOP: [&str; 10] =
    [".ci", "Cargo.lock", "Cargo.toml", "Makefile", "README.md", "admin", "bench", "engine", "pdu", "tests"];
/// Names at the top that a clone may have, beside dotted tool files.
const TOP_OPTIONAL: [&str; 2] = ["docs", "grafana"];
/// Names that say nothing about what a file owns.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "common", "helper", "helpers", "manager", "misc", "stuff"];
/// The two commands that a newcomer needs.
const COMMANDS: [&str; 2] = ["make demo", "make test"];

/// Nothing lies at the top but the agreed names, and all of these do.
fn top_level(tree: &Tree) -> Vec<String> {
    let present: BTreeSet<&str> = tree.files.iter().filter_map(|(path, _)| path.split('/').next()).collect();
    let known = |name: &&str| TOP.contains(name) || TOP_OPTIONAL.contains(name);
    let is_tool_file = |name: &str| name.starts_with('.') && tree.text(name).is_some();
    let strange = present.iter().filter(|name| !known(name) && !is_tool_file(name));
    let strange = strange.map(|name| format!("{name} does not belong at the top of the repository"));
    let lacking = TOP.iter().filter(|name| !present.contains(*name));
    strange.chain(lacking.map(|name| format!("{name} is missing at the top of the repository"))).collect()
}

/// No file, folder or module has a name that says nothing.
fn telling_names(tree: &Tree) -> Vec<String> {
    let is_empty = |name: &str| EMPTY_NAMES.contains(&name.split('.').next().unwrap_or(name));
    let files = tree.files.iter().filter(|(path, _)| path.split('/').any(is_empty));
    let mut complaints: Vec<String> =
        files.map(|(path, _)| format!("{path}: the name says nothing")).collect();
    for source in &tree.sources {
        let pairs = source.tokens.windows(2).filter(|pair| pair[0].is("mod") && is_empty(&pair[1].text));
        complaints
            .extend(pairs.map(|pair| {
                format!("{}:{}: the name of the module says nothing", source.path, pair[1].line)
            }));
    }
    complaints
}

/// The README gives both commands.
fn readme(tree: &Tree) -> Vec<String> {
    let Some(text) = tree.text("README.md") else { return vec!["README.md is missing".to_owned()] };
    let lacking = COMMANDS.iter().filter(|command| !text.contains(**command));
    lacking.map(|command| format!("README.md does not mention `{command}`")).collect()
}

#[test]
fn the_top_level_holds_exactly_what_was_agreed() {
    assert_clean(&top_level(&Tree::of_repository()));
}

#[test]
fn a_stray_or_missing_name_at_the_top_is_found() {
    let path = |name: &str| if name.contains('.') { name.to_owned() } else { format!("{name}/x") };
    let mut paths: Vec<String> = TOP.iter().map(|name| path(name)).collect();
    paths.push(".rustfmt.toml".to_owned());
    let complaints = |paths: &[String]| {
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
        top_level(&Tree::of(&files))
    };
    assert_clean(&complaints(&paths));
    assert_complains(&complaints(&paths[1..]), ".ci is missing");
    paths.push("notes.txt".to_owned());
    assert_complains(&complaints(&paths), "notes.txt does not belong");
}

#[test]
fn files_and_modules_have_names_that_say_what_they_own() {
    assert_clean(&telling_names(&Tree::of_repository()));
}

#[test]
fn a_name_that_says_nothing_is_found() {
    assert_complains(&telling_names(&Tree::of(&[("pdu/src/utils.rs", "")])), "utils.rs");
    assert_complains(&telling_names(&Tree::of(&[("pdu/src/helpers/text.rs", "")])), "helpers");
    assert_complains(&telling_names(&Tree::of(&[("pdu/src/a.rs", "\nmod misc { }")])), "a.rs:2");
}

#[test]
fn the_readme_gives_both_commands() {
    assert_clean(&readme(&Tree::of_repository()));
}

#[test]
fn a_readme_without_a_command_is_found() {
    assert_complains(&readme(&Tree::of(&[("README.md", "`make demo`")])), "make test");
    assert_complains(&readme(&Tree::of(&[])), "missing");
}
