//! Text encodings: byte-order marks and UTF-16, decoded to UTF-8 while reading, and code pages,
//! decoded record by record.
//!
//! UTF-8 is passed on as it is, invalid bytes included: a record that is not UTF-8 is text of the
//! member's [`CodePage`], and only such a record, since files mix them: what one shipper wrote is
//! UTF-8, and a name in it is not. UTF-16 has to be decoded before records can be found
//! in it; an unpaired surrogate becomes U+FFFD. Either way each UTF-16 unit yields one
//! character, or half of a four-byte one, so that [`Encoding::stored_len`] can compute from
//! decoded text how many bytes it took in the file.

use std::borrow::Cow;
use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder};
use memchr::{memchr, memmem};

/// How the text of a member is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, or whatever claims to be.
    Utf8,
    /// UTF-16, little endian (what Windows tools write).
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
}

impl Encoding {
    /// Detects the encoding from the first bytes of a member, and the length of its
    /// byte-order mark. Without a mark, UTF-16 is recognised by the zero bytes of the ASCII
    /// text that every capture starts with.
    pub fn detect(head: &[u8]) -> (Self, usize) {
        match head {
            [0xef, 0xbb, 0xbf, ..] => (Self::Utf8, 3),
            [0xff, 0xfe, ..] => (Self::Utf16Le, 2),
            [0xfe, 0xff, ..] => (Self::Utf16Be, 2),
            _ => (Self::guess(head), 0),
        }
    }

    fn guess(head: &[u8]) -> Self {
        let pairs = &head.as_chunks::<2>().0[..(head.len() / 2).min(16)];
        let ascii = |byte: u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        if pairs.is_empty() {
            Self::Utf8
        } else if pairs.iter().all(|&[low, high]| high == 0 && ascii(low)) {
            Self::Utf16Le
        } else if pairs.iter().all(|&[high, low]| high == 0 && ascii(low)) {
            Self::Utf16Be
        } else {
            Self::Utf8
        }
    }

    /// How many bytes `decoded` takes in the file.
    pub fn stored_len(self, decoded: &[u8]) -> u64 {
        match self {
            Self::Utf8 => decoded.len() as u64,
            // a unit for each character, two for one of four bytes
            Self::Utf16Le | Self::Utf16Be => decoded
                .iter()
                .map(|&byte| match byte {
                    0x80..=0xbf => 0,
                    0xf0.. => 4,
                    _ => 2,
                })
                .sum(),
        }
    }

    /// Decodes the beginning of a member, for a look at it. Cuts a torn last character.
    pub fn decode_head(self, head: &[u8]) -> Vec<u8> {
        let encoding = match self {
            Self::Utf8 => return head.to_vec(),
            Self::Utf16Le => encoding_rs::UTF_16LE,
            Self::Utf16Be => encoding_rs::UTF_16BE,
        };
        let (text, _) = encoding.decode_without_bom_handling(&head[..head.len() & !1]);
        text.into_owned().into_bytes()
    }
}

/// What bytes mean that are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePage(&'static encoding_rs::Encoding);

impl Default for CodePage {
    /// Windows-1252, in which most such text is written and every byte has a meaning.
    fn default() -> Self {
        Self::WINDOWS_1252
    }
}

impl CodePage {
    /// What Windows writes in the West.
    pub const WINDOWS_1252: Self = Self(encoding_rs::WINDOWS_1252);

    /// The code page that `<?xml … encoding="…"?>` declares at the beginning of a text. A
    /// declaration that the bytes contradict says nothing: what is read as bytes is not UTF-16,
    /// and what is not UTF-8 is not UTF-8.
    pub fn declared(head: &[u8]) -> Self {
        let declaration = memmem::find(head, b"<?xml").and_then(|at| {
            let rest = &head[at..head.len().min(at + 200)];
            let rest = &rest[..memmem::find(rest, b"?>")?];
            let value = rest[memmem::find(rest, b"encoding")? + 8..].trim_ascii_start();
            let value = value.strip_prefix(b"=")?.trim_ascii_start();
            let (quote, value) = value.split_first()?;
            Some(&value[..memchr(*quote, value)?])
        });
        let ascii = |encoding: &&'static encoding_rs::Encoding| {
            encoding.is_ascii_compatible() && *encoding != encoding_rs::UTF_8
        };
        declaration
            .and_then(encoding_rs::Encoding::for_label)
            .filter(ascii)
            .map_or_else(Self::default, Self)
    }

    /// Its name, as `windows-1252`.
    pub fn name(self) -> String {
        self.0.name().to_ascii_lowercase()
    }

    /// Text of this code page; bytes without a meaning show as U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        self.0.decode_without_bom_handling(bytes).0
    }
}

