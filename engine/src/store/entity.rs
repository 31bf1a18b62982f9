//! What a catalog keeps: every kind of entity, and what stores and audit logs must know of each.

use crate::model::{
    Campaign, Credential, EntityId, Invitation, JoinRequest, Membership, Revision, Sender, User, Workspace,
    WorkspaceId,
};
use serde::{Deserialize, Serialize};

/// What an audit event shows in the place of a credential.
const HIDDEN: &str = "…";

macro_rules! entities {
    ($($(#[$doc:meta])* $name:ident($body:ty) = $word:literal),+ $(,)?) => {
        /// The kinds of entity that a catalog keeps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$doc])* $name),+
        }

        impl Kind {
            /// Its name in the store and in audit events.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word),+
                }
            }

            /// Reads a body as the store keeps it.
            ///
            /// # Errors
            /// When it is not of this kind.
            pub(crate) fn read(self, body: &str) -> Result<Entity, serde_json::Error> {
                match self {
                    $(Self::$name => serde_json::from_str(body).map(Entity::$name)),+
                }
            }
        }

        /// A stored entity of any kind.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "body", rename_all = "snake_case")]
        pub enum Entity {
            $($(#[$doc])* $name($body)),+
        }

        impl Entity {
            /// Which kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$name(_) => Kind::$name),+
                }
            }

            /// The entity without its kind, as the store keeps it.
            pub(crate) fn body(&self) -> serde_json::Value {
                match self {
                    $(Self::$name(body) => serde_json::to_value(body)),+
                }
                .expect("the domain types have text keys only")
            }
        }
    };
}

entities! {
    /// A tenant, a platform record.
    Workspace(Workspace) = "workspace",
    /// A sender name.
    Sender(Sender) = "sender",
    /// A revision of a sender.
    Revision(Revision) = "revision",
    /// A campaign.
    Campaign(Box<Campaign>) = "campaign",
    /// An account, a platform record.
    User(User) = "user",
    /// An account in a workspace.
    Membership(Membership) = "membership",
    /// An invitation into a workspace.
    Invitation(Invitation) = "invitation",
    /// A wish to join a workspace.
    JoinRequest(JoinRequest) = "join_request",
}

impl Entity {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> EntityId {
        match self {
            Self::Workspace(w) => w.id.into(),
            Self::Sender(s) => s.id.into(),
            Self::Revision(r) => EntityId(r.id),
            Self::Campaign(c) => c.id.into(),
            Self::User(u) => u.id.into(),
            Self::Membership(m) => EntityId(m.id),
            Self::Invitation(i) => EntityId(i.id),
            Self::JoinRequest(j) => EntityId(j.id),
        }
    }

    /// The owner; `None` for platform records.
    #[must_use]
    pub const fn workspace(&self) -> Option<WorkspaceId> {
        match self {
            Self::Workspace(_) | Self::User(_) => None,
            Self::Sender(s) => Some(s.workspace_id),
            Self::Revision(r) => Some(r.workspace_id),
            Self::Campaign(c) => Some(c.workspace_id),
            Self::Membership(m) => Some(m.workspace_id),
            Self::Invitation(i) => Some(i.workspace_id),
            Self::JoinRequest(j) => Some(j.workspace_id),
        }
    }

    /// What it belongs to beside its workspace: the sender of a revision, the account of a membership.
    #[must_use]
    pub fn parent(&self) -> Option<EntityId> {
        match self {
            Self::Workspace(_)
            | Self::Sender(_)
            | Self::Campaign(_)
            | Self::User(_)
            | Self::Invitation(_) => None,
            Self::Revision(r) => Some(r.sender_id.into()),
            Self::Membership(m) => Some(m.user_id.into()),
            Self::JoinRequest(j) => Some(j.user_id.into()),
        }
    }

    /// What must be unique in the installation, with the name used in refusals. What has ended gives its key free.
    #[must_use]
    pub fn unique_key(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Workspace(w) => Some(("slug", w.slug.clone())),
            Self::Sender(s) => Some(("sender name", format!("{}/{}", s.workspace_id, s.name.to_lowercase()))),
            Self::Revision(r) => Some(("revision number", format!("{}/{}", r.sender_id, r.n))),
            Self::Campaign(c) => Some(("campaign number", c.no.0.to_string())),
            Self::User(u) => Some(("email", u.email.clone())),
            Self::Membership(m) if m.removed_at.is_some() => None,
            Self::Membership(m) => Some(("membership", format!("{}/{}", m.workspace_id, m.user_id))),
            Self::Invitation(i) => Some(("invitation", i.credential.0.clone())),
            Self::JoinRequest(_) => None,
        }
    }

    /// What compare-and-set compares: life-cycle moves for a campaign, else what counts its changes.
    #[must_use]
    pub const fn state_version(&self) -> u32 {
        match self {
            Self::Campaign(c) => c.state_version,
            Self::Workspace(w) => w.version,
            Self::Sender(s) => s.version,
            Self::Revision(r) => r.version,
            Self::User(u) => u.version,
            Self::Membership(m) => m.version,
            Self::Invitation(i) => i.version,
            Self::JoinRequest(j) => j.version,
        }
    }

    /// The status word that lists filter by, where the kind has one.
    #[must_use]
    pub fn status(&self) -> Option<String> {
        match self {
            Self::Campaign(c) => Some(c.status.to_string()),
            Self::Revision(r) => Some(format!("{:?}", r.status)),
            Self::Invitation(i) => Some(format!("{:?}", i.status)),
            Self::JoinRequest(j) => Some(format!("{:?}", j.status)),
            Self::Workspace(_) | Self::Sender(_) | Self::User(_) | Self::Membership(_) => None,
        }
    }

    /// As audit events show it: [`Entity::body`] without credentials.
    pub(crate) fn audited(&self) -> serde_json::Value {
        let hidden = || Credential(HIDDEN.to_owned());
        match self {
            Self::User(user) => {
                let credential = user.credential.as_ref().map(|_| hidden());
                Self::User(User { credential, ..user.clone() }).body()
            }
            Self::Invitation(invitation) => {
                Self::Invitation(Invitation { credential: hidden(), ..invitation.clone() }).body()
            }
            Self::Workspace(_)
            | Self::Sender(_)
            | Self::Revision(_)
            | Self::Campaign(_)
            | Self::Membership(_)
            | Self::JoinRequest(_) => self.body(),
        }
    }
}
