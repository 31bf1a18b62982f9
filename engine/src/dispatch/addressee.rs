//! Whom a message from a handset was meant for, and what it asks for there.
//!
//! The address that it wrote to decides when approved revisions of exactly one workspace have it; otherwise the
//! workspace that wrote to the handset last, and when there is none, everybody whom the channel serves. Pure but for
//! one reading of the catalog.

use crate::dispatch::inbound::{InboundConfig, Incoming};
use crate::intake::{Region, normalise};
use crate::model::keyword::{self, Keyword, first_word};
use crate::model::{RevisionStatus, WorkspaceId};
use crate::store::{Catalog, Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// What the catalog says about words and addresses.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// Of workspaces with a list of their own.
    stop_words: BTreeMap<WorkspaceId, Vec<String>>,
    /// Of the others.
    common_stop: Vec<String>,
    common_start: Vec<String>,
    /// Workspaces by the addresses that they may send, or might once, from.
    owners: BTreeMap<String, BTreeSet<WorkspaceId>>,
}

/// A message that may ask for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) number: u64,
    pub(crate) word: String,
    pub(crate) channel: u32,
    pub(crate) at_ms: u64,
    /// The address that it was sent to, as [`Directory`] compares them.
    pub(crate) address: String,
    /// Who has that address.
    pub(crate) owners: Vec<WorkspaceId>,
}

