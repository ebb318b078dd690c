//! `helkflow health`: asks a running helkflow how it is, for container images that have no other program to ask with.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;

use super::Failure;

/// Ask a running helkflow whether it is well
///
/// Exits 0 if GET /healthz at that address says so, and 1 otherwise.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where it serves HTTP
    #[arg(long, value_name = "HOST:PORT", env = "HELKFLOW_HTTP", default_value = "127.0.0.1:8088")]
    http: String,
}

const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks.
pub fn run(args: &HealthArgs) -> Result<(), Failure> {
    // who listens everywhere is found here
    let address = args.http.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    let answer = ask(&address).with_context(|| format!("no answer from {address}"))?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(Failure::Failed(anyhow!("not well: {status}")))
    }
}

fn ask(address: &str) -> anyhow::Result<String> {
    let target = address.to_socket_addrs()?.next().context("no such address")?;
    let mut stream = TcpStream::connect_timeout(&target, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
