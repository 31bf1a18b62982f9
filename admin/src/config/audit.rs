//! `[audit]`: how long audit events are kept, and what happens to them while the store takes none.

use engine::model::AuditOverflow;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// How long audit events are kept unless the file says otherwise, days.
const RETENTION_DAYS: u32 = 90;
/// Longest retention: a hundred years.
const MOST_RETENTION_DAYS: u32 = 36_500;
/// What the name of the store's directory gets for the fallback file beside it.
const FALLBACK_ENDING: &str = ".audit-fallback";

/// What the audit log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Days that events are kept, until the platform's settings say otherwise.
    pub(crate) retention_days: u32,
    /// Where events wait while the store takes none.
    pub(crate) fallback_path: PathBuf,
    /// What happens when that file is full, until the platform's settings say otherwise.
    pub(crate) overflow: AuditOverflow,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuditSection {
    retention_days: Option<u32>,
    fallback_path: Option<PathBuf>,
    overflow: AuditOverflow,
}

impl AuditSection {
    /// Checks it for a store in `directory`; the sentence begins with the key.
    pub(super) fn check(self, directory: &Path) -> Result<Audit, String> {
        let retention_days = self.retention_days.unwrap_or(RETENTION_DAYS);
        if !(1..=MOST_RETENTION_DAYS).contains(&retention_days) {
            return Err(format!("audit.retention_days is {retention_days}, not 1 to {MOST_RETENTION_DAYS}"));
        }
        let fallback_path = self.fallback_path.unwrap_or_else(|| {
            let mut name = directory.components().as_path().as_os_str().to_owned();
            name.push(FALLBACK_ENDING);
            name.into()
        });
        if fallback_path.file_name().is_none() {
            return Err("audit.fallback_path is not the path of a file".to_owned());
        }
        Ok(Audit { retention_days, fallback_path, overflow: self.overflow })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn section(text: &str) -> Result<Audit, String> {
        toml::from_str::<AuditSection>(text).unwrap().check(Path::new("data/mc/"))
    }

    #[test]
    fn what_is_not_given_keeps_ninety_days_drops_and_waits_beside_the_store() {
        let audit = section("").unwrap();
        assert_eq!((audit.retention_days, audit.overflow), (90, AuditOverflow::Drop));
        assert_eq!(audit.fallback_path, Path::new("data/mc.audit-fallback"));
        let audit = section("retention_days = 365\nfallback_path = \"a/b\"\noverflow = \"block\"").unwrap();
        assert_eq!((audit.retention_days, audit.overflow), (365, AuditOverflow::Block));
        assert_eq!(audit.fallback_path, Path::new("a/b"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        assert_eq!(section("retention_days = 0").unwrap_err(), "audit.retention_days is 0, not 1 to 36500");
        assert!(section("fallback_path = \"\"").unwrap_err().starts_with("audit.fallback_path"));
        assert!(section("fallback_path = \"..\"").unwrap_err().starts_with("audit.fallback_path"));
        assert!(toml::from_str::<AuditSection>("overflow = \"ignore\"").is_err());
    }
}
