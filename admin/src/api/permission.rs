//! Who may do what inside a workspace: one table, used by the guard of every route, shown by the settings page, walked
//! by the tests. It is the role x action table of the requirements and nothing else.

use engine::model::{KeyScope, Membership, Role};
use serde::Serialize;
use utoipa::ToSchema;

/// How somebody stands in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) enum Standing {
    /// Role `Author`.
    Author,
    /// Role `Author` with the moderator flag.
    FlaggedAuthor,
    /// Role `Moderator`.
    Moderator,
    /// Role `Admin`.
    Admin,
    /// A super admin without a membership that allows it.
    SuperAdmin,
}

impl Standing {
    /// Every standing, as the columns of the table.
    pub(crate) const ALL: [Self; 5] =
        [Self::Author, Self::FlaggedAuthor, Self::Moderator, Self::Admin, Self::SuperAdmin];

    /// The standing that a membership gives.
    pub(crate) const fn of(membership: &Membership) -> Self {
        match (membership.role, membership.is_moderator) {
            (Role::Author, false) => Self::Author,
            (Role::Author, true) => Self::FlaggedAuthor,
            (Role::Moderator, _) => Self::Moderator,
            (Role::Admin, _) => Self::Admin,
        }
    }

    /// The role as audit events name it; a flag is no role.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Author | Self::FlaggedAuthor => "Author",
            Self::Moderator => "Moderator",
            Self::Admin => "Admin",
            Self::SuperAdmin => "SuperAdmin",
        }
    }
}

/// What a standing is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grant {
    /// Nothing.
    No,
    /// What they created themselves.
    Own,
    /// Everything before it has started.
    BeforeStart,
    /// What the workspace's policies say.
    ByPolicy,
    /// Everything.
    Yes,
}

macro_rules! actions {
    ($($(#[$doc:meta])+ $name:ident = $word:literal: $a:ident $f:ident $m:ident $d:ident $s:ident, $key:expr;)+) => {
        /// What can be done in a workspace.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Action { $($(#[$doc])+ $name,)+ }

        impl Action {
            /// Every action, as the rows of the table.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name for people.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What each standing is granted, in the order of [`Standing::ALL`].
            pub(crate) const fn grants(self) -> [Grant; 5] {
                match self { $(Self::$name => [Grant::$a, Grant::$f, Grant::$m, Grant::$d, Grant::$s],)+ }
            }

            /// The scope that an API key needs for it; `None` when no key may do it.
            pub(crate) const fn key_scope(self) -> Option<KeyScope> {
                match self { $(Self::$name => $key,)+ }
            }
        }
    };
}

actions! {
    /// Campaigns, counters, masked recipients, errors, a campaign's audit, overview.
    CampaignRead = "Read campaigns": Yes Yes Yes Yes Yes, Some(KeyScope::CampaignsRead);
    /// Create, edit while New, upload, submit, delete a draft, resend.
    CampaignWrite = "Create and edit campaigns": Own Own No Yes No, Some(KeyScope::CampaignsWrite);
    /// Approve and reject; never one's own.
    CampaignDecide = "Approve and reject campaigns": No Yes Yes Yes No, None;
    /// Start, pause, resume, finish.
    CampaignRun = "Start, pause, resume, finish": Own Own No Yes No, Some(KeyScope::CampaignsWrite);
    /// Cancel.
    CampaignCancel = "Cancel campaigns": Own Own BeforeStart Yes No, Some(KeyScope::CampaignsWrite);
    /// Hand numbers to a Trigger campaign.
    NumbersPush = "Push Trigger numbers": Own Own No Yes No, Some(KeyScope::NumbersPush);
    /// Archive and restore.
    CampaignArchive = "Archive and restore": Own Own No Yes No, Some(KeyScope::CampaignsWrite);
    /// Export with masked numbers.
    Export = "Export with masked numbers": Own Own Yes Yes No, Some(KeyScope::ExportsRead);
    /// See or export full numbers.
    Reveal = "Reveal or export full numbers": ByPolicy ByPolicy ByPolicy Yes No, None;
    /// Read senders.
    SenderRead = "Read sender names": Yes Yes Yes Yes Yes, Some(KeyScope::CampaignsRead);
    /// Create senders, submit revisions, archive.
    SenderWrite = "Create senders, submit revisions": ByPolicy ByPolicy No Yes No, None;
    /// Archive a sender.
    SenderArchive = "Archive senders": No No No Yes No, None;
    /// Approve, reject and withdraw revisions; never one's own.
    SenderDecide = "Approve and reject sender revisions": No Yes Yes Yes No, None;
    /// Read message templates.
    TemplateRead = "Read message templates": Yes Yes Yes Yes Yes, Some(KeyScope::CampaignsRead);
    /// Create templates, submit versions, archive.
    TemplateWrite = "Create message templates, submit versions": Own Own No Yes No, None;
    /// Approve and reject versions of templates; never one's own.
    TemplateDecide = "Approve and reject template versions": No Yes Yes Yes No, None;
    /// The moderation queue.
    ModerationRead = "Read the moderation queue": No Yes Yes Yes Yes, None;
    /// Members, invitations, join requests, suppressions, settings: look.
    WorkspaceRead = "Read members and settings": No No No Yes Yes, None;
    /// Members, invitations, join requests, suppressions, settings: change.
    WorkspaceManage = "Manage members and settings": No No No Yes No, None;
    /// API keys.
    ApiKeys = "API keys": Own Own Own Yes No, None;
    /// The workspace's audit log.
    AuditRead = "Read the audit log": No No Yes Yes Yes, Some(KeyScope::AuditRead);
    /// Usage, monitoring and diagnostics of the own tenant.
    OperationsRead = "Usage, monitoring, diagnostics": No No No Yes Yes, Some(KeyScope::AuditRead);
}

impl Action {
    /// What this standing is granted.
    pub(crate) const fn grant(self, standing: Standing) -> Grant {
        self.grants()[standing as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_key_approves_manages_or_reveals() {
        let decides = [Action::CampaignDecide, Action::SenderDecide, Action::TemplateDecide];
        for action in decides.into_iter().chain([Action::WorkspaceManage, Action::Reveal]) {
            assert_eq!(action.key_scope(), None, "{}", action.word());
        }
    }

    #[test]
    fn a_super_admin_without_membership_only_reads() {
        let granted = Action::ALL.iter().filter(|action| action.grant(Standing::SuperAdmin) != Grant::No);
        let words: Vec<_> = granted.map(|action| action.word()).collect();
        assert!(!words.is_empty());
        assert!(words.iter().all(|word| word.starts_with("Read") || word.starts_with("Usage")), "{words:?}");
    }

    #[test]
    fn an_admin_is_granted_everything_and_the_words_differ() {
        assert!(Action::ALL.iter().all(|action| action.grant(Standing::Admin) == Grant::Yes));
        let words: BTreeSet<_> = Action::ALL.iter().map(|action| action.word()).collect();
        assert_eq!(words.len(), Action::ALL.len());
    }
}
