//! Compaction: merging runs so that they stay few and hold little that is superseded.
//!
//! Runs stand in the order of their age, and only neighbours are merged, so the newest still has the last word. There are two reasons to merge:
//!
//! * *Too many.* From the newest run backwards, each run that is no larger than all newer ones together joins them; four such runs or more are merged. What is left over at least doubles in size from run to run, so there are never more
//!   than log₂(size) + 3, and an entry is written about as often.
//! * *Too much.* When the entries in all but the oldest run, and those of nodes that are no longer listed, come to half of the oldest run's entries, or their bytes to its bytes, everything is merged into one
//!   run, and deletions with it. The oldest run has at most twice the entries that are alive, then, and the others are smaller.
//!
//! One merge runs at a time, on a thread of its own; runs that come while it runs wait for the next.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use fail::fail_point;

use super::run::{self, Run, RunWriter};
use super::{Snapshot, StoreError, disk};

/// So few runs are left alone.
const FEW: usize = 4;

/// What there is to know of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Entries of nodes that are listed.
    pub entries: u64,
    /// Entries of others.
    pub retired: u64,
    pub bytes: u64,
}

/// Which runs to merge, of these from the oldest to the newest.
pub(super) fn choose(runs: &[Size]) -> Option<Range<usize>> {
    let (oldest, newer) = runs.split_first()?;
    let retired: u64 = runs.iter().map(|run| run.retired).sum();
    let entries = retired + newer.iter().map(|run| run.entries).sum::<u64>();
    let bytes: u64 = newer.iter().map(|run| run.bytes).sum();
    let much = 2 * entries >= oldest.entries || bytes >= oldest.bytes;
    if much && (runs.len() >= FEW || retired > 0) {
        return Some(0..runs.len());
    }
    let (mut start, mut together) = (runs.len(), 0);
    while start > 0 && (together == 0 || runs[start - 1].bytes <= together) {
        start -= 1;
        together += runs[start].bytes;
    }
    (runs.len() - start >= FEW).then_some(start..runs.len())
}

/// A merge under way.
pub(super) struct Compaction {
    /// Numbers of the runs that are merged.
    pub inputs: Vec<u64>,
    thread: JoinHandle<Result<Option<Run>, StoreError>>,
    stop: Arc<AtomicBool>,
}

impl Compaction {
    /// Begins to merge the runs of `inputs`, which include the oldest of all if `whole`, into run `number`.
    pub fn start(
        dir: &Path,
        number: u64,
        inputs: Snapshot,
        whole: bool,
    ) -> Result<Compaction, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let numbers = inputs.runs.iter().map(|run| run.name.number).collect();
        let (stopped, folder) = (stop.clone(), dir.to_owned());
        let work = move || merge(&folder, number, &inputs, whole, &stopped);
        let thread = std::thread::Builder::new().name("compaction".to_owned()).spawn(work);
        let thread = thread.map_err(StoreError::io("start the compaction of", dir))?;
        Ok(Compaction { inputs: numbers, thread, stop })
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the merged run; None when nothing was left of it.
    pub fn join(self) -> Result<Option<Run>, StoreError> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Gives up.
    pub fn cancel(self) {
        self.stop.store(true, Ordering::Relaxed);
        // what it made or why it failed does not matter: no manifest names it
        _ = self.thread.join();
    }
}

fn merge(
    dir: &Path,
    number: u64,
    inputs: &Snapshot,
    whole: bool,
    stop: &AtomicBool,
) -> Result<Option<Run>, StoreError> {
    let path = run::path(dir, number);
    let merged = write(dir, number, inputs, whole, stop);
    if !matches!(merged, Ok(Some(_))) {
        disk::remove(&path)?;
    }
    merged
}

fn write(
    dir: &Path,
    number: u64,
    inputs: &Snapshot,
    whole: bool,
    stop: &AtomicBool,
) -> Result<Option<Run>, StoreError> {
    let mut writer = RunWriter::create(dir, number)?;
    for node in inputs.nodes() {
        let mut merge = inputs.merge(node)?;
        while merge.advance()? {
            if stop.load(Ordering::Relaxed) {
                return Err(StoreError::Stopped);
            }
            // below the oldest run there is nothing that a deletion could hide
            if let Some(put) = merge.head().filter(|put| !whole || put.value.is_some()) {
                writer.put(&put)?;
            }
        }
    }
    let until = inputs.runs.iter().map(|run| run.name.until).max().unwrap_or_default();
    let run = writer.finish(until)?;
    fail_point!("store-compaction-written");
    if run.sections.is_empty() {
        return Ok(None);
    }
    if stop.load(Ordering::Relaxed) {
        return Err(StoreError::Stopped);
    }
    run.sync()?;
    disk::sync_dir(&run::folder(dir))?;
    fail_point!("store-compaction-synced");
    Ok(Some(run))
}
