//! Mails with one-time links: an invitation, a password to choose.
//!
//! A request hands its letter over and goes on; `worker`, one thread, speaks to the SMTP server and tries again. The
//! secret of a link is stored nowhere, so letters wait in memory alone, in `outbox`, and a mail that is not sent when
//! the process ends costs a new link. `letter` writes the text, `relay` knows SMTP. No log, event or metric tells an
//! address or a link; whoever made the link has it in the answer, mailed or not.

mod letter;
mod outbox;
mod relay;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use letter::Letter;
pub(crate) use outbox::Policy;
pub(crate) use worker::{Ground, Worker};

use letter::About;
use lettre::Message;
use lettre::message::Mailbox;
use outbox::Outbox;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;
use utoipa::ToSchema;

/// What became of a mail, for whoever made its link. Behind `queued` the audit log tells `mail.sent` or `mail.failed`,
/// also when its link was used or revoked meanwhile (reason `void`) and when the service ended before it was sent
/// (reason `ended`); only a process that is killed leaves neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Posted {
    /// It is on its way.
    Queued,
    /// This site has no mail.
    Off,
    /// Too many mails wait, of this workspace or of all, or none are sent at present; pass the link on yourself.
    QueueFull,
    /// No mail can be addressed like that; pass the link on yourself.
    BadAddress,
}

/// How mails end, as metrics count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The server has taken it.
    Sent,
    /// Given up: refused, tried too often, or left when the process ended.
    Failed,
    /// Its link was used, revoked or replaced, or has expired, before it was sent.
    Void,
    /// It was not queued.
    Refused,
}

impl Ending {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Sent, Self::Failed, Self::Void, Self::Refused];

    /// Its name.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Void => "void",
            Self::Refused => "refused",
        }
    }
}

/// Takes letters; cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailer(Option<Arc<Desk>>);

/// Where letters are handed over.
struct Desk {
    from: Mailbox,
    site: String,
    outbox: Mutex<Outbox<Arc<Parcel>>>,
    /// Rings when there is something to send.
    bell: Notify,
    ground: Ground,
}

/// A letter that is ready to go.
struct Parcel {
    message: Message,
    about: About,
    /// Of the request that it comes from.
    request_id: Option<String>,
}

impl Mailer {
    /// For a site without mail.
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    /// Takes a letter whose link is stored; never waits. `request_id` ties its audit events to the request's.
    pub(crate) fn post(&self, letter: &Letter<'_>, request_id: Option<String>) -> Posted {
        let Some(desk) = &self.0 else { return Posted::Off };
        let about = letter.about();
        let refused = |posted: Posted| {
            desk.ground.measures.mail(Ending::Refused);
            tracing::warn!(kind = about.kind.name(), id = %about.id, ?posted, "a mail is not sent");
            posted
        };
        let Some(message) = letter.write(&desk.from, &desk.site) else { return refused(Posted::BadAddress) };
        let parcel = Arc::new(Parcel { message, about, request_id });
        if !desk.outbox().put(parcel, about.scope, Instant::now()) {
            return refused(Posted::QueueFull);
        }
        desk.bell.notify_one();
        Posted::Queued
    }
}

impl Desk {
    fn outbox(&self) -> MutexGuard<'_, Outbox<Arc<Parcel>>> {
        // Every change of it is whole before anything can panic.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
