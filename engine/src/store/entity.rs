//! What a catalog keeps: every kind of entity, and what stores and audit logs must know of each.

use crate::model::{
    Admission, Answer, ApiKey, Campaign, Claim, Draft, EntityId, Erasure, Export, Invitation, JoinRequest,
    Login, LoginUse, Membership, MessageTemplate, PasswordLink, Revision, Roster, Sender, Settings, Share,
    TemplateVersion, User, Workspace, WorkspaceId,
};
use crate::store::StoreError;
use serde::{Deserialize, Serialize};

/// What an audit event shows in the place of a credential.
const HIDDEN: &str = "…";

/// The status word of a membership, login, key or link that nobody has ended; time may have.
pub const ACTIVE: &str = "Active";
/// The status word of one that was ended, and of an account that was disabled.
pub const ENDED: &str = "Ended";
/// The status word of an account that administers the platform.
pub const SUPER_ADMIN: &str = "SuperAdmin";

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
    /// A message template.
    Template(MessageTemplate) = "template",
    /// A version of a message template.
    TemplateVersion(TemplateVersion) = "template_version",
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
    /// A person's login, a platform record.
    Login(Login) = "login",
    /// When a login was last used.
    LoginUse(LoginUse) = "login_use",
    /// A program's way in.
    ApiKey(ApiKey) = "api_key",
    /// A link to choose a password with, a platform record.
    PasswordLink(PasswordLink) = "password_link",
    /// An unfinished campaign.
    Draft(Draft) = "draft",
    /// A file of recipients.
    Export(Export) = "export",
    /// Who may use a sender address, a platform record.
    Claim(Claim) = "claim",
    /// A workspace's part in the sharing of a sender address.
    Share(Share) = "share",
    /// The platform's settings.
    Settings(Settings) = "settings",
    /// Counts changes of who is super admin.
    Roster(Roster) = "roster",
    /// The answer to a request that may come again.
    Answer(Answer) = "answer",
    /// A request to erase a number everywhere, a platform record.
    Erasure(Erasure) = "erasure",
}

impl Kind {
    /// Whether its entities are of use for a time only: logins, links, answers to repeated requests.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Login | Self::LoginUse | Self::PasswordLink | Self::Answer)
    }
}

impl Entity {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> EntityId {
        match self {
            Self::Workspace(w) => w.id.into(),
            Self::Sender(s) => s.id.into(),
            Self::Revision(r) => EntityId(r.id),
            Self::Template(t) => t.id.into(),
            Self::TemplateVersion(v) => EntityId(v.id),
            Self::Campaign(c) => c.id.into(),
            Self::User(u) => u.id.into(),
            Self::Membership(m) => EntityId(m.id),
            Self::Invitation(i) => EntityId(i.id),
            Self::JoinRequest(j) => EntityId(j.id),
            Self::Login(l) => EntityId(l.id),
            Self::LoginUse(l) => EntityId(l.id),
            Self::ApiKey(k) => EntityId(k.id),
            Self::PasswordLink(l) => EntityId(l.id),
            Self::Draft(d) => d.id.into(),
            Self::Export(e) => EntityId(e.id),
            Self::Claim(c) => EntityId(c.id),
            Self::Share(s) => EntityId(s.id),
            Self::Settings(_) => EntityId(Settings::ID),
            Self::Roster(_) => EntityId(Roster::ID),
            Self::Answer(a) => EntityId(a.id),
            Self::Erasure(e) => EntityId(e.id),
        }
    }

    /// The owner; `None` for platform records.
    #[must_use]
    pub const fn workspace(&self) -> Option<WorkspaceId> {
        match self {
            Self::Workspace(_)
            | Self::User(_)
            | Self::Login(_)
            | Self::LoginUse(_)
            | Self::PasswordLink(_)
            | Self::Claim(_)
            | Self::Settings(_)
            | Self::Roster(_)
            | Self::Answer(_)
            | Self::Erasure(_) => None,
            Self::Sender(s) => Some(s.workspace_id),
            Self::Revision(r) => Some(r.workspace_id),
            Self::Template(t) => Some(t.workspace_id),
            Self::TemplateVersion(v) => Some(v.workspace_id),
            Self::Campaign(c) => Some(c.workspace_id),
            Self::Membership(m) => Some(m.workspace_id),
            Self::Invitation(i) => Some(i.workspace_id),
            Self::JoinRequest(j) => Some(j.workspace_id),
            Self::ApiKey(k) => Some(k.workspace_id),
            Self::Draft(d) => Some(d.workspace_id),
            Self::Export(e) => Some(e.workspace_id),
            Self::Share(s) => Some(s.workspace_id),
        }
    }

