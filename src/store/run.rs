//! A run: an immutable file of entries, sorted by (node, place, key).
//!
//! ```text
//! header    magic, version, number of the run, CRC-32 of these
//! block*    length, CRC-32, entries: place, length of the key, length of the value, key, value
//! footer    for each node: node, first byte, end, entries; their number, CRC-32, magic
//! ```
//!
//! All numbers are little-endian. A block has entries of one node, about [`BLOCK`] bytes of them, or one that is longer. Checksums of blocks and of the footer begin with the number of the run and the byte where
//! they stand, so a block is sound only in its place.
//!
//! Reading and writing are streams: a reader holds [`WINDOW`] bytes, a writer one block, however large the run is.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::changes::Put;
use super::manifest::RunName;
use super::{Node, StoreError, VERSION, disk};

/// Bytes of entries after which a block ends.
const BLOCK: usize = 64 << 10;

/// What a reader reads at once: enough that a disk is read at its full speed.
const WINDOW: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"helkrun\n";
const END: &[u8; 8] = b"runends\n";

const HEADER: usize = 24;
const TAIL: usize = 16;
const SECTION: usize = 32;
/// Length and checksum of a block.
const FRAME: usize = 8;
/// What precedes the key and value of an entry.
const LENGTHS: usize = 24;

/// Length of the value of a deletion.
const DELETED: u32 = u32::MAX;

/// A run that is complete.
#[derive(Debug)]
pub(super) struct Run {
    pub name: RunName,
    pub path: PathBuf,
    /// By node.
    pub sections: Vec<Section>,
    /// Open, so it stays readable for whoever has it when the file is deleted.
    file: File,
}

/// The entries of one node in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub node: Node,
    /// Byte of the first block.
    pub start: u64,
    /// Byte after the last block.
    pub end: u64,
    pub entries: u64,
}

impl Section {
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }
}

/// Where a run is.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    folder(dir).join(format!("{number}.run"))
}

/// Where runs are.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join("runs")
}

/// The number in a run's file name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".run")?.parse().ok()
}

