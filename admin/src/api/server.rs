//! The listener of the API and the thread that serves it: apart from the engine's, so that no request slows a bind.

use super::guard;
use super::problem::{Code, Problem};
use super::request::{panicked, trace};
use super::routes::{self, Routes};
use super::state::{Api, Reach};
use crate::exit::{self, Failure};
use axum::Router;
use axum::middleware::from_fn_with_state;
use engine::store::{Catalog, Journal};
use engine::{Clock, Engine};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_http::catch_panic::CatchPanicLayer;

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
    /// What the configuration says.
    pub(crate) reach: Reach,
}

/// The running API.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

/// The whole API as a service.
pub(crate) fn router(plane: Plane) -> (Router, Arc<Api>) {
    let Plane { catalog, journal, engine, clock, reach } = plane;
    let Routes { router, access } = routes::all();
    let api = Arc::new(Api::new((catalog, journal), (engine, clock), reach, access));
    let router = Router::from(router)
        .fallback(async || Problem::new(Code::NotFound))
        .layer(from_fn_with_state(Arc::clone(&api), guard::guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&api), trace))
        .with_state(Arc::clone(&api));
    (router, api)
}

impl Server {
    /// Serves on a bound listener until [`Server::end`].
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(listener: std::net::TcpListener, plane: Plane) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            Failure::new(exit::UNAVAILABLE, format!("the API did not start: {error}"))
        };
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let (end, ended) = oneshot::channel();
        let work = move || {
            runtime.block_on(async move {
                let (router, _) = router(plane);
                let service = router.into_make_service_with_connect_info::<SocketAddr>();
                let listener = match TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!(%error, "the API is not served"),
                };
                let serving = axum::serve(listener, service).with_graceful_shutdown(async {
                    // Whoever drops the sender wants the end too.
                    let _ = ended.await;
                });
                if let Err(error) = serving.await {
                    tracing::error!(%error, "the API is no longer served");
                }
            });
        };
        let thread = std::thread::Builder::new().name("api".to_owned()).spawn(work).map_err(refused)?;
        Ok(Self { address, end, thread })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it behind the requests under way.
    pub(crate) fn end(self) {
        let _ = self.end.send(());
        if self.thread.join().is_err() {
            tracing::error!("the API's thread panicked");
        }
    }
}
