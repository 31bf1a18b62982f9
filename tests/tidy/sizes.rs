//! How long files and functions may be. A file that holds policy, IO and wiring at once grows past these limits first.

use super::{Tree, assert_clean, assert_complains};

/// Lines of a file before its tests.
const FILE_LINES: usize = 600;
/// Lines of a function.
const FUNCTION_LINES: usize = 70;
/// Files and functions that may be longer, as `path` or `path::function`, each with its reason.
const ALLOWED: [(&str, &str); 0] = [];

fn is_allowed(name: &str) -> bool {
    ALLOWED.iter().any(|(allowed, _)| *allowed == name)
}

/// No file and no function is longer than its limit.
fn sizes(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        let (path, lines) = (&source.path, source.lines_before_tests());
        if lines > FILE_LINES && !is_allowed(path) {
            complaints.push(format!("{path}: {lines} lines before its tests, at most {FILE_LINES}"));
        }
        for function in source.functions().into_iter().filter(|function| function.lines > FUNCTION_LINES) {
            let name = format!("{path}::{}", function.name);
            if !is_allowed(&name) {
                let (line, lines) = (function.line, function.lines);
                complaints.push(format!(
                    "{path}:{line}: {} has {lines} lines, at most {FUNCTION_LINES}",
                    function.name
                ));
            }
        }
    }
    complaints
}

#[test]
fn files_and_functions_keep_within_their_lines() {
    assert_clean(&sizes(&Tree::of_repository()));
}

#[test]
fn a_long_file_and_a_long_function_are_found() {
    let tests = format!("#[cfg(test)]\nmod tests {{{}}}", "\n".repeat(FILE_LINES));
    let one = |text: &str| sizes(&Tree::of(&[("pdu/src/a.rs", text)]));
    assert_clean(&one(&format!("{}{tests}", "\n".repeat(FILE_LINES))));
    assert_complains(&one(&format!("{}{tests}", "\n".repeat(FILE_LINES + 1))), "601 lines");
    assert_clean(&one(&format!("fn f() {{{}}}", "\n".repeat(FUNCTION_LINES - 1))));
    assert_complains(&one(&format!("fn f() {{{}}}", "\n".repeat(FUNCTION_LINES))), "f has 71 lines");
}
