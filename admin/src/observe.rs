//! What monitoring sees: `/metrics` and `/healthz` on a listener of their own.
//!
//! Nothing here needs a login, so nothing here tells more than counts and a version.

use crate::api::Measures;
use crate::audit::Recorder;
use crate::exit::{self, Failure};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use engine::metrics::{CONTENT_TYPE, ChannelSnapshot, LATENCY_BOUNDS_US, LatencySnapshot, Snapshot, render};
use engine::{ChannelStatus, Engine};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A bound listener that does not answer yet: taken early, so that a port in use stops the start before anything else.
#[derive(Debug)]
pub(crate) struct Observer {
    listener: TcpListener,
    address: SocketAddr,
}

impl Observer {
    /// Binds `address`; `setting` is what to change when it is taken.
    pub(crate) async fn bind(address: SocketAddr, setting: &str) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            let why = match error.kind() {
                ErrorKind::AddrInUse => "it is in use by another program".to_owned(),
                ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
                ErrorKind::PermissionDenied => "that is not permitted".to_owned(),
                _ => error.to_string(),
            };
            let sentence =
                format!("cannot listen on {address} for metrics: {why}; choose another one with {setting}");
            Failure::new(exit::UNAVAILABLE, sentence)
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on, until the task is aborted; without a server nothing is audited and nobody logs in.
    pub(crate) fn serve(self, engine: Engine, server: Option<(Recorder, Arc<Measures>)>) -> JoinHandle<()> {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .with_state((engine, server));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(self.listener, router).await {
                tracing::error!(%error, "metrics are no longer served");
            }
        })
    }
}

/// What answers are made from.
type Observed = (Engine, Option<(Recorder, Arc<Measures>)>);

async fn metrics(State((engine, server)): State<Observed>) -> impl IntoResponse {
    let mut snapshot = snapshot(&engine);
    if let Some((audit, measures)) = server {
        let fallback = audit.state();
        (snapshot.audit_fallback, snapshot.audit_dropped) = (fallback.octets, fallback.dropped);
        snapshot.login_failures = measures.login_failures();
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], render(snapshot))
}

/// Whether the process can do its work: 503 once the engine has given up or is ending.
async fn healthz(State((engine, _)): State<Observed>) -> impl IntoResponse {
    if engine.is_running() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "ended\n") }
}

/// What the engine has counted, as the metrics name it.
fn snapshot(engine: &Engine) -> Snapshot {
    let channels: Vec<ChannelSnapshot> = engine.channels().into_iter().map(channel).collect();
    // Nothing is longer than the last bound: what is counted there is everything.
    let bounds: Vec<u64> = LATENCY_BOUNDS_US.into_iter().chain([u64::MAX]).collect();
    let (mut cumulative, sum_us) = engine.submit_latency(&bounds);
    let count = cumulative.pop().unwrap_or(0);
    let lost: u64 = engine.channels().iter().map(|channel| channel.unknown).sum();
    let held: u64 = channels.iter().map(|channel| channel.waiting).sum();
    Snapshot {
        version: env!("CARGO_PKG_VERSION"),
        queued: engine.queued().saturating_sub(held),
        unknown: engine.recovered().0 + lost + engine.receipts_overdue(),
        latency: LatencySnapshot { cumulative, count, sum_us },
        channels,
        ..Snapshot::default()
    }
}

fn channel(status: ChannelStatus) -> ChannelSnapshot {
    ChannelSnapshot {
        name: status.name,
        up: status.up,
        in_flight: status.in_flight,
        waiting: status.stock,
        submitted: status.submitted,
        accepted: status.accepted,
        refused: status.refused,
        throttled: status.throttled,
        temporary: status.retried,
        receipts: status.receipts_by_state,
        orphans: status.orphans,
    }
}
