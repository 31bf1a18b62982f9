//! A Rust file as the rules see it: its tokens, and which of them are test code.
//!
//! Test code is every item under `#[cfg(test)]`, the files of a module declared under it, and every program that
//! is no part of the product: the suite, and the tests, benchmarks, examples and fuzz targets of the crates.

use super::lexer::{Kind, Token, tokens};

/// Folders of a crate beside `src`, and the whole crate of the suite.
const BESIDE_THE_PRODUCT: [&str; 4] = ["tests", "benches", "examples", "fuzz"];

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    /// For each token whether it is test code.
    pub(crate) is_test: Vec<bool>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From the line of `fn` to the closing brace, both included.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn read(path: &str, text: &str) -> Self {
        let tokens = tokens(text);
        let mut is_test = vec![is_beside_the_product(path); tokens.len()];
        for (start, end) in test_items(&tokens) {
            is_test[start..end].fill(true);
        }
        Self { path: path.to_owned(), text: text.to_owned(), tokens, is_test }
    }

    /// Lines before the first test item, or all lines.
    pub(crate) fn lines_before_tests(&self) -> usize {
        let first = test_items(&self.tokens).first().map(|(start, _)| self.tokens[*start].line);
        first.map_or_else(|| self.text.lines().count(), |line| line - 1)
    }

    /// Every function with a body, nested ones too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let starts = (0..self.tokens.len()).filter(|at| self.tokens[*at].is("fn"));
        starts.filter_map(|at| self.function_at(at)).collect()
    }

    fn function_at(&self, at: usize) -> Option<Function> {
        let name = self.tokens.get(at + 1).filter(|token| token.kind == Kind::Word)?;
        let end = item_end(&self.tokens, at);
        let last = self.tokens.get(end.checked_sub(1)?).filter(|token| token.is("}"))?;
        let line = self.tokens[at].line;
        Some(Function { name: name.text.clone(), line, lines: last.line + 1 - line })
    }

    /// The modules that this file declares without a body, with the mark of test modules.
    pub(crate) fn declared_modules(&self) -> Vec<(String, bool)> {
        let triples = self.tokens.windows(3).zip(&self.is_test);
        let found = triples.filter(|(three, _)| three[0].is("mod") && three[2].is(";"));
        found.map(|(three, test)| (three[1].text.clone(), *test)).collect()
    }

    /// The files that this file takes in by an attribute `#[path = "..."]`, by path from the root.
    pub(crate) fn modules_by_path(&self) -> Vec<String> {
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let attributes =
            self.tokens.windows(4).filter(|four| four[0].is("[") && four[1].is("path") && four[2].is("="));
        attributes.map(|four| normal(&format!("{folder}/{}", four[3].text))).collect()
    }

    /// The folder and stem below which the files of this file's modules lie: `a/b` for `a/b.rs` and `a/b/mod.rs`.
    pub(crate) fn module_base(&self) -> &str {
        let stem = self.path.trim_end_matches(".rs");
        for root in ["/mod", "/lib", "/main", "/suite"] {
            if let Some(folder) = stem.strip_suffix(root) {
                return folder;
            }
        }
        stem
    }
}

/// A path without `..`.
fn normal(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        if name == ".." {
            names.pop();
        } else {
            names.push(name);
        }
    }
    names.join("/")
}

/// Whether a file belongs to a program that is no part of the product.
fn is_beside_the_product(path: &str) -> bool {
    path.split('/').take(2).any(|folder| BESIDE_THE_PRODUCT.contains(&folder))
}

/// Marks files whose module is declared under `#[cfg(test)]`, and the files below them.
pub(crate) fn mark_test_files(sources: &mut [Source]) {
    let mut bases = Vec::new();
    for source in sources.iter() {
        for (module, _) in source.declared_modules().into_iter().filter(|(_, test)| *test) {
            bases.push(format!("{}/{module}", source.module_base()));
        }
    }
    for source in sources {
        let below = |base: &String| {
            source.path.strip_prefix(base.as_str()).is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        if bases.iter().any(below) {
            source.is_test.fill(true);
        }
    }
}

/// Ranges of tokens of the items under an attribute `#[cfg(test)]`, attribute included.
fn test_items(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_attribute = tokens[at].is("#") && tokens.get(at + 1).is_some_and(|token| token.is("["));
        let behind = if is_attribute { closing(tokens, at + 1) } else { at + 1 };
        let inside = &tokens[at..behind];
        if is_attribute && has(inside, "cfg") && has(inside, "test") && !has(inside, "not") {
            let end = item_end(tokens, behind);
            items.push((at, end));
            at = end;
        } else {
            at = behind;
        }
    }
    items
}

fn has(tokens: &[Token], word: &str) -> bool {
    tokens.iter().any(|token| token.is(word))
}

/// The index behind the bracket that closes the one at `open`, or the end of the file.
pub(crate) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.kind != Kind::Mark {
            continue;
        }
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The index behind the item that begins at `start`: behind its `;` or behind its body.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        if tokens[at].is("{") {
            return closing(tokens, at);
        }
        if tokens[at].is(";") {
            return at + 1;
        }
        at = if tokens[at].is("(") || tokens[at].is("[") { closing(tokens, at) } else { at + 1 };
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_fn_to_the_closing_brace() {
        let source = Source::read(
            "a.rs",
            "fn one(a: [u8; 2]) -> u8\n{\n if a { b } else { c }\n}\ntrait T { fn two(); }",
        );
        assert_eq!(source.functions(), [Function { name: "one".to_owned(), line: 1, lines: 4 }]);
    }

    #[test]
    fn only_the_item_under_the_attribute_is_test_code() {
        let source = Source::read("a.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}");
        let tested: Vec<&str> = source
            .tokens
            .iter()
            .zip(&source.is_test)
            .filter(|(_, test)| **test)
            .map(|(token, _)| token.text.as_str())
            .collect();
        assert!(tested.contains(&"b") && !tested.contains(&"a") && !tested.contains(&"c"));
        assert_eq!(source.lines_before_tests(), 1);
    }

    #[test]
    fn a_file_declared_as_a_test_module_is_test_code() {
        let mut sources = vec![
            Source::read("engine/src/store/mod.rs", "#[cfg(test)]\nmod contract;"),
            Source::read("engine/src/store/contract.rs", "fn a() {}"),
            Source::read("engine/src/store/contractor.rs", "fn a() {}"),
        ];
        mark_test_files(&mut sources);
        assert!(sources[1].is_test[0]);
        assert!(!sources[2].is_test[0]);
    }
}
