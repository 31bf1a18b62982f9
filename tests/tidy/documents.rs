//! References to documents lead somewhere: every Markdown file that a file names lies in the repository.

use super::{Tree, assert_clean, assert_complains};

const ENDING: &str = ".md";

/// Every `NAME.md` in any text is the path of a file: from the root, from the folder of the text, or below `docs/`.
fn references(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| !is_sample(path)) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, line) in text.lines().enumerate() {
            for name in names(line) {
                let name = name.trim_start_matches("../").trim_start_matches("./");
                let places = [name.to_owned(), format!("{folder}/{name}"), format!("docs/{name}")];
                if !places.iter().any(|place| tree.text(place.trim_start_matches('/')).is_some()) {
                    complaints.push(format!("{path}:{}: {name} is not in the repository", at + 1));
                }
            }
        }
    }
    complaints
}

/// The rules themselves name documents that do not exist.
fn is_sample(path: &str) -> bool {
    path.starts_with("tests/tidy")
}

/// The names of Markdown files in a line, without addresses on the web.
fn names(line: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':');
    let words = line.split(|c| !is_part(c)).map(|word| word.trim_end_matches(['.', ':']));
    words
        .filter(|word| word.len() > ENDING.len() && word.ends_with(ENDING) && !word.contains("://"))
        .collect()
}

#[test]
fn every_document_that_is_named_exists() {
    assert_clean(&references(&Tree::of_repository()));
}

#[test]
fn a_reference_to_a_missing_document_is_found() {
    let docs = ("docs/plan.md", "see [here](notes/more.md), https://example.org/x.md");
    let more = ("docs/notes/more.md", "");
    assert_clean(&references(&Tree::of(&[
        docs,
        more,
        ("pdu/src/lib.rs", "//! See docs/plan.md and plan.md."),
    ])));
    assert_complains(&references(&Tree::of(&[docs])), "docs/plan.md:1: notes/more.md");
    assert_complains(&references(&Tree::of(&[("a.rs", "\n// see GUIDE.md: x")])), "a.rs:2: GUIDE.md");
}
