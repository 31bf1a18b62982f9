//! The listener of the API and the thread that serves it: apart from the engine's, so that no request slows a bind.

use super::erasing;
use super::exports::Worker;
use super::guard;
use super::idempotency::idempotency;
use super::measure::Measures;
use super::monitor::keep_looking;
use super::problem::{Code, Problem};
use super::request::{panicked, trace};
use super::routes::{self, Routes};
use super::state::{Api, Reach};
use crate::audit::Recorder;
use crate::exit::{self, Failure};
use crate::mail::Mailer;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use engine::model::{CampaignNo, Credential};
use engine::store::{Catalog, Journal};
use engine::{Clock, Engine};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tower_http::catch_panic::CatchPanicLayer;

/// Connections at once: some for every tenant's console, and a bound on memory.
const MAX_CONNECTIONS: usize = 1_024;
/// How long a client may take for the head of a request: slow ones do not hold a place.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest head of a request, octets; also how much of a body is read ahead.
const MAX_BUFFER_OCTETS: usize = 64 << 10;
/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests under way get to end.
const GRACE: Duration = Duration::from_secs(5);

/// What the API stands on.
pub(crate) struct Plane {
    /// Entities and audit log.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Recipients.
    pub(crate) journal: Arc<dyn Journal>,
    /// The engine.
    pub(crate) engine: Engine,
    /// Time.
    pub(crate) clock: Clock,
    /// Audit events that record no change.
    pub(crate) audit: Recorder,
    /// Sends links.
    pub(crate) mail: Mailer,
    /// What the configuration says.
    pub(crate) reach: Reach,
    /// What it measures.
    pub(crate) measures: Arc<Measures>,
    /// Digest of what must be shown to create the first super admin; `None` when there is one.
    pub(crate) setup: Option<Credential>,
}

/// The running API.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
    exports: Worker,
    erasing: erasing::Worker,
}

/// The whole API as a service.
pub(crate) fn router(plane: Plane) -> (Router, Arc<Api>) {
    let Routes { router, access } = routes::all();
    let api = Arc::new(Api::new(plane, access));
    let router = Router::from(router)
        .fallback(async || Problem::new(Code::NotFound))
        .layer(from_fn_with_state(Arc::clone(&api), idempotency))
        .layer(from_fn_with_state(Arc::clone(&api), guard::guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&api), trace))
        .with_state(Arc::clone(&api));
    (router, api)
}

impl Server {
    /// Serves on a bound listener until [`Server::end`]; `first` is a number that this run was given before it wrote any
    /// list.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(
        listener: std::net::TcpListener,
        plane: Plane,
        first: CampaignNo,
    ) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            Failure::new(exit::UNAVAILABLE, format!("the API did not start: {error}"))
        };
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let (router, api) = router(plane);
        let exports = Worker::start(Arc::clone(&api)).map_err(refused)?;
        let erasing = erasing::Worker::start(Arc::clone(&api), first).map_err(refused)?;
        let (end, ended) = oneshot::channel();
        let work = move || {
            runtime.block_on(async move {
                match TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, (router, api), ended).await,
                    Err(error) => tracing::error!(%error, "the API is not served"),
                }
            });
            // What a request left to blocking threads, an intake for instance, gets no more time than its connection.
            runtime.shutdown_timeout(GRACE);
        };
        let thread = std::thread::Builder::new().name("api".to_owned()).spawn(work).map_err(refused)?;
        Ok(Self { address, end, thread, exports, erasing })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: requests under way get [`GRACE`] to end. What is left is to be waited for beside others: a file that is
    /// being made anew may take minutes.
    pub(crate) fn end(self) -> erasing::Ending {
        // An error means that it has ended by itself.
        let _ = self.end.send(());
        // Before the others, which may wait for it.
        let erasing = self.erasing.end();
        if self.thread.join().is_err() {
            tracing::error!("the API's thread panicked");
        }
        self.exports.end();
        erasing
    }
}

/// Accepts connections until `ended`, at most [`MAX_CONNECTIONS`] at once; further ones wait to be accepted.
pub(crate) async fn serve(
    listener: TcpListener,
    (router, api): (Router, Arc<Api>),
    mut ended: oneshot::Receiver<()>,
) {
    let looking = tokio::spawn(keep_looking(Arc::clone(&api)));
    let (open, graceful) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), GracefulShutdown::new());
    loop {
        let accepted = async {
            let place = Arc::clone(&open).acquire_owned().await.expect("it is never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            _ = &mut ended => break,
            accepted = accepted => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The process is out of descriptors, or the client has gone: neither ends the listener.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its small packets");
        }
        let service = router.clone().layer(Extension(ConnectInfo(peer)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_BUFFER_OCTETS)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    looking.abort();
    api.streams.end();
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::info!("connections that were still open are cut");
    }
}
