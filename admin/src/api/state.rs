//! What every handler works with.

use super::authoring::upload::Intakes;
use super::exports::Shelf;
use super::guard::Access;
use super::measure::Measures;
use super::reveals::Reveals;
use super::streams::Streams;
use crate::accounts::{Logins, Passwords};
use crate::audit::Recorder;
use crate::privacy::CtnHasher;
use axum::http::Method;
use engine::store::{Catalog, Journal};
use engine::{Clock, Engine};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// To whom each method of each route is open.
pub(crate) type AccessTable = BTreeMap<(String, String), Access>;

/// The admin plane.
pub(crate) struct Api {
    /// Entities and audit log.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Recipients.
    pub(crate) journal: Arc<dyn Journal>,
    /// The engine.
    pub(crate) engine: Engine,
    /// Time.
    pub(crate) clock: Clock,
    /// Logins of people.
    pub(crate) logins: Logins,
    /// Passwords of people.
    pub(crate) passwords: Passwords,
    /// Audit events that record no change.
    pub(crate) audit: Recorder,
    /// What is measured.
    pub(crate) measures: Measures,
    /// Proxies whose word about the client's address counts.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Scheme and authority under which browsers reach it, without a slash at the end.
    pub(crate) public_url: Option<String>,
    /// Names recipients where their numbers are not shown.
    pub(crate) ctn: CtnHasher,
    /// Where exported files are.
    pub(crate) exports: Shelf,
    /// Who sees full numbers.
    pub(crate) reveals: Reveals,
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
    /// Over this store and engine, behind this table of routes.
    pub(crate) fn new(
        (catalog, journal): (Arc<dyn Catalog>, Arc<dyn Journal>),
        (engine, clock): (Engine, Clock),
        (reach, audit): (Reach, Recorder),
        access: AccessTable,
    ) -> Self {
        let Reach { trusted_proxies, public_url, ctn, exports, scratch } = reach;
        let logins = Logins::new(Arc::clone(&catalog));
        Self {
            logins,
            passwords: Passwords::start(),
            measures: Measures::default(),
            reveals: Reveals::default(),
            streams: Streams::default(),
            scans: Arc::new(Semaphore::new(1)),
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
        let wall_ms = i64::try_from(self.clock.now().wall_ms).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(wall_ms).unwrap_or(Timestamp::MAX)
    }

    /// To whom this method of this route is open; `None` when there is no such route.
    pub(crate) fn access(&self, method: &Method, route: &str) -> Option<Access> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.access.get(&(method.as_str().to_owned(), route.to_owned())).copied()
    }
}
