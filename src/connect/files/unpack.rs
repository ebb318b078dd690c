//! Reading members that have to be read from their beginning: archives and compressed
//! streams, pipes, UTF-16, EVTX, and text whose records do not keep to lines.
//!
//! This runs on threads of its own, a few chunks ahead of the workers, so that decompressing
//! overlaps with parsing. One input is one sequence of [`Item`]s through one bounded
//! channel; the dispenser takes the channels one after the other, which makes the order of
//! chunks independent of the threads.
//!
//! # Damage
//! Each damage is reported once, by the innermost level that sees it. Everything before it
//! has been handed out by then. Members after it are read where the format allows: in a zip
//! archive with a directory always, in a tar archive or a compressed stream never. A zip
//! archive without a readable directory is read by its local headers, as far as they go.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use zip::ZipArchive;
use zip::read::{read_zipfile_from_stream, read_zipfile_from_stream_with_compressed_size};
use zip::result::ZipError;

use super::chunk::{Kind, Letter};
use super::discover::{Source, is_capture_name, is_hidden};
use super::dispenser::{Options, Pool, Progress};
use crate::format::container::{Content, Exactly, Peeked, decompress};
use crate::format::encoding::{Encoding, Utf16Reader};
use crate::model::dead_letter::{Reason, excerpt};

/// How many containers may lie within each other: an archive in an archive, each of them
/// compressed.
const MAX_DEPTH: u32 = 4;

/// The largest zip archive within another container: its directory is at its end, so it has
/// to be held in memory.
const MAX_INNER_ZIP: u64 = 1 << 30;

/// What reading an input yields, in order.
pub(super) enum Item {
    /// A member starts.
    Member { inner: Option<Arc<str>>, fate: Fate },
    /// The current member has no bytes at all.
    Empty,
    /// Records of the current member.
    Chunk { offset: u64, bytes: Vec<u8>, kind: Kind },
    /// A part of the current member, of so many lines, that is not read.
    Left { letter: Letter, lines: u64 },
    /// Something that concerns not a member, but the archive.
    Archive { inner: Option<Arc<str>>, letter: Letter },
}

/// What becomes of a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is read.
    Read,
    /// It is no capture.
    Skipped,
    /// Another process reads it.
    Elsewhere,
}

/// Why reading does not go on.
pub(super) enum Halt {
    /// Nobody wants more.
    Stopped,
    /// The stream is broken, which has been reported.
    Broken,
}

/// One input to be read.
pub(super) struct Job {
    /// Its position among the inputs.
    pub index: usize,
    pub source: Source,
    pub sender: SyncSender<Item>,
}

/// Reads one input.
pub(super) struct Unpacker {
    pub job: Job,
    pub options: Options,
    pub pool: Arc<Pool>,
    pub progress: Arc<Progress>,
    pub stop: Arc<AtomicBool>,
    /// Members so far.
    members: usize,
    /// The fate of the last member.
    fate: Fate,
    /// Why an archive is read in an unusual way; goes into its letters.
    context: Option<String>,
}

impl Unpacker {
    pub fn new(
        job: Job,
        options: Options,
        pool: Arc<Pool>,
        progress: Arc<Progress>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self { job, options, pool, progress, stop, members: 0, fate: Fate::Read, context: None }
    }

    /// Reads it all. Ends early when nobody wants more or the input is broken.
    pub fn run(mut self) {
        let _ended_early = match self.job.source.clone() {
            Source::Stdin => self.entry(Box::new(io::stdin().lock()), None, true, 0),
            Source::Pipe(path) => match File::open(&path) {
                Ok(file) => self.entry(Box::new(file), None, true, 0),
                Err(error) => self.unreadable(&error),
            },
            Source::File(path) => self.file(&path),
        };
    }

