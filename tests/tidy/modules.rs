//! Every Rust file says what it owns, and every one is compiled.

use super::source::Source;
use super::{Tree, assert_clean, assert_complains};

/// File names that cargo finds by itself.
const ROOTS: [&str; 4] = ["lib.rs", "main.rs", "suite.rs", "build.rs"];

/// Every file begins with its head doc.
fn head_docs(tree: &Tree) -> Vec<String> {
    let lacking = tree.sources.iter().filter(|source| !source.text.starts_with("//!"));
    lacking.map(|source| format!("{}: no head doc; begin with //!", source.path)).collect()
}

/// Every file is declared as a module by its parent: one that is not is never compiled, and its tests never run.
fn declared(tree: &Tree) -> Vec<String> {
    let files = tree.sources.iter().filter(|source| !is_root(&source.path));
    let orphans = files.filter(|file| !tree.sources.iter().any(|parent| declares(parent, &file.path)));
    orphans.map(|file| format!("{}: no file declares this module", file.path)).collect()
}

fn is_root(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    match names.as_slice() {
        [.., file] if ROOTS.contains(file) => true,
        [_, "tests" | "benches" | "examples", _] => true,
        [.., "bin" | "fuzz_targets", _] => true,
        _ => false,
    }
}

fn declares(parent: &Source, path: &str) -> bool {
    let base = parent.module_base();
    let mut modules = parent.declared_modules().into_iter();
    let by_name = modules
        .any(|(name, _)| path == format!("{base}/{name}.rs") || path == format!("{base}/{name}/mod.rs"));
    by_name || parent.modules_by_path().iter().any(|taken| taken == path)
}

#[test]
fn every_file_begins_with_its_head_doc() {
    assert_clean(&head_docs(&Tree::of_repository()));
}

#[test]
fn a_file_without_a_head_doc_is_found() {
    assert_clean(&head_docs(&Tree::of(&[("pdu/src/a.rs", "//! Owns a.")])));
    assert_complains(&head_docs(&Tree::of(&[("pdu/src/a.rs", "// Owns a.")])), "a.rs");
}

#[test]
fn every_file_is_declared_as_a_module() {
    assert_clean(&declared(&Tree::of_repository()));
}

#[test]
fn a_file_that_no_module_declares_is_found() {
    let declared_one = ("pdu/src/lib.rs", "mod a;");
    assert_clean(&declared(&Tree::of(&[declared_one, ("pdu/src/a.rs", "mod b;"), ("pdu/src/a/b.rs", "")])));
    let by_path = ("pdu/tests/suite/main.rs", "#[path = \"../../fuzz/bodies.rs\"] mod bodies;");
    assert_clean(&declared(&Tree::of(&[by_path, ("pdu/fuzz/bodies.rs", "")])));
    let complaints = declared(&Tree::of(&[declared_one, ("pdu/src/a.rs", ""), ("pdu/src/c.rs", "mod a;")]));
    assert_complains(&complaints, "c.rs");
}
