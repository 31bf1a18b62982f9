//! Taste and structure as failing tests: the layout, who may import whom, sizes, words, metrics and dashboards.
//!
//! A rule is a pure function from a tree of files to a list of complaints. Each is run on the repository, which
//! must give none, and on a small bad sample in memory, which proves that the rule can fail.

mod crates;
mod dashboards;
mod documents;
mod imports;
mod layout;
mod lexer;
mod metrics;
mod modules;
mod paths;
mod sizes;
mod source;
mod words;

use std::path::Path;

use source::Source;

/// The text files of the repository, by path from its root with `/` between names.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Every file with its text; a file that is not UTF-8 has an empty one.
    files: Vec<(String, String)>,
    /// The Rust files among them, read once for all rules.
    sources: Vec<Source>,
}

impl Tree {
    /// A tree in memory.
    fn of(files: &[(&str, &str)]) -> Self {
        Self::from_files(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// The repository as it lies on disk, without what the `.gitignore` files name.
    fn of_repository() -> Self {
        let mut files = Vec::new();
        collect(&tests::repository(), "", &[], &mut files);
        files.sort();
        Self::from_files(files)
    }

    fn from_files(files: Vec<(String, String)>) -> Self {
        let rust = files.iter().filter(|(path, _)| path.ends_with(".rs"));
        let mut sources: Vec<Source> = rust.map(|(path, text)| Source::read(path, text)).collect();
        source::mark_test_files(&mut sources);
        Self { files, sources }
    }

    /// The text of one file.
    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str())
    }

    /// The Rust files below a folder.
    fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Source> {
        self.sources.iter().filter(move |source| source.path.starts_with(folder))
    }
}

/// What a line of a `.gitignore` excludes below the folder of that file. Only the forms in use here are known:
/// `/path`, `*.ending` and `name`.
#[derive(Clone, Debug)]
struct Ignored {
    folder: String,
    line: String,
}

impl Ignored {
    fn holds(&self, path: &str, name: &str) -> bool {
        let line = self.line.trim_end_matches('/');
        match (line.strip_prefix('/'), line.strip_prefix('*')) {
            (Some(below), _) => path == joined(&self.folder, below),
            (None, Some(ending)) => name.ends_with(ending),
            (None, None) => name == line,
        }
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Walks a folder and what lies below it.
fn collect(root: &Path, folder: &str, above: &[Ignored], files: &mut Vec<(String, String)>) {
    let lines = std::fs::read_to_string(root.join(folder).join(".gitignore")).unwrap_or_default();
    let lines = lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let here = lines.map(|line| Ignored { folder: folder.to_owned(), line: line.to_owned() });
    let ignored: Vec<Ignored> = above.iter().cloned().chain(here).collect();
    let entries = std::fs::read_dir(root.join(folder)).expect("a folder of the repository is readable");
    for entry in entries {
        let entry = entry.expect("an entry of a folder is readable");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = joined(folder, &name);
        if name == ".git" || ignored.iter().any(|line| line.holds(&path, &name)) {
            continue;
        }
        if entry.file_type().expect("the type of an entry is known").is_dir() {
            collect(root, &path, &ignored, files);
        } else {
            let bytes = std::fs::read(entry.path()).expect("a file of the repository is readable");
            files.push((path, String::from_utf8(bytes).unwrap_or_default()));
        }
    }
}

/// Fails with every complaint on a line of its own.
fn assert_clean(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Proves that a rule can fail: exactly one complaint, and it says `word`.
fn assert_complains(complaints: &[String], word: &str) {
    assert_eq!(complaints.len(), 1, "one complaint was expected: {complaints:#?}");
    assert!(complaints[0].contains(word), "{word:?} is not in {:?}", complaints[0]);
}

#[test]
fn ignored_files_are_known_by_path_ending_or_name() {
    let holds = |folder: &str, line: &str, path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        Ignored { folder: folder.to_owned(), line: line.to_owned() }.holds(path, name)
    };
    assert!(holds("", "/target", "target"));
    assert!(!holds("", "/target", "pdu/target"));
    assert!(holds("pdu/fuzz", "/target", "pdu/fuzz/target"));
    assert!(holds("", "*.profraw", "a/b.profraw"));
    assert!(holds("pdu/fuzz", "corpus/", "pdu/fuzz/corpus"));
    assert!(!holds("pdu/fuzz", "corpus/", "pdu/fuzz/corpora"));
}

#[test]
fn the_rules_see_the_repository_and_not_what_is_built_from_it() {
    let tree = Tree::of_repository();
    for path in ["Cargo.toml", "tests/tidy.rs", "pdu/src/lib.rs", "engine/src/lib.rs", ".ci/run"] {
        assert!(tree.text(path).is_some_and(|text| !text.is_empty()), "{path} was not read");
    }
    assert!(tree.files.iter().all(|(path, _)| !path.starts_with("target/") && !path.starts_with(".tools/")));
}
