//! Whether an element is one event: the end tag may be that of another one, whose beginning is
//! damaged. In an event each tag is closed by its own, and text stands only in elements that hold
//! nothing else.

use memchr::{memchr, memmem};

/// Whether the tags in these bytes, which begin with one, and the text between them are so.
pub(super) fn is_balanced(element: &[u8]) -> bool {
    let mut open = Vec::new();
    let mut at = 0;
    // whether a start tag came last, and whether there was text since
    let (mut opened, mut text) = (false, false);
    while let Some(n) = memchr(b'<', &element[at..]) {
        text |= !element[at..at + n].trim_ascii().is_empty();
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
            let closes = inside.first() == Some(&b'/');
            if text && !(opened && closes) {
                return false;
            }
            (opened, text) = (!closes && inside.last() != Some(&b'/'), false);
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
            (None, _) if !is_of_tag(byte) => return None,
            _ => {}
        }
    }
    None
}

/// Whether a byte may stand in a tag outside of quotes.
fn is_of_tag(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b":_-.=/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match() {
        for text in [
            "<a/>",
            "<a b='>'><c d=\"</a>\"/><d>x<!-- <q> --><![CDATA[</a>]]><?p <?></d></a>",
            "<n:a\n x='1'><b></b ></n:a>",
        ] {
            assert!(is_balanced(text.as_bytes()), "{text}");
        }
        for text in [
            "<a>",
            "<a></b>",
            "<a <b></a>",
            "<a {b></a>",
            "<a><b></a>",
            "<a>x<b></b></a>",
            "<a><b></b>x</a>",
            "<a></a></a>",
            "<a",
            "<a b='></a>",
        ] {
            assert!(!is_balanced(text.as_bytes()), "{text}");
        }
    }
}
