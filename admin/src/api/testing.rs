//! A whole installation for tests of the API: a real store, engine, simulated SMSC and HTTP over a real listener.
//!
//! People and workspaces are put into the store directly, so that a test of one resource does not need the others.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::exports::{Shelf, Worker};
use super::measure::Measures;
use super::recent::Observed;
use super::server::{Plane, router, serve};
use super::state::{Api, Reach};
use crate::accounts::{Secret, digest};
use crate::audit::{FALLBACK_OCTETS, Fallback, Recorder};
use crate::config::Mail;
use crate::demo::simulator::Simulator;
use crate::mail::{self, Ground, Mailer, Policy};
use crate::privacy::CtnHasher;
use engine::model::{
    ApiKey, AuditOverflow, Credential, KeyScope, Membership, Policies, Preferences, Principal, Role, Terms,
    User, UserId, Workspace, WorkspaceId,
};
use engine::store::fault::{FaultCatalog, FaultPlan};
use engine::store::{Catalog, Change, Entity, Expect, Journal, Scope, SqliteStore};
use engine::{
    BindKind, ChannelConfig, Clock, Engine, EngineConfig, Env, InboundConfig, RECEIPT_TIMEOUT, boot_id,
};
use jiff::Timestamp;
use reqwest::{Method, Response};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;

/// What creates the first super admin.
pub(crate) const SETUP_TOKEN: &str = "the token of a test";

/// The password of everybody who has one.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A catalog that fails on demand.
pub(crate) type Outages = FaultCatalog<Observed>;

/// The installation.
pub(crate) struct House {
    /// The API's state.
    pub(crate) api: Arc<Api>,
    /// The store.
    pub(crate) store: Arc<SqliteStore>,
    /// The SMSC.
    pub(crate) smsc: Simulator,
    base: String,
    serving: tokio::task::JoinHandle<()>,
    end: oneshot::Sender<()>,
    exports: Worker,
    mail: Option<mail::Worker>,
    engine: Engine,
    _directory: TempDir,
}

/// Somebody who sends requests.
#[derive(Clone)]
pub(crate) struct Client {
    /// Whose account it is; nil for nobody's.
    pub(crate) user: UserId,
    http: reqwest::Client,
    base: String,
    header: Option<(&'static str, String)>,
}

impl House {
    /// An installation without people, with one channel to a simulated SMSC.
    pub(crate) async fn open() -> Self {
        Self::open_through(|store| store).await
    }

    /// The same, with what the API sees in place of the store; the engine and the audit log have the store itself.
    pub(crate) async fn open_through(seen: impl FnOnce(Arc<SqliteStore>) -> Arc<dyn Catalog>) -> Self {
        Self::open_with(None, |store| (Arc::clone(&store) as _, seen(store))).await
    }

    /// The same with mail.
    pub(crate) async fn open_with_mail(mail: Mail, policy: Policy) -> Self {
        Self::open_with(Some((mail, policy)), |store| (Arc::clone(&store) as _, store)).await
    }

    /// The same with a catalog that fails on demand, for the API, the engine and the audit log.
    pub(crate) async fn open_with_outages() -> (Self, Arc<Outages>) {
        let mut outages = None;
        let house = Self::open_with(None, |store| {
            // The fault wraps no shared catalog itself; nobody asks the memory of this layer.
            let inner = Observed::new(store, Arc::default());
            let failing = Arc::new(FaultCatalog::new(inner, Duration::ZERO, FaultPlan::default()));
            outages = Some(Arc::clone(&failing));
            (Arc::clone(&failing) as _, failing)
        });
        let house = house.await;
        (house, outages.unwrap())
    }

