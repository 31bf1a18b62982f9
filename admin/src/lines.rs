//! Lines for people: to standard output, or to standard error when standard output belongs to a program.

use std::io::{IsTerminal, Write};

/// Where lines for people go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

impl Lines {
    /// Writes a line at once; a closed pipe at the other end is no reason to fail.
    pub(crate) fn say(self, line: &str) {
        let _ = match self {
            Self::Out => put(std::io::stdout().lock(), line),
            Self::Error => put(std::io::stderr().lock(), line),
        };
    }

    /// Whether somebody watches: lines may be redrawn.
    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Out => std::io::stdout().is_terminal(),
            Self::Error => std::io::stderr().is_terminal(),
        }
    }
}

fn put(mut stream: impl Write, line: &str) -> std::io::Result<()> {
    writeln!(stream, "{line}")?;
    stream.flush()
}

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let shown: Vec<String> = [0, 999, 1_000, 12_345, 1_234_567].map(thousands).into();
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