    fn file(&mut self, path: &Path) -> Result<(), Halt> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.unreadable(&error),
        };
        let left = Cell::new(len);
        let progress = Arc::clone(&self.progress);
        let mut counted = Counted { inner: file, left: &left, progress: &progress };
        let mut magic = Vec::new();
        let peeked = (&mut counted).take(4).read_to_end(&mut magic);
        let result = match peeked.and_then(|_| counted.rewind()) {
            Err(error) => self.unreadable(&error),
            Ok(()) if Content::identify(&magic) == Content::Zip => {
                self.zip(BufReader::with_capacity(128 << 10, counted), None, 0, None)
            }
            Ok(()) => self.entry(Box::new(counted), None, true, 0),
        };
        progress.add(left.get());
        result
    }

    fn unreadable(&mut self, error: &io::Error) -> Result<(), Halt> {
        if self.member(None, false)? == Fate::Read {
            self.left_out(letter(Reason::Unreadable, None, error.to_string()))?;
        }
        Err(Halt::Broken)
    }

    /// Reads a file of any kind. `named`: the user named it, so it is read whatever its name.
    fn entry(
        &mut self,
        reader: Box<dyn Read + '_>,
        inner: Option<Arc<str>>,
        named: bool,
        depth: u32,
    ) -> Result<(), Halt> {
        let mut peeked = Peeked::new(reader);
        let content = Content::identify(peeked.head());
        if content.is_container() && depth == MAX_DEPTH {
            let detail = format!("more than {MAX_DEPTH} containers within each other");
            return self.archive(inner, letter(Reason::UnsupportedArchive, None, detail));
        }
        match content {
            Content::Gzip | Content::Zstd => match decompress(content, peeked) {
                Ok(reader) => self.entry(reader, inner, named, depth + 1),
                Err(error) => self.archive(inner, damage(&error)),
            },
            Content::Tar => self.tar(Box::new(peeked), inner, depth),
            Content::Zip => {
                let mut held = Vec::new();
                let read = (&mut peeked).take(MAX_INNER_ZIP + 1).read_to_end(&mut held);
                if held.len() as u64 > MAX_INNER_ZIP {
                    let detail = "a zip archive of more than 1 GiB within another container";
                    return self.archive(inner, letter(Reason::UnsupportedArchive, None, detail));
                }
                self.zip(Cursor::new(held), inner, depth, read.err())
            }
            _ => self.leaf(content, peeked, inner, named),
        }
    }

    fn tar(
        &mut self,
        mut reader: Box<dyn Read + '_>,
        inner: Option<Arc<str>>,
        depth: u32,
    ) -> Result<(), Halt> {
        let mut archive = tar::Archive::new(&mut reader);
        let entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return self.archive(inner, damage(&error)).and(Err(Halt::Broken)),
        };
        for entry in entries {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.archive(inner, damage(&error)).and(Err(Halt::Broken)),
            };
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if !entry.header().entry_type().is_file() || is_hidden(Path::new(&name)) {
                continue;
            }
            let size = entry.size();
            let mut content = Exactly::new(&mut entry, size);
            self.entry(
                Box::new(&mut content),
                Some(within(inner.as_deref(), &name)),
                false,
                depth + 1,
            )?;
            // what was not read (a file that is no capture) may be where the damage is
            if let Err(error) = io::copy(&mut content, &mut io::sink()) {
                if self.fate == Fate::Skipped {
                    self.archive(inner, damage(&error))?;
                }
                return Err(Halt::Broken);
            }
        }
        // the checksum of the compressed stream stands at its end
        match io::copy(&mut reader, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(error) => self.archive(inner, damage(&error)).and(Err(Halt::Broken)),
        }
    }

    /// Reads a zip archive. `broken`: what ended its bytes too early, when something did.
    fn zip(
        &mut self,
        mut reader: impl Read + Seek,
        inner: Option<Arc<str>>,
        depth: u32,
        broken: Option<io::Error>,
    ) -> Result<(), Halt> {
        if let Some(error) = broken {
            return self.salvage(reader, inner, depth, &damage(&error));
        }
        let mut archive = match ZipArchive::new(&mut reader) {
            Ok(archive) => archive,
            Err(error) => return self.salvage(reader, inner, depth, &zip_damage(&error)),
        };
        for index in 0..archive.len() {
            let name = archive.name_for_index(index);
            let name = name.and_then(Result::ok).unwrap_or_default().into_owned();
            if name.ends_with('/') || is_hidden(Path::new(&name)) {
                continue;
            }
            let inner = Some(within(inner.as_deref(), &name));
            let result = match archive.by_index(index) {
                Ok(file) => self.entry(Box::new(file), inner, false, depth + 1),
                Err(error) => self.archive(inner, zip_damage(&error)),
            };
            if let Err(Halt::Stopped) = result {
                return result;
            }
        }
        Ok(())
    }

    /// Reads a zip archive without a directory, by the headers before each member.
    fn salvage(
        &mut self,
        mut reader: impl Read + Seek,
        inner: Option<Arc<str>>,
        depth: u32,
        cause: &Letter,
    ) -> Result<(), Halt> {
        let context = self.context.replace(cause.detail.clone());
        let mut result = reader.rewind().map_err(|_| Halt::Broken);
        while result.is_ok() {
            let Ok(at) = reader.stream_position() else {
                break;
            };
            let mut last = false;
            let mut file = read_zipfile_from_stream(&mut reader);
            if let Err(ZipError::UnsupportedArchive(_)) = file {
                // its length stands behind it: its own end mark has to do, and what follows
                // cannot be found
                last = true;
                drop(file);
                if reader.seek(SeekFrom::Start(at)).is_err() {
                    break;
                }
                file = read_zipfile_from_stream_with_compressed_size(&mut reader, u64::MAX);
            }
            let Ok(Some(file)) = file else {
                break;
            };
            let name = String::from_utf8_lossy(file.name_raw()).into_owned();
            if !name.ends_with('/') && !is_hidden(Path::new(&name)) {
                let inner = Some(within(inner.as_deref(), &name));
                result = self.entry(Box::new(file), inner, false, depth + 1);
            }
            if last {
                break;
            }
        }
        self.context = context;
        match result {
            // no member has told of the damage
            Ok(()) => self.archive(inner, cause.clone()),
            Err(halt) => Err(halt),
        }
    }

    fn leaf(
        &mut self,
        content: Content,
        mut reader: Peeked<Box<dyn Read + '_>>,
        inner: Option<Arc<str>>,
        named: bool,
    ) -> Result<(), Halt> {
        let known = match content {
            Content::Evtx => true,
            Content::Text { .. } => Content::starts_like_events(reader.head()),
            _ => false,
        };
        let wanted = named || known || inner.as_deref().is_some_and(is_capture);
        if self.member(inner, !wanted)? != Fate::Read {
            return Ok(());
        }
        match content {
            Content::Evtx => self.evtx(&mut reader),
            Content::Text { encoding, mark, layout } => {
                let skipped = (&mut reader).take(mark as u64);
                if let Err(error) = io::copy(&mut { skipped }, &mut io::sink()) {
                    return self.broken(Some(0), &error);
                }
                if encoding == Encoding::Utf8 {
                    return self.text(&mut reader, mark, encoding, layout);
                }
                let mut reader = Utf16Reader::new(reader, encoding);
                self.text(&mut reader, mark, encoding, layout)
            }
            Content::Unsupported(name) => {
                self.left_out(letter(Reason::UnsupportedArchive, Some(0), name))
            }
            // an empty head may be a failure at the first byte
            Content::Empty => match reader.read(&mut [0]) {
                Ok(_) => self.send(Item::Empty),
                Err(error) => self.broken(Some(0), &error),
            },
            _ => {
                let mut letter = letter(Reason::Binary, Some(0), "");
                letter.excerpt = excerpt(&reader.head()[..reader.head().len().min(16)]);
                self.left_out(letter)
            }
        }
    }

    fn owned(&self, member: usize) -> bool {
        (self.job.index + member) % self.options.processes == self.options.process
    }

    /// Announces a member.
    fn member(&mut self, inner: Option<Arc<str>>, skip: bool) -> Result<Fate, Halt> {
        self.fate = if !self.owned(self.members) {
            Fate::Elsewhere
        } else if skip {
            Fate::Skipped
        } else {
            Fate::Read
        };
        self.members += 1;
        let fate = self.fate;
        self.send(Item::Member { inner, fate })?;
        Ok(fate)
    }

    /// Reports a part of the current member.
    pub(super) fn left_out(&mut self, letter: Letter) -> Result<(), Halt> {
        self.send(Item::Left { letter, lines: 0 })
    }

    /// Reports that the current member cannot be read further.
    pub(super) fn broken(&mut self, offset: Option<u64>, error: &io::Error) -> Result<(), Halt> {
        let mut letter = damage(error);
        letter.offset = offset;
        if let Some(context) = &self.context {
            letter.detail = format!("{} ({context})", letter.detail);
        }
        self.left_out(letter)?;
        Err(Halt::Broken)
    }

    /// Reports something about an archive. One process does, since all of them open it.
    fn archive(&mut self, inner: Option<Arc<str>>, letter: Letter) -> Result<(), Halt> {
        if self.owned(0) {
            self.send(Item::Archive { inner, letter })?;
        }
        Ok(())
    }

    pub(super) fn send(&self, item: Item) -> Result<(), Halt> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Halt::Stopped);
        }
        self.job.sender.send(item).map_err(|_| Halt::Stopped)
    }
}