    /// `catalogs` gives what the engine and the audit log see of the store, and what the API does.
    async fn open_with(
        mail: Option<(Mail, Policy)>,
        catalogs: impl FnOnce(Arc<SqliteStore>) -> (Arc<dyn Catalog>, Arc<dyn Catalog>),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path()).unwrap());
        let smsc = Simulator::start(true).unwrap();
        let config = EngineConfig {
            channels: vec![channel(smsc.address())],
            marks: directory.path().join("marks"),
            installation: store.installation(),
            boot_id: boot_id().unwrap(),
            drain_timeout: Duration::from_secs(1),
            inbound: InboundConfig::default(),
            receipt_timeout: RECEIPT_TIMEOUT,
        };
        let (catalog, seen) = catalogs(Arc::clone(&store));
        let journal: Arc<dyn Journal> = Arc::clone(&store) as _;
        let engine =
            Engine::start(config, Arc::clone(&catalog), Arc::clone(&journal), Env::system(1)).await.unwrap();
        let ctn = CtnHasher::keyed([7; 32]);
        let exports = Shelf::new(directory.path().join("exports"), Duration::from_secs(3600));
        let scratch = directory.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        let public_url = mail.as_ref().map(|(mail, _)| mail.site.clone());
        let reach = Reach { trusted_proxies: Vec::new(), public_url, ctn, exports, scratch };
        let (clock, measures, setup) =
            (Clock::system(), Arc::<Measures>::default(), Some(digest(SETUP_TOKEN)));
        let path = directory.path().join("audit-fallback");
        let fallback = Fallback { path, octets: FALLBACK_OCTETS, overflow: AuditOverflow::Drop };
        let audit = Recorder::open(Arc::clone(&catalog), clock, fallback).unwrap();
        let ground = Ground { catalog: Arc::clone(&catalog), audit: audit.clone(), measures, clock };
        let measures = Arc::clone(&ground.measures);
        let worker = mail.map(|(mail, policy)| mail::Worker::start(mail, ground, policy).unwrap());
        let mail = worker.as_ref().map_or_else(Mailer::off, mail::Worker::mailer);
        let api_engine = engine.clone();
        let plane =
            Plane { catalog: seen, journal, engine: api_engine, clock, audit, mail, reach, measures, setup };
        let (service, api) = router(plane);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let exports = Worker::start(Arc::clone(&api)).unwrap();
        let (end, ended) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, (service, Arc::clone(&api)), ended));
        Self { api, store, smsc, base, serving, end, exports, mail: worker, engine, _directory: directory }
    }

    /// Ends the mail alone, so that all of its events are there; how many mails were not sent.
    pub(crate) async fn end_mail(&mut self) -> usize {
        let worker = self.mail.take().unwrap();
        tokio::task::spawn_blocking(|| worker.end()).await.unwrap()
    }

    /// Ends it in order.
    pub(crate) async fn close(self) {
        self.end.send(()).unwrap();
        self.serving.await.unwrap();
        self.exports.end();
        self.mail.map(mail::Worker::end);
        self.engine.shutdown().await;
        self.smsc.stop();
    }

    /// Stores an entity as somebody's first version of it.
    pub(crate) async fn put(&self, entity: Entity) {
        let scope = entity.workspace().map_or(Scope::Platform, Scope::Workspace);
        let change = Change { scope, expect: Expect::Absent, entity, action: "test.create" };
        self.store.apply(vec![change], &Principal::engine(), Timestamp::now()).await.unwrap();
    }

    /// Changes an entity that is stored in this version.
    pub(crate) async fn change(&self, entity: Entity, version: u32) {
        let scope = entity.workspace().map_or(Scope::Platform, Scope::Workspace);
        let change = Change { scope, expect: Expect::Version(version), entity, action: "test.change" };
        self.store.apply(vec![change], &Principal::engine(), Timestamp::now()).await.unwrap();
    }

    /// What the audit log of this scope tells, but for what tests have put there: actions in their order.
    pub(crate) async fn actions(&self, scope: Scope) -> Vec<String> {
        let events = self.store.audit(scope, 0).await.unwrap();
        let actions = events.into_iter().map(|event| event.action);
        actions.filter(|action| action != "test.create").collect()
    }

    /// A workspace.
    pub(crate) async fn workspace(&self, slug: &str) -> Workspace {
        let workspace = Workspace {
            id: WorkspaceId(Uuid::now_v7()),
            slug: slug.to_owned(),
            name: slug.to_owned(),
            time_zone: "UTC".to_owned(),
            weight: 1,
            rate_per_s: 0,
            daily_limit: None,
            quiet_hours: None,
            stop_keywords: Vec::new(),
            policies: Policies::default(),
            terms: Terms::default(),
            version: 0,
            created_at: Timestamp::now(),
        };
        self.put(Entity::Workspace(workspace.clone())).await;
        workspace
    }

    async fn account(&self, email: &str, super_admin: bool) -> Client {
        let credential = Credential("nobody knows it".to_owned());
        self.account_with(email, super_admin, credential).await
    }

    /// A logged-in account of no workspace that can log in with [`PASSWORD`].
    pub(crate) async fn person(&self, email: &str) -> Client {
        let credential = self.api.passwords.hash(PASSWORD).await.unwrap();
        self.person_with(email, credential).await
    }

    /// A logged-in account of no workspace with this hash of its password.
    pub(crate) async fn person_with(&self, email: &str, credential: Credential) -> Client {
        self.account_with(email, false, credential).await
    }

    async fn account_with(&self, email: &str, super_admin: bool, credential: Credential) -> Client {
        let user = User {
            id: UserId(Uuid::now_v7()),
            email: email.to_owned(),
            name: email.to_owned(),
            credential: Some(credential),
            super_admin,
            preferences: Preferences::default(),
            version: 0,
            created_at: Timestamp::now(),
            disabled_at: None,
        };
        let id = user.id;
        self.put(Entity::User(user)).await;
        let (_, secret) = self.api.logins.open(id, &Principal::engine(), self.api.now()).await.unwrap();
        let cookie = format!("{}={}", super::guard::COOKIE, secret.reveal());
        Client { user: id, header: Some(("cookie", cookie)), ..self.nobody() }
    }

    /// A logged-in account of no workspace.
    pub(crate) async fn user(&self, email: &str) -> Client {
        self.account(email, false).await
    }

    /// A logged-in super admin.
    pub(crate) async fn super_admin(&self) -> Client {
        self.account("root@example.com", true).await
    }

    /// One more logged-in super admin.
    pub(crate) async fn another_super_admin(&self) -> Client {
        self.account(&format!("root-{}@example.com", Uuid::now_v7()), true).await
    }

    /// A logged-in member; `Author` with the flag is "Author+".
    pub(crate) async fn member(&self, workspace: &Workspace, role: &str) -> Client {
        let client = self.user(&format!("{role}-{}@example.com", Uuid::now_v7())).await;
        self.join(workspace, &client, role).await;
        client
    }

    /// Makes an account a member.
    pub(crate) async fn join(&self, workspace: &Workspace, client: &Client, role: &str) {
        let (role, is_moderator) = match role {
            "Author" => (Role::Author, false),
            "Author+" => (Role::Author, true),
            "Moderator" => (Role::Moderator, false),
            "Admin" => (Role::Admin, false),
            other => panic!("no role: {other}"),
        };
        let membership = Membership {
            id: Uuid::now_v7(),
            workspace_id: workspace.id,
            user_id: client.user,
            role,
            is_moderator,
            version: 0,
            created_at: Timestamp::now(),
            expires_at: None,
            removed_at: None,
        };
        self.put(Entity::Membership(membership)).await;
    }

    /// A program of that account.
    pub(crate) async fn key(&self, workspace: &Workspace, of: &Client, scopes: &[KeyScope]) -> Client {
        let (id, secret) = (Uuid::now_v7(), Secret::new());
        let key = ApiKey {
            id,
            workspace_id: workspace.id,
            user_id: of.user,
            name: "program".to_owned(),
            scopes: scopes.to_vec(),
            credential: secret.credential(),
            version: 0,
            created_at: Timestamp::now(),
            expires_at: None,
            revoked_at: None,
        };
        self.put(Entity::ApiKey(key)).await;
        let bearer = format!("Bearer {}", crate::accounts::key_text(id, &secret));
        Client { user: of.user, header: Some(("authorization", bearer)), ..self.nobody() }
    }

    /// Somebody without an account.
    pub(crate) fn nobody(&self) -> Client {
        let base = self.base.clone();
        Client { user: UserId(Uuid::nil()), http: reqwest::Client::new(), base, header: None }
    }
}