    /// The tenant that it is about: its owner, and a workspace itself. Within this one's scope it may be changed, and in
    /// this one's log its changes are events.
    #[must_use]
    pub const fn tenant(&self) -> Option<WorkspaceId> {
        match self {
            Self::Workspace(w) => Some(w.id),
            other => other.workspace(),
        }
    }

    /// What it belongs to beside its workspace: the sender of a revision, the template of a version, the account of a
    /// membership or draft.
    #[must_use]
    pub fn parent(&self) -> Option<EntityId> {
        match self {
            Self::Workspace(_)
            | Self::Sender(_)
            | Self::Template(_)
            | Self::Campaign(_)
            | Self::User(_)
            | Self::Invitation(_)
            | Self::LoginUse(_)
            | Self::Claim(_)
            | Self::Share(_)
            | Self::Settings(_)
            | Self::Roster(_)
            | Self::Answer(_)
            | Self::Erasure(_) => None,
            Self::Draft(d) => Some(d.created_by.into()),
            Self::Revision(r) => Some(r.sender_id.into()),
            Self::TemplateVersion(v) => Some(v.template_id.into()),
            Self::Membership(m) => Some(m.user_id.into()),
            Self::JoinRequest(j) => Some(j.user_id.into()),
            Self::Login(l) => Some(l.user_id.into()),
            Self::ApiKey(k) => Some(k.user_id.into()),
            Self::PasswordLink(l) => Some(l.user_id.into()),
            Self::Export(e) => Some(e.campaign_id.into()),
        }
    }

