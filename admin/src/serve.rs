//! `message-center serve`: the engine and the API on a configured store until it is asked to end.
//!
//! What was running when the last process ended goes on. SIGINT and SIGTERM drain: nothing new is sent, answers are
//! awaited, everything is saved; that is the orderly end and its exit code is 0.

use crate::accounts::{Secret, SuperAdmins, keep_purging};
use crate::api::{Measures, Plane, Reach, Server, Shelf};
use crate::audit::{FALLBACK_OCTETS, Fallback, Recorder, expiry};
use crate::command::ServeOptions;
use crate::config::{Admin, Audit, Config, DEFAULT_FILE, Mail};
use crate::exit::{self, Failure};
use crate::lines::Lines;
use crate::mail::{Ground, Mailer, Policy, Worker};
use crate::observe::{Observed, Observer};
use crate::place::{self, Place};
use crate::privacy;
use crate::settings;
use crate::signals::Signals;
use engine::model::{AuditOverflow, EntityId, Principal, Settings};
use engine::store::{Catalog, Journal, Note, Scope};
use engine::{Clock, Engine};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Serves, or prints the default configuration; returns the exit code.
pub(crate) fn run(options: &ServeOptions) -> Result<u8, Failure> {
    let Some(path) = &options.config else {
        Lines::Out.say(DEFAULT_FILE.trim_end());
        return Ok(exit::DONE);
    };
    let config = Config::load(path, std::env::vars_os())?;
    let signals = Signals::watch()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::ENGINE, format!("the runtime did not start: {error}")))?;
    runtime.block_on(serve(config, &signals))
}

async fn serve(mut config: Config, signals: &Signals) -> Result<u8, Failure> {
    let observer = Observer::bind(config.metrics_listen, "metrics.listen").await?;
    let place = Place::open(&config.directory)?;
    place.allow(&mut config.channels, &config.channel_workspaces).await?;
    let (audit_retention_days, audit_overflow) = (config.audit.retention_days, config.audit.overflow);
    let first = Settings { audit_retention_days, audit_overflow, ..Settings::default() };
    let ctn = privacy::settle(&*place.store, &config.privacy, &config.directory, first).await?;
    let listener = listen(config.admin.listen)?;
    let audit = recorder(&place, &config.audit)?;
    audit.set_overflow(overflow(&place, config.audit.overflow).await?);
    let engine = place.start_engine(config.channels, config.settings).await?;
    let Admin { trusted_proxies, public_url, .. } = config.admin;
    let exports = Shelf::new(config.directory.join("exports"), config.export_kept);
    let scratch = place.scratch()?;
    let reach = Reach { trusted_proxies, public_url, ctn, exports, scratch };
    // Its number is given before any list of this run is written.
    let first_list = place.store.next_campaign_no().await?;
    let (measures, token) = (Arc::default(), setup_token(&place).await?);
    let (post, mailer) = post(&place, (&audit, &measures), config.mail)?;
    let plane = plane(&place, &engine, (reach, audit.clone(), mailer));
    let setup = token.as_ref().map(Secret::credential);
    let plane = Plane { measures: Arc::clone(&measures), setup, ..plane };
    let server = Server::start(listener, plane, first_list)?;
    let (unknown, unsent) = engine.recovered();
    tracing::info!(
        store = %config.directory.display(),
        metrics = %observer.address(),
        api = %server.address(),
        unknown,
        unsent,
        "serving"
    );
    let (api, metrics) = (server.address(), observer.address());
    Lines::Out.say(&format!("serving; API: http://{api}/api/v1; metrics: http://{metrics}/metrics"));
    if let Some(token) = token {
        Lines::Out.say(&format!("there is no super admin yet; setup token: {}", token.reveal()));
    }
    let upkeep = upkeep(&place, &audit, config.audit.retention_days);
    record(&audit, "server.start").await;
    let answering = observer.serve(Observed {
        engine: engine.clone(),
        catalog: Arc::clone(&place.store) as _,
        audit: Some(audit.clone()),
        measures,
    });
    let ended = tokio::select! {
        biased;
        reason = engine.failed() => Err(reason),
        code = signals.first() => Ok(code),
    };
    let erasing = server.end();
    let erasing = tokio::task::spawn_blocking(|| erasing.join());
    let posting = tokio::task::spawn_blocking(|| post.map(Worker::end));
    let done = drained(ended, engine).await;
    // They log what they leave.
    let (_, _) = (posting.await, erasing.await);
    answering.abort();
    record(&audit, "server.stop").await;
    drop(upkeep);
    done
}

