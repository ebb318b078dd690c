//! HTTP: how a run is doing, for Prometheus and for whoever asks whether it is well.

mod metrics;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::engine::live::StatusSource;

/// The run that is told of, once it has started.
pub type Watched = Arc<OnceLock<StatusSource>>;

/// How far behind the clock the dataflow may be before it is not well: its own heartbeat moves it twice a second.
const UNWELL_MS: u64 = 60_000;

/// Serves at `address` until the process ends; gives the address, whose port may have been 0.
pub fn serve(address: &str, watched: Watched) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let metrics = Arc::clone(&watched);
    let routes = Router::new()
        .route("/metrics", get(|| async move { metrics_of(&metrics) }))
        .route("/healthz", get(|| async move { health_of(&watched) }));
    std::thread::Builder::new().name("http".into()).spawn(move || {
        runtime.block_on(async {
            let listener =
                tokio::net::TcpListener::from_std(listener).expect("inside a runtime with io");
            axum::serve(listener, routes).await
        })
    })?;
    Ok(bound)
}

fn metrics_of(watched: &Watched) -> impl IntoResponse + use<> {
    let status = watched.get().map(StatusSource::look).unwrap_or_default();
    (
        [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
        metrics::text(status),
    )
}

fn health_of(watched: &Watched) -> impl IntoResponse + use<> {
    let (code, state, lag) = match watched.get().map(StatusSource::look) {
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting", 0),
        Some(status) if status.frontier_lag_ms > UNWELL_MS => {
            (StatusCode::SERVICE_UNAVAILABLE, "behind", status.frontier_lag_ms)
        }
        Some(status) => (StatusCode::OK, "running", status.frontier_lag_ms),
    };
    let body = serde_json::json!({ "status": state, "frontier_lag_ms": lag }).to_string();
    (code, [(header::CONTENT_TYPE, "application/json")], body)
}