    /// What must be unique in the installation, with the name used in refusals. What has ended gives its key free.
    #[must_use]
    pub fn unique_key(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Workspace(w) => Some(("slug", w.slug.clone())),
            Self::Sender(s) => Some(("sender name", format!("{}/{}", s.workspace_id, s.name.to_lowercase()))),
            Self::Revision(r) => Some(("revision number", format!("{}/{}", r.sender_id, r.n))),
            Self::Template(t) if t.archived_at.is_some() => None,
            Self::Template(t) => {
                Some(("template name", format!("{}/{}", t.workspace_id, t.name.to_lowercase())))
            }
            Self::TemplateVersion(v) => Some(("version number", format!("{}/{}", v.template_id, v.n))),
            Self::Campaign(c) => Some(("campaign number", c.no.0.to_string())),
            Self::User(u) => Some(("email", u.email.clone())),
            Self::Membership(m) if m.removed_at.is_some() => None,
            Self::Membership(m) => Some(("membership", format!("{}/{}", m.workspace_id, m.user_id))),
            Self::Invitation(i) => Some(("invitation", i.credential.0.clone())),
            Self::Login(l) => Some(("login", l.credential.0.clone())),
            Self::PasswordLink(l) => Some(("link", l.credential.0.clone())),
            Self::Claim(c) => Some(("sender address", c.skeleton.clone())),
            Self::Answer(a) => Some(("idempotency key", a.key.clone())),
            Self::JoinRequest(j) if j.status == Admission::Pending => {
                Some(("join request", format!("{}/{}", j.workspace_id, j.user_id)))
            }
            Self::JoinRequest(_)
            | Self::LoginUse(_)
            | Self::ApiKey(_)
            | Self::Draft(_)
            | Self::Export(_)
            | Self::Roster(_)
            | Self::Share(_)
            | Self::Erasure(_)
            | Self::Settings(_) => None,
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
            Self::Template(t) => t.version,
            Self::TemplateVersion(v) => v.state_version,
            Self::User(u) => u.version,
            Self::Membership(m) => m.version,
            Self::Invitation(i) => i.version,
            Self::JoinRequest(j) => j.version,
            Self::Login(l) => l.version,
            Self::LoginUse(l) => l.version,
            Self::ApiKey(k) => k.version,
            Self::PasswordLink(l) => l.version,
            Self::Draft(d) => d.version,
            Self::Export(e) => e.version,
            Self::Claim(c) => c.version,
            Self::Share(s) => s.version,
            Self::Settings(s) => s.version,
            Self::Roster(r) => r.version,
            Self::Answer(a) => a.version,
            Self::Erasure(e) => e.version,
        }
    }

    /// The status word that lists filter by, where the kind has one.
    #[must_use]
    pub fn status(&self) -> Option<String> {
        match self {
            Self::Campaign(c) => Some(c.status.to_string()),
            Self::Revision(r) => Some(format!("{:?}", r.status)),
            Self::Template(t) => Some(format!("{:?}", t.status())),
            Self::TemplateVersion(v) => Some(format!("{:?}", v.status)),
            Self::Invitation(i) => Some(format!("{:?}", i.status)),
            Self::JoinRequest(j) => Some(format!("{:?}", j.status)),
            Self::Draft(d) => Some(format!("{:?}", d.status)),
            Self::Export(e) => Some(format!("{:?}", e.status)),
            Self::Erasure(e) => Some(format!("{:?}", e.status)),
            Self::Login(l) => Some(life(l.ended_at)),
            Self::ApiKey(k) => Some(life(k.revoked_at)),
            Self::PasswordLink(l) => Some(life(l.used_at)),
            Self::Membership(m) => Some(life(m.removed_at)),
            Self::User(u) if u.disabled_at.is_none() && u.super_admin => Some(SUPER_ADMIN.to_owned()),
            Self::User(u) => Some(life(u.disabled_at)),
            Self::Share(s) => Some(life(s.ended_at)),
            Self::Workspace(_)
            | Self::Sender(_)
            | Self::LoginUse(_)
            | Self::Claim(_)
            | Self::Settings(_)
            | Self::Roster(_)
            | Self::Answer(_) => None,
        }
    }

    /// Why this stored entity may not become `next`, where its kind has parts that never change.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub(crate) fn check_next(&self, next: &Self) -> Result<(), StoreError> {
        let lost = match (self, next) {
            (Self::Revision(stored), Self::Revision(next)) => stored.lost_by(next),
            (Self::TemplateVersion(stored), Self::TemplateVersion(next)) => stored.lost_by(next),
            _ => None,
        };
        lost.map_or(Ok(()), |why| Err(StoreError::Refused(why.to_owned())))
    }

    /// Whether a change of it is an audit event; what only serves the machinery is none.
    #[must_use]
    pub const fn is_audited(&self) -> bool {
        !matches!(self, Self::LoginUse(_) | Self::Roster(_) | Self::Answer(_))
    }

    /// Whether nothing but the count of changes has changed since `before`: such a change makes others of the same
    /// moment conflict and is nothing to audit.
    pub(crate) fn is_only_counted(&self, before: &Self) -> bool {
        let uncounted = |entity: &Self| {
            let mut body = entity.body();
            if let Some(body) = body.as_object_mut() {
                body.remove("version");
            }
            body
        };
        matches!(self, Self::Workspace(_)) && uncounted(self) == uncounted(before)
    }

    /// As audit events show it: [`Entity::body`] without credentials, and with the length of lists that only serve the
    /// machinery: every step of a request to erase a number is an event.
    pub(crate) fn audited(&self) -> serde_json::Value {
        let mut body = self.body();
        if let Some(credential) = body.get_mut("credential").filter(|credential| !credential.is_null()) {
            *credential = HIDDEN.into();
        }
        if matches!(self, Self::Erasure(_)) {
            for name in ["waiting", "unscrubbed"] {
                body[name] = body[name].as_array().map_or(0, Vec::len).into();
            }
        }
        body
    }
}

/// The status word of what is ended by a time.
fn life(ended_at: Option<jiff::Timestamp>) -> String {
    (if ended_at.is_some() { ENDED } else { ACTIVE }).to_owned()
}
