//! Workers: threads of this process, and other processes over TCP.
//!
//! The connections are made here and handed to timely, because timely's own prints to stdout, waits for ever and takes whoever calls. Here a peer says which process it is, of how many,
//! and what dataflow it runs; one that disagrees is refused, and peers that do not come in time end the run.
//!
//! The connections are plain TCP without authentication: for a private network.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config, Hooks};

use crate::model::Secret;

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

/// The allocators of a process's workers, what keeps its connections, and the common secret.
type Connected = (Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>, Secret);

impl Cluster {
    /// This process alone.
    pub fn local(threads: usize) -> Cluster {
        Cluster { threads, process: 0, addresses: Vec::new(), connect_timeout: Duration::ZERO }
    }

    /// Number of processes.
    pub fn processes(&self) -> usize {
        self.addresses.len().max(1)
    }

    /// Allocators for the workers of this process, and the secret of process 0, which is `secret` if that is this one. `fingerprint` stands for the dataflow; all processes must have the same.
    pub(super) fn connect(
        &self,
        fingerprint: [u8; 32],
        secret: Secret,
    ) -> Result<Connected, ConnectError> {
        if self.processes() == 1 {
            return Config::Process(self.threads)
                .try_build()
                .map(|(builders, guard)| (builders, guard, secret))
                .map_err(|text| ConnectError::Network(std::io::Error::other(text)));
        }
        let (sockets, secret) = self.sockets(fingerprint, secret)?;
        let hooks = Hooks::default();
        let inside = ProcessBuilder::new_typed_vector(
            self.threads,
            hooks.refill.clone(),
            hooks.spill.clone(),
        );
        let (builders, guard) =
            initialize_networking_from_sockets(inside, sockets, self.process, self.threads, hooks)
                .map_err(ConnectError::Network)?;
        let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
        Ok((builders, Box::new(guard), secret))
    }

