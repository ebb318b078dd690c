//! An endpoint that gives tokens to who knows a secret (RFC 6749, client credentials), as an identity provider has it. Its tokens are not signed (RFC 7519, 6), which Kafka takes if nothing else is configured.
#![allow(dead_code)] // each test binary uses a part of it

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use helkflow::model::base64;

/// How all of its tokens begin.
pub const BEGIN: &str = "eyJhbGciOiJub25lIn0.";

/// What an endpoint does.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens, on this machine.
    pub port: u16,
    pub client: &'static str,
    pub secret: &'static str,
    /// How long tokens are good.
    pub lifetime: Duration,
}

/// An endpoint, gone when it is dropped.
pub struct Endpoint {
    given: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    pub fn start(settings: Settings) -> Endpoint {
        let listener = TcpListener::bind(("127.0.0.1", settings.port)).unwrap();
        let (given, ends, port) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default(), settings.port);
        let thread = std::thread::spawn({
            let (given, ends) = (Arc::clone(&given), Arc::clone(&ends));
            move || {
                for caller in listener.incoming() {
                    if ends.load(Ordering::Acquire) {
                        break;
                    }
                    // a caller that is gone is not our business
                    if let Ok(true) = caller.and_then(|caller| answer(&caller, &settings)) {
                        given.fetch_add(1, Ordering::Release);
                    }
                }
            }
        });
        Endpoint { given, ends, port, thread: Some(thread) }
    }

    /// How many tokens it has given.
    pub fn given(&self) -> usize {
        self.given.load(Ordering::Acquire)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// True when it was a token.
fn answer(caller: &TcpStream, settings: &Settings) -> std::io::Result<bool> {
    let mut reader = BufReader::new(caller);
    let (mut length, mut is_known) = (0, false);
    let basic = format!(
        "Basic {}",
        base64::encode(format!("{}:{}", settings.client, settings.secret).as_bytes())
    );
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            None if line.trim_end().is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or(0)
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                is_known = value == basic
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let form = String::from_utf8_lossy(&body);
    let scope = form.split('&').find_map(|field| field.strip_prefix("scope=")).unwrap_or_default();
    let (status, answer) = if is_known {
        let token = token(settings, scope);
        let json = format!(
            "{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":{}}}",
            settings.lifetime.as_secs()
        );
        ("200 OK", json)
    } else {
        ("401 Unauthorized", "{\"error\":\"invalid_client\"}".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    let mut writer = caller;
    writer.write_all((head + &answer).as_bytes())?;
    Ok(is_known)
}

fn token(settings: &Settings, scope: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let payload = serde_json::json!({
        "sub": settings.client, "scope": scope, "iat": now.as_secs_f64(), "exp": (now + settings.lifetime).as_secs_f64(),
    });
    let token = format!(
        "{}.{}.",
        for_urls(b"{\"alg\":\"none\"}"),
        for_urls(payload.to_string().as_bytes())
    );
    assert!(token.starts_with(BEGIN), "{token}");
    token
}

/// As tokens have it (RFC 7515, 2): with other last digits, and without padding.
fn for_urls(bytes: &[u8]) -> String {
    base64::encode(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}
