//! What the beginning of a text says of how to read it.
//!
//! It decides who reads the text, and whether anybody does, and never where a record ends: the
//! rest may be of any other form.

use memchr::{memchr, memchr_iter};

use super::{Expect, Header, LOOK, Scanner, State, Syntax, Trust, starts};

/// How many lines without a record are enough to give up.
const PATIENCE: usize = 1000;

/// How to read a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Every record of the beginning keeps to a line that is certain to begin it, so that the text
    /// can be read from any place.
    pub by_lines: bool,
    /// The columns, of a CSV table.
    pub header: Option<Header>,
    /// How many lines were looked at in vain, when none of them begins a record.
    pub in_vain: Option<usize>,
}

/// Looks at the beginning of a text, without byte-order mark; `whole` if that is all of it.
pub fn look(head: &[u8], whole: bool, expect: Expect) -> Layout {
    if expect == Expect::Lines {
        return Layout { by_lines: true, ..Layout::default() };
    }
    let header = if expect == Expect::Events { Header::detect(head) } else { None };
    if header.is_some() {
        return Layout { header, ..Layout::default() };
    }
    let mut scanner = Scanner::new(expect, None);
    let (mut by_lines, mut found, mut end) = (true, false, 0);
    let is_cut = |at: usize| {
        let line = &head[at..head.len().min(at + LOOK)];
        let eol = memchr(b'\n', line);
        let next = eol.map_or(&[][..], |n| &line[n + 1..]);
        let before = &head[at.saturating_sub(starts::BEFORE)..at];
        let line = &line[..eol.unwrap_or(line.len())];
        starts::is_cut(before, line, next, expect == Expect::Events)
    };
    let line_start = |at: usize| head[..at].iter().rposition(|&b| b == b'\n').map_or(0, |n| n + 1);
    while let Some(span) = scanner.next(head, whole) {
        let text = &head[span.range.clone()];
        let (line, rest) = text.split_at(memchr(b'\n', text).map_or(text.len(), |n| n + 1));
        let stray = span.syntax == Syntax::Text
            && starts::text_start(line, rest, true).is_none()
            && !starts::is_rendered(line);
        if !stray {
            found |= expect == Expect::Events || span.trust != Trust::Damaged;
            let start = line_start(span.range.start);
            by_lines &= start >= end
                && memchr(b'\n', &head[span.range.clone()]).is_none()
                && (span.trust == Trust::Damaged || is_cut(start));
        } else if !found && span.line as usize >= PATIENCE {
            break;
        }
        end = span.range.end;
    }
    if !matches!(scanner.state, State::Between) {
        found = true;
        let open = scanner.start.min(head.len());
        let within = memchr(b'\n', &head[open..]).is_some();
        // one huge line of XML is a document; one of JSON is a record
        by_lines &= !within && !matches!(scanner.state, State::Xml { .. });
    }
    let lines = || memchr_iter(b'\n', head).count() + usize::from(!head.ends_with(b"\n"));
    let in_vain = (!found && expect == Expect::Events).then(|| lines().min(PATIENCE));
    Layout { by_lines: by_lines && found, header: None, in_vain }
}