impl Client {
    /// The same with the login that an answer brings in its cookie.
    pub(crate) fn with_login(&self, answer: &Response) -> Self {
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { header: Some(("cookie", cookie)), ..self.clone() }
    }

    /// A request to a path below `/api/v1`, or to a whole path when it begins with two slashes.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path = path
            .strip_prefix('/')
            .filter(|rest| rest.starts_with('/'))
            .map_or_else(|| format!("/api/v1{path}"), str::to_owned);
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.header {
            Some((name, value)) => request.header(*name, value),
            None => request,
        }
    }

    /// Sends it: status and JSON, `null` for an answer without a body.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.request(method, path);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        read(request.send().await.unwrap()).await
    }

    /// `GET`.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, None).await
    }

    /// `POST` of JSON.
    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `PATCH` of JSON.
    pub(crate) async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `PUT` of JSON.
    pub(crate) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(Method::DELETE, path, None).await
    }
}

/// What this thread logs while the guard lives, as `serve` writes it: from `info` on, one JSON object a line.
pub(crate) struct Log {
    octets: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to listen.
    pub(crate) fn begin() -> Self {
        let octets = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Sink(Arc::clone(&octets));
        let log = tracing_subscriber::fmt().json().with_writer(move || sink.clone()).finish();
        Self { octets, _guard: tracing::subscriber::set_default(log) }
    }

    /// The messages of the lines that carry this request's id.
    pub(crate) fn of_request(&self, id: &str) -> Vec<String> {
        let octets = self.octets.lock().unwrap();
        let lines = octets.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        let of_it = lines.filter(|line| line["span"]["request_id"] == id);
        of_it.map(|line| line["fields"]["message"].as_str().unwrap().to_owned()).collect()
    }
}

/// Status and JSON of an answer.
pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    let value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()))
    };
    (status, value)
}

/// The code that a problem's type ends in; empty for anything else.
pub(crate) fn code(answer: &Value) -> &str {
    answer["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default()
}

fn channel(address: String) -> ChannelConfig {
    ChannelConfig {
        name: "main".to_owned(),
        address,
        system_id: "test".to_owned(),
        password: "test".to_owned(),
        system_type: String::new(),
        bind: BindKind::Transceiver,
        binds: 1,
        window: 50,
        rate_per_s: 0,
        enquire_link: Duration::from_secs(30),
        response_timeout: Duration::from_secs(10),
        message_id: engine::MessageIdForm::Auto,
        prefixes: Vec::new(),
        weight: 1,
        workspaces: Vec::new(),
    }
}
