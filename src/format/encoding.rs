//! Text encodings: byte-order marks and UTF-16, decoded to UTF-8 while reading.
//!
//! UTF-8 is passed on as it is, invalid bytes included: whether a record is valid UTF-8 is
//! decided per record, by its decoder. UTF-16 has to be decoded before records can be found
//! in it; an unpaired surrogate becomes U+FFFD. Either way each UTF-16 unit yields one
//! character, or half of a four-byte one, so that [`Encoding::stored_len`] can compute from
//! decoded text how many bytes it took in the file.

use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder};

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
    fn unpaired_surrogate_and_odd_byte() {
        let raw = [0x61, 0, 0x00, 0xd8, 0x62, 0, 0x63];
        let mut out = String::new();
        Utf16Reader::new(&raw[..], Encoding::Utf16Le).read_to_string(&mut out).unwrap();
        assert_eq!(out, "a\u{fffd}b\u{fffd}");
    }
}
