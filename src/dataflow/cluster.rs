//! Workers: threads of this process, and other processes over TCP.
//!
//! The connections are made here and handed to timely, because timely's own prints to stdout, waits for ever and takes whoever calls. Here a peer says which process it is, of how many,
//! and what dataflow it runs; one that disagrees is refused, and peers that do not come in time end the run.
//!
//! The connections are plain TCP without authentication: for a private network.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config, Hooks};

/// Which processes and threads run the dataflow.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Worker threads of each process.
    pub threads: usize,
    /// Number of this process.
    pub process: usize,
    /// `host:port` of each process, in order; just one, or none, for a single process.
    pub addresses: Vec<String>,
    /// How long to wait for the others.
    pub connect_timeout: Duration,
}

impl Cluster {
    /// This process alone.
    pub fn local(threads: usize) -> Cluster {
        Cluster { threads, process: 0, addresses: Vec::new(), connect_timeout: Duration::ZERO }
    }

    /// Number of processes.
    pub fn processes(&self) -> usize {
        self.addresses.len().max(1)
    }

    /// Allocators for the workers of this process. `fingerprint` stands for the dataflow; all processes must have the same.
    pub(super) fn connect(
        &self,
        fingerprint: [u8; 32],
    ) -> Result<(Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>), ConnectError> {
        if self.processes() == 1 {
            return Config::Process(self.threads)
                .try_build()
                .map_err(|text| ConnectError::Network(std::io::Error::other(text)));
        }
        let sockets = self.sockets(fingerprint)?;
        let hooks = Hooks::default();
        let inside = ProcessBuilder::new_typed_vector(
            self.threads,
            hooks.refill.clone(),
            hooks.spill.clone(),
        );
        let (builders, guard) =
            initialize_networking_from_sockets(inside, sockets, self.process, self.threads, hooks)
                .map_err(ConnectError::Network)?;
        Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
    }

    /// Dials the processes before this one and is dialled by those after it.
    fn sockets(&self, fingerprint: [u8; 32]) -> Result<Vec<Option<TcpStream>>, ConnectError> {
        let deadline = Instant::now() + self.connect_timeout;
        let own = &self.addresses[self.process];
        let listener = TcpListener::bind(own)
            .map_err(|source| ConnectError::Listen { address: own.clone(), source })?;
        listener.set_nonblocking(true).map_err(ConnectError::Network)?;
        let mut sockets: Vec<Option<TcpStream>> = self.addresses.iter().map(|_| None).collect();
        let hello = |process: usize| Hello {
            process: process as u32,
            processes: self.processes() as u32,
            threads: self.threads as u32,
            fingerprint,
        };
        loop {
            let missing =
                (0..sockets.len()).find(|&peer| peer != self.process && sockets[peer].is_none());
            let Some(missing) = missing else { return Ok(sockets) };
            if Instant::now() >= deadline {
                return Err(ConnectError::Missing {
                    process: missing,
                    address: self.addresses[missing].clone(),
                    waited: self.connect_timeout,
                });
            }
            for (peer, socket) in sockets
                .iter_mut()
                .enumerate()
                .take(self.process)
                .filter(|(_, socket)| socket.is_none())
            {
                if let Some(mut dialled) = dial(&self.addresses[peer])
                    && hello(self.process).send(&mut dialled).is_ok()
                    && let Ok(answer) = Hello::receive(&mut dialled, deadline)
                {
                    answer.check(peer, &hello(peer))?;
                    *socket = Some(ready(dialled)?);
                }
            }
            match listener.accept() {
                Ok((mut socket, _)) => {
                    socket.set_nonblocking(false).map_err(ConnectError::Network)?;
                    // Whoever does not speak our hello is nobody of ours.
                    let Ok(greeting) = Hello::receive(&mut socket, deadline) else { continue };
                    let peer = greeting.process as usize;
                    if hello(self.process).send(&mut socket).is_err()
                        || peer <= self.process
                        || peer >= sockets.len()
                    {
                        continue;
                    }
                    greeting.check(peer, &hello(peer))?;
                    sockets[peer] = Some(ready(socket)?);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                Err(error) => return Err(ConnectError::Network(error)),
            }
        }
    }
}

fn dial(address: &str) -> Option<TcpStream> {
    address
        .to_socket_addrs()
        .ok()?
        .find_map(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok())
}

fn ready(socket: TcpStream) -> Result<TcpStream, ConnectError> {
    socket
        .set_read_timeout(None)
        .and_then(|()| socket.set_nodelay(true))
        .map_err(ConnectError::Network)?;
    Ok(socket)
}

/// What each side says first.
struct Hello {
    process: u32,
    processes: u32,
    threads: u32,
    fingerprint: [u8; 32],
}

impl Hello {
    const MAGIC: [u8; 8] = *b"helkflow";

    fn send(&self, socket: &mut TcpStream) -> std::io::Result<()> {
        let mut bytes = Self::MAGIC.to_vec();
        for number in [self.process, self.processes, self.threads] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.fingerprint);
        socket.write_all(&bytes)
    }

    fn receive(socket: &mut TcpStream, deadline: Instant) -> std::io::Result<Hello> {
        let wait = deadline
            .saturating_duration_since(Instant::now())
            .clamp(Duration::from_millis(1), Duration::from_secs(5));
        socket.set_read_timeout(Some(wait))?;
        let mut bytes = [0; 52];
        socket.read_exact(&mut bytes)?;
        if bytes[..8] != Self::MAGIC {
            return Err(std::io::Error::other("not a helkflow process"));
        }
        let number = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(&bytes[20..]);
        Ok(Hello { process: number(8), processes: number(12), threads: number(16), fingerprint })
    }

    fn check(&self, peer: usize, expected: &Hello) -> Result<(), ConnectError> {
        let what = if (self.process, self.processes) != (expected.process, expected.processes) {
            "another number of processes or another place among them"
        } else if self.threads != expected.threads {
            "another number of workers"
        } else if self.fingerprint != expected.fingerprint {
            "another dataflow or other inputs"
        } else {
            return Ok(());
        };
        Err(ConnectError::Disagrees { process: peer, what })
    }
}

/// Why the processes of a run did not come together.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The own address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A peer did not come in time.
    #[error("process {process} at {address} did not connect within {} s", waited.as_secs_f64())]
    Missing {
        /// Its number.
        process: usize,
        /// Where it should be.
        address: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A peer was started differently.
    #[error("process {process} was started with {what}")]
    Disagrees {
        /// Its number.
        process: usize,
        /// In what.
        what: &'static str,
    },
    /// Anything else.
    #[error("network: {0}")]
    Network(std::io::Error),
}