impl Ask {
    /// The workspace that is meant, if the address alone tells.
    pub(crate) fn owner(&self) -> Option<WorkspaceId> {
        match *self.owners {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl Directory {
    /// Reads every workspace and every revision that was ever approved.
    pub(crate) async fn read(catalog: &dyn Catalog, config: &InboundConfig) -> Result<Self, StoreError> {
        let mut directory = Self {
            common_stop: config.stop_words.clone(),
            common_start: config.start_words.clone(),
            ..Self::default()
        };
        // Archived ones too: messages that went out under them are answered for a while.
        let approved =
            [RevisionStatus::Approved, RevisionStatus::Archived].map(|status| format!("{status:?}"));
        for (kind, statuses) in [(Kind::Workspace, Vec::new()), (Kind::Revision, approved.to_vec())] {
            let mut after = None;
            loop {
                let query = Query { kind, statuses: statuses.clone(), parent: None, after, limit: MAX_PAGE };
                let page = catalog.list(Scope::Platform, query).await?;
                page.items.into_iter().for_each(|entity| directory.add(entity));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(directory)
    }

    fn add(&mut self, entity: Entity) {
        match entity {
            Entity::Workspace(workspace) if !workspace.stop_keywords.is_empty() => {
                self.stop_words.insert(workspace.id, workspace.stop_keywords);
            }
            Entity::Revision(revision) => {
                let address = fold_address(revision.saddr.as_bytes());
                self.owners.entry(address).or_default().insert(revision.workspace_id);
            }
            _ => {}
        }
    }

    /// What a message may ask for; `None` when its first word is nobody's keyword or its source no number.
    pub(crate) fn ask(&self, incoming: &Incoming, region: Option<&Region>) -> Option<Ask> {
        let word = first_word(&incoming.text)?;
        let is_own = || self.stop_words.values().any(|words| self.reads(&word, words).is_some());
        if self.reads(&word, &self.common_stop).is_none() && !is_own() {
            return None;
        }
        let Ok(number) = normalise(&incoming.source, region) else {
            tracing::warn!(channel = incoming.channel, "a keyword from what is no international number");
            return None;
        };
        let address = fold_address(&incoming.destination);
        let owners = self.owners.get(&address).into_iter().flatten().copied().collect();
        let (channel, at_ms) = (incoming.channel, incoming.at_ms);
        Some(Ask { number: number.get(), word, channel, at_ms, address, owners })
    }

    /// What a word asks a workspace for, or the installation for `None`.
    pub(crate) fn keyword(&self, workspace: Option<WorkspaceId>, word: &str) -> Option<Keyword> {
        let own = workspace.and_then(|id| self.stop_words.get(&id));
        self.reads(word, own.unwrap_or(&self.common_stop))
    }

    fn reads(&self, word: &str, stop: &[String]) -> Option<Keyword> {
        keyword::keyword(word, stop, &self.common_start)
    }
}

/// An address as addresses are compared: in lower case, without the marks of an international number.
pub(crate) fn fold_address(address: &[u8]) -> String {
    let written = String::from_utf8_lossy(address).to_lowercase();
    let bare = written.strip_prefix('+').or_else(|| written.strip_prefix("00")).unwrap_or(&written);
    if !bare.is_empty() && bare.bytes().all(|octet| octet.is_ascii_digit()) {
        return bare.to_owned();
    }
    written
}

/// The lists that an opt-out goes to. Where nobody tells for whom it was meant, everybody that the channel serves
/// (`served`, empty for all) must leave the person alone.
pub(crate) fn stop_scopes(workspace: Option<WorkspaceId>, served: &[WorkspaceId]) -> Vec<Scope> {
    match (workspace, served) {
        (Some(id), _) => vec![Scope::Workspace(id)],
        (None, []) => vec![Scope::Platform],
        (None, served) => served.iter().copied().map(Scope::Workspace).collect(),
    }
}

/// The lists, of those that the number is on, that it is taken off: the workspace's that was meant, or all that the
/// channel serves, and the installation's, which would go on refusing otherwise.
pub(crate) fn start_scopes(
    workspace: Option<WorkspaceId>,
    served: &[WorkspaceId],
    opted_out: Vec<Scope>,
) -> Vec<Scope> {
    let is_meant = |scope: &Scope| match (scope, workspace) {
        (Scope::Platform, _) => true,
        (Scope::Workspace(id), Some(meant)) => *id == meant,
        (Scope::Workspace(id), None) => served.is_empty() || served.contains(id),
    };
    opted_out.into_iter().filter(is_meant).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use uuid::Uuid;

    const A: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const B: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    fn directory() -> Directory {
        let config = InboundConfig::default();
        let mut directory = Directory {
            common_stop: config.stop_words,
            common_start: config.start_words,
            ..Directory::default()
        };
        directory.stop_words.insert(B, vec!["raus".to_owned()]);
        for (address, workspace) in [("shop", A), ("shared", A), ("shared", B), ("4930123", A)] {
            directory.owners.entry(address.to_owned()).or_default().insert(workspace);
        }
        directory
    }

    fn incoming(source: &str, destination: &str, text: &str) -> Incoming {
        Incoming {
            row: 1,
            at_ms: 5,
            channel: 7,
            source: source.as_bytes().into(),
            destination: destination.as_bytes().into(),
            text: text.into(),
        }
    }

    #[test]
    fn an_address_of_one_workspace_tells_and_a_shared_or_unknown_one_does_not() {
        let directory = directory();
        let owners = |to: &str| directory.ask(&incoming("+4915112345678", to, "STOP"), None).unwrap().owners;
        assert_eq!(owners("SHOP"), [A]);
        assert_eq!(owners("+4930123"), [A]);
        assert_eq!(owners("004930123"), [A]);
        assert_eq!(owners("Shared"), [A, B]);
        assert!(owners("80000").is_empty());
        let ask = directory.ask(&incoming("4915112345678", "shared", "raus!"), None).unwrap();
        assert_eq!((ask.number, ask.owner(), &*ask.word), (4_915_112_345_678, None, "raus"));
    }

    #[test]
    fn texts_and_sources_that_mean_nothing_ask_for_nothing() {
        let directory = directory();
        for (source, text) in
            [("+4915112345678", "hello"), ("+4915112345678", ""), ("SHOP", "STOP"), ("", "STOP")]
        {
            assert_eq!(directory.ask(&incoming(source, "shop", text), None), None, "{source} {text}");
        }
        let germany = Region::new("DE").unwrap();
        let national = incoming("015112345678", "shop", "STOP");
        assert_eq!(directory.ask(&national, None), None);
        assert_eq!(directory.ask(&national, Some(&germany)).unwrap().number, 4_915_112_345_678);
    }

    #[test]
    fn a_workspace_with_words_of_its_own_reads_only_those() {
        let directory = directory();
        assert_eq!(directory.keyword(Some(A), "stop"), Some(Keyword::Stop));
        assert_eq!(directory.keyword(Some(B), "stop"), None);
        assert_eq!(directory.keyword(Some(B), "raus"), Some(Keyword::Stop));
        assert_eq!(directory.keyword(Some(B), "start"), Some(Keyword::Start));
        assert_eq!(directory.keyword(None, "raus"), None);
    }

    #[test]
    fn who_cannot_tell_whom_he_meant_is_left_alone_by_all_whom_the_channel_serves() {
        assert_eq!(stop_scopes(Some(A), &[B]), [Scope::Workspace(A)]);
        assert_eq!(stop_scopes(None, &[]), [Scope::Platform]);
        assert_eq!(stop_scopes(None, &[A, B]), [Scope::Workspace(A), Scope::Workspace(B)]);
        let all = || vec![Scope::Platform, Scope::Workspace(A), Scope::Workspace(B)];
        assert_eq!(start_scopes(Some(B), &[], all()), [Scope::Platform, Scope::Workspace(B)]);
        assert_eq!(start_scopes(None, &[], all()), all());
        assert_eq!(start_scopes(None, &[A], all()), [Scope::Platform, Scope::Workspace(A)]);
    }
}
