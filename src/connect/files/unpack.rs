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
//!
//! # Bounds
//! What is held is bounded by chunks and records, by [`MAX_INNER`] for archives that have to be
//! read from their end, and by [`MAX_HEADER`] for names in tar archives. What an input unpacks to,
//! all levels together, is limited by its size ([`Expansion`]).

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use sevenz_rust2::{ArchiveReader, EntryDecision, Error as SevenZError, Password};
use zip::ZipArchive;
use zip::read::{ZipFile, read_zipfile_from_stream, read_zipfile_from_stream_with_compressed_size};
use zip::result::ZipError;

use super::chunk::{Kind, Letter, Spans};
use super::discover::{Source, is_hidden, left_out, promises_events};
use super::dispenser::{Options, Pool, Progress, USUAL_PASSWORD};
use super::expansion::{Expansion, Headers, Limited, Metered};
use crate::format::container::{Content, Exactly, Peeked, decompress};
use crate::format::encoding::{Encoding, Utf16Reader};
use crate::model::dead_letter::{Reason, excerpt};

/// How many containers may lie within each other: an archive in an archive, each of them
/// compressed.
const MAX_DEPTH: u32 = 4;

/// The largest zip or 7z archive within another container: its directory is at its end, so it
/// has to be held in memory.
const MAX_INNER: u64 = 1 << 30;

/// The longest header of a file in a tar archive, with its name and attributes, in bytes.
const MAX_HEADER: u64 = 1 << 20;

/// The greatest dictionary of a 7z archive, in KiB.
const MAX_DICTIONARY: usize = 1 << 20;

/// What reading an input yields, in order.
pub(super) enum Item {
    /// A member starts.
    Member { inner: Option<Arc<str>>, fate: Fate },
    /// The current member has no bytes at all.
    Empty,
    /// Records of the current member.
    Chunk { offset: u64, bytes: Vec<u8>, kind: Kind, spans: Spans },
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
    /// It holds no events, but this.
    Skipped(&'static str),
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
    /// Whether the user named it, so that it is to be read whatever it holds.
    pub named: bool,
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
    /// How much has been unpacked.
    expansion: Rc<Expansion>,
}

impl Unpacker {
    pub fn new(
        job: Job,
        options: Options,
        pool: Arc<Pool>,
        progress: Arc<Progress>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let expansion = Rc::new(Expansion::new(options.max_unpacked));
        let fate = Fate::Read;
        Self { job, options, pool, progress, stop, members: 0, fate, context: None, expansion }
    }

