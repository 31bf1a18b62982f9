//! What every handler works with.

use super::guard::Access;
use super::measure::Measures;
use super::monitor::Monitor;
use super::stream::Streams;
use crate::accounts::{Logins, Passwords};
use crate::audit::Recorder;
use crate::privacy::CtnHasher;
use axum::http::Method;
use engine::store::{Catalog, Journal};
use engine::{Clock, Engine};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

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
    /// What is watched of the engine.
    pub(crate) monitor: Monitor,
    /// Open streams of events.
    pub(crate) streams: Streams,
    /// Proxies whose word about the client's address counts.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Scheme and authority under which browsers reach it, without a slash at the end.
    pub(crate) public_url: Option<String>,
    /// Names recipients where their numbers are not shown.
    pub(crate) ctn: CtnHasher,
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
}

impl Api {
    /// Over this store and engine, behind this table of routes.
    pub(crate) fn new(
        (catalog, journal): (Arc<dyn Catalog>, Arc<dyn Journal>),
        (engine, clock): (Engine, Clock),
        (reach, audit, measures): (Reach, Recorder, Measures),
        access: AccessTable,
    ) -> Self {
        let Reach { trusted_proxies, public_url, ctn } = reach;
        let logins = Logins::new(Arc::clone(&catalog));
        Self {
            logins,
            passwords: Passwords::start(),
            measures,
            monitor: Monitor::default(),
            streams: Streams::new(),
            trusted_proxies,
            public_url,
            ctn,
            audit,
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
