//! HTTP: how a run is doing, for Prometheus and for whoever asks whether it is well.
//!
//! *Trouble stays here.* A client may open connections and send nothing, or send slowly or too much. A connection has [`PATIENCE`] from beginning to end and answers one request; of those that are
//! open beyond [`CONNECTIONS`] the oldest is closed. They may take an eighth of the file descriptors that the process may have, so that partitions and state have theirs. An error of accepting is waited out.

mod metrics;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::AbortHandle;
use tracing::warn;

use crate::engine::live::StatusSource;

/// The run that is told of, once it has started.
pub type Watched = Arc<OnceLock<StatusSource>>;

/// How far behind the clock the dataflow may be before it is not well: its own heartbeat moves it twice a second.
const UNWELL_MS: u64 = 60_000;
/// How many connections may be open.
const CONNECTIONS: usize = 64;
/// How long the head of a request may take to come.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may be open.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves at `address` until the process ends; gives the address, whose port may have been 0.
pub fn serve(address: &str, watched: Watched) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    if !bound.ip().is_loopback() {
        warn!(
            "{bound} is not on loopback: whoever reaches it can read the names of topics and how much they hold"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let most = descriptors().map_or(CONNECTIONS, |limit| (limit / 8).clamp(1, CONNECTIONS));
    std::thread::Builder::new()
        .name("http".into())
        .spawn(move || runtime.block_on(accept(listener, most, watched)))?;
    Ok(bound)
}

/// Accepts for ever.
async fn accept(listener: tokio::net::TcpListener, most: usize, watched: Watched) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    let mut told = false;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    warn!("HTTP connections cannot be accepted: {error}; trying again");
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= most
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let watched = Arc::clone(&watched);
        let answer = service_fn(move |request: Request<Incoming>| {
            let response = answer(&request, &watched);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answer);
        // what a client does wrong is its own trouble
        let bounded = async move { drop(tokio::time::timeout(PATIENCE, connection).await) };
        open.push_back(tokio::spawn(bounded).abort_handle());
    }
}

/// How many files the process may have open, where the system tells.
fn descriptors() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn answer(request: &Request<Incoming>, watched: &Watched) -> Response<String> {
    let (code, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => metrics_of(watched),
        (&Method::GET | &Method::HEAD, "/healthz") => health_of(watched),
        (_, "/metrics" | "/healthz") => (StatusCode::METHOD_NOT_ALLOWED, PLAIN, String::new()),
        _ => (StatusCode::NOT_FOUND, PLAIN, String::new()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// A status, the type of the body, and the body.
type Answer = (StatusCode, &'static str, String);

const PLAIN: &str = "text/plain";

fn metrics_of(watched: &Watched) -> Answer {
    let status = watched.get().map(StatusSource::look).unwrap_or_default();
    (
        StatusCode::OK,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        metrics::text(status),
    )
}

fn health_of(watched: &Watched) -> Answer {
    let (code, state, lag) = match watched.get().map(StatusSource::look) {
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting", 0),
        Some(status) if status.frontier_lag_ms > UNWELL_MS => {
            (StatusCode::SERVICE_UNAVAILABLE, "behind", status.frontier_lag_ms)
        }
        Some(status) => (StatusCode::OK, "running", status.frontier_lag_ms),
    };
    let body = serde_json::json!({ "status": state, "frontier_lag_ms": lag }).to_string();
    (code, "application/json", body)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn clients_that_say_nothing_keep_nobody_from_an_answer() {
        let address = serve("127.0.0.1:0", Watched::default()).unwrap();
        let idle: Vec<TcpStream> = (0..3 * CONNECTIONS)
            .map(|i| {
                let mut stream = TcpStream::connect(address).unwrap();
                if i % 2 == 0 {
                    // the server may have closed it already
                    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:");
                }
                stream
            })
            .collect();
        let answer = ask(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("starting"), "{answer}");
        // the oldest were let go
        let mut oldest = &idle[1];
        assert!(matches!(oldest.read(&mut [0; 1]), Ok(0) | Err(_)));
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("# EOF"), "{answer}");
        assert!(ask(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").contains(" 404 "));
        assert!(ask(address, "PUT /metrics HTTP/1.1\r\nHost: x\r\n\r\n").contains(" 405 "));
        assert!(ask(address, "\0\r\n\r\n").contains(" 400 "));
    }
}
