//! Who may import whom inside the engine: the table that keeps policy, IO and wiring in different files.

use std::collections::BTreeSet;

use super::paths::{mentions, module_of};
use super::{Tree, assert_clean, assert_complains};

const ENGINE: &str = "engine/src/";
/// Modules that import nothing of their crate.
const PURE: [&str; 2] = ["model", "metrics"];
/// Modules that import these of their crate and nothing else.
const ONLY: [(&str, &[&str]); 1] = [("text", &["model"])];
/// Modules that never import another one: (module and part, what it never imports, why).
const NEVER: [(&[&str], &str, &str); 4] = [
    (&["store"], "dispatch", "the store serves dispatch and knows nothing of it"),
    (&["intake"], "dispatch", "intake ends at the store"),
    (&["dispatch", "fair"], "store", "the scheduler decides without IO"),
    (&["dispatch", "link"], "store", "only the recorder speaks to the store"),
];

/// The table holds for every path that a file of the engine mentions, in tests too.
fn imports(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let tops: BTreeSet<String> =
        tree.below(ENGINE).filter_map(|source| module_of(&source.path).first().cloned()).collect();
    for source in tree.below(ENGINE) {
        let module = module_of(&source.path);
        let Some(top) = module.first() else { continue };
        for mention in mentions(source) {
            let Some(target) = mention.resolved(&module) else { continue };
            let Some(first) = target.first() else { continue };
            let place = format!("{}:{}", source.path, mention.line);
            if first != top && PURE.contains(&top.as_str()) {
                complaints.push(format!("{place}: {top} imports nothing of its crate, but {first} here"));
            } else if !tops.contains(first) && !mention.is_macro {
                complaints
                    .push(format!("{place}: crate::{first} hides its module; name the one that owns it"));
            }
            for (module, allowed) in ONLY {
                if top == module && first != top && !allowed.contains(&first.as_str()) {
                    let allowed = allowed.join(" and ");
                    complaints.push(format!("{place}: {top} imports only {allowed}, but {first} here"));
                }
            }
            for (part, never, why) in NEVER {
                if module.iter().map(String::as_str).take(part.len()).eq(part.iter().copied())
                    && first == never
                {
                    let (part, target) = (part.join("::"), target.join("::"));
                    complaints
                        .push(format!("{place}: {part} never imports {never}, but crate::{target}: {why}"));
                }
            }
        }
    }
    complaints
}

#[test]
fn the_modules_of_the_engine_keep_to_the_table_of_imports() {
    assert_clean(&imports(&Tree::of_repository()));
}

#[test]
fn an_import_against_the_table_is_found() {
    let one = |path: &str, text: &str| {
        let others = ["engine/src/store/mod.rs", "engine/src/dispatch/mod.rs", "engine/src/model.rs"];
        let mut files: Vec<(&str, &str)> = others.iter().map(|path| (*path, "")).collect();
        files.push((path, text));
        imports(&Tree::of(&files))
    };
    assert_clean(&one("engine/src/store/sqlite.rs", "use super::Row; use crate::model::{Id, Number};"));
    assert_clean(&one("engine/src/model/number.rs", "use super::*; mod tests { use super::super::Id; }"));
    assert_clean(&one("engine/src/dispatch/recorder.rs", "use crate::store::Journal;"));
    assert_clean(&one("engine/src/text/compose.rs", "use super::Template; use crate::model::Variable;"));
    assert_complains(&one("engine/src/text/compose.rs", "use crate::store::Journal;"), "imports only model");
    assert_complains(
        &one("engine/src/model/number.rs", "use crate::store::Journal;"),
        "nothing of its crate",
    );
    assert_complains(
        &one("engine/src/metrics.rs", "fn f() { super::model::Id::new() }"),
        "nothing of its crate",
    );
    assert_complains(
        &one("engine/src/store/sqlite.rs", "use crate::{model::Id, dispatch::Flow};"),
        "store never imports dispatch",
    );
    assert_complains(
        &one("engine/src/intake.rs", "use crate::dispatch::Flow;"),
        "intake never imports dispatch",
    );
    assert_complains(
        &one("engine/src/dispatch/fair.rs", "use super::super::store::Journal;"),
        "dispatch::fair never imports store",
    );
    assert_complains(
        &one("engine/src/dispatch/link/slab.rs", "use crate::store;"),
        "dispatch::link never imports store",
    );
    assert_complains(&one("engine/src/dispatch/flow.rs", "use crate::Journal;"), "hides its module");
}