/// Ends the engine in order; its exit code, or why it had given up.
async fn drained(ended: Result<u8, String>, engine: Engine) -> Result<u8, Failure> {
    match ended {
        Ok(code) => {
            tracing::info!(signal = code - 128, "draining");
            let ended = place::end(engine).await;
            tracing::info!(whole = ended.is_ok(), "drained");
            ended.map(|()| exit::DONE)
        }
        Err(reason) => {
            if let Err(failure) = place::end(engine).await {
                tracing::error!(%failure, "the engine did not end in order");
            }
            Err(Failure::new(exit::ENGINE, format!("the engine has given up: {reason}")))
        }
    }
}

fn recorder(place: &Place, audit: &Audit) -> Result<Recorder, Failure> {
    let catalog: Arc<dyn Catalog> = Arc::clone(&place.store) as _;
    let path = audit.fallback_path.clone();
    let fallback = Fallback { path, octets: FALLBACK_OCTETS, overflow: audit.overflow };
    Recorder::open(catalog, Clock::system(), fallback).map_err(|error| {
        let path = audit.fallback_path.display();
        let sentence = format!(
            "the audit fallback {path} cannot be used: {error}; choose another one with audit.fallback_path"
        );
        Failure::new(exit::STORE, sentence)
    })
}

/// What happens once the fallback file is full: what was set last, the configuration gives the first value only.
async fn overflow(place: &Place, first: AuditOverflow) -> Result<AuditOverflow, Failure> {
    let settings = settings::stored(&*place.store).await?;
    Ok(settings.map_or(first, |settings| settings.audit_overflow))
}

/// Replays and expires audit events, removes what is over, until it is dropped.
fn upkeep(place: &Place, audit: &Recorder, retention_days: u32) -> JoinSet<()> {
    let catalog: Arc<dyn Catalog> = Arc::clone(&place.store) as _;
    let mut upkeep = JoinSet::new();
    upkeep.spawn(audit.clone().keep_replaying());
    upkeep.spawn(keep_purging(Arc::clone(&catalog), Clock::system()));
    upkeep.spawn(expiry::keep_expiring(catalog, Clock::system(), retention_days));
    upkeep
}

/// Records that the server starts or stops; an outage must not keep it from either.
async fn record(audit: &Recorder, action: &str) {
    let note = Note {
        id: Uuid::now_v7(),
        scope: Scope::Platform,
        at: jiff::Timestamp::now(),
        by: Principal::engine(),
        action: action.to_owned(),
        entity_kind: "server".to_owned(),
        entity_id: EntityId(Uuid::nil()),
        subject: None,
        details: serde_json::json!({ "version": env!("CARGO_PKG_VERSION") }),
    };
    if let Err(blocked) = audit.record(note).await {
        tracing::error!(%blocked, action, "not recorded");
    }
}

/// Who sends mails, where the site has mail, and who takes letters for it.
fn post(
    place: &Place,
    (audit, measures): (&Recorder, &Arc<Measures>),
    mail: Option<Mail>,
) -> Result<(Option<Worker>, Mailer), Failure> {
    let Some(mail) = mail else { return Ok((None, Mailer::off())) };
    let catalog: Arc<dyn Catalog> = Arc::clone(&place.store) as _;
    let ground =
        Ground { catalog, audit: audit.clone(), measures: Arc::clone(measures), clock: Clock::system() };
    let worker = Worker::start(mail, ground, Policy::USUAL)
        .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("mail did not start: {error}")))?;
    let mailer = worker.mailer();
    Ok((Some(worker), mailer))
}

fn plane(place: &Place, engine: &Engine, (reach, audit, mail): (Reach, Recorder, Mailer)) -> Plane {
    let catalog: Arc<dyn Catalog> = Arc::clone(&place.store) as _;
    let journal: Arc<dyn Journal> = Arc::clone(&place.store) as _;
    let (engine, clock, measures) = (engine.clone(), Clock::system(), Arc::default());
    Plane { catalog, journal, engine, clock, audit, mail, reach, measures, setup: None }
}

/// What lets somebody create the first super admin; `None` when there is one. Each start makes a new one.
async fn setup_token(place: &Place) -> Result<Option<Secret>, Failure> {
    let admins = SuperAdmins::read(&*place.store).await?;
    Ok(admins.is_empty().then(Secret::new))
}

/// Takes the API's address early, so that a port in use stops the start before anything else.
fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let sentence =
            format!("cannot listen on {address} for the API: {error}; choose another one with admin.listen");
        Failure::new(exit::UNAVAILABLE, sentence)
    })
}
