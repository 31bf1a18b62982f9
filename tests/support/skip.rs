//! Saying that a test could not run. A skipped test returns like a passed one, so the line printed here is what
//! keeps it from counting as one: the runner subtracts it from the passed tests.

use std::io::Write;

/// Ends the surrounding test, which returns nothing, as skipped, and says why.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        fn here() {}
        $crate::report_skip(std::any::type_name_of_val(&here), &format!($($reason)+));
        return;
    }};
}

/// Prints `SKIPPED <test>: <reason>`; `place` is the type name of a function inside the test. Called by `skip!`.
pub fn report_skip(place: &str, reason: &str) {
    let names = place.split("::").skip(1).filter(|name| !matches!(*name, "here" | "{{closure}}"));
    let test = names.collect::<Vec<_>>().join("::");
    // Written to the stream itself: the harness captures only what the print macros write, and shows it only
    // for failed tests. One write keeps the line whole among the output of other tests.
    let line = format!("\nSKIPPED {test}: {}\n", reason.replace('\n', " "));
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}
