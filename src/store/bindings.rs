//! Bindings: up to which offset of each partition the records of a tick go.
//!
//! A worker binds the records that it has read to a tick, writes the binding, and only then releases the records. What is made of them is published once the binding is durable: see [`Bindings::sync`]. After a crash the same offsets get the same ticks
//! again, so what is computed from them is the same again.
//!
//! Each worker appends to a file of its own, a *segment*:
//!
//! ```text
//! header    magic, version, CRC-32 of these
//! record*   length, CRC-32, bytes of the segment that were durable before, body: a binding, or the seal at the end
//! ```
//!
//! # What a crash leaves
//! Records are written by each worker as they come, and synced in groups, of all workers together. A crash of the machine may leave any part of the last group; nothing of it was published, so it does not matter whether it is found again. When the store opens, what is not whole at the end of an open
//! segment is cut off. This must not hide damage of what was durable: a record says up to where the segment was durable when it was made, so an unreadable one is the torn end only if no record after it says that it was durable. Otherwise it is an error.
//!
//! A segment that is full, or that a new run finds, is closed with a *seal*, synced and renamed from `.open` to `.sealed`. A sealed segment is whole or damaged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fail::fail_point;
use serde::{Deserialize, Serialize};

use super::{Offsets, StoreError, VERSION, disk};

/// A segment is sealed when it is longer than this.
const SEGMENT: u64 = 1 << 20;

const MAGIC: &[u8; 8] = b"helkbind";
const HEADER: usize = 16;
/// Length, checksum, durable bytes.
const FRAME: usize = 16;

const OPEN: &str = "open";
const SEALED: &str = "sealed";

/// What a record says. Topics have their names, since a file may outlive any numbering.
#[derive(Serialize, Deserialize)]
enum Record<'a> {
    Bound {
        tick: u64,
        #[serde(borrow)]
        offsets: Vec<(&'a str, i32, i64)>,
    },
    Seal,
}

/// The bindings of a state directory; cheap to clone and to send.
#[derive(Clone)]
pub struct Bindings {
    folder: Arc<PathBuf>,
    sealed: Arc<Mutex<Vec<Segment>>>,
    /// One for each writer.
    open: Arc<Mutex<Vec<Arc<Open>>>>,
}

/// A segment that is being written.
struct Open {
    path: PathBuf,
    file: File,
    /// Its length.
    written: AtomicU64,
    /// How much of it is durable.
    durable: AtomicU64,
}

impl Open {
    fn sync(&self) -> Result<(), StoreError> {
        let written = self.written.load(Ordering::Acquire);
        if self.durable.load(Ordering::Acquire) < written {
            self.file.sync_data().map_err(StoreError::io("sync", &self.path))?;
            self.durable.fetch_max(written, Ordering::AcqRel);
        }
        Ok(())
    }
}

/// A sealed segment.
struct Segment {
    path: PathBuf,
    last_tick: u64,
}

/// Where bindings are.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join("bindings")
}

impl Bindings {
    /// Seals what the last run left open.
    pub(super) fn open(dir: &Path) -> Result<Bindings, StoreError> {
        let folder = folder(dir);
        disk::create_dir(&folder)?;
        let mut sealed = Vec::new();
        for mut path in segments(&folder)? {
            let scan = Scan::read(&path)?;
            let Some(last_tick) = scan.last_tick() else {
                disk::remove(&path)?;
                continue;
            };
            if path.extension().is_some_and(|extension| extension == OPEN) {
                path = scan.seal(&path)?;
            }
            sealed.push(Segment { path, last_tick });
        }
        disk::sync_dir(&folder)?;
        Ok(Bindings {
            folder: Arc::new(folder),
            sealed: Arc::new(Mutex::new(sealed)),
            open: Arc::default(),
        })
    }

    /// What was bound before the store was opened: tick → topic → partition → next offset. Of several bindings of one partition by one tick the greatest offset holds.
    pub fn read(&self) -> Result<BTreeMap<u64, Offsets>, StoreError> {
        let mut ticks = BTreeMap::new();
        for segment in self.sealed().iter() {
            Scan::read(&segment.path)?.collect(&mut ticks);
        }
        Ok(ticks)
    }

    /// Begins a segment for the worker `name`, which is one word. A name has one writer at a time.
    pub fn writer(&self, name: &str) -> Result<Writer, StoreError> {
        assert!(
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "the name of a writer is one word"
        );
        let number = segments(&self.folder)?
            .iter()
            .filter_map(|path| number_of(path, name))
            .max()
            .map_or(1, |last| last + 1);
        Writer::begin(self.clone(), name.to_owned(), number)
    }

    /// Makes durable what all workers have written. Only then may be published what was made of it.
    ///
    /// After an error nothing is known of what was written; the run has to end.
    pub fn sync(&self) -> Result<(), StoreError> {
        // not under the lock, for which a worker would have to wait
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        open.iter().try_for_each(|segment| segment.sync())?;
        fail_point!("bindings-synced");
        Ok(())
    }

