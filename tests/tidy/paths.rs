//! Which paths a file mentions, in `use` trees and in code, and what they mean from the root of their crate.

use super::lexer::{Kind, Token};
use super::source::Source;

/// A path as written, with the inline modules around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    pub(crate) is_test: bool,
    /// Whether a `!` follows: the path names a macro.
    pub(crate) is_macro: bool,
    /// Inline modules around the mention, outermost first.
    inline: Vec<String>,
}

impl Mention {
    /// The path from the root of the crate, for paths that begin with `crate`, `self` or `super`.
    pub(crate) fn resolved(&self, file_module: &[String]) -> Option<Vec<String>> {
        let mut base: Vec<String> = file_module.iter().chain(&self.inline).cloned().collect();
        let mut rest = self.segments.as_slice();
        match rest.first()?.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                while rest.get(1).is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
                base.pop();
            }
            _ => return None,
        }
        base.extend_from_slice(&rest[1..]);
        Some(base)
    }
}

/// The module path of a file below its crate's `src`, e.g. `store::sqlite`; the root of the crate has none.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let below = path.split_once("/src/").map_or(path, |(_, below)| below);
    let stem = below.trim_end_matches(".rs");
    let mut names: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        names.pop();
    }
    names
}

/// Every path of two or more segments in the file, and every single name behind `use`.
pub(crate) fn mentions(source: &Source) -> Vec<Mention> {
    let mut reader = Reader { source, inline: Vec::new(), depth: 0, found: Vec::new() };
    let mut at = 0;
    while at < source.tokens.len() {
        at = reader.step(at);
    }
    reader.found
}

struct Reader<'a> {
    source: &'a Source,
    /// Inline modules around, with the brace depth of their bodies.
    inline: Vec<(String, usize)>,
    depth: usize,
    found: Vec<Mention>,
}

impl Reader<'_> {
    fn token(&self, at: usize) -> Option<&Token> {
        self.source.tokens.get(at)
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.token(at).is_some_and(|token| token.is(text))
    }

    fn step(&mut self, at: usize) -> usize {
        let tokens = &self.source.tokens;
        if tokens[at].is("mod") && self.is(at + 2, "{") {
            self.depth += 1;
            self.inline.push((tokens[at + 1].text.clone(), self.depth));
            return at + 3;
        }
        if tokens[at].is("{") {
            self.depth += 1;
        }
        if tokens[at].is("}") {
            self.inline.retain(|(_, depth)| *depth < self.depth);
            self.depth = self.depth.saturating_sub(1);
        }
        if tokens[at].is("use") {
            let first = if self.is(at + 1, "::") { at + 2 } else { at + 1 };
            return self.tree(first, &[]).max(at + 1);
        }
        if tokens[at].kind == Kind::Word && self.begins_path(at) {
            return self.plain(at);
        }
        at + 1
    }

    /// A name begins a path unless it follows the `::` of another one or the dot of a value.
    fn begins_path(&self, at: usize) -> bool {
        let before = |back: usize| at.checked_sub(back).and_then(|at| self.token(at));
        match before(1) {
            Some(token) if token.is(".") => false,
            Some(token) if token.is("::") => {
                !before(2).is_some_and(|token| token.kind == Kind::Word || token.is(">"))
            }
            _ => true,
        }
    }

    /// A path in code; generic arguments end it.
    fn plain(&mut self, start: usize) -> usize {
        let mut segments = vec![self.source.tokens[start].text.clone()];
        let mut at = start + 1;
        while self.is(at, "::") && self.token(at + 1).is_some_and(|token| token.kind == Kind::Word) {
            segments.push(self.source.tokens[at + 1].text.clone());
            at += 2;
        }
        if segments.len() > 1 {
            self.record(start, segments, self.is(at, "!"));
        }
        at
    }

    /// One tree behind `use`: a path, a group, or a path that ends in a group.
    fn tree(&mut self, start: usize, before: &[String]) -> usize {
        let mut segments = before.to_vec();
        let mut at = start;
        loop {
            if self.is(at, "{") {
                return self.group(at + 1, &segments);
            }
            match self.token(at) {
                Some(token) if token.kind == Kind::Word || token.is("*") => segments.push(token.text.clone()),
                _ => break,
            }
            at += 1;
            if !self.is(at, "::") {
                break;
            }
            at += 1;
        }
        if self.is(at, "as") {
            at += 2;
        }
        if segments.len() > before.len() {
            self.record(start, segments, false);
        }
        at
    }

    fn group(&mut self, start: usize, before: &[String]) -> usize {
        let mut at = start;
        while at < self.source.tokens.len() && !self.is(at, "}") {
            at = if self.is(at, ",") { at + 1 } else { self.tree(at, before).max(at + 1) };
        }
        at + 1
    }

    fn record(&mut self, at: usize, segments: Vec<String>, is_macro: bool) {
        let inline = self.inline.iter().map(|(name, _)| name.clone()).collect();
        let line = self.source.tokens[at].line;
        self.found.push(Mention { line, segments, is_test: self.source.is_test[at], is_macro, inline });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Vec<String> {
        mentions(&Source::read("engine/src/a.rs", text))
            .iter()
            .map(|mention| mention.segments.join("::"))
            .collect()
    }

    #[test]
    fn use_trees_are_written_out() {
        let text = "use a::{b, c::{d as e, *}}; use f; pub use ::g::h;";
        assert_eq!(written(text), ["a::b", "a::c::d", "a::c::*", "f", "g::h"]);
    }

    #[test]
    fn paths_in_code_are_found_and_fields_are_not() {
        assert_eq!(written("fn x() { a::b::<C>::d(); e.f; <G as h::I>::j() }"), ["a::b", "h::I"]);
    }

    #[test]
    fn super_is_resolved_through_inline_modules() {
        let source =
            Source::read("engine/src/store/sqlite.rs", "mod tests { use super::super::x; } use super::y;");
        let roots: Vec<_> = mentions(&source)
            .iter()
            .filter_map(|mention| mention.resolved(&module_of(&source.path)))
            .collect();
        assert_eq!(roots, [["store", "x"], ["store", "y"]]);
    }
}
