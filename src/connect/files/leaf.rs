//! Cutting a member that is read from its beginning into chunks of whole records.

use std::io::{self, Read};

use super::chunk::{Kind, Letter, Spans};
use super::dispenser::{Options, too_long};
use super::unpack::{Halt, Item, Unpacker, letter};
use crate::format::encoding::Encoding;
use crate::format::evtx;
use crate::format::split::{LOOK, Scanner};
use crate::model::dead_letter::{Reason, excerpt};

impl Unpacker {
    /// Cuts text into chunks of whole records. What is held is a record of the greatest length
    /// and a chunk.
    pub(super) fn text(
        &mut self,
        reader: &mut dyn Read,
        mark: usize,
        encoding: Encoding,
        kind: &Kind,
    ) -> Result<(), Halt> {
        let Options { expect, chunk_bytes, max_record, .. } = self.options;
        let separator = match kind {
            Kind::Text { table: Some(table), .. } => Some(table.separator),
            _ => None,
        };
        let mut scanner = Scanner::new(expect, separator);
        let mut source = Filler::new(reader);
        let mut offset = mark as u64;
        let mut buf = self.pool.take();
        let mut target = chunk_bytes;
        loop {
            source.fill(&mut buf, target);
            let spans: Vec<_> = std::iter::from_fn(|| scanner.next(&buf, source.eof)).collect();
            let settled = scanner.settled();
            if settled > 0 {
                let lines = scanner.lines_to(&buf, settled);
                scanner.rebase(settled);
                let mut next = self.pool.take();
                next.extend_from_slice(&buf[settled..]);
                buf.truncate(settled);
                let bytes = std::mem::replace(&mut buf, next);
                let len = encoding.stored_len(&bytes);
                let spans = Spans::Text(spans, lines);
                self.send(Item::Chunk { offset, bytes, kind: kind.clone(), spans })?;
                offset += len;
                target = chunk_bytes;
            } else if source.eof {
                break;
            } else if buf.len() > max_record {
                scanner.give_up(buf.len());
                let at = offset;
                let excerpt = excerpt(&buf);
                let lines = self.pass(&mut scanner, &mut source, &mut buf, encoding, &mut offset);
                let mut letter = too_long(at, offset - at, max_record);
                letter.excerpt = excerpt;
                letter.line = Some(0);
                self.send(Item::Left { letter, lines })?;
                target = chunk_bytes;
            } else {
                target = (2 * buf.len()).max(chunk_bytes).min(max_record + 1);
            }
        }
        self.pool.give(buf);
        match source.failure {
            None => Ok(()),
            Some(error) => self.broken(Some(offset), &error),
        }
    }

    /// Passes over a record that has been given up, to the next one that begins; returns the
    /// number of line breaks passed.
    fn pass(
        &self,
        scanner: &mut Scanner,
        source: &mut Filler<'_>,
        buf: &mut Vec<u8>,
        encoding: Encoding,
        offset: &mut u64,
    ) -> u64 {
        let mut lines = 0;
        loop {
            let found = scanner.next(buf, source.eof).is_some();
            let passed = if found { scanner.settled() } else { scanner.passed() };
            lines += u64::from(scanner.lines_to(buf, passed));
            *offset += encoding.stored_len(&buf[..passed]);
            scanner.rebase(passed);
            buf.drain(..passed);
            if found {
                return lines;
            }
            let target = buf.len() + self.options.chunk_bytes.max(2 * LOOK);
            source.fill(buf, target);
        }
    }

    /// Cuts an event log into its chunks.
    pub(super) fn evtx(&mut self, reader: &mut dyn Read) -> Result<(), Halt> {
        let mut source = Filler::new(reader);
        let mut header = Vec::new();
        source.fill(&mut header, evtx::FILE_HEADER);
        let mut offset = header.len() as u64;
        if header.len() < evtx::FILE_HEADER && source.failure.is_none() {
            self.left_out(letter(
                Reason::DamagedEvtxChunk,
                Some(0),
                "the file ends within its header",
            ))?;
        }
        // blocks that are no chunks: damage when a chunk follows, else space not used yet
        let mut doubtful: Vec<Letter> = Vec::new();
        loop {
            let mut block = self.pool.take();
            source.fill(&mut block, evtx::CHUNK);
            let len = block.len();
            if len == 0 {
                break;
            }
            if evtx::is_chunk(&block) {
                for letter in doubtful.drain(..) {
                    self.send(Item::Left { letter, lines: 0 })?;
                }
                if len < evtx::CHUNK && source.failure.is_none() {
                    let detail = format!("the file ends {} bytes too early", evtx::CHUNK - len);
                    self.left_out(letter(Reason::DamagedEvtxChunk, Some(offset), detail))?;
                }
                // what is there of a torn chunk can be read
                block.resize(evtx::CHUNK, 0);
                self.send(Item::Chunk {
                    offset,
                    bytes: block,
                    kind: Kind::Evtx,
                    spans: Spans::Unknown,
                })?;
            } else if block.iter().any(|&byte| byte != 0) {
                let lost = letter(Reason::DamagedEvtxChunk, Some(offset), "no chunk header");
                if evtx::holds_records(&block) {
                    for letter in doubtful.drain(..).chain([lost]) {
                        self.send(Item::Left { letter, lines: 0 })?;
                    }
                } else {
                    doubtful.push(lost);
                }
            }
            offset += len as u64;
        }
        match source.failure {
            None => Ok(()),
            Some(error) => self.broken(Some(offset), &error),
        }
    }
}

/// Fills buffers, and keeps the failure that ends the stream until all before it is used.
struct Filler<'a> {
    reader: &'a mut dyn Read,
    eof: bool,
    failure: Option<io::Error>,
}

impl<'a> Filler<'a> {
    fn new(reader: &'a mut dyn Read) -> Self {
        Self { reader, eof: false, failure: None }
    }

    /// Appends to `buf` until it is `target` long or the stream ends.
    fn fill(&mut self, buf: &mut Vec<u8>, target: usize) {
        let Some(missing) = target.checked_sub(buf.len()).filter(|&n| n > 0 && !self.eof) else {
            return;
        };
        buf.reserve(missing);
        let read = (&mut self.reader).take(missing as u64).read_to_end(buf);
        self.eof = buf.len() < target;
        self.failure = read.err();
        self.eof |= self.failure.is_some();
    }
}
