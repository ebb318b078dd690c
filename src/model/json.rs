//! JSON string content in its canonical form: the form in which packed rows keep text that needs escapes.
//!
//! Canonical is what `serde_json` writes: `\"` `\\` `\b` `\f` `\n` `\r` `\t`, other control characters as `\u00xx` in lower case, everything else
//! as itself. Escaped and plain text are then one-to-one, so equal bytes mean equal text, and text that came from JSON and goes
//! to JSON is copied, never converted.

use std::borrow::Cow;

/// True when the byte cannot stand in a JSON string as itself.
#[inline]
pub fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Appends `plain` in canonical escaped form.
pub fn escape_into(plain: &str, out: &mut Vec<u8>) {
    let bytes = plain.as_bytes();
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !needs_escape(byte) {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(b'0' + (byte >> 4));
                out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&bytes[from..]);
}

/// True when every escape in this JSON string content is one that [`escape_into`] would write, and nothing is left unescaped.
pub fn is_canonical(content: &[u8]) -> bool {
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        if rest[..at].iter().any(|b| needs_escape(*b)) {
            return false;
        }
        rest = match &rest[at + 1..] {
            [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => rest,
            [b'u', b'0', b'0', high @ (b'0' | b'1'), low, rest @ ..] => {
                let canonical_low = match low {
                    b'0'..=b'9' => low - b'0',
                    b'a'..=b'f' => low - b'a' + 10,
                    _ => return false,
                };
                if matches!((high - b'0') << 4 | canonical_low, 0x08 | 0x09 | 0x0a | 0x0c | 0x0d) {
                    return false;
                }
                rest
            }
            _ => return false,
        };
    }
    !rest.iter().any(|b| needs_escape(*b))
}

/// Decodes JSON string content with any valid escapes. `None` for a broken escape or invalid UTF-8.
///
/// An unpaired surrogate becomes U+FFFD, since UTF-8 cannot hold it.
pub fn unescape(content: &[u8]) -> Option<Cow<'_, str>> {
    let Some(first) = memchr::memchr(b'\\', content) else {
        return std::str::from_utf8(content).ok().map(Cow::Borrowed);
    };
    let mut out = Vec::with_capacity(content.len());
    let (mut from, mut next) = (0, Some(first));
    while let Some(at) = next {
        out.extend_from_slice(&content[from..at]);
        from = at + 2;
        match *content.get(at + 1)? {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            byte @ (b'"' | b'\\' | b'/') => out.push(byte),
            b'u' => {
                let unit = |at: usize| {
                    let digits = content.get(at..at + 4)?;
                    digits.iter().try_fold(0u32, |n, b| Some(n << 4 | char::from(*b).to_digit(16)?))
                };
                let mut code = unit(at + 2)?;
                from = at + 6;
                if (0xD800..0xDC00).contains(&code)
                    && content.get(from..from + 2) == Some(b"\\u")
                    && let Some(low @ 0xDC00..0xE000) = unit(from + 2)
                {
                    code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    from += 6;
                }
                let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
        next = memchr::memchr(b'\\', content.get(from..)?).map(|more| from + more);
    }
    out.extend_from_slice(content.get(from..)?);
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escape(plain: &str) -> Vec<u8> {
        let mut out = Vec::new();
        escape_into(plain, &mut out);
        out
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in any::<String>()) {
            let ours = escape(&text);
            let theirs = serde_json::to_vec(&text).unwrap();
            prop_assert_eq!(&theirs[1..theirs.len() - 1], &ours[..]);
            prop_assert!(is_canonical(&ours));
            prop_assert_eq!(unescape(&ours).unwrap(), text);
        }

        #[test]
        fn canonical_means_that_escaping_again_changes_nothing(content in "([ -~]|\\\\[\"\\\\/bfnrtu]|\\\\u00[01][0-9a-fA-F]){0,12}") {
            if let Ok(text) = serde_json::from_str::<String>(&format!("\"{content}\"")) {
                prop_assert_eq!(unescape(content.as_bytes()).unwrap(), text.as_str());
                prop_assert_eq!(is_canonical(content.as_bytes()), escape(&text) == content.as_bytes());
            }
        }
    }

    #[test]
    fn surrogates() {
        assert_eq!(unescape(br"\ud83d\ude00").unwrap(), "😀");
        assert_eq!(unescape(br"\ud83dx").unwrap(), "\u{FFFD}x");
        assert_eq!(unescape(br"\u12"), None);
        assert_eq!(unescape(br"\x"), None);
    }
}
