//! Words that must not stand in the code: shortcuts, waits by the clock, silenced tests, paths of one machine.

use super::lexer::Kind;
use super::paths::mentions;
use super::source::Source;
use super::{Tree, assert_clean, assert_complains};

/// Macros that mark unfinished or debugging code.
const MACROS: [&str; 3] = ["todo", "dbg", "unimplemented"];
/// Folders of one machine, put together here so that this file does not hold them.
const MACHINE_FOLDERS: [&str; 3] =
    [concat!("/", "work/"), concat!("/", "root/"), concat!("/tmp/", "bash_jobs")];

/// No unfinished code, no `unwrap` in the product, no silenced test.
fn shortcuts(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        for (at, window) in source.tokens.windows(3).enumerate() {
            let what = match window {
                [name, bang, _] if bang.is("!") && MACROS.iter().any(|word| name.is(word)) => {
                    "unfinished code"
                }
                [dot, name, open]
                    if dot.is(".") && name.is("unwrap") && open.is("(") && !source.is_test[at] =>
                {
                    "unwrap outside tests; let expect state the invariant"
                }
                [hash, open, name] if hash.is("#") && open.is("[") && name.is("ignore") => {
                    "an ignored test; use skip! with a reason"
                }
                _ => continue,
            };
            complaints.push(format!("{}:{}: {what}", source.path, window[1].line));
        }
    }
    complaints
}

/// No test waits by the clock: neither in Rust nor in the scripts of the suite.
fn sleeps(tree: &Tree) -> Vec<String> {
    let mut complaints: Vec<String> = tree.sources.iter().flat_map(sleeps_of).collect();
    let is_script = |path: &str| path.starts_with("tests/") && !path.ends_with(".rs");
    let call = concat!("time.", "sleep(");
    let scripts = tree.files.iter().filter(|(path, text)| is_script(path) && text.contains(call));
    complaints.extend(scripts.map(|(path, _)| format!("{path}: a script of the suite sleeps")));
    complaints
}

fn sleeps_of(source: &Source) -> Vec<String> {
    let sleeps = |segments: &[String]| {
        let pair = segments.last_chunk::<2>();
        pair.is_some_and(|[module, name]| {
            matches!(module.as_str(), "thread" | "time") && name.starts_with("sleep")
        })
    };
    let found = mentions(source).into_iter().filter(|mention| mention.is_test && sleeps(&mention.segments));
    found.map(|mention| format!("{}:{}: a test sleeps", source.path, mention.line)).collect()
}

/// No file names a folder of one machine.
fn machine_folders(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in &tree.files {
        for (at, line) in text.lines().enumerate() {
            for folder in MACHINE_FOLDERS {
                let inside = |(start, _): (usize, &str)| {
                    let before = line[..start].chars().next_back();
                    before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '/'))
                };
                if line.match_indices(folder).any(|found| !inside(found)) {
                    complaints.push(format!("{path}:{}: a folder of one machine: {folder}", at + 1));
                }
            }
        }
    }
    complaints
}

/// No trailing spaces and no tabs in Rust text: rustfmt leaves both inside literals and comments.
fn stray_spaces(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        let lines =
            source.text.lines().enumerate().filter(|(_, line)| line.ends_with(' ') || line.contains('\t'));
        complaints
            .extend(lines.map(|(at, _)| format!("{}:{}: a tab or trailing space", source.path, at + 1)));
        let broken = source.tokens.iter().any(|token| token.kind == Kind::Word && !token.text.is_ascii());
        if broken {
            complaints.push(format!("{}: a name with letters beyond ASCII", source.path));
        }
    }
    complaints
}

#[test]
fn no_shortcut_stands_in_the_code() {
    assert_clean(&shortcuts(&Tree::of_repository()));
}

#[test]
fn a_shortcut_is_found() {
    let one = |text: &str| shortcuts(&Tree::of(&[("pdu/src/a.rs", text)]));
    assert_clean(&one(
        "// todo!()\nfn f() { \"x.unwrap()\"; y.unwrap_or(1); }\n#[cfg(test)] mod t { fn g() { x.unwrap() } }",
    ));
    assert_complains(&one("fn f() {\n x.unwrap() }"), "a.rs:2: unwrap");
    assert_complains(&one("fn f() { todo!() }"), "unfinished");
    assert_complains(&one("fn f() { dbg!(1) }"), "unfinished");
    assert_complains(&one("#[cfg(test)] mod t { #[ignore = \"slow\"] fn f() {} }"), "ignored");
}

#[test]
fn no_test_sleeps() {
    assert_clean(&sleeps(&Tree::of_repository()));
}

#[test]
fn a_test_that_sleeps_is_found() {
    let one = |path: &str, text: &str| sleeps(&Tree::of(&[(path, text)]));
    assert_clean(&one("engine/src/a.rs", "fn f() { tokio::time::sleep(x); }"));
    assert_complains(&one("tests/a.rs", "fn f() { std::thread::sleep(x); }"), "a.rs:1");
    assert_complains(
        &one("engine/src/a.rs", "#[cfg(test)] mod t { use tokio::time::{self, sleep_until}; }"),
        "a.rs:1",
    );
    assert_complains(&one("tests/a.py", concat!("time.", "sleep(1)")), "a.py");
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    assert_clean(&machine_folders(&Tree::of_repository()));
}

#[test]
fn a_folder_of_one_machine_is_found() {
    let one = |text: &str| machine_folders(&Tree::of(&[("docs/a.md", text)]));
    assert_clean(&one(concat!("https://example.org/", "work/ and my-", "work/ ")));
    assert_complains(&one(concat!("\nsee /", "work/notes")), "a.md:2");
    assert_complains(&one(concat!("`/", "root/x`")), "a.md:1");
}

#[test]
fn no_rust_file_holds_stray_spaces() {
    assert_clean(&stray_spaces(&Tree::of_repository()));
}

#[test]
fn a_stray_space_is_found() {
    assert_complains(&stray_spaces(&Tree::of(&[("pdu/src/a.rs", "// a \n")])), "a.rs:1");
    assert_complains(&stray_spaces(&Tree::of(&[("pdu/src/a.rs", "fn f\u{e4}() {}")])), "ASCII");
}
