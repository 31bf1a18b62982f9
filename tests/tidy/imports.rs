//! Who may import whom inside the engine: the table that keeps policy, IO and wiring in different files.

use std::collections::BTreeSet;

use super::paths::{mentions, module_of};
use super::{Tree, assert_clean, assert_complains};

const ENGINE: &str = "engine/src/";
/// Modules that import nothing of their crate beyond a few: (module, what it may import).
const PURE: [(&str, &[&str]); 4] =
    [("model", &[]), ("metrics", &[]), ("schedule", &["model"]), ("text", &["model"])];
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
            let is_beyond = |(part, may): &(&str, &[&str])| part == top && !may.contains(&first.as_str());
            if first != top && PURE.iter().any(is_beyond) {
                complaints.push(format!("{place}: {top} never imports {first}, see its entry in PURE"));
            } else if !tops.contains(first) && !mention.is_macro {
                complaints
                    .push(format!("{place}: crate::{first} hides its module; name the one that owns it"));
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
    assert_complains(
        &one("engine/src/text/compose.rs", "use crate::store::Journal;"),
        "text never imports store",
    );
    assert_complains(
        &one("engine/src/model/number.rs", "use crate::store::Journal;"),
        "model never imports store",
    );
    assert_complains(
        &one("engine/src/metrics.rs", "fn f() { super::model::Id::new() }"),
        "metrics never imports model",
    );
    assert_clean(&one("engine/src/schedule/zone.rs", "use crate::model::Id; use super::Gate;"));
    assert_complains(
        &one("engine/src/schedule/zone.rs", "use crate::store::Journal;"),
        "schedule never imports store",
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
