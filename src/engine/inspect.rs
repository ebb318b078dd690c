//! What inputs hold: every record is read and decoded as a replay does, and nothing is made of it.
//!
//! ```text
//!  inputs ─▶ Dispenser ─▶ FileSource, one for each worker ─▶ Survey      counts by member
//!                                        └────────────────▶ DeadLetters  what was lost, by member
//! ```
//!
//! The workers share no dataflow, so each reads as fast as it can. Memory is bounded by the chunks
//! in work and the counts of each member.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::ReplayError;
use crate::connect::files::{
    self, Census, DeadLetters, Dispenser, DispenserError, FileSource, Found, Lost, Member, Options,
    Seen, Survey,
};
use crate::dataflow::{Piece, Progress, Source};
use crate::format::container::Content;
use crate::format::split::Expect;
use crate::plan::{self, Format, KeyFormat};
use crate::sysmon::catalogue;

/// How many bytes tell what a file is packed in: tar has its mark at byte 257.
const MAGIC: u64 = 512;

/// What to inspect.
pub struct Inspect {
    /// Files, folders, globs or `-`.
    pub inputs: Vec<PathBuf>,
    /// How many threads read.
    pub workers: usize,
    /// Set to end early.
    pub stop: Arc<AtomicBool>,
    /// About how much of a file is read at a time, in bytes.
    pub chunk_bytes: usize,
}

/// An inspection that is ready to run.
pub struct Prepared {
    dispenser: Arc<Dispenser>,
    letters: Arc<DeadLetters>,
    seen: Arc<Seen>,
    workers: usize,
}

/// What one file, or one member of an archive, holds.
pub struct Inspected {
    /// Which one it is.
    pub member: Arc<Member>,
    /// What the file is packed in.
    pub packed: Option<&'static str>,
    /// What became of it.
    pub fate: Fate,
    /// What was found in it.
    pub found: Found,
    /// What could not be read.
    pub lost: Option<Lost>,
}

/// What becomes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is read.
    Read,
    /// It has no byte.
    Empty,
    /// It is left out, since it is no capture by name or content.
    LeftOut,
    /// It is an archive that cannot be read as a whole.
    Archive,
}

impl Inspect {
    /// Opens the inputs.
    ///
    /// # Errors
    /// What ends a replay before it starts: an input that does not exist, or cannot be read.
    pub fn prepare(self) -> Result<Prepared, ReplayError> {
        let letters = Arc::new(DeadLetters::by_member());
        let options = Options { chunk_bytes: self.chunk_bytes, ..Options::default() };
        let inputs = files::discover(&self.inputs, Expect::Events)?;
        let dispenser = Dispenser::new(inputs, options, Arc::clone(&letters), self.stop)?;
        Ok(Prepared {
            dispenser: Arc::new(dispenser),
            letters,
            seen: Arc::default(),
            workers: self.workers.max(1),
        })
    }
}

impl Prepared {
    /// Bytes of all files, and how many of them have been read.
    pub fn progress(&self) -> impl Fn() -> (u64, u64) + Send + 'static {
        let progress = self.dispenser.progress();
        move || (progress.total(), progress.done())
    }

    /// What has been read so far.
    pub fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }

    /// Reads all inputs.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn run(self) -> Result<Vec<Inspected>, ReplayError> {
        let survey: Arc<Survey> = Arc::default();
        let source = plan::Source {
            topic: String::new(),
            format: Arc::new(Format::Sysmon),
            key: KeyFormat::None,
            headers: Vec::new(),
            time: None,
            columns: vec![catalogue::EVENT_TIME],
            events: None,
        };
        thread::scope(|scope| {
            for _ in 0..self.workers {
                let dispenser = Arc::clone(&self.dispenser);
                let sources = std::slice::from_ref(&source);
                let reader = FileSource::new(dispenser, sources, Arc::clone(&self.seen));
                let mut reader = reader.with_survey(Arc::clone(&survey));
                let read = move || {
                    let mut piece = Piece::new(1);
                    while reader.read(&mut piece) == Progress::Read {
                        piece.clear();
                    }
                };
                thread::Builder::new().spawn_scoped(scope, read).map_err(DispenserError::Thread)?;
            }
            Ok::<_, DispenserError>(())
        })?;
        self.letters.close().map_err(ReplayError::DeadLetters)?;
        Ok(inspected(&self.dispenser.census(), &survey, self.letters.lost()))
    }
}

/// All members, and archives of which something was lost, in the order of the input.
fn inspected(census: &Census, survey: &Survey, lost: Vec<Lost>) -> Vec<Inspected> {
    let empty: BTreeSet<u32> = census.empty.iter().map(|member| member.ordinal).collect();
    let left_out = census.skipped.values().flatten().map(|member| member.ordinal);
    let left_out: BTreeSet<u32> = left_out.collect();
    let mut packed: Option<(Arc<str>, Option<&'static str>)> = None;
    let mut packed_in = |path: &Arc<str>| match &packed {
        Some((last, packed)) if last == path => *packed,
        _ => packed.insert((Arc::clone(path), container(Path::new(&**path)))).1,
    };
    let mut all: Vec<Inspected> = census
        .members
        .iter()
        .map(|member| Inspected {
            member: Arc::clone(member),
            packed: packed_in(&member.path),
            fate: match member.ordinal {
                number if empty.contains(&number) => Fate::Empty,
                number if left_out.contains(&number) => Fate::LeftOut,
                _ => Fate::Read,
            },
            found: survey.take(member),
            lost: None,
        })
        .collect();
    let mut archives = Vec::new();
    for lost in lost {
        let number = lost.member.ordinal as usize;
        match all.get_mut(number).filter(|own| own.member == lost.member) {
            Some(own) => own.lost = Some(lost),
            None => archives.push(lost),
        }
    }
    // from the last to the first, since each moves those after it
    for lost in archives.into_iter().rev() {
        let at = (lost.member.ordinal as usize).min(all.len());
        let archive = Inspected {
            member: Arc::clone(&lost.member),
            packed: packed_in(&lost.member.path),
            fate: Fate::Archive,
            found: Found::default(),
            lost: Some(lost),
        };
        all.insert(at, archive);
    }
    all
}

/// What a file is packed in, by its first bytes. Pipes can be read only once.
fn container(path: &Path) -> Option<&'static str> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let head = || -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        File::open(path)?.take(MAGIC).read_to_end(&mut head)?;
        Ok(head)
    };
    match Content::identify(&head().ok()?, Expect::Events) {
        Content::Gzip => Some("gzip"),
        Content::Zstd => Some("zstandard"),
        Content::Bzip2 => Some("bzip2"),
        Content::Xz => Some("xz"),
        Content::Zip => Some("zip"),
        Content::SevenZ => Some("7z"),
        Content::Tar => Some("tar"),
        _ => None,
    }
}
