//! Whether the tags of an element match: the end tag of an event may be that of another one.

use memchr::{memchr, memmem};

/// Whether each tag in these bytes, which begin with one, is closed by its own.
pub(super) fn is_balanced(element: &[u8]) -> bool {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(n) = memchr(b'<', &element[at..]) {
        at += n;
        let tag = &element[at..];
        let skipped: Option<&[u8]> = match tag {
            [b'<', b'!', b'[', ..] => Some(b"]]>"),
            [b'<', b'!', b'-', ..] => Some(b"-->"),
            [b'<', b'?' | b'!', ..] => Some(b">"),
            _ => None,
        };
        let len = match skipped {
            Some(end) => memmem::find(tag, end).map(|n| n + end.len()),
            None => tag_len(tag),
        };
        let Some(len) = len else { return false };
        if skipped.is_none() {
            let inside = &tag[1..len - 1];
            let name = |tag: &[u8]| {
                tag.iter().position(|b| b.is_ascii_whitespace() || *b == b'/').unwrap_or(tag.len())
            };
            if let Some(closed) = inside.strip_prefix(b"/") {
                if open.pop() != Some(&closed[..name(closed)]) {
                    return false;
                }
            } else if inside.last() != Some(&b'/') {
                open.push(&inside[..name(inside)]);
            }
        }
        at += len;
    }
    open.is_empty()
}

/// The length of a tag: to the first `>` outside of quotes.
fn tag_len(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, &byte) in tag.iter().enumerate().skip(1) {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            (None, b'<') => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match() {
        for text in [
            "<a/>",
            "<a b='>'><c d=\"</a>\"/>x<!-- <q> --><![CDATA[</a>]]><?p <?></a>",
            "<n:a\n x='1'><b></b ></n:a>",
        ] {
            assert!(is_balanced(text.as_bytes()), "{text}");
        }
        for text in
            ["<a>", "<a></b>", "<a <b></a>", "<a><b></a>", "<a></a></a>", "<a", "<a b='></a>"]
        {
            assert!(!is_balanced(text.as_bytes()), "{text}");
        }
    }
}