/// A name inside of an archive inside of `outer`.
fn within(outer: Option<&str>, name: &str) -> Arc<str> {
    match outer {
        Some(outer) => format!("{outer}/{name}").into(),
        None => name.into(),
    }
}

/// Whether a member has the name of a capture, whatever it is compressed with.
fn is_capture(name: &str) -> bool {
    let path = Path::new(name);
    let compressed = path
        .extension()
        .is_some_and(|ext| ext.eq_ignore_ascii_case("gz") || ext.eq_ignore_ascii_case("zst"));
    let stem = path.with_extension("");
    // a lone `events.gz` says nothing of what it holds
    is_capture_name(if compressed && stem.extension().is_some() { &stem } else { path })
}

pub(super) fn letter(reason: Reason, offset: Option<u64>, detail: impl Into<String>) -> Letter {
    Letter {
        line: None,
        record: None,
        offset,
        reason,
        detail: detail.into(),
        excerpt: String::new(),
    }
}

fn damage(error: &io::Error) -> Letter {
    use io::ErrorKind as Kind;
    let reason = match error.kind() {
        Kind::UnexpectedEof => Reason::TruncatedArchive,
        Kind::InvalidData | Kind::InvalidInput | Kind::Other => Reason::DamagedArchive,
        _ => Reason::Unreadable,
    };
    letter(reason, None, error.to_string())
}

fn zip_damage(error: &ZipError) -> Letter {
    match error {
        ZipError::Io(error) => damage(error),
        ZipError::InvalidArchive(_) => letter(Reason::DamagedArchive, None, error.to_string()),
        _ => letter(Reason::UnsupportedArchive, None, error.to_string()),
    }
}

/// Counts the bytes that are read from a file, each of them once at most.
struct Counted<'a> {
    inner: File,
    left: &'a Cell<u64>,
    progress: &'a Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        let counted = self.left.get().min(n as u64);
        self.left.set(self.left.get() - counted);
        self.progress.add(counted);
        Ok(n)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
