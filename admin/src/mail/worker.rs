//! The thread that sends what waits, one mail after the other, and tells the audit log how each ended.

use super::outbox::{Next, Tried};
use super::relay::{Relay, Untaken};
use super::{Desk, Ending, Mailer, Outbox, Parcel, Policy};
use crate::api::Measures;
use crate::audit::Recorder;
use crate::config::Mail;
use engine::Clock;
use engine::model::{Admission, Principal};
use engine::store::{Catalog, Entity, Note, StoreError};
use serde_json::{Value, json};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use uuid::Uuid;

/// What sending stands on.
#[derive(Clone)]
pub(crate) struct Ground {
    /// Where links are.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Where it is told how mails ended.
    pub(crate) audit: Recorder,
    /// Where that is counted.
    pub(crate) measures: Arc<Measures>,
    /// Time.
    pub(crate) clock: Clock,
}

/// The running worker.
pub(crate) struct Worker {
    desk: Arc<Desk>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<usize>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(mail: Mail, ground: Ground, policy: Policy) -> io::Result<Self> {
        let relay = Relay::new(&mail);
        let Mail { from, site, .. } = mail;
        let (outbox, bell) = (Mutex::new(Outbox::new(policy)), Notify::new());
        let desk = Arc::new(Desk { from, site, outbox, bell, ground });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel();
        let sender = Sender { desk: Arc::clone(&desk), relay };
        let work = move || {
            let run = AssertUnwindSafe(|| runtime.block_on(sender.run(ended, policy)));
            if catch_unwind(run).is_err() {
                tracing::error!("sending mails panicked; none are taken until the next start");
            }
            // Whatever ended it: nothing is taken that nobody sends, and what is left is told.
            sender.desk.outbox().end();
            let left = runtime.block_on(sender.tell_left());
            // A name that is being looked up holds a thread of its own for as long as the system takes.
            runtime.shutdown_background();
            left
        };
        let thread = std::thread::Builder::new().name("mail".to_owned()).spawn(work)?;
        Ok(Self { desk, end, thread })
    }

    /// Who takes letters for it.
    pub(crate) fn mailer(&self) -> Mailer {
        Mailer(Some(Arc::clone(&self.desk)))
    }

    /// Ends it: what waits is tried once more, within [`Policy::drain`]. Returns how many were not sent, each of which
    /// is recorded as `mail.failed`; their links can be made again.
    pub(crate) fn end(self) -> usize {
        self.desk.outbox().end();
        // An error means that it has ended by itself.
        let _ = self.end.send(());
        let left = self.thread.join().unwrap_or_else(|_| {
            tracing::error!("the thread that sends mails panicked; what was left is not recorded");
            self.desk.outbox().take_left().len()
        });
        if left > 0 {
            tracing::warn!(left, "mails were not sent; make their links again or pass them on");
        }
        left
    }
}

struct Sender {
    desk: Arc<Desk>,
    relay: Relay,
}

