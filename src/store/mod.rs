//! The durable state of a live run.
//!
//! A run reads Kafka partitions in *ticks*. Its stateful nodes put every change of their key-value state into [`Changes`]; every second or so a *checkpoint* makes all changes
//! of ticks before a frontier durable, and its *manifest* says so. After a crash the run [`load`](Snapshot::load)s the entries of each node, reopens its inputs at the offsets of the frontier,
//! and reads again what came after it, cut into the same ticks, which it knows from the [`Bindings`].
//!
//! ```text
//! DIR/lock                  held by the process that has the store open; its number
//! DIR/manifest-17           the current checkpoint: frontier, offsets, nodes, and the runs that make it up
//! DIR/manifest-16           the one before
//! DIR/runs/23.run           changes of one checkpoint, or a merge of several, sorted                     (`run`)
//! DIR/bindings/0-4.open     tick → offsets, as one worker has it; being written                          (`bindings`)
//! DIR/bindings/0-3.sealed   the same, complete
//! ```
//!
//! # Checkpoints
//! Runs never change. A checkpoint writes its changes as one new run, syncs it, then writes and renames the manifest that names it: whatever is cut off in between, the manifest that stood before still
//! names files that are all there. Only then are files deleted that neither of the two manifests names.
//!
//! An entry's value is that of the newest run that has its key. A background thread merges neighbouring runs (`compaction`), and the next manifest after its end names the merged run in their
//! place; no checkpoint waits for it. Runs stay few, logarithmically in the size of the state, and what is superseded or deleted stays below the size of what is not.
//!
//! # Damage
//! Every block, footer, manifest and binding has a checksum, which covers where it belongs, so that neither a flipped bit nor a file in the place of another is taken for state. [`Store::open`] reads through everything that the current manifest names. If something of it is
//! damaged, the checkpoint before is the current one again, which is sound as long as the bindings since *its* frontier are there: [`Store::bindings_from`] says which may be forgotten. With both
//! damaged there is [`StoreError::Lost`], and never a part of the state.
//! What no checksum can tell is that the end of the newest bindings is missing, since that is how a crash leaves them. Whoever knows that a tick's results were published knows that its bindings were durable.
//!
//! # Nodes
//! A [`Node`] is known by what it computes, so state outlives a change of the script as far as the nodes stay. One that a manifest no longer lists is forgotten: merges drop its entries, and when it is
//! listed again, it begins with nothing.

mod bindings;
mod changes;
mod compaction;
mod disk;
mod error;
mod inspect;
mod manifest;
mod merge;
mod run;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use bindings::{Bindings, Writer};
pub use changes::Changes;
pub use error::StoreError;
pub use inspect::{Inspection, inspect};
pub use manifest::{Manifest, NodeName, Offsets, VERSION};
pub use merge::{Entries, Entry};

/// Identity of an operator over restarts: a hash of the part of the plan that it computes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Node(pub u64);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// In JSON, where many readers would round a number.
impl From<Node> for String {
    fn from(node: Node) -> String {
        node.to_string()
    }
}

impl TryFrom<String> for Node {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Node, Self::Error> {
        u64::from_str_radix(&text, 16).map(Node)
    }
}

/// A state directory, open for writing.
pub struct Store {}

/// The state as of a checkpoint. Stays readable while later checkpoints are made; cheap to clone and to send.
#[derive(Clone)]
pub struct Snapshot {}

/// What a checkpoint wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckpointInfo {
    /// Number of the checkpoint.
    pub sequence: u64,
    /// Entries written: one for each changed key.
    pub entries: u64,
    /// Bytes written into the run.
    pub bytes: u64,
}

/// What is on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Runs of the current checkpoint.
    pub runs: usize,
    /// Their entries, superseded ones and deletions included.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Opens the state in `dir`, which is created if need be, for this process alone. `reset` deletes what is there.
    ///
    /// Reads through the current checkpoint. When it is damaged, the one before is opened and the damage is in [`Store::damage`].
    pub fn open(dir: &Path, reset: bool) -> Result<Store, StoreError> {
        todo!("{dir:?} {reset}")
    }

    /// The current checkpoint; None before the first one.
    pub fn manifest(&self) -> Option<&Manifest> {
        todo!()
    }

    /// Why the last checkpoint could not be opened, when an earlier one was opened in its place.
    pub fn damage(&self) -> &[StoreError] {
        todo!()
    }

    /// The state of the current checkpoint.
    pub fn snapshot(&self) -> Snapshot {
        todo!()
    }

    /// The bindings in this directory.
    pub fn bindings(&self) -> Bindings {
        todo!()
    }

    /// Bindings of ticks before this one are of no more use; all others are: they lead from the checkpoint before the current one to now.
    pub fn bindings_from(&self) -> u64 {
        todo!()
    }

    /// Makes `changes` durable and `manifest` the current one.
    ///
    /// All changes are of ticks before the manifest's frontier and of nodes that it lists, and the frontier never goes back. After an error the checkpoint before is still the current one; the call may be repeated.
    pub fn checkpoint(&mut self, manifest: Manifest, changes: &[Changes]) -> Result<CheckpointInfo, StoreError> {
        todo!("{manifest:?} {changes:?}")
    }

    /// What is on disk.
    pub fn stats(&self) -> Stats {
        todo!()
    }
}

impl Snapshot {
    /// The entries of `node` by (place, key). None for a node that the checkpoint does not list.
    ///
    /// Each call reads on its own, so several threads can read at once.
    pub fn load(&self, node: Node) -> Entries {
        todo!("{node}")
    }
}
