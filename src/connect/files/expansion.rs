//! A limit on what an input unpacks to, so that a small file cannot take all memory and time.
//!
//! All levels of containers count together. The limit is a size, or a number of times what was
//! read of the input if that is more: a large archive of logs may unpack to much more than a
//! small one.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

use super::dispenser::RATIO;

/// How much has been read and unpacked of an input.
pub(super) struct Expansion {
    limit: u64,
    read: Cell<u64>,
    unpacked: Cell<u64>,
    exceeded: Cell<bool>,
}

impl Expansion {
    /// With this limit in bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, read: Cell::new(0), unpacked: Cell::new(0), exceeded: Cell::new(false) }
    }

    /// Bytes of the input that have been read.
    pub fn read(&self) -> u64 {
        self.read.get()
    }

    /// So many more bytes of the input have been read.
    pub fn add_read(&self, bytes: u64) {
        self.read.set(self.read.get() + bytes);
    }

    /// Whether the limit was hit; nothing more is unpacked.
    pub fn exceeded(&self) -> bool {
        self.exceeded.get()
    }

    fn add(&self, bytes: usize) -> io::Result<()> {
        self.unpacked.set(self.unpacked.get() + bytes as u64);
        if self.unpacked.get() > self.limit.max(RATIO.saturating_mul(self.read())) {
            self.exceeded.set(true);
        }
        if self.exceeded() {
            return Err(io::Error::other(self.to_string()));
        }
        Ok(())
    }
}

impl fmt::Display for Expansion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, read, .. } = self;
        let read = read.get();
        write!(
            f,
            "{read} bytes unpack to more than {limit}, and to more than {RATIO} times as many: \
             raise --max-unpacked if it is to be trusted"
        )
    }
}

/// Counts what is read of an input.
pub(super) struct Metered<R> {
    inner: R,
    expansion: Rc<Expansion>,
}

impl<R: Read> Metered<R> {
    /// Counts what is read of `inner`.
    pub fn new(inner: R, expansion: Rc<Expansion>) -> Self {
        Self { inner, expansion }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.expansion.add_read(n as u64);
        Ok(n)
    }
}

/// Counts what is unpacked, and fails when that is too much.
pub(super) struct Limited<R> {
    inner: R,
    expansion: Rc<Expansion>,
}

impl<R: Read> Limited<R> {
    /// Limits what `inner` unpacks to.
    pub fn new(inner: R, expansion: Rc<Expansion>) -> Self {
        Self { inner, expansion }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.expansion.add(n)?;
        Ok(n)
    }
}

/// Limits what is read while headers are read, which are held in memory.
pub(super) struct Headers {
    limit: u64,
    left: Cell<Option<u64>>,
}

impl Headers {
    /// Each of at most so many bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, left: Cell::new(None) }
    }

    /// A header begins.
    pub fn begin(&self) {
        self.left.set(Some(self.limit));
    }

    /// It has ended.
    pub fn end(&self) {
        self.left.set(None);
    }

    /// A reader that fails when a header is too long.
    pub fn guard<R: Read>(&self, inner: R) -> impl Read {
        Guard { inner, headers: self }
    }
}

struct Guard<'a, R> {
    inner: R,
    headers: &'a Headers,
}

impl<R: Read> Read for Guard<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        if let Some(left) = self.headers.left.get() {
            let left = left.checked_sub(n as u64).ok_or_else(|| {
                let text =
                    format!("the header of a file is longer than {} bytes", self.headers.limit);
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            self.headers.left.set(Some(left));
        }
        Ok(n)
    }
}
