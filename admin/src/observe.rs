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
use engine::model::Status;
use engine::store::{CampaignScope, Catalog};
use engine::{ChannelStatus, Engine, Latency};
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

    /// Answers from now on, until the task is aborted.
    pub(crate) fn serve(self, observed: Observed) -> JoinHandle<()> {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .with_state(observed);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(self.listener, router).await {
                tracing::error!(%error, "metrics are no longer served");
            }
        })
    }
}

/// What answers are made from.
#[derive(Clone)]
pub(crate) struct Observed {
    /// The engine.
    pub(crate) engine: Engine,
    /// Where campaigns are counted.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// What waits to be audited; nothing does without one.
    pub(crate) audit: Option<Recorder>,
    /// What the API measures.
    pub(crate) measures: Arc<Measures>,
}

async fn metrics(State(observed): State<Observed>) -> impl IntoResponse {
    let Observed { engine, catalog, audit, measures } = observed;
    let fallback = audit.map(|audit| audit.state());
    let snapshot = Snapshot {
        audit_fallback: fallback.map_or(0, |state| state.octets),
        audit_dropped: fallback.map_or(0, |state| state.dropped),
        campaigns: campaigns(&*catalog).await,
        login_failures: measures.login_failures(),
        mails: measures.mails(),
        api: Some(measures.snapshot()),
        ..snapshot(&engine)
    };
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], render(snapshot))
}

/// Whether the process can do its work: 503 once the engine has given up or is ending.
async fn healthz(State(Observed { engine, .. }): State<Observed>) -> impl IntoResponse {
    if engine.is_running() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "ended\n") }
}

/// Campaigns by status over all workspaces; none when the store cannot be read.
async fn campaigns(catalog: &dyn Catalog) -> Vec<(String, u64)> {
    match catalog.overview(CampaignScope::EveryWorkspace, jiff::Timestamp::now()).await {
        Ok(overview) => Status::ALL.iter().map(ToString::to_string).zip(overview.by_status).collect(),
        Err(error) => {
            tracing::warn!(%error, "campaigns are not counted for a scrape");
            Vec::new()
        }
    }
}

/// What the engine has counted, as the metrics name it.
fn snapshot(engine: &Engine) -> Snapshot {
    let channels = engine.channels().into_iter().zip(engine.submit_latencies());
    let channels: Vec<ChannelSnapshot> = channels.map(|(status, seen)| channel(status, &seen)).collect();
    let lost: u64 = engine.channels().iter().map(|channel| channel.unknown).sum();
    let held: u64 = channels.iter().map(|channel| channel.waiting).sum();
    Snapshot {
        version: env!("CARGO_PKG_VERSION"),
        queued: engine.queued().saturating_sub(held),
        unknown: engine.recovered().0 + lost + engine.receipts_overdue(),
        channels,
        ..Snapshot::default()
    }
}

fn channel(status: ChannelStatus, seen: &Latency) -> ChannelSnapshot {
    let cumulative = seen.cumulative(&LATENCY_BOUNDS_US);
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
        latency: LatencySnapshot { cumulative, count: seen.count(), sum_us: seen.sum_us() },
    }
}
