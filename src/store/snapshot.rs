//! The state as of a checkpoint, to be read.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::compaction::Size;
use super::manifest::Checkpoint;
use super::merge::{Entries, Merge};
use super::run::{Run, Section};
use super::{Node, StoreError};

/// The state as of a checkpoint. Stays readable while later checkpoints are made; cheap to clone and to send.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// From the oldest to the newest.
    pub(super) runs: Arc<[Arc<Run>]>,
    /// The nodes that are listed, each with the checkpoint since which it has been.
    pub(super) since: Arc<BTreeMap<Node, u64>>,
}

impl Snapshot {
    /// Opens the runs of a checkpoint.
    pub(super) fn open(dir: &Path, checkpoint: &Checkpoint) -> Result<Snapshot, StoreError> {
        let runs = checkpoint
            .runs
            .iter()
            .map(|name| Run::open(dir, *name).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Snapshot { runs, since: Arc::new(checkpoint.since.clone()) })
    }

    /// The entries of `node` by (place, key). There are none for a node that the checkpoint does not list.
    ///
    /// Each call reads on its own, so several threads can read at once.
    pub fn load(&self, node: Node) -> Result<Entries, StoreError> {
        self.merge(node).map(Entries::new)
    }

    pub(super) fn merge(&self, node: Node) -> Result<Merge, StoreError> {
        Merge::new(node, self.runs.iter().rev().filter(|run| self.counts(run, node)))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = Node> {
        self.since.keys().copied()
    }

    /// Whether the entries that `run` has of `node` count. It may have some of an earlier time, when the node was listed before.
    ///
    /// A merged run is as recent as its newest input, and holds no entries that did not count when it was made: so it has none that count no more and some that do.
    fn counts(&self, run: &Run, node: Node) -> bool {
        self.since.get(&node).is_some_and(|since| *since <= run.name.until)
    }

    pub(super) fn size(&self, run: &Run) -> Size {
        let entries = run
            .sections
            .iter()
            .filter(|section| self.counts(run, section.node))
            .map(|section| section.entries)
            .sum();
        Size { entries, retired: run.entries() - entries, bytes: run.name.bytes }
    }

    /// Reads through everything, with all processors.
    pub(super) fn verify(&self) -> Result<(), StoreError> {
        let mut sections: Vec<(&Arc<Run>, &Section)> = self
            .runs
            .iter()
            .flat_map(|run| run.sections.iter().map(move |section| (run, section)))
            .collect();
        sections.sort_by_key(|(_, section)| Reverse(section.bytes()));
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
            others.into_iter().fold(own, |result, other| {
                result.and(other.join().unwrap_or_else(|panic| resume_unwind(panic)))
            })
        })
    }
}
