//! Cutting a member that is read from its beginning into chunks of whole records.

use std::io::{self, Read};

use super::chunk::{Kind, Letter, count_lines};
use super::dispenser::Options;
use super::unpack::{Halt, Item, Unpacker, letter};
use crate::format::encoding::Encoding;
use crate::format::evtx;
use crate::format::split::{Cutter, Layout};
use crate::model::dead_letter::{Reason, excerpt};

impl Unpacker {
    /// Cuts text into chunks of whole records.
    pub(super) fn text(
        &mut self,
        reader: &mut dyn Read,
        mark: usize,
        encoding: Encoding,
        layout: Layout,
    ) -> Result<(), Halt> {
        let Options { chunk_bytes, max_record, .. } = self.options;
        let kind = Kind::Text { layout, encoding };
        let mut cutter = Cutter::new(layout);
        let mut source = Filler::new(reader);
        let mut offset = mark as u64;
        let mut buf = self.pool.take();
        let mut target = chunk_bytes;
        loop {
            source.fill(&mut buf, target);
            let cut = cutter.cut(&buf);
            if cut > 0 {
                let mut next = self.pool.take();
                next.extend_from_slice(&buf[cut..]);
                buf.truncate(cut);
                let bytes = std::mem::replace(&mut buf, next);
                let len = encoding.stored_len(&bytes);
                self.send(Item::Chunk { offset, bytes, kind })?;
                offset += len;
                target = chunk_bytes;
                continue;
            }
            let start = cutter.open_since();
            if buf.len() - start > max_record {
                let mut letter = letter(
                    Reason::RecordTooLong,
                    Some(offset + encoding.stored_len(&buf[..start])),
                    format!("longer than {max_record} bytes"),
                );
                letter.line = Some(count_lines(&buf[..start]) as u32);
                letter.excerpt = excerpt(&buf[start..]);
                let mut lines = 0;
                loop {
                    let (dropped, done) = cutter.skip(&buf, source.eof);
                    lines += count_lines(&buf[..dropped]);
                    offset += encoding.stored_len(&buf[..dropped]);
                    buf.drain(..dropped);
                    if done || source.eof {
                        break;
                    }
                    let target = buf.len() + chunk_bytes;
                    source.fill(&mut buf, target);
                }
                self.send(Item::Left { letter, lines })?;
                target = chunk_bytes;
                continue;
            }
            if source.eof {
                break;
            }
            target = (2 * buf.len()).max(chunk_bytes).min(start + max_record + 1);
        }
        if !buf.is_empty() {
            let len = encoding.stored_len(&buf);
            self.send(Item::Chunk { offset, bytes: buf, kind })?;
            offset += len;
        }
        match source.failure {
            None => Ok(()),
            Some(error) => self.broken(Some(offset), &error),
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
                self.send(Item::Chunk { offset, bytes: block, kind: Kind::Evtx })?;
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
