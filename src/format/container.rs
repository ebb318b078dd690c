//! Containers and compressed streams, recognised by their first bytes, never by name.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::encoding::{CodePage, Encoding};
use super::split::{Expect, Layout, look};

/// How many bytes of a member [`Content::identify`] wants to see: several records of the
/// longest usual kind.
pub const HEAD: usize = 256 << 10;

/// What the first bytes of a member say it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing at all.
    Empty,
    /// A gzip stream.
    Gzip,
    /// A Zstandard stream.
    Zstd,
    /// A bzip2 stream.
    Bzip2,
    /// An xz stream.
    Xz,
    /// A zip archive.
    Zip,
    /// A 7z archive.
    SevenZ,
    /// A tar archive.
    Tar,
    /// A container that is not read, by name.
    Unsupported(&'static str),
    /// A Windows event log file.
    Evtx,
    /// Text, with its encoding, the length of its byte-order mark and its layout.
    Text {
        /// How it is stored.
        encoding: Encoding,
        /// What it means where it is not UTF-8.
        code_page: CodePage,
        /// Bytes of the byte-order mark.
        mark: usize,
        /// What its beginning says of the rest.
        layout: Layout,
    },
    /// None of these.
    Binary,
}

impl Content {
    /// Identifies a member by its first [`HEAD`] bytes, or all of it when it is shorter; text is
    /// looked at for the records that are expected.
    pub fn identify(head: &[u8], expect: Expect) -> Self {
        match head {
            [] => return Self::Empty,
            [0x1f, 0x8b, ..] => return Self::Gzip,
            // a frame, or a skippable frame before one
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                return Self::Zstd;
            }
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => return Self::Zip,
            [b'B', b'Z', b'h', b'1'..=b'9', b'1' | 0x17, ..] => return Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return Self::Xz,
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => return Self::SevenZ,
            [b'R', b'a', b'r', b'!', 0x1a, 7, ..] => return Self::Unsupported("rar"),
            _ => {}
        }
        if head.starts_with(b"ElfFile\0") {
            return Self::Evtx;
        }
        if head.get(257..262) == Some(b"ustar") {
            return Self::Tar;
        }
        let (encoding, mark) = Encoding::detect(head);
        let text = encoding.decode_head(&head[mark..]);
        if is_binary(&text) {
            return Self::Binary;
        }
        let layout = look(&text, head.len() < HEAD, expect);
        Self::Text { encoding, code_page: CodePage::declared(&text), mark, layout }
    }

    /// Whether it is compressed and nothing else.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd | Self::Bzip2 | Self::Xz)
    }

    /// Whether members are inside.
    pub fn is_container(&self) -> bool {
        self.is_stream() || matches!(self, Self::Zip | Self::SevenZ | Self::Tar)
    }
}

/// Control characters that no text has make up a tenth of the beginning. Bytes beyond ASCII
/// say nothing: text of any code page has them.
fn is_binary(text: &[u8]) -> bool {
    let head = &text[..text.len().min(512)];
    let odd = |b: &&u8| matches!(b, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c | 0x1d | 0x7f);
    head.iter().filter(odd).count() * 10 > head.len()
}

/// A gzip stream of one or more members.
///
/// Like gzip itself, and unlike flate2's reader of several members, it ignores what follows
/// the last member without being one: captures in the wild end in a line feed or in zeros.
pub struct Gunzip<R> {
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    /// Decompresses `inner`.
    pub fn new(inner: R) -> Self {
        Self { decoder: Some(GzDecoder::new(inner)) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let n = decoder.read(out)?;
            if n > 0 || out.is_empty() {
                return Ok(n);
            }
            self.decoder = match self.decoder.take() {
                Some(done) => next_gzip_member(done.into_inner())?,
                None => None,
            };
        }
        Ok(0)
    }
}

fn next_gzip_member<R: BufRead>(mut inner: R) -> io::Result<Option<GzDecoder<R>>> {
    // a torn magic number at a buffer's end is as good as none: a member is 18 bytes at least
    let more = inner.fill_buf()?.first() == Some(&0x1f);
    Ok(more.then(|| GzDecoder::new(inner)))
}

/// Reads the beginning of a stream, then hands it out again, followed by the rest.
///
/// A failure during the look-ahead is kept and reported at the place where it happened, so
/// that everything before it can still be read.
pub struct Peeked<R> {
    head: Vec<u8>,
    at: usize,
    failure: Option<io::Error>,
    inner: R,
}

impl<R: Read> Peeked<R> {
    /// Looks at up to [`HEAD`] bytes.
    pub fn new(mut inner: R) -> Self {
        let mut head = Vec::new();
        let failure = (&mut inner).take(HEAD as u64).read_to_end(&mut head).err();
        Self { head, at: 0, failure, inner }
    }

    /// What was seen.
    pub fn head(&self) -> &[u8] {
        &self.head
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at < self.head.len() {
            let n = (&self.head[self.at..]).read(out)?;
            self.at += n;
            return Ok(n);
        }
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.inner.read(out),
        }
    }
}

/// The greatest dictionary of an xz stream, in KiB.
const MAX_DICTIONARY: u32 = 1 << 20;

/// Decompresses a stream that [`Content::identify`] found to be compressed.
pub fn decompress<'a>(content: &Content, inner: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let inner = BufReader::with_capacity(128 << 10, inner);
    Ok(match content {
        Content::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(inner)?),
        Content::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(inner)),
        Content::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(inner, true, MAX_DICTIONARY)),
        _ => Box::new(Gunzip::new(inner)),
    })
}

/// Fails when a stream ends before the length that its archive states: tar's reader reports
/// such an end as a regular one.
pub struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Exactly<R> {
    /// Expects `len` bytes from `inner`.
    pub fn new(inner: R, len: u64) -> Self {
        Self { inner, left: len }
    }
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.left = self.left.saturating_sub(n as u64);
        if n == 0 && self.left > 0 && !out.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("ends {} bytes too early", self.left),
            ));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gz(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gunzip_reads_members_and_ignores_trailing_garbage() {
        let data = [gz(b"one "), gz(b"two"), b"\n".to_vec()].concat();
        let mut text = String::new();
        Gunzip::new(&data[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }

    #[test]
    fn a_failure_while_peeking_comes_after_the_bytes() {
        let data = gz(&b"0123456789".repeat(50));
        let cut = &data[..data.len() - 6];
        let mut peeked = Peeked::new(Gunzip::new(cut));
        let mut text = Vec::new();
        let error = peeked.read_to_end(&mut text).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(text.len(), 500);
    }

    #[test]
    fn identifies() {
        let identify = |head: &[u8]| Content::identify(head, Expect::Events);
        assert_eq!(identify(b""), Content::Empty);
        assert_eq!(identify(&gz(b"x")), Content::Gzip);
        assert_eq!(identify(b"PK\x03\x04..."), Content::Zip);
        assert_eq!(identify(b"7z\xbc\xaf\x27\x1c.."), Content::SevenZ);
        assert_eq!(identify(b"\xfd7zXZ\0.."), Content::Xz);
        assert_eq!(identify(b"BZh91AY&SY"), Content::Bzip2);
        assert_eq!(identify(&[0x89, 1, 0, 0, 0, 7, 0]), Content::Binary);
        assert_eq!(
            identify(b"\xff\xfe{\0}\0\n\0"),
            Content::Text {
                encoding: Encoding::Utf16Le,
                code_page: CodePage::default(),
                mark: 2,
                layout: Layout { by_lines: true, ..Layout::default() },
            }
        );
    }
}