    /// Deletes sealed segments all of whose ticks are before `tick`: see [`Store::bindings_from`](super::Store::bindings_from).
    pub fn forget(&self, tick: u64) -> Result<(), StoreError> {
        let mut sealed = self.sealed();
        let (old, kept): (Vec<Segment>, Vec<Segment>) =
            sealed.drain(..).partition(|segment| segment.last_tick < tick);
        *sealed = kept;
        // one that cannot be deleted is found again at the next start
        old.iter().try_for_each(|segment| disk::remove(&segment.path))
    }

    fn sealed(&self) -> MutexGuard<'_, Vec<Segment>> {
        // the list is whole between any two statements that change it
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Paths of all segments, by name.
pub(super) fn segments(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let is_segment = |name: &String| {
        name.rsplit_once('.').is_some_and(|(_, extension)| [OPEN, SEALED].contains(&extension))
    };
    Ok(disk::names(folder)?.into_iter().filter(is_segment).map(|name| folder.join(name)).collect())
}

fn number_of(path: &Path, writer: &str) -> Option<u64> {
    path.file_stem()?.to_str()?.strip_prefix(writer)?.strip_prefix('-')?.parse().ok()
}

/// Writes the bindings of one worker.
pub struct Writer {
    all: Bindings,
    name: String,
    number: u64,
    open: Arc<Open>,
    /// Records that are not written yet.
    buffer: Vec<u8>,
    last_tick: Option<u64>,
}

impl Writer {
    fn begin(all: Bindings, name: String, number: u64) -> Result<Writer, StoreError> {
        let path = all.folder.join(format!("{name}-{number}.{OPEN}"));
        let mut header = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        let mut file = disk::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(StoreError::io("create", &path))?;
        file.write_all(&header)
            .and_then(|()| file.sync_all())
            .map_err(StoreError::io("write", &path))?;
        disk::sync_dir(&all.folder)?;
        let length = HEADER as u64;
        let open = Arc::new(Open {
            path,
            file,
            written: AtomicU64::new(length),
            durable: AtomicU64::new(length),
        });
        all.open.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&open));
        Ok(Writer { all, name, number, open, buffer: Vec::new(), last_tick: None })
    }

    /// Notes that `tick` has the records of each of these partitions up to its next offset.
    pub fn append<'a>(&mut self, tick: u64, bound: impl IntoIterator<Item = (&'a str, i32, i64)>) {
        let record = Record::Bound { tick, offsets: bound.into_iter().collect() };
        self.frame(&record);
        self.last_tick = self.last_tick.max(Some(tick));
    }

    fn frame(&mut self, record: &Record<'_>) {
        let at = self.open.written.load(Ordering::Acquire) + self.buffer.len() as u64;
        frame(record, at, self.open.durable.load(Ordering::Acquire), &mut self.buffer);
    }

    /// Writes what was appended. Only then may its records be released.
    ///
    /// After an error nothing is known of what was appended; the run has to end.
    pub fn write(&mut self) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.flush()?;
        if self.open.written.load(Ordering::Acquire) > SEGMENT {
            self.roll()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        (&self.open.file)
            .write_all(&self.buffer)
            .map_err(StoreError::io("write", &self.open.path))?;
        self.open.written.fetch_add(self.buffer.len() as u64, Ordering::AcqRel);
        self.buffer.clear();
        fail_point!("bindings-written");
        Ok(())
    }

    /// Seals the segment and begins the next.
    fn roll(&mut self) -> Result<(), StoreError> {
        self.open.sync()?;
        self.frame(&Record::Seal);
        self.flush()?;
        self.open.sync()?;
        let path = rename_sealed(&self.open.path)?;
        let last_tick = self.last_tick.expect("a full segment has records");
        self.all.sealed().push(Segment { path, last_tick });
        let next = Writer::begin(self.all.clone(), self.name.clone(), self.number + 1)?;
        // assigning drops the writer of the segment that is sealed
        *self = next;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.all
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|open| !Arc::ptr_eq(open, &self.open));
    }
}

fn rename_sealed(path: &Path) -> Result<PathBuf, StoreError> {
    let sealed = path.with_extension(SEALED);
    fs::rename(path, &sealed).map_err(StoreError::io("rename", path))?;
    Ok(sealed)
}

/// Appends a record that will stand at byte `at` of its segment.
fn frame(record: &Record<'_>, at: u64, durable: u64, into: &mut Vec<u8>) {
    let body = postcard::to_stdvec(record).expect("numbers and texts can be written");
    into.extend_from_slice(&(body.len() as u32).to_le_bytes());
    into.extend_from_slice(&checksum(at, durable, &body).to_le_bytes());
    into.extend_from_slice(&durable.to_le_bytes());
    into.extend_from_slice(&body);
}

