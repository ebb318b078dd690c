//! Opening a state directory: who may, what is sound in it, and what is left over.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::manifest::{Checkpoint, NEW};
use super::run;
use super::snapshot::Snapshot;
use super::{StoreError, bindings, disk};

/// What a state directory has.
pub(super) struct Found {
    /// Numbers of all manifests, damaged ones included, ascending.
    pub sequences: Vec<u64>,
    pub current: Option<Checkpoint>,
    pub previous: Option<Checkpoint>,
    pub snapshot: Snapshot,
    /// Of checkpoints after the current one.
    pub damage: Vec<StoreError>,
    /// Of checkpoints before it, as far as it was seen.
    pub older_damage: Vec<StoreError>,
}

impl Found {
    /// Finds the last checkpoint that is sound, and the one before it.
    pub fn read(dir: &Path) -> Result<Found, StoreError> {
        let mut sequences: Vec<u64> =
            disk::names(dir)?.iter().filter_map(|name| Checkpoint::sequence_of(name)).collect();
        sequences.sort_unstable();
        let mut found = Found {
            sequences,
            current: None,
            previous: None,
            snapshot: Snapshot::default(),
            damage: Vec::new(),
            older_damage: Vec::new(),
        };
        for sequence in found.sequences.iter().rev() {
            let read = Checkpoint::read(dir, *sequence)
                .and_then(|checkpoint| Ok((Snapshot::open(dir, &checkpoint)?, checkpoint)));
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
            match read.and_then(|(snapshot, checkpoint)| {
                snapshot.verify().map(|()| (snapshot, checkpoint))
            }) {
                Ok((snapshot, checkpoint)) => {
                    (found.snapshot, found.current) = (snapshot, Some(checkpoint))
                }
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

/// Takes the lock of a state directory.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = disk::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::Locked { dir: dir.to_owned(), pid: holder(dir) });
        }
        Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
    }
    fs::write(&path, std::process::id().to_string()).map_err(StoreError::io("write", &path))?;
    Ok(file)
}

/// The process that had the lock last.
pub(super) fn holder(dir: &Path) -> Option<u32> {
    fs::read_to_string(dir.join("lock")).ok()?.trim().parse().ok()
}

/// Deletes the state, if that is `wanted` or was begun and not ended before.
///
/// What has begun is marked, so no crash leaves manifests without their bindings or bindings without their manifests.
pub(super) fn reset(dir: &Path, wanted: bool) -> Result<(), StoreError> {
    let mark = dir.join("reset");
    if wanted {
        disk::write_synced(&mark, b"")?;
        disk::sync_dir(dir)?;
    }
    if !mark.exists() {
        return Ok(());
    }
    for name in disk::names(dir)?.iter().filter(|name| Checkpoint::sequence_of(name).is_some()) {
        disk::remove(&dir.join(name))?;
    }
    for path in bindings::segments(&bindings::folder(dir))? {
        disk::remove(&path)?;
    }
    for folder in [dir, &bindings::folder(dir)] {
        // there may be no bindings yet
        if folder.exists() {
            disk::sync_dir(folder)?;
        }
    }
    disk::remove(&mark)
}

/// Deletes what no manifest names, and returns the greatest number that a run has or had.
///
/// A damaged manifest is kept until later ones have replaced it: someone may want to look at it.
pub(super) fn sweep(dir: &Path, found: &Found) -> Result<u64, StoreError> {
    let oldest = found
        .previous
        .as_ref()
        .or(found.current.as_ref())
        .map_or(0, |checkpoint| checkpoint.sequence);
    for name in disk::names(dir)? {
        let is_old = Checkpoint::sequence_of(&name).is_some_and(|sequence| sequence < oldest);
        let is_unfinished = name
            .strip_suffix(NEW)
            .and_then(|name| Checkpoint::sequence_of(name.strip_suffix('.')?))
            .is_some();
        if is_old || is_unfinished {
            disk::remove(&dir.join(name))?;
        }
    }
    let later = found.sequences.iter().filter(|sequence| **sequence >= oldest);
    let named: BTreeSet<u64> = later
        .filter_map(|sequence| Checkpoint::read(dir, *sequence).ok())
        .flat_map(|kept| kept.numbers().collect::<Vec<_>>())
        .collect();
    let mut greatest = named.last().copied().unwrap_or_default();
    for number in disk::names(&run::folder(dir))?.iter().filter_map(|name| run::number_of(name)) {
        greatest = greatest.max(number);
        if !named.contains(&number) {
            disk::remove(&run::path(dir, number))?;
        }
    }
    Ok(greatest)
}
