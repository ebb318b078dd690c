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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fail::fail_point;
use serde::{Deserialize, Serialize};

use compaction::{Compaction, Size};
use manifest::Checkpoint;
use merge::Merge;
use run::{Run, RunWriter, Section};

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

/// The state as of a checkpoint. Stays readable while later checkpoints are made; cheap to clone and to send.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// From the oldest to the newest.
    runs: Arc<[Arc<Run>]>,
    /// The nodes that are listed, each with the checkpoint since which it has been.
    since: Arc<BTreeMap<Node, u64>>,
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
        let lock = lock(dir)?;
        disk::create_dir(&run::folder(dir))?;
        if reset {
            delete(dir)?;
        }
        let found = Found::read(dir)?;
        for damage in &found.damage {
            tracing::warn!(%damage, "the last checkpoint is damaged; the one before it is opened");
        }
        for damage in &found.older_damage {
            tracing::warn!(%damage, "an earlier checkpoint is damaged; there may be none to go back to");
        }
        let bindings = Bindings::open(dir).map_err(StoreError::lost)?;
        let sequence = 1 + found.sequences.last().copied().unwrap_or_default();
        let number = 1 + sweep(dir, &found)?;
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
        self.previous.as_ref().or(self.current.as_ref()).map_or(0, |checkpoint| checkpoint.manifest.frontier)
    }

    /// Makes `changes` durable and `manifest` the current one.
    ///
    /// All changes are of ticks before the manifest's frontier and of nodes that it lists, and the frontier never goes back. After an error the checkpoint before is still the current one; the call may be repeated.
    pub fn checkpoint(&mut self, manifest: Manifest, changes: &[Changes]) -> Result<CheckpointInfo, StoreError> {
        assert!(self.manifest().is_none_or(|current| current.frontier <= manifest.frontier), "the frontier never goes back");
        assert!(
            changes.iter().all(|part| part.last_tick().is_none_or(|tick| tick < manifest.frontier)),
            "changes are of ticks before the frontier"
        );
        self.take_merged();
        let sequence = self.sequence;
        self.sequence += 1;
        let listed = manifest.nodes.iter().map(|named| named.node);
        let since: BTreeMap<Node, u64> = listed.map(|node| (node, self.snapshot.since.get(&node).copied().unwrap_or(sequence))).collect();
        let run = self.write_run(sequence, &since, changes)?;
        let info = CheckpointInfo {
            sequence,
            entries: run.as_ref().map_or(0, |run| run.entries()),
            bytes: run.as_ref().map_or(0, |run| run.name.bytes),
        };
        let snapshot = Snapshot { runs: self.snapshot.runs.iter().cloned().chain(run).collect(), since: Arc::new(since) };
        let runs = snapshot.runs.iter().map(|run| run.name).collect();
        let checkpoint = Checkpoint { sequence, manifest, since: BTreeMap::clone(&snapshot.since), runs };
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
        Stats { runs: runs.len(), entries: runs.iter().map(|run| run.entries()).sum(), bytes: runs.iter().map(|run| run.name.bytes).sum() }
    }

    /// Writes the changes of a checkpoint, if there are any.
    fn write_run(&mut self, sequence: u64, since: &BTreeMap<Node, u64>, changes: &[Changes]) -> Result<Option<Arc<Run>>, StoreError> {
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
        let new = path.with_extension(NEW);
        disk::write_synced(&new, &checkpoint.encode())?;
        fail_point!("store-manifest-written");
        fs::rename(&new, &path).map_err(StoreError::io("rename", &new))?;
        fail_point!("store-manifest-renamed");
        disk::sync_dir(&self.dir)
    }

    /// Deletes a manifest and the runs that only it names. One that cannot be deleted is found again at the next start.
    fn delete_old(&self, old: &Checkpoint) {
        let kept: BTreeSet<u64> = [&self.current, &self.previous].into_iter().flatten().flat_map(Checkpoint::numbers).collect();
        let manifest = Checkpoint::path(&self.dir, old.sequence);
        let runs = old.numbers().filter(|number| !kept.contains(number)).map(|number| run::path(&self.dir, number));
        for path in std::iter::once(manifest).chain(runs) {
            if let Err(error) = disk::remove(&path) {
                tracing::warn!(%error, "an old file of the state stays");
            }
        }
    }

    /// Puts a merged run in the place of what it was merged from. The next manifest names it.
    fn take_merged(&mut self) {
        let Some(compaction) = self.compaction.take_if(|compaction| compaction.is_finished()) else { return };
        let inputs = compaction.inputs.clone();
        match compaction.join() {
            Ok(merged) => {
                let mut runs = self.snapshot.runs.to_vec();
                let start = runs.iter().position(|run| run.name.number == inputs[0]).expect("runs leave only here");
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
        let sizes: Vec<Size> = self.snapshot.runs.iter().map(|run| self.snapshot.size(run)).collect();
        let Some(chosen) = compaction::choose(&sizes) else { return };
        let inputs = Snapshot { runs: self.snapshot.runs[chosen.clone()].into(), since: self.snapshot.since.clone() };
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

impl Snapshot {
    /// The entries of `node` by (place, key). There are none for a node that the checkpoint does not list.
    ///
    /// Each call reads on its own, so several threads can read at once.
    pub fn load(&self, node: Node) -> Result<Entries, StoreError> {
        self.merge(node).map(Entries::new)
    }

    fn merge(&self, node: Node) -> Result<Merge, StoreError> {
        Merge::new(node, self.runs.iter().rev().filter(|run| self.counts(run, node)))
    }

    fn nodes(&self) -> impl Iterator<Item = Node> {
        self.since.keys().copied()
    }

    /// Whether the entries that `run` has of `node` count. It may have some of an earlier time, when the node was listed before.
    ///
    /// A merged run is as recent as its newest input, and holds no entries that did not count when it was made: so it has none that count no more and some that do.
    fn counts(&self, run: &Run, node: Node) -> bool {
        self.since.get(&node).is_some_and(|since| *since <= run.name.until)
    }

    fn size(&self, run: &Run) -> Size {
        let entries = run.sections.iter().filter(|section| self.counts(run, section.node)).map(|section| section.entries).sum();
        Size { entries, retired: run.entries() - entries, bytes: run.name.bytes }
    }

    /// Reads through everything, with all processors.
    fn verify(&self) -> Result<(), StoreError> {
        let mut sections: Vec<(&Arc<Run>, &Section)> =
            self.runs.iter().flat_map(|run| run.sections.iter().map(move |section| (run, section))).collect();
        sections.sort_by_key(|(_, section)| std::cmp::Reverse(section.bytes()));
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((run, section)) = sections.get(next.fetch_add(1, Ordering::Relaxed)) {
                run.verify(section)?;
            }
            Ok(())
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(sections.len());
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            others.into_iter().fold(own, |result, other| result.and(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        })
    }
}

/// Extension of a manifest that is being written.
const NEW: &str = "new";

/// What a state directory has.
struct Found {
    /// Numbers of all manifests, damaged ones included, ascending.
    sequences: Vec<u64>,
    current: Option<Checkpoint>,
    previous: Option<Checkpoint>,
    snapshot: Snapshot,
    /// Of checkpoints after the current one.
    damage: Vec<StoreError>,
    /// Of checkpoints before it, as far as it was seen.
    older_damage: Vec<StoreError>,
}

impl Found {
    /// Finds the last checkpoint that is sound, and the one before it.
    fn read(dir: &Path) -> Result<Found, StoreError> {
        let mut sequences: Vec<u64> = disk::names(dir)?.iter().filter_map(|name| Checkpoint::sequence_of(name)).collect();
        sequences.sort_unstable();
        let mut found =
            Found { sequences, current: None, previous: None, snapshot: Snapshot::default(), damage: Vec::new(), older_damage: Vec::new() };
        for sequence in found.sequences.iter().rev() {
            let read = Checkpoint::read(dir, *sequence).and_then(|checkpoint| Ok((checkpoint.open(dir)?, checkpoint)));
            if found.current.is_some() {
                // only whether there is something to go back to; it is read through when it comes to that
                match read {
                    Ok((_, checkpoint)) => {
                        found.previous = Some(checkpoint);
                        break;
                    }
                    Err(error) => found.older_damage.push(error),
                }
                continue;
            }
            match read.and_then(|(snapshot, checkpoint)| snapshot.verify().map(|()| (snapshot, checkpoint))) {
                Ok((snapshot, checkpoint)) => (found.snapshot, found.current) = (snapshot, Some(checkpoint)),
                Err(error) if error.is_damage() => found.damage.push(error),
                Err(error) => return Err(error),
            }
        }
        if found.current.is_none() && !found.damage.is_empty() {
            return Err(found.damage.swap_remove(0).lost());
        }
        Ok(found)
    }
}

impl Checkpoint {
    /// Opens its runs.
    fn open(&self, dir: &Path) -> Result<Snapshot, StoreError> {
        let runs = self.runs.iter().map(|name| Run::open(dir, *name).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Snapshot { runs, since: Arc::new(self.since.clone()) })
    }

    /// Numbers of its runs.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().map(|run| run.number)
    }
}

/// Takes the lock of a state directory.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { dir: dir.to_owned(), pid: holder(dir) }),
        Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
    }
    fs::write(&path, std::process::id().to_string()).map_err(StoreError::io("write", &path))?;
    Ok(file)
}

