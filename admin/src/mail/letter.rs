//! What a mail says: plain English for people, one link, and headers that no name can break.

use engine::model::{EntityId, Invitation, PasswordLink, User, UserId, Workspace};
use engine::store::{Kind, Scope};
use jiff::Timestamp;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::{Address, Message};
use std::time::SystemTime;

/// Keeps programs that are on holiday from answering (RFC 3834, 5).
const AUTOMATIC: (&str, &str) = ("Auto-Submitted", "auto-generated");

/// A mail to be; `path` is its link on this site, with the secret behind `#`.
pub(crate) enum Letter<'a> {
    /// To somebody who is invited into a workspace.
    Invitation {
        /// The invitation.
        invitation: &'a Invitation,
        /// By whom.
        inviter: &'a User,
        /// Where to.
        workspace: &'a Workspace,
        /// The link.
        path: &'a str,
    },
    /// To the owner of an account, who is to choose a password.
    Password {
        /// The link's record.
        link: &'a PasswordLink,
        /// The account.
        user: &'a User,
        /// The link.
        path: &'a str,
    },
}

/// What a mail is about: whose log tells of it, and what makes it void.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) scope: Scope,
    pub(super) kind: Kind,
    pub(super) id: EntityId,
    pub(super) subject: Option<UserId>,
}

impl Letter<'_> {
    /// What it is about.
    pub(super) fn about(&self) -> About {
        match self {
            Self::Invitation { invitation, .. } => About {
                scope: Scope::Workspace(invitation.workspace_id),
                kind: Kind::Invitation,
                id: EntityId(invitation.id),
                subject: None,
            },
            Self::Password { link, .. } => About {
                scope: Scope::Platform,
                kind: Kind::PasswordLink,
                id: EntityId(link.id),
                subject: Some(link.user_id),
            },
        }
    }

    /// The whole mail from `from`, its link on `site`; `None` when no mail can be addressed like that. Every attempt
    /// sends the same one, so that a server that got it twice can tell.
    pub(super) fn write(&self, from: &Mailbox, site: &str) -> Option<Message> {
        let (to, written_at) = match self {
            Self::Invitation { invitation, .. } => (&invitation.email, invitation.created_at),
            Self::Password { link, user, .. } => (&user.email, link.created_at),
        };
        let to: Address = to.parse().ok()?;
        let id = format!("<{}@{}>", self.about().id, from.email.domain());
        let (name, value) = AUTOMATIC;
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
        let message = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(self.subject())
            .date(SystemTime::from(written_at))
            .message_id(Some(id))
            .raw_header(automatic)
            .header(ContentType::TEXT_PLAIN);
        message.body(self.text(site)).ok()
    }

    fn subject(&self) -> String {
        match self {
            Self::Invitation { workspace, .. } => {
                format!("Invitation to the workspace {}", quoted(&workspace.name))
            }
            Self::Password { .. } => "Choose a password for Message Center".to_owned(),
        }
    }

    fn text(&self, site: &str) -> String {
        match self {
            Self::Invitation { invitation, inviter, workspace, path } => format!(
                "Hello,\n\n{} ({}) invites you to the workspace {} of Message Center, as {:?}.\n\nTo accept, open this \
                 link:\n\n{site}{path}\n\n{}\n\nIf you do not know what this is about, do nothing: nobody joins \
                 without the link.\n",
                quoted(&inviter.name),
                inviter.email,
                quoted(&workspace.name),
                invitation.role,
                until(invitation.expires_at),
            ),
            Self::Password { link, user, path } => {
                let why = match user.credential {
                    None => "An administrator of Message Center has made an account for you. Its name is",
                    Some(_) => {
                        "An administrator of Message Center lets you choose a new password for your account"
                    }
                };
                format!(
                    "Hello,\n\n{why} {}.\n\nTo choose the password, open this link:\n\n{site}{path}\n\n{}\n\nIf you do \
                     not know what this is about, do nothing: nothing changes without the link.\n",
                    user.email,
                    until(link.expires_at),
                )
            }
        }
    }
}

fn until(expires_at: Timestamp) -> String {
    let at = expires_at.strftime("%Y-%m-%d %H:%M UTC");
    format!("The link works once, until {at}. Whoever has it can use it: do not pass it on.")
}

/// A name that somebody chose, on one line.
fn quoted(name: &str) -> String {
    let line: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{line}\"")
}
