//! The manifest: what a checkpoint consists of.
//!
//! A manifest is a line and a JSON text, so that people can read it:
//!
//! ```text
//! helkflow-state 2 8d3f09a2
//! {"sequence":17,"manifest":{"frontier":4210,"offsets":{…},"nodes":[…],"extra":…},"since":{…},"runs":[…],…}
//! ```
//!
//! The line has the version of the format and the CRC-32 of everything else in the file. It keeps its form in all versions and is checked first: what fails the
//! check is damaged, and what passes it with another number was written by another version and is refused, never repaired.
//!
//! Manifests are numbered. `manifest-17` is written under another name, synced and renamed, so it is there as a whole or not at all, and `manifest-16` stays beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Node, StoreError, disk};
use crate::model::Secret;

/// Version of the format of everything in a state directory.
pub const VERSION: u32 = 2;

const MAGIC: &str = "helkflow-state";

/// Extension of a manifest that is being written.
pub(super) const NEW: &str = "new";

/// Where reading goes on: topic → partition → next offset.
pub type Offsets = BTreeMap<String, BTreeMap<i32, i64>>;

/// What the engine says of a checkpoint.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// The state has all ticks before this one and nothing of it or later ones.
    pub frontier: u64,
    /// Where reading goes on at the frontier.
    pub offsets: Offsets,
    /// The nodes that have state. Of others the store forgets everything.
    pub nodes: Vec<NodeName>,
    /// What the digests are made with by which workers share keys.
    pub secret: Secret,
    /// What else the engine keeps.
    #[serde(default)]
    pub extra: serde_json::Value,
}

/// A node and what people call it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeName {
    /// The node.
    pub node: Node,
    /// For people.
    pub name: String,
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.node)
    }
}

/// A manifest and what the store adds to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Number of the checkpoint. Grows, also over damage.
    pub sequence: u64,
    pub manifest: Manifest,
    /// The checkpoint since which a node has been listed without a break. Older runs may have entries from an earlier time, which do not count.
    pub since: BTreeMap<Node, u64>,
    /// From the oldest to the newest.
    pub runs: Vec<RunName>,
}

/// A run as a manifest names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct RunName {
    /// Number of the file.
    pub number: u64,
    /// The last checkpoint whose changes it has.
    pub until: u64,
    /// Length of the file.
    pub bytes: u64,
}

impl Checkpoint {
    pub(super) fn path(dir: &Path, sequence: u64) -> PathBuf {
        dir.join(format!("manifest-{sequence}"))
    }

    /// The number in a manifest's name.
    pub(super) fn sequence_of(name: &str) -> Option<u64> {
        name.strip_prefix("manifest-")?.parse().ok()
    }

    /// Numbers of its runs.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().map(|run| run.number)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = serde_json::to_vec(self).expect("strings, numbers and values are JSON");
        body.push(b'\n');
        let mut bytes =
            format!("{MAGIC} {VERSION} {:08x}\n", checksum(VERSION, &body)).into_bytes();
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads and checks `manifest-<sequence>`.
    pub(super) fn read(dir: &Path, sequence: u64) -> Result<Checkpoint, StoreError> {
        let path = Checkpoint::path(dir, sequence);
        let bytes = disk::read(&path)?;
        let damaged = |byte: usize, problem: &str| StoreError::damaged(&path, byte as u64, problem);
        let end = bytes
            .iter()
            .take(64)
            .position(|byte| *byte == b'\n')
            .ok_or_else(|| damaged(0, "no line of a manifest"))?;
        let (line, body) = (&bytes[..end], &bytes[end + 1..]);
        let mut words =
            line.split(|byte| *byte == b' ').map(|word| str::from_utf8(word).unwrap_or_default());
        let (Some(MAGIC), Some(Ok(version)), Some(Ok(sum)), None) = (
            words.next(),
            words.next().map(str::parse),
            words.next().map(|word| u32::from_str_radix(word, 16)),
            words.next(),
        ) else {
            return Err(damaged(0, "no line of a manifest"));
        };
        if checksum(version, body) != sum {
            return Err(damaged(end + 1, "the checksum does not match"));
        }
        if version != VERSION {
            return Err(StoreError::Version { path, found: version, known: VERSION });
        }
        let read: Checkpoint =
            serde_json::from_slice(body).map_err(|error| damaged(end + 1, &error.to_string()))?;
        if read.sequence != sequence {
            return Err(damaged(end + 1, "the manifest of another checkpoint"));
        }
        Ok(read)
    }
}

fn checksum(version: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}