/// The process that had the lock last.
fn holder(dir: &Path) -> Option<u32> {
    fs::read_to_string(dir.join("lock")).ok()?.trim().parse().ok()
}

/// Deletes the state. Manifests go first, the latest last, so that what a crash leaves is one of the states that were there, or none.
fn delete(dir: &Path) -> Result<(), StoreError> {
    let mut sequences: Vec<u64> = disk::names(dir)?.iter().filter_map(|name| Checkpoint::sequence_of(name)).collect();
    sequences.sort_unstable();
    for sequence in sequences {
        disk::remove(&Checkpoint::path(dir, sequence))?;
    }
    disk::sync_dir(dir)?;
    for path in bindings::segments(&bindings::folder(dir))? {
        disk::remove(&path)?;
    }
    Ok(())
}

/// Deletes what no manifest names, and returns the greatest number that a run has or had.
///
/// A damaged manifest is kept until later ones have replaced it: someone may want to look at it.
fn sweep(dir: &Path, found: &Found) -> Result<u64, StoreError> {
    let oldest = found.previous.as_ref().or(found.current.as_ref()).map_or(0, |checkpoint| checkpoint.sequence);
    for name in disk::names(dir)? {
        let is_old = Checkpoint::sequence_of(&name).is_some_and(|sequence| sequence < oldest);
        let is_unfinished = name.strip_suffix(NEW).and_then(|name| Checkpoint::sequence_of(name.strip_suffix('.')?)).is_some();
        if is_old || is_unfinished {
            disk::remove(&dir.join(name))?;
        }
    }
    let later = found.sequences.iter().filter(|sequence| **sequence >= oldest);
    let named: BTreeSet<u64> =
        later.filter_map(|sequence| Checkpoint::read(dir, *sequence).ok()).flat_map(|kept| kept.numbers().collect::<Vec<_>>()).collect();
    let mut greatest = named.last().copied().unwrap_or_default();
    for number in disk::names(&run::folder(dir))?.iter().filter_map(|name| run::number_of(name)) {
        greatest = greatest.max(number);
        if !named.contains(&number) {
            disk::remove(&run::path(dir, number))?;
        }
    }
    Ok(greatest)
}