fn checksum(number: u64, at: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(&at.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Writes a run. What it writes counts only when a manifest names it.
pub(super) struct RunWriter {
    number: u64,
    path: PathBuf,
    file: File,
    /// Bytes written.
    at: u64,
    /// The block that is being filled.
    block: Vec<u8>,
    sections: Vec<Section>,
}

impl RunWriter {
    pub fn create(dir: &Path, number: u64) -> Result<RunWriter, StoreError> {
        let path = path(dir, number);
        let file = disk::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(StoreError::io("create", &path))?;
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&number.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        let mut writer =
            RunWriter { number, path, file, at: 0, block: Vec::new(), sections: Vec::new() };
        writer.write(&header)?;
        writer.block.resize(FRAME, 0);
        Ok(writer)
    }

    /// Adds the next entry in order.
    pub fn put(&mut self, put: &Put<'_>) -> Result<(), StoreError> {
        if self.sections.last().is_none_or(|section| section.node != put.node) {
            debug_assert!(
                self.sections.last().is_none_or(|section| section.node < put.node),
                "runs are sorted"
            );
            self.end_section()?;
            self.sections.push(Section {
                node: put.node,
                start: self.at,
                end: self.at,
                entries: 0,
            });
        }
        self.block.extend_from_slice(&put.place.to_le_bytes());
        self.block.extend_from_slice(&(put.key.len() as u32).to_le_bytes());
        self.block.extend_from_slice(
            &put.value.map_or(DELETED, |value| value.len() as u32).to_le_bytes(),
        );
        self.block.extend_from_slice(put.key);
        self.block.extend_from_slice(put.value.unwrap_or_default());
        self.sections.last_mut().expect("one has just begun").entries += 1;
        if self.block.len() >= BLOCK { self.end_block() } else { Ok(()) }
    }

    /// Writes the rest. The run is not synced.
    pub fn finish(mut self, until: u64) -> Result<Run, StoreError> {
        self.end_section()?;
        let mut footer = Vec::with_capacity(self.sections.len() * SECTION + TAIL);
        for section in &self.sections {
            for number in [section.node.0, section.start, section.end, section.entries] {
                footer.extend_from_slice(&number.to_le_bytes());
            }
        }
        footer.extend_from_slice(&(self.sections.len() as u32).to_le_bytes());
        footer.extend_from_slice(&checksum(self.number, self.at, &footer).to_le_bytes());
        footer.extend_from_slice(END);
        self.write(&footer)?;
        let name = RunName { number: self.number, until, bytes: self.at };
        Ok(Run { name, path: self.path, sections: self.sections, file: self.file })
    }

    fn end_section(&mut self) -> Result<(), StoreError> {
        self.end_block()?;
        if let Some(section) = self.sections.last_mut() {
            section.end = self.at;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        if self.block.len() == FRAME {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.block);
        let entries = &block[FRAME..];
        let (length, sum) = (
            u32::try_from(entries.len()).expect("entries are shorter than 4 GiB"),
            checksum(self.number, self.at, entries),
        );
        block[..4].copy_from_slice(&length.to_le_bytes());
        block[4..FRAME].copy_from_slice(&sum.to_le_bytes());
        self.write(&block)?;
        block.truncate(FRAME);
        self.block = block;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

impl Run {
    /// Opens a run and reads its footer.
    pub fn open(dir: &Path, name: RunName) -> Result<Run, StoreError> {
        let path = path(dir, name.number);
        let file = File::open(&path).map_err(StoreError::io("open", &path))?;
        let bytes = file.metadata().map_err(StoreError::io("read", &path))?.len();
        let damaged = |byte: u64, problem: &str| StoreError::damaged(&path, byte, problem);
        if bytes < (HEADER + TAIL) as u64 || bytes < name.bytes {
            return Err(damaged(
                bytes,
                &format!("the file ends here and not at byte {}", name.bytes),
            ));
        }
        if bytes > name.bytes {
            return Err(damaged(name.bytes, "the file goes on after its end"));
        }
        let read = |at: u64, buffer: &mut [u8]| {
            file.read_exact_at(buffer, at).map_err(StoreError::io("read", &path))
        };
        let mut header = [0; HEADER];
        read(0, &mut header)?;
        if header[..8] != *MAGIC
            || crc32fast::hash(&header[..HEADER - 4]) != u32_at(&header, HEADER - 4)
        {
            return Err(damaged(0, "no header of a run"));
        }
        let version = u32_at(&header, 8);
        if version != VERSION {
            return Err(StoreError::Version { path, found: version, known: VERSION });
        }
        if u64_at(&header, 12) != name.number {
            return Err(damaged(12, "another run under this name"));
        }
        let mut tail = [0; TAIL];
        let tail_at = bytes - TAIL as u64;
        read(tail_at, &mut tail)?;
        let length = u64::from(u32_at(&tail, 0)) * SECTION as u64;
        let Some(footer_at) = tail_at.checked_sub(length).filter(|at| *at >= HEADER as u64) else {
            return Err(damaged(tail_at, "no end of a run"));
        };
        let mut footer = vec![0; length as usize + 4];
        read(footer_at, &mut footer)?;
        if tail[8..] != *END || checksum(name.number, footer_at, &footer) != u32_at(&tail, 4) {
            return Err(damaged(footer_at, "the checksum of the footer does not match"));
        }
        let mut sections: Vec<Section> = Vec::new();
        for field in footer[..length as usize].chunks_exact(SECTION) {
            let section = Section {
                node: Node(u64_at(field, 0)),
                start: u64_at(field, 8),
                end: u64_at(field, 16),
                entries: u64_at(field, 24),
            };
            let follows = sections.last().map_or(section.start == HEADER as u64, |last| {
                last.end == section.start && last.node < section.node
            });
            if !follows || section.end < section.start {
                return Err(damaged(footer_at, "the footer is inconsistent"));
            }
            sections.push(section);
        }
        if sections.last().map_or(HEADER as u64, |last| last.end) != footer_at {
            return Err(damaged(footer_at, "the footer is inconsistent"));
        }
        Ok(Run { name, path, sections, file })
    }

    pub fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(StoreError::io("sync", &self.path))
    }

    /// Entries of all nodes.
    pub fn entries(&self) -> u64 {
        self.sections.iter().map(|section| section.entries).sum()
    }

    pub fn section(&self, node: Node) -> Option<&Section> {
        self.sections
            .binary_search_by_key(&node, |section| section.node)
            .ok()
            .map(|at| &self.sections[at])
    }

    /// Reads through all entries of a section.
    pub fn verify(self: &Arc<Run>, section: &Section) -> Result<(), StoreError> {
        let mut cursor = Cursor::new(self, section)?;
        let (mut entries, mut last) = (0, None::<(u128, Vec<u8>)>);
        while let Some(head) = cursor.head() {
            if last
                .as_ref()
                .is_some_and(|(place, key)| (*place, &key[..]) >= (head.place, head.key))
            {
                return Err(cursor.damage("entries are out of order"));
            }
            let (place, key) = last.get_or_insert_default();
            *place = head.place;
            key.clear();
            key.extend_from_slice(head.key);
            entries += 1;
            cursor.advance()?;
        }
        if entries == section.entries {
            return Ok(());
        }
        Err(StoreError::damaged(
            &self.path,
            section.end,
            format!("{entries} entries and not {}", section.entries),
        ))
    }
}

/// A position in a section.
pub(super) struct Cursor {
    run: Arc<Run>,
    node: Node,
    /// The byte of the file after what is in the buffer.
    at: u64,
    /// End of the section.
    end: u64,
    /// Bytes of the file, of which `filled` are valid.
    buffer: Vec<u8>,
    filled: usize,
    /// The rest of the block behind the head.
    next: usize,
    block_end: usize,
    head: Option<Head>,
}

/// Where the entry under the cursor is in the buffer.
#[derive(Clone, Copy)]
struct Head {
    place: u128,
    key: usize,
    value: usize,
    end: usize,
    deleted: bool,
}

impl Cursor {
    /// At the first entry of a section of `run`.
    pub fn new(run: &Arc<Run>, section: &Section) -> Result<Cursor, StoreError> {
        let mut cursor = Cursor {
            run: run.clone(),
            node: section.node,
            at: section.start,
            end: section.end,
            buffer: vec![0; section.bytes().min(WINDOW as u64) as usize],
            filled: 0,
            next: 0,
            block_end: 0,
            head: None,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    /// The entry under the cursor; None after the last one.
    #[inline]
    pub fn head(&self) -> Option<Put<'_>> {
        self.head.map(|head| Put {
            node: self.node,
            place: head.place,
            key: &self.buffer[head.key..head.value],
            value: (!head.deleted).then(|| &self.buffer[head.value..head.end]),
        })
    }

    /// Goes to the next entry. After an error there is none.
    pub fn advance(&mut self) -> Result<(), StoreError> {
        self.head = None;
        if self.next == self.block_end && !self.next_block()? {
            return Ok(());
        }
        let rest = &self.buffer[self.next..self.block_end];
        if rest.len() < LENGTHS {
            return Err(self.damage("an entry does not fit in its block"));
        }
        let place = u128::from_le_bytes(rest[..16].try_into().expect("sixteen bytes"));
        let (key, value) = (u32_at(rest, 16) as usize, u32_at(rest, 20));
        let deleted = value == DELETED;
        let value = if deleted { 0 } else { value as usize };
        if rest.len() - LENGTHS < key + value {
            return Err(self.damage("an entry does not fit in its block"));
        }
        let start = self.next + LENGTHS;
        self.next = start + key + value;
        self.head = Some(Head { place, key: start, value: start + key, end: self.next, deleted });
        Ok(())
    }

    /// Enters the next block; false at the end of the section.
    fn next_block(&mut self) -> Result<bool, StoreError> {
        if self.offset() == self.end {
            return Ok(false);
        }
        self.need(FRAME)?;
        let (length, sum) = (
            u32_at(&self.buffer, self.block_end) as usize,
            u32_at(&self.buffer, self.block_end + 4),
        );
        if length == 0 || (length + FRAME) as u64 > self.end - self.offset() {
            return Err(self.damage("a block of impossible length"));
        }
        self.need(FRAME + length)?;
        let start = self.block_end + FRAME;
        if checksum(self.run.name.number, self.offset(), &self.buffer[start..start + length]) != sum
        {
            return Err(self.damage("the checksum of the block does not match"));
        }
        (self.next, self.block_end) = (start, start + length);
        Ok(true)
    }

    /// The byte of the file at `block_end`.
    fn offset(&self) -> u64 {
        self.at - (self.filled - self.block_end) as u64
    }

    /// Has `bytes` from `block_end` on in the buffer.
    fn need(&mut self, bytes: usize) -> Result<(), StoreError> {
        if self.filled - self.block_end >= bytes {
            return Ok(());
        }
        self.buffer.copy_within(self.block_end..self.filled, 0);
        self.filled -= self.block_end;
        (self.next, self.block_end) = (0, 0);
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
        let free = &mut self.buffer[self.filled..];
        let wanted = (self.end - self.at).min(free.len() as u64) as usize;
        if self.filled + wanted < bytes {
            return Err(self.damage("a block goes on after its section"));
        }
        self.run
            .file
            .read_exact_at(&mut free[..wanted], self.at)
            .map_err(StoreError::io("read", &self.run.path))?;
        self.at += wanted as u64;
        self.filled += wanted;
        Ok(())
    }

    fn damage(&self, problem: &str) -> StoreError {
        StoreError::damaged(&self.run.path, self.offset(), problem)
    }
}
