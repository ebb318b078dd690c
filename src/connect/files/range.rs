//! Reading a part of a plain file of lines, at any position, without looking at what precedes.
//!
//! A range `lo..hi` owns the lines that *start* in it: it skips the rest of the line that
//! began before `lo` and reads on after `hi` to the end of its last line. So ranges that
//! cover a file own each of its lines exactly once, whoever reads them, in whatever order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memchr::{memchr, memrchr};

/// How much is read at a time to find the end of the line before the first one, and of the last one.
const STEP: usize = 8 << 10;

/// A part of a file.
pub(super) struct Range {
    pub file: Arc<File>,
    /// Where the text of the file starts: after its byte-order mark.
    pub start: u64,
    pub lo: u64,
    pub hi: u64,
    /// Where the file ends.
    pub len: u64,
}

/// What a range holds besides the bytes of its lines.
pub(super) struct Lines {
    /// The offset of the first line.
    pub offset: u64,
    /// The beginning of the last line when that exceeds the limit; it is not in the bytes.
    pub too_long: Option<Vec<u8>>,
}

impl Range {
    /// Reads the lines of the range into `buf`, replacing its content.
    pub fn read(&self, buf: &mut Vec<u8>, max_record: usize) -> io::Result<Lines> {
        let none = Lines { offset: self.lo, too_long: None };
        if self.lo >= self.hi {
            buf.clear();
            return Ok(none);
        }
        let Some(offset) = self.first_line()? else {
            buf.clear();
            return Ok(none);
        };
        let mut eof = !self.fill(buf, 0, offset, (self.hi - offset) as usize)?;
        let last = memrchr(b'\n', buf).map_or(0, |n| n + 1);
        let mut seen = last;
        while seen < buf.len() {
            // the last line is not at its end yet
            let end = memchr(b'\n', &buf[seen..]).map(|n| seen + n);
            if end.unwrap_or(buf.len()) - last > max_record {
                let beginning = buf[last..buf.len().min(last + STEP)].to_vec();
                buf.truncate(last);
                return Ok(Lines { offset, too_long: Some(beginning) });
            }
            if let Some(end) = end {
                buf.truncate(end + 1);
                break;
            }
            if eof {
                break;
            }
            seen = buf.len();
            eof = !self.fill(buf, seen, offset + seen as u64, STEP)?;
        }
        Ok(Lines { offset, too_long: None })
    }

    /// Where the first line starts that starts in the range. What precedes it is read into a buffer of its own, so that no line has to be moved.
    fn first_line(&self) -> io::Result<Option<u64>> {
        if self.lo == self.start {
            return Ok(Some(self.lo));
        }
        // the byte before tells whether a line starts at `lo`
        let (mut from, mut buf) = (self.lo - 1, Vec::new());
        while from < self.hi {
            let more = self.fill(&mut buf, 0, from, STEP.min((self.hi - from) as usize))?;
            if let Some(newline) = memchr(b'\n', &buf) {
                let line = from + newline as u64 + 1;
                return Ok((line < self.hi).then_some(line));
            }
            if !more {
                break;
            }
            from += buf.len() as u64;
        }
        Ok(None)
    }

    /// Reads up to `count` bytes from `offset` to `buf[begin..]`. False when the file ends.
    ///
    /// What `buf` holds beyond is overwritten, which spares zeroing a buffer used before.
    fn fill(&self, buf: &mut Vec<u8>, begin: usize, offset: u64, count: usize) -> io::Result<bool> {
        let count = count.min(self.len.saturating_sub(offset) as usize);
        buf.resize(begin + count, 0);
        let mut done = 0;
        while done < count {
            match self.file.read_at(&mut buf[begin + done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buf.truncate(begin + done);
        Ok(done == count && offset + (done as u64) < self.len)
    }
}
