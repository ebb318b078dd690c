//! The durable state of a live run.
//!
//! A run reads Kafka partitions in *ticks*. Its stateful nodes put every change of their key-value state into [`Changes`]; every second or so a *checkpoint* makes all changes
//! of ticks before a frontier durable, and its *manifest* says so. After a crash the run [`load`](Snapshot::load)s the entries of each node, reopens its inputs at the offsets of the frontier,
//! and reads again what came after it, cut into the same ticks, which it knows from the [`Bindings`].
//!
//! ```text
//! DIR/lock                  held by the process that has the store open; its number
//! DIR/reset                 there while a reset goes on
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
mod recovery;
mod run;
mod snapshot;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fail::fail_point;
use serde::{Deserialize, Serialize};

use compaction::{Compaction, Size};
use manifest::Checkpoint;
use recovery::Found;
use run::{Run, RunWriter};

pub use bindings::{Bindings, Writer};
pub use changes::Changes;
pub use error::StoreError;
pub use inspect::{Inspection, inspect};
pub use manifest::{Manifest, NodeName, Offsets, VERSION};
pub use merge::{Entries, Entry};
pub use snapshot::Snapshot;

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
pub struct Store {
    dir: PathBuf,
    /// Held until the store is dropped.
    _lock: File,
    current: Option<Checkpoint>,
    previous: Option<Checkpoint>,
    /// What `current` has, or the same entries in fewer runs.
    snapshot: Snapshot,
    damage: Vec<StoreError>,
    /// Number of the next checkpoint.
    sequence: u64,
    /// Number of the next run.
    number: u64,
    compaction: Option<Compaction>,
    /// No merge begins before this checkpoint, since the last one failed.
    compact_from: u64,
    bindings: Bindings,
}

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

/// After a merge has failed, so many checkpoints go by before the next.
const COMPACTION_PAUSE: u64 = 60;

impl Store {
    /// Opens the state in `dir`, which is created if need be, for this process alone. `reset` deletes what is there.
    ///
    /// Reads through the current checkpoint. When it is damaged, the one before is opened and the damage is in [`Store::damage`].
    pub fn open(dir: &Path, reset: bool) -> Result<Store, StoreError> {
        disk::create_dir(dir)?;
        let lock = recovery::lock(dir)?;
        recovery::reset(dir, reset)?;
        disk::create_dir(&run::folder(dir))?;
        let found = Found::read(dir)?;
        for damage in &found.damage {
            tracing::warn!(%damage, "the last checkpoint is damaged; the one before it is opened");
        }
        for damage in &found.older_damage {
            tracing::warn!(%damage, "an earlier checkpoint is damaged; there may be none to go back to");
        }
        let bindings = Bindings::open(dir).map_err(StoreError::lost)?;
        // else the folders themselves might be gone after a power cut
        disk::sync_dir(dir)?;
        let sequence = 1 + found.sequences.last().copied().unwrap_or_default();
        let number = 1 + recovery::sweep(dir, &found)?;
        let Found { current, previous, snapshot, damage, .. } = found;
        Ok(Store {
            dir: dir.to_owned(),
            _lock: lock,
            current,
            previous,
            snapshot,
            damage,
            sequence,
            number,
            compaction: None,
            compact_from: 0,
            bindings,
        })
    }

