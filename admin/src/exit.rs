//! How the program ends: one exit code and one sentence for everything that can go wrong.
//!
//! The codes above 63 are those of `sysexits.h`; a signal ends the program with 128 and its number.

use engine::EngineError;
use engine::store::StoreError;
use std::fmt;

/// Everything was done, and it agrees with what was asked.
pub(crate) const DONE: u8 = 0;
/// It ran, and the account is not what it must be.
pub(crate) const DISAGREEMENT: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// An input file is missing, unreadable or holds nothing to send to.
pub(crate) const NO_INPUT: u8 = 66;
/// An address cannot be listened on, or the SMSC cannot be reached.
pub(crate) const UNAVAILABLE: u8 = 69;
/// The engine has given up.
pub(crate) const ENGINE: u8 = 70;
/// The store or its directory cannot be used: missing, full, damaged, or taken by another engine.
pub(crate) const STORE: u8 = 74;
/// The configuration is wrong.
pub(crate) const CONFIG: u8 = 78;

/// What `--help` says about them.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done, and the account agrees
    1  done, and the account does not agree, or something is missing in it; an audit log is not what was written
    2  wrong command line
   66  an input file is missing, unreadable or without a valid number
   69  an address cannot be listened on, or the SMSC cannot be reached
   70  the engine has given up
   74  the store cannot be used: missing directory, full disk, damage, in use by another engine
   78  wrong configuration
  130  a running demo was ended by SIGINT, 143 by SIGTERM, after a drain; serve ends with 0 then.
       A second signal ends the program at once, with the same codes";

/// Why the program ends early: the exit code and one sentence.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    sentence: String,
}

impl Failure {
    /// A failure with its sentence; line breaks of the cause are taken out.
    pub(crate) fn new(code: u8, sentence: impl fmt::Display) -> Self {
        let sentence = sentence.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { code, sentence }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.sentence)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(STORE, error)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            EngineError::Store(_) | EngineError::StoppedNotRecorded(_) | EngineError::Io(_) => STORE,
            EngineError::Message(_) => USAGE,
            // Whatever else a command may be refused for.
            _ => ENGINE,
        };
        Self::new(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_whatever_its_cause_says() {
        assert_eq!(Failure::new(CONFIG, "a\n  b\nc").to_string(), "a b c");
    }
}
