//! `[privacy]`: how recipients are named where their numbers are not shown.

use engine::model::CtnHash;
use serde::Deserialize;
use std::path::PathBuf;

/// How recipients are named where their numbers are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Privacy {
    /// With or without a key.
    pub(crate) mode: CtnHash,
    /// Where the key is; `None` for the store's directory.
    pub(crate) key_file: Option<PathBuf>,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PrivacySection {
    ctn_hash: Option<String>,
    ctn_key_file: Option<String>,
}

impl PrivacySection {
    /// Checks it; the sentence begins with the key.
    pub(super) fn check(self) -> Result<Privacy, String> {
        let mode = match self.ctn_hash.as_deref() {
            None | Some("keyed") => CtnHash::Keyed,
            Some("plain") => CtnHash::Plain,
            Some(other) => {
                return Err(format!("privacy.ctn_hash is {other:?}, neither \"keyed\" nor \"plain\""));
            }
        };
        if self.ctn_key_file.as_deref() == Some("") {
            return Err("privacy.ctn_key_file is empty".to_owned());
        }
        if mode == CtnHash::Plain && self.ctn_key_file.is_some() {
            return Err("privacy.ctn_key_file is of no use with privacy.ctn_hash = \"plain\"".to_owned());
        }
        Ok(Privacy { mode, key_file: self.ctn_key_file.map(PathBuf::from) })
    }
}
