//! What keys the digests of rows.
//!
//! Rows hold values that attackers choose, and tables, indexes and workers find rows by digests of them. If anybody could tell which values share a digest, or the worker that owns it, a
//! few thousand chosen values would cost as much as millions of others. So every digest is SipHash 1-3 under a secret that is drawn at random: for each state directory, where digests are durable,
//! else for each run. A single GUID is masked with it instead, which keeps rows of one time together. Processes that run together have the one of process 0.
//!
//! A digest speeds a search and decides nothing, so no output depends on a secret.

use std::fmt;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

/// A key of SipHash. Shows in no log; equal to any other, since things that differ in nothing but their secret mean the same.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Secret([u8; 16]);

impl Secret {
    /// A new one, from the system's source of randomness.
    pub fn random() -> Secret {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has a source of randomness");
        Secret(bytes)
    }

    /// As another process is told it.
    pub const fn from_bytes(bytes: [u8; 16]) -> Secret {
        Secret(bytes)
    }

    /// To tell another process.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Digests what is written to it.
    #[inline]
    pub fn digester(self) -> Digester {
        Digester(SipHasher13::new_with_key(&self.0))
    }

    /// The digest of a value of 128 bits: itself under a mask, so that values that come close to
    /// each other, as the GUIDs of processes do, stay close in an index. Its bits are those of the
    /// value, so whoever needs few of them has to mix all, see `dataflow::index`.
    #[inline]
    pub fn masked(self, bits: u128) -> u128 {
        bits ^ u128::from_be_bytes(self.0)
    }

    /// The digest of bytes.
    #[inline]
    pub fn digest(self, bytes: &[u8]) -> u128 {
        let mut digester = self.digester();
        digester.write(bytes);
        digester.finish()
    }
}

/// Makes one digest.
pub struct Digester(SipHasher13);

impl Digester {
    /// Adds bytes. Where parts follow each other, the length of each must be told, see [`length`](Digester::length).
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// Adds the length of a part.
    #[inline]
    pub fn length(&mut self, length: usize) {
        self.0.write_usize(length);
    }

    /// The digest.
    #[inline]
    pub fn finish(self) -> u128 {
        self.0.finish128().as_u128()
    }
}

impl PartialEq for Secret {
    fn eq(&self, _: &Secret) -> bool {
        true
    }
}

impl Eq for Secret {}

impl std::hash::Hash for Secret {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> String {
        format!("{:032x}", u128::from_be_bytes(secret.0))
    }
}

impl TryFrom<String> for Secret {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Secret, Self::Error> {
        u128::from_str_radix(&text, 16).map(|bits| Secret(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_its_secret_and_its_bytes() {
        let (a, b) = (Secret::random(), Secret::random());
        assert_ne!(a.bytes(), b.bytes());
        assert_eq!(a.digest(b"x"), a.digest(b"x"));
        assert_ne!(a.digest(b"x"), a.digest(b"y"));
        assert_ne!(a.digest(b"x"), b.digest(b"x"));
    }

    #[test]
    fn a_secret_is_stored_whole_and_shown_to_nobody() {
        let secret = Secret::from_bytes(*b"\0\x01fedcba98765432");
        let text = serde_json::to_string(&secret).unwrap();
        let read: Secret = serde_json::from_str(&text).unwrap();
        assert_eq!(read.bytes(), secret.bytes());
        assert!(!format!("{secret:?}").contains("01"));
    }
}