fn checksum(at: u64, durable: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&at.to_le_bytes());
    hasher.update(&durable.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// A segment that was read and found sound.
pub(super) struct Scan {
    bytes: Vec<u8>,
    /// Where the bodies of its bindings are.
    bodies: Vec<std::ops::Range<usize>>,
    /// Where what is sound ends.
    end: usize,
    is_sealed: bool,
}

impl Scan {
    /// Reads and checks a segment.
    pub fn read(path: &Path) -> Result<Scan, StoreError> {
        let bytes = disk::read(path)?;
        let mut scan = Scan { bodies: Vec::new(), end: 0, is_sealed: false, bytes };
        let problem = scan.walk(path)?;
        let may_be_torn = path.extension().is_none_or(|extension| extension != SEALED);
        match problem {
            Some(_) if may_be_torn && !scan.was_durable() => Ok(scan),
            None if may_be_torn || scan.is_sealed => Ok(scan),
            None => {
                Err(StoreError::damaged(path, scan.end as u64, "the segment ends without its seal"))
            }
            Some(problem) => Err(StoreError::damaged(path, scan.end as u64, problem)),
        }
    }

    /// Goes over what is sound, and returns what is wrong with the rest.
    fn walk(&mut self, path: &Path) -> Result<Option<&'static str>, StoreError> {
        let Some(header) = self.bytes.get(..HEADER) else {
            return Ok(Some("no header of bindings"));
        };
        let word =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        if header[..8] != *MAGIC || crc32fast::hash(&header[..12]) != word(12) {
            return Ok(Some("no header of bindings"));
        }
        if word(8) != VERSION {
            return Err(StoreError::Version {
                path: path.to_owned(),
                found: word(8),
                known: VERSION,
            });
        }
        self.end = HEADER;
        while self.end < self.bytes.len() {
            let Some((_, body)) = framed(&self.bytes, self.end) else {
                return Ok(Some("the checksum of a binding does not match"));
            };
            match postcard::from_bytes(&self.bytes[body.clone()]) {
                _ if self.is_sealed => return Ok(Some("the segment goes on after its seal")),
                Ok(Record::Bound { .. }) => self.bodies.push(body.clone()),
                Ok(Record::Seal) => self.is_sealed = true,
                Err(_) => {
                    return Err(StoreError::damaged(
                        path,
                        self.end as u64,
                        "no binding of this version",
                    ));
                }
            }
            self.end = body.end;
        }
        Ok(None)
    }

    /// Whether a record after the sound part says that more of the segment was durable once.
    fn was_durable(&self) -> bool {
        (self.end..self.bytes.len())
            .any(|at| framed(&self.bytes, at).is_some_and(|(durable, _)| durable > self.end as u64))
    }

    fn bindings(&self) -> impl Iterator<Item = (u64, Vec<(&str, i32, i64)>)> {
        self.bodies.iter().filter_map(|body| {
            match postcard::from_bytes(&self.bytes[body.clone()]) {
                Ok(Record::Bound { tick, offsets }) => Some((tick, offsets)),
                _ => None,
            }
        })
    }

    fn last_tick(&self) -> Option<u64> {
        self.bindings().map(|(tick, _)| tick).max()
    }

    /// Adds the bindings to `ticks`.
    pub fn collect(&self, ticks: &mut BTreeMap<u64, Offsets>) {
        for (tick, offsets) in self.bindings() {
            let topics = ticks.entry(tick).or_default();
            for (topic, partition, next) in offsets {
                let known =
                    topics.entry(topic.to_owned()).or_default().entry(partition).or_insert(next);
                *known = next.max(*known);
            }
        }
    }

    /// Cuts off the torn end and seals the rest.
    fn seal(&self, path: &Path) -> Result<PathBuf, StoreError> {
        if !self.is_sealed || self.end < self.bytes.len() {
            let end = self.end as u64;
            let mut seal = Vec::new();
            if !self.is_sealed {
                frame(&Record::Seal, end, end, &mut seal);
            }
            let file =
                File::options().append(true).open(path).map_err(StoreError::io("open", path))?;
            let write = |mut file: &File| {
                file.set_len(end)?;
                file.write_all(&seal)?;
                file.sync_all()
            };
            write(&file).map_err(StoreError::io("seal", path))?;
        }
        rename_sealed(path)
    }
}

/// The record at byte `at`, if a sound one is there: how much was durable before it, and where its body is.
fn framed(bytes: &[u8], at: usize) -> Option<(u64, std::ops::Range<usize>)> {
    let frame = bytes.get(at..at + FRAME)?;
    let length = u32::from_le_bytes(frame[..4].try_into().expect("four bytes")) as usize;
    let sum = u32::from_le_bytes(frame[4..8].try_into().expect("four bytes"));
    let durable = u64::from_le_bytes(frame[8..].try_into().expect("eight bytes"));
    let start = at + FRAME;
    let body = bytes.get(start..start.checked_add(length)?)?;
    (length > 0 && checksum(at as u64, durable, body) == sum)
        .then_some((durable, start..start + length))
}