/// Reads UTF-8 from a UTF-16 stream whose byte-order mark has been taken off.
pub struct Utf16Reader<R> {
    inner: R,
    /// `None` once the end is reached: a decoder must not be used after its last call.
    decoder: Option<Decoder>,
    raw: Box<[u8]>,
    /// The part of `raw` that is not decoded yet.
    pending: std::ops::Range<usize>,
    eof: bool,
    /// Decoded bytes that did not fit the caller's buffer.
    spill: Vec<u8>,
}

/// More than one character in UTF-8 and what the decoder may hold back.
const SPILL: usize = 64;

impl<R: Read> Utf16Reader<R> {
    /// Little endian unless `encoding` is [`Encoding::Utf16Be`].
    pub fn new(inner: R, encoding: Encoding) -> Self {
        let encoding = match encoding {
            Encoding::Utf16Be => encoding_rs::UTF_16BE,
            Encoding::Utf16Le | Encoding::Utf8 => encoding_rs::UTF_16LE,
        };
        Self {
            inner,
            decoder: Some(encoding.new_decoder_without_bom_handling()),
            raw: vec![0; 64 << 10].into(),
            pending: 0..0,
            eof: false,
            spill: Vec::new(),
        }
    }
}

impl<R: Read> Read for Utf16Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.spill.is_empty() {
                let n = self.spill.len().min(out.len());
                out[..n].copy_from_slice(&self.spill[..n]);
                self.spill.drain(..n);
                return Ok(n);
            }
            let Some(decoder) = &mut self.decoder else {
                return Ok(0);
            };
            if self.pending.is_empty() && !self.eof {
                let n = self.inner.read(&mut self.raw)?;
                self.pending = 0..n;
                self.eof = n == 0;
            }
            let mut small = [0; SPILL];
            let direct = out.len() >= SPILL;
            let target = if direct { &mut *out } else { &mut small[..] };
            let source = &self.raw[self.pending.clone()];
            let (result, read, written, _) = decoder.decode_to_utf8(source, target, self.eof);
            self.pending.start += read;
            if self.eof && result == CoderResult::InputEmpty {
                self.decoder = None;
            }
            if !direct {
                self.spill.extend_from_slice(&small[..written]);
            } else if written > 0 {
                return Ok(written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(text: &str, encoding: Encoding) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| match encoding {
                Encoding::Utf16Be => unit.to_be_bytes(),
                _ => unit.to_le_bytes(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn decodes_whatever_the_buffer(text in "\\PC{0,200}", big in any::<bool>(), step in 1usize..100) {
            let encoding = if big { Encoding::Utf16Be } else { Encoding::Utf16Le };
            let raw = utf16(&text, encoding);
            let mut reader = Utf16Reader::new(&raw[..], encoding);
            let mut out = Vec::new();
            let mut buffer = vec![0; step];
            loop {
                let n = reader.read(&mut buffer).unwrap();
                if n == 0 { break; }
                out.extend_from_slice(&buffer[..n]);
            }
            prop_assert_eq!(encoding.stored_len(&out), raw.len() as u64);
            prop_assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn detects() {
        assert_eq!(Encoding::detect(b"{\"a\":1}"), (Encoding::Utf8, 0));
        assert_eq!(Encoding::detect(b"\xef\xbb\xbf{"), (Encoding::Utf8, 3));
        assert_eq!(Encoding::detect(b"\xff\xfe{\0"), (Encoding::Utf16Le, 2));
        assert_eq!(Encoding::detect(b"\xfe\xff\0{"), (Encoding::Utf16Be, 2));
        assert_eq!(Encoding::detect(b"{\0\"\0"), (Encoding::Utf16Le, 0));
        assert_eq!(Encoding::detect(b"\0{\0\""), (Encoding::Utf16Be, 0));
        assert_eq!(Encoding::detect(b""), (Encoding::Utf8, 0));
    }

    #[test]
    fn declared_code_pages() {
        let page = |head: &str| CodePage::declared(head.as_bytes()).name();
        assert_eq!(page("<?xml version='1.0' encoding='iso-8859-2'?>"), "iso-8859-2");
        assert_eq!(page("\n<?xml version=\"1.0\" encoding = \"KOI8-R\" ?>"), "koi8-r");
        for contradicted in ["utf-16", "UTF-8", "none", ""] {
            let head = format!("<?xml version='1.0' encoding='{contradicted}'?>");
            assert_eq!(page(&head), "windows-1252", "{contradicted}");
        }
        assert_eq!(page("<?xml version='1.0' encoding=\"torn"), "windows-1252");
        assert_eq!(CodePage::default().decode(b"\xae \x80"), "® €");
    }

    #[test]
    fn unpaired_surrogate_and_odd_byte() {
        let raw = [0x61, 0, 0x00, 0xd8, 0x62, 0, 0x63];
        let mut out = String::new();
        Utf16Reader::new(&raw[..], Encoding::Utf16Le).read_to_string(&mut out).unwrap();
        assert_eq!(out, "a\u{fffd}b\u{fffd}");
    }
}