    /// Reads it all. Ends early when nobody wants more or the input is broken.
    pub fn run(mut self) {
        let named = self.job.named;
        let metered = |inner| Box::new(Metered::new(inner, Rc::clone(&self.expansion)));
        let _ended_early = match self.job.source.clone() {
            Source::Stdin => {
                let reader = metered(Box::new(io::stdin().lock()) as Box<dyn Read>);
                self.entry(reader, None, named, 0)
            }
            Source::Pipe(path) => match File::open(&path) {
                Ok(file) => {
                    let reader = metered(Box::new(file));
                    self.entry(reader, None, named, 0)
                }
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
        let named = self.job.named;
        let expansion = Rc::clone(&self.expansion);
        let progress = Arc::clone(&self.progress);
        let mut counted = Counted { inner: file, len, expansion: &expansion, progress: &progress };
        let mut magic = Vec::new();
        let peeked = (&mut counted).take(8).read_to_end(&mut magic);
        let content = peeked.and_then(|_| {
            counted.rewind()?;
            Ok(Content::identify(&magic, self.options.expect))
        });
        let result = match content {
            Err(error) => self.unreadable(&error),
            Ok(Content::Zip) => {
                self.zip(BufReader::with_capacity(128 << 10, counted), None, 0, None)
            }
            Ok(Content::SevenZ) => {
                self.seven_z(BufReader::with_capacity(128 << 10, counted), None, 0)
            }
            Ok(_) => self.entry(Box::new(counted), None, named, 0),
        };
        progress.add(len.saturating_sub(expansion.read()));
        result
    }

    fn unreadable(&mut self, error: &io::Error) -> Result<(), Halt> {
        if self.member(None, None)? == Fate::Read {
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
        let content = Content::identify(peeked.head(), self.options.expect);
        if content.is_container() && depth == MAX_DEPTH {
            let detail = format!("more than {MAX_DEPTH} containers within each other");
            return self.archive(inner, letter(Reason::UnsupportedArchive, None, detail));
        }
        match content {
            _ if content.is_stream() => match decompress(&content, peeked) {
                Ok(reader) => {
                    let reader = Limited::new(reader, Rc::clone(&self.expansion));
                    self.entry(Box::new(reader), inner, named, depth + 1)
                }
                Err(error) => {
                    let letter = self.damage(&error);
                    self.archive(inner, letter)
                }
            },
            Content::Tar => self.tar(Box::new(peeked), inner, depth),
            Content::Zip | Content::SevenZ => {
                let mut held = Vec::new();
                let read = (&mut peeked).take(MAX_INNER + 1).read_to_end(&mut held);
                if held.len() as u64 > MAX_INNER {
                    let detail = "an archive of more than 1 GiB within another container";
                    return self.archive(inner, letter(Reason::UnsupportedArchive, None, detail));
                }
                let held = Cursor::new(held);
                match (content, read.err()) {
                    (Content::Zip, broken) => self.zip(held, inner, depth, broken),
                    (_, None) => self.seven_z(held, inner, depth),
                    (_, Some(error)) => {
                        let letter = self.damage(&error);
                        self.archive(inner, letter)
                    }
                }
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
        let headers = Headers::new(MAX_HEADER);
        let mut archive = tar::Archive::new(headers.guard(&mut reader));
        let mut entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return self.broken_archive(inner, &error),
        };
        loop {
            // what is read until the next entry is its header
            headers.begin();
            let Some(entry) = entries.next() else { break };
            headers.end();
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.broken_archive(inner, &error),
            };
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let size = entry.size();
            let wanted = entry.header().entry_type().is_file() && !is_hidden(Path::new(&name));
            let mut content = Exactly::new(&mut entry, size);
            if wanted {
                let content = Box::new(&mut content);
                self.entry(content, Some(within(inner.as_deref(), &name)), false, depth + 1)?;
            }
            // what was not read (a file that is no capture) may be where the damage is
            if let Err(error) = io::copy(&mut content, &mut io::sink()) {
                if !wanted || matches!(self.fate, Fate::Skipped(_)) {
                    return self.broken_archive(inner, &error);
                }
                return Err(Halt::Broken);
            }
        }
        headers.end();
        // the checksum of the compressed stream stands at its end
        match io::copy(&mut archive.into_inner(), &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(error) => self.broken_archive(inner, &error),
        }
    }

    /// Reads a 7z archive.
    fn seven_z(
        &mut self,
        mut reader: impl Read + Seek,
        inner: Option<Arc<str>>,
        depth: u32,
    ) -> Result<(), Halt> {
        let mut refused = None;
        for password in self.passwords() {
            let password = password.map_or_else(Password::empty, |text| Password::from(&*text));
            if let Err(error) = reader.rewind() {
                return self.broken_archive(inner, &error);
            }
            let opened =
                ArchiveReader::new_with_memory_limit(&mut reader, password, MAX_DICTIONARY);
            let mut archive = match opened {
                Ok(archive) => archive,
                Err(error) => {
                    refused = Some(error);
                    continue;
                }
            };
            archive.set_thread_count(1);
            // a wrong password shows when the first file is unpacked
            let opens = archive.for_each_entries_with_decision(|entry, content| {
                if entry.is_directory() || entry.size() == 0 {
                    return Ok(EntryDecision::Continue);
                }
                content.read_exact(&mut [0])?;
                Ok(EntryDecision::Stop)
            });
            if let Err(error) = opens
                && matches!(error, SevenZError::PasswordRequired | SevenZError::MaybeBadPassword(_))
            {
                refused = Some(error);
                continue;
            }
            return self.seven_z_members(archive, inner, depth);
        }
        let letter = match refused {
            Some(SevenZError::PasswordRequired | SevenZError::MaybeBadPassword(_)) => {
                letter(Reason::UnsupportedArchive, None, ENCRYPTED)
            }
            Some(error) => self.seven_z_damage(&error),
            None => return Ok(()),
        };
        self.archive(inner, letter)
    }

    fn seven_z_members(
        &mut self,
        mut archive: ArchiveReader<impl Read + Seek>,
        inner: Option<Arc<str>>,
        depth: u32,
    ) -> Result<(), Halt> {
        let mut halted = None;
        let read = archive.for_each_entries_with_decision(|entry, content| {
            let name = entry.name().replace('\\', "/");
            if entry.is_directory() || is_hidden(Path::new(&name)) {
                return Ok(EntryDecision::Continue);
            }
            let inner = Some(within(inner.as_deref(), &name));
            let content = Limited::new(content, Rc::clone(&self.expansion));
            match self.entry(Box::new(content), inner, false, depth + 1) {
                Ok(()) => Ok(EntryDecision::Continue),
                // of a block that is damaged nothing more can be unpacked
                Err(Halt::Broken) if !self.expansion.exceeded() => Ok(EntryDecision::SkipBlock),
                Err(halt) => {
                    halted = Some(halt);
                    Ok(EntryDecision::Stop)
                }
            }
        });
        match (halted, read) {
            (Some(halt), _) => Err(halt),
            (None, Ok(())) => Ok(()),
            (None, Err(error)) => {
                let letter = self.seven_z_damage(&error);
                self.archive(inner, letter)
            }
        }
    }

    fn seven_z_damage(&self, error: &SevenZError) -> Letter {
        match error {
            SevenZError::Io(error, _) => self.damage(error),
            SevenZError::UnsupportedCompressionMethod(_)
            | SevenZError::UnsupportedVersion { .. }
            | SevenZError::Unsupported(_)
            | SevenZError::ExternalUnsupported
            | SevenZError::MaxMemLimited { .. } => {
                letter(Reason::UnsupportedArchive, None, error.to_string())
            }
            _ => letter(Reason::DamagedArchive, None, error.to_string()),
        }
    }

    /// The passwords to try, none first.
    fn passwords(&self) -> impl Iterator<Item = Option<String>> + use<> {
        let given = self.options.password.clone();
        let usual =
            Some(USUAL_PASSWORD.to_owned()).filter(|_| given.as_deref() != Some(USUAL_PASSWORD));
        [None, Some(given), Some(usual)].into_iter().filter_map(|tried| match tried {
            None => Some(None),
            Some(password) => password.map(Some),
        })
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
            let cause = self.damage(&error);
            return self.salvage(reader, inner, depth, &cause);
        }
        let mut archive = match ZipArchive::new(&mut reader) {
            Ok(archive) => archive,
            Err(error) => {
                let cause = self.zip_damage(&error);
                return self.salvage(reader, inner, depth, &cause);
            }
        };
        for index in 0..archive.len() {
            let name = archive.name_for_index(index);
            let name = name.and_then(Result::ok).unwrap_or_default().into_owned();
            if name.ends_with('/') || is_hidden(Path::new(&name)) {
                continue;
            }
            let inner = Some(within(inner.as_deref(), &name));
            let result = match self.zip_member(&mut archive, index) {
                Ok(file) => {
                    let file = Limited::new(file, Rc::clone(&self.expansion));
                    self.entry(Box::new(file), inner, false, depth + 1)
                }
                Err(letter) => self.archive(inner, letter),
            };
            match result {
                Err(Halt::Broken) if !self.expansion.exceeded() => {}
                Err(halt) => return Err(halt),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Opens a member, with one of the passwords if it is encrypted.
    fn zip_member<'a, R: Read + Seek>(
        &self,
        archive: &'a mut ZipArchive<R>,
        index: usize,
    ) -> Result<ZipFile<'a, R>, Letter> {
        let encrypted = archive.by_index_raw(index).map(|file| file.encrypted());
        if !encrypted.map_err(|error| self.zip_damage(&error))? {
            return archive.by_index(index).map_err(|error| self.zip_damage(&error));
        }
        for password in self.passwords().flatten() {
            let opened = archive.by_index_decrypt(index, password.as_bytes()).map(drop);
            if !matches!(opened, Err(ZipError::InvalidPassword)) {
                let opened = archive.by_index_decrypt(index, password.as_bytes());
                return opened.map_err(|error| self.zip_damage(&error));
            }
        }
        Err(letter(Reason::UnsupportedArchive, None, ENCRYPTED))
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
                let file = Limited::new(file, Rc::clone(&self.expansion));
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
        // what is not named has to show what it is; a name that promises events is held to it
        let promised =
            named || promises_events(inner.as_deref().unwrap_or(&self.job.source.name()));
        let skip = left_out(&content).filter(|_| !promised);
        if self.member(inner, skip)? != Fate::Read {
            return Ok(());
        }
        match content {
            Content::Evtx => self.evtx(&mut reader),
            Content::Text { layout, .. } if layout.in_vain.is_some() => {
                let detail = format!(
                    "none of the first {} lines is an event or the beginning of one",
                    layout.in_vain.unwrap_or_default()
                );
                let mut letter = letter(Reason::UnknownShape, Some(0), detail);
                letter.excerpt = excerpt(reader.head());
                self.left_out(letter)
            }
            Content::Text { encoding, code_page, mark, layout } => {
                let skipped = (&mut reader).take(mark as u64);
                if let Err(error) = io::copy(&mut { skipped }, &mut io::sink()) {
                    return self.broken(Some(0), &error);
                }
                let table = layout.header.map(Arc::new);
                let kind = Kind::Text { encoding, code_page, table };
                if encoding == Encoding::Utf8 {
                    return self.text(&mut reader, mark, encoding, &kind);
                }
                let mut reader = Utf16Reader::new(reader, encoding);
                self.text(&mut reader, mark, encoding, &kind)
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

    /// Announces a member, which is left out if it holds only what `skip` says.
    fn member(
        &mut self,
        inner: Option<Arc<str>>,
        skip: Option<&'static str>,
    ) -> Result<Fate, Halt> {
        self.fate = if self.owned(self.members) {
            skip.map_or(Fate::Read, Fate::Skipped)
        } else {
            Fate::Elsewhere
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
        let mut letter = self.damage(error);
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

    fn broken_archive(&mut self, inner: Option<Arc<str>>, error: &io::Error) -> Result<(), Halt> {
        let letter = self.damage(error);
        self.archive(inner, letter).and(Err(Halt::Broken))
    }

    fn damage(&self, error: &io::Error) -> Letter {
        use io::ErrorKind as Kind;
        if self.expansion.exceeded() {
            let detail = self.expansion.to_string();
            return letter(Reason::UnpackedTooLarge, None, detail);
        }
        let reason = match error.kind() {
            Kind::UnexpectedEof => Reason::TruncatedArchive,
            Kind::InvalidData | Kind::InvalidInput | Kind::Other => Reason::DamagedArchive,
            _ => Reason::Unreadable,
        };
        letter(reason, None, error.to_string())
    }

    fn zip_damage(&self, error: &ZipError) -> Letter {
        match error {
            ZipError::Io(error) => self.damage(error),
            ZipError::InvalidArchive(_) => letter(Reason::DamagedArchive, None, error.to_string()),
            _ => letter(Reason::UnsupportedArchive, None, error.to_string()),
        }
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

/// What a letter says of an archive that no password opens.
const ENCRYPTED: &str = "it is encrypted: give its password by --password";

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

/// Counts the bytes that are read from a file, each of them once at most.
struct Counted<'a> {
    inner: File,
    len: u64,
    expansion: &'a Expansion,
    progress: &'a Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        let counted = (self.len - self.expansion.read()).min(n as u64);
        self.expansion.add_read(counted);
        self.progress.add(counted);
        Ok(n)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