impl Sender {
    async fn run(&self, ended: oneshot::Receiver<()>, policy: Policy) {
        let (end, is_over) = watch::channel(false);
        let cut = async {
            // Whether it was told or the worker is gone: it ends.
            let _ = ended.await;
            self.desk.outbox().end();
            self.desk.bell.notify_one();
            tokio::time::sleep(policy.drain).await;
            // Only an attempt is cut short: what is known is recorded.
            end.send_replace(true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = self.send_all(is_over) => {}
            () = cut => {}
        }
    }

    /// Sends what is due, until there is nothing left at the end, or it is over.
    async fn send_all(&self, is_over: watch::Receiver<bool>) {
        while !*is_over.borrow() {
            // Its own statement: the outbox is not held while anything is awaited.
            let next = self.desk.outbox().next(Instant::now());
            match next {
                Next::Try(tried) => self.attempt(tried, is_over.clone()).await,
                Next::At(due) => {
                    // Whether somebody rang or it is time: look.
                    let _ = tokio::time::timeout_at(due, self.desk.bell.notified()).await;
                }
                Next::Nothing if self.desk.outbox().is_ending() => return,
                Next::Nothing => self.desk.bell.notified().await,
            }
        }
    }

    /// Records everything that was not sent, or whose server had not answered when time was up; returns how many.
    async fn tell_left(&self) -> usize {
        // Its own statement, as above.
        let left = self.desk.outbox().take_left();
        for tried in &left {
            let details = json!({ "attempts": tried.attempts, "reason": "ended" });
            self.tell(&tried.what, Ending::Failed, details).await;
        }
        left.len()
    }

    async fn attempt(&self, tried: Tried<Arc<Parcel>>, mut is_over: watch::Receiver<bool>) {
        if !self.is_of_use(&tried.what).await {
            self.desk.outbox().done();
            tracing::info!(id = %tried.what.about.id, "a mail is not sent: its link no longer works");
            let details = json!({ "attempts": tried.attempts - 1, "reason": "void" });
            return self.tell(&tried.what, Ending::Void, details).await;
        }
        let handed_over = tokio::select! {
            biased;
            handed_over = self.relay.hand_over(tried.what.message.clone()) => handed_over,
            // It stays among what is left.
            _ = is_over.wait_for(|is_over| *is_over) => return,
        };
        let attempts = tried.attempts;
        match handed_over {
            Ok(()) => {
                self.desk.outbox().done();
                self.tell(&tried.what, Ending::Sent, json!({ "attempts": attempts })).await;
            }
            Err(untaken) if untaken.is_passing => self.put_off(tried, &untaken).await,
            Err(untaken) => {
                self.desk.outbox().done();
                self.give_up(&tried, &untaken).await;
            }
        }
    }

    async fn put_off(&self, tried: Tried<Arc<Parcel>>, untaken: &Untaken) {
        let (id, attempts) = (tried.what.about.id, tried.attempts);
        let again = self.desk.outbox().again(tried, Instant::now());
        match again {
            Ok(delay) => {
                let Untaken { why, code, detail, .. } = untaken;
                tracing::info!(%id, attempts, why, code, detail, delay_s = delay.as_secs(), "a mail waits");
            }
            Err(tried) => self.give_up(&tried, untaken).await,
        }
    }

    async fn give_up(&self, tried: &Tried<Arc<Parcel>>, untaken: &Untaken) {
        let (id, attempts, Untaken { why, code, detail, .. }) =
            (tried.what.about.id, tried.attempts, untaken);
        tracing::warn!(%id, attempts, why, code, detail, "a mail is given up; pass its link on or make it again");
        let details = json!({ "attempts": attempts, "reason": why, "code": code });
        self.tell(&tried.what, Ending::Failed, details).await;
    }

    /// Counts and records how it ended.
    async fn tell(&self, parcel: &Parcel, ending: Ending, details: Value) {
        let Ground { measures, audit, clock, .. } = &self.desk.ground;
        measures.mail(ending);
        let (about, told) = (parcel.about, if ending == Ending::Sent { "mail.sent" } else { "mail.failed" });
        let note = Note {
            id: Uuid::now_v7(),
            scope: about.scope,
            at: clock.timestamp(),
            by: Principal { request_id: parcel.request_id.clone(), ..Principal::engine() },
            action: told.to_owned(),
            entity_kind: about.kind.name().to_owned(),
            entity_id: about.id,
            subject: about.subject,
            details,
        };
        if let Err(blocked) = audit.record(note).await {
            tracing::error!(%blocked, id = %about.id, ending = ending.word(), "not recorded");
        }
    }

    /// Whether its link still works. While the store does not tell, it counts as working.
    async fn is_of_use(&self, parcel: &Parcel) -> bool {
        let (about, Ground { catalog, clock, .. }) = (parcel.about, &self.desk.ground);
        let now = clock.timestamp();
        match catalog.get(about.scope, about.kind, about.id).await {
            Ok(Entity::Invitation(invitation)) => {
                invitation.status == Admission::Pending && now < invitation.expires_at
            }
            Ok(Entity::PasswordLink(link)) => link.used_at.is_none() && now < link.expires_at,
            Ok(_) | Err(StoreError::NotFound) => false,
            Err(error) => {
                tracing::warn!(%error, id = %about.id, "whether a link still works is not known");
                true
            }
        }
    }
}