    /// The current checkpoint; None before the first one.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.current.as_ref().map(|checkpoint| &checkpoint.manifest)
    }

    /// Why the last checkpoint could not be opened, when an earlier one was opened in its place.
    pub fn damage(&self) -> &[StoreError] {
        &self.damage
    }

    /// The state of the current checkpoint.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    /// The bindings in this directory.
    pub fn bindings(&self) -> Bindings {
        self.bindings.clone()
    }

    /// Bindings of ticks before this one are of no more use; all others are: they lead from the checkpoint before the current one to now.
    pub fn bindings_from(&self) -> u64 {
        self.previous
            .as_ref()
            .or(self.current.as_ref())
            .map_or(0, |checkpoint| checkpoint.manifest.frontier)
    }

    /// Makes `changes` durable and `manifest` the current one.
    ///
    /// All changes are of ticks before the manifest's frontier and of nodes that it lists, and the frontier never goes back. After an error the checkpoint before is still the current one; the call may be repeated.
    pub fn checkpoint(
        &mut self,
        manifest: Manifest,
        changes: &[Changes],
    ) -> Result<CheckpointInfo, StoreError> {
        assert!(
            self.manifest().is_none_or(|current| current.frontier <= manifest.frontier),
            "the frontier never goes back"
        );
        assert!(
            changes.iter().all(|part| part.last_tick().is_none_or(|tick| tick < manifest.frontier)),
            "changes are of ticks before the frontier"
        );
        self.take_merged();
        let sequence = self.sequence;
        self.sequence += 1;
        let listed = manifest.nodes.iter().map(|named| named.node);
        let since: BTreeMap<Node, u64> = listed
            .map(|node| (node, self.snapshot.since.get(&node).copied().unwrap_or(sequence)))
            .collect();
        let run = self.write_run(sequence, &since, changes)?;
        let info = CheckpointInfo {
            sequence,
            entries: run.as_ref().map_or(0, |run| run.entries()),
            bytes: run.as_ref().map_or(0, |run| run.name.bytes),
        };
        let snapshot = Snapshot {
            runs: self.snapshot.runs.iter().cloned().chain(run).collect(),
            since: Arc::new(since),
        };
        let runs = snapshot.runs.iter().map(|run| run.name).collect();
        let checkpoint =
            Checkpoint { sequence, manifest, since: BTreeMap::clone(&snapshot.since), runs };
        self.write_manifest(&checkpoint)?;
        self.snapshot = snapshot;
        let before = std::mem::replace(&mut self.previous, self.current.replace(checkpoint));
        if let Some(before) = before {
            self.delete_old(&before);
        }
        fail_point!("store-old-deleted");
        self.compact();
        Ok(info)
    }

    /// What is on disk.
    pub fn stats(&self) -> Stats {
        let runs = &self.snapshot.runs;
        Stats {
            runs: runs.len(),
            entries: runs.iter().map(|run| run.entries()).sum(),
            bytes: runs.iter().map(|run| run.name.bytes).sum(),
        }
    }

    /// Writes the changes of a checkpoint, if there are any.
    fn write_run(
        &mut self,
        sequence: u64,
        since: &BTreeMap<Node, u64>,
        changes: &[Changes],
    ) -> Result<Option<Arc<Run>>, StoreError> {
        if changes.iter().all(Changes::is_empty) {
            return Ok(None);
        }
        let number = self.number;
        self.number += 1;
        let mut writer = RunWriter::create(&self.dir, number)?;
        for put in changes::sorted(changes) {
            assert!(since.contains_key(&put.node), "a node with state is in the manifest");
            writer.put(&put)?;
        }
        let run = writer.finish(sequence)?;
        fail_point!("store-run-written");
        run.sync()?;
        disk::sync_dir(&run::folder(&self.dir))?;
        fail_point!("store-run-synced");
        Ok(Some(Arc::new(run)))
    }

    fn write_manifest(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let path = Checkpoint::path(&self.dir, checkpoint.sequence);
        let new = path.with_extension(manifest::NEW);
        disk::write_synced(&new, &checkpoint.encode())?;
        fail_point!("store-manifest-written");
        fs::rename(&new, &path).map_err(StoreError::io("rename", &new))?;
        fail_point!("store-manifest-renamed");
        disk::sync_dir(&self.dir)
    }

    /// Deletes a manifest and the runs that only it names. One that cannot be deleted is found again at the next start.
    fn delete_old(&self, old: &Checkpoint) {
        let kept: BTreeSet<u64> = [&self.current, &self.previous]
            .into_iter()
            .flatten()
            .flat_map(Checkpoint::numbers)
            .collect();
        let manifest = Checkpoint::path(&self.dir, old.sequence);
        let runs = old
            .numbers()
            .filter(|number| !kept.contains(number))
            .map(|number| run::path(&self.dir, number));
        for path in std::iter::once(manifest).chain(runs) {
            if let Err(error) = disk::remove(&path) {
                tracing::warn!(%error, "an old file of the state stays");
            }
        }
    }

    /// Puts a merged run in the place of what it was merged from. The next manifest names it.
    fn take_merged(&mut self) {
        let Some(compaction) = self.compaction.take_if(|compaction| compaction.is_finished())
        else {
            return;
        };
        let inputs = compaction.inputs.clone();
        match compaction.join() {
            Ok(merged) => {
                let mut runs = self.snapshot.runs.to_vec();
                let start = runs
                    .iter()
                    .position(|run| run.name.number == inputs[0])
                    .expect("runs leave only here");
                runs.splice(start..start + inputs.len(), merged.map(Arc::new));
                self.snapshot.runs = runs.into();
            }
            Err(error) => {
                tracing::error!(%error, "the state could not be compacted");
                self.compact_from = self.sequence + COMPACTION_PAUSE;
            }
        }
    }

    /// Begins a merge if one is due.
    fn compact(&mut self) {
        if self.compaction.is_some() || self.sequence < self.compact_from {
            return;
        }
        let sizes: Vec<Size> =
            self.snapshot.runs.iter().map(|run| self.snapshot.size(run)).collect();
        let Some(chosen) = compaction::choose(&sizes) else { return };
        let inputs = Snapshot {
            runs: self.snapshot.runs[chosen.clone()].into(),
            since: self.snapshot.since.clone(),
        };
        let number = self.number;
        self.number += 1;
        match Compaction::start(&self.dir, number, inputs, chosen.start == 0) {
            Ok(compaction) => self.compaction = Some(compaction),
            Err(error) => tracing::error!(%error, "the state could not be compacted"),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // its file would come when another process has the lock
        if let Some(compaction) = self.compaction.take() {
            compaction.cancel();
        }
    }
}