    /// Dials the processes before this one and is dialled by those after it, all of them side by side: a connection that is silent or sends no valid hello delays no other.
    fn sockets(
        &self,
        fingerprint: [u8; 32],
        secret: Secret,
    ) -> Result<(Vec<Option<TcpStream>>, Secret), ConnectError> {
        let deadline = Instant::now() + self.connect_timeout;
        let own = &self.addresses[self.process];
        let listener = TcpListener::bind(own)
            .map_err(|source| ConnectError::Listen { address: own.clone(), source })?;
        listener.set_nonblocking(true).map_err(ConnectError::Network)?;
        let hello = |process: usize| Hello {
            process: process as u32,
            processes: self.processes() as u32,
            threads: self.threads as u32,
            fingerprint,
        };
        let (greeted, greetings) = mpsc::channel();
        for peer in 0..self.process {
            let (address, own) = (self.addresses[peer].clone(), hello(self.process));
            let greeted = greeted.clone();
            // ends with its first answer, with the time-out, or when nobody waits any more
            std::thread::spawn(move || {
                while Instant::now() < deadline {
                    if let Some(answer) = greet(&address, &own, peer == 0) {
                        let _ = greeted.send((peer, answer));
                        return;
                    }
                    std::thread::sleep(REDIAL);
                }
            });
        }
        let mut sockets: Vec<Option<TcpStream>> = self.addresses.iter().map(|_| None).collect();
        let mut secret = secret;
        let mut callers: VecDeque<Caller> = VecDeque::new();
        loop {
            let missing =
                (0..sockets.len()).find(|&peer| peer != self.process && sockets[peer].is_none());
            let Some(missing) = missing else { return Ok((sockets, secret)) };
            if Instant::now() >= deadline {
                return Err(ConnectError::Missing {
                    process: missing,
                    address: self.addresses[missing].clone(),
                    waited: self.connect_timeout,
                });
            }
            while let Ok((peer, (socket, answer, told))) = greetings.try_recv() {
                answer.check(peer, &hello(peer))?;
                secret = told.unwrap_or(secret);
                sockets[peer] = Some(ready(socket)?);
            }
            // An error of accepting is of one caller, or passes: the deadline ends it if nothing else does.
            while let Ok((socket, _)) = listener.accept() {
                if socket.set_nonblocking(true).is_ok() {
                    callers.push_back(Caller::new(socket));
                }
                if callers.len() > CALLERS {
                    callers.pop_front();
                }
            }
            callers.retain(|caller| caller.since.elapsed() < HANDSHAKE);
            for mut caller in std::mem::take(&mut callers) {
                let greeting = match caller.listen() {
                    Ok(Some(greeting)) => greeting,
                    Ok(None) => {
                        callers.push_back(caller);
                        continue;
                    }
                    // A peer whose hello is not valid is not a process of this run.
                    Err(_) => continue,
                };
                let (peer, mut socket) = (greeting.process as usize, caller.socket);
                if peer <= self.process || peer >= sockets.len() {
                    continue;
                }
                socket.set_nonblocking(false).map_err(ConnectError::Network)?;
                if hello(self.process).send(&mut socket).is_err() {
                    continue;
                }
                greeting.check(peer, &hello(peer))?;
                // it has shown that it runs this dataflow
                if self.process == 0 && socket.write_all(&secret.bytes()).is_err() {
                    continue;
                }
                sockets[peer] = Some(ready(socket)?);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How many who have called may not have said yet who they are; the one that has been silent for longest is let go for the next.
const CALLERS: usize = 256;
/// How long until a process that did not answer is dialled again.
const REDIAL: Duration = Duration::from_millis(100);
/// How long to wait before looking again who has come.
const PAUSE: Duration = Duration::from_millis(5);

/// A connection that has not sent its hello yet.
struct Caller {
    socket: TcpStream,
    since: Instant,
    said: Vec<u8>,
}

impl Caller {
    fn new(socket: TcpStream) -> Caller {
        Caller { socket, since: Instant::now(), said: Vec::new() }
    }

    /// What it has said, once that is all. An error when it is no hello, or when it has gone.
    fn listen(&mut self) -> std::io::Result<Option<Hello>> {
        while self.said.len() < Hello::BYTES {
            let mut bytes = [0; Hello::BYTES];
            let room = Hello::BYTES - self.said.len();
            match self.socket.read(&mut bytes[..room]) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.said.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Hello::parse(&self.said).map(Some)
    }
}

/// Dials a process and exchanges hellos with it. The first process has a secret to tell, once it has heard that we run the same; when it does not tell, we do not, and its hello says so.
fn greet(address: &str, own: &Hello, is_first: bool) -> Option<(TcpStream, Hello, Option<Secret>)> {
    let mut socket = address
        .to_socket_addrs()
        .ok()?
        .find_map(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok())?;
    own.send(&mut socket).ok()?;
    socket.set_read_timeout(Some(HANDSHAKE)).ok()?;
    let mut bytes = [0; Hello::BYTES];
    socket.read_exact(&mut bytes).ok()?;
    let hello = Hello::parse(&bytes).ok()?;
    let mut secret = [0; 16];
    let agrees = hello.fingerprint == own.fingerprint;
    if is_first && agrees {
        socket.read_exact(&mut secret).ok()?;
    }
    Some((socket, hello, (is_first && agrees).then(|| Secret::from_bytes(secret))))
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
    /// Length of all that is said.
    const BYTES: usize = 52;

    fn send(&self, socket: &mut TcpStream) -> std::io::Result<()> {
        let mut bytes = Self::MAGIC.to_vec();
        for number in [self.process, self.processes, self.threads] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.fingerprint);
        socket.write_all(&bytes)
    }

    /// Reads what [`send`](Hello::send) wrote.
    fn parse(bytes: &[u8]) -> std::io::Result<Hello> {
        let Some(rest) = bytes.strip_prefix(&Self::MAGIC).filter(|_| bytes.len() == Self::BYTES)
        else {
            return Err(std::io::Error::other("not a helkflow process"));
        };
        let number =
            |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().expect("four bytes"));
        Ok(Hello {
            process: number(0),
            processes: number(4),
            threads: number(8),
            fingerprint: rest[12..].try_into().expect("32 bytes"),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections to an address that say the given bytes and then nothing, once somebody listens there.
    fn strangers(address: &str, said: &[&[u8]]) -> Vec<TcpStream> {
        let connect = |said: &&[u8]| {
            let mut socket = loop {
                match TcpStream::connect(address) {
                    Ok(socket) => break socket,
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            socket.write_all(said).unwrap();
            socket
        };
        said.iter().map(connect).collect()
    }

    #[test]
    fn strangers_do_not_keep_processes_apart() {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let addresses: Vec<String> = (0..3).map(|_| free()).collect();
        let start = |process: usize| {
            let cluster = Cluster {
                threads: 1,
                process,
                addresses: addresses.clone(),
                // a handshake that waits for a stranger to speak takes longer
                connect_timeout: HANDSHAKE.checked_sub(Duration::from_secs(1)).unwrap(),
            };
            std::thread::spawn(move || cluster.sockets([7; 32], Secret::random()))
        };
        let mut others = vec![start(0)];
        let said: [&[u8]; 5] = [b"", b"helkflow", b"GET / HTTP/1.1\r\n\r\n", &[0; 500], b""];
        let many = vec![&b""[..]; CALLERS + 10];
        let mut silent = strangers(&addresses[0], &said);
        silent.extend(strangers(&addresses[0], &many));
        others.push(start(1));
        silent.extend(strangers(&addresses[1], &said));
        others.push(start(2));
        let ends: Vec<_> =
            others.into_iter().map(|other| other.join().unwrap().expect("they meet")).collect();
        for (process, (sockets, secret)) in ends.iter().enumerate() {
            let met: Vec<usize> = (0..3).filter(|&peer| sockets[peer].is_some()).collect();
            assert_eq!(met, (0..3).filter(|&peer| peer != process).collect::<Vec<_>>());
            assert_eq!(secret.bytes(), ends[0].1.bytes());
        }
    }

    #[test]
    fn a_process_of_another_dataflow_is_refused() {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let addresses = vec![free(), free()];
        let start = |process: usize, fingerprint| {
            let cluster = Cluster {
                threads: 1,
                process,
                addresses: addresses.clone(),
                connect_timeout: Duration::from_secs(10),
            };
            std::thread::spawn(move || cluster.sockets(fingerprint, Secret::random()))
        };
        let ends = [start(0, [0; 32]), start(1, [1; 32])];
        for end in ends {
            let error = end.join().unwrap().expect_err("they disagree");
            assert!(error.to_string().contains("another dataflow"), "{error}");
        }
    }
}
