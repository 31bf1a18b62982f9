//! What every handler works with.

use super::authoring::upload::Intakes;
use super::erasing::Erasing;
use super::exports::Shelf;
use super::guard::Access;
use super::idempotency::SecretAnswers;
use super::measure::Measures;
use super::monitor::Monitor;
use super::recent::{Observed, Recent};
use super::reveals::Reveals;
use super::server::Plane;
use super::streams::Streams;
use crate::accounts::{Lockout, Logins, Passwords};
use crate::audit::Recorder;
use crate::mail::Mailer;
use crate::privacy::CtnHasher;
use axum::http::Method;
use engine::model::Credential;
use engine::store::{Catalog, Journal};
use engine::{Clock, Engine};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// To whom each method of each route is open.
pub(crate) type AccessTable = BTreeMap<(String, String), Access>;

/// The admin plane.
pub(crate) struct Api {
    /// Entities and audit log; changes of who may do what are told to `recent`.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Recipients.
    pub(crate) journal: Arc<dyn Journal>,
    /// The engine.
    pub(crate) engine: Engine,
    /// Time.
    pub(crate) clock: Clock,
    /// Logins of people.
    pub(crate) logins: Logins,
    /// What the guard found out in the last minutes.
    pub(crate) recent: Arc<Recent>,
    /// Passwords of people.
    pub(crate) passwords: Passwords,
    /// Failed logins.
    pub(crate) lockout: Mutex<Lockout>,
    /// Digest of what must be shown to create the first super admin; `None` when there was one at the start.
    pub(crate) setup: Option<Credential>,
    /// Answers with a secret, for requests that come again.
    pub(crate) secret_answers: SecretAnswers,
    /// Audit events that record no change.
    pub(crate) audit: Recorder,
    /// Sends links.
    pub(crate) mail: Mailer,
    /// What is measured.
    pub(crate) measures: Arc<Measures>,
    /// Proxies whose word about the client's address counts.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Scheme and authority under which browsers reach it, without a slash at the end.
    pub(crate) public_url: Option<String>,
    /// Names recipients where their numbers are not shown.
    pub(crate) ctn: CtnHasher,
    /// Where exported files are.
    pub(crate) exports: Shelf,
    /// Numbers that are to be erased.
    pub(crate) erasing: Erasing,
    /// Who sees full numbers.
    pub(crate) reveals: Reveals,
    /// What is watched of the engine.
    pub(crate) monitor: Monitor,
    /// Answers that go on for long.
    pub(crate) streams: Streams,
    /// Held by whoever reads every recipient of a campaign for one answer: one at a time.
    pub(crate) scans: Arc<Semaphore>,
    /// How many recipient lists are written at once, and where their scratch files go.
    pub(crate) intakes: Intakes,
    access: AccessTable,
}

/// What [`Api::new`] is given from the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// Proxies whose word about the client's address counts.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Scheme and authority under which browsers reach it.
    pub(crate) public_url: Option<String>,
    /// Names recipients.
    pub(crate) ctn: CtnHasher,
    /// Where exported files are.
    pub(crate) exports: Shelf,
    /// A directory on the store's disk for scratch files.
    pub(crate) scratch: PathBuf,
}

impl Api {
    /// Over this ground, behind this table of routes.
    pub(crate) fn new(plane: Plane, access: AccessTable) -> Self {
        let Plane { catalog, journal, engine, clock, audit, mail, reach, measures, setup } = plane;
        let Reach { trusted_proxies, public_url, ctn, exports, scratch } = reach;
        let recent = Arc::<Recent>::default();
        let catalog: Arc<dyn Catalog> = Arc::new(Observed::new(catalog, Arc::clone(&recent)));
        Self {
            recent,
            logins: Logins::new(Arc::clone(&catalog)),
            passwords: Passwords::start(),
            reveals: Reveals::default(),
            erasing: Erasing::default(),
            monitor: Monitor::default(),
            streams: Streams::default(),
            scans: Arc::new(Semaphore::new(1)),
            lockout: Mutex::default(),
            secret_answers: SecretAnswers::default(),
            mail,
            measures,
            setup,
            trusted_proxies,
            public_url,
            ctn,
            exports,
            audit,
            intakes: Intakes::new(scratch),
            catalog,
            journal,
            engine,
            clock,
            access,
        }
    }

    /// The wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.timestamp()
    }

    /// To whom this method of this route is open; `None` when there is no such route.
    pub(crate) fn access(&self, method: &Method, route: &str) -> Option<Access> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.access.get(&(method.as_str().to_owned(), route.to_owned())).copied()
    }
}
